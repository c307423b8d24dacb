// SPDX-License-Identifier: GPL-2.0
/* One command that serves a device, and one that stops. */
#include "export.h"
#include "../../lib/claim.h"
#include "../../lib/netns.h"
#include "../../lib/vfu.h"
#include "cmd.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

static char *random_nqn(void)
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return NULL;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	return xasprintf("nqn.2014-08.org.nvmexpress:uuid:"
			 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
			 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8],
			 b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static const struct nv_node *find_device(const struct nv_node *subsys,
					 const char *dev)
{
	for (size_t i = 0; i < subsys->n_kids; i++)
		if (subsys->kids[i]->kind == &nv_kind_namespace &&
		    nv_same_device(dev, nv_attr_value(subsys->kids[i],
						      "device_path")))
			return subsys->kids[i];
	return NULL;
}

/* What a run that was killed left behind is taken up again. */
static const struct nv_node *find_unfinished(const struct nv_node *subsys)
{
	for (size_t i = 0; subsys && i < subsys->n_kids; i++) {
		const struct nv_node *ns = subsys->kids[i];
		const char *backend = nv_attr_value(ns, "backend");

		if (ns->kind == &nv_kind_namespace &&
		    !*nv_attr_value(ns, "device_path") &&
		    (!*backend || !strcmp(backend, "bdev")) &&
		    strcmp(nv_attr_value(ns, "enable"), "1"))
			return ns;
	}
	return NULL;
}

static char *next_id(const struct nv_node *in, const struct nv_kind *kind)
{
	for (unsigned long n = 1; ; n++) {
		char *id = xasprintf("%lu", n);

		if (!in || !nv_node_kid(in, kind, id))
			return id;
		free(id);
	}
}

/* The subsystem and namespace: an earlier export of the device, or new ones. */
static int choose_namespace(struct job *j, const struct args *a)
{
	const char *nqn = arg_opt(a, "nqn");
	const struct nv_node *subsys, *ns;

	for (size_t i = 0; i < j->have->n_kids; i++) {
		subsys = j->have->kids[i];
		if (subsys->kind != &nv_kind_subsystem ||
		    (nqn && strcmp(nqn, subsys->id)))
			continue;
		ns = find_device(subsys, j->dev);
		if (!ns)
			continue;
		j->nqn = xstrdup(subsys->id);
		j->nsid = xstrdup(ns->id);
		j->again = true;
		return 0;
	}
	j->nqn = nqn ? xstrdup(nqn) : random_nqn();
	if (!j->nqn) {
		msg_error("no random numbers for an NQN; give --nqn");
		return EXIT_FAILED;
	}
	subsys = nv_node_kid(j->have, &nv_kind_subsystem, j->nqn);
	ns = find_unfinished(subsys);
	j->nsid = ns ? xstrdup(ns->id) : next_id(subsys, &nv_kind_namespace);
	return 0;
}

/* The namespaces of a tree that have blocks of the device. */
static void find_users(const struct nv_node *root, const char *dev,
		       const char *tree, struct strvec *out)
{
	for (size_t i = 0; i < root->n_kids; i++) {
		const struct nv_node *s = root->kids[i];

		for (size_t k = 0; k < s->n_kids; k++) {
			const struct nv_node *ns = s->kids[k];
			const char *path = nv_attr_value(ns, "device_path");
			bool same = nv_same_device(dev, path);
			char *text;

			if (ns->kind != &nv_kind_namespace || !*path ||
			    !nv_devices_overlap(dev, path))
				continue;
			text = xasprintf("is exported already%s%s: namespace %s of subsystem %s%s",
					 same ? "" : " by way of ",
					 same ? "" : path, ns->id, s->id, tree);
			strvec_add(out, text);
			free(text);
		}
	}
}

/* The kernel's own target, or ours where this run configures the kernel's. */
static void find_users_beside(const struct ctl *ctl, const char *dev,
			      struct strvec *out)
{
	static const char *const roots[] = { CFS_DEFAULT_ROOT, CFS_NVMET_ROOT };
	struct stat own, st;

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		struct cfs c = { .kmsg = -1 };
		struct nv_node *root;
		char *tree;

