#!/bin/bash
# Boots systemd as PID 1 of a container: namespaces of its own (not for the network), and a copy of
# the machine's file system whose changes vanish. Run as root.
#   start.sh                   on cgroup v1 where this machine has its controllers there, else on v2
#   start.sh --cgroup hybrid   controllers on v1, and v2 beside them without any
#   start.sh --cgroup unified  v2 alone, with the controllers that v2 has on this machine
#   start.sh --bind DIRECTORY  is the machine's own directory inside, too; may be repeated
# An instance of the wanted kind that answers is left as it is, with its units. In any other case
# what is left of an earlier one is stopped first.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

if grep -q '^[0-9]*:memory:' /proc/self/cgroup; then cgroup=hybrid; else cgroup=unified; fi
binds=()
while [ $# -gt 0 ]; do
  case $1 in
    --cgroup) cgroup=$2 ;;
    --bind) binds+=("$2") ;;
    *) fail "start.sh does not know $1." ;;
  esac
  shift 2
done
kind="$cgroup ${binds[*]}"

[ "$(id -u)" = 0 ] || fail 'The systemd engine has to be started by root.'
for program in /lib/systemd/systemd /usr/bin/dbus-daemon; do
  [ -x $program ] || fail "$program is not installed: run install.sh first."
done
case $cgroup in
  unified) ;;
  hybrid) grep -q '^[0-9]*:memory:' /proc/self/cgroup || fail 'This machine has no cgroup v1.' ;;
  *) fail "There is no kind of cgroups named $cgroup." ;;
esac

answers() { [ "$("$here/exec.sh" timeout 5 systemctl is-system-running)" = running ]; }
if [ "$(cat $run/kind 2>/dev/null)" = "$kind" ] && answers 2>/dev/null; then exit; fi

"$here/stop.sh"
mkdir -p $run/mnt
hierarchies "$cgroup" > $run/hierarchies
while read -r directory type _; do
  # On a machine with v2 alone; the root may have processes and hand on controllers.
  if [ "$directory" = . ] && [ "$type" = cgroup2 ]; then
    sed 's/[^ ]*/+&/g' $cgroups/cgroup.controllers > $cgroups/cgroup.subtree_control
  fi
  mkdir -p "$cgroups/$directory/$name"
done < $run/hierarchies

(
  # None of the caller's files: it would wait for the end of our output.
  for fd in "/proc/$BASHPID/fd"/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || exec {fd}>&-
  done
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    setsid unshare --fork --pid "$here/boot.sh" "${binds[@]}" </dev/null >$run/boot.log 2>&1
) &
wait_for 30 answers || {
  cat $run/boot.log >&2
  "$here/exec.sh" timeout 5 systemctl --failed >&2 || true
  fail "systemd did not come up."
}
echo "$kind" > $run/kind
