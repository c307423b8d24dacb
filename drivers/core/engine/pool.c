// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The pool of data pages
 *
 * Memory for commands' data is bounded by one budget (buffer_limit_mb), taken as
 * credit before any page is allocated. A reactor takes credit from the budget in
 * large pieces and keeps what it does not use at the moment, so that the shared
 * counter is touched seldom. When there is no credit a connection stands in line
 * (struct nvtgt_line), one line for the connections of all reactors. While the line is not
 * empty every reactor gives back what it has and what its commands return (a reactor that
 * sleeps, within a second), and no connection takes credit past the line, but for
 * nvtgt_buf_reserve_beyond(): credit is gathered for the first connection until it has all
 * it asked for, then its reactor is woken. So a large command waits for as long as those
 * before it take, whatever smaller ones come behind.
 *
 * Pages that were sent may still be referenced by the socket (until they are
 * acknowledged, a retransmission reads them), so they go to the end of a ring
 * and are taken again from its front only when their reference count has come
 * back to one. If the oldest is still busy, a fresh page is allocated. Pages that
 * only held what a host wrote go to the front: they are warm in the cache.
 *
 * Transfers up to 32 KiB use pages of 4 KiB, longer ones pieces of 64 KiB. The ring
 * of these grows to what has been in use at once, for the page allocator has none
 * of that size at hand; each second the half of what was not needed goes
 * back, and all of it when the reactor has been idle.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include "reactor.h"

#define NVTGT_LARGE_BYTES	(PAGE_SIZE << NVTGT_LARGE_ORDER)
#define NVTGT_CREDIT_PIECE	((long)SZ_1M)	/* taken from the budget at once */
#define NVTGT_RETRY_TIME	max(HZ / 200, 1)	/* from no free page to the next try */
#define NVTGT_LOOK_TIME		(HZ / 10)	/* between looks at what commands left behind */
#define NVTGT_CREDIT_KEEP	((long)SZ_4M)	/* most unused credit that a reactor keeps */

static unsigned int buffer_limit_mb;
module_param(buffer_limit_mb, uint, 0444);
MODULE_PARM_DESC(buffer_limit_mb, "most memory for commands' data, MiB (default: an eighth of the memory)");

static long nvtgt_budget __read_mostly;		/* bytes; constant after init */
static long nvtgt_credit_keep __read_mostly;	/* bytes; constant after init */

/* credit that reactors hold or use, or that is gathered; written by all reactors */
static atomic_long_t nvtgt_budget_used ____cacheline_aligned_in_smp;

/*
 * struct nvtgt_line - the connections that wait for credit, the first to be served first
 *
 * Process context only. The lock protects nvtgt_buf_waiter too, and nvtgt_reactor.granted
 * and short_of.
 */
static struct nvtgt_line {
	atomic_t nr;			/* in waiters; each reactor looks at it once a pass */
	spinlock_t lock ____cacheline_aligned_in_smp;
	struct list_head waiters;	/* nvtgt_buf_waiter.node */
	long gathered;			/* bytes of the budget that are kept for the first */
} nvtgt_line ____cacheline_aligned_in_smp = {
	.lock = __SPIN_LOCK_UNLOCKED(nvtgt_line.lock),
	.waiters = LIST_HEAD_INIT(nvtgt_line.waiters),
};

/**
 * nvtgt_pool_setup_limit - work out the budget
 *
 * At least 16 MiB, so that several transfers of the largest MDTS always fit.
 */
void nvtgt_pool_setup_limit(void)
{
	unsigned long mb = buffer_limit_mb;

	if (!mb)
		mb = (totalram_pages() >> (20 - PAGE_SHIFT)) / 8;
	mb = clamp_t(unsigned long, mb, 16, SZ_1M);
	nvtgt_budget = mb << 20;
	nvtgt_credit_keep = min(NVTGT_CREDIT_KEEP, nvtgt_budget / (4 * (long)nr_cpu_ids));
	buffer_limit_mb = mb;
}

