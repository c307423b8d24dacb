#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: every verb of nvtgtctl, its messages, exit codes, roll-back, save,
# restore, apply and the lock, with ASan and UBSan, on a directory tree that
# behaves like configfs (ctl_fakefs.c)
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "$here/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ctl=$tmp/nvtgtctl
fails=0
checks=0

build() {
	# shellcheck disable=SC2046 # flags are words
	"${CC:-gcc}" -std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror \
		-fsanitize=address,undefined -fno-sanitize-recover=all \
		-Wl,--wrap=mkdirat,--wrap=unlinkat,--wrap=symlinkat,--wrap=write \
		-o "$ctl" "$here/ctl_fakefs.c" "$src"/tools/lib/*.c \
		"$src"/tools/nvtgtctl/*.c "$src"/tools/nvtgtctl/cmd/*.c \
		$(pkg-config --cflags --libs json-c libedit 2>/dev/null || echo -ljson-c -ledit)
}

fresh() {
	rm -rf "$tmp/root"
	mkdir -p "$tmp/root"/{hosts,subsystems,ports}
	echo nqn.2014-08.org.nvmexpress.discovery >"$tmp/root/discovery_nqn"
}

run() {
	rc=0
	"$ctl" --lock "$tmp/lock" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null ||
		rc=$?
	if grep -qE 'Sanitizer|runtime error' "$tmp/err"; then
		cat "$tmp/err"
		exit 1
	fi
}

bad() {
	echo "FAILED: $*"
	sed 's/^/  out: /' "$tmp/out"
	sed 's/^/  err: /' "$tmp/err"
	fails=$((fails + 1))
}

# ok WHAT CMD... : exit code 0
ok() {
	local what=$1
	shift
	checks=$((checks + 1))
	run "$@"
	[ "$rc" = 0 ] || bad "$what: exit code $rc"
}

# no CODE TEXT CMD... : that exit code, and TEXT on stderr
no() {
	local code=$1 text=$2
	shift 2
	checks=$((checks + 1))
	run "$@"
	[ "$rc" = "$code" ] || bad "$*: exit code $rc, expected $code"
	grep -qF -- "$text" "$tmp/err" || bad "$*: no message \"$text\""
}

# is PATH VALUE : an attribute's value
is() {
	checks=$((checks + 1))
	[ "$(cat "$tmp/root/$1")" = "$2" ] ||
		bad "$1 is \"$(cat "$tmp/root/$1")\", expected \"$2\""
}

has() {
	checks=$((checks + 1))
	[ -e "$tmp/root/$1" ] || [ -L "$tmp/root/$1" ] || bad "$1 is missing"
}

hasnt() {
	checks=$((checks + 1))
	! [ -e "$tmp/root/$1" ] || bad "$1 is there"
}

out() {
	checks=$((checks + 1))
	grep -qF -- "$1" "$tmp/out" || bad "no \"$1\" in the output"
}

# The tree as text, to compare before and after.
tree() {
	(cd "$tmp/root" && find . -type f -perm -400 -print0 | sort -z |
		xargs -0 grep -H ''
	find . \( -type d -o -type l \) | sort)
}

unchanged() {
	checks=$((checks + 1))
	tree >"$tmp/after"
	diff "$tmp/before" "$tmp/after" || bad "the tree has changed: $*"
}

build
export NVTGT_ROOT=$tmp/root
H=nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000
A=nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-0000-0000-0000-00000000000
dev=$tmp/disk
dev2=$tmp/disk2
truncate -s 1M "$dev" "$dev2"

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

big_tree() {
	fresh
	ok "" subsystem create "${A}1" --allow-host "${H}1" --serial one
	ok "" subsystem create "${A}2" --allow-any-host --serial two
	ok "" namespace create "${A}1" --device "$dev"
	ok "" namespace create "${A}1" --device "$dev2" --ana-group 2
	ok "" namespace create "${A}2" --backend null \
		--backend-options size=1g --disabled
	ok "" port create 1 --traddr 192.0.2.1 --subsystem "${A}1"
	ok "" port create 2 --traddr 192.0.2.2 --subsystem "${A}1" \
		--subsystem "${A}2"
	ok "" ana-group create 1 2 --state non-optimized
	ok "" referral create 1 r --traddr 192.0.2.9
	ok "" host set "${H}1" dhchap_key=DHHC-1:00:secret:
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

# edit CODE : the saved file, changed by python, in edited.json
edit() {
	python3 -c 'import json, sys
c = json.load(open(sys.argv[1]))
sub = {s["nqn"][-1]: s for s in c["subsystems"]}
port = {p["portid"]: p for p in c["ports"]}
exec(sys.argv[3])
json.dump(c, open(sys.argv[2], "w"))' "$tmp/dir/config.json" \
		"$tmp/edited.json" "$1"
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
	steps "set subsystem ${A}1 namespace 2 enable=0" \
		"delete subsystem ${A}1 namespace 2"
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
	edit 'port[1]["netns"] = ""'
	ok "the first one by its name" apply "$tmp/dir/config.json"
	ok "is where the port is" apply --dry-run "$tmp/edited.json"
	[ ! -s "$tmp/out" ] || bad "steps for the same namespace"
	no 1 "only a new port" port set 1 netns=other
	edit 'port[1]["netns"] = "../../proc/1/ns/net"'
	ok "" clear
	no 1 "there is no such network namespace" restore "$tmp/edited.json"
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

# Secrets need not stand on a command line.
values_from_elsewhere() {
	fresh
	ok "" host create "${H}1"
	(umask 077; echo 'DHHC-1:00:of a file:' >"$tmp/key")
	ok "from a file" host set "${H}1" "dhchap_key=@$tmp/key"
	is "hosts/${H}1/dhchap_key" "DHHC-1:00:of a file:"
	[ ! -s "$tmp/err" ] || bad "a message about a file of mode 600"
	chmod 644 "$tmp/key"
	ok "readable by all" host set "${H}1" "dhchap_key=@$tmp/key"
	grep -q "chmod 600 $tmp/key" "$tmp/err" || bad "no word of the mode"
	printf 'DHHC-1:00:of a pipe:' | "$ctl" --lock "$tmp/lock" host set "${H}1" dhchap_key=@- ||
		bad "from standard input"
	is "hosts/${H}1/dhchap_key" "DHHC-1:00:of a pipe:"
	ok "when it is made" host create "${H}2" "dhchap_key=@$tmp/key"
	is "hosts/${H}2/dhchap_key" "DHHC-1:00:of a file:"
	ok "a value with an @" subsystem create "${A}1" model=@@home
	is "subsystems/${A}1/attr_model" @home
	tree >"$tmp/before"
	no 1 "dhchap_key: cannot open $tmp/nothing: No such file" \
		host set "${H}1" "dhchap_key=@$tmp/nothing"
	no 1 "cannot read $tmp: Is a directory" host set "${H}1" "dhchap_key=@$tmp"
	head -c 5000 /dev/zero | tr '\0' x >"$tmp/key"
	no 1 "has more than 4094 bytes" host set "${H}1" "dhchap_key=@$tmp/key"
	printf 'a\0b' >"$tmp/key"
	no 1 "contains a NUL" host set "${H}1" "dhchap_key=@$tmp/key"
	printf 'one\ntwo\n' >"$tmp/key"
	no 2 "control characters" host set "${H}1" "dhchap_key=@$tmp/key"
	! grep -q two "$tmp/err" || bad "the value is shown"
	unchanged "after values that cannot be read"
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

shell_session() {
	fresh
	checks=$((checks + 1))
	"$ctl" --lock "$tmp/lock" shell >"$tmp/out" 2>"$tmp/err" <<-END || bad shell
		# a comment
		subsystem create ${A}1 "model=two words"
		cd subsystems/${A}1
		pwd
		ls
		cd ..
		ls
		host list
		exit
		subsystem delete ${A}1
	END
	out "/subsystems/${A}1"
	out "attr_model = two words"
	out "${A}1/"
	has "subsystems/${A}1"
	rc=0
	"$ctl" --lock "$tmp/lock" shell >"$tmp/out" 2>"$tmp/err" <<-END || rc=$?
		cd nowhere
		subsystem delete ${A}1
	END
	[ "$rc" = 1 ] || bad "a failing script ended with $rc"
	has "subsystems/${A}1"
}

# Editing, history and completion; and what the help promises.
shell_on_terminal() {
	fresh
	checks=$((checks + 1))
	python3 "$here/ctl_shell.py" "$ctl" "$tmp/lock" "${A}1" >"$tmp/out" \
		2>"$tmp/err" || bad "the shell on a terminal"
	is "subsystems/${A}1/attr_model" four
	fresh
	ok "" subsystem create "${A}1"
	ok "" namespace create "${A}1" --backend null --disabled
	checks=$((checks + 1))
	"$ctl" --lock "$tmp/lock" shell >"$tmp/out" 2>"$tmp/err" <<-END || bad shell
		cd subsystems/${A}1/namespaces/1
		set backend_options=size=2g ana_grpid=3
		help namespace resize
	END
	is "subsystems/${A}1/namespaces/1/backend_options" size=2g
	is "subsystems/${A}1/namespaces/1/ana_grpid" 3
	out "usage: nvtgtctl namespace resize"
	checks=$((checks + 1))
	! "$ctl" --lock "$tmp/lock" shell >"$tmp/out" 2>"$tmp/err" <<-END || bad "set at the root"
		set x=1
	END
	grep -q "/ has no attributes" "$tmp/err" || bad "set at the root"
}

completion() {
	fresh
	ok "" subsystem create "${A}1"
	ok "" namespace create "${A}1" --backend null
	ok "" port create 4 --traddr ::
	ok "" completion
	out subsystem
	out --root
	ok "" completion -- subsystem
	out allow-host
	ok "" completion -- namespace delete
	out "${A}1"
	ok "" completion -- namespace delete "${A}1"
	out 1
	ok "" completion -- port link 4
	out "${A}1"
	ok "" completion -- subsystem set "${A}1"
	out attr_serial=
	ok "" completion -- port create --subsystem
	out "${A}1"
	ok "" completion -- namespace create "${A}1"
	out --device
	ok "" --root /nowhere completion -- port link
}

for part in objects deletion wrong roll_back_set undone_removal saving files differences \
	broken_parts namespaces_of_the_network waiting service bad_files exporting dry_runs killed locking \
	shell_session completion; do
	"$part"
done
values_from_elsewhere
shell_on_terminal
echo "$checks checks, $fails failed"
[ "$fails" = 0 ]
