#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a namespace on a loop device without a file is enabled at size 0, and the host sees it
# grow once there is one
# timeout: 90

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
modprobe loop
loop=$(losetup -f)
file=$(file_make 32)
simple_target testnqn "$loop"
host_connect_ctrl testnqn >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)
namespace_bytes() { nvme id-ns "/dev/$ctrl" -n 1 -o json | jq .nsze; }
[ "$(namespace_bytes)" = 0 ] || fail "nsze is $(namespace_bytes) and not 0"
losetup "$loop" "$file"
defer losetup -d "$loop"
usable() { has_disk "$ctrl" && blocks_are "$(disk_of "$ctrl")" $((32 << 11)); }
wait_for 60 usable || fail "the host does not see the size"
fio_verify "$(disk_of "$ctrl")" --size=512k || fail "I/O"
host_disconnect testnqn
