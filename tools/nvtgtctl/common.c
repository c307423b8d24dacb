// SPDX-License-Identifier: GPL-2.0
/* What the objects have in common: identifiers, attributes, generic verbs. */
#include "ctl.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

const struct opt show_opts[] = {
	{ "json", NULL, "print JSON", NULL },
	{ "secrets", NULL, "show authentication keys as well", NULL },
	{ 0 }
};

const struct opt list_opts[] = {
	{ "json", NULL, "print JSON", NULL },
	{ 0 }
};

/** id_count() - how many identifiers name an object of this kind */
int id_count(const struct nv_kind *kind)
{
	return kind->parent ? 2 : 1;
}

/**
 * check_ids() - whether @ids may name an object of @kind at all
 * Return: 0, or the exit code after a message.
 */
int check_ids(const struct args *a, const struct nv_kind *kind, char **ids)
{
	const char *why;

	if (kind->parent) {
		if (!nv_id_ok(kind->parent, ids[0], &why))
			return usage_error(a, "%s \"%s\": %s",
					   kind->parent->word, ids[0], why);
		ids++;
	}
	if (!nv_id_ok(kind, ids[0], &why))
		return usage_error(a, "%s \"%s\": %s", kind->word, ids[0],
				   why);
	return 0;
}

static void say_none(const struct nv_kind *kind, char **ids)
{
	char *path = nv_path(kind, (const char *const *)ids);
	char *what = nv_describe(path);

	msg_error("there is no %s", what);
	if (kind->parent)
		msg_hint("see: nvtgtctl %s list %s", kind->word, ids[0]);
	else
		msg_hint("see: nvtgtctl %s list", kind->word);
	free(what);
	free(path);
}

/** must_exist() - 0 when the object exists, or the exit code after a message */
int must_exist(struct ctl *ctl, const struct nv_kind *kind, char **ids)
{
	char *path;
	bool exists;

	if (kind->parent) {
		int ret = must_exist(ctl, kind->parent, ids);

		if (ret)
			return ret;
	}
	path = nv_path(kind, (const char *const *)ids);
	exists = cfs_exists(&ctl->cfs, path);
	free(path);
	if (exists)
		return 0;
	say_none(kind, ids);
	return EXIT_FAILED;
}

/** must_not_exist() - 0 when it does not exist, or the exit code */
int must_not_exist(struct ctl *ctl, const struct nv_kind *kind, char **ids)
{
	char *path = nv_path(kind, (const char *const *)ids);
	char *what = nv_describe(path);
	bool exists = cfs_exists(&ctl->cfs, path);

	if (exists) {
		msg_error("%s exists already", what);
		msg_hint("to change it: nvtgtctl %s set", kind->word);
	}
	free(what);
	free(path);
	return exists ? EXIT_FAILED : 0;
}

/* "serial" is attr_serial; the full name is good as well. */
static char *full_name(const struct cfs *c, const struct nv_kind *kind,
		       const char *path, const char *name)
{
	bool r, w;

	if (!cfs_mode(c, path, name, &r, &w))
		return xstrdup(name);
	for (const char *const *g = kind->groups; g && *g; g++) {
		char *full = xasprintf("%s_%s", *g, name);

		if (!cfs_mode(c, path, full, &r, &w))
			return full;
		free(full);
	}
	return NULL;
}

/**
 * resolve_attr() - the file that an attribute's short or full name means
 * Return: an allocated name, or NULL after a message that lists the names.
 */
char *resolve_attr(const struct cfs *c, const struct nv_kind *kind,
		   const char *path, const char *name)
{
	struct strvec files = { 0 };
	char *full, *what, *list;

	full = nv_attr_name_ok(name) ? full_name(c, kind, path, name) : NULL;
	if (full)
		return full;
	what = nv_describe(path);
	list = xstrdup("");
	cfs_list(c, path, CFS_FILES, &files);
	for (size_t i = 0; i < files.n; i++) {
		char *more = xasprintf("%s %s", list, files.v[i]);

		free(list);
		list = more;
	}
	msg_error("%s has no attribute \"%s\"", what, name);
	msg_hint("it has:%s", *list ? list : " none");
	strvec_free(&files);
	free(list);
	free(what);
	return NULL;
}

