// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of a connection: slots, memory, the data that come with them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/tracepoint-defs.h>
#include "rdma.h"

DECLARE_TRACEPOINT(nvtgt_rdma_state);

/* Memory that one connection's commands hold at most, unless it is one command. */
#define NVTGT_RDMA_MAX_CHARGED	(16U << 20)

const char *const nvtgt_rdma_cmd_state_names[NVTGT_RDMA_CMD_STATES] = {
	[NVTGT_RDMA_FREE]	= "free",
	[NVTGT_RDMA_RECEIVED]	= "received",
	[NVTGT_RDMA_MEMORY]	= "memory",
	[NVTGT_RDMA_READING]	= "reading",
	[NVTGT_RDMA_EXECUTING]	= "executing",
	[NVTGT_RDMA_WRITING]	= "writing",
	[NVTGT_RDMA_RESPONDING]	= "responding",
};

/**
 * nvtgt_rdma_set_state - a command goes on
 * @q: the connection
 * @cmd: the command
 * @state: where to
 *
 * The only place that changes a command's state.
 */
void nvtgt_rdma_set_state(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			  enum nvtgt_rdma_cmd_state state)
{
	if (tracepoint_enabled(nvtgt_rdma_state))
		nvtgt_rdma_trace_state(q, cmd, state);
	q->nr_state[cmd->state]--;
	q->nr_state[state]++;
	cmd->state = state;
}

/**
 * nvtgt_rdma_alloc_cmds - room for a new connection's slots and completions
 * @q: the connection
 *
 * Slots themselves are allocated when they are needed.
 *
 * Return: 0 or -ENOMEM
 */
int nvtgt_rdma_alloc_cmds(struct nvtgt_rdma_queue *q)
{
	struct ib_device *ib = q->dev->ib;

	q->cmds = kcalloc(q->max_cmds, sizeof(*q->cmds), GFP_KERNEL);
	q->cqes = kcalloc(q->max_cmds, sizeof(*q->cqes), GFP_KERNEL);
	if (!q->cmds || !q->cqes)
		goto free;
	q->cqes_addr = ib_dma_map_single(ib, q->cqes, q->max_cmds * sizeof(*q->cqes),
					 DMA_TO_DEVICE);
	if (!ib_dma_mapping_error(ib, q->cqes_addr))
		return 0;
free:
	kfree(q->cmds);
	kfree(q->cqes);
	q->cmds = NULL;
	q->cqes = NULL;
	return -ENOMEM;
}

/**
 * nvtgt_rdma_free_cmds - free all slots
 * @q: a connection that has left its reactor, or has never had one
 */
void nvtgt_rdma_free_cmds(struct nvtgt_rdma_queue *q)
{
	unsigned int i;

	for (i = 0; i < q->nr_cmds; i++)
		kmem_cache_free(nvtgt_rdma_cmd_cache, q->cmds[i]);
	if (q->cqes)
		ib_dma_unmap_single(q->dev->ib, q->cqes_addr, q->max_cmds * sizeof(*q->cqes),
				    DMA_TO_DEVICE);
	kfree(q->cmds);
	kfree(q->cqes);
}

/* A slot, or NULL: they are all in use, until the device has done with a response. */
static struct nvtgt_rdma_cmd *nvtgt_rdma_get_cmd(struct nvtgt_rdma_queue *q)
{
	struct nvtgt_rdma_cmd *cmd;

	cmd = list_first_entry_or_null(&q->free, struct nvtgt_rdma_cmd, entry);
	if (cmd) {
		list_del_init(&cmd->entry);
		return cmd;
	}
	if (q->nr_cmds == q->max_cmds)
		return NULL;
	cmd = kmem_cache_zalloc(nvtgt_rdma_cmd_cache, GFP_ATOMIC | __GFP_NOWARN);
	if (!cmd)
		return NULL;
	INIT_LIST_HEAD(&cmd->entry);
	cmd->slot = q->nr_cmds;
	q->nr_state[NVTGT_RDMA_FREE]++;
	q->cmds[q->nr_cmds++] = cmd;
	return cmd;
}

static struct nvtgt_rdma_piece **nvtgt_rdma_pieces(struct nvtgt_rdma_cmd *cmd)
{
	return cmd->more && cmd->more->pieces ? cmd->more->pieces : cmd->piece;
}

