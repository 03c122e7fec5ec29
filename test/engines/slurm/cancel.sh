#!/bin/bash
# Cancels all jobs of all users, and waits until their processes have ended. Run as root.
set -euo pipefail
. "$(dirname "$0")/common.sh"

nothing_left() {
  local jobs
  jobs=$(squeue -h -a -o %A) || return 1
  [ -n "$jobs" ] || return 0
  xargs scancel <<<"$jobs"
  return 1
}
wait_for 30 nothing_left || fail "These jobs do not end: $(squeue -a 2>&1)"
