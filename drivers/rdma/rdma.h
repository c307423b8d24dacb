/* SPDX-License-Identifier: GPL-2.0 */
/* NVMe/RDMA: the module's private objects. */
#ifndef _NVTGT_RDMA_H
#define _NVTGT_RDMA_H

#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include <nvtgt/peer.h>
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
#define NVTGT_RDMA_REAP_MS	100		/* a response's memory waits for an event no longer */
#define NVTGT_RDMA_PI_MDTS	5		/* with protection information: 128 KiB */
#define NVTGT_RDMA_PI_QUEUE_SIZE 128		/* and so many entries */
#define NVTGT_RDMA_RX_STEP	256U		/* receives that a shared receive queue grows by */
#define NVTGT_RDMA_RX_PAUSE	(HZ / 10)	/* before one that is low is looked at again */
#define NVTGT_RDMA_RX_RETIRED	4		/* of a reactor that get no new connections */

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
	spinlock_t lock;		/* the reactor's alone but for trimming */
	struct list_head free[NVTGT_RDMA_ORDERS];
	unsigned int nr_free[NVTGT_RDMA_ORDERS];
	unsigned int least[NVTGT_RDMA_ORDERS];	/* nr_free since the last trimming */
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
 * entries, so that it cannot overrun; or the receive queue of one queue. It is in
 * the hands of one reactor, and with it are all of its queues.
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
	unsigned int nr_ended;		/* that were users, in this epoch; dev->rx_lock */
	unsigned int nr_ended_before;	/* and before; the buffers that they may have lost at most */
	u32 epoch;			/* written under dev->rx_lock; wraps */
	bool retired;			/* dev->rx_lock */
	struct list_head entry;		/* dev->rx_retired, if it is */
	int index;			/* in dev->rx, if shared */
	u8 nr_pages;			/* of data in a capsule */
	unsigned int nr_recvs, max_recvs;
	struct list_head recvs;		/* nvtgt_rdma_recvs; work items of grow_work only */
	struct delayed_work grow_work;
	bool going;			/* it grows no more */
	struct completion gone;

	/* the reactor only */
	bool dead;			/* the completion queue is on its way out */
	unsigned int pass;
	struct ib_recv_wr *first, *last;	/* to be posted in this pass */
	unsigned int nr_held;		/* that wait for memory, or for a slot */
	struct nvtgt_rdma_key keys[NVTGT_RDMA_MAX_KEYS];
	struct ib_wc wc[NVTGT_RDMA_WCS];
};

/**
 * enum nvtgt_rdma_cmd_state - the life of a request
 *
 * @NVTGT_RDMA_FREE: nothing; the slot is in the free list.
 * @NVTGT_RDMA_RECEIVED: its capsule is being judged. Lasts no longer than a call.
 * @NVTGT_RDMA_MEMORY: waits for memory, in queue->mem_wait; may hold the receive
 *	buffer that its data came in. Leaves to READING or EXECUTING, or failed.
 * @NVTGT_RDMA_READING: has memory; the host's data are being fetched: in
 *	queue->tx_list until the work requests are posted, then in queue->posted.
 * @NVTGT_RDMA_EXECUTING: the core's; in no list.
 * @NVTGT_RDMA_WRITING: data and completion are on their way to the host: in
 *	queue->tx_list, then in queue->posted until the device has done with them.
 *	With protection information the data go alone: RESPONDING follows, when the
 *	device has said what it found.
 * @NVTGT_RDMA_RESPONDING: the same with a completion alone.
 */
enum nvtgt_rdma_cmd_state {
	NVTGT_RDMA_FREE,
	NVTGT_RDMA_RECEIVED,
	NVTGT_RDMA_MEMORY,
	NVTGT_RDMA_READING,
	NVTGT_RDMA_EXECUTING,
	NVTGT_RDMA_WRITING,
	NVTGT_RDMA_RESPONDING,
};

#define NVTGT_RDMA_CMD_STATES	(NVTGT_RDMA_RESPONDING + 1)

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

