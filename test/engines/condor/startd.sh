#!/bin/bash
# An execution host that is there and does not answer; its jobs go on. Run as root.
#   startd.sh hang     stops the startd and the starters of its jobs
#   startd.sh resume   they go on, and handle what they were asked meanwhile
set -euo pipefail
. "$(dirname "$0")/common.sh"

startd=$(pid_of startd) || fail 'There is no execution host.'
mapfile -t pids < <(echo "$startd" && pgrep --parent "$startd")
case ${1:-} in
  hang) kill -STOP "${pids[@]}" ;;
  resume)
    kill -CONT "${pids[@]}"
    wait_for_pool
    ;;
  *) fail 'usage: startd.sh hang|resume' ;;
esac
