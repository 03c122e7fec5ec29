#!/bin/bash
# Cancels all jobs and stops what start.sh started, by pid file. Run as root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

# Job steps outlive the daemons, and only slurmctld can end them: an absent one has to come back.
result=0
if pid_of $run/slurmd.cn1.pid >/dev/null; then
  "$here/slurmctld.sh" start || result=1
  "$here/cancel.sh" || result=1
fi
end $run/slurmctld.pid
for node in "${nodes[@]}"; do end "$run/slurmd.$node.pid"; done
end $run/slurmdbd.pid
end $run/mariadbd.pid
end $munge_pid
exit $result
