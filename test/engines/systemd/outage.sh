#!/bin/bash
# Outages: what happens to systemd's PID 1 and to the system bus while the units go on. Run as root.
#   outage.sh hang      PID 1 answers nobody: systemctl fails after 90 s
#   outage.sh resume    it goes on
#   outage.sh bus-stop  there is no system bus: accounts other than root can ask nothing
#   outage.sh bus-start
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"

pid=$(pid_1) || fail 'systemd does not run.'
case ${1:-} in
  hang) kill -STOP "$pid" ;;
  resume)
    kill -CONT "$pid"
    wait_for 20 "$here/exec.sh" timeout 5 systemctl is-system-running || fail 'PID 1 does not answer.'
    ;;
  bus-stop) "$here/exec.sh" systemctl --quiet stop dbus.socket dbus.service ;;
  bus-start) "$here/exec.sh" systemctl start dbus.socket dbus.service ;;
  *) fail 'usage: outage.sh hang|resume|bus-stop|bus-start' ;;
esac
