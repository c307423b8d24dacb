/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Connections: what is common to all transports, from the first packet to the end.
 *
 * A transport embeds struct nvtgt_conn in its own object, and struct nvtgt_req in its
 * object for a command. What concerns the wire is left to the transport.
 */
#ifndef _NVTGT_CONN_H
#define _NVTGT_CONN_H

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/siphash.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <nvtgt/pool.h>
#include <nvtgt/reactor.h>
#include <nvtgt/transport.h>
#include <nvtgt/types.h>

#define NVTGT_PEER_BUCKETS	256
#define NVTGT_PEER_LEVELS	32

/** NVTGT_CONN_MAX_CHARGED - most bytes that a connection's commands hold, unless one alone */
#define NVTGT_CONN_MAX_CHARGED	(16U << 20)

/**
 * struct nvtgt_conns - the connections of a transport
 * @name: of its module, whose parameters follow
 * @setup_timeout_ms: parameter: time for a new connection to reach Connect
 * @data_timeout_ms: parameter: time for a peer to send a write's data, or to take a read's
 * @max_connections: parameter: most connections of all addresses together
 * @max_half_open: parameter: most of them that no Connect has come on
 * @max_peer_connections: parameter: most connections of one address; 0: as many as of all
 * @max_peer_half_open: parameter: most half-open ones of one address; 0: as many as of all
 * @opening: what is missed when a connection does not become LIVE in time, for the log
 * @cmd_name: of the slab cache of commands
 * @cmd_size: bytes of the transport's object for a command, whose first member is the
 *	request
 * @cmd_gfp: how commands are allocated in the reactor
 * @cmds: the slab cache
 * @wq: work items of the connections, and of the transport: unbound, for reclaim
 * @lock: protects @list and @nr; nothing is taken inside
 * @list: the connections
 * @nr: connections whose memory is there
 * @gone: woken when one of them has been freed
 * @entry: in the core's list of transports' connections; nvtgt_conns_mutex
 * @peer_lock: protects what follows, and the peers
 * @key: so that no peer can choose addresses that share a bucket
 * @nr_connections: connections without the ones that were told to end for want of room
 * @nr_half_open: of these, half-open ones
 * @nr_ending: connections that were told to end for want of room, and are not gone
 * @hash: the peers
 * @levels: the peers with half-open connections: from 2^i to 2^(i+1) - 1 of them
 *
 * One for each transport, static. The transport fills it in up to @cmd_gfp
 * (NVTGT_CONNS_DEFAULTS, NVTGT_CONNS_PARAMS()); the rest is the core's.
 */
struct nvtgt_conns {
	const char *name;
	unsigned int setup_timeout_ms;
	unsigned int data_timeout_ms;
	unsigned int max_connections;
	unsigned int max_half_open;
	unsigned int max_peer_connections;
	unsigned int max_peer_half_open;
	const char *opening;
	const char *cmd_name;
	size_t cmd_size;
	gfp_t cmd_gfp;

	struct kmem_cache *cmds;
	struct workqueue_struct *wq;
	struct mutex lock;		/* protects list and nr */
	struct list_head list;
	unsigned int nr;
	wait_queue_head_t gone;
	struct list_head entry;

	spinlock_t peer_lock;		/* protects what follows */
	siphash_key_t key;
	unsigned int nr_connections;
	unsigned int nr_half_open;
	unsigned int nr_ending;
	struct hlist_head hash[NVTGT_PEER_BUCKETS];
	struct list_head levels[NVTGT_PEER_LEVELS];
};

/** NVTGT_CONNS_DEFAULTS - the usual values of the parameters in struct nvtgt_conns */
#define NVTGT_CONNS_DEFAULTS				\
	.setup_timeout_ms	= 10000,		\
	.data_timeout_ms	= 30000,		\
	.max_connections	= 65536,		\
	.max_half_open		= 1024,			\
	.max_peer_connections	= 16384,		\
	.max_peer_half_open	= 256

extern const struct kernel_param_ops nvtgt_timeout_ops;

/**
 * NVTGT_CONNS_PARAMS - the module parameters that every transport has
 * @conns: its struct nvtgt_conns
 */
