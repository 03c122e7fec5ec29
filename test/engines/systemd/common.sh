# What the scripts here share. The instance is known by the pid of its PID 1 and the time when that
# began, so that another process with the same pid is never taken for it.
name=systemd-test
run=/run/$name
cgroups=/sys/fs/cgroup

fail() { # fail MESSAGE
  echo "$1" >&2
  exit 1
}

# began PID: when a process began, in clock ticks since the machine's start. A zombie has ended.
began() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -r -a stat <<<"${stat##*) }"
  [ "${stat[0]}" != Z ] && echo "${stat[19]}"
}

# pid_1: prints the pid of the instance's PID 1 as the host sees it, if it lives.
pid_1() {
  local pid start
  { read -r pid start < $run/pid; } 2>/dev/null || return 1
  [ "$(began "$pid")" = "$start" ] && echo "$pid"
}

gone() { ! pid_1; }

wait_for() { # wait_for SECONDS COMMAND...: polls until COMMAND succeeds
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

# hierarchies unified|hybrid: of each cgroup hierarchy that the instance gets a part of, where it is
# below $cgroups, and the options that mount it. cpuset and freezer, which systemd does not use on
# cgroup v1, stay the host's.
hierarchies() {
  local controllers
  while IFS=: read -r _ controllers _; do
    case $1:$controllers in
      *:) if [ -e $cgroups/unified ]; then echo unified cgroup2; else echo . cgroup2; fi ;;
      hybrid:name=systemd) echo systemd cgroup none,name=systemd ;;
      hybrid:cpuset | hybrid:freezer) ;;
      hybrid:*) echo "$controllers" cgroup "$controllers" ;;
    esac
  done < /proc/self/cgroup
}
