// SPDX-License-Identifier: GPL-2.0
#include "../ctl.h"

#include <stdlib.h>
#include <string.h>

/** host_check() - whether @nqn can be a host's NQN; 0 or the exit code */
int host_check(const struct args *a, const char *nqn)
{
	const char *why;

	if (nv_id_ok(&nv_kind_host, nqn, &why))
		return 0;
	return usage_error(a, "host \"%s\": %s", nqn, why);
}

static int host_create(struct ctl *ctl, const struct args *a)
{
	int ret = check_ids(a, &nv_kind_host, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_not_exist(ctl, &nv_kind_host, a->pos);
	if (ret)
		return ret;
	path = nv_path(&nv_kind_host, (const char *const *)a->pos);
	nv_plan_add(&plan, NV_MKDIR, &nv_kind_host, path);
	ret = add_pairs(a, nv_plan_add(&plan, NV_SET, &nv_kind_host, path), 1);
	free(path);
	if (!ret)
		return run_atomic(ctl, &plan);
	nv_plan_free(&plan);
	return ret;
}

/* Which subsystems allow the host; their links go first. */
static size_t plan_links(struct nv_plan *plan, const struct nv_node *root,
			 const char *nqn, bool force)
{
	size_t n = 0;

	for (size_t i = 0; i < root->n_kids; i++) {
		const struct nv_node *s = root->kids[i];

		if (s->kind != &nv_kind_subsystem || !strvec_has(&s->links, nqn))
			continue;
		n++;
		if (force)
			nv_plan_link(plan, NV_UNLINK, s->kind, s->path, nqn);
		else
			msg_error("host %s is allowed in subsystem %s", nqn,
				  s->id);
	}
	return n;
}

static int host_delete(struct ctl *ctl, const struct args *a)
{
	int ret = check_ids(a, &nv_kind_host, a->pos);
	bool force = arg_has(a, "force");
	struct nv_plan plan = { 0 };
	struct nv_node *root;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_host, a->pos);
	if (ret)
		return ret;
	root = nv_tree_load(&ctl->cfs);
	if (plan_links(&plan, root, a->pos[0], force) && !force) {
		msg_hint("--force takes these rights away first, which ends the host's connections");
		nv_node_free(root);
		return EXIT_FAILED;
	}
	nv_plan_delete(&plan, nv_node_kid(root, &nv_kind_host, a->pos[0]));
	nv_node_free(root);
	return run_atomic(ctl, &plan);
}

static const struct opt delete_opts[] = {
	{ "force", NULL, "take its rights away first", NULL },
	{ 0 }
};

static const struct verb verbs[] = {
	{ "create", "HOSTNQN [NAME=VALUE...]", "make a host known", 1, -1,
	  NEED_TREE | NEED_LOCK, NULL, host_create },
	{ "set", "HOSTNQN NAME=VALUE...", "change attributes", 2, -1,
	  NEED_TREE | NEED_LOCK, NULL, verb_set },
	SHOW_LIST_VERBS("[HOSTNQN]", 1),
	{ "delete", "HOSTNQN", "forget a host", 1, 1, NEED_TREE | NEED_LOCK,
	  delete_opts, host_delete },
	{ 0 }
};

const struct object object_host = {
	"host", "a host that may be allowed to connect", &nv_kind_host, verbs
};
