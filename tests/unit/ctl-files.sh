#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: save, restore, apply and clear of nvtgtctl: what a file says is what runs, in
# few steps; bad files; dry runs

. "$(dirname "$0")/lib/ctl.sh"

# versions N SERIAL... : config.json.1 ... have these serial numbers, and no more
versions() {
	local n=0 serial
	for serial in "$@"; do
		n=$((n + 1))
		checks=$((checks + 1))
		grep -q "\"serial\": \"$serial\"" "$tmp/dir/config.json.$n" ||
			bad "config.json.$n is not $serial"
		[ "$(stat -c %a "$tmp/dir/config.json.$n")" = 600 ] ||
			bad "others can read config.json.$n"
	done
	[ "$(find "$tmp/dir" -type f | wc -l)" = $((n + 1)) ] ||
		bad "files: $(ls -A "$tmp/dir")"
}

saving() {
	local n
	rm -rf "$tmp/dir"
	fresh
	ok "" subsystem create "${A}1" serial=v0
	for n in 1 2; do
		ok "" save "$tmp/dir/config.json"
		ok "the same again" save "$tmp/dir/config.json"
		ok "" subsystem set "${A}1" serial="v$n"
	done
	versions v0
	for n in 3 4 5 6 7; do
		ok "" save "$tmp/dir/config.json"
		ok "" subsystem set "${A}1" serial="v$n"
	done
	ok "" save "$tmp/dir/config.json"
	versions v6 v5 v4 v3 v2

	# what a run that was killed leaves goes with the next one
	ok "" subsystem set "${A}1" serial=v8
	(ulimit -f 0; "$ctl" --lock "$tmp/lock" save "$tmp/dir/config.json" || true) >/dev/null 2>&1
	[ "$(find "$tmp/dir" -type f | wc -l)" = 7 ] || bad "the killed run left nothing: $(ls -A "$tmp/dir")"
	ok "" save "$tmp/dir/config.json"
	versions v7 v6 v5 v4 v3

	# what runs is less than what the file has
	rm -rf "$tmp/dir"
	ok "" namespace create "${A}1" --device "$dev"
	ok "" port create 1 --traddr 203.0.113.99 --subsystem "${A}1"
	ok "" save "$tmp/dir/config.json"
	cp "$tmp/dir/config.json" "$tmp/good.json"
	ok "" namespace disable "${A}1" 1
	mv "$dev" "$dev.away"
	no 1 "namespace 1: its device $dev is missing" save "$tmp/dir/config.json"
	mv "$dev.away" "$dev"
	ok "" port unlink 1 "${A}1"
	no 1 "port 1: its address 203.0.113.99 is missing" save "$tmp/dir/config.json"
	ok "" clear
	no 1 "nothing at all is configured" save "$tmp/dir/config.json"
	no 1 "save --force" save "$tmp/dir/config.json"
	cmp "$tmp/good.json" "$tmp/dir/config.json" || bad "the good file is lost"
	ok "forced" save --force "$tmp/dir/config.json"
	cmp "$tmp/good.json" "$tmp/dir/config.json.1" || bad "the old version is lost"
	# what somebody has removed or disabled is meant so
	rm -rf "$tmp/dir"
	big_tree
	ok "" save "$tmp/dir/config.json"
	ok "" namespace disable "${A}1" 1
	ok "" namespace delete "${A}1" 2
	ok "" port unlink 2 "${A}1"
	ok "meant so" save "$tmp/dir/config.json"
	echo '{"hosts": oops}' >"$tmp/dir/config.json"
	ok "over rubbish" save "$tmp/dir/config.json"
	grep -q oops "$tmp/dir/config.json.1" || bad "even rubbish stays"
	# a link stays a link, and a pipe a pipe
	mv "$tmp/dir/config.json" "$tmp/dir/real"
	rm "$tmp"/dir/config.json.*
	ln -s real "$tmp/dir/config.json"
	ok "through a link" subsystem set "${A}1" serial=linked
	ok "through a link" save "$tmp/dir/config.json"
	[ -L "$tmp/dir/config.json" ] || bad "the link is gone"
	[ -e "$tmp/dir/real.1" ] || bad "no version of what it leads to"
	ok "to stdout by its name" save /dev/stdout
	cmp "$tmp/out" "$tmp/dir/real" || bad "another text"
	rm -rf "$tmp/dir"
	ok "" save "$tmp/dir/config.json"
	for n in {1..5}; do echo {} >"$tmp/dir/config.json.$n"; done
	# many at once: the file is whole whenever somebody looks
	for n in {1..6}; do
		(for _ in {1..5}; do
			"$ctl" --quiet --lock "$tmp/lock" subsystem set "${A}1" serial="run$n"
			"$ctl" --quiet --lock "$tmp/lock" save "$tmp/dir/config.json"
		done) >>"$tmp/many" 2>&1 &
	done
	for n in {1..40}; do
		python3 -c 'import json, sys; json.load(open(sys.argv[1]))' \
			"$tmp/dir/config.json" || bad "half a file"
	done
	wait
	[ ! -s "$tmp/many" ] || bad "saving at once: $(cat "$tmp/many")"
	[ "$(find "$tmp/dir" -type f | wc -l)" = 6 ] || bad "left: $(ls -A "$tmp/dir")"
	rm -rf "$tmp/dir"
}

