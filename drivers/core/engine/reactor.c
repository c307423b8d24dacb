// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Reactors
 *
 * A reactor is one kernel thread, bound to a CPU (while that is online), that owns
 * queues of any transport. All that happens to a queue happens in its reactor, so a queue's
 * state has no lock. Other contexts speak to a reactor through three lock-free lists:
 * sources where something may have arrived (kicked), requests that have their
 * result (done), and functions to be run once (calls). The thread is woken by an
 * addition to an empty list, and only if it sleeps.
 *
 * One pass: run the calls; under one block plug let each active source bring in
 * what is there; take all results and hand them to their transports; let each
 * queue that has something to send flush it, once. Commands that are completed
 * while a source is receiving (a cached or null device) are answered in the same
 * pass. What requests and queues are, the reactor does not know: it looks whether the
 * lists of them are empty, and calls struct nvtgt_reactor_hooks.
 *
 * A source that can be told when to kick (a completion queue) is not armed while
 * the thread runs: each pass, and the spinning, polls it. It is armed before the
 * thread sleeps, or when other sources keep the thread busy and it brings nothing.
 *
 * When a pass finds nothing the thread spins for a learned time if no other task
 * waits for the CPU, then sleeps. The pool of data pages
 * (pool.c) belongs to the reactor as well; a reactor that has slept for a second
 * gives its pages back.
 *
 * A source may move to another reactor while its commands are in flight (place.c
 * says when and where): it goes when a kick of it is taken. Results that come to
 * the old reactor are passed on.
 *
 * A source leaves with nvtgt_source_del(), called in the reactor when no context kicks
 * the source any more, which its owner has made sure of (conn.c for connections). If a
 * kick is still listed, release() waits until the thread has taken the list.
 */
#include <linux/blkdev.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include "reactor.h"

static unsigned int spin_us = 20;
module_param(spin_us, uint, 0644);
MODULE_PARM_DESC(spin_us, "longest time in us that an idle reactor spins before it sleeps (0: never)");

/* A try to spin every so many sleeps, when the last tries found nothing. */
#define NVTGT_SPIN_RETRY	64

#define NVTGT_UNARMED_PASSES	8	/* busy passes that a source is polled in vain */

#define NVTGT_POLL_NS		NSEC_PER_MSEC	/* polled without a pause and in vain at most */
#define NVTGT_POLL_PAUSE_NS	(100 * NSEC_PER_USEC)

/* what a pass does for queues and requests; set once, before the first reactor */
static const struct nvtgt_reactor_hooks *nvtgt_hooks __read_mostly;

/**
 * nvtgt_reactor_set_hooks - say what a pass does for queues and requests
 * @hooks: lives as long as the reactors do
 *
 * Context: before the first reactor is created.
 */
void nvtgt_reactor_set_hooks(const struct nvtgt_reactor_hooks *hooks)
{
	nvtgt_hooks = hooks;
}

/**
 * nvtgt_reactor_wake - another context has added to one of the reactor's lists
 * @reactor: the reactor
 *
 * Context: any. The addition to the list must be fully ordered (llist_add() is).
 */
void nvtgt_reactor_wake(struct nvtgt_reactor *reactor)
{
	if (READ_ONCE(reactor->asleep))
		wake_up_process(reactor->task);
}

/**
 * nvtgt_in_reactor - is this the reactor's own thread?
 * @reactor: the reactor
 *
 * Return: true in the thread itself, false in an interrupt on top of it
 */
bool nvtgt_in_reactor(const struct nvtgt_reactor *reactor)
{
	return nvtgt_is_reactor(reactor);
}
EXPORT_SYMBOL_GPL(nvtgt_in_reactor);

/**
 * nvtgt_reactor_cpu - the CPU of a reactor
 * @reactor: the reactor
 *
 * Return: a CPU's number; no two reactors have the same
 */
int nvtgt_reactor_cpu(const struct nvtgt_reactor *reactor)
{
	return reactor->cpu;
}
EXPORT_SYMBOL_GPL(nvtgt_reactor_cpu);

/**
 * nvtgt_reactor_node - the NUMA node of a reactor's CPU
 * @reactor: the reactor
 *
 * Return: a node, for allocations
 */
int nvtgt_reactor_node(const struct nvtgt_reactor *reactor)
{
	return reactor->node;
}
EXPORT_SYMBOL_GPL(nvtgt_reactor_node);

