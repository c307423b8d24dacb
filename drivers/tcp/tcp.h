/* SPDX-License-Identifier: GPL-2.0 */
/* NVMe/TCP: the module's private objects. */
#ifndef _NVTGT_TCP_H
#define _NVTGT_TCP_H

#include <linux/list.h>
#include <linux/net.h>
#include <linux/nvme-tcp.h>
#include <linux/workqueue.h>
#include <net/sock.h>
#include <nvtgt/conn.h>
#include <nvtgt/pool.h>
#include <nvtgt/reactor.h>
#include <nvtgt/transport.h>
#include "pdu.h"

#define NVTGT_TCP_MAXH2CDATA	(256 * 1024)	/* bytes, told in ICResp */
#define NVTGT_TCP_C2H_PART	(128 * 1024)	/* bytes of one C2HData PDU at most */
#define NVTGT_TCP_TX_BVECS	128
#define NVTGT_TCP_UNHELD	(64 * 1024)	/* bytes in a socket without credit */
#define NVTGT_TCP_SLOW		(256 * 1024)	/* held bytes that make a connection slow */
#define NVTGT_TCP_HELD		16	/* entries of held[]: steps in which credit is given back */
#define NVTGT_TCP_TX_FULL	4	/* pages of headers in a vector, beside the last */
#define NVTGT_TCP_HDR_ROOM	192	/* header, digest, padding, data digest, CQE */
#define NVTGT_TCP_RX_CMDS	64	/* commands that one pass takes from a queue */
#define NVTGT_TCP_RX_BYTES	(512 * 1024)	/* bytes that one pass takes from a queue */
#define NVTGT_TCP_TERM_LINGER_MS 5000
#define NVTGT_TCP_HANG_UP_MS	1000	/* for the peer to close its end as well */
#define NVTGT_TCP_DATA_PATIENCE	4	/* times data_timeout_ms, for NVTGT_TCP_STEP bytes */
#define NVTGT_TCP_STEP		(64 * 1024)	/* bytes received, or acknowledged: progress */
#define NVTGT_TCP_INLINE_SIZE	(16 * 1024)	/* default of param_inline_data_size */
#define NVTGT_TCP_MAX_INLINE	(64 * 1024)
#define NVTGT_TCP_SLOT_BITS	2	/* a transfer tag is slot << 2 | R2T */

static_assert(1 << NVTGT_TCP_SLOT_BITS == NVTGT_TCP_R2TS);

/*
 * struct nvtgt_tcp_cmd - a command; the owning reactor only
 *
 * Where it stands: MEMORY as in nvtgt_req_state; INLINE: its in-capsule data
 * are being received (queue->rx_cmd); FETCHING: wants to send its first R2T, in
 * queue->ctrl_list; DATA: an R2T has been sent, in queue->ctrl_list if it wants to send
 * another; READY: in queue->exec_list; RESPONDING: in queue->ctrl_list; WRITING: in
 * queue->data_list; SENT: all of it stands in the send vector, in queue->sent_list, until
 * the socket has taken the last byte.
 */
struct nvtgt_tcp_cmd {
	struct nvtgt_req req;
	struct nvme_command sqe;	/* a cache line */

	struct list_head wait;		/* in queue->data_wait while the host owes it data */
	u64 tx_end;			/* position in the stream behind its last byte */
	u32 tx_len;			/* bytes of data in the send vector or sent */
	u32 rx_len;			/* bytes received */
	u32 r2t_len;			/* bytes asked for */
	u16 rx_status;			/* what went wrong while receiving its data */
	bool inline_data;		/* its data came in the capsule */

	unsigned long last_rx;		/* jiffies: the host was asked, or made progress */
	u32 rx_mark;			/* rx_len then */
	struct nvtgt_tcp_r2t r2t[NVTGT_TCP_R2TS];
};

/* enum nvtgt_tcp_recv - what the next byte of the stream is */
enum nvtgt_tcp_recv {
	NVTGT_TCP_RECV_HDR,		/* of a PDU's header or header digest */
	NVTGT_TCP_RECV_PDU,		/* none: a whole header waits to be handled */
	NVTGT_TCP_RECV_PAD,		/* to be passed over before the data */
	NVTGT_TCP_RECV_MEM,		/* none: rx_cmd waits for memory for its data */
	NVTGT_TCP_RECV_DATA,		/* of rx_cmd's data, or of data to throw away */
	NVTGT_TCP_RECV_DDGST,		/* of the data digest */
};

/* bits of nvtgt_conn.flags */
#define NVTGT_TCP_F_SPACE	NVTGT_CONN_F_OWN	/* the socket has room again */
#define NVTGT_TCP_F_ACKED	(NVTGT_CONN_F_OWN + 1)	/* the peer has reached ack_seq */

/*
 * struct nvtgt_tcp_queue - a connection
 *
 * OPENING: waits for ICReq, nothing else is accepted. ENDING: a C2HTermReq, or no more than
 * a FIN, is on its way; ends with the peer's FIN or the linger time.
 */
struct nvtgt_tcp_queue {
	struct nvtgt_conn conn;
	struct socket *sock;

	/* everything below: the owning reactor only */
	struct nvtgt_tcp_rules rules;
	u8 c2h_pdo;			/* where data begin in a C2HData PDU, bytes */
	u32 maxr2t;			/* from 1 */
	struct list_head data_wait;	/* commands that hold memory for data, by last_rx */
	unsigned long rx_progress;	/* jiffies: data came, or a stall was over */

	/* memory */
	bool rx_no_mem;			/* stalled: no page for the data that a header announces */
	struct nvtgt_tcp_cmd *rx_short;	/* with rx_no_mem: whose data these are */
	bool tx_no_mem;			/* no_space, and no call of write_space will come */
	bool slow;			/* hold is for more than NVTGT_TCP_SLOW */
	struct nvtgt_tcp_cmd *beyond;	/* has memory beyond the bounds, or NULL */
	struct nvtgt_buf_waiter retry;	/* for slots and pages; in no line for credit */

	/* receiving */
	u8 rx_state;			/* enum nvtgt_tcp_recv */
	u8 rx_have, rx_want;		/* bytes in hdr */
	u8 rx_pad;			/* bytes to pass over */
	u8 rx_dgst_have;
	bool rx_no_slot;		/* stalled: no slot is free */
	u32 rx_left;			/* bytes of data of this PDU */
	u32 rx_off;			/* where they go in rx_cmd's data */
	u32 rx_crc;
	struct nvtgt_tcp_r2t *rx_r2t;	/* the R2T that is being answered, or NULL */
	struct nvtgt_tcp_cmd *rx_cmd;	/* whose data come now, or NULL */
	u8 rx_dgst[NVME_TCP_DIGEST_LENGTH];
	unsigned int rx_cmds_left, rx_bytes_left;	/* of this pass's share */
	struct nvtgt_tcp_error rx_err;
	bool rx_peer_term;		/* an H2CTermReq came */
	struct list_head exec_list;
	u8 hdr[sizeof(struct nvme_tcp_icreq_pdu) + NVME_TCP_DIGEST_LENGTH] __aligned(8);

	/* sending */
	struct list_head ctrl_list;
	struct list_head data_list;
	struct list_head sent_list;
	bool send_icresp;
	bool no_space;			/* the socket was full */
	bool term_sent;
	u16 tx_first, tx_nr;		/* of tx[] */
	u32 tx_unheld;			/* bytes in the socket without credit */
	u64 tx_built, tx_done;		/* positions in the stream */
	struct page *tx_page;		/* headers, digests */
	unsigned int tx_page_off;
	struct page *tx_full[NVTGT_TCP_TX_FULL];	/* full ones, of this vector */
	unsigned int tx_nr_full;
	struct bio_vec tx[NVTGT_TCP_TX_BVECS];
	/* memory of commands that the socket has taken and the peer has not acknowledged */
	u8 held_first, held_nr;		/* of held[] */
	struct nvtgt_tcp_held {
		u64 end;		/* position in the stream */
		u32 bytes;
	} held[NVTGT_TCP_HELD];
	struct nvtgt_buf_hold hold;	/* credit for them */
	u32 ack_seq;			/* kick when the peer has acknowledged this */
	bool ack_wanted;		/* the reactor waits for that; write_space clears it */
	bool ack_marked;		/* the peer is to acknowledge up to ack_goal in time */
	u64 ack_goal;			/* position in the stream */
	unsigned long ack_marked_at;	/* jiffies */
	struct msghdr tx_msg;		/* here: on the stack each call would clear it */

	/* the socket's own callbacks */
	void (*old_data_ready)(struct sock *sk);
	void (*old_state_change)(struct sock *sk);
	void (*old_write_space)(struct sock *sk);
};

/* struct nvtgt_tcp_port - a listener */
struct nvtgt_tcp_port {
	struct nvtgt_port *port;
	struct sockaddr_storage addr;
	struct socket *sock;
	struct delayed_work accept_work;
	void (*old_data_ready)(struct sock *sk);
};

#define nvtgt_tcp_warn(q, ...)	nvtgt_conn_warn(&(q)->conn, __VA_ARGS__)

