// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: What is not there yet
 *
 * A step that fails since a device, an address or a network namespace is
 * missing is put off, with the steps that build on it, into a plan of its own.
 * Whoever runs that plan looks now and then, without the lock, whether what the
 * step needs has come (nv_pending_ready), and only then takes the lock and
 * tries again (nv_pending_run). What is there but still refuses is tried after
 * 1, 2, 4 and at last every 30 seconds. A step is dropped when somebody has
 * changed its object meanwhile.
 *
 * A device that does not answer at all is waited for by a child (child.h), which
 * goes on with the step; it has come when the child has ended.
 */
#include "pending.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "msg.h"
#include "netns.h"

#define FIRST_DELAY_MS 1000
#define LAST_DELAY_MS 30000
/* for a device that was there, while the lock is held */
#define AGAIN_MS 1000
/* for children to end */
#define STOP_MS 1000

static bool is_enable(const struct nv_step *s)
{
	return s->op == NV_SET && s->n_attrs == 1 &&
	       s->kind == &nv_kind_namespace &&
	       !strcmp(s->attrs[0].name, "enable") &&
	       !strcmp(s->attrs[0].value, "1");
}

static char *read_or(const struct cfs *c, const char *path, const char *attr)
{
	char *value;

	return cfs_read(c, path, attr, &value) ? xstrdup("") : value;
}

/* The port that holds the link at @path, "ports/ID/subsystems/NQN". */
static char *port_of(const char *path)
{
	const char *id = path + strlen("ports/");

	return xstrndup(path, id - path + strcspn(id, "/"));
}

static bool port_is_rdma(const struct cfs *c, const char *link)
{
	char *port = port_of(link), *type = read_or(c, port, "addr_trtype");
	bool is = !strcmp(type, "rdma");

	free(type);
	free(port);
	return is;
}

/**
 * nv_may_pass() - whether a refusal may end without anybody's help
 * @c: the tree
 * @s: the step
 * @err: why it was refused, positive
 */
bool nv_may_pass(const struct cfs *c, const struct nv_step *s, int err)
{
	switch (s->op) {
	case NV_MKDIR:
		return s->netns && err == ENOENT && !nv_netns_exists(s->netns);
	case NV_LINK:
		if (strncmp(s->path, "ports/", 6))
			return false;
		/* an RDMA address may be up before its device is */
		return err == EADDRNOTAVAIL ||
		       (err == ENODEV && port_is_rdma(c, s->path));
	case NV_SET:
		return is_enable(s) &&
		       (err == EINPROGRESS || err == ENOENT || err == ENXIO || err == ENOMEDIUM ||
			err == EBUSY || err == EIO || err == EAGAIN ||
			err == ESTALE || err == ETIMEDOUT);
	default:
		return false;
	}
}

static struct nv_step *copy_step(struct nv_plan *to, const struct nv_step *s)
{
	struct nv_step *n = nv_plan_add(to, s->op, s->kind, s->path);

	n->target = s->target ? xstrdup(s->target) : NULL;
	n->netns = s->netns ? xstrdup(s->netns) : NULL;
	n->any_host = s->any_host ? xstrdup(s->any_host) : NULL;
	n->waits_for = s->waits_for ? xstrdup(s->waits_for) : NULL;
	n->vital = s->vital;
	n->err = s->err;
	n->delay_ms = s->delay_ms;
	n->retry_ms = s->retry_ms;
	for (size_t i = 0; i < s->n_attrs; i++)
		nv_step_attr(n, s->attrs[i].name, s->attrs[i].value);
	for (size_t i = 0; i < s->links.n; i++)
		strvec_add(&n->links, s->links.v[i]);
	return n;
}

static void find_need(struct nv_step *n, const struct cfs *c)
{
	char *port, *inode;

	if (n->op == NV_SET) {
		n->waits_for = read_or(c, n->path, "device_path");
	} else if (n->op == NV_MKDIR) {
		n->waits_for = xasprintf("network namespace %s", n->netns);
	} else {
		port = port_of(n->path);
		n->waits_for = read_or(c, port, "addr_traddr");
		inode = read_or(c, port, "netns");
		n->netns = *inode ? nv_netns_name(inode) : NULL;
		free(inode);
		free(port);
	}
}

/* A namespace may have no path. */
static const char *need_name(const struct nv_step *s)
{
	return *s->waits_for ? s->waits_for : "its device";
}

/**
 * nv_pending_add() - put a step off
 * @pending: gets a copy
 * @c: the tree
 * @s: the step, perhaps one that had been put off before
 * @err: why it was refused, or 0 when it builds on one that was put off;
 *	EINPROGRESS: a device does not answer, and the caller adds the child
 * Return: the copy, good until the next step is put off.
 */
