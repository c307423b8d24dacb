// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of a connection, from the capsule to the slot's end.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "rdma.h"

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
	nvtgt_rdma_let_recv(q, cmd);
	nvtgt_rdma_put_mem(q, cmd);
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
	nvtgt_rdma_regs_put(q, cmd);	/* the transfer was never posted, or is over */
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

/* What is wrong with a command: its SGL's status, or the core's? Returns it, or 0. */
static u16 nvtgt_rdma_check(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			    const struct nvtgt_rdma_sgl *sgl, u16 sgl_status)
{
	struct nvtgt_req *req = &cmd->req;
	bool ok;

	nvtgt_req_init(req, &q->conn.queue, &cmd->sqe, sgl->len);
	ok = nvtgt_req_parse(req);
	if (unlikely(sgl_status)) {
		/*
		 * Without data the descriptor is reserved. With data its length is not known,
		 * so that the core has found it wrong.
		 */
		if (ok && !req->data_len)
			return 0;
		if (ok || req->status == (NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR))
			return sgl_status;
	}
	if (unlikely(!ok))
		return req->status;
	if (sgl->in_capsule && unlikely(req->dir != DMA_TO_DEVICE))
		return NVME_SC_SGL_INVALID_TYPE | NVME_STATUS_DNR;
	/* IOCCSZ leaves no room for data where there is protection information */
	if (sgl->in_capsule && unlikely((u64)sgl->offset + sgl->len > cmd->recv->data_len ||
					req->pi_len))
		return NVME_SC_SGL_INVALID_OFFSET | NVME_STATUS_DNR;
	return 0;
}

/* Copies the host's keys: the next capsule's take their place in rx->keys. */
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

/* Begins with the command of a capsule, for which there is a slot. */
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
	/* the host has asked for it, whatever becomes of the command */
	cmd->invalidate = sgl.invalidate;
	cmd->invalidate_rkey = sgl.invalidate_rkey;
	status = nvtgt_rdma_check(q, cmd, &sgl, status);
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
	/* nr_open counts all, for rx_wait is empty; else the sum is checked below */
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
		nvtgt_rdma_fatal(q, recv, "would wait, and other connections need the buffers",
				 q->nr_wait);
		return;
	}
	q->nr_wait++;
	q->rx->nr_held++;
	list_add_tail(&recv->entry, &q->rx_wait);
	nvtgt_source_kick(&q->conn.source);	/* polls its sends from now on */
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
		nvtgt_req_set_error(req, NVME_SC_INTERNAL);
	if (req->dir == DMA_FROM_DEVICE && req->data_len && !req->status)
		nvtgt_req_set_state(&cmd->req, NVTGT_REQ_WRITING);
	nvtgt_rdma_want_send(q, cmd);
}

/**
 * nvtgt_rdma_drop - the connection ends: a command gets neither data nor an answer
 * @req: waits for memory, or for its work requests to be posted; or READs fetch its data
 *
 * Context: the reactor.
 */
void nvtgt_rdma_drop(struct nvtgt_req *req)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(req->queue);
	struct nvtgt_rdma_cmd *cmd = to_nvtgt_rdma_cmd(req);

	/* nvtgt_rdma_drop_posted() drops it, when the device has done with all that was posted */
	if (req->state == NVTGT_REQ_DATA)
		return;
	list_del_init(&req->entry);
	if (req->state == NVTGT_REQ_RESPONDING || req->state == NVTGT_REQ_WRITING)
		nvtgt_rdma_put_cmd(q, cmd);
	else
		nvtgt_rdma_drop_failed(q, cmd, NVME_SC_ABORT_QUEUE);
}

/**
 * nvtgt_rdma_drop_cmds - drop waiting capsules, and commands that neither core nor device has
 * @q: a connection that has stopped receiving; its state says so
 *
 * Context: the reactor.
 */
void nvtgt_rdma_drop_cmds(struct nvtgt_rdma_queue *q)
{
	while (!list_empty(&q->rx_wait)) {
		struct nvtgt_rdma_recv *recv;

		recv = list_first_entry(&q->rx_wait, struct nvtgt_rdma_recv, entry);
		list_del_init(&recv->entry);
		q->nr_wait--;
		q->rx->nr_held--;
		nvtgt_rdma_rx_again(q->rx, recv);
	}
	nvtgt_conn_drop_reqs(&q->conn);
	nvtgt_rdma_rx_post(q->rx);
}

/**
 * nvtgt_rdma_drop_posted - the device has done with all that was posted
 * @q: a connection on its way out
 *
 * Context: the reactor.
 */
void nvtgt_rdma_drop_posted(struct nvtgt_rdma_queue *q)
{
	while (!list_empty(&q->posted)) {
		struct nvtgt_rdma_cmd *cmd;

		cmd = list_first_entry(&q->posted, struct nvtgt_rdma_cmd, req.entry);
		list_del_init(&cmd->req.entry);
		if (cmd->req.state == NVTGT_REQ_DATA)
			nvtgt_rdma_drop_failed(q, cmd, NVME_SC_ABORT_QUEUE);
		else
			nvtgt_rdma_put_cmd(q, cmd);
	}
}
