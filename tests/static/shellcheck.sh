#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every shell script passes shellcheck.
mapfile -t files < <(find . -type f -not -path './.git/*' -not -path './.tools/*' \
	-print0 | xargs -0 grep -laE '^#!.*\b(ba)?sh\b|^# shellcheck shell=' | sort)
[ ${#files[@]} -gt 0 ] || { echo "found no script"; exit 1; }
# the guest library runs tests under set -e, so cd needs no ||;
# what is sourced is found by a variable's path, and is checked by itself;
# variables that cross from one file to another look unused or unassigned
exec shellcheck --severity=warning --exclude=SC1090,SC1091,SC2034,SC2119,SC2120,SC2154,SC2164 "${files[@]}"
