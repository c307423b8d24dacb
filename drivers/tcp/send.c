// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Sending
 *
 * All that is ready on a connection is described by one vector of segments
 * (headers, padding, data, digests, completions of many commands) and given to
 * the socket in one call; the pages are spliced, not copied. Headers and digests
 * are written into a page that the connection keeps for this and gives back to the
 * pool when it is full.
 *
 * First what is short and holds up the host: ICResp, R2Ts and completions
 * (ctrl_list); then data (data_list), where a long read takes turns with other
 * reads after each C2HData PDU of NVTGT_TCP_C2H_PART bytes. A completion
 * follows its data in the same vector.
 *
 * What the socket does not take stays in the vector; the next is built when it
 * is empty. A command is over when the socket has taken its last byte: then its
 * pages go back to the pool, which waits until TCP has let go of them.
 *
 * Its credit does not go back yet if the peer is slow to acknowledge: but for
 * NVTGT_TCP_UNHELD bytes of a connection, what the socket has is charged until it
 * is acknowledged. After each so many bytes a look at the socket tells how far the
 * peer has come (held[] says up to which position how much was charged). A
 * connection that sends nothing more is looked at by the pool once a second, or
 * when another connection waits for credit; then the socket kicks it as well.
 *
 * TCP cuts off a peer that acknowledges nothing for data_timeout_ms. One that
 * acknowledges a few bytes now and then would keep what it was sent for ever. So
 * while something is charged, or the socket is full, a mark says where the peer stood
 * and when, and how far it has to come (nvtgt_tcp_watch()); the connection's timer
 * looks at it.
 */
#include <linux/crc32c.h>
#include <linux/net.h>
#include <linux/tcp.h>
#include <linux/unaligned.h>
#include "tcp.h"

/**
 * nvtgt_tcp_want_send - there is something to send
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_tcp_want_send(struct nvtgt_tcp_queue *q)
{
	if (!q->no_space)
		nvtgt_queue_want_flush(&q->conn.queue);
}

/* Adds a segment, or lengthens the last one. */
static __always_inline void nvtgt_tcp_tx_add(struct nvtgt_tcp_queue *q, struct page *page,
					     unsigned int off, unsigned int len)
{
	if (q->tx_nr) {
		struct bio_vec *last = &q->tx[q->tx_nr - 1];

		if (last->bv_page == page && last->bv_offset + last->bv_len == off) {
			last->bv_len += len;
			q->tx_built += len;
			return;
		}
	}
	q->tx[q->tx_nr++] = (struct bio_vec) {
		.bv_page = page, .bv_offset = off, .bv_len = len,
	};
	q->tx_built += len;
}

/* Room for bytes that are made here: in the header page. */
static __always_inline void *nvtgt_tcp_tx_room(struct nvtgt_tcp_queue *q, unsigned int len)
{
	unsigned int off = q->tx_page_off;

	q->tx_page_off += len;
	nvtgt_tcp_tx_add(q, q->tx_page, off, len);
	return page_address(q->tx_page) + off;
}

/**
 * nvtgt_tcp_tx_page - a page with room for a PDU's headers
 * @q: the connection, not closing
 *
 * A full page stays until the socket has taken the vector that points into it.
 *
 * Context: the reactor.
 * Return: whether there is one
 */
bool nvtgt_tcp_tx_page(struct nvtgt_tcp_queue *q)
{
	struct page *page;

	if (likely(q->tx_page && q->tx_page_off + NVTGT_TCP_HDR_ROOM <= PAGE_SIZE))
		return true;
	if (q->tx_page && q->tx_nr_full == NVTGT_TCP_TX_FULL)
		return false;
	page = nvtgt_page_get(q->conn.queue.reactor);
	if (!page)
		return false;
	if (q->tx_page)
		q->tx_full[q->tx_nr_full++] = q->tx_page;
	q->tx_page = page;
	q->tx_page_off = 0;
	return true;
}

/* The vector is empty: its full pages go to the pool, though the socket may still read them. */
static void nvtgt_tcp_tx_put_full(struct nvtgt_tcp_queue *q)
{
	while (unlikely(q->tx_nr_full))
		nvtgt_page_put(q->conn.queue.reactor, q->tx_full[--q->tx_nr_full]);
}