/* Gives back the receive buffer that a command has kept. */
static void nvtgt_rdma_let_recv(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	if (!cmd->recv)
		return;
	q->rx->nr_held--;
	nvtgt_rdma_rx_again(q->rx, cmd->recv);
	cmd->recv = NULL;
}

static void nvtgt_rdma_put_pieces(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_piece **pieces = nvtgt_rdma_pieces(cmd);

	while (cmd->nr_pieces)
		nvtgt_rdma_piece_put(q->dev, q->pool, pieces[--cmd->nr_pieces]);
	if (unlikely(cmd->more) && cmd->more->pi) {
		nvtgt_rdma_piece_put(q->dev, q->pool, cmd->more->pi);
		cmd->more->pi = NULL;
	}
	cmd->req.bvec = NULL;
	cmd->req.nr_bvec = 0;
}

static void nvtgt_rdma_free_more(struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_more *more = cmd->more;

	if (likely(!more))
		return;
	kfree(more->pieces);
	kfree(more->bvec);
	kfree(more->keys);
	kfree(more->rw);
	kfree(more->sge);
	kfree(more);
	cmd->more = NULL;
}

/**
 * nvtgt_rdma_put_cmd - a command is over: free its memory and its slot
 * @q: the connection
 * @cmd: responding, in no list
 *
 * Context: the reactor.
 */
void nvtgt_rdma_put_cmd(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	q->charged -= cmd->req.charged;
	nvtgt_rdma_regs_put(q, cmd);
	nvtgt_rdma_put_pieces(q, cmd);
	nvtgt_rdma_let_recv(q, cmd);
	nvtgt_rdma_free_more(cmd);
	nvtgt_buf_put(&cmd->req);
	nvtgt_req_release(&cmd->req);
	nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_FREE);
	list_add(&cmd->entry, &q->free);	/* the warmest first */
}

/**
 * nvtgt_rdma_fail - a command is not executed; what has come so far is of no use
 * @q: the connection
 * @cmd: parsed; in no list
 * @status: why
 *
 * Context: the reactor.
 */
void nvtgt_rdma_fail(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd, u16 status)
{
	nvtgt_rdma_let_recv(q, cmd);
	nvtgt_rdma_regs_put(q, cmd);	/* never posted, or over */
	nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_EXECUTING);
	nvtgt_req_fail(&cmd->req, status);
}

/**
 * nvtgt_rdma_execute - hand a command to the core
 * @q: the connection
 * @cmd: has what it needs; in no list
 *
 * Context: the reactor.
 */
void nvtgt_rdma_execute(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_EXECUTING);
	nvtgt_req_execute(&cmd->req);
}

/* What a command needs beyond the usual, zeroed. */
static struct nvtgt_rdma_more *nvtgt_rdma_need_more(struct nvtgt_rdma_cmd *cmd)
{
	if (!cmd->more)
		cmd->more = kzalloc(sizeof(*cmd->more), GFP_ATOMIC | __GFP_NOWARN);
	return cmd->more;
}

/* Room for as many pieces. */
static bool nvtgt_rdma_room(struct nvtgt_rdma_cmd *cmd, unsigned int nr)
{
	struct nvtgt_rdma_more *more;
	gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;

	BUILD_BUG_ON(NVTGT_RDMA_PIECES > NVTGT_INLINE_BVECS);
	cmd->req.bvec = cmd->req.inline_bvec;
	if (likely(nr <= NVTGT_RDMA_PIECES))
		return true;
	more = nvtgt_rdma_need_more(cmd);
	if (!more)
		return false;
	kfree(more->pieces);
	kfree(more->bvec);
	more->pieces = kmalloc_array(nr, sizeof(*more->pieces), gfp);
	more->bvec = kmalloc_array(nr, sizeof(*more->bvec), gfp);
	cmd->req.bvec = more->bvec;
	return more->pieces && more->bvec;
}