files() {
	big_tree
	tree >"$tmp/before"
	ok "save" save "$tmp/dir/config.json"
	[ "$(stat -c %a "$tmp/dir/config.json")" = 600 ] || bad "mode of the file"
	[ "$(ls -A "$tmp/dir")" = config.json ] || bad "temporary file left: $(ls -A "$tmp/dir")"
	grep -q 'DHHC-1:00:secret' "$tmp/dir/config.json" || bad "secret lost"
	ok "show hides secrets" show --json
	! grep -q 'DHHC' "$tmp/out" || bad "secret shown"
	ok "text too" show
	! grep -q 'DHHC' "$tmp/out" || bad "secret shown"
	ok "unless asked" host show --secrets
	out DHHC
	no 1 "configured already" restore "$tmp/dir/config.json"
	ok "nothing to do" apply --dry-run "$tmp/dir/config.json"
	[ ! -s "$tmp/out" ] || bad "steps for the same configuration"
	ok "clear" clear
	[ -z "$(find "$tmp/root" -mindepth 2)" ] || bad "not clear"
	ok "clear is idempotent" clear
	ok "restore" restore "$tmp/dir/config.json"
	unchanged "after save, clear, restore"
	ok "restore --clear" restore --clear "$tmp/dir/config.json"
	unchanged "after restore --clear"
	ok "to stdout" save -
	cmp "$tmp/out" "$tmp/dir/config.json" || bad "save - differs"
	python3 -c 'import json, sys
t = open(sys.argv[1]).read()
assert t == json.dumps(json.loads(t), sort_keys=True, indent=2) + "\n"' \
		"$tmp/dir/config.json" || bad "not written as nvmetcli does"
}

# steps TEXT... : "apply --dry-run" gives exactly these steps, apply does it
steps() {
	printf '%s\n' "$@" >"$tmp/expected"
	ok "dry run" apply --dry-run "$tmp/edited.json"
	diff "$tmp/expected" "$tmp/out" || bad "other steps"
	ok "apply" apply "$tmp/edited.json"
	ok "again" apply --dry-run "$tmp/edited.json"
	[ ! -s "$tmp/out" ] || bad "apply left something to do"
	ok "back" apply "$tmp/dir/config.json"
	unchanged "apply and back"
}