/* Is there room for a PDU with that many segments of data, and what belongs to it? */
static bool nvtgt_tcp_tx_fits(struct nvtgt_tcp_queue *q, unsigned int nr_data)
{
	return q->tx_nr + nr_data + 3 <= NVTGT_TCP_TX_BVECS && nvtgt_tcp_tx_page(q);
}

/*
 * Begins a PDU: common header, padding, and room for the digest that
 * nvtgt_tcp_tx_finish_hdr() writes. The caller writes every byte of the rest.
 */
static __always_inline void *nvtgt_tcp_tx_begin(struct nvtgt_tcp_queue *q, u8 type, u8 hlen,
						u8 pdo, u32 plen)
{
	u8 head = hlen + (q->rules.hdgst ? NVME_TCP_DIGEST_LENGTH : 0);
	struct nvme_tcp_hdr *hdr = nvtgt_tcp_tx_room(q, max(head, pdo));

	*hdr = (struct nvme_tcp_hdr) {
		.type = type,
		.flags = q->rules.hdgst ? NVME_TCP_F_HDGST : 0,
		.hlen = hlen,
		.pdo = pdo,
		.plen = cpu_to_le32(plen),
	};
	if (unlikely(pdo > head))
		memset((u8 *)hdr + head, 0, pdo - head);
	return hdr;
}

static void nvtgt_tcp_tx_finish_hdr(struct nvtgt_tcp_queue *q, struct nvme_tcp_hdr *hdr)
{
	if (q->rules.hdgst)
		put_unaligned_le32(~crc32c(~0, hdr, hdr->hlen), (u8 *)hdr + hdr->hlen);
}

static u32 nvtgt_tcp_hdgst_len(struct nvtgt_tcp_queue *q)
{
	return q->rules.hdgst ? NVME_TCP_DIGEST_LENGTH : 0;
}

static void nvtgt_tcp_tx_icresp(struct nvtgt_tcp_queue *q)
{
	struct nvme_tcp_icresp_pdu *pdu = nvtgt_tcp_tx_room(q, sizeof(*pdu));

	memset(pdu, 0, sizeof(*pdu));
	pdu->hdr.type = nvme_tcp_icresp;
	pdu->hdr.hlen = sizeof(*pdu);
	pdu->hdr.plen = cpu_to_le32(sizeof(*pdu));
	pdu->pfv = cpu_to_le16(NVME_TCP_PFV_1_0);
	if (q->rules.hdgst)
		pdu->digest |= NVME_TCP_HDR_DIGEST_ENABLE;
	if (q->rules.ddgst)
		pdu->digest |= NVME_TCP_DATA_DIGEST_ENABLE;
	pdu->maxdata = cpu_to_le32(q->rules.max_h2c);
	q->send_icresp = false;
}

/* All of the command stands in the vector now. */
static void nvtgt_tcp_tx_all(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	nvtgt_req_set_state(&cmd->req, NVTGT_REQ_SENT);
	cmd->tx_end = q->tx_built;
	list_move_tail(&cmd->req.entry, &q->sent_list);
}

static void nvtgt_tcp_tx_rsp(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	struct nvme_tcp_rsp_pdu *pdu;

	pdu = nvtgt_tcp_tx_begin(q, nvme_tcp_rsp, sizeof(*pdu), 0,
				 sizeof(*pdu) + nvtgt_tcp_hdgst_len(q));
	nvtgt_req_cqe(&cmd->req, &pdu->cqe);
	nvtgt_tcp_tx_finish_hdr(q, &pdu->hdr);
	nvtgt_tcp_tx_all(q, cmd);
}

static unsigned int nvtgt_tcp_free_r2t(const struct nvtgt_tcp_queue *q,
				       const struct nvtgt_tcp_cmd *cmd)
{
	unsigned int i;

	for (i = 0; i < q->maxr2t && cmd->r2t[i].end; i++)
		;
	return i;
}

/*
 * Asks for the command's next data. When nothing more can be asked for now the
 * command leaves the list at once: from here on its data may come.
 */
