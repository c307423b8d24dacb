/* SPDX-License-Identifier: GPL-2.0 */
/* NVMe/RDMA: the module's private objects. */
#ifndef _NVTGT_RDMA_H
#define _NVTGT_RDMA_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include <nvtgt/conn.h>
#include <nvtgt/pool.h>
#include <nvtgt/reactor.h>
#include <nvtgt/transport.h>
#include "capsule.h"

#define NVTGT_RDMA_ORDERS	6		/* pieces of 4 to 128 KiB */
#define NVTGT_RDMA_PIECES	8		/* of a command, without an allocation more */
#define NVTGT_RDMA_SGES		8		/* of a work request at most */
#define NVTGT_RDMA_INLINE_SIZE	PAGE_SIZE	/* default of param_inline_data_size */
#define NVTGT_RDMA_INLINE_PAGES	4		/* of a capsule at most */
#define NVTGT_RDMA_QUEUE_SIZE	128		/* default of param_max_queue_size */
#define NVTGT_RDMA_SIGNAL	16		/* work requests between two signalled ones */
#define NVTGT_RDMA_WCS		16		/* completions taken in one call */
#define NVTGT_RDMA_PASS_WCS	64		/* and in one pass */
#define NVTGT_RDMA_REAP_MS	100		/* then sends' completions are looked for */
#define NVTGT_RDMA_PI_MDTS	5		/* with protection information: 128 KiB */
#define NVTGT_RDMA_PI_QUEUE_SIZE 128		/* and at most this many entries */
#define NVTGT_RDMA_RX_STEP	256U		/* receives that a shared receive queue grows by */
#define NVTGT_RDMA_RX_PAUSE	(HZ / 10)	/* until grow_work looks, or tries again */
#define NVTGT_RDMA_RX_RETIRED	4		/* retired ones of a reactor, at most */

/**
 * struct nvtgt_rdma_piece - contiguous memory, mapped for a device
 * @entry: in its pool while it is free
 * @page: the memory
 * @addr: for the device
 * @order: PAGE_SIZE << order bytes
 */
struct nvtgt_rdma_piece {
	struct list_head entry;
	struct page *page;
	u64 addr;
	u8 order;
};

/* struct nvtgt_rdma_pool - free pieces of a device, for the reactor of a CPU */
struct nvtgt_rdma_pool {
	spinlock_t lock;		/* reactor, works that fill or free receives, trim_work */
	struct list_head free[NVTGT_RDMA_ORDERS];
	unsigned int nr_free[NVTGT_RDMA_ORDERS];
	unsigned int least[NVTGT_RDMA_ORDERS];	/* smallest nr_free since the last trimming */
} ____cacheline_aligned_in_smp;

struct nvtgt_rdma_rx;
struct nvtgt_rdma_regs;

/* struct nvtgt_rdma_dev - a device */
struct nvtgt_rdma_dev {
	struct ib_device *ib;
	struct ib_pd *pd;
	struct list_head entry;		/* nvtgt_rdma_devs; nvtgt_rdma_lock */
	unsigned int nr_queues;		/* nvtgt_rdma_lock */
	bool dying;			/* nvtgt_rdma_lock */
	bool iwarp;
	bool needs_mr;			/* for the memory that a READ goes to */
	bool shares_rx;			/* queues of a reactor share a receive queue */
	bool pi;			/* it has signature memory regions */
	u8 max_sge;			/* of sends and writes */
	u8 max_read_sge;
	u8 max_recv_sge;
	u16 max_size;			/* entries that a queue may have */
	struct nvtgt_rdma_pool *pools;	/* by CPU */
	struct delayed_work trim_work;
	atomic_t nr_pieces;
	struct mutex rx_lock;		/* protects what follows, and the users of each rx */
	struct nvtgt_rdma_rx **rx;	/* shared ones, by CPU and inline pages */
	struct list_head rx_retired;	/* shared ones that get no new users, the oldest first */
};

/**
 * struct nvtgt_rdma_recv - memory for a capsule
 * @cqe: what its completion points to
 * @wr: to post it
 * @sge: the command, then the pages of data
 * @entry: in a queue's list while it waits
 * @capsule: the command
 * @piece: the pages of data
 * @data_len: bytes of data that came
 * @epoch: rx->epoch when it was posted last
 */
struct nvtgt_rdma_recv {
	struct ib_cqe cqe;
	struct ib_recv_wr wr;
	struct ib_sge sge[1 + NVTGT_RDMA_INLINE_PAGES];
	struct list_head entry;
	struct nvme_command *capsule;
	struct nvtgt_rdma_piece *piece[NVTGT_RDMA_INLINE_PAGES];
	u32 data_len;
	u32 epoch;
};

