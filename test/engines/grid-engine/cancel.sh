#!/bin/bash
# Deletes all jobs of all users, and waits until their processes have ended. Run as root.
set -euo pipefail
. "$(dirname "$0")/common.sh"

nothing_left() {
  local jobs
  jobs=$(timeout 5 qstat -u '*') || return 1
  [ -n "$jobs" ] || return 0
  timeout 5 qdel -u '*'
  return 1
}
wait_for 30 nothing_left || fail "These jobs do not end: $(timeout 5 qstat -u '*' 2>&1)"
