#!/bin/bash
# Outages: what happens to the qmaster while the execd and the jobs go on. Run as root.
#   qmaster.sh stop     ends it; its state is saved
#   qmaster.sh crash    kills it
#   qmaster.sh start    starts it again with its state, and waits for the execd
#   qmaster.sh hang     it accepts connections and answers none
#   qmaster.sh resume   it goes on, and handles what it was asked meanwhile
set -euo pipefail
. "$(dirname "$0")/common.sh"

case ${1:-} in
  stop) end $qmaster_pid ;;
  crash) end $qmaster_pid KILL ;;
  start)
    start_qmaster
    wait_for 120 queue_is_up || broken "The queue did not come up: $(qstat -f)"
    ;;
  hang | resume)
    pid=$(pid_of $qmaster_pid) || fail "The qmaster does not run, so it cannot $1."
    if [ "$1" = hang ]; then
      kill -STOP "$pid"
    else
      kill -CONT "$pid"
      wait_for 20 qmaster_answers || broken 'The qmaster does not answer.'
    fi
    ;;
  *) fail 'usage: qmaster.sh stop|crash|start|hang|resume' ;;
esac