/**
 * nvtgt_reactor_call - run a function in the reactor
 * @reactor: the reactor
 * @call: the function; the object must live until it has run
 *
 * Context: any. Calls run in the order in which they were made.
 */
void nvtgt_reactor_call(struct nvtgt_reactor *reactor, struct nvtgt_call *call)
{
	if (llist_add(&call->node, &reactor->calls))
		nvtgt_reactor_wake(reactor);
}
EXPORT_SYMBOL_GPL(nvtgt_reactor_call);

/**
 * __nvtgt_source_kick - put a source into its reactor's list
 * @source: the source, whose NVTGT_SOURCE_KICKED the caller has just set
 *
 * Context: any.
 */
void __nvtgt_source_kick(struct nvtgt_source *source)
{
	struct nvtgt_reactor *reactor = source->reactor;

	if (llist_add(&source->node, &reactor->kicked))
		nvtgt_reactor_wake(reactor);
}
EXPORT_SYMBOL_GPL(__nvtgt_source_kick);

/**
 * nvtgt_source_add - give a source to a reactor
 * @source: zeroed, with its functions and cpus set; NVTGT_SOURCE_KICKED may be set,
 *	so that kicks count for nothing before __nvtgt_source_kick()
 * @reactor: the reactor that will own it
 *
 * Context: any, before the first kick.
 */
void nvtgt_source_add(struct nvtgt_source *source, struct nvtgt_reactor *reactor)
{
	source->reactor = reactor;
	source->to = reactor;
	source->net_cpu = reactor->cpu;
	INIT_LIST_HEAD(&source->active);
	INIT_LIST_HEAD(&source->home);
}
EXPORT_SYMBOL_GPL(nvtgt_source_add);

/**
 * nvtgt_source_del - take a source from its reactor
 * @source: the source; no context kicks it any more
 *
 * source->release() is called here, or as soon as the thread has taken a kick
 * that is still listed.
 *
 * Context: the reactor.
 */
void nvtgt_source_del(struct nvtgt_source *source)
{
	WARN_ON_ONCE(!nvtgt_in_reactor(source->reactor));
	list_del_init(&source->active);
	list_del_init(&source->home);
	set_bit(NVTGT_SOURCE_DEAD, &source->flags);
	if (!test_bit(NVTGT_SOURCE_KICKED, &source->flags))
		source->release(source);
}
EXPORT_SYMBOL_GPL(nvtgt_source_del);

/**
 * nvtgt_source_fix - a source is on its way out: it stays in its reactor
 * @source: the source
 *
 * From here on its reactor is the one that nvtgt_source_del() must be called in.
 *
 * Context: the reactor.
 */
void nvtgt_source_fix(struct nvtgt_source *source)
{
	source->fixed = true;
	source->away = false;
	source->to = NULL;
}
EXPORT_SYMBOL_GPL(nvtgt_source_fix);

/**
 * nvtgt_source_poll - a source wants to be polled, not armed yet
 * @source: with arm(); its receive() is about to return false
 * @found: whether it has brought in anything
 *
 * Context: the reactor, in receive().
 */
void nvtgt_source_poll(struct nvtgt_source *source, bool found)
{
	struct nvtgt_reactor *reactor = source->reactor;

	if (found)
		source->polled_at = reactor->nr_busy;
	if (reactor->nr_busy - source->polled_at <= NVTGT_UNARMED_PASSES)
		list_move_tail(&source->active, &reactor->unarmed);
	else if (source->arm(source))
		list_move_tail(&source->active, &reactor->active);
}
EXPORT_SYMBOL_GPL(nvtgt_source_poll);

/* Before the thread sleeps: all polled sources kick from now on when something arrives. */
static void nvtgt_reactor_arm(struct nvtgt_reactor *reactor)
{
	while (!list_empty(&reactor->unarmed)) {
		struct nvtgt_source *source;

		source = list_first_entry(&reactor->unarmed, struct nvtgt_source, active);
		list_del_init(&source->active);
		if (source->arm(source))
			list_add_tail(&source->active, &reactor->active);
	}
}

/**
 * nvtgt_source_move - send a source to another reactor
 * @source: the source
 * @to: the reactor
 *
 * It goes when the reactor takes this kick from its list: until then no other kick adds it
 * to one.
 *
 * Context: the reactor of the source.
 */
void nvtgt_source_move(struct nvtgt_source *source, struct nvtgt_reactor *to)
{
	if (source->fixed || !source->move || to == source->reactor)
		return;
	source->to = to;
	nvtgt_source_kick(source);
}

