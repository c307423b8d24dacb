#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: skip no such thing here
# timeout: 60

. "$TESTS/lib/guest.sh"
echo "some text"
skip "no such thing here"
