#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail exit 1
# timeout: 60

. "$TESTS/lib/guest.sh"
false
