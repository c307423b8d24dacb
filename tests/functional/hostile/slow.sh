#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: hosts that ask for data and do not take them: what the sockets hold for them is bounded in
# all, and others are served again when their time is over
# timeout: 240

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
target_is_nvtgt || skip "the budget is nvtgt's"
modprobe nvtgt buffer_limit_mb=16
hostile_target
# a socket that takes what it is given, as one of a fast peer does that has stopped to read
in_tgt sysctl -qw net.ipv4.tcp_wmem="4096 2097152 4194304"
module_param nvtgt-tcp data_timeout_ms $((2000 * PATIENCE))
ulimit -n 16384
python3 "$TESTS/functional/hostile/slow.py" || fail "slow.py: cases went wrong"