/* Pieces of no more than PAGE_SIZE << @max for a command's data. */
static bool nvtgt_rdma_fill_by(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd, u8 max)
{
	struct nvtgt_req *req = &cmd->req;
	unsigned int pages = DIV_ROUND_UP(req->data_len, PAGE_SIZE);
	struct nvtgt_rdma_piece **pieces, *piece;
	u32 len = req->data_len;

	if (!nvtgt_rdma_room(cmd, (pages >> max) + max))
		return false;
	pieces = nvtgt_rdma_pieces(cmd);
	while (len) {
		u8 order = min_t(u8, max, ilog2(DIV_ROUND_UP(len, PAGE_SIZE)));
		u32 part = min_t(u32, len, PAGE_SIZE << order);

		piece = nvtgt_rdma_piece_get(q->dev, q->pool, order, GFP_NOWAIT);
		if (!piece)
			return false;
		req->bvec[cmd->nr_pieces] = (struct bio_vec) { .bv_page = piece->page,
							       .bv_len = part };
		pieces[cmd->nr_pieces++] = piece;
		len -= part;
	}
	req->nr_bvec = cmd->nr_pieces;
	return true;
}

/* Memory for a command that has its credit; smaller pieces if there are no large ones. */
static int nvtgt_rdma_fill(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	static const u8 orders[] = { NVTGT_RDMA_ORDERS - 1, 2, 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		if (likely(nvtgt_rdma_fill_by(q, cmd, orders[i])))
			return 0;
		nvtgt_rdma_put_pieces(q, cmd);
	}
	return -ENOMEM;
}

/* Registered memory, where it takes that. */
static int nvtgt_rdma_room_regs(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	int ret;

	if (!nvtgt_rdma_need_more(cmd))
		return -ENOMEM;
	ret = nvtgt_rdma_regs_get(q, cmd);
	if (ret > q->sq_size - 2)
		ret = -E2BIG;
	if (ret < 0) {
		nvtgt_rdma_regs_put(q, cmd);
		return ret;
	}
	cmd->nr_reg_wrs = ret;
	return 0;
}

/* Protection information lies in one piece, beside the data. */
static int nvtgt_rdma_room_pi(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_more *more = nvtgt_rdma_need_more(cmd);
	struct nvtgt_req *req = &cmd->req;

	if (cmd->nr_keys != 1)
		return -E2BIG;
	if (!more)
		return -ENOMEM;
	if (!more->pi)
		more->pi = nvtgt_rdma_piece_get(q->dev, q->pool, get_order(req->pi_len),
						GFP_NOWAIT);
	if (!more->pi)
		return -ENOMEM;
	req->pi = (struct bio_vec) { .bv_page = more->pi->page, .bv_len = req->pi_len };
	/* what a read brings is mapped when it is there */
	return req->dir == DMA_TO_DEVICE ? nvtgt_rdma_room_regs(q, cmd) : 0;
}

/* Work requests and segments, where there are more than the usual. */
static int nvtgt_rdma_room_rw(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	unsigned int nr = nvtgt_rdma_count_rw(q, cmd);
	struct nvtgt_rdma_more *more;
	gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;

	if (unlikely(cmd->req.pi_len))
		return nvtgt_rdma_room_pi(q, cmd);
	if (q->dev->needs_mr && cmd->req.dir == DMA_TO_DEVICE)
		return nvtgt_rdma_room_regs(q, cmd);
	if (likely(nr == 1))
		return 0;
	/* a response follows; the first of the queue always fits */
	if (nr + 1 > q->sq_size - 1U)
		return -E2BIG;
	more = nvtgt_rdma_need_more(cmd);
	if (!more)
		return -ENOMEM;
	kfree(more->rw);	/* of a try that found no memory */
	kfree(more->sge);
	more->rw = kmalloc_array(nr, sizeof(*more->rw), gfp);
	more->sge = kmalloc_array(cmd->nr_pieces + cmd->nr_keys, sizeof(*more->sge), gfp);
	return more->rw && more->sge ? 0 : -ENOMEM;
}

/* Data in the capsule that do not begin at its beginning: these are copied. */
static int nvtgt_rdma_copy_in(struct nvtgt_rdma_cmd *cmd)
{
	u32 off = cmd->offset, len = cmd->req.data_len;
	struct nvtgt_rdma_recv *recv = cmd->recv;
	struct iov_iter iter;

	iov_iter_bvec(&iter, ITER_DEST, cmd->req.bvec, cmd->req.nr_bvec, len);
	while (len) {
		u32 at = off % PAGE_SIZE, part = min_t(u32, len, PAGE_SIZE - at);

		/* the sum of both has been held against what came */
		if (copy_to_iter(page_address(recv->piece[off / PAGE_SIZE]->page) + at, part,
				 &iter) != part)
			return -EFAULT;
		off += part;
		len -= part;
	}
	return 0;
}

