#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: when hosts want more memory than there is: what one gives back is used by the next, and a
# host that trickles does not keep what it has
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
target_is_nvtgt || skip "the budget is nvtgt's"
# the least that the module takes
modprobe nvtgt buffer_limit_mb=16
hostile_target
# nothing is to come back by a time-out
module_param nvtgt-tcp data_timeout_ms 600000
python3 "$TESTS/functional/hostile/credit.py" || fail "credit.py: cases went wrong"
