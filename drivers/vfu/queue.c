// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Queues in guest memory
 *
 * A submission queue is a connection and a source of its reactor. Its tail comes from the
 * doorbell register, which the guest rings through the process, or from the shadow doorbell
 * in guest memory (Doorbell Buffer Config, NVMe base 2.1, 5.2.5), which the reactor polls;
 * before it sleeps it writes into the event index that it wants to be woken.
 *
 * A completion queue may serve several submission queues, in several reactors: it has a lock. An
 * interrupt is signalled once per pass. When there is no room for a completion it waits in
 * queue->done until the guest has moved the head.
 *
 * Nothing that the guest writes is read twice: tails, heads and entries are copied, then checked.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "vfu.h"

#define NVTGT_VFU_SHARE		32		/* entries that a pass fetches, if they cost little */

/* Get from the guest's page what the ring's pages are. Returns 0, -EAGAIN or another errno. */
static int nvtgt_vfu_find_ring(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_ring *ring, bool write)
{
	unsigned int nr = DIV_ROUND_UP((u32)ring->size << ring->shift, NVTGT_VFU_PAGE);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct page *page;
		int ret;

		ret = nvtgt_vfu_find_page(dev, ring->gpa + i * NVTGT_VFU_PAGE, write, &page);
		if (ret)
			return ret;
		ring->page[i] = page_address(page);
	}
	ring->ok = true;
	return 0;
}

static void *nvtgt_vfu_ring_entry(const struct nvtgt_vfu_ring *ring, u16 i)
{
	u32 off = (u32)i << ring->shift;

	return ring->page[off >> NVTGT_VFU_PAGE_SHIFT] + (off & (NVTGT_VFU_PAGE - 1));
}

static bool nvtgt_vfu_ring_overlaps(const struct nvtgt_vfu_ring *ring, u64 gpa, u64 size)
{
	return ring->gpa < gpa + size && gpa < ring->gpa + ((u64)ring->size << ring->shift);
}

/*
 * A queue's two words in the shadow doorbells: where the guest writes, and where it looks whether
 * the doorbell has to be rung; or NULL. Returns false when there are some which cannot be reached at
 * the moment: the doorbell's register, which the guest has not written for long, says nothing then.
 */
static bool nvtgt_vfu_find_shadow(struct nvtgt_vfu_dev *dev, u16 qid, bool cq, unsigned int *gen,
				  __le32 **shadow, __le32 **event)
{
	/* the addresses are as new as this number, or newer: then it is looked at again */
	unsigned int now = smp_load_acquire(&dev->dbbuf_gen);
	u64 shadow_gpa = READ_ONCE(dev->dbbuf_shadow), event_gpa = READ_ONCE(dev->dbbuf_event);
	unsigned int off = (2 * qid + cq) * sizeof(__le32);
	struct page *page, *event_page;
	int ret;

	*shadow = NULL;
	*event = NULL;
	if (!qid || !shadow_gpa || !event_gpa) {
		*gen = now;
		return true;
	}
	ret = nvtgt_vfu_find_page(dev, shadow_gpa, false, &page);
	if (!ret)
		ret = nvtgt_vfu_find_page(dev, event_gpa, true, &event_page);
	if (ret)
		return false;		/* tried again: *gen is not now */
	*gen = now;
	*shadow = page_address(page) + off;
	*event = page_address(event_page) + off;
	return true;
}

/**
 * nvtgt_vfu_forget_rings - a range of guest memory goes
 * @q: the queue; nvtgt_vfu_forget_cq() does the same for completion queues
 * @gpa: where
 * @size: bytes
 *
 * Context: the reactor.
 */
void nvtgt_vfu_forget_rings(struct nvtgt_vfu_queue *q, u64 gpa, u64 size)
{
	if (nvtgt_vfu_ring_overlaps(&q->ring, gpa, size))
		q->ring.ok = false;
	q->shadow = NULL;
	q->event = NULL;
	q->dbbuf_gen = 0;
}

