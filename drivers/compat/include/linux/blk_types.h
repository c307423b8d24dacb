/* SPDX-License-Identifier: GPL-2.0 */
#include_next <linux/blk_types.h>
#ifndef _NVTGT_COMPAT_LINUX_BLK_TYPES_H
#define _NVTGT_COMPAT_LINUX_BLK_TYPES_H

#include <nvtgt_compat_config.h>

#ifndef HAVE_BLK_STS_RESV_CONFLICT
#define BLK_STS_RESV_CONFLICT	BLK_STS_NEXUS
#endif

#ifndef HAVE_BLK_STS_INVAL
/* never made by this kernel: a value that no status has */
#define BLK_STS_INVAL		((__force blk_status_t)255)
#endif

#endif
