// SPDX-License-Identifier: GPL-2.0
/*
 * A command's memory: pieces of the pool, the pages that data came in, and room for keys and
 * work requests.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/log2.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "rdma.h"

static struct nvtgt_rdma_piece **nvtgt_rdma_pieces(struct nvtgt_rdma_cmd *cmd)
{
	return cmd->more && cmd->more->pieces ? cmd->more->pieces : cmd->piece;
}

/**
 * nvtgt_rdma_let_recv - give back the receive buffer that a command has kept
 * @q: the connection
 * @cmd: the command; it may have kept none
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 */
void nvtgt_rdma_let_recv(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
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
 * nvtgt_rdma_put_mem - free all memory that a command has beside its slot
 * @q: the connection
 * @cmd: the device and the backend have done with it
 *
 * Context: the reactor.
 */
void nvtgt_rdma_put_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	nvtgt_rdma_put_pieces(q, cmd);
	nvtgt_rdma_free_more(cmd);
}

/**
 * nvtgt_rdma_need_more - room for what a command needs beyond the usual
 * @cmd: the command
 *
 * Context: the reactor.
 * Return: zeroed when it is new; nvtgt_rdma_put_mem() frees it. NULL: no memory
 */
struct nvtgt_rdma_more *nvtgt_rdma_need_more(struct nvtgt_rdma_cmd *cmd)
{
	if (!cmd->more)
		cmd->more = kzalloc(sizeof(*cmd->more), GFP_ATOMIC | __GFP_NOWARN);
	return cmd->more;
}

/* Room for @nr pieces. */
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

/**
 * nvtgt_rdma_room_regs - memory regions for a command's data, where the device needs them
 * @q: the connection
 * @cmd: with pieces and keys
 *
 * Context: the reactor.
 * Return: 0; -ENOMEM; -E2BIG: more than the send queue holds; -EBUSY: none is free now
 */
int nvtgt_rdma_room_regs(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
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
	/* nvtgt_rdma_respond() registers a read's memory, when the data are there */
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
	/* with the response it has to fit into an empty send queue */
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

/* Data that do not begin at offset 0 of the capsule's data are copied. */
static int nvtgt_rdma_copy_in(struct nvtgt_rdma_cmd *cmd)
{
	u32 off = cmd->offset, len = cmd->req.data_len;
	struct nvtgt_rdma_recv *recv = cmd->recv;
	struct iov_iter iter;

	iov_iter_bvec(&iter, ITER_DEST, cmd->req.bvec, cmd->req.nr_bvec, len);
	while (len) {
		u32 at = off % PAGE_SIZE, part = min_t(u32, len, PAGE_SIZE - at);

		/* nvtgt_rdma_check() has held offset + length against the capsule's */
		if (copy_to_iter(page_address(recv->piece[off / PAGE_SIZE]->page) + at, part,
				 &iter) != part)
			return -EFAULT;
		off += part;
		len -= part;
	}
	return 0;
}

/* The pages that data came in are the command's now; the receive buffer gets fresh ones. */
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

/* Undoes an exchange that has found no more fresh pages. */
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

/**
 * nvtgt_rdma_rx_is_short - do capsules that wait keep half of the shared receive buffers?
 * @rx: a receive queue; a retired one may have lost many: there a quarter of them is enough
 *
 * Context: the reactor.
 * Return: whether they do: no other capsule may wait in its buffer then
 */
bool nvtgt_rdma_rx_is_short(const struct nvtgt_rdma_rx *rx)
{
	return rx->srq &&
	       rx->nr_held > READ_ONCE(rx->nr_recvs) / (READ_ONCE(rx->retired) ? 4 : 2);
}

/**
 * nvtgt_rdma_mem_get - memory for a command's data, mapped for the device
 * @req: parsed
 *
 * Context: the reactor.
 * Return: 0; -EBUSY: what this connection gives back lets it try again; -EAGAIN: there is
 *	no credit; -ENOMEM; -E2BIG: it needs more than the send queue has
 */
int nvtgt_rdma_mem_get(struct nvtgt_req *req)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(req->queue);
	struct nvtgt_rdma_cmd *cmd = to_nvtgt_rdma_cmd(req);
	int ret = -EBUSY;

	if (nvtgt_conn_has_room(&q->conn, req->data_len))
		ret = nvtgt_buf_reserve(req);
	/* other connections need the receive buffer that the command would keep */
	if (unlikely(ret) && cmd->recv && nvtgt_rdma_rx_is_short(q->rx)) {
		nvtgt_buf_reserve_beyond(req);
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
	/* no other command of this connection holds memory regions that it could wait for */
	if (unlikely(ret == -EBUSY && !q->conn.charged))
		ret = -E2BIG;
	if (unlikely(ret)) {
		nvtgt_rdma_put_pieces(q, cmd);
		nvtgt_buf_put(req);
		return ret;
	}
	nvtgt_rdma_let_recv(q, cmd);
	return 0;
}

/**
 * nvtgt_rdma_mem_got - a command has its memory: fetch the host's data, or let it be executed
 * @req: in MEMORY, in no list
 *
 * Context: the reactor.
 */
void nvtgt_rdma_mem_got(struct nvtgt_req *req)
{
	struct nvtgt_rdma_cmd *cmd = to_nvtgt_rdma_cmd(req);

	if (req->dir == DMA_TO_DEVICE && cmd->nr_keys) {
		/* the host may be slow, or gone: disabling the namespace does not wait for it */
		nvtgt_req_park(req);
		nvtgt_req_set_state(req, NVTGT_REQ_FETCHING);
		nvtgt_rdma_want_send(to_nvtgt_rdma_queue(req->queue), cmd);
	} else {
		nvtgt_req_execute(req);
	}
}

/**
 * nvtgt_rdma_mem_done - commands that had waited have memory: their receives are free
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_mem_done(struct nvtgt_conn *conn)
{
	nvtgt_rdma_rx_post(to_nvtgt_rdma_queue(&conn->queue)->rx);
}

/**
 * nvtgt_rdma_want_mem - a command needs memory before it goes on
 * @q: the connection
 * @cmd: parsed, with data; in no list
 *
 * Context: the reactor.
 */
void nvtgt_rdma_want_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	bool now = cmd->recv && nvtgt_rdma_rx_is_short(q->rx);

	nvtgt_req_set_state(&cmd->req, NVTGT_REQ_MEMORY);
	/* in turn, unless it would wait with a receive buffer that other connections need */
	if (likely(nvtgt_conn_try_mem(&q->conn, &cmd->req, now, nvtgt_rdma_mem_get))) {
		nvtgt_rdma_mem_got(&cmd->req);
		return;
	}
	nvtgt_conn_wait_mem(&q->conn, &cmd->req, false);
	/* what the connection gives back may be enough: its sends are polled from now on */
	nvtgt_source_kick(&q->conn.source);
}
