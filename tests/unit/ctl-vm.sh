#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl and ports of type vfio-user: export and QEMU's options, one subsystem, a
# socket's path, who the virtual machine is, files, and what is said without the daemon

. "$(dirname "$0")/lib/ctl.sh"

sock=$tmp/sock
id=12345678-9abc-def0-1234-56789abcdef0
dir=/run/nvtgt-vfud

# listen PATH : a socket, as the daemon makes it
listen() {
	mkdir -p "$(dirname "$1")"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$1"
}

# err TEXT : on stderr
err() {
	checks=$((checks + 1))
	grep -qF -- "$1" "$tmp/err" || bad "no \"$1\" on stderr"
}

# silent : nothing on stderr
silent() {
	checks=$((checks + 1))
	[ ! -s "$tmp/err" ] || bad "something on stderr"
}

exporting() {
	fresh
	tree >"$tmp/before"
	listen "$sock/vm1.sock"
	ok "export" export "$dev" --trtype vfio-user --traddr "$sock/vm1.sock" --nqn "${A}1"
	printf '%s\n' "-object memory-backend-memfd,id=mem0,size=SIZE,share=on -machine memory-backend=mem0" \
		"-device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"$sock/vm1.sock\"}}'" |
		diff - "$tmp/out" || bad "QEMU's options"
	err "QEMU 10.1 or newer; SIZE is the virtual machine's memory"
	checks=$((checks + 1))
	! grep -q "no socket" "$tmp/err" || bad "the socket is not seen"
	is ports/1/addr_trtype vfio-user
	is ports/1/addr_traddr "$sock/vm1.sock"
	is ports/1/addr_adrfam ""
	is ports/1/addr_trsvcid ""
	is "subsystems/${A}1/attr_allow_any_host" 1
	is "subsystems/${A}1/namespaces/1/enable" 1
	has "ports/1/subsystems/${A}1"
	cp "$tmp/out" "$tmp/first"
	tree >"$tmp/before2"
	ok "again" export "$dev" --trtype vfio-user
	cmp "$tmp/first" "$tmp/out" || bad "other options the second time"
	tree | diff "$tmp/before2" - || bad "export twice is not export once"
	ok "json" --quiet export "$dev" --trtype vfio-user --json
	silent
	checks=$((checks + 1))
	python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
device = {"driver": "vfio-user-pci", "socket": {"type": "unix", "path": sys.argv[2]}}
assert o["qemu"]["device"] == device, o
assert o["qemu"]["object"] == "memory-backend-memfd,id=mem0,size=SIZE,share=on", o
assert o["qemu"]["machine"] == "memory-backend=mem0", o
assert (o["socket"], o["nqn"], o["nsid"], o["portid"]) == (sys.argv[2], sys.argv[3], 1, 1), o' \
		"$tmp/out" "$sock/vm1.sock" "${A}1" || bad "JSON"
	ok "another virtual machine with the same disk" --quiet export "$dev" --trtype vfio-user \
		--traddr "$sock/vm2.sock"
	has "ports/2/subsystems/${A}1"
	no 2 "2 sockets lead to" export "$dev" --trtype vfio-user
	no 1 "port 1 serves ${A}1 already" export "$dev2" --trtype vfio-user --traddr "$sock/vm1.sock"
	no 1 "port 1 serves ${A}1 already" export "$dev2" --trtype vfio-user --port 1
	# it listens nowhere: a port for the network is another one
	ok "over tcp" export "$dev2" --allow-any-host
	out "nvme connect -t tcp"
	is ports/3/addr_trtype tcp
	ok "json over tcp" --quiet export "$dev2" --allow-any-host --json
	checks=$((checks + 1))
	python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
assert o["connect"] and all(c.startswith("nvme connect -t tcp -a ") for c in o["connect"]), o
assert o["portid"] == 3 and "qemu" not in o, o' "$tmp/out" || bad "JSON over tcp"
	no 1 "port 1 exists with another address" export "$dev2" --allow-any-host --port 1
	no 1 "port 3 exists with another address" export "$dev2" --trtype vfio-user --port 3
	ok "" unexport "$dev2"
	ok "" unexport "$dev"
	unchanged "after unexport"
	no 2 "--trsvcid means nothing" export "$dev" --trtype vfio-user --trsvcid 4420
	no 2 "--host: a virtual machine does not say who it is" export "$dev" --trtype vfio-user --host "${H}1"
	no 2 "the absolute path of a socket" export "$dev" --trtype vfio-user --traddr vm1.sock
	no 2 "at most 107 characters" export "$dev" --trtype vfio-user --traddr "/$(printf 'x%.0s' {1..107})"
	no 2 "no blanks" export "$dev" --trtype vfio-user --traddr "/run/vm 1.sock"
	no 2 "not of a directory" export "$dev" --trtype vfio-user --traddr /run/
	no 2 "a UUID is needed" export "$dev" --trtype vfio-user --hostid "${id}0"
	no 2 "a UUID is needed" export "$dev" --trtype vfio-user --hostid "${id/-/x}"
	no 2 "a UUID is needed" export "$dev" --trtype vfio-user --hostid "${id%?}"
	no 2 "host \"../x\"" export "$dev" --trtype vfio-user --hostnqn ../x
	no 2 "--hostnqn is for --trtype vfio-user" export "$dev" --hostnqn "${H}1" --allow-any-host
	no 2 "--hostid is for --trtype vfio-user" export "$dev" --hostid "$id" --allow-any-host
	unchanged "after wrong exports"
	ok "107 characters" --quiet export "$dev" --trtype vfio-user --traddr "/$(printf 'x%.0s' {1..106})"
	ok "" unexport "$dev"
	ok "quoted" --quiet export "$dev" --trtype vfio-user --traddr "/run/a'b\".sock"
	checks=$((checks + 1))
	[ "$(eval "set -- $(tail -1 "$tmp/out")"; echo "$2")" = \
		"{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\"path\":\"/run/a'b\\\".sock\"}}" ] ||
		bad "quotes in the path"
	ok "" unexport "$dev"
	unchanged "after unexport"
}

