/* SPDX-License-Identifier: GPL-2.0 */
/*
 * engine/: what the core runs on: reactors (reactor.c), which of them owns what (place.c),
 * memory for data (pool.c), work queues (wq.c), and the code of the tracepoints (trace.c).
 * It is the lowest floor: it uses include/nvtgt/ and nothing else of the core. It knows no
 * command; it calls hooks for what a pass has to do for queues and requests.
 *
 * This header is what the engine offers to the floors above it.
 */
#ifndef _NVTGT_ENGINE_H
#define _NVTGT_ENGINE_H

#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <nvtgt/pool.h>
#include <nvtgt/reactor.h>
#include <nvtgt/types.h>

struct seq_file;

/*
 * struct nvtgt_ring - pages that a reactor keeps
 *
 * A page that was sent stands here until the socket has let go of it (its
 * reference count is 1 again); then it is taken from the front. A ring that is full
 * grows, up to max: what comes back has been in use at the same time.
 */
struct nvtgt_ring {
	struct page **pages;
	unsigned int size;		/* room in pages[] */
	unsigned int max;		/* most that size grows to */
	unsigned int first, nr;
	unsigned int least;		/* smallest nr since the last look */
	unsigned int misses;		/* times that it had no page to give; wraps */
	u8 order;
};

/*
 * struct nvtgt_reactor - a thread and what it owns
 *
 * Its lists of requests and queues (done, local_done, polled, flush) are filled and emptied
 * by object/ (request.c, pass.c, conn.c), and the engine sees only whether they are empty.
 * pass.c uses poll_since and plug as well; the rest is the engine's alone.
 */
struct nvtgt_reactor {
	struct task_struct *task;
	int cpu;
	int node;
	atomic_t users;			/* sources, or queues that share one */
	unsigned int load;		/* of the last period; NVTGT_LOAD_PERCENT is 1 % */
	u64 busy_seen;			/* ns; place.c */
	struct nvtgt_call balance;
	bool balancing;			/* the call has been made and has not run */
	struct nvtgt_call review;
	atomic_t reviewing;		/* 1: the call has been made and has not begun */

	/* any context */
	struct llist_head kicked ____cacheline_aligned_in_smp;	/* nvtgt_source */
	struct llist_head done;		/* nvtgt_req */
	struct llist_head calls;	/* nvtgt_call */
	int asleep;
	bool credit_back;		/* a connection is in granted */
	bool retry_due;			/* retry_timer has fired */
	bool trim_due;			/* trim_timer has fired */
	struct list_head granted;	/* nvtgt_buf_waiter; pool.c's lock */
	struct list_head short_of;	/* nvtgt_buf_waiter: no page was free; pool.c's lock */
	struct timer_list retry_timer;	/* runs while short_of is not empty */

	/* the thread only */
	struct list_head active ____cacheline_aligned_in_smp;	/* nvtgt_source */
	struct list_head unarmed;	/* nvtgt_source.active: polled, they do not kick */
	struct list_head sources;	/* nvtgt_source.home */
	struct list_head polled;	/* nvtgt_req.poll_entry */
	struct list_head local_done;	/* nvtgt_req.entry: completed in the thread itself */
	struct list_head flush;		/* nvtgt_queue */
	struct list_head holds;		/* nvtgt_buf_hold */
	unsigned long holds_seen;	/* jiffies: when they were asked for credit last */
	bool contended;			/* connections stand in line: no credit is taken or kept */
	bool serving;			/* in ready() of a connection that was given credit */
	bool urgent;			/* in ready() of a connection that may use __GFP_HIGH */
	unsigned long urgent_used;	/* jiffies: when __GFP_HIGH was used last */
	struct nvtgt_ring small;
	struct nvtgt_ring large;
	struct blk_plug plug;		/* not on the stack, which may be cleared at each pass */
	long credit;			/* bytes taken from the global budget, free here */
	long credit_keep;		/* bytes: more goes back */
	u32 spin_ns;			/* learned; 0: sleep at once */
	u64 poll_since;			/* local_clock() when polling began to be in vain; or 0 */
	u32 spin_skip;			/* sleeps since the last try to spin */
	u64 spun_ns;			/* spent spinning and polling, in all */
	unsigned int measured;		/* load, before anything was given away */
	unsigned int nr_moved;		/* sources that have come from other reactors; wraps */
	unsigned int nr_short;		/* times that the kernel had no page to give; wraps */
	unsigned int nr_busy;		/* passes that found something; wraps */
	unsigned int trim_busy;		/* nr_busy when the timer was set */
	struct timer_list trim_timer;	/* runs while the pool holds something */
};

/**
 * struct nvtgt_reactor_hooks - what a pass does for queues and requests
 * @take_done: empty @done and @local_done of the reactor: each request has its result
 * @flush: empty @flush of the reactor: each queue has something to send
 * @poll: ask the devices that the requests in @polled of the reactor are out to
 *
 * Each is called at most once in a pass, when its list is not empty; @poll also between
 * passes, while there is nothing else to do. They run in the reactor and must not sleep.
 */
struct nvtgt_reactor_hooks {
	void (*take_done)(struct nvtgt_reactor *reactor);
	void (*flush)(struct nvtgt_reactor *reactor);
	void (*poll)(struct nvtgt_reactor *reactor);
};

/* nvtgt_in_reactor() for the core itself */
static inline bool nvtgt_is_reactor(const struct nvtgt_reactor *reactor)
{
	return in_task() && current == reactor->task;
}

/* How many passes it has made that found something; wraps. Any context. */
static inline unsigned int nvtgt_reactor_passes(const struct nvtgt_reactor *reactor)
{
	return READ_ONCE(reactor->nr_busy);
}

/* Is it asleep, and nothing waits for it? Any context. */
static inline bool nvtgt_reactor_is_idle(const struct nvtgt_reactor *reactor)
{
	return READ_ONCE(reactor->asleep) && llist_empty(&reactor->kicked) &&
	       llist_empty(&reactor->done) && llist_empty(&reactor->calls);
}

/* reactor.c */
void nvtgt_reactor_wake(struct nvtgt_reactor *reactor);

/* place.c: all reactors */
int nvtgt_reactors_init(const struct nvtgt_reactor_hooks *hooks);
void nvtgt_reactors_exit(void);
void nvtgt_reactors_show(struct seq_file *m);

/* wq.c */
extern struct workqueue_struct *nvtgt_wq;
extern struct workqueue_struct *nvtgt_remove_wq;

int nvtgt_wq_init(void);
void nvtgt_wq_exit(void);

#endif /* _NVTGT_ENGINE_H */
