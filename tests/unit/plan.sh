#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a test that nobody would run (no x bit, a word or a variant that the harness does not know) goes
# unnoticed, or the command line means something else than tests/run --help says

status=0
wrong() { echo "$*"; status=1; }
plan=$PWD/tests/vm/plan.py

# what a folder with one functional test and these header lines is told
try() {
	local dir
	dir=$(mktemp -d) || exit 1
	mkdir -p "$dir/functional"
	{ echo '#!/bin/bash'; printf '# %s\n' "$@"; echo; } >"$dir/functional/x.sh"
	[ -n "${no_bit-}" ] || chmod +x "$dir/functional/x.sh"
	python3 "$plan" --check "$dir" 2>&1
	rm -rf "$dir"
}

# expect WORDS HEADER-LINE...: these words are in what is said; "": nothing is said
expect() {
	local want=$1 got
	shift
	got=$(try "$@")
	if [ -z "$want" ]; then
		[ -z "$got" ] || wrong "$*: $got"
	else
		[[ $got == *"$want"* ]] || wrong "$*: \"$got\" instead of \"$want\""
	fi
}

expect '' 'guards: all' 'kernels: all' 'timeout: 120' 'cpus: 4' 'variants: rdma rdma@6.1 no-spin' 'nightly: 6.1 rdma'
expect '' 'guards: all' 'needs: qemu'
expect 'needs: xen is unknown' 'guards: all' 'needs: xen'
expect 'no line "# guards:"' 'kernels: all'
expect '"guard" is unknown' 'guard: all' 'guards: all'
expect 'kernels: 6.2 is unknown' 'guards: all' 'kernels: 6.2'
expect 'variants: rmda is unknown' 'guards: all' 'variants: rmda'
expect 'variants: rdma@6.2 is unknown' 'guards: all' 'variants: rdma@6.2'
expect 'variants: nothing' 'guards: all' 'variants:'
expect 'timeout: soon is no number' 'guards: all' 'timeout: soon'
expect 'cpus: 0 is no number' 'guards: all' 'cpus: 0'
expect 'nightly: 7.2 is unknown' 'guards: all' 'kernels: 6.1 6.12' 'nightly: 7.2'
no_bit=1 expect 'cannot be executed' 'guards: all'

# list WORD... -- TEST...: these, and no others, are chosen by the words
list() {
	local words=() want got
	while [ "$1" != -- ]; do words+=("$1"); shift; done
	shift
	want=$(printf '%s\n' "$@")
	got=$(python3 "$plan" "${words[@]}")
	[ "$got" = "$want" ] || wrong "${words[*]}: $got"
}

list --select build -- build/6.1 build/6.12 build/7.2 build/tools
list --select functional/discover.sh --kernel 6.12 -- 'functional/discover[6.12]'
list --select 'functional/discover*' --kernel 7.2 -- 'functional/discover[7.2]' 'functional/discover+rdma[7.2]'
list --select functional/ctl-killed --kernel 7.2 -- 'functional/ctl-killed[7.2]'
list --select 'functional/ctl-kill*' --kernel 6.12 -- 'functional/ctl-killed[6.12]'
list --select functional/hostile/memory --kernel 6.12-debug -- 'functional/hostile/memory[6.12-debug]'
# nightly: not by default nor by a pattern, but with --all and by name
! python3 "$plan" --select 'functional/stalle*' --kernel 6.1 2>/dev/null || wrong "a nightly test is chosen by a pattern"
list --all --select 'functional/stalle*' --kernel 6.1 -- 'functional/stalled[6.1]'
list --select functional/stalled --kernel 6.1 -- 'functional/stalled[6.1]'
[ "$(python3 "$plan" --all | wc -l)" -gt "$(python3 "$plan" | wc -l)" ] || wrong "--all has no more tests"

# count NAMES PLANNED WANTED: what the closing line says
count() {
	local got
	got=$(cd tests/vm && PYTHONDONTWRITEBYTECODE=1 python3 -c '
import sys, plan
words = {what: set() for what in ("passed", "failed", "error", "skipped")}
for word in sys.argv[1].split():
    what, _, name = word.partition(":")
    words[what].add(name)
print(*plan.count(words, int(sys.argv[2])))' "$1" "$2")
	[ "$got" = "$3" ] || wrong "count $1 of $2: $got and not $3"
}
count 'passed:a passed:b skipped:c' 3 '2 0 1 0'
count 'passed:a passed:b error:b' 2 '1 1 0 0'		# passed, and then its teardown failed
count 'failed:a error:a' 1 '0 1 0 0'
count 'passed:a' 4 '1 0 0 3'				# the run ended before the others
count '' 0 '0 0 0 0'
! python3 "$plan" --select functional/nothing 2>/dev/null || wrong "a test that is not there was found"
exit $status
