#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl waits for what is not there yet: restore --wait, and serve as the
# unit runs it

. "$(dirname "$0")/lib/ctl.sh"

waiting() {
	fresh
	ok "" subsystem create "${A}1"
	ok "" namespace create "${A}1" --device "$dev"
	ok "" save "$tmp/dir/config.json"
	ok "" clear
	mv "$dev" "$dev.away"
	(until grep -q "waiting for $dev" "$tmp/err" 2>/dev/null; do
		sleep 0.05
	done; mv "$dev.away" "$dev") &
	: >"$tmp/err"
	ok "wait" restore --wait 120 "$tmp/dir/config.json"
	wait
	is "subsystems/${A}1/namespaces/1/enable" 1
	ok "" clear
	mv "$dev" "$dev.away"
	no 1 "enable=1: No such file" restore --wait 0 "$tmp/dir/config.json"
	mv "$dev.away" "$dev"
	ok "apply finishes it" apply "$tmp/dir/config.json"
	is "subsystems/${A}1/namespaces/1/enable" 1
	no 2 "a number of seconds" restore --wait soon "$tmp/dir/config.json"
}

# status_is TEXT : the last status that the service told is this
status_is() {
	[ "$(grep -a '^STATUS=' "$tmp/told" | tail -n 1)" = "STATUS=$1" ]
}

# within 60 seconds
soon() {
	local end=$((SECONDS + 60))
	checks=$((checks + 1))
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			bad "not in time: $*; told: $(tail -n 5 "$tmp/told"); $(cat "$tmp/serve.err")"
			return
		fi
		sleep 0.1
	done
}

value_is() { [ "$(cat "$tmp/root/$1" 2>/dev/null)" = "$2" ]; }

is_absent() { [ ! -e "$tmp/root/$1" ]; }

told_ready() { grep -qa '^READY=1' "$tmp/told"; }

gone() { ! kill -0 "$1" 2>/dev/null; }

heard() { grep -q -- "$1" "$tmp/serve.err"; }

serve_on() {
	: >"$tmp/told"
	: >"$tmp/serve.err"
	rm -f "$tmp/notify"
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(65536).decode(), flush=True)' "$tmp/notify" >>"$tmp/told" &
	listener=$!
	until [ -S "$tmp/notify" ]; do sleep 0.05; done
	NOTIFY_SOCKET=$tmp/notify "$ctl" --lock "$tmp/lock" serve "$1" \
		2>"$tmp/serve.err" &
	server=$!
	soon told_ready
}

serve_off() {
	local rc=0
	kill -TERM "$server"
	wait "$server" || rc=$?
	checks=$((checks + 1))
	[ "$rc" = 0 ] || bad "serve ended with $rc: $(cat "$tmp/serve.err")"
	kill "$listener"
	wait "$listener" 2>/dev/null || true
}

# The service: partial, said so, completed by itself, without the lock.
service() {
	local ns=subsystems/${A}1/namespaces
	rm -rf "$tmp/dir"
	big_tree
	tree >"$tmp/before"
	ok "" save "$tmp/dir/config.json"
	ok "" clear
	mv "$dev" "$dev.away"
	mv "$dev2" "$dev2.away"
	edit 'port[2]["netns"] = "not-there"'
	serve_on "$tmp/edited.json"
	status_is "Serving in part; waiting for network namespace not-there (port 2), $dev (subsystem ${A}1 namespace 1), $dev2 (subsystem ${A}1 namespace 2)" ||
		bad "status: $(tail -n 1 "$tmp/told")"
	is $ns/1/enable 0
	has "ports/1/subsystems/${A}1"
	hasnt ports/2
	# the lock is free, and what the administrator does meanwhile counts
	ok "the lock is free" --no-wait subsystem set "${A}1" serial=mine
	ok "" --no-wait namespace set "${A}1" 2 "path=$dev"
	mv "$dev.away" "$dev"
	soon value_is $ns/1/enable 1
	soon heard "namespace 1: $dev has come"
	soon status_is "Serving in part; waiting for network namespace not-there (port 2)"
	is $ns/2/enable 0
	is "subsystems/${A}1/attr_serial" mine
	# reload: as the unit does it
	ok "reload" apply --partial "$tmp/edited.json"
	is "subsystems/${A}1/attr_serial" one
	is $ns/2/device_path "$dev2"
	grep -q "namespace 2: waiting for $dev2" "$tmp/err" || bad "reload does not say what is missing"
	cp "$tmp/dir/config.json" "$tmp/edited.json"
	ok "reload" apply --partial "$tmp/edited.json"
	has "ports/2/subsystems/${A}1"
	kill -HUP "$server"
	soon status_is "Serving in part; waiting for $dev2 (subsystem ${A}1 namespace 2)"
	# a bad file later changes nothing
	echo '{' >"$tmp/edited.json"
	kill -HUP "$server"
	soon heard "the file ends in the middle"
	mv "$dev2.away" "$dev2"
	soon value_is $ns/2/enable 1
	soon status_is Serving
	unchanged "all is there"
	# taken away while it is served: said, and no more than that
	echo 1 >"$tmp/root/$ns/1/lost"
	soon status_is "Serving in part; lost $dev (subsystem ${A}1 namespace 1)"
	soon heard "lost: $dev"
	echo 0 >"$tmp/root/$ns/1/lost"
	soon status_is Serving
	# the modules were unloaded and loaded: there is another tree
	cp "$tmp/dir/config.json" "$tmp/edited.json"
	fresh
	kill -HUP "$server"
	soon value_is $ns/1/enable 1
	soon value_is $ns/2/enable 1
	soon status_is Serving
	serve_off
	unchanged "the service ends, the target serves on"
	# it comes again after a kill: what was not saved stays until a reload
	ok "" subsystem create "${A}9"
	serve_on "$tmp/dir/config.json"
	has "subsystems/${A}9"
	kill -HUP "$server"
	soon is_absent "subsystems/${A}9"
	serve_off
	unchanged "started over what runs"
	# deleted meanwhile: it does not come back
	ok "" clear
	mv "$dev" "$dev.away"
	serve_on "$tmp/dir/config.json"
	ok "" namespace delete "${A}1" 1
	mv "$dev.away" "$dev"
	soon status_is Serving
	hasnt $ns/1
	serve_off
	# refused for good: said, and the rest is served
	ok "" clear
	edit 'sub["1"]["attr"]["serial"] = "refuse-me"'
	serve_on "$tmp/edited.json"
	status_is "Serving in part; 1 refused: see the log" || bad "status: $(cat "$tmp/told")"
	is $ns/1/enable 1
	serve_off
	no 1 "the file ends in the middle" serve <(echo '{')
	ok "without a service manager" clear
	rm -rf "$tmp/dir"
}

run_parts waiting service
