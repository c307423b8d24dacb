#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: nvme-stas as it comes: from the discovery controller to connected disks, changes that come by an event, no complaint in its logs
# timeout: 200

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/host.sh"
need_modules tcp bdev
for tool in /usr/sbin/stafd /usr/sbin/stacd /usr/lib/systemd/systemd-udevd; do
	[ -x $tool ] || skip "no $tool"
done
make_networks
for n in 1 2; do
	make_subsystem "sub$n"
	make_namespace "sub$n" 1 "$(null_blk_make size=64)"
done
make_port 1 "$TGT_IP"
link_port 1 sub1
well_known=nqn.2014-08.org.nvmexpress.discovery

# ends PID...: with the test
ends() {
	kill "$@" 2>/dev/null || true
	wait "$@" 2>/dev/null || true
}

# forget: what the daemons have left connected
forget() {
	local c
	for c in $(controllers); do timeout $((60 * PATIENCE)) nvme disconnect -d "$c" >/dev/null; done
}
defer forget

note "udevd passes events on, without any rule of its own, and a bus of their own connects the daemons"
[ -e /run/udev ] || defer rm -rf /run/udev
unshare --mount sh -c 'mount -t tmpfs none /usr/lib/udev/rules.d && exec /usr/lib/systemd/systemd-udevd' >"$WORK/udevd" 2>&1 &
defer ends $!
cat >"$WORK/bus.conf" <<END
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=$WORK/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
END
dbus-daemon --config-file="$WORK/bus.conf" --nofork >"$WORK/dbus" 2>&1 &
defer ends $!
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$WORK/bus
wait_for 20 test -S "$WORK/bus" || { cat "$WORK/dbus"; fail "no bus"; }
wait_for 20 test -S /run/udev/control || { cat "$WORK/udevd"; fail "no udevd"; }

cat >"$WORK/stafd.conf" <<END
[Service Discovery]
zeroconf=disabled
[Discovery controller connection management]
persistent-connections=false
[Controllers]
controller=transport=tcp;traddr=$TGT_IP;trsvcid=4420
END
cat >"$WORK/stacd.conf" <<END
[Global]
reconnect-delay=1
[I/O controller connection management]
disconnect-scope=only-stas-connections
END
# their logs say how bad each line is
mkdir "$WORK/python"
cat >"$WORK/python/sitecustomize.py" <<'END'
import logging
logging._defaultFormatter = logging.Formatter("%(levelname)s %(message)s")
END

# daemon NAME: in the background, with its log in $WORK/NAME
daemon() {
	mkdir "$WORK/run-$1"
	RUNTIME_DIRECTORY="$WORK/run-$1" CACHE_DIRECTORY="$WORK/run-$1" PYTHONPATH="$WORK/python" \
		python3 -u "/usr/sbin/$1" -f "$WORK/$1.conf" >"$WORK/$1" 2>&1 &
	defer ends $!
}

says() { tail -n 60 "$WORK/stafd" "$WORK/stacd" >&2; fail "$*"; }

serves() {
	local ctrl
	ctrl=$(ctrl_of "$1")
	[ -n "$ctrl" ] && ctrl_is "$ctrl" live && has_disk "$ctrl"
}

note "from discovery to a disk"
daemon stafd
daemon stacd
wait_for 60 serves sub1 || says "sub1 is not connected"
[ "$(cat "/sys/class/nvme/$(ctrl_of "$well_known")/dctype")" = none ] || says "the discovery controller tells its type"
fio_verify "$(disk_of "$(ctrl_of sub1)")" --size=2m || says "I/O on sub1"
[ -z "$(ctrl_of sub2)" ] || says "sub2 is connected"

note "a subsystem comes to the port"
link_port 1 sub2
wait_for 60 serves sub2 || says "sub2 is not connected"
grep -q 'Received AEN: 0x70f002' "$WORK/stafd" || says "there was no event"
fio_verify "$(disk_of "$(ctrl_of sub2)")" --size=2m || says "I/O on sub2"

note "and one goes"
unlink_port 1 sub1
wait_for 60 no_ctrl_of sub1 || says "sub1 is still there, $(ctrl_state "$(ctrl_of sub1)")"
serves sub2 || says "sub2 went as well"
fio_verify "$(disk_of "$(ctrl_of sub2)")" --size=2m || says "I/O on sub2"

note "nothing was amiss"
! grep -hE '^(WARNING|ERROR|CRITICAL|Traceback)' "$WORK/stafd" "$WORK/stacd" || says "the daemons complain"
