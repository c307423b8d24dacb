#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a persistent discovery controller stays, and is told when the log changes; referrals, the
# unique discovery subsystem and the generation counter
# timeout: 150

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
make_subsystem first
make_subsystem second
make_port 1 "$TGT_IP"
link_port 1 first
well_known=nqn.2014-08.org.nvmexpress.discovery
shows() { nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 -o json | jq -e --arg n "$1" '.records[] | select(.subnqn == $n)' >/dev/null; }
shows first || fail "first is not shown"
expect_failure shows second
shows $well_known || fail "the discovery subsystem does not show itself"

note "the counter grows with each change"
old=$(nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 -o json)
old=$(jq '.genctr // empty' <<<"$old")
grows() {
	local new
	new=$(nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 -o json | jq '.genctr // empty')
	[ -z "$new" ] || [ "$new" -gt "$old" ] || fail "$1: the counter went from $old to $new"
	old=$new
}
link_port 1 second
grows "subsystem linked"
shows second || fail "second is not shown"
unlink_port 1 second
grows "subsystem unlinked"
expect_failure shows second
set_attr subsystems/first/attr_allow_any_host 0
grows "access restricted"
expect_failure shows first
allow_host first "$HOST_NQN"
grows "host allowed"
shows first || fail "the allowed host does not see first"

note "referrals"
dir=ports/1/referrals/other
mkdir "$CONFIGFS/$dir"
for a in trtype=tcp adrfam=ipv4 traddr=192.0.2.77 trsvcid=8009; do
	set_attr "$dir/addr_${a%%=*}" "${a#*=}"
done
set_attr $dir/enable 1
nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 -o json |
	jq -e '.records[] | select(.subtype | test("referral|discovery")) | select(.traddr == "192.0.2.77")' >/dev/null ||
	fail "the referral is not shown: $(nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420)"
rmdir "$CONFIGFS/$dir"

note "a persistent controller hears of changes"
nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 --persistent --keep-alive-tmo=5 >/dev/null || fail "discover --persistent"
ctrl=$(ctrl_of $well_known)
[ -n "$ctrl" ] || fail "no persistent controller"
defer nvme disconnect -d "$ctrl"
ctrl_is "$ctrl" live || fail "it is $(ctrl_state "$ctrl")"
# no udev here: the kernel's event is what a daemon would see
python3 - "$WORK/events" <<'PY' &
import socket, sys
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
s.bind((0, 1))
with open(sys.argv[1], "a", buffering=1) as out:
    print("ready", file=out)
    while True:
        print(s.recv(65536).replace(b"\0", b" ").decode(errors="replace"), file=out)
PY
listener=$!
: >>"$WORK/events"
defer kill $listener
wait_for 20 grep -q ready "$WORK/events" || fail "no listener"
link_port 1 second
wait_for 20 grep -q 'NVME_AEN=0x70f002' "$WORK/events" || { cat "$WORK/events"; fail "no event for a new subsystem"; }
nvme get-log "/dev/$ctrl" --log-id=0x70 --log-len=4096 -b 2>/dev/null | grep -aq second ||
	fail "the log of the persistent controller does not show second"
: >"$WORK/events"
unlink_port 1 second
wait_for 20 grep -q 'NVME_AEN=0x70f002' "$WORK/events" || { cat "$WORK/events"; fail "no event for one that went"; }
ctrl_is "$ctrl" live || fail "the persistent controller is $(ctrl_state "$ctrl")"
nvme disconnect -d "$ctrl" >/dev/null

note "a discovery subsystem of its own name"
set_attr discovery_nqn nqn.2026-11.test:discovery
nvme discover -t "$TRANSPORT" -a "$TGT_IP" -s 4420 -n nqn.2026-11.test:discovery | grep -q 'subnqn: *first' ||
	fail "it does not answer to its own name"
shows first || fail "it does not answer to the well-known name"
set_attr discovery_nqn $well_known