/* The pages that data came in are the command's now; the buffer gets others. */
static bool nvtgt_rdma_exchange(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	unsigned int i, nr = DIV_ROUND_UP(cmd->req.data_len, PAGE_SIZE);
	struct nvtgt_rdma_recv *recv = cmd->recv;
	u32 len = cmd->req.data_len;

	cmd->req.bvec = cmd->req.inline_bvec;
	for (i = 0; i < nr; i++) {
		u32 part = min_t(u32, len, PAGE_SIZE);
		struct nvtgt_rdma_piece *fresh;

		fresh = nvtgt_rdma_piece_get(q->dev, q->pool, 0, GFP_NOWAIT);
		if (!fresh)
			return false;
		ib_dma_sync_single_for_cpu(q->dev->ib, recv->piece[i]->addr, part,
					   DMA_BIDIRECTIONAL);
		cmd->req.bvec[i] = (struct bio_vec) { .bv_page = recv->piece[i]->page,
						      .bv_len = part };
		cmd->piece[i] = recv->piece[i];
		recv->piece[i] = fresh;
		recv->sge[1 + i].addr = fresh->addr;
		len -= part;
		cmd->nr_pieces++;
	}
	cmd->req.nr_bvec = nr;
	return true;
}

/* Half of an exchange is put right. */
static void nvtgt_rdma_exchange_back(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_recv *recv = cmd->recv;

	while (cmd->nr_pieces) {
		unsigned int i = --cmd->nr_pieces;

		nvtgt_rdma_piece_put(q->dev, q->pool, recv->piece[i]);
		recv->piece[i] = cmd->piece[i];
		recv->sge[1 + i].addr = recv->piece[i]->addr;
	}
	cmd->req.bvec = NULL;
}

/* Data that came with the command, into memory of its own. */
static int nvtgt_rdma_take_inline(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	u8 i;

	if (likely(!cmd->offset)) {
		if (nvtgt_rdma_exchange(q, cmd))
			return 0;
		nvtgt_rdma_exchange_back(q, cmd);
		return -ENOMEM;
	}
	if (nvtgt_rdma_fill(q, cmd))
		return -ENOMEM;
	for (i = 0; i < q->rx->nr_pages; i++)
		ib_dma_sync_single_for_cpu(q->dev->ib, cmd->recv->piece[i]->addr, PAGE_SIZE,
					   DMA_BIDIRECTIONAL);
	return nvtgt_rdma_copy_in(cmd);
}

/*
 * Half of the buffers that all of them receive into are kept by some. One that is retired
 * may have lost half of its own.
 */
static bool nvtgt_rdma_rx_is_short(const struct nvtgt_rdma_rx *rx)
{
	return rx->srq &&
	       rx->nr_held > READ_ONCE(rx->nr_recvs) / (READ_ONCE(rx->retired) ? 4 : 2);
}

/*
 * Returns 0, -EBUSY: what this connection gives back lets it try again, -EAGAIN:
 * there is no credit, -ENOMEM, or -E2BIG: it needs more than the send queue has.
 */
static int nvtgt_rdma_mem_get(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_req *req = &cmd->req;
	int ret = -EBUSY;

	if (!q->charged || q->charged + req->data_len <= NVTGT_RDMA_MAX_CHARGED)
		ret = nvtgt_buf_reserve(req);
	/* others need the buffer that it would keep */
	if (unlikely(ret) && cmd->recv && nvtgt_rdma_rx_is_short(q->rx)) {
		nvtgt_buf_reserve_over(req);
		ret = 0;
	}
	if (ret)
		return ret;
	if (cmd->recv)
		ret = nvtgt_rdma_take_inline(q, cmd);
	else
		ret = nvtgt_rdma_fill(q, cmd);
	if (!ret && cmd->nr_keys)
		ret = nvtgt_rdma_room_rw(q, cmd);
	/* no other command of this connection has what it waits for */
	if (unlikely(ret == -EBUSY && !q->charged))
		ret = -E2BIG;
	if (unlikely(ret)) {
		nvtgt_rdma_put_pieces(q, cmd);
		nvtgt_buf_put(req);
		return ret;
	}
	q->charged += req->charged;
	nvtgt_rdma_let_recv(q, cmd);
	return 0;
}

