// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The pool of data pages
 *
 * Memory for commands' data is bounded by one budget (buffer_limit_mb), taken as
 * credit before any page is allocated. A reactor takes credit from the budget in
 * large pieces and keeps what it does not use at the moment, so that the shared
 * counter is touched seldom. When there is no credit a transport stands in the
 * reactor's line; whoever gives credit back while somebody waits gives it to the
 * budget and wakes the reactors that wait.
 *
 * Pages that were sent may still be referenced by the socket (until they are
 * acknowledged, a retransmission reads them), so they go to the end of a ring
 * and are taken again from its front only when their reference count has come
 * back to one. If the oldest is still busy, a fresh page is allocated. Pages that
 * only held what a host wrote go to the front: they are warm in the cache.
 *
 * Transfers up to 32 KiB use pages of 4 KiB, longer ones pieces of 64 KiB.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "core.h"
#include "reactor.h"

#define NVTGT_LARGE_BYTES	(PAGE_SIZE << NVTGT_LARGE_ORDER)
#define NVTGT_CREDIT_PIECE	((long)SZ_1M)	/* taken from the budget at once */
#define NVTGT_CREDIT_KEEP	((long)SZ_4M)	/* a reactor keeps no more than this, idle */

static unsigned int buffer_limit_mb;
module_param(buffer_limit_mb, uint, 0444);
MODULE_PARM_DESC(buffer_limit_mb, "most memory for commands' data, MiB (default: an eighth of the memory)");

static long nvtgt_budget;			/* bytes; constant after init */
static long nvtgt_credit_keep;			/* bytes; constant after init */
static atomic_long_t nvtgt_budget_used;		/* credit that reactors hold or use */
static atomic_t nvtgt_nr_waiting;		/* reactors with somebody in line */
static DEFINE_SPINLOCK(nvtgt_waiting_lock);
static LIST_HEAD(nvtgt_waiting);		/* which ones; nvtgt_waiting_lock */

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

static noinline struct page *nvtgt_ring_alloc(const struct nvtgt_ring *ring, int node)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;

	/* large pieces are nice to have: no compaction in the reactor for them */
	if (ring->order)
		gfp = (gfp | __GFP_COMP | __GFP_NORETRY) & ~__GFP_DIRECT_RECLAIM;
	return alloc_pages_node(node, gfp, ring->order);
}

static __always_inline struct page *nvtgt_ring_get(struct nvtgt_ring *ring, int node)
{
	if (likely(ring->nr && page_ref_count(ring->pages[ring->first]) == 1)) {
		smp_mb();	/* the last user's reads come before our writes */
		return nvtgt_ring_take(ring);
	}
	return nvtgt_ring_alloc(ring, node);
}

