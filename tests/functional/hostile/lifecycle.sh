#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# guards: connections that end and objects that go in every state of set-up and of a command
# kernels: all
# nightly: 6.1 7.2
# timeout: 900

. "$TESTS/lib/guest.sh"
. "$TESTS/lib/nvmetcp/target.sh"
hostile_cases lifecycle.py