# path NQN SOCKET : what export chooses for it; PORT is the port's number
path() {
	ok "$1" --quiet export "$dev3" --force --trtype vfio-user --nqn "$1"
	is "ports/$PORT/addr_traddr" "$dir/$2"
	PORT=$((PORT + 1))
}

default_paths() {
	fresh
	PORT=1
	path "${A}1" "${A##*:}1.sock"
	path nqn.2026-01.org.example:web:root web-root.sock
	path nqn.2026-02.org.example:web-root web-root-3.sock
	path plainname plainname.sock
	path nqn.2026-01.org.example: nqn.2026-01.org.example-.sock
	path "nqn.x:.a b" "_a-b.sock"
	path "nqn.x:é" "_-.sock"
	path "nqn.x:$(printf 'y%.0s' {1..200})" "$(printf 'y%.0s' {1..64}).sock"
}

identity() {
	fresh
	tree >"$tmp/before"
	ok "named" --quiet export "$dev" --trtype vfio-user --nqn "${A}1" --hostnqn "${H}1" --hostid "$id"
	is ports/1/param_hostnqn "${H}1"
	is ports/1/param_hostid "$id"
	is "subsystems/${A}1/attr_allow_any_host" 0
	has "subsystems/${A}1/allowed_hosts/${H}1"
	tree >"$tmp/before2"
	ok "again" --quiet export "$dev" --trtype vfio-user
	ok "again" --quiet export "$dev" --trtype vfio-user --hostnqn "${H}1" --hostid "${id^^}"
	ok "again" --quiet export "$dev" --trtype vfio-user --hostid "${id//-/}"
	tree | diff "$tmp/before2" - || bad "export twice is not export once"
	no 1 "port 1: param_hostnqn is \"${H}1\"" export "$dev" --trtype vfio-user --hostnqn "${H}2"
	no 1 "port 1: param_hostid is \"$id\"" export "$dev" --trtype vfio-user --hostid "${id/1/2}"
	# another one needs a name of its own: the subsystem is not opened by the way
	no 1 "lets only hosts connect that have a name" export "$dev" --trtype vfio-user --traddr "$sock/x.sock"
	tree | diff "$tmp/before2" - || bad "refused, and something has changed"
	ok "another" --quiet export "$dev" --trtype vfio-user --traddr "$sock/x.sock" --hostnqn "${H}2"
	has "subsystems/${A}1/allowed_hosts/${H}2"
	is ports/2/param_hostnqn "${H}2"
	is ports/2/param_hostid ""
	ok "" unexport "$dev"
	unchanged "after unexport"
	# no name is no limit where every host gets in
	ok "open" --quiet export "$dev" --trtype vfio-user --nqn "${A}1"
	no 1 "lets every host connect" export "$dev" --trtype vfio-user --traddr "$sock/x.sock" --hostnqn "${H}1"
	no 1 "lets every host connect" export "$dev" --host "${H}1"
	ok "both" --quiet export "$dev" --trtype vfio-user --traddr "$sock/x.sock" --hostnqn "${H}1" --allow-any-host
	is ports/2/param_hostnqn "${H}1"
	hasnt "hosts/${H}1"
	ok "" unexport "$dev"
	unchanged "after unexport"
	# a subsystem of hosts on the network
	ok "" export "$dev" --host "${H}1" --nqn "${A}1"
	no 1 "lets only hosts connect that have a name" export "$dev" --trtype vfio-user
	is "subsystems/${A}1/attr_allow_any_host" 0
	ok "" --quiet export "$dev" --trtype vfio-user --hostnqn "${H}1"
	ok "" unexport "$dev"
	unchanged "after unexport"
	# a target that has no such attributes
	NVTGT_FAKE_OLD=1 no 1 "param_hostnqn=${H}1: this target has no such attribute" \
		export "$dev" --trtype vfio-user --hostnqn "${H}1"
	err "modules are older than nvtgtctl"
	unchanged "after an old target"
	NVTGT_FAKE_OLD=1 ok "without a name" --quiet export "$dev" --trtype vfio-user
	ok "" unexport "$dev"
}

