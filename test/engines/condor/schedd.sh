#!/bin/bash
# Outages: what happens to the schedd while the machine and its jobs go on. Run as root.
#   schedd.sh crash    kills it, and the master does not notice yet
#   schedd.sh start    it starts again with its queue, or a hung one goes on; jobs are reconnected
#   schedd.sh hang     it accepts connections and answers none
#   schedd.sh resume   it goes on, and handles what it was asked meanwhile
set -euo pipefail
. "$(dirname "$0")/common.sh"

master=$(pid_of master) || fail 'There is no pool.'
case ${1:-} in
  crash)
    kill -STOP "$master"
    end schedd KILL
    ;;
  hang) kill -STOP "$(pid_of schedd)" ;;
  start | resume)
    kill -CONT "$master"
    if pid=$(pid_of schedd); then kill -CONT "$pid"; fi
    wait_for_pool
    ;;
  *) fail 'usage: schedd.sh crash|start|hang|resume' ;;
esac
