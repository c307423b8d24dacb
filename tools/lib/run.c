// SPDX-License-Identifier: GPL-2.0
/* Carrying out a plan: each refusal explained, and undone where it matters. */
#include "plan.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "msg.h"
#include "netns.h"
#include "pending.h"
#include "vfu.h"

/* One thing that was done and can be taken back. */
struct undo {
	enum nv_op op;
	char *path;
	char *attr;
	char *old;
	struct nv_node *node;
};

struct exec {
	const struct nv_run *run;
	const struct cfs *c;
	struct undo *undo;
	size_t n_undo;
	struct strvec failed;
	struct strvec put_off;
	size_t errors;
	/* what is left of run->patience_ms */
	long patience_ms;
	/* a namespace was to be disabled, and its device does not answer */
	bool half_off;
	/* a device that is waited for no longer, until its step is put off */
	struct nv_child hanging;
};

/* a device that answers within this costs no patience */
#define PROMPT_MS 200
/* longer than the kernel waits for commands before it removes a namespace */
#define REMOVE_MS 9000
/* how long an administrator sits before a silent terminal */
#define SILENT_MS 2000

static const char *reason(int err)
{
	switch (err) {
	case ENODATA:
		return "this target has no such attribute";
	case EBUSY:
		return "in use";
	case ETIMEDOUT:
		return "the device does not answer";
	case EINTR:
		return "given up";
	case EMSGSIZE:
		return "longer than an attribute can be";
	default:
		return strerror(err);
	}
}

/* What helps with the link of a port of type vfio-user, or NULL. */
static const char *vfu_advice(int err)
{
	switch (err) {
	case EADDRINUSE:
		return "another port has this socket: see \"nvtgtctl port list\"";
	case ENOENT:
	case ENODEV:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		return "is the transport's module there? try modprobe nvtgt-vfu";
	default:
		return NULL;
	}
}

static const char *advice(const struct cfs *c, const char *path,
			  const char *attr, int err)
{
	bool link = !attr && !strncmp(path, "ports/", 6);

	if (link && nv_path_is_vfu(c, path) && vfu_advice(err))
		return vfu_advice(err);
	if (err == ENODATA &&
	    (!strcmp(attr, "param_hostnqn") || !strcmp(attr, "param_hostid")))
		return "the target's modules are older than nvtgtctl, or not nvtgt's: they give a virtual machine no name of its own";
	if (attr && !strcmp(attr, "netns"))
		return err == ENOENT ?
		       "there is no such network namespace: see \"ip netns list\"" :
		       "only a new port can be in another one: nvtgtctl --netns NAME port create";
	if (err == EACCES && attr && strstr(path, "/referrals/"))
		return "disable the referral first";
	if (err == EACCES && attr && !strncmp(path, "ports/", 6))
		return "unlink all subsystems from the port first";
	if (err == ETIMEDOUT && !attr)
		return "once it does, the same command removes the rest; if the service waits for it, take it out of the file and reload nvtgt.service";
	if ((err == EBUSY || err == EACCES) && attr &&
	    strstr(path, "/namespaces/"))
		return "disable the namespace first";
	if (err == EADDRINUSE)
		return "another port or program listens at this address: see \"nvtgtctl port list\" and \"ss -ltnp\"";
	if (err == EADDRNOTAVAIL)
		return "no interface has this address: see \"ip address\"";
	if (link && err == EINVAL)
		return "is the port's address complete? see \"nvtgtctl port show\"";
	if (link && err == EOPNOTSUPP)
		return "param_pi_enable is for rdma, param_hostnqn and param_hostid are for vfio-user";
	if (link && (err == ENOENT || err == ENODEV ||
		     err == EPROTONOSUPPORT || err == EAFNOSUPPORT))
		return "is the transport's module there? try modprobe nvtgt-tcp, or nvtgt-rdma, which needs an RDMA device with the address: see \"rdma link\"";
	if (attr && !strcmp(attr, "enable") &&
	    (err == ENOENT || err == ENXIO || err == ENODEV))
		return "device_path must name a device that exists: see lsblk";
	if (attr && !strcmp(attr, "enable") && err == ENOTBLK)
		return "device_path must name a block device or a plain file";
	if (err == EPERM || err == EACCES)
		return "only root may change the target";
	if (err == EROFS)
		return "the tree is read-only here";
	return NULL;
}

