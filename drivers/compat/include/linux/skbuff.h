/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _NVTGT_COMPAT_LINUX_SKBUFF_H
#define _NVTGT_COMPAT_LINUX_SKBUFF_H

#include_next <linux/skbuff.h>
#include <nvtgt_compat_config.h>

#ifndef HAVE_SKB_FRAGS_READABLE
static inline bool skb_frags_readable(const struct sk_buff *skb)
{
	return true;
}
#endif

#endif
