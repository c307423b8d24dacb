#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a connected host sees by itself that a namespace was enabled, disabled, added, resized
# or removed
# kernels: all
# variants: rdma
# timeout: 180

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
file=$(file_make 32)
loop=$(loop_make 48)
backing=$(losetup -n -O BACK-FILE "$loop")
simple_target testnqn "$loop"
disk=$(host_connect testnqn) || fail "connect"
ctrl=$(ctrl_of testnqn)
dir=subsystems/testnqn/namespaces

has_uuid() { [ "$(cat /sys/class/nvme/"$ctrl"/nvme*n*/uuid 2>/dev/null)" = "$1" ]; }

note "disabled and enabled"
enable_namespace testnqn 1 0
wait_for 20 disk_gone "$disk" || fail "the disk of a disabled namespace stays"
enable_namespace testnqn 1 1
wait_for 20 has_disk "$ctrl" || fail "the namespace did not come back"
disk=$(disk_of "$ctrl")

note "added"
make_namespace testnqn 3 "$file"
wait_for 20 has_disk "$ctrl" 3 || fail "the new namespace does not show"
new=$(disk_of "$ctrl" 3)
blocks_are "$new" 65536 || fail "its size: $(cat "/sys/block/${new##*/}/size")"

note "resized, a device and a file"
truncate -s 80M "$backing"
losetup -c "$loop"
wait_for 30 blocks_are "$disk" $((80 << 11)) || fail "grown to $(cat "/sys/block/${disk##*/}/size")"
truncate -s 64M "$backing"
losetup -c "$loop"
wait_for 30 blocks_are "$disk" $((64 << 11)) || fail "shrunk to $(cat "/sys/block/${disk##*/}/size")"
truncate -s 40M "$file"
wait_for 30 blocks_are "$new" $((40 << 11)) || fail "the file: $(cat "/sys/block/${new##*/}/size")"
fio_verify "$disk" --offset=48m --size=2m || fail "I/O on what was added"

note "and at once when told so"
if target_is_nvtgt; then
	module_param nvtgt resize_poll_ms 600000
	# the look that is under way still happens
	truncate -s 44M "$file"
	set_attr $dir/3/revalidate_size 1
	wait_for 20 blocks_are "$new" $((44 << 11)) || fail "revalidate_size: $(cat "/sys/block/${new##*/}/size")"
fi

note "removed"
rmdir "$CONFIGFS/$dir/3"
wait_for 20 disk_gone "$new" || fail "the disk of a removed namespace stays"
[ -b "$disk" ] || fail "the other disk went, too"

note "another UUID is another namespace"
if target_is_nvtgt; then
	enable_namespace testnqn 1 0
	# a host that looks once for both changes takes the old disk away, and no more
	wait_for 30 disk_gone "$disk" || fail "the host keeps the disabled namespace"
	set_attr $dir/1/device_uuid 01234567-89ab-cdef-0123-456789abcdef
	enable_namespace testnqn 1 1
	wait_for 30 has_uuid 01234567-89ab-cdef-0123-456789abcdef || fail "the host keeps the old UUID"
fi
host_disconnect testnqn
