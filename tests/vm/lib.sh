# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The bench's shared ground: where the caches are, how a cache entry is made
# so that a broken or half-made one is never used, which kernels there are,
# and how a command runs in the build root.
#
# A cache entry is a directory made under a temporary name and renamed when it
# is complete; its name holds a hash of everything that went into it. Hence
# there is no way to see a half-made one, and a change makes a new one.

set -uo pipefail

BENCH_TESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BENCH_TREE=$(dirname "$BENCH_TESTS")
NVTGT_CACHE=$(realpath -m "${NVTGT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nvtgt}")
[ -z "${NVTGT_RESULTS-}" ] || NVTGT_RESULTS=$(realpath -m "$NVTGT_RESULTS")
mapfile -t BENCH_KERNELS < <(grep -v "^#" "$BENCH_TESTS/vm/kernels")
# how long the answers of the package archive are taken as true, in seconds
BENCH_FRESH=$((7 * 24 * 3600))

BUILD_PACKAGES="gcc-14 gcc-12 gcc make libc6-dev libelf1t64 libssl3t64 pahole
	bc bison flex libelf-dev libssl-dev cpio rsync kmod python3 perl
	xz-utils zstd
	sparse shellcheck pkgconf libjson-c-dev libmnl-dev libnl-3-dev
	libnl-genl-3-dev librdmacm-dev libibverbs-dev libedit-dev libsystemd-dev libseccomp-dev dkms groff-base man-db
	clang-19 libclang-rt-19-dev"
GUEST_PACKAGES="busybox-static kmod util-linux mount procps iproute2 iputils-ping
	nvme-cli fio e2fsprogs xfsprogs dmsetup lvm2 mdadm jq
	python3 python3-configshell-fb bash-completion libjson-c5 libmnl0
	libnl-3-200 libnl-genl-3-200 librdmacm1t64 ibverbs-providers ethtool nftables tcpdump strace gdisk
	parted bsdextrautils file man-db groff-base libedit2 libsystemd0 libseccomp2 nvme-stas dbus systemd"
# for virtual machines inside a guest: see qemu.sh
QEMU_PACKAGES="qemu-system-x86 seabios ovmf"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# progress lines: plan N, then step TEXT for each
BENCH_STEP=0 BENCH_STEPS=0
plan() { BENCH_STEPS=$1 BENCH_STEP=0; }
step() {
	BENCH_STEP=$((BENCH_STEP + 1))
	[ "$BENCH_STEPS" -ge "$BENCH_STEP" ] || BENCH_STEPS=$BENCH_STEP
	say "[$BENCH_STEP/$BENCH_STEPS] $*"
}

