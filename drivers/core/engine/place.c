// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Placement
 *
 * Which reactor a source belongs to. It begins, and stays, where its input arrives:
 * the interrupt, TCP's work and ours then share a CPU's caches, and a wake-up is no
 * interrupt of another CPU. Three things say otherwise:
 *
 *  - the port's CPUs (param_cpus): where the input arrives elsewhere, the reactor
 *    with the fewest users on one of these CPUs takes it, of the same node if it can
 *  - the network changes its mind: after NVTGT_ELSEWHERE_PASSES passes in a row with
 *    input from another CPU the source follows, at most once in NVTGT_MOVE_PAUSE
 *  - a reactor that has too much to do: every balance_ms the loads are measured, and
 *    one above balance_load gives sources to those that have less to do, as long as
 *    that makes them more equal. Such a source goes home when there is room again.
 *
 * A reactor's load is the time that it ran or waited for its CPU, without the time
 * that it spun; what part of it a source has is told by its count of commands and
 * bytes. A work item measures the loads; each reactor compares them and decides about
 * its own sources, so that nothing here takes a lock in a reactor.
 *
 * When a CPU goes offline its reactor sends the sources that can move to reactors of the
 * CPUs that are left; a source that was on its way to it is sent on when it arrives. A
 * source that cannot move (RDMA) stays with the thread, which the scheduler lets run
 * anywhere meanwhile. When the CPU is back the thread is bound to it again, and sources
 * that went to CPUs outside their port's come back at once, the other sources as if they
 * had been given away for too high a load.
 */
#include <linux/completion.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/workqueue.h>
#include "reactor.h"

static unsigned int balance_ms = 1000;
module_param(balance_ms, uint, 0644);
MODULE_PARM_DESC(balance_ms, "time in ms between two looks at the reactors' loads (0: queues stay where their input arrives)");

static unsigned int balance_load = 80;
module_param(balance_load, uint, 0644);
MODULE_PARM_DESC(balance_load, "load in per cent of a CPU from which a reactor gives queues to other reactors (1 to 100)");

/* Loads are in thousandths of a per cent: one of a thousand sources counts as well. */
#define NVTGT_LOAD_PERCENT	1000U

#define NVTGT_ELSEWHERE_PASSES	64
#define NVTGT_MOVE_PAUSE	(HZ / 20)
#define NVTGT_BALANCE_MIN_MS	10U
#define NVTGT_BALANCE_MAX_MS	60000U
#define NVTGT_BALANCE_MOVES	16	/* at a time */

static DEFINE_MUTEX(nvtgt_place_mutex);		/* protects nvtgt_balanced_at, new reactors */
static struct nvtgt_reactor **nvtgt_reactors;	/* by CPU; they stay until the module goes */
static u64 nvtgt_balanced_at;			/* ns */
static struct cpumask nvtgt_wanted;		/* CPUs that need a reactor; atomic bits */
static struct cpumask nvtgt_cpus;		/* CPUs that sources may be given to; atomic bits */
static enum cpuhp_state nvtgt_cpuhp_state;

static void nvtgt_balance_work(struct work_struct *work);
static void nvtgt_start_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(nvtgt_balance, nvtgt_balance_work);
static DECLARE_WORK(nvtgt_start, nvtgt_start_work);

/* The load from which on a reactor gives sources away. */
static unsigned int nvtgt_load_full(void)
{
	return clamp(READ_ONCE(balance_load), 1U, 100U) * NVTGT_LOAD_PERCENT;
}

/* The reactor of a CPU if it has been started. Any context. */
static struct nvtgt_reactor *nvtgt_reactor_of(int cpu)
{
	/* pairs with nvtgt_reactor_start(): it has been set up */
	return smp_load_acquire(&nvtgt_reactors[cpu]);
}

/* The same, started if need be. */
static struct nvtgt_reactor *nvtgt_reactor_start(int cpu)
{
	struct nvtgt_reactor *reactor = nvtgt_reactors[cpu];

