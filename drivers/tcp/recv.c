// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Receiving
 *
 * The reactor reads the socket with read_sock: one lock of the socket for all
 * that has arrived, headers are gathered from the skbs, data go from the skbs
 * into the command's pages, digest on the way. What is complete is executed
 * after the socket has been unlocked.
 *
 * The parser is a small state machine over the stream (enum nvtgt_tcp_recv). It
 * stops, and leaves the rest in the socket (so that TCP's window stops the host),
 * when no slot is free, when there is no memory for data in a capsule or no page for
 * data that an R2T asked for, and when the pass's share is used up.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/crc32c.h>
#include <linux/tcp.h>
#include <linux/unaligned.h>
#include <net/tcp.h>
#include "tcp.h"

static void nvtgt_tcp_recv_next_pdu(struct nvtgt_tcp_queue *q)
{
	q->rx_state = NVTGT_TCP_RECV_HDR;
	q->rx_have = 0;
	q->rx_want = sizeof(struct nvme_tcp_hdr);
	q->rx_cmd = NULL;
	q->rx_r2t = NULL;
}

static void nvtgt_tcp_recv_error(struct nvtgt_tcp_queue *q, u16 fes, u32 fei)
{
	q->rx_err.fes = fes;
	q->rx_err.fei = fei;
}

/* ICReq: what is agreed from now on (NVMe/TCP 1.1, 3.6.2.2). */
static void nvtgt_tcp_recv_icreq(struct nvtgt_tcp_queue *q)
{
	struct nvme_tcp_icreq_pdu *pdu = (void *)q->hdr;
	u32 maxr2t;

	if (!nvtgt_tcp_check_icreq(pdu, &q->rx_err))
		return;
	maxr2t = le32_to_cpu(pdu->maxr2t);
	q->maxr2t = min_t(u32, maxr2t, NVTGT_TCP_R2TS - 1) + 1;
	q->rules.hdgst = pdu->digest & NVME_TCP_HDR_DIGEST_ENABLE;
	q->rules.ddgst = pdu->digest & NVME_TCP_DATA_DIGEST_ENABLE;
	q->c2h_pdo = nvtgt_tcp_pdo(sizeof(struct nvme_tcp_data_pdu), q->rules.hdgst, pdu->hpda);
	nvtgt_tcp_set_usual(&q->rules);
	nvtgt_conn_set_state(&q->conn, NVTGT_CONN_LIVE);
	q->send_icresp = true;
	nvtgt_tcp_want_send(q);
	nvtgt_tcp_recv_next_pdu(q);
}

/* Where data begin and how many there are; then the parser takes them. */
static void nvtgt_tcp_recv_begin_data(struct nvtgt_tcp_queue *q, u32 bytes, u32 off)
{
	struct nvme_tcp_hdr *hdr = (void *)q->hdr;

	q->rx_pad = hdr->pdo - hdr->hlen - (q->rules.hdgst ? NVME_TCP_DIGEST_LENGTH : 0);
	q->rx_left = bytes;
	q->rx_off = off;
	q->rx_crc = ~0;
	q->rx_state = NVTGT_TCP_RECV_PAD;
}

/* A command capsule. Leaves the header where it is when there is no slot. */
static void nvtgt_tcp_recv_cmd(struct nvtgt_tcp_queue *q)
{
	struct nvme_tcp_cmd_pdu *pdu = (void *)q->hdr;
	struct nvtgt_tcp_cmd *cmd;
	struct nvtgt_req *req;
	u32 bytes;

	req = nvtgt_conn_get_req(&q->conn);
	if (unlikely(!req)) {
		q->rx_no_slot = true;
		if (q->conn.nr_slots < q->conn.max_slots)
			nvtgt_buf_retry(q->conn.queue.reactor, &q->retry);
		return;
	}
	cmd = to_nvtgt_tcp_cmd(req);
	q->rx_no_slot = false;
	q->rx_cmds_left--;
	bytes = nvtgt_tcp_data_bytes(&pdu->hdr, &q->rules);
	cmd->sqe = pdu->cmd;
	nvtgt_tcp_recv_next_pdu(q);
	if (bytes) {
		nvtgt_tcp_recv_begin_data(q, bytes, 0);
		q->rx_cmd = cmd;
	}
	nvtgt_tcp_new_cmd(q, cmd, bytes);
	/* what the capsule holds stays in the socket until there is memory for it */
	if (bytes && !list_empty(&cmd->req.entry))
		q->rx_state = NVTGT_TCP_RECV_MEM;
}

/*
 * Pages for the data that a command has been asked for. Without memory the header
 * waits where it is (returns false), or, if that has taken too long, the data are
 * thrown away.
 */
static bool nvtgt_tcp_recv_fill(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	if (likely(!nvtgt_buf_fill(&cmd->req))) {
		if (unlikely(q->conn.short_since))
			q->conn.short_since = 0;
		return true;
	}
	if (!nvtgt_conn_may_wait(&q->conn)) {
		cmd->rx_status = NVME_SC_INTERNAL;
		return true;
	}
	q->rx_no_mem = true;
	q->rx_short = cmd;
	nvtgt_buf_retry(q->conn.queue.reactor, &q->retry);
	return false;
}

static void nvtgt_tcp_recv_h2c(struct nvtgt_tcp_queue *q)
{
	struct nvme_tcp_data_pdu *pdu = (void *)q->hdr;
	u16 ttag = le16_to_cpu((__force __le16)pdu->ttag);
	struct nvtgt_tcp_r2t *r2t;
	struct nvtgt_tcp_cmd *cmd;
	struct nvtgt_req *req;

	req = nvtgt_conn_find_req(&q->conn, ttag >> NVTGT_TCP_SLOT_BITS);
	/* only a command that an R2T was sent for waits for data */
	if (!req || req->state != NVTGT_REQ_DATA) {
		nvtgt_tcp_recv_error(q, NVME_TCP_FES_INVALID_PDU_HDR,
				     offsetof(struct nvme_tcp_data_pdu, ttag));
		return;
	}
	cmd = to_nvtgt_tcp_cmd(req);
	r2t = &cmd->r2t[ttag & (NVTGT_TCP_R2TS - 1)];
	if (!r2t->end) {
		nvtgt_tcp_recv_error(q, NVME_TCP_FES_INVALID_PDU_HDR,
				     offsetof(struct nvme_tcp_data_pdu, ttag));
		return;
	}
	if (!nvtgt_tcp_check_h2c(pdu, &q->rules, r2t, cmd->sqe.common.command_id, &q->rx_err))
		return;
	/* the first of its data */
	if (!cmd->req.nr_bvec && !cmd->rx_status && !nvtgt_tcp_recv_fill(q, cmd))
		return;

	nvtgt_tcp_recv_begin_data(q, le32_to_cpu(pdu->data_length), r2t->next);
	q->rx_have = 0;
	q->rx_want = sizeof(struct nvme_tcp_hdr);
	q->rx_cmd = cmd;
	q->rx_r2t = r2t;
}

/* A whole header is there. */
static void nvtgt_tcp_recv_pdu(struct nvtgt_tcp_queue *q)
{
	struct nvme_tcp_hdr *hdr = (void *)q->hdr;

	if (q->rules.hdgst && hdr->type != nvme_tcp_icreq && hdr->type != nvme_tcp_h2c_term) {
		u32 sent = get_unaligned_le32(q->hdr + hdr->hlen);

		if (sent != (u32)~crc32c(~0, q->hdr, hdr->hlen)) {
			nvtgt_tcp_recv_error(q, NVME_TCP_FES_HDR_DIGEST_ERR, sent);
			return;
		}
	}
	switch (hdr->type) {
	case nvme_tcp_icreq:
		nvtgt_tcp_recv_icreq(q);
		break;
	case nvme_tcp_cmd:
		nvtgt_tcp_recv_cmd(q);
		break;
	case nvme_tcp_h2c_data:
		nvtgt_tcp_recv_h2c(q);
		break;
	default:
		q->rx_peer_term = true;
	}
}

/*
 * Bytes of a header. Nearly always it is a command capsule's and lies in one piece: so
 * as many bytes are copied at once if they are there, and nvtgt_tcp_check_hdr() says
 * afterwards how many of them are the header's.
 */
static size_t nvtgt_tcp_recv_hdr(struct nvtgt_tcp_queue *q, const u8 *from, size_t len)
{
	size_t part;
	int ret;

	if (likely(!q->rx_have && len >= sizeof(struct nvme_tcp_cmd_pdu))) {
		part = sizeof(struct nvme_tcp_cmd_pdu);
		memcpy(q->hdr, from, sizeof(struct nvme_tcp_cmd_pdu));
	} else {
		part = min_t(size_t, len, q->rx_want - q->rx_have);
		memcpy(q->hdr + q->rx_have, from, part);
	}
	if (q->rx_have < sizeof(struct nvme_tcp_hdr)) {
		if (q->rx_have + part < sizeof(struct nvme_tcp_hdr)) {
			q->rx_have += part;
			return part;
		}
		ret = nvtgt_tcp_check_hdr((void *)q->hdr, &q->rules, &q->rx_err);
		if (ret < 0) {
			part = sizeof(struct nvme_tcp_hdr) - q->rx_have;
			q->rx_have = sizeof(struct nvme_tcp_hdr);
			return part;
		}
		q->rx_want = ret;
		part = min_t(size_t, part, q->rx_want - q->rx_have);
	}
	q->rx_have += part;
	if (q->rx_have == q->rx_want)
		q->rx_state = NVTGT_TCP_RECV_PDU;
	return part;
}

/* The last byte of a PDU's data, and of their digest, has been read. */
static void nvtgt_tcp_recv_data_end(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_tcp_r2t *r2t = q->rx_r2t;
	struct nvtgt_tcp_cmd *cmd = q->rx_cmd;

	nvtgt_tcp_recv_next_pdu(q);
	if (!r2t) {
		nvtgt_tcp_data_done(q, cmd);
		return;
	}
	cmd->rx_len += q->rx_off - r2t->next;
	r2t->next = q->rx_off;
	if (r2t->next == r2t->end)
		r2t->end = 0;
	/* a host that sends a byte now and then may not keep a command's memory */
	if (!r2t->end || cmd->rx_len - cmd->rx_mark >= NVTGT_TCP_STEP) {
		cmd->rx_mark = cmd->rx_len;
		cmd->last_rx = jiffies;
		list_move_tail(&cmd->wait, &q->data_wait);
	}
	if (cmd->rx_len == cmd->req.data_len) {
		nvtgt_tcp_data_done(q, cmd);
	} else if (!r2t->end && cmd->r2t_len < cmd->req.data_len &&
		   list_empty(&cmd->req.entry)) {
		list_add_tail(&cmd->req.entry, &q->ctrl_list);
		nvtgt_tcp_want_send(q);
	}
}

static size_t nvtgt_tcp_recv_data(struct nvtgt_tcp_queue *q, const u8 *from, size_t len)
{
	size_t part = min_t(size_t, len, q->rx_left);
	struct nvtgt_tcp_cmd *cmd = q->rx_cmd;

	if (likely(!cmd->rx_status)) {
		struct bio_vec bv = nvtgt_tcp_piece(&cmd->req, q->rx_off, part);
		void *mem = page_address(bv.bv_page) + bv.bv_offset;

		part = bv.bv_len;
		memcpy(mem, from, part);
		if (q->rules.ddgst)
			q->rx_crc = crc32c(q->rx_crc, mem, part);
	}
	q->rx_progress = jiffies;
	q->rx_off += part;
	q->rx_left -= part;
	q->rx_bytes_left -= min_t(size_t, part, q->rx_bytes_left);
	if (q->rx_left)
		return part;
	if (q->rules.ddgst) {
		q->rx_dgst_have = 0;
		q->rx_state = NVTGT_TCP_RECV_DDGST;
	} else {
		nvtgt_tcp_recv_data_end(q);
	}
	return part;
}

static size_t nvtgt_tcp_recv_ddgst(struct nvtgt_tcp_queue *q, const u8 *from, size_t len)
{
	size_t part = min_t(size_t, len, sizeof(q->rx_dgst) - q->rx_dgst_have);
	struct nvtgt_tcp_cmd *cmd = q->rx_cmd;

	memcpy(q->rx_dgst + q->rx_dgst_have, from, part);
	q->rx_dgst_have += part;
	if (q->rx_dgst_have < sizeof(q->rx_dgst))
		return part;
	/* 3.3.3: not fatal for the connection, the command fails and may be retried */
	if (!cmd->rx_status && get_unaligned_le32(q->rx_dgst) != (u32)~q->rx_crc) {
		nvtgt_tcp_warn(q, "data digest of command %#x is wrong\n",
			       le16_to_cpu((__force __le16)cmd->sqe.common.command_id));
		cmd->rx_status = NVME_SC_TRANSIENT_TR_ERR;
	}
	nvtgt_tcp_recv_data_end(q);
	return part;
}

/* May the parser take another byte? */
static bool nvtgt_tcp_recv_stopped(struct nvtgt_tcp_queue *q)
{
	if (q->rx_err.fes || q->rx_peer_term || q->rx_no_slot || q->rx_no_mem)
		return true;
	if (q->rx_state == NVTGT_TCP_RECV_MEM || !q->rx_bytes_left)
		return true;
	return !q->rx_cmds_left && q->rx_state == NVTGT_TCP_RECV_HDR && !q->rx_have;
}

static size_t nvtgt_tcp_recv_step(struct nvtgt_tcp_queue *q, const u8 *from, size_t len)
{
	size_t part;

	switch (q->rx_state) {
	case NVTGT_TCP_RECV_HDR:
		return nvtgt_tcp_recv_hdr(q, from, len);
	case NVTGT_TCP_RECV_PAD:
		part = min_t(size_t, len, q->rx_pad);
		q->rx_pad -= part;
		if (!q->rx_pad)
			q->rx_state = NVTGT_TCP_RECV_DATA;
		return part;
	case NVTGT_TCP_RECV_DATA:
		return nvtgt_tcp_recv_data(q, from, len);
	case NVTGT_TCP_RECV_DDGST:
		return nvtgt_tcp_recv_ddgst(q, from, len);
	}
	return 0;
}

/*
 * Where in an skb the parser is. The kernel's own walk, skb_seq_read(), keeps preemption
 * disabled while it is at a fragment: too long for a parser that copies, computes digests
 * and takes locks.
 */
struct nvtgt_tcp_cursor {
	const struct sk_buff *skb;	/* the first one, then those of its list */
	bool listed;			/* skb is of the list */
	int frag;			/* of skb; -1: the linear part */
	u32 base;			/* offset where skb begins */
	u32 frag_base;			/* offset in skb where the fragment begins */
};

#ifdef CONFIG_HIGHMEM
#error "nvtgt-tcp reads fragments where they lie: it does not know high memory"
#endif

/*
 * The bytes from @off on that lie in one piece; @off never goes back. Returns 0 when the
 * CPU cannot read them where they lie (a device's memory, say).
 */
static size_t nvtgt_tcp_block(struct nvtgt_tcp_cursor *cur, u32 off, const u8 **from)
{
	for (; cur->skb; cur->listed = true) {
		const struct sk_buff *skb = cur->skb;
		u32 rel = off - cur->base;

		if (unlikely(!skb_frags_readable(skb)))
			return 0;
		if (cur->frag < 0) {
			if (rel < skb_headlen(skb)) {
				*from = skb->data + rel;
				return skb_headlen(skb) - rel;
			}
			cur->frag = 0;
			cur->frag_base = skb_headlen(skb);
		}
		for (; cur->frag < skb_shinfo(skb)->nr_frags; cur->frag++) {
			const skb_frag_t *frag = &skb_shinfo(skb)->frags[cur->frag];
			u32 size = skb_frag_size(frag);

			if (rel < cur->frag_base + size) {
				*from = (u8 *)skb_frag_address(frag) + rel - cur->frag_base;
				return cur->frag_base + size - rel;
			}
			cur->frag_base += size;
		}
		if (cur->listed && skb_has_frag_list(skb))
			return 0;	/* the kernel makes no list in a list */
		cur->base += cur->frag_base;
		cur->frag = -1;
		cur->skb = cur->listed ? skb->next : skb_shinfo(skb)->frag_list;
	}
	return 0;
}

/* read_sock's actor: takes bytes from one skb, where they lie, under the socket's lock. */
static int nvtgt_tcp_recv_actor(read_descriptor_t *desc, struct sk_buff *skb,
				unsigned int offset, size_t len)
{
	struct nvtgt_tcp_cursor cursor = { .skb = skb, .frag = -1 };
	struct nvtgt_tcp_queue *q = desc->arg.data;
	size_t done = 0, have = 0, part;
	const u8 *from = NULL;

	if (q->conn.state == NVTGT_CONN_ENDING)
		return len;		/* thrown away */

	while (!nvtgt_tcp_recv_stopped(q)) {
		if (q->rx_state == NVTGT_TCP_RECV_PDU) {
			nvtgt_tcp_recv_pdu(q);
			continue;
		}
		if (!have) {
			if (done == len)
				return done;
			have = min(nvtgt_tcp_block(&cursor, offset + done, &from), len - done);
			if (unlikely(!have)) {
				q->rx_peer_term = true;
				break;
			}
		}
		part = nvtgt_tcp_recv_step(q, from, have);
		from += part;
		have -= part;
		done += part;
	}
	desc->count = 0;
	return done;
}

static int nvtgt_tcp_read_sock(struct nvtgt_tcp_queue *q)
{
	struct sock *sk = q->sock->sk;
	read_descriptor_t desc = { .arg.data = q, .count = 1 };
	int ret;

	q->rx_cmds_left = NVTGT_TCP_RX_CMDS;
	q->rx_bytes_left = NVTGT_TCP_RX_BYTES;
	lock_sock(sk);
	/* a header that waited for a slot needs no byte to go on */
	if (q->rx_state == NVTGT_TCP_RECV_PDU && q->conn.state == NVTGT_CONN_LIVE)
		nvtgt_tcp_recv_pdu(q);
	ret = q->sock->ops->read_sock(sk, &desc, nvtgt_tcp_recv_actor);
	release_sock(sk);
	return ret;
}

/*
 * Has the peer, or the network, ended the connection? A host that has closed its end
 * waits for no answer, and may connect anew at once: commands of it that have not been
 * read are not begun. A connection that is being hung up is read to its end.
 */
static bool nvtgt_tcp_peer_gone(struct nvtgt_tcp_queue *q, bool drained)
{
	struct sock *sk = q->sock->sk;

	if (READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_state) == TCP_CLOSE)
		return true;
	return (drained || q->conn.state < NVTGT_CONN_ENDING) &&
	       (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN);
}

