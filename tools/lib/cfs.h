/* SPDX-License-Identifier: GPL-2.0 */
/* The target's configfs tree, reached through one directory descriptor. */
#ifndef NVTGT_TOOLS_CFS_H
#define NVTGT_TOOLS_CFS_H

#include "util.h"

#define CFS_MOUNT "/sys/kernel/config"
#define CFS_DEFAULT_ROOT "/sys/kernel/config/nvtgt"
#define CFS_NVMET_ROOT "/sys/kernel/config/nvmet"
/* configfs hands one page to a store function, the last byte stays free */
#define CFS_VALUE_MAX 4095

/**
 * struct cfs - an opened configuration tree
 * @fd: the root directory
 * @path: the root's absolute path, which links need
 * @kmsg: the kernel's log, read from the moment of opening, or -1
 */
struct cfs {
	int fd;
	char *path;
	int kmsg;
};

/** enum cfs_what - what cfs_list() collects */
enum cfs_what { CFS_DIRS, CFS_LINKS, CFS_FILES };

const char *cfs_root(const char *root);

/* All paths are relative to the root; all functions return 0 or -errno. */
int cfs_open(struct cfs *c, const char *root);
void cfs_close(struct cfs *c);
bool cfs_exists(const struct cfs *c, const char *path);
int cfs_list(const struct cfs *c, const char *dir, enum cfs_what what,
	     struct strvec *out);
int cfs_mode(const struct cfs *c, const char *dir, const char *attr,
	     bool *readable, bool *writable);
int cfs_read(const struct cfs *c, const char *dir, const char *attr,
	     char **value);
int cfs_open_attr(const struct cfs *c, const char *dir, const char *attr);
int cfs_write(const struct cfs *c, const char *dir, const char *attr,
	      const char *value);
int cfs_mkdir(const struct cfs *c, const char *path);
int cfs_rmdir(const struct cfs *c, const char *path);
int cfs_link(const struct cfs *c, const char *target, const char *path);
int cfs_unlink(const struct cfs *c, const char *path);

void cfs_klog_mark(const struct cfs *c);
bool cfs_klog_print(const struct cfs *c);

#endif
