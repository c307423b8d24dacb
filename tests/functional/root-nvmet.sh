#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgt.configfs_root=nvmet puts the tree where nvmet's users look for it, and a name that is
# taken is said clearly
# timeout: 120

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "about nvtgt's parameter"
modprobe nvme-tcp
modprobe nvtgt configfs_root=nvmet
defer modprobe -r nvtgt-tcp nvtgt-bdev nvtgt
CONFIGFS=/sys/kernel/config/nvmet
[ -d $CONFIGFS/subsystems ] || fail "no $CONFIGFS"
[ ! -d /sys/kernel/config/nvtgt ] || fail "and another tree"
make_networks
dev=$(null_blk_make size=64)
make_subsystem testnqn
make_namespace testnqn 1 "$dev"
make_port 1 "$TGT_IP"
link_port 1 testnqn
disk=$(host_connect testnqn) || fail "connect"
fio_verify "$disk" --size=512k || fail "I/O"
host_disconnect testnqn
drop_port 1
drop_subsystem testnqn
modprobe -r nvtgt-tcp nvtgt-bdev nvtgt

note "taken"
modprobe nvmet
defer modprobe -r nvmet
log_mark
expect_failure modprobe nvtgt configfs_root=nvmet 2>"$WORK/said"
grep -q "resource busy" "$WORK/said" || fail "modprobe says: $(cat "$WORK/said")"
wait_for 5 log_has "nvtgt.*nvmet" || { log_since; fail "no line in the log"; }
modprobe nvtgt
[ -d /sys/kernel/config/nvtgt ] || fail "no tree under its own name"
