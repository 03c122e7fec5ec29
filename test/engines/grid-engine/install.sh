#!/bin/bash
# Prepares a Debian 12 machine for live tests on a real Grid Engine: packages, accounts, and the
# library that keeps its daemons on loopback. Starts nothing. Idempotent; run as root.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh"
export DEBIAN_FRONTEND=noninteractive

packages=(gridengine-master gridengine-exec gridengine-client gcc libc6-dev procps python3 sudo)
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
  # Nor are they to configure a cluster: start.sh does.
  for package in common client master; do
    echo "gridengine-$package shared/gridengineconfig boolean false"
  done | debconf-set-selections
  apt-get update -q
  apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

# They own the jobs.
for account in alice bob; do
  id "$account" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$account"
done

install -d -m 0755 "${shim%/*}"
gcc -shared -fPIC -O2 -Wall -o $shim "$here/loopback.c" -ldl
