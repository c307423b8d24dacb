// SPDX-License-Identifier: GPL-2.0
/* Saving the configuration, and not over a better one by mistake. */
#include "../ctl.h"
#include "cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/netns.h"
#include "../../lib/save.h"

static bool is_on(const struct nv_node *node)
{
	return !strcmp(nv_attr_value(node, "enable"), "1");
}

static void lost(struct strvec *out, const char *path, const char *what)
{
	char *object = nv_describe(path), *line;

	line = xasprintf("%s: %s", object, what);
	strvec_add(out, line);
	free(line);
	free(object);
}

/* Namespaces that the file serves and the target does not, for want of a device. */
static void lost_namespaces(const struct nv_node *have,
			    const struct nv_node *file, struct strvec *out)
{
	struct stat st;

	for (size_t i = 0; i < file->n_kids; i++) {
		const struct nv_node *old = file->kids[i];
		const struct nv_node *now = nv_node_kid(have, old->kind,
							old->id);
		const char *path = nv_attr_value(old, "device_path");

		if (now && old->kind == &nv_kind_namespace && is_on(old) &&
		    !is_on(now) && *path == '/' && stat(path, &st)) {
			char *what = xasprintf("its device %s is missing",
					       path);

			lost(out, old->path, what);
			free(what);
		}
	}
}

/* Ports that the file opens and the target does not, for want of an address. */
static void lost_port(const struct nv_node *now, const struct nv_node *old,
		      struct strvec *out)
{
	const struct nv_attr *netns = nv_attr_get(old, "netns");
	const char *addr = nv_attr_value(old, "addr_traddr");
	char *what;

	if (!now && netns && !nv_netns_exists(netns->value)) {
		what = xasprintf("its network namespace %s is missing",
				 netns->value);
	} else if (now && old->links.n && !now->links.n &&
		   !nv_addr_exists(addr, netns ? netns->value : NULL)) {
		what = xasprintf("its address %s is missing", addr);
	} else {
		return;
	}
	lost(out, old->path, what);
	free(what);
}

/* What the file has and the running target lacks through no one's wish. */
static void find_lost(const struct nv_node *have, const struct nv_node *file,
		      struct strvec *out)
{
	for (size_t i = 0; i < file->n_kids; i++) {
		const struct nv_node *old = file->kids[i];
		const struct nv_node *now = nv_node_kid(have, old->kind,
							old->id);

		if (old->kind == &nv_kind_port)
			lost_port(now, old, out);
		else if (old->kind == &nv_kind_subsystem && now)
			lost_namespaces(now, old, out);
	}
}

static bool confirmed(void)
{
	char answer[16];

	if (!isatty(0) || !isatty(2))
		return false;
	fputs("Save it all the same? [y/N] ", stderr);
	return fgets(answer, sizeof(answer), stdin) &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

/* Whether what runs may replace what @file has; asks where somebody can answer. */
static bool may_replace(const char *file, const struct nv_node *have)
{
	struct strvec out = { 0 };
	struct nv_node *old;
	struct stat st;
	bool ok = true;

	if (!strcmp(file, "-") || stat(file, &st) || !S_ISREG(st.st_mode))
		return true;
	old = nv_json_read_file(file);
	if (!old) {
		msg_note("%s is replaced, and stays as %s.1", file, file);
		return true;
	}
	if (!nv_node_is_empty(old) && nv_node_is_empty(have))
		strvec_add(&out, "nothing at all is configured");
	else
		find_lost(have, old, &out);
	if (out.n) {
		msg_error("what runs is less than what %s has:", file);
		for (size_t i = 0; i < out.n; i++)
			msg_hint("%s", out.v[i]);
		ok = confirmed();
	}
	if (!ok) {
		msg_error("nothing was saved");
		msg_hint("save --force replaces the file; save FILE writes another one");
	}
	strvec_free(&out);
	nv_node_free(old);
	return ok;
}

static int cmd_save(struct ctl *ctl, const struct args *a)
{
	const char *file = a->npos ? a->pos[0] : NV_CONFIG_FILE;
	struct nv_node *root = nv_tree_load(&ctl->cfs);
	int ret = EXIT_FAILED;

	if (arg_has(a, "force") || may_replace(file, root))
		ret = nv_save_file(file, root) ? EXIT_FAILED : EXIT_DONE;
	nv_node_free(root);
	return ret;
}

static const struct opt save_opts[] = {
	{ "force", NULL, "even if less runs than the file has", NULL },
	{ 0 }
};

static const struct verb save_verb[] = {
	{ NULL, "[FILE]", "write the configuration as JSON", 0, 1,
	  NEED_TREE | NEED_LOCK, save_opts, cmd_save },
	{ 0 }
};

const struct object object_save = {
	"save", "write the configuration to a file", NULL, save_verb
};
