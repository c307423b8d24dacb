# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Virtual machines inside a guest: a QEMU that speaks vfio-user, which Debian 13 has in its backports,
# with its libraries and firmware, and a kernel that boots in them although all is emulated twice.

# qemu_vars: sets QEMU, where it is
qemu_vars() {
	QEMU=$NVTGT_CACHE/qemu/$( (echo "$QEMU_KEY"; declare -f qemu_fill) | hash_of)
}

# qemu_fill DIR: DIR/qemu is a script that starts it wherever DIR is; DIR/firmware, DIR/lib
qemu_fill() {
	local dir=$1 all=$1/all deb lib
	mkdir -p "$dir/debs/partial" "$all" "$dir/lib" "$dir/firmware"
	qemu_install -d -o "Dir::Cache::Archives=$dir/debs/" || return 1
	for deb in "$dir"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink -C "$all" \
			--exclude=./usr/share/doc --exclude=./usr/share/locale || return 1
	done
	lib=$all/usr/lib/x86_64-linux-gnu
	cp "$all/usr/bin/qemu-system-x86_64" "$dir/lib/" || return 1
	# a loader of the same Debian finds what it needs
	cp "$lib/ld-linux-x86-64.so.2" "$dir/lib/" || return 1
	"$dir/lib/ld-linux-x86-64.so.2" --library-path "$lib" --list "$dir/lib/qemu-system-x86_64" |
		awk '$2 == "=>" && $3 !~ /ld-linux/ { print $3 }' | xargs cp -L -t "$dir/lib" || return 1
	cp "$all"/usr/share/seabios/bios-256k.bin "$all"/usr/share/OVMF/OVMF_{CODE,VARS}_4M.fd \
		"$all"/usr/share/qemu/{linuxboot_dma,pvh,kvmvapic}.bin "$dir/firmware/" || return 1
	cat >"$dir/qemu" <<-'END'
	#!/bin/sh
	here=${0%/*}
	exec "$here/lib/ld-linux-x86-64.so.2" --library-path "$here/lib" \
		"$here/lib/qemu-system-x86_64" -L "$here/firmware" "$@"
	END
	chmod +x "$dir/qemu"
	rm -rf "$dir/debs" "$all"
	"$dir/qemu" -device vfio-user-pci,help
}

# nested_vars: sets NESTED, where its kernel is
nested_vars() {
	NESTED=$NVTGT_CACHE/qemu/kernel-$({ echo "$SOURCE_6_12 $BUILD_ROOT"
		declare -f nested_fill source_build; grep CONFIG_ "$BENCH_TESTS/vm/nested.config"; } | hash_of)
}

nested_fill() {
	local dir=$1
	source_unpack 6.12 "$SOURCE_6_12" "$dir/source" || return 1
	source_build "$dir/source" /usr/src/linux-nested tinyconfig "$BENCH_TESTS/vm/nested.config" \
		ARCH=x86_64 vmlinux || return 1
	cp "$dir/source/vmlinux" "$dir/vmlinux" || return 1
	rm -rf "$dir/source"
}

need_qemu() {
	qemu_vars
	if ! cache_valid "$QEMU"; then
		step "fetching a QEMU that speaks vfio-user (45 MB) …"
		with_lock qemu cache_make "$QEMU" logged "$NVTGT_CACHE/log/qemu" qemu_fill || return 1
	fi
	nested_vars
	cache_valid "$NESTED" && return 0
	step "building a kernel for virtual machines in a guest (some 6 minutes of CPU time, once) …"
	with_lock nested-kernel cache_make "$NESTED" logged "$NVTGT_CACHE/log/nested-kernel" nested_fill
}
