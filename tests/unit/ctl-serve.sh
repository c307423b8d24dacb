#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl waits for what is not there yet: restore --wait, and serve as the
# unit runs it

. "$(dirname "$0")/lib/ctl.sh"

: >"$tmp/told"
: >"$tmp/serve.err"

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

# no_process_left : neither the tool nor a child of it
no_process_left() { ! pgrep -f "^$ctl " >"$tmp/left"; }

said() { grep -qF -- "$1" "$tmp/hand.err"; }
# by_hand ARG... : in the background, as from a terminal; hand_ends RC
by_hand() {
	: >"$tmp/hand.err"
	env --default-signal=INT "$ctl" --lock "$tmp/lock" "$@" 2>"$tmp/hand.err" >"$tmp/hand.out" &
	hand=$!
}
hand_ends() {
	local rc=0
	wait "$hand" || rc=$?
	checks=$((checks + 1))
	[ "$rc" = "$1" ] || bad "by hand: exit code $rc, expected $1: $(cat "$tmp/hand.err")"
	soon no_process_left
}

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
	# what somebody has removed meanwhile is no error at the end
	ok "" clear
	mv "$dev" "$dev.away"
	by_hand restore --wait 20 "$tmp/dir/config.json"
	soon said "waiting for $dev"
	ok "" namespace delete "${A}1" 1
	hand_ends 0
	mv "$dev.away" "$dev"
	no 2 "a number of seconds" restore --wait soon "$tmp/dir/config.json"
}