/**
 * nvtgt_vfu_forget_cq - a range of guest memory goes, and no region has it any more
 * @cq: the queue, which may have no submission queue
 * @gpa: where
 * @size: bytes
 *
 * Context: process; interrupts are off.
 */
void nvtgt_vfu_forget_cq(struct nvtgt_vfu_cq *cq, u64 gpa, u64 size)
{
	spin_lock(&cq->lock);
	if (nvtgt_vfu_ring_overlaps(&cq->ring, gpa, size))
		cq->ring.ok = false;
	cq->shadow = NULL;
	cq->event = NULL;
	cq->dbbuf_gen = 0;
	spin_unlock(&cq->lock);
}

static void nvtgt_vfu_fence_call(struct nvtgt_call *call)
{
	struct nvtgt_vfu_queue *q = container_of(call, struct nvtgt_vfu_queue, fence_call);
	struct nvtgt_vfu_fence *fence = q->fence;

	q->fence = NULL;
	nvtgt_vfu_forget_rings(q, fence->gpa, fence->size);
	nvtgt_vfu_fence_cmds(q, fence);
	nvtgt_vfu_fence_put(fence);
	nvtgt_vfu_queue_put(q);
}

/* Where the guest has moved a completion queue's head. */
static void nvtgt_vfu_read_head(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_cq *cq)
{
	u32 head;

	lockdep_assert_held(&cq->lock);
	if (unlikely(cq->dbbuf_gen != READ_ONCE(dev->dbbuf_gen))) {
		if (!nvtgt_vfu_find_shadow(dev, cq->id, true, &cq->dbbuf_gen, &cq->shadow,
					   &cq->event))
			return;
		cq->had_shadow |= !!cq->shadow;
	}
	/* a reset has forgotten it: the queue ends */
	if (unlikely(!cq->shadow && cq->had_shadow))
		return;
	head = cq->shadow ? le32_to_cpu(READ_ONCE(*cq->shadow)) : READ_ONCE(cq->bar_head);
	/* a shadow doorbell that is wrong is not looked at; the register's were checked */
	if (likely(head < cq->ring.size))
		cq->head = head;
}

/* The next entry, or NULL when the guest has to take some first. */
static struct nvme_completion *nvtgt_vfu_cq_room(struct nvtgt_vfu_dev *dev,
						 struct nvtgt_vfu_cq *cq)
{
	u16 next = cq->tail + 1 == cq->ring.size ? 0 : cq->tail + 1;

	lockdep_assert_held(&cq->lock);
	if (unlikely(!cq->ring.ok) && nvtgt_vfu_find_ring(dev, &cq->ring, true)) {
		cq->full = true;
		return NULL;
	}
	if (unlikely(next == cq->head)) {
		nvtgt_vfu_read_head(dev, cq);
		if (next == cq->head) {
			cq->full = true;
			/* the guest rings the doorbell when it moves the head from here */
			if (cq->event) {
				WRITE_ONCE(*cq->event, cpu_to_le32(cq->head));
				smp_mb();	/* the guest looks at it after it has moved */
				nvtgt_vfu_read_head(dev, cq);
			}
			if (next == cq->head)
				return NULL;
		}
	}
	return nvtgt_vfu_ring_entry(&cq->ring, cq->tail);
}

/**
 * nvtgt_vfu_post - write a completion queue entry
 * @q: the submission queue
 * @req: responding; the caller goes on with it when this has returned true
 *
 * Context: the reactor.
 * Return: false when there is no room at the moment
 */
