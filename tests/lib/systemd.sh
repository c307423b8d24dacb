# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A real systemd for a test: the first process of a PID namespace of its own, with units of the test's alone.

# start_systemd UNIT...: runs it in $WORK, with copies of these installed units, whose output goes to $WORK/log;
# systemctl and inside speak to it
start_systemd() {
	local unit found
	cd "$WORK" || return 1
	# processes of the test find it through its directory in /run
	mkdir -p /run/systemd units
	mount -t tmpfs tmpfs /run/systemd
	defer umount -l /run/systemd
	mountpoint -q /sys/fs/cgroup || {
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		defer umount -l /sys/fs/cgroup
	}
	for unit in sysinit basic shutdown multi-user umount exit; do
		printf '[Unit]\nDefaultDependencies=no\n' >"units/$unit.target"
	done
	for unit; do
		found=$(find /lib/systemd/system /usr/lib/systemd/system -name "$unit" | head -n 1)
		[ -n "$found" ] || fail "the unit $unit is not installed"
		cp "$found" units/
		mkdir -p "units/$unit.d"
		printf '[Service]\nStandardOutput=append:%s\nStandardError=append:%s\n' "$WORK/log" "$WORK/log" \
			>"units/$unit.d/log.conf"
	done
	: >log
	container=test SYSTEMD_UNIT_PATH=$WORK/units unshare --fork --pid --mount --mount-proc --kill-child \
		/lib/systemd/systemd --system --unit=basic.target --log-target=console --log-level=info \
		--show-status=no >systemd.log 2>&1 &
	SYSTEMD_PARENT=$!
	defer kill "$SYSTEMD_PARENT"
	wait_for 20 systemd_child >/dev/null || fail "no systemd: $(cat systemd.log)"
	SYSTEMD_PID=$(systemd_child)
	defer end_systemd "$SYSTEMD_PID"
	wait_for 60 systemd_is_up || fail "systemd is not up: $(tail -n 20 systemd.log)"
	note "$(inside systemctl --version | head -n 1)"
	for unit; do
		inside systemd-analyze verify --man=no "$unit" 2>&1 | grep -i "$unit" >verify || true
		[ ! -s verify ] || fail "systemd-analyze verify: $(cat verify)"
	done
}
systemd_child() { pgrep -P "$SYSTEMD_PARENT" -x systemd; }
inside() { nsenter -t "$SYSTEMD_PID" -m -p -- "$@"; }
systemctl() { inside systemctl --no-pager "$@"; }
systemd_is_up() { systemctl is-active basic.target >/dev/null 2>&1; }
end_systemd() {
	local dir
	[ ! -d "/proc/$1" ] || kill -9 "$1"
	wait_for 20 test ! -d "/proc/$1"
	for dir in init.scope system.slice; do
		[ ! -d "/sys/fs/cgroup/$dir" ] || find "/sys/fs/cgroup/$dir" -depth -type d -exec rmdir {} \;
	done
}