/* struct nvtgt_rdma_cmd - a command; the owning reactor only */
struct nvtgt_rdma_cmd {
	struct nvtgt_req req;
	struct nvme_command sqe;	/* a cache line */

	struct list_head entry;
	struct ib_cqe cqe;
	u8 state;			/* enum nvtgt_rdma_cmd_state */
	u8 nr_keys;
	bool invalidate;
	bool posted;
	u16 slot;
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

/**
 * enum nvtgt_rdma_state - the state of a connection
 *
 * @NVTGT_RDMA_SETUP: a work item makes its objects; the reactor leaves it alone.
 * @NVTGT_RDMA_CONNECTING: accepted; what arrives before the CM says that the
 *	connection is established waits in rx_wait.
 * @NVTGT_RDMA_LIVE: capsules are received, executed and answered.
 * @NVTGT_RDMA_CLOSING: nothing is received or sent any more; results are dropped.
 *	Waits until the queue pair is in the error state and has given back all that
 *	was posted, and nothing is in flight.
 * @NVTGT_RDMA_LEFT: a work item takes it down; the reactor leaves it alone.
 */
enum nvtgt_rdma_state {
	NVTGT_RDMA_SETUP,
	NVTGT_RDMA_CONNECTING,
	NVTGT_RDMA_LIVE,
	NVTGT_RDMA_CLOSING,
	NVTGT_RDMA_LEFT,
};

/* bits of nvtgt_rdma_queue.flags */
#define NVTGT_RDMA_F_DISCONNECT	0	/* the core, the port or the CM ends the connection */
#define NVTGT_RDMA_F_ESTABLISHED 1	/* the CM says so */
#define NVTGT_RDMA_F_TIMER	2	/* the timer has fired */
#define NVTGT_RDMA_F_ERROR	3	/* the queue pair is in the error state */
#define NVTGT_RDMA_F_LAST_WQE	4	/* it takes nothing from the shared receive queue any more */

/* struct nvtgt_rdma_queue - a connection */
struct nvtgt_rdma_queue {
	struct nvtgt_queue queue;
	struct nvtgt_source source;	/* what the CM, the timer and the sends bring */
	struct rdma_cm_id *cm_id;
	struct nvtgt_rdma_dev *dev;
	struct nvtgt_rdma_rx *rx;
	struct nvtgt_rdma_pool *pool;
	struct ib_qp *qp;
	struct ib_cq *send_cq;
	struct list_head entry;		/* nvtgt_rdma_queues; nvtgt_rdma_lock */
	struct nvtgt_rdma_request request;
	struct rdma_conn_param conn;
	char host_traddr[64];
	unsigned long flags;		/* NVTGT_RDMA_F_*; any context, atomic */
	struct timer_list timer;
	struct work_struct setup_work, disconnect_work, teardown_work;
	struct completion gone;
	bool accepted;			/* the works', in turn */
	bool pi;			/* the queue pair can move protection information */

	/* everything below: the owning reactor only */
	u8 state;			/* enum nvtgt_rdma_state */
	bool half_open;			/* no Connect has succeeded on it */
	bool draining;			/* the last work requests have been posted */
	bool sq_drained, rq_drained;
	unsigned long setup_deadline;	/* jiffies */
	unsigned long drain_deadline;

	/* commands */
	struct nvtgt_rdma_cmd **cmds;
	u16 nr_cmds, max_cmds;
	u16 max_open;			/* commands that the host may have outstanding */
	u16 nr_open;			/* and has */
	struct list_head free;
	struct list_head rx_wait;	/* nvtgt_rdma_recv: no slot yet, or not established */
	u16 nr_wait;			/* of them */
	unsigned int nr_state[NVTGT_RDMA_CMD_STATES];
	struct list_head mem_wait;
	struct nvtgt_buf_waiter waiter;
	unsigned long short_since;	/* jiffies, never 0: since when there is no memory; 0 */
	bool in_line;
	u32 charged;			/* bytes of memory that commands hold */