static int nvtgt_ring_init(struct nvtgt_ring *ring, unsigned int size, u8 order, int node)
{
	ring->pages = kcalloc_node(size, sizeof(*ring->pages), GFP_KERNEL, node);
	ring->size = size;
	ring->max = size;
	ring->order = order;
	return ring->pages ? 0 : -ENOMEM;
}

static __always_inline struct page *nvtgt_ring_take(struct nvtgt_ring *ring)
{
	struct page *page = ring->pages[ring->first];

	if (++ring->first == ring->size)
		ring->first = 0;
	ring->nr--;
	return page;
}

/*
 * The reactor does not wait for memory, for all of its connections would wait. A
 * connection that gets none asks again with nvtgt_buf_retry().
 */
static gfp_t nvtgt_pool_gfp(struct nvtgt_reactor *reactor)
{
	if (likely(!reactor->urgent))
		return GFP_NOWAIT | __GFP_NOWARN;
	reactor->urgent_used = jiffies;
	return GFP_NOWAIT | __GFP_NOWARN | __GFP_HIGH;
}

static noinline struct page *nvtgt_ring_alloc(struct nvtgt_reactor *reactor,
					      struct nvtgt_ring *ring)
{
	ring->misses++;
	/* large ones are nice to have: pages do as well */
	if (ring->order)
		return alloc_pages_node(reactor->node, GFP_NOWAIT | __GFP_NOWARN | __GFP_COMP |
					__GFP_NORETRY, ring->order);
	return alloc_pages_node(reactor->node, nvtgt_pool_gfp(reactor), 0);
}

static __always_inline struct page *nvtgt_ring_get(struct nvtgt_reactor *reactor,
						   struct nvtgt_ring *ring)
{
	if (likely(ring->nr && page_ref_count(ring->pages[ring->first]) == 1)) {
		smp_mb();	/* the last user's reads come before our writes */
		return nvtgt_ring_take(ring);
	}
	return nvtgt_ring_alloc(reactor, ring);
}

/* More room in a full ring. */
static noinline bool nvtgt_ring_grow(struct nvtgt_ring *ring)
{
	unsigned int i, size = min(2 * ring->size, ring->max);
	struct page **pages;

	if (ring->size == ring->max)
		return false;
	pages = kmalloc_array(size, sizeof(*pages), GFP_NOWAIT | __GFP_NOWARN);
	if (!pages)
		return false;
	for (i = 0; i < ring->nr; i++)
		pages[i] = ring->pages[(ring->first + i) % ring->size];
	kfree(ring->pages);
	ring->pages = pages;
	ring->first = 0;
	WRITE_ONCE(ring->size, size);
	return true;
}

/* A page that no socket reads any more is taken next, while it is warm. */
static __always_inline void nvtgt_ring_put(struct nvtgt_ring *ring, struct page *page)
{
	unsigned int last;

	if (unlikely(ring->nr == ring->size) && !nvtgt_ring_grow(ring))
		put_page(nvtgt_ring_take(ring));
	if (page_ref_count(page) == 1) {
		ring->first = (ring->first ? : ring->size) - 1;
		ring->pages[ring->first] = page;
		ring->nr++;
		return;
	}
	last = ring->first + ring->nr;
	if (last >= ring->size)
		last -= ring->size;
	ring->pages[last] = page;
	ring->nr++;
}

static void nvtgt_ring_exit(struct nvtgt_ring *ring)
{
	while (ring->nr)
		put_page(nvtgt_ring_take(ring));
}

static void nvtgt_retry_timer(struct timer_list *timer)
{
	struct nvtgt_reactor *reactor = container_of(timer, struct nvtgt_reactor, retry_timer);

	WRITE_ONCE(reactor->retry_due, true);
	smp_mb();	/* retry_due is set before the look at asleep */
	nvtgt_reactor_wake(reactor);
}

/**
 * nvtgt_pool_init - the pool of a new reactor
 * @reactor: the reactor, not running yet
 *
 * Return: 0 or -ENOMEM
 */
