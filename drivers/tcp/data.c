// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of a connection: memory, the data that the host sends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "tcp.h"

/**
 * nvtgt_tcp_init_req - a command's memory is there for the first time
 * @req: zeroed
 */
void nvtgt_tcp_init_req(struct nvtgt_req *req)
{
	INIT_LIST_HEAD(&to_nvtgt_tcp_cmd(req)->wait);
}

/**
 * nvtgt_tcp_mem_kick - let commands that wait for memory try
 * @q: the connection
 *
 * A command with data in its capsule tries also while the connection stands in line for
 * credit: it may get memory beyond the bounds, see nvtgt_tcp_mem_get().
 */
void nvtgt_tcp_mem_kick(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_req *first;

	first = list_first_entry_or_null(&q->conn.mem_wait, struct nvtgt_req, entry);
	if (unlikely(first))
		nvtgt_conn_mem_kick(&q->conn, first->state == NVTGT_REQ_INLINE && !q->beyond);
}

/**
 * nvtgt_tcp_put_cmd - a command is over: free its memory and its slot
 * @q: the connection
 * @cmd: responding, in no list
 */
void nvtgt_tcp_put_cmd(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	if (unlikely(q->beyond == cmd))
		q->beyond = NULL;
	nvtgt_conn_put_req(&q->conn, &cmd->req);
	if (unlikely(q->rx_no_slot)) {
		q->rx_no_slot = false;
		nvtgt_source_kick(&q->conn.source);
	}
}

/* Has its data, or needs none: executed when the socket is unlocked. */
static void nvtgt_tcp_exec(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	nvtgt_req_set_state(&cmd->req, NVTGT_REQ_READY);
	list_add_tail(&cmd->req.entry, &q->exec_list);
}

/* Reading goes on with the data in a capsule, if it had stopped for want of memory. */
static void nvtgt_tcp_read_on(struct nvtgt_tcp_queue *q)
{
	if (q->rx_state != NVTGT_TCP_RECV_MEM)
		return;
	q->rx_state = NVTGT_TCP_RECV_PAD;
	q->rx_progress = jiffies;
	nvtgt_source_kick(&q->conn.source);
}

/**
 * nvtgt_tcp_fail - a command will not be executed
 * @req: in MEMORY, INLINE or FETCHING, in no list
 * @status: why
 *
 * Data in a capsule are read from the stream all the same, and thrown away.
 */
void nvtgt_tcp_fail(struct nvtgt_req *req, u16 status)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(req->queue);
	struct nvtgt_tcp_cmd *cmd = to_nvtgt_tcp_cmd(req);

	if (req->state == NVTGT_REQ_INLINE) {
		cmd->rx_status = status;
		nvtgt_tcp_read_on(q);
		return;
	}
	list_del_init(&cmd->wait);
	nvtgt_req_fail(req, status);
}

/**
 * nvtgt_tcp_await_data - the host owes a command data
 * @q: the connection
 * @cmd: in MEMORY, about to be asked for, or in INLINE with a part of its capsule still to come
 */
void nvtgt_tcp_await_data(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	/* before Connect the set-up deadline is in force */
	if (list_empty(&q->data_wait) && !q->conn.half_open)
		nvtgt_conn_look_by(&q->conn,
				   jiffies + msecs_to_jiffies(nvtgt_tcp_conns.data_timeout_ms));
	cmd->last_rx = jiffies;
	cmd->rx_mark = cmd->rx_len;
	list_add_tail(&cmd->wait, &q->data_wait);
}

/**
 * nvtgt_tcp_mem_got - a command has memory for its data
 * @req: in MEMORY or INLINE, in no list
 */
void nvtgt_tcp_mem_got(struct nvtgt_req *req)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(req->queue);
	struct nvtgt_tcp_cmd *cmd = to_nvtgt_tcp_cmd(req);

	if (req->dir == DMA_FROM_DEVICE) {
		nvtgt_tcp_exec(q, cmd);
		return;
	}
	if (req->state == NVTGT_REQ_INLINE) {
		nvtgt_tcp_read_on(q);
		return;
	}
	nvtgt_tcp_await_data(q, cmd);
	nvtgt_req_set_state(req, NVTGT_REQ_FETCHING);
	list_add_tail(&req->entry, &q->ctrl_list);
	nvtgt_tcp_want_send(q);
	/* the host may be slow: disabling the namespace does not wait for it */
	nvtgt_req_park(req);
}

/**
 * nvtgt_tcp_mem_get - memory for a command's data
 * @req: parsed
 *
 * Data in a capsule hold up what stands behind them in the stream: perhaps the data of
 * the commands that have all the memory. So that a connection does not wait for itself, one
 * of its commands with data in the capsule may have memory beyond the bounds.
 *
 * Return: 0; -EBUSY: what this connection gives back lets it try again; -EAGAIN:
 *	there is no credit; -ENOMEM
 */