/* It has its memory: fetch the host's data, or let it be executed. */
static void nvtgt_rdma_got_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	if (cmd->req.dir == DMA_TO_DEVICE && cmd->nr_keys) {
		/* the host may be slow, or gone: nobody waits for the namespace meanwhile */
		nvtgt_req_park(&cmd->req);
		nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_READING);
		nvtgt_rdma_want_send(q, cmd);
	} else {
		nvtgt_rdma_execute(q, cmd);
	}
}

/* No memory is free: is there time left to wait for some? Then the host may try again. */
static bool nvtgt_rdma_may_wait(struct nvtgt_rdma_queue *q)
{
	unsigned long patience = msecs_to_jiffies(NVTGT_BUF_PATIENCE_MS);

	/* what began long ago is another shortage, or has to be waited for again */
	if (!q->short_since || time_after(jiffies, q->short_since + 4 * patience))
		q->short_since = jiffies | 1;
	return time_before(jiffies, q->short_since + patience);
}

/*
 * Looks whether commands that wait can have their memory. Returns 0: those that
 * are left wait for what this connection gives back, -EAGAIN: there is no credit,
 * -ENOMEM: no page is free.
 */
static int nvtgt_rdma_mem_try(struct nvtgt_rdma_queue *q)
{
	while (!list_empty(&q->mem_wait)) {
		struct nvtgt_rdma_cmd *cmd;
		int ret;

		cmd = list_first_entry(&q->mem_wait, struct nvtgt_rdma_cmd, entry);
		ret = nvtgt_rdma_mem_get(q, cmd);
		if (ret == -EBUSY)
			return 0;
		if (ret == -EAGAIN || (ret == -ENOMEM && nvtgt_rdma_may_wait(q)))
			return ret;
		list_del_init(&cmd->entry);
		if (!ret) {
			q->short_since = 0;
			nvtgt_rdma_got_mem(q, cmd);
		} else {
			nvtgt_rdma_fail(q, cmd, ret == -E2BIG ?
					NVME_SC_SGL_INVALID_COUNT | NVME_STATUS_DNR :
					NVME_SC_INTERNAL);
		}
	}
	return 0;
}

/* What the first of the commands that wait needs, and those behind it in one turn. */
static long nvtgt_rdma_mem_wanted(const struct nvtgt_rdma_queue *q)
{
	const struct nvtgt_rdma_cmd *cmd;
	long sum = 0;

	list_for_each_entry(cmd, &q->mem_wait, entry) {
		long bytes = nvtgt_buf_bytes(&cmd->req);

		if (sum && sum + bytes > NVTGT_BUF_TURN)
			break;
		sum += bytes;
	}
	return sum;
}

/**
 * nvtgt_rdma_mem_kick - let commands that wait for memory try
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_mem_kick(struct nvtgt_rdma_queue *q)
{
	int ret;

	if (q->in_line || list_empty(&q->mem_wait))
		return;
	ret = nvtgt_rdma_mem_try(q);
	if (!ret)
		return;
	q->in_line = true;
	if (ret == -EAGAIN)
		nvtgt_buf_wait(q->queue.reactor, &q->waiter, nvtgt_rdma_mem_wanted(q));
	else
		nvtgt_buf_retry(q->queue.reactor, &q->waiter);
}

/**
 * nvtgt_rdma_mem_ready - there is memory for the first of the connection's commands
 * @waiter: the connection's, out of the line
 */
void nvtgt_rdma_mem_ready(struct nvtgt_buf_waiter *waiter)
{
	struct nvtgt_rdma_queue *q = container_of(waiter, struct nvtgt_rdma_queue, waiter);

	q->in_line = false;
	nvtgt_rdma_mem_kick(q);
	nvtgt_rdma_rx_post(q->rx);
}

