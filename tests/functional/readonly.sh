#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a read-only device serves reads and says that it is write protected
# variants: rdma
# timeout: 90

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
loop=$(loop_make 32)
dd if=/dev/urandom of="$loop" bs=1M count=1 status=none
blockdev --flushbufs "$loop"
blockdev --setro "$loop"
truncate -s 1M "$WORK/ro"
mount --bind "$WORK/ro" "$WORK/ro"
defer umount "$WORK/ro"
mount -o remount,bind,ro "$WORK/ro"
simple_target testnqn "$loop"
disk=$(host_connect testnqn) || fail "connect"
[ "$(blockdev --getro "$disk")" = 1 ] || fail "the host does not know that it is read-only"
cmp -n 1048576 "$disk" "$loop" || fail "it reads something else"
for command in "write -s 0 -c 0 -z 512 -d /dev/zero" "write-zeroes -s 0 -c 7" "dsm --ad -s 0 -b 8"; do
	# shellcheck disable=SC2086
	said=$(nvme ${command%% *} "$disk" ${command#* } 2>&1) && fail "done, and should not have been: $command"
	grep -qiE 'write.protect|read.only' <<<"$said" || fail "$command: $said"
done
nvme flush "$disk" -n 1 >/dev/null || fail "flush"
cmp -n 1048576 "$disk" "$loop" || fail "it was changed"

[ "$(get_attr subsystems/testnqn/namespaces/1/readonly)" = 1 ] || fail "the tree does not say that it is read-only"
[ "$(get_attr subsystems/testnqn/namespaces/1/size_bytes)" = $((32 << 20)) ] || fail "size_bytes"

note "writable again"
enable_namespace testnqn 1 0
wait_for 20 disk_gone "$disk" || fail "the disk stays"
[ "$(get_attr subsystems/testnqn/namespaces/1/size_bytes)" = 0 ] || fail "size_bytes of a disabled namespace"
blockdev --setrw "$loop"
enable_namespace testnqn 1 1
wait_for 20 has_disk "$(ctrl_of testnqn)" || fail "no disk"
disk=$(disk_of "$(ctrl_of testnqn)")
[ "$(get_attr subsystems/testnqn/namespaces/1/readonly)" = 0 ] || fail "the tree says that it is read-only"
fio_verify "$disk" --size=512k || fail "I/O on the writable device"

note "a file that cannot be opened for writing"
log_mark
make_namespace testnqn 2 "$WORK/ro"
log_has "cannot be opened for writing .error -30., read-only then" || fail "no line: $(log_since)"
[ "$(get_attr subsystems/testnqn/namespaces/2/readonly)" = 1 ] || fail "the tree does not say that the file is read-only"
host_disconnect testnqn