/**
 * nv_explain() - say why a change was refused, by what rule, and what helps
 * @c: the tree, whose kernel log has more
 * @path: the object or link
 * @attr: the attribute, or NULL
 * @value: what it was to be, or NULL
 * @err: the error, positive
 */
void nv_explain(const struct cfs *c, const char *path, const char *attr,
		const char *value, int err)
{
	const char *rule = attr ? nv_attr_rule(attr) : NULL;
	const char *help = advice(c, path, attr, err);
	char *what = nv_describe(path);

	if (!attr)
		msg_error("%s: %s", what, reason(err));
	else if (!value || nv_is_secret(attr))
		msg_error("%s: %s: %s", what, attr, reason(err));
	else
		msg_error("%s: %s=%s: %s", what, attr, value, reason(err));
	if (rule)
		msg_hint("%s: %s", attr, rule);
	if (help)
		msg_hint("%s", help);
	if (!cfs_klog_print(c) && c->kmsg >= 0 && err != ENODATA &&
	    err != EMSGSIZE)
		msg_hint("the kernel's reason, if it gave one: dmesg | tail");
	free(what);
}

static void did(struct exec *e, enum nv_op op, const char *path,
		const char *attr, const char *old)
{
	e->undo = xrealloc(e->undo, e->n_undo + 1, sizeof(*e->undo));
	e->undo[e->n_undo++] = (struct undo){
		.op = op,
		.path = xstrdup(path),
		.attr = attr ? xstrdup(attr) : NULL,
		.old = old ? xstrdup(old) : NULL,
	};
}

static void on_signal(int sig)
{
	(void)sig;
}

/*
 * As long as it takes, or @ms; a signal ends the wait, and the run can undo its steps.
 * The signals are blocked but while it waits, so that none is lost.
 */
