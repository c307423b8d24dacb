#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: random calls of /dev/nvtgt-vfu, random queues and doorbells, processes that are killed do no harm:
# afterwards a guest is served, and the kernel has nothing to say
# nightly: all
# timeout: 1200

. "$TESTS/lib/guest.sh"
target_is_nvtgt || skip "nvmet has no virtual machines"
need_modules bdev null
modprobe nvtgt-vfu
defer rmmod nvtgt-vfu
in_tgt() { "$@"; }	# a port of this type belongs to no network
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=64)"
slow=subsystems/testnqn/namespaces/2
mkdir "$CONFIGFS/$slow"
set_attr $slow/backend null
set_attr $slow/backend_options size=64m,delay_us=500
set_attr $slow/enable 1
for id in 1 2; do
	mkdir "$CONFIGFS/ports/$id"
	defer drop_port $id
	set_attr ports/$id/addr_trtype vfio-user
	set_attr ports/$id/addr_traddr /run/nvtgt/vm$id.sock
	link_port $id testnqn
done
log_mark
# long where the kernel looks for what goes wrong (lockdep, KASAN), short elsewhere
seconds=20
[ ! -e /proc/lockdep ] || seconds=600
PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE python3 "$TESTS/functional/vm/fuzz.py" "${FUZZ_SECONDS:-$seconds}" || fail "the fuzzer found something"
connections=/sys/kernel/debug/nvtgt/connections
none() { [ -z "$(cat $connections)" ]; }
wait_for 30 none || fail "connections are left: $(cat $connections)"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