	lockdep_assert_held(&nvtgt_place_mutex);
	if (!reactor) {
		reactor = nvtgt_reactor_create(cpu);
		if (IS_ERR(reactor))
			return reactor;
		/* pairs with nvtgt_reactor_of() */
		smp_store_release(&nvtgt_reactors[cpu], reactor);
		/* nvtgt_cpu_online() may have run since, and have found no reactor to bind */
		smp_mb();	/* pairs with nvtgt_cpu_online() */
		if (cpumask_test_cpu(cpu, &nvtgt_cpus))
			nvtgt_reactor_bind(reactor);
	}
	return reactor;
}

/* The reactor looks whether its sources are where they may be. Any context. */
static void nvtgt_place_review(struct nvtgt_reactor *reactor)
{
	if (!atomic_xchg(&reactor->reviewing, 1))
		nvtgt_reactor_call(reactor, &reactor->review);
}

/* All reactors: CPUs have come or gone, or there are new reactors to move sources to. */
static void nvtgt_place_review_all(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct nvtgt_reactor *reactor = nvtgt_reactor_of(cpu);

		if (reactor && atomic_read(&reactor->users))
			nvtgt_place_review(reactor);
	}
}

/* Starts the reactors that nvtgt_want_reactor() asked for. */
static void nvtgt_start_work(struct work_struct *work)
{
	unsigned int noio = memalloc_noio_save();	/* new connections wait for the mutex */
	bool review = false;
	int cpu;

	mutex_lock(&nvtgt_place_mutex);
	for_each_cpu(cpu, &nvtgt_wanted) {
		cpumask_clear_cpu(cpu, &nvtgt_wanted);
		if (cpumask_test_cpu(cpu, &nvtgt_cpus) && !IS_ERR(nvtgt_reactor_start(cpu)))
			review = true;
	}
	mutex_unlock(&nvtgt_place_mutex);
	/* a reactor whose CPU is offline may have sources for the new reactors */
	if (review)
		nvtgt_place_review_all();
	memalloc_noio_restore(noio);
}

/* Has the reactor of a CPU started; a later look finds it. Any context. */
static void nvtgt_want_reactor(int cpu)
{
	cpumask_set_cpu(cpu, &nvtgt_wanted);
	queue_work(nvtgt_wq, &nvtgt_start);
}

/* Of the CPUs that are allowed and online, the one with the fewest users, or -1. */
static int nvtgt_place_least(const struct cpumask *cpus, int node)
{
	unsigned int least = UINT_MAX;
	int i, best = -1;

	for_each_cpu_and(i, cpus, &nvtgt_cpus) {
		struct nvtgt_reactor *reactor = nvtgt_reactor_of(i);
		unsigned int users = reactor ? atomic_read(&reactor->users) : 0;

		users = users * 2 + (node != NUMA_NO_NODE && cpu_to_node(i) != node);
		if (users < least) {
			least = users;
			best = i;
		}
	}
	return best;
}

static bool nvtgt_place_allows(const struct cpumask *cpus, int cpu)
{
	return cpu >= 0 && cpu < nr_cpu_ids && cpumask_test_cpu(cpu, &nvtgt_cpus) &&
	       cpumask_test_cpu(cpu, cpus);
}

/* The best CPU for input that arrives at @cpu, or, if that is -1, at @node. */
static int nvtgt_place_choose(const struct cpumask *cpus, int cpu, int node)
{
	int best;

	if (nvtgt_place_allows(cpus, cpu))
		return cpu;
	best = nvtgt_place_least(cpus, cpu >= 0 && cpu < nr_cpu_ids ? cpu_to_node(cpu) : node);
	/* all CPUs that are allowed are offline */
	if (best < 0)
		best = nvtgt_place_least(cpu_possible_mask, node);
	return best >= 0 ? best : cpumask_first(cpu_online_mask);
}

static struct nvtgt_reactor *nvtgt_reactor_take(const struct cpumask *cpus, int cpu, int node)
{
	struct nvtgt_reactor *reactor;

	mutex_lock(&nvtgt_place_mutex);
	reactor = nvtgt_reactor_start(nvtgt_place_choose(cpus, cpu, node));
	if (!IS_ERR(reactor)) {
		atomic_inc(&reactor->users);
		queue_delayed_work(nvtgt_wq, &nvtgt_balance,
				   msecs_to_jiffies(NVTGT_BALANCE_MIN_MS));
	}
	mutex_unlock(&nvtgt_place_mutex);
	return reactor;
}

