#!/bin/sh
# Become systemd, PID 1 of new namespaces, on an overlay of this machine's root in memory: nothing of the machine is changed.
# Usage, inside unshare: boot.sh FOLDER STAGE PYTHON PACKAGES SOURCE; the files of STAGE go into the overlay, the other three to /opt/inspector.
set -eu
folder=$1 stage=$2 root=$1/root

mount --make-rprivate /
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"

mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
ip link set lo up

rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/machine-id
cp -r --preserve=mode "$stage/." "$root"
mkdir -p "$root/opt/inspector/python" "$root/opt/inspector/packages" "$root/opt/inspector/source"
mount --bind "$3" "$root/opt/inspector/python"
mount --bind "$4" "$root/opt/inspector/packages"
mount --bind -o ro "$5" "$root/opt/inspector/source"
chroot "$root" systemd-sysusers inspector.conf
chroot "$root" systemd-tmpfiles --create inspector.conf
chroot "$root" chgrp -R inspector /etc/inspector
chroot "$root" chmod -R g+rX /etc/inspector

cd "$root"
mkdir -p mnt/old
pivot_root . mnt/old
umount -l /mnt/old
# What systemd does itself where it is not in a container; without it no credential arrives.
mount --make-rshared /
exec env -i container=inspector PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=proof.target \
    --log-target=journal --log-level=notice --show-status=no </dev/null
