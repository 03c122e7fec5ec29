#!/bin/bash
# Outages: what happens to slurmctld while nodes and jobs go on. Run as root.
#   slurmctld.sh stop     ends it; its state is saved
#   slurmctld.sh crash    kills it; it forgets about the last 5 s, and the jobs of that time
#   slurmctld.sh start    starts it again with its state, and waits for the nodes
#   slurmctld.sh hang     it accepts connections and answers none
#   slurmctld.sh resume   it goes on, and handles what it was asked meanwhile
set -euo pipefail
. "$(dirname "$0")/common.sh"

case ${1:-} in
  stop) end $run/slurmctld.pid ;;
  crash) end $run/slurmctld.pid KILL ;;
  start)
    start_slurmctld
    nodes_are_up || register_nodes
    wait_for_nodes
    ;;
  hang | resume)
    pid=$(pid_of $run/slurmctld.pid) || fail "slurmctld does not run, so it cannot $1."
    if [ "$1" = hang ]; then
      kill -STOP "$pid"
    else
      kill -CONT "$pid"
      wait_for 20 controller_answers || broken 'slurmctld does not answer.'
    fi
    ;;
  *) fail 'usage: slurmctld.sh stop|crash|start|hang|resume' ;;
esac