ports() {
	fresh
	ok "" subsystem create "${A}1" --allow-any-host
	ok "" subsystem create "${A}2" --allow-any-host
	ok "create" port create 1 --trtype vfio-user --traddr "$sock/p.sock" --hostnqn "${H}1" --hostid "$id" \
		--cpus 0 --subsystem "${A}1"
	is ports/1/addr_trtype vfio-user
	is ports/1/addr_adrfam ""
	is ports/1/addr_trsvcid ""
	is ports/1/param_hostnqn "${H}1"
	is ports/1/param_hostid "$id"
	is ports/1/param_cpus 0
	has "ports/1/subsystems/${A}1"
	no 1 "one of type vfio-user has one subsystem" port link 1 "${A}2"
	hasnt "ports/1/subsystems/${A}2"
	ok "the same again" port link 1 "${A}1"
	no 1 "one of type vfio-user has one subsystem" port create 2 --trtype vfio-user --traddr "$sock/q.sock" \
		--subsystem "${A}1" --subsystem "${A}2"
	hasnt ports/2
	no 1 "unlink all subsystems" port set 1 hostnqn="${H}2"
	for o in "--adrfam ipv4" "--trsvcid 4420" "--treq required" "--tsas none" "--inline-data-size 0"; do
		# shellcheck disable=SC2086 # an option and its argument
		no 2 "${o% *} means nothing for vfio-user" port create 2 --trtype vfio-user --traddr /run/q $o
	done
	no 2 "where shall its socket be" port create 2 --trtype vfio-user
	no 2 "the absolute path of a socket" port create 2 --trtype vfio-user --traddr q.sock
	no 2 "the absolute path of a socket" port create 2 trtype=vfio-user --traddr 0.0.0.0
	no 2 "a UUID is needed" port create 2 --trtype vfio-user --traddr /run/q --hostid 1
	no 2 "--hostid is for --trtype vfio-user" port create 2 --traddr 0.0.0.0 --hostid "$id"
	no 2 "no discovery service is behind a socket" referral create 1 r --trtype vfio-user --traddr /run/q
	hasnt ports/2
	ok "by pairs" port create 2 trtype=vfio-user --traddr "$sock/q.sock"
	is ports/2/addr_adrfam ""
	is ports/2/addr_trsvcid ""
	no 1 "addr_traddr=q.sock: the absolute path" port set 2 traddr=q.sock
	no 1 "no blanks" port set 2 traddr="/run/a b"
	is ports/2/addr_traddr "$sock/q.sock"
	ok "upper case is another file" port set 2 traddr="$sock/Q.sock"
	is ports/2/addr_traddr "$sock/Q.sock"
	# from one type to the other
	ok "to tcp" port set 2 trtype=tcp traddr=0.0.0.0 adrfam=ipv4 trsvcid=4420
	no 1 "addr_traddr=0.0.0.0: the absolute path" port set 2 trtype=vfio-user
	err "can be set by one command"
	is ports/2/addr_trtype tcp
	ok "and back" port set 2 traddr="$sock/q.sock" trtype=vfio-user
	# what is left of it is not shown
	ok "" port show 2
	checks=$((checks + 1))
	! grep -qE 'adrfam|trsvcid|tsas|netns' "$tmp/out" || bad "attributes that mean nothing are shown"
	NVTGT_FAKE_LINK=19 no 1 "try modprobe nvtgt-vfu" port link 2 "${A}1"
	NVTGT_FAKE_LINK=98 no 1 "another port has this socket" port link 2 "${A}1"
	ok "completion" completion -- port create --trtype
	out vfio-user
	ok "completion" completion -- export --trtype
	out vfio-user
	ok "completion" completion -- referral create --trtype
	out rdma
	checks=$((checks + 1))
	! grep -q vfio-user "$tmp/out" || bad "a referral of type vfio-user"
	ok "completion" completion -- export --hostnqn
	ok "" port create 3 --traddr ::
	NVTGT_FAKE_LINK=19 no 1 "try modprobe nvtgt-tcp" port link 3 "${A}1"
	# as the kernel says to a port on the network that names its host
	NVTGT_FAKE_LINK=95 no 1 "param_hostnqn and param_hostid are for vfio-user" port link 3 "${A}1"
}

