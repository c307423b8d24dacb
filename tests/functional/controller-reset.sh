#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a controller that the host resets under load comes back, and no I/O is lost
# variants: no-spin one-reactor rdma rdma@6.1 rdma@7.2 iwarp
# nightly: no-spin one-reactor rdma@6.1 iwarp
# timeout: 150

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
dev=$(null_blk_make size=64)
simple_target testnqn "$dev"
disk=$(host_connect testnqn --reconnect-delay=1) || fail "connect"
ctrl=$(ctrl_of testnqn)
fio_background "$disk" --rw=randwrite --iodepth=32 --size=16m --verify=crc32c --verify_backlog=64 \
	--verify_fatal=1
needs_progress "$disk" || fail "no I/O"
for round in {1..8}; do
	nvme reset "/dev/$ctrl" || fail "reset $round"
	wait_for 30 ctrl_is "$ctrl" live || fail "reset $round: the host is $(ctrl_state "$ctrl")"
	needs_progress "$disk" || fail "reset $round: I/O stands still"
done
stop_and_check "$FIO_PID"
host_disconnect testnqn