static void nvtgt_rdma_want_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	int ret = -EBUSY;

	nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_MEMORY);
	/* in turn; but nobody waits with what others need */
	if (likely(list_empty(&q->mem_wait)) || (cmd->recv && nvtgt_rdma_rx_is_short(q->rx)))
		ret = nvtgt_rdma_mem_get(q, cmd);
	if (likely(!ret)) {
		nvtgt_rdma_got_mem(q, cmd);
		return;
	}
	list_add_tail(&cmd->entry, &q->mem_wait);
	nvtgt_req_park(&cmd->req);
	nvtgt_rdma_mem_kick(q);
	/* what the connection gives back may be enough: its sends are waited for now */
	nvtgt_source_kick(&q->source);
}

/* Which of the two has found what is wrong with a command. */
static u16 nvtgt_rdma_judge(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			    const struct nvtgt_rdma_sgl *sgl, u16 sgl_status)
{
	struct nvtgt_req *req = &cmd->req;
	bool ok;

	nvtgt_req_init(req, &q->queue, &cmd->sqe, sgl->len);
	ok = nvtgt_req_parse(req);
	if (unlikely(sgl_status)) {
		/* without data the descriptor is reserved; else its length was not to be had */
		if (ok && !req->data_len)
			return 0;
		if (ok || req->status == (NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR))
			return sgl_status;
	}
	if (unlikely(!ok))
		return req->status;
	if (sgl->in_capsule && unlikely(req->dir != DMA_TO_DEVICE))
		return NVME_SC_SGL_INVALID_TYPE | NVME_STATUS_DNR;
	/* IOCCSZ leaves no room for them, where there is protection information */
	if (sgl->in_capsule && unlikely((u64)sgl->offset + sgl->len > cmd->recv->data_len ||
					req->pi_len))
		return NVME_SC_SGL_INVALID_OFFSET | NVME_STATUS_DNR;
	return 0;
}

/* Takes the host's keys down: the capsule's memory is used again. */
static int nvtgt_rdma_set_keys(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			       const struct nvtgt_rdma_sgl *sgl)
{
	struct nvtgt_rdma_more *more;

	cmd->nr_keys = sgl->nr_keys;
	cmd->key = q->rx->keys[0];
	if (likely(sgl->nr_keys <= 1))
		return 0;
	more = nvtgt_rdma_need_more(cmd);
	if (more)
		more->keys = kmemdup(q->rx->keys, sgl->nr_keys * sizeof(*more->keys),
				     GFP_ATOMIC | __GFP_NOWARN);
	return more && more->keys ? 0 : -ENOMEM;
}

/* A capsule has a slot. */
static void nvtgt_rdma_new_cmd(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			       struct nvtgt_rdma_recv *recv)
{
	const void *data = q->rx->nr_pages ? page_address(recv->piece[0]->page) : NULL;
	struct ib_device *ib = q->dev->ib;
	struct nvtgt_rdma_sgl sgl;
	u16 status;

	q->nr_open++;
	nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_RECEIVED);
	memcpy(&cmd->sqe, recv->capsule, sizeof(cmd->sqe));
	if (unlikely(recv->data_len))
		ib_dma_sync_single_for_cpu(ib, recv->sge[1].addr, PAGE_SIZE, DMA_BIDIRECTIONAL);
	status = nvtgt_rdma_decode_sgl(&cmd->sqe, data, min_t(u32, recv->data_len, PAGE_SIZE),
				       &sgl, q->rx->keys);
	cmd->recv = recv;
	q->rx->nr_held++;
	cmd->offset = sgl.offset;
	cmd->nr_keys = 0;
	/* asked for, whatever becomes of the command */
	cmd->invalidate = sgl.invalidate;
	cmd->invalidate_rkey = sgl.invalidate_rkey;
	status = nvtgt_rdma_judge(q, cmd, &sgl, status);
	if (likely(!status) && nvtgt_rdma_set_keys(q, cmd, &sgl))
		status = NVME_SC_INTERNAL;
	if (unlikely(status)) {
		cmd->req.data_len = 0;
		nvtgt_rdma_fail(q, cmd, status);
		return;
	}
	if (!sgl.in_capsule || !cmd->req.data_len)
		nvtgt_rdma_let_recv(q, cmd);
	if (cmd->req.data_len)
		nvtgt_rdma_want_mem(q, cmd);
	else
		nvtgt_rdma_execute(q, cmd);
}

static void nvtgt_rdma_fatal(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_recv *recv,
			     const char *what, u32 number)
{
	nvtgt_rdma_warn(q, "protocol error, closed: %s (%u)\n", what, number);
	nvtgt_rdma_rx_again(q->rx, recv);
	nvtgt_rdma_close(q);
}

