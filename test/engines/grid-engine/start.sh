#!/bin/bash
# Starts the test cluster on loopback: sge_qmaster and one sge_execd, whose queue all.q has 128 slots,
# the parallel environment smp, and a default shell that is no sh, as with Grid Engine itself. Run as
# root.
#   start.sh --flush SECONDS   accounting has the end of a job that much later, at most; default 1
# A healthy cluster of the wanted kind is left as it is, with its jobs. In any other case what is
# left of an earlier one is stopped, and the new cluster knows no jobs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

flush=1
while [ $# -gt 0 ]; do
  case $1 in
    --flush)
      flush=$2
      shift
      ;;
    *) fail "start.sh does not know $1." ;;
  esac
  shift
done
kind="flush $flush"

[ "$(id -u)" = 0 ] || fail 'The Grid Engine has to be started by root.'
for program in sge_qmaster sge_execd qsub qconf $shim; do
  command -v $program >/dev/null || fail "$program is missing: run $here/install.sh first."
done
if [ -e $cell/act_qmaster ] && [ ! -e $cell/hubspawner-test ]; then
  fail "$cell is that of another cluster: run the live tests on another machine."
fi

healthy() {
  [ "$(cat $cell/hubspawner-test)" = "$kind" ] && pid_of $qmaster_pid && pid_of $execd_pid &&
    qmaster_answers && queue_is_up
}
if healthy >/dev/null 2>&1; then exit; fi

"$here/stop.sh" || echo 'Starting anew in spite of that.' >&2

# A hub reaches a server by the name of its host, and the daemons ask for their own by it.
if [[ $(getent ahostsv4 "$host") != '127.0.0.1 '* ]]; then
  hosts=$(cat /etc/hosts)
  printf '127.0.0.1 localhost %s\n%s\n' "$host" "$hosts" > /etc/hosts
fi

rm -rf $spool $log $cell/accounting $cell/hubspawner-test
install -d -o sgeadmin -g sgeadmin -m 0755 $run $spool $log $cell \
  $spool/qmaster $spool/qmaster/job_scripts $spool/execd $spool/spooldb
echo "$host" > $cell/act_qmaster
# The clients take the name of their own host from its address, for which localhost comes first.
echo "$host localhost" > $cell/host_aliases
echo "$kind" > $cell/hubspawner-test
chown sgeadmin: $cell/*
runuser -u sgeadmin -- /usr/share/gridengine/scripts/init_cluster \
  $SGE_ROOT $SGE_CELL $spool/spooldb sgeadmin >>$log/start.log
start_qmaster

configuration=$(mktemp -d)
trap 'rm -rf "$configuration"' EXIT
change() { # change FILE NAME VALUE: in a configuration as qconf prints it
  grep -q "^$2 " "$1" || fail "${1##*/} has no $2."
  sed -i "s|^$2 .*|$2 $3|" "$1"
}
load() { # load OPTION FILE
  qconf "$1" "$2" >>$log/start.log 2>&1 || broken "qconf $1 does not take ${2##*/}."
}
cd "$configuration"
export SGE_SINGLE_LINE=1 # qconf breaks no line

qconf -as "$host" >>$log/start.log 2>&1
qconf -sconf | grep -v '^#' > global
change global gid_range 20000-20400
change global load_report_time 00:00:02
change global mailer /bin/true
# The processes of a job are found by the group that it gets of its own.
change global execd_params ENABLE_ADDGRP_KILL=true
change global reporting_params \
  "accounting=true reporting=false flush_time=00:00:$(printf %02d "$flush") joblog=false sharelog=00:00:00"
load -Mconf global

qconf -ssconf > scheduler
change scheduler schedule_interval 0:0:1
change scheduler flush_submit_sec 1
change scheduler flush_finish_sec 1
change scheduler load_formula slots
change scheduler job_load_adjustments NONE
load -Msconf scheduler

cat > host <<END
hostname $host
load_scaling NONE
complex_values NONE
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
END
load -Ae host

cat > smp <<END
pe_name smp
slots 999
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule \$pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
END
load -Ap smp

qconf -sq > queue
change queue qname all.q
change queue hostlist "$host"
change queue slots 128
change queue load_thresholds NONE
change queue pe_list smp
change queue notify 00:00:10
change queue shell /bin/csh # as upstream has it
load -Aq queue

daemon sge_execd
wait_for 30 queue_is_up || broken "The queue did not come up: $(qstat -f)"
