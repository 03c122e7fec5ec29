# What the scripts here share. Daemons are known by their pid files alone.
state=/var/lib/slurm-test
log=/var/log/slurm-test
run=/run/slurm-test
munge_pid=/run/munge/munged.slurm-test.pid
nodes=(cn1 cn2 cn3 cn4)

fail() { # fail MESSAGE
  echo "$1" >&2
  exit 1
}

broken() { # broken MESSAGE: fails with the ends of all logs
  tail -n 8 $log/*.log >&2 || true
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
# (slurmd.cn1.pid: slurmd; Debian's slurmd-wlm where it has started itself anew, as Slurm 24 does
# on SIGHUP). A zombie is not alive: PID 1 of a container need not reap.
pid_of() {
  local pid name comm status
  pid=$(cat "$1" 2>/dev/null) || return 1
  name=${1##*/}
  { read -r _ comm status _ < "/proc/$pid/stat"; } 2>/dev/null || return 1
  comm=${comm/%-wlm)/)}
  [ "$comm" = "(${name%%.*})" ] && [ "$status" != Z ] && echo "$pid"
}

dead() { ! pid_of "$1"; }

# daemon COMMAND...: runs it with an environment of its own, and with none of our open files: a
# daemon that holds the pipe of a caller would keep it waiting for the end of our output.
daemon() {
  (
    cd /
    for fd in "/proc/$BASHPID/fd"/*; do
      fd=${fd##*/}
      [ "$fd" -le 2 ] || exec {fd}>&-
    done
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@" \
      </dev/null >>$log/start.log 2>&1
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

# A hub reaches a server by the name of its node. The daemons listen where the host name points
# (NoInAddrAny), hence the line comes before any other for these names.
resolve_nodes() {
  local name hosts names=()
  for name in "$(uname -n)" "${nodes[@]}"; do
    [[ $(getent ahostsv4 "$name") = '127.0.0.1 '* ]] || names+=("$name")
  done
  if [ ${#names[@]} -gt 0 ]; then
    hosts=$(cat /etc/hosts)
    printf '127.0.0.1 localhost %s\n%s\n' "${names[*]}" "$hosts" > /etc/hosts
  fi
}

controller_answers() { [[ $(scontrol ping) == *'is UP'* ]]; }

nodes_are_up() { # plnd and the dash: kept free for a job that waits
  [ "$(sinfo -h -N -p batch -o %t | grep -cE '^(idle|mix|alloc|comp|plnd)-?$')" = ${#nodes[@]} ]
}

# Starts slurmctld with the state that it saved, or wakes a stopped one.
start_slurmctld() {
  local pid
  if pid=$(pid_of $run/slurmctld.pid); then
    kill -CONT "$pid"
  else
    rm -f $run/slurmctld.pid
    daemon slurmctld
  fi
  wait_for 20 controller_answers || broken 'slurmctld does not answer.'
}

# A slurmd registers at once when told to, else only at the next ping.
register_nodes() {
  local node pid
  for node in "${nodes[@]}"; do
    if pid=$(pid_of "$run/slurmd.$node.pid"); then kill -HUP "$pid"; fi
  done
  # That of Slurm 24 starts itself anew for that: nobody may end it by its old number meanwhile.
  sleep 1
}

wait_for_nodes() {
  wait_for 30 nodes_are_up || broken "Not all nodes came up: $(sinfo -N -l)"
}
