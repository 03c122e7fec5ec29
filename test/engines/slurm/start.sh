#!/bin/bash
# Starts the test cluster: munged, slurmctld and four slurmds on loopback. Run as root.
#   start.sh                without accounting
#   start.sh --accounting   with slurmdbd on a MariaDB of its own, so that sacct answers
#   start.sh --min-job-age SECONDS   squeue forgets jobs that long after their end; default 300
# A healthy cluster of the wanted kind is left as it is, with its jobs. In any other case what is
# left of an earlier one is stopped, and the new cluster knows no jobs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

accounting=no
config=$(cat "$here/slurm.conf")
while [ $# -gt 0 ]; do
  case $1 in
    --accounting) accounting=yes ;;
    --min-job-age)
      config=${config/MinJobAge=300/MinJobAge=$2}
      shift
      ;;
    *) fail "start.sh does not know $1." ;;
  esac
  shift
done
if [ $accounting = yes ]; then
  config+=$'\nAccountingStorageType=accounting_storage/slurmdbd\nAccountingStorageHost=localhost'
fi

[ "$(id -u)" = 0 ] || fail 'The Slurm engine has to be started by root.'
programs=(slurmctld slurmd munged)
[ $accounting = no ] || programs+=(slurmdbd mariadbd)
for program in "${programs[@]}"; do
  command -v "$program" >/dev/null || fail "$program is not installed: run install.sh first."
done
if [ -e /etc/slurm/slurm.conf ] && ! grep -qx ClusterName=hubspawner_test /etc/slurm/slurm.conf; then
  fail '/etc/slurm/slurm.conf is that of another cluster: run the live tests on another machine.'
fi

resolve_nodes

healthy() {
  [ "$(cat /etc/slurm/slurm.conf)" = "$config" ] && pid_of $run/slurmctld.pid &&
    { [ $accounting = no ] || pid_of $run/slurmdbd.pid; } && controller_answers && nodes_are_up
}
if healthy >/dev/null 2>&1; then exit; fi

"$here/stop.sh" || echo 'Starting anew in spite of that.' >&2
rm -rf $state $log
install -d -m 0755 $state
install -d -o slurm -g slurm -m 0755 $log $run $state/slurmctld
install -m 0755 "$here/epilog.sh" $state/epilog.sh
install -m 0644 "$here/cgroup.conf" /etc/slurm/cgroup.conf
printf '%s\n' "$config" > /etc/slurm/slurm.conf

install -d -o munge -g munge -m 0755 /run/munge
munge_answers() { munge -n | unmunge; }
munge_answers >/dev/null 2>&1 || daemon runuser -u munge -- munged --pid-file=$munge_pid
wait_for 10 munge_answers || broken 'munged does not answer.'

if [ $accounting = yes ]; then
  # The database belongs to the account slurm, which needs no password on its socket.
  install -d -o slurm -g slurm -m 0700 $state/mariadb
  mariadb-install-db --no-defaults --user=slurm --datadir=$state/mariadb --skip-test-db \
    --auth-root-authentication-method=socket --auth-root-socket-user=slurm >>$log/start.log
  daemon setsid -f mariadbd --no-defaults --user=slurm --datadir=$state/mariadb --skip-networking \
    --socket=$run/mariadbd.sock --pid-file=$run/mariadbd.pid --log-error=$log/mariadbd.log
  wait_for 20 test -S $run/mariadbd.sock || broken 'MariaDB does not answer.'

  install -o slurm -g slurm -m 0600 "$here/slurmdbd.conf" /etc/slurm/slurmdbd.conf
  # libmariadb looks for "localhost" on this socket.
  daemon env MYSQL_UNIX_PORT=$run/mariadbd.sock slurmdbd
  wait_for 20 sacctmgr -n show cluster || broken 'slurmdbd does not answer.'
fi

start_slurmctld
for node in "${nodes[@]}"; do
  mkdir -p $state/slurmd."$node"
  daemon slurmd -N "$node"
done
wait_for_nodes