bool nvtgt_vfu_post(struct nvtgt_vfu_queue *q, struct nvtgt_req *req)
{
	struct nvtgt_vfu_cq *cq = q->cq;
	struct nvme_completion *to, cqe;
	bool posted = false;

	spin_lock(&cq->lock);
	to = nvtgt_vfu_cq_room(q->dev, cq);
	if (likely(to)) {
		nvtgt_req_cqe(req, &cqe);
		cqe.sq_head = cpu_to_le16(q->head);
		cqe.status |= cpu_to_le16(cq->phase);
		to->result = cqe.result;
		/* the phase goes with the rest of its eight bytes, and after the others */
		smp_wmb();
		WRITE_ONCE(((u64 *)to)[1], ((u64 *)&cqe)[1]);
		if (++cq->tail == cq->ring.size) {
			cq->tail = 0;
			cq->phase = !cq->phase;
		}
		posted = true;
	}
	/* memory that could not be pinned: nothing tells when it can be */
	if (unlikely(!posted && (!cq->ring.ok || cq->dbbuf_gen != READ_ONCE(q->dev->dbbuf_gen))))
		nvtgt_conn_look_by(&q->conn, jiffies + NVTGT_VFU_RETRY);
	spin_unlock(&cq->lock);
	if (!posted)
		return false;
	q->signal = true;
	nvtgt_queue_want_flush(&q->conn.queue);
	return true;
}

static void nvtgt_vfu_signal(struct nvtgt_vfu_vector *vector)
{
	unsigned long flags;

	spin_lock_irqsave(&vector->lock, flags);
	if (vector->event)
		eventfd_signal(vector->event);
	else
		vector->pending = true;
	spin_unlock_irqrestore(&vector->lock, flags);
}

/**
 * nvtgt_vfu_flush - completions have been written in this pass: interrupt the guest
 * @queue: the queue
 *
 * Context: the reactor.
 */
void nvtgt_vfu_flush(struct nvtgt_queue *queue)
{
	struct nvtgt_vfu_queue *q = to_nvtgt_vfu_queue(queue);

	if (!q->signal)
		return;
	q->signal = false;
	if (q->cq->interrupts)
		nvtgt_vfu_signal(&q->dev->vectors[q->cq->vector]);
}

/**
 * nvtgt_vfu_set_irq - NVTGT_VFU_SET_IRQ
 * @dev: the controller
 * @irq: as the process asks
 *
 * Context: process.
 * Return: 0 or a negative errno
 */
int nvtgt_vfu_set_irq(struct nvtgt_vfu_dev *dev, const struct nvtgt_vfu_irq *irq)
{
	struct eventfd_ctx *event = NULL, *old;
	struct nvtgt_vfu_vector *vector;

	if (irq->vector >= dev->nr_vectors)
		return -EINVAL;
	if (irq->fd >= 0) {
		event = eventfd_ctx_fdget(irq->fd);
		if (IS_ERR(event))
			return PTR_ERR(event);
	}
	vector = &dev->vectors[irq->vector];
	spin_lock_irq(&vector->lock);
	old = vector->event;
	vector->event = event;
	if (event && vector->pending) {
		vector->pending = false;
		eventfd_signal(event);
	}
	spin_unlock_irq(&vector->lock);
	if (old)
		eventfd_ctx_put(old);
	return 0;
}

/**
 * nvtgt_vfu_forget_irqs - after a reset: an interrupt of before is not signalled to a new event
 * @dev: the controller, without queues
 *
 * Context: process.
 */
void nvtgt_vfu_forget_irqs(struct nvtgt_vfu_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_vectors; i++) {
		spin_lock_irq(&dev->vectors[i].lock);
		dev->vectors[i].pending = false;
		spin_unlock_irq(&dev->vectors[i].lock);
	}
}

/**
 * nvtgt_vfu_free_vectors - a controller goes
 * @dev: without queues
 */
void nvtgt_vfu_free_vectors(struct nvtgt_vfu_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nr_vectors; i++)
		if (dev->vectors[i].event)
			eventfd_ctx_put(dev->vectors[i].event);
}

/* Completions for which there was no room. */
static void nvtgt_vfu_post_done(struct nvtgt_vfu_queue *q)
{
	struct nvtgt_req *req;

	while ((req = list_first_entry_or_null(&q->done, struct nvtgt_req, entry))) {
		if (!nvtgt_vfu_post(q, req))
			return;
		list_del_init(&req->entry);
		nvtgt_vfu_put_cmd(q, to_nvtgt_vfu_cmd(req));
	}
}