int nvtgt_pool_init(struct nvtgt_reactor *reactor)
{
	INIT_LIST_HEAD(&reactor->granted);
	INIT_LIST_HEAD(&reactor->short_of);
	INIT_LIST_HEAD(&reactor->holds);
	timer_setup(&reactor->retry_timer, nvtgt_retry_timer, 0);
	reactor->credit_keep = nvtgt_credit_keep;
	reactor->urgent_used = jiffies;
	if (nvtgt_ring_init(&reactor->small, NVTGT_POOL_SMALL, 0, reactor->node))
		return -ENOMEM;
	if (nvtgt_ring_init(&reactor->large, NVTGT_POOL_LARGE, NVTGT_LARGE_ORDER,
			    reactor->node)) {
		kfree(reactor->small.pages);
		return -ENOMEM;
	}
	reactor->large.max = clamp_t(long, nvtgt_budget / nr_cpu_ids / NVTGT_LARGE_BYTES,
				     NVTGT_POOL_LARGE, NVTGT_POOL_LARGE_MAX);
	return 0;
}

/**
 * nvtgt_pool_exit - give everything back
 * @reactor: the reactor, whose thread has ended
 */
void nvtgt_pool_exit(struct nvtgt_reactor *reactor)
{
	WARN_ON_ONCE(!list_empty(&reactor->granted) || !list_empty(&reactor->short_of));
	timer_delete_sync(&reactor->retry_timer);
	nvtgt_ring_exit(&reactor->small);
	nvtgt_ring_exit(&reactor->large);
	atomic_long_sub(reactor->credit, &nvtgt_budget_used);
	kfree(reactor->small.pages);
	kfree(reactor->large.pages);
}

/* Takes from the budget what the first connection in the line still needs, or what there is. */
static void nvtgt_line_gather(const struct nvtgt_buf_waiter *first)
{
	long used = atomic_long_read(&nvtgt_budget_used), part;

	do {
		part = min(first->bytes - nvtgt_line.gathered, nvtgt_budget - used);
		if (part <= 0)
			return;
	} while (!atomic_long_try_cmpxchg(&nvtgt_budget_used, &used, used + part));
	nvtgt_line.gathered += part;
}

/* The first connection has all the credit that it asked for: its reactor will call ready(). */
static void nvtgt_line_grant(struct nvtgt_buf_waiter *first)
{
	struct nvtgt_reactor *reactor = first->reactor;

	nvtgt_line.gathered -= first->bytes;
	atomic_dec(&nvtgt_line.nr);
	first->place = NVTGT_BUF_GRANTED;
	list_move_tail(&first->node, &reactor->granted);
	WRITE_ONCE(reactor->credit_back, true);
	if (reactor->task != current)
		wake_up_process(reactor->task);
}

/* Serves the line as far as there is credit. */
static void nvtgt_line_serve(void)
{
	struct nvtgt_buf_waiter *first;

	lockdep_assert_held(&nvtgt_line.lock);
	while (!list_empty(&nvtgt_line.waiters)) {
		first = list_first_entry(&nvtgt_line.waiters, struct nvtgt_buf_waiter, node);
		nvtgt_line_gather(first);
		if (nvtgt_line.gathered < first->bytes)
			return;
		nvtgt_line_grant(first);
	}
	if (nvtgt_line.gathered) {
		atomic_long_sub(nvtgt_line.gathered, &nvtgt_budget_used);
		nvtgt_line.gathered = 0;
	}
}

/* Is the reactor to keep nothing, since a connection waits for credit? */
static void nvtgt_set_contended(struct nvtgt_reactor *reactor, bool contended)
{
	reactor->contended = contended;
	reactor->credit_keep = contended ? 0 : nvtgt_credit_keep;
}

/* Gives the reactor's own credit back, but for @keep bytes. */
static void nvtgt_credit_return(struct nvtgt_reactor *reactor, long keep)
{
	atomic_long_sub(reactor->credit - keep, &nvtgt_budget_used);
	reactor->credit = keep;
	smp_mb__after_atomic();	/* given before the look; pairs with nvtgt_buf_wait() */
	if (atomic_read(&nvtgt_line.nr)) {
		spin_lock(&nvtgt_line.lock);
		nvtgt_line_serve();
		spin_unlock(&nvtgt_line.lock);
	}
}

/**
 * nvtgt_pool_holds - is there anything to give back?
 * @reactor: the calling thread's
 *
 * Return: whether pages or credit are kept
 */