# the daemon makes the socket of a port that is linked
daemon() {
	fresh
	rm -rf "$sock"
	ok "" subsystem create "${A}1" --allow-any-host
	ok "" port create 1 --trtype vfio-user --traddr "$sock/p.sock"
	ok "closed" port list
	silent
	ok "" port link 1 "${A}1"
	ok "without the daemon" port list
	printf '%s\n' "portid trtype traddr trsvcid state subsystems" \
		"1 vfio-user $sock/p.sock - no-socket ${A}1" |
		diff - <(sed 's/  */ /g' "$tmp/out") || bad "port list"
	err "port 1: there is no socket at $sock/p.sock"
	err "systemctl start nvtgt-vfud"
	ok "" port show 1
	out "addr_traddr: $sock/p.sock"
	err "systemctl start nvtgt-vfud"
	ok "" show
	err "systemctl start nvtgt-vfud"
	ok "" show --json
	silent
	ok "" --quiet port list
	silent
	ok "" export "$dev" --trtype vfio-user --nqn "${A}1"
	err "systemctl start nvtgt-vfud"
	mkdir -p "$sock"
	touch "$sock/p.sock"
	ok "a file" port list
	out no-socket
	rm "$sock/p.sock"
	listen "$sock/p.sock"
	ok "with the daemon" port list
	out listening
	silent
}