/* The tail, and, with shadow doorbells, that the guest need not ring while it is polled for. */
static u16 nvtgt_vfu_read_tail(struct nvtgt_vfu_queue *q)
{
	u32 tail;

	if (unlikely(q->dbbuf_gen != READ_ONCE(q->dev->dbbuf_gen))) {
		if (!nvtgt_vfu_find_shadow(q->dev, q->conn.queue.qid, false, &q->dbbuf_gen,
					   &q->shadow, &q->event)) {
			nvtgt_conn_look_by(&q->conn, jiffies + NVTGT_VFU_RETRY);
			return q->head;
		}
		q->had_shadow |= !!q->shadow;
	}
	/* a reset has forgotten it: the queue ends */
	if (unlikely(!q->shadow && q->had_shadow))
		return q->head;
	if (!q->shadow)
		/* pairs with nvtgt_vfu_ring_sq(): the entries before this tail */
		return smp_load_acquire(&q->bar_tail);
	tail = le32_to_cpu(READ_ONCE(*q->shadow));
	smp_rmb();	/* the entries before this tail */
	if (likely(tail < q->ring.size))
		return tail;
	nvtgt_pci_ctrl_doorbell_error(q->conn.queue.ctrl, 1);
	return q->head;
}

/*
 * The guest rings when its tail passes the event index (16 bits). One entry behind the tail that
 * was seen it will not, until it has gone round the numbers; at the tail it will.
 */
static void nvtgt_vfu_set_event(struct nvtgt_vfu_queue *q, u16 event)
{
	if (q->event && READ_ONCE(*q->event) != cpu_to_le32(event))
		WRITE_ONCE(*q->event, cpu_to_le32(event));
}

static bool nvtgt_vfu_fetch(struct nvtgt_vfu_queue *q, u16 tail)
{
	for (q->spent = 0; q->spent < NVTGT_VFU_SHARE && q->head != tail; q->spent++) {
		struct nvtgt_req *req = nvtgt_conn_get_req(&q->conn);
		struct nvtgt_vfu_cmd *cmd;

		if (unlikely(!req)) {
			/* nvtgt_vfu_put_cmd() kicks the source; or memory was short */
			if (q->conn.nr_slots < q->conn.max_slots)
				nvtgt_conn_look_by(&q->conn, jiffies + 1);
			return false;
		}
		cmd = to_nvtgt_vfu_cmd(req);
		memcpy(&cmd->sqe, nvtgt_vfu_ring_entry(&q->ring, q->head), sizeof(cmd->sqe));
		q->head = q->head + 1 == q->ring.size ? 0 : q->head + 1;
		nvtgt_vfu_new_cmd(q, cmd);
		if (unlikely(q->conn.state != NVTGT_CONN_LIVE))
			return false;
	}
	return q->head != tail;
}

static void nvtgt_vfu_take_events(struct nvtgt_vfu_queue *q)
{
	nvtgt_conn_take_events(&q->conn);
	if (test_and_clear_bit(NVTGT_VFU_F_MEMORY, &q->conn.flags))
		nvtgt_conn_mem_kick(&q->conn, false);
}

static bool nvtgt_vfu_receive(struct nvtgt_source *source)
{
	struct nvtgt_vfu_queue *q = container_of(source, struct nvtgt_vfu_queue, conn.source);
	bool more, found;
	u16 tail;

	if (unlikely(READ_ONCE(q->conn.flags)))
		nvtgt_vfu_take_events(q);
	/* there is nothing that both ends have to agree on first */
	if (unlikely(q->conn.state == NVTGT_CONN_OPENING))
		nvtgt_conn_set_state(&q->conn, NVTGT_CONN_LIVE);
	if (unlikely(q->conn.state != NVTGT_CONN_LIVE))
		return false;
	if (unlikely(!list_empty(&q->done)))
		nvtgt_vfu_post_done(q);
	/* without its memory the queue stands still: NVTGT_VFU_F_MEMORY comes */
	if (unlikely(!q->ring.ok)) {
		int ret = nvtgt_vfu_find_ring(q->dev, &q->ring, false);

		/* where it could not be pinned, nothing tells when it can be */
		if (ret && ret != -EFAULT)
			nvtgt_conn_look_by(&q->conn, jiffies + NVTGT_VFU_RETRY);
		if (ret)
			return false;
	}
	tail = nvtgt_vfu_read_tail(q);
	found = tail != q->head;
	more = found && nvtgt_vfu_fetch(q, tail);
	if (more)
		return true;
	nvtgt_vfu_set_event(q, tail - 1);
	nvtgt_source_poll(source, found);
	return false;
}

