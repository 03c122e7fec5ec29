#!/bin/bash
# Starts the test pool: one machine with 64 slots on loopback. Run as root.
# A healthy pool is left as it is, with its jobs. In any other case what is left of an earlier one is
# stopped, and the new pool knows no jobs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

[ "$(id -u)" = 0 ] || fail 'The HTCondor engine has to be started by root.'
[ -x $trixie/usr/sbin/condor_master ] ||
  fail "HTCondor is not installed: run $here/install.sh first."

healthy() {
  cmp "$here/condor.conf" $config && pid_of master && pid_of schedd && schedd_answers &&
    slots_are_there
}
if healthy >/dev/null 2>&1; then exit; fi

"$here/stop.sh" || echo 'Starting anew in spite of that.' >&2
enter_trixie alice bob
install -m 0644 "$here/condor.conf" $config
in_trixie sh -c 'rm -rf /run/condor/* /var/log/condor/* /var/spool/condor/* /var/lib/condor/execute/*
  install -d -o condor -g condor /run/condor /run/lock/condor'

daemon condor_master -pidfile /run/condor/condor_master.pid
wait_for_pool
