#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: every verb of nvtgtctl on a single object, its messages, exit codes and
# roll-back; export; what a run that is killed leaves, and the lock

. "$(dirname "$0")/lib/ctl.sh"

objects() {
	fresh
	ok "host" host create "${H}1"
	no 1 "exists already" host create "${H}1"
	ok "subsystem" subsystem create "${A}1" --serial abc123 \
		--model "A model" --allow-host "${H}1" --allow-host "${H}2"
	is "subsystems/${A}1/attr_serial" abc123
	is "subsystems/${A}1/attr_model" "A model"
	has "subsystems/${A}1/allowed_hosts/${H}2"
	ok "namespace" namespace create "${A}1" --device "$dev"
	out 1
	is "subsystems/${A}1/namespaces/1/enable" 1
	ok "second namespace" namespace create "${A}1" --nsid 7 \
		--device "$dev2" --disabled --ana-group 2 \
		--uuid 01234567-89ab-cdef-0123-456789abcdef
	is "subsystems/${A}1/namespaces/7/enable" 0
	is "subsystems/${A}1/namespaces/7/ana_grpid" 2
	ok "null namespace" namespace create "${A}1" --backend null \
		--backend-options size=1g
	out 2
	is "subsystems/${A}1/namespaces/2/enable" 1
	ok "enable" namespace enable "${A}1" 7
	is "subsystems/${A}1/namespaces/7/enable" 1
	no 1 "disable the namespace first" namespace set "${A}1" 7 "path=$dev"
	ok "disable" namespace disable "${A}1" 7
	ok "set by short name" namespace set "${A}1" 7 "path=$dev" grpid=3
	is "subsystems/${A}1/namespaces/7/device_path" "$dev"
	is "subsystems/${A}1/namespaces/7/ana_grpid" 3
	ok "resize" namespace resize "${A}1" 1
	ok "port" port create --traddr 0.0.0.0 --subsystem "${A}1"
	out 1
	is ports/1/addr_trtype tcp
	is ports/1/addr_adrfam ipv4
	is ports/1/addr_trsvcid 4420
	has "ports/1/subsystems/${A}1"
	ok "v6 port" port create 9 --traddr :: --trsvcid 4421
	is ports/9/addr_adrfam ipv6
	ok "link" port link 9 "${A}1"
	no 1 "unlink all subsystems" port set 9 trsvcid=4422
	ok "unlink" port unlink 9 "${A}1"
	ok "set" port set 9 trsvcid=4422
	ok "referral" referral create 1 other --traddr 192.0.2.1
	is ports/1/referrals/other/enable 1
	ok "ana" ana-group create 1 2 --state non-optimized
	is ports/1/ana_groups/2/ana_state non-optimized
	ok "ana set" ana-group set 1 2 state=optimized
	is ports/1/ana_groups/2/ana_state optimized
	ok "show" show
	out "subsystem ${A}1"
	ok "show json" show --json
	for o in host subsystem namespace port referral ana-group; do
		ok "$o list" "$o" list
		ok "$o list --json" "$o" list --json
		ok "$o show" "$o" show
	done
	ok "sizes and access" namespace list
	printf '%s\n' "subsystem nsid enable size access path uuid" \
		"${A}1 1 1 1.5G ro $dev 11111111-2222-3333-4444-555555555555" \
		"${A}1 2 1 1.5G ro - 11111111-2222-3333-4444-555555555555" \
		"${A}1 7 0 - - $dev 01234567-89ab-cdef-0123-456789abcdef" |
		diff - <(sed 's/  */ /g' "$tmp/out") || bad "namespace list"
	ok "state and links" port list
	printf '%s\n' "portid trtype traddr trsvcid state subsystems" \
		"1 tcp 0.0.0.0 4420 listening ${A}1" \
		"9 tcp :: 4422 closed -" |
		diff - <(sed 's/  */ /g' "$tmp/out") || bad "port list"
	ok "show one" namespace show "${A}1" 7 --json
	out "\"path\": \"$dev\""
}