int nvtgt_tcp_mem_get(struct nvtgt_req *req)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(req->queue);
	struct nvtgt_tcp_cmd *cmd = to_nvtgt_tcp_cmd(req);
	int ret = -EBUSY;

	if (unlikely(q->slow) && cmd->req.dir == DMA_FROM_DEVICE && nvtgt_tcp_is_slow(q))
		return -EBUSY;
	/* data that an R2T asks for get their pages when they come */
	if (nvtgt_conn_has_room(&q->conn, req->data_len))
		ret = cmd->req.dir == DMA_TO_DEVICE && !cmd->inline_data ?
			nvtgt_buf_reserve(&cmd->req) : nvtgt_buf_get(&cmd->req);
	if ((ret == -EBUSY || ret == -EAGAIN) && cmd->inline_data && !q->beyond) {
		ret = nvtgt_buf_get_over(&cmd->req);
		if (!ret)
			q->beyond = cmd;
	}
	return ret;
}

/* Pages for the data of a header that waits. If none is free nvtgt_tcp_recv_h2c() asks again. */
static void nvtgt_tcp_retry_fill(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_req *req = &q->rx_short->req;

	if (!req->nr_bvec && !nvtgt_buf_fill(req))
		q->conn.short_since = 0;
}

/**
 * nvtgt_tcp_retry - there may be memory now that the connection could not go on without
 * @waiter: q->retry of the connection
 *
 * Pages are taken here: only during this call may the connection use what the kernel
 * keeps for interrupts.
 *
 * Context: the reactor.
 */
void nvtgt_tcp_retry(struct nvtgt_buf_waiter *waiter)
{
	struct nvtgt_tcp_queue *q = container_of(waiter, struct nvtgt_tcp_queue, retry);

	if (q->rx_no_mem)
		nvtgt_tcp_retry_fill(q);
	if (q->rx_no_mem || q->rx_no_slot) {
		q->rx_no_mem = false;
		q->rx_no_slot = false;
		q->rx_progress = jiffies;
		nvtgt_source_kick(&q->conn.source);
	}
	if (q->tx_no_mem) {
		if (!q->tx_nr)
			nvtgt_tcp_tx_page(q);
		q->tx_no_mem = false;
		q->no_space = false;
		nvtgt_queue_want_flush(&q->conn.queue);
	}
}

/**
 * nvtgt_tcp_mem_done - commands that had waited have memory
 * @conn: the connection
 */
void nvtgt_tcp_mem_done(struct nvtgt_conn *conn)
{
	nvtgt_tcp_run_exec(to_nvtgt_tcp_queue(&conn->queue));
}

/**
 * nvtgt_tcp_new_cmd - a command capsule has arrived
 * @q: the connection
 * @cmd: a free slot, with the SQE in cmd->sqe
 * @inline_bytes: bytes of data in the capsule, not yet read
 *
 * Afterwards a command with data in the capsule is in INLINE: go on reading, and throw the
 * data away if rx_status is set; or, while it stands in a list, stop until it has memory.
 */
void nvtgt_tcp_new_cmd(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd, u32 inline_bytes)
{
	struct nvtgt_req *req = &cmd->req;
	u16 sgl_status, status = 0;
	u32 len;

	cmd->inline_data = inline_bytes;
	cmd->rx_status = 0;
	cmd->rx_len = 0;
	cmd->tx_len = 0;
	if (cmd->r2t_len) {
		memset(cmd->r2t, 0, sizeof(cmd->r2t));
		cmd->r2t_len = 0;
	}

	sgl_status = nvtgt_tcp_decode_sgl(&cmd->sqe.common.dptr.sgl, inline_bytes, &len);
	nvtgt_req_init(req, &q->conn.queue, &cmd->sqe, len);
	if (!nvtgt_req_parse(req))
		status = req->status;
	else if (sgl_status && (req->data_len || inline_bytes))
		status = sgl_status;	/* without data the descriptor is reserved: all zero */
	else if (inline_bytes && req->dir != DMA_TO_DEVICE)
		status = NVME_SC_SGL_INVALID_TYPE | NVME_STATUS_DNR;

	if (unlikely(status)) {
		req->data_len = 0;
		if (inline_bytes) {
			cmd->rx_status = status;
			nvtgt_req_set_state(req, NVTGT_REQ_INLINE);
		} else {
			nvtgt_req_fail(req, status);
		}
		return;
	}
	if (!req->data_len) {
		nvtgt_tcp_exec(q, cmd);
		return;
	}
	nvtgt_req_set_state(req, inline_bytes ? NVTGT_REQ_INLINE : NVTGT_REQ_MEMORY);
	if (likely(nvtgt_conn_try_mem(&q->conn, req, false, nvtgt_tcp_mem_get)))
		nvtgt_tcp_mem_got(req);
	else
		nvtgt_conn_wait_mem(&q->conn, req, inline_bytes && !q->beyond);
}

