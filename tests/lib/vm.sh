# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of virtual machines' controllers have in common.

target_is_nvtgt || skip "nvmet has no virtual machines"
need_modules bdev null
modprobe nvtgt-vfu
defer rmmod nvtgt-vfu
in_tgt() { "$@"; }	# a port of this type belongs to no network

VM_SOCKET=/run/nvtgt/vm1.sock
VM_CONNECTIONS=/sys/kernel/debug/nvtgt/connections

# vm_port ID SOCKET: a port, which is not open yet
vm_port() {
	mkdir "$CONFIGFS/ports/$1"
	defer drop_port "$1"
	set_attr "ports/$1/addr_trtype" vfio-user
	set_attr "ports/$1/addr_traddr" "$2"
}

# none: no queue of a guest is left
none() { [ -z "$(cat $VM_CONNECTIONS)" ]; }
# state_is STATE: of the daemon's one endpoint
state_is() { [ "$(nvtgt-vfud --status --json | jq -r '.[0].state')" = "$1" ]; }
gone() { ! kill -0 "$1" 2>/dev/null; }

# stop_daemon: that of $DAEMON, if there is one
stop_daemon() {
	[ -n "${DAEMON-}" ] || return 0
	kill "$DAEMON" 2>/dev/null || true
	wait_for 20 gone "$DAEMON" || kill -9 "$DAEMON"
	wait "$DAEMON" 2>/dev/null || true
	DAEMON=
}
