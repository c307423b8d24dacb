#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: what tools/ installs is whole and goes away again; the completion
# completes; DKMS builds the modules that there are
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "$here/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "FAILED: $*"
	exit 1
}

# the tree may be read-only, and somebody else may be building in it
mkdir "$tmp/tree"
cp -r "$src/tools" "$src/include" "$src/Documentation" "$src/configfs-scripts" "$src/dkms.conf" "$tmp/tree"
make -s -C "$tmp/tree/tools" clean
make -s -C "$tmp/tree/tools" CFLAGS="-O1 -Werror" all
make -s -C "$tmp/tree/tools" install DESTDIR="$tmp/dest" PREFIX=/usr
unit=$tmp/dest/lib/systemd/system/nvtgt.service
for f in "$tmp/dest/usr/sbin/nvtgtctl" "$unit" \
	"$tmp/dest/usr/share/man/man8/nvtgtctl.8" \
	"$tmp/dest/usr/share/man/man8/nvtgt.service.8" \
	"$tmp/dest/usr/share/man/man5/nvtgt-config.5" \
	"$tmp/dest/usr/share/man/man5/nvtgt-attributes.5" \
	"$tmp/dest/usr/share/bash-completion/completions/nvtgtctl" \
	"$tmp/dest/usr/share/doc/nvtgt/examples/nvtgt-as-nvmet.conf"; do
	[ -s "$f" ] || fail "$f is not installed"
done
for f in "$src"/configfs-scripts/*.sh; do
	[ -x "$tmp/dest/usr/share/doc/nvtgt/examples/${f##*/}" ] ||
		fail "${f##*/} is not installed"
done
! grep -q '@' "$unit" || fail "the unit has a placeholder left"

# what the unit runs is a command of the tool
while read -r binary command options; do
	[ "$binary" = /usr/sbin/nvtgtctl ] || fail "the unit runs $binary"
	help=$("$tmp/dest$binary" "$command" --help) ||
		fail "the unit's command $command"
	for o in $options; do
		case $o in --*) grep -q -- "$o " <<<"$help" || fail "$command $o" ;; esac
	done
done < <(sed -n 's/^Exec\(Start\|Stop\|Reload\)=\([^-]\)/\2/p' "$unit")
[ "$(grep -c '^Exec\(Start\|Stop\|Reload\)=[^-]' "$unit")" = 3 ] || fail "the unit's commands"

grep -q '^ExecStopPost=.* exec /usr/sbin/nvtgtctl clear ' "$unit" || fail "the unit's last command"

complete_words() {
	COMP_WORDS=("$tmp/dest/usr/sbin/nvtgtctl" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	_nvtgtctl
}
complete_line() {
	complete_words "$@"
	printf '%s\n' "${COMPREPLY[@]}"
}
export NVTGT_ROOT=$tmp/root
mkdir -p "$tmp"/root/{hosts,ports/7,subsystems/nqn.2014-08.org.example:a}
# shellcheck source=/dev/null
. "$tmp/dest/usr/share/bash-completion/completions/nvtgtctl"
[ "$(complete_line sub)" = subsystem ] || fail "object: $(complete_line sub)"
[ "$(complete_line port li)" = "$(printf 'link\nlist')" ] || fail "verb: $(complete_line port li)"
[ "$(complete_line port link "")" = "$(printf -- '--help\n7')" ] ||
	fail "argument: $(complete_line port link "")"
[ "$(complete_line namespace create --dis)" = --disabled ] || fail "option"
[ "$(complete_line subsystem delete nqn.2)" = nqn.2014-08.org.example:a ] || fail "NQN"

make -s -C "$tmp/tree/tools" uninstall DESTDIR="$tmp/dest" PREFIX=/usr
left=$(find "$tmp/dest" ! -type d)
[ -z "$left" ] || fail "uninstall leaves $left"

# dkms.conf names each module and where it is built
# shellcheck disable=SC2034 # for dkms.conf
kernelver=6.12 kernel_source_dir=/usr/src/linux
# shellcheck source=/dev/null
. "$src/dkms.conf"
[[ ${MAKE[0]} == *KDIR=/usr/src/linux* ]] || fail "dkms: ${MAKE[0]}"
for i in "${!BUILT_MODULE_NAME[@]}"; do
	grep -q "^obj-m.*\<${BUILT_MODULE_NAME[i]}\.o" \
		"$src/${BUILT_MODULE_LOCATION[i]}/Kbuild" ||
		fail "dkms: ${BUILT_MODULE_NAME[i]} is not built in ${BUILT_MODULE_LOCATION[i]}"
done
[ "$(cat "$src"/drivers/*/Kbuild | grep -c '^obj-m')" = "${#BUILT_MODULE_NAME[@]}" ] ||
	fail "dkms: a module is missing"
echo "installed, completed, removed"
