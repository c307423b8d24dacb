// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Receiving
 *
 * Capsules arrive in receive buffers: 64 bytes for the command and pages for data
 * that come with it. By default the queues of a device that one reactor owns share
 * a receive queue and a completion queue of as many entries, so memory grows with
 * the CPUs that are used and not with the hosts, and no host can make the completion
 * queue overrun. A buffer is posted again in the pass that takes its completion:
 * the command is copied, and pages with data in them stay with the command, fresh
 * ones taking their place. Only when there is no memory does a command keep its
 * buffer; when half of the buffers are kept so, memory is taken beyond the bounds.
 *
 * Over iWARP each queue has receives of its own, for each command that its host may
 * have outstanding: where a SEND finds none, the device ends the connection.
 *
 * The shared receive queue begins small. When it has run low (the limit event), a
 * work item adds buffers, up to srq_size.
 *
 * Buffers that are to be posted again are chained; one call posts them all.
 *
 * Some devices never complete a buffer that they have taken for a SEND in which the host
 * died: such a buffer is lost until the last queue that shares the receive queue is gone.
 * No verb tells how many buffers are lost. But a queue that ends loses one at most, and a
 * buffer that completes later has not been lost. So queues that have ended are counted by
 * epochs, and each buffer knows the epoch in which it was posted last. Queues that ended in
 * this epoch have lost no more buffers than there are such queues; queues that ended before
 * it have lost no more than there are buffers that were not posted in this epoch.
 *
 * When a shared receive queue of full size runs low, and a quarter of it may be lost, it is
 * retired: new queues get a new one, and the retired one is freed with its last queue. When
 * too many of a reactor's are retired, the connections of the one with the fewest are ended.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "rdma.h"

static void nvtgt_rdma_rx_ready(struct ib_cq *cq, void *context)
{
	struct nvtgt_rdma_rx *rx = context;

	nvtgt_source_kick(&rx->source);
}

/* A limit gives one event; grow_work sets the next. It runs at once if it can add buffers. */
static void nvtgt_rdma_srq_event(struct ib_event *event, void *context)
{
	struct nvtgt_rdma_rx *rx = context;
	bool full = READ_ONCE(rx->nr_recvs) >= rx->max_recvs;

	if (event->event == IB_EVENT_SRQ_LIMIT_REACHED && !READ_ONCE(rx->going))
		queue_delayed_work(nvtgt_rdma_conns.wq, &rx->grow_work,
				   full ? NVTGT_RDMA_RX_PAUSE : 0);
}

/* Adds a buffer to those that are to be posted. */
static void nvtgt_rdma_rx_chain(struct nvtgt_rdma_rx *rx, struct nvtgt_rdma_recv *recv)
{
	WRITE_ONCE(recv->epoch, READ_ONCE(rx->epoch));
	recv->wr.next = NULL;
	if (rx->first)
		rx->last->next = &recv->wr;
	else
		rx->first = &recv->wr;
	rx->last = &recv->wr;
}

/**
 * nvtgt_rdma_rx_again - post a buffer again
 * @rx: where it arrived
 * @recv: the buffer
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 */
void nvtgt_rdma_rx_again(struct nvtgt_rdma_rx *rx, struct nvtgt_rdma_recv *recv)
{
	struct ib_device *ib = rx->dev->ib;
	u8 i;

	/* the queue pair will take no more: nvtgt_rdma_rx_put() frees the buffer */
	if (!rx->srq && rx->queue->conn.state >= NVTGT_CONN_CLOSING)
		return;
	ib_dma_sync_single_for_device(ib, recv->sge[0].addr, sizeof(*recv->capsule),
				      DMA_FROM_DEVICE);
	for (i = 0; i < rx->nr_pages; i++)
		ib_dma_sync_single_for_device(ib, recv->sge[1 + i].addr, PAGE_SIZE,
					      DMA_BIDIRECTIONAL);
	nvtgt_rdma_rx_chain(rx, recv);
}

static int nvtgt_rdma_rx_post_chain(struct nvtgt_rdma_rx *rx, const struct ib_recv_wr *first)
{
	if (rx->srq)
		return ib_post_srq_recv(rx->srq, first, NULL);
	return ib_post_recv(rx->queue->qp, first, NULL);
}

