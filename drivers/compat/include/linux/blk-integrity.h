/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _NVTGT_COMPAT_LINUX_BLK_INTEGRITY_H
#define _NVTGT_COMPAT_LINUX_BLK_INTEGRITY_H

#include_next <linux/blk-integrity.h>
#include <nvtgt_compat_config.h>

/* older kernels have one size for the metadata and its part that is protection information */
#ifndef HAVE_BLK_INTEGRITY_METADATA_SIZE
#define metadata_size	tuple_size
#endif

#ifndef HAVE_BLK_INTEGRITY_PROFILE_NAME
static inline const char *blk_integrity_profile_name(const struct blk_integrity *bi)
{
	return bi->profile ? bi->profile->name : "nop";
}
#endif

/* older kernels have no such flags: devices check all that they can */
#ifndef HAVE_BIP_CHECK_GUARD
#define BIP_CHECK_GUARD		0
#define BIP_CHECK_REFTAG	0
#endif

#endif /* _NVTGT_COMPAT_LINUX_BLK_INTEGRITY_H */
