/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the engine share among themselves. */
#ifndef _NVTGT_ENGINE_REACTOR_H
#define _NVTGT_ENGINE_REACTOR_H

#include "engine.h"

#define NVTGT_POOL_SMALL	512	/* pages of 4 KiB that a reactor keeps */
#define NVTGT_POOL_LARGE	64	/* pieces of 64 KiB that a reactor keeps, to begin with */
#define NVTGT_POOL_LARGE_MAX	512	/* as many as it has needed at once, but no more */
#define NVTGT_LARGE_ORDER	4

/* reactor.c */
void nvtgt_reactor_set_hooks(const struct nvtgt_reactor_hooks *hooks);
struct nvtgt_reactor *nvtgt_reactor_create(int cpu);
void nvtgt_reactor_bind(struct nvtgt_reactor *reactor);
void nvtgt_reactor_destroy(struct nvtgt_reactor *reactor);
void nvtgt_source_move(struct nvtgt_source *source, struct nvtgt_reactor *to);

/* place.c */
void nvtgt_balance_call(struct nvtgt_call *call);
void nvtgt_place_arrived(struct nvtgt_source *source);
void nvtgt_place_review_call(struct nvtgt_call *call);

/* pool.c */
int nvtgt_pool_init(struct nvtgt_reactor *reactor);
void nvtgt_pool_exit(struct nvtgt_reactor *reactor);
bool nvtgt_pool_holds(const struct nvtgt_reactor *reactor);
void nvtgt_pool_trim(struct nvtgt_reactor *reactor);
void nvtgt_pool_decay(struct nvtgt_reactor *reactor);
void nvtgt_pool_look(struct nvtgt_reactor *reactor);
void nvtgt_pool_service(struct nvtgt_reactor *reactor);
void nvtgt_pool_setup_limit(void);

#endif /* _NVTGT_ENGINE_REACTOR_H */