/* struct nvtgt_rdma_recvs - some of them, allocated at once */
struct nvtgt_rdma_recvs {
	struct list_head entry;		/* rx->recvs */
	struct nvme_command *capsules;
	u64 addr;
	unsigned int nr;
	struct nvtgt_rdma_recv recv[] __counted_by(nr);
};

/*
 * struct nvtgt_rdma_rx - where capsules arrive: of one queue, or of many
 *
 * A completion queue for what is received, and a shared receive queue of as many
 * entries, so that it cannot overrun; or the receive queue of one queue. One reactor
 * owns it and all queues that receive there.
 */
struct nvtgt_rdma_rx {
	struct nvtgt_source source;
	struct nvtgt_rdma_dev *dev;
	struct nvtgt_reactor *reactor;
	struct nvtgt_rdma_pool *pool;
	struct ib_cq *cq;
	struct ib_srq *srq;		/* NULL: the receive queue of @queue */
	struct nvtgt_rdma_queue *queue;
	unsigned int users;		/* dev->rx_lock */
	unsigned int nr_ended;		/* users that have ended in this epoch; dev->rx_lock */
	unsigned int nr_ended_before;	/* and before it; bounded by what may be lost */
	u32 epoch;			/* written under dev->rx_lock; wraps */
	bool retired;			/* dev->rx_lock */
	struct list_head entry;		/* dev->rx_retired, if it is */
	int index;			/* in dev->rx, if shared */
	u8 nr_pages;			/* of data in a capsule */
	unsigned int nr_recvs, max_recvs;
	struct list_head recvs;		/* nvtgt_rdma_recvs; grow_work's until rx_put() */
	struct delayed_work grow_work;
	bool going;			/* rx_put() frees it: grow_work does nothing */
	struct completion gone;

	/* the reactor only */
	bool dead;			/* the completion queue is on its way out */
	unsigned int pass;
	struct ib_recv_wr *first, *last;	/* to be posted in this pass */
	unsigned int nr_held;		/* buffers of capsules that wait for memory or a slot */
	struct nvtgt_rdma_key keys[NVTGT_RDMA_MAX_KEYS];
	struct ib_wc wc[NVTGT_RDMA_WCS];
};

/* What a command needs beyond the usual: many pieces, or several keys. */
struct nvtgt_rdma_more {
	struct nvtgt_rdma_piece **pieces;
	struct bio_vec *bvec;
	struct nvtgt_rdma_key *keys;
	struct ib_rdma_wr *rw;
	struct ib_sge *sge;
	struct nvtgt_rdma_regs *regs;	/* registered memory */
	struct nvtgt_rdma_piece *pi;	/* protection information */
};

/*
 * struct nvtgt_rdma_cmd - a command; the owning reactor only
 *
 * Where it stands: MEMORY as in nvtgt_req_state; it may hold the receive buffer that its data
 * came in. FETCHING: READs wait in queue->tx_list; DATA: they are in queue->posted. WRITING:
 * data and completion wait in queue->tx_list, RESPONDING: a completion alone; SENT: they are in
 * queue->posted until the device has done with them. A read's data in registered memory are
 * sent alone; RESPONDING follows when the device has said what it found.
 */
struct nvtgt_rdma_cmd {
	struct nvtgt_req req;
	struct nvme_command sqe;	/* a cache line */

	struct ib_cqe cqe;
	u8 nr_keys;
	bool invalidate;
	u16 nr_wrs;			/* posted together */
	u16 nr_reg_wrs;			/* with registered memory */
	u16 nr_pieces;
	u32 offset;			/* of the data in the capsule */
	u32 invalidate_rkey;
	unsigned long posted_at;	/* jiffies */
	struct nvtgt_rdma_recv *recv;	/* that its data came in, or NULL */
	struct nvtgt_rdma_more *more;
	struct nvtgt_rdma_key key;
	struct ib_send_wr send;
	struct ib_sge send_sge;
	struct ib_rdma_wr rw;
	struct ib_sge sge[NVTGT_RDMA_SGES];
	struct nvtgt_rdma_piece *piece[NVTGT_RDMA_PIECES];
};

/* bits of nvtgt_conn.flags */
#define NVTGT_RDMA_F_ESTABLISHED NVTGT_CONN_F_OWN	/* the CM says so */
#define NVTGT_RDMA_F_ERROR	(NVTGT_CONN_F_OWN + 1)	/* the queue pair is in the error state */
#define NVTGT_RDMA_F_LAST_WQE	(NVTGT_CONN_F_OWN + 2)	/* it takes no shared receive any more */

