/* SPDX-License-Identifier: GPL-2.0 */
#include_next <linux/uio.h>

#ifndef ITER_SOURCE
#define ITER_SOURCE	1	/* WRITE */
#define ITER_DEST	0	/* READ */
#endif
