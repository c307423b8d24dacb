#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: allocations of the RDMA transport that fail end in a status, a refused or a closed connection,
# and nothing is lost; a Connect that there is no memory for is taken when there is some
# kernels: debug
# timeout: 240

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
. "$TESTS/lib/nvmetcp/target.sh"
[ -d /sys/kernel/debug/failslab ] || skip "no fault injection in this kernel (tests/run --debug)"
hostile_target
modprobe rdma_ucm
modprobe ib_uverbs

note "no slot for a Connect, for a second"
slots=/sys/kernel/slab/nvtgt_rdma_cmd/failslab
fault=/sys/kernel/debug/failslab
# of this cache alone
echo 1 >$slots
echo Y >$fault/cache-filter
echo N >$fault/ignore-gfp-wait
echo 0 >$fault/verbose
echo 1 >$fault/interval
# the kernel counts them down
echo 1000000 >$fault/times
lift() { echo 0 >$fault/probability; }
has_failed() { [ "$(cat $fault/times)" -lt 1000000 ]; }
defer lift
log_mark
echo 100 >$fault/probability
(wait_for 60 has_failed; sleep 1; lift) &
host_connect "$OTHER" >/dev/null || fail "connect: $(log_since)"
has_failed || fail "the Connect had a slot: this proves nothing"
! log_has 'no Connect within' || fail "the connection waited for its deadline"
host_disconnect "$OTHER"
echo N >$fault/cache-filter
echo 0 >$slots

python3 "$TESTS/functional/rdma/memory.py" || fail "memory.py: cases went wrong"
