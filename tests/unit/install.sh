#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make install puts everything in its place, make uninstall takes it away, and
# what dkms.conf says builds the modules that it names.
set -eu

fail() { echo "FAIL: $*"; exit 1; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
kernel_source_dir=
for dir in /usr/src/linux-headers-*-amd64; do
	[ ! -e "$dir/Makefile" ] || kernel_source_dir=$dir
done
[ -n "$kernel_source_dir" ] || fail "no headers in /usr/src"
kernelver=${kernel_source_dir#/usr/src/linux-headers-}

mkdir "$tmp/src" "$tmp/dest"
cp -r Makefile Kbuild dkms.conf drivers include tools Documentation configfs-scripts "$tmp/src"
cd "$tmp/src"

# as DKMS does it
# shellcheck disable=SC1091
. ./dkms.conf
eval "${MAKE[0]}" >"$tmp/log" 2>&1 || { tail -n 30 "$tmp/log"; fail "${MAKE[0]}"; }
for i in "${!BUILT_MODULE_NAME[@]}"; do
	ko=${BUILT_MODULE_LOCATION[i]}/${BUILT_MODULE_NAME[i]}.ko
	[ -e "$ko" ] || fail "dkms.conf names $ko, which was not built"
done
built=$(find drivers -name '*.ko' | wc -l)
[ "$built" = "${#BUILT_MODULE_NAME[@]}" ] || fail "$built modules, dkms.conf names ${#BUILT_MODULE_NAME[@]}"

make install KDIR="$kernel_source_dir" DESTDIR="$tmp/dest" >"$tmp/log" 2>&1 ||
	{ tail -n 30 "$tmp/log"; fail "make install"; }
for module in nvtgt nvtgt-tcp nvtgt-bdev nvtgt-null nvtgt-loop nvtgt-vfu; do
	find "$tmp/dest/lib/modules/$kernelver/updates" -name "$module.ko*" | grep -q . ||
		fail "$module is not installed"
done
for file in usr/sbin/nvtgtctl usr/sbin/nvtgt-vfud usr/share/man/man8/nvtgtctl.8 usr/share/man/man8/nvtgt-vfud.8 usr/share/man/man5/nvtgt-config.5 \
	lib/systemd/system/nvtgt.service lib/systemd/system/nvtgt-vfud.service usr/lib/sysusers.d/nvtgt-vfud.conf usr/share/bash-completion/completions/nvtgtctl \
	usr/share/doc/nvtgt/examples/nvtgt-as-nvmet.conf \
	usr/share/doc/nvtgt/examples/export-tcp.sh; do
	[ -s "$tmp/dest/$file" ] || fail "no $file"
done
for script in configfs-scripts/*.sh; do
	[ -x "$tmp/dest/usr/share/doc/nvtgt/examples/${script##*/}" ] || fail "no ${script##*/}"
done

make uninstall KDIR="$kernel_source_dir" DESTDIR="$tmp/dest" >"$tmp/log" 2>&1 ||
	{ cat "$tmp/log"; fail "make uninstall"; }
left=$(find "$tmp/dest" -type f -not -name 'modules.*')
[ -z "$left" ] || fail "uninstall leaves: $left"
