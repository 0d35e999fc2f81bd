#!/bin/sh
# A Debian machine of its own, for tests: systemd as process 1 over a copy of this
# system that goes with it. Started as process 1 of new namespaces (PID, mount,
# network, IPC, UTS). $1: an empty folder; $2: a folder that is seen as /tmp/share.
set -e
work=$1 share=$2

mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
mkdir "$work/cg" "$work/up" "$work/work" "$work/root"
mount -t cgroup2 cgroup2 "$work/cg"
mkdir -p "$work/cg/vetting-machine"
echo $$ >"$work/cg/vetting-machine/cgroup.procs"

root=$work/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/up,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys" -o ro
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/tmp/share"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount --bind "$share" "$root/tmp/share"

# Nothing of this very system is started, and services may be.
rm -rf "$root"/etc/systemd/system/*.wants "$root/usr/sbin/policy-rc.d" "$root/etc/machine-id"
: >"$root/etc/machine-id"

exec unshare --cgroup sh -e -c '
	mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
	cd "$1"
	mkdir -p oldroot
	pivot_root . oldroot
	umount -l /oldroot
	export container=oci
	exec /lib/systemd/systemd --system --unit=multi-user.target
' sh "$root"
