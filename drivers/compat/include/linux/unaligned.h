/* SPDX-License-Identifier: GPL-2.0 */
#include <nvtgt_compat_config.h>

#ifdef HAVE_LINUX_UNALIGNED_H
#include_next <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif
