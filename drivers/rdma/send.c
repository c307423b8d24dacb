// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Sending
 *
 * What became ready in a pass leaves in one chain of work requests and one call:
 * RDMA READs that fetch what hosts write, RDMA WRITEs of what they read, and
 * responses. The last work request of a chain, and one in NVTGT_RDMA_SIGNAL, asks
 * for a completion: it speaks for all before it, for a send queue is worked off in
 * order (nvtgt_rdma_sent_to() has the exception). Where a READ is out, the completion is
 * waited for; where there are only responses it is enough to look when the next capsule
 * arrives, or a timer fires.
 *
 * A command takes as many entries of the send queue as it has work requests; the
 * queue has room for the largest. What does not fit waits in tx_list, in order.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "rdma.h"

/**
 * nvtgt_rdma_entry_wrs - work requests that there is room for with each entry of a queue
 * @regs: commands may need registered memory
 *
 * Return: for the data and the response; with registered memory also for what registers
 *	it, and ends that
 */
unsigned int nvtgt_rdma_entry_wrs(bool regs)
{
	return regs ? 4 : 2;
}

/**
 * nvtgt_rdma_max_wrs - the most work requests that one command takes
 * @dev: the device
 * @port: the port, or NULL: any
 *
 * Return: for an I/O of MDTS in pages of 4 KiB, with all descriptors there may be,
 *	its response, and one for the end of the queue
 */
u16 nvtgt_rdma_max_wrs(const struct nvtgt_rdma_dev *dev, const struct nvtgt_port *port)
{
	u32 pages = 1U << (port ? port->mdts : NVTGT_MAX_MDTS);

	return DIV_ROUND_UP(pages + NVTGT_RDMA_MAX_KEYS, min(dev->max_sge, dev->max_read_sge)) +
	       NVTGT_RDMA_MAX_KEYS + 2;
}

static u8 nvtgt_rdma_sges(const struct nvtgt_rdma_queue *q, const struct nvtgt_rdma_cmd *cmd)
{
	return cmd->req.dir == DMA_TO_DEVICE ? q->dev->max_read_sge : q->dev->max_sge;
}

/**
 * nvtgt_rdma_count_rw - how many work requests move a command's data at most
 * @q: the connection
 * @cmd: with its pieces and keys
 *
 * Return: 1 in the usual case, for which there is room in the command itself
 */
unsigned int nvtgt_rdma_count_rw(const struct nvtgt_rdma_queue *q,
				 const struct nvtgt_rdma_cmd *cmd)
{
	u8 sges = nvtgt_rdma_sges(q, cmd);

	if (likely(cmd->nr_keys == 1 && cmd->nr_pieces <= sges))
		return 1;
	return DIV_ROUND_UP(cmd->nr_pieces + cmd->nr_keys, sges) + cmd->nr_keys;
}

/* A place in a command's memory. */
struct nvtgt_rdma_place {
	struct nvtgt_rdma_piece **piece;
	const struct bio_vec *bvec;
	u32 off;
};

/* The next segments for one work request, of up to @len bytes. Returns their bytes. */
static u32 nvtgt_rdma_build_sges(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_place *at,
				 struct ib_sge *sge, u8 max, u32 len, int *nr)
{
	u32 done = 0;

	*nr = 0;
	while (done < len && *nr < max) {
		u32 part = min(len - done, at->bvec->bv_len - at->off);

		sge[*nr] = (struct ib_sge) {
			.addr = (*at->piece)->addr + at->off,
			.length = part,
			.lkey = q->dev->pd->local_dma_lkey,
		};
		(*nr)++;
		done += part;
		at->off += part;
		if (at->off == at->bvec->bv_len) {
			at->piece++;
			at->bvec++;
			at->off = 0;
		}
	}
	return done;
}

/* Work requests for all of a command's data, chained. Returns how many. */
static unsigned int nvtgt_rdma_build_rw(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
					enum ib_wr_opcode opcode, struct ib_send_wr **first,
					struct ib_send_wr **last)
{
	struct nvtgt_rdma_more *more = cmd->more;
	struct nvtgt_rdma_key *keys = more && more->keys ? more->keys : &cmd->key;
	struct ib_rdma_wr *rw = more && more->rw ? more->rw : &cmd->rw;
	struct ib_sge *sge = more && more->sge ? more->sge : cmd->sge;
	struct nvtgt_rdma_place at = {
		.piece = more && more->pieces ? more->pieces : cmd->piece,
		.bvec = cmd->req.bvec,
	};
	u32 left = cmd->req.data_len;
	unsigned int i, nr = 0;