# status_is TEXT : the last status that the service told is this
status_is() {
	[ "$(grep -a '^STATUS=' "$tmp/told" | tail -n 1)" = "STATUS=$1" ]
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
	local ns=subsystems/${A}1/namespaces n
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
	# a port whose network namespace comes when all has been removed
	edit "port[2]['netns'] = '$tmp/netns'"
	for n in 1 2; do
		serve_on "$tmp/edited.json"
		status_is "Serving in part; waiting for network namespace $tmp/netns (port 2)" ||
			bad "status: $(tail -n 1 "$tmp/told")"
		[ "$n" = 2 ] || ok "" clear
		ln -s /proc/self/ns/net "$tmp/netns"
		soon status_is Serving
		if [ "$n" = 1 ]; then
			hasnt ports/2
		else
			has "ports/2/subsystems/${A}2"
		fi
		serve_off
		rm "$tmp/netns"
	done
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

# A device that does not answer holds up its own namespace, and nothing else.
hanging() {
	local ns=subsystems/${A}1/namespaces
	rm -rf "$tmp/dir"
	big_tree
	tree >"$tmp/before"
	ok "" save "$tmp/dir/config.json"
	ok "" clear
	touch "$dev.hangs"
	serve_on "$tmp/dir/config.json"
	status_is "Serving in part; waiting for $dev (subsystem ${A}1 namespace 1)" ||
		bad "status: $(tail -n 1 "$tmp/told")"
	heard "namespace 1: waiting for $dev (it does not answer)" || bad "not said"
	is $ns/1/enable 0
	is $ns/2/enable 1
	has "ports/1/subsystems/${A}1"
	has "ports/2/subsystems/${A}2"
	ok "the lock is free" --no-wait subsystem set "${A}1" serial=one
	rm "$dev.hangs"
	soon value_is $ns/1/enable 1
	soon heard "namespace 1: $dev has answered, it is in place now"
	soon status_is Serving
	unchanged "all is there"
	serve_off
	# it answers with an error, comes back, and is tried again
	ok "" clear
	touch "$dev.hangs"
	serve_on "$tmp/dir/config.json"
	mv "$dev" "$dev.away"
	rm "$dev.hangs"
	soon heard "namespace 1: waiting for $dev (No such file"
	mv "$dev.away" "$dev"
	soon status_is Serving
	unchanged "it has come back"
	serve_off
	# the end, a reload that names another device, and one that leaves it out
	ok "" clear
	touch "$dev.hangs"
	serve_on "$tmp/dir/config.json"
	serve_off
	soon no_process_left
	cp "$tmp/dir/config.json" "$tmp/edited.json"
	serve_on "$tmp/edited.json"
	edit "sub['1']['namespaces'][0]['device']['path'] = '$dev3'"
	kill -HUP "$server"
	soon value_is $ns/1/enable 1
	soon status_is Serving
	is $ns/1/device_path "$dev3"
	cp "$tmp/dir/config.json" "$tmp/edited.json"
	kill -HUP "$server"
	soon status_is "Serving in part; waiting for $dev (subsystem ${A}1 namespace 1)"
	edit "del sub['1']['namespaces'][0]"
	kill -HUP "$server"
	soon is_absent $ns/1
	soon status_is Serving
	serve_off
	soon no_process_left
	# killed: its child goes with it
	ok "" clear
	serve_on "$tmp/dir/config.json"
	kill -KILL "$server"
	wait "$server" 2>/dev/null || true
	kill "$listener"
	wait "$listener" 2>/dev/null || true
	soon no_process_left
	rm "$dev.hangs"
}

# The same without the service: it is said, Ctrl-C ends it, the rest is in place.
hanging_by_hand() {
	local ns=subsystems/${A}1/namespaces
	rm -rf "$tmp/dir"
	big_tree
	tree >"$tmp/before"
	ok "" save "$tmp/dir/config.json"
	ok "" clear
	touch "$dev.hangs"
	by_hand apply "$tmp/dir/config.json"
	soon said "namespace 1: waiting for $dev (it does not answer)"
	soon value_is $ns/2/enable 1
	soon test -L "$tmp/root/ports/1/subsystems/${A}1"
	soon "$ctl" --lock "$tmp/lock" --no-wait subsystem set "${A}1" serial=one
	kill -INT "$hand"
	hand_ends 130
	is $ns/1/enable 0
	by_hand apply "$tmp/dir/config.json"
	soon said "namespace 1: waiting for $dev"
	rm "$dev.hangs"
	hand_ends 0
	said "namespace 1: $dev has answered" || bad "not said: $(cat "$tmp/hand.err")"
	unchanged "it has answered"
	ok "" clear
	touch "$dev.hangs"
	no 1 "namespace 1: enable=1: the device does not answer" \
		restore --wait 6 "$tmp/dir/config.json"
	has "ports/1/subsystems/${A}1"
	soon no_process_left
	ok "a missing answer is no error" apply --partial "$tmp/dir/config.json"
	# one change alone is undone
	ok "" namespace delete "${A}1" 1
	tree >"$tmp/before"
	by_hand namespace create "${A}1" --nsid 1 --device "$dev"
	soon said "namespace 1: waiting for its device to answer; Ctrl-C gives up"
	kill -INT "$hand"
	hand_ends 1
	said "namespace 1: enable=1: given up" || bad "not said: $(cat "$tmp/hand.err")"
	said "nothing was changed" || bad "not undone: $(cat "$tmp/hand.err")"
	unchanged "given up"
	rm "$dev.hangs"
	ok "" apply "$tmp/dir/config.json"
	# what is removed is not disabled first, which waits for the device
	touch "$dev.hangs"
	ok "delete" namespace delete "${A}1" 1
	rm "$dev.hangs"
	ok "" apply "$tmp/dir/config.json"
	touch "$dev.hangs"
	ok "clear" clear
	rm "$dev.hangs"
	ok "" apply "$tmp/dir/config.json"
	# what cannot be removed keeps nothing else
	touch "$dev.stuck"
	no 1 "namespace 1: the device does not answer" clear
	grep -q "subsystem ${A}1 stays because of the error above" "$tmp/err" || bad "not said"
	[ "$(cd "$tmp/root" && find hosts ports subsystems -mindepth 1 -maxdepth 1)" = "subsystems/${A}1" ] ||
		bad "left: $(cd "$tmp/root" && find hosts ports subsystems -mindepth 1 -maxdepth 1)"
	soon no_process_left
	rm "$dev.stuck"
	ok "the rest" clear
	[ -z "$(find "$tmp/root" -mindepth 2)" ] || bad "not clear"
}

run_parts waiting service hanging hanging_by_hand
