#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a guest's driver finds a PCIe controller behind /dev/nvtgt-vfu: registers, queues, PRPs and
# SGLs of all shapes, shadow doorbells, interrupts, memory that comes and goes, sudden ends,
# a controller that another process takes over
# kernels: all
# nightly: 6.12
# timeout: 600

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "nvmet has no virtual machines"
need_modules bdev
modprobe nvtgt-vfu
defer rmmod nvtgt-vfu
in_tgt() { "$@"; }	# a port of this type belongs to no network
disk=$(null_blk_make size=64)
make_subsystem testnqn
make_namespace testnqn 1 "$disk"
mkdir "$CONFIGFS/ports/1"
defer drop_port 1
set_attr ports/1/addr_trtype vfio-user
set_attr ports/1/addr_traddr /run/nvtgt/vm1.sock
link_port 1 testnqn
log_mark
guest() { PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE CONFIGFS=$CONFIGFS python3 "$TESTS/functional/vm/controller.py" "$@"; }
connections=/sys/kernel/debug/nvtgt/connections
none() { [ -z "$(cat $connections)" ]; }

pages=/proc/sys/vm/nr_hugepages
if [ -e $pages ]; then
	echo 12 >$pages
	defer eval "echo 0 >$pages"
fi
bad=()
for what in ${VM_CASES:-registers identify queues data wrong many memory sudden adopt host features stuck shadow huge again}; do
	note "$what"
	guest "$what" "$disk" || bad+=("$what")
	wait_for 30 none || fail "connections are left: $(cat $connections)"
done
[ ${#bad[@]} = 0 ] || fail "${bad[*]}"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
