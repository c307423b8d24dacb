# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A kernel built from Debian's source package and a fragment of configuration.

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