	*first = &rw->wr;
	for (i = 0; i < cmd->nr_keys && left; i++) {
		u32 done = 0, len = min(keys[i].len, left);

		while (done < len) {
			struct ib_rdma_wr *wr = &rw[nr++];

			wr->wr = (struct ib_send_wr) {
				.next = &rw[nr].wr,
				.wr_cqe = &cmd->cqe,
				.sg_list = sge,
				.opcode = opcode,
			};
			wr->remote_addr = keys[i].addr + done;
			wr->rkey = keys[i].rkey;
			done += nvtgt_rdma_build_sges(q, &at, sge, nvtgt_rdma_sges(q, cmd),
						      len - done, &wr->wr.num_sge);
			sge += wr->wr.num_sge;
			*last = &wr->wr;
		}
		left -= len;
	}
	return nr;
}

/* Hands a command's memory to the device, or back to the CPU. */
static void nvtgt_rdma_sync(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd, bool device)
{
	struct nvtgt_rdma_piece **piece = cmd->more && cmd->more->pieces ?
					  cmd->more->pieces : cmd->piece;
	unsigned int i;

	for (i = 0; i < cmd->nr_pieces; i++) {
		if (device)
			ib_dma_sync_single_for_device(q->dev->ib, piece[i]->addr,
						      cmd->req.bvec[i].bv_len, DMA_BIDIRECTIONAL);
		else
			ib_dma_sync_single_for_cpu(q->dev->ib, piece[i]->addr,
						   cmd->req.bvec[i].bv_len, DMA_BIDIRECTIONAL);
	}
}

/* The completion queue entry, made when it is sent: entries tell the SQ head in order. */
static struct ib_send_wr *nvtgt_rdma_build_send(struct nvtgt_rdma_queue *q,
						struct nvtgt_rdma_cmd *cmd)
{
	struct nvme_completion *cqe = &q->cqes[cmd->req.slot];
	u64 addr = q->cqes_addr + cmd->req.slot * sizeof(*cqe);

	nvtgt_req_cqe(&cmd->req, cqe);
	ib_dma_sync_single_for_device(q->dev->ib, addr, sizeof(*cqe), DMA_TO_DEVICE);
	cmd->send_sge = (struct ib_sge) {
		.addr = addr,
		.length = sizeof(*cqe),
		.lkey = q->dev->pd->local_dma_lkey,
	};
	cmd->send = (struct ib_send_wr) {
		.wr_cqe = &cmd->cqe,
		.sg_list = &cmd->send_sge,
		.num_sge = 1,
		.opcode = IB_WR_SEND,
	};
	if (cmd->invalidate) {
		cmd->send.opcode = IB_WR_SEND_WITH_INV;
		cmd->send.ex.invalidate_rkey = cmd->invalidate_rkey;
	}
	return &cmd->send;
}

static bool nvtgt_rdma_has_regs(const struct nvtgt_rdma_cmd *cmd)
{
	return unlikely(cmd->more) && cmd->more->regs;
}

/* How many entries of the send queue it takes, at most. */
static unsigned int nvtgt_rdma_need(const struct nvtgt_rdma_queue *q,
				    const struct nvtgt_rdma_cmd *cmd)
{
	if (cmd->req.state == NVTGT_REQ_RESPONDING)
		return 1;
	if (nvtgt_rdma_has_regs(cmd))
		return cmd->nr_reg_wrs;
	return nvtgt_rdma_count_rw(q, cmd) + (cmd->req.state == NVTGT_REQ_WRITING);
}

