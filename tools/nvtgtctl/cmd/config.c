// SPDX-License-Identifier: GPL-2.0
/* The whole configuration: restore, apply, clear, show. */
#include "../ctl.h"
#include "cmd.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *file_arg(const struct args *a)
{
	return a->npos ? a->pos[0] : NV_CONFIG_FILE;
}

/* Paths of the devices that enabled namespaces of a file need. */
static void needed_devices(const struct nv_node *node, struct strvec *out)
{
	const char *path = nv_attr_value(node, "device_path");

	if (node->kind == &nv_kind_namespace && *path == '/' &&
	    !strcmp(nv_attr_value(node, "enable"), "1") &&
	    strcmp(nv_attr_value(node, "backend"), "null") &&
	    !strvec_has(out, path))
		strvec_add(out, path);
	for (size_t i = 0; i < node->n_kids; i++)
		needed_devices(node->kids[i], out);
}

static size_t count_missing(const struct strvec *devs, const char **first)
{
	struct stat st;
	size_t n = 0;

	for (size_t i = 0; i < devs->n; i++)
		if (stat(devs->v[i], &st) && !n++)
			*first = devs->v[i];
	return n;
}

/*
 * Wait until all devices are there, or the time is over: then the namespaces
 * that lack theirs fail one by one, each with its message.
 */
static void wait_for_devices(const struct nv_node *want, long long deadline)
{
	long long next = monotonic_ms() + 1000;
	struct strvec devs = { 0 };
	const char *first = "";
	size_t n;

	needed_devices(want, &devs);
	while ((n = count_missing(&devs, &first)) &&
	       monotonic_ms() < deadline) {
		if (monotonic_ms() >= next) {
			msg_note("waiting for %s%s, %lld s left", first,
				 n > 1 ? " and others" : "",
				 (deadline - monotonic_ms() + 999) / 1000);
			next = monotonic_ms() + 10000;
		}
		sleep_ms(100);
	}
	strvec_free(&devs);
}

static int wait_arg(const struct args *a, long long *deadline)
{
	const char *s = arg_opt(a, "wait");
	uint64_t n;

	*deadline = 0;
	if (!s)
		return 0;
	if (!str_to_u64(s, &n) || n > 86400)
		return usage_error(a, "--wait %s: a number of seconds up to 86400 is needed",
				   s);
	*deadline = monotonic_ms() + 1000 * (long long)n;
	return 0;
}

/* Lead the running target to @want; frees nothing. */
static int reach(struct ctl *ctl, const struct args *a,
		 const struct nv_node *have, const struct nv_node *want,
		 long long deadline)
{
	struct nv_run run = { .c = &ctl->cfs, .deadline_ms = deadline };
	struct nv_plan plan = { 0 };
	size_t errors = 0;

	nv_diff(&plan, have, want, arg_has(a, "merge"));
	if (arg_has(a, "dry-run")) {
		nv_plan_print(&plan);
	} else {
		if (deadline)
			wait_for_devices(want, deadline);
		errors = nv_plan_run(&plan, &run);
	}
	nv_plan_free(&plan);
	if (errors)
		msg_error("%zu error%s: the rest of the configuration is in place",
			  errors, errors == 1 ? "" : "s");
	return errors ? EXIT_FAILED : EXIT_DONE;
}

static int clear_all(struct ctl *ctl, bool dry_run)
{
	struct nv_node *have = nv_tree_load(&ctl->cfs);
	struct nv_node *none = nv_node_new_root();
	struct nv_run run = { .c = &ctl->cfs };
	struct nv_plan plan = { 0 };
	size_t errors = 0;

	nv_diff(&plan, have, none, false);
	if (dry_run)
		nv_plan_print(&plan);
	else
		errors = nv_plan_run(&plan, &run);
	nv_plan_free(&plan);
	nv_node_free(none);
	nv_node_free(have);
	return errors ? EXIT_FAILED : EXIT_DONE;
}

static int cmd_clear(struct ctl *ctl, const struct args *a)
{
	return clear_all(ctl, arg_has(a, "dry-run"));
}

