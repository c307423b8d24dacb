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

note "writable again"
enable_namespace testnqn 1 0
wait_for 20 disk_gone "$disk" || fail "the disk stays"
blockdev --setrw "$loop"
enable_namespace testnqn 1 1
wait_for 20 has_disk "$(ctrl_of testnqn)" || fail "no disk"
disk=$(disk_of "$(ctrl_of testnqn)")
fio_verify "$disk" --size=512k || fail "I/O on the writable device"
host_disconnect testnqn
