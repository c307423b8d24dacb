// SPDX-License-Identifier: GPL-2.0
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "msg.h"
#include "netns.h"
#include "vfu.h"

/** nv_node_new_root() - an empty configuration */
struct nv_node *nv_node_new_root(void)
{
	struct nv_node *n = xcalloc(1, sizeof(*n));

	n->kind = &nv_kind_root;
	n->id = xstrdup("");
	n->path = xstrdup(".");
	return n;
}

/**
 * nv_node_add() - add an object
 * @parent: where
 * @kind: one of the parent's kinds
 * @id: its identifier; ignored for a fixed directory
 * Return: the object, which belongs to @parent.
 */
struct nv_node *nv_node_add(struct nv_node *parent, const struct nv_kind *kind,
			    const char *id)
{
	struct nv_node *n = xcalloc(1, sizeof(*n));
	const char *up = parent->kind == &nv_kind_root ? "" : parent->path;

	n->kind = kind;
	n->id = xstrdup(kind->id_key ? id : kind->list);
	if (kind->id_key)
		n->path = xasprintf("%s%s%s/%s", up, *up ? "/" : "",
				    kind->list, id);
	else
		n->path = xasprintf("%s/%s", up, kind->list);
	if (parent->n_kids == parent->max_kids) {
		parent->max_kids = parent->max_kids ? 2 * parent->max_kids : 1;
		parent->kids = xrealloc(parent->kids, parent->max_kids,
					sizeof(*parent->kids));
	}
	parent->kids[parent->n_kids++] = n;
	return n;
}

/** nv_node_free() - free an object and everything below it */
void nv_node_free(struct nv_node *node)
{
	if (!node)
		return;
	for (size_t i = 0; i < node->n_kids; i++)
		nv_node_free(node->kids[i]);
	for (size_t i = 0; i < node->n_attrs; i++) {
		free(node->attrs[i].name);
		free(node->attrs[i].value);
	}
	strvec_free(&node->links);
	free(node->kids);
	free(node->attrs);
	free(node->path);
	free(node->id);
	free(node);
}

/** nv_node_kid() - the object @id of @kind below @node, or NULL */
struct nv_node *nv_node_kid(const struct nv_node *node,
			    const struct nv_kind *kind, const char *id)
{
	if (!kind->id_key)
		id = kind->list;
	for (size_t i = 0; i < node->n_kids; i++)
		if (node->kids[i]->kind == kind &&
		    !strcmp(node->kids[i]->id, id))
			return node->kids[i];
	return NULL;
}

/** nv_node_remove() - take an object out of its parent and free it */
void nv_node_remove(struct nv_node *parent, struct nv_node *kid)
{
	size_t i = 0;

	while (parent->kids[i] != kid)
		i++;
	for (parent->n_kids--; i < parent->n_kids; i++)
		parent->kids[i] = parent->kids[i + 1];
	nv_node_free(kid);
}

/** nv_attr_get() - the attribute @name, or NULL */
struct nv_attr *nv_attr_get(const struct nv_node *node, const char *name)
{
	for (size_t i = 0; i < node->n_attrs; i++)
		if (!strcmp(node->attrs[i].name, name))
			return &node->attrs[i];
	return NULL;
}

/** nv_attr_value() - the value of @name, "" when it is not there */
const char *nv_attr_value(const struct nv_node *node, const char *name)
{
	struct nv_attr *a = nv_attr_get(node, name);

	return a ? a->value : "";
}

/** nv_attr_set() - add or replace an attribute */
void nv_attr_set(struct nv_node *node, const char *name, const char *value,
		 bool readable, bool writable)
{
	struct nv_attr *a = nv_attr_get(node, name);

	if (!a) {
		node->attrs = xrealloc(node->attrs, node->n_attrs + 1,
				       sizeof(*node->attrs));
		a = &node->attrs[node->n_attrs++];
		a->name = xstrdup(name);
	} else {
		free(a->value);
	}
	a->value = xstrdup(value);
	a->readable = readable;
	a->writable = writable;
}

static int node_cmp(const void *a, const void *b)
{
	const struct nv_node *x = *(struct nv_node *const *)a;
	const struct nv_node *y = *(struct nv_node *const *)b;

	if (x->kind != y->kind)
		return strcmp(x->kind->list, y->kind->list);
	return str_natural_cmp(x->id, y->id);
}