/**
 * nvtgt_rdma_rx_post - post the buffers that were chained
 * @rx: where they belong
 *
 * Context: the reactor.
 */
void nvtgt_rdma_rx_post(struct nvtgt_rdma_rx *rx)
{
	struct ib_recv_wr *first = rx->first;
	int ret;

	if (!first)
		return;
	rx->first = NULL;
	ret = nvtgt_rdma_rx_post_chain(rx, first);
	/* there is room for all of them: the device is broken, or on its way out */
	if (ret)
		pr_warn_ratelimited("%s: receives not posted: error %d\n",
				    dev_name(&rx->dev->ib->dev), ret);
}

static void nvtgt_rdma_free_recvs(struct nvtgt_rdma_rx *rx, struct nvtgt_rdma_recvs *some)
{
	struct ib_device *ib = rx->dev->ib;
	unsigned int i;
	u8 p;

	for (i = 0; i < some->nr; i++)
		for (p = 0; p < rx->nr_pages; p++)
			if (some->recv[i].piece[p])
				nvtgt_rdma_piece_put(rx->dev, rx->pool, some->recv[i].piece[p]);
	if (some->capsules)
		ib_dma_unmap_single(ib, some->addr, some->nr * sizeof(*some->capsules),
				    DMA_FROM_DEVICE);
	kfree(some->capsules);
	kvfree(some);
}

static bool nvtgt_rdma_init_recv(struct nvtgt_rdma_rx *rx, struct nvtgt_rdma_recvs *some,
				 unsigned int i)
{
	struct nvtgt_rdma_recv *recv = &some->recv[i];
	u8 p;

	INIT_LIST_HEAD(&recv->entry);
	recv->epoch = READ_ONCE(rx->epoch);
	recv->capsule = &some->capsules[i];
	recv->sge[0].addr = some->addr + i * sizeof(*some->capsules);
	recv->sge[0].length = sizeof(*some->capsules);
	recv->sge[0].lkey = rx->dev->pd->local_dma_lkey;
	recv->wr.wr_cqe = &recv->cqe;
	recv->wr.sg_list = recv->sge;
	recv->wr.num_sge = 1 + rx->nr_pages;
	for (p = 0; p < rx->nr_pages; p++) {
		recv->piece[p] = nvtgt_rdma_piece_get(rx->dev, rx->pool, 0, GFP_NOIO);
		if (!recv->piece[p])
			return false;
		recv->sge[1 + p].addr = recv->piece[p]->addr;
		recv->sge[1 + p].length = PAGE_SIZE;
		recv->sge[1 + p].lkey = rx->dev->pd->local_dma_lkey;
	}
	return true;
}

static struct nvtgt_rdma_recvs *nvtgt_rdma_alloc_recvs(struct nvtgt_rdma_rx *rx, unsigned int nr)
{
	struct nvtgt_rdma_recvs *some;
	unsigned int i;

	some = kvzalloc(struct_size(some, recv, nr), GFP_NOIO);
	if (!some)
		return NULL;
	some->nr = nr;
	some->capsules = kcalloc(nr, sizeof(*some->capsules), GFP_NOIO);
	if (!some->capsules)
		goto free;
	some->addr = ib_dma_map_single(rx->dev->ib, some->capsules, nr * sizeof(*some->capsules),
				       DMA_FROM_DEVICE);
	if (ib_dma_mapping_error(rx->dev->ib, some->addr)) {
		kfree(some->capsules);
		some->capsules = NULL;
		goto free;
	}
	for (i = 0; i < nr; i++)
		if (!nvtgt_rdma_init_recv(rx, some, i))
			goto free;
	return some;

free:
	nvtgt_rdma_free_recvs(rx, some);
	return NULL;
}

/* Adds @nr buffers, and posts them. */
static int nvtgt_rdma_rx_grow(struct nvtgt_rdma_rx *rx, unsigned int nr)
{
	struct nvtgt_rdma_recvs *some;
	unsigned int i;
	int ret;

	some = nvtgt_rdma_alloc_recvs(rx, nr);
	if (!some)
		return -ENOMEM;
	for (i = 0; i + 1 < nr; i++)
		some->recv[i].wr.next = &some->recv[i + 1].wr;
	list_add_tail(&some->entry, &rx->recvs);
	WRITE_ONCE(rx->nr_recvs, rx->nr_recvs + nr);
	ret = nvtgt_rdma_rx_post_chain(rx, &some->recv[0].wr);
	if (ret)
		pr_warn("%s: receives not posted: error %d\n", dev_name(&rx->dev->ib->dev), ret);
	return ret;
}

