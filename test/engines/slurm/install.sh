#!/bin/bash
# Prepares a Debian 12 machine for live tests on a real Slurm: packages, accounts and sudo rules.
# Starts nothing. Idempotent; run as root.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

packages=(slurmctld slurmd slurm-client slurmdbd mariadb-server-core mariadb-client-core munge sudo)
installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
  # The packages would start daemons that have no configuration yet.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
  fi
  apt-get update -q
  apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

# alice and bob own the jobs, hub is the account of an unprivileged hub.
for account in alice bob hub; do
  id "$account" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$account"
done

# What an administrator would write for such a hub. SETENV lets it hand variables to sbatch by
# name (sudo --preserve-env=NAMES), so that their values appear on no command line.
rules=$(mktemp)
trap 'rm -f "$rules" ${policy:+"$policy"}' EXIT
cat > "$rules" <<'SUDOERS'
Cmnd_Alias HUBSPAWNER_COMMANDS = /usr/bin/sbatch, /usr/bin/squeue, /usr/bin/scancel, \
                                 /usr/bin/scontrol, /usr/bin/sacct
Runas_Alias HUBSPAWNER_USERS = alice, bob
hub ALL = (HUBSPAWNER_USERS) NOPASSWD: SETENV: HUBSPAWNER_COMMANDS
SUDOERS
visudo -c -q -f "$rules"
install -m 0440 "$rules" /etc/sudoers.d/hubspawner-test
visudo -c -q