/**
 * nvtgt_reactor_get - a reactor for one more queue
 * @cpus: where it may run
 * @cpu: the CPU where the queue's input arrives, or -1
 *
 * A thread is started when the first queue needs it.
 *
 * Context: process, may sleep.
 * Return: the reactor, to be given back with nvtgt_reactor_put(), or an ERR_PTR
 */
struct nvtgt_reactor *nvtgt_reactor_get(const struct cpumask *cpus, int cpu)
{
	return nvtgt_reactor_take(cpus, cpu, NUMA_NO_NODE);
}
EXPORT_SYMBOL_GPL(nvtgt_reactor_get);

/**
 * nvtgt_reactor_get_near - a reactor for a queue whose input arrives where we say
 * @cpus: where it may run
 * @node: NUMA node of the device, or NUMA_NO_NODE
 *
 * The one with the fewest users, of the node if it can. A thread is started when
 * the first queue needs it.
 *
 * Context: process, may sleep.
 * Return: the reactor, to be given back with nvtgt_reactor_put(), or an ERR_PTR
 */
struct nvtgt_reactor *nvtgt_reactor_get_near(const struct cpumask *cpus, int node)
{
	return nvtgt_reactor_take(cpus, -1, node);
}
EXPORT_SYMBOL_GPL(nvtgt_reactor_get_near);

/**
 * nvtgt_reactor_put - give a queue's reactor back
 * @reactor: the reactor that the queue belonged to last
 *
 * The thread stays, asleep, until the module is unloaded.
 *
 * Context: any.
 */
void nvtgt_reactor_put(struct nvtgt_reactor *reactor)
{
	WARN_ON_ONCE(atomic_dec_return(&reactor->users) < 0);
}
EXPORT_SYMBOL_GPL(nvtgt_reactor_put);

/**
 * __nvtgt_source_follow - the input of a source has arrived at another CPU than usual
 * @source: the source
 * @cpu: the CPU, or -1
 *
 * Context: the reactor, in receive().
 */
void __nvtgt_source_follow(struct nvtgt_source *source, int cpu)
{
	struct nvtgt_reactor *to;
	int best;

	if (cpu != source->elsewhere_cpu || !source->nr_elsewhere) {
		source->elsewhere_cpu = cpu;
		source->nr_elsewhere = 1;
		return;
	}
	if (source->nr_elsewhere < NVTGT_ELSEWHERE_PASSES) {
		source->nr_elsewhere++;
		return;
	}
	if (cpu < 0 || cpu >= nr_cpu_ids ||
	    time_before(jiffies, source->moved + NVTGT_MOVE_PAUSE))
		return;

	source->nr_elsewhere = 0;
	best = source->reactor->cpu;
	if (cpumask_test_cpu(cpu, source->cpus) || !nvtgt_place_allows(source->cpus, best))
		best = nvtgt_place_choose(source->cpus, cpu, NUMA_NO_NODE);
	to = nvtgt_reactor_of(best);
	if (!to) {
		nvtgt_want_reactor(best);
		return;
	}
	source->net_cpu = cpu;
	source->away = false;
	nvtgt_source_move(source, to);
}
EXPORT_SYMBOL_GPL(__nvtgt_source_follow);

/* A source whose reactor's CPU is offline, or not one of the port's, goes where it may be. */
static void nvtgt_place_review_one(struct nvtgt_reactor *reactor, struct nvtgt_source *source)
{
	struct nvtgt_reactor *to;
	int best;

	if (source->to || source->fixed || !source->move ||
	    nvtgt_place_allows(source->cpus, reactor->cpu))
		return;
	/* no CPU of the port's is online: the source stays where it is */
	if (!cpumask_intersects(source->cpus, &nvtgt_cpus) &&
	    cpumask_test_cpu(reactor->cpu, &nvtgt_cpus))
		return;
	best = nvtgt_place_choose(source->cpus, source->net_cpu, reactor->node);
	to = nvtgt_reactor_of(best);
	if (!to) {
		nvtgt_want_reactor(best);
		return;
	}
	source->away = to->cpu != source->net_cpu;
	nvtgt_source_move(source, to);
}

/**
 * nvtgt_place_review_call - CPUs have come or gone
 * @call: a reactor's
 *
 * Context: the reactor.
 */