/* Takes a list, the oldest first. A look costs less than the exchange. */
static struct llist_node *nvtgt_take_all(struct llist_head *head)
{
	return llist_empty(head) ? NULL : llist_reverse_order(llist_del_all(head));
}

/* Runs the calls that were there when it began. */
static void nvtgt_reactor_run_calls(struct nvtgt_reactor *reactor)
{
	struct llist_node *list = nvtgt_take_all(&reactor->calls);
	struct nvtgt_call *call, *next;

	llist_for_each_entry_safe(call, next, list, node)
		call->fn(call);
}

/*
 * A kicked source that has come, or that is to go. NVTGT_SOURCE_KICKED is set, so no other
 * context adds the source to a list, or reads source->reactor, before the new reactor has
 * cleared the bit. Returns whether the source has gone.
 */
static bool nvtgt_source_pass_on(struct nvtgt_reactor *reactor, struct nvtgt_source *source)
{
	struct nvtgt_reactor *to = source->to;

	if (to == reactor) {
		source->to = NULL;
		reactor->nr_moved += source->moved != 0;	/* 0: its first reactor */
		source->moved = jiffies | 1;
		list_add_tail(&source->home, &reactor->sources);
		nvtgt_place_arrived(source);
		if (source->arrive)
			source->arrive(source);
		return false;
	}
	list_del_init(&source->active);
	list_del_init(&source->home);
	/* before its queues go: the new reactor may end them before the kick is there */
	source->reactor = to;
	atomic_dec(&reactor->users);
	atomic_inc(&to->users);
	source->move(source, to);
	__nvtgt_source_kick(source);
	return true;
}

/* Moves kicked sources to the active list. */
static void nvtgt_reactor_take_kicks(struct nvtgt_reactor *reactor)
{
	struct llist_node *list = nvtgt_take_all(&reactor->kicked);
	struct nvtgt_source *source, *next;

	llist_for_each_entry_safe(source, next, list, node) {
		if (test_bit(NVTGT_SOURCE_DEAD, &source->flags)) {
			source->release(source);
			continue;
		}
		if (unlikely(source->to) && nvtgt_source_pass_on(reactor, source))
			continue;
		/* cleared before receive() looks: what comes later kicks again */
		clear_bit(NVTGT_SOURCE_KICKED, &source->flags);
		smp_mb__after_atomic();	/* pairs with nvtgt_source_kick() */
		if (list_empty(&source->active))
			list_add_tail(&source->active, &reactor->active);
	}
}

/* Lets each active source receive once, and each that is polled. */
static void nvtgt_reactor_receive(struct nvtgt_reactor *reactor)
{
	struct nvtgt_source *source;
	LIST_HEAD(turn);

	if (list_empty(&reactor->active) && list_empty(&reactor->unarmed))
		return;

	list_splice_init(&reactor->active, &turn);
	list_splice_tail_init(&reactor->unarmed, &turn);
	blk_start_plug(&reactor->plug);
	while (!list_empty(&turn)) {
		source = list_first_entry(&turn, struct nvtgt_source, active);
		list_del_init(&source->active);
		/* a source that returns false may be gone */
		if (source->receive(source))
			list_add_tail(&source->active, &reactor->active);
	}
	blk_finish_plug(&reactor->plug);
}

/* One pass. */
static void nvtgt_reactor_pass(struct nvtgt_reactor *reactor)
{
	nvtgt_reactor_run_calls(reactor);
	nvtgt_reactor_take_kicks(reactor);
	nvtgt_reactor_receive(reactor);
	if (unlikely(!list_empty(&reactor->polled)))
		nvtgt_hooks->poll(reactor);
	if (!llist_empty(&reactor->done) || !list_empty(&reactor->local_done))
		nvtgt_hooks->take_done(reactor);
	if (!list_empty(&reactor->flush))
		nvtgt_hooks->flush(reactor);
	nvtgt_pool_service(reactor);
}

/* Is there anything for a pass? Costs no exchange, so it is asked before each. */
static __always_inline bool nvtgt_reactor_has_work(struct nvtgt_reactor *reactor)
{
	return !llist_empty(&reactor->kicked) || !llist_empty(&reactor->done) ||
	       !llist_empty(&reactor->calls) || !list_empty(&reactor->active) ||
	       !list_empty(&reactor->local_done) || !list_empty(&reactor->flush) ||
	       READ_ONCE(reactor->credit_back) || READ_ONCE(reactor->retry_due);
}