/**
 * nvtgt_tcp_data_done - the last byte of a command's data has arrived
 * @q: the connection
 * @cmd: in INLINE or DATA
 */
void nvtgt_tcp_data_done(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	list_del_init(&cmd->wait);
	if (unlikely(cmd->rx_status))
		nvtgt_req_fail(&cmd->req, cmd->rx_status);
	else
		nvtgt_tcp_exec(q, cmd);
}

/**
 * nvtgt_tcp_run_exec - hand the commands that are complete to the core
 * @q: the connection
 *
 * Context: the reactor, not under the socket's lock.
 */
void nvtgt_tcp_run_exec(struct nvtgt_tcp_queue *q)
{
	while (!list_empty(&q->exec_list)) {
		struct nvtgt_tcp_cmd *cmd;

		cmd = list_first_entry(&q->exec_list, struct nvtgt_tcp_cmd, req.entry);
		list_del_init(&cmd->req.entry);
		nvtgt_req_execute(&cmd->req);
	}
}

/**
 * nvtgt_tcp_connected - a Connect has succeeded
 * @conn: the connection
 *
 * From here on there is a slot for each command that the host may have outstanding, and
 * one more.
 */
void nvtgt_tcp_connected(struct nvtgt_conn *conn)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(&conn->queue);

	conn->max_slots = max(conn->max_slots, conn->queue.size + 1U);
	if (conn->queue.qid)
		q->rules.max_inline = conn->queue.port->inline_data_size;
}

/**
 * nvtgt_tcp_respond - a command has its result
 * @req: responding
 *
 * Context: the reactor.
 */
void nvtgt_tcp_respond(struct nvtgt_req *req)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(req->queue);
	struct nvtgt_tcp_cmd *cmd = to_nvtgt_tcp_cmd(req);

	if (unlikely(q->conn.state != NVTGT_CONN_LIVE)) {
		nvtgt_tcp_put_cmd(q, cmd);
		nvtgt_conn_try_leave(&q->conn);
		return;
	}
	nvtgt_source_work(&q->conn.source, req->data_len);
	if (req->dir == DMA_FROM_DEVICE && req->data_len && !req->status) {
		nvtgt_req_set_state(&cmd->req, NVTGT_REQ_WRITING);
		list_add_tail(&cmd->req.entry, &q->data_list);
	} else {
		list_add_tail(&cmd->req.entry, &q->ctrl_list);
	}
	nvtgt_tcp_want_send(q);
}

/**
 * nvtgt_tcp_drop - the connection ends: a command gets neither data nor an answer
 * @req: waits for memory, for data or to be executed (READY), or for its response to be sent
 *
 * Context: the reactor.
 */
void nvtgt_tcp_drop(struct nvtgt_req *req)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(req->queue);
	struct nvtgt_tcp_cmd *cmd = to_nvtgt_tcp_cmd(req);

	list_del_init(&req->entry);
	if (req->state != NVTGT_REQ_RESPONDING && req->state != NVTGT_REQ_WRITING) {
		list_del_init(&cmd->wait);
		nvtgt_req_fail(req, NVME_SC_ABORT_QUEUE);
	} else if (!q->tx_nr) {
		nvtgt_tcp_put_cmd(q, cmd);
	} else {
		/* a part of it may stand in the send vector */
		nvtgt_req_set_state(req, NVTGT_REQ_SENT);
		cmd->tx_end = q->tx_built;
		list_add_tail(&req->entry, &q->sent_list);
	}
}

/**
 * nvtgt_tcp_drop_cmds - drop all commands but those that are executing, done or sent
 * @q: a connection that has stopped receiving; its state says so
 *
 * Context: the reactor.
 */
void nvtgt_tcp_drop_cmds(struct nvtgt_tcp_queue *q)
{
	/* while ENDING the rest of the vector, or the C2HTermReq, may wait for a page; a FIN needs none */
	if (q->conn.state >= NVTGT_CONN_CLOSING || !q->tx_no_mem || (!q->tx_nr && q->term_sent)) {
		nvtgt_buf_unwait(&q->retry);
		if (q->tx_no_mem) {
			q->tx_no_mem = false;
			q->no_space = false;
		}
	}
	q->rx_cmd = NULL;
	q->rx_r2t = NULL;
	/* input is read on, without a wait, and thrown away: the peer's FIN must be seen */
	q->rx_no_mem = false;
	q->rx_no_slot = false;
	q->rx_state = NVTGT_TCP_RECV_HDR;
	nvtgt_conn_drop_reqs(&q->conn);
}