bool nvtgt_pool_holds(const struct nvtgt_reactor *reactor)
{
	return reactor->small.nr || reactor->large.nr || reactor->credit ||
	       !list_empty(&reactor->holds);
}

/**
 * nvtgt_pool_trim - the reactor has been idle: give pages and credit back
 * @reactor: the calling thread's
 */
void nvtgt_pool_trim(struct nvtgt_reactor *reactor)
{
	nvtgt_ring_exit(&reactor->small);
	nvtgt_ring_exit(&reactor->large);
	if (reactor->credit)
		nvtgt_credit_return(reactor, 0);
}

/**
 * nvtgt_pool_decay - the reactor has been busy: give back what it did not need for that
 * @reactor: the calling thread's
 */
void nvtgt_pool_decay(struct nvtgt_reactor *reactor)
{
	struct nvtgt_ring *ring = &reactor->large;
	unsigned int nr = min(ring->least, ring->nr) / 2;

	while (nr--)
		put_page(nvtgt_ring_take(ring));
	ring->least = ring->nr;
}

/**
 * nvtgt_page_get - a page of 4 KiB for headers and the like, without credit
 * @reactor: the calling thread's
 *
 * Return: a page with one reference, or NULL
 */
struct page *nvtgt_page_get(struct nvtgt_reactor *reactor)
{
	return nvtgt_ring_get(reactor, &reactor->small);
}
EXPORT_SYMBOL_GPL(nvtgt_page_get);

/**
 * nvtgt_page_put - give a page back, though a socket may still read it
 * @reactor: the calling thread's
 * @page: what nvtgt_page_get() gave
 */
void nvtgt_page_put(struct nvtgt_reactor *reactor, struct page *page)
{
	nvtgt_ring_put(&reactor->small, page);
}
EXPORT_SYMBOL_GPL(nvtgt_page_put);

/* Takes credit for bytes, from the reactor's own or from the budget. */
static bool nvtgt_credit_get(struct nvtgt_reactor *reactor, long bytes)
{
	long want;

	if (reactor->credit >= bytes) {
		reactor->credit -= bytes;
		return true;
	}
	/* no request overtakes the connections in line */
	if (unlikely(atomic_read(&nvtgt_line.nr)))
		return false;
	want = max(bytes - reactor->credit, NVTGT_CREDIT_PIECE);
	if (atomic_long_add_return(want, &nvtgt_budget_used) > nvtgt_budget) {
		atomic_long_sub(want, &nvtgt_budget_used);
		want = bytes - reactor->credit;
		if (atomic_long_add_return(want, &nvtgt_budget_used) > nvtgt_budget) {
			atomic_long_sub(want, &nvtgt_budget_used);
			return false;
		}
	}
	reactor->credit += want - bytes;
	return true;
}

/* Takes credit that the budget may not have. */
static void nvtgt_credit_overdraw(struct nvtgt_reactor *reactor, long bytes)
{
	long own = min(reactor->credit, bytes);

	reactor->credit -= own;
	atomic_long_add(bytes - own, &nvtgt_budget_used);
}

static void nvtgt_credit_put(struct nvtgt_reactor *reactor, long bytes)
{
	reactor->credit += bytes;
	if (unlikely(reactor->credit > reactor->credit_keep))
		nvtgt_credit_return(reactor, reactor->credit_keep / 2);
}

/**
 * nvtgt_buf_hold - keep credit for memory that a command will leave behind
 * @reactor: the calling thread's
 * @hold: for what; may hold some already, or stand in no list after a move
 * @bytes: how much more; 0: only put @hold into the reactor's list again. Taken although
 *	the budget may not have it: nvtgt_buf_put(), called next, gives as much back
 */
void nvtgt_buf_hold(struct nvtgt_reactor *reactor, struct nvtgt_buf_hold *hold, long bytes)
{
	nvtgt_credit_overdraw(reactor, bytes);
	hold->bytes += bytes;
	if (hold->bytes && list_empty(&hold->node))
		list_add_tail(&hold->node, &reactor->holds);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_hold);

