#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: hosts that ask for data and do not take them: what the sockets hold for them is bounded in
# all, and others are served again when their time is over, or they have gone
# variants: many-readers
# nightly: many-readers
# timeout: 480

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
# in the variant ten times as many, whose time is not over before all of them have asked; a debug kernel needs
# more memory for each than the guest has
readers=1000 time=$((2000 * PATIENCE))
if grep -q 'bench\.many-readers' /proc/cmdline && [ -z "${DEBUG_KERNEL-}" ]; then
	readers=10000 time=3600000
fi
module_param nvtgt-tcp data_timeout_ms $time
# what TCP itself would allow is no bound here
defer restore_param /proc/sys/net/ipv4/tcp_mem "$(cat /proc/sys/net/ipv4/tcp_mem)"
sysctl -qw net.ipv4.tcp_mem="1000000 1000000 1000000"
ulimit -n 16384
SLOW_READERS=$readers NVTGT_PORT=4421 python3 "$TESTS/functional/hostile/slow.py" || fail "slow.py: cases went wrong"