/*
 * Spins for as long as experience says that it pays. The time doubles with each
 * success up to the parameter, and halves with each failure; once it is zero, one
 * sleep in NVTGT_SPIN_RETRY tries again.
 */
static bool nvtgt_reactor_spin(struct nvtgt_reactor *reactor)
{
	u32 max_ns = min(READ_ONCE(spin_us), 1000U) * NSEC_PER_USEC;
	u64 begin, now;

	/* need_resched() is not enough: it comes when another task has waited for its slice */
	if (!max_ns || num_online_cpus() == 1 || !single_task_running())
		return false;
	if (!reactor->spin_ns) {
		if (++reactor->spin_skip < NVTGT_SPIN_RETRY)
			return false;
		reactor->spin_skip = 0;
		reactor->spin_ns = max_ns;
	}

	begin = local_clock();
	now = begin;
	while (!need_resched() && single_task_running() && now - begin < reactor->spin_ns) {
		if (nvtgt_reactor_has_work(reactor)) {
			reactor->spin_ns = min(reactor->spin_ns * 2, max_ns);
			reactor->spun_ns += now - begin;
			return true;
		}
		cpu_relax();
		if (!list_empty(&reactor->unarmed))
			nvtgt_reactor_receive(reactor);
		now = local_clock();
	}
	reactor->spun_ns += now - begin;
	reactor->spin_ns /= 2;
	if (reactor->spin_ns < NSEC_PER_USEC)
		reactor->spin_ns = 0;
	return false;
}

static void nvtgt_reactor_trim_timer(struct timer_list *timer)
{
	struct nvtgt_reactor *reactor = container_of(timer, struct nvtgt_reactor, trim_timer);

	WRITE_ONCE(reactor->trim_due, true);
	smp_mb();	/* trim_due is set before the look at asleep */
	nvtgt_reactor_wake(reactor);
}

/* trim_timer has fired: if no pass has found anything since it was set, the pages go back. */
static void nvtgt_reactor_trim(struct nvtgt_reactor *reactor)
{
	WRITE_ONCE(reactor->trim_due, false);
	/* the reactor has slept: connections may have come to wait for credit that it keeps */
	nvtgt_pool_service(reactor);
	nvtgt_pool_look(reactor);
	if (reactor->trim_busy == reactor->nr_busy)
		nvtgt_pool_trim(reactor);
	else
		nvtgt_pool_decay(reactor);
}

/* One timer a second at most, not one per sleep. */
static void nvtgt_reactor_set_trim(struct nvtgt_reactor *reactor)
{
	if (!timer_pending(&reactor->trim_timer) && nvtgt_pool_holds(reactor)) {
		reactor->trim_busy = reactor->nr_busy;
		mod_timer(&reactor->trim_timer, jiffies + HZ);
	}
}

/*
 * Nothing to do but to poll: at first without a pause, for that is what poll queues
 * are for, then, a device may have stalled, between sleeps.
 */
static void nvtgt_reactor_poll_wait(struct nvtgt_reactor *reactor)
{
	u64 begin = local_clock(), now = begin;
	ktime_t pause = NVTGT_POLL_PAUSE_NS;

	nvtgt_reactor_arm(reactor);
	if (!reactor->poll_since)
		reactor->poll_since = begin;
	while (now - reactor->poll_since < NVTGT_POLL_NS) {
		nvtgt_hooks->poll(reactor);
		now = local_clock();
		if (nvtgt_reactor_has_work(reactor) || list_empty(&reactor->polled)) {
			reactor->spun_ns += now - begin;
			return;
		}
		cpu_relax();
		cond_resched_tasks_rcu_qs();
	}
	reactor->spun_ns += now - begin;

	nvtgt_reactor_set_trim(reactor);
	WRITE_ONCE(reactor->asleep, 1);
	set_current_state(TASK_IDLE);	/* a full barrier: asleep before the look */
	if (!nvtgt_reactor_has_work(reactor) && !READ_ONCE(reactor->trim_due))
		schedule_hrtimeout_range(&pause, pause / 2, HRTIMER_MODE_REL);
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(reactor->asleep, 0);
	nvtgt_hooks->poll(reactor);
}

