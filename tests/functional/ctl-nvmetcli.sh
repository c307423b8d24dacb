#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: a file that nvmetcli saved restores, with every value in its place,
# and what is saved again holds all of it
# kernels: all
# nightly: 6.1
# timeout: 120

. "$TESTS/lib/guest.sh"
need_modules tcp bdev
make_networks
export NVTGT_ROOT=$CONFIGFS
mail=$(null_blk_make size=64)
test=$(null_blk_make size=32)
defer nvtgtctl clear
cd "$WORK"
sed -e "s|/dev/vg0/mail|$mail|" -e "s|/dev/vg0/test|$test|" \
	"$TESTS/functional/data/nvmetcli.json" >config.json

nvtgtctl --netns tgt restore config.json
subsys=subsystems/nqn.2019-10.com.example:storage.mail
expect() {
	[ "$(get_attr "$1")" = "$2" ] || fail "$1 is '$(get_attr "$1")', not '$2'"
}
expect "$subsys/attr_serial" a1f5c3bd2e61f3e5a1f5
expect "$subsys/attr_model" "Mail store"
expect "$subsys/attr_cntlid_min" 2000
expect "$subsys/attr_cntlid_max" 3000
expect "$subsys/attr_qid_max" 16
expect "$subsys/namespaces/1/device_path" "$mail"
expect "$subsys/namespaces/1/device_uuid" 6a2e3c1e-9c70-4c52-b6c5-7e3a0b6cf4a1
expect "$subsys/namespaces/1/device_nguid" ef90689c-6c46-d44c-89c1-4067801309a8
expect "$subsys/namespaces/1/ana_grpid" 2
expect "$subsys/namespaces/1/enable" 1
expect "$subsys/namespaces/10/enable" 0
expect ports/1/ana_groups/2/ana_state non-optimized
expect ports/1/referrals/spare/enable 1
expect ports/20/param_inline_data_size 8192
[ "$(find "$CONFIGFS/$subsys/allowed_hosts" -type l | wc -l)" = 2 ] || fail "allowed hosts"

# every value of the file is in what is saved, and nothing has to be applied
nvtgtctl save saved.json
python3 - config.json saved.json <<'END'
import json, sys
def key(o):
    return str(o.get("nqn", o.get("nsid", o.get("portid", o.get("grpid", o.get("name"))))))
def off(v):
    return all(map(off, v.values())) if isinstance(v, dict) else v in ("0", "none")
def same(a, b, where):
    if isinstance(a, dict):
        for k in a:
            # passthru and the group beside ana_grpid are nvmetcli's alone
            if k in ("passthru",) or (k == "ana" and "ana_grpid" in a):
                continue
            if k not in b and off(a[k]):
                continue
            assert k in b, where + "." + k + " is missing"
            same(a[k], b[k], where + "." + k)
    elif isinstance(a, list) and a and isinstance(a[0], dict):
        assert len(a) == len(b), where
        for x, y in zip(sorted(a, key=key), sorted(b, key=key)):
            same(x, y, where + "[" + key(x) + "]")
    elif isinstance(a, list):
        assert sorted(a) == sorted(b), where
    else:
        assert a == b or (a == "(null)" and b == ""), "%s: %r %r" % (where, a, b)
same(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), "")
END
steps=$(nvtgtctl apply --dry-run config.json)
[ -z "$steps" ] || fail "still to do: $steps"

disk=$(NSID=3 host_connect testnqn) || fail "connect"
[ "$(blockdev --getsize64 "$disk")" = $((32 << 20)) ] || fail "size"
fio_verify "$disk" || fail "I/O"
host_disconnect testnqn
host="nqn.2014-08.org.nvmexpress:uuid:3b6f7f0e-5f10-4a5c-9c0a-6a3ab1c7d001"
host_connect "${subsys#*/}" --hostnqn "$host" \
	--hostid 3b6f7f0e-5f10-4a5c-9c0a-6a3ab1c7d001 >/dev/null || fail "an allowed host"
host_disconnect "${subsys#*/}"
! host_connect_ctrl "${subsys#*/}" 2>/dev/null || fail "a host that is not allowed"