/* What nobody else reads any more is taken next, while it is warm. */
static __always_inline void nvtgt_ring_put(struct nvtgt_ring *ring, struct page *page)
{
	unsigned int last;

	if (ring->nr == ring->size)
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

/**
 * nvtgt_pool_init - the pool of a new reactor
 * @reactor: the reactor, not running yet
 *
 * Return: 0 or -ENOMEM
 */
int nvtgt_pool_init(struct nvtgt_reactor *reactor)
{
	if (nvtgt_ring_init(&reactor->small, NVTGT_POOL_SMALL, 0, reactor->node))
		return -ENOMEM;
	if (nvtgt_ring_init(&reactor->large, NVTGT_POOL_LARGE, NVTGT_LARGE_ORDER,
			    reactor->node)) {
		kfree(reactor->small.pages);
		return -ENOMEM;
	}
	return 0;
}

/**
 * nvtgt_pool_exit - give everything back
 * @reactor: the reactor, whose thread has ended
 */
void nvtgt_pool_exit(struct nvtgt_reactor *reactor)
{
	WARN_ON_ONCE(!list_empty(&reactor->waiters));
	nvtgt_ring_exit(&reactor->small);
	nvtgt_ring_exit(&reactor->large);
	atomic_long_sub(reactor->credit, &nvtgt_budget_used);
	kfree(reactor->small.pages);
	kfree(reactor->large.pages);
}

static void nvtgt_wake_waiting(struct nvtgt_reactor *self)
{
	struct nvtgt_reactor *reactor;
	unsigned long flags;

	spin_lock_irqsave(&nvtgt_waiting_lock, flags);
	list_for_each_entry(reactor, &nvtgt_waiting, waiting_entry) {
		WRITE_ONCE(reactor->credit_back, true);
		if (reactor != self)
			wake_up_process(reactor->task);
	}
	spin_unlock_irqrestore(&nvtgt_waiting_lock, flags);
}

/* All of the reactor's own credit goes to those who wait for some. */
static void nvtgt_credit_return(struct nvtgt_reactor *reactor)
{
	atomic_long_sub(reactor->credit, &nvtgt_budget_used);
	reactor->credit = 0;
	smp_mb__after_atomic();	/* given before the look: who came to wait meanwhile */
	if (atomic_read(&nvtgt_nr_waiting))
		nvtgt_wake_waiting(reactor);
}

/**
 * nvtgt_pool_holds - is there anything to give back?
 * @reactor: the calling thread's
 *
 * Return: whether pages or credit are kept
 */
bool nvtgt_pool_holds(const struct nvtgt_reactor *reactor)
{
	return reactor->small.nr || reactor->large.nr || reactor->credit;
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
		nvtgt_credit_return(reactor);
}

/**
 * nvtgt_page_get - a page of 4 KiB for headers and the like, without credit
 * @reactor: the calling thread's
 *
 * Return: a page with one reference, or NULL
 */
struct page *nvtgt_page_get(struct nvtgt_reactor *reactor)
{
	return nvtgt_ring_get(&reactor->small, reactor->node);
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
	if (reactor->credit > nvtgt_credit_keep) {
		atomic_long_sub(reactor->credit - nvtgt_credit_keep / 2, &nvtgt_budget_used);
		reactor->credit = nvtgt_credit_keep / 2;
		smp_mb__after_atomic();	/* given before the look: who came to wait meanwhile */
		if (atomic_read(&nvtgt_nr_waiting))
			nvtgt_wake_waiting(reactor);
	}
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

/* What has room in the request itself: pages of 4 KiB, the usual ones. */
static int nvtgt_buf_alloc_few(struct nvtgt_reactor *reactor, struct nvtgt_req *req)
{
	struct bio_vec *bv = req->inline_bvec;
	u32 len = req->data_len;

	req->bvec = bv;
	req->nr_bvec = 0;
	while (len) {
		struct page *page = nvtgt_ring_get(&reactor->small, reactor->node);
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
					  GFP_KERNEL | __GFP_NOWARN);
		if (!req->bvec)
			return -ENOMEM;
	}
	for (i = 0; i < nr_large + nr_small; i++) {
		struct nvtgt_ring *ring = i < nr_large ? &reactor->large : &reactor->small;
		u32 part = min_t(u32, len, PAGE_SIZE << ring->order);
		struct page *page = nvtgt_ring_get(ring, reactor->node);

		if (!page) {
			nvtgt_buf_free_pages(reactor, req);
			return -ENOMEM;
		}
		req->bvec[i] = (struct bio_vec) { .bv_page = page, .bv_len = part };
		req->nr_bvec = i + 1;
		len -= part;
	}
	return 0;
}

/**
 * nvtgt_buf_fill - pages for a request that has its credit
 * @req: parsed; charged by nvtgt_buf_reserve()
 *
 * Fills in bvec, nr_bvec. The memory is not cleared.
 *
 * Context: the reactor of the request's queue. May sleep for memory.
 * Return: 0; -ENOMEM: the machine is out of memory; the credit stays taken
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

/* What a request is charged: whole pages, its protection information beside its data. */
static long nvtgt_buf_bytes(const struct nvtgt_req *req)
{
	return round_up(req->data_len, PAGE_SIZE) + round_up(req->pi_len, PAGE_SIZE);
}

/**
 * nvtgt_buf_reserve - credit for a request's data
 * @req: parsed; data_len is what it needs, at most MDTS
 *
 * Pages come with nvtgt_buf_fill(), best when the data come: what is warm in the
 * cache then is used, and a host that does not send what it was asked for holds
 * credit and no memory.
 *
 * Context: the reactor of the request's queue; does not sleep.
 * Return: 0; -EAGAIN: no credit, stand in line with nvtgt_buf_wait()
 */
int nvtgt_buf_reserve(struct nvtgt_req *req)
{
	struct nvtgt_reactor *reactor = req->queue->reactor;
	long bytes = nvtgt_buf_bytes(req);

	/* nobody overtakes those who stand in line */
	if (!list_empty(&reactor->waiters) && !reactor->serving)
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
 * Context: the reactor of the request's queue. May sleep for memory.
 * Return: 0; -EAGAIN: no credit, stand in line with nvtgt_buf_wait();
 *	-ENOMEM: the machine is out of memory
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
 * nvtgt_buf_reserve_over - credit for a request's data, though there may be none
 * @req: parsed; data_len is what it needs
 *
 * For a request that others must not wait for, because it has what they need. The
 * transport bounds how many of these there are.
 *
 * Context: the reactor of the request's queue; does not sleep.
 */
void nvtgt_buf_reserve_over(struct nvtgt_req *req)
{
	long bytes = nvtgt_buf_bytes(req);

	nvtgt_credit_overdraw(req->queue->reactor, bytes);
	req->charged = bytes;
}
EXPORT_SYMBOL_GPL(nvtgt_buf_reserve_over);

/**
 * nvtgt_buf_get_over - credit and pages, though there may be no credit
 * @req: parsed; data_len is what it needs
 *
 * See nvtgt_buf_reserve_over().
 *
 * Context: the reactor of the request's queue. May sleep for memory.
 * Return: 0; -ENOMEM: the machine is out of memory
 */
int nvtgt_buf_get_over(struct nvtgt_req *req)
{
	int ret;

	nvtgt_buf_reserve_over(req);
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

static void nvtgt_reactor_set_waiting(struct nvtgt_reactor *reactor, bool waiting)
{
	unsigned long flags;

	if (reactor->waiting == waiting)
		return;
	reactor->waiting = waiting;
	spin_lock_irqsave(&nvtgt_waiting_lock, flags);
	if (waiting) {
		list_add_tail(&reactor->waiting_entry, &nvtgt_waiting);
		atomic_inc(&nvtgt_nr_waiting);
	} else {
		list_del(&reactor->waiting_entry);
		atomic_dec(&nvtgt_nr_waiting);
	}
	spin_unlock_irqrestore(&nvtgt_waiting_lock, flags);
}

/**
 * nvtgt_buf_wait - stand in line for credit
 * @reactor: the calling thread's
 * @waiter: not in line yet
 */
void nvtgt_buf_wait(struct nvtgt_reactor *reactor, struct nvtgt_buf_waiter *waiter)
{
	list_add_tail(&waiter->node, &reactor->waiters);
	nvtgt_reactor_set_waiting(reactor, true);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_wait);

/**
 * nvtgt_buf_unwait - leave the line
 * @waiter: in line or not (an initialised list head)
 *
 * Context: the reactor.
 */
void nvtgt_buf_unwait(struct nvtgt_buf_waiter *waiter)
{
	list_del_init(&waiter->node);
}
EXPORT_SYMBOL_GPL(nvtgt_buf_unwait);

/* Those in line try again. */
static void nvtgt_pool_serve(struct nvtgt_reactor *reactor)
{
	struct nvtgt_buf_waiter *waiter;

	if (list_empty(&reactor->waiters)) {
		if (unlikely(reactor->waiting)) {
			nvtgt_reactor_set_waiting(reactor, false);
			/* nobody sets it any more, and it would keep us awake */
			WRITE_ONCE(reactor->credit_back, false);
		}
		return;
	}

	WRITE_ONCE(reactor->credit_back, false);
	smp_mb();	/* cleared before the look: credit that comes later sets it */
	reactor->serving = true;
	while (!list_empty(&reactor->waiters)) {
		waiter = list_first_entry(&reactor->waiters, struct nvtgt_buf_waiter, node);
		list_del_init(&waiter->node);
		if (!waiter->ready(waiter)) {
			list_add(&waiter->node, &reactor->waiters);
			break;
		}
	}
	reactor->serving = false;
}

/**
 * nvtgt_pool_service - let those in line try again, here or elsewhere
 * @reactor: the calling thread's, at the end of a pass
 */
void nvtgt_pool_service(struct nvtgt_reactor *reactor)
{
	nvtgt_pool_serve(reactor);
	/* who has no use for it now has no right to it either */
	if (unlikely(atomic_read(&nvtgt_nr_waiting)) && reactor->credit)
		nvtgt_credit_return(reactor);
}
