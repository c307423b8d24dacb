#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: the shell of nvtgtctl, also on a terminal, its completion, and values that
# do not stand on the command line

. "$(dirname "$0")/lib/ctl.sh"

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
	checks=$((checks + 1))
	timeout 60 python3 "$here/ctl_prompt.py" "$ctl" --lock "$tmp/lock" host set "${H}1" dhchap_key=@- \
		>"$tmp/out" 2>"$tmp/err" || bad "Ctrl-C at the prompt"
	unchanged "Ctrl-C at the prompt"
}

run_parts shell_session completion values_from_elsewhere shell_on_terminal
