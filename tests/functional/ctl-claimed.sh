#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl export refuses a device that something else uses, says what
# uses it, and serves it with --force
# timeout: 180

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
defer nvtgtctl clear
ctl() { nvtgtctl --netns tgt "$@"; }
export_it() { ctl export "$@" --allow-any-host --traddr "$TGT_IP"; }

# refused DEVICE TEXT : with TEXT as the reason, and nothing was made
refused() {
	! export_it "$1" >/tmp/out 2>/tmp/err || fail "$1 was exported: $2"
	grep -qF -- "$2" /tmp/err || fail "$1: not \"$2\": $(cat /tmp/err)"
	grep -q -- --force /tmp/err || fail "no word of --force: $(cat /tmp/err)"
	[ "$(nvtgtctl show --json | jq -c '[.hosts, .ports, .subsystems]')" = '[[],[],[]]' ] ||
		fail "something was made for $1"
}

# accepted DEVICE : and it goes away again
accepted() {
	export_it "$@" >/dev/null || fail "$* was refused"
	ctl unexport "$1"
}

dev=$(null_blk_make size=64 memory_backed=1)
accepted "$dev"

mkfs.ext4 -q "$dev"
mkdir -p "/tmp/a place"
mount "$dev" "/tmp/a place"
defer sh -c '! mountpoint -q "/tmp/a place" || umount "/tmp/a place"'
refused "$dev" "$dev is mounted at /tmp/a place"
accepted "$dev" --force

# a file is no business of its file system's device, unless it is a disk itself
truncate -s 20M "/tmp/a place/disk"
accepted "/tmp/a place/disk"
modprobe loop
loop=$(losetup --find --show "/tmp/a place/disk")
refused "/tmp/a place/disk" "backs $loop"
losetup -d "$loop"
dd if=/dev/zero of="/tmp/a place/swap" bs=1M count=8 status=none
chmod 600 "/tmp/a place/swap"
mkswap -q "/tmp/a place/swap"
swapon "/tmp/a place/swap"
refused "/tmp/a place/swap" "is used as swap"
swapoff "/tmp/a place/swap"
umount "/tmp/a place"

# a disk by its partitions, and a partition by its disk
parted -s "$dev" mklabel gpt mkpart a 1MiB 17MiB mkpart b 17MiB 33MiB
wait_for 10 test -b "${dev}p2"
mkswap -q "${dev}p2"
swapon "${dev}p2"
refused "$dev" "its partition ${dev##*/}p2 is used as swap"
refused "${dev}p2" "${dev}p2 is used as swap"
accepted "${dev}p1"
swapoff "${dev}p2"
export_it "${dev}p1" --nqn one >/dev/null
! export_it "$dev" --nqn two 2>/tmp/err || fail "a disk with an exported partition"
grep -qF "exported already by way of ${dev}p1: namespace 1 of subsystem one" /tmp/err ||
	fail "the reason: $(cat /tmp/err)"
! export_it "${dev}p1" --nqn two 2>/tmp/err || fail "exported twice"
grep -qF "exported already: namespace 1 of subsystem one" /tmp/err || fail "$(cat /tmp/err)"
export_it "${dev}p1" --nqn one >/dev/null || fail "the same again is no second user"
export_it "${dev}p2" --nqn two >/dev/null || fail "the other partition"
ctl unexport two
ctl unexport one

# the kernel's own target
modprobe nvmet
mkdir /sys/kernel/config/nvmet/subsystems/theirs{,/namespaces/3}
echo "${dev}p1" >/sys/kernel/config/nvmet/subsystems/theirs/namespaces/3/device_path
refused "${dev}p1" "namespace 3 of subsystem theirs in /sys/kernel/config/nvmet"
rmdir /sys/kernel/config/nvmet/subsystems/theirs{/namespaces/3,}
rmmod nvmet
wipefs -qa "$dev"
blockdev --rereadpt "$dev"

# what lies on top of it
modprobe -a dm_mod md_mod raid1
dmsetup create claimed --table "0 2048 linear $dev 0"
refused "$dev" "is used by claimed"
dmsetup remove claimed
# LVM does not know the type of this device, and there is no udev
lvm='devices { types = [ "nullb", 16 ] } activation { udev_sync = 0 udev_rules = 0 }'
pvcreate -qq --config "$lvm" "$dev"
refused "$dev" "is an LVM physical volume"
accepted "$dev" --force
vgcreate -qq --config "$lvm" claimed "$dev"
lvcreate -qq -y -Wn -Zn --config "$lvm" -n volume -L 8m claimed
refused "$dev" "is used by LVM volume claimed-volume"
accepted /dev/mapper/claimed-volume
vgremove -qqf --config "$lvm" claimed
wipefs -qa "$dev"
mdadm --create /dev/md7 --quiet --run --level=1 --force --raid-devices=1 "$dev" >/dev/null 2>&1
refused "$dev" "is a member of the raid1 array md7"
mdadm --quiet --stop /dev/md7
refused "$dev" "is a member of an md array"
wipefs -qa "$dev"

# a program that holds it
exec 7< <(exec python3 -c 'import os, sys, time
os.open(sys.argv[1], os.O_RDWR | os.O_EXCL)
print("held", flush=True)
time.sleep(1000)' "$dev")
holder=$!
read -r -t 60 _ <&7
refused "$dev" "is claimed by a program or another part of the kernel"
kill "$holder"
wait "$holder" || true
exec 7<&-
accepted "$dev"
