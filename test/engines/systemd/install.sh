#!/bin/bash
# Prepares a Debian 12 machine for live tests on a real systemd: packages and accounts. Starts
# nothing. Idempotent; run as root.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

# libpam-systemd and dbus-user-session: the service manager of an account. libnss-systemd: the names
# of dynamic users.
packages=(systemd dbus libpam-systemd libnss-systemd dbus-user-session polkitd util-linux sudo)
installed() { dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
  # Nothing of this is to run on the machine itself.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
  fi
  apt-get update -q
  apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

# The servers run as them.
for account in alice bob; do
  id "$account" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$account"
done