# kill_children PID: everything that PID started, and what that started
kill_children() {
	local child
	for child in $(cat "/proc/$1"/task/*/children 2>/dev/null); do
		kill_children "$child"
		kill "$child" 2>/dev/null
	done
}

hash_of() { sha256sum | cut -c1-12; }

# Run "$@" with a log; show its end when it fails.
logged() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	"$@" >"$log" 2>&1 </dev/null && return 0
	local rc=$?
	say "failed ($rc): $*"
	tail -n 30 "$log" >&2
	say "the whole log: $log"
	return "$rc"
}

# with_lock NAME CMD...: one at a time on this cache; says whom it waits for.
with_lock() {
	local name=$1 fd
	shift
	mkdir -p "$NVTGT_CACHE/locks"
	exec {fd}>"$NVTGT_CACHE/locks/$name"
	if ! flock -n "$fd"; then
		say "waiting for another run of the bench ($name) …"
		flock "$fd"
	fi
	# what the command starts must not keep the lock
	eval "\"\$@\" $fd>&-"
	local rc=$?
	exec {fd}>&-
	return "$rc"
}

# cache_valid DIR: is it there and whole? What it was made of is written down,
# a sample of some hundred files with their sizes.
cache_valid() {
	[ -e "$1/.complete" ] || return 1
	(cd "$1" && cut -d' ' -f2- .complete | xargs -r -d '\n' stat -c '%s %n' 2>/dev/null |
		cmp -s - .complete) || return 1
	touch "$1/.complete"
}

# cache_make DIR CMD...: CMD fills the empty directory it gets as its last
# argument; only when it succeeds does it become DIR.
cache_make() {
	local dir=$1 tmp
	shift
	cache_valid "$dir" && return 0
	mkdir -p "$(dirname "$dir")"
	rm -rf "$dir" "$dir".tmp.*
	tmp=$dir.tmp.$$
	mkdir "$tmp" || return 1
	if ! "$@" "$tmp"; then
		rm -rf "$tmp"
		return 1
	fi
	(cd "$tmp" && find . -type f -printf '%s %p\n' | sort -k2 |
		awk '{ line[NR] = $0 } END { n = int(NR / 300) + 1; for (i = 1; i <= NR; i += n) print line[i] }
			' >../.complete.$$ && mv ../.complete.$$ .complete) || return 1
	# what is in it must be on the disk before the name says it is whole
	sync -f "$tmp"
	mv "$tmp" "$dir"
}

# Entries that no run has used for a month go, and what killed runs left.
cache_prune() {
	local f
	for f in "$NVTGT_CACHE"/{kernels,roots,initrd,checkpatch,source,siw,qemu}/*/.complete; do
		[ -e "$f" ] || continue
		[ -z "$(find "$f" -mtime +30)" ] || rm -rf "${f%/.complete}"
	done
	for f in "$NVTGT_CACHE"/build/*/*/log; do
		[ -e "$f" ] || continue
		[ -z "$(find "$f" -mtime +30)" ] || rm -rf "${f%/log}"
	done
	find "$NVTGT_CACHE"/kernels "$NVTGT_CACHE"/roots "$NVTGT_CACHE"/initrd "$NVTGT_CACHE"/qemu -maxdepth 1 \
		-name '*.tmp.*' -mtime +1 -exec rm -rf {} + 2>/dev/null
	find "$NVTGT_CACHE" -maxdepth 1 -name 'resolved*' -mtime +30 -delete
	return 0
}

# ---------------------------------------------------------------- the archive

# The site of Debian's archive is whatever this machine's apt uses.
archive_sites() {
	ARCHIVE=$(archive_site Debian)
	if [ -z "$ARCHIVE" ]; then
		# a machine that has never read its package lists
		logged "$NVTGT_CACHE/log/apt-update-host" apt-get -q update
		ARCHIVE=$(archive_site Debian)
	fi
	[ -n "$ARCHIVE" ] || die "apt knows no Debian archive: apt-get indextargets prints none"
	ARCHIVE_SECURITY=$(archive_site Debian-Security)
	[ -n "$ARCHIVE_SECURITY" ] || ARCHIVE_SECURITY=${ARCHIVE%/}-security
}

archive_site() {
	apt-get indextargets --format '$(SITE)|$(LABEL)' | sed -n "s/|$1\$//p" | sort -u | head -n 1
}

# apt with a state of its own, so that it sees every suite and leaves the
# machine's apt alone.
bench_apt() {
	local tool=$1
	shift
	APT_CONFIG=$NVTGT_CACHE/apt/apt.conf "$tool" "$@"
}

archive_refresh() {
	local dir=$NVTGT_CACHE/apt suite
	archive_sites
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	: >"$dir/status"
	{
		for suite in bookworm trixie trixie-updates trixie-backports; do
			echo "deb $ARCHIVE $suite main"
		done
		for suite in bookworm-security trixie-security; do
			echo "deb $ARCHIVE_SECURITY $suite main"
		done
	} >"$dir/sources.list"
	# only the suites of the guest's userland
	grep -v -e bookworm -e backports "$dir/sources.list" >"$dir/trixie.list"
	cat >"$dir/apt.conf" <<-EOF
	Dir::Etc::SourceList "$dir/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::Etc::Preferences "/dev/null";
	Dir::Etc::PreferencesParts "/dev/null";
	Dir::State::Lists "$dir/lists";
	Dir::State::status "$dir/status";
	Dir::Cache "$dir";
	APT::Architecture "amd64";
	APT::Sandbox::User "root";
	Acquire::Retries "5";
	EOF
	logged "$NVTGT_CACHE/log/apt-update" bench_apt apt-get -q update
}

# The newest kernel of a series that has both an image and headers.
newest_kernel() {
	local pattern
	case $1 in
	6.1) pattern='6\.1\.0-[0-9]+-amd64' ;;
	*) pattern=${1//./\\.}'\.[0-9]+\+deb13(\.[0-9]+)?-amd64' ;;
	esac
	comm -12 \
		<(bench_apt apt-cache pkgnames linux-image- |
			sed -En "s/^linux-image-($pattern)\$/\1/p" | sort) \
		<(bench_apt apt-cache pkgnames linux-headers- |
			sed -En "s/^linux-headers-($pattern)\$/\1/p" | sort) |
		sort -V | tail -n 1
}

