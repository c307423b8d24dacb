/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _NVTGT_COMPAT_LINUX_BLKDEV_H
#define _NVTGT_COMPAT_LINUX_BLKDEV_H

#include_next <linux/blkdev.h>
#include <nvtgt_compat_config.h>

#ifndef HAVE_BDEV_ROT
static inline bool bdev_rot(struct block_device *bdev)
{
	return !bdev_nonrot(bdev);
}
#endif

#endif /* _NVTGT_COMPAT_LINUX_BLKDEV_H */
