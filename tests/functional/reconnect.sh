#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a host whose port went away comes back by itself, with its data
# kernels: all
# variants: rdma
# timeout: 120

. "$TESTS/lib/guest.sh"
dev=$(null_blk_make size=64)
simple_target testnqn "$dev"
disk=$(host_connect testnqn --reconnect-delay=1 --ctrl-loss-tmo=100 --keep-alive-tmo=2) ||
	fail "connect"
ctrl=$(ctrl_of testnqn)
fio_verify "$disk" --size=2m || fail "I/O before"

for round in 1 2; do
	note "round $round"
	unlink_port 1 testnqn
	wait_for 30 ctrl_is "$ctrl" connecting ||
		fail "the host did not notice, it is $(ctrl_state "$ctrl")"
	expect_failure host_connect_ctrl testnqn 2>/dev/null
	link_port 1 testnqn
	wait_for 60 ctrl_is "$ctrl" live || fail "the host is $(ctrl_state "$ctrl")"
	[ -b "$disk" ] || fail "the disk is gone"
	fio --name=read --filename="$disk" --direct=1 --ioengine=libaio --rw=randwrite --bs=4k \
		--iodepth=16 --size=2m --randrepeat=1 --verify=crc32c --verify_only --minimal \
		>/dev/null || fail "what was written before is not there"
done
fio_verify "$disk" --size=2m || fail "I/O after"
host_disconnect testnqn
