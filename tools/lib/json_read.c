// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a configuration file. The file is not trusted: sizes and depth are
 * bounded before anything is parsed, every name and value is checked before it
 * can become a path, and each error says where in the file it is.
 */
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "msg.h"
#include "vfu.h"

/*
 * struct reader - the state of one parse
 * @error: the first error, or NULL
 * @where: the path inside the JSON, for messages
 */
struct reader {
	char *error;
	char where[512];
};

static bool fail(struct reader *r, const char *fmt, ...) PRINTF(2, 3);

static bool fail(struct reader *r, const char *fmt, ...)
{
	const char *where = *r->where == '.' ? r->where + 1 : r->where;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!r->error)
		r->error = xasprintf("%s%s%s", where, *where ? ": " : "",
				     text ? text : "out of memory");
	free(text);
	return false;
}

/* Extend the path by a key; returns the length to restore. */
static size_t enter_key(struct reader *r, const char *key)
{
	size_t n = strlen(r->where);

	snprintf(r->where + n, sizeof(r->where) - n, ".%.64s", key);
	return n;
}

static size_t enter_index(struct reader *r, const char *key, size_t i)
{
	size_t n = enter_key(r, key), m = strlen(r->where);

	snprintf(r->where + m, sizeof(r->where) - m, "[%zu]", i);
	return n;
}

static void leave(struct reader *r, size_t n)
{
	r->where[n] = '\0';
}

static const char *type_words(struct json_object *v)
{
	switch (json_object_get_type(v)) {
	case json_type_null:
		return "null";
	case json_type_boolean:
		return "a boolean";
	case json_type_double:
		return "a fraction";
	case json_type_int:
		return "a number";
	case json_type_object:
		return "an object";
	case json_type_array:
		return "an array";
	case json_type_string:
		return "a string";
	}
	return "something else";
}

/*
 * A string, a whole number or a boolean as the text for an attribute. The
 * caller frees it; NULL after an error.
 */
static char *scalar_text(struct reader *r, struct json_object *v)
{
	const char *s, *why;

	switch (json_object_get_type(v)) {
	case json_type_boolean:
		return xstrdup(json_object_get_boolean(v) ? "1" : "0");
	case json_type_int:
		return xasprintf("%" PRId64, json_object_get_int64(v));
	case json_type_string:
		s = json_object_get_string(v);
		if (strlen(s) != (size_t)json_object_get_string_len(v)) {
			fail(r, "the string contains a NUL character");
			return NULL;
		}
		if (!nv_value_ok(s, &why)) {
			fail(r, "%s", why);
			return NULL;
		}
		return xstrdup(strcmp(s, "(null)") ? s : "");
	default:
		fail(r, "expected a string or a whole number, found %s",
		     type_words(v));
		return NULL;
	}
}

static bool read_attr(struct reader *r, struct nv_node *node,
		      const char *name, struct json_object *v)
{
	char *text;

	if (!nv_attr_name_ok(name))
		return fail(r, "not the name of an attribute");
	text = scalar_text(r, v);
	if (!text)
		return false;
	nv_attr_set(node, name, text, true, true);
	free(text);
	return true;
}

static bool read_group(struct reader *r, struct nv_node *node,
		       const char *group, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_object))
		return fail(r, "expected an object, found %s", type_words(v));
	json_object_object_foreach(v, key, val) {
		size_t n = enter_key(r, key);
		char *name = xasprintf("%s_%s", group, key);
		bool ok;

		if (!*key) {
			free(name);
			return fail(r, "not the name of an attribute");
		}
		/* nvmetcli lets the number beside the group win */
		ok = !strcmp(name, "ana_grpid") && nv_attr_get(node, name);
		ok = ok || read_attr(r, node, name, val);
		free(name);
		if (!ok)
			return false;
		leave(r, n);
	}
	return true;
}

struct seen {
	const char *id;
	size_t index;
};

static int seen_cmp(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int c = strcmp(x->id, y->id);

	if (c)
		return c;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool no_duplicates(struct reader *r, const char *key, struct seen *seen,
			  size_t n)
{
	if (!n)
		return true;
	qsort(seen, n, sizeof(*seen), seen_cmp);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(seen[i].id, seen[i - 1].id))
			continue;
		enter_index(r, key, seen[i].index);
		return fail(r, "\"%s\" is already at index %zu", seen[i].id,
			    seen[i - 1].index);
	}
	return true;
}

static bool read_links(struct reader *r, struct nv_node *node,
		       struct json_object *v)
{
	const char *key = node->kind->links, *why;
	struct seen *seen;
	size_t len, n;
	bool ok;

