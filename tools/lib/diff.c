// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: From what runs to what is wanted
 *
 * The steps come in an order in which each of them can succeed and no host
 * loses what it keeps:
 *
 *  1. ports let go of subsystems, and ports go: their addresses become free
 *  2. hosts come and change
 *  3. ports come and change with their ANA groups and referrals, so that a
 *     group's state is right before a namespace joins it
 *  4. subsystems come and change with their namespaces, then who may connect
 *  5. ports take up subsystems: only now does a new one become visible
 *  6. what nothing refers to any more goes: ANA groups, subsystems, hosts
 *
 * An object that is the same on both sides gives no step. An attribute that the
 * file does not mention stays as it is.
 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

struct diff {
	struct nv_plan *plan;
	const struct nv_node *have;
	const struct nv_node *want;
	bool keep_others;
};

/* A port cannot move: in another network namespace it is another port. */
static bool is_elsewhere(const struct nv_node *a, const struct nv_node *b)
{
	const struct nv_attr *x = nv_attr_get(a, "netns");
	const struct nv_attr *y = nv_attr_get(b, "netns");

	return a->kind == &nv_kind_port && x && y && strcmp(x->value, y->value);
}

static const struct nv_node *find(const struct nv_node *in,
				  const struct nv_node *like)
{
	const struct nv_node *n;

	n = in ? nv_node_kid(in, like->kind, like->id) : NULL;
	return n && !is_elsewhere(n, like) ? n : NULL;
}

/* Whether an object that the file does not mention is left alone. */
static bool is_left_alone(const struct diff *d, const struct nv_node *have)
{
	return d->keep_others && !nv_node_kid(d->want, have->kind, have->id);
}

static bool is_access_attr(const struct nv_kind *kind, const char *name)
{
	return kind == &nv_kind_subsystem &&
	       !strcmp(name, "attr_allow_any_host");
}

/*
 * A port whose file names what is in force anyway, as one saved from another
 * target may, has nothing to gain from being closed. A target that does not
 * show what is in force apart (nvmet) shows it in the place of -1.
 */
static bool in_force(const struct nv_node *have, const struct nv_attr *a)
{
	const struct nv_attr *now;
	char *name;

	if (have->kind != &nv_kind_port || strncmp(a->name, "param_", 6))
		return false;
	name = xasprintf("%s_in_force", a->name);
	now = nv_attr_get(have, name);
	free(name);
	if (now)
		return nv_value_same(a->name, now->value, a->value);
	return have->links.n && !strcmp(a->value, "-1");
}

/* Whether the file's value asks for a write; @have may be NULL. */
static bool differs(const struct nv_kind *kind, const struct nv_node *have,
		    const struct nv_attr *a)
{
	const struct nv_attr *now = have ? nv_attr_get(have, a->name) : NULL;

	/* a new object takes all; a fixed directory may be missing for good */
	if (!have && kind->id_key)
		return true;
	if (!now)
		return !nv_value_is_off(a->name, a->value);
	if (!now->writable)
		return false;
	/* write only: nothing to compare with, and nothing to keep */
	if (!now->readable)
		return false;
	return !nv_value_same(a->name, now->value, a->value) &&
	       !in_force(have, a);
}

/* The attributes to write, "enable" and access left out, in writing order. */
static size_t changed_attrs(const struct nv_node *have,
			    const struct nv_node *want,
			    const struct nv_attr ***out)
{
	const struct nv_attr **v = xcalloc(want->n_attrs, sizeof(*v));
	const struct nv_kind *kind = want->kind;
	size_t n = 0;

	for (size_t i = 0; i < want->n_attrs; i++) {
		const struct nv_attr *a = &want->attrs[i];
		size_t at;

		if (!strcmp(a->name, "enable") || !strcmp(a->name, "netns") ||
		    is_access_attr(kind, a->name) || !differs(kind, have, a))
			continue;
		for (at = n; at && nv_attr_rank(kind, v[at - 1]->name) >
				   nv_attr_rank(kind, a->name); at--)
			v[at] = v[at - 1];
		v[at] = a;
		n++;
	}
	*out = v;
	return n;
}

/* Vital attributes make a step of their own, whose failure has consequences. */
static void add_sets(struct diff *d, const struct nv_node *want,
		     const struct nv_attr **v, size_t n)
{
	for (int vital = 1; vital >= 0; vital--) {
		struct nv_step *s = NULL;

		for (size_t i = 0; i < n; i++) {
			if (str_in(want->kind->vital, v[i]->name) != vital)
				continue;
			if (!s)
				s = nv_plan_add(d->plan, NV_SET, want->kind,
						want->path);
			s->vital = vital;
			nv_step_attr(s, v[i]->name, v[i]->value);
		}
	}
}

