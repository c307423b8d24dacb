#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: allocations of the target that fail end in a status, a refused write or a closed connection
# kernels: 6.12
# timeout: 900

. "$TESTS/lib/guest.sh"
[ -d /sys/kernel/debug/failslab ] || skip "fault injection is in the debug kernel only (tests/run --debug)"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_target
# a connection that has lost its place for want of memory ends by this
module_param nvtgt-tcp data_timeout_ms 3000
python3 "$TESTS/functional/hostile/memory.py" || fail "memory.py: cases went wrong"
