/* SPDX-License-Identifier: GPL-2.0 */
/* A configuration in memory: what runs, or what a file asks for. */
#ifndef NVTGT_TOOLS_TREE_H
#define NVTGT_TOOLS_TREE_H

#include "cfs.h"
#include "kind.h"

/**
 * struct nv_attr - one attribute
 * @name: the file's name
 * @value: its value without newline; "" when it cannot be read
 * @readable: the kernel shows it
 * @writable: the kernel takes it
 */
struct nv_attr {
	char *name;
	char *value;
	bool readable;
	bool writable;
};

/**
 * struct nv_node - one object with everything below it
 * @kind: what it is
 * @id: its identifier, or the directory's name for a fixed one
 * @path: path below the root
 * @attrs: attributes
 * @n_attrs: how many
 * @kids: objects below it, of all kinds
 * @n_kids: how many
 * @max_kids: how many there is room for
 * @links: identifiers of the objects it links to
 */
struct nv_node {
	const struct nv_kind *kind;
	char *id;
	char *path;
	struct nv_attr *attrs;
	size_t n_attrs;
	struct nv_node **kids;
	size_t n_kids;
	size_t max_kids;
	struct strvec links;
};

struct nv_node *nv_node_new_root(void);
struct nv_node *nv_node_add(struct nv_node *parent, const struct nv_kind *kind,
			    const char *id);
void nv_node_free(struct nv_node *node);
struct nv_node *nv_node_kid(const struct nv_node *node,
			    const struct nv_kind *kind, const char *id);
void nv_node_remove(struct nv_node *parent, struct nv_node *kid);
struct nv_attr *nv_attr_get(const struct nv_node *node, const char *name);
const char *nv_attr_value(const struct nv_node *node, const char *name);
void nv_attr_set(struct nv_node *node, const char *name, const char *value,
		 bool readable, bool writable);
void nv_node_sort(struct nv_node *node);
bool nv_node_is_empty(const struct nv_node *root);

struct nv_node *nv_tree_load(const struct cfs *c);
struct nv_node *nv_tree_load_at(const struct cfs *c,
				const struct nv_kind *kind,
				const char *const *ids);
struct nv_node *nv_node_load(const struct cfs *c, const struct nv_kind *kind,
			     const char *path);

#endif
