#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: every kind of block device serves: partition, LVM, md, loop, dm, brd, null_blk
# variants: rdma
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
make_networks
make_subsystem testnqn
make_port 1 "$TGT_IP"
link_port 1 testnqn
host_connect_ctrl testnqn >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)

# serves NAME DEVICE: the host writes and reads, and the device itself has got it
nsid=0
serves() {
	local disk pattern
	note "$1: $2"
	nsid=$((nsid + 1))
	make_namespace testnqn $nsid "$2"
	wait_for 30 has_disk "$ctrl" $nsid || fail "$1: no disk"
	disk=$(disk_of "$ctrl" $nsid)
	[ "$(blockdev --getsize64 "$disk")" = "$(blockdev --getsize64 "$2")" ] || fail "$1: its size"
	[ "$(blockdev --getss "$disk")" = "$(blockdev --getss "$2")" ] || fail "$1: its block size"
	{
		verified "$disk"
		job mixed rw=randwrite bsrange=4k-1m blockalign=4k iodepth=32 size=4m
	} >"$WORK/jobs.fio"
	fio_job_file "$WORK/jobs.fio" || fail "$1: I/O"
	head -c 1M /dev/urandom >"$WORK/pattern"
	dd if="$WORK/pattern" of="$disk" bs=256k oflag=direct conv=fsync status=none || fail "$1: write"
	blockdev --flushbufs "$2"
	cmp -n 1048576 "$WORK/pattern" "$2" || fail "$1: the device has something else"
	rmdir "$CONFIGFS/subsystems/testnqn/namespaces/$nsid"
	wait_for 20 disk_gone "$disk" || fail "$1: the disk stays"
}

blk=$(null_blk_make size=64)
serves null_blk "$blk"
serves "null_blk of 4 KiB blocks" "$(null_blk_make size=64 blocksize=4096)"
serves "null_blk that completes from its timer" "$(null_blk_make size=64 irqmode=2 completion_nsec=100000)"
serves brd "$(brd_make 32)"
loop=$(loop_make 64)
serves loop "$loop"
serves "loop with direct I/O" "$(loop_make 64 --direct-io=on)"

sgdisk --new=1:2048:43007 "$loop" >"$WORK/said" || { cat "$WORK/said"; fail "sgdisk"; }
partx --update "$loop"
wait_for 10 test -b "${loop}p1" || fail "no partition"
serves partition "${loop}p1"
partx --delete "$loop"

serves "dm linear" "$(dm_make lin "0 65536 linear $blk 2048")"
serves "dm linear over two" "$(dm_make two "0 5000 linear $blk 0
5000 60536 linear $blk 8192")"
modprobe dm-delay
serves "dm delay" "$(dm_make delay "0 65536 delay $blk 0 1")"

one=$(loop_make 48) two=$(loop_make 48)
modprobe raid1
mdadm --create /dev/md/test --run --quiet --level=1 --raid-devices=2 --metadata=1.2 --assume-clean \
	"$one" "$two" 2>"$WORK/md" || { cat "$WORK/md"; fail "mdadm"; }
md=/dev/$(basename "$(readlink -f /sys/block/md*)")
defer mdadm --stop --quiet "$md"
wait_for 10 test -b "$md" || fail "no $md"
serves "md raid1" "$md"

pv=$(loop_make 64)
{
	pvcreate -q "$pv"
	vgcreate -q testvg "$pv"
	defer vgremove -q -f -y testvg
	lvcreate -q -y -Wn -Zn -L 40M -n testlv testvg
	vgmknodes testvg
} >"$WORK/lvm" 2>&1 || { cat "$WORK/lvm"; fail "lvm"; }
wait_for 10 test -b /dev/testvg/testlv || { cat "$WORK/lvm"; ls -l /dev/testvg /dev/mapper; fail "no logical volume"; }
serves LVM /dev/testvg/testlv
host_disconnect testnqn
