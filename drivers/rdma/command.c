// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of a connection: memory, the data that come with them.
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
	nvtgt_rdma_regs_put(q, cmd);
	nvtgt_rdma_put_pieces(q, cmd);
	nvtgt_rdma_let_recv(q, cmd);
	nvtgt_rdma_free_more(cmd);
	nvtgt_conn_put_req(&q->conn, &cmd->req);
}

/**
 * nvtgt_rdma_drop_failed - a command is not executed; what has come so far is of no use
 * @q: the connection
 * @cmd: parsed; in no list
 * @status: why
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 */
void nvtgt_rdma_drop_failed(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd, u16 status)
{
	nvtgt_rdma_let_recv(q, cmd);
	nvtgt_rdma_regs_put(q, cmd);	/* never posted, or over */
	nvtgt_req_fail(&cmd->req, status);
}

/**
 * nvtgt_rdma_fail - a command will not be executed
 * @req: in MEMORY or FETCHING, in no list
 * @status: why
 *
 * Context: the reactor.
 */
void nvtgt_rdma_fail(struct nvtgt_req *req, u16 status)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(req->queue);

	nvtgt_rdma_drop_failed(q, to_nvtgt_rdma_cmd(req), status);
	nvtgt_rdma_rx_post(q->rx);
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
		/* the host may be slow, or gone: nobody waits for the namespace meanwhile */
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

static void nvtgt_rdma_want_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	bool now = cmd->recv && nvtgt_rdma_rx_is_short(q->rx);

	nvtgt_req_set_state(&cmd->req, NVTGT_REQ_MEMORY);
	/* in turn; but nobody waits with what others need */
	if (likely(nvtgt_conn_try_mem(&q->conn, &cmd->req, now, nvtgt_rdma_mem_get))) {
		nvtgt_rdma_mem_got(&cmd->req);
		return;
	}
	nvtgt_conn_wait_mem(&q->conn, &cmd->req, false);
	/* what the connection gives back may be enough: its sends are waited for now */
	nvtgt_source_kick(&q->conn.source);
}

/* Which of the two has found what is wrong with a command. */
static u16 nvtgt_rdma_judge(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			    const struct nvtgt_rdma_sgl *sgl, u16 sgl_status)
{
	struct nvtgt_req *req = &cmd->req;
	bool ok;

	nvtgt_req_init(req, &q->conn.queue, &cmd->sqe, sgl->len);
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
		nvtgt_rdma_drop_failed(q, cmd, status);
		return;
	}
	if (!sgl.in_capsule || !cmd->req.data_len)
		nvtgt_rdma_let_recv(q, cmd);
	if (cmd->req.data_len)
		nvtgt_rdma_want_mem(q, cmd);
	else
		nvtgt_req_execute(&cmd->req);
}

