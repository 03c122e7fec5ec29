#!/bin/bash
# Prepares a Debian 12 machine for live tests on a real HTCondor, which is in Debian 13 only: a root
# directory with that, and the accounts of the jobs. Starts nothing. Idempotent; run as root.
set -euo pipefail

# python3 runs the servers of the tests.
"$(dirname "$0")/../trixie/install.sh" minicondor python3

for account in alice bob; do
  id "$account" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$account"
done
