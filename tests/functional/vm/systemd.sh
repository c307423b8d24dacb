#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgt-vfud.service under a real systemd: its sandbox lets it work, guests go on when it is restarted
# and when it is killed, and are let go when it is stopped
# kernels: 6.12
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/systemd.sh"
. "$TESTS/lib/vm.sh"
disk=$(null_blk_make size=64)
socket=/run/nvtgt-vfud/vm1.sock
mkdir -p /run/nvtgt
defer rm -rf /run/nvtgt /run/nvtgt-vfud
for file in passwd group shadow gshadow; do
	[ ! -e /etc/$file ] || cp -a /etc/$file "$WORK/"
done
put_back() { for file in passwd group shadow gshadow; do [ ! -e "$WORK/$file" ] || cp -a "$WORK/$file" /etc/; done; }
defer put_back

log_mark
make_subsystem testnqn
make_namespace testnqn 1 "$disk"
vm_port 1 $socket
link_port 1 testnqn

start_systemd nvtgt-vfud.service
why() { echo "$1: $(systemctl status nvtgt-vfud 2>&1); log: $(cat log)"; }
main_pid() { systemctl show -P MainPID nvtgt-vfud; }
state_is() { [ "$(systemctl show -P ActiveState nvtgt-vfud)" = "$1" ]; }
endpoint_is() { [ "$(nvtgt-vfud --status --json | jq -r '.[0].state')" = "$1" ]; }

note "start: a user, limits and a sandbox that it works in"
systemctl start nvtgt-vfud || fail "$(why start)"
wait_for 20 endpoint_is waiting || fail "$(why "no socket")"
status=$(inside cat "/proc/$(main_pid)/status")
awk '/^CapEff/ && $2 ~ /^0+$/ { n++ } /^Seccomp:/ && $2 == 2 { n++ } /^NoNewPrivs:/ && $2 == 1 { n++ } \
	/^Uid:/ && $2 != 0 { n++ } END { exit n != 4 }' <<<"$status" || fail "it has rights that it does not need: $status"
[ "$(stat -c %U $socket)" = nvtgt-vfud ] || fail "the socket: $(ls -l $socket)"

note "a guest goes on"
PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE python3 "$TESTS/functional/vm/daemon.py" replaced "$disk" &
guest=$!
wait_for 30 test -e /run/nvtgt/ready || fail "$(why "the guest has no controller")"
is_another() { [ "$(main_pid)" != "$before" ] && [ "$(main_pid)" != 0 ] && state_is active && endpoint_is connected; }
further() { [ "$(cat /run/nvtgt/ready)" -gt $((rounds + 3)) ]; }
for how in restart kill restart; do
	before=$(main_pid)
	if [ $how = kill ]; then
		inside kill -9 "$before"
	else
		systemctl restart nvtgt-vfud || fail "$(why restart)"
	fi
	wait_for 30 is_another || fail "$(why "after $how")"
	rounds=$(cat /run/nvtgt/ready)
	wait_for 60 further || fail "$(why "the guest stands still after $how")"
done
touch /run/nvtgt/stop
wait "$guest" || fail "$(why "the guest under a daemon that is replaced")"
wait_for 20 endpoint_is waiting || fail "$(why "when the guest has gone")"
[ "$(systemctl show -P NFileDescriptorStore nvtgt-vfud)" = 1 ] || fail "$(why "more than the socket is kept")"

note "a stop lets a guest go"
rm -f /run/nvtgt/ready /run/nvtgt/stop
PYTHONDONTWRITEBYTECODE=1 PATIENCE=$PATIENCE python3 "$TESTS/functional/vm/daemon.py" replaced "$disk" 2>"$WORK/guest.err" &
guest=$!
wait_for 30 test -e /run/nvtgt/ready || fail "$(why "the guest has no controller")"
systemctl stop nvtgt-vfud || fail "$(why stop)"
wait_for 30 none || fail "connections are left: $(cat $VM_CONNECTIONS)"
# it has been waiting for an answer of the daemon, or for a command of the controller
! wait "$guest" || fail "the guest has not noticed"
grep -qE 'hung up|Connection reset|Broken pipe|a completion of command' "$WORK/guest.err" ||
	fail "the guest: $(cat "$WORK/guest.err")"
! log_has "WARNING|BUG" || { log_since; fail "the kernel complains"; }
