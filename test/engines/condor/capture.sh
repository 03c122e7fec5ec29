#!/bin/bash
# Captures from the running pool what HTCondor prints in each case, for test/fixtures/condor: a file
# for each command, and index.json with stream, exit code and command. Removes all jobs, and takes
# about two minutes, in part for the time-outs of the clients. Run as root.
#   capture.sh DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
out=${1:?usage: capture.sh DIRECTORY}
mkdir -p "$out"
release=$(in_trixie condor_version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)
# What the library asks.
ids=ClusterId,ProcId,JobStatus,LastJobStatus,QDate,JobCurrentStartDate,SpawnerRuntime,RemoteHost
holds=HoldReasonCode,HoldReasonSubCode,HoldReason,LastHoldReasonCode,LastHoldReasonSubCode
attributes=$ids,$holds,LastRejMatchReason,RemoveReason,ExitBySignal,ExitCode,ExitSignal
entries=()

as() { # as ACCOUNT COMMAND...
  chroot --userspec="$1:" $trixie env -i PATH=/usr/bin:/bin LC_ALL=C TZ=UTC "${@:2}"
}

# save NAME STREAM EXIT_CODE COMMAND: writes what it reads; this machine has a neutral name.
save() {
  local file=$1 text
  # The dot saves the line breaks at the end.
  text=$(sed -e 's/\blocalhost\b/node01.cluster.example/g' -e 's/127\.0\.0\.1/192.0.2.1/g' && echo .)
  case $2 in
    stderr) file+=.err.txt ;;
    *) [[ $text == '['* ]] && file+=.json || file+=.txt ;;
  esac
  printf '%s' "${text%.}" > "$out/$file"
  entries+=("  \"$file\": {\"stream\": \"$2\", \"exitCode\": $3, \"command\": \"$4\", \"trust\": \"captured $release\"}")
}

