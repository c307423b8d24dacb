// SPDX-License-Identifier: GPL-2.0
/* Making and printing plans; run.c carries them out. */
#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** nv_plan_add() - append a step; the pointer is good until the next one */
struct nv_step *nv_plan_add(struct nv_plan *plan, enum nv_op op,
			    const struct nv_kind *kind, const char *path)
{
	struct nv_step *s;

	if ((plan->n & (plan->n - 1)) == 0)
		plan->steps = xrealloc(plan->steps,
				       plan->n ? 2 * plan->n : 1,
				       sizeof(*plan->steps));
	s = &plan->steps[plan->n++];
	*s = (struct nv_step){
		.op = op,
		.kind = kind,
		.path = xstrdup(path),
	};
	return s;
}

/**
 * nv_plan_link() - append a step that makes or removes a link
 * @plan: the plan
 * @op: NV_LINK or NV_UNLINK
 * @kind: the kind of the object that holds the link
 * @path: that object
 * @id: identifier of the object that the link points to
 */
void nv_plan_link(struct nv_plan *plan, enum nv_op op,
		  const struct nv_kind *kind, const char *path,
		  const char *id)
{
	char *link = xasprintf("%s/%s/%s", path, kind->links, id);
	struct nv_step *s = nv_plan_add(plan, op, kind, link);

	s->target = nv_path(kind->links_to, &id);
	free(link);
}

/** nv_step_attr() - append an attribute to a step */
void nv_step_attr(struct nv_step *step, const char *attr, const char *value)
{
	step->attrs = xrealloc(step->attrs, step->n_attrs + 1,
			       sizeof(*step->attrs));
	step->attrs[step->n_attrs++] = (struct nv_attr){
		.name = xstrdup(attr),
		.value = xstrdup(value),
	};
}

/** nv_plan_set() - append a step that writes one attribute */
void nv_plan_set(struct nv_plan *plan, const struct nv_kind *kind,
		 const char *path, const char *attr, const char *value)
{
	nv_step_attr(nv_plan_add(plan, NV_SET, kind, path), attr, value);
}

/**
 * nv_plan_delete() - append the steps that remove an object
 * @plan: the plan
 * @node: the object as it runs, with everything below it
 *
 * The links of ports and hosts to it are the caller's.
 */
void nv_plan_delete(struct nv_plan *plan, const struct nv_node *node)
{
	const struct nv_kind *kind = node->kind;

	if (kind->links)
		for (size_t i = 0; i < node->links.n; i++)
			nv_plan_link(plan, NV_UNLINK, kind, node->path,
				     node->links.v[i]);
	for (size_t i = 0; i < node->n_kids; i++)
		nv_plan_delete(plan, node->kids[i]);
	/* a namespace's removal does not wait for its device as long as "enable" does */
	if (kind != &nv_kind_namespace &&
	    !strcmp(nv_attr_value(node, "enable"), "1"))
		nv_plan_set(plan, kind, node->path, "enable", "0");
	if (kind->id_key && !(kind->builtin && !strcmp(kind->builtin, node->id)))
		nv_plan_add(plan, NV_RMDIR, kind, node->path);
}

static const char *shown(const struct nv_attr *a)
{
	return nv_is_secret(a->name) && *a->value ? "(hidden)" : a->value;
}

static void print_step(const struct nv_step *s)
{
	char *what = nv_describe(s->path);

	switch (s->op) {
	case NV_MKDIR:
		printf("create %s%s%s\n", what,
		       s->netns && *s->netns ? " in network namespace " : "",
		       s->netns ? s->netns : "");
		break;
	case NV_RMDIR:
		printf("delete %s\n", what);
		break;
	case NV_SET:
		for (size_t i = 0; i < s->n_attrs; i++)
			printf("set %s %s=%s\n", what, s->attrs[i].name,
			       shown(&s->attrs[i]));
		break;
	case NV_LINK:
		printf("add %s\n", what);
		break;
	case NV_UNLINK:
		printf("remove %s\n", what);
		break;
	case NV_ACCESS:
		if (s->any_host)
			printf("set %s attr_allow_any_host=%s\n", what,
			       s->any_host);
		printf("allow %s", what);
		for (size_t i = 0; i < s->links.n; i++)
			printf(" %s", s->links.v[i]);
		puts(s->links.n ? "" : " (no host by name)");
		break;
	}
	free(what);
}

/** nv_plan_print() - say what nv_plan_run() would do */
void nv_plan_print(const struct nv_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		print_step(&plan->steps[i]);
}

/** nv_plan_free() - free the steps, end their processes, leave an empty plan */
void nv_plan_free(struct nv_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		struct nv_step *s = &plan->steps[i];

		for (size_t j = 0; j < s->n_attrs; j++) {
			free(s->attrs[j].name);
			free(s->attrs[j].value);
		}
		free(s->attrs);
		nv_child_kill(&s->child);
		nv_child_forget(&s->child);
		strvec_free(&s->links);
		free(s->any_host);
		free(s->netns);
		free(s->waits_for);
		free(s->target);
		free(s->path);
	}
	free(plan->steps);
	*plan = (struct nv_plan){ 0 };
}