/** nv_node_sort() - objects by identifier, links by name, at all depths */
void nv_node_sort(struct nv_node *node)
{
	if (node->n_kids)
		qsort(node->kids, node->n_kids, sizeof(*node->kids), node_cmp);
	strvec_sort(&node->links);
	for (size_t i = 0; i < node->n_kids; i++)
		nv_node_sort(node->kids[i]);
}

/** nv_node_is_empty() - whether a configuration has no object at all */
bool nv_node_is_empty(const struct nv_node *root)
{
	return !root->n_kids;
}

/*
 * The kernel shows a number, a file needs a name. The first namespace has none
 * and is not worth a line.
 */
static void set_netns(struct nv_node *node, const char *inode)
{
	char *name = nv_netns_name(inode);

	nv_attr_set(node, "netns", name, *name, *name);
	free(name);
}

static void load_attrs(const struct cfs *c, struct nv_node *node)
{
	struct strvec files = { 0 };

	cfs_list(c, node->path, CFS_FILES, &files);
	for (size_t i = 0; i < files.n; i++) {
		bool readable = false, writable = false;
		char *value = NULL;

		if (cfs_mode(c, node->path, files.v[i], &readable, &writable))
			continue;
		/* an object may go away, and an attribute may have no value */
		if (!readable || cfs_read(c, node->path, files.v[i], &value))
			readable = false;
		if (node->kind == &nv_kind_port && readable &&
		    !strcmp(files.v[i], "netns"))
			set_netns(node, value);
		else
			nv_attr_set(node, files.v[i], value ? value : "",
				    readable, writable);
		free(value);
	}
	strvec_free(&files);
}

static void load_node(const struct cfs *c, struct nv_node *node);

static void load_kids(const struct cfs *c, struct nv_node *node,
		      const struct nv_kind *kind)
{
	struct strvec ids = { 0 };
	char *dir;

	dir = node->kind == &nv_kind_root ? xstrdup(kind->list) :
	      xasprintf("%s/%s", node->path, kind->list);
	if (!kind->id_key) {
		if (cfs_exists(c, dir))
			load_node(c, nv_node_add(node, kind, NULL));
	} else {
		cfs_list(c, dir, CFS_DIRS, &ids);
		for (size_t i = 0; i < ids.n; i++)
			load_node(c, nv_node_add(node, kind, ids.v[i]));
	}
	strvec_free(&ids);
	free(dir);
}

static void load_node(const struct cfs *c, struct nv_node *node)
{
	load_attrs(c, node);
	nv_vfu_drop_unused(node);
	if (node->kind->links) {
		char *dir = xasprintf("%s/%s", node->path, node->kind->links);

		cfs_list(c, dir, CFS_LINKS, &node->links);
		free(dir);
	}
	for (const struct nv_kind *const *k = node->kind->kids; k && *k; k++)
		load_kids(c, node, *k);
}

/** nv_tree_load() - the whole running configuration; the caller frees it */
struct nv_node *nv_tree_load(const struct cfs *c)
{
	struct nv_node *root = nv_node_new_root();

	load_node(c, root);
	nv_node_sort(root);
	return root;
}

/**
 * nv_tree_load_at() - one running object with everything below it
 * @c: the tree
 * @kind: its kind
 * @ids: its identifiers, outermost first
 * Return: a configuration with this object's chain only, or NULL when there is
 * no such object.
 */
struct nv_node *nv_tree_load_at(const struct cfs *c,
				const struct nv_kind *kind,
				const char *const *ids)
{
	struct nv_node *root, *n;
	char *path = nv_path(kind, ids);
	bool exists = cfs_exists(c, path);

	free(path);
	if (!exists)
		return NULL;
	n = root = nv_node_new_root();
	if (kind->parent)
		n = nv_node_add(n, kind->parent, *ids++);
	n = nv_node_add(n, kind, *ids);
	load_node(c, n);
	nv_node_sort(n);
	return root;
}

/**
 * nv_node_load() - one running object with everything below it
 * @c: the tree
 * @kind: its kind
 * @path: its path below the root
 * Return: the object alone, which the caller frees, or NULL when there is none.
 */
struct nv_node *nv_node_load(const struct cfs *c, const struct nv_kind *kind,
			     const char *path)
{
	const char *slash = strrchr(path, '/');
	struct nv_node *n;

	if (!cfs_exists(c, path))
		return NULL;
	n = xcalloc(1, sizeof(*n));
	n->kind = kind;
	n->id = xstrdup(slash ? slash + 1 : path);
	n->path = xstrdup(path);
	load_node(c, n);
	nv_node_sort(n);
	return n;
}
