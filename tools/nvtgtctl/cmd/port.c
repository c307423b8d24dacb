// SPDX-License-Identifier: GPL-2.0
#include "../ctl.h"
#include "../../lib/vfu.h"
#include "cmd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** adrfam_of() - the address family that an address is written in */
const char *adrfam_of(const char *traddr)
{
	return strchr(traddr, ':') ? "ipv6" : "ipv4";
}

/* Whether the options or NAME=VALUE ask for a port of type vfio-user. */
static bool is_for_vm(const struct args *a)
{
	const char *type = arg_opt(a, "trtype");

	for (int i = 0; i < a->npos; i++)
		if (!strncmp(a->pos[i], "trtype=", 7) ||
		    !strncmp(a->pos[i], "addr_trtype=", 12))
			type = strchr(a->pos[i], '=') + 1;
	return type && !strcmp(type, NV_VFU);
}

/* The options that a port of type vfio-user has no use for. */
static int vm_options(const struct args *a)
{
	static const char *const no[] = {
		"adrfam", "trsvcid", "treq", "tsas", "inline-data-size"
	};
	const char *why;

	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (arg_has(a, no[i]))
			return usage_error(a, "--%s means nothing for " NV_VFU,
					   no[i]);
	if (!nv_socket_path_ok(arg_opt(a, "traddr"), &why))
		return usage_error(a, "--traddr %s: %s", arg_opt(a, "traddr"),
				   why);
	return vm_identity_check(a);
}

static void step_default(const struct args *a, struct nv_step *step,
			 const char *opt, const char *value)
{
	const struct opt *o = a->verb->opts;

	if (arg_has(a, opt))
		return;
	while (strcmp(o->name, opt))
		o++;
	nv_step_attr(step, o->attr, value);
}

/**
 * addr_attrs() - the address options of a port or referral, with defaults
 * Return: 0, or the exit code after a message.
 */
int addr_attrs(const struct args *a, struct nv_step *step)
{
	int ret = is_for_vm(a) ? vm_options(a) :
		  no_vm_check(a, "other hosts say themselves who they are");

	if (ret)
		return ret;
	if (is_for_vm(a))
		return add_opt_attrs(a, step);
	step_default(a, step, "trtype", "tcp");
	step_default(a, step, "adrfam", adrfam_of(arg_opt(a, "traddr")));
	step_default(a, step, "trsvcid", "4420");
	return add_opt_attrs(a, step);
}

static int create_steps(struct ctl *ctl, const struct args *a,
			struct nv_plan *plan, const char *path, int pairs)
{
	const struct nv_kind *kind = &nv_kind_port;
	struct nv_step *step;
	int ret;

	nv_plan_add(plan, NV_MKDIR, kind, path);
	step = nv_plan_add(plan, NV_SET, kind, path);
	ret = addr_attrs(a, step);
	if (!ret)
		ret = add_pairs(a, step, pairs);
	for (int i = 0; !ret && i < a->nvals; i++) {
		char *nqn = (char *)a->vals[i].value;

		if (strcmp(a->vals[i].opt->name, "subsystem"))
			continue;
		ret = check_ids(a, &nv_kind_subsystem, &nqn);
		if (!ret)
			ret = must_exist(ctl, &nv_kind_subsystem, &nqn);
		if (!ret)
			nv_plan_link(plan, NV_LINK, kind, path, nqn);
	}
	return ret;
}

static int create_at(struct ctl *ctl, const struct args *a, char *id,
		     int pairs)
{
	int ret = check_ids(a, &nv_kind_port, &id);
	struct nv_plan plan = { 0 };
	const char *cid = id;
	char *path;

	if (!ret)
		ret = must_not_exist(ctl, &nv_kind_port, &id);
	if (ret)
		return ret;
	path = nv_path(&nv_kind_port, &cid);
	ret = create_steps(ctl, a, &plan, path, pairs);
	free(path);
	if (!ret)
		return run_atomic(ctl, &plan);
	nv_plan_free(&plan);
	return ret;
}

static int port_create(struct ctl *ctl, const struct args *a)
{
	bool named = a->npos && !strchr(a->pos[0], '=');
	char *id;
	int ret;

	if (!arg_has(a, "traddr") && is_for_vm(a))
		return usage_error(a, "where shall its socket be? give --traddr " NV_VFU_DIR "/NAME.sock");
	if (!arg_has(a, "traddr"))
		return usage_error(a, "where shall it listen? give --traddr, 0.0.0.0 or :: for everywhere");
	id = named ? xstrdup(a->pos[0]) : free_id(&ctl->cfs, "ports", 1);
	ret = create_at(ctl, a, id, named);
	if (!ret && !named)
		puts(id);
	free(id);
	return ret;
}

