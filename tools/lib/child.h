/* SPDX-License-Identifier: GPL-2.0 */
/* Changes that a device may hold up, made in a process of their own. */
#ifndef NVTGT_TOOLS_CHILD_H
#define NVTGT_TOOLS_CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "cfs.h"

/**
 * struct nv_child - a process that makes one change
 * @pid: the process, or 0 when there is none
 * @fd: a descriptor of it, which can be polled for its end
 */
struct nv_child {
	pid_t pid;
	int fd;
};

bool nv_child_needed(const char *path, const char *attr);
int nv_child_write(struct nv_child *child, const struct cfs *c,
		   const char *dir, const char *attr, const char *value);
int nv_child_rmdir(struct nv_child *child, const struct cfs *c,
		   const char *path);
int nv_child_wait(struct nv_child *child, long ms, const sigset_t *mask);
bool nv_child_has_ended(const struct nv_child *child);
void nv_child_kill(const struct nv_child *child);
void nv_child_forget(struct nv_child *child);
void nv_child_reap(void);

#endif
