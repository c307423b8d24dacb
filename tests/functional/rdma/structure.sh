#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what a command costs over RDMA in steady state: one chain of work requests for a batch, few
# completions, no allocation, no work queue
# kernels: all
# timeout: 300

TRANSPORT=rdma
. "$TESTS/lib/guest.sh"
need_modules tcp bdev null
modprobe rdma_ucm
modprobe ib_uverbs
make_networks
make_subsystem testnqn
make_null_namespace testnqn 1 size=1g
make_port 1 "$TGT_IP"
link_port 1 testnqn
export NVTGT_ADDR=$TGT_IP NVTGT_PORT=4420 NVTGT_NQN=testnqn NVTGT_ROOT=$CONFIGFS \
	NVTGT_TIMEOUT=$((30 * PATIENCE)) PYTHONDONTWRITEBYTECODE=1
for us in 0 20; do
	note "spinning for at most $us us"
	module_param nvtgt spin_us "$us"
	python3 "$TESTS/functional/rdma/structure.py" || fail "structure.py: cases went wrong"
done
