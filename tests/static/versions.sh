#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# drivers/compat alone knows kernel versions.
if grep -rnE 'LINUX_VERSION_CODE|KERNEL_VERSION *\(|linux/version\.h|RHEL_RELEASE|UTS_RELEASE' \
	--include='*.[ch]' drivers include | grep -v '^drivers/compat/'; then
	echo "a version test outside of drivers/compat"
	exit 1
fi
