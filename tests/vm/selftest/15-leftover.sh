#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# expect: fail configuration left behind: nvmet/subsystems/left
# timeout: 60

. "$TESTS/lib/guest.sh"
need_modules
mkdir "$CONFIGFS/subsystems/left" "$CONFIGFS/subsystems/left/namespaces/1"
