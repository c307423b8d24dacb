#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a transport that has nothing but what a transport must have serves commands, takes what
# is wrong, and goes away under its hosts: nvtgt-loop
# kernels: all
# timeout: 180

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "nvmet's loop transport has a host of its own"
need_modules bdev
modprobe nvtgt-loop
defer rmmod nvtgt-loop
in_tgt() { "$@"; }	# a port of this type belongs to no network
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=64)"
mkdir "$CONFIGFS/ports/1"
defer drop_port 1
set_attr ports/1/addr_trtype loop
link_port 1 testnqn
log_mark
host() { PYTHONDONTWRITEBYTECODE=1 python3 "$TESTS/functional/loop-transport.py" "$@"; }
connections=/sys/kernel/debug/nvtgt/connections
none() { [ -z "$(cat $connections)" ]; }

for what in works wrong sudden; do
	note "$what"
	host $what || fail "$what"
	wait_for 30 none || fail "connections are left: $(cat $connections)"
done
note "the port is closed"
host ends "$CONFIGFS/ports/1/subsystems/testnqn" || fail "ends"
wait_for 30 none || fail "connections are left: $(cat $connections)"
[ ! -e /sys/kernel/debug/nvtgt-loop/1 ] || fail "the file is still there"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