/* One NAME=VALUE, where the value may stand elsewhere. */
static int add_pair(const struct args *a, struct nv_step *step,
		    const char *pair)
{
	const char *eq = strchr(pair, '='), *why;
	char *name, *value = NULL;
	int ret = 0;

	if (!eq || eq == pair)
		return usage_error(a, "\"%s\" is not NAME=VALUE", pair);
	name = xstrndup(pair, eq - pair);
	if (!nv_attr_name_ok(name))
		ret = usage_error(a, "\"%s\" is not an attribute's name",
				  name);
	if (!ret) {
		value = value_arg(name, eq + 1);
		ret = value ? 0 : EXIT_FAILED;
	}
	if (!ret && !nv_value_ok(value, &why))
		ret = usage_error(a, "%s: %s", name, why);
	if (!ret)
		nv_step_attr(step, name, value);
	free(value);
	free(name);
	return ret;
}

/**
 * add_pairs() - the arguments NAME=VALUE from @from on as attributes of a step
 *
 * Short names become full ones when the step runs.
 * Return: 0, or the exit code after a message.
 */
int add_pairs(const struct args *a, struct nv_step *step, int from)
{
	int ret = 0;

	for (int i = from; !ret && i < a->npos; i++)
		ret = add_pair(a, step, a->pos[i]);
	return ret;
}

/** add_opt_attrs() - options that stand for an attribute, into a step */
int add_opt_attrs(const struct args *a, struct nv_step *step)
{
	const char *why;

	for (int i = 0; i < a->nvals; i++) {
		const struct opt *o = a->vals[i].opt;

		if (!o->attr)
			continue;
		if (!nv_value_ok(a->vals[i].value, &why))
			return usage_error(a, "--%s: %s", o->name, why);
		nv_step_attr(step, o->attr, a->vals[i].value);
	}
	return 0;
}

/** run_atomic() - carry out a plan wholly or not at all; frees it */
int run_atomic(struct ctl *ctl, struct nv_plan *plan)
{
	struct nv_run run = { .c = &ctl->cfs, .atomic = true };
	size_t errors = nv_plan_run(plan, &run);

	nv_plan_free(plan);
	return errors ? EXIT_FAILED : EXIT_DONE;
}

/** free_id() - the first number from @first on that has no entry in @dir */
char *free_id(const struct cfs *c, const char *dir, unsigned long first)
{
	for (unsigned long n = first; ; n++) {
		char *path = xasprintf("%s/%lu", dir, n);
		bool taken = cfs_exists(c, path);

		free(path);
		if (!taken)
			return xasprintf("%lu", n);
	}
}

/** attr_or() - an attribute's value, "" when it cannot be read; never NULL */
char *attr_or(const struct cfs *c, const char *path, const char *attr)
{
	char *value;

	return cfs_read(c, path, attr, &value) ? xstrdup("") : value;
}

/** verb_set() - OBJECT set ID... NAME=VALUE... */
int verb_set(struct ctl *ctl, const struct args *a)
{
	const struct nv_kind *kind = a->object->kind;
	int n = id_count(kind), ret = check_ids(a, kind, a->pos);
	struct nv_plan plan = { 0 };
	struct nv_step *step;
	char *path;

	if (!ret)
		ret = must_exist(ctl, kind, a->pos);
	if (ret)
		return ret;
	path = nv_path(kind, (const char *const *)a->pos);
	step = nv_plan_add(&plan, NV_SET, kind, path);
	ret = add_pairs(a, step, n);
	for (size_t i = 0; !ret && i < step->n_attrs; i++) {
		char *full = resolve_attr(&ctl->cfs, kind, path,
					  step->attrs[i].name);

		if (!full) {
			ret = EXIT_FAILED;
			break;
		}
		free(step->attrs[i].name);
		step->attrs[i].name = full;
	}
	free(path);
	if (!ret)
		return run_atomic(ctl, &plan);
	nv_plan_free(&plan);
	return ret;
}

