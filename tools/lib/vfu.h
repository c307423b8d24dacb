/* SPDX-License-Identifier: GPL-2.0 */
/* Ports of type vfio-user: a controller for a virtual machine, at a socket. */
#ifndef NVTGT_TOOLS_VFU_H
#define NVTGT_TOOLS_VFU_H

#include "plan.h"

/* the type's word in addr_trtype */
#define NV_VFU "vfio-user"
/* where the daemon may make sockets */
#define NV_VFU_DIR "/run/nvtgt-vfud"

bool nv_is_vfu(const struct nv_node *node);
bool nv_path_is_vfu(const struct cfs *c, const char *path);
void nv_vfu_drop_unused(struct nv_node *port);
bool nv_socket_path_ok(const char *path, const char **why);
bool nv_socket_exists(const char *path);
bool nv_vfu_set_ok(const struct cfs *c, const struct nv_step *s);
bool nv_vfu_link_ok(const struct cfs *c, const struct nv_step *s);

#endif
