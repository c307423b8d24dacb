#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgt.service under a real systemd: a start with one device missing is a success that says what is
# missing; reload works and disconnects nobody; the device is served when it comes; a killed process comes
# again; one device that hangs holds up neither the others nor a stop; stopping, also while it reloads, and
# shutting down clear the target
# timeout: 300

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/systemd.sh"
target_is_nvtgt || skip "about nvtgt's unit"
over_rdma && skip "the unit is the same"
make_networks
modprobe nvme-tcp
unset NVTGT_ROOT
start_systemd nvtgt.service
mkdir -p /etc/nvtgt
defer rm -rf /etc/nvtgt

# what shall be served
modprobe loop
file=$(file_make 16)
late=$WORK/late
dev=$(null_blk_make size=64)
jq -n --arg dev "$dev" --arg late "$late" --arg ip "$TGT_IP" '{
	hosts: [],
	subsystems: [{nqn: "testnqn", attr: {allow_any_host: "1"}, allowed_hosts: [], namespaces: [
		{nsid: 1, enable: 1, device: {path: $dev}}, {nsid: 2, enable: 1, device: {path: $late}}]}],
	ports: [{portid: 1, netns: "tgt", subsystems: ["testnqn"], param: {max_queue_size: "-1"},
		addr: {trtype: "tcp", adrfam: "ipv4", traddr: $ip, trsvcid: "4420"}}]}' >/etc/nvtgt/config.json
defer modprobe -r nvtgt-tcp nvtgt-bdev nvtgt-null nvtgt
defer nvtgtctl clear

status_has() { [[ $(systemctl show -P StatusText nvtgt) == *"$1"* ]]; }
state() { systemctl show -P ActiveState nvtgt; }
state_is() { [ "$(state)" = "$1" ]; }
why() { echo "$1: $(systemctl status nvtgt 2>&1); log: $(cat log)"; }

note "start with a device missing"
start=$SECONDS
systemctl start nvtgt || fail "$(why start)"
[ $((SECONDS - start)) -lt $((30 * PATIENCE)) ] || fail "the start waited for the device"
state_is active || fail "$(why "not active")"
status_has "waiting for $late (subsystem testnqn namespace 2)" || fail "$(why "no list")"
systemctl status nvtgt | grep "Status:.*$late" >/dev/null || fail "$(why "not in systemctl status")"
disk=$(host_connect testnqn --keep-alive-tmo 120) || fail "what is there is not served"
ctrl=$(ctrl_of testnqn)
log_mark
undisturbed() {
	ctrl_is "$ctrl" live || fail "$1: the controller is $(ctrl_state "$ctrl")"
	! log_has "nvme $ctrl: .*(reconnect|resetting|failed)" || fail "$1: $(log_since)"
}

note "reload"
systemctl reload nvtgt || fail "$(why "reload with a device missing")"
jq '.subsystems[0].namespaces += [{nsid: 3, enable: 1, backend: "null", backend_options: "size=1m"}]' \
	/etc/nvtgt/config.json >next && mv next /etc/nvtgt/config.json
systemctl reload nvtgt || fail "$(why "reload with a new namespace")"
wait_for 20 has_disk "$ctrl" 3 || fail "the new namespace is not there"
status_has "waiting for $late" || fail "$(why "status after reload")"
echo oops >bad && mv /etc/nvtgt/config.json good && mv bad /etc/nvtgt/config.json
! systemctl reload nvtgt 2>/dev/null || fail "a bad file was reloaded"
state_is active || fail "$(why "after a bad reload")"
mv good /etc/nvtgt/config.json
undisturbed "reload"

note "killed"
main_pid() { systemctl show -P MainPID nvtgt; }
old=$(main_pid)
inside kill -9 "$old"
is_another() { [ "$(main_pid)" != "$old" ] && [ "$(main_pid)" != 0 ] && state_is active; }
wait_for 60 is_another || fail "$(why "it did not come again")"
status_has "waiting for $late" || fail "$(why "status after a restart")"
undisturbed "killed"

