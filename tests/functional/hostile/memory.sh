#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: allocations of the target that fail end in a status, a refused write or a closed connection,
# and nothing is lost
# kernels: debug
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
[ -d /sys/kernel/debug/failslab ] || skip "no fault injection in this kernel (tests/run --debug)"
hostile_target
python3 "$TESTS/functional/hostile/memory.py" || fail "memory.py: cases went wrong"