static void nvtgt_tcp_tx_r2t(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	unsigned int i = nvtgt_tcp_free_r2t(q, cmd);
	struct nvme_tcp_r2t_pdu *pdu;
	u32 len;

	len = nvtgt_tcp_r2t_len(cmd->req.data_len, cmd->r2t_len, q->maxr2t);
	pdu = nvtgt_tcp_tx_begin(q, nvme_tcp_r2t, sizeof(*pdu), 0,
				 sizeof(*pdu) + nvtgt_tcp_hdgst_len(q));
	pdu->command_id = cmd->sqe.common.command_id;
	pdu->ttag = (__force u16)cpu_to_le16(cmd->req.slot << NVTGT_TCP_SLOT_BITS | i);
	pdu->r2t_offset = cpu_to_le32(cmd->r2t_len);
	pdu->r2t_length = cpu_to_le32(len);
	memset(pdu->rsvd, 0, sizeof(pdu->rsvd));
	nvtgt_tcp_tx_finish_hdr(q, &pdu->hdr);
	cmd->r2t[i].next = cmd->r2t_len;
	cmd->r2t_len += len;
	cmd->r2t[i].end = cmd->r2t_len;
	if (cmd->req.state == NVTGT_REQ_FETCHING)
		nvtgt_req_set_state(&cmd->req, NVTGT_REQ_DATA);
	if (cmd->r2t_len == cmd->req.data_len || nvtgt_tcp_free_r2t(q, cmd) == q->maxr2t)
		list_del_init(&cmd->req.entry);
}

/* How many segments do the bytes take, at most, that a C2HData PDU carries next? */
static unsigned int nvtgt_tcp_count_pieces(struct nvtgt_tcp_cmd *cmd, u32 len)
{
	u32 off = cmd->tx_len, end = off + len;
	unsigned int nr = 0;

	if (cmd->req.nr_bvec <= NVTGT_INLINE_BVECS)
		return cmd->req.nr_bvec;

	for (; off < end; nr++)
		off += nvtgt_tcp_piece(&cmd->req, off, end - off).bv_len;
	return nr;
}

/* A part of a read's data, and the completion behind the last. */
static bool nvtgt_tcp_tx_c2h(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	u32 len = min_t(u32, cmd->req.data_len - cmd->tx_len, NVTGT_TCP_C2H_PART);
	u32 tail = q->rules.ddgst ? NVME_TCP_DIGEST_LENGTH : 0;
	bool last = cmd->tx_len + len == cmd->req.data_len;
	/* without SQ flow control the completion says nothing that the SUCCESS flag cannot */
	bool success = last && q->conn.queue.sqhd_disabled && !cmd->req.result.u64;
	struct nvme_tcp_data_pdu *pdu;
	u32 crc = ~0, end;

	if (!nvtgt_tcp_tx_fits(q, nvtgt_tcp_count_pieces(cmd, len)))
		return false;
	pdu = nvtgt_tcp_tx_begin(q, nvme_tcp_c2h_data, sizeof(*pdu), q->c2h_pdo,
				 q->c2h_pdo + len + tail);
	if (q->rules.ddgst)
		pdu->hdr.flags |= NVME_TCP_F_DDGST;
	if (last)
		pdu->hdr.flags |= NVME_TCP_F_DATA_LAST;
	if (success)
		pdu->hdr.flags |= NVME_TCP_F_DATA_SUCCESS;
	pdu->command_id = cmd->sqe.common.command_id;
	pdu->ttag = 0;
	pdu->data_offset = cpu_to_le32(cmd->tx_len);
	pdu->data_length = cpu_to_le32(len);
	memset(pdu->rsvd, 0, sizeof(pdu->rsvd));
	nvtgt_tcp_tx_finish_hdr(q, &pdu->hdr);

	for (end = cmd->tx_len + len; cmd->tx_len < end; ) {
		struct bio_vec bv = nvtgt_tcp_piece(&cmd->req, cmd->tx_len, end - cmd->tx_len);

		if (q->rules.ddgst)
			crc = crc32c(crc, page_address(bv.bv_page) + bv.bv_offset, bv.bv_len);
		nvtgt_tcp_tx_add(q, bv.bv_page, bv.bv_offset, bv.bv_len);
		cmd->tx_len += bv.bv_len;
	}
	if (q->rules.ddgst)
		put_unaligned_le32(~crc, nvtgt_tcp_tx_room(q, NVME_TCP_DIGEST_LENGTH));

	if (success) {
		struct nvme_completion unused;

		nvtgt_req_cqe(&cmd->req, &unused);
		nvtgt_tcp_tx_all(q, cmd);
	} else if (last) {
		nvtgt_tcp_tx_rsp(q, cmd);
	} else {
		list_move_tail(&cmd->req.entry, &q->data_list);
	}
	return true;
}

