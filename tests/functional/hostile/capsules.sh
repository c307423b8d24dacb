#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: headers and digests of CapsuleCmd and H2CData wrong in every state get the right C2HTermReq or status
# kernels: all
# nightly: 6.1 7.2
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases capsules.py
