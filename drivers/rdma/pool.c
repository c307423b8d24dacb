// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The pool of mapped memory
 *
 * Data move between hosts and contiguous pieces of 4 to 128 KiB that are mapped for
 * the device when they are allocated, and stay so. A transfer of a power of two up
 * to 128 KiB is one piece: one segment of one work request. Other transfers are made of
 * the fewest pieces that have no page too many.
 *
 * Each reactor takes from, and gives to, the free pieces of its own CPU. Pieces that
 * were not needed for a second go back to the kernel. How much memory commands may have
 * in all is for the core's credit to say; free pieces come on top: no more than
 * were in use in the last second.
 *
 * siw (iWARP in software) sends pages without a copy and completes a WRITE when TCP has
 * its pages, not when the host has acknowledged them. Pages that TCP still has are not
 * used again: the pool drops its reference, and TCP's last one frees them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "rdma.h"

#define NVTGT_RDMA_TRIM_PERIOD	HZ

static void nvtgt_rdma_piece_free(struct nvtgt_rdma_dev *dev, struct nvtgt_rdma_piece *piece)
{
	ib_dma_unmap_page(dev->ib, piece->addr, PAGE_SIZE << piece->order, DMA_BIDIRECTIONAL);
	__free_pages(piece->page, piece->order);
	kmem_cache_free(nvtgt_rdma_piece_cache, piece);
	atomic_dec(&dev->nr_pieces);
}

static noinline struct nvtgt_rdma_piece *nvtgt_rdma_piece_alloc(struct nvtgt_rdma_dev *dev,
								u8 order, gfp_t gfp)
{
	struct nvtgt_rdma_piece *piece;

	gfp |= __GFP_NOWARN;
	piece = kmem_cache_alloc(nvtgt_rdma_piece_cache, gfp);
	if (!piece)
		return NULL;
	/* large pieces are nice to have: no compaction for them */
	if (order)
		gfp = (gfp | __GFP_COMP | __GFP_NORETRY) & ~__GFP_DIRECT_RECLAIM;
	piece->order = order;
	piece->page = alloc_pages_node(ibdev_to_node(dev->ib), gfp, order);
	if (!piece->page)
		goto free;
	piece->addr = ib_dma_map_page(dev->ib, piece->page, 0, PAGE_SIZE << order,
				      DMA_BIDIRECTIONAL);
	if (ib_dma_mapping_error(dev->ib, piece->addr))
		goto free_pages;
	/* the first piece: trim_work looks for free ones from now on */
	if (atomic_inc_return(&dev->nr_pieces) == 1)
		queue_delayed_work(nvtgt_rdma_conns.wq, &dev->trim_work, NVTGT_RDMA_TRIM_PERIOD);
	return piece;

free_pages:
	__free_pages(piece->page, order);
free:
	kmem_cache_free(nvtgt_rdma_piece_cache, piece);
	return NULL;
}

/**
 * nvtgt_rdma_piece_get - a piece of mapped memory
 * @dev: the device
 * @pool: of the CPU whose reactor the piece is for
 * @order: PAGE_SIZE << order bytes
 * @gfp: GFP_NOWAIT in a reactor, GFP_NOIO elsewhere
 *
 * The memory is not cleared. Unlike the core's pool, which lets one connection at a time
 * use what the kernel keeps for interrupts, this one does not: the core's is for a host on
 * the same machine, whose writes free memory, and over RDMA the device would need memory
 * as well.
 *
 * Context: process.
 * Return: a piece, or NULL
 */
struct nvtgt_rdma_piece *nvtgt_rdma_piece_get(struct nvtgt_rdma_dev *dev,
					      struct nvtgt_rdma_pool *pool, u8 order, gfp_t gfp)
{
	struct nvtgt_rdma_piece *piece;

	spin_lock(&pool->lock);
	piece = list_first_entry_or_null(&pool->free[order], struct nvtgt_rdma_piece, entry);
	if (likely(piece)) {
		list_del(&piece->entry);
		pool->nr_free[order]--;
		pool->least[order] = min(pool->least[order], pool->nr_free[order]);
	}
	spin_unlock(&pool->lock);
	return likely(piece) ? piece : nvtgt_rdma_piece_alloc(dev, order, gfp);
}

/**
 * nvtgt_rdma_piece_put - give a piece back
 * @dev: the device
 * @pool: any of the device's; a reactor gives that of its own CPU
 * @piece: the piece; the device has done with it
 *
 * Context: process.
 */
void nvtgt_rdma_piece_put(struct nvtgt_rdma_dev *dev, struct nvtgt_rdma_pool *pool,
			  struct nvtgt_rdma_piece *piece)
{
	if (unlikely(dev->iwarp) && page_ref_count(piece->page) > 1) {
		nvtgt_rdma_piece_free(dev, piece);
		return;
	}
	spin_lock(&pool->lock);
	list_add(&piece->entry, &pool->free[piece->order]);	/* the warmest first */
	pool->nr_free[piece->order]++;
	spin_unlock(&pool->lock);
}

/* Takes what was not needed since the last time, or all. */
static void nvtgt_rdma_pool_trim(struct nvtgt_rdma_dev *dev, struct nvtgt_rdma_pool *pool, bool all)
{
	struct nvtgt_rdma_piece *piece, *next;
	LIST_HEAD(old);
	int i;

	spin_lock(&pool->lock);
	for (i = 0; i < NVTGT_RDMA_ORDERS; i++) {
		unsigned int nr = all ? pool->nr_free[i] : pool->least[i];

		pool->nr_free[i] -= nr;
		pool->least[i] = pool->nr_free[i];
		/* the coldest */
		while (nr--)
			list_move(pool->free[i].prev, &old);
	}
	spin_unlock(&pool->lock);
	list_for_each_entry_safe(piece, next, &old, entry)
		nvtgt_rdma_piece_free(dev, piece);
}

static void nvtgt_rdma_trim_work(struct work_struct *work)
{
	struct nvtgt_rdma_dev *dev = container_of(to_delayed_work(work), struct nvtgt_rdma_dev,
						  trim_work);
	int cpu;

	for_each_possible_cpu(cpu)
		nvtgt_rdma_pool_trim(dev, &dev->pools[cpu], false);
	if (atomic_read(&dev->nr_pieces))
		queue_delayed_work(nvtgt_rdma_conns.wq, &dev->trim_work, NVTGT_RDMA_TRIM_PERIOD);
}

/**
 * nvtgt_rdma_pools_init - the pools of a new device
 * @dev: the device
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM
 */
int nvtgt_rdma_pools_init(struct nvtgt_rdma_dev *dev)
{
	int cpu, i;

	dev->pools = kcalloc(nr_cpu_ids, sizeof(*dev->pools), GFP_KERNEL);
	if (!dev->pools)
		return -ENOMEM;
	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		spin_lock_init(&dev->pools[cpu].lock);
		for (i = 0; i < NVTGT_RDMA_ORDERS; i++)
			INIT_LIST_HEAD(&dev->pools[cpu].free[i]);
	}
	INIT_DELAYED_WORK(&dev->trim_work, nvtgt_rdma_trim_work);
	return 0;
}

/**
 * nvtgt_rdma_pools_exit - give everything back
 * @dev: a device without queues
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_pools_exit(struct nvtgt_rdma_dev *dev)
{
	int cpu;

	cancel_delayed_work_sync(&dev->trim_work);
	for (cpu = 0; cpu < nr_cpu_ids; cpu++)
		nvtgt_rdma_pool_trim(dev, &dev->pools[cpu], true);
	WARN_ON_ONCE(atomic_read(&dev->nr_pieces));
	kfree(dev->pools);
}
