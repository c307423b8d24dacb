#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgt and the kernel's own target serve beside each other
# timeout: 150

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
target_is_nvtgt || skip "about two targets"
make_networks
modprobe nvmet-tcp
defer modprobe -r nvmet-tcp nvmet
make_subsystem ours
make_namespace ours 1 "$(null_blk_make size=64)"
make_port 1 "$TGT_IP"
link_port 1 ours

CONFIGFS=/sys/kernel/config/nvmet
take_away() { CONFIGFS=/sys/kernel/config/nvmet; drop_port 1; drop_subsystem theirs; CONFIGFS=/sys/kernel/config/nvtgt; }
defer take_away
mkdir $CONFIGFS/subsystems/theirs
set_attr subsystems/theirs/attr_allow_any_host 1
make_namespace theirs 1 "$(null_blk_make size=64)"
in_tgt mkdir $CONFIGFS/ports/1
for a in trtype=tcp adrfam=ipv4 traddr="$TGT_IP" trsvcid=4421; do
	set_attr ports/1/addr_"${a%%=*}" "${a#*=}"
done
link_port 1 theirs

first=$(host_connect ours) || fail "connect to nvtgt"
second=$(PORT=4421 host_connect theirs) || fail "connect to nvmet"
[ "$first" != "$second" ] || fail "the same disk"
fio_verify "$first" --size=1m --verify_pattern=0x11 --verify=pattern || fail "I/O with nvtgt"
fio_verify "$second" --size=1m --verify_pattern=0x22 --verify=pattern || fail "I/O with nvmet"
fio_verify "$first" --size=1m --verify_pattern=0x11 --verify=pattern --verify_only || fail "nvtgt's data changed"
host_disconnect theirs
host_disconnect ours
