#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the null backend's knobs: delay, errors, stall; one namespace's stall holds up nobody else
# variants: rdma
# timeout: 150

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp
target_is_nvtgt || skip "nvmet has no null backend"
make_networks
make_subsystem testnqn
make_null_namespace testnqn 1 size=1g
make_null_namespace testnqn 2 size=1t,lba=4096
make_port 1 "$TGT_IP"
link_port 1 testnqn
one=$(host_connect testnqn) || fail "connect"
ctrl=$(ctrl_of testnqn)
wait_for 20 has_disk "$ctrl" 2 || fail "no second namespace"
two=$(disk_of "$ctrl" 2)
option() { set_attr "subsystems/testnqn/namespaces/$1/backend_options" "$2"; }
[ "$(blockdev --getsize64 "$one"):$(blockdev --getss "$one")" = $((1 << 30)):512 ] || fail "the first's size"
[ "$(blockdev --getsize64 "$two"):$(blockdev --getss "$two")" = $((1 << 40)):4096 ] || fail "the second's size"

read_one() { dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none; }
in_flight() { ! kill -0 "$held" 2>/dev/null || [ "$(awk "{ print \$1 + \$2 }" "/sys/block/${1##*/}/inflight")" -gt 0 ]; }
cmp -n 65536 "$one" /dev/zero || fail "it does not read zeroes"

note "delay"
option 1 size=1g,delay_us=700000
before=$(date +%s%N)
read_one "$one" || fail "read"
took=$((($(date +%s%N) - before) / 1000000))
[ "$took" -ge 700 ] || fail "with a delay of 700 ms it took $took ms"

note "error"
# Unrecovered Read Error, Do Not Retry
option 1 size=1g,error=4281
log_mark
expect_failure read_one "$one" 2>"$WORK/said"
read_one "$two" || fail "the other namespace fails, too"
option 1 size=1g,error=4281,error_every=1000000000
read_one "$one" || fail "each 1000000000th"
option 1 size=1g
read_one "$one" || fail "after the error"

note "stall"
option 1 size=1g,stall=1
read_one "$one" &
held=$!
defer kill "$held"
fio_verify "$two" --rw=randwrite --verify=0 --do_verify=0 --size=1m || fail "the other namespace's I/O"
kill -0 $held 2>/dev/null || fail "a stalled command was answered"
option 1 size=1g
wait $held || fail "the stalled command failed"

note "grows while it is in use"
option 1 size=2g
wait_for 20 blocks_are "$one" $((2 << 21)) || fail "$(cat "/sys/block/${one##*/}/size") blocks"

note "disabled while commands are held"
option 2 size=1t,lba=4096,stall=1
read_one "$two" 2>/dev/null &
held=$!
log_mark
wait_for 10 in_flight "$two" || fail "nothing is in flight"
timeout $((20 * PATIENCE)) bash -c "echo 0 >$CONFIGFS/subsystems/testnqn/namespaces/2/enable" ||
	fail "disable waits for a command that is held"
wait_for 20 disk_gone "$two" || fail "the disk stays"
! wait $held || fail "a command that was held on a namespace that went succeeded"
ctrl_is "$ctrl" live || fail "the controller is $(ctrl_state "$ctrl")"
host_disconnect testnqn
