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
# sockets that take what they are given, as those of fast peers do that have stopped to read: they
# have it from their listener
in_tgt sysctl -qw net.ipv4.tcp_wmem="4096 2097152 4194304"
make_port 2 "$TGT_IP" addr_trsvcid=4421
link_port 2 "$HOSTILE"
module_param nvtgt-tcp data_timeout_ms $((2000 * PATIENCE))
ulimit -n 16384
NVTGT_PORT=4421 python3 "$TESTS/functional/hostile/slow.py" || fail "slow.py: cases went wrong"
