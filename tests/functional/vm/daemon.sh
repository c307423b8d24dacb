#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgt-vfud shows a PCI function over vfio-user, refuses what is wrong, keeps its guests
# while it is replaced, and lives with little
# kernels: all
# timeout: 400
# nightly: 6.1 7.2

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/vm.sh"
disk=$(null_blk_make size=64)
socket=$VM_SOCKET
mkdir -p /run/nvtgt
chown nobody /run/nvtgt
defer rm -rf /run/nvtgt /run/nvtgt-vfud

client() { PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE python3 "$TESTS/functional/vm/daemon.py" "$@" "$disk"; }

# start_daemon [OPTION...]: sets DAEMON
start_daemon() {
	nvtgt-vfud "$@" >>"$WORK/vfud.log" 2>&1 &
	DAEMON=$!
	defer stop_daemon
}
# said TEXT: and nothing before it counts again
said() { grep -qF -- "$1" "$WORK/vfud.log"; }
must_say() { wait_for 20 said "$1" || { cat "$WORK/vfud.log"; fail "the daemon has not said: $1"; }; }

ulimit -l unlimited	# as LimitMEMLOCK= of the unit does
log_mark
make_subsystem testnqn
make_namespace testnqn 1 "$disk"

note "the daemon first, and the port later"
start_daemon --user nobody --vectors 16
must_wait() { wait_for 30 nvtgt-vfud --status --json >/dev/null || { cat "$WORK/vfud.log"; fail "the daemon does not answer"; }; }
must_wait
[ "$(nvtgt-vfud --status --json)" = "[]" ] || fail "endpoints before there is a port"
vm_port 1 $socket
link_port 1 testnqn
wait_for 20 test -S $socket || { cat "$WORK/vfud.log"; fail "no socket"; }
state_is waiting || fail "$(nvtgt-vfud --status)"
[ "$(stat -c '%a %U' $socket)" = "600 nobody" ] || fail "the socket: $(ls -l $socket)"

note "what it may do"
status=$(cat "/proc/$DAEMON/status")
awk '/^CapEff/ && $2 ~ /^0+$/ { n++ } /^Seccomp:/ && $2 == 2 { n++ } /^Uid:/ && $2 != 0 { n++ } END { exit n != 3 }' \
	<<<"$status" || fail "it has rights that it does not need: $status"
rc=0
nvtgt-vfud >"$WORK/second" 2>&1 || rc=$?
[ $rc = 1 ] && grep -q "another daemon runs" "$WORK/second" || fail "a second daemon: $rc $(cat "$WORK/second")"
for wrong in "--mode 9" "--vectors 0" "--vectors 2049" "--pci-id 1:x" "--group nosuchgroup" "--control x" "--json" "x" "--nonsense"; do
	rc=0
	# shellcheck disable=SC2086
	nvtgt-vfud $wrong >"$WORK/wrong" 2>&1 || rc=$?
	[ $rc = 2 ] && [ -s "$WORK/wrong" ] || fail "$wrong: $rc $(cat "$WORK/wrong")"
done
nvtgt-vfud --help | grep -q -- --status || fail "--help"
nvtgt-vfud --version | grep -q '^nvtgt-vfud [0-9]' || fail "--version"

for what in ${VM_CASES:-pci protocol messages partial second reset}; do
	note "$what"
	client "$what" || { cat "$WORK/vfud.log"; fail "$what"; }
	wait_for 30 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
	wait_for 20 state_is waiting || fail "$(nvtgt-vfud --status)"
done

for what in identify queues data many sudden; do
	note "a guest's driver: $what"
	VM_DAEMON=1 PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE \
		python3 "$TESTS/functional/vm/controller.py" "$what" "$disk" || { cat "$WORK/vfud.log"; fail "$what"; }
	wait_for 30 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
done

note "memory that is not shared"
client private
must_say "-object memory-backend-memfd,id=mem0,size=SIZE,share=on"

note "a host that is not allowed"
set_attr subsystems/testnqn/attr_allow_any_host 0
client refused
must_say "does not allow the port's host"
set_attr subsystems/testnqn/attr_allow_any_host 1

note "a port goes under its guest, and comes back"
client pulled &
guest=$!
wait_for 30 state_is connected || fail "$(nvtgt-vfud --status)"
touch "$WORK/go"
wait_for 30 test -e /run/nvtgt/ready || fail "the guest has no controller"
unlink_port 1 testnqn
wait "$guest" || { cat "$WORK/vfud.log"; fail "the guest of a port that has gone"; }
[ ! -e $socket ] || fail "the socket is still there"
rm -f /run/nvtgt/ready
link_port 1 testnqn
wait_for 20 test -S $socket || fail "no socket when the port is back"
client reset

note "sockets: a stale one, one in use, a file in the way, no folder"
stop_daemon
[ ! -e $socket ] || fail "a daemon that ends leaves its socket"
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('$socket')"
start_daemon --group nogroup
wait_for 20 state_is waiting || { cat "$WORK/vfud.log"; fail "a stale socket is in the way"; }
[ "$(stat -c '%a %G' $socket)" = "660 nogroup" ] || fail "the socket: $(ls -l $socket)"
stop_daemon
touch $socket
start_daemon
must_say "there is something that is not a socket"
[ -f $socket ] || fail "it has removed what is not its own"
rm $socket
wait_for 20 state_is waiting || { cat "$WORK/vfud.log"; fail "it does not try again"; }
stop_daemon
start_daemon --vectors 2048
must_wait
client pci
stop_daemon

note "a successor goes on under its guests"
start_daemon --hold --user nobody
wait_for 20 state_is waiting || { cat "$WORK/vfud.log"; fail "the held daemon"; }
daemon_of() { cat "/proc/$DAEMON/task/$DAEMON/children"; }
replaced() { local now; now=$(daemon_of); [ -n "$now" ] && [ "$now" != "$before" ] && state_is connected; }
client replaced &
guest=$!
wait_for 30 test -e /run/nvtgt/ready || { cat "$WORK/vfud.log"; fail "the guest has no controller"; }
for how in HUP KILL HUP KILL TERM; do
	before=$(daemon_of)
	rounds=$(cat /run/nvtgt/ready)
	if [ $how = HUP ]; then
		kill -HUP "$DAEMON"
	else
		kill -$how $before
	fi
	wait_for 30 replaced || { cat "$WORK/vfud.log"; fail "after SIG$how: $(nvtgt-vfud --status)"; }
	further() { [ "$(cat /run/nvtgt/ready)" -gt $((rounds + 3)) ]; }
	wait_for 60 further || { cat "$WORK/vfud.log"; fail "the guest stands still after SIG$how"; }
done
touch /run/nvtgt/stop
wait "$guest" || { cat "$WORK/vfud.log"; fail "the guest under a daemon that is replaced"; }
wait_for 20 state_is waiting || fail "$(nvtgt-vfud --status)"
stop_daemon
wait_for 30 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