/* All of a command's work requests. */
static void nvtgt_rdma_build(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			     struct ib_send_wr **first, struct ib_send_wr **last)
{
	unsigned int nr = 0;

	if (nvtgt_rdma_has_regs(cmd) && cmd->req.state != NVTGT_REQ_RESPONDING) {
		q->nr_awaited++;
		cmd->nr_wrs = nvtgt_rdma_regs_build(q, cmd, first, last);
		return;
	}
	if (cmd->req.state == NVTGT_REQ_FETCHING) {
		q->nr_awaited++;
		nvtgt_rdma_sync(q, cmd, true);
		cmd->nr_wrs = nvtgt_rdma_build_rw(q, cmd, IB_WR_RDMA_READ, first, last);
		return;
	}
	*first = NULL;
	if (cmd->req.state == NVTGT_REQ_WRITING) {
		nvtgt_rdma_sync(q, cmd, true);
		nr = nvtgt_rdma_build_rw(q, cmd, IB_WR_RDMA_WRITE, first, last);
		(*last)->next = nvtgt_rdma_build_send(q, cmd);
		*last = (*last)->next;
	} else {
		*first = nvtgt_rdma_build_send(q, cmd);
		*last = *first;
	}
	cmd->nr_wrs = nr + 1;
	/* from the host's view the command is over */
	q->nr_open--;
}

/**
 * nvtgt_rdma_want_send - a command has something to be posted
 * @q: the connection
 * @cmd: in no list
 *
 * Context: the reactor.
 */
void nvtgt_rdma_want_send(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	list_add_tail(&cmd->req.entry, &q->tx_list);
	nvtgt_queue_want_flush(&q->conn.queue);
}

/**
 * nvtgt_rdma_flush - post what is ready
 * @queue: the connection
 *
 * Context: the reactor, once per pass.
 */
void nvtgt_rdma_flush(struct nvtgt_queue *queue)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(queue);
	struct ib_send_wr *chain = NULL, *end = NULL, *first, *last;
	unsigned long now = jiffies;
	unsigned int unsignalled = 0;
	int ret;

	if (q->conn.state != NVTGT_CONN_LIVE)
		return;
	q->sq_full = false;	/* what did not fit may have been aborted */
	while (!list_empty(&q->tx_list)) {
		struct nvtgt_rdma_cmd *cmd;

		cmd = list_first_entry(&q->tx_list, struct nvtgt_rdma_cmd, req.entry);
		q->sq_full = nvtgt_rdma_need(q, cmd) > q->sq_free;
		if (unlikely(q->sq_full))
			break;
		nvtgt_rdma_build(q, cmd, &first, &last);
		last->next = NULL;
		if (chain)
			end->next = first;
		else
			chain = first;
		end = last;
		q->sq_free -= cmd->nr_wrs;
		q->nr_wrs += cmd->nr_wrs;
		nvtgt_req_set_state(&cmd->req, cmd->req.state == NVTGT_REQ_FETCHING ?
				    NVTGT_REQ_DATA : NVTGT_REQ_SENT);
		cmd->posted_at = now;
		list_move_tail(&cmd->req.entry, &q->posted);
		unsignalled += cmd->nr_wrs;
		if (unsignalled >= NVTGT_RDMA_SIGNAL) {
			last->send_flags |= IB_SEND_SIGNALED;
			unsignalled = 0;
		}
	}
	if (likely(chain)) {
		end->send_flags |= IB_SEND_SIGNALED;
		q->nr_posts++;
		ret = ib_post_send(q->qp, chain, NULL);
		if (unlikely(ret)) {
			nvtgt_rdma_warn(q, "work requests not posted: error %d\n", ret);
			nvtgt_rdma_close(&q->conn);
			return;
		}
		nvtgt_rdma_set_timer(q);
	}
	/* a command waits for a completion: nvtgt_rdma_receive() polls from now on */
	if (q->nr_awaited || q->sq_full)
		nvtgt_source_kick(&q->conn.source);
}

/* Data went through registered memory: did the device find anything wrong with them? */
static void nvtgt_rdma_regs_moved(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	u16 status = nvtgt_rdma_regs_check(q, cmd);

	/* the registration has a DMA mapping of its own: its end syncs the data for the CPU */
	nvtgt_rdma_regs_put(q, cmd);
	if (cmd->req.state == NVTGT_REQ_SENT) {
		if (unlikely(status))
			nvtgt_req_set_error(&cmd->req, status);
		nvtgt_req_set_state(&cmd->req, NVTGT_REQ_RESPONDING);
		nvtgt_rdma_want_send(q, cmd);
	} else if (unlikely(status)) {
		nvtgt_rdma_drop_failed(q, cmd, status);
	} else {
		nvtgt_req_execute(&cmd->req);
	}
}

