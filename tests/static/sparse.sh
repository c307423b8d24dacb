#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sparse, with endian checks, has nothing to say about our files.
set -u
kdir=
for kdir in /usr/src/linux-headers-6.12*-amd64; do :; done
[ -d "$kdir" ] || { echo "no headers in /usr/src"; exit 1; }
cp -r . /tmp/tree || exit 1
cd /tmp/tree || exit 1
make -j"$(nproc)" modules KDIR="$kdir" C=2 CF='-D__CHECK_ENDIAN__ -Wbitwise -Wcontext' \
	>/tmp/sparse.log 2>&1 || { tail -n 40 /tmp/sparse.log; exit 1; }
make -C "$kdir" M=/tmp/tree/tests/lib/sigmr modules C=2 CF='-D__CHECK_ENDIAN__ -Wbitwise -Wcontext' \
	>/tmp/sparse-tests.log 2>&1 || { tail -n 40 /tmp/sparse-tests.log; exit 1; }
grep -q CHECK /tmp/sparse-tests.log || { echo "sparse did not run on what tests load"; exit 1; }
cat /tmp/sparse-tests.log >>/tmp/sparse.log
grep -q CHECK /tmp/sparse.log || { echo "sparse did not run"; exit 1; }
# the kernel's own headers have findings of their own
findings=$(grep -E '^((/tmp/tree/)?((drivers|include)/|tests/lib/)|nvtgt-sigmr).*(warning|error):' /tmp/sparse.log | sort -u)
[ -n "$findings" ] || exit 0
echo "$findings"
exit 1
