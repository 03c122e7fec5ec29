# What the scripts here share. Daemons are known by their pid files alone.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default
cell=$SGE_ROOT/$SGE_CELL/common
spool=/var/spool/gridengine
run=/run/gridengine
log=/var/log/gridengine-test
shim=/usr/local/lib/hubspawner-test/loopback.so
qmaster_pid=$spool/qmaster/qmaster.pid
execd_pid=$run/execd.pid
host=$(uname -n)

fail() { # fail MESSAGE
  echo "$1" >&2
  exit 1
}

broken() { # broken MESSAGE: fails with the ends of all logs
  tail -n 8 $log/*.log $spool/qmaster/messages $spool/execd/*/messages /tmp/*_messages.* >&2 || true
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

# pid_of PIDFILE: prints the pid if it belongs to the live daemon after which the file is named
# (execd.pid: sge_execd). A zombie is not alive: PID 1 of a container need not reap.
pid_of() {
  local pid name comm status
  pid=$(cat "$1" 2>/dev/null) || return 1
  name=${1##*/}
  { read -r _ comm status _ < "/proc/$pid/stat"; } 2>/dev/null || return 1
  [ "$comm" = "(sge_${name%%.*})" ] && [ "$status" != Z ] && echo "$pid"
}

dead() { ! pid_of "$1"; }

# daemon COMMAND...: runs it with an environment of its own, on loopback, and with none of our open
# files: a daemon that holds the pipe of a caller would keep it waiting for the end of our output.
daemon() {
  (
    cd /
    for fd in "/proc/$BASHPID/fd"/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || exec {fd}>&-
    done
    exec env -i PATH="$PATH" LC_ALL=$LC_ALL SGE_ROOT=$SGE_ROOT SGE_CELL=$SGE_CELL \
      SGE_EXECD_PIDFILE=$execd_pid LD_PRELOAD=$shim "$@" </dev/null >>$log/start.log 2>&1
  ) || broken "This does not start: $*"
}

# end PIDFILE [SIGNAL]: ends a daemon, a stopped one too, and waits until it is gone.
end() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill "-${2:-TERM}" "$pid"
  kill -CONT "$pid" 2>/dev/null || true
  wait_for 20 dead "$1" || { kill -KILL "$pid"; wait_for 5 dead "$1"; }
}

qmaster_answers() { timeout 5 qconf -sh; }

# Without letters for the state of the queue, such as `au`: its execd has not reported.
queue_is_up() {
  [ "$(timeout 5 qstat -f -q all.q | awk -v queue="all.q@$host" '$1 == queue {print NF}')" = 5 ]
}

# Starts the qmaster with the state that it saved, or wakes a stopped one.
start_qmaster() {
  local pid
  if pid=$(pid_of $qmaster_pid); then
    kill -CONT "$pid"
  else
    rm -f $qmaster_pid
    daemon sge_qmaster
  fi
  wait_for 20 qmaster_answers || broken 'The qmaster does not answer.'
}
