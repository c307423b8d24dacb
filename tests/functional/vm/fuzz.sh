#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: random calls of /dev/nvtgt-vfu, random queues and doorbells, processes that are killed do no harm:
# afterwards a guest is served, and the kernel has nothing to say
# nightly: all
# timeout: 1200

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/vm.sh"
make_subsystem testnqn
make_namespace testnqn 1 "$(null_blk_make size=64)"
slow=subsystems/testnqn/namespaces/2
mkdir "$CONFIGFS/$slow"
set_attr $slow/backend null
set_attr $slow/backend_options size=64m,delay_us=500
set_attr $slow/enable 1
for id in 1 2; do
	vm_port $id /run/nvtgt/vm$id.sock
	link_port $id testnqn
done
log_mark
# long where the kernel looks for what goes wrong (lockdep, KASAN), short elsewhere
seconds=20
[ ! -e /proc/lockdep ] || seconds=600
PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE python3 "$TESTS/functional/vm/fuzz.py" "${FUZZ_SECONDS:-$seconds}" || fail "the fuzzer found something"
none() { [ -z "$(cat $VM_CONNECTIONS)" ]; }
wait_for 30 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