/*
 * struct nvtgt_rdma_queue - a connection
 *
 * Its source is for what the CM, the timer and the sends bring. SETUP: a work item makes its
 * objects. OPENING: accepted; what arrives before the CM says that the connection is
 * established waits in rx_wait. CLOSING lasts until the queue pair is in the error state and
 * has given back all that was posted.
 */
struct nvtgt_rdma_queue {
	struct nvtgt_conn conn;
	struct rdma_cm_id *cm_id;
	struct nvtgt_rdma_dev *dev;
	struct nvtgt_rdma_rx *rx;
	struct nvtgt_rdma_pool *pool;
	struct ib_qp *qp;
	struct ib_cq *send_cq;
	struct nvtgt_rdma_request request;
	u8 initiator_depth;
	struct work_struct setup_work, disconnect_work;
	bool accepted;			/* set by setup_work, read by disconnect_work */
	bool pi;			/* the queue pair can move protection information */

	/* everything below: the owning reactor only */
	bool draining;			/* the last work requests have been posted */
	bool sq_drained, rq_drained;
	unsigned long drain_deadline;	/* jiffies */

	/* commands */
	u16 max_open;			/* commands that the host may have outstanding */
	u16 nr_open;			/* and has outstanding */
	struct list_head rx_wait;	/* nvtgt_rdma_recv: no slot yet, or not established */
	u16 nr_wait;			/* of them */

	/* sending */
	struct list_head tx_list;	/* to be posted */
	struct list_head posted;	/* in the order of the send queue */
	u16 sq_size, sq_free;		/* work requests */
	bool sq_full;			/* the first of tx_list does not fit */
	unsigned int nr_awaited;	/* of posted: their completion is waited for */
	unsigned int pass;		/* rx->pass in which its send queue was looked at */
	struct nvme_completion *cqes;	/* by slot; 2 * request.size */
	u64 cqes_addr;
	struct ib_cqe sq_drain, rq_drain;
	struct ib_wc wc[NVTGT_RDMA_WCS];

	/* what it has cost: written by the reactor, read by debugfs */
	u64 nr_wrs, nr_posts, nr_wcs;
};

/* struct nvtgt_rdma_port - a listener */
struct nvtgt_rdma_port {
	struct nvtgt_port *port;
	struct list_head entry;		/* nvtgt_rdma_ports; nvtgt_rdma_ports_lock */
	struct sockaddr_storage addr;
	struct mutex lock;		/* protects what follows */
	struct rdma_cm_id *cm_id;
	struct delayed_work repair_work;
	bool closing;
	bool lost;			/* logged that it does not listen */
};

#define nvtgt_rdma_warn(q, ...)	nvtgt_conn_warn(&(q)->conn, __VA_ARGS__)

static inline struct nvtgt_rdma_queue *to_nvtgt_rdma_queue(struct nvtgt_queue *queue)
{
	return container_of(queue, struct nvtgt_rdma_queue, conn.queue);
}

static inline struct nvtgt_rdma_cmd *to_nvtgt_rdma_cmd(struct nvtgt_req *req)
{
	return container_of(req, struct nvtgt_rdma_cmd, req);
}

/* main.c */
extern struct nvtgt_conns nvtgt_rdma_conns;
extern unsigned int nvtgt_rdma_srq_size;
extern bool nvtgt_rdma_use_srq;
extern bool nvtgt_rdma_force_mr;
extern struct kmem_cache *nvtgt_rdma_piece_cache;
extern const struct nvtgt_transport_ops nvtgt_rdma_ops;

/* device.c */
int nvtgt_rdma_register_client(void);
void nvtgt_rdma_unregister_client(void);
struct nvtgt_rdma_dev *nvtgt_rdma_find_dev(const struct ib_device *ib);
void nvtgt_rdma_limit_port(struct nvtgt_port *port);
bool nvtgt_rdma_has_pi(const struct ib_device *ib);
int nvtgt_rdma_comp_vector(const struct nvtgt_rdma_dev *dev, const struct nvtgt_reactor *reactor);
void nvtgt_rdma_run(struct nvtgt_reactor *reactor, void (*fn)(void *arg), void *arg);

/* pool.c */
int nvtgt_rdma_pools_init(struct nvtgt_rdma_dev *dev);
void nvtgt_rdma_pools_exit(struct nvtgt_rdma_dev *dev);
struct nvtgt_rdma_piece *nvtgt_rdma_piece_get(struct nvtgt_rdma_dev *dev,
					      struct nvtgt_rdma_pool *pool, u8 order, gfp_t gfp);
