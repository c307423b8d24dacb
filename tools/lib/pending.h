/* SPDX-License-Identifier: GPL-2.0 */
/* Steps that wait for a device, an address or a network namespace. */
#ifndef NVTGT_TOOLS_PENDING_H
#define NVTGT_TOOLS_PENDING_H

#include "plan.h"

bool nv_may_pass(const struct cfs *c, const struct nv_step *s, int err);
struct nv_step *nv_pending_add(struct nv_plan *pending, const struct cfs *c,
			       const struct nv_step *s, int err);
bool nv_pending_ready(struct nv_plan *pending);
bool nv_pending_hangs(const struct nv_plan *pending);
size_t nv_pending_run(struct nv_plan *pending, const struct cfs *c, bool last);
void nv_pending_stop(struct nv_plan *pending);
char *nv_pending_text(const struct nv_plan *pending, size_t max);

#endif
