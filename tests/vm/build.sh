# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Building the tree's modules and tools in the build root. Each kernel has a
# copy of the tree of its own outside of it, kept from one build to the next:
# one source then builds for several kernels, incrementally and side by side.

# What the host itself needs. Everything else comes from the build root.
HOST_COMMANDS=(qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap
	rsync:rsync cpio:cpio mkfs.ext4:e2fsprogs
	depmod:kmod flock:util-linux unshare:util-linux mount:mount find:findutils zstd:zstd xz:xz-utils)

# host_packages: sets HOST_MISSING; with HOST_PYTEST set that of tests/run as well
host_packages() {
	local pair
	HOST_MISSING=()
	for pair in "${HOST_COMMANDS[@]}"; do
		command -v "${pair%%:*}" >/dev/null || HOST_MISSING+=("${pair#*:}")
	done
	# python3-minimal has the command, but not these
	/usr/bin/python3 -c 'import json, lzma, socket, threading' 2>/dev/null || HOST_MISSING+=(python3)
	[ -n "${HOST_PYTEST-}" ] || return 0
	for pair in pytest:python3-pytest xdist:python3-pytest-xdist pytest_timeout:python3-pytest-timeout; do
		/usr/bin/python3 -c "import ${pair%%:*}" 2>/dev/null || HOST_MISSING+=("${pair#*:}")
	done
}

need_host_packages() {
	[ "$(id -u)" = 0 ] || die "the bench makes root file systems and mounts: run it as root"
	[ "$(uname -m)" = x86_64 ] || die "the bench knows x86_64 only"
	host_packages
	[ ${#HOST_MISSING[@]} -gt 0 ] || return 0
	step "installing with apt: ${HOST_MISSING[*]} …"
	logged "$NVTGT_CACHE/log/apt-install" env DEBIAN_FRONTEND=noninteractive \
		sh -c 'apt-get -q update && exec apt-get -q -y --no-install-recommends install "$@"' \
		sh "${HOST_MISSING[@]}" || exit 1
}

# Where the copies of this very checkout are built for a kernel (or "tools").
build_dir() {
	echo "$NVTGT_CACHE/build/$(echo "$BENCH_TREE" | hash_of)/$1"
}

# copy_tree DIR: bring DIR/tree up to date; what was built in it stays. Files
# are compared by content, and get the time of the copy: a file that went back
# to an older state is then newer than its object, as make wants it. In a run
# the source is the run's own snapshot ($from), not a tree that somebody is editing.
copy_tree() {
	local from=${from:-$BENCH_TREE}
	mkdir -p "$1/tree"
	rsync -rlp --checksum --delete --exclude=/.tools \
		--exclude=/.git --exclude='*.o' --exclude='*.ko' --exclude='*.a' \
		--exclude='*.mod' --exclude='*.mod.c' --exclude='.*.cmd' \
		--exclude='*.d' --exclude=Module.symvers --exclude=modules.order \
		--exclude='.module-common.*' --exclude='*.order' \
		--exclude=/drivers/compat/generated --exclude=/drivers/compat/include/generated \
		--exclude=/tools/nvtgtctl/nvtgtctl --exclude=/tools/nvtgt-vfud/nvtgt-vfud --exclude=__pycache__ \
		"$from/" "$1/tree/"
}

# loads_here MODULE K: the bench's kernel has no RDMA, and its initiator wants a kernel from 6.9 on
loads_here() {
	case "$1 $2" in
	*sigmr\ uml|*perf/module\ uml|*perf/module\ 6.1) return 1 ;;
	esac
}

# build_modules K [make arguments]: stage/ gets a module tree in which the
# tree's modules lie in updates/ beside the kernel's own.
build_modules() {
	local k=$1 dir log rc m
	shift
	kernel_vars "$k"
	dir=$(build_dir "$k")
	log=$dir/log
	mkdir -p "$dir"
	if [ ! -e "$BENCH_TREE/Kbuild" ] && [ ! -e "$BENCH_TREE/Makefile" ]; then
		rm -rf "$dir/stage"
		stage_modules "$dir"
		return
	fi
	# another kernel of the same series, or another root: nothing of it is usable
	if [ "$(cat "$dir/made-for" 2>/dev/null)" != "$K_DIR $BUILD_ROOT" ]; then
		rm -rf "$dir/tree"
		echo "$K_DIR $BUILD_ROOT" >"$dir/made-for"
	fi
	copy_tree "$dir" || return 1
	BENCH_BIND_KERNELS=$k in_build_root -b "$dir/tree:/src" \
		make -C /src -j"${BENCH_JOBS:-2}" KDIR="$K_KDIR" W=1 modules "$@" >"$log" 2>&1 </dev/null
	rc=$?
	# what only tests load
	for m in tests/lib/sigmr tests/perf/module; do
		if [ "$rc" = 0 ] && loads_here "$m" "$k" && [ -e "$dir/tree/$m/Kbuild" ]; then
			BENCH_BIND_KERNELS=$k in_build_root -b "$dir/tree:/src" \
				make -C "$K_KDIR" M="/src/$m" W=1 modules "$@" >>"$log" 2>&1 </dev/null
			rc=$?
		fi
	done
	if grep -E 'warning:|WARNING:' "$log" >&2; then
		rm -f "$dir/made-for"	# the objects are there: another build would not warn
		[ "$rc" != 0 ] || rc=1
	fi
	if [ "$rc" != 0 ]; then
		grep -vE '^ +(CC|LD|AR|MODPOST|CHECK) |warning:' "$log" | tail -n 60 >&2
		say "the whole log: $log"
		return "$rc"
	fi
	stage_modules "$dir"
}

# siw_for K: is siw there for this kernel? Only tests over iWARP have it made.
siw_for() {
	case $1 in
	6.12*|7.2) siw_vars "$1"; [ -e "$SIW/.complete" ] ;;
	*) false ;;
	esac
}