/**
 * nvtgt_buf_unhold - memory that a command has left behind is free
 * @reactor: the calling thread's
 * @hold: for what
 * @bytes: how much
 */
void nvtgt_buf_unhold(struct nvtgt_reactor *reactor, struct nvtgt_buf_hold *hold, long bytes)
{
	hold->bytes -= bytes;
	if (!hold->bytes)
		list_del_init(&hold->node);
	nvtgt_credit_put(reactor, bytes);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_unhold);

/**
 * nvtgt_buf_is_wanted - does a connection wait for credit?
 * @reactor: the calling thread's
 *
 * Return: what the reactor knew after its last pass
 */
bool nvtgt_buf_is_wanted(const struct nvtgt_reactor *reactor)
{
	return reactor->contended;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_is_wanted);

/**
 * nvtgt_pool_look - see whether memory that commands have left behind is free
 * @reactor: the calling thread's
 */
void nvtgt_pool_look(struct nvtgt_reactor *reactor)
{
	struct nvtgt_buf_hold *hold, *next;

	reactor->holds_seen = jiffies;
	list_for_each_entry_safe(hold, next, &reactor->holds, node)
		hold->look(hold, reactor->contended);
}

/* How many pieces of each kind a transfer takes. */
static void nvtgt_buf_plan(u32 len, bool large, unsigned int *nr_large, unsigned int *nr_small)
{
	u32 rest = len;

	*nr_large = 0;
	if (large && len > NVTGT_INLINE_BVECS * PAGE_SIZE) {
		*nr_large = len / NVTGT_LARGE_BYTES;
		rest = len % NVTGT_LARGE_BYTES;
		if (rest > 4 * PAGE_SIZE) {
			*nr_large += 1;
			rest = 0;
		}
	}
	*nr_small = DIV_ROUND_UP(rest, PAGE_SIZE);
}

static void nvtgt_buf_free_pages(struct nvtgt_reactor *reactor, struct nvtgt_req *req)
{
	unsigned int i;

	for (i = 0; i < req->nr_bvec; i++) {
		struct page *page = req->bvec[i].bv_page;

		nvtgt_ring_put(PageCompound(page) ? &reactor->large : &reactor->small, page);
	}
	if (req->bvec != req->inline_bvec)
		kfree(req->bvec);
	req->bvec = NULL;
	req->nr_bvec = 0;
}

/* A transfer whose bvec has room in the request itself, as most have: pages of 4 KiB. */
static int nvtgt_buf_alloc_few(struct nvtgt_reactor *reactor, struct nvtgt_req *req)
{
	struct bio_vec *bv = req->inline_bvec;
	u32 len = req->data_len;

	req->bvec = bv;
	req->nr_bvec = 0;
	while (len) {
		struct page *page = nvtgt_ring_get(reactor, &reactor->small);
		u32 part = min_t(u32, len, PAGE_SIZE);

		if (unlikely(!page)) {
			nvtgt_buf_free_pages(reactor, req);
			return -ENOMEM;
		}
		*bv++ = (struct bio_vec) { .bv_page = page, .bv_len = part };
		req->nr_bvec++;
		len -= part;
	}
	return 0;
}

static int nvtgt_buf_alloc(struct nvtgt_reactor *reactor, struct nvtgt_req *req, bool large)
{
	unsigned int nr_large, nr_small, i;
	u32 len = req->data_len;

	nvtgt_buf_plan(len, large, &nr_large, &nr_small);
	req->nr_bvec = 0;
	req->bvec = req->inline_bvec;
	if (nr_large + nr_small > NVTGT_INLINE_BVECS) {
		req->bvec = kmalloc_array(nr_large + nr_small, sizeof(*req->bvec),
					  nvtgt_pool_gfp(reactor));
		if (!req->bvec)
			return -ENOMEM;
	}
	for (i = 0; i < nr_large + nr_small; i++) {
		struct nvtgt_ring *ring = i < nr_large ? &reactor->large : &reactor->small;
		u32 part = min_t(u32, len, PAGE_SIZE << ring->order);
		struct page *page = nvtgt_ring_get(reactor, ring);

		if (!page) {
			nvtgt_buf_free_pages(reactor, req);
			return -ENOMEM;
		}
		req->bvec[i] = (struct bio_vec) { .bv_page = page, .bv_len = part };
		req->nr_bvec = i + 1;
		len -= part;
	}
	reactor->large.least = min(reactor->large.least, reactor->large.nr);
	return 0;
}