void nvtgt_place_review_call(struct nvtgt_call *call)
{
	struct nvtgt_reactor *reactor = container_of(call, struct nvtgt_reactor, review);
	struct nvtgt_source *source;

	/* before the look: what changes from here on is looked at again */
	atomic_xchg(&reactor->reviewing, 0);
	list_for_each_entry(source, &reactor->sources, home)
		nvtgt_place_review_one(reactor, source);
}

/**
 * nvtgt_place_arrived - a source has come to a reactor, and stands in its list
 * @source: the source
 *
 * The source may have been sent before a CPU came or went, and have come after the reactor
 * had looked at its sources for that reason.
 *
 * Context: the reactor of the source.
 */
void nvtgt_place_arrived(struct nvtgt_source *source)
{
	if (unlikely(!nvtgt_place_allows(source->cpus, source->reactor->cpu)))
		nvtgt_place_review(source->reactor);
}

/*
 * A CPU has come online: the hotplug thread on that CPU. A lock that another thread holds
 * while it waits for a CPU to come or go must not be taken here or in nvtgt_cpu_offline().
 */
static int nvtgt_cpu_online(unsigned int cpu)
{
	struct nvtgt_reactor *reactor;

	cpumask_set_cpu(cpu, &nvtgt_cpus);
	smp_mb();	/* pairs with nvtgt_reactor_start() */
	reactor = nvtgt_reactor_of(cpu);
	if (reactor)
		nvtgt_reactor_bind(reactor);
	nvtgt_place_review_all();
	return 0;
}

/* A CPU is about to go offline; the scheduler runs its reactor's thread elsewhere already. */
static int nvtgt_cpu_offline(unsigned int cpu)
{
	cpumask_clear_cpu(cpu, &nvtgt_cpus);
	smp_mb__after_atomic();	/* before the reactors look */
	nvtgt_place_review_all();
	return 0;
}

/* What a source has done since the loads were compared last. */
static u32 nvtgt_source_share(const struct nvtgt_source *source)
{
	return source->work - source->work_seen;
}

/* A CPU whose reactor may take a source. */
struct nvtgt_balance_place {
	const struct cpumask *cpus;	/* the mask that it was looked up for */
	int cpu;			/* -1: none */
	unsigned int load;
};

/* The reactor with the least load, of those a source may go to. */
static void nvtgt_balance_find(struct nvtgt_balance_place *place, const struct cpumask *cpus)
{
	int cpu;

	if (place->cpus == cpus)
		return;
	place->cpus = cpus;
	place->cpu = -1;
	place->load = UINT_MAX;
	for_each_cpu_and(cpu, cpus, &nvtgt_cpus) {
		struct nvtgt_reactor *reactor = nvtgt_reactor_of(cpu);
		unsigned int load = reactor ? READ_ONCE(reactor->load) : 0;

		if (load < place->load) {
			place->load = load;
			place->cpu = cpu;
		}
	}
}

/* Sends the source away whose going makes most of a difference. */
static bool nvtgt_balance_give_one(struct nvtgt_reactor *reactor, u64 total)
{
	struct nvtgt_source *source, *best = NULL;
	struct nvtgt_balance_place place = {};
	unsigned int load, own = READ_ONCE(reactor->load), best_load = 0;
	struct nvtgt_reactor *to;
	int best_cpu = -1;

	list_for_each_entry(source, &reactor->sources, home) {
		load = div64_u64((u64)nvtgt_source_share(source) * reactor->measured, total);
		if (load <= best_load || source->to || source->fixed || !source->move)
			continue;
		nvtgt_balance_find(&place, source->cpus);
		/* not if the other reactor had more to do than this one then */
		if (place.cpu < 0 || place.load + 2 * load > own)
			continue;
		best = source;
		best_load = load;
		best_cpu = place.cpu;
	}
	if (!best)
		return false;
	to = nvtgt_reactor_of(best_cpu);
	if (!to) {
		nvtgt_want_reactor(best_cpu);
		return false;
	}
	/* until they are measured again */
	WRITE_ONCE(reactor->load, own - best_load);
	WRITE_ONCE(to->load, READ_ONCE(to->load) + best_load);
	best->away = to->cpu != best->net_cpu;
	nvtgt_source_move(best, to);
	return true;
}

