#!/bin/bash
# Runs a script of ../slurm in the Debian 13 beside this machine, where Slurm is 24.11. Run as root.
#   run.sh start|stop|cancel|slurmctld|capture [ARGUMENT...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../slurm/common.sh"
. "$here/../trixie/common.sh"
# They are there as long as it may run.
scripts=/usr/local/lib/hubspawner-slurm-test

case ${1:-} in
  start)
    [ -x $trixie/usr/sbin/slurmctld ] || fail "Slurm is not installed there: run $here/install.sh."
    resolve_nodes
    enter_trixie alice bob
    rm -rf $trixie$scripts
    cp -r "$here/../slurm" $trixie$scripts
    ;;
  stop)
    [ -e $trixie$scripts ] || exit 0
    ;;
esac

in_trixie "$scripts/$1.sh" "${@:2}"

if [ "$1" = stop ]; then
  rm -rf $trixie$scripts
  leave_trixie
fi
