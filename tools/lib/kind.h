/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kinds of object in the tree. Everything that reads, writes, compares or
 * prints configuration goes by these tables; attributes are taken from what the
 * kernel shows, so that one added later needs no change here.
 */
#ifndef NVTGT_TOOLS_KIND_H
#define NVTGT_TOOLS_KIND_H

#include "util.h"

/* columns of "list" that are worked out */
#define NV_COLUMN_LINKS "*subsystems"
#define NV_COLUMN_STATE "*state"
#define NV_COLUMN_SIZE "*size"
#define NV_COLUMN_ACCESS "*access"

/** struct nv_kind - one kind of object */
struct nv_kind {
	/** @word: what the command line calls it */
	const char *word;
	/** @list: its directory in the parent, and the key of its JSON array */
	const char *list;
	/** @id_key: JSON key of its identifier; NULL for a fixed directory */
	const char *id_key;
	/** @id_max: largest number, or 0 when the identifier is a name */
	uint64_t id_max;
	/** @id_min: smallest number */
	uint64_t id_min;
	/** @parent: the kind that contains it, or NULL */
	const struct nv_kind *parent;
	/** @kids: NULL-terminated kinds below it */
	const struct nv_kind *const *kids;
	/** @links: directory of links and JSON key, or NULL */
	const char *links;
	/** @links_to: kind that the links point to */
	const struct nv_kind *links_to;
	/** @groups: attribute prefixes that are JSON objects */
	const char *const *groups;
	/** @ints: attributes that JSON shows as numbers */
	const char *const *ints;
	/** @order: attributes to be written first, in this order */
	const char *const *order;
	/** @live: attributes that may change while the object is enabled */
	const char *const *live;
	/** @vital: a refusal of one of these keeps the object out of service */
	const char *const *vital;
	/** @columns: attributes that "list" shows, and NV_COLUMN_* */
	const char *const *columns;
	/** @builtin: identifier of an object that always exists, or NULL */
	const char *builtin;
};

extern const struct nv_kind nv_kind_root, nv_kind_host, nv_kind_subsystem,
	nv_kind_namespace, nv_kind_passthru, nv_kind_port, nv_kind_referral,
	nv_kind_ana_group;

bool nv_name_ok(const char *s, const char **why);
bool nv_id_ok(const struct nv_kind *kind, const char *id, const char **why);
bool nv_attr_name_ok(const char *s);
bool nv_value_ok(const char *s, const char **why);
bool nv_value_same(const char *attr, const char *a, const char *b);
bool nv_value_is_off(const char *attr, const char *value);
size_t nv_attr_rank(const struct nv_kind *kind, const char *name);
bool nv_is_secret(const char *attr);
char *nv_path(const struct nv_kind *kind, const char *const *ids);
char *nv_describe(const char *path);
const char *nv_attr_rule(const char *attr);

#endif
