// SPDX-License-Identifier: GPL-2.0
#include "../ctl.h"

#include <stdlib.h>
#include <string.h>

/* Hosts that are not there yet are made, so that they can be allowed. */
static int allow_hosts(struct ctl *ctl, const struct args *a,
		       struct nv_plan *plan, const char *path,
		       char *const *hosts, int n)
{
	for (int i = 0; i < n; i++) {
		int ret = host_check(a, hosts[i]);
		const char *id = hosts[i];
		char *host;

		if (ret)
			return ret;
		host = nv_path(&nv_kind_host, &id);
		if (!cfs_exists(&ctl->cfs, host))
			nv_plan_add(plan, NV_MKDIR, &nv_kind_host, host);
		free(host);
		nv_plan_link(plan, NV_LINK, &nv_kind_subsystem, path, id);
	}
	return 0;
}

static int create_steps(struct ctl *ctl, const struct args *a,
			struct nv_plan *plan, const char *path)
{
	const struct nv_kind *kind = &nv_kind_subsystem;
	struct nv_step *step;
	int ret;

	nv_plan_add(plan, NV_MKDIR, kind, path);
	step = nv_plan_add(plan, NV_SET, kind, path);
	ret = add_opt_attrs(a, step);
	if (!ret)
		ret = add_pairs(a, step, 1);
	for (int i = 0; !ret && i < a->nvals; i++) {
		char *host = xstrdup(a->vals[i].value);

		if (!strcmp(a->vals[i].opt->name, "allow-host"))
			ret = allow_hosts(ctl, a, plan, path, &host, 1);
		free(host);
	}
	return ret;
}

static int subsystem_create(struct ctl *ctl, const struct args *a)
{
	int ret = check_ids(a, &nv_kind_subsystem, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_not_exist(ctl, &nv_kind_subsystem, a->pos);
	if (ret)
		return ret;
	path = nv_path(&nv_kind_subsystem, (const char *const *)a->pos);
	ret = create_steps(ctl, a, &plan, path);
	free(path);
	if (!ret)
		return run_atomic(ctl, &plan);
	nv_plan_free(&plan);
	return ret;
}

static int change_access(struct ctl *ctl, const struct args *a, bool allow)
{
	int ret = check_ids(a, &nv_kind_subsystem, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_subsystem, a->pos);
	for (int i = 1; !ret && i < a->npos; i++)
		ret = host_check(a, a->pos[i]);
	if (ret)
		return ret;
	path = nv_path(&nv_kind_subsystem, (const char *const *)a->pos);
	if (allow)
		allow_hosts(ctl, a, &plan, path, a->pos + 1, a->npos - 1);
	else
		for (int i = 1; i < a->npos; i++)
			nv_plan_link(&plan, NV_UNLINK, &nv_kind_subsystem,
				     path, a->pos[i]);
	free(path);
	return run_atomic(ctl, &plan);
}

static int subsystem_allow(struct ctl *ctl, const struct args *a)
{
	return change_access(ctl, a, true);
}

static int subsystem_remove(struct ctl *ctl, const struct args *a)
{
	return change_access(ctl, a, false);
}

static size_t plan_ports(struct nv_plan *plan, const struct nv_node *root,
			 const char *nqn, bool force)
{
	size_t n = 0;

	for (size_t i = 0; i < root->n_kids; i++) {
		const struct nv_node *p = root->kids[i];

		if (p->kind != &nv_kind_port || !strvec_has(&p->links, nqn))
			continue;
		n++;
		if (force)
			nv_plan_link(plan, NV_UNLINK, p->kind, p->path, nqn);
		else
			msg_error("subsystem %s is linked to port %s", nqn,
				  p->id);
	}
	return n;
}

static size_t count_namespaces(const struct nv_node *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_kids; i++)
		n += s->kids[i]->kind == &nv_kind_namespace;
	return n;
}

static int subsystem_delete(struct ctl *ctl, const struct args *a)
{
	int ret = check_ids(a, &nv_kind_subsystem, a->pos);
	bool force = arg_has(a, "force");
	struct nv_plan plan = { 0 };
	struct nv_node *root, *s;
	size_t users;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_subsystem, a->pos);
	if (ret)
		return ret;
	root = nv_tree_load(&ctl->cfs);
	s = nv_node_kid(root, &nv_kind_subsystem, a->pos[0]);
	users = plan_ports(&plan, root, a->pos[0], force);
	if (!force && count_namespaces(s)) {
		msg_error("subsystem %s has %zu namespaces", s->id,
			  count_namespaces(s));
		users++;
	}
	if (!force && users) {
		msg_hint("--force removes these first, which ends the hosts' connections");
		nv_node_free(root);
		return EXIT_FAILED;
	}
	nv_plan_delete(&plan, s);
	nv_node_free(root);
	return run_atomic(ctl, &plan);
}

static const struct opt create_opts[] = {
	{ "allow-any-host", NULL, "every host may connect",
	  "attr_allow_any_host" },
	{ "allow-host", "HOSTNQN", "this host may connect; may be repeated",
	  NULL },
	{ "serial", "TEXT", "serial number, at most 20 characters",
	  "attr_serial" },
	{ "model", "TEXT", "model, at most 40 characters", "attr_model" },
	{ 0 }
};

static const struct opt delete_opts[] = {
	{ "force", NULL, "also its namespaces and its links to ports", NULL },
	{ 0 }
};

static const struct verb verbs[] = {
	{ "create", "NQN [NAME=VALUE...]", "make a subsystem", 1, -1,
	  NEED_TREE | NEED_LOCK, create_opts, subsystem_create },
	{ "set", "NQN NAME=VALUE...", "change attributes", 2, -1,
	  NEED_TREE | NEED_LOCK, NULL, verb_set },
	{ "allow-host", "NQN HOSTNQN...", "let hosts connect", 2, -1,
	  NEED_TREE | NEED_LOCK, NULL, subsystem_allow },
	{ "remove-host", "NQN HOSTNQN...",
	  "take hosts' right away, which ends their connections", 2, -1,
	  NEED_TREE | NEED_LOCK, NULL, subsystem_remove },
	SHOW_LIST_VERBS("[NQN]", 1),
	{ "delete", "NQN", "remove a subsystem", 1, 1, NEED_TREE | NEED_LOCK,
	  delete_opts, subsystem_delete },
	{ 0 }
};

const struct object object_subsystem = {
	"subsystem", "what hosts connect to", &nv_kind_subsystem, verbs
};