struct nv_step *nv_pending_add(struct nv_plan *pending, const struct cfs *c,
			       const struct nv_step *s, int err)
{
	struct nv_step *n = copy_step(pending, s);
	char *what;

	if (!err)
		return n;
	n->delay_ms = n->delay_ms ? 2 * n->delay_ms : FIRST_DELAY_MS;
	if (n->delay_ms > LAST_DELAY_MS)
		n->delay_ms = LAST_DELAY_MS;
	n->retry_ms = monotonic_ms() + n->delay_ms;
	if (!n->waits_for)
		find_need(n, c);
	if (err != n->err) {
		what = nv_describe(n->path);
		msg_note("%s: waiting for %s (%s)", what, need_name(n),
			 err == EINPROGRESS ? "it does not answer" :
					      strerror(err));
		free(what);
	}
	n->err = err;
	return n;
}

/* Whether what the step waits for is there, as far as can be seen from outside. */
static bool need_is_there(const struct nv_step *s)
{
	struct stat st;

	/* what was there and did not work may let a look at it wait for ever */
	if (s->op == NV_SET)
		return !*s->waits_for || s->err == EIO || s->err == ESTALE ||
		       s->err == ETIMEDOUT || !stat(s->waits_for, &st);
	if (s->op == NV_MKDIR)
		return nv_netns_exists(s->netns);
	return nv_addr_exists(s->waits_for, s->netns);
}

static bool is_due(struct nv_step *s)
{
	if (s->child.pid)
		return nv_child_has_ended(&s->child);
	if (need_is_there(s))
		return monotonic_ms() >= s->retry_ms;
	/* as soon as it comes */
	s->delay_ms = 0;
	s->retry_ms = 0;
	return false;
}

/**
 * nv_pending_ready() - whether nv_pending_run() has something to try
 * @pending: the steps
 *
 * Needs no lock and changes nothing in the tree.
 */
bool nv_pending_ready(struct nv_plan *pending)
{
	nv_child_reap();
	for (size_t i = 0; i < pending->n; i++)
		if (pending->steps[i].err && is_due(&pending->steps[i]))
			return true;
	return false;
}

/** nv_pending_hangs() - whether one of the steps waits for a device to answer */
bool nv_pending_hangs(const struct nv_plan *pending)
{
	for (size_t i = 0; i < pending->n; i++)
		if (pending->steps[i].child.pid)
			return true;
	return false;
}

/* Whether the step is done, by whomever. */
static bool is_done(const struct cfs *c, const struct nv_step *s)
{
	char *now;
	bool done;

	if (s->op != NV_SET)
		return cfs_exists(c, s->path);
	now = read_or(c, s->path, "enable");
	done = !strcmp(now, "1");
	free(now);
	return done;
}

/* Whether the step's object is no longer what it was when it was put off. */
static bool is_obsolete(const struct cfs *c, const struct nv_step *s)
{
	bool obsolete;
	char *now;

	if (is_done(c, s))
		return true;
	switch (s->op) {
	case NV_SET:
		now = read_or(c, s->path, "device_path");
		obsolete = !cfs_exists(c, s->path) || strcmp(now, s->waits_for);
		break;
	case NV_LINK:
		now = port_of(s->path);
		obsolete = !cfs_exists(c, now) || !cfs_exists(c, s->target);
		break;
	default:
		return false;
	}
	free(now);
	return obsolete;
}

static bool is_below(const struct strvec *paths, const struct nv_step *s)
{
	for (size_t i = 0; i < paths->n; i++)
		if (path_is_under(s->path, paths->v[i]))
			return true;
	return false;
}

static bool is_empty(const struct cfs *c, const char *dir)
{
	struct strvec names = { 0 };
	bool empty = cfs_list(c, dir, CFS_DIRS, &names) || !names.n;

	strvec_free(&names);
	return empty;
}

/*
 * Whether there is nothing left that the port at @port, which waits for its network
 * namespace, was to offer. One that was to offer nothing goes with all the rest.
 */
static bool is_pointless(const struct nv_plan *pending, const struct cfs *c,
			 const char *port)
{
	bool links = false;

	for (size_t i = 0; i < pending->n; i++) {
		const struct nv_step *s = &pending->steps[i];

		if (s->op != NV_LINK || !path_is_under(s->path, port))
			continue;
		if (cfs_exists(c, s->target))
			return false;
		links = true;
	}
	return links || (is_empty(c, "subsystems") && is_empty(c, "ports") &&
			 is_empty(c, "hosts"));
}