deletion() {
	no 1 "is linked to port 1" subsystem delete "${A}1"
	no 1 "is allowed in subsystem" host delete "${H}1"
	no 1 "subsystems linked" port delete 1
	ok "referral delete" referral delete 1 other
	no 1 "cannot be deleted" ana-group delete 1 1
	ok "ana delete" ana-group delete 1 2
	ok "namespace delete" namespace delete "${A}1" 7
	hasnt "subsystems/${A}1/namespaces/7"
	ok "forced" host delete "${H}1" --force
	hasnt "hosts/${H}1"
	ok "forced" subsystem delete "${A}1" --force
	hasnt "subsystems/${A}1"
	ok "port" port delete 1
	ok "port" port delete 9
	ok "host" host delete "${H}2"
}

wrong() {
	fresh
	ok "subsystem" subsystem create "${A}1"
	tree >"$tmp/before"
	no 2 "no object or command" frobnicate
	no 2 "has no verb" subsystem frobnicate "${A}1"
	no 2 "there is no option --bogus" subsystem create x --bogus
	no 2 "something is missing" subsystem create
	no 2 "one argument too many" subsystem delete a b
	no 2 "needs NSID" namespace create "${A}1" --nsid
	no 2 "decimal number from 1 to" namespace create "${A}1" --nsid 0 \
		--device "$dev"
	no 2 "decimal number from 1 to" namespace create "${A}1" --nsid 01 \
		--device "$dev"
	no 2 "contains no \"/\"" subsystem create ../../etc
	no 2 "at most 223" subsystem create "$(printf 'x%.0s' {1..224})"
	no 2 "control characters" subsystem create $'a\nb'
	no 1 "No such file" namespace create "${A}1" --device /dev/nope
	no 1 "neither a block device" namespace create "${A}1" --device /dev/null
	no 2 "--device, --backend or --disabled" namespace create "${A}1"
	no 1 "there is no subsystem" namespace create "${A}9" --device "$dev"
	no 1 "this target has no such attribute" subsystem create "${A}2" \
		bogus=1
	no 1 "attr_serial=refuse-me: Invalid argument" subsystem create \
		"${A}2" --serial refuse-me
	no 1 "1 to 20 printable" subsystem create "${A}2" --serial refuse-me
	no 1 "nothing was changed" subsystem create "${A}2" \
		--allow-host "${H}7" --allow-host "${H}8" --serial refuse-me
	no 1 "has no attribute \"nope\"" subsystem set "${A}1" nope=1
	no 1 "it has: attr_allow_any_host" subsystem set "${A}1" nope=1
	no 2 "is not NAME=VALUE" subsystem set "${A}1" serial
	no 1 "addr_trtype=rdma" port create 3 --traddr 0.0.0.0 --trtype rdma
	no 1 "there is no subsystem" port create 3 --traddr 0.0.0.0 \
		--subsystem "${A}5"
	no 1 "nothing was changed" subsystem create "${A}3" --allow-any-host \
		--allow-host "${H}1"
	no 1 "No such file" namespace create "${A}1" --disabled \
		device_path=/dev/nope enable=1
	unchanged "after wrong commands"
	no 1 "look at --root" --root /nonexistent/sys show
	no 1 "not the root of an NVMe target" --root "$tmp" show
	no 2 "option --frob" --frob show
}

roll_back_set() {
	fresh
	ok "subsystem" subsystem create "${A}1" serial=first
	no 1 "nothing was changed" subsystem set "${A}1" serial=second \
		model=refuse-me
	is "subsystems/${A}1/attr_serial" first
	ok "new minimum above the old maximum" subsystem set "${A}1" \
		cntlid_min=10 cntlid_max=20
	ok "and once more" subsystem set "${A}1" cntlid_min=100 cntlid_max=200
	is "subsystems/${A}1/attr_cntlid_min" 100
}

