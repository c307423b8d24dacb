/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The objects that the core, a transport and a backend all see.
 *
 * A transport and a backend use what stands in include/nvtgt/ and nothing
 * else of the core.
 */
#ifndef _NVTGT_TYPES_H
#define _NVTGT_TYPES_H

#include <linux/blk_types.h>
#include <linux/bvec.h>
#include <linux/cache.h>
#include <linux/cpumask.h>
#include <linux/dma-direction.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/nvme.h>
#include <linux/percpu-refcount.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/workqueue.h>

struct net;
struct nvtgt_backend_ops;
struct nvtgt_ctrl;
struct nvtgt_peer;
struct nvtgt_reactor;
struct nvtgt_req;
struct nvtgt_subsys;
struct nvtgt_transport_ops;

/** NVTGT_INLINE_BVECS - segments that every request has room for */
#define NVTGT_INLINE_BVECS	8

/** NVTGT_BACKEND_PRIV - bytes in every request that its backend may use */
#define NVTGT_BACKEND_PRIV	192

/** NVTGT_MAX_MDTS - largest MDTS exponent: 2^10 pages of 4 KiB are 4 MiB */
#define NVTGT_MAX_MDTS		10

/** NVTGT_DEFAULT_MDTS - MDTS unless the port says otherwise: 1 MiB */
#define NVTGT_DEFAULT_MDTS	8

/** NVTGT_MIN_QUEUE_SIZE - smallest port->max_queue_size in force; a smaller setting is raised */
#define NVTGT_MIN_QUEUE_SIZE	16
/** NVTGT_MAX_QUEUE_SIZE - largest port->max_queue_size in force; a larger setting is lowered */
#define NVTGT_MAX_QUEUE_SIZE	1024
/** NVTGT_ADMIN_QUEUE_SIZE - most entries an admin queue may have */
#define NVTGT_ADMIN_QUEUE_SIZE	128

/** NVTGT_MAX_QID - I/O queues of a controller */
#define NVTGT_MAX_QID		128

/** NVTGT_PI_BYTES - protection information of a logical block: guard, application, reference */
#define NVTGT_PI_BYTES		8

/**
 * enum nvtgt_req_state - where a request is on its way, and whose it is
 *
 * The transport's, before the command is executed; from any of these but FREE it may be
 * executed with nvtgt_req_execute(), or failed with nvtgt_req_fail():
 *
 * @NVTGT_REQ_FREE: no command; in conn->free, or just taken from there.
 * @NVTGT_REQ_RECEIVED: nvtgt_req_parse() judges the command, or has just done so.
 * @NVTGT_REQ_MEMORY: waits for memory, in conn->mem_wait. May be aborted.
 * @NVTGT_REQ_INLINE: its data are in the capsule, and nothing behind them in the stream is
 *	read before they are; it may still wait for memory, in conn->mem_wait.
 * @NVTGT_REQ_FETCHING: has memory; the host has not been asked for the data yet, in
 *	a list of the transport's. May be aborted.
 * @NVTGT_REQ_DATA: the host's data are on their way.
 * @NVTGT_REQ_READY: has all that it needs; it is executed before the pass is over.
 *
 * Then:
 *
 * @NVTGT_REQ_EXECUTING: the core's or the backend's, in any context. The
 *	transport may not touch it, nor its memory.
 * @NVTGT_REQ_DONE: completed; on its way to the reactor of its queue, in a reactor's list
 *	done or local_done. Only that reactor may touch it.
 *
 * The transport's again, in the reactor, until nvtgt_req_release():
 *
 * @NVTGT_REQ_RESPONDING: the completion is to be sent, in a list of the transport's.
 * @NVTGT_REQ_WRITING: the same with data before it.
 * @NVTGT_REQ_SENT: all of it has been handed over for sending, which has not ended. Where the
 *	data are sent first, alone (registered memory of RDMA), RESPONDING follows.
 *
 * @NVTGT_REQ_STATES: how many there are.
 */
enum nvtgt_req_state {
	NVTGT_REQ_FREE,
	NVTGT_REQ_RECEIVED,
	NVTGT_REQ_MEMORY,
	NVTGT_REQ_INLINE,
	NVTGT_REQ_FETCHING,
	NVTGT_REQ_DATA,
	NVTGT_REQ_READY,
	NVTGT_REQ_EXECUTING,
	NVTGT_REQ_DONE,
	NVTGT_REQ_RESPONDING,
	NVTGT_REQ_WRITING,
	NVTGT_REQ_SENT,
	NVTGT_REQ_STATES
};

