#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail host controllers left behind: nvme
# timeout: 60

. "$TESTS/lib/guest.sh"
simple_target left "$(null_blk_make)"
host_connect_ctrl left >"$WORK/name"
# forget the clean-up of the host's side
grep -v drop_ctrl "$WORK/.deferred" >"$WORK/rest" && mv "$WORK/rest" "$WORK/.deferred"