/**
 * nvtgt_buf_fill - pages for a request that has its credit
 * @req: parsed; charged by nvtgt_buf_reserve()
 *
 * Fills in bvec, nr_bvec. The memory is not cleared.
 *
 * Context: the reactor of the request's queue; does not sleep.
 * Return: 0; -ENOMEM: no page is free at the moment; the credit stays taken
 */
int nvtgt_buf_fill(struct nvtgt_req *req)
{
	struct nvtgt_reactor *reactor = req->queue->reactor;
	int ret;

	if (likely(req->data_len <= NVTGT_INLINE_BVECS * PAGE_SIZE))
		ret = nvtgt_buf_alloc_few(reactor, req);
	else
		ret = nvtgt_buf_alloc(reactor, req, true) && nvtgt_buf_alloc(reactor, req, false);
	if (likely(!ret))
		return 0;
	req->bvec = NULL;
	req->nr_bvec = 0;
	return -ENOMEM;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_fill);

/**
 * nvtgt_buf_reserve - credit for a request's data
 * @req: parsed; data_len is what it needs, at most MDTS
 *
 * Pages come with nvtgt_buf_fill(), best when the data come: pages that are warm in the
 * cache then are used, and a host that does not send its data holds credit and no memory.
 *
 * Context: the reactor of the request's queue; does not sleep.
 * Return: 0; -EAGAIN: no credit, stand in line with nvtgt_buf_wait()
 */
int nvtgt_buf_reserve(struct nvtgt_req *req)
{
	struct nvtgt_reactor *reactor = req->queue->reactor;
	long bytes = nvtgt_buf_bytes(req);

	/* what the reactor has now is for the connections in line */
	if (unlikely(reactor->contended) && !reactor->serving)
		return -EAGAIN;
	if (!nvtgt_credit_get(reactor, bytes))
		return -EAGAIN;
	req->charged = bytes;
	return 0;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_reserve);

/**
 * nvtgt_buf_get - credit and pages for a request's data
 * @req: parsed; data_len is what it needs, at most MDTS
 *
 * Context: the reactor of the request's queue; does not sleep.
 * Return: 0; -EAGAIN: no credit, stand in line with nvtgt_buf_wait();
 *	-ENOMEM: no page is free at the moment, see nvtgt_buf_retry()
 */
int nvtgt_buf_get(struct nvtgt_req *req)
{
	int ret = nvtgt_buf_reserve(req);

	if (ret)
		return ret;
	ret = nvtgt_buf_fill(req);
	if (unlikely(ret))
		nvtgt_buf_put(req);
	return ret;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_get);

/**
 * nvtgt_buf_reserve_beyond - credit for a request's data, though there may be none
 * @req: parsed; data_len is what it needs
 *
 * For a request that must not wait, because it holds what other requests wait for (a
 * receive buffer that connections share). The transport bounds how many such requests
 * there are.
 *
 * Context: the reactor of the request's queue; does not sleep.
 */
void nvtgt_buf_reserve_beyond(struct nvtgt_req *req)
{
	long bytes = nvtgt_buf_bytes(req);

	nvtgt_credit_overdraw(req->queue->reactor, bytes);
	req->charged = bytes;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_reserve_beyond);

/**
 * nvtgt_buf_get_over - credit and pages, though there may be no credit
 * @req: parsed; data_len is what it needs
 *
 * See nvtgt_buf_reserve_beyond().
 *
 * Context: the reactor of the request's queue; does not sleep.
 * Return: 0; -ENOMEM: no page is free at the moment, see nvtgt_buf_retry()
 */
int nvtgt_buf_get_over(struct nvtgt_req *req)
{
	int ret;

	nvtgt_buf_reserve_beyond(req);
	ret = nvtgt_buf_fill(req);
	if (unlikely(ret))
		nvtgt_buf_put(req);
	return ret;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_get_over);