/* Asks for an event when more than half of the buffers are in use. */
static void nvtgt_rdma_rx_set_limit(struct nvtgt_rdma_rx *rx)
{
	struct ib_srq_attr attr = { .srq_limit = rx->nr_recvs / 2 };

	ib_modify_srq(rx->srq, &attr, IB_SRQ_LIMIT);
}

/* @rx has been retired. Of too many, the queues of the one with the fewest are ended. */
static void nvtgt_rdma_rx_end_one(struct nvtgt_rdma_rx *rx)
{
	struct nvtgt_rdma_rx *pos, *least = NULL;
	unsigned int nr = 0;

	lockdep_assert_held(&rx->dev->rx_lock);
	list_for_each_entry(pos, &rx->dev->rx_retired, entry) {
		if (pos->index != rx->index)
			continue;
		if (!least || pos->users < least->users)
			least = pos;
		nr++;
	}
	/* it has users: nvtgt_rdma_rx_put() takes it out of the list with the last one */
	if (nr > NVTGT_RDMA_RX_RETIRED)
		nvtgt_rdma_disconnect_rx(least);
}

/* A queue has ended, and may have taken a buffer with it. */
static void nvtgt_rdma_rx_count_ended(struct nvtgt_rdma_rx *rx)
{
	unsigned int nr_recvs = READ_ONCE(rx->nr_recvs);

	lockdep_assert_held(&rx->dev->rx_lock);
	if (++rx->nr_ended < nr_recvs / 8)
		return;
	rx->nr_ended_before = min(rx->nr_ended_before + rx->nr_ended, nr_recvs);
	rx->nr_ended = 0;
	WRITE_ONCE(rx->epoch, rx->epoch + 1);
}

/* Buffers that were not posted in this epoch: lost, posted before it, or kept by a capsule. */
static unsigned int nvtgt_rdma_rx_count_unseen(const struct nvtgt_rdma_rx *rx)
{
	const struct nvtgt_rdma_recvs *some;
	unsigned int i, nr = 0;

	/* the reactor goes on meanwhile: what it posts now may be counted or not */
	list_for_each_entry(some, &rx->recvs, entry)
		for (i = 0; i < some->nr; i++)
			nr += READ_ONCE(some->recv[i].epoch) != rx->epoch;
	return nr;
}

/* How many buffers may it have lost? */
static unsigned int nvtgt_rdma_rx_count_lost(struct nvtgt_rdma_rx *rx)
{
	unsigned int unseen;

	lockdep_assert_held(&rx->dev->rx_lock);
	unseen = nvtgt_rdma_rx_count_unseen(rx);
	/* buffers of capsules that wait for memory or a slot are not lost */
	unseen -= min(unseen, READ_ONCE(rx->nr_held));
	rx->nr_ended_before = min(rx->nr_ended_before, unseen);
	return rx->nr_ended_before + rx->nr_ended;
}

/*
 * A receive queue is low at its full size. Its queues may just be busy; or it has lost
 * buffers to queues that have ended: then it is retired, and new queues get another one.
 * Returns whether it was retired.
 */
static bool nvtgt_rdma_rx_retire(struct nvtgt_rdma_rx *rx)
{
	struct nvtgt_rdma_dev *dev = rx->dev;
	unsigned int lost;
	bool retire;

	mutex_lock(&dev->rx_lock);
	lost = nvtgt_rdma_rx_count_lost(rx);
	/* nvtgt_rdma_rx_put() may have taken it from dev->rx with its last user */
	retire = dev->rx[rx->index] == rx && lost >= rx->nr_recvs / 4;
	if (retire) {
		pr_info_ratelimited("%s: a receive queue of CPU %d is low after connections have ended with up to %u of its buffers: new ones get another\n",
				    dev_name(&dev->ib->dev), nvtgt_reactor_cpu(rx->reactor), lost);
		dev->rx[rx->index] = NULL;
		WRITE_ONCE(rx->retired, true);
		list_add_tail(&rx->entry, &dev->rx_retired);
		nvtgt_rdma_rx_end_one(rx);
	}
	mutex_unlock(&dev->rx_lock);
	return retire;
}