differences() {
	tree >"$tmp/before"
	edit 'sub["1"]["attr"]["serial"] = "new"'
	steps "set subsystem ${A}1 attr_serial=new"
	edit 'sub["1"]["namespaces"][0]["device"]["uuid"] = "99999999-2222-3333-4444-555555555555"'
	steps "set subsystem ${A}1 namespace 1 enable=0" \
		"set subsystem ${A}1 namespace 1 device_uuid=99999999-2222-3333-4444-555555555555" \
		"set subsystem ${A}1 namespace 1 enable=1"
	edit 'sub["1"]["namespaces"][0]["ana_grpid"] = 2'
	steps "set subsystem ${A}1 namespace 1 ana_grpid=2"
	edit 'del sub["1"]["namespaces"][1]'
	steps "delete subsystem ${A}1 namespace 2"
	edit 'port[1]["addr"]["trsvcid"] = "4430"'
	steps "remove port 1 link to ${A}1" "set port 1 addr_trsvcid=4430" \
		"add port 1 link to ${A}1"
	edit 'port[1]["ana_groups"][1]["ana"]["state"] = "inaccessible"'
	steps "set port 1 ana-group 2 ana_state=inaccessible"
	edit 'port[1]["ana_groups"] = port[1]["ana_groups"][:1]'
	steps "delete port 1 ana-group 2"
	edit 'port[1]["referrals"][0]["addr"]["traddr"] = "192.0.2.8"'
	steps "set port 1 referral r enable=0" \
		"set port 1 referral r addr_traddr=192.0.2.8" \
		"set port 1 referral r enable=1"
	edit 'c["subsystems"] = [sub["1"]]; port[2]["subsystems"] = [sub["1"]["nqn"]]'
	steps "remove port 2 link to ${A}2" \
		"delete subsystem ${A}2 namespace 1" "delete subsystem ${A}2"
	edit 'sub["1"]["attr"]["allow_any_host"] = "1"; sub["1"]["allowed_hosts"] = []'
	steps "set subsystem ${A}1 attr_allow_any_host=1" \
		"allow subsystem ${A}1 (no host by name)"
	edit 'c["hosts"].append({"nqn": "nqn.h"}); sub["1"]["allowed_hosts"].append("nqn.h")'
	steps "create host nqn.h" \
		"allow subsystem ${A}1 ${H}1 nqn.h"
	edit 'del c["ports"][1]'
	steps "remove port 2 link to ${A}1" "remove port 2 link to ${A}2" \
		"delete port 2"
	edit 'del c["ports"]; del c["hosts"]; c["subsystems"] = [{"nqn": "new"}]'
	ok "merge" apply --merge --dry-run "$tmp/edited.json"
	printf '%s\n' "create subsystem new" | diff - "$tmp/out" ||
		bad "merge has other steps"
	# what is in force already, and other spellings, are no reason to close a port
	edit 'port[1]["param"]["inline_data_size"] = "16384"; port[2]["param"]["cpus"] = open("/sys/devices/system/cpu/possible").read().strip()
sub["1"]["namespaces"][0]["device"]["nguid"] = "00:" * 15 + "00"'
	ok "in force" apply --dry-run "$tmp/edited.json"
	[ ! -s "$tmp/out" ] || bad "steps for what is in force"
	edit 'port[2]["param"]["inline_data_size"] = "8192"'
	steps "remove port 2 link to ${A}1" "remove port 2 link to ${A}2" \
		"set port 2 param_inline_data_size=8192" \
		"add port 2 link to ${A}1" "add port 2 link to ${A}2"
	edit 'sub["1"]["namespaces"][0]["backend_options"] = "lba=4096"'
	ok "live attribute that is not" apply "$tmp/edited.json"
	is "subsystems/${A}1/namespaces/1/backend_options" lba=4096
	is "subsystems/${A}1/namespaces/1/enable" 1
	edit 'sub["1"]["namespaces"][0]["backend_options"] = "lba=512"'
	mv "$dev" "$dev.away"
	no 1 "namespace 1: enable=1: No such file" apply "$tmp/edited.json"
	! grep -q "backend_options=" "$tmp/err" || bad "the wrong attribute is named"
	is "subsystems/${A}1/namespaces/1/backend_options" lba=512
	mv "$dev.away" "$dev"
}

