// SPDX-License-Identifier: GPL-2.0
/* The whole configuration: restore, apply, clear, show. */
#include "../ctl.h"
#include "../../lib/pending.h"
#include "cmd.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

static const char *file_arg(const struct args *a)
{
	return a->npos ? a->pos[0] : NV_CONFIG_FILE;
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

static void say_waiting(const struct nv_plan *pending, long long deadline)
{
	char *text = nv_pending_text(pending, 200);

	if (deadline)
		msg_note("waiting for %s, %lld s left", text,
			 (deadline - monotonic_ms() + 999) / 1000);
	else
		msg_note("waiting for %s; Ctrl-C gives up", text);
	free(text);
}

/*
 * Until the time is over, put in place what comes, and let others work between;
 * then what is still missing is an error. Without a deadline this is about devices
 * that hang, until they answer.
 */
static size_t complete(struct ctl *ctl, struct nv_plan *pending,
		       long long deadline)
{
	long long next = monotonic_ms() + 10000;
	size_t errors = 0;

	while (pending->n && (deadline ? monotonic_ms() < deadline :
					 nv_pending_hangs(pending))) {
		ctl_unlock(ctl);
		sleep_ms(100);
		if (monotonic_ms() >= next) {
			say_waiting(pending, deadline);
			next = monotonic_ms() + 10000;
		}
		if (!nv_pending_ready(pending))
			continue;
		if (ctl_lock(ctl))
			return errors + 1;
		errors += nv_pending_run(pending, &ctl->cfs, false);
	}
	if (!pending->n)
		return errors;
	if (ctl->lock_fd < 0 && ctl_lock(ctl))
		return errors + 1;
	return errors + nv_pending_run(pending, &ctl->cfs, true);
}

/* Lead the running target to @want; frees nothing. */
static int reach(struct ctl *ctl, const struct args *a,
		 const struct nv_node *have, const struct nv_node *want,
		 long long deadline)
{
	bool partial = arg_has(a, "partial");
	struct nv_plan plan = { 0 }, pending = { 0 };
	struct nv_run run = {
		.c = &ctl->cfs,
		.patience_ms = NV_PATIENCE_MS,
		.pending = &pending,
		.hanging_only = !deadline && !partial,
	};
	size_t errors = 0;

	nv_diff(&plan, have, want, arg_has(a, "merge"));
	if (arg_has(a, "dry-run")) {
		nv_plan_print(&plan);
	} else {
		errors = nv_plan_run(&plan, &run);
		if (!partial)
			errors += complete(ctl, &pending, deadline);
	}
	nv_pending_stop(&pending);
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
	struct nv_run run = {
		.c = &ctl->cfs,
		.patience_ms = NV_PATIENCE_MS,
	};
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

/*
 * The file comes before the lock: what writes into a pipe may be slow, or another
 * nvtgtctl that needs the lock itself, as in "save - | jq ... | apply -".
 */
static struct nv_node *read_and_lock(struct ctl *ctl, const struct args *a)
{
	struct nv_node *want = nv_json_read_file(file_arg(a));

	if (want && ctl_lock(ctl)) {
		nv_node_free(want);
		return NULL;
	}
	return want;
}

static int cmd_restore(struct ctl *ctl, const struct args *a)
{
	struct nv_node *want, *have;
	long long deadline;
	int ret = wait_arg(a, &deadline);

	if (ret)
		return ret;
	want = read_and_lock(ctl, a);
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
	want = read_and_lock(ctl, a);
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
		note_sockets(root->kids, root->n_kids);
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
	{ "partial", NULL, "a missing device or address is no error", NULL },
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
	  NEED_TREE, restore_opts, cmd_restore },
	{ 0 }
};

static const struct verb apply_verb[] = {
	{ NULL, "[FILE]",
	  "change what differs from the file and keep hosts connected", 0, 1,
	  NEED_TREE, apply_opts, cmd_apply },
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