static inline struct nvtgt_tcp_queue *to_nvtgt_tcp_queue(struct nvtgt_queue *queue)
{
	return container_of(queue, struct nvtgt_tcp_queue, conn.queue);
}

static inline struct nvtgt_tcp_cmd *to_nvtgt_tcp_cmd(struct nvtgt_req *req)
{
	return container_of(req, struct nvtgt_tcp_cmd, req);
}

/**
 * nvtgt_tcp_piece - a contiguous piece of a request's memory
 * @req: the request
 * @off: where it begins, bytes; less than data_len
 * @len: how long it may be at most
 *
 * Return: the longest piece from @off on
 */
static inline struct bio_vec nvtgt_tcp_piece(const struct nvtgt_req *req, u32 off, u32 len)
{
	const struct bio_vec *bv = req->bvec;
	struct bio_vec piece;

	while (off >= bv->bv_len) {
		off -= bv->bv_len;
		bv++;
	}
	piece.bv_page = bv->bv_page;
	piece.bv_offset = bv->bv_offset + off;
	piece.bv_len = min(len, bv->bv_len - off);
	return piece;
}

/* main.c */
extern struct nvtgt_conns nvtgt_tcp_conns;
extern int nvtgt_tcp_so_priority;
extern const struct nvtgt_transport_ops nvtgt_tcp_ops;

/* listen.c */
int nvtgt_tcp_add_port(struct nvtgt_port *port);
void nvtgt_tcp_remove_port(struct nvtgt_port *port);
bool nvtgt_tcp_disc_traddr(struct nvtgt_queue *queue, const struct nvtgt_port *port,
			   char *buf, size_t len);

/* queue.c */
int nvtgt_tcp_queue_create(struct nvtgt_port *port, struct socket *sock);
bool nvtgt_tcp_hung_up(struct nvtgt_conn *conn);
void nvtgt_tcp_hang_up(struct nvtgt_conn *conn);
void nvtgt_tcp_close(struct nvtgt_conn *conn);
void nvtgt_tcp_timer(struct nvtgt_conn *conn);
void nvtgt_tcp_detach(struct nvtgt_conn *conn);
void nvtgt_tcp_end(struct nvtgt_conn *conn);
void nvtgt_tcp_free(struct nvtgt_conn *conn);
void nvtgt_tcp_fatal(struct nvtgt_tcp_queue *q, const struct nvtgt_tcp_error *err);

/* recv.c */
bool nvtgt_tcp_receive(struct nvtgt_source *source);

/* data.c: commands, their memory and R2Ts */
void nvtgt_tcp_init_req(struct nvtgt_req *req);
void nvtgt_tcp_put_cmd(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd);
void nvtgt_tcp_new_cmd(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd, u32 inline_bytes);
void nvtgt_tcp_await_data(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd);
void nvtgt_tcp_data_done(struct nvtgt_tcp_queue *q, struct nvtgt_tcp_cmd *cmd);
void nvtgt_tcp_run_exec(struct nvtgt_tcp_queue *q);
int nvtgt_tcp_mem_get(struct nvtgt_req *req);
void nvtgt_tcp_mem_got(struct nvtgt_req *req);
void nvtgt_tcp_mem_done(struct nvtgt_conn *conn);
void nvtgt_tcp_mem_kick(struct nvtgt_tcp_queue *q);
void nvtgt_tcp_fail(struct nvtgt_req *req, u16 status);
void nvtgt_tcp_retry(struct nvtgt_buf_waiter *waiter);
void nvtgt_tcp_connected(struct nvtgt_conn *conn);
void nvtgt_tcp_respond(struct nvtgt_req *req);
void nvtgt_tcp_drop(struct nvtgt_req *req);
void nvtgt_tcp_drop_cmds(struct nvtgt_tcp_queue *q);

/* send.c */
void nvtgt_tcp_flush(struct nvtgt_queue *queue);
void nvtgt_tcp_want_send(struct nvtgt_tcp_queue *q);
bool nvtgt_tcp_tx_page(struct nvtgt_tcp_queue *q);
void nvtgt_tcp_drop_tx(struct nvtgt_tcp_queue *q);
void nvtgt_tcp_look(struct nvtgt_buf_hold *hold, bool wanted);
bool nvtgt_tcp_is_slow(struct nvtgt_tcp_queue *q);
bool nvtgt_tcp_acks_due(struct nvtgt_tcp_queue *q, unsigned long *due);
void nvtgt_tcp_give_back(struct nvtgt_conn *conn);

#endif /* _NVTGT_TCP_H */