broken_parts() {
	big_tree
	ok "" save "$tmp/dir/config.json"
	edit 'sub["1"]["namespaces"][0]["device"]["path"] = "/dev/nope"; port[1]["addr"]["trtype"] = "rdma"'
	ok "" clear
	no 1 "2 errors: the rest" restore "$tmp/edited.json"
	grep -q "namespace 1: enable=1: No such file" "$tmp/err" ||
		bad "the namespace is not named"
	grep -q "port 1 link to ${A}1 is left out" "$tmp/err" ||
		bad "the port's link is not named"
	is "subsystems/${A}1/namespaces/2/enable" 1
	is "subsystems/${A}1/namespaces/1/enable" 0
	hasnt "ports/1/subsystems/${A}1"
	has "ports/2/subsystems/${A}1"
	# a host whose key is refused must not be let in without one
	big_tree
	edit 'c["hosts"][0]["dhchap"]["key"] = "refuse-me"'
	ok "" clear
	no 1 "is not allowed because of the error" restore "$tmp/edited.json"
	hasnt "subsystems/${A}1/allowed_hosts/${H}1"
	hasnt "ports/1/subsystems/${A}1"
}

namespaces_of_the_network() {
	big_tree
	ok "" save "$tmp/dir/config.json"
	! grep -q netns "$tmp/dir/config.json" || bad "the first namespace is named"
	edit 'port[1]["netns"] = "not-there"'
	ok "another port" apply --dry-run "$tmp/edited.json"
	out "create port 1 in network namespace not-there"
	out "delete port 1"
	ok "" clear
	no 1 "there is no such network namespace" restore "$tmp/edited.json"
	hasnt ports/1
	has "ports/2/subsystems/${A}1"
	ok "" apply "$tmp/dir/config.json"
	edit 'port[2]["netns"] = "not-there"; port[2]["subsystems"] = [sub["1"]["nqn"]]; c["ports"] = [port[2]]'
	ok "a port moves with its links" apply --merge --dry-run "$tmp/edited.json"
	out "add port 2 link to ${A}1"
	out "add port 2 link to ${A}2"
	ok "" clear
	edit 'port[1]["netns"] = "not-there"'
	no 1 "there is no such network namespace" restore "$tmp/edited.json"
	edit 'port[1]["netns"] = ""'
	ok "the first one by its name" apply "$tmp/dir/config.json"
	ok "is where the port is" apply --dry-run "$tmp/edited.json"
	[ ! -s "$tmp/out" ] || bad "steps for the same namespace"
	no 1 "only a new port" port set 1 netns=other
	edit 'port[1]["netns"] = "../../proc/1/ns/net"'
	ok "" clear
	no 1 "there is no such network namespace" restore "$tmp/edited.json"
}

# NAME TEXT : a file with TEXT is refused with a message that has NAME in it
refused_file() {
	printf '%s' "$2" >"$tmp/bad.json"
	no 1 "$1" apply "$tmp/bad.json"
}

