#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: when hosts want more memory than there is: what one gives back is used by the next, in turn
# whatever it wants and wherever it is served, and a host that trickles, or takes a trickle, does not keep what it has
# timeout: 360
# cpus: 8

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
target_is_nvtgt || skip "the budget is nvtgt's"
# the least that the module takes
modprobe nvtgt buffer_limit_mb=16
hostile_target
# (a guest of fewer CPUs lets a reactor keep a MiB, and then a read of that size never has to wait)
# devices that take a while, and a CPU each for hosts that want little and much
n=4
for ms in 410 340 290 230; do
	make_namespace "$HOSTILE" $n "$(null_blk_make irqmode=2 completion_nsec=${ms}000000)"
	n=$((n + 1))
done
make_port 2 "$TGT_IP" addr_trsvcid=4421 param_cpus=0
make_port 3 "$TGT_IP" addr_trsvcid=4422 param_cpus=1
link_port 2 "$HOSTILE"
link_port 3 "$HOSTILE"
# nothing is to come back by a time-out
module_param nvtgt-tcp data_timeout_ms 600000
python3 "$TESTS/functional/hostile/credit.py" || fail "credit.py: cases went wrong"
