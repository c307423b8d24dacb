#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: Write Zeroes, Dataset Management, Flush and FUA do what they say, and a range beyond
# the end is refused before anything is touched
# timeout: 150
# variants: rdma

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
dev=$(null_blk_make size=64 discard=1 cache_size=8)
simple_target testnqn "$dev"
disk=$(host_connect testnqn) || fail "connect"
blocks=$(blockdev --getsz "$disk")
filled() {	# 1 MiB of ones at the start
	head -c 1M /dev/zero | tr '\0' '\377' >"$WORK/ones"
	dd if="$WORK/ones" of="$disk" bs=256k oflag=direct status=none
}
# zeroes_between FROM TO: exactly these blocks are zero, the others of the MiB are ones
zeroes_between() {
	dd if="$disk" of="$WORK/got" bs=256k count=4 iflag=direct status=none
	cp "$WORK/ones" "$WORK/want"
	dd if=/dev/zero of="$WORK/want" bs=512 seek="$1" count=$(($2 - $1)) conv=notrunc status=none
	cmp "$WORK/want" "$WORK/got" || fail "blocks $1 to $2 and only these should be zero"
}

note "Write Zeroes"
filled
nvme write-zeroes "$disk" --start-block=16 --block-count=15 >/dev/null || fail "write-zeroes"
zeroes_between 16 32
filled
nvme write-zeroes "$disk" --start-block=8 --block-count=1015 --deac >/dev/null || fail "write-zeroes --deac"
zeroes_between 8 1024
filled
nvme write-zeroes "$disk" --start-block=3 --block-count=0 --force-unit-access >/dev/null || fail "with FUA"
zeroes_between 3 4
blkdiscard -z -o $((512 * 1024)) -l $((512 * 512)) "$disk" || fail "blkdiscard --zeroout"
cmp -n 262144 -i $((512 * 1024)):0 "$disk" /dev/zero || fail "not zeroes"

note "Dataset Management"
filled
nvme dsm "$disk" --ad --slbs=0 --blocks=8 >/dev/null || fail "dsm"
filled
nvme dsm "$disk" --ad --slbs=16,64,256 --blocks=16,8,128 >/dev/null || fail "dsm with three ranges"
dd if="$disk" of="$WORK/got" bs=256k count=4 iflag=direct status=none
for range in "0 16" "32 32" "72 184" "384 1664"; do
	read -r from count <<<"$range"
	cmp -n $((count * 512)) -i $((from * 512)) "$WORK/ones" "$WORK/got" ||
		fail "blocks from $from were not deallocated, and have changed"
done
nvme dsm "$disk" --idr --slbs=0 --blocks=8 >/dev/null || fail "dsm without deallocate is a hint, no error"
blkdiscard "$disk" || fail "blkdiscard"
cmp -n 1048576 "$disk" /dev/zero || fail "discarded, but not zero on this device"

note "Flush and FUA"
nvme flush "$disk" --namespace-id=1 >/dev/null || fail "flush"
filled
nvme write "$disk" --start-block=4 --block-count=3 --data-size=2048 --data=/dev/zero \
	--force-unit-access >/dev/null || fail "write with FUA"
zeroes_between 4 8
fio --name=sync --filename="$disk" --direct=1 --rw=randwrite --bs=4k --size=256k --fsync=4 --minimal \
	--ioengine=libaio --iodepth=4 >/dev/null || fail "writes with fsync"

note "beyond the end"
filled
refused() {
	local said
	said=$("$@" 2>&1) && fail "done, and should not have been: $*"
	grep -qi 'range' <<<"$said" || fail "refused, but how? $* : $said"
}
refused nvme read "$disk" -s "$blocks" -c 0 -z 512
refused nvme read "$disk" -s $((blocks - 1)) -c 1 -z 1024
refused nvme write "$disk" -s $((blocks - 1)) -c 1 -z 1024 -d "$WORK/ones"
refused nvme read "$disk" -s 0xffffffffffffffff -c 0 -z 512
refused nvme read "$disk" -s 0x7fffffffffffff -c 1 -z 1024
refused nvme write-zeroes "$disk" -s "$blocks" -c 0
refused nvme write-zeroes "$disk" -s 1 -c 65535 -s $((blocks - 1000))
refused nvme write-zeroes "$disk" -s 0xffffffffffffffff -c 1
refused nvme dsm "$disk" --ad --slbs="$blocks" --blocks=1
refused nvme dsm "$disk" --ad --slbs=0,$((blocks - 1)) --blocks=8,2
zeroes_between 0 0
nvme read "$disk" -s $((blocks - 1)) -c 0 -z 512 >/dev/null 2>&1 || fail "the last block"
host_disconnect testnqn