		c.fd = open(roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (c.fd < 0)
			continue;
		if (!fstat(c.fd, &st) && !fstat(ctl->cfs.fd, &own) &&
		    (st.st_dev != own.st_dev || st.st_ino != own.st_ino)) {
			tree = xasprintf(" in %s", roots[i]);
			root = nv_tree_load(&c);
			find_users(root, dev, tree, out);
			nv_node_free(root);
			free(tree);
		}
		cfs_close(&c);
	}
}

/* A device that something else uses is served only when that is wanted. */
static int check_unused(const struct ctl *ctl, const struct job *j,
			const struct args *a)
{
	struct strvec users = { 0 };
	int ret = 0;

	if (j->again || arg_has(a, "force"))
		return 0;
	nv_claims(j->dev, &users);
	find_users(j->have, j->dev, "", &users);
	find_users_beside(ctl, j->dev, &users);
	for (size_t i = 0; i < users.n; i++)
		msg_error("%s %s", j->dev, users.v[i]);
	if (users.n) {
		msg_hint("two users of one device may destroy its data; --force serves it all the same");
		ret = EXIT_FAILED;
	}
	strvec_free(&users);
	return ret;
}

/** free_port() - the first number that no port has; the caller frees it */
char *free_port(const struct nv_node *root)
{
	return next_id(root, &nv_kind_port);
}

/** port_is_unfinished() - whether a run that was killed may have left a port so */
bool port_is_unfinished(const struct nv_node *port)
{
	return !port->links.n &&
	       (!*nv_attr_value(port, "addr_traddr") ||
		(!nv_is_vfu(port) && !*nv_attr_value(port, "addr_trsvcid")));
}

static bool port_fits(const struct nv_node *port, const struct args *a)
{
	static const char *const names[] = { "trtype", "traddr", "trsvcid" };
	const char *type = nv_attr_value(port, "addr_trtype");

	if (!arg_has(a, "trtype") && strcmp(type, "tcp"))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *attr = xasprintf("addr_%s", names[i]);
		const char *is = nv_attr_value(port, attr);
		const char *want = arg_opt(a, names[i]);

		free(attr);
		if (want && strcmp(want, is))
			return false;
	}
	return true;
}

static int choose_port(struct job *j, const struct args *a)
{
	const char *port = arg_opt(a, "port"), *why;
	size_t n = 0;

	if (!port && for_vm(a))
		return vm_choose_port(j, a);
	if (port) {
		if (!nv_id_ok(&nv_kind_port, port, &why))
			return usage_error(a, "port \"%s\": %s", port, why);
		j->port = xstrdup(port);
		return 0;
	}
	for (size_t i = 0; i < j->have->n_kids; i++) {
		const struct nv_node *p = j->have->kids[i];

		if (p->kind != &nv_kind_port ||
		    (!port_fits(p, a) && !port_is_unfinished(p)))
			continue;
		free(j->port);
		j->port = xstrdup(p->id);
		n++;
	}
	if (n > 1)
		return usage_error(a, "there are %zu ports that it could be; choose with --port",
				   n);
	if (!n)
		j->port = free_port(j->have);
	return 0;
}

static const char *opt_or(const struct args *a, const char *name,
			  const char *value)
{
	return arg_has(a, name) ? arg_opt(a, name) : value;
}

/** other_address() - a message for a port that was named; the exit code */
int other_address(const struct job *j)
{
	msg_error("port %s exists with another address", j->port);
	msg_hint("see: nvtgtctl port show %s", j->port);
	return EXIT_FAILED;
}

static int want_port(struct job *j, const struct args *a)
{
	const struct nv_node *have = nv_node_kid(j->have, &nv_kind_port,
						 j->port);
	struct nv_node *p = nv_node_add(j->want, &nv_kind_port, j->port);
	const char *addr = opt_or(a, "traddr", "0.0.0.0");

	strvec_add(&p->links, j->nqn);
	if (have && port_is_unfinished(have))
		have = NULL;
	if (have && !port_fits(have, a))
		return other_address(j);
	if (have)
		return 0;
	nv_attr_set(p, "addr_trtype", opt_or(a, "trtype", "tcp"), true, true);
	nv_attr_set(p, "addr_adrfam", adrfam_of(addr), true, true);
	nv_attr_set(p, "addr_traddr", addr, true, true);
	nv_attr_set(p, "addr_trsvcid", opt_or(a, "trsvcid", "4420"), true,
		    true);
	return 0;
}