static bool is_enabled(const struct nv_node *node)
{
	return node && !strcmp(nv_attr_value(node, "enable"), "1");
}

static bool needs_disable(const struct nv_node *want,
			  const struct nv_attr **v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!str_in(want->kind->live, v[i]->name))
			return true;
	return false;
}

static void add_mkdir(struct diff *d, const struct nv_node *want)
{
	struct nv_step *s = nv_plan_add(d->plan, NV_MKDIR, want->kind,
					want->path);
	const struct nv_attr *netns = nv_attr_get(want, "netns");

	if (netns && want->kind == &nv_kind_port)
		s->netns = xstrdup(netns->value);
}

/* One object that has attributes and perhaps "enable", but no kids. */
static void diff_leaf(struct diff *d, const struct nv_node *have,
		      const struct nv_node *want)
{
	const struct nv_attr *enable = nv_attr_get(want, "enable");
	const struct nv_attr **v;
	size_t n = changed_attrs(have, want, &v);
	bool on = is_enabled(have);
	bool want_on = enable ? is_enabled(want) : on;

	if (!have && want->kind->id_key)
		add_mkdir(d, want);
	if (on && (!want_on || needs_disable(want, v, n))) {
		nv_plan_set(d->plan, want->kind, want->path, "enable", "0");
		on = false;
	}
	add_sets(d, want, v, n);
	if (want_on && !on)
		nv_plan_set(d->plan, want->kind, want->path, "enable", "1");
	free(v);
}

static void diff_kids(struct diff *d, const struct nv_node *have,
		      const struct nv_node *want, const struct nv_kind *kind)
{
	for (size_t i = 0; i < want->n_kids; i++)
		if (want->kids[i]->kind == kind)
			diff_leaf(d, find(have, want->kids[i]),
				  want->kids[i]);
}

static void drop_kids(struct diff *d, const struct nv_node *have,
		      const struct nv_node *want, const struct nv_kind *kind)
{
	if (d->keep_others)
		return;
	for (size_t i = 0; i < have->n_kids; i++) {
		const struct nv_node *kid = have->kids[i];

		if (kid->kind != kind || !kind->id_key || find(want, kid) ||
		    (kind->builtin && !strcmp(kind->builtin, kid->id)))
			continue;
		nv_plan_delete(d->plan, kid);
	}
}

/* Whether the port must be down for what changes on it. */
static bool port_must_stop(const struct nv_node *have,
			   const struct nv_node *want)
{
	const struct nv_attr **v;
	size_t n = changed_attrs(have, want, &v);
	bool stop = needs_disable(want, v, n);

	free(v);
	return stop;
}

static void unlink_subsystems(struct diff *d)
{
	const struct nv_node *root = d->have;

	for (size_t i = 0; i < root->n_kids; i++) {
		const struct nv_node *port = root->kids[i], *want;
		bool all;

		if (port->kind != &nv_kind_port)
			continue;
		want = find(d->want, port);
		if (is_left_alone(d, port))
			continue;
		all = !want || port_must_stop(port, want);
		for (size_t j = 0; j < port->links.n; j++)
			if (all || (!d->keep_others &&
				    !strvec_has(&want->links,
						port->links.v[j])))
				nv_plan_link(d->plan, NV_UNLINK, port->kind,
					     port->path, port->links.v[j]);
	}
}

static void delete_ports(struct diff *d)
{
	for (size_t i = 0; i < d->have->n_kids; i++) {
		struct nv_node port = *d->have->kids[i];

		if (port.kind != &nv_kind_port || find(d->want, &port) ||
		    is_left_alone(d, &port))
			continue;
		/* unlink_subsystems() has had them */
		port.links = (struct strvec){ 0 };
		nv_plan_delete(d->plan, &port);
	}
}