/* NVMe/TCP 1.1, 3.6.2.5: the header in error goes back with the reason. */
static void nvtgt_tcp_tx_term(struct nvtgt_tcp_queue *q)
{
	u32 len = min_t(u32, q->rx_have, NVME_TCP_MAX_C2HTERM_PLEN - NVME_TCP_MIN_C2HTERM_PLEN);
	struct nvme_tcp_term_pdu *pdu = nvtgt_tcp_tx_room(q, sizeof(*pdu) + len);

	memset(pdu, 0, sizeof(*pdu));
	pdu->hdr.type = nvme_tcp_c2h_term;
	pdu->hdr.hlen = sizeof(*pdu);
	pdu->hdr.plen = cpu_to_le32(sizeof(*pdu) + len);
	pdu->fes = cpu_to_le16(q->rx_err.fes);
	pdu->feil = cpu_to_le16(q->rx_err.fei & 0xffff);
	pdu->feiu = cpu_to_le16(q->rx_err.fei >> 16);
	memcpy(pdu + 1, q->hdr, len);
	q->term_sent = true;
}

static void nvtgt_tcp_build_ctrl(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_tcp_cmd *cmd;

	while (!list_empty(&q->ctrl_list) && nvtgt_tcp_tx_fits(q, 0)) {
		cmd = list_first_entry(&q->ctrl_list, struct nvtgt_tcp_cmd, req.entry);
		if (cmd->req.state == NVTGT_REQ_RESPONDING)
			nvtgt_tcp_tx_rsp(q, cmd);
		else
			nvtgt_tcp_tx_r2t(q, cmd);
	}
}

static void nvtgt_tcp_build_data(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_tcp_cmd *cmd;

	while (!list_empty(&q->data_list)) {
		cmd = list_first_entry(&q->data_list, struct nvtgt_tcp_cmd, req.entry);
		if (!nvtgt_tcp_tx_c2h(q, cmd))
			return;
	}
}

/* Fills the empty vector. Returns false when memory is short. */
static bool nvtgt_tcp_build(struct nvtgt_tcp_queue *q)
{
	q->tx_first = 0;
	if (!nvtgt_tcp_tx_page(q))
		return false;
	if (q->conn.state == NVTGT_CONN_ENDING) {
		if (!q->term_sent)
			nvtgt_tcp_tx_term(q);
		return true;
	}
	if (q->send_icresp)
		nvtgt_tcp_tx_icresp(q);
	nvtgt_tcp_build_ctrl(q);
	nvtgt_tcp_build_data(q);
	return true;
}

static bool nvtgt_tcp_has_more(struct nvtgt_tcp_queue *q)
{
	if (q->conn.state == NVTGT_CONN_ENDING)
		return !q->term_sent;
	return q->send_icresp || !list_empty(&q->ctrl_list) || !list_empty(&q->data_list);
}

/* How many bytes of what the socket has taken have been acknowledged? */
static u64 nvtgt_tcp_acked(const struct nvtgt_tcp_queue *q)
{
	const struct tcp_sock *tp = tcp_sk(q->sock->sk);
	u32 left = READ_ONCE(tp->write_seq) - READ_ONCE(tp->snd_una);

	return q->tx_done - min_t(u64, left, q->tx_done);
}