/* One source that is away goes home, if its home reactor has room for it. */
static void nvtgt_balance_go_home(struct nvtgt_reactor *reactor, u64 total)
{
	struct nvtgt_source *source;

	list_for_each_entry(source, &reactor->sources, home) {
		struct nvtgt_reactor *home;
		u64 load;

		if (!source->away || source->fixed || source->to ||
		    !nvtgt_place_allows(source->cpus, source->net_cpu))
			continue;
		home = nvtgt_reactor_of(source->net_cpu);
		if (!home)
			continue;
		load = div64_u64((u64)nvtgt_source_share(source) * reactor->measured, total);
		if (load + READ_ONCE(home->load) > nvtgt_load_full() / 2)
			continue;
		source->away = false;
		nvtgt_source_move(source, home);
		return;
	}
}

/**
 * nvtgt_balance_call - the loads have been measured
 * @call: a reactor's
 *
 * Context: the reactor.
 */
void nvtgt_balance_call(struct nvtgt_call *call)
{
	struct nvtgt_reactor *reactor = container_of(call, struct nvtgt_reactor, balance);
	struct nvtgt_source *source;
	unsigned int moves = 0;
	u64 total = 0;

	list_for_each_entry(source, &reactor->sources, home)
		total += nvtgt_source_share(source);
	reactor->measured = READ_ONCE(reactor->load);
	if (total && reactor->measured < nvtgt_load_full())
		nvtgt_balance_go_home(reactor, total);
	else if (total)
		while (moves < NVTGT_BALANCE_MOVES && nvtgt_balance_give_one(reactor, total))
			moves++;
	list_for_each_entry(source, &reactor->sources, home)
		source->work_seen = source->work;
	reactor->trim_busy++;	/* the pass for this is no reason to keep memory */
	/* pairs with nvtgt_balance_work() */
	smp_store_release(&reactor->balancing, false);
}

/* The time for which a reactor has needed its CPU, ns. */
static u64 nvtgt_reactor_busy(const struct nvtgt_reactor *reactor)
{
	u64 busy = READ_ONCE(reactor->task->se.sum_exec_runtime);

#ifdef CONFIG_SCHED_INFO
	busy += READ_ONCE(reactor->task->sched_info.run_delay);
#endif
	return busy - READ_ONCE(reactor->spun_ns);
}

static void nvtgt_balance_measure(u64 elapsed)
{
	struct nvtgt_reactor *reactor;
	int cpu;

	for_each_possible_cpu(cpu) {
		s64 busy;

		reactor = nvtgt_reactors[cpu];
		if (!reactor)
			continue;
		busy = nvtgt_reactor_busy(reactor) - reactor->busy_seen;
		reactor->busy_seen += busy;
		WRITE_ONCE(reactor->load, busy <= 0 ? 0 :
			   min_t(u64, div64_u64(busy * 100 * NVTGT_LOAD_PERCENT, elapsed),
				 100 * NVTGT_LOAD_PERCENT));
	}
}

static void nvtgt_balance_work(struct work_struct *work)
{
	unsigned int period = READ_ONCE(balance_ms);
	int cpu, users = 0;
	u64 now, elapsed;

	mutex_lock(&nvtgt_place_mutex);
	now = ktime_get_ns();
	elapsed = max(now - nvtgt_balanced_at, 1ULL);
	nvtgt_balanced_at = now;
	nvtgt_balance_measure(elapsed);
	/* the first time after a pause it is measured only */
	if (elapsed > 4ULL * max(period, 1000U) * NSEC_PER_MSEC)
		period = 0;
	for_each_possible_cpu(cpu) {
		struct nvtgt_reactor *reactor = nvtgt_reactors[cpu];

		if (!reactor)
			continue;
		users += atomic_read(&reactor->users);
		/* pairs with the release at the end of the call: it may be made again */
		if (!period || !reactor->load || smp_load_acquire(&reactor->balancing))
			continue;
		reactor->balancing = true;
		nvtgt_reactor_call(reactor, &reactor->balance);
	}
	if (users)
		queue_delayed_work(nvtgt_wq, &nvtgt_balance,
				   msecs_to_jiffies(clamp(READ_ONCE(balance_ms) ?: 1000U,
							  NVTGT_BALANCE_MIN_MS,
							  NVTGT_BALANCE_MAX_MS)));
	mutex_unlock(&nvtgt_place_mutex);
}

