#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: virtual machines of a real QEMU boot from nvtgt's disks with SeaBIOS and OVMF, and Linux in one works
# on them, while the daemon is replaced, until QEMU is killed
# kernels: all
# nightly: 6.1 7.2
# needs: qemu
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/vm.sh"
mkdir -p /run/nvtgt
defer rm -rf /run/nvtgt /run/nvtgt-vfud
need_share qemu
need_share nested
export WORK PATIENCE QEMU=$SHARES/qemu NESTED=$SHARES/nested VFUD_LOG=$WORK/vfud.log

vm() { PYTHONDONTWRITEBYTECODE=1 python3 "$TESTS/functional/vm/qemu.py" "$@"; }

ulimit -l unlimited	# as LimitMEMLOCK= of the unit does
log_mark
vm image "$WORK/boot.img"
modprobe loop
boot=$(losetup --find --show "$WORK/boot.img")
defer losetup -d "$boot"
truncate -s 48M "$WORK/disk.img"
mkfs.ext4 -q "$WORK/disk.img"
disk=$(losetup --find --show "$WORK/disk.img")
defer losetup -d "$disk"
make_subsystem testnqn
make_namespace testnqn 1 "$boot"
make_namespace testnqn 2 "$disk"
vm_port 1 $VM_SOCKET
link_port 1 testnqn
nvtgt-vfud --hold >>"$VFUD_LOG" 2>&1 &
DAEMON=$!
defer stop_daemon
export DAEMON
wait_for 30 state_is waiting || { cat "$VFUD_LOG"; fail "the daemon does not wait for a client"; }

for what in ${VM_CASES:-bios private efi linux}; do
	note "$what: $SECONDS s"
	vm "$what" "$WORK/boot.img" "$WORK/disk.img" "$disk" || { cat "$VFUD_LOG"; fail "$what"; }
	wait_for 60 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
	wait_for 60 state_is waiting || fail "$(nvtgt-vfud --status)"
done
note "on the disk of the last one"
# its QEMU was killed in the middle of writes: the journal brings order, and what was synced is there
mkdir -p "$WORK/mnt"
enable_namespace testnqn 2 0
mount "$disk" "$WORK/mnt"
defer umount_if "$WORK/mnt"
cmp "$WORK/mnt/kept" "$WORK/kept" || fail "a file that the virtual machine has written is not what it was"
umount "$WORK/mnt"
e2fsck -fn "$disk" >"$WORK/fsck" 2>&1 || { cat "$WORK/fsck"; fail "the file system is broken"; }
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
note "through after $SECONDS s"