/* Returns whether the thread is to end. */
static bool nvtgt_reactor_sleep(struct nvtgt_reactor *reactor)
{
	bool stop;

	nvtgt_reactor_arm(reactor);
	nvtgt_reactor_set_trim(reactor);
	WRITE_ONCE(reactor->asleep, 1);
	set_current_state(TASK_IDLE);	/* a full barrier: asleep before the look */
	stop = kthread_should_stop();
	if (!nvtgt_reactor_has_work(reactor) && !READ_ONCE(reactor->trim_due) && !stop)
		schedule();
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(reactor->asleep, 0);
	return stop;
}

static int nvtgt_reactor_thread(void *data)
{
	struct nvtgt_reactor *reactor = data;

	/*
	 * Reclaim may write to a disk of this target, when the host is this machine. So no
	 * allocation in a reactor or a worker may wait for reclaim's I/O.
	 */
	memalloc_noio_save();
	for (;;) {
		while (nvtgt_reactor_has_work(reactor)) {
			nvtgt_reactor_pass(reactor);
			WRITE_ONCE(reactor->nr_busy, reactor->nr_busy + 1);
			/* tracers wait for RCU-tasks, which a busy thread must not hold up */
			cond_resched_tasks_rcu_qs();
		}
		if (unlikely(READ_ONCE(reactor->trim_due)))
			nvtgt_reactor_trim(reactor);
		if (unlikely(!list_empty(&reactor->polled)))
			nvtgt_reactor_poll_wait(reactor);
		else if (!nvtgt_reactor_spin(reactor) && nvtgt_reactor_sleep(reactor))
			return 0;
	}
}

/**
 * nvtgt_reactor_create - start the reactor of a CPU
 * @cpu: the CPU
 *
 * Context: process, may sleep.
 * Return: the reactor, or an ERR_PTR
 */
struct nvtgt_reactor *nvtgt_reactor_create(int cpu)
{
	struct nvtgt_reactor *reactor;
	int ret = -ENOMEM;

	reactor = kzalloc_node(sizeof(*reactor), GFP_KERNEL, cpu_to_node(cpu));
	if (!reactor)
		return ERR_PTR(-ENOMEM);
	reactor->cpu = cpu;
	reactor->node = cpu_to_node(cpu);
	init_llist_head(&reactor->kicked);
	init_llist_head(&reactor->done);
	init_llist_head(&reactor->calls);
	reactor->balance.fn = nvtgt_balance_call;
	reactor->review.fn = nvtgt_place_review_call;
	INIT_LIST_HEAD(&reactor->active);
	INIT_LIST_HEAD(&reactor->unarmed);
	INIT_LIST_HEAD(&reactor->sources);
	INIT_LIST_HEAD(&reactor->polled);
	INIT_LIST_HEAD(&reactor->local_done);
	INIT_LIST_HEAD(&reactor->flush);
	timer_setup(&reactor->trim_timer, nvtgt_reactor_trim_timer, 0);
	if (nvtgt_pool_init(reactor))
		goto free;

	reactor->task = kthread_create_on_node(nvtgt_reactor_thread, reactor, reactor->node,
					       "nvtgt/%d", cpu);
	if (IS_ERR(reactor->task)) {
		ret = PTR_ERR(reactor->task);
		goto free_pool;
	}
	kthread_bind(reactor->task, cpu);
	wake_up_process(reactor->task);
	return reactor;

free_pool:
	nvtgt_pool_exit(reactor);
free:
	kfree(reactor);
	return ERR_PTR(ret);
}

/**
 * nvtgt_reactor_bind - the reactor's CPU is online: its thread runs there, and there only
 * @reactor: the reactor
 *
 * The scheduler has let the thread run anywhere since the CPU went offline, if it had
 * something to do meanwhile. Should the CPU be on its way out again this does nothing;
 * it is called anew when the CPU has come back.
 *
 * Context: process, may sleep; also in the CPU's hotplug callback.
 */
void nvtgt_reactor_bind(struct nvtgt_reactor *reactor)
{
	set_cpus_allowed_ptr(reactor->task, cpumask_of(reactor->cpu));
}

/**
 * nvtgt_reactor_destroy - stop a reactor
 * @reactor: without queues; no context adds to its lists any more
 *
 * Context: process, may sleep.
 */
void nvtgt_reactor_destroy(struct nvtgt_reactor *reactor)
{
	WARN_ON_ONCE(atomic_read(&reactor->users));
	kthread_stop(reactor->task);
	timer_delete_sync(&reactor->trim_timer);
	nvtgt_pool_exit(reactor);
	kfree(reactor);
}