static void nvtgt_rdma_grow_work(struct work_struct *work)
{
	struct nvtgt_rdma_rx *rx = container_of(to_delayed_work(work), struct nvtgt_rdma_rx,
						grow_work);
	unsigned int nr = min(NVTGT_RDMA_RX_STEP, rx->max_recvs - rx->nr_recvs);
	unsigned int noio;
	int ret = 0;

	if (READ_ONCE(rx->going))
		return;
	noio = memalloc_noio_save();	/* reclaim may wait for a host */
	if (nr)
		ret = nvtgt_rdma_rx_grow(rx, nr);
	else if (nvtgt_rdma_rx_retire(rx))
		goto out;
	if (ret)
		queue_delayed_work(nvtgt_rdma_conns.wq, &rx->grow_work, NVTGT_RDMA_RX_PAUSE);
	else
		nvtgt_rdma_rx_set_limit(rx);
out:
	memalloc_noio_restore(noio);
}

/**
 * nvtgt_rdma_rx_fill - the first buffers
 * @rx: new; if it is a queue's own, the queue pair is there
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno
 */
int nvtgt_rdma_rx_fill(struct nvtgt_rdma_rx *rx)
{
	int ret;

	ret = nvtgt_rdma_rx_grow(rx, rx->srq ? min(NVTGT_RDMA_RX_STEP, rx->max_recvs) :
				 rx->max_recvs);
	if (!ret && rx->srq)
		nvtgt_rdma_rx_set_limit(rx);
	return ret;
}

/* One completion: a capsule, or a buffer that comes back. */
static void nvtgt_rdma_rx_one(struct nvtgt_rdma_rx *rx, const struct ib_wc *wc)
{
	struct nvtgt_rdma_queue *q = wc->qp->qp_context;
	struct nvtgt_rdma_recv *recv;

	q->nr_wcs++;
	if (wc->wr_cqe == &q->rq_drain) {
		q->rq_drained = true;
		nvtgt_rdma_try_leave(q);
		return;
	}
	recv = container_of(wc->wr_cqe, struct nvtgt_rdma_recv, cqe);
	if (unlikely(wc->status != IB_WC_SUCCESS)) {
		if (wc->status != IB_WC_WR_FLUSH_ERR)
			nvtgt_rdma_warn(q, "receive: %s\n", ib_wc_status_msg(wc->status));
		nvtgt_rdma_rx_again(rx, recv);
		nvtgt_rdma_close(&q->conn);
		return;
	}
	/* completions of its sends, not yet looked for, may free slots */
	if (q->pass != rx->pass) {
		bool more;

		q->pass = rx->pass;
		nvtgt_rdma_reap(q, &more);
	}
	nvtgt_rdma_capsule(q, recv, wc->byte_len);
}

/* Takes up to so many completions. */
static unsigned int nvtgt_rdma_rx_poll(struct nvtgt_rdma_rx *rx, unsigned int max)
{
	unsigned int done = 0;
	int i, nr;

	while (done < max) {
		nr = ib_poll_cq(rx->cq, min_t(unsigned int, max - done, NVTGT_RDMA_WCS), rx->wc);
		if (nr <= 0)
			break;
		for (i = 0; i < nr; i++)
			nvtgt_rdma_rx_one(rx, &rx->wc[i]);
		done += nr;
		if (nr < NVTGT_RDMA_WCS)
			break;
	}
	return done;
}

static bool nvtgt_rdma_rx_receive(struct nvtgt_source *source)
{
	struct nvtgt_rdma_rx *rx = container_of(source, struct nvtgt_rdma_rx, source);
	unsigned int done;

	if (rx->dead)
		return false;
	rx->pass++;
	done = nvtgt_rdma_rx_poll(rx, NVTGT_RDMA_PASS_WCS);
	nvtgt_rdma_rx_post(rx);
	if (done == NVTGT_RDMA_PASS_WCS)
		return true;
	nvtgt_source_poll(source, done);
	return false;
}

