#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a plain file serves, with direct I/O and through the page cache
# variants: rdma
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

# on ext4 there is direct I/O, on tmpfs (before 6.6) there is not
modprobe loop
truncate -s 128M "$WORK/fs"
mkfs.ext4 -q -F -O ^has_journal "$WORK/fs"
mkdir "$WORK/mnt"
loop=$(losetup --find --show "$WORK/fs")
defer losetup -d "$loop"
mount "$loop" "$WORK/mnt"
defer umount "$WORK/mnt"

nsid=0
for where in mnt/direct mnt/buffered tmpfs; do
	note "$where"
	nsid=$((nsid + 1))
	file=$WORK/$where
	truncate -s $((32 << 20)) "$file"
	buffered=0
	[ $where != mnt/buffered ] || buffered=1
	make_namespace testnqn $nsid "$file" buffered_io=$buffered
	wait_for 30 has_disk "$ctrl" $nsid || fail "no disk"
	disk=$(disk_of "$ctrl" $nsid)
	block=$(blockdev --getss "$disk")
	{
		verified "$disk"
		job block rw=randwrite bs="$block" iodepth=32 size=$((block * 64))
		job odd rw=write bsrange="$block-$((block * 19))" blockalign="$block" iodepth=8 size=1m offset=1m
		job big rw=randwrite bs=1m iodepth=4 size=8m offset=4m
	} >"$WORK/jobs.fio"
	fio_job_file "$WORK/jobs.fio" || fail "$where: I/O"
	head -c 1M /dev/urandom >"$WORK/pattern"
	dd if="$WORK/pattern" of="$disk" bs=64k oflag=direct conv=fsync status=none || fail "$where: write"
	cmp -n 1048576 "$WORK/pattern" "$file" || fail "$where: the file has something else"
	nvme write-zeroes "$disk" -s 0 -c 7 >/dev/null || fail "$where: write zeroes"
	nvme dsm "$disk" -d -s $((65536 / block)) -b $((65536 / block)) >/dev/null || fail "$where: deallocate"
	blockdev --flushbufs "$disk"
	cmp -n $((8 * block)) "$disk" /dev/zero || fail "$where: not zeroes"
	nvme flush "$disk" -n $nsid >/dev/null || fail "$where: flush"
	fio_verify "$disk" --offset=16m --size=1m || fail "$where: I/O after"
	rmdir "$CONFIGFS/subsystems/testnqn/namespaces/$nsid"
done
host_disconnect testnqn