candidates() {
	# shellcheck disable=SC2086
	APT_CONFIG=$NVTGT_CACHE/apt/apt.conf apt-cache policy $1 |
		awk '/^[^ ]/ { p = $1 } /Candidate:/ { print p $2 }'
}

# qemu_install WORD...: apt-get, for these packages and all they depend on, as if nothing was installed
qemu_install() {
	# shellcheck disable=SC2086
	bench_apt apt-get -q -y --no-install-recommends -t trixie-backports "$@" install $QEMU_PACKAGES
}

# Ask the archive once in a while what is newest, and write it down, so that
# a run that needs nothing new does not touch the network.
resolve() {
	local file list k rel
	# what a run of the tests has found at its beginning holds to its end
	if [ -s "${NVTGT_RESOLVED-}" ]; then
		# shellcheck disable=SC1090
		. "$NVTGT_RESOLVED"
		RESOLVED=$NVTGT_RESOLVED
		return 0
	fi
	command -v apt-get >/dev/null ||
		die "the bench is made from Debian's packages: it needs Debian 12 or newer"
	list=$({ echo "${BENCH_KERNELS[*]} $BUILD_PACKAGES / $GUEST_PACKAGES / $QEMU_PACKAGES"; declare -f resolve; } | hash_of)
	file=$NVTGT_CACHE/resolved-$list	# checkouts that ask for different packages take turns
	RESOLVED=$file
	if [ -s "$file" ] && grep -qx "LIST=$list" "$file" &&
	   [ $(($(date +%s) - $(stat -c %Y "$file"))) -lt "$BENCH_FRESH" ]; then
		# shellcheck disable=SC1090
		. "$file"
		return 0
	fi
	if ! archive_refresh; then
		[ -s "$file" ] || die "cannot reach Debian's archive, and nothing is cached"
		say "cannot reach Debian's archive: going on with what is cached"
		# shellcheck disable=SC1090
		. "$file"
		return 0
	fi
	{
		echo "LIST=$list"
		for k in "${BENCH_KERNELS[@]}"; do
			rel=$(newest_kernel "$k")
			[ -n "$rel" ] || die "the archive has no kernel $k"
			echo "RELEASE_${k//./_}=$rel"
			echo "VERSION_${k//./_}=$(bench_apt apt-cache show "linux-headers-$rel" |
				sed -n 's/^Version: //p' | head -n 1)"
		done
		echo "SOURCE_6_12=$(candidates linux-source-6.12 | cut -d: -f2)"
		echo "SOURCE_7_2=$(candidates linux-source-7.2 | cut -d: -f2)"
		echo "BUILD_KEY=$(candidates "$BUILD_PACKAGES" | hash_of)"
		echo "GUEST_KEY=$(candidates "$GUEST_PACKAGES" | hash_of)"
		echo "QEMU_KEY=$(qemu_install -s | grep '^Inst' | hash_of)"
	} >"$file.tmp.$$" && mv "$file.tmp.$$" "$file"
	# shellcheck disable=SC1090
	. "$file"
}

# ---------------------------------------------------------------- kernels

