#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a guest's driver finds a PCIe controller behind /dev/nvtgt-vfu: registers, queues, PRPs and
# SGLs of all shapes, shadow doorbells, interrupts, memory that comes and goes, sudden ends,
# a controller that another process takes over
# kernels: all
# nightly: 6.12
# timeout: 600

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/vm.sh"
disk=$(null_blk_make size=64)
make_subsystem testnqn
make_namespace testnqn 1 "$disk"
vm_port 1 $VM_SOCKET
link_port 1 testnqn
log_mark
guest() { PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE CONFIGFS=$CONFIGFS python3 "$TESTS/functional/vm/controller.py" "$@"; }

pages=/proc/sys/vm/nr_hugepages
if [ -e $pages ]; then
	echo 12 >$pages
	defer eval "echo 0 >$pages"
fi
bad=()
for what in ${VM_CASES:-registers identify queues data wrong many memory sudden adopt host features stuck shadow huge again}; do
	note "$what"
	guest "$what" "$disk" || bad+=("$what")
	wait_for 30 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
done
[ ${#bad[@]} = 0 ] || fail "${bad[*]}"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
