/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reactors: one thread per CPU that owns many queues of any transport.
 */
#ifndef _NVTGT_REACTOR_H
#define _NVTGT_REACTOR_H

#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/types.h>

struct nvtgt_reactor;

/* bits of nvtgt_source.flags */
#define NVTGT_SOURCE_KICKED	0	/* stands in the reactor's list */
#define NVTGT_SOURCE_DEAD	1	/* nvtgt_source_del() was called */

/**
 * struct nvtgt_source - something that a reactor polls for input
 *
 * A socket, a completion queue, a submission queue in guest memory.
 *
 * @receive: bring in what has arrived, as one pass allows. Runs in the reactor
 *	under its block plug; must not block for one queue's sake. Returns true
 *	when more is there at once (the pass's share was used up).
 * @release: the reactor will not touch the source again. Runs in the reactor,
 *	must not sleep; usually queues the work that frees the object. May be
 *	called from within nvtgt_source_del().
 * @move: the source leaves its reactor for @to: take it and its queues out of
 *	the reactor's lists (nvtgt_conn_move(), nvtgt_buf_move()). Commands may
 *	be in flight; their results follow. Runs in the old reactor, must not
 *	sleep. Optional: a source without it stays where it is.
 * @arm: from now on kick the source when something arrives. A source with this is
 *	polled meanwhile: its receive() calls nvtgt_source_poll() when it returns
 *	false, and is called in each pass, without a kick, until the reactor wants to
 *	sleep or the source has brought nothing for a while. Returns true when
 *	something has arrived already: it is received then. Runs in the reactor,
 *	must not sleep. Optional: such a source kicks by itself, always.
 * @arrive: the source is in a reactor: the first one, or after @move. Ask for
 *	again what @move took back. receive() follows. Runs in the new reactor,
 *	must not sleep. Optional.
 * @cpus: where its reactor may run; lives as long as the source. Required.
 * @reactor: the reactor that owns the source; set by nvtgt_source_add(), changed by the old
 *	reactor when the source moves.
 * @node: in the reactor's list of kicked sources (any context adds).
 * @flags: NVTGT_SOURCE_* bits (atomic).
 * @active: in the reactor's list of sources of this pass, or of sources that are
 *	polled (the rest: reactor only).
 * @polled_at: the reactor's busy pass in which it brought something last.
 * @home: in the reactor's list of its sources.
 * @to: the reactor that it is to go to, or has just come to, or NULL.
 * @work: what it has made the reactor do, in no unit: the transport calls
 *	nvtgt_source_work() for each command; wraps.
 * @work_seen: @work when the loads were compared last.
 * @moved: jiffies when it came, never 0; 0: it has not come to its first reactor.
 * @net_cpu: the CPU where its input arrives: at first the CPU of the first reactor, then what
 *	__nvtgt_source_follow() has noted.
 * @elsewhere_cpu: another CPU where its input has arrived lately.
 * @nr_elsewhere: for how many passes in a row it has.
 * @away: not in the reactor of @net_cpu, which had too much to do, or whose CPU was offline:
 *	the source goes there when there is room.
 * @fixed: on its way out: it moves no more.
 */
struct nvtgt_source {
	bool (*receive)(struct nvtgt_source *source);
	void (*release)(struct nvtgt_source *source);
	void (*move)(struct nvtgt_source *source, struct nvtgt_reactor *to);
	void (*arrive)(struct nvtgt_source *source);
	bool (*arm)(struct nvtgt_source *source);
	const struct cpumask *cpus;
	struct nvtgt_reactor *reactor;
	struct llist_node node;
	unsigned long flags;

	struct list_head active;
	unsigned int polled_at;
	struct list_head home;
	struct nvtgt_reactor *to;
	u32 work;
	u32 work_seen;
	unsigned long moved;
	int net_cpu;
	int elsewhere_cpu;
	u16 nr_elsewhere;
	bool away;
	bool fixed;
};

/**
 * struct nvtgt_call - a function to be run once in a reactor
 * @node: in the reactor's list of calls
 * @fn: what to run; must not sleep; may free the object around the call
 */
struct nvtgt_call {
	struct llist_node node;
	void (*fn)(struct nvtgt_call *call);
};

struct nvtgt_reactor *nvtgt_reactor_get(const struct cpumask *cpus, int cpu);
struct nvtgt_reactor *nvtgt_reactor_get_near(const struct cpumask *cpus, int node);
void nvtgt_reactor_put(struct nvtgt_reactor *reactor);
bool nvtgt_in_reactor(const struct nvtgt_reactor *reactor);
int nvtgt_reactor_cpu(const struct nvtgt_reactor *reactor);
int nvtgt_reactor_node(const struct nvtgt_reactor *reactor);
void nvtgt_reactor_call(struct nvtgt_reactor *reactor, struct nvtgt_call *call);
void nvtgt_reactors_sync(void);

void nvtgt_source_add(struct nvtgt_source *source, struct nvtgt_reactor *reactor);
void nvtgt_source_del(struct nvtgt_source *source);
void nvtgt_source_fix(struct nvtgt_source *source);
void nvtgt_source_poll(struct nvtgt_source *source, bool found);
void __nvtgt_source_kick(struct nvtgt_source *source);
void __nvtgt_source_follow(struct nvtgt_source *source, int cpu);

/**
 * nvtgt_source_kick - something may have arrived at a source
 * @source: the source
 *
 * Context: any. The source must not have been released.
 */
static inline void nvtgt_source_kick(struct nvtgt_source *source)
{
	/* fully ordered: what arrived is seen by the reactor, which clears the bit later */
	if (!test_and_set_bit(NVTGT_SOURCE_KICKED, &source->flags))
		__nvtgt_source_kick(source);
}

/**
 * nvtgt_source_follow - tell where a source's input arrives
 * @source: the source
 * @cpu: the CPU, or -1
 *
 * When it has arrived there for a while the source moves to that CPU's reactor, if
 * it may.
 *
 * Context: the reactor, in receive().
 */
static inline void nvtgt_source_follow(struct nvtgt_source *source, int cpu)
{
	if (unlikely(cpu != source->net_cpu))
		__nvtgt_source_follow(source, cpu);
	else if (unlikely(source->nr_elsewhere))
		source->nr_elsewhere = 0;
}

/**
 * nvtgt_source_work - a command of a source has been served
 * @source: the source
 * @bytes: that it moved
 *
 * Context: the reactor.
 */
static inline void nvtgt_source_work(struct nvtgt_source *source, u32 bytes)
{
	source->work += 1 + (bytes >> 14);	/* 16 KiB cost about as much as a command */
}

#endif /* _NVTGT_REACTOR_H */