/* Arms the completion queue. Returns whether it holds completions already. */
static bool nvtgt_rdma_rx_arm(struct nvtgt_source *source)
{
	struct nvtgt_rdma_rx *rx = container_of(source, struct nvtgt_rdma_rx, source);

	if (rx->dead)
		return false;
	return ib_req_notify_cq(rx->cq, IB_CQ_NEXT_COMP | IB_CQ_REPORT_MISSED_EVENTS) > 0;
}

/**
 * nvtgt_rdma_rx_flush - take all completions that there are
 * @rx: where they are
 *
 * Context: the reactor.
 */
void nvtgt_rdma_rx_flush(struct nvtgt_rdma_rx *rx)
{
	while (nvtgt_rdma_rx_poll(rx, NVTGT_RDMA_PASS_WCS))
		nvtgt_rdma_rx_post(rx);
}

static void nvtgt_rdma_rx_release(struct nvtgt_source *source)
{
	struct nvtgt_rdma_rx *rx = container_of(source, struct nvtgt_rdma_rx, source);

	complete(&rx->gone);
}

static int nvtgt_rdma_rx_create_srq(struct nvtgt_rdma_rx *rx)
{
	struct ib_srq_init_attr attr = {
		.event_handler	= nvtgt_rdma_srq_event,
		.srq_context	= rx,
		.attr.max_wr	= rx->max_recvs,
		.attr.max_sge	= 1 + rx->nr_pages,
		.srq_type	= IB_SRQT_BASIC,
	};

	rx->srq = ib_create_srq(rx->dev->pd, &attr);
	return PTR_ERR_OR_ZERO(rx->srq);
}

static int nvtgt_rdma_rx_create_cq(struct nvtgt_rdma_rx *rx)
{
	struct ib_cq_init_attr attr = {
		/* one more for rq_drain, of a receive queue that is not shared */
		.cqe		= rx->max_recvs + 1,
		.comp_vector	= nvtgt_rdma_comp_vector(rx->dev, rx->reactor),
	};

	rx->cq = ib_create_cq(rx->dev->ib, nvtgt_rdma_rx_ready, NULL, rx, &attr);
	return PTR_ERR_OR_ZERO(rx->cq);
}

static struct nvtgt_rdma_rx *nvtgt_rdma_rx_create(struct nvtgt_rdma_queue *q,
						  struct nvtgt_reactor *reactor, u8 nr_pages,
						  bool shared)
{
	struct nvtgt_rdma_dev *dev = q->dev;
	int cpu = nvtgt_reactor_cpu(reactor);
	struct nvtgt_rdma_rx *rx;
	int ret;

	rx = kzalloc_node(sizeof(*rx), GFP_KERNEL, nvtgt_reactor_node(reactor));
	if (!rx)
		return ERR_PTR(-ENOMEM);
	rx->dev = dev;
	rx->reactor = reactor;
	rx->pool = &dev->pools[cpu];
	rx->nr_pages = nr_pages;
	rx->users = 1;
	INIT_LIST_HEAD(&rx->recvs);
	INIT_DELAYED_WORK(&rx->grow_work, nvtgt_rdma_grow_work);
	init_completion(&rx->gone);
	rx->source.receive = nvtgt_rdma_rx_receive;
	rx->source.release = nvtgt_rdma_rx_release;
	rx->source.arm = nvtgt_rdma_rx_arm;
	rx->source.cpus = cpumask_of(cpu);
	nvtgt_source_add(&rx->source, reactor);

	rx->max_recvs = shared ? clamp_t(unsigned int, nvtgt_rdma_srq_size, NVTGT_RDMA_RX_STEP,
					 dev->ib->attrs.max_srq_wr) : q->request.size + 1;
	rx->max_recvs = min_t(unsigned int, rx->max_recvs, dev->ib->attrs.max_cqe - 1);
	if (!shared)
		rx->queue = q;
	ret = nvtgt_rdma_rx_create_cq(rx);
	if (ret)
		goto free;
	if (shared) {
		ret = nvtgt_rdma_rx_create_srq(rx);
		if (ret)
			goto destroy_cq;
		ret = nvtgt_rdma_rx_fill(rx);
		if (ret)
			goto destroy_srq;
	}
	nvtgt_source_kick(&rx->source);
	return rx;

destroy_srq:
	ib_destroy_srq(rx->srq);
	while (!list_empty(&rx->recvs)) {
		struct nvtgt_rdma_recvs *some = list_first_entry(&rx->recvs,
								 struct nvtgt_rdma_recvs, entry);

		list_del(&some->entry);
		nvtgt_rdma_free_recvs(rx, some);
	}
destroy_cq:
	ib_destroy_cq(rx->cq);
free:
	kfree(rx);
	return ERR_PTR(ret);
}