/**
 * nvtgt_buf_put - give a request's memory back
 * @req: the request; nothing happens if it has none
 *
 * The socket may still hold references on the pages.
 *
 * Context: the reactor of the request's queue.
 */
void nvtgt_buf_put(struct nvtgt_req *req)
{
	struct nvtgt_reactor *reactor = req->queue->reactor;

	if (!req->charged)
		return;
	nvtgt_buf_free_pages(reactor, req);
	nvtgt_credit_put(reactor, req->charged);
	req->charged = 0;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_put);

/**
 * nvtgt_buf_wait - stand in line for credit
 * @reactor: the calling thread's
 * @waiter: not in line
 * @bytes: what it takes to go on, see nvtgt_buf_bytes(); from 1
 */
void nvtgt_buf_wait(struct nvtgt_reactor *reactor, struct nvtgt_buf_waiter *waiter, long bytes)
{
	WARN_ON_ONCE(waiter->place != NVTGT_BUF_OUT);
	nvtgt_set_contended(reactor, true);
	spin_lock(&nvtgt_line.lock);
	waiter->reactor = reactor;
	waiter->bytes = bytes;
	waiter->place = NVTGT_BUF_IN_LINE;
	list_add_tail(&waiter->node, &nvtgt_line.waiters);
	atomic_inc(&nvtgt_line.nr);
	/* in line before the look: nvtgt_credit_return() sees nr, or this sees the credit */
	smp_mb__after_atomic();
	atomic_long_sub(reactor->credit, &nvtgt_budget_used);
	reactor->credit = 0;
	nvtgt_line_serve();
	spin_unlock(&nvtgt_line.lock);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_wait);

/**
 * nvtgt_buf_retry - no page was free: have ready() called in a moment
 * @reactor: the calling thread's
 * @waiter: its ready() will be called; nothing happens when it waits already
 *
 * The allocator has woken kswapd, which makes memory free. One connection of the reactor
 * at a time may then use the kernel's reserve (__GFP_HIGH): its command may be the write
 * that reclaim waits for.
 */
void nvtgt_buf_retry(struct nvtgt_reactor *reactor, struct nvtgt_buf_waiter *waiter)
{
	spin_lock(&nvtgt_line.lock);
	if (waiter->place == NVTGT_BUF_OUT) {
		waiter->reactor = reactor;
		waiter->place = NVTGT_BUF_SHORT;
		list_add_tail(&waiter->node, &reactor->short_of);
		reactor->nr_short++;
		if (!timer_pending(&reactor->retry_timer))
			mod_timer(&reactor->retry_timer, jiffies + NVTGT_RETRY_TIME);
	}
	spin_unlock(&nvtgt_line.lock);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_retry);

/**
 * nvtgt_buf_unwait - leave the line
 * @waiter: wherever it stands
 *
 * Context: the reactor of the waiter.
 */
void nvtgt_buf_unwait(struct nvtgt_buf_waiter *waiter)
{
	spin_lock(&nvtgt_line.lock);
	if (waiter->place == NVTGT_BUF_GRANTED)
		nvtgt_line.gathered += waiter->bytes;
	else if (waiter->place == NVTGT_BUF_IN_LINE)
		atomic_dec(&nvtgt_line.nr);
	waiter->place = NVTGT_BUF_OUT;
	waiter->was_short = false;
	list_del_init(&waiter->node);
	nvtgt_line_serve();
	spin_unlock(&nvtgt_line.lock);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_unwait);

/**
 * nvtgt_buf_move - a connection goes to another reactor and keeps its place in line
 * @waiter: wherever it stands
 * @to: the reactor that has the connection now (nvtgt_queue_move() was called)
 *
 * Context: the reactor that had it, in source->move().
 */