/* A file's blocks; a device has its own. Once served, they stay as they are. */
static int want_block_size(const struct job *j, const struct args *a,
			   struct nv_node *ns)
{
	const char *size = arg_opt(a, "block-size"), *is = "";
	const struct nv_node *s;
	struct stat st;
	char *option;
	int ret = 0;

	if (!size)
		return 0;
	if (strcmp(size, "512") && strcmp(size, "4096"))
		return usage_error(a, "--block-size %s: 512 or 4096 is needed",
				   size);
	if (!stat(j->dev, &st) && S_ISBLK(st.st_mode)) {
		msg_error("--block-size: %s is a block device, which has its own; a file has none",
			  j->dev);
		return EXIT_FAILED;
	}
	option = xasprintf("block_size=%s", size);
	s = nv_node_kid(j->have, &nv_kind_subsystem, j->nqn);
	if (j->again)
		is = nv_attr_value(nv_node_kid(s, &nv_kind_namespace, j->nsid),
				   "backend_options");
	if (j->again && strcmp(is, option)) {
		msg_error("%s is exported already with other blocks: unexport it first",
			  j->dev);
		ret = EXIT_FAILED;
	} else {
		nv_attr_set(ns, "backend_options", option, true, true);
	}
	free(option);
	return ret;
}

/* Who may connect to the subsystem @s of @j->want. */
static int want_access(struct job *j, const struct args *a, struct nv_node *s)
{
	const struct nv_node *have = nv_node_kid(j->have, &nv_kind_subsystem,
						 j->nqn);

	if (for_vm(a))
		return vm_want_access(j, a, s);
	if (arg_has(a, "host") && have &&
	    !strcmp(nv_attr_value(have, "attr_allow_any_host"), "1")) {
		msg_error("subsystem %s lets every host connect, not only those that --host names",
			  j->nqn);
		msg_hint("nvtgtctl subsystem set %s allow_any_host=0 ends that",
			 j->nqn);
		return EXIT_FAILED;
	}
	for (int i = 0; i < a->nvals; i++) {
		const char *host = a->vals[i].value;

		if (strcmp(a->vals[i].opt->name, "host"))
			continue;
		if (host_check(a, host))
			return EXIT_USAGE;
		if (strvec_has(&s->links, host))
			continue;
		nv_node_add(j->want, &nv_kind_host, host);
		strvec_add(&s->links, host);
	}
	if (arg_has(a, "allow-any-host"))
		nv_attr_set(s, "attr_allow_any_host", "1", true, true);
	return 0;
}

static int want_subsystem(struct job *j, const struct args *a)
{
	struct nv_node *s = nv_node_add(j->want, &nv_kind_subsystem, j->nqn);
	struct nv_node *ns = nv_node_add(s, &nv_kind_namespace, j->nsid);
	int ret = want_access(j, a, s);

	if (ret)
		return ret;
	if (!nv_node_kid(j->have, &nv_kind_subsystem, j->nqn) ||
	    !find_device(nv_node_kid(j->have, &nv_kind_subsystem, j->nqn),
			 j->dev))
		nv_attr_set(ns, "device_path", j->dev, true, true);
	nv_attr_set(ns, "enable", "1", true, true);
	return want_block_size(j, a, ns);
}

/* One line for each address of the port's network that a host could use. */
static void connect_lines(const struct ctl *ctl, const struct job *j,
			  struct strvec *out)
{
	char *dir = xasprintf("ports/%s", j->port);
	char *type = attr_or(&ctl->cfs, dir, "addr_trtype");
	char *addr = attr_or(&ctl->cfs, dir, "addr_traddr");
	char *svc = attr_or(&ctl->cfs, dir, "addr_trsvcid");
	char *inode = attr_or(&ctl->cfs, dir, "netns");
	char *netns = *inode ? nv_netns_name(inode) : NULL;
	int back = netns ? nv_netns_enter(netns) : -1;
	struct strvec all = { 0 };

	usable_addresses(type, addr, &all);
	if (back >= 0)
		nv_netns_leave(back);
	for (size_t i = 0; i < all.n; i++) {
		char *line = xasprintf("nvme connect -t %s -a %s -s %s -n %s",
				       type, all.v[i], svc, j->nqn);

		strvec_add(out, line);
		free(line);
	}
	strvec_free(&all);
	free(netns);
	free(inode);
	free(svc);
	free(addr);
	free(type);
	free(dir);
}

