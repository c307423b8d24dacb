/* SPDX-License-Identifier: GPL-2.0 */
/*
 * config/: the configfs tree: directories, links and attributes become objects and their
 * fields. It is the highest floor; main.c alone knows of it.
 */
#ifndef _NVTGT_CONFIGFS_H
#define _NVTGT_CONFIGFS_H

#include <linux/configfs.h>
#include <linux/printk.h>
#include "../object/object.h"

/*
 * A write is refused: one line that names object, value and rule. The value is
 * what stands in @page up to the end of its line.
 */
#define nvtgt_refuse(err, page, fmt, ...)					\
({										\
	pr_warn_ratelimited(fmt ": '%.*s' refused (%d)\n", ##__VA_ARGS__,	\
			    nvtgt_text_len(page), page, err);			\
	(err);									\
})

/**
 * struct nvtgt_ana_group - ports/ID/ana_groups/GRPID
 * @group: its directory
 * @cport: the port; valid while the directory is
 * @grpid: 1 … NVTGT_MAX_ANAGRPS
 */
struct nvtgt_ana_group {
	struct config_group group;
	struct nvtgt_cport *cport;
	u32 grpid;
};

extern const struct config_item_type nvtgt_namespaces_type;	/* subsystems/NQN/namespaces */
extern const struct config_item_type nvtgt_ports_type;		/* ports */
extern const struct config_item_type nvtgt_subsys_type;		/* subsystems/NQN */

static inline struct nvtgt_subsys *to_nvtgt_subsys(struct config_item *item)
{
	return container_of(to_config_group(item), struct nvtgt_subsys, group);
}

/* configfs.c */
int nvtgt_configfs_init(void);
void nvtgt_configfs_exit(void);
int nvtgt_group_init(struct config_group *group, const char *name,
		     const struct config_item_type *type);
int nvtgt_text_len(const char *page);
int nvtgt_parse_id(const char *name, u32 max, u32 *id);
int nvtgt_parse_hex16(const char *page, u8 *val);
int nvtgt_text(char *buf, size_t size, const char *page);

#endif /* _NVTGT_CONFIGFS_H */
