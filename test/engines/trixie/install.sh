#!/bin/bash
# Makes a minimal Debian 13 in a directory of its own, with the packages that are named. Starts
# nothing. Idempotent; run as root.
#   install.sh [PACKAGE...]
set -euo pipefail
. "$(dirname "$0")/common.sh"
export DEBIAN_FRONTEND=noninteractive

mkdir -p "$(dirname $trixie)"
exec {lock}>$trixie.lock
flock $lock

if [ ! -d $trixie ]; then
  if ! command -v debootstrap >/dev/null; then
    apt-get update -q || true
    apt-get install -q -y --no-install-recommends debootstrap
  fi
  # Where this machine has its own packages from.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' \
    "Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -n 1)
  rm -rf --one-file-system $trixie.part
  debootstrap --variant=minbase trixie $trixie.part "$mirror"
  # Packages must not start daemons there.
  printf '#!/bin/sh\nexit 101\n' > $trixie.part/usr/sbin/policy-rc.d
  chmod 755 $trixie.part/usr/sbin/policy-rc.d
  mv $trixie.part $trixie
fi

missing=()
for package in "$@"; do
  in_trixie dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
    missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  cat /etc/resolv.conf > $trixie/etc/resolv.conf
  in_trixie apt-get update -q
  in_trixie apt-get install -q -y --no-install-recommends "${missing[@]}"
fi