static int change_links(struct ctl *ctl, const struct args *a, enum nv_op op)
{
	int ret = check_ids(a, &nv_kind_port, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_port, a->pos);
	for (int i = 1; !ret && i < a->npos; i++) {
		ret = check_ids(a, &nv_kind_subsystem, &a->pos[i]);
		if (!ret)
			ret = must_exist(ctl, &nv_kind_subsystem, &a->pos[i]);
	}
	if (ret)
		return ret;
	path = nv_path(&nv_kind_port, (const char *const *)a->pos);
	for (int i = 1; i < a->npos; i++)
		nv_plan_link(&plan, op, &nv_kind_port, path, a->pos[i]);
	free(path);
	return run_atomic(ctl, &plan);
}

static int port_link(struct ctl *ctl, const struct args *a)
{
	return change_links(ctl, a, NV_LINK);
}

static int port_unlink(struct ctl *ctl, const struct args *a)
{
	return change_links(ctl, a, NV_UNLINK);
}

static int port_delete(struct ctl *ctl, const struct args *a)
{
	int ret = check_ids(a, &nv_kind_port, a->pos);
	struct nv_plan plan = { 0 };
	struct nv_node *root;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_port, a->pos);
	if (ret)
		return ret;
	root = nv_tree_load_at(&ctl->cfs, &nv_kind_port,
			       (const char *const *)a->pos);
	if (!root)
		return must_exist(ctl, &nv_kind_port, a->pos);
	if (root->kids[0]->links.n && !arg_has(a, "force")) {
		msg_error("port %s has %zu subsystems linked to it", a->pos[0],
			  root->kids[0]->links.n);
		msg_hint("--force unlinks them first, which ends the hosts' connections");
		ret = EXIT_FAILED;
	} else {
		nv_plan_delete(&plan, root->kids[0]);
		ret = run_atomic(ctl, &plan);
	}
	nv_node_free(root);
	return ret;
}

static const struct opt create_opts[] = {
	{ "trtype", "TYPE", "transport, tcp (the default), rdma or vfio-user",
	  "addr_trtype" },
	{ "adrfam", "FAMILY", "ipv4 or ipv6; as the address otherwise",
	  "addr_adrfam" },
	{ "traddr", "ADDRESS", "address to listen at; of vfio-user the path of the socket",
	  "addr_traddr" },
	{ "trsvcid", "PORT", "TCP port; 4420 is the default",
	  "addr_trsvcid" },
	{ "treq", "TEXT", "whether hosts need a secure channel",
	  "addr_treq" },
	{ "tsas", "TEXT", "none or tls1.3", "addr_tsas" },
	{ "inline-data-size", "BYTES", "largest in-capsule data",
	  "param_inline_data_size" },
	{ "cpus", "LIST", "CPUs that may work for its hosts, such as 0-3,8",
	  "param_cpus" },
	{ "hostnqn", "HOSTNQN", "of vfio-user: the virtual machine's name",
	  "param_hostnqn" },
	{ "hostid", "UUID", "of vfio-user: the virtual machine's host identifier",
	  "param_hostid" },
	{ "subsystem", "NQN", "link this subsystem; may be repeated", NULL },
	{ 0 }
};

static const struct opt delete_opts[] = {
	{ "force", NULL, "unlink its subsystems first", NULL },
	{ 0 }
};

static const struct verb verbs[] = {
	{ "create", "[ID] [NAME=VALUE...]",
	  "make a port; prints the ID that it chose", 0, -1,
	  NEED_TREE | NEED_LOCK, create_opts, port_create },
	{ "set", "ID NAME=VALUE...", "change attributes", 2, -1,
	  NEED_TREE | NEED_LOCK, NULL, verb_set },
	{ "link", "ID NQN...", "offer subsystems on a port", 2, -1,
	  NEED_TREE | NEED_LOCK, NULL, port_link },
	{ "unlink", "ID NQN...",
	  "stop offering subsystems, which ends the connections to them", 2,
	  -1, NEED_TREE | NEED_LOCK, NULL, port_unlink },
	SHOW_LIST_VERBS("[ID]", 1),
	{ "delete", "ID", "remove a port", 1, 1, NEED_TREE | NEED_LOCK,
	  delete_opts, port_delete },
	{ 0 }
};

const struct object object_port = {
	"port", "an address to listen at", &nv_kind_port, verbs
};