	if (!json_object_is_type(v, json_type_array)) {
		enter_key(r, key);
		return fail(r, "expected an array, found %s", type_words(v));
	}
	len = json_object_array_length(v);
	for (size_t i = 0; i < len; i++) {
		struct json_object *item = json_object_array_get_idx(v, i);
		char *id;

		n = enter_index(r, key, i);
		if (!json_object_is_type(item, json_type_string))
			return fail(r, "expected a string, found %s",
				    type_words(item));
		id = scalar_text(r, item);
		if (!id)
			return false;
		if (!nv_name_ok(id, &why)) {
			free(id);
			return fail(r, "%s", why);
		}
		strvec_add(&node->links, id);
		free(id);
		leave(r, n);
	}
	seen = xcalloc(len, sizeof(*seen));
	for (size_t i = 0; i < len; i++)
		seen[i] = (struct seen){ node->links.v[i], i };
	ok = no_duplicates(r, key, seen, len);
	free(seen);
	return ok;
}

static char *read_id(struct reader *r, const struct nv_kind *kind,
		     struct json_object *obj)
{
	struct json_object *v;
	const char *why;
	char *id;
	size_t n;

	if (!json_object_object_get_ex(obj, kind->id_key, &v)) {
		fail(r, "\"%s\" is missing", kind->id_key);
		return NULL;
	}
	n = enter_key(r, kind->id_key);
	if (!kind->id_max && !json_object_is_type(v, json_type_string)) {
		fail(r, "expected a string, found %s", type_words(v));
		return NULL;
	}
	id = scalar_text(r, v);
	if (id && !nv_id_ok(kind, id, &why)) {
		fail(r, "%s", why);
		free(id);
		return NULL;
	}
	if (id)
		leave(r, n);
	return id;
}

static bool read_node(struct reader *r, struct nv_node *node,
		      struct json_object *obj);

static bool read_one(struct reader *r, struct nv_node *parent,
		     const struct nv_kind *kind, struct json_object *item)
{
	char *id = NULL;
	bool ok;

	if (!json_object_is_type(item, json_type_object))
		return fail(r, "expected an object, found %s",
			    type_words(item));
	if (kind->id_key) {
		id = read_id(r, kind, item);
		if (!id)
			return false;
	}
	ok = read_node(r, nv_node_add(parent, kind, id), item);
	free(id);
	return ok;
}

static bool read_list(struct reader *r, struct nv_node *parent,
		      const struct nv_kind *kind, struct json_object *v)
{
	size_t first = parent->n_kids, len;
	struct seen *seen;
	bool ok;

	if (!json_object_is_type(v, json_type_array)) {
		enter_key(r, kind->list);
		return fail(r, "expected an array, found %s", type_words(v));
	}
	len = json_object_array_length(v);
	for (size_t i = 0; i < len; i++) {
		size_t n = enter_index(r, kind->list, i);

		if (!read_one(r, parent, kind,
			      json_object_array_get_idx(v, i)))
			return false;
		leave(r, n);
	}
	seen = xcalloc(len, sizeof(*seen));
	for (size_t i = 0; i < len; i++)
		seen[i] = (struct seen){ parent->kids[first + i]->id, i };
	ok = no_duplicates(r, kind->list, seen, len);
	free(seen);
	return ok;
}

static const struct nv_kind *kid_kind(const struct nv_kind *in,
				      const char *key)
{
	for (const struct nv_kind *const *k = in->kids; k && *k; k++)
		if (!strcmp((*k)->list, key))
			return *k;
	return NULL;
}

static bool read_key(struct reader *r, struct nv_node *node, const char *key,
		     struct json_object *v)
{
	const struct nv_kind *kid = kid_kind(node->kind, key);
	bool ok;
	size_t n;

	if (node->kind->id_key && !strcmp(key, node->kind->id_key))
		return true;
	if (kid)
		return read_list(r, node, kid, v);
	if (node->kind->links && !strcmp(key, node->kind->links))
		return read_links(r, node, v);
	n = enter_key(r, key);
	if (str_in(node->kind->groups, key))
		ok = read_group(r, node, key, v);
	else if (json_object_is_type(v, json_type_object) ||
		 json_object_is_type(v, json_type_array))
		ok = fail(r, "%s has no such part", node->kind->word);
	else
		ok = read_attr(r, node, key, v);
	if (ok)
		leave(r, n);
	return ok;
}

static bool read_node(struct reader *r, struct nv_node *node,
		      struct json_object *obj)
{
	/* the numbers beside the groups first, since they win */
	for (int groups = 0; groups < 2; groups++) {
		json_object_object_foreach(obj, key, val)
			if (str_in(node->kind->groups, key) == groups &&
			    !read_key(r, node, key, val))
				return false;
	}
	return true;
}

static int node_id_cmp(const void *a, const void *b)
{
	const struct nv_node *x = *(struct nv_node *const *)a;
	const struct nv_node *y = *(struct nv_node *const *)b;

	return strcmp(x->id, y->id);
}