void nvtgt_rdma_piece_put(struct nvtgt_rdma_dev *dev, struct nvtgt_rdma_pool *pool,
			  struct nvtgt_rdma_piece *piece);

/* rx.c */
struct nvtgt_rdma_rx *nvtgt_rdma_rx_get(struct nvtgt_rdma_queue *q, struct nvtgt_reactor *reactor);
int nvtgt_rdma_rx_fill(struct nvtgt_rdma_rx *rx);
void nvtgt_rdma_rx_put(struct nvtgt_rdma_rx *rx);
void nvtgt_rdma_rx_flush(struct nvtgt_rdma_rx *rx);
void nvtgt_rdma_rx_again(struct nvtgt_rdma_rx *rx, struct nvtgt_rdma_recv *recv);
void nvtgt_rdma_rx_post(struct nvtgt_rdma_rx *rx);

/* listen.c */
int nvtgt_rdma_register_addrs(void);
void nvtgt_rdma_unregister_addrs(void);
void nvtgt_rdma_reject(struct rdma_cm_id *cm_id, enum nvme_rdma_cm_status status);
int nvtgt_rdma_add_port(struct nvtgt_port *port);
void nvtgt_rdma_remove_port(struct nvtgt_port *port);
bool nvtgt_rdma_disc_traddr(struct nvtgt_queue *queue, const struct nvtgt_port *port,
			    char *buf, size_t len);

/* queue.c */
extern struct mutex nvtgt_rdma_lock;	/* protects devices and what counts their queues */
int nvtgt_rdma_queue_create(struct nvtgt_port *port, struct rdma_cm_id *cm_id,
			    const struct rdma_conn_param *conn);
void nvtgt_rdma_disconnect_dev(const struct nvtgt_rdma_dev *dev);
void nvtgt_rdma_disconnect_rx(const struct nvtgt_rdma_rx *rx);
void nvtgt_rdma_wait_no_queues(const struct nvtgt_rdma_dev *dev);
void nvtgt_rdma_set_timer(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_timer(struct nvtgt_conn *conn);
void nvtgt_rdma_close(struct nvtgt_conn *conn);
void nvtgt_rdma_end(struct nvtgt_conn *conn);
void nvtgt_rdma_free(struct nvtgt_conn *conn);
void nvtgt_rdma_show(struct nvtgt_conn *conn, struct seq_file *m);
void nvtgt_rdma_try_leave(struct nvtgt_rdma_queue *q);

/* command.c */
void nvtgt_rdma_put_cmd(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_capsule(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_recv *recv, u32 bytes);
void nvtgt_rdma_run_wait(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_drop_failed(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd, u16 status);
void nvtgt_rdma_fail(struct nvtgt_req *req, u16 status);
void nvtgt_rdma_connected(struct nvtgt_conn *conn);
void nvtgt_rdma_respond(struct nvtgt_req *req);
void nvtgt_rdma_drop(struct nvtgt_req *req);
void nvtgt_rdma_drop_cmds(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_drop_posted(struct nvtgt_rdma_queue *q);

/* memory.c */
void nvtgt_rdma_let_recv(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_put_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
struct nvtgt_rdma_more *nvtgt_rdma_need_more(struct nvtgt_rdma_cmd *cmd);
int nvtgt_rdma_room_regs(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
bool nvtgt_rdma_rx_is_short(const struct nvtgt_rdma_rx *rx);
void nvtgt_rdma_want_mem(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
int nvtgt_rdma_mem_get(struct nvtgt_req *req);
void nvtgt_rdma_mem_got(struct nvtgt_req *req);
void nvtgt_rdma_mem_done(struct nvtgt_conn *conn);

/* send.c */
unsigned int nvtgt_rdma_entry_wrs(bool regs);
u16 nvtgt_rdma_max_wrs(const struct nvtgt_rdma_dev *dev, const struct nvtgt_port *port);
unsigned int nvtgt_rdma_count_rw(const struct nvtgt_rdma_queue *q,
				 const struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_want_send(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_flush(struct nvtgt_queue *queue);
bool nvtgt_rdma_reap(struct nvtgt_rdma_queue *q, bool *more);
void nvtgt_rdma_post_drain(struct nvtgt_rdma_queue *q);

/* mr.c */
int nvtgt_rdma_regs_get(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
u16 nvtgt_rdma_regs_check(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_regs_put(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
unsigned int nvtgt_rdma_regs_build(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
				   struct ib_send_wr **first, struct ib_send_wr **last);

#endif /* _NVTGT_RDMA_H */