/* The copy has the child from now on. */
static void move_step(struct nv_plan *to, struct nv_step *s)
{
	copy_step(to, s)->child = s->child;
	s->child = (struct nv_child){ 0 };
}

/* Divide what was put off: what to try @now, and what is still @left. */
static void divide(struct nv_plan *pending, const struct cfs *c, bool all,
		   struct nv_plan *now, struct nv_plan *left)
{
	struct strvec dropped = { 0 }, held = { 0 };

	for (size_t i = 0; i < pending->n; i++) {
		struct nv_step *s = &pending->steps[i];
		bool by_child = s->child.pid && is_done(c, s);

		if (is_below(&dropped, s))
			continue;
		if (s->op == NV_LINK && !cfs_exists(c, s->target))
			continue;
		if (s->err && !by_child &&
		    (is_obsolete(c, s) ||
		     (s->op == NV_MKDIR && is_pointless(pending, c, s->path)))) {
			if (s->op == NV_MKDIR)
				strvec_add(&dropped, s->path);
		} else if (!all && (is_below(&held, s) ||
				    (s->err && !is_due(s)))) {
			if (s->op == NV_MKDIR)
				strvec_add(&held, s->path);
			move_step(left, s);
		} else if (s->child.pid && !nv_child_has_ended(&s->child)) {
			move_step(left, s);
		} else {
			copy_step(now, s);
		}
	}
	strvec_free(&dropped);
	strvec_free(&held);
}

/**
 * nv_pending_stop() - wait for devices no longer, and forget all steps
 * @pending: the steps; afterwards empty
 *
 * What can still be stopped is over when this returns.
 */
void nv_pending_stop(struct nv_plan *pending)
{
	long long end = monotonic_ms() + STOP_MS;

	for (size_t i = 0; i < pending->n; i++)
		nv_child_kill(&pending->steps[i].child);
	for (size_t i = 0; i < pending->n; i++) {
		struct nv_child *child = &pending->steps[i].child;
		long long left = end - monotonic_ms();

		if (child->pid)
			nv_child_wait(child, left > 0 ? left : 0, NULL);
	}
	nv_plan_free(pending);
}

/**
 * nv_pending_run() - try what was put off, as far as it is due
 * @pending: the steps; afterwards those that are still put off
 * @c: the tree
 * @last: try all, and what is still not there is an error
 *
 * The caller holds the lock.
 * Return: the number of errors other than that something is not there yet.
 */
size_t nv_pending_run(struct nv_plan *pending, const struct cfs *c, bool last)
{
	struct nv_plan now = { 0 }, left = { 0 };
	struct nv_run run = {
		.c = c,
		.pending = last ? NULL : &left,
		.patience_ms = AGAIN_MS,
	};
	size_t errors;
	char *what;

	divide(pending, c, last, &now, &left);
	errors = nv_plan_run(&now, &run);
	for (size_t i = 0; last && i < left.n; i++, errors++) {
		cfs_klog_mark(c);
		nv_explain(c, left.steps[i].path, left.steps[i].attrs[0].name,
			   left.steps[i].attrs[0].value, ETIMEDOUT);
	}
	for (size_t i = 0; i < now.n; i++) {
		if (!now.steps[i].err || !is_done(c, &now.steps[i]))
			continue;
		what = nv_describe(now.steps[i].path);
		msg_note("%s: %s has %s, it is in place now", what,
			 need_name(&now.steps[i]),
			 now.steps[i].err == EINPROGRESS ? "answered" : "come");
		free(what);
	}
	nv_plan_free(&now);
	nv_plan_free(pending);
	*pending = left;
	return errors;
}

/**
 * nv_pending_text() - what is waited for, in one line
 * @pending: the steps
 * @max: about how many bytes; the rest is counted
 * Return: "" when there is nothing; the caller frees it.
 */
char *nv_pending_text(const struct nv_plan *pending, size_t max)
{
	char *text = xstrdup(""), *what, *more;
	size_t rest = 0;

	for (size_t i = 0; i < pending->n; i++) {
		const struct nv_step *s = &pending->steps[i];

		if (!s->err)
			continue;
		what = nv_describe(s->path);
		more = xasprintf("%s%s%s (%s)", text, *text ? ", " : "",
				 need_name(s), what);
		free(what);
		if (*text && strlen(more) > max) {
			free(more);
			rest++;
			continue;
		}
		free(text);
		text = more;
	}
	if (rest) {
		more = xasprintf("%s and %zu more", text, rest);
		free(text);
		text = more;
	}
	return text;
}