/* What conn->flags says: the core, the timer and write_space have set them. */
static void nvtgt_tcp_take_flags(struct nvtgt_tcp_queue *q)
{
	nvtgt_conn_take_events(&q->conn);
	if (test_and_clear_bit(NVTGT_TCP_F_ACKED, &q->conn.flags))
		nvtgt_tcp_look(&q->hold, nvtgt_buf_is_wanted(q->conn.queue.reactor));
	if (test_and_clear_bit(NVTGT_TCP_F_SPACE, &q->conn.flags) &&
	    q->conn.state < NVTGT_CONN_CLOSING) {
		q->no_space = false;
		nvtgt_queue_want_flush(&q->conn.queue);
	}
}

/**
 * nvtgt_tcp_receive - take what has arrived on a connection
 * @source: the connection's
 *
 * Context: the reactor, plugged.
 * Return: whether there is more to take at once
 */
bool nvtgt_tcp_receive(struct nvtgt_source *source)
{
	struct nvtgt_tcp_queue *q = container_of(source, struct nvtgt_tcp_queue, conn.source);
	bool share_used;
	int ret;

	if (unlikely(READ_ONCE(q->conn.flags)))
		nvtgt_tcp_take_flags(q);
	if (q->conn.state >= NVTGT_CONN_CLOSING)
		return false;
	if (unlikely(nvtgt_tcp_peer_gone(q, false))) {
		nvtgt_tcp_close(&q->conn);
		return false;
	}

	ret = nvtgt_tcp_read_sock(q);
	nvtgt_source_follow(source, READ_ONCE(q->sock->sk->sk_incoming_cpu));
	nvtgt_tcp_run_exec(q);
	/* disabling the namespace does not wait for the rest of a capsule */
	if (q->rx_cmd && !q->rx_r2t) {
		nvtgt_req_park(&q->rx_cmd->req);
		if (list_empty(&q->rx_cmd->req.entry) && list_empty(&q->rx_cmd->wait))
			nvtgt_tcp_await_data(q, q->rx_cmd);
	}
	if (q->rx_err.fes && q->conn.state != NVTGT_CONN_ENDING) {
		nvtgt_tcp_fatal(q, &q->rx_err);
		return true;
	}
	if (q->rx_peer_term || ret < 0) {
		nvtgt_tcp_close(&q->conn);
		return false;
	}
	share_used = !q->rx_cmds_left || !q->rx_bytes_left;
	if (nvtgt_tcp_peer_gone(q, !share_used && !q->rx_no_slot && !q->rx_no_mem &&
				q->rx_state != NVTGT_TCP_RECV_MEM)) {
		nvtgt_tcp_close(&q->conn);
		return false;
	}
	return share_used;
}
