#!/bin/bash
# Puts Slurm 24.11 into the Debian 13 beside this machine. Starts nothing. Idempotent; run as root.
set -euo pipefail
# procps and python3 are for the jobs and the tests.
"$(dirname "$0")/../trixie/install.sh" slurmctld slurmd slurm-client munge procps python3
