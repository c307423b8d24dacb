// SPDX-License-Identifier: GPL-2.0
/* Configuration for people; scripts use --json. */
#include "ctl.h"

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

/* Cell @col of the row for @node; NULL for the title's row. */
static const char *cell(const struct nv_kind *kind, const struct nv_node *node,
			const char *parent, size_t col)
{
	if (kind->parent) {
		if (!col)
			return node ? parent : kind->parent->word;
		col--;
	}
	if (!col)
		return node ? node->id : kind->id_key;
	if (!node)
		return short_name(kind, kind->columns[col - 1]);
	return *nv_attr_value(node, kind->columns[col - 1]) ?
	       nv_attr_value(node, kind->columns[col - 1]) : "-";
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
	int *width = xcalloc(cols, sizeof(*width));

	for (size_t i = 0; i <= n; i++)
		for (size_t c = 0; c < cols; c++) {
			int w = strlen(cell(kind, i ? nodes[i - 1] : NULL,
					    i ? parents[i - 1] : NULL, c));

			if (w > width[c])
				width[c] = w;
		}
	for (size_t i = 0; i <= n; i++)
		for (size_t c = 0; c < cols; c++) {
			bool last = c + 1 == cols;

			fprintf(f, "%-*s%s", last ? 0 : width[c],
				cell(kind, i ? nodes[i - 1] : NULL,
				     i ? parents[i - 1] : NULL, c),
				last ? "\n" : "  ");
		}
	free(width);
}