files() {
	rm -rf "$tmp/dir"
	fresh
	ok "" --quiet export "$dev" --trtype vfio-user --nqn "${A}1" --hostnqn "${H}1" --hostid "$id" \
		--traddr "$sock/f.sock"
	ok "" --quiet export "$dev2" --nqn "${A}2" --allow-any-host --traddr 192.0.2.1
	ok "save" save "$tmp/dir/config.json"
	checks=$((checks + 1))
	python3 -c 'import json, sys
vm, tcp = json.load(open(sys.argv[1]))["ports"]
assert vm["addr"] == {"traddr": sys.argv[2], "treq": "not specified", "trtype": "vfio-user"}, vm
assert vm["param"]["hostnqn"] == sys.argv[3] and vm["param"]["hostid"] == sys.argv[4], vm
assert tcp["addr"]["adrfam"] == "ipv4" and tcp["addr"]["trsvcid"] == "4420", tcp' \
		"$tmp/dir/config.json" "$sock/f.sock" "${H}1" "$id" || bad "the file"
	tree >"$tmp/before"
	ok "nothing to do" apply --dry-run "$tmp/dir/config.json"
	[ ! -s "$tmp/out" ] || bad "steps for the same"
	ok "" clear
	ok "restore" restore "$tmp/dir/config.json"
	unchanged "restored"
	# a file of an old target, or by hand: what means nothing is taken and left out
	edit 'port[1]["addr"].update(adrfam="ipv4", trsvcid="4420", tsas="none"); port[1]["netns"] = "not-there"
port[1]["param"]["hostid"] = port[1]["param"]["hostid"].upper()'
	ok "nothing to do" apply --dry-run "$tmp/edited.json"
	[ ! -s "$tmp/out" ] || bad "steps for what means nothing"
	# a port changes its type, with all that a saved file has
	edit 'port[1]["addr"], port[2]["addr"] = port[2]["addr"], port[1]["addr"]
port[1]["param"]["hostnqn"], port[2]["param"]["hostnqn"] = "", port[1]["param"]["hostnqn"]
port[2]["addr"].update(adrfam="", trsvcid="", tsas="")'
	ok "types change places" apply "$tmp/edited.json"
	is ports/1/addr_trtype tcp
	is ports/1/addr_adrfam ipv4
	is ports/1/param_hostnqn ""
	is ports/2/addr_trtype vfio-user
	is ports/2/addr_traddr "$sock/f.sock"
	has "ports/2/subsystems/${A}2"
	ok "once" apply --dry-run "$tmp/edited.json"
	[ ! -s "$tmp/out" ] || bad "steps the second time"
	ok "and back" apply "$tmp/dir/config.json"
	is ports/1/addr_trtype vfio-user
	is ports/2/addr_traddr 192.0.2.1
	# one that is wrong keeps its port closed, and nothing else
	edit 'port[1]["addr"]["traddr"] = "f.sock"; sub["2"]["attr"]["serial"] = "new"'
	no 1 "addr_traddr=f.sock: the absolute path" apply "$tmp/edited.json"
	hasnt "ports/1/subsystems/${A}1"
	is "subsystems/${A}2/attr_serial" new
	ok "" apply "$tmp/dir/config.json"
	edit 'port[1]["subsystems"].append(sub["2"]["nqn"])'
	no 1 "one of type vfio-user has one subsystem" apply "$tmp/edited.json"
	has "ports/1/subsystems/${A}1"
	hasnt "ports/1/subsystems/${A}2"
	edit 'port[1]["subsystems"] = [sub["2"]["nqn"]]'
	ok "another one" apply "$tmp/edited.json"
	has "ports/1/subsystems/${A}2"
	# a host that cannot be told keeps the port closed: the guest would be somebody else
	ok "" clear
	NVTGT_FAKE_OLD=1 no 1 "param_hostnqn=${H}1: this target has no such attribute" \
		restore "$tmp/dir/config.json"
	hasnt "ports/1/subsystems/${A}1"
	has "ports/2/subsystems/${A}2"
	ok "" clear
	edit 'port[1]["param"].update(hostnqn="", hostid="00000000-0000-0000-0000-000000000000")'
	NVTGT_FAKE_OLD=1 ok "no name" restore "$tmp/edited.json"
	has "ports/1/subsystems/${A}1"
	# as nvmetcli writes it
	ok "" clear
	cat >"$tmp/nvmetcli.json" <<-END
		{ "hosts": [], "ports": [ { "addr": { "adrfam": "", "traddr": "/run/vm.sock", "treq": "not specified",
		  "trsvcid": "", "trtype": "vfio-user" }, "portid": 7, "referrals": [], "subsystems": [ "a" ] } ],
		  "subsystems": [ { "allowed_hosts": [], "attr": { "allow_any_host": "1" }, "namespaces": [], "nqn": "a" } ] }
	END
	ok "nvmetcli's" restore "$tmp/nvmetcli.json"
	is ports/7/addr_traddr /run/vm.sock
	has ports/7/subsystems/a
}

# Killed before each change in turn; the same command afterwards finishes.
killed() {
	local n
	fresh
	tree >"$tmp/before"
	for n in {1..12}; do
		(NVTGT_FAKE_KILL=$n "$ctl" --lock "$tmp/lock" export "$dev" --trtype vfio-user --nqn "${A}1" \
			--hostnqn "${H}1" >/dev/null 2>&1; exit $?) 2>/dev/null || true
		if [ $((n % 2)) = 0 ]; then
			# what is half made is nobody else's
			ok "another device" --quiet export "$dev2" --trtype vfio-user --nqn "${A}2"
			ok "" unexport "$dev2"
		fi
		ok "export after a kill at $n" --quiet export "$dev" --trtype vfio-user --nqn "${A}1" \
			--hostnqn "${H}1"
		[ "$(ls "$tmp/root/ports")" = 1 ] || bad "ports after a kill at $n: $(ls "$tmp/root/ports")"
		is ports/1/addr_traddr "$dir/${A##*:}1.sock"
		is ports/1/param_hostnqn "${H}1"
		ok "unexport" unexport "$dev"
		unchanged "export killed at $n"
	done
}

run_parts exporting default_paths identity ports daemon files killed
