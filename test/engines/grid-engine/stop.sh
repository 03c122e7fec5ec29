#!/bin/bash
# Deletes all jobs and stops what start.sh started, by pid file. Run as root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

# Jobs outlive the daemons, and only an execd can end them: an absent qmaster has to come back.
result=0
if pid_of $execd_pid >/dev/null; then
  "$here/qmaster.sh" start || result=1
  "$here/cancel.sh" || result=1
fi
end $execd_pid
end $qmaster_pid
exit $result
