#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what a command costs in steady state: one call to the socket for a batch, no allocation, no
# work queue, no more wake-ups than batches
# kernels: all
# timeout: 300

. "$TESTS/lib/guest.sh"
need_modules tcp bdev null
target_is_nvtgt || skip "looks at the inside of nvtgt"
make_networks
make_subsystem testnqn
make_null_namespace testnqn 1 size=1g
make_namespace testnqn 2 "$(null_blk_make size=64)"
make_namespace testnqn 3 "$(null_blk_make size=64 poll_queues=2 hw_queue_depth=8)"
# through the page cache, on a file system that knows IOCB_NOWAIT
modprobe loop
truncate -s 64M "$WORK/fs"
mkfs.ext4 -q -F -b 4096 -O ^has_journal "$WORK/fs"
mkdir "$WORK/mnt"
loop=$(losetup --find --show "$WORK/fs")
defer losetup -d "$loop"
mount "$loop" "$WORK/mnt"
defer umount "$WORK/mnt"
head -c 1M /dev/urandom >"$WORK/mnt/file"
defer drop_subsystem testnqn
make_namespace testnqn 4 "$WORK/mnt/file" buffered_io=1
make_namespace testnqn 5 "$(null_blk_make size=64 cache_size=1)"
make_port 1 "$TGT_IP"
link_port 1 testnqn
export NVTGT_ADDR=$TGT_IP NVTGT_PORT=4420 NVTGT_NQN=testnqn NVTGT_ROOT=$CONFIGFS \
	NVTGT_TIMEOUT=$((30 * PATIENCE)) PYTHONDONTWRITEBYTECODE=1
for us in 0 20; do
	note "spinning for at most $us us"
	module_param nvtgt spin_us "$us"
	python3 "$TESTS/functional/structure.py" || fail "structure.py: cases went wrong"
done