stage_modules() {
	local dir=$1 lib=$1/stage/lib/modules/$K_RELEASE base=$K_DIR/modules/lib/modules/$K_RELEASE
	if [ "$(cat "$dir/stage/made-from" 2>/dev/null)" != "$base" ]; then
		rm -rf "$dir/stage"
		mkdir -p "$lib"
		cp -al "$base/." "$lib/" || return 1
		# depmod writes these anew: they must not be links into the cache
		rm -f "$lib"/modules.{alias,dep,softdep,symbols,devname,weakdep}* "$lib"/modules.builtin.*bin
		echo "$base" >"$dir/stage/made-from"
	fi
	rm -rf "$lib/updates"
	mkdir -p "$lib/updates"
	[ ! -d "$dir/tree" ] || find "$dir/tree" -name '*.ko' -exec cp {} "$lib/updates/" \;
	if siw_for "$K_NAME"; then
		cp "$SIW/siw.ko" "$lib/updates/"
	fi
	depmod -b "$dir/stage" "$K_RELEASE"
}

# build_tools: tools/ of the tree, in a copy kept for it, and programs of the tests.
build_tools() {
	local dir rc
	dir=$(build_dir tools)
	[ -e "$BENCH_TREE/tools/Makefile" ] || return 0
	if [ "$(cat "$dir/made-for" 2>/dev/null)" != "$BUILD_ROOT" ]; then
		rm -rf "$dir/tree"
		mkdir -p "$dir"
		echo "$BUILD_ROOT" >"$dir/made-for"
	fi
	copy_tree "$dir" || return 1
	rm -rf "$dir/stage"
	mkdir -p "$dir/stage"
	in_build_root -b "$dir/tree:/src" -b "$dir/stage:/stage" \
		sh -c 'make -C /src/tools -j2 && make -C /src/tools install DESTDIR=/stage PREFIX=/usr &&
			make -C /src/tests/lib/rdmapeer OUT=/stage/usr/lib/nvtgt-tests &&
			make -C /src/tests/lib/vmload OUT=/stage/usr/lib/nvtgt-tests' \
		>"$dir/log" 2>&1 </dev/null
	rc=$?
	if grep -E 'warning:' "$dir/log" >&2; then
		[ "$rc" != 0 ] || rc=1
	fi
	if [ "$rc" != 0 ]; then
		tail -n 40 "$dir/log" >&2
		say "tools/ did not build; the whole log: $dir/log"
	fi
	return "$rc"
}
