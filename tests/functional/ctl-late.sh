#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a port whose address, or whose address's RDMA device, is not there yet opens when it comes, and
# neither the lock nor what is there already waits for it
# timeout: 180
# variants: rdma

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
ctl() { nvtgtctl --netns tgt "$@"; }
! over_rdma || ctl() { nvtgtctl "$@"; }
dev=$(null_blk_make size=64)
defer nvtgtctl clear
cd "$WORK"

ctl subsystem create testnqn --allow-any-host
ctl namespace create testnqn --device "$dev" >/dev/null
ctl port create 1 --trtype "$TRANSPORT" --traddr "$TGT_IP" --subsystem testnqn
late=192.0.2.77
ctl save saved.json
jq --arg ip "$late" '.ports += [.ports[0] | .portid = 2 | .addr.traddr = $ip]' saved.json >both.json

# come_up: the address, and over RDMA a device with it, which is later than the address
come_up() {
	if over_rdma; then
		rdma_device rxe7 late0
	else
		in_tgt ip addr add "$late/32" dev lo
	fi
}
if over_rdma; then
	ip link add late0 type dummy
	defer delete_link late0
	ip addr add "$late/32" dev late0
	ip link set late0 up
fi

ctl clear
! ctl apply both.json 2>err || fail "a missing address is no error"
grep -q "port 2 link to testnqn" err || fail "not named: $(cat err)"
ctl clear
ctl apply --wait 150 both.json >wait.log 2>&1 &
pid=$!
wait_for 30 grep -q "port 2 link to testnqn: waiting for $late" wait.log || fail "no message: $(cat wait.log)"
host_connect testnqn >/dev/null || fail "what is there is not served meanwhile"
host_disconnect testnqn
timeout $((20 * PATIENCE)) nvtgtctl --no-wait host create nqn.2014-08.org.nvmexpress:other ||
	fail "the lock is held while waiting"
come_up
wait "$pid" || fail "apply --wait: $(cat wait.log)"
grep -q "port 2 link to testnqn: $late has come" wait.log || fail "not said: $(cat wait.log)"
[ -L "$CONFIGFS/ports/2/subsystems/testnqn" ] || fail "not linked"