/* Does the peer keep memory of ours by not acknowledging? */
static bool nvtgt_tcp_owes_acks(const struct nvtgt_tcp_queue *q)
{
	return q->held_nr || (q->no_space && !q->tx_no_mem);
}

/* The time that the peer has for its next step begins. */
static void nvtgt_tcp_set_mark(struct nvtgt_tcp_queue *q, u64 acked)
{
	q->ack_marked = true;
	q->ack_marked_at = jiffies;
	q->ack_goal = min(acked + NVTGT_TCP_STEP, q->tx_built);
}

/*
 * From now on, or still, the peer keeps memory by not acknowledging. A mark that it has not
 * come up to yet stays, however often the socket is full anew.
 */
static void nvtgt_tcp_watch(struct nvtgt_tcp_queue *q)
{
	unsigned long look = jiffies + msecs_to_jiffies(nvtgt_tcp_conns.data_timeout_ms);
	u64 acked = nvtgt_tcp_acked(q);

	if (q->conn.state != NVTGT_CONN_LIVE || (q->ack_marked && acked < q->ack_goal))
		return;
	nvtgt_tcp_set_mark(q, acked);
	/* before Connect the set-up deadline is in force; early: data_timeout_ms may be lowered */
	if (!q->conn.half_open)
		nvtgt_conn_look_by(&q->conn, look);
}

/* Gives back what has been acknowledged. */
static void nvtgt_tcp_unhold(struct nvtgt_tcp_queue *q)
{
	u64 acked = nvtgt_tcp_acked(q);
	long bytes = 0;

	while (q->held_nr && q->held[q->held_first].end <= acked) {
		bytes += q->held[q->held_first].bytes;
		q->held_first = (q->held_first + 1) % NVTGT_TCP_HELD;
		q->held_nr--;
	}
	if (bytes)
		nvtgt_buf_unhold(q->conn.queue.reactor, &q->hold, bytes);
	q->slow = q->hold.bytes > NVTGT_TCP_SLOW;
}

/**
 * nvtgt_tcp_acks_due - until when is the peer to have acknowledged more?
 * @q: the connection, connected
 * @due: jiffies, when the peer owes an acknowledgment
 *
 * The peer has NVTGT_TCP_DATA_PATIENCE time-outs for NVTGT_TCP_STEP bytes, or for the
 * rest, as a host has for the data of a write.
 *
 * Context: the reactor.
 * Return: whether the peer owes one
 */
bool nvtgt_tcp_acks_due(struct nvtgt_tcp_queue *q, unsigned long *due)
{
	unsigned long timeout = msecs_to_jiffies(nvtgt_tcp_conns.data_timeout_ms);
	u64 acked;

	nvtgt_tcp_unhold(q);
	if (!nvtgt_tcp_owes_acks(q)) {
		q->ack_marked = false;
		return false;
	}
	acked = nvtgt_tcp_acked(q);
	if (!q->ack_marked || acked >= q->ack_goal)
		nvtgt_tcp_set_mark(q, acked);
	*due = q->ack_marked_at + NVTGT_TCP_DATA_PATIENCE * timeout;
	return true;
}

/* The socket is to call when about half of what is held has been acknowledged. */
static void nvtgt_tcp_want_ack(struct nvtgt_tcp_queue *q)
{
	const struct nvtgt_tcp_held *held;
	struct sock *sk = q->sock->sk;
	u32 ahead;

	held = &q->held[(q->held_first + q->held_nr / 2) % NVTGT_TCP_HELD];
	ahead = q->tx_done - held->end;
	WRITE_ONCE(q->ack_seq, READ_ONCE(tcp_sk(sk)->write_seq) - ahead);
	WRITE_ONCE(q->ack_wanted, true);
	smp_mb__before_atomic();	/* wanted, then the bit; write_space: bit, then wanted */
	set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	smp_mb__after_atomic();		/* set before the look: a later acknowledgment calls */
	if (nvtgt_tcp_acked(q) >= held->end) {
		WRITE_ONCE(q->ack_wanted, false);
		nvtgt_tcp_unhold(q);
	}
}

