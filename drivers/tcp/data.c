// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of a connection: slots, memory, the data that the host sends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "tcp.h"

/* Memory that one connection's commands hold at most, unless it is one command. */
#define NVTGT_TCP_MAX_CHARGED	(16U << 20)

/* A longer table of slots, as far as the host may have commands outstanding. */
static bool nvtgt_tcp_more_room(struct nvtgt_tcp_queue *q)
{
	unsigned int room = min(max(4U, 2 * q->room_cmds), q->max_cmds);
	struct nvtgt_tcp_cmd **cmds;

	cmds = kmalloc_array(room, sizeof(*cmds), GFP_NOWAIT | __GFP_NOWARN);
	if (!cmds)
		return false;
	if (q->nr_cmds)
		memcpy(cmds, q->cmds, q->nr_cmds * sizeof(*cmds));
	kfree(q->cmds);
	q->cmds = cmds;
	q->room_cmds = room;
	return true;
}

/**
 * nvtgt_tcp_free_cmds - free all slots
 * @q: a connection that has left its reactor
 */
void nvtgt_tcp_free_cmds(struct nvtgt_tcp_queue *q)
{
	unsigned int i;

	for (i = 0; i < q->nr_cmds; i++)
		kmem_cache_free(nvtgt_tcp_cmd_cache, q->cmds[i]);
	kfree(q->cmds);
}

/**
 * nvtgt_tcp_get_cmd - take a slot
 * @q: the connection
 *
 * Return: a slot, or NULL when all are in use (or memory is short): the
 *	connection is not read until one is free
 */
struct nvtgt_tcp_cmd *nvtgt_tcp_get_cmd(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_tcp_cmd *cmd;

	cmd = list_first_entry_or_null(&q->free, struct nvtgt_tcp_cmd, entry);
	if (cmd) {
		list_del_init(&cmd->entry);
		return cmd;
	}
	if (q->nr_cmds == q->max_cmds)
		return NULL;
	if (q->nr_cmds == q->room_cmds && !nvtgt_tcp_more_room(q))
		return NULL;
	cmd = kmem_cache_zalloc(nvtgt_tcp_cmd_cache, GFP_NOWAIT | __GFP_NOWARN);
	if (!cmd)
		return NULL;
	INIT_LIST_HEAD(&cmd->entry);
	INIT_LIST_HEAD(&cmd->wait);
	cmd->slot = q->nr_cmds;
	q->cmds[q->nr_cmds++] = cmd;
	return cmd;
}

static int nvtgt_tcp_mem_try(struct nvtgt_tcp_queue *q);

