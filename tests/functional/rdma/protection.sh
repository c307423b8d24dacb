#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: protection information between a stock host and a block device that keeps it, over an RDMA
# device with signature memory regions (tests/lib/sigmr makes one of soft-RoCE); refused without them
# kernels: all
# timeout: 600

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
peer=$TESTS/../.tools/usr/lib/nvtgt-tests/rdmapeer
params=/sys/module/nvtgt_sigmr/parameters
count() { cat "$params/$1"; }
drop_module() { modprobe -r "$1" 2>/dev/null || true; }

need_modules tcp bdev
make_networks
modprobe scsi_debug dev_size_mb=64 dif=1 dix=1 sector_size=512
defer drop_module scsi_debug
modprobe sd_mod
device() { for d in /sys/block/sd*; do [ ! -e "$d" ] || echo "${d##*/}"; done; }
have_device() { [ -n "$(device)" ]; }
wait_for 30 have_device || fail "scsi_debug makes no disk"
dev=$(device)
[ "$(cat "/sys/block/$dev/integrity/format")" = T10-DIF-TYPE1-CRC ] || fail "$dev keeps no protection information"
# its WRITE SAME leaves the old protection information where it was
echo 0 | tee /sys/class/scsi_disk/*/max_write_same_blocks >/dev/null

note "a device without signature memory regions"
make_subsystem testnqn
set_attr subsystems/testnqn/attr_pi_enable 1
make_namespace testnqn 1 "/dev/$dev"
make_port 1 "$TGT_IP" param_pi_enable=1
log_mark
! in_tgt ln -s "$CONFIGFS/subsystems/testnqn" "$CONFIGFS/ports/1/subsystems/testnqn" 2>/dev/null ||
	fail "the port was opened"
log_has 'port 1: param_pi_enable: device rxe0 has no signature memory regions' || fail "the log does not say why"
# on any address it depends on the connection
make_port 2 0.0.0.0 param_pi_enable=1
link_port 2 testnqn
format() { cat "/sys/block/${1##*/}/integrity/format" 2>/dev/null || echo none; }
disk=$(host_connect testnqn) || fail "connect"
[ "$(format "$disk")" = none ] || fail "the host sees protection information"
log_has 'port 2: device rxe0 has no signature memory regions' || fail "the log does not say so"
fio_verify "$disk" --size=1m || fail "the disk without it"
host_disconnect testnqn
unlink_port 2 testnqn