static int set_enable(struct ctl *ctl, const struct args *a, const char *value)
{
	const struct nv_kind *kind = a->object->kind;
	int ret = check_ids(a, kind, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_exist(ctl, kind, a->pos);
	if (ret)
		return ret;
	path = nv_path(kind, (const char *const *)a->pos);
	nv_plan_set(&plan, kind, path, "enable", value);
	free(path);
	return run_atomic(ctl, &plan);
}

/** verb_enable() - OBJECT enable ID... */
int verb_enable(struct ctl *ctl, const struct args *a)
{
	return set_enable(ctl, a, "1");
}

/** verb_disable() - OBJECT disable ID... */
int verb_disable(struct ctl *ctl, const struct args *a)
{
	return set_enable(ctl, a, "0");
}

struct found {
	struct nv_node **nodes;
	const char **parents;
	size_t n;
};

static void collect(struct found *f, const struct nv_node *in,
		    const struct nv_kind *kind, const char *id)
{
	for (size_t i = 0; i < in->n_kids; i++) {
		struct nv_node *kid = in->kids[i];

		if (kid->kind != kind || (id && strcmp(kid->id, id)))
			continue;
		f->nodes = xrealloc(f->nodes, f->n + 1, sizeof(*f->nodes));
		f->parents = xrealloc(f->parents, f->n + 1,
				      sizeof(*f->parents));
		f->nodes[f->n] = kid;
		f->parents[f->n++] = in->id;
	}
}

static void find_all(struct found *f, const struct nv_node *root,
		     const struct args *a)
{
	const struct nv_kind *kind = a->object->kind;
	char **ids = a->pos;

	if (!kind->parent) {
		collect(f, root, kind, a->npos ? ids[0] : NULL);
		return;
	}
	for (size_t i = 0; i < root->n_kids; i++) {
		const struct nv_node *up = root->kids[i];

		if (up->kind == kind->parent &&
		    (!a->npos || !strcmp(up->id, ids[0])))
			collect(f, up, kind, a->npos > 1 ? ids[1] : NULL);
	}
}

static struct json_object *found_json(const struct found *f,
				      const struct nv_kind *kind, bool secrets)
{
	struct json_object *arr = json_object_new_array();

	for (size_t i = 0; i < f->n; i++) {
		struct json_object *o;

		o = nv_json_from_node(f->nodes[i],
				      secrets ? NV_JSON_SHOW_SECRETS :
						NV_JSON_SHOW);
		if (kind->parent)
			json_object_object_add(o, kind->parent->word,
				json_object_new_string(f->parents[i]));
		json_object_array_add(arr, o);
	}
	return arr;
}

/* Load as little as the identifiers ask for. */
static int load_found(struct ctl *ctl, const struct args *a,
		      struct nv_node **root, struct found *f)
{
	const struct nv_kind *kind = a->object->kind;
	int n = id_count(kind), ret = 0;

	if (a->npos == n)
		ret = check_ids(a, kind, a->pos);
	else if (a->npos)
		ret = check_ids(a, kind->parent, a->pos);
	if (ret)
		return ret;
	if (a->npos == n)
		ret = must_exist(ctl, kind, a->pos);
	else if (a->npos)
		ret = must_exist(ctl, kind->parent, a->pos);
	if (ret)
		return ret;
	*root = a->npos == n ?
		nv_tree_load_at(&ctl->cfs, kind,
				(const char *const *)a->pos) :
		nv_tree_load(&ctl->cfs);
	if (!*root) {
		say_none(kind, a->pos);
		return EXIT_FAILED;
	}
	find_all(f, *root, a);
	return 0;
}

static int show_found(struct ctl *ctl, const struct args *a, bool table)
{
	const struct nv_kind *kind = a->object->kind;
	bool secrets = arg_has(a, "secrets");
	struct nv_node *root = NULL;
	struct found f = { 0 };
	int ret = load_found(ctl, a, &root, &f);

	if (ret)
		return ret;
	if (arg_has(a, "json")) {
		struct json_object *o = found_json(&f, kind, secrets);

		if (!table && a->npos == id_count(kind))
			nv_json_print(stdout, json_object_array_get_idx(o, 0));
		else
			nv_json_print(stdout, o);
		json_object_put(o);
	} else if (table) {
		print_table(stdout, kind, f.nodes, f.parents, f.n);
	} else {
		for (size_t i = 0; i < f.n; i++)
			print_node(stdout, f.nodes[i], 0, secrets);
	}
	if (!arg_has(a, "json"))
		note_sockets(f.nodes, f.n);
	free(f.nodes);
	free(f.parents);
	nv_node_free(root);
	return EXIT_DONE;
}

/** verb_show() - OBJECT show [ID...] */
int verb_show(struct ctl *ctl, const struct args *a)
{
	return show_found(ctl, a, false);
}

/** verb_list() - OBJECT list [ID...] */
int verb_list(struct ctl *ctl, const struct args *a)
{
	return show_found(ctl, a, true);
}
