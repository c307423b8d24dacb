#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: while a script puts a configuration back, a host that reconnects in between is refused for now and not for good
# kernels: all
# variants: rdma
# nightly: 6.1
# timeout: 150

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
make_subsystem testnqn attr_allow_any_host=0
make_namespace testnqn 1 "$(null_blk_make size=64)"
allow_host testnqn "$HOST_NQN"
# keeps the port open, so that a refusal is what the host meets
make_subsystem other
make_port 1 "$TGT_IP"
link_port 1 testnqn
link_port 1 other
disk=$(host_connect testnqn --reconnect-delay=1 --ctrl-loss-tmo=100) || fail "connect"
ctrl=$(ctrl_of testnqn)
fio_verify "$disk" --size=2m || fail "I/O before"

# refused PATTERN: the host has come meanwhile and was told so; it goes on trying
refused() {
	wait_for 30 log_has "$1" || { log_since; fail "the host was not refused ($1)"; }
	log_mark
	wait_for 30 log_has "$1" || { log_since; fail "the host has not come a second time"; }
	ctrl_is "$ctrl" connecting || fail "the host is $(ctrl_state "$ctrl")"
}

served() {
	wait_for 60 ctrl_is "$ctrl" live || fail "$1: the host is $(ctrl_state "$ctrl")"
	[ -b "$disk" ] || fail "$1: the disk is gone"
	fio --name=read --filename="$disk" --direct=1 --ioengine=libaio --rw=randwrite --bs=4k \
		--iodepth=16 --size=2m --randrepeat=1 --verify=crc32c --verify_only --minimal \
		>/dev/null || fail "$1: what was written before is not there"
}

log_mark
note "the link goes and comes back"
unlink_port 1 testnqn
refused "asks for subsystem testnqn, which is not exported|nvme.*(Invalid Parameter|invalid subsysnqn|SUBNQN)"
link_port 1 testnqn
served link

note "the host's right goes and comes back"
log_mark
deny_host testnqn "$HOST_NQN"
refused "host .* is not allowed|nvme.*(Invalid Host|does not allow host)"
allow_host testnqn "$HOST_NQN"
served right

note "all of it goes, and comes back in a script's order: the link first, the right later"
log_mark
unlink_port 1 testnqn
deny_host testnqn "$HOST_NQN"
refused "not exported|Invalid Parameter|invalid subsysnqn"
link_port 1 testnqn
log_mark
refused "not allowed|Invalid Host|does not allow host"
allow_host testnqn "$HOST_NQN"
served all
fio_verify "$disk" --size=2m || fail "I/O after"
host_disconnect testnqn