	/* sending */
	struct list_head tx_list;	/* to be posted */
	struct list_head posted;	/* in the order of the send queue */
	u16 sq_size, sq_free;		/* work requests */
	bool sq_full;			/* the first of tx_list does not fit */
	unsigned int nr_awaited;	/* of posted: something follows */
	unsigned int pass;		/* rx->pass in which its send queue was looked at */
	struct nvme_completion *cqes;	/* by slot */
	u64 cqes_addr;
	struct ib_cqe sq_drain, rq_drain;
	struct ib_wc wc[NVTGT_RDMA_WCS];

	/* what it has cost: written by the reactor, read by anybody */
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

#define nvtgt_rdma_warn(q, fmt, ...)						\
	pr_warn_ratelimited("port %u, peer %s: " fmt, (q)->queue.port->id,	\
			    (q)->host_traddr, ##__VA_ARGS__)

static inline struct nvtgt_rdma_queue *to_nvtgt_rdma_queue(struct nvtgt_queue *queue)
{
	return container_of(queue, struct nvtgt_rdma_queue, queue);
}

static inline struct nvtgt_rdma_cmd *to_nvtgt_rdma_cmd(struct nvtgt_req *req)
{
	return container_of(req, struct nvtgt_rdma_cmd, req);
}

/* main.c */
extern unsigned int nvtgt_rdma_setup_timeout_ms;
extern unsigned int nvtgt_rdma_data_timeout_ms;
extern struct nvtgt_peers nvtgt_rdma_peers;
extern unsigned int nvtgt_rdma_srq_size;
extern bool nvtgt_rdma_use_srq;
extern bool nvtgt_rdma_force_mr;
extern struct workqueue_struct *nvtgt_rdma_wq;
extern struct kmem_cache *nvtgt_rdma_cmd_cache;
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
extern struct mutex nvtgt_rdma_lock;	/* protects devices, queues and what counts them */
extern struct list_head nvtgt_rdma_queues;
int nvtgt_rdma_queue_create(struct nvtgt_port *port, struct rdma_cm_id *cm_id,
			    const struct rdma_conn_param *conn);
void nvtgt_rdma_disconnect(struct nvtgt_queue *queue);
void nvtgt_rdma_disconnect_all(const struct nvtgt_port *port, const struct nvtgt_rdma_dev *dev,
			       const struct nvtgt_rdma_rx *rx);
void nvtgt_rdma_wait_no_queues(const struct nvtgt_rdma_dev *dev);
bool nvtgt_rdma_hung_up(struct nvtgt_queue *queue);
void nvtgt_rdma_host_traddr(struct nvtgt_queue *queue, char *buf, size_t len);
void nvtgt_rdma_queue_event(struct nvtgt_rdma_queue *q, unsigned int flag);
void nvtgt_rdma_set_timer(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_retry_soon(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_close(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_try_leave(struct nvtgt_rdma_queue *q);

/* command.c */
extern const char *const nvtgt_rdma_cmd_state_names[NVTGT_RDMA_CMD_STATES];
void nvtgt_rdma_set_state(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			  enum nvtgt_rdma_cmd_state state);
int nvtgt_rdma_alloc_cmds(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_free_cmds(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_put_cmd(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_capsule(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_recv *recv, u32 bytes);
void nvtgt_rdma_run_wait(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_execute(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd);
void nvtgt_rdma_fail(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd, u16 status);
void nvtgt_rdma_mem_kick(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_mem_ready(struct nvtgt_buf_waiter *waiter);
void nvtgt_rdma_respond(struct nvtgt_req *req);
bool nvtgt_rdma_abort(struct nvtgt_queue *queue, u16 cid);
void nvtgt_rdma_stop(struct nvtgt_queue *queue);
void nvtgt_rdma_drop_cmds(struct nvtgt_rdma_queue *q);
void nvtgt_rdma_drop_posted(struct nvtgt_rdma_queue *q);

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

/* debugfs.c */
void nvtgt_rdma_debugfs_init(void);
void nvtgt_rdma_debugfs_exit(void);
void nvtgt_rdma_trace_state(const struct nvtgt_rdma_queue *q, const struct nvtgt_rdma_cmd *cmd,
			    enum nvtgt_rdma_cmd_state state);

#endif /* _NVTGT_RDMA_H */