/* Each link must lead to an object that the file defines. */
static bool check_links(struct reader *r, const struct nv_node *root,
			const struct nv_kind *kind)
{
	const struct nv_kind *to = kind->links_to;
	struct nv_node **known = xcalloc(root->n_kids, sizeof(*known));
	size_t n_known = 0, index = 0;

	for (size_t i = 0; i < root->n_kids; i++)
		if (root->kids[i]->kind == to)
			known[n_known++] = root->kids[i];
	if (n_known)
		qsort(known, n_known, sizeof(*known), node_id_cmp);
	for (size_t i = 0; i < root->n_kids; i++) {
		struct nv_node *node = root->kids[i];

		if (node->kind != kind)
			continue;
		for (size_t j = 0; j < node->links.n; j++) {
			struct nv_node want = { .id = node->links.v[j] };
			struct nv_node *key = &want;

			if (n_known && bsearch(&key, known, n_known,
					       sizeof(*known), node_id_cmp))
				continue;
			enter_index(r, kind->list, index);
			enter_index(r, kind->links, j);
			free(known);
			return fail(r, "\"%s\" is not under \"%s\"",
				    want.id, to->list);
		}
		index++;
	}
	free(known);
	return true;
}

static void syntax_error(struct reader *r, const char *buf, size_t pos,
			 const char *what)
{
	size_t line = 1, col = 1;

	for (size_t i = 0; i < pos; i++) {
		col++;
		if (buf[i] == '\n') {
			line++;
			col = 1;
		}
	}
	fail(r, "line %zu, column %zu: %s", line, col, what);
}

static struct json_object *parse_text(struct reader *r, const char *buf,
				      size_t len)
{
	struct json_tokener *tok = json_tokener_new_ex(NV_JSON_MAX_DEPTH);
	struct json_object *obj;
	enum json_tokener_error err;

	if (!tok) {
		fail(r, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT |
			       JSON_TOKENER_VALIDATE_UTF8);
	obj = json_tokener_parse_ex(tok, buf, (int)len);
	err = json_tokener_get_error(tok);
	if (err == json_tokener_continue)
		syntax_error(r, buf, len, "the file ends in the middle");
	else if (err != json_tokener_success)
		syntax_error(r, buf, json_tokener_get_parse_end(tok),
			     json_tokener_error_desc(err));
	else
		for (size_t i = json_tokener_get_parse_end(tok);
		     i < len && !r->error; i++)
			if (!strchr(" \t\r\n", buf[i]) || !buf[i])
				syntax_error(r, buf, i,
					     "more text after the configuration");
	json_tokener_free(tok);
	if (r->error) {
		json_object_put(obj);
		return NULL;
	}
	return obj;
}

/**
 * nv_json_parse() - a configuration from JSON text
 * @buf: the text, which need not end in NUL
 * @len: its length in bytes
 * @error: gets an allocated message that says where the first error is
 * Return: the configuration, or NULL.
 */
struct nv_node *nv_json_parse(const char *buf, size_t len, char **error)
{
	struct reader r = { 0 };
	struct json_object *obj = NULL;
	struct nv_node *root = nv_node_new_root();

	if (len > NV_JSON_MAX_BYTES)
		fail(&r, "more than %u bytes", NV_JSON_MAX_BYTES);
	else
		obj = parse_text(&r, buf, len);
	if (!r.error && !json_object_is_type(obj, json_type_object))
		fail(&r, "expected an object, found %s", type_words(obj));
	if (!r.error && read_node(&r, root, obj) &&
	    check_links(&r, root, &nv_kind_subsystem))
		check_links(&r, root, &nv_kind_port);
	json_object_put(obj);
	*error = r.error;
	if (r.error) {
		nv_node_free(root);
		return NULL;
	}
	for (size_t i = 0; i < root->n_kids; i++)
		nv_vfu_drop_unused(root->kids[i]);
	nv_node_sort(root);
	return root;
}

/* At most one byte more than allowed, so that the parser can refuse it. */
static char *slurp(int fd, size_t *len)
{
	size_t cap = 64 << 10;
	char *buf = xcalloc(1, cap);

	*len = 0;
	for (;;) {
		ssize_t n = read(fd, buf + *len, cap - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(buf);
			return NULL;
		}
		*len += n;
		if (!n || *len > NV_JSON_MAX_BYTES)
			return buf;
		if (*len == cap) {
			cap *= 2;
			buf = xrealloc(buf, cap, 1);
		}
	}
}

/**
 * nv_json_read_file() - a configuration from a file, "-" being standard input
 * Return: the configuration, or NULL after a message.
 */
struct nv_node *nv_json_read_file(const char *file)
{
	int fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : 0;
	struct nv_node *root;
	char *buf, *error;
	size_t len;

	if (fd < 0) {
		msg_error("cannot open %s: %s", file, strerror(errno));
		return NULL;
	}
	buf = slurp(fd, &len);
	if (!buf) {
		msg_error("cannot read %s: %s", file, strerror(errno));
		root = NULL;
	} else {
		root = nv_json_parse(buf, len, &error);
		if (!root)
			msg_error("%s: %s", file, error);
		free(error);
	}
	free(buf);
	if (fd)
		close(fd);
	return root;
}