static bool nvtgt_vfu_arm(struct nvtgt_source *source)
{
	struct nvtgt_vfu_queue *q = container_of(source, struct nvtgt_vfu_queue, conn.source);

	if (q->conn.state != NVTGT_CONN_LIVE || !q->ring.ok)
		return false;
	/* finds the event index, if that is news */
	nvtgt_vfu_read_tail(q);
	if (q->event) {
		nvtgt_vfu_set_event(q, q->head);
		smp_mb();	/* pairs with the guest's between its tail and its look at this */
	}
	/* commands that have no request to go into are not news: nvtgt_vfu_put_cmd() kicks */
	return nvtgt_vfu_read_tail(q) != q->head && !list_empty(&q->conn.free);
}

/**
 * nvtgt_vfu_kick_all - memory has been pinned or mapped: queues that wait for some look again
 * @dev: the controller
 *
 * Context: process.
 */
void nvtgt_vfu_kick_all(struct nvtgt_vfu_dev *dev)
{
	unsigned int i;

	spin_lock_irq(&dev->queue_lock);
	for (i = 0; i < ARRAY_SIZE(dev->sqs); i++)
		if (dev->sqs[i])
			nvtgt_conn_event(&dev->sqs[i]->conn, NVTGT_VFU_F_MEMORY);
	spin_unlock_irq(&dev->queue_lock);
}

/* A completion queue has room again: the queues that it serves go on. */
static void nvtgt_vfu_kick_cq(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_cq *cq)
{
	unsigned int i;

	lockdep_assert_held(&dev->queue_lock);
	for (i = 0; i < ARRAY_SIZE(dev->sqs); i++)
		if (dev->sqs[i] && dev->sqs[i]->cq == cq)
			nvtgt_source_kick(&dev->sqs[i]->conn.source);
}

static bool nvtgt_vfu_ring_cq(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_cq *cq, u32 value)
{
	bool full;

	if (value >= cq->ring.size)
		return false;
	WRITE_ONCE(cq->bar_head, value);
	spin_lock(&cq->lock);
	full = cq->full;
	cq->full = false;
	spin_unlock(&cq->lock);
	if (full)
		nvtgt_vfu_kick_cq(dev, cq);
	return true;
}

static bool nvtgt_vfu_ring_sq(struct nvtgt_vfu_queue *q, u32 value)
{
	if (value >= q->ring.size)
		return false;
	/* what the guest had written before it rang */
	smp_store_release(&q->bar_tail, value);
	nvtgt_source_kick(&q->conn.source);
	return true;
}

/**
 * nvtgt_vfu_doorbell - the guest has rung
 * @dev: the controller
 * @offset: in BAR0, a multiple of four
 * @value: what it wrote
 *
 * A doorbell of a queue that there is not, or a value beyond the queue, is an error event.
 *
 * Context: process.
 */
