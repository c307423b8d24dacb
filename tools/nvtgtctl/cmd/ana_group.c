// SPDX-License-Identifier: GPL-2.0
#include "../ctl.h"
#include "cmd.h"

#include <stdlib.h>
#include <string.h>

static int ana_create(struct ctl *ctl, const struct args *a)
{
	const struct nv_kind *kind = &nv_kind_ana_group;
	int ret = check_ids(a, kind, a->pos);
	struct nv_plan plan = { 0 };
	struct nv_step *step;
	char *path;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_port, a->pos);
	if (!ret)
		ret = must_not_exist(ctl, kind, a->pos);
	if (ret)
		return ret;
	path = nv_path(kind, (const char *const *)a->pos);
	nv_plan_add(&plan, NV_MKDIR, kind, path);
	step = nv_plan_add(&plan, NV_SET, kind, path);
	free(path);
	ret = add_opt_attrs(a, step);
	if (!ret)
		ret = add_pairs(a, step, 2);
	if (!ret)
		return run_atomic(ctl, &plan);
	nv_plan_free(&plan);
	return ret;
}

static int ana_delete(struct ctl *ctl, const struct args *a)
{
	if (!strcmp(a->pos[1], nv_kind_ana_group.builtin)) {
		msg_error("ANA group %s is on every port and cannot be deleted",
			  a->pos[1]);
		return EXIT_FAILED;
	}
	return delete_leaf(ctl, a);
}

static const struct opt create_opts[] = {
	{ "state", "STATE", "optimized, non-optimized, inaccessible, ...",
	  "ana_state" },
	{ 0 }
};

static const struct verb verbs[] = {
	{ "create", "PORT GRPID [NAME=VALUE...]",
	  "give a port an ANA group with a state", 2, -1,
	  NEED_TREE | NEED_LOCK, create_opts, ana_create },
	{ "set", "PORT GRPID state=STATE", "change the state", 3, -1,
	  NEED_TREE | NEED_LOCK, NULL, verb_set },
	SHOW_LIST_VERBS("[PORT [GRPID]]", 2),
	{ "delete", "PORT GRPID", "remove an ANA group from a port", 2, 2,
	  NEED_TREE | NEED_LOCK, NULL, ana_delete },
	{ 0 }
};

const struct object object_ana_group = {
	"ana-group", "the state of a group of namespaces on a port",
	&nv_kind_ana_group, verbs
};