# a removal that fails midway is undone: attributes, links, namespaces
undone_removal() {
	big_tree
	ok "" subsystem set "${A}1" cntlid_min=500 cntlid_max=600
	ok "" ana-group set 1 1 state=inaccessible
	tree >"$tmp/before"
	NVTGT_FAKE_BUSY=subsystems/${A}1 no 1 "is back as it was" \
		subsystem delete "${A}1" --force
	unchanged "after a subsystem that did not go"
	NVTGT_FAKE_BUSY=ports/1 no 1 "is back as it was" port delete 1 --force
	unchanged "after a port that did not go"
	NVTGT_FAKE_BUSY=subsystems/${A}1/namespaces/1 no 1 "is back as it was" \
		subsystem delete "${A}1" --force
	unchanged "after a namespace that did not go"
	NVTGT_FAKE_BUSY=hosts/${H}1 no 1 "is back as it was" \
		host delete "${H}1" --force
	unchanged "after a host that did not go"
}

exporting() {
	fresh
	tree >"$tmp/before"
	no 2 "who may connect" export "$dev"
	no 2 "exclude each other" export "$dev" --host a --allow-any-host
	no 1 "No such file" export /dev/nope --allow-any-host
	no 1 "nothing was changed" export "$dev" --allow-any-host \
		--trtype rdma --traddr 192.0.2.1
	unchanged "after failed exports"
	ok "export" export "$dev" --host "${H}1" --traddr 192.0.2.1
	grep -qE '^nvme connect -t tcp -a 192.0.2.1 -s 4420 -n nqn.2014-08.org.nvmexpress:uuid:[0-9a-f-]{36}$' \
		"$tmp/out" || bad "no connect line"
	cp "$tmp/out" "$tmp/first"
	tree >"$tmp/before2"
	ok "the same again" export "$dev" --host "${H}1"
	cmp "$tmp/first" "$tmp/out" || bad "another line the second time"
	tree | diff "$tmp/before2" - || bad "export twice is not export once"
	ok "second device" export "$dev2" --allow-any-host --nqn "${A}1"
	has "ports/1/subsystems/${A}1"
	is "subsystems/${A}1/attr_allow_any_host" 1
	ok "unexport" unexport "$dev2"
	hasnt "subsystems/${A}1"
	ok "unexport" unexport "$dev"
	unchanged "after unexport"
	no 1 "no namespace serves" unexport "$dev"
	ok "by name" export "$dev" --host "${H}1" --nqn "${A}1"
	ok "by name" unexport "${A}1"
	unchanged "after unexport by name"
	# another subsystem's device only when that is meant
	ln -f "$dev" "$tmp/hardlink"
	ok "one" export "$dev" --allow-any-host --nqn "${A}1"
	tree >"$tmp/before2"
	no 1 "is exported already: namespace 1 of subsystem ${A}1" \
		export "$tmp/hardlink" --allow-any-host --nqn "${A}2"
	no 1 "--force serves it" \
		export "$dev" --allow-any-host --nqn "${A}2"
	tree | diff "$tmp/before2" - || bad "a refused export left something"
	ok "forced" export "$dev" --allow-any-host --nqn "${A}2" --force
	has "subsystems/${A}2/namespaces/1"
	ok "unexport both" unexport "$dev"
	unchanged "after unexport of both"
	no 2 "512 or 4096" export "$dev" --allow-any-host --block-size 1024
	ok "blocks of a file" export "$dev" --allow-any-host --nqn "${A}1" --block-size 4096
	is "subsystems/${A}1/namespaces/1/backend_options" block_size=4096
	ok "again" export "$dev" --allow-any-host --block-size 4096
	no 1 "with other blocks" export "$dev" --allow-any-host --block-size 512
	ok "" unexport "$dev"
	unchanged "after blocks of a file"
	# everywhere: never the address that no host can connect to
	ok "everywhere" export "$dev" --allow-any-host
	out "nvme connect -t tcp -a "
	! grep -q -- '-a 0.0.0.0' "$tmp/out" || bad "0.0.0.0 printed"
	ok "" unexport "$dev"
}

# killed_at N CMD... : the process dies before its Nth change; its end in rc
killed_at() {
	rc=0
	(NVTGT_FAKE_KILL=$1 "$ctl" --lock "$tmp/lock" "${@:2}" >"$tmp/out" \
		2>"$tmp/err"
	 exit $?) 2>/dev/null || rc=$?
}

