#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: hosts that die in the middle of a SEND cost a shared receive queue its entries: a new one takes its
# place, hosts that come get on at full speed, those that were there go on
# timeout: 480

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
need_modules
modprobe nvtgt-rdma srq_size=256
hostile_target
modprobe rdma_ucm
modprobe ib_uverbs
peer=$TESTS/../.tools/usr/lib/nvtgt-tests/rdmapeer
# all of them share one receive queue
served=("$HOSTILE" "$OTHER" "$CLOSED" "$WITNESS")
for n in "${served[@]}"; do unlink_port 1 "$n"; done
set_attr ports/1/param_cpus 0
for n in "${served[@]}"; do link_port 1 "$n"; done
queues=/sys/kernel/debug/nvtgt/connections
only() { [ "$(grep -c . "$queues")" -le "$1" ]; }
# tenths of a second that an honest host needs for some deep I/O
takes() {
	local disk started
	disk=$(host_connect "$OTHER" --nr-io-queues=2) || fail "a new host does not connect"
	started=$(date +%s%N)
	fio --name=reads --filename="$disk" --direct=1 --ioengine=libaio --rw=randread --bs=4k --iodepth=128 \
		--number_ios=4000 --minimal >"$WORK/fio.out" 2>&1 || { cat "$WORK/fio.out"; fail "a new host's I/O"; }
	TOOK=$((($(date +%s%N) - started) / 100000000))
	host_disconnect "$OTHER"
}
log_mark
takes
before=$TOOK
witness_starts
present=$(grep -c . "$queues")

for round in 1 2; do
	note "a hundred and fifty hosts die in a SEND, round $round"
	pids=()
	for _ in 1 2 3; do
		timeout $((150 * PATIENCE)) "$peer" deaths 50 &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || fail "they do not come so far"; done
	wait_for 30 only "$present" || fail "connections are left: $(cat $queues)"
done
takes
# a host that was there, and got no more receives, would have lost its connection
witness_goes_on
log_has 'a receive queue of CPU 0 is low after connections have ended with up to [0-9]* of its buffers' || fail "no receive queue was retired"
note "before: $before tenths of a second, after: $TOOK"
[ "$TOOK" -le $((3 * before + 20)) ] || fail "a new host is slow"