void nvtgt_buf_move(struct nvtgt_buf_waiter *waiter, struct nvtgt_reactor *to)
{
	spin_lock(&nvtgt_line.lock);
	waiter->reactor = to;
	if (waiter->place == NVTGT_BUF_GRANTED) {
		list_move_tail(&waiter->node, &to->granted);
		WRITE_ONCE(to->credit_back, true);
		wake_up_process(to->task);
	} else if (waiter->place == NVTGT_BUF_SHORT) {
		list_move_tail(&waiter->node, &to->short_of);
		mod_timer(&to->retry_timer, jiffies + NVTGT_RETRY_TIME);
	}
	spin_unlock(&nvtgt_line.lock);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_move);

/* Takes the first connection that has been given credit out of the list. */
static struct nvtgt_buf_waiter *nvtgt_pool_next(struct nvtgt_reactor *reactor)
{
	struct nvtgt_buf_waiter *waiter;

	spin_lock(&nvtgt_line.lock);
	waiter = list_first_entry_or_null(&reactor->granted, struct nvtgt_buf_waiter, node);
	if (waiter) {
		list_del_init(&waiter->node);
		waiter->place = NVTGT_BUF_OUT;
		reactor->credit += waiter->bytes;
	}
	spin_unlock(&nvtgt_line.lock);
	return waiter;
}

/*
 * May a connection that no page was free for use __GFP_HIGH? One in each NVTGT_RETRY_TIME; the
 * turn passes on until a connection has used it: not each of them asks for a page.
 */
static bool nvtgt_pool_may_be_urgent(const struct nvtgt_reactor *reactor)
{
	return time_after_eq(jiffies, reactor->urgent_used + NVTGT_RETRY_TIME);
}

/*
 * Connections of this reactor that have been given credit go on. Some of them may have found
 * no free page before they stood in the line.
 */
static void nvtgt_pool_serve(struct nvtgt_reactor *reactor)
{
	struct nvtgt_buf_waiter *waiter;

	WRITE_ONCE(reactor->credit_back, false);
	smp_mb();	/* cleared before the look: credit that comes later sets it */
	while ((waiter = nvtgt_pool_next(reactor))) {
		reactor->serving = true;
		reactor->urgent = waiter->was_short && nvtgt_pool_may_be_urgent(reactor);
		waiter->was_short = false;
		waiter->ready(waiter);
		reactor->urgent = false;
		reactor->serving = false;
		/* credit that the connection has not used is for the next in the line */
		nvtgt_credit_put(reactor, 0);
	}
}

/* Connections for which no page was free try again, each once. */
static void nvtgt_pool_retry(struct nvtgt_reactor *reactor)
{
	struct nvtgt_buf_waiter *waiter;
	LIST_HEAD(turn);

	WRITE_ONCE(reactor->retry_due, false);
	spin_lock(&nvtgt_line.lock);
	list_splice_init(&reactor->short_of, &turn);
	while (!list_empty(&turn)) {
		waiter = list_first_entry(&turn, struct nvtgt_buf_waiter, node);
		list_del_init(&waiter->node);
		waiter->place = NVTGT_BUF_OUT;
		spin_unlock(&nvtgt_line.lock);
		reactor->urgent = nvtgt_pool_may_be_urgent(reactor);
		waiter->ready(waiter);
		reactor->urgent = false;
		spin_lock(&nvtgt_line.lock);
		waiter->was_short = waiter->place != NVTGT_BUF_OUT;
	}
	spin_unlock(&nvtgt_line.lock);
}

/**
 * nvtgt_pool_service - connections that have been given credit go on, or try again for pages
 * @reactor: the calling thread's, at the end of a pass
 */
void nvtgt_pool_service(struct nvtgt_reactor *reactor)
{
	bool contended;

	if (unlikely(READ_ONCE(reactor->credit_back)))
		nvtgt_pool_serve(reactor);
	if (unlikely(READ_ONCE(reactor->retry_due)))
		nvtgt_pool_retry(reactor);
	contended = atomic_read(&nvtgt_line.nr);
	if (likely(contended == reactor->contended && !contended))
		return;
	nvtgt_set_contended(reactor, contended);
	if (contended && !list_empty(&reactor->holds) &&
	    time_after(jiffies, reactor->holds_seen + NVTGT_LOOK_TIME))
		nvtgt_pool_look(reactor);
	/* credit that the reactor does not use is for the connections that wait */
	nvtgt_credit_put(reactor, 0);
}
