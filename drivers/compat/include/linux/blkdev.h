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

/* in kernels with BLK_POLL_NOSLEEP bio_poll() may sleep unless that flag is set */
#ifdef BLK_POLL_NOSLEEP
#undef BLK_POLL_ONESHOT
#define BLK_POLL_ONESHOT	((1 << 0) | BLK_POLL_NOSLEEP)
#endif

#endif /* _NVTGT_COMPAT_LINUX_BLKDEV_H */
