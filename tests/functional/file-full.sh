#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a file whose file system is full, or that was cut, says what is wrong, also when a part of a
# command has been done
# timeout: 90

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
module_param nvtgt resize_poll_ms 0
make_networks
make_subsystem testnqn
make_port 1 "$TGT_IP"
link_port 1 testnqn
ctrl=$(host_connect_ctrl testnqn) || fail "connect"

modprobe loop
truncate -s 32M "$WORK/fs"
mkfs.ext4 -q -F -m 0 -b 4096 -O ^has_journal "$WORK/fs"
mkdir "$WORK/mnt"
loop=$(losetup --find --show "$WORK/fs")
defer losetup -d "$loop"
mount "$loop" "$WORK/mnt"
defer umount "$WORK/mnt"
free() { stat -f -c '%a' "$WORK/mnt"; }
# file_command NSID OPCODE BLOCK FILE: 32 blocks of 4 KiB; says what the target answered
file_command() {
	nvme "$2" "$(disk_of "$ctrl" "$1")" -s "$3" -c 31 -z 131072 -d "$4" 2>&1
}

head -c 131072 /dev/urandom >"$WORK/data"
nsid=0
for where in buffered direct; do
	note "$where: full in the middle of a write"
	nsid=$((nsid + 1))
	truncate -s 64M "$WORK/mnt/$where"
	buffered=0
	[ $where = direct ] || buffered=1
	make_namespace testnqn $nsid "$WORK/mnt/$where" buffered_io=$buffered
	wait_for 30 has_disk "$ctrl" $nsid || fail "no disk"
	file_command $nsid write 0 "$WORK/data" >/dev/null || fail "$where: write"
	sync -f "$WORK/mnt"
	fallocate -l $((($(free) - 12) * 4096)) "$WORK/mnt/filler"
	for block in 4096 8192; do
		said=$(file_command $nsid write $block "$WORK/data") && fail "$where: written where no space is"
		grep -qi "capacity exceeded" <<<"$said" || fail "$where: a full file system is: $said"
	done
	rm "$WORK/mnt/filler"
	file_command $nsid write 8192 "$WORK/data" >/dev/null || fail "$where: write with space again"
	file_command $nsid read 8192 "$WORK/back" >/dev/null || fail "$where: read"
	cmp "$WORK/data" "$WORK/back" || fail "$where: it reads something else"

	note "$where: cut in the middle of a read"
	truncate -s $((8192 * 4096 + 65536)) "$WORK/mnt/$where"
	said=$(file_command $nsid read 8192 "$WORK/back") && fail "$where: read beyond the end of the file"
	grep -qiE "lba out of range" <<<"$said" || fail "$where: a file that was cut is: $said"
	rmdir "$CONFIGFS/subsystems/testnqn/namespaces/$nsid"
done
host_disconnect testnqn
