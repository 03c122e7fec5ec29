# A Debian 13 beside the Debian 12 of this machine, for what is only there or newer there. It shares
# the network, the processes, /home and /tmp of the machine. For scripts that are run as root.
trixie=/var/lib/hubspawner-test/trixie

# in_trixie COMMAND...: runs it there, with an environment of its own.
in_trixie() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$trixie" "$@"
}

# What has to be the same inside: mounts, names of hosts, and the accounts whose jobs run there.
enter_trixie() { # enter_trixie ACCOUNT...
  local directory account
  mountpoint -q $trixie/proc || mount -t proc proc $trixie/proc
  for directory in dev home tmp; do
    mountpoint -q $trixie/$directory || mount --bind /$directory $trixie/$directory
  done
  cat /etc/hosts > $trixie/etc/hosts
  for account in "$@"; do
    [ "$(in_trixie id -u "$account" 2>/dev/null)" = "$(id -u "$account")" ] ||
      in_trixie useradd --no-create-home --uid "$(id -u "$account")" --user-group \
        --shell /bin/bash "$account"
  done
}

# Takes the mounts away, unless something runs there that another engine has started.
leave_trixie() {
  local root directory
  for root in /proc/[0-9]*/root; do
    [ "$(readlink "$root" 2>/dev/null)" != $trixie ] || return 0
  done
  for directory in tmp home dev proc; do
    if mountpoint -q $trixie/$directory; then umount $trixie/$directory; fi
  done
}
