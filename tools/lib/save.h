/* SPDX-License-Identifier: GPL-2.0 */
/* Replacing a saved configuration without ever losing one. */
#ifndef NVTGT_TOOLS_SAVE_H
#define NVTGT_TOOLS_SAVE_H

#include "tree.h"

/* how many older versions stay beside the file */
#define NV_SAVE_VERSIONS 5

int nv_save_file(const char *file, const struct nv_node *root);

#endif