static void change_ports(struct diff *d)
{
	for (size_t i = 0; i < d->want->n_kids; i++) {
		const struct nv_node *want = d->want->kids[i];
		const struct nv_node *have = find(d->have, want);

		if (want->kind != &nv_kind_port)
			continue;
		diff_leaf(d, have, want);
		for (size_t j = 0; j < want->n_kids; j++) {
			const struct nv_node *kid = want->kids[j];
			const struct nv_node *old = find(have, kid);
			const struct nv_attr **v;

			/* the kernel makes the built-in group by itself */
			if (!old && kid->kind->builtin &&
			    !strcmp(kid->kind->builtin, kid->id)) {
				size_t n = changed_attrs(NULL, kid, &v);

				add_sets(d, kid, v, n);
				free(v);
			} else {
				diff_leaf(d, old, kid);
			}
		}
		if (have)
			drop_kids(d, have, want, &nv_kind_referral);
	}
}

static bool same_links(const struct strvec *a, const struct strvec *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!strvec_has(b, a->v[i]))
			return false;
	return true;
}

static void diff_access(struct diff *d, const struct nv_node *have,
			const struct nv_node *want)
{
	const struct nv_attr *any = nv_attr_get(want, "attr_allow_any_host");
	bool change_any = any && differs(want->kind, have, any);
	struct strvec links = { 0 };
	struct nv_step *s;

	for (size_t i = 0; i < want->links.n; i++)
		strvec_add(&links, want->links.v[i]);
	for (size_t i = 0; have && d->keep_others && i < have->links.n; i++)
		if (!strvec_has(&links, have->links.v[i]))
			strvec_add(&links, have->links.v[i]);
	if (!change_any && (have ? same_links(&have->links, &links) :
				   !links.n)) {
		strvec_free(&links);
		return;
	}
	s = nv_plan_add(d->plan, NV_ACCESS, want->kind, want->path);
	s->vital = true;
	s->links = links;
	if (change_any)
		s->any_host = xstrdup(any->value);
}

static void change_subsystems(struct diff *d)
{
	for (size_t i = 0; i < d->want->n_kids; i++) {
		const struct nv_node *want = d->want->kids[i];
		const struct nv_node *have = find(d->have, want);

		if (want->kind != &nv_kind_subsystem)
			continue;
		diff_leaf(d, have, want);
		if (have)
			drop_kids(d, have, want, &nv_kind_namespace);
		diff_kids(d, have, want, &nv_kind_namespace);
		diff_kids(d, have, want, &nv_kind_passthru);
		diff_access(d, have, want);
	}
}

static void link_subsystems(struct diff *d)
{
	for (size_t i = 0; i < d->want->n_kids; i++) {
		const struct nv_node *port = d->want->kids[i];
		const struct nv_node *have = find(d->have, port), *old;
		bool all;

		if (port->kind != &nv_kind_port)
			continue;
		all = !have || port_must_stop(have, port);
		for (size_t j = 0; j < port->links.n; j++)
			if (all || !strvec_has(&have->links,
					       port->links.v[j]))
				nv_plan_link(d->plan, NV_LINK, port->kind,
					     port->path, port->links.v[j]);
		/* others come back that had to make way, or were elsewhere */
		old = nv_node_kid(d->have, port->kind, port->id);
		for (size_t j = 0; old && all && d->keep_others &&
				   j < old->links.n; j++)
			if (!strvec_has(&port->links, old->links.v[j]))
				nv_plan_link(d->plan, NV_LINK, port->kind,
					     port->path, old->links.v[j]);
	}
}

static void delete_unused(struct diff *d)
{
	for (size_t i = 0; i < d->have->n_kids; i++) {
		const struct nv_node *have = d->have->kids[i];
		const struct nv_node *want = find(d->want, have);

		if (have->kind == &nv_kind_port && want)
			drop_kids(d, have, want, &nv_kind_ana_group);
	}
	drop_kids(d, d->have, d->want, &nv_kind_subsystem);
	drop_kids(d, d->have, d->want, &nv_kind_host);
}

/**
 * nv_diff() - append the steps that lead from one configuration to another
 * @plan: gets the steps
 * @have: what runs
 * @want: what shall run
 * @keep_others: objects and links that @want does not mention stay
 */
void nv_diff(struct nv_plan *plan, const struct nv_node *have,
	     const struct nv_node *want, bool keep_others)
{
	struct diff d = { plan, have, want, keep_others };
	const struct nv_attr **v;
	size_t n;

	unlink_subsystems(&d);
	delete_ports(&d);
	n = changed_attrs(have, want, &v);
	add_sets(&d, want, v, n);
	free(v);
	diff_kids(&d, have, want, &nv_kind_host);
	change_ports(&d);
	change_subsystems(&d);
	link_subsystems(&d);
	delete_unused(&d);
}
