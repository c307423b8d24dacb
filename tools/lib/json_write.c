// SPDX-License-Identifier: GPL-2.0
/* Writing a configuration the way nvmetcli does: sorted keys, two blanks. */
#include "json.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const char *group_of(const struct nv_kind *kind, const char *name)
{
	for (const char *const *g = kind->groups; g && *g; g++) {
		size_t n = strlen(*g);

		if (!strncmp(name, *g, n) && name[n] == '_' && name[n + 1])
			return *g;
	}
	return NULL;
}

static struct json_object *get_or_add(struct json_object *obj,
				      const char *key)
{
	struct json_object *v;

	if (!json_object_object_get_ex(obj, key, &v)) {
		v = json_object_new_object();
		json_object_object_add(obj, key, v);
	}
	return v;
}

static void add_attr(struct json_object *obj, const struct nv_kind *kind,
		     const char *name, const char *value)
{
	const char *group = group_of(kind, name);
	uint64_t n;

	if (str_in(kind->ints, name) && str_to_u64(value, &n) &&
	    n <= INT64_MAX)
		json_object_object_add(obj, name, json_object_new_int64(n));
	else if (group)
		json_object_object_add(get_or_add(obj, group),
				       name + strlen(group) + 1,
				       json_object_new_string(value));
	else
		json_object_object_add(obj, name,
				       json_object_new_string(value));
}

static bool wanted(const struct nv_attr *a, enum nv_json_what what)
{
	return a->readable && (what != NV_JSON_SAVE || a->writable);
}

static void add_id(struct json_object *obj, const struct nv_node *node)
{
	const struct nv_kind *kind = node->kind;
	uint64_t n;

	if (!kind->id_key)
		return;
	if (kind->id_max && str_to_u64(node->id, &n))
		json_object_object_add(obj, kind->id_key,
				       json_object_new_int64(n));
	else
		json_object_object_add(obj, kind->id_key,
				       json_object_new_string(node->id));
}

static void add_kids(struct json_object *obj, const struct nv_node *node,
		     const struct nv_kind *kind, enum nv_json_what what)
{
	struct json_object *arr = json_object_new_array();

	for (size_t i = 0; i < node->n_kids; i++)
		if (node->kids[i]->kind == kind)
			json_object_array_add(arr,
				nv_json_from_node(node->kids[i], what));
	if (!kind->id_key && !json_object_array_length(arr))
		json_object_put(arr);
	else
		json_object_object_add(obj, kind->list, arr);
}

/**
 * nv_json_from_node() - the JSON object for @node and everything below it
 * Return: a reference that the caller puts.
 */
struct json_object *nv_json_from_node(const struct nv_node *node,
				      enum nv_json_what what)
{
	struct json_object *obj = json_object_new_object();
	const struct nv_kind *kind = node->kind;

	for (size_t i = 0; i < node->n_attrs; i++) {
		const struct nv_attr *a = &node->attrs[i];
		const char *value = a->value;

		if (!wanted(a, what))
			continue;
		if (what == NV_JSON_SHOW && nv_is_secret(a->name) && *value)
			value = "(hidden)";
		add_attr(obj, kind, a->name, value);
	}
	add_id(obj, node);
	if (kind->links) {
		struct json_object *arr = json_object_new_array();

		for (size_t i = 0; i < node->links.n; i++)
			json_object_array_add(arr,
				json_object_new_string(node->links.v[i]));
		json_object_object_add(obj, kind->links, arr);
	}
	for (const struct nv_kind *const *k = kind->kids; k && *k; k++)
		add_kids(obj, node, *k, what);
	return obj;
}

static void print_value(FILE *f, struct json_object *v, int depth);

static int key_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_object(FILE *f, struct json_object *obj, int depth)
{
	size_t n = json_object_object_length(obj), i = 0;
	const char **keys = xcalloc(n, sizeof(*keys));

	json_object_object_foreach(obj, key, val) {
		(void)val;
		keys[i++] = key;
	}
	if (n)
		qsort(keys, n, sizeof(*keys), key_cmp);
	fputs(n ? "{\n" : "{}", f);
	for (i = 0; i < n; i++) {
		struct json_object *k = json_object_new_string(keys[i]);

		fprintf(f, "%*s%s: ", 2 * depth + 2, "",
			json_object_to_json_string_ext(k,
				JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(k);
		print_value(f, json_object_object_get(obj, keys[i]),
			    depth + 1);
		fputs(i + 1 < n ? ",\n" : "\n", f);
	}
	if (n)
		fprintf(f, "%*s}", 2 * depth, "");
	free(keys);
}

static void print_value(FILE *f, struct json_object *v, int depth)
{
	size_t n;

	if (json_object_is_type(v, json_type_object)) {
		print_object(f, v, depth);
		return;
	}
	if (!json_object_is_type(v, json_type_array)) {
		fputs(json_object_to_json_string_ext(v,
				JSON_C_TO_STRING_NOSLASHESCAPE), f);
		return;
	}
	n = json_object_array_length(v);
	fputs(n ? "[\n" : "[]", f);
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "%*s", 2 * depth + 2, "");
		print_value(f, json_object_array_get_idx(v, i), depth + 1);
		fputs(i + 1 < n ? ",\n" : "\n", f);
	}
	if (n)
		fprintf(f, "%*s]", 2 * depth, "");
}

/** nv_json_print() - write @obj with sorted keys and a final newline */
void nv_json_print(FILE *f, struct json_object *obj)
{
	print_value(f, obj, 0);
	fputc('\n', f);
}
