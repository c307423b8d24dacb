/* SPDX-License-Identifier: GPL-2.0 */
/* the C library uses this one, too */
#include_next <linux/errno.h>