static int cmd_restore(struct ctl *ctl, const struct args *a)
{
	struct nv_node *want, *have;
	long long deadline;
	int ret = wait_arg(a, &deadline);

	if (ret)
		return ret;
	want = nv_json_read_file(file_arg(a));
	if (!want)
		return EXIT_FAILED;
	have = nv_tree_load(&ctl->cfs);
	if (!nv_node_is_empty(have) && arg_has(a, "clear")) {
		bool dry_run = arg_has(a, "dry-run");

		ret = clear_all(ctl, dry_run);
		nv_node_free(have);
		have = dry_run ? nv_node_new_root() : nv_tree_load(&ctl->cfs);
	}
	if (!ret && !nv_node_is_empty(have)) {
		msg_error("the target is configured already, nothing restored");
		msg_hint("restore --clear replaces the configuration and ends all connections");
		msg_hint("apply changes only what differs and keeps hosts connected");
		ret = EXIT_FAILED;
	}
	if (!ret)
		ret = reach(ctl, a, have, want, deadline);
	nv_node_free(have);
	nv_node_free(want);
	return ret;
}

static int cmd_apply(struct ctl *ctl, const struct args *a)
{
	struct nv_node *want, *have;
	long long deadline;
	int ret = wait_arg(a, &deadline);

	if (ret)
		return ret;
	want = nv_json_read_file(file_arg(a));
	if (!want)
		return EXIT_FAILED;
	have = nv_tree_load(&ctl->cfs);
	ret = reach(ctl, a, have, want, deadline);
	nv_node_free(have);
	nv_node_free(want);
	return ret;
}

static int cmd_show(struct ctl *ctl, const struct args *a)
{
	struct nv_node *root = nv_tree_load(&ctl->cfs);
	bool secrets = arg_has(a, "secrets");

	if (arg_has(a, "json")) {
		struct json_object *o;

		o = nv_json_from_node(root, secrets ? NV_JSON_SHOW_SECRETS :
						      NV_JSON_SHOW);
		nv_json_print(stdout, o);
		json_object_put(o);
	} else {
		print_node(stdout, root, 0, secrets);
	}
	nv_node_free(root);
	return EXIT_DONE;
}

static const struct opt restore_opts[] = {
	{ "clear", NULL, "remove what is configured first", NULL },
	{ "dry-run", NULL, "print the steps and change nothing", NULL },
	{ "wait", "SECONDS", "wait for devices and addresses to come up",
	  NULL },
	{ 0 }
};

static const struct opt apply_opts[] = {
	{ "dry-run", NULL, "print the steps and change nothing", NULL },
	{ "merge", NULL, "leave alone what the file does not mention", NULL },
	{ "wait", "SECONDS", "wait for devices and addresses to come up",
	  NULL },
	{ 0 }
};

static const struct opt clear_opts[] = {
	{ "dry-run", NULL, "print the steps and change nothing", NULL },
	{ 0 }
};

static const struct verb restore_verb[] = {
	{ NULL, "[FILE]", "configure an empty target as the file says", 0, 1,
	  NEED_TREE | NEED_LOCK, restore_opts, cmd_restore },
	{ 0 }
};

static const struct verb apply_verb[] = {
	{ NULL, "[FILE]",
	  "change what differs from the file and keep hosts connected", 0, 1,
	  NEED_TREE | NEED_LOCK, apply_opts, cmd_apply },
	{ 0 }
};

static const struct verb clear_verb[] = {
	{ NULL, "", "remove the whole configuration", 0, 0,
	  NEED_TREE | NEED_LOCK, clear_opts, cmd_clear },
	{ 0 }
};

static const struct verb show_verb[] = {
	{ NULL, "", "show the whole configuration", 0, 0, NEED_TREE,
	  show_opts, cmd_show },
	{ 0 }
};

const struct object object_restore = {
	"restore", "configure an empty target from a file", NULL, restore_verb
};
const struct object object_apply = {
	"apply", "change what differs from a file", NULL, apply_verb
};
const struct object object_clear = {
	"clear", "remove the whole configuration", NULL, clear_verb
};
const struct object object_show = {
	"show", "show the whole configuration", NULL, show_verb
};