static int wait_patiently(struct nv_child *child, const char *path, long ms)
{
	static const int sigs[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction stop = { .sa_handler = on_signal };
	struct sigaction was[ARRAY_SIZE(sigs)];
	sigset_t set, before;
	char *what;
	int ret;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaddset(&set, sigs[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		sigaction(sigs[i], NULL, &was[i]);
		if (was[i].sa_handler != SIG_IGN)
			sigaction(sigs[i], &stop, NULL);
	}
	ret = nv_child_wait(child, SILENT_MS, &before);
	if (ret == -EINPROGRESS) {
		what = nv_describe(path);
		msg_note("%s: waiting for its device to answer; Ctrl-C gives up",
			 what);
		free(what);
		ret = nv_child_wait(child, ms < 0 ? -1 : ms - SILENT_MS, &before);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &was[i], NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return ret;
}

/*
 * The answer to a change that a device may hold up. One that can go on by itself
 * stays in e->hanging; the others are given up, which a device that hangs in the
 * kernel notices when it answers. @ms: how long at most, -1: as long as it takes.
 */
static int wait_for_device(struct exec *e, struct nv_child *child,
			   const char *path, long ms, bool may_go_on)
{
	long long start = monotonic_ms();
	long took;
	int ret;

	ret = e->run->patience_ms ? nv_child_wait(child, ms, NULL) :
				    wait_patiently(child, path, ms);
	took = monotonic_ms() - start;
	if (took > PROMPT_MS)
		e->patience_ms -= took;
	if (!child->pid)
		return ret;
	if (ret == -EINPROGRESS && may_go_on) {
		e->hanging = *child;
		return ret;
	}
	nv_child_kill(child);
	if (nv_child_wait(child, PROMPT_MS, NULL) == 0)
		return 0;
	nv_child_forget(child);
	return ret == -ECANCELED ? -EINTR : -ETIMEDOUT;
}

static long patience_of(const struct exec *e)
{
	if (!e->run->patience_ms)
		return -1;
	return e->patience_ms > PROMPT_MS ? e->patience_ms : PROMPT_MS;
}

static int write_attr(struct exec *e, const char *path, const char *attr,
		      const char *value)
{
	bool on = !strcmp(attr, "enable") && !strcmp(value, "1");
	bool off = !strcmp(attr, "enable") && !strcmp(value, "0");
	struct nv_child child;
	int ret;

	if (!nv_child_needed(path, attr))
		return cfs_write(e->c, path, attr, value);
	ret = nv_child_write(&child, e->c, path, attr, value);
	if (!ret)
		ret = wait_for_device(e, &child, path, patience_of(e),
				      on && e->run->pending &&
				      strstr(path, "/namespaces/"));
	e->half_off |= off && (ret == -ETIMEDOUT || ret == -EINTR);
	return ret;
}

static int remove_dir(struct exec *e, const char *path)
{
	struct nv_child child;
	int ret;

	if (!nv_child_needed(path, NULL))
		return cfs_rmdir(e->c, path);
	ret = nv_child_rmdir(&child, e->c, path);
	/* it may have to wait for another process, which may never end */
	return ret ? ret : wait_for_device(e, &child, path, REMOVE_MS, false);
}

static int set_attr(struct exec *e, const char *path, const char *attr,
		    const char *value)
{
	bool readable, writable;
	char *old = NULL;
	int ret;

	ret = cfs_mode(e->c, path, attr, &readable, &writable);
	if (ret == -ENOENT)
		return nv_value_is_off(attr, value) ? 0 : -ENODATA;
	if (ret)
		return ret;
	if (readable && !cfs_read(e->c, path, attr, &old) &&
	    nv_value_same(attr, old, value)) {
		free(old);
		return 0;
	}
	ret = writable ? write_attr(e, path, attr, value) : -EPERM;
	if (!ret && old)
		did(e, NV_SET, path, attr, old);
	free(old);
	return ret;
}

/* A short name, as people type it, becomes the file's name. */
static void complete_name(const struct cfs *c, const struct nv_step *s,
			  struct nv_attr *a)
{
	bool r, w;

	if (cfs_mode(c, s->path, a->name, &r, &w) != -ENOENT)
		return;
	for (const char *const *g = s->kind->groups; g && *g; g++) {
		char *full = xasprintf("%s_%s", *g, a->name);

		if (!cfs_mode(c, s->path, full, &r, &w)) {
			free(a->name);
			a->name = full;
			return;
		}
		free(full);
	}
}

/* Leave a step for later, when what it needs is not there yet. */
static bool put_off(struct exec *e, const struct nv_step *s, int err)
{
	struct nv_step *n;

	if (!e->run->pending || !nv_may_pass(e->c, s, err) ||
	    (e->run->hanging_only && err != EINPROGRESS))
		return false;
	n = nv_pending_add(e->run->pending, e->c, s, err);
	n->child = e->hanging;
	e->hanging = (struct nv_child){ 0 };
	if (s->op == NV_MKDIR)
		strvec_add(&e->put_off, s->path);
	return true;
}

/* Bring a namespace back into service, whatever has become of its attribute. */
static void enable_again(struct exec *e, const struct nv_step *s)
{
	struct nv_plan plan = { 0 };
	int ret = set_attr(e, s->path, "enable", "1");

	nv_plan_set(&plan, s->kind, s->path, "enable", "1");
	if (ret && !put_off(e, plan.steps, -ret)) {
		nv_explain(e->c, s->path, "enable", "1", -ret);
		e->errors++;
	}
	nv_plan_free(&plan);
}

/* What refuses to change in service changes out of it, for a moment. */
static int set_attr_bounce(struct exec *e, const struct nv_step *s,
			   struct nv_attr *a)
{
	char *now;
	int ret, off;

	ret = set_attr(e, s->path, a->name, a->value);
	if ((ret != -EBUSY && ret != -EACCES) ||
	    !str_in(s->kind->live, a->name) ||
	    cfs_read(e->c, s->path, "enable", &now))
		return ret;
	if (!strcmp(now, "1")) {
		off = set_attr(e, s->path, "enable", "0");
		if (off) {
			nv_explain(e->c, s->path, "enable", "0", -off);
		} else {
			ret = set_attr(e, s->path, a->name, a->value);
			enable_again(e, s);
		}
	}
	free(now);
	return ret;
}

/* Whether a step is about an object that is to be made later. */
static bool is_put_off(const struct exec *e, const struct nv_step *s)
{
	for (size_t i = 0; i < e->put_off.n; i++)
		if (path_is_under(s->path, e->put_off.v[i]))
			return true;
	return false;
}

/*
 * Rules between attributes may want another order than ours (a new minimum
 * above the old maximum): go round as long as that helps.
 */
static bool run_set(struct exec *e, const struct nv_step *s)
{
	int *err = xcalloc(s->n_attrs, sizeof(*err));
	size_t left = s->n_attrs, before;

	for (size_t i = 0; i < s->n_attrs; i++) {
		complete_name(e->c, s, &s->attrs[i]);
		err[i] = -EAGAIN;
	}
	if (!nv_vfu_set_ok(e->c, s)) {
		free(err);
		e->errors++;
		return false;
	}
	do {
		before = left;
		cfs_klog_mark(e->c);
		for (size_t i = 0; i < s->n_attrs; i++) {
			if (!err[i])
				continue;
			err[i] = set_attr_bounce(e, s, &s->attrs[i]);
			left -= !err[i];
		}
	} while (left && left < before);
	for (size_t i = 0; i < s->n_attrs; i++) {
		if (!err[i] || put_off(e, s, -err[i]))
			continue;
		nv_explain(e->c, s->path, s->attrs[i].name,
			   s->attrs[i].value, -err[i]);
		e->errors++;
	}
	free(err);
	return !left;
}

static bool is_blocked(const struct exec *e, const char *path)
{
	for (size_t i = 0; i < e->failed.n; i++)
		if (path_is_under(path, e->failed.v[i]))
			return true;
	return false;
}

static bool done(struct exec *e, const char *path, const char *attr,
		 const char *value, int ret)
{
	if (!ret)
		return true;
	nv_explain(e->c, path, attr, value, -ret);
	e->errors++;
	return false;
}

static int make_link(struct exec *e, const char *target, const char *path)
{
	int ret = cfs_link(e->c, target, path);

	if (ret == -EEXIST)
		return 0;
	if (!ret)
		did(e, NV_LINK, path, NULL, NULL);
	return ret;
}

static int drop_link(struct exec *e, const char *target, const char *path)
{
	int ret = cfs_unlink(e->c, path);

	if (ret == -ENOENT)
		return 0;
	if (!ret)
		did(e, NV_UNLINK, path, NULL, target);
	return ret;
}

/* Take back the rights of all hosts that @s does not name. */
static bool drop_hosts(struct exec *e, const struct nv_step *s,
		       const struct strvec *now)
{
	bool ok = true;

	for (size_t i = 0; i < now->n; i++) {
		const char *id = now->v[i];
		char *path, *target;

		if (strvec_has(&s->links, id))
			continue;
		path = xasprintf("%s/%s/%s", s->path, s->kind->links, id);
		target = nv_path(s->kind->links_to, &id);
		ok &= done(e, path, NULL, NULL, drop_link(e, target, path));
		free(target);
		free(path);
	}
	return ok;
}

/* Allow the hosts that @s names; with @to_close, any_host may go first. */
static bool add_hosts(struct exec *e, const struct nv_step *s, bool to_close)
{
	bool ok = true;

	for (size_t i = 0; i < s->links.n; i++) {
		const char *id = s->links.v[i];
		char *path = xasprintf("%s/%s/%s", s->path, s->kind->links, id);
		char *target = nv_path(s->kind->links_to, &id);
		int ret;

		if (is_blocked(e, target)) {
			msg_error("host %s is not allowed because of the error above",
				  id);
			ok = false;
		} else {
			ret = make_link(e, target, path);
			if (ret && to_close &&
			    !set_attr(e, s->path, "attr_allow_any_host", "0"))
				ret = make_link(e, target, path);
			ok &= done(e, path, NULL, NULL, ret);
		}
		free(target);
		free(path);
	}
	return ok;
}

/*
 * A target may refuse named hosts beside any_host (nvmet does). Try the order
 * that never shuts out a host which stays allowed, and fall back to the other.
 */
static bool run_access(struct exec *e, const struct nv_step *s)
{
	bool open = s->any_host && !strcmp(s->any_host, "1");
	struct strvec now = { 0 };
	char *dir = xasprintf("%s/%s", s->path, s->kind->links);
	bool ok = true;
	int ret;

	cfs_list(e->c, dir, CFS_LINKS, &now);
	free(dir);
	if (open && set_attr(e, s->path, "attr_allow_any_host", "1"))
		ok = drop_hosts(e, s, &now);
	if (s->any_host && open) {
		cfs_klog_mark(e->c);
		ret = set_attr(e, s->path, "attr_allow_any_host", "1");
		ok &= done(e, s->path, "attr_allow_any_host", "1", ret);
	}
	ok &= add_hosts(e, s, s->any_host && !open);
	if (s->any_host && !open) {
		ret = set_attr(e, s->path, "attr_allow_any_host", s->any_host);
		ok &= done(e, s->path, "attr_allow_any_host", s->any_host, ret);
	}
	ok &= drop_hosts(e, s, &now);
	strvec_free(&now);
	return ok;
}

/* A port belongs to the network namespace of the process that makes it. */
static int make_dir(const struct cfs *c, const char *path, const char *netns)
{
	int back, ret;

	if (!netns)
		return cfs_mkdir(c, path);
	back = nv_netns_enter(netns);
	if (back < 0)
		return back;
	ret = cfs_mkdir(c, path);
	nv_netns_leave(back);
	return ret;
}

static bool run_mkdir(struct exec *e, const struct nv_step *s)
{
	int ret = make_dir(e->c, s->path, s->netns);
	bool no_netns = ret && s->netns && !nv_netns_exists(s->netns);

	if (!ret)
		did(e, NV_MKDIR, s->path, NULL, NULL);
	else if (put_off(e, s, -ret))
		return true;
	return done(e, s->path, no_netns ? "netns" : NULL, s->netns, ret);
}

static bool run_rmdir(struct exec *e, const struct nv_step *s)
{
	struct nv_node *was = NULL;
	int ret;

	if (e->run->atomic)
		was = nv_node_load(e->c, s->kind, s->path);
	ret = remove_dir(e, s->path);
	if (!ret && was) {
		did(e, NV_RMDIR, s->path, NULL, NULL);
		e->undo[e->n_undo - 1].node = was;
	} else {
		nv_node_free(was);
	}
	return done(e, s->path, NULL, NULL, ret == -ENOENT ? 0 : ret);
}

static bool run_step(struct exec *e, const struct nv_step *s)
{
	int ret;

	cfs_klog_mark(e->c);
	switch (s->op) {
	case NV_MKDIR:
		return run_mkdir(e, s);
	case NV_RMDIR:
		return run_rmdir(e, s);
	case NV_SET:
		return run_set(e, s);
	case NV_LINK:
		if (!nv_vfu_link_ok(e->c, s)) {
			e->errors++;
			return false;
		}
		ret = make_link(e, s->target, s->path);
		return (ret && put_off(e, s, -ret)) ||
		       done(e, s->path, NULL, NULL, ret);
	case NV_UNLINK:
		ret = drop_link(e, s->target, s->path);
		return done(e, s->path, NULL, NULL, ret);
	case NV_ACCESS:
		return run_access(e, s);
	}
	return false;
}

static void free_undo(struct exec *e)
{
	for (size_t i = 0; i < e->n_undo; i++) {
		free(e->undo[i].path);
		free(e->undo[i].attr);
		free(e->undo[i].old);
		nv_node_free(e->undo[i].node);
	}
	free(e->undo);
}

/* The attributes that a removed object had, and those of what came with it. */
static int put_attrs(const struct cfs *c, const struct nv_node *node)
{
	struct nv_run run = { .c = c };
	struct exec e = { .run = &run, .c = c };
	struct nv_plan plan = { 0 };
	struct nv_step *s = nv_plan_add(&plan, NV_SET, node->kind, node->path);
	int ret = 0;

	for (size_t i = 0; i < node->n_attrs; i++) {
		const struct nv_attr *a = &node->attrs[i];

		if (a->readable && a->writable && strcmp(a->name, "enable") &&
		    strcmp(a->name, "netns"))
			nv_step_attr(s, a->name, a->value);
	}
	/* run_set() finds an order that the target takes */
	if (!run_set(&e, s))
		ret = -EINVAL;
	free_undo(&e);
	nv_plan_free(&plan);
	for (size_t i = 0; i < node->n_kids; i++)
		if (cfs_exists(c, node->kids[i]->path) &&
		    put_attrs(c, node->kids[i]))
			ret = -EINVAL;
	return ret;
}

static int undo_rmdir(struct exec *e, const struct nv_node *node)
{
	const struct nv_attr *netns = nv_attr_get(node, "netns");
	int ret = make_dir(e->c, node->path, netns ? netns->value : NULL);

	if (!ret)
		ret = put_attrs(e->c, node);
	/* a namespace goes without being disabled first */
	if (!ret && !strcmp(nv_attr_value(node, "enable"), "1"))
		ret = write_attr(e, node->path, "enable", "1");
	return ret;
}

static int undo_one(struct exec *e, const struct undo *u)
{
	const struct cfs *c = e->c;

	switch (u->op) {
	case NV_MKDIR:
		return remove_dir(e, u->path);
	case NV_RMDIR:
		return undo_rmdir(e, u->node);
	case NV_LINK:
		return cfs_unlink(c, u->path);
	case NV_UNLINK:
		return cfs_link(c, u->old, u->path);
	case NV_SET:
		return write_attr(e, u->path, u->attr, u->old);
	case NV_ACCESS:
		break;
	}
	return 0;
}

/* Whether hosts may have noticed what was done, though it is undone. */
static bool was_felt(const struct undo *u)
{
	return u->op == NV_RMDIR || u->op == NV_UNLINK ||
	       (u->op == NV_SET && !strcmp(u->attr, "enable") &&
		!strcmp(u->old, "1"));
}

static void roll_back(struct exec *e)
{
	bool clean = true, felt = false;

	/* what goes away with its object needs no way back of its own */
	for (size_t i = e->n_undo; i--; ) {
		const struct undo *u = &e->undo[i];
		bool gone = false;
		int ret;

		for (size_t j = 0; u->op == NV_SET && j < i; j++)
			gone |= e->undo[j].op == NV_MKDIR &&
				!strcmp(e->undo[j].path, u->path);
		felt |= was_felt(u);
		ret = gone ? 0 : undo_one(e, u);
		if (!ret)
			continue;
		nv_explain(e->c, u->path, u->attr, u->old, -ret);
		clean = false;
	}
	if (!clean)
		msg_hint("the steps before it could not all be undone: see \"nvtgtctl show\"");
	else if (felt)
		msg_hint("what had been removed or disabled is back as it was, but hosts may have lost their connections to it");
	else if (!e->half_off)
		msg_hint("nothing was changed");
	if (e->half_off)
		msg_hint("hosts do not see the namespace any more; it is disabled when its device answers");
}

static bool is_disable(const struct nv_step *s)
{
	return s->op == NV_SET && s->n_attrs == 1 &&
	       !strcmp(s->attrs[0].name, "enable") &&
	       !strcmp(s->attrs[0].value, "0");
}

/* Whether something below an object could not be removed. */
static bool keeps_something(const struct exec *e, const char *path)
{
	for (size_t i = 0; i < e->failed.n; i++)
		if (path_is_under(e->failed.v[i], path))
			return true;
	return false;
}

/* Steps that would bring something into service that is not as it should be. */
static bool leave_out(const struct exec *e, const struct nv_step *s)
{
	if (s->op == NV_RMDIR)
		return keeps_something(e, s->path);
	if (s->op == NV_UNLINK)
		return false;
	if (is_disable(s))
		return false;
	return is_blocked(e, s->path) ||
	       (s->target && is_blocked(e, s->target));
}

static void say_left_out(const struct nv_step *s)
{
	char *what = nv_describe(s->path);

	if (s->op == NV_LINK)
		msg_error("%s is left out because of the error above", what);
	else if (s->op == NV_RMDIR)
		msg_error("%s stays because of the error above", what);
	else if (s->op == NV_SET && !strcmp(s->attrs[0].name, "enable"))
		msg_error("%s stays disabled because of the error above", what);
	free(what);
}

/**
 * nv_plan_run() - carry out the steps of a plan
 * @plan: the steps
 * @run: how
 *
 * Every error is reported as it happens. Unless atomic, the rest still runs,
 * except what would serve an object whose vital step failed.
 * Return: the number of errors.
 */
size_t nv_plan_run(const struct nv_plan *plan, const struct nv_run *run)
{
	struct exec e = {
		.run = run,
		.c = run->c,
		.patience_ms = run->patience_ms,
	};
	size_t errors;

	for (size_t i = 0; i < plan->n; i++) {
		const struct nv_step *s = &plan->steps[i];

		if (is_put_off(&e, s)) {
			nv_pending_add(run->pending, run->c, s, 0);
			continue;
		}
		if (leave_out(&e, s)) {
			say_left_out(s);
			continue;
		}
		if (run_step(&e, s))
			continue;
		if (run->atomic)
			break;
		if (s->vital || s->op == NV_MKDIR || s->op == NV_RMDIR ||
		    is_disable(s))
			strvec_add(&e.failed, s->path);
	}
	errors = e.errors;
	if (errors && run->atomic)
		roll_back(&e);
	free_undo(&e);
	strvec_free(&e.failed);
	strvec_free(&e.put_off);
	return errors;
}