/**
 * enum nvtgt_peer_state - how a connection counts for the address that it comes from
 *
 * @NVTGT_PEER_HALF_OPEN: no Connect has succeeded on it. It may be told to end so that
 *	there is room for a new connection.
 * @NVTGT_PEER_SETTLED: it is a queue of a controller's.
 * @NVTGT_PEER_ENDING: it was told to end for want of room; it counts in conns->nr_ending,
 *	and in no other number that is bounded.
 */
enum nvtgt_peer_state {
	NVTGT_PEER_HALF_OPEN,
	NVTGT_PEER_SETTLED,
	NVTGT_PEER_ENDING,
};

/**
 * struct nvtgt_queue - a submission queue and its completion queue
 *
 * @ops: the transport
 * @port: where the host came in; a reference is held
 * @reactor: the reactor that owns the queue, or is to; set by the transport, or by
 *	nvtgt_conn_start(), changed by nvtgt_conn_move() in that reactor; other threads read
 *	it with READ_ONCE()
 * @tls: the connection is encrypted
 * @max_size: most entries that the transport has room for in any queue of this
 *	host, or 0: as many as the port allows
 * @size_limit: most entries in this queue, as agreed on by the transport, or 0
 * @want_qid: the queue id that the host has told the transport, or -1
 * @pi: protection information can be moved through the queue: the port asks for that, and
 *	the queue's device can do it
 * @ctrl: the controller; NULL before Connect succeeded
 * @qid: queue id, 0: admin queue
 * @size: entries: SQSIZE + 1
 * @sqhd: submission queue head, as told last
 * @sqhd_disabled: CATTR: the host does without SQ flow control
 * @connect_req: the Connect that is being executed, or NULL
 * @ns: the namespace that the queue's requests share a reference on, or NULL
 * @ns_users: requests that share it; the last one gives it back
 * @nr_inflight: requests parsed and not yet released
 * @stopped: nvtgt_queue_stop() was called: nothing more is received, no command begins; other
 *	threads read it with READ_ONCE()
 * @flush: in the reactor's list of queues to flush
 * @nr_cmds: commands received; written by the reactor, read in any context
 * @in_ctrl: stands in ctrl->queues[]
 * @ka_reactor: the queue's reactor when the keep alive work found that no command had come
 * @ka_round: how many passes @ka_reactor had made then
 * @late: nvtgt_req.late_entry: commands that were executing when it was stopped and still
 *	are, those that change the medium first
 * @nr_late: commands in @late
 * @nr_late_writes: those of them that change the medium
 * @late_known: stopped, and all of its late commands are in @late
 * @drained: stopped, and none of its commands is in a backend any more
 * @peer: the address that it comes from, from nvtgt_peer_enter() on, or NULL: it is not
 *	counted
 * @peer_entry: in the peer's list of half-open connections
 * @peer_state: enum nvtgt_peer_state
 *
 * Embedded in struct nvtgt_conn. Made with nvtgt_queue_init(), taken down with
 * nvtgt_queue_destroy().
 */
struct nvtgt_queue {
	/* constant from nvtgt_conn_start() on */
	const struct nvtgt_transport_ops *ops;
	struct nvtgt_port *port;
	bool tls;
	u16 max_size;
	u16 size_limit;
	int want_qid;
	bool pi;

	/* the owning reactor only */
	struct nvtgt_reactor *reactor;
	struct nvtgt_ctrl *ctrl;
	u16 qid;
	u16 size;
	u16 sqhd;
	bool sqhd_disabled;
	struct nvtgt_req *connect_req;
	struct nvtgt_ns *ns;
	unsigned int ns_users;
	unsigned int nr_inflight;
	bool stopped;
	struct list_head flush;
	u64 nr_cmds;

	/* ctrl->lock */
	bool in_ctrl;
	const struct nvtgt_reactor *ka_reactor;
	unsigned int ka_round;
	struct list_head late;
	unsigned int nr_late;
	unsigned int nr_late_writes;
	bool late_known;
	bool drained;

	/* the core's: conns->peer_lock */
	u8 peer_state;
	struct nvtgt_peer *peer;
	struct list_head peer_entry;
};