/**
 * nvtgt_rdma_rx_get - where a new queue will receive
 * @q: the queue; its port and device are known
 * @reactor: the one that will own it
 *
 * One that is not shared needs nvtgt_rdma_rx_fill() when the queue pair is there.
 *
 * Context: process, may sleep.
 * Return: to be given back with nvtgt_rdma_rx_put(), or an ERR_PTR
 */
struct nvtgt_rdma_rx *nvtgt_rdma_rx_get(struct nvtgt_rdma_queue *q, struct nvtgt_reactor *reactor)
{
	struct nvtgt_rdma_dev *dev = q->dev;
	u8 nr_pages = DIV_ROUND_UP(q->conn.queue.port->inline_data_size, PAGE_SIZE);
	int index = nvtgt_reactor_cpu(reactor) * (1 + NVTGT_RDMA_INLINE_PAGES) + nr_pages;
	struct nvtgt_rdma_rx *rx;

	if (1 + nr_pages > dev->max_recv_sge) {
		nvtgt_rdma_warn(q, "%s cannot receive %u pages of data with a command\n",
				dev_name(&dev->ib->dev), nr_pages);
		return ERR_PTR(-EOPNOTSUPP);
	}
	if (!dev->shares_rx)
		return nvtgt_rdma_rx_create(q, reactor, nr_pages, false);

	mutex_lock(&dev->rx_lock);
	rx = dev->rx[index];
	if (rx) {
		rx->users++;
	} else {
		rx = nvtgt_rdma_rx_create(q, reactor, nr_pages, true);
		if (!IS_ERR(rx)) {
			rx->index = index;
			dev->rx[index] = rx;
		}
	}
	mutex_unlock(&dev->rx_lock);
	return rx;
}

static void nvtgt_rdma_rx_die(void *arg)
{
	struct nvtgt_rdma_rx *rx = arg;

	rx->dead = true;
}

static void nvtgt_rdma_rx_del(void *arg)
{
	struct nvtgt_rdma_rx *rx = arg;

	nvtgt_source_del(&rx->source);
}

/**
 * nvtgt_rdma_rx_put - a queue receives here no more
 * @rx: the queue pair is gone, and all that it had received has been taken
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_rx_put(struct nvtgt_rdma_rx *rx)
{
	struct nvtgt_rdma_dev *dev = rx->dev;
	bool last;

	mutex_lock(&dev->rx_lock);
	nvtgt_rdma_rx_count_ended(rx);
	last = !--rx->users;
	if (last && rx->retired)
		list_del(&rx->entry);
	else if (last && rx->srq)
		dev->rx[rx->index] = NULL;
	mutex_unlock(&dev->rx_lock);
	if (!last)
		return;

	/* first the reactor stops polling the completion queue; the source goes after the queue */
	nvtgt_rdma_run(rx->reactor, nvtgt_rdma_rx_die, rx);
	if (rx->srq) {
		WRITE_ONCE(rx->going, true);
		cancel_delayed_work_sync(&rx->grow_work);	/* queued again it does nothing */
		ib_destroy_srq(rx->srq);
		cancel_delayed_work_sync(&rx->grow_work);	/* no event queues it any more */
	}
	ib_destroy_cq(rx->cq);
	nvtgt_rdma_run(rx->reactor, nvtgt_rdma_rx_del, rx);
	wait_for_completion(&rx->gone);
	while (!list_empty(&rx->recvs)) {
		struct nvtgt_rdma_recvs *some = list_first_entry(&rx->recvs,
								 struct nvtgt_rdma_recvs, entry);

		list_del(&some->entry);
		nvtgt_rdma_free_recvs(rx, some);
	}
	kfree(rx);
}
