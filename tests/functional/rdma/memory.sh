#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: allocations of the RDMA transport that fail end in a status, a refused or a closed connection,
# and nothing is lost
# kernels: debug
# timeout: 240

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
[ -d /sys/kernel/debug/failslab ] || skip "no fault injection in this kernel (tests/run --debug)"
hostile_target
modprobe rdma_ucm
modprobe ib_uverbs
python3 "$TESTS/functional/rdma/memory.py" || fail "memory.py: cases went wrong"