/**
 * struct nvtgt_req - one command, from capsule to completion
 *
 * @cmd: the command, in the transport's memory, stable until release
 * @queue: the queue it came in through
 * @transfer_len: bytes that the SGL describes
 * @data_len: bytes to move; 0 for none or on failure
 * @pi_len: bytes of protection information that go with the data, or 0
 * @pi_wire: bytes of protection information that the host sends or gets, each block's behind
 *	its data (extended LBA): @pi_len; or 0: PRACT is set, the target inserts and strips them
 * @pi_type: enum NVME_NS_DPS_PI_*, with @pi_len
 * @dir: DMA_TO_DEVICE: host to target; DMA_FROM_DEVICE; DMA_NONE
 * @state: enum nvtgt_req_state, changed by nvtgt_req_set_state() alone
 * @backend_flags: the backend's
 * @parked_ns: nvtgt_ns.opened of the namespace that was let go
 * @parked: the namespace was let go; it is looked up again for execution
 * @ns_shared: the reference on the namespace is the queue's
 * @polled: nvtgt_req_poll() was called: its result goes to @poller; written by reactors only
 * @poll_done: it is to be polled no more; set in any context
 * @slot: its place among the requests of its connection; constant
 * @waits: stands in its namespace's list of commands that no worker is free for
 * @ns: the namespace, with a reference until completion, or NULL
 * @execute: what nvtgt_req_execute() calls; then what nvtgt_req_defer() was given
 * @bvec: memory for @data_len bytes; given by the transport before execution
 * @pi: memory for @pi_len bytes, in one piece; given by the transport as @bvec is
 * @nr_bvec: segments in @bvec
 * @charged: bytes taken from the pool's credit
 * @inline_bvec: room for @bvec
 * @result: completion dwords 0 and 1; set before nvtgt_req_complete()
 * @status: enum nvme_status, NVME_STATUS_DNR included
 * @error_loc: for the error log: byte of the field in error, bit << 8; NVTGT_NO_ERROR_LOC
 * @error_slba: for the error log: first block in error
 * @came_back: NULL, or what the core has to do in the reactor when the result is there,
 *	before ops->respond(): for a Connect, and for a command that is late
 * @done_node: in the reactor's list of results
 * @entry: the owner's: in a list of the connection's, of the core's while it executes
 * @poller: the reactor that polls for its completion
 * @poll_entry: in the list of @poller
 * @late_entry: in queue->late; ctrl->lock
 * @late_write: counts in queue->nr_late_writes; ctrl->lock
 * @scratch: the core's; freed with kfree() at release
 * @work: the executor's, for what may sleep
 * @backend_priv: the backend's, see nvtgt_req_priv()
 *
 * The first member of the transport's object for a command, at a cache line's beginning.
 * The transport sets cmd, queue and transfer_len before nvtgt_req_parse(), which
 * sets data_len, dir, ns and execute; then the transport gives memory. The core or the
 * backend sets the result and calls nvtgt_req_complete().
 */
struct nvtgt_req {
	/* one cache line: what every step looks at */
	struct nvme_command *cmd;
	struct nvtgt_queue *queue;
	struct nvtgt_ns *ns;
	void (*execute)(struct nvtgt_req *req);
	struct bio_vec *bvec;
	u32 transfer_len;
	u32 data_len;
	u16 nr_bvec;
	u16 slot;
	u32 charged;
	u8 dir;
	u8 state;			/* enum nvtgt_req_state; nvtgt_req_set_state() */
	u8 backend_flags;
	bool parked : 1;
	bool ns_shared : 1;
	bool polled : 1;
	u16 status;
	u16 error_loc;

	/* the next: the rest of what nvtgt_req_init() sets, and the result */
	union nvme_result result;
	struct llist_node done_node;
	struct list_head entry;
	void (*came_back)(struct nvtgt_req *req);
	void *scratch;
	u64 error_slba;
	u32 pi_len;
	u32 pi_wire;

	/* and the next: the usual data */
	struct bio_vec inline_bvec[NVTGT_INLINE_BVECS] ____cacheline_aligned;

	struct bio_vec pi;
	struct nvtgt_reactor *poller;
	struct list_head poll_entry;
	struct list_head late_entry;
	u32 parked_ns;
	bool late_write;
	bool poll_done;
	bool waits;
	u8 pi_type;
	struct work_struct work;
	u8 backend_priv[NVTGT_BACKEND_PRIV] ____cacheline_aligned;
};

