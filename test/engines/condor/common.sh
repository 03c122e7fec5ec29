# What the scripts here share. Daemons are known by their pid files alone.
. "$(dirname "${BASH_SOURCE[0]}")/../trixie/common.sh"
log=$trixie/var/log/condor
run=$trixie/run/condor
config=$trixie/etc/condor/config.d/90-hubspawner-test

fail() { # fail MESSAGE
  echo "$1" >&2
  exit 1
}

broken() { # broken MESSAGE: fails with the ends of the logs
  tail -n 8 $log/{Master,Schedd,Start,Collector}*Log >&2 || true
  fail "$1"
}

wait_for() { # wait_for SECONDS COMMAND...: polls until COMMAND succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}

# pid_of NAME: prints the pid of the live daemon condor_NAME. A zombie is not alive: PID 1 of a
# container need not reap.
pid_of() {
  local pid comm status
  pid=$(cat "$run/condor_$1.pid" 2>/dev/null) || return 1
  { read -r _ comm status _ < "/proc/$pid/stat"; } 2>/dev/null || return 1
  [ "$comm" = "(condor_$1)" ] && [ "$status" != Z ] && echo "$pid"
}

dead() { ! pid_of "$1"; }

# daemon COMMAND...: runs it there with none of our open files: a daemon that holds the pipe of a
# caller would keep it waiting for the end of our output.
daemon() {
  (
    cd /
    for fd in "/proc/$BASHPID/fd"/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || exec {fd}>&-
    done
    in_trixie "$@" </dev/null >/dev/null 2>&1
  ) || broken "This does not start: $*"
}

# end NAME SIGNAL: ends a daemon, a stopped one too, and waits until it is gone.
end() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill "-$2" "$pid"
  kill -CONT "$pid" 2>/dev/null || true
  wait_for 30 dead "$1" || { kill -KILL "$pid"; wait_for 5 dead "$1"; }
}

schedd_answers() { in_trixie condor_q -allusers -totals; }
slots_are_there() { [ -n "$(in_trixie condor_status -autoformat Name)" ]; }

wait_for_pool() {
  wait_for 30 schedd_answers || broken 'The schedd does not answer.'
  wait_for 30 slots_are_there || broken 'No machine is in the pool.'
}
