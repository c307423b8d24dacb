/* SPDX-License-Identifier: GPL-2.0 */
/* Telling the service manager how it goes. */
#ifndef NVTGT_TOOLS_NOTIFY_H
#define NVTGT_TOOLS_NOTIFY_H

#include "util.h"

void nv_notify(const char *fmt, ...) PRINTF(1, 2);

#endif
