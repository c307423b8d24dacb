# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A kernel built from Debian's source package and a fragment of configuration; and
# what of such a package serves alone: the style checker, and siw, the kernel's iWARP
# over TCP, which Debian's kernels come without.

# source_unpack SERIES VERSION DIR: the source itself into DIR
source_unpack() {
	local series=$1 version=$2 dir=$3 deb
	mkdir -p "$dir" "$dir.deb"
	(cd "$dir.deb" && bench_apt apt-get -q download "linux-source-$series=$version") || return 1
	deb=("$dir".deb/*.deb)
	dpkg-deb --fsys-tarfile "${deb[0]}" | tar -xO "./usr/src/linux-source-$series.tar.xz" |
		xz -dc -T0 | tar -x --strip-components=1 -C "$dir" || return 1
	rm -rf "$dir.deb"
}

# source_build DIR INSIDE BASE FRAGMENT MAKE-WORD...: configure DIR (bound at
# INSIDE in the build root) from the target BASE and the fragment, of which
# every CONFIG_ line must be granted, and make the rest
source_build() {
	local dir=$1 inside=$2 base=$3 fragment=$4
	shift 4
	cp "$fragment" "$dir/nvtgt.config" || return 1
	# shellcheck disable=SC2016
	BENCH_BIND_KERNELS='' in_build_root -b "$dir:$inside" nice -n 10 sh -ec '
		cd "$1"
		base=$2 arch=$3
		shift 3
		make -s "$arch" "$base"
		ARCH=${arch#ARCH=} scripts/kconfig/merge_config.sh -m .config nvtgt.config >/dev/null
		make -s "$arch" olddefconfig
		while IFS= read -r line; do
			case $line in
			CONFIG_*) grep -qxF "$line" .config || { echo "not granted: $line"; bad=1; } ;;
			esac
		done <nvtgt.config
		[ -z "${bad-}" ]
		make -s "-j$(nproc)" "$arch" LOCALVERSION= "$@"
	' sh "$inside" "$base" "$@"
}

# source_install_modules DIR INSIDE WHERE MAKE-WORD...: into WHERE/lib/modules
source_install_modules() {
	local dir=$1 inside=$2 where=$3
	shift 3
	mkdir -p "$where"
	in_build_root -b "$dir:$inside" -b "$where:/stage" \
		make -s -C "$inside" INSTALL_MOD_PATH=/stage DEPMOD=true "$@" modules_install || return 1
	rm -f "$where"/lib/modules/*/build
	depmod -b "$where" "$(ls "$where/lib/modules")"
}

# source_trim DIR: keep what building a module needs
source_trim() {
	find "$1" -name '*.o' -not -path "$1/scripts/*" -not -path "$1/tools/*" -delete
	find "$1" -name '*.a' -delete
}

# ---------------------------------------------------------------- parts of a source

# The files that are kept of a source package, as patterns below its root.
SOURCE_PARTS=('scripts/checkpatch.pl' 'scripts/spelling.txt' 'scripts/const_structs.checkpatch'
	'drivers/infiniband/sw/siw/*')

# source_parts_vars SERIES: sets PARTS, where they are
source_parts_vars() {
	local var=SOURCE_${1//./_}
	PARTS=$NVTGT_CACHE/source/$1-$( (echo "${!var} ${SOURCE_PARTS[*]}"; declare -f source_parts_fill) | hash_of)
}

# source_parts_fill SERIES DIR
source_parts_fill() {
	local series=$1 dir=$2 var=SOURCE_${1//./_} deb
	mkdir "$dir/deb"
	(cd "$dir/deb" && bench_apt apt-get -q download "linux-source-$series=${!var}") || return 1
	deb=("$dir"/deb/*.deb)
	dpkg-deb --fsys-tarfile "${deb[0]}" |
		tar -xO "./usr/src/linux-source-$series.tar.xz" |
		tar -xJ -C "$dir" --strip-components=1 --wildcards "${SOURCE_PARTS[@]/#/*/}" || return 1
	rm -rf "$dir/deb"
	[ -s "$dir/scripts/checkpatch.pl" ] && [ -s "$dir/drivers/infiniband/sw/siw/siw_main.c" ]
}

need_source_parts() {
	source_parts_vars "$1"
	cache_valid "$PARTS" && return 0
	step "fetching the kernel's source $1 for its style checker and siw (150 MB) …"
	with_lock "source-$1" cache_make "$PARTS" \
		logged "$NVTGT_CACHE/log/source-$1" source_parts_fill "$1"
}

# ---------------------------------------------------------------- siw

# siw_vars K: sets SIW, where the module for this kernel is
siw_vars() {
	kernel_vars "$1"
	source_parts_vars "${1%-debug}"
	SIW=$NVTGT_CACHE/siw/$K_RELEASE-$( (echo "$PARTS $K_DIR $BUILD_ROOT"; declare -f siw_fill) | hash_of)
}

# siw_fill K DIR
siw_fill() {
	local k=$1 dir=$2
	cp -r "$PARTS/drivers/infiniband/sw/siw" "$dir/src" || return 1
	# siw_accept() answers the peer before it listens to the socket: what the peer sends in
	# between, a Connect, it never looks at. It looks once more here.
	sed -i '/if (wait_for_peer_rts) {/,/siw_cm_upcall/s/^\(\t*\)siw_qp_socket_assoc(cep, qp);/&\n\1lock_sock(cep->sock->sk);\n\1siw_qp_llp_data_ready(cep->sock->sk);\n\1release_sock(cep->sock->sk);/' \
		"$dir/src/siw_cm.c" || return 1
	grep -q '^\s*siw_qp_llp_data_ready(cep->sock->sk);' "$dir/src/siw_cm.c" || return 1
	BENCH_BIND_KERNELS=$k in_build_root -b "$dir/src:/src" \
		make -C "$K_KDIR" M=/src CONFIG_RDMA_SIW=m modules || return 1
	cp "$dir/src/siw.ko" "$dir/" || return 1
	rm -rf "$dir/src"
}

# need_siw K: the module is in the cache; the kernel and the build root are there
need_siw() {
	need_source_parts "${1%-debug}" || return 1
	siw_vars "$1"
	cache_valid "$SIW" && return 0
	step "building siw (iWARP) for $K_RELEASE …"
	with_lock "siw-$1" cache_make "$SIW" logged "$NVTGT_CACHE/log/siw-$1" siw_fill "$1"
}