void nvtgt_vfu_doorbell(struct nvtgt_vfu_dev *dev, u32 offset, u32 value)
{
	u32 i = (offset - NVTGT_VFU_DOORBELLS) / sizeof(u32);
	u32 qid = i / 2;
	bool there = false, ok = true;

	if (qid > NVTGT_MAX_QID)
		return;
	spin_lock_irq(&dev->queue_lock);
	if (i % 2 && dev->cqs[qid]) {
		there = true;
		ok = nvtgt_vfu_ring_cq(dev, dev->cqs[qid], value);
	} else if (!(i % 2) && dev->sqs[qid]) {
		there = true;
		ok = nvtgt_vfu_ring_sq(dev->sqs[qid], value);
	}
	spin_unlock_irq(&dev->queue_lock);
	if (there && ok)
		return;
	nvtgt_vfu_warn(dev, "doorbell at %#x: %s (%u)\n", offset,
		       there ? "the queue is smaller" : "no such queue", value);
	nvtgt_pci_ctrl_doorbell_error(dev->ctrl, there);
}

/**
 * nvtgt_vfu_cq_create - a completion queue
 * @id: its identifier
 * @gpa: where its entries are
 * @size: how many
 * @vector: its interrupt
 * @interrupts: whether it has one
 *
 * Context: process.
 * Return: the queue, with one reference, or NULL
 */
struct nvtgt_vfu_cq *nvtgt_vfu_cq_create(u16 id, u64 gpa, u16 size, u16 vector, bool interrupts)
{
	struct nvtgt_vfu_cq *cq = kzalloc(sizeof(*cq), GFP_KERNEL_ACCOUNT);

	if (!cq)
		return NULL;
	kref_init(&cq->ref);
	spin_lock_init(&cq->lock);
	cq->id = id;
	cq->vector = vector;
	cq->interrupts = interrupts;
	cq->phase = true;
	cq->ring.gpa = gpa;
	cq->ring.size = size;
	cq->ring.shift = ilog2(sizeof(struct nvme_completion));
	return cq;
}

static void nvtgt_vfu_cq_release(struct kref *ref)
{
	kfree(container_of(ref, struct nvtgt_vfu_cq, ref));
}

/**
 * nvtgt_vfu_cq_put - give a reference back
 * @cq: the queue
 */
void nvtgt_vfu_cq_put(struct nvtgt_vfu_cq *cq)
{
	kref_put(&cq->ref, nvtgt_vfu_cq_release);
}

static void nvtgt_vfu_queue_release(struct kref *ref)
{
	struct nvtgt_vfu_queue *q = container_of(ref, struct nvtgt_vfu_queue, ref);
	struct nvtgt_vfu_dev *dev = q->dev;

	nvtgt_vfu_free_tables(q);
	nvtgt_vfu_cq_put(q->cq);
	kfree(q);
	nvtgt_vfu_dev_put(dev);
}

/**
 * nvtgt_vfu_queue_put - give a reference back
 * @q: the queue
 *
 * Context: any.
 */
void nvtgt_vfu_queue_put(struct nvtgt_vfu_queue *q)
{
	kref_put(&q->ref, nvtgt_vfu_queue_release);
}

/* The queue of @qid that there is, or is to be: the doorbell finds it. */
static void nvtgt_vfu_set_sq(struct nvtgt_vfu_dev *dev, u16 qid, struct nvtgt_vfu_queue *q)
{
	spin_lock_irq(&dev->queue_lock);
	if (q)
		q->cq->nr_sqs++;
	else if (dev->sqs[qid])
		dev->sqs[qid]->cq->nr_sqs--;
	dev->sqs[qid] = q;
	spin_unlock_irq(&dev->queue_lock);
}

static struct nvtgt_vfu_queue *nvtgt_vfu_queue_alloc(struct nvtgt_vfu_dev *dev,
						     struct nvtgt_vfu_cq *cq, u64 gpa, u16 size)
{
	struct nvtgt_vfu_queue *q = kzalloc(sizeof(*q), GFP_KERNEL_ACCOUNT);