/**
 * nvtgt_tcp_is_slow - has the peer enough to acknowledge before it gets more?
 * @q: the connection; slow is set
 *
 * Context: the reactor.
 * Return: true when other connections wait for memory that this one holds in its socket;
 *	its reads try again when the peer has acknowledged a part
 */
bool nvtgt_tcp_is_slow(struct nvtgt_tcp_queue *q)
{
	if (!nvtgt_buf_is_wanted(q->conn.queue.reactor))
		return false;
	nvtgt_tcp_unhold(q);
	/* the acknowledgment may have come meanwhile, and free too little: ask for the next */
	while (q->slow && !READ_ONCE(q->ack_wanted))
		nvtgt_tcp_want_ack(q);
	return q->slow;
}

/**
 * nvtgt_tcp_look - has the peer acknowledged what credit is held for?
 * @hold: the connection's
 * @wanted: another connection waits for credit
 *
 * Context: the reactor.
 */
void nvtgt_tcp_look(struct nvtgt_buf_hold *hold, bool wanted)
{
	struct nvtgt_tcp_queue *q = container_of(hold, struct nvtgt_tcp_queue, hold);

	if (q->conn.state >= NVTGT_CONN_LEFT)
		return;		/* the socket may be gone; nvtgt_tcp_give_back() returns credit */
	nvtgt_tcp_unhold(q);
	if (q->held_nr && wanted && !q->ack_wanted)
		nvtgt_tcp_want_ack(q);
	if (unlikely(!list_empty(&q->conn.mem_wait))) {
		nvtgt_tcp_mem_kick(q);
		nvtgt_tcp_run_exec(q);
	}
}

/* Credit for q->tx_unheld bytes is held until the stream is acknowledged up to @end. */
static noinline void nvtgt_tcp_hold(struct nvtgt_tcp_queue *q, u64 end)
{
	u32 bytes = q->tx_unheld;
	struct nvtgt_tcp_held *last;

	q->tx_unheld = 0;
	/* not used while held_nr is 0 */
	last = &q->held[(q->held_first + q->held_nr + NVTGT_TCP_HELD - 1) % NVTGT_TCP_HELD];
	/* larger steps where more is held, so that held[] suffices */
	if (!q->held_nr || (q->held_nr < NVTGT_TCP_HELD &&
			    last->bytes + bytes > q->hold.bytes / (NVTGT_TCP_HELD / 2))) {
		last = &q->held[(q->held_first + q->held_nr++) % NVTGT_TCP_HELD];
		last->bytes = 0;
	}
	last->bytes += bytes;
	last->end = end;
	nvtgt_buf_hold(q->conn.queue.reactor, &q->hold, bytes);
	nvtgt_tcp_unhold(q);	/* sets slow, too */
	if (q->held_nr)
		nvtgt_tcp_watch(q);
	if (q->held_nr && !q->ack_wanted && nvtgt_buf_is_wanted(q->conn.queue.reactor))
		nvtgt_tcp_want_ack(q);
}

/**
 * nvtgt_tcp_give_back - the socket is gone, and what it held
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_tcp_give_back(struct nvtgt_conn *conn)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(&conn->queue);

	q->held_nr = 0;
	if (q->hold.bytes)
		nvtgt_buf_unhold(conn->queue.reactor, &q->hold, q->hold.bytes);
}

/* The socket has a command's last byte: the command is over, its pages may still be read. */
static __always_inline void nvtgt_tcp_put_sent(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd)
{
	if (cmd->req.dir == DMA_FROM_DEVICE) {
		q->tx_unheld += cmd->req.charged;
		if (unlikely(q->tx_unheld > NVTGT_TCP_UNHELD))
			nvtgt_tcp_hold(q, cmd->tx_end);
	}
	nvtgt_tcp_put_cmd(q, cmd);
}

