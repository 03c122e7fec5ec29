#!/bin/bash
# Ends what start.sh started: all processes with PID 1, by the kernel, and all mounts with them.
# Run as root.
set -euo pipefail
. "$(dirname "$0")/common.sh"

if pid=$(pid_1); then
  kill -KILL "$pid" 2>/dev/null || true
  wait_for 10 gone || fail "PID 1 ($pid) does not end."
fi
[ -e $run/hierarchies ] || exit 0

# The last processes leave their cgroups a little later.
cgroups_gone() {
  local directory left=0
  while read -r directory _; do
    [ -e "$cgroups/$directory/$name" ] || continue
    find "$cgroups/$directory/$name" -depth -type d -exec rmdir {} + || left=1
  done < $run/hierarchies
  return $left
}
wait_for 10 cgroups_gone || fail "These cgroups are left: $(ls -d $cgroups/*/$name)"
rm -rf --one-file-system $run