	if (!q)
		return NULL;
	kref_init(&q->ref);
	INIT_LIST_HEAD(&q->done);
	INIT_LIST_HEAD(&q->tables);
	q->fence_call.fn = nvtgt_vfu_fence_call;
	q->ring.gpa = gpa;
	q->ring.size = size;
	q->ring.shift = ilog2(sizeof(struct nvme_command));
	q->conn.source.receive = nvtgt_vfu_receive;
	q->conn.source.arm = nvtgt_vfu_arm;
	/* requests for events are outstanding for long, and must not leave none for other commands */
	q->conn.max_slots = min_t(u32, size, NVTGT_MAX_QUEUE_SIZE) + NVTGT_VFU_MAX_AERS;
	nvtgt_vfu_dev_get(dev);
	q->dev = dev;
	kref_get(&cq->ref);
	q->cq = cq;
	return q;
}

/**
 * nvtgt_vfu_queue_create - make a submission queue
 * @dev: the controller, locked
 * @qid: its identifier, of no queue
 * @cq: its completion queue
 * @gpa: where its entries are
 * @size: how many
 *
 * Context: process.
 * Return: 0 or a status
 */
u16 nvtgt_vfu_queue_create(struct nvtgt_vfu_dev *dev, u16 qid, struct nvtgt_vfu_cq *cq, u64 gpa,
			   u16 size)
{
	const struct sockaddr_storage nowhere = {};
	struct nvtgt_port *port = nvtgt_pci_ctrl_port(dev->ctrl);
	struct nvtgt_reactor *reactor;
	struct nvtgt_vfu_queue *q;
	u16 status;

	lockdep_assert_held(&dev->lock);
	reactor = nvtgt_reactor_get_near(port->cpus, NUMA_NO_NODE);
	if (IS_ERR(reactor))
		return NVME_SC_INTERNAL;
	q = nvtgt_vfu_queue_alloc(dev, cq, gpa, size);
	if (!q)
		goto put_reactor;
	if (nvtgt_conn_init(&q->conn, port, &nvtgt_vfu_ops, &nowhere))
		goto put_queue;
	strscpy(q->conn.host_traddr, dev->vport->path, sizeof(q->conn.host_traddr));
	/* whoever finds the queue in its controller looks for its reactor */
	q->conn.queue.reactor = reactor;
	nvtgt_vfu_set_sq(dev, qid, q);
	status = nvtgt_pci_conn_join(&q->conn, dev->ctrl, qid, size);
	if (status) {
		nvtgt_vfu_set_sq(dev, qid, NULL);
		nvtgt_conn_refuse(&q->conn);
		return status;
	}
	nvtgt_conn_start(&q->conn, reactor);
	nvtgt_conn_go(&q->conn);
	return 0;

put_queue:
	nvtgt_vfu_queue_put(q);
put_reactor:
	nvtgt_reactor_put(reactor);
	return NVME_SC_INTERNAL;
}

/**
 * nvtgt_vfu_close - end a queue
 * @conn: in any state; nothing happens when it is on its way out already
 *
 * From here on nothing of the queue touches guest memory but what a device does.
 *
 * Context: the reactor.
 */
void nvtgt_vfu_close(struct nvtgt_conn *conn)
{
	if (!nvtgt_conn_begin_end(conn, NVTGT_CONN_CLOSING))
		return;
	nvtgt_conn_drop_reqs(conn);
	nvtgt_conn_try_leave(conn);
}

/**
 * nvtgt_vfu_end - neither doorbells nor pinned memory find a queue any more
 * @conn: the queue's, with nothing in flight
 *
 * Context: process.
 */
void nvtgt_vfu_end(struct nvtgt_conn *conn)
{
	struct nvtgt_vfu_queue *q = to_nvtgt_vfu_queue(&conn->queue);

	nvtgt_vfu_set_sq(q->dev, conn->queue.qid, NULL);
}

/**
 * nvtgt_vfu_free - a queue's connection is gone
 * @conn: the queue's
 *
 * Context: process.
 */
void nvtgt_vfu_free(struct nvtgt_conn *conn)
{
	struct nvtgt_vfu_queue *q = to_nvtgt_vfu_queue(&conn->queue);

	nvtgt_vfu_queue_gone(q->dev);
	if (q->delete_req)
		nvtgt_req_complete(q->delete_req, 0);
	nvtgt_vfu_queue_put(q);
}