# Killed before each change in turn; the same command afterwards finishes.
killed() {
	local n=1
	big_tree
	tree >"$tmp/before"
	ok "" save "$tmp/dir/config.json"
	while :; do
		ok "" clear
		killed_at "$n" restore "$tmp/dir/config.json"
		[ "$rc" != 0 ] || break
		ok "restore after a kill at $n" restore --clear \
			"$tmp/dir/config.json"
		unchanged "killed at $n"
		ok "" clear
		killed_at "$n" apply "$tmp/dir/config.json"
		ok "apply after a kill at $n" apply "$tmp/dir/config.json"
		unchanged "killed at $n, applied"
		n=$((n < 12 ? n + 1 : n + 3))
	done
	[ "$n" -gt 20 ] || bad "only $n changes were killed"
	fresh
	tree >"$tmp/before"
	for n in {1..12}; do
		killed_at "$n" export "$dev" --nqn "${A}1" --host "${H}1"
		ok "export after a kill at $n" export "$dev" --nqn "${A}1" \
			--host "${H}1"
		hasnt "subsystems/${A}1/namespaces/2"
		hasnt "ports/2"
		ok "unexport" unexport "$dev"
		unchanged "export killed at $n"
	done
}

# drained : nothing is left unread in the pipe at descriptor 8
drained() {
	python3 -c 'import array, fcntl, sys, termios
n = array.array("i", [0])
fcntl.ioctl(8, termios.FIONREAD, n)
sys.exit(n[0] != 0)'
}

locking() {
	fresh
	exec 9>"$tmp/lock"
	flock 9
	no 1 "another nvtgtctl is at work" --no-wait host create "${H}1"
	ok "reading needs no lock" show
	: >"$tmp/waiter"
	("$ctl" --lock "$tmp/lock" host create "${H}1" 2>"$tmp/waiter"
	 echo "rc $?" >>"$tmp/waiter") 9>&- &
	until grep -q "waiting for it" "$tmp/waiter"; do sleep 0.05; done
	hasnt "hosts/${H}1"
	flock -u 9
	wait
	grep -q "rc 0" "$tmp/waiter" || bad "the waiting run failed"
	has "hosts/${H}1"
	exec 9>&-
	# what is read from a pipe is read before the lock is taken: the other end
	# may be a run that needs it
	ok "" save "$tmp/piped.json"
	mkfifo "$tmp/fifo"
	"$ctl" --lock "$tmp/lock" apply "$tmp/fifo" >"$tmp/piped.log" 2>&1 &
	local pid=$!
	exec 8>"$tmp/fifo"
	ok "apply holds the lock while it reads" --no-wait save -
	cat "$tmp/out" >&8
	exec 8>&-
	wait "$pid" || bad "apply from a pipe: $(cat "$tmp/piped.log")"
	# the same for a value: the run has read the first byte and waits for more
	"$ctl" --lock "$tmp/lock" host set "${H}1" dhchap_key=@- <"$tmp/fifo" >"$tmp/piped.log" 2>&1 &
	pid=$!
	exec 8>"$tmp/fifo"
	printf @ >&8
	until drained; do sleep 0.05; done
	ok "set holds the lock while it reads" --no-wait save -
	printf home >&8
	exec 8>&-
	wait "$pid" || bad "set from a pipe: $(cat "$tmp/piped.log")"
	is "hosts/${H}1/dhchap_key" @home
	# many at once: each takes the next number, none fails
	ok "" subsystem create "${A}1"
	for _ in {1..8}; do
		"$ctl" --quiet --lock "$tmp/lock" namespace create "${A}1" \
			--backend null >>"$tmp/nsids" 2>&1 &
	done
	wait
	[ "$(sort -n "$tmp/nsids" | tr '\n' ' ')" = "1 2 3 4 5 6 7 8 " ] ||
		bad "eight at once: $(cat "$tmp/nsids")"
}

run_parts objects deletion wrong roll_back_set undone_removal exporting killed locking
