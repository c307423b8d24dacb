# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of nvtgtctl share: the tool with ASan and UBSan, on a directory
# tree that behaves like configfs (ctl_fakefs.c), and checks of what it does.
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

# run_parts FUNCTION... : each of them, and the verdict
run_parts() {
	local part
	for part in "$@"; do
		"$part"
	done
	echo "$checks checks, $fails failed"
	[ "$fails" = 0 ]
}

build
export NVTGT_ROOT=$tmp/root
H=nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-00000000000
A=nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-0000-0000-0000-00000000000
dev=$tmp/disk
dev2=$tmp/disk2
dev3=$tmp/disk3
truncate -s 1M "$dev" "$dev2" "$dev3"
