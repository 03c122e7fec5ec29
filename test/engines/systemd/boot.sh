#!/bin/bash
# What start.sh runs as PID 1 of a new namespace: makes the other namespaces and the root directory of
# the container, and becomes systemd. Its mounts are its own, and go with it.
#   boot.sh DIRECTORY...   those that are the machine's own inside
set -euo pipefail
. "$(dirname "$0")/common.sh"

if [ ! -e $run/pid ]; then
  # /proc is the host's still, where a process has another pid than 1.
  read -r pid _ < /proc/self/stat
  echo "$pid $(began "$pid")" > $run/pid
  while read -r directory _; do
    echo $$ > "$cgroups/$directory/$name/cgroup.procs"
  done < $run/hierarchies
  # What is now its cgroup is the root of the hierarchy inside.
  exec unshare --cgroup --mount --propagation private --uts --ipc "$0" "$@"
fi

mount -t tmpfs -o mode=755 $name $run/mnt
mkdir $run/mnt/{upper,work,root}
root=$run/mnt/root
mount -t overlay -o "lowerdir=/,upperdir=$run/mnt/upper,workdir=$run/mnt/work" $name $root

mount -t proc -o nosuid,nodev,noexec proc $root/proc
# systemd raises limits there, and the kernel is the host's.
mount --bind $root/proc/sys $root/proc/sys
mount -o remount,bind,ro,nosuid,nodev,noexec $root/proc/sys
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs $root/sys

# systemd would mount the host's devices. It brings its own /dev/shm, /dev/pts and /run.
mount -t tmpfs -o mode=755,nosuid devices $root/dev
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
  IFS=: read -r file major minor <<<$device
  mknod -m 666 "$root/dev/$file" c "$major" "$minor"
done
ln -s /proc/self/fd $root/dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%:*}" "$root/dev/${n#*:}"; done
ln -s pts/ptmx $root/dev/ptmx

# It would also mount the hierarchies that it misses, for the whole machine to see: hence the
# directory in which they are mounted is read-only.
if grep -q '^\(\.\|unified\) cgroup2' $run/hierarchies && [ "$(wc -l < $run/hierarchies)" = 1 ]; then
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 $root/sys/fs/cgroup
else
  mount -t tmpfs -o mode=755,nosuid,nodev,noexec cgroups $root/sys/fs/cgroup
  while read -r directory type options; do
    mkdir "$root/sys/fs/cgroup/$directory"
    mount -t "$type" -o "nosuid,nodev,noexec${options:+,$options}" cgroup \
      "$root/sys/fs/cgroup/$directory"
  done < $run/hierarchies
  if [ -d $root/sys/fs/cgroup/cpu,cpuacct ]; then
    ln -s cpu,cpuacct $root/sys/fs/cgroup/cpu
    ln -s cpu,cpuacct $root/sys/fs/cgroup/cpuacct
  fi
  mount -o remount,bind,ro,nosuid,nodev,noexec $root/sys/fs/cgroup
fi

mount -t tmpfs -o mode=1777,nosuid,nodev tmp $root/tmp
for directory; do
  mkdir -p "$root$directory"
  mount --rbind "$directory" "$root$directory"
done

# Of what this machine would start at boot nothing is wanted; nor of what would clear /tmp, load
# modules or set the kernel up.
rm -rf $root/etc/systemd/{system,system.conf.d,journald.conf.d} \
  $root/usr/lib/systemd/system/*.wants $root/usr/lib/systemd/system-generators \
  $root/usr/lib/systemd/system/{modprobe@.service,systemd-journald-audit.socket} \
  $root/var/log/journal
mkdir -p $root/etc/systemd/{system,system.conf.d,journald.conf.d}
install -d -g systemd-journal -m 2755 $root/var/log/journal
: > $root/etc/fstab
tr -d - < /proc/sys/kernel/random/uuid > $root/etc/machine-id
cat > $root/etc/systemd/system/$name.target <<'UNIT'
[Unit]
Requires=basic.target dbus.socket
Wants=dbus.service systemd-logind.service systemd-journal-flush.service
After=basic.target dbus.socket dbus.service systemd-logind.service systemd-journal-flush.service
UNIT
# The audit log is one for the whole kernel.
cat > $root/etc/systemd/journald.conf.d/$name.conf <<'CONF'
[Journal]
Audit=
ReadKMsg=no
RateLimitIntervalSec=0
CONF
printf '[Manager]\nLogTarget=journal\nShowStatus=no\n' > $root/etc/systemd/system.conf.d/$name.conf

cd $root
mkdir -p .host
pivot_root . .host
# Shared, as on a real machine: a unit with a namespace of its own sees later mounts.
exec env -i container=$name PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "
  umount -l /.host && rmdir /.host && mount --make-rshared / &&
  exec /lib/systemd/systemd --unit=$name.target" </dev/null >/dev/null 2>&1