/**
 * nvtgt_rdma_capsule - a capsule has arrived
 * @q: the connection
 * @recv: the buffer that it is in
 * @bytes: its length
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 */
void nvtgt_rdma_capsule(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_recv *recv, u32 bytes)
{
	struct nvtgt_rdma_cmd *cmd;

	if (unlikely(q->state >= NVTGT_RDMA_CLOSING)) {
		nvtgt_rdma_rx_again(q->rx, recv);
		return;
	}
	if (unlikely(bytes < sizeof(struct nvme_command))) {
		nvtgt_rdma_fatal(q, recv, "a capsule shorter than a command", bytes);
		return;
	}
	ib_dma_sync_single_for_cpu(q->dev->ib, recv->sge[0].addr, sizeof(*recv->capsule),
				   DMA_FROM_DEVICE);
	recv->data_len = bytes - sizeof(struct nvme_command);
	if (unlikely(q->state != NVTGT_RDMA_LIVE || !list_empty(&q->rx_wait)))
		goto wait;
	/* what is in rx_wait has not been counted; there it is at most as many */
	if (unlikely(q->nr_open >= q->max_open)) {
		nvtgt_rdma_fatal(q, recv, "more commands than the queue has entries", q->max_open);
		return;
	}
	cmd = nvtgt_rdma_get_cmd(q);
	if (unlikely(!cmd))
		goto wait;
	nvtgt_rdma_new_cmd(q, cmd, recv);
	return;

wait:
	/* nothing but Connect comes before it has been answered */
	if (q->nr_open + q->nr_wait >= (q->half_open ? 1 : q->max_open)) {
		nvtgt_rdma_fatal(q, recv, "more commands than the queue has entries", q->max_open);
		return;
	}
	if (nvtgt_rdma_rx_is_short(q->rx)) {
		nvtgt_rdma_fatal(q, recv, "it would have to wait, and others need the buffers",
				 q->nr_wait);
		return;
	}
	q->nr_wait++;
	q->rx->nr_held++;
	list_add_tail(&recv->entry, &q->rx_wait);
	nvtgt_source_kick(&q->source);	/* whose sends are waited for now */
	nvtgt_rdma_retry_soon(q);
}

/**
 * nvtgt_rdma_run_wait - there may be slots for capsules that wait
 * @q: the connection, live
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 */
void nvtgt_rdma_run_wait(struct nvtgt_rdma_queue *q)
{
	while (!list_empty(&q->rx_wait) && q->state == NVTGT_RDMA_LIVE) {
		struct nvtgt_rdma_cmd *cmd = nvtgt_rdma_get_cmd(q);
		struct nvtgt_rdma_recv *recv;

		if (!cmd)
			return;
		recv = list_first_entry(&q->rx_wait, struct nvtgt_rdma_recv, entry);
		list_del_init(&recv->entry);
		q->nr_wait--;
		q->rx->nr_held--;
		nvtgt_rdma_new_cmd(q, cmd, recv);
	}
}

/* A Connect has succeeded. */
static void nvtgt_rdma_connected(struct nvtgt_rdma_queue *q)
{
	q->half_open = false;
	nvtgt_peer_settle(&q->queue);
	q->max_open = min(q->max_open, q->queue.size);
	/* no longer the set-up deadline; on its way out it has another */
	if (q->state == NVTGT_RDMA_LIVE)
		mod_timer(&q->timer, jiffies + msecs_to_jiffies(NVTGT_RDMA_REAP_MS));
}

/**
 * nvtgt_rdma_respond - a command has its result
 * @req: responding
 *
 * Context: the reactor.
 */
void nvtgt_rdma_respond(struct nvtgt_req *req)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(req->queue);
	struct nvtgt_rdma_cmd *cmd = to_nvtgt_rdma_cmd(req);

	if (unlikely(q->half_open && nvtgt_queue_connected(&q->queue)))
		nvtgt_rdma_connected(q);
	if (unlikely(q->state != NVTGT_RDMA_LIVE)) {
		nvtgt_rdma_put_cmd(q, cmd);
		nvtgt_rdma_rx_post(q->rx);
		nvtgt_rdma_try_leave(q);
		return;
	}
	nvtgt_source_work(&q->source, req->data_len);
	if (unlikely(req->pi_len) && req->dir == DMA_FROM_DEVICE && !req->status &&
	    nvtgt_rdma_room_regs(q, cmd))
		nvtgt_req_spoil(req, NVME_SC_INTERNAL);
	if (req->dir == DMA_FROM_DEVICE && req->data_len && !req->status)
		nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_WRITING);
	else
		nvtgt_rdma_set_state(q, cmd, NVTGT_RDMA_RESPONDING);
	nvtgt_rdma_want_send(q, cmd);
}

