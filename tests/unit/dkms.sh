#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: DKMS builds and installs every module that a kernel can have, also on
# a kernel without RDMA, and skips kernels for which there is nothing to build;
# modules and nvtgtctl say the version that dkms.conf has
# kernels: 6.12
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
src=$(cd "$here/../.." && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "FAILED: $*"
	for log in "$tmp/log" "$tmp"/dkms/nvtgt/*/build/make.log; do
		[ ! -e "$log" ] || tail -n 30 "$log"
	done
	exit 1
}

headers=
for headers in /usr/src/linux-headers-6.12*-amd64; do :; done
[ -e "$headers/Makefile" ] || fail "no headers of 6.12 in /usr/src"
kver=${headers#/usr/src/linux-headers-}
version=$(make -s -C "$src" version)
[ -n "$version" ] || fail "dkms.conf has no version"

# as on a machine, in folders of our own
run_dkms() {
	dkms "$@" --dkmstree "$tmp/dkms" --sourcetree "$tmp/src" \
		--installtree "$tmp/modules" >"$tmp/log" 2>&1
}

# kernel RELEASE HEADERS : a kernel that DKMS finds
kernel() {
	mkdir -p "$tmp/modules/$1"
	ln -s "$2" "$tmp/modules/$1/build"
}

# config NAME OPTION : a copy of the headers whose kernel lacks an option
config() {
	local dir=$tmp/headers-$1 file
	mkdir "$dir"
	for file in "$headers"/* "$headers"/.[a-z]*; do
		[ "${file##*/}" = vmlinux ] || [ "${file##*/}" = include ] ||
			ln -s "$(readlink -f "$file")" "$dir/"
	done
	cp -a "$headers/include" "$dir/"
	sed -i "/^CONFIG_$2\(_CONFIGFS\)\?=/d" "$dir/include/config/auto.conf"
	sed -i "/define CONFIG_$2\(_CONFIGFS\)\?\(_MODULE\)\? /d" \
		"$dir/include/generated/autoconf.h"
	# not newer than what is built already
	touch -r "$headers/include/config/auto.conf" "$dir/include/config/auto.conf"
	touch -r "$headers/include/generated/autoconf.h" "$dir/include/generated/autoconf.h"
	! grep -q "^CONFIG_$2=" "$dir/include/config/auto.conf" ||
		fail "the option $2 is still on"
}

# installed RELEASE MODULE... : these modules and no others, with the version
installed() {
	local dir=$tmp/modules/$1/updates/dkms file
	shift
	diff <(printf '%s\n' "$@") <(cd "$dir" && ls | sed 's/\.ko.*//' | sort) ||
		fail "other modules"
	for file in "$dir"/*; do
		[ "$(modinfo -F version "$file")" = "$version" ] ||
			fail "${file##*/} is of version $(modinfo -F version "$file")"
	done
}

mkdir -p "$tmp/src/nvtgt-$version" "$tmp/dkms"
(cd "$src" && cp -r Makefile Kbuild dkms.conf drivers include "$tmp/src/nvtgt-$version")
rm -rf "$tmp/src/nvtgt-$version/drivers/compat/generated"
# what the first build has compiled spares the second one most of its time
cat >"$tmp/src/nvtgt-$version/keep" <<-END
	#!/bin/sh
	cp -a drivers "$tmp/src/nvtgt-$version/"
	rm -r "$tmp/src/nvtgt-$version"/drivers/rdma/*.ko
END
chmod +x "$tmp/src/nvtgt-$version/keep"
kernel "$kver" "$headers"
config rdma INFINIBAND_ADDR_TRANS
config inet INET
run_dkms add -m nvtgt -v "$version" || fail "dkms add"

run_dkms build -m nvtgt -v "$version" -k "$kver" --directive POST_BUILD=keep ||
	fail "dkms build"
run_dkms install -m nvtgt -v "$version" -k "$kver" || fail "dkms install"
installed "$kver" nvtgt nvtgt-bdev nvtgt-loop nvtgt-null nvtgt-rdma nvtgt-tcp nvtgt-vfu
# all of them go, also when the kernel's headers went first
rm "$tmp/modules/$kver/build"
run_dkms uninstall -m nvtgt -v "$version" -k "$kver" || fail "dkms uninstall"
left=$(find "$tmp/modules/$kver" -name '*.ko*')
[ -z "$left" ] || fail "uninstall leaves $left"

rm -rf "$tmp/dkms/nvtgt/$version/$kver"
kernel "$kver" "$tmp/headers-rdma"
run_dkms install -m nvtgt -v "$version" -k "$kver" || fail "dkms install without RDMA"
installed "$kver" nvtgt nvtgt-bdev nvtgt-loop nvtgt-null nvtgt-tcp nvtgt-vfu
run_dkms remove -m nvtgt -v "$version" -k "$kver" || fail "dkms remove"

# nothing to build is no failure of the kernel's own installation
run_dkms status >/dev/null || fail "dkms status"
[ -e "$tmp/dkms/nvtgt/$version/source" ] || run_dkms add -m nvtgt -v "$version" ||
	fail "dkms add once more"
rm -f "$tmp/modules/$kver/build"
kernel "$kver" "$tmp/headers-inet"
rc=0
run_dkms build -m nvtgt -v "$version" -k "$kver" || rc=$?
[ "$rc" = 77 ] || fail "a kernel without INET gives $rc, not 77 (skipped)"

grep -q "dkms install nvtgt/$version" "$src/README.md" || fail "the README has another version"
mkdir "$tmp/tree"
cp -r "$src/tools" "$src/include" "$src/Documentation" "$src/configfs-scripts" "$src/dkms.conf" "$tmp/tree"
make -s -C "$tmp/tree/tools" >"$tmp/log" 2>&1 || fail "tools"
[ "$("$tmp/tree/tools/nvtgtctl/nvtgtctl" --version)" = "nvtgtctl $version" ] ||
	fail "nvtgtctl has another version"
echo "version $version: with RDMA, without, and skipped"