bad_files() {
	fresh
	tree >"$tmp/before"
	refused_file "line 1, column" '{"hosts": ['
	refused_file "line 2, column" $'{\n"hosts": oops}'
	refused_file "line 1, column 4" '{} {}'
	printf '{}\n\0junk' >"$tmp/bad.json"
	no 1 "line 2, column 1: more text after" apply "$tmp/bad.json"
	refused_file "expected an object, found an array" '[]'
	refused_file "subsystems: expected an array, found an object" \
		'{"subsystems": {}}'
	refused_file 'subsystems[0]: "nqn" is missing' '{"subsystems": [{}]}'
	refused_file 'subsystems[0].nqn: expected a string, found a number' \
		'{"subsystems": [{"nqn": 3}]}'
	refused_file 'subsystems[1].namespaces[0].nsid: it must be a decimal' \
		'{"subsystems": [{"nqn": "a"}, {"nqn": "b", "namespaces": [{"nsid": 0}]}]}'
	refused_file 'subsystems[0].namespaces[0].nsid: it must be' \
		'{"subsystems": [{"nqn": "a", "namespaces": [{"nsid": "-1"}]}]}'
	refused_file 'subsystems[0].nqn: a name is not' \
		'{"subsystems": [{"nqn": "../x"}]}'
	refused_file 'contains a NUL' '{"subsystems": [{"nqn": "a\u0000b"}]}'
	refused_file 'subsystems[0].attr.../x: not the name' \
		'{"subsystems": [{"nqn": "a", "attr": {"../x": "1"}}]}'
	refused_file 'subsystems[0].attr.serial: expected a string or a whole number' \
		'{"subsystems": [{"nqn": "a", "attr": {"serial": {}}}]}'
	refused_file 'ports[0].portid: it must be' '{"ports": [{"portid": 70000}]}'
	refused_file 'hosts[1]: "h" is already at index 0' \
		'{"hosts": [{"nqn": "h"}, {"nqn": "h"}]}'
	refused_file 'ports[0].subsystems[0]: "x" is not under "subsystems"' \
		'{"ports": [{"portid": 1, "subsystems": ["x"]}]}'
	refused_file 'subsystems[0].allowed_hosts[0]: "x" is not under "hosts"' \
		'{"subsystems": [{"nqn": "a", "allowed_hosts": ["x"]}]}'
	refused_file 'subsystems[0].frob: subsystem has no such part' \
		'{"subsystems": [{"nqn": "a", "frob": {}}]}'
	refused_file 'nesting too deep' "$(printf '[%.0s' {1..40})"
	unchanged "after bad files"
	no 1 "cannot open" apply "$tmp/nothing.json"
	head -c 17000000 /dev/zero | tr '\0' ' ' >"$tmp/bad.json"
	no 1 "more than 16777216 bytes" apply "$tmp/bad.json"
	no 1 "cannot save" save /proc/nowhere/config.json
}

# Each command that takes things away says first what it would do.
dry_runs() {
	big_tree
	tree >"$tmp/before"
	ok "" save "$tmp/dir/config.json"
	ok "clear --dry-run" clear --dry-run
	out "remove port 1 link to ${A}1"
	out "delete subsystem ${A}2"
	out "delete host ${H}1"
	unchanged "clear --dry-run"
	cp "$tmp/out" "$tmp/clearing"
	ok "restore --clear --dry-run" restore --clear --dry-run \
		"$tmp/dir/config.json"
	head -n "$(wc -l <"$tmp/clearing")" "$tmp/out" | diff "$tmp/clearing" - ||
		bad "restore --clear begins with other steps"
	out "create subsystem ${A}1"
	out "set subsystem ${A}1 namespace 1 enable=1"
	! grep -q DHHC "$tmp/out" || bad "secret shown"
	unchanged "restore --clear --dry-run"
	no 1 "configured already" restore --dry-run "$tmp/dir/config.json"
	ok "unexport --dry-run" unexport --dry-run "${A}1"
	out "delete port 1"
	! grep -q "${A}2" "$tmp/out" || bad "another subsystem is touched"
	unchanged "unexport --dry-run"
	ok "unexport --dry-run" unexport --dry-run "$dev"
	out "delete subsystem ${A}1 namespace 1"
	unchanged "unexport of a device --dry-run"
	ok "" clear
	tree >"$tmp/before"
	ok "on an empty target" restore --dry-run "$tmp/dir/config.json"
	out "create port 2"
	unchanged "restore --dry-run"
}

run_parts saving files differences broken_parts namespaces_of_the_network bad_files dry_runs
