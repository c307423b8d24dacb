/* SPDX-License-Identifier: GPL-2.0 */
/* Network namespaces by name, and what is in them. */
#ifndef NVTGT_TOOLS_NETNS_H
#define NVTGT_TOOLS_NETNS_H

#include "util.h"

char *nv_netns_name(const char *inode);
int nv_netns_enter(const char *name);
void nv_netns_leave(int fd);
bool nv_netns_exists(const char *name);
bool nv_addr_exists(const char *addr, const char *netns);

#endif
