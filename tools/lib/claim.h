/* SPDX-License-Identifier: GPL-2.0 */
/* What already uses a device or file that is to be served. */
#ifndef NVTGT_TOOLS_CLAIM_H
#define NVTGT_TOOLS_CLAIM_H

#include "util.h"

void nv_claims(const char *dev, struct strvec *out);
bool nv_same_device(const char *a, const char *b);
bool nv_devices_overlap(const char *a, const char *b);

#endif