static void print_connect(const struct ctl *ctl, const struct job *j)
{
	struct strvec lines = { 0 };

	connect_lines(ctl, j, &lines);
	for (size_t i = 0; i < lines.n; i++)
		puts(lines.v[i]);
	strvec_free(&lines);
}

static void add_connect(const struct ctl *ctl, const struct job *j,
			struct json_object *o)
{
	struct json_object *arr = json_object_new_array();
	struct strvec lines = { 0 };

	connect_lines(ctl, j, &lines);
	for (size_t i = 0; i < lines.n; i++)
		json_object_array_add(arr, json_object_new_string(lines.v[i]));
	strvec_free(&lines);
	json_object_object_add(o, "connect", arr);
}

/* An identifier that is a number in a saved file as well. */
static struct json_object *id_json(const char *id)
{
	return json_object_new_int64(strtoll(id, NULL, 10));
}

static void print_job(const struct ctl *ctl, const struct job *j, bool vm)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "nqn", json_object_new_string(j->nqn));
	json_object_object_add(o, "nsid", id_json(j->nsid));
	json_object_object_add(o, "portid", id_json(j->port));
	if (vm)
		vm_add_json(ctl, j, o);
	else
		add_connect(ctl, j, o);
	nv_json_print(stdout, o);
	json_object_put(o);
}

static int work_out(const struct ctl *ctl, struct job *j, const struct args *a)
{
	int ret = choose_namespace(j, a);

	if (!ret)
		ret = check_unused(ctl, j, a);
	if (!ret)
		ret = choose_port(j, a);
	if (!ret)
		ret = want_subsystem(j, a);
	if (!ret)
		ret = for_vm(a) ? vm_want_port(j, a) : want_port(j, a);
	return ret;
}

static int check_export(const struct args *a)
{
	const char *why;

	if (arg_has(a, "nqn") &&
	    !nv_id_ok(&nv_kind_subsystem, arg_opt(a, "nqn"), &why))
		return usage_error(a, "--nqn: %s", why);
	if (for_vm(a))
		return vm_check(a);
	if (!arg_has(a, "host") && !arg_has(a, "allow-any-host"))
		return usage_error(a, "who may connect? give --host HOSTNQN or --allow-any-host");
	if (arg_has(a, "host") && arg_has(a, "allow-any-host"))
		return usage_error(a, "--host and --allow-any-host exclude each other");
	return no_vm_check(a, "--host says which hosts may connect");
}

static int cmd_export(struct ctl *ctl, const struct args *a)
{
	struct job j = { 0 };
	struct nv_plan plan = { 0 };
	int ret = check_export(a);

	if (ret)
		return ret;
	j.dev = device_path(a->pos[0]);
	if (!j.dev)
		return EXIT_FAILED;
	j.have = nv_tree_load(&ctl->cfs);
	j.want = nv_node_new_root();
	ret = work_out(ctl, &j, a);
	if (!ret) {
		nv_diff(&plan, j.have, j.want, true);
		ret = run_atomic(ctl, &plan);
	}
	if (!ret && arg_has(a, "json"))
		print_job(ctl, &j, for_vm(a));
	else if (!ret && for_vm(a))
		vm_print(ctl, &j);
	else if (!ret)
		print_connect(ctl, &j);
	nv_node_free(j.want);
	nv_node_free(j.have);
	free(j.port);
	free(j.nsid);
	free(j.nqn);
	free(j.dev);
	return ret;
}

static bool host_is_used(const struct nv_node *root, const char *nqn)
{
	for (size_t i = 0; i < root->n_kids; i++)
		if (root->kids[i]->kind == &nv_kind_subsystem &&
		    strvec_has(&root->kids[i]->links, nqn))
			return true;
	return false;
}

/* Take a subsystem out, with ports and hosts that served nothing else. */
static void drop_subsystem(struct nv_node *root, struct nv_node *s)
{
	struct strvec hosts = s->links;

	s->links = (struct strvec){ 0 };
	for (size_t i = root->n_kids; i--; ) {
		struct nv_node *p = root->kids[i];

		if (p->kind != &nv_kind_port || !strvec_has(&p->links, s->id))
			continue;
		strvec_remove(&p->links, s->id);
		if (!p->links.n)
			nv_node_remove(root, p);
	}
	nv_node_remove(root, s);
	for (size_t i = 0; i < hosts.n; i++) {
		struct nv_node *h = nv_node_kid(root, &nv_kind_host,
						hosts.v[i]);

		if (h && !host_is_used(root, h->id) &&
		    !*nv_attr_value(h, "dhchap_key"))
			nv_node_remove(root, h);
	}
	strvec_free(&hosts);
}