#define NVTGT_CONNS_PARAMS(conns)							\
	module_param_cb(setup_timeout_ms, &nvtgt_timeout_ops,				\
			&(conns).setup_timeout_ms, 0644);				\
	MODULE_PARM_DESC(setup_timeout_ms,						\
			 "time for a new connection to reach Connect, ms, 100 … 3600000"); \
	module_param_cb(data_timeout_ms, &nvtgt_timeout_ops,				\
			&(conns).data_timeout_ms, 0644);				\
	MODULE_PARM_DESC(data_timeout_ms,						\
			 "time for a peer to send, or to take, data, ms, 100 … 3600000");	\
	module_param_named(max_connections, (conns).max_connections, uint, 0644);	\
	MODULE_PARM_DESC(max_connections, "most connections, of all ports together");	\
	module_param_named(max_half_open, (conns).max_half_open, uint, 0644);		\
	MODULE_PARM_DESC(max_half_open, "most connections that no Connect has come on"); \
	module_param_named(max_peer_connections, (conns).max_peer_connections, uint, 0644); \
	MODULE_PARM_DESC(max_peer_connections,						\
			 "most connections of one address (0: max_connections)");	\
	module_param_named(max_peer_half_open, (conns).max_peer_half_open, uint, 0644);	\
	MODULE_PARM_DESC(max_peer_half_open,						\
			 "most half-open connections of one address (0: max_half_open)")

/**
 * enum nvtgt_conn_state - the state of a connection
 *
 * @NVTGT_CONN_SETUP: being made; the reactor leaves it alone.
 * @NVTGT_CONN_OPENING: the reactor's. The transports at both ends agree on the connection.
 * @NVTGT_CONN_LIVE: commands are received, executed and answered.
 * @NVTGT_CONN_ENDING: the peer is being told that the connection ends. Input is thrown
 *	away, results are dropped. Not every transport has this.
 * @NVTGT_CONN_CLOSING: nothing is received or sent. Waits until nothing is in flight,
 *	then leaves the reactor.
 * @NVTGT_CONN_LEFT: being destroyed; the reactor leaves it alone.
 */
enum nvtgt_conn_state {
	NVTGT_CONN_SETUP,
	NVTGT_CONN_OPENING,
	NVTGT_CONN_LIVE,
	NVTGT_CONN_ENDING,
	NVTGT_CONN_CLOSING,
	NVTGT_CONN_LEFT,
};

/* bits of nvtgt_conn.flags */
#define NVTGT_CONN_F_DISCONNECT	0	/* the core, the port or the wire ends the connection */
#define NVTGT_CONN_F_TIMER	1	/* the timer has fired */
#define NVTGT_CONN_F_OWN	8	/* this bit and those above are the transport's */

/**
 * struct nvtgt_slots - the requests of a connection, by slot
 * @rcu: when a larger table has taken its place
 * @room: entries
 * @req: the requests, as many as conn->nr_slots
 */
struct nvtgt_slots {
	struct rcu_head rcu;
	unsigned int room;
	struct nvtgt_req *req[] __counted_by(room);
};

/**
 * struct nvtgt_conn - a connection: a queue of a host's, and how its commands reach the target
 *
 * @queue: the core's view
 * @source: the reactor's; the transport sets receive(), and move(), arrive() and arm() if it
 *	has them
 * @flags: NVTGT_CONN_F_*; any context, atomic
 * @state: enum nvtgt_conn_state; nvtgt_conn_set_state(); other threads read it with READ_ONCE()
 * @half_open: no Connect has succeeded on it
 * @in_line: @waiter waits, for credit or for a page
 * @charged: bytes of memory that its commands hold
 * @free: requests that no command has
 * @mem_wait: requests that wait for memory, in their turn
 * @waiter: its place in the line for memory
 * @short_since: jiffies, never 0: since when there is no page for it; 0: there was one
 * @slots: all requests, by slot; debugfs reads them under RCU, with conns->lock held
 * @nr_slots: allocated so far
 * @max_slots: most requests that the transport lets the host use at a time
 * @timer: fires for what takes too long
 * @setup_deadline: jiffies: when the Connect has to have succeeded
 * @conns: its transport's
 * @entry: in conns->list
 * @host_traddr: the peer's address, text
 * @end_work: runs when nothing is in flight any more: ends what points 3 to 5 below name
 * @leave_call: runs in the reactor after @end_work: the source leaves the reactor
 * @free_work: runs last: frees the memory
 *
 * Everything but what says otherwise is the owning reactor's. The way of a connection:
 *
 *	nvtgt_conn_init()	the transport has it, half-open
 *	nvtgt_conn_start()	a reactor has it; nvtgt_conn_go() follows
 *	ops->connected()	Connect has succeeded
 *	ops->close()		the transport begins to end it: CLOSING
 *	nvtgt_conn_try_leave()	nothing is in flight any more: LEFT
 *	ops->end()		nothing comes from the wire any more
 *	ops->free()		no thread but this worker has it
 *
 * What may still use the connection when it leaves, and what ends that:
 *  1. the core and the backends, through requests in flight: nvtgt_conn_try_leave() lets
 *     it leave when there are none
 *  2. threads that found it in an RCU read-side critical section: a grace period passes,
 *     for transports with ops->detach() or ops->hung_up()
 *  3. the wire: ops->end()
 *  4. the timer: deleted
 *  5. its controller, ports that are closed, devices that go, new connections that need
 *     its room, debugfs: it is taken out of their lists
 *  6. the reactor: last of all, when none of these is left to kick it
 */
