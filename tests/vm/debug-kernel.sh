# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The debug kernel: Debian's source of 6.12, tinyconfig plus what tests need
# plus every checker that can find a mistake in a module.

debug_kernel_vars() {
	K_RELEASE=${SOURCE_6_12%-*}-nvtgt-debug
	K_DIR=$NVTGT_CACHE/kernels/$K_RELEASE-$({ echo "$SOURCE_6_12 $BUILD_ROOT"
		declare -f debug_kernel_fill; grep CONFIG_ "$BENCH_TESTS/vm/debug.config"; } | hash_of)
	K_KDIR=/usr/src/linux-debug
}

debug_kernel_make() {
	cache_valid "$K_DIR" && return 0
	step "building the debug kernel $K_RELEASE (20 to 40 minutes of CPU time, once) …"
	cache_make "$K_DIR" logged "$NVTGT_CACHE/log/debug-kernel" debug_kernel_fill
}

debug_kernel_fill() {
	local dir=$1 source deb
	mkdir -p "$dir/pkg/usr/src/linux-debug" "$dir/deb"
	(cd "$dir/deb" && bench_apt apt-get -q download "linux-source-6.12=$SOURCE_6_12") || return 1
	deb=("$dir"/deb/*.deb)
	dpkg-deb -x "${deb[0]}" "$dir/deb/x" || return 1
	tar -xf "$dir"/deb/x/usr/src/linux-source-6.12.tar.xz --strip-components=1 \
		-C "$dir/pkg/usr/src/linux-debug" || return 1
	rm -rf "$dir/deb"
	source=$dir/pkg/usr/src/linux-debug
	cp "$BENCH_TESTS/vm/debug.config" "$source/nvtgt-debug.config" || return 1
	BENCH_BIND_KERNELS='' in_build_root -b "$source:/usr/src/linux-debug" \
		nice -n 10 sh -ec '
		cd /usr/src/linux-debug
		make -s tinyconfig
		scripts/kconfig/merge_config.sh -m .config nvtgt-debug.config >/dev/null
		make -s olddefconfig
		sh -e - <<-"CHECK"
			# every option asked for must have been granted
			while IFS= read -r line; do
				case $line in
				CONFIG_*) grep -qxF "$line" .config || { echo "not granted: $line"; bad=1; } ;;
				esac
			done <nvtgt-debug.config
			[ -z "${bad-}" ]
		CHECK
		make -s -j2 LOCALVERSION= bzImage modules
	' || return 1
	cp "$source/arch/x86/boot/bzImage" "$dir/vmlinuz" || return 1
	mkdir -p "$dir/all"
	in_build_root -b "$source:/usr/src/linux-debug" -b "$dir/all:/stage" \
		make -s -C /usr/src/linux-debug INSTALL_MOD_PATH=/stage DEPMOD=true modules_install || return 1
	rm -f "$dir/all/lib/modules/$K_RELEASE/build"
	mkdir -p "$dir/modules/lib/modules"
	mv "$dir/all/lib/modules/$K_RELEASE" "$dir/modules/lib/modules/" || return 1
	rm -rf "$dir/all"
	# keep what building a module needs
	find "$source" -name '*.o' -not -path "$source/scripts/*" -not -path "$source/tools/*" -delete
	find "$source" -name '*.a' -delete
	depmod -b "$dir/modules" "$K_RELEASE"
}
