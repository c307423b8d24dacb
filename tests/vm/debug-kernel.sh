# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The debug kernel: Debian's source of 6.12, tinyconfig plus what tests need
# plus every checker that can find a mistake in a module.

debug_kernel_vars() {
	K_RELEASE=${SOURCE_6_12%-*}-nvtgt-debug
	K_DIR=$NVTGT_CACHE/kernels/$K_RELEASE-$({ echo "$SOURCE_6_12 $BUILD_ROOT"
		declare -f debug_kernel_fill source_build source_trim; grep CONFIG_ "$BENCH_TESTS/vm/debug.config"; } | hash_of)
	K_KDIR=/usr/src/linux-debug
}

debug_kernel_make() {
	cache_valid "$K_DIR" && return 0
	step "building the debug kernel $K_RELEASE (20 to 40 minutes of CPU time, once) …"
	cache_make "$K_DIR" logged "$NVTGT_CACHE/log/debug-kernel" debug_kernel_fill
}

debug_kernel_fill() {
	local dir=$1 source=$1/pkg/usr/src/linux-debug
	source_unpack 6.12 "$SOURCE_6_12" "$source" || return 1
	source_build "$source" "$K_KDIR" tinyconfig "$BENCH_TESTS/vm/debug.config" \
		ARCH=x86_64 bzImage modules || return 1
	cp "$source/arch/x86/boot/bzImage" "$dir/vmlinuz" || return 1
	source_install_modules "$source" "$K_KDIR" "$dir/modules" ARCH=x86_64 || return 1
	source_trim "$source"
}
