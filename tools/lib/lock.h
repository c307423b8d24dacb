/* SPDX-License-Identifier: GPL-2.0 */
/* One change at a time. */
#ifndef NVTGT_TOOLS_LOCK_H
#define NVTGT_TOOLS_LOCK_H

#include <stdbool.h>

#define NV_LOCK_FILE "/run/nvtgtctl.lock"

int nv_lock(const char *file, bool wait);

#endif
