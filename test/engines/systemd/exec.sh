#!/bin/bash
# Runs a command inside as root, with the caller's environment; for these scripts and by hand.
#   exec.sh COMMAND ARGUMENT...
set -euo pipefail
. "$(dirname "$0")/common.sh"

pid=$(pid_1) || fail 'systemd does not run.'
exec nsenter --target "$pid" --mount --uts --ipc --pid --cgroup -- "$@"
