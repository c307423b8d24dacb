#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what is written is read back: every size, depth and pattern, on 512-byte and 4 KiB
# blocks, without digests and with both; over RDMA: on long queues and on short ones
# kernels: all
# variants: no-spin one-reactor rdma rdma@6.1 rdma@7.2 rdma-no-srq rdma-mr iwarp iwarp@7.2
# nightly: no-spin one-reactor rdma@6.1 rdma-no-srq rdma-mr iwarp@6.12
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
small=$(null_blk_make size=64)
large=$(null_blk_make size=64 blocksize=4096)
simple_target testnqn "$small"
make_namespace testnqn 2 "$large"

jobs_for() {	# DISK BLOCK
	local b=$2
	verified "$1"
	job tiny rw=randwrite bs="$b" iodepth=1 size=$((b * 48))
	job deep rw=randwrite bs="$b" iodepth=128 size=$((b * 512))
	job odd rw=randwrite bsrange="$b-$((b * 33))" bs_unaligned=0 blockalign="$b" iodepth=16 size=1m
	job odd2 rw=write bs=$((b * 7)) iodepth=7 size=$((b * 7 * 40)) offset=1m
	job odd3 rw=write bs=$((65536 + b)) iodepth=4 size=$(((65536 + b) * 8)) offset=2m
	job page rw=randrw bs=4k iodepth=64 size=1m offset=4m
	job middle rw=write bs=64k iodepth=16 size=2m offset=6m
	job big rw=randwrite bs=1m iodepth=4 size=8m offset=8m
	job huge rw=write bs=$((1048576 - b)) iodepth=2 size=$(((1048576 - b) * 4)) offset=16m
	job many rw=randwrite bs=8k iodepth=8 size=512k numjobs=4 offset=24m offset_increment=1m
}

second="--hdr-digest --data-digest"
! over_rdma || second=--queue-size=16
for options in "" "$second"; do
	note "options '$options'"
	# shellcheck disable=SC2086
	host_connect testnqn $options >/dev/null || fail "connect $options"
	ctrl=$(ctrl_of testnqn)
	wait_for 20 has_disk "$ctrl" 2 || fail "no second namespace"
	jobs_for "$(disk_of "$ctrl" 1)" 512 >"$WORK/512.fio"
	jobs_for "$(disk_of "$ctrl" 2)" 4096 >"$WORK/4096.fio"
	for b in 512 4096; do
		fio_job_file "$WORK/$b.fio" || fail "blocks of $b, options '$options'"
	done
	host_disconnect testnqn
done

over_rdma && target_is_nvtgt || exit 0
note "work requests per command"
disk=$(host_connect testnqn --nr-io-queues=1) || fail "connect"
fio_verify "$disk" --bs=64k --size=4m || fail "blocks of 64 KiB"
cost() { sed -n "s/.* qid 1 live.* $1 \([0-9]*\).*/\1/p" /sys/kernel/debug/nvtgt/connections; }
requests=$(cost requests) commands=$(cost commands)
note "$commands commands, $requests work requests"
# memory that is registered takes more than a read, or a write, and a response
if over_iwarp || [ "$(cat /sys/module/nvtgt_rdma/parameters/force_mr)" = Y ]; then
	[ "$requests" -gt $((2 * commands)) ] || fail "no memory was registered"
else
	[ "$requests" -le $((2 * commands)) ] || fail "more than two work requests per command"
fi
host_disconnect testnqn
