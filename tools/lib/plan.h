/* SPDX-License-Identifier: GPL-2.0 */
/* Steps that change the running configuration, and their way back. */
#ifndef NVTGT_TOOLS_PLAN_H
#define NVTGT_TOOLS_PLAN_H

#include "child.h"
#include "tree.h"

/** enum nv_op - what a step does */
enum nv_op {
	/* create the object @path */
	NV_MKDIR,
	/* remove the object @path */
	NV_RMDIR,
	/* write @attrs of the object @path, those that differ */
	NV_SET,
	/* link @path to the object @target */
	NV_LINK,
	/* remove the link @path */
	NV_UNLINK,
	/* make @links and allow_any_host of the subsystem @path so */
	NV_ACCESS,
};

/**
 * struct nv_step - one step
 * @op: what it does
 * @kind: kind of the object at @path
 * @path: path below the root
 * @target: what a link points to
 * @attrs: attributes to write, in this order
 * @n_attrs: how many
 * @links: hosts that shall be allowed, for NV_ACCESS
 * @netns: network namespace in which NV_MKDIR makes a port; NULL: this one
 * @any_host: attr_allow_any_host for NV_ACCESS, NULL to leave it
 * @vital: without success, steps that would serve this object are left out
 * @waits_for: what a step that was put off needs
 * @err: why it was put off, positive; 0: since one before it was
 * @delay_ms: how long after the last attempt comes the next
 * @retry_ms: monotonic_ms() of the next attempt
 * @child: the process that still waits for the device, or that has ended since
 */
struct nv_step {
	enum nv_op op;
	const struct nv_kind *kind;
	char *path;
	char *target;
	struct nv_attr *attrs;
	size_t n_attrs;
	struct strvec links;
	char *netns;
	char *any_host;
	bool vital;
	char *waits_for;
	int err;
	long delay_ms;
	long long retry_ms;
	struct nv_child child;
};

/** struct nv_plan - steps in their order */
struct nv_plan {
	struct nv_step *steps;
	size_t n;
};

struct nv_step *nv_plan_add(struct nv_plan *plan, enum nv_op op,
			    const struct nv_kind *kind, const char *path);
void nv_plan_link(struct nv_plan *plan, enum nv_op op,
		  const struct nv_kind *kind, const char *path,
		  const char *id);
void nv_plan_set(struct nv_plan *plan, const struct nv_kind *kind,
		 const char *path, const char *attr, const char *value);
void nv_step_attr(struct nv_step *step, const char *attr, const char *value);
void nv_plan_delete(struct nv_plan *plan, const struct nv_node *node);
void nv_plan_print(const struct nv_plan *plan);
void nv_plan_free(struct nv_plan *plan);

void nv_diff(struct nv_plan *plan, const struct nv_node *have,
	     const struct nv_node *want, bool keep_others);

/**
 * struct nv_run - how to carry out a plan
 * @c: the tree
 * @atomic: stop at the first error and undo what was done
 * @patience_ms: how long to wait in all for devices that do not answer; 0: until
 *	they do
 * @pending: gets the steps that need what is not there yet; NULL: an error
 * @hanging_only: @pending is for devices that do not answer; other needs are errors
 */
struct nv_run {
	const struct cfs *c;
	bool atomic;
	long patience_ms;
	struct nv_plan *pending;
	bool hanging_only;
};

/* how long a run waits in all before it goes on without those that hang */
#define NV_PATIENCE_MS 5000

size_t nv_plan_run(const struct nv_plan *plan, const struct nv_run *run);
void nv_explain(const struct cfs *c, const char *path, const char *attr,
		const char *value, int err);

#endif