/* No place in the command is to blame (NVMe base 2.1, error log PEL). */
#define NVTGT_NO_ERROR_LOC	0xffff

/**
 * struct nvtgt_ns - what a backend sees of a namespace
 *
 * @ref: held by the requests that use the namespace; those of a queue share a reference
 * @ops: the backend
 * @subsys: whose namespace
 * @nsid: namespace id
 * @opened: another number for each time that a namespace, this one or another, is opened
 * @priv: the backend's
 * @size: bytes
 * @blksize_shift: log2 of the logical block size, from 9
 * @phys_block_bytes: preferred write granularity, 0: unknown
 * @io_opt_bytes: optimal transfer, 0: unknown
 * @readonly: writes are refused
 * @volatile_cache: Flush and FUA mean something
 * @rotational: the medium turns
 * @pi_type: enum NVME_NS_DPS_PI_*: the medium keeps protection information of
 *	NVTGT_PI_BYTES with each block; 0: it does not
 * @seg_offset_mask: bits that are 0 in the offset of each segment of a Read's or Write's data,
 *	for transports that have the data in memory which is not theirs
 * @seg_len_mask: the same for its length
 * @stable_writes: a Write's data may not change while the backend has them
 * @max_discard_blocks: 0: Deallocate has no effect
 * @max_write_zeroes_blocks: for information; any length is accepted
 * @discard_zeroes: deallocated blocks read as zeroes
 * @device_path: as configured, or NULL
 * @backend_options: as configured, or NULL
 * @buffered_io: files: through the page cache
 *
 * The core embeds it in its own object. A backend may read everything from open() to
 * close() and writes only what is marked as the backend's, and @ops in open().
 */
struct nvtgt_ns {
	struct percpu_ref ref;
	const struct nvtgt_backend_ops *ops;
	struct nvtgt_subsys *subsys;
	u32 nsid;
	u32 opened;

	/* the backend's, set in open(), revalidate(), set_options() */
	void *priv;
	loff_t size;
	u8 blksize_shift;
	u32 phys_block_bytes;
	u32 io_opt_bytes;
	bool readonly;
	bool volatile_cache;
	bool rotational;
	u8 pi_type;
	u16 seg_offset_mask;
	u16 seg_len_mask;
	bool stable_writes;
	u32 max_discard_blocks;
	u32 max_write_zeroes_blocks;
	bool discard_zeroes;

	/* configuration as the backend may use it in open() */
	char *device_path;
	char *backend_options;
	bool buffered_io;
};

/**
 * struct nvtgt_addr - the transport address of a port or a referral
 * @trtype: NVMF_TRTYPE_*
 * @adrfam: NVMF_ADDR_FAMILY_*
 * @treq: NVMF_TREQ_*
 * @traddr: text, NUL terminated
 * @trsvcid: text, NUL terminated
 */
struct nvtgt_addr {
	u8 trtype;
	u8 adrfam;
	u8 treq;
	char traddr[NVMF_TRADDR_SIZE + 1];
	char trsvcid[NVMF_TRSVCID_SIZE + 1];
};

/**
 * struct nvtgt_port - what a transport sees of a port
 *
 * @ops: the transport, while the port is enabled
 * @net: the network namespace of the process that made the port
 * @id: port id
 * @addr: the address
 * @inline_data_size: bytes; -1: the transport decides in add_port()
 * @max_queue_size: entries; -1 as above
 * @mdts: exponent, in pages of 4 KiB; -1 as above
 * @msdbd: SGL descriptors that a capsule may have; set in add_port(), 0: 1
 * @pi: param_pi_enable: protection information is moved where namespaces have some
 * @cpus: where the reactors of its queues may run
 * @priv: the transport's
 *
 * The core embeds it in its own object. The address and the parameters do not
 * change between add_port() and remove_port().
 */
struct nvtgt_port {
	const struct nvtgt_transport_ops *ops;
	struct net *net;
	u16 id;
	struct nvtgt_addr addr;
	int inline_data_size;
	int max_queue_size;
	int mdts;
	u8 msdbd;
	bool pi;
	cpumask_var_t cpus;
	void *priv;
};

#endif /* _NVTGT_TYPES_H */