# kernel_vars K: sets K_RELEASE (uname -r), K_DIR (cache), K_KDIR (the path
# of the header tree inside the build root).
kernel_vars() {
	local k=$1 var
	K_NAME=$k
	case $k in
	6.12-debug) debug_kernel_vars; return ;;
	uml) uml_kernel_vars; return ;;
	esac
	var=RELEASE_${k//./_}
	K_RELEASE=${!var:?unknown kernel $k}
	var=VERSION_${k//./_}
	K_DIR=$NVTGT_CACHE/kernels/$K_RELEASE-$( (echo "${!var}"; declare -f kernel_fill kernel_modules; cat "$BENCH_TESTS/vm/modules.list") | hash_of)
	K_KDIR=/usr/src/linux-headers-$K_RELEASE
}

# linux_packages REL PKG...: PKG and what of the same release they depend on
linux_packages() {
	local rel=${1%-amd64} todo seen=" " p d
	shift
	todo=("$@")
	while [ ${#todo[@]} -gt 0 ]; do
		p=${todo[0]}
		todo=("${todo[@]:1}")
		case $seen in *" $p "*) continue ;; esac
		seen+="$p "
		for d in $(bench_apt apt-cache depends --no-recommends --no-suggests \
				--no-conflicts --no-breaks --no-replaces --no-enhances "$p" |
				sed -En 's/^ *\|?(Pre)?Depends: (linux-[^ ]*)$/\2/p'); do
			case $d in
			*"$rel"*|linux-kbuild-*) todo+=("$d") ;;
			esac
		done
	done
	echo "$seen"
}

kernel_fill() {
	local dir=$1 pkgs p
	pkgs=$(linux_packages "$K_RELEASE" "linux-headers-$K_RELEASE" "linux-image-$K_RELEASE")
	mkdir "$dir/debs" "$dir/pkg"
	# shellcheck disable=SC2086
	(cd "$dir/debs" && bench_apt apt-get -q download $pkgs) || return 1
	for p in "$dir"/debs/*.deb; do
		dpkg-deb -x "$p" "$dir/pkg" || return 1
	done
	rm -rf "$dir/debs" "$dir/pkg/usr/share/doc"
	# since 7.2 the image lies beside its modules
	for p in "boot/vmlinuz-$K_RELEASE" "usr/lib/modules/$K_RELEASE/vmlinuz"; do
		[ ! -e "$dir/pkg/$p" ] || cp "$dir/pkg/$p" "$dir/vmlinuz" || return 1
	done
	[ -s "$dir/vmlinuz" ] || return 1
	kernel_modules "$dir" "$K_RELEASE"
}

# Keep of some 4,000 modules those that tests need and what these need, not
# compressed: that makes depmod and modprobe quick in a slow guest.
kernel_modules() {
	local dir=$1 rel=$2 lib=$1/pkg/lib/modules/$2
	[ -d "$lib" ] || lib=$dir/pkg/usr/lib/modules/$rel
	depmod -b "${lib%/lib/modules/*}" "$rel" || return 1
	mkdir -p "$dir/modules/lib/modules/$rel"
	/usr/bin/python3 "$BENCH_TESTS/vm/trim-modules.py" "$lib" \
		"$dir/modules/lib/modules/$rel" "$BENCH_TESTS/vm/modules.list" || return 1
	rm -rf "$lib"
	depmod -b "$dir/modules" "$rel"
}

need_kernel() {
	kernel_vars "$1"
	cache_valid "$K_DIR" && return 0
	case $1 in
	6.12-debug) with_lock debug-kernel debug_kernel_make; return ;;
	uml) with_lock uml-kernel uml_kernel_make; return ;;
	esac
	step "fetching Debian's kernel $K_RELEASE and its headers (some 150 MB) …"
	with_lock "kernel-$1" cache_make "$K_DIR" \
		logged "$NVTGT_CACHE/log/kernel-$1" kernel_fill
}

# ---------------------------------------------------------------- roots

build_root_fill() {
	# shellcheck disable=SC2086
	mmdebstrap --mode=root --variant=apt --quiet --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Retries "5"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="$(echo $BUILD_PACKAGES | tr ' ' ',')" \
		trixie "$1/root" - <"$NVTGT_CACHE/apt/trixie.list" || return 1
	mkdir -p "$1/root/src"
}

guest_root_fill() {
	# shellcheck disable=SC2086
	mmdebstrap --mode=root --variant=apt --quiet --architectures=amd64 \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Retries "5"' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--include="$(echo $GUEST_PACKAGES | tr ' ' ',')" \
		trixie "$1/root" - <"$NVTGT_CACHE/apt/trixie.list" || return 1
	rm -rf "$1"/root/var/cache/apt/* "$1"/root/var/lib/apt/lists/*
	mkdir -p "$1/root/bench" "$1/root/results" "$1/root/overlay"
	cp "$1/root/usr/bin/busybox" "$1/busybox" || return 1
	# 1 GiB is room enough; the guest sees it read-only under a tmpfs
	truncate -s 1500M "$1/guest.img" &&
	mkfs.ext4 -q -F -O ^has_journal -L nvtgt-guest -d "$1/root" "$1/guest.img" || return 1
	rm -rf "$1/root"
}

root_vars() {
	BUILD_ROOT=$NVTGT_CACHE/roots/build-$({ echo "$BUILD_KEY"; declare -f build_root_fill; } | hash_of)
	GUEST_ROOT=$NVTGT_CACHE/roots/guest-$({ echo "$GUEST_KEY"; declare -f guest_root_fill; } | hash_of)
}

need_build_root() {
	root_vars
	cache_valid "$BUILD_ROOT" && return 0
	step "making the build root: Debian 13 with compilers (about 1 GB, one to three minutes) …"
	with_lock build-root cache_make "$BUILD_ROOT" \
		logged "$NVTGT_CACHE/log/build-root" build_root_fill
}

need_guest_root() {
	root_vars
	cache_valid "$GUEST_ROOT" && return 0
	step "making the guest's root file system: Debian 13 with nvme-cli and fio (one to two minutes) …"
	with_lock guest-root cache_make "$GUEST_ROOT" \
		logged "$NVTGT_CACHE/log/guest-root" guest_root_fill
}

# in_build_root [-b HOSTDIR:DIR]... CMD...: run in the build root with the
# directories bound; every kernel that is there has its headers in place.
# /src is the first bound directory by convention.
in_build_root() {
	local binds=() k root=$BUILD_ROOT/root
	while [ "${1-}" = -b ]; do
		binds+=("$2")
		shift 2
	done
	for k in ${BENCH_BIND_KERNELS-}; do
		local dir
		kernel_vars "$k"
		for dir in "$K_DIR"/pkg/usr/src/* "$K_DIR"/pkg/usr/lib/linux-kbuild-*; do
			[ -d "$dir" ] && binds+=("$dir:${dir#"$K_DIR"/pkg}")
		done
	done
	# shellcheck disable=SC2016
	# a namespace of processes: all of them die with this shell
	setpriv --pdeathsig KILL unshare --mount --propagation unchanged --pid --fork --kill-child=KILL bash -c '
		root=$1 n=$2
		shift 2
		# in a chroot, / may be no mount point, and then nobody shares it
		mount --make-rprivate / 2>/dev/null
		mount -t proc proc "$root/proc" || exit 1
		mount -t tmpfs tmpfs "$root/tmp" || exit 1
		# the tools read how many CPUs there may be, and want a terminal
		mount -t sysfs -o ro sysfs "$root/sys" || exit 1
		mkdir -p "$root/dev/pts"
		mount -t devpts -o ptmxmode=666 devpts "$root/dev/pts" || exit 1
		for ((i = 0; i < n; i++)); do
			mkdir -p "$root/${1#*:}" &&
			mount --bind "${1%%:*}" "$root/${1#*:}" || exit 1
			shift
		done
		# this shell is the first process there, and takes in what others leave
		chroot "$root" /usr/bin/env -i LC_ALL=C.UTF-8 HOME=/tmp \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
		exit $?
	' bash "$root" "${#binds[@]}" "${binds[@]}" "$@"
}