/* What the first of the commands that wait needs, and those behind it in one turn. */
static long nvtgt_tcp_mem_wanted(const struct nvtgt_tcp_queue *q)
{
	const struct nvtgt_tcp_cmd *cmd;
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
 * nvtgt_tcp_mem_kick - let commands that wait for memory try
 * @q: the connection
 */
void nvtgt_tcp_mem_kick(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_tcp_cmd *first;
	int ret;

	first = list_first_entry_or_null(&q->mem_wait, struct nvtgt_tcp_cmd, entry);
	if (!first)
		return;
	/* who stands in line waits there, but for data in a capsule, which may have more */
	if (q->in_line && (!first->inline_data || q->over))
		return;
	ret = nvtgt_tcp_mem_try(q);
	if (!ret || q->in_line)
		return;
	q->in_line = true;
	if (ret == -EAGAIN)
		nvtgt_buf_wait(q->queue.reactor, &q->waiter, nvtgt_tcp_mem_wanted(q));
	else
		nvtgt_buf_retry(q->queue.reactor, &q->waiter);
}

/**
 * nvtgt_tcp_put_cmd - a command is over: free its memory and its slot
 * @q: the connection
 * @cmd: responding, in no list
 */
void nvtgt_tcp_put_cmd(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	if (unlikely(q->over == cmd))
		q->over = NULL;
	q->charged -= cmd->req.charged;
	nvtgt_buf_put(&cmd->req);
	nvtgt_req_release(&cmd->req);
	cmd->phase = NVTGT_TCP_FREE;
	list_add(&cmd->entry, &q->free);	/* the warmest first */

	if (unlikely(q->rx_no_slot)) {
		q->rx_no_slot = false;
		nvtgt_source_kick(&q->source);
	}
}

/* Has its data, or needs none: executed when the socket is unlocked. */
static void nvtgt_tcp_exec(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	cmd->phase = NVTGT_TCP_EXEC;
	list_add_tail(&cmd->entry, &q->exec_list);
}

/**
 * nvtgt_tcp_fail_cmd - a command will not be executed
 * @cmd: parsed, in no list, and no data of it are due
 * @status: why
 */
void nvtgt_tcp_fail_cmd(struct nvtgt_tcp_cmd *cmd, u16 status)
{
	cmd->phase = NVTGT_TCP_EXEC;
	nvtgt_req_fail(&cmd->req, status);
}

/**
 * nvtgt_tcp_await_data - the host owes a command data
 * @q: the connection
 * @cmd: in R2T, or in RECV with a part of its capsule still to come
 */
void nvtgt_tcp_await_data(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	/* before Connect the set-up deadline is in force; a timer that runs looks again */
	if (list_empty(&q->data_wait) && !q->half_open && !timer_pending(&q->timer))
		mod_timer(&q->timer, jiffies + msecs_to_jiffies(nvtgt_tcp_data_timeout_ms));
	cmd->last_rx = jiffies;
	cmd->rx_mark = cmd->rx_len;
	list_add_tail(&cmd->wait, &q->data_wait);
}

static void nvtgt_tcp_got_mem(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	q->charged += cmd->req.charged;
	if (cmd->req.dir == DMA_FROM_DEVICE) {
		nvtgt_tcp_exec(q, cmd);
		return;
	}

	if (cmd->inline_data) {
		cmd->phase = NVTGT_TCP_RECV;
		return;
	}
	nvtgt_tcp_await_data(q, cmd);
	cmd->phase = NVTGT_TCP_R2T;
	list_add_tail(&cmd->entry, &q->ctrl_list);
	nvtgt_tcp_want_send(q);
}

/*
 * Data in a capsule hold up what stands behind them in the stream: data that
 * commands wait for which have the memory. So that nobody waits for himself, one
 * such command of a connection may have memory beyond the bounds.
 *
 * Returns 0, -EBUSY: what this connection gives back lets it try again, -EAGAIN:
 * there is no credit, or -ENOMEM.
 */
static int nvtgt_tcp_mem_get(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	int ret = -EBUSY;

	if (unlikely(q->slow) && cmd->req.dir == DMA_FROM_DEVICE && nvtgt_tcp_is_slow(q))
		return -EBUSY;
	/* data that an R2T asks for get their pages when they come */
	if (!q->charged || q->charged + cmd->req.data_len <= NVTGT_TCP_MAX_CHARGED)
		ret = cmd->req.dir == DMA_TO_DEVICE && !cmd->inline_data ?
			nvtgt_buf_reserve(&cmd->req) : nvtgt_buf_get(&cmd->req);
	if ((ret == -EBUSY || ret == -EAGAIN) && cmd->inline_data && !q->over) {
		ret = nvtgt_buf_get_over(&cmd->req);
		if (!ret)
			q->over = cmd;
	}
	return ret;
}

/**
 * nvtgt_tcp_may_wait - no memory is free: is there time left to wait for some?
 * @q: the connection
 *
 * Return: false when it has waited for too long: what it waits for fails, and the host
 *	may try again
 */
bool nvtgt_tcp_may_wait(struct nvtgt_tcp_queue *q)
{
	unsigned long patience = msecs_to_jiffies(NVTGT_BUF_PATIENCE_MS);

	/* what began long ago is another shortage, or has to be waited for again */
	if (!q->short_since || time_after(jiffies, q->short_since + 4 * patience))
		q->short_since = jiffies | 1;
	return time_before(jiffies, q->short_since + patience);
}

/* Pages for the data of a header that waits. If there are none the header asks again. */
static void nvtgt_tcp_retry_fill(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_req *req = &q->rx_short->req;

	if (!req->nr_bvec && !nvtgt_buf_fill(req))
		q->short_since = 0;
}

/**
 * nvtgt_tcp_retry - there may be memory for what the connection could not go on without
 * @waiter: its second one
 *
 * What can be had is taken here: later the connection may not use what is kept for
 * interrupts.
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
		nvtgt_source_kick(&q->source);
	}
	if (q->tx_no_mem) {
		if (!q->tx_nr)
			nvtgt_tcp_tx_page(q);
		q->tx_no_mem = false;
		q->no_space = false;
		nvtgt_queue_want_flush(&q->queue);
	}
}

/*
 * Looks whether commands that wait can have their memory. Returns 0: those that
 * are left wait for what this connection gives back, -EAGAIN: there is no credit,
 * -ENOMEM: no page is free.
 */
static int nvtgt_tcp_mem_try(struct nvtgt_tcp_queue *q)
{
	while (!list_empty(&q->mem_wait)) {
		struct nvtgt_tcp_cmd *cmd;
		int ret;

		cmd = list_first_entry(&q->mem_wait, struct nvtgt_tcp_cmd, entry);
		ret = nvtgt_tcp_mem_get(q, cmd);
		if (ret == -EBUSY)
			return 0;
		if (ret == -EAGAIN || (ret && nvtgt_tcp_may_wait(q)))
			return ret;
		list_del_init(&cmd->entry);
		if (!ret) {
			q->short_since = 0;
			nvtgt_tcp_got_mem(q, cmd);
		} else if (cmd->inline_data) {
			cmd->rx_status = NVME_SC_INTERNAL;
			cmd->phase = NVTGT_TCP_RECV;
		} else {
			nvtgt_tcp_fail_cmd(cmd, NVME_SC_INTERNAL);
		}
		if (cmd->inline_data && q->rx_state == NVTGT_TCP_RECV_MEM) {
			q->rx_state = NVTGT_TCP_RECV_PAD;
			q->rx_progress = jiffies;
			nvtgt_source_kick(&q->source);
		}
	}
	return 0;
}

/**
 * nvtgt_tcp_mem_ready - there is memory for the first of the connection's commands
 * @waiter: the connection's, out of the line
 */
void nvtgt_tcp_mem_ready(struct nvtgt_buf_waiter *waiter)
{
	struct nvtgt_tcp_queue *q = container_of(waiter, struct nvtgt_tcp_queue, waiter);

	q->in_line = false;
	nvtgt_tcp_mem_kick(q);
	/* those that got theirs go on: what they give back may be what the rest waits for */
	nvtgt_tcp_run_exec(q);
}

static void nvtgt_tcp_want_mem(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	cmd->phase = NVTGT_TCP_MEM;
	if (likely(list_empty(&q->mem_wait)) && !nvtgt_tcp_mem_get(q, cmd)) {
		nvtgt_tcp_got_mem(q, cmd);
		goto park;
	}
	/* data in a capsule come first: there is never more than one such command here */
	if (cmd->inline_data)
		list_add(&cmd->entry, &q->mem_wait);
	else
		list_add_tail(&cmd->entry, &q->mem_wait);
	nvtgt_tcp_mem_kick(q);
park:
	if (cmd->phase == NVTGT_TCP_MEM || cmd->phase == NVTGT_TCP_R2T)
		nvtgt_req_park(&cmd->req);
}

/**
 * nvtgt_tcp_new_cmd - a command capsule has arrived
 * @q: the connection
 * @cmd: a free slot, with the SQE in cmd->sqe
 * @inline_bytes: bytes of data in the capsule, not yet read
 *
 * Afterwards a command with data in the capsule is in RECV (go on reading; throw
 * the data away if rx_status is set) or in MEM (stop reading until it has memory).
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
	nvtgt_req_init(req, &q->queue, &cmd->sqe, len);
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
			cmd->phase = NVTGT_TCP_RECV;
		} else {
			nvtgt_tcp_fail_cmd(cmd, status);
		}
		return;
	}
	if (req->data_len)
		nvtgt_tcp_want_mem(q, cmd);
	else
		nvtgt_tcp_exec(q, cmd);
}

/**
 * nvtgt_tcp_data_done - the last byte of a command's data has arrived
 * @q: the connection
 * @cmd: in RECV, R2T or DATA
 */
void nvtgt_tcp_data_done(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	list_del_init(&cmd->wait);
	if (unlikely(cmd->rx_status))
		nvtgt_tcp_fail_cmd(cmd, cmd->rx_status);
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

		cmd = list_first_entry(&q->exec_list, struct nvtgt_tcp_cmd, entry);
		list_del_init(&cmd->entry);
		nvtgt_req_execute(&cmd->req);
	}
}

