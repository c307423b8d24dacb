// SPDX-License-Identifier: GPL-2.0
/* Configuration for people; scripts use --json. */
#include "ctl.h"
#include "../lib/vfu.h"

#include <stdlib.h>
#include <string.h>

/** print_node() - an object, its attributes and all below it, indented */
void print_node(FILE *f, const struct nv_node *node, int depth, bool secrets)
{
	const struct nv_kind *kind = node->kind;
	int in = 2 * depth + 2;

	if (kind == &nv_kind_root)
		in = 0;
	else if (kind->id_key)
		fprintf(f, "%*s%s %s\n", 2 * depth, "", kind->word, node->id);
	else
		fprintf(f, "%*s%s\n", 2 * depth, "", kind->word);
	for (size_t i = 0; i < node->n_attrs; i++) {
		const struct nv_attr *at = &node->attrs[i];

		if (!at->readable)
			continue;
		fprintf(f, "%*s%s: %s\n", in, "", at->name,
			nv_is_secret(at->name) && *at->value && !secrets ?
			"(hidden)" : at->value);
	}
	for (size_t i = 0; i < node->links.n; i++)
		fprintf(f, "%*s%s: %s\n", in, "", kind->links,
			node->links.v[i]);
	for (size_t i = 0; i < node->n_kids; i++)
		print_node(f, node->kids[i],
			   kind == &nv_kind_root ? 0 : depth + 1, secrets);
}

static size_t column_count(const struct nv_kind *kind)
{
	size_t n = 0;

	while (kind->columns && kind->columns[n])
		n++;
	return n;
}

static const char *short_name(const struct nv_kind *kind, const char *attr)
{
	for (const char *const *g = kind->groups; g && *g; g++) {
		size_t n = strlen(*g);

		if (!strncmp(attr, *g, n) && attr[n] == '_')
			return attr + n + 1;
	}
	return attr;
}

/* Bytes as lsblk shows them: 512B, 64M, 1.8T. */
static char *short_size(uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0, tenth;
	uint64_t part = 1;

	while (units[unit + 1] && bytes / part >= 1024) {
		part *= 1024;
		unit++;
	}
	tenth = bytes % part * 10 / part;
	if (!tenth)
		return xasprintf("%llu%c", (unsigned long long)(bytes / part),
				 units[unit]);
	return xasprintf("%llu.%u%c", (unsigned long long)(bytes / part), tenth,
			 units[unit]);
}

static char *join(const struct strvec *v)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < v->n; i++) {
		char *more = xasprintf("%s%s%s", all, i ? "," : "", v->v[i]);

		free(all);
		all = more;
	}
	return all;
}

/* The kernel listens while a subsystem is linked; at a socket the daemon does. */
static const char *port_state(const struct nv_node *port)
{
	if (!port->links.n)
		return "closed";
	if (nv_is_vfu(port) &&
	    !nv_socket_exists(nv_attr_value(port, "addr_traddr")))
		return "no-socket";
	return "listening";
}

/* Columns that are no attribute's bare value. */
static char *computed(const struct nv_node *node, const char *column)
{
	uint64_t n;

	if (!strcmp(column, NV_COLUMN_LINKS))
		return join(&node->links);
	if (!strcmp(column, NV_COLUMN_STATE))
		return xstrdup(port_state(node));
	if (strcmp(nv_attr_value(node, "enable"), "1"))
		return xstrdup("");
	if (!strcmp(column, NV_COLUMN_SIZE) &&
	    str_to_u64(nv_attr_value(node, "size_bytes"), &n))
		return short_size(n);
	if (!strcmp(column, NV_COLUMN_ACCESS) &&
	    *nv_attr_value(node, "readonly"))
		return xstrdup(strcmp(nv_attr_value(node, "readonly"), "0") ?
			       "ro" : "rw");
	return xstrdup("");
}

/* Cell @col of the row for @node; NULL for the title's row. */
static char *cell(const struct nv_kind *kind, const struct nv_node *node,
		  const char *parent, size_t col)
{
	const char *column;
	char *text;

	if (kind->parent) {
		if (!col)
			return xstrdup(node ? parent : kind->parent->word);
		col--;
	}
	if (!col)
		return xstrdup(node ? node->id : kind->id_key);
	column = kind->columns[col - 1];
	if (!node)
		return xstrdup(*column == '*' ? column + 1 :
			       short_name(kind, column));
	text = *column == '*' ? computed(node, column) :
	       xstrdup(nv_attr_value(node, column));
	if (*text)
		return text;
	free(text);
	return xstrdup("-");
}

/**
 * print_table() - one line for each object
 * @f: where
 * @kind: the kind of all of them
 * @nodes: the objects
 * @parents: identifiers of what contains them
 * @n: how many
 */
void print_table(FILE *f, const struct nv_kind *kind,
		 struct nv_node *const *nodes, const char *const *parents,
		 size_t n)
{
	size_t cols = column_count(kind) + id_count(kind);
	char **cells = xcalloc((n + 1) * cols, sizeof(*cells));
	int *width = xcalloc(cols, sizeof(*width));

	for (size_t i = 0; i < (n + 1) * cols; i++) {
		size_t row = i / cols, col = i % cols;
		int w;

		cells[i] = cell(kind, row ? nodes[row - 1] : NULL,
				row ? parents[row - 1] : NULL, col);
		w = strlen(cells[i]);
		if (w > width[col])
			width[col] = w;
	}
	for (size_t i = 0; i < (n + 1) * cols; i++) {
		bool last = i % cols + 1 == cols;

		fprintf(f, "%-*s%s", last ? 0 : width[i % cols], cells[i],
			last ? "\n" : "  ");
		free(cells[i]);
	}
	free(cells);
	free(width);
}
