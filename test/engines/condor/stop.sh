#!/bin/bash
# Removes all jobs and stops what start.sh started, by pid file. Run as root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

result=0
if pid_of master >/dev/null; then
  { "$here/schedd.sh" start && "$here/startd.sh" resume && "$here/cancel.sh"; } || result=1
fi
# All daemons end with the master, and at once: with SIGTERM they would give jobs minutes to end.
end master QUIT
end schedd QUIT
end startd QUIT
leave_trixie
exit $result
