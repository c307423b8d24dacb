// SPDX-License-Identifier: GPL-2.0
#include "../ctl.h"
#include "../../lib/vfu.h"
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

static int create_steps(const struct args *a, struct nv_plan *plan,
			const char *path)
{
	const struct nv_kind *kind = &nv_kind_referral;
	struct nv_step *step;
	int ret;

	nv_plan_add(plan, NV_MKDIR, kind, path);
	step = nv_plan_add(plan, NV_SET, kind, path);
	ret = addr_attrs(a, step);
	if (!ret)
		ret = add_pairs(a, step, 2);
	if (!ret && !arg_has(a, "disabled"))
		nv_plan_set(plan, kind, path, "enable", "1");
	return ret;
}

static int referral_create(struct ctl *ctl, const struct args *a)
{
	int ret = check_ids(a, &nv_kind_referral, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret && !arg_has(a, "traddr"))
		ret = usage_error(a, "where does it lead? give --traddr");
	if (!ret && arg_has(a, "trtype") &&
	    !strcmp(arg_opt(a, "trtype"), NV_VFU))
		ret = usage_error(a, "--trtype " NV_VFU ": no discovery service is behind a socket");
	if (!ret)
		ret = must_exist(ctl, &nv_kind_port, a->pos);
	if (!ret)
		ret = must_not_exist(ctl, &nv_kind_referral, a->pos);
	if (ret)
		return ret;
	path = nv_path(&nv_kind_referral, (const char *const *)a->pos);
	ret = create_steps(a, &plan, path);
	free(path);
	if (!ret)
		return run_atomic(ctl, &plan);
	nv_plan_free(&plan);
	return ret;
}

/** delete_leaf() - disable an object, if it can be, and remove it */
int delete_leaf(struct ctl *ctl, const struct args *a)
{
	const struct nv_kind *kind = a->object->kind;
	int ret = check_ids(a, kind, a->pos);
	struct nv_plan plan = { 0 };
	struct nv_node *root;

	if (!ret)
		ret = must_exist(ctl, kind, a->pos);
	if (ret)
		return ret;
	root = nv_tree_load_at(&ctl->cfs, kind, (const char *const *)a->pos);
	if (!root)
		return must_exist(ctl, kind, a->pos);
	nv_plan_delete(&plan, root->kids[0]->kids[0]);
	nv_node_free(root);
	return run_atomic(ctl, &plan);
}

static const struct opt create_opts[] = {
	{ "trtype", "TYPE", "transport, tcp (the default) or rdma", "addr_trtype" },
	{ "adrfam", "FAMILY", "ipv4 or ipv6; as the address otherwise",
	  "addr_adrfam" },
	{ "traddr", "ADDRESS", "address of the other discovery service",
	  "addr_traddr" },
	{ "trsvcid", "PORT", "its TCP port; 4420 is the default",
	  "addr_trsvcid" },
	{ "treq", "TEXT", "whether hosts need a secure channel there",
	  "addr_treq" },
	{ "portid", "ID", "the port's number there", "addr_portid" },
	{ "disabled", NULL, "do not tell hosts yet", NULL },
	{ 0 }
};

static const struct verb verbs[] = {
	{ "create", "PORT NAME [NAME=VALUE...]",
	  "tell hosts of another discovery service", 2, -1,
	  NEED_TREE | NEED_LOCK, create_opts, referral_create },
	{ "set", "PORT NAME NAME=VALUE...", "change attributes", 3, -1,
	  NEED_TREE | NEED_LOCK, NULL, verb_set },
	{ "enable", "PORT NAME", "tell hosts", 2, 2, NEED_TREE | NEED_LOCK,
	  NULL, verb_enable },
	{ "disable", "PORT NAME", "stop telling hosts", 2, 2,
	  NEED_TREE | NEED_LOCK, NULL, verb_disable },
	SHOW_LIST_VERBS("[PORT [NAME]]", 2),
	{ "delete", "PORT NAME", "remove a referral", 2, 2,
	  NEED_TREE | NEED_LOCK, NULL, delete_leaf },
	{ 0 }
};

const struct object object_referral = {
	"referral", "another discovery service that a port names",
	&nv_kind_referral, verbs
};
