#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a file is served with the size of blocks that was asked for, and what
# it cannot have is refused with a reason
# timeout: 150

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
make_networks
make_subsystem testnqn
make_port 1 "$TGT_IP"
link_port 1 testnqn
host_connect_ctrl testnqn >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)
ns=$CONFIGFS/subsystems/testnqn/namespaces

# disk BLOCK : a file system on a loop device whose blocks have that size
disk() {
	truncate -s 64M "$WORK/fs$1"
	loop=$(losetup --find --show -b "$1" "$WORK/fs$1")
	defer losetup -d "$loop"
	mkfs.ext4 -q -b 4096 -O ^has_journal "$loop"
	mkdir "$WORK/mnt$1"
	mount "$loop" "$WORK/mnt$1"
	defer umount "$WORK/mnt$1"
	truncate -s 16M "$WORK/mnt$1/file"
}

modprobe loop
disk 512
disk 4096

for block in 512 4096; do
	make_namespace testnqn 1 "$WORK/mnt512/file" backend_options=block_size=$block
	wait_for 30 has_disk "$ctrl" 1 || fail "no disk"
	dev=$(disk_of "$ctrl" 1)
	[ "$(blockdev --getss "$dev")" = $block ] || fail "blocks of $(blockdev --getss "$dev"), not $block"
	[ "$(blockdev --getsize64 "$dev")" = $((16 << 20)) ] || fail "the size with blocks of $block"
	fio_verify "$dev" --bs=$block --size=256k || fail "I/O in blocks of $block"
	head -c $block /dev/urandom >"$WORK/one"
	dd if="$WORK/one" of="$dev" bs=$block seek=3 oflag=direct conv=fsync status=none || fail "write"
	cmp -n $block "$WORK/one" "$WORK/mnt512/file" 0 $((3 * block)) || fail "block 3 is elsewhere in the file"
	! echo block_size=4096,block_size=512 >"$ns/1/backend_options" 2>/dev/null ||
		fail "blocks changed while enabled"
	rmdir "$ns/1"
done

# refused OPTIONS PATH TEXT [ATTR=VALUE] : enabling fails, and the log says why
refused() {
	local mark
	mark=$(dmesg | wc -l)
	mkdir "$ns/2"
	echo "$2" >"$ns/2/device_path"
	echo "$1" >"$ns/2/backend_options"
	! echo 1 2>/dev/null >"$ns/2/enable" || fail "$1 was accepted for $2"
	dmesg | tail -n "+$((mark + 1))" | grep -qF -- "$3" || fail "the log does not say \"$3\""
	rmdir "$ns/2"
}

refused block_size=512 "$WORK/mnt4096/file" "direct I/O to the file needs blocks of 4096 bytes"
refused block_size=1024 "$WORK/mnt512/file" "block_size=1024: bdev has"
refused block_size=51 "$WORK/mnt512/file" "block_size=51: bdev has"
refused size=1g "$WORK/mnt512/file" "size=1g: bdev has"
dev=$(null_blk_make)
refused block_size=4096 "$dev" "a device keeps its blocks of 512 bytes"
make_namespace testnqn 2 "$WORK/mnt4096/file" buffered_io=1 backend_options=block_size=512
wait_for 30 has_disk "$ctrl" 2 || fail "no disk through the page cache"
[ "$(blockdev --getss "$(disk_of "$ctrl" 2)")" = 512 ] || fail "blocks through the page cache"
fio_verify "$(disk_of "$ctrl" 2)" --bs=512 --size=256k || fail "I/O through the page cache"
rmdir "$ns/2"
host_disconnect testnqn