static size_t count_kids(const struct nv_node *s, const struct nv_kind *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_kids; i++)
		n += s->kids[i]->kind == kind;
	return n;
}

static size_t drop_device(struct nv_node *root, const char *dev)
{
	size_t n = 0;

	for (size_t i = root->n_kids; i--; ) {
		struct nv_node *s = i < root->n_kids ? root->kids[i] : NULL;
		const struct nv_node *ns;

		if (!s || s->kind != &nv_kind_subsystem)
			continue;
		ns = find_device(s, dev);
		if (!ns)
			continue;
		n++;
		while (ns) {
			nv_node_remove(s, (struct nv_node *)ns);
			ns = find_device(s, dev);
		}
		if (!count_kids(s, &nv_kind_namespace))
			drop_subsystem(root, s);
		i = root->n_kids;
	}
	return n;
}

static int run_or_print(struct ctl *ctl, const struct args *a,
			struct nv_plan *plan)
{
	if (!arg_has(a, "dry-run"))
		return run_atomic(ctl, plan);
	nv_plan_print(plan);
	nv_plan_free(plan);
	return EXIT_DONE;
}

static int cmd_unexport(struct ctl *ctl, const struct args *a)
{
	struct nv_node *have = nv_tree_load(&ctl->cfs);
	struct nv_node *want = nv_tree_load(&ctl->cfs);
	struct nv_node *s = nv_node_kid(want, &nv_kind_subsystem, a->pos[0]);
	struct nv_plan plan = { 0 };
	int ret;

	if (s) {
		drop_subsystem(want, s);
		ret = 0;
	} else {
		ret = drop_device(want, a->pos[0]) ? 0 : EXIT_FAILED;
	}
	if (ret) {
		msg_error("no namespace serves %s, and no subsystem has this name",
			  a->pos[0]);
		msg_hint("see: nvtgtctl namespace list");
	} else {
		nv_diff(&plan, have, want, false);
		ret = run_or_print(ctl, a, &plan);
	}
	nv_node_free(want);
	nv_node_free(have);
	return ret;
}

static const struct opt export_opts[] = {
	{ "host", "HOSTNQN", "this host may connect; may be repeated", NULL },
	{ "allow-any-host", NULL, "every host may connect", NULL },
	{ "nqn", "NQN", "the subsystem; a new random one otherwise", NULL },
	{ "port", "ID", "the port; the only one that fits otherwise", NULL },
	{ "trtype", "TYPE", "transport, tcp (the default), rdma or vfio-user",
	  NULL },
	{ "traddr", "ADDRESS", "address to listen at; 0.0.0.0 is the default",
	  NULL },
	{ "trsvcid", "PORT", "TCP port; 4420 is the default", NULL },
	{ "hostnqn", "HOSTNQN", "of vfio-user: the virtual machine's name, which alone may connect",
	  NULL },
	{ "hostid", "UUID", "of vfio-user: the virtual machine's host identifier",
	  NULL },
	{ "block-size", "BYTES", "of a file: 512 or 4096", NULL },
	{ "force", NULL, "also a device that is mounted, claimed or exported",
	  NULL },
	{ "json", NULL, "print JSON", NULL },
	{ 0 }
};

static const struct verb export_verb[] = {
	{ NULL, "DEVICE",
	  "serve a device; prints how a host connects, or what QEMU needs", 1, 1,
	  NEED_TREE | NEED_LOCK, export_opts, cmd_export },
	{ 0 }
};

static const struct opt unexport_opts[] = {
	{ "dry-run", NULL, "print the steps and change nothing", NULL },
	{ 0 }
};

static const struct verb unexport_verb[] = {
	{ NULL, "DEVICE|NQN",
	  "stop serving a device, and remove what served nothing else", 1, 1,
	  NEED_TREE | NEED_LOCK, unexport_opts, cmd_unexport },
	{ 0 }
};

const struct object object_export = {
	"export", "serve a device in one step", NULL, export_verb
};
const struct object object_unexport = {
	"unexport", "stop serving a device", NULL, unexport_verb
};
