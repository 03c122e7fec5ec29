#!/bin/bash
# Captures from the running cluster what Grid Engine prints in each case, for
# test/fixtures/grid-engine: a file for each command, and index.json with stream, exit code and
# command. Deletes all jobs, and takes about 40 s. Run as root.
#   capture.sh DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
out=${1:?usage: capture.sh DIRECTORY}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd / # what a job is submitted from
export TZ=UTC
query=(qstat -xml -u '*' -s prs)
entries=()

# capture NAME COMMAND...: a file for each stream that has something; this machine has a neutral name.
capture() {
  local name=$1 code=0 stream file printed note=''
  shift
  printed=$(mktemp -d)
  "$@" >"$printed/stdout" 2>"$printed/stderr" </dev/null || code=$?
  for stream in stdout stderr; do
    [ -s "$printed/$stream" ] || continue
    file=$name.txt
    [ $stream = stdout ] || file=$name.err.txt
    ! grep -q '^<?xml' "$printed/$stream" || file=$name.xml
    [ $stream = stderr ] || [ ! -s "$printed/stderr" ] || note=$name.err.txt
    sed "s/\b$host\b/node01/g; s/\blocalhost\b/login01/g" "$printed/$stream" > "$out/$file"
    entries+=("$(python3 -c 'import json, shlex, sys
file, stream, code, stderr, *argv = sys.argv[1:]
if argv[0] == "as": argv = argv[3:]
facts = {"stream": stream, "exitCode": int(code), "command": shlex.join(argv), "trust": "captured 8.1.9"}
if stream == "stdout" and stderr: facts["stderr"] = stderr
print(f"  {json.dumps(file)}: {json.dumps(facts)}")' "$file" $stream $code "$note" "$@")")
  done
  rm -r "$printed"
}

as() { runuser -u "$@"; }

submit() { # submit NAME SCRIPT OPTION...: the id of a job of alice's
  printf '#!/bin/bash\n%s\n' "$2" | as alice -- qsub -terse -S /bin/bash -j y -o /dev/null \
    -wd /home/alice -N "jupyter-alice-$1" -ac "tag=hubspawner:8f0c2e1b:alice::$1" "${@:3}"
}

is() { # is ID STATE: the state in the list; '' where it is not in it
  [ "$(qstat -u '*' -s prs | awk -v id="$1" '$1 == id {print $5}')" = "$2" ]
}

recorded() { qacct -j "$1"; }

"$here/cancel.sh"
capture qstat-xml-empty "${query[@]}"
declare -A ids states=(
  [running]=r [parallel]=r [held-running]=hr [suspended]=s [pending]=qw [later]=qw [held]=hqw
  [dependent]=hqw [directory]=Eqw [log]=Eqw [rerun]=Rr [deleting]=r
)
ids[running]=$(submit running 'sleep 600')
ids[parallel]=$(submit parallel 'sleep 600' -pe smp 3)
ids[held-running]=$(submit held-running 'sleep 600')
ids[suspended]=$(submit suspended 'sleep 600')
ids[rerun]=$(submit rerun 'sleep 600' -r y)
ids[deleting]=$(submit deleting 'trap "" USR2; sleep 600; sleep 600' -notify)
ids[pending]=$(submit pending 'sleep 600' -pe smp 200)
ids[later]=$(submit later 'sleep 600' -a "$(date -d '+1 hour' +%Y%m%d%H%M)")
ids[held]=$(submit held 'sleep 600' -h)
ids[dependent]=$(submit dependent 'sleep 600' -hold_jid "${ids[running]}")
ids[directory]=$(submit directory true -wd /home/alice/nowhere)
ids[log]=$(submit log true -o /nowhere/log)

declare -A ended
ended[completed]=$(submit completed true)
ended[failed]=$(submit failed 'exit 3')
ended[signalled]=$(submit signalled 'ulimit -c 0; kill -SEGV $$')
ended[child-killed]=$(submit child-killed 'sh -c "kill -KILL \$\$"; exit')
ended[walltime]=$(submit walltime 'sleep 600' -l h_rt=3)
ended[memory]=$(submit memory 'for i in 1 2 3; do
  python3 -c "x = bytearray(120 << 20); import time; time.sleep(600)" & done; wait' -l h_vmem=250M)
ended[cancelled]=$(submit cancelled 'sleep 600')

for name in running parallel held-running suspended rerun deleting; do
  wait_for 20 is "${ids[$name]}" r || fail "The job $name does not run."
done
wait_for 20 is "${ended[cancelled]}" r || fail 'The job cancelled does not run.'
qhold "${ids[held-running]}" >/dev/null
qmod -sj "${ids[suspended]}" >/dev/null
qmod -rj "${ids[rerun]}" >/dev/null
wait_for 10 is "${ids[rerun]}" Rq || fail 'The job rerun was not put back.'
capture qstat-requeued "${query[@]}"
capture qdel-running as alice -- qdel "${ended[cancelled]}"
for name in "${!states[@]}"; do
  wait_for 20 is "${ids[$name]}" "${states[$name]}" || fail "The job $name is not ${states[$name]}."
done
for name in "${!ended[@]}"; do
  wait_for 20 recorded "${ended[$name]}" || fail "The job $name has no record."
  capture "qacct-$name" qacct -j "${ended[$name]}"
done

capture qdel-ok as alice -- qdel "${ids[deleting]}"
capture qdel-again as alice -- qdel "${ids[deleting]}"
capture qstat-jobs "${query[@]}"
for name in running pending later held dependent directory log; do
  capture "qstat-j-$name" qstat -j "${ids[$name]}"
done
capture qacct-requeued qacct -j "${ids[rerun]}"
capture qacct-not-started qacct -j "${ids[directory]}"
capture qacct-unknown qacct -j 999999
capture qacct-no-file qacct -f /nowhere/accounting -j 1
capture qstat-j-unknown qstat -j 999999
capture qdel-unknown as alice -- qdel 999999
capture qdel-other-user as bob -- qdel "${ids[running]}"
capture qdel-held as alice -- qdel "${ids[held]}"
capture qsub-overridden as alice -- sh -c 'printf "#\$ -r n\n#\$ -r y\n" | qsub -terse -h'
capture qsub-badqueue as alice -- qsub -terse -q nosuch.q -b y true
capture qsub-pe as alice -- qsub -terse -pe nosuch 2 -b y true
capture qsub-directive as alice -- sh -c 'printf "#\$ -nosuch\n" | qsub -terse'

"$here/qmaster.sh" stop
capture outage-qstat "${query[@]}"
capture outage-qstat-j qstat -j "${ids[running]}"
capture qdel-outage as alice -- qdel "${ids[running]}"
capture qsub-outage as alice -- qsub -terse -b y true
"$here/qmaster.sh" start
"$here/cancel.sh"

{
  echo '{'
  printf '%s\n' "${entries[@]}" | sort | sed '$!s/$/,/'
  echo '}'
} > "$out/index.json"