struct nvtgt_conn {
	struct nvtgt_queue queue;
	struct nvtgt_source source;

	unsigned long flags;
	u8 state;
	bool half_open;
	bool in_line;
	u32 charged;
	struct list_head free;
	struct list_head mem_wait;
	struct nvtgt_buf_waiter waiter;
	unsigned long short_since;
	struct nvtgt_slots __rcu *slots;
	unsigned int nr_slots;
	unsigned int max_slots;
	struct timer_list timer;
	unsigned long setup_deadline;

	struct nvtgt_conns *conns;
	struct list_head entry;
	char host_traddr[64];
	struct rcu_work end_work;
	struct nvtgt_call leave_call;
	struct work_struct free_work;
};

/**
 * nvtgt_conn_warn - say what is wrong with a connection, and whose it is
 * @conn: the connection
 * @fmt: as of printk()
 */
#define nvtgt_conn_warn(conn, fmt, ...)						\
	pr_warn_ratelimited("port %u, peer %s: " fmt, (conn)->queue.port->id,	\
			    (conn)->host_traddr, ##__VA_ARGS__)

static inline struct nvtgt_conn *to_nvtgt_conn(struct nvtgt_queue *queue)
{
	return container_of(queue, struct nvtgt_conn, queue);
}

/* A transport's connections. */
int __must_check nvtgt_conns_init(struct nvtgt_conns *conns);
void nvtgt_conns_wait(struct nvtgt_conns *conns);
void nvtgt_conns_exit(struct nvtgt_conns *conns);
bool nvtgt_conns_busy(const struct nvtgt_conns *conns);
void nvtgt_conns_disconnect(struct nvtgt_conns *conns,
			    bool (*which)(struct nvtgt_conn *conn, const void *arg),
			    const void *arg);
void nvtgt_conns_disconnect_port(struct nvtgt_conns *conns, const struct nvtgt_port *port);

/* A connection. */
int __must_check nvtgt_conn_init(struct nvtgt_conn *conn, struct nvtgt_port *port,
				 const struct nvtgt_transport_ops *ops,
				 const struct sockaddr_storage *addr);
void nvtgt_conn_start(struct nvtgt_conn *conn, struct nvtgt_reactor *reactor);
void nvtgt_conn_refuse(struct nvtgt_conn *conn);
void nvtgt_conn_set_state(struct nvtgt_conn *conn, enum nvtgt_conn_state state);
bool __must_check nvtgt_conn_begin_end(struct nvtgt_conn *conn, enum nvtgt_conn_state state);
void nvtgt_conn_event(struct nvtgt_conn *conn, unsigned int flag);
void nvtgt_conn_disconnect(struct nvtgt_conn *conn);
void nvtgt_conn_take_events(struct nvtgt_conn *conn);
void nvtgt_conn_move(struct nvtgt_conn *conn, struct nvtgt_reactor *to);
void nvtgt_conn_try_leave(struct nvtgt_conn *conn);

/**
 * nvtgt_conn_look_by - have ops->timer() called
 * @conn: the connection
 * @when: jiffies: then, or before
 *
 * Context: the reactor.
 */
static inline void nvtgt_conn_look_by(struct nvtgt_conn *conn, unsigned long when)
{
	if (!timer_pending(&conn->timer) || time_before(when, conn->timer.expires))
		mod_timer(&conn->timer, when);
}

/**
 * nvtgt_conn_go - the reactor may begin with a connection
 * @conn: started; from here on it is the reactor's, and may be gone at once
 *
 * Context: any.
 */
static inline void nvtgt_conn_go(struct nvtgt_conn *conn)
{
	/* NVTGT_SOURCE_KICKED has been set since nvtgt_conn_init(): no other kick came through */
	__nvtgt_source_kick(&conn->source);
}

/* A connection's requests. */
int __must_check nvtgt_conn_reserve(struct nvtgt_conn *conn, unsigned int nr);
struct nvtgt_req *__nvtgt_conn_new_req(struct nvtgt_conn *conn);

/**
 * nvtgt_conn_find_req - the request of a slot
 * @conn: the connection
 * @slot: what a peer says
 *
 * Context: the reactor.
 * Return: the request, perhaps a free one, or NULL
 */
static inline struct nvtgt_req *nvtgt_conn_find_req(struct nvtgt_conn *conn, unsigned int slot)
{
	if (slot >= conn->nr_slots)
		return NULL;
	return rcu_dereference_protected(conn->slots, 1)->req[slot];
}

/**
 * nvtgt_conn_get_req - a request for a command that has arrived
 * @conn: the connection
 *
 * Context: the reactor.
 * Return: a request that no command has, in no list; NULL when all are in use, or memory
 *	is short
 */
static inline struct nvtgt_req *nvtgt_conn_get_req(struct nvtgt_conn *conn)
{
	struct nvtgt_req *req;

	req = list_first_entry_or_null(&conn->free, struct nvtgt_req, entry);
	if (unlikely(!req))
		return __nvtgt_conn_new_req(conn);
	list_del_init(&req->entry);
	return req;
}

/**
 * nvtgt_conn_put_req - a command is over
 * @conn: the connection
 * @req: executed or failed, in no list; the transport has released all that the command
 *	used, except the memory from nvtgt_buf_get()
 *
 * Context: the reactor.
 */
static inline void nvtgt_conn_put_req(struct nvtgt_conn *conn, struct nvtgt_req *req)
{
	conn->charged -= req->charged;
	nvtgt_buf_put(req);
	nvtgt_req_release(req);
	list_add(&req->entry, &conn->free);	/* the warmest first */
}

/* Memory for the requests' data. */
bool nvtgt_conn_may_wait(struct nvtgt_conn *conn);
void nvtgt_conn_wait_mem(struct nvtgt_conn *conn, struct nvtgt_req *req, bool force);
void __nvtgt_conn_mem_kick(struct nvtgt_conn *conn, bool force);
void nvtgt_conn_drop_reqs(struct nvtgt_conn *conn);

/**
 * nvtgt_conn_mem_kick - let commands that wait for memory try
 * @conn: the connection
 * @force: also while the connection waits in line for credit: ops->mem_get() may give the
 *	first of the commands memory without credit
 *
 * Context: the reactor.
 */
static inline void nvtgt_conn_mem_kick(struct nvtgt_conn *conn, bool force)
{
	if (unlikely(!list_empty(&conn->mem_wait)))
		__nvtgt_conn_mem_kick(conn, force);
}

/**
 * nvtgt_conn_has_room - may a connection's commands hold as much more memory?
 * @conn: the connection
 * @bytes: how much
 *
 * Context: the reactor.
 * Return: whether they may; one command always may
 */
static inline bool nvtgt_conn_has_room(const struct nvtgt_conn *conn, u32 bytes)
{
	return !conn->charged || conn->charged + bytes <= NVTGT_CONN_MAX_CHARGED;
}

/**
 * nvtgt_conn_try_mem - get memory for a command's data if no other of its connection waits
 * @conn: the connection
 * @req: parsed, in no list
 * @now: try although other commands of the connection wait, for this command holds something
 *	that other connections need (a receive buffer that queues share)
 * @get: ops->mem_get(), by its name, so that it is called directly
 *
 * The caller goes on as ops->mem_got() does; on failure nvtgt_conn_wait_mem() follows.
 *
 * Context: the reactor.
 * Return: whether @req has its memory
 */
static __always_inline bool nvtgt_conn_try_mem(struct nvtgt_conn *conn, struct nvtgt_req *req,
					       bool now, int (*get)(struct nvtgt_req *req))
{
	if (unlikely(!list_empty(&conn->mem_wait)) && !now)
		return false;
	if (unlikely(get(req)))
		return false;
	conn->charged += req->charged;
	return true;
}

#endif /* _NVTGT_CONN_H */