/* The socket has taken bytes: shorten the vector, let commands go. */
static void nvtgt_tcp_tx_done(struct nvtgt_tcp_queue *q, u32 bytes)
{
	struct nvtgt_tcp_cmd *cmd, *next;

	q->tx_done += bytes;
	while (bytes) {
		struct bio_vec *bv = &q->tx[q->tx_first];

		if (bytes < bv->bv_len) {
			bv->bv_offset += bytes;
			bv->bv_len -= bytes;
			break;
		}
		bytes -= bv->bv_len;
		q->tx_first++;
	}
	if (q->tx_first == q->tx_nr) {
		q->tx_first = 0;
		q->tx_nr = 0;
		nvtgt_tcp_tx_put_full(q);
	}

	list_for_each_entry_safe(cmd, next, &q->sent_list, req.entry) {
		if (cmd->tx_end > q->tx_done)
			break;
		list_del_init(&cmd->req.entry);
		nvtgt_tcp_put_sent(q, cmd);
	}
	nvtgt_tcp_mem_kick(q);
	nvtgt_tcp_run_exec(q);
}

/*
 * The socket has taken nothing. It calls write_space when the peer has acknowledged
 * something. If nothing is left to be acknowledged, memory was short: the pool calls
 * nvtgt_tcp_retry().
 */
static void nvtgt_tcp_tx_wait(struct nvtgt_tcp_queue *q, bool no_mem)
{
	const struct tcp_sock *tp = tcp_sk(q->sock->sk);

	q->no_space = true;
	if (likely(!no_mem && READ_ONCE(tp->snd_una) != READ_ONCE(tp->write_seq))) {
		nvtgt_tcp_watch(q);
		return;
	}
	q->tx_no_mem = true;
	/* the peer cannot acknowledge what the target has no memory to send */
	q->ack_marked = false;
	nvtgt_buf_retry(q->conn.queue.reactor, &q->retry);
}

/* One call for the whole vector. Returns what the socket returns. */
static int nvtgt_tcp_tx_send(struct nvtgt_tcp_queue *q)
{
	struct msghdr *msg = &q->tx_msg;

	msg->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_SPLICE_PAGES;
	if (nvtgt_tcp_has_more(q))
		msg->msg_flags |= MSG_MORE;
	iov_iter_bvec(&msg->msg_iter, ITER_SOURCE, &q->tx[q->tx_first], q->tx_nr - q->tx_first,
		      q->tx_built - q->tx_done);
	return sock_sendmsg(q->sock, msg);
}

/**
 * nvtgt_tcp_flush - send what is ready
 * @queue: the connection
 *
 * Context: the reactor, once per pass.
 */
void nvtgt_tcp_flush(struct nvtgt_queue *queue)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(queue);
	int ret;

	if (q->conn.state >= NVTGT_CONN_CLOSING)
		return;
	for (;;) {
		if (!q->tx_nr && !nvtgt_tcp_has_more(q))
			break;
		if (!q->tx_nr && !nvtgt_tcp_build(q)) {
			nvtgt_tcp_tx_wait(q, true);
			break;
		}
		if (!q->tx_nr)
			break;
		ret = nvtgt_tcp_tx_send(q);
		if (ret == -EAGAIN || ret == -ENOMEM || ret == -ENOBUFS) {
			nvtgt_tcp_tx_wait(q, ret != -EAGAIN);
			break;
		}
		if (ret <= 0) {
			nvtgt_tcp_close(&q->conn);
			return;
		}
		nvtgt_tcp_tx_done(q, ret);
	}
	if (q->conn.state == NVTGT_CONN_ENDING && q->term_sent && !q->tx_nr)
		kernel_sock_shutdown(q->sock, SHUT_WR);
}

/**
 * nvtgt_tcp_drop_tx - forget what was to be sent
 * @q: closing; nvtgt_tcp_drop_cmds() has been called
 */
void nvtgt_tcp_drop_tx(struct nvtgt_tcp_queue *q)
{
	struct nvtgt_tcp_cmd *cmd, *next;

	q->tx_first = 0;
	q->tx_nr = 0;
	list_for_each_entry_safe(cmd, next, &q->sent_list, req.entry) {
		list_del_init(&cmd->req.entry);
		/* a part of it may be in the socket */
		cmd->tx_end = q->tx_done;
		nvtgt_tcp_put_sent(q, cmd);
	}
	nvtgt_tcp_tx_put_full(q);
	if (q->tx_page)
		nvtgt_page_put(q->conn.queue.reactor, q->tx_page);
	q->tx_page = NULL;
}
