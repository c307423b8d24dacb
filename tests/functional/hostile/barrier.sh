#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: reset, shutdown and a new association wait for what the old one has in a device, which
# may not answer; what has not begun by then never reaches the medium; Abort takes it back, too
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
. "$TESTS/lib/nvmetcp/target.sh"
target_is_nvtgt || skip "nvmet says at once that it is not ready"
hostile_target
# 4: a device that can be held; 5: what it stands on; 6: a file; 7: a device with one tag on another file
raw=$(null_blk_make size=64 blocksize=4096)
dev=$(dm_make hold "0 131072 linear $raw 0")
make_namespace "$HOSTILE" 4 "$dev"
make_namespace "$HOSTILE" 5 "$raw"
export NVTGT_FS=$WORK/fs
# a second machine
export NVTGT_ADDR2=192.0.2.101
ip addr add $NVTGT_ADDR2/32 dev host0
thaw() { fsfreeze -u "$WORK/fs" 2>/dev/null || true; }
mount_new ext4 "$(null_blk_make size=64 blocksize=4096)" "$WORK/fs"
defer thaw
truncate -s 4M "$WORK/fs/file"
make_namespace "$HOSTILE" 6 "$WORK/fs/file"
truncate -s 4M "$WORK/fs/device"
modprobe -r loop
modprobe loop hw_queue_depth=1
defer modprobe -r loop
dev=$(losetup --find --show --sector-size 4096 "$WORK/fs/device")
defer losetup -d "$dev"
make_namespace "$HOSTILE" 7 "$dev"
drop_namespaces() { local n; for n in 4 5 6 7; do rmdir "$CONFIGFS/subsystems/$HOSTILE/namespaces/$n"; done; }
defer drop_namespaces
# shellcheck disable=SC2086
python3 "$TESTS/functional/hostile/barrier.py" ${CASES-} || fail "barrier.py: cases went wrong"
