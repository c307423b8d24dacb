#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvtgtctl's --help, its man page and its completion name the same
# verbs and options
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "$here/../.." && pwd)
man=$src/Documentation/man/nvtgtctl.8
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ctl=$tmp/nvtgtctl

# shellcheck disable=SC2046 # flags are words
"${CC:-gcc}" -std=c11 -D_GNU_SOURCE -o "$ctl" "$src"/tools/lib/*.c \
	"$src"/tools/nvtgtctl/*.c "$src"/tools/nvtgtctl/cmd/*.c \
	$(pkg-config --cflags --libs json-c libedit 2>/dev/null || echo -ljson-c -ledit)

# One line "COMMAND --option [ARG]" for each option, "COMMAND" for each command.
from_help() {
	local object verb

	options() {
		echo "$*"
		"$ctl" "$@" --help | awk -v command="$*" '
			/^options:/ { on = 1 }
			on && $1 ~ /^--/ {
				arg = $2 ~ /^[A-Z][A-Z]+(=[A-Z,.]+)?$/ ? " " $2 : ""
				print command " " $1 arg
			}'
	}
	"$ctl" --help | awk '/^options before/ { on = 1 }
		on && $1 ~ /^--/ {
			print $1 ($2 ~ /^[A-Z]+$/ ? " " $2 : "") }'
	while read -r object; do
		case $object in --*) continue ;; esac
		if "$ctl" "$object" --help | grep -q '^usage:'; then
			options "$object"
			continue
		fi
		"$ctl" completion -- "$object" | grep -v '^--' |
			while read -r verb; do options "$object" "$verb"; done
	done < <("$ctl" --root /nonexistent completion)
}

# The same from the page: ".It Cm" begins a command, ".It Fl" an option.
from_man() {
	awk '
	function rest(from,    i, s) {
		for (i = from; i <= NF; i++)
			s = s " " $i
		return s
	}
	/^\.Ss Options before/ { command = "" }
	/^\.Ss Attributes/ { on = 0 }
	/^\.Sh DESCRIPTION/ { on = 1 }
	/^\.Sh ENVIRONMENT/ { on = 0; exit }
	/^\.It Cm/ {
		on = 1
		command = $3
		# a verb is a small word behind the object
		if ($4 ~ /^[a-z][a-z-]+$/)
			command = command " " $4
		print command
	}
	/^\.It Fl -/ && on {
		print (command ? command " " : "") "-" $3 \
			($4 == "Ar" ? rest(5) : "")
	}' "$man"
}

from_help | LC_ALL=C sort >"$tmp/help"
from_man | LC_ALL=C sort >"$tmp/man"
[ "$(wc -l <"$tmp/help")" -gt 80 ] || {
	echo "only $(wc -l <"$tmp/help") lines of help: this test is broken"
	exit 1
}
if ! diff -u "$tmp/help" "$tmp/man"; then
	echo "--help (-) and the man page (+) differ"
	exit 1
fi
for page in "$src"/Documentation/man/*.[58]; do
	head -1 "$page" | grep -q 'SPDX-License-Identifier: GPL-2.0' || {
		echo "$page has no SPDX line"
		exit 1
	}
	# mandoc need not be installed, but where it is, it must be content
	! command -v mandoc >/dev/null ||
		mandoc -Tlint -W warning "$page"
done
bash -n "$src/tools/completion/nvtgtctl"

# the attributes' page is made from the ABI file: whole, and without a complaint
abi=$src/Documentation/ABI/configfs-nvtgt
awk -f "$src/tools/man/attributes.awk" "$abi" >"$tmp/attributes.5"
groff -mdoc -Tutf8 -ww -rLL=100n -P-c "$tmp/attributes.5" >"$tmp/text" 2>"$tmp/err"
[ ! -s "$tmp/err" ] || {
	cat "$tmp/err"
	exit 1
}
# no overstrikes, no hyphenation
sed -i 's/.\x08//g' "$tmp/text"
awk '/^[a-z]/ && !/ [a-z][a-z]* [a-z]/ { name = $0 }
	/^\t/ && name { print name; name = "" }' "$abi" | tr -d , >"$tmp/names"
[ "$(wc -l <"$tmp/names")" -gt 30 ] || {
	echo "only $(wc -l <"$tmp/names") attributes in the ABI file: this test is broken"
	exit 1
}
while read -r name _; do
	awk -v n="$name" '{ sub(/,$/, "", $1) } $1 == n { found = 1 }
		END { exit !found }' "$tmp/text" || {
		echo "nvtgt-attributes(5) lacks $name"
		exit 1
	}
done <"$tmp/names"
! grep -qE '``|^=|====  ' "$tmp/text" || {
	grep -nE '``|^=' "$tmp/text"
	echo "markup of the ABI file is left in nvtgt-attributes(5)"
	exit 1
}
echo "$(wc -l <"$tmp/help") commands and options agree"