/* A Connect has succeeded: as many commands as the host may have outstanding. */
static void nvtgt_tcp_connected(struct nvtgt_tcp_queue *q)
{
	q->half_open = false;
	nvtgt_peer_settle(&q->queue);
	if (q->state == NVTGT_TCP_LIVE)	/* no longer the set-up deadline */
		mod_timer(&q->timer, jiffies + msecs_to_jiffies(nvtgt_tcp_data_timeout_ms));
	q->max_cmds = max(q->max_cmds, q->queue.size + 1U);
	if (q->queue.qid)
		q->rules.max_inline = q->queue.port->inline_data_size;
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

	if (unlikely(q->half_open && nvtgt_queue_connected(&q->queue)))
		nvtgt_tcp_connected(q);
	if (unlikely(q->state != NVTGT_TCP_LIVE)) {
		nvtgt_tcp_put_cmd(q, cmd);
		nvtgt_tcp_try_leave(q);
		return;
	}
	nvtgt_source_work(&q->source, req->data_len);
	if (req->dir == DMA_FROM_DEVICE && req->data_len && !req->status) {
		cmd->phase = NVTGT_TCP_C2H;
		list_add_tail(&cmd->entry, &q->data_list);
	} else {
		cmd->phase = NVTGT_TCP_RSP;
		list_add_tail(&cmd->entry, &q->ctrl_list);
	}
	nvtgt_tcp_want_send(q);
}

