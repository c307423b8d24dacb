/* SPDX-License-Identifier: GPL-2.0 */
/* eventfd_signal() without a count; goes with 6.1 */
#ifndef _NVTGT_COMPAT_EVENTFD_H
#define _NVTGT_COMPAT_EVENTFD_H

#include_next <linux/eventfd.h>
#include <nvtgt_compat_config.h>

#ifndef HAVE_EVENTFD_SIGNAL_ONE
#define eventfd_signal(ctx)	((void)eventfd_signal(ctx, 1))
#endif

#endif /* _NVTGT_COMPAT_EVENTFD_H */