/**
 * nvtgt_rdma_stop - tell the core which commands it has while the queue is stopped
 * @queue: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_stop(struct nvtgt_queue *queue)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(queue);
	unsigned int i;

	for (i = 0; i < q->nr_cmds; i++)
		if (q->cmds[i]->state == NVTGT_RDMA_EXECUTING)
			nvtgt_req_stop(&q->cmds[i]->req);
}

/**
 * nvtgt_rdma_abort - fail a command that waits for memory, for its turn or for a worker
 * @queue: the connection
 * @cid: the command's identifier
 *
 * Return: whether there was one
 */
bool nvtgt_rdma_abort(struct nvtgt_queue *queue, u16 cid)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(queue);
	unsigned int i;

	for (i = 0; i < q->nr_cmds; i++) {
		struct nvtgt_rdma_cmd *cmd = q->cmds[i];

		if (le16_to_cpu((__force __le16)cmd->sqe.common.command_id) != cid)
			continue;
		if (cmd->state == NVTGT_RDMA_EXECUTING &&
		    nvtgt_req_cancel(&cmd->req, NVME_SC_ABORT_REQ))
			return true;
		if (cmd->state != NVTGT_RDMA_MEMORY &&
		    (cmd->state != NVTGT_RDMA_READING || cmd->posted))
			continue;
		list_del_init(&cmd->entry);
		nvtgt_rdma_fail(q, cmd, NVME_SC_ABORT_REQ);
		nvtgt_rdma_rx_post(q->rx);
		return true;
	}
	return false;
}

/**
 * nvtgt_rdma_drop_cmds - forget all commands that are not the core's or the device's
 * @q: a connection that has stopped receiving; its state says so
 */
void nvtgt_rdma_drop_cmds(struct nvtgt_rdma_queue *q)
{
	unsigned int i;

	if (q->in_line)
		nvtgt_buf_unwait(&q->waiter);
	q->in_line = false;
	while (!list_empty(&q->rx_wait)) {
		struct nvtgt_rdma_recv *recv;

		recv = list_first_entry(&q->rx_wait, struct nvtgt_rdma_recv, entry);
		list_del_init(&recv->entry);
		q->nr_wait--;
		q->rx->nr_held--;
		nvtgt_rdma_rx_again(q->rx, recv);
	}
	for (i = 0; i < q->nr_cmds; i++) {
		struct nvtgt_rdma_cmd *cmd = q->cmds[i];

		if (cmd->posted)
			continue;
		switch (cmd->state) {
		case NVTGT_RDMA_MEMORY:
		case NVTGT_RDMA_READING:
			list_del_init(&cmd->entry);
			nvtgt_rdma_fail(q, cmd, NVME_SC_ABORT_QUEUE);
			break;
		case NVTGT_RDMA_WRITING:
		case NVTGT_RDMA_RESPONDING:
			list_del_init(&cmd->entry);
			nvtgt_rdma_put_cmd(q, cmd);
			break;
		}
	}
	nvtgt_rdma_rx_post(q->rx);
}

/**
 * nvtgt_rdma_drop_posted - the device has done with all that was posted
 * @q: a connection on its way out
 */
void nvtgt_rdma_drop_posted(struct nvtgt_rdma_queue *q)
{
	while (!list_empty(&q->posted)) {
		struct nvtgt_rdma_cmd *cmd;

		cmd = list_first_entry(&q->posted, struct nvtgt_rdma_cmd, entry);
		list_del_init(&cmd->entry);
		cmd->posted = false;
		if (cmd->state == NVTGT_RDMA_READING)
			nvtgt_rdma_fail(q, cmd, NVME_SC_ABORT_QUEUE);
		else
			nvtgt_rdma_put_cmd(q, cmd);
	}
}