/* The device has done with a command's work requests. */
static void nvtgt_rdma_sent_one(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	list_del_init(&cmd->req.entry);
	q->sq_free += cmd->nr_wrs;
	if (nvtgt_rdma_has_regs(cmd)) {
		q->nr_awaited--;
		nvtgt_rdma_regs_moved(q, cmd);
	} else if (cmd->req.state == NVTGT_REQ_DATA) {
		q->nr_awaited--;
		nvtgt_rdma_sync(q, cmd, false);
		nvtgt_req_execute(&cmd->req);
	} else {
		nvtgt_rdma_put_cmd(q, cmd);
	}
}

/*
 * A completion speaks for all before it. siw completes a SEND while READs before it are
 * out: over iWARP each READ has a completion of its own, and its command waits for that.
 */
static void nvtgt_rdma_sent_to(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *to)
{
	struct nvtgt_rdma_cmd *cmd, *next;

	list_for_each_entry_safe(cmd, next, &q->posted, req.entry) {
		bool last = cmd == to;

		if (last || !unlikely(q->dev->iwarp) || cmd->req.state != NVTGT_REQ_DATA)
			nvtgt_rdma_sent_one(q, cmd);
		if (last)
			break;
	}
}

static void nvtgt_rdma_reap_one(struct nvtgt_rdma_queue *q, const struct ib_wc *wc)
{
	struct nvtgt_rdma_cmd *cmd;

	if (unlikely(wc->wr_cqe == &q->sq_drain)) {
		q->sq_drained = true;
		return;
	}
	cmd = container_of(wc->wr_cqe, struct nvtgt_rdma_cmd, cqe);
	if (likely(wc->status == IB_WC_SUCCESS && q->conn.state == NVTGT_CONN_LIVE)) {
		nvtgt_rdma_sent_to(q, cmd);
		return;
	}
	/* a connection that ends drops its posted commands together: nvtgt_rdma_drop_posted() */
	if (wc->status != IB_WC_SUCCESS && q->conn.state < NVTGT_CONN_CLOSING) {
		if (wc->status != IB_WC_WR_FLUSH_ERR)
			nvtgt_rdma_warn(q, "command %#x, %s: %s\n",
					le16_to_cpu((__force __le16)cmd->sqe.common.command_id),
					nvtgt_req_state_names[cmd->req.state],
					ib_wc_status_msg(wc->status));
		nvtgt_rdma_close(&q->conn);
	}
}

/**
 * nvtgt_rdma_reap - take the completions of what was posted
 * @q: the connection
 * @more: there may be more of them
 *
 * Context: the reactor. nvtgt_rdma_rx_post() follows.
 * Return: whether there was any
 */
bool nvtgt_rdma_reap(struct nvtgt_rdma_queue *q, bool *more)
{
	int i, nr = 0;

	*more = false;
	if (!list_empty(&q->posted) || q->draining)
		nr = ib_poll_cq(q->send_cq, NVTGT_RDMA_WCS, q->wc);
	if (nr <= 0)
		return false;
	*more = nr == NVTGT_RDMA_WCS;
	q->nr_wcs += nr;
	for (i = 0; i < nr; i++)
		nvtgt_rdma_reap_one(q, &q->wc[i]);
	if (q->sq_full)
		nvtgt_queue_want_flush(&q->conn.queue);
	nvtgt_conn_mem_kick(&q->conn, false);
	nvtgt_rdma_run_wait(q);
	return true;
}

/**
 * nvtgt_rdma_post_drain - post what comes back behind all the rest
 * @q: a connection whose queue pair is in the error state
 *
 * Context: the reactor.
 */
void nvtgt_rdma_post_drain(struct nvtgt_rdma_queue *q)
{
	struct ib_rdma_wr last = {
		.wr.wr_cqe	= &q->sq_drain,
		.wr.opcode	= IB_WR_RDMA_WRITE,
		.wr.send_flags	= IB_SEND_SIGNALED,
	};
	struct ib_recv_wr rlast = { .wr_cqe = &q->rq_drain };

	/* a post fails on a queue pair that was never connected: nothing of it is under way */
	if (ib_post_send(q->qp, &last.wr, NULL))
		q->sq_drained = true;
	if (!q->rx->srq && ib_post_recv(q->qp, &rlast, NULL))
		q->rq_drained = true;
}