/* The core's: executing, or done and on its way back. */
static bool nvtgt_tcp_is_executing(const struct nvtgt_tcp_cmd *cmd)
{
	return cmd->phase == NVTGT_TCP_EXEC && list_empty(&cmd->entry);
}

/**
 * nvtgt_tcp_stop - tell the core which commands it has while the queue is stopped
 * @queue: the connection
 *
 * Context: the reactor.
 */
void nvtgt_tcp_stop(struct nvtgt_queue *queue)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(queue);
	unsigned int i;

	for (i = 0; i < q->nr_cmds; i++)
		if (nvtgt_tcp_is_executing(q->cmds[i]))
			nvtgt_req_stop(&q->cmds[i]->req);
}

/**
 * nvtgt_tcp_abort - fail a command that has not begun
 * @queue: the connection
 * @cid: the command's identifier
 *
 * It has not been asked for data, or its data are here and it waits for a worker.
 *
 * Return: whether there was one
 */
bool nvtgt_tcp_abort(struct nvtgt_queue *queue, u16 cid)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(queue);
	unsigned int i;

	for (i = 0; i < q->nr_cmds; i++) {
		struct nvtgt_tcp_cmd *cmd = q->cmds[i];
		bool waits = cmd->phase == NVTGT_TCP_MEM && !cmd->inline_data;
		bool unasked = cmd->phase == NVTGT_TCP_R2T && !cmd->r2t_len;

		if (le16_to_cpu((__force __le16)cmd->sqe.common.command_id) != cid)
			continue;
		if (nvtgt_tcp_is_executing(cmd) && nvtgt_req_cancel(&cmd->req, NVME_SC_ABORT_REQ))
			return true;
		if (!waits && !unasked)
			continue;
		list_del_init(&cmd->entry);
		list_del_init(&cmd->wait);
		nvtgt_tcp_fail_cmd(cmd, NVME_SC_ABORT_REQ);
		return true;
	}
	return false;
}

/**
 * nvtgt_tcp_drop_cmds - forget all commands that are not the core's or sent
 * @q: a connection that has stopped receiving; its state says so
 */
void nvtgt_tcp_drop_cmds(struct nvtgt_tcp_queue *q)
{
	unsigned int i;

	nvtgt_buf_unwait(&q->waiter);
	nvtgt_buf_unwait(&q->retry);
	q->in_line = false;
	q->rx_cmd = NULL;
	q->rx_r2t = NULL;
	/* what comes from now on waits for nothing: the peer's FIN must be seen */
	q->rx_no_mem = false;
	q->rx_no_slot = false;
	q->rx_state = NVTGT_TCP_RECV_HDR;

	for (i = 0; i < q->nr_cmds; i++) {
		struct nvtgt_tcp_cmd *cmd = q->cmds[i];

		switch (cmd->phase) {
		case NVTGT_TCP_EXEC:
			if (nvtgt_tcp_is_executing(cmd))
				break;
			fallthrough;
		case NVTGT_TCP_MEM:
		case NVTGT_TCP_RECV:
		case NVTGT_TCP_R2T:
		case NVTGT_TCP_DATA:
			list_del_init(&cmd->entry);
			list_del_init(&cmd->wait);
			nvtgt_tcp_fail_cmd(cmd, NVME_SC_ABORT_QUEUE);
			break;
		case NVTGT_TCP_RSP:
		case NVTGT_TCP_C2H:
			list_del_init(&cmd->entry);
			if (!q->tx_nr) {
				nvtgt_tcp_put_cmd(q, cmd);
				break;
			}
			/* a part of it may stand in the send vector */
			cmd->phase = NVTGT_TCP_SENT;
			cmd->tx_end = q->tx_built;
			list_add_tail(&cmd->entry, &q->sent_list);
			break;
		}
	}
}
