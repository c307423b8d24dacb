#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: ok
# timeout: 60

. "$TESTS/lib/guest.sh"
# what is deferred runs in reverse, also from a subshell
order=$( . "$TESTS/lib/guest.sh"; trap run_deferred EXIT; defer echo one; (defer echo two); : )
[ "$order" = $'two\none' ] || fail "deferred in the wrong order: $order"
wait_for 5 true
if wait_for 0 false; then fail "wait_for waits for nothing"; fi
log_mark
if log_has "the needle"; then fail "log_has sees what is not there"; fi
echo "the needle" >/dev/kmsg
wait_for 5 log_has "the needle"