/* A call that says that the reactor has come round. */
struct nvtgt_reactor_round {
	struct nvtgt_call call;
	struct completion done;
};

static void nvtgt_reactor_came_round(struct nvtgt_call *call)
{
	complete(&container_of(call, struct nvtgt_reactor_round, call)->done);
}

/**
 * nvtgt_reactors_sync - wait until each reactor has left what it was doing
 *
 * A module's exit waits so for reactors that were preempted on their way out of
 * its functions.
 *
 * Context: process, may sleep; not a reactor.
 */
void nvtgt_reactors_sync(void)
{
	struct nvtgt_reactor_round round = { .call.fn = nvtgt_reactor_came_round };
	int cpu;

	mutex_lock(&nvtgt_place_mutex);
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		if (!nvtgt_reactors[cpu])
			continue;
		init_completion(&round.done);
		nvtgt_reactor_call(nvtgt_reactors[cpu], &round.call);
		wait_for_completion(&round.done);
	}
	mutex_unlock(&nvtgt_place_mutex);
}
EXPORT_SYMBOL_GPL(nvtgt_reactors_sync);

/**
 * nvtgt_reactors_show - a line for each reactor
 * @m: where to
 *
 * Context: process, may sleep.
 */
void nvtgt_reactors_show(struct seq_file *m)
{
	int cpu;

	seq_puts(m,
		 "cpu queues load% moved_in spun_ms online page_misses large_misses large_size short\n");
	mutex_lock(&nvtgt_place_mutex);
	for_each_possible_cpu(cpu) {
		struct nvtgt_reactor *reactor = nvtgt_reactors[cpu];

		if (reactor)
			seq_printf(m, "%3d %6d %5u %8u %7llu %6u %11u %12u %10u %5u\n", cpu,
				   atomic_read(&reactor->users),
				   READ_ONCE(reactor->load) / NVTGT_LOAD_PERCENT,
				   READ_ONCE(reactor->nr_moved),
				   div_u64(READ_ONCE(reactor->spun_ns), NSEC_PER_MSEC),
				   cpumask_test_cpu(cpu, &nvtgt_cpus),
				   READ_ONCE(reactor->small.misses),
				   READ_ONCE(reactor->large.misses),
				   READ_ONCE(reactor->large.size),
				   READ_ONCE(reactor->nr_short));
	}
	mutex_unlock(&nvtgt_place_mutex);
}

/**
 * nvtgt_reactors_init - prepare for reactors; none is started
 * @hooks: what they do for queues and requests; lives until nvtgt_reactors_exit()
 *
 * Context: module load.
 * Return: 0 or a negative errno
 */
int nvtgt_reactors_init(const struct nvtgt_reactor_hooks *hooks)
{
	int ret;

	nvtgt_reactor_set_hooks(hooks);
	nvtgt_pool_setup_limit();
	nvtgt_reactors = kcalloc(nr_cpu_ids, sizeof(*nvtgt_reactors), GFP_KERNEL);
	if (!nvtgt_reactors)
		return -ENOMEM;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "nvtgt:online", nvtgt_cpu_online,
				nvtgt_cpu_offline);
	if (ret < 0) {
		kfree(nvtgt_reactors);
		return ret;
	}
	nvtgt_cpuhp_state = ret;
	return 0;
}

/**
 * nvtgt_reactors_exit - stop all reactors
 *
 * Context: module exit: no queue is left, so no thread adds to a reactor's lists.
 */
void nvtgt_reactors_exit(void)
{
	int cpu;

	cpuhp_remove_state_nocalls(nvtgt_cpuhp_state);	/* no callback runs any more */
	cancel_delayed_work_sync(&nvtgt_balance);
	cancel_work_sync(&nvtgt_start);
	nvtgt_reactors_sync();		/* the last calls for balance and review have run */
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		if (nvtgt_reactors[cpu])
			nvtgt_reactor_destroy(nvtgt_reactors[cpu]);
	kfree(nvtgt_reactors);
}
