/* SPDX-License-Identifier: GPL-2.0 */
/* What configfs, Connect and others read from text: pure logic. */
#ifndef _NVTGT_PARAMS_H
#define _NVTGT_PARAMS_H

#include <linux/types.h>

bool nvtgt_nqn_valid(const char *nqn, size_t len);

#endif /* _NVTGT_PARAMS_H */
