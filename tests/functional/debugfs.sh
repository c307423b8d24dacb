#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: debugfs shows the controllers and connections that there are, and "fatal" makes a host
# reconnect; tracepoints show each step of a command
# timeout: 120
# variants: rdma

. "$TESTS/lib/guest.sh"
dev=$(null_blk_make size=64)
simple_target testnqn "$dev"
target_is_nvtgt || skip "the facts are those of nvtgt"
debug=/sys/kernel/debug/nvtgt/testnqn
[ -d $debug ] || fail "no $debug"
host_connect testnqn --keep-alive-tmo=7 --nr-io-queues=2 --reconnect-delay=1 >/dev/null || fail "connect"
ctrl=$(ctrl_of testnqn)
cntlid=$(cat "/sys/class/nvme/$ctrl/cntlid")
dir=$debug/ctrl$cntlid
is() { [ "$(cat "$dir/$1")" = "$2" ] || fail "$1 is '$(cat "$dir/$1")' and not '$2'"; }
is port 1
is hostnqn "$HOST_NQN"
is state ready
is queues "$(cat "/sys/class/nvme/$ctrl/queue_count")"
is kato 7
from=$HOST_IP
if over_rdma; then from=$TGT_IP; fi		# both ends are on one device
[[ $(cat "$dir/host_traddr") == "$from:"* ]] || fail "host_traddr is $(cat "$dir/host_traddr")"
! echo nonsense >"$dir/state" 2>/dev/null || fail "state takes nonsense"

note "connections"
connections=/sys/kernel/debug/nvtgt/connections
[ "$(grep -c ' live free ' $connections)" = 3 ] || fail "not three connections: $(cat $connections)"
grep -q "^$TRANSPORT $from:[0-9]* qid 1 live free [0-9]* received 0 " $connections || fail "no queue 1: $(cat $connections)"

note "tracepoints"
tracing=/sys/kernel/tracing
[ -d $tracing/events ] || mount -t tracefs none $tracing
echo 1 >$tracing/events/nvtgt/enable
defer sh -c "echo 0 >$tracing/events/nvtgt/enable"
dd if="$(disk_of "$ctrl" 1)" of=/dev/null bs=4k count=1 iflag=direct status=none || fail "read"
steps() { sed -n "s/.*nvtgt_req_state: .*qid=[12] .*opcode=0x2 \(.*\)/\1/p" $tracing/trace; }
for step in 'free -> received' 'received -> memory' '.* -> executing' 'executing -> done' 'done -> responding' '.* -> free'; do
	steps | grep -qx "$step" || fail "no step $step: $(steps)"
done

note "fatal"
echo fatal >"$dir/state"
# the controller's end follows, and takes the file along
state=$(cat "$dir/state" 2>/dev/null || echo gone)
[[ $state == fatal || $state == gone ]] || fail "it is $state"
anew() { ctrl_is "$ctrl" live && [ "$(cat $debug/ctrl*/state)" = ready ]; }
wait_for 60 anew || fail "the host is $(ctrl_state "$ctrl")"

note "gone with its controller, and with its subsystem"
host_disconnect testnqn
gone() { [ ! -e "$1" ]; }
nothing() { [ -z "$(ls -A $debug)" ]; }
wait_for 20 nothing || fail "still there: $(ls $debug)"
unlink_port 1 testnqn
drop_subsystem testnqn
wait_for 20 gone $debug || fail "$debug stays"
