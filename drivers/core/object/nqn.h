/* SPDX-License-Identifier: GPL-2.0 */
/* Names of hosts and subsystems: pure logic. */
#ifndef _NVTGT_NQN_H
#define _NVTGT_NQN_H

#include <linux/types.h>

bool nvtgt_nqn_valid(const char *nqn, size_t len);

#endif /* _NVTGT_NQN_H */
