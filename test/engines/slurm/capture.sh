#!/bin/bash
# Captures from the running cluster what Slurm prints in each case, for test/fixtures/slurm: a file
# for each command, and index.json with stream, exit code and command. Cancels all jobs, and takes
# about 2 minutes, mostly for the walltime. Run as root.
#   capture.sh DIRECTORY   of 22.05; of 24.11: ../slurm-2411/run.sh capture DIRECTORY, below /tmp
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
out=${1:?usage: capture.sh DIRECTORY}
mkdir -p "$out"
export LC_ALL=C.UTF-8 TZ=UTC
release=$(sinfo --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
# What the library asks: fields end with \x1f, records begin with \x1e.
query=(squeue -h -a -t all --local -o $'\x1e%A\x1f%T\x1f%B\x1f%N\x1f%r\x1d%P\x1f%V\x1f%S\x1f%e\x1f')
# What it asks where it looks for a job by its mark; of the boundary each call has another.
boundary=c0ffee5ca1ab1e0ddba11f00
printf -v find '%s' $'\x1e' '|%A' $'\x1f' '|%k' $'\x1f' '|%j' $'\x1f' '|%T' $'\x1f' '|%u' $'\x1f' '|'
find=(squeue -h -a -t all --local -o "${find//|/$boundary}")
entries=()

# save NAME STREAM EXIT_CODE COMMAND: writes what it reads. A file with separators is .esc, as
# test/helpers/fixtures.ts reads it, and this machine has a neutral name.
save() {
  local file=$1 text
  # The dot saves the line breaks at the end.
  text=$(sed -e 's/\x1e/\\x1e/g' -e 's/\x1f/\\x1f/g' -e 's/\x1d/\\x1d/g' -e "s/\b$(uname -n)\b/login01/g" && echo .)
  text=${text%.}
  case $text in
    *'\x1e'*) file+=.esc text=${text//$'\n'/$'\\n\n'} ;;
    *) file+=$([ "$2" = stdout ] || echo .err).txt ;;
  esac
  printf '%s' "$text" > "$out/$file"
  entries+=("  \"$file\": {\"stream\": \"$2\", \"exitCode\": $3, \"command\": \"$4\", \"trust\": \"captured $release\"}")
}

capture() { # capture NAME COMMAND...
  local code=0 stdout stderr words
  stdout=$(mktemp) stderr=$(mktemp)
  "${@:2}" >"$stdout" 2>"$stderr" </dev/null || code=$?
  words="${*:2}"
  words=${words/"${query[-1]}"/\$query}
  words=${words/"${find[-1]}"/\$find}
  if [ -s "$stdout" ] || [ ! -s "$stderr" ]; then save "$1" stdout $code "$words" <"$stdout"; fi
  if [ -s "$stderr" ]; then save "$1" stderr $code "$words" <"$stderr"; fi
  rm "$stdout" "$stderr"
}

submit() { # submit NAME OPTION... COMMAND: the id of a job of alice's
  runuser -u alice -- sbatch --parsable --no-requeue --chdir=/home/alice --output=/dev/null \
    --comment="of $1" --job-name="jupyter-$1" "${@:2:$#-2}" --wrap "${@: -1}"
}

marked() { # marked ACCOUNT COMMENT NAME: the id of a job of that account, which waits
  runuser -u "$1" -- sbatch --parsable --hold --chdir=/tmp --output=/dev/null \
    --comment="$2" --job-name="$3" --wrap 'sleep 600'
}

is() { [ "$(squeue -h -a -t all -j "$1" -o %T)" = "$2" ]; }

"$here/cancel.sh"
declare -A ids states=(
  [pending]=PENDING [held]=PENDING [running]=RUNNING [suspended]=RUNNING [completed]=COMPLETED
  [failed]=FAILED [signalled]=FAILED [walltime]=TIMEOUT [cancelled]=RUNNING [nodefail]=RUNNING
)
capture squeue-none squeue -h -a -o %A
ids[walltime]=$(submit walltime --partition=short 'sleep 600')
ids[pending]=$(submit pending --begin=now+3600 'sleep 600')
ids[held]=$(submit held --hold 'sleep 600')
ids[running]=$(submit running --time=10 'sleep 600')
ids[suspended]=$(submit suspended 'sleep 600')
ids[completed]=$(submit completed true)
ids[failed]=$(submit failed 'exit 3')
ids[signalled]=$(submit signalled 'kill -KILL $$')
ids[cancelled]=$(submit cancelled 'sleep 600')
ids[nodefail]=$(submit nodefail --nodelist=cn4 --exclusive 'sleep 600')
for name in "${!ids[@]}"; do
  wait_for 120 is "${ids[$name]}" "${states[$name]}" || fail "The job $name is not ${states[$name]}."
done
scontrol suspend "${ids[suspended]}"
scancel "${ids[cancelled]}"
scontrol update NodeName=cn4 State=DOWN Reason=capture
wait_for 20 is "${ids[nodefail]}" NODE_FAIL
scontrol update NodeName=cn4 State=IDLE
wait_for 20 is "${ids[cancelled]}" CANCELLED

tag=hubspawner:8f0c2e1b:alice::3b1d0c7a9e55
marked alice "$tag" jupyter-alice-3b1d0c7a9e55
marked bob "$tag" jupyter-alice-3b1d0c7a9e55
# It looks like the end of its row and all of one of alice's, for whoever trusts in separators.
marked bob $'x\x1fx\x1fPENDING\x1fbob\x1f\n\x1e1\x1f'"$tag"$'\x1fx\x1fRUNNING\x1falice\x1f\n\x1e2' $'a\x1f\nname'
marked alice hubspawner:8f0c2e1b:alice:r%26d%20lab:0c7a9e553b1d jupyter-alice-r_d_lab-0c7a9e553b1d

capture squeue-jobs "${query[@]}"
capture squeue-find-all "${find[@]}"
for name in "${!ids[@]}"; do capture "scontrol-$name" scontrol -o show job "${ids[$name]}"; done
capture squeue-unknown squeue -h -a -t all -j 999999 -o %A
capture scontrol-unknown scontrol -o show job 999999
capture scancel-unknown scancel 999999
capture scancel-ended scancel "${ids[failed]}"
capture sbatch-partition runuser -u alice -- sbatch --parsable --partition=nosuch --wrap true
capture sacct-none sacct -n -P -X -D -j "${ids[failed]}" -o JobIDRaw,State,ExitCode
capture ping-up scontrol ping

outage() { # outage NAME BEGIN END
  "$here/slurmctld.sh" "$2"
  capture "squeue-$1" "${query[@]}"
  capture "scontrol-$1" scontrol -o show job "${ids[running]}"
  capture "scancel-$1" scancel "${ids[held]}"
  capture "sbatch-$1" runuser -u alice -- sbatch --parsable --hold --wrap true
  capture "ping-$1" scontrol ping
  "$here/slurmctld.sh" "$3"
}
outage down stop start
outage hung hang resume
"$here/cancel.sh"

{
  echo '{'
  printf '%s\n' "${entries[@]}" | sort | sed '$!s/$/,/'
  echo '}'
} > "$out/index.json"