capture() { # capture NAME ACCOUNT COMMAND...
  local code=0 stdout stderr words
  stdout=$(mktemp) stderr=$(mktemp)
  as "${@:2}" >"$stdout" 2>"$stderr" </dev/null || code=$?
  words=${*:3}
  words=${words//"$attributes"/\$attributes}
  words=${words//\"/\\\"}
  if [ -s "$stdout" ] || [ ! -s "$stderr" ]; then save "$1" stdout $code "$words" <"$stdout"; fi
  if [ -s "$stderr" ]; then save "$1" stderr $code "$words" <"$stderr"; fi
  rm "$stdout" "$stderr"
}

submit() { # submit NAME COMMAND [LINE...]: the id of a job of alice's
  printf '%s\n' 'executable = /bin/sh' "arguments = \"-c '$2'\"" 'initialdir = /home/alice' \
    'should_transfer_files = NO' 'getenv = false' 'job_max_vacate_time = 20' \
    "batch_name = jupyter-alice-$1" "+SpawnerTag = \"hubspawner:8f0c2e1b:alice:$1:3b1d0c7a9e55\"" \
    "${@:3}" 'queue 1' | as alice condor_submit -terse - | sed -n 's/ - .*//p'
}

is() { # is JOB CONDITION
  [ "$(in_trixie condor_q -allusers "$1" -autoformat "$2")" = true ]
}
gone() { [ -z "$(in_trixie condor_q -allusers "$1" -autoformat ClusterId)" ]; }
recorded() { [ -n "$(in_trixie condor_history "$1" -match 1 -autoformat ClusterId)" ]; }

"$here/cancel.sh"
capture q-none alice condor_q -allusers -json -attributes "$attributes"
stubborn='trap : TERM; while :; do sleep 1; done'
large='python3 -c "import time; a = bytearray(200000000); a[::4096] = b\"1\" * len(a[::4096]); time.sleep(600)"'
large=${large//\"/\"\"}
forever='sleep 600'
over='periodic_remove = JobStatus == 2 && time() - JobCurrentStartDate > SpawnerRuntime || JobStatus == 5'
declare -A jobs ended
jobs[pending]=$(submit pending "$forever" 'request_memory = 9999999')
jobs[held]=$(submit held "$forever" 'hold = true')
jobs[log]=$(submit log "$forever" 'output = /nonexistent/log')
jobs[running]=$(submit running "$forever" '+SpawnerRuntime = 36000')
jobs[suspended]=$(submit suspended "$forever")
jobs[evicted]=$(submit evicted "$forever")
jobs[removed]=$(submit removed "$stubborn")
jobs[memory]=$(submit memory "$large" 'request_memory = 64')
jobs[duration]=$(submit duration "$forever" 'allowed_job_duration = 3')
jobs[kept]=$(submit kept 'exit 3' 'leave_in_queue = true')
jobs[hostile]=$(submit hostile "$forever" 'hold = true' \
  $'batch_name = \xc3\xa9 "}, {"ClusterId": 1}\t\xff' "+HoldReason = \"${jobs[running]} ]\"")
ended[completed]=$(submit completed true)
ended[failed]=$(submit failed 'exit 7')
ended[signalled]=$(submit signalled 'kill -KILL $$')
ended[cancelled]=$(submit cancelled "$forever")
ended[cancelled-waiting]=$(submit cancelled-waiting "$forever" 'hold = true')
ended[walltime]=$(submit walltime "$forever" '+SpawnerRuntime = 3' "$over")
ended[memory]=$(submit memory "$large" 'request_memory = 64' "$over")
ended[duration]=$(submit duration "$forever" 'allowed_job_duration = 3' "$over")
for name in running suspended evicted removed; do
  wait_for 30 is "${jobs[$name]}" 'JobStatus == 2' || fail "The job $name does not run."
done
for name in log memory duration; do
  wait_for 60 is "${jobs[$name]}" 'JobStatus == 5' || fail "The job $name is not held."
done
wait_for 30 is "${jobs[pending]}" 'LastRejMatchReason isnt undefined'
wait_for 30 is "${jobs[kept]}" 'JobStatus == 4'
wait_for 30 is "${ended[cancelled]}" 'JobStatus == 2'
for name in completed failed signalled walltime memory duration; do
  wait_for 60 gone "${ended[$name]}" || fail "The job $name does not end."
done

capture suspend alice condor_suspend "${jobs[suspended]}"
wait_for 10 is "${jobs[suspended]}" 'JobStatus == 7'
capture rm alice condor_rm "${ended[cancelled]}"
as alice condor_rm "${ended[cancelled-waiting]}" >/dev/null
in_trixie condor_qedit "${jobs[evicted]}" Requirements false >/dev/null
as alice condor_vacate_job "${jobs[evicted]}" >/dev/null
wait_for 20 is "${jobs[evicted]}" 'JobStatus == 1'
as alice condor_rm "${jobs[removed]}" >/dev/null
capture rm-again alice condor_rm "${jobs[removed]}"
wait_for 20 gone "${ended[cancelled]}"
wait_for 20 gone "${ended[cancelled-waiting]}"
capture q-jobs alice condor_q -allusers -json -attributes "$attributes"
in_trixie condor_qedit "${jobs[kept]}" LeaveJobInQueue false >/dev/null
capture q-find alice condor_q -allusers -json -attributes ClusterId,ProcId,Owner,SpawnerTag,JobBatchName
for name in "${!ended[@]}"; do
  wait_for 10 recorded "${ended[$name]}"
  capture "history-$name" alice condor_history "${ended[$name]}" -match 1 -json -attributes "$attributes,JobBatchName"
done
capture history-unknown alice condor_history 99999.0 -match 1 -json -attributes "$attributes,JobBatchName"
capture history-off alice env _CONDOR_HISTORY= condor_history 99999.0 -match 1 -json -attributes "$attributes,JobBatchName"
capture rm-unknown alice condor_rm 99999.0
capture rm-denied bob condor_rm "${jobs[running]}"
capture forcex-too-early alice condor_rm -forcex -constraint \
  "strcat(ClusterId, \".\", ProcId) == \"${jobs[removed]}\" && time() - EnteredCurrentStatus > 25"
capture q-unknown-host alice condor_q -name nosuch -allusers -json -attributes "$attributes"
capture submit-directory alice sh -c 'printf "executable=/bin/sh\ninitialdir=/nonexistent\nqueue\n" | condor_submit -terse -'
capture submit-expression alice sh -c 'printf "executable=/bin/sh\nrequirements = a ==\nqueue\n" | condor_submit -terse -'
capture submit-unused alice sh -c 'printf "executable=/bin/sh\nhold=true\nnosuch=1\nqueue\n" | condor_submit -terse -'

outage() { # outage NAME: what each client says
  capture "outage-$1-q" alice condor_q -allusers -json -attributes "$attributes"
  capture "outage-$1-rm" alice condor_rm "${jobs[running]}"
  capture "outage-$1-history" alice condor_history 99999.0 -match 1 -json -attributes "$attributes,JobBatchName"
}
"$here/schedd.sh" hang
outage hung
"$here/schedd.sh" resume
"$here/schedd.sh" crash
outage crashed
capture outage-crashed-submit alice sh -c 'printf "executable=/bin/true\nqueue\n" | condor_submit -terse -'
"$here/schedd.sh" start
"$here/cancel.sh"
end master QUIT
outage stopped
capture outage-stopped-submit alice sh -c 'printf "executable=/bin/true\nqueue\n" | condor_submit -terse -'
"$here/start.sh"

{
  echo '{'
  printf '%s\n' "${entries[@]}" | sort | sed '$!s/$/,/'
  echo '}'
} > "$out/index.json"
