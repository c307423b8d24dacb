#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a thousand connects and disconnects leave nothing behind: memory, slabs, log, modules
# kernels: all
# variants: rdma
# timeout: 600

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
dev=$(null_blk_make size=64)
simple_target testnqn "$dev"

target_ctrls() { echo /sys/kernel/debug/"$TARGET_ROOT"/testnqn/ctrl*; }
no_target_ctrls() { [ -z "$(target_ctrls)" ]; }

# The stock host does what it does at each connect: Identify, log pages, queues …
stock=${STOCK:-40} raw=${RAW:-960}
[ "$KERNEL" = 6.12 ] || { stock=10 raw=240; }
for ((i = 0; i < stock; i++)); do
	nvme connect -t "$TRANSPORT" -a "$TGT_IP" -s 4420 -n testnqn --nr-io-queues=2 >/dev/null ||
		fail "stock connect $i"
	nvme disconnect -n testnqn >/dev/null || fail "stock disconnect $i"
done
defer nvme disconnect -n testnqn

# … and a small one connects the admin queue, enables the controller and goes, each third one
# without a word of farewell.
raw_connects() {
	if over_rdma; then
		modprobe rdma_ucm
		modprobe ib_uverbs
		NVTGT_ADDR=$TGT_IP NVTGT_NQN=testnqn NVTGT_TIMEOUT=$((30 * PATIENCE)) \
			"$TESTS/../.tools/usr/lib/nvtgt-tests/rdmapeer" connects "$raw"
		return
	fi
	PYTHONDONTWRITEBYTECODE=1 python3 - "$TESTS/lib" "$TGT_IP" "$raw" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
from nvmetcp.ctrl import Controller
for i in range(int(sys.argv[3])):
    ctrl = Controller(sys.argv[2], 4420, "testnqn", enabled=i % 3 != 2)
    if i % 3 == 1:
        ctrl.admin.reset()
    ctrl.close()
PY
}
raw_connects || fail "raw connects"

wait_for 30 no_target_ctrls || fail "controllers are left at the target: $(target_ctrls)"
fio_verify "$(host_connect testnqn)" --size=1m || fail "the target does not serve any more"
host_disconnect testnqn
