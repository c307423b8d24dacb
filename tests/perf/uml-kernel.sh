# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The kernel of `make bench`: Debian's source of 7.2 as User Mode Linux, an
# ordinary process that runs the kernel's code at the machine's own speed.

uml_kernel_vars() {
	K_RELEASE=${SOURCE_7_2%%-*}-nvtgt-bench
	K_DIR=$NVTGT_CACHE/kernels/$K_RELEASE-$({ echo "$SOURCE_7_2 $BUILD_ROOT"
		declare -f uml_kernel_fill source_build source_trim
		grep CONFIG_ "$BENCH_TESTS/perf/uml.config"; } | hash_of)
	K_KDIR=/usr/src/linux-uml
}

uml_kernel_make() {
	cache_valid "$K_DIR" && return 0
	step "building $K_RELEASE as User Mode Linux (some 10 minutes of CPU time, once) …"
	cache_make "$K_DIR" logged "$NVTGT_CACHE/log/uml-kernel" uml_kernel_fill
}

uml_kernel_fill() {
	local dir=$1 source=$1/pkg/usr/src/linux-uml
	source_unpack 7.2 "$SOURCE_7_2" "$source" || return 1
	source_build "$source" "$K_KDIR" defconfig "$BENCH_TESTS/perf/uml.config" \
		ARCH=um linux modules || return 1
	source_install_modules "$source" "$K_KDIR" "$dir/modules" ARCH=um || return 1
	cp "$source/linux" "$dir/linux" || return 1
	rm -f "$source/linux" "$source/vmlinux" "$source/vmlinux.o"
	source_trim "$source"
}