static void nvtgt_rdma_fatal(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_recv *recv,
			     const char *what, u32 number)
{
	nvtgt_rdma_warn(q, "protocol error, closed: %s (%u)\n", what, number);
	nvtgt_rdma_rx_again(q->rx, recv);
	nvtgt_rdma_close(&q->conn);
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
	struct nvtgt_req *req;

	if (unlikely(q->conn.state >= NVTGT_CONN_CLOSING)) {
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
	if (unlikely(q->conn.state != NVTGT_CONN_LIVE || !list_empty(&q->rx_wait)))
		goto wait;
	/* what is in rx_wait has not been counted; there it is at most as many */
	if (unlikely(q->nr_open >= q->max_open)) {
		nvtgt_rdma_fatal(q, recv, "more commands than the queue has entries", q->max_open);
		return;
	}
	req = nvtgt_conn_get_req(&q->conn);
	if (unlikely(!req))
		goto wait;
	nvtgt_rdma_new_cmd(q, to_nvtgt_rdma_cmd(req), recv);
	return;

wait:
	/* nothing but Connect comes before it has been answered */
	if (q->nr_open + q->nr_wait >= (q->conn.half_open ? 1 : q->max_open)) {
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
	nvtgt_source_kick(&q->conn.source);	/* whose sends are waited for now */
	nvtgt_rdma_set_timer(q);
}

/**
 * nvtgt_rdma_run_wait - there may be slots for capsules that wait
 * @q: the connection, live
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 */
void nvtgt_rdma_run_wait(struct nvtgt_rdma_queue *q)
{
	while (!list_empty(&q->rx_wait) && q->conn.state == NVTGT_CONN_LIVE) {
		struct nvtgt_req *req = nvtgt_conn_get_req(&q->conn);
		struct nvtgt_rdma_recv *recv;

		if (!req)
			return;
		recv = list_first_entry(&q->rx_wait, struct nvtgt_rdma_recv, entry);
		list_del_init(&recv->entry);
		q->nr_wait--;
		q->rx->nr_held--;
		nvtgt_rdma_new_cmd(q, to_nvtgt_rdma_cmd(req), recv);
	}
}

/**
 * nvtgt_rdma_connected - a Connect has succeeded
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_connected(struct nvtgt_conn *conn)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(&conn->queue);

	q->max_open = min(q->max_open, conn->queue.size);
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

	if (unlikely(q->conn.state != NVTGT_CONN_LIVE)) {
		nvtgt_rdma_put_cmd(q, cmd);
		nvtgt_rdma_rx_post(q->rx);
		nvtgt_rdma_try_leave(q);
		return;
	}
	nvtgt_source_work(&q->conn.source, req->data_len);
	if (unlikely(req->pi_len) && req->dir == DMA_FROM_DEVICE && !req->status &&
	    nvtgt_rdma_room_regs(q, cmd))
		nvtgt_req_spoil(req, NVME_SC_INTERNAL);
	if (req->dir == DMA_FROM_DEVICE && req->data_len && !req->status)
		nvtgt_req_set_state(&cmd->req, NVTGT_REQ_WRITING);
	nvtgt_rdma_want_send(q, cmd);
}

/**
 * nvtgt_rdma_drop_cmds - forget all commands that are not the core's or the device's
 * @q: a connection that has stopped receiving; its state says so
 */
void nvtgt_rdma_drop_cmds(struct nvtgt_rdma_queue *q)
{
	unsigned int i;

	nvtgt_conn_unwait(&q->conn);
	while (!list_empty(&q->rx_wait)) {
		struct nvtgt_rdma_recv *recv;

		recv = list_first_entry(&q->rx_wait, struct nvtgt_rdma_recv, entry);
		list_del_init(&recv->entry);
		q->nr_wait--;
		q->rx->nr_held--;
		nvtgt_rdma_rx_again(q->rx, recv);
	}
	for (i = 0; i < q->conn.nr_slots; i++) {
		struct nvtgt_rdma_cmd *cmd = to_nvtgt_rdma_cmd(nvtgt_conn_find_req(&q->conn, i));

		if (cmd->posted)
			continue;
		switch (READ_ONCE(cmd->req.state)) {
		case NVTGT_REQ_MEMORY:
		case NVTGT_REQ_FETCHING:
			list_del_init(&cmd->req.entry);
			nvtgt_rdma_drop_failed(q, cmd, NVME_SC_ABORT_QUEUE);
			break;
		case NVTGT_REQ_WRITING:
		case NVTGT_REQ_RESPONDING:
			list_del_init(&cmd->req.entry);
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

		cmd = list_first_entry(&q->posted, struct nvtgt_rdma_cmd, req.entry);
		list_del_init(&cmd->req.entry);
		cmd->posted = false;
		if (cmd->req.state == NVTGT_REQ_DATA)
			nvtgt_rdma_drop_failed(q, cmd, NVME_SC_ABORT_QUEUE);
		else
			nvtgt_rdma_put_cmd(q, cmd);
	}
}
