# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What a guest starts from: the initramfs, and how it runs (KVM or TCG).

# Modules that the way to the disk and the shares needs.
INITRD_MODULES="virtio_pci virtio_blk virtio_rng ext4 overlay 9p 9pnet_virtio"

initrd_vars() {
	INITRD=$NVTGT_CACHE/initrd/$K_RELEASE-$({ echo "$K_DIR $GUEST_ROOT"
		declare -f initrd_fill; cat "$BENCH_TESTS/vm/guest/init"; } | hash_of)
}

initrd_fill() {
	local dir=$1 root=$1/root m path
	mkdir -p "$root"/{bin,proc,sys,dev,lower,upper,root,modules}
	cp "$GUEST_ROOT/busybox" "$root/bin/busybox" || return 1
	cp "$BENCH_TESTS/vm/guest/init" "$root/init" || return 1
	: >"$root/modules/order"
	for m in $INITRD_MODULES; do
		while read -r _ path _; do
			[ -e "$root/modules/${path##*/}" ] && continue
			cp "$path" "$root/modules/" || return 1
			echo "${path##*/}" >>"$root/modules/order"
		done < <(modprobe -d "$K_DIR/modules" -S "$K_RELEASE" --show-depends "$m" 2>/dev/null |
			grep '^insmod')
	done
	(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$dir/initrd" || return 1
	rm -rf "$root"
}

need_initrd() {
	initrd_vars
	with_lock "initrd-$K_RELEASE" cache_make "$INITRD" initrd_fill
}

# Does a stock kernel really run with KVM here? A device node alone says
# nothing, so boot one; the answer holds until the machine is booted anew.
guest_accel() {
	local file boot log
	boot=$(cat /proc/sys/kernel/random/boot_id)
	file=$NVTGT_CACHE/accel
	if [ -n "${NVTGT_ACCEL-}" ]; then
		echo "$NVTGT_ACCEL"
		return
	fi
	if [ "$(cut -d' ' -f1 "$file" 2>/dev/null)" = "$boot" ]; then
		cut -d' ' -f2 "$file"
		return
	fi
	log=$NVTGT_CACHE/log/kvm-probe
	echo tcg >"$log.answer"
	if [ -w /dev/kvm ]; then
		# without a disk the initramfs gives up and reboots: that is enough
		timeout 30 qemu-system-x86_64 -machine q35 -accel kvm -cpu host -m 512 \
			-nodefaults -no-reboot -display none -serial stdio \
			-kernel "$K_DIR/vmlinuz" -initrd "$INITRD/initrd" \
			-append "console=ttyS0 panic=-1 bench.probe=1" >"$log" 2>&1 </dev/null
		! grep -aq 'Run /init as init process' "$log" || echo kvm >"$log.answer"
	fi
	echo "$boot $(cat "$log.answer")" >"$file"
	cat "$log.answer"
}