note "the device comes"
cp "$file" new && mv new "$late"
wait_for 60 has_disk "$ctrl" 2 || fail "$(why "the late device is not served")"
status_is() { [ "$(systemctl show -P StatusText nvtgt)" = "$1" ]; }
wait_for 20 status_is Serving || fail "$(why "status at the end")"
grep -q "namespace 2: $late has come" log || fail "$(why "no line in the log")"
undisturbed "the device has come"
fio_verify "$disk" --size=512k || fail "I/O"
host_disconnect testnqn

nothing() { [ -z "$(find /sys/kernel/config/nvtgt/{hosts,ports,subsystems} -mindepth 1)" ]; }
note "stop"
systemctl stop nvtgt || fail "$(why stop)"
nothing || fail "$(why "not clear")"
state_is inactive || fail "$(why "after stop")"

note "stop just after the process was killed, and while it comes again"
for when in active activating; do
	systemctl start nvtgt || fail "$(why "start again")"
	inside kill -9 "$(main_pid)"
	[ "$when" = active ] || wait_for 20 state_is activating || fail "$(why "it does not come again")"
	systemctl stop nvtgt || fail "$(why "stop after a kill")"
	nothing || fail "$(why "not clear after a kill, $when")"
done

note "start with a device that hangs"
modprobe nvtgt-null
hangs() { echo "$1" >/sys/module/nvtgt_null/parameters/hang; }
defer hangs N
hangs Y
start=$SECONDS
systemctl start nvtgt || fail "$(why "start with a device that hangs")"
[ $((SECONDS - start)) -lt $((60 * PATIENCE)) ] || fail "the start waited for the device that hangs"
status_is "Serving in part; waiting for its device (subsystem testnqn namespace 3)" || fail "$(why "no word of it")"
disk=$(host_connect testnqn --keep-alive-tmo 120) || fail "the others are not served"
ctrl=$(ctrl_of testnqn)
wait_for 20 has_disk "$ctrl" 2 || fail "the second namespace is not served"
systemctl reload nvtgt || fail "$(why "reload with a device that hangs")"
status_has "its device (subsystem testnqn namespace 3)" || fail "$(why "status after that reload")"
wait_for 20 flock -n /run/nvtgtctl.lock true || fail "the lock is held"
hangs N
wait_for 60 has_disk "$ctrl" 3 || fail "$(why "it has answered and is not served")"
wait_for 20 status_is Serving || fail "$(why "status when it has answered")"
host_disconnect testnqn
systemctl stop nvtgt || fail "$(why stop)"
nothing || fail "$(why "not clear")"

note "stop while it hangs"
hangs Y
systemctl start nvtgt || fail "$(why "start with a device that hangs")"
start=$SECONDS
systemctl stop nvtgt || fail "$(why "stop while it hangs")"
[ $((SECONDS - start)) -lt $((30 * PATIENCE)) ] || fail "the stop waited for the device that hangs"
nothing || fail "$(why "not clear")"
hangs N

note "stop while it reloads, which the lock holds up"
systemctl start nvtgt || fail "$(why "start again")"
exec 9>/run/nvtgtctl.lock
flock 9
systemctl reload --no-block nvtgt
wait_for 20 state_is reloading || fail "$(why "not reloading")"
systemctl stop --no-block nvtgt
wait_for 20 state_is deactivating || fail "$(why "not stopping")"
exec 9>&-
# systemd calls the unit failed where it had to kill the reload
is_stopped() { state_is inactive || state_is failed; }
wait_for 60 is_stopped || fail "$(why "stop while it reloads")"
nothing || fail "$(why "not clear after a reload that was cut short")"

note "shutdown, again with the device missing"
mv "$late" "$late.away"
systemctl start nvtgt || fail "$(why "start again")"
status_has "waiting for $late" || fail "$(why "status again")"
systemctl start shutdown.target || fail "shutdown.target"
wait_for 30 state_is inactive || fail "$(why shutdown)"
nothing || fail "$(why "not clear at shutdown")"

note "a bad file at the start is a failure"
echo oops >/etc/nvtgt/config.json
! systemctl start nvtgt 2>/dev/null || fail "$(why "a bad file")"
wait_for 20 state_is failed || fail "$(why "a bad file")"
