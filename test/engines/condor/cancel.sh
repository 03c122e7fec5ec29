#!/bin/bash
# Removes all jobs of all users, and waits until their processes have ended. Run as root.
set -euo pipefail
. "$(dirname "$0")/common.sh"

nothing_left() {
  local jobs
  jobs=$(in_trixie condor_q -allusers -autoformat ClusterId JobStatus) || return 1
  [ -n "$jobs" ] || return 0
  in_trixie condor_rm -all || true
  # Those that an owner wanted to have left in the queue.
  in_trixie condor_rm -forcex -constraint 'time() - EnteredCurrentStatus > 40' || true
  return 1
}
wait_for 60 nothing_left || fail "These jobs do not end: $(in_trixie condor_q -allusers 2>&1)"