note "and now it has them"
# who has looked at the device before does not look again
drop_modules() {
	modprobe -r nvme-rdma
	wait_for 30 modprobe -q -r nvtgt-rdma	# its last queues may be on their way out
	[ ! -e /sys/module/nvtgt_sigmr ] || modprobe -r nvtgt-sigmr
}
drop_modules
defer drop_modules
modprobe nvtgt-sigmr
modprobe nvme-rdma
link_port 1 testnqn
disk=$(host_connect testnqn) || fail "connect"
block=/sys/block/${disk##*/}
[ "$(format "$disk")" = T10-DIF-TYPE1-CRC ] || fail "the host sees $(format "$disk")"
nvme id-ns "$disk" -o json |
	jq -e '.flbas == 16 and .dps == 1 and .dpc == 17 and .mc == 1 and .lbafs[0].ms == 8' >/dev/null ||
	fail "Identify: $(nvme id-ns "$disk")"

note "what is written is read, at all sizes"
fio_verify "$disk" --size=4m || fail "4k"
fio_verify "$disk" --size=4m --bsrange=512-128k --blockalign=512 --iodepth=16 || fail "all sizes"
[ "$(count registered)" -gt 1000 ] || fail "only $(count registered) registrations"
[ "$(count checked)" -gt 1000 ] || fail "only $(count checked) checks"
[ "$(count errors)" = 0 ] || fail "$(count errors) errors"

note "the device has the host's protection information"
dd if=/dev/urandom of="$WORK/written" bs=64k count=1 status=none
dd if="$WORK/written" of="$disk" bs=64k oflag=direct status=none
dd if="/dev/$dev" of="$WORK/read" bs=64k count=1 iflag=direct status=none || fail "the device does not agree"
cmp "$WORK/written" "$WORK/read" || fail "other data"
# a partition, whose blocks have other numbers on the device
set_attr subsystems/testnqn/namespaces/1/enable 0
# 65536 sectors from 2048 on
{
	head -c 446 /dev/zero
	printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\0\001\0'
	head -c 48 /dev/zero
	printf '\125\252'
} | dd of="/dev/$dev" bs=512 count=1 iflag=fullblock conv=fsync status=none
blockdev --rereadpt "/dev/$dev"
wait_for 20 test -b "/dev/${dev}1" || fail "no partition"
make_namespace testnqn 2 "/dev/${dev}1"
wait_for 20 has_disk "$(ctrl_of testnqn)" 2 || fail "no second namespace"
part=$(disk_of "$(ctrl_of testnqn)" 2)
[ "$(format "$part")" = T10-DIF-TYPE1-CRC ] || fail "the partition has no protection information"
fio_verify "$part" --size=2m || fail "a partition"
set_attr subsystems/testnqn/namespaces/2/enable 0
set_attr subsystems/testnqn/namespaces/1/enable 1
wait_for 20 has_disk "$(ctrl_of testnqn)" 1 || fail "the namespace does not come back"
disk=$(disk_of "$(ctrl_of testnqn)" 1)
block=/sys/block/${disk##*/}

note "a file system"
mount_new ext4 "$disk" "$WORK/mnt"
cp -a /usr/lib/python3.*/json "$WORK/mnt/"
want=$(tree_digest "$WORK/mnt")
umount "$WORK/mnt"
echo 3 >/proc/sys/vm/drop_caches
mount "$disk" "$WORK/mnt"
[ "$(tree_digest "$WORK/mnt")" = "$want" ] || fail "the tree differs"
umount "$WORK/mnt"

note "a host that leaves it to its device"
echo 0 | tee "$block/integrity/read_verify" "$block/integrity/write_generate" >/dev/null
fio_verify "$disk" --size=2m || fail "without the host's own"
echo 1 | tee "$block/integrity/read_verify" "$block/integrity/write_generate" >/dev/null
[ "$(count errors)" = 0 ] || fail "$(count errors) errors"

note "data that change on the way"
module_param nvme_core max_retries 0
reads() { dd if="$disk" of="$WORK/read" bs=4k count=1 iflag=direct status=none 2>/dev/null; }
writes() { dd if="$WORK/written" of="$disk" bs=4k count=1 oflag=direct status=none 2>/dev/null; }
log_mark
echo 1 >$params/corrupt
expect_failure writes || fail "a block with a wrong guard was written"
log_has 'protection information of block 0, guard: expected' || fail "the log does not say so"
reads || fail "a read after it"
echo 1 >$params/corrupt
expect_failure reads || fail "a block with a wrong guard was read"
[ "$(count errors)" = 2 ] || fail "$(count errors) errors"
writes || fail "a write after it"
nvme error-log "$disk" -e 4 -o json | jq -e '.errors[0].status_field != 0' >/dev/null || fail "no entry in the error log"

note "the namespace is something else now"
set_attr subsystems/testnqn/namespaces/1/enable 0
truncate -s 8m "$WORK/file"
set_attr subsystems/testnqn/namespaces/1/device_path "$WORK/file"
set_attr subsystems/testnqn/namespaces/1/enable 1
wait_for 20 has_disk "$(ctrl_of testnqn)" 1 || fail "the namespace does not come back"
disk=$(disk_of "$(ctrl_of testnqn)" 1)
[ "$(format "$disk")" = none ] || fail "a file shows protection information"
fio_verify "$disk" --size=1m || fail "a file"
set_attr subsystems/testnqn/namespaces/1/enable 0
set_attr subsystems/testnqn/namespaces/1/device_path "/dev/$dev"
set_attr subsystems/testnqn/namespaces/1/enable 1
wait_for 20 has_disk "$(ctrl_of testnqn)" 1 || fail "the namespace does not come back"
disk=$(disk_of "$(ctrl_of testnqn)" 1)

note "the port goes under load, and comes back"
fio_background "$disk" --iodepth=32 --bsrange=4k-128k
needs_progress "$disk" || fail "no I/O"
unlink_port 1 testnqn
link_port 1 testnqn
stop_load "$FIO_PID"
host_disconnect testnqn

note "a host that lies"
export NVTGT_ADDR=$TGT_IP NVTGT_PORT=4420 NVTGT_NQN=testnqn NVTGT_TIMEOUT=$((30 * PATIENCE))
modprobe rdma_ucm
modprobe ib_uverbs
"$peer" protection || fail "cases went wrong"
no_queues() { [ -z "$(cat /sys/kernel/debug/nvtgt/connections)" ]; }
wait_for 30 no_queues || fail "connections are left"
unlink_port 1 testnqn
