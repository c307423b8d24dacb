// SPDX-License-Identifier: GPL-2.0
/*
 * Connections: what all transports' have in common. struct nvtgt_conn describes the life of
 * a connection, and what may still use it when it ends.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <nvtgt/conn.h>
#include "../engine/trace.h"
#include "object.h"

static DEFINE_MUTEX(nvtgt_conns_mutex);		/* protects the list */
static LIST_HEAD(nvtgt_conns_list);

static const char *const nvtgt_conn_state_names[] = {
	[NVTGT_CONN_SETUP]	= "setup",
	[NVTGT_CONN_OPENING]	= "opening",
	[NVTGT_CONN_LIVE]	= "live",
	[NVTGT_CONN_ENDING]	= "ending",
	[NVTGT_CONN_CLOSING]	= "closing",
	[NVTGT_CONN_LEFT]	= "left",
};

/**
 * nvtgt_conns_init - a transport's module has been loaded
 * @conns: its connections: none so far
 *
 * Context: module load.
 * Return: 0 or -ENOMEM
 */
int nvtgt_conns_init(struct nvtgt_conns *conns)
{
	conns->cmds = kmem_cache_create(conns->cmd_name, conns->cmd_size,
					__alignof__(struct nvtgt_req), SLAB_HWCACHE_ALIGN, NULL);
	if (!conns->cmds)
		return -ENOMEM;
	conns->wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, conns->name);
	if (!conns->wq) {
		kmem_cache_destroy(conns->cmds);
		return -ENOMEM;
	}
	mutex_init(&conns->lock);
	INIT_LIST_HEAD(&conns->list);
	init_waitqueue_head(&conns->gone);
	nvtgt_peers_init(conns);
	mutex_lock(&nvtgt_conns_mutex);
	list_add_tail(&conns->entry, &nvtgt_conns_list);
	mutex_unlock(&nvtgt_conns_mutex);
	return 0;
}
EXPORT_SYMBOL_GPL(nvtgt_conns_init);

/**
 * nvtgt_conns_wait - wait until all connections of a transport have been freed
 * @conns: the transport's, which has been unregistered
 *
 * Context: module unload.
 */
void nvtgt_conns_wait(struct nvtgt_conns *conns)
{
	wait_event(conns->gone, !READ_ONCE(conns->nr));
	/* the last nvtgt_conn_uncount() may still hold the lock: wait for it */
	mutex_lock(&conns->lock);
	mutex_unlock(&conns->lock);
	/* reactors may still be leaving the transport's functions for the last connection */
	nvtgt_reactors_sync();
}
EXPORT_SYMBOL_GPL(nvtgt_conns_wait);

/**
 * nvtgt_conns_exit - a transport's module is about to go
 * @conns: its connections; waits for the last
 *
 * Context: module unload.
 */
void nvtgt_conns_exit(struct nvtgt_conns *conns)
{
	nvtgt_conns_wait(conns);
	mutex_lock(&nvtgt_conns_mutex);
	list_del(&conns->entry);
	mutex_unlock(&nvtgt_conns_mutex);
	nvtgt_peers_exit(conns);
	destroy_workqueue(conns->wq);
	kmem_cache_destroy(conns->cmds);
}
EXPORT_SYMBOL_GPL(nvtgt_conns_exit);

/**
 * nvtgt_conns_disconnect - end some of a transport's connections
 * @conns: the transport's
 * @which: says whether to end a connection; conns->lock is held
 * @arg: for @which
 *
 * Context: process, may sleep.
 */
void nvtgt_conns_disconnect(struct nvtgt_conns *conns,
			    bool (*which)(struct nvtgt_conn *conn, const void *arg),
			    const void *arg)
{
	struct nvtgt_conn *conn;

	mutex_lock(&conns->lock);
	list_for_each_entry(conn, &conns->list, entry)
		if (which(conn, arg))
			nvtgt_conn_disconnect(conn);
	mutex_unlock(&conns->lock);
}
EXPORT_SYMBOL_GPL(nvtgt_conns_disconnect);

static bool nvtgt_conn_is_port(struct nvtgt_conn *conn, const void *port)
{
	return conn->queue.port == port;
}

/**
 * nvtgt_conns_disconnect_port - end all connections of a port
 * @conns: its transport's
 * @port: the port, which gets no new ones
 *
 * Context: process, may sleep.
 */
void nvtgt_conns_disconnect_port(struct nvtgt_conns *conns, const struct nvtgt_port *port)
{
	nvtgt_conns_disconnect(conns, nvtgt_conn_is_port, port);
}
EXPORT_SYMBOL_GPL(nvtgt_conns_disconnect_port);

/**
 * nvtgt_conn_set_state - the one place where a connection changes its state
 * @conn: the connection
 * @state: the new one
 *
 * Context: the reactor, or, before nvtgt_conn_go(), the thread that makes the connection.
 */
void nvtgt_conn_set_state(struct nvtgt_conn *conn, enum nvtgt_conn_state state)
{
	trace_nvtgt_conn_state(conn, state);
	/* the reactor that sees the connection leave SETUP sees all that was set up before */
	smp_store_release(&conn->state, state);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_set_state);

/**
 * nvtgt_conn_begin_end - a connection is on its way out from now on
 * @conn: the connection, in any state
 * @state: NVTGT_CONN_ENDING: the transport still sends something; or NVTGT_CONN_CLOSING
 *
 * Its queue is stopped before the host can notice the end and connect anew. What the
 * transport has in hand is dropped by the caller, with nvtgt_conn_drop_reqs().
 *
 * Context: the reactor.
 * Return: whether it had not come as far as @state before; otherwise nothing has been done
 */
bool nvtgt_conn_begin_end(struct nvtgt_conn *conn, enum nvtgt_conn_state state)
{
	if (conn->state >= state)
		return false;
	nvtgt_conn_set_state(conn, state);
	nvtgt_queue_stop(&conn->queue);
	return true;
}
EXPORT_SYMBOL_GPL(nvtgt_conn_begin_end);

/**
 * nvtgt_conn_event - something has happened that the reactor should know of
 * @conn: the connection
 * @flag: NVTGT_CONN_F_*, or one of the transport's
 *
 * Context: any.
 */
void nvtgt_conn_event(struct nvtgt_conn *conn, unsigned int flag)
{
	set_bit(flag, &conn->flags);
	nvtgt_source_kick(&conn->source);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_event);

/**
 * nvtgt_conn_disconnect - end a connection from outside
 * @conn: the connection, in a list that it has to leave before it is freed, and whose
 *	lock the caller holds
 *
 * The reactor calls ops->hang_up() or ops->close(). May be called repeatedly.
 *
 * Context: any.
 */
void nvtgt_conn_disconnect(struct nvtgt_conn *conn)
{
	nvtgt_conn_event(conn, NVTGT_CONN_F_DISCONNECT);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_disconnect);

static void nvtgt_conn_timer(struct timer_list *timer)
{
	nvtgt_conn_event(container_of(timer, struct nvtgt_conn, timer), NVTGT_CONN_F_TIMER);
}

static void nvtgt_conn_check_timer(struct nvtgt_conn *conn)
{
	const struct nvtgt_transport_ops *ops = conn->queue.ops;

	if (conn->half_open && conn->state < NVTGT_CONN_ENDING &&
	    time_after_eq(jiffies, conn->setup_deadline)) {
		nvtgt_conn_warn(conn, "no %s within %u ms, closed\n",
				conn->state == NVTGT_CONN_LIVE ? "Connect" : conn->conns->opening,
				conn->conns->setup_timeout_ms);
		ops->close(conn);
		return;
	}
	if (ops->timer)
		ops->timer(conn);
	if (conn->half_open && conn->state < NVTGT_CONN_ENDING)
		nvtgt_conn_look_by(conn, conn->setup_deadline);
}

static void nvtgt_conn_end_gently(struct nvtgt_conn *conn)
{
	const struct nvtgt_transport_ops *ops = conn->queue.ops;

	/* a half-open connection has no command to lose, and a new one may wait for its room */
	if (conn->half_open || !ops->hang_up)
		ops->close(conn);
	else
		ops->hang_up(conn);
}

/**
 * nvtgt_conn_take_events - do what was asked for in conn->flags
 * @conn: the connection; its state may be another afterwards
 *
 * The transport's receive() calls this when a flag is set.
 *
 * Context: the reactor.
 */
void nvtgt_conn_take_events(struct nvtgt_conn *conn)
{
	/* the bit stays set: nvtgt_conn_hung_up() must see it until it sees the new state */
	if (test_bit(NVTGT_CONN_F_DISCONNECT, &conn->flags))
		nvtgt_conn_end_gently(conn);
	if (test_and_clear_bit(NVTGT_CONN_F_TIMER, &conn->flags))
		nvtgt_conn_check_timer(conn);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_take_events);

/**
 * nvtgt_conn_connected - a Connect has succeeded on a connection
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_conn_connected(struct nvtgt_conn *conn)
{
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(conn->conns->data_timeout_ms));

	conn->half_open = false;
	nvtgt_peer_settle(&conn->queue);
	/* no longer the set-up deadline, which may be hours away */
	if (conn->state == NVTGT_CONN_LIVE)
		nvtgt_conn_look_by(conn, jiffies + timeout);
	if (conn->queue.ops->connected)
		conn->queue.ops->connected(conn);
}

/**
 * nvtgt_conn_hung_up - has the peer ended a connection, or is it ending?
 * @conn: the connection, in its controller's list
 *
 * Context: any; ctrl->lock is held.
 * Return: whether it is so
 */
bool nvtgt_conn_hung_up(struct nvtgt_conn *conn)
{
	bool hung_up;

	/* with ops->hung_up(), ops->end() comes a grace period after the connection has left */
	rcu_read_lock();
	hung_up = READ_ONCE(conn->state) >= NVTGT_CONN_ENDING ||
		  test_bit(NVTGT_CONN_F_DISCONNECT, &conn->flags) ||
		  (conn->queue.ops->hung_up && conn->queue.ops->hung_up(conn));
	rcu_read_unlock();
	return hung_up;
}

/* A connection's memory is gone: wakes nvtgt_conns_wait(), nvtgt_rdma_wait_no_queues(). */
static void nvtgt_conn_uncount(struct nvtgt_conns *conns)
{
	mutex_lock(&conns->lock);
	conns->nr--;
	wake_up_all(&conns->gone);
	mutex_unlock(&conns->lock);
}

static void nvtgt_conn_free_slots(struct nvtgt_conn *conn)
{
	struct nvtgt_slots *slots = rcu_dereference_protected(conn->slots, 1);
	unsigned int i;

	for (i = 0; i < conn->nr_slots; i++)
		kmem_cache_free(conn->conns->cmds, slots->req[i]);
	kfree(slots);
}

/* The connection is in no list, and its source has left the reactor, or never had one. */
static void nvtgt_conn_free(struct nvtgt_conn *conn)
{
	struct nvtgt_reactor *reactor = conn->queue.reactor;
	struct nvtgt_conns *conns = conn->conns;

	nvtgt_conn_free_slots(conn);
	conn->queue.ops->free(conn);
	if (reactor)
		nvtgt_reactor_put(reactor);
	nvtgt_conn_uncount(conns);
}

static void nvtgt_conn_free_work(struct work_struct *work)
{
	unsigned int noio = memalloc_noio_save();	/* a host's writes may wait for this work */

	nvtgt_conn_free(container_of(work, struct nvtgt_conn, free_work));
	memalloc_noio_restore(noio);
}

static void nvtgt_conn_released(struct nvtgt_source *source)
{
	struct nvtgt_conn *conn = container_of(source, struct nvtgt_conn, source);

	queue_work(conn->conns->wq, &conn->free_work);
}

static void nvtgt_conn_leave_reactor(struct nvtgt_call *call)
{
	struct nvtgt_conn *conn = container_of(call, struct nvtgt_conn, leave_call);

	if (conn->queue.ops->give_back)
		conn->queue.ops->give_back(conn);
	nvtgt_source_del(&conn->source);
}

/* The connection needs no more memory. */
static void nvtgt_conn_unwait(struct nvtgt_conn *conn)
{
	nvtgt_buf_unwait(&conn->waiter);
	conn->in_line = false;
}

/* Takes it out of its controller's, its peer's and its transport's list. */
static void nvtgt_conn_unlist(struct nvtgt_conn *conn)
{
	nvtgt_queue_destroy(&conn->queue);
	mutex_lock(&conn->conns->lock);
	list_del(&conn->entry);
	mutex_unlock(&conn->conns->lock);
}

static void nvtgt_conn_end_work(struct work_struct *work)
{
	struct nvtgt_conn *conn = container_of(to_rcu_work(work), struct nvtgt_conn, end_work);
	unsigned int noio = memalloc_noio_save();

	/* before nvtgt_conn_unlist() puts the port, which holds the network namespace */
	conn->queue.ops->end(conn);
	timer_delete_sync(&conn->timer);
	nvtgt_conn_unlist(conn);
	memalloc_noio_restore(noio);
	nvtgt_reactor_call(conn->queue.reactor, &conn->leave_call);
}

/**
 * nvtgt_conn_try_leave - let a connection leave its reactor if nothing is in flight any more
 * @conn: the connection, in any state
 *
 * The transport calls this when it has closed the connection, and whenever a request of
 * a closed one has come back.
 *
 * Context: the reactor.
 */
void nvtgt_conn_try_leave(struct nvtgt_conn *conn)
{
	if (conn->state != NVTGT_CONN_CLOSING || conn->queue.nr_inflight)
		return;
	nvtgt_conn_set_state(conn, NVTGT_CONN_LEFT);
	nvtgt_source_fix(&conn->source);
	list_del_init(&conn->queue.flush);
	nvtgt_conn_unwait(conn);
	if (conn->queue.ops->detach)
		conn->queue.ops->detach(conn);
	/* a grace period is for transports whose wire, or whose hung_up(), looks under RCU */
	if (conn->queue.ops->detach || conn->queue.ops->hung_up)
		queue_rcu_work(conn->conns->wq, &conn->end_work);
	else
		queue_work(conn->conns->wq, &conn->end_work.work);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_try_leave);

/**
 * nvtgt_conn_move - a connection goes to another reactor: out of the lists of this one
 * @conn: the connection
 * @to: the other reactor
 *
 * Context: the reactor, in source->move().
 */
void nvtgt_conn_move(struct nvtgt_conn *conn, struct nvtgt_reactor *to)
{
	nvtgt_queue_move(&conn->queue, to);
	nvtgt_buf_move(&conn->waiter, to);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_move);

/**
 * nvtgt_conn_init - a new connection, half-open
 * @conn: zeroed but for the source's functions and max_slots
 * @port: where the host came in; a reference is taken
 * @ops: the transport
 * @addr: where it comes from
 *
 * At a bound the oldest half-open connection is told to end, so that there is room. From
 * here on the new one may be told to end as well, in any context; it ends when it has a
 * reactor.
 *
 * Context: process, may sleep.
 * Return: 0; -ENOMEM; -EMFILE: there is no room, which has been logged. After a failure no
 *	list has the connection, and the caller frees it.
 */
int nvtgt_conn_init(struct nvtgt_conn *conn, struct nvtgt_port *port,
		    const struct nvtgt_transport_ops *ops, const struct sockaddr_storage *addr)
{
	struct nvtgt_conns *conns = ops->conns;
	int ret;

	conn->conns = conns;
	conn->half_open = true;
	INIT_LIST_HEAD(&conn->free);
	INIT_LIST_HEAD(&conn->mem_wait);
	INIT_LIST_HEAD(&conn->waiter.node);
	conn->waiter.ready = nvtgt_conn_mem_ready;
	conn->source.release = nvtgt_conn_released;
	conn->source.cpus = port->cpus;
	/* kicks count for nothing before nvtgt_conn_go() */
	set_bit(NVTGT_SOURCE_KICKED, &conn->source.flags);
	timer_setup(&conn->timer, nvtgt_conn_timer, 0);
	INIT_RCU_WORK(&conn->end_work, nvtgt_conn_end_work);
	INIT_WORK(&conn->free_work, nvtgt_conn_free_work);
	conn->leave_call.fn = nvtgt_conn_leave_reactor;
	snprintf(conn->host_traddr, sizeof(conn->host_traddr), "%pISpc", addr);
	nvtgt_queue_init(&conn->queue, port, ops);
	ret = nvtgt_peer_enter(&conn->queue, addr);
	if (ret) {
		nvtgt_queue_destroy(&conn->queue);
		return ret;
	}
	mutex_lock(&conns->lock);
	conns->nr++;
	list_add_tail(&conn->entry, &conns->list);
	mutex_unlock(&conns->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(nvtgt_conn_init);

/**
 * nvtgt_conn_refuse - give up a connection that has not been started
 * @conn: initialised, not started; freed, with ops->free(), and the reference on its reactor
 *	put, if it has one
 *
 * Context: process, may sleep.
 */
void nvtgt_conn_refuse(struct nvtgt_conn *conn)
{
	nvtgt_conn_unlist(conn);
	nvtgt_conn_free(conn);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_refuse);

/**
 * nvtgt_conn_start - give a connection to a reactor
 * @conn: initialised, with its source's functions
 * @reactor: the reactor; the caller's reference becomes the connection's
 *
 * What comes from the wire waits until nvtgt_conn_go().
 *
 * Context: process.
 */
void nvtgt_conn_start(struct nvtgt_conn *conn, struct nvtgt_reactor *reactor)
{
	conn->queue.reactor = reactor;
	nvtgt_source_add(&conn->source, reactor);
	conn->setup_deadline = jiffies + msecs_to_jiffies(READ_ONCE(conn->conns->setup_timeout_ms));
	mod_timer(&conn->timer, conn->setup_deadline);
	nvtgt_conn_set_state(conn, NVTGT_CONN_OPENING);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_start);

static int nvtgt_conn_grow(struct nvtgt_conn *conn, unsigned int room, gfp_t gfp)
{
	struct nvtgt_slots *old = rcu_dereference_protected(conn->slots, 1);
	struct nvtgt_slots *slots = kmalloc(struct_size(slots, req, room), gfp);

	if (!slots)
		return -ENOMEM;
	slots->room = room;
	if (old)
		memcpy(slots->req, old->req, conn->nr_slots * sizeof(slots->req[0]));
	rcu_assign_pointer(conn->slots, slots);
	if (old)
		kfree_rcu(old, rcu);
	return 0;
}

/**
 * nvtgt_conn_reserve - allocate the table of requests
 * @conn: the connection, not started
 * @nr: its entries; requests themselves are allocated when they are needed
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM
 */
int nvtgt_conn_reserve(struct nvtgt_conn *conn, unsigned int nr)
{
	conn->max_slots = nr;
	return nvtgt_conn_grow(conn, nr, GFP_KERNEL);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_reserve);

/**
 * __nvtgt_conn_new_req - allocate one more request
 * @conn: the connection, all of whose requests are in use
 *
 * Context: the reactor.
 * Return: the request; NULL: there are max_slots already, or there is no memory
 */
struct nvtgt_req *__nvtgt_conn_new_req(struct nvtgt_conn *conn)
{
	struct nvtgt_slots *slots = rcu_dereference_protected(conn->slots, 1);
	unsigned int room = slots ? slots->room : 0;
	struct nvtgt_req *req;

	if (conn->nr_slots >= conn->max_slots)
		return NULL;
	if (conn->nr_slots == room &&
	    nvtgt_conn_grow(conn, min(max(4U, 2 * room), conn->max_slots),
			    GFP_NOWAIT | __GFP_NOWARN))
		return NULL;
	req = kmem_cache_zalloc(conn->conns->cmds, conn->conns->cmd_gfp | __GFP_NOWARN);
	if (!req)
		return NULL;
	INIT_LIST_HEAD(&req->entry);
	req->slot = conn->nr_slots;
	req->queue = &conn->queue;
	if (conn->queue.ops->init_req)
		conn->queue.ops->init_req(req);
	slots = rcu_dereference_protected(conn->slots, 1);
	slots->req[req->slot] = req;
	/* pairs with nvtgt_conn_count_states() */
	smp_store_release(&conn->nr_slots, conn->nr_slots + 1);
	return req;
}
EXPORT_SYMBOL_GPL(__nvtgt_conn_new_req);

static void nvtgt_conn_fail_req(struct nvtgt_req *req, u16 status)
{
	if (req->queue->ops->fail)
		req->queue->ops->fail(req, status);
	else
		nvtgt_req_fail(req, status);
}

/**
 * nvtgt_conn_stop_reqs - a connection's queue has been stopped: nvtgt_req_stop() for each
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_conn_stop_reqs(struct nvtgt_conn *conn)
{
	unsigned int i;

	for (i = 0; i < conn->nr_slots; i++)
		nvtgt_req_stop(nvtgt_conn_find_req(conn, i));
}

/* Drops a request if the transport owns it: before its execution or after it. */
static void nvtgt_conn_drop_req(struct nvtgt_req *req)
{
	switch (READ_ONCE(req->state)) {
	case NVTGT_REQ_MEMORY:
	case NVTGT_REQ_INLINE:
	case NVTGT_REQ_FETCHING:
	case NVTGT_REQ_DATA:
	case NVTGT_REQ_READY:
	case NVTGT_REQ_RESPONDING:
	case NVTGT_REQ_WRITING:
		req->queue->ops->drop(req);
	}
}

/**
 * nvtgt_conn_drop_reqs - drop the requests that the transport owns, but for those in SENT
 * @conn: on its way out: it receives nothing any more, and its state says so
 *
 * Context: the reactor.
 */
void nvtgt_conn_drop_reqs(struct nvtgt_conn *conn)
{
	unsigned int i;

	nvtgt_conn_unwait(conn);
	for (i = 0; i < conn->nr_slots; i++)
		nvtgt_conn_drop_req(nvtgt_conn_find_req(conn, i));
}
EXPORT_SYMBOL_GPL(nvtgt_conn_drop_reqs);

static bool nvtgt_conn_abort_req(struct nvtgt_req *req)
{
	switch (READ_ONCE(req->state)) {
	case NVTGT_REQ_EXECUTING:
		return nvtgt_req_cancel(req, NVME_SC_ABORT_REQ);
	case NVTGT_REQ_MEMORY:
	case NVTGT_REQ_FETCHING:
		list_del_init(&req->entry);
		nvtgt_conn_fail_req(req, NVME_SC_ABORT_REQ);
		return true;
	default:
		return false;
	}
}

/**
 * nvtgt_conn_abort - fail a command that has not begun
 * @conn: the connection, not stopped
 * @cid: the command's identifier
 *
 * The command waits for memory or for a worker, or its data have not been asked for.
 *
 * Context: the reactor.
 * Return: whether there was one
 */
bool nvtgt_conn_abort(struct nvtgt_conn *conn, u16 cid)
{
	unsigned int i;

	for (i = 0; i < conn->nr_slots; i++) {
		struct nvtgt_req *req = nvtgt_conn_find_req(conn, i);

		if (req->state == NVTGT_REQ_FREE ||
		    le16_to_cpu((__force __le16)req->cmd->common.command_id) != cid)
			continue;
		if (nvtgt_conn_abort_req(req))
			return true;
	}
	return false;
}

/**
 * nvtgt_conn_may_wait - no page is free: is there time left to wait for one?
 * @conn: the connection
 *
 * Context: the reactor.
 * Return: false when it has waited for too long: the command fails, and the host may try
 *	again
 */
bool nvtgt_conn_may_wait(struct nvtgt_conn *conn)
{
	unsigned long patience = msecs_to_jiffies(NVTGT_BUF_PATIENCE_MS);

	/* a wait that began long ago does not count: this one begins now */
	if (!conn->short_since || time_after(jiffies, conn->short_since + 4 * patience))
		conn->short_since = jiffies | 1;
	return time_before(jiffies, conn->short_since + patience);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_may_wait);

/*
 * Looks whether commands that wait can have their memory. Returns 0: none is left, or the
 * rest wait for what this connection gives back, -EAGAIN: there is no credit, -ENOMEM: no
 * page is free.
 */
static int nvtgt_conn_mem_try(struct nvtgt_conn *conn)
{
	struct nvtgt_req *req;
	int ret;

	while ((req = list_first_entry_or_null(&conn->mem_wait, struct nvtgt_req, entry))) {
		ret = conn->queue.ops->mem_get(req);
		if (ret == -EBUSY)
			return 0;
		if (ret == -EAGAIN || (ret == -ENOMEM && nvtgt_conn_may_wait(conn)))
			return ret;
		list_del_init(&req->entry);
		if (!ret) {
			conn->short_since = 0;
			conn->charged += req->charged;
			conn->queue.ops->mem_got(req);
		} else {
			nvtgt_conn_fail_req(req, ret == -E2BIG ?
					    NVME_SC_SGL_INVALID_COUNT | NVME_STATUS_DNR :
					    NVME_SC_INTERNAL);
		}
	}
	return 0;
}

/* Bytes for the first command that waits, and those behind it up to NVTGT_BUF_TURN. */
static long nvtgt_conn_mem_wanted(const struct nvtgt_conn *conn)
{
	const struct nvtgt_req *req;
	long sum = 0;

	list_for_each_entry(req, &conn->mem_wait, entry) {
		long bytes = nvtgt_buf_bytes(req);

		if (sum && sum + bytes > NVTGT_BUF_TURN)
			break;
		sum += bytes;
	}
	return sum;
}

/**
 * __nvtgt_conn_mem_kick - let commands that wait for memory try
 * @conn: the connection, with such commands
 * @force: see nvtgt_conn_mem_kick()
 */
void __nvtgt_conn_mem_kick(struct nvtgt_conn *conn, bool force)
{
	int ret;

	if (conn->in_line && !force)
		return;
	ret = nvtgt_conn_mem_try(conn);
	if (!ret || conn->in_line)
		return;
	conn->in_line = true;
	if (ret == -EAGAIN)
		nvtgt_buf_wait(conn->queue.reactor, &conn->waiter, nvtgt_conn_mem_wanted(conn));
	else
		nvtgt_buf_retry(conn->queue.reactor, &conn->waiter);
}
EXPORT_SYMBOL_GPL(__nvtgt_conn_mem_kick);

/**
 * nvtgt_conn_mem_ready - there is memory for the first of a connection's commands
 * @waiter: the connection's, out of the line
 *
 * Context: the reactor.
 */
void nvtgt_conn_mem_ready(struct nvtgt_buf_waiter *waiter)
{
	struct nvtgt_conn *conn = container_of(waiter, struct nvtgt_conn, waiter);

	conn->in_line = false;
	nvtgt_conn_mem_kick(conn, false);
	/* commands that got memory go on: the rest may wait for what these give back */
	if (conn->queue.ops->mem_done)
		conn->queue.ops->mem_done(conn);
}

/**
 * nvtgt_conn_wait_mem - there is no memory for a command's data so far
 * @conn: the connection
 * @req: in MEMORY, or in INLINE: then it comes before those that wait; in no list
 * @force: see nvtgt_conn_mem_kick()
 *
 * The command waits, parked, until ops->mem_got() is called, perhaps before this returns.
 *
 * Context: the reactor.
 */
void nvtgt_conn_wait_mem(struct nvtgt_conn *conn, struct nvtgt_req *req, bool force)
{
	/* in-capsule data stop the stream behind them: only one such command waits at a time */
	if (req->state == NVTGT_REQ_INLINE)
		list_add(&req->entry, &conn->mem_wait);
	else
		list_add_tail(&req->entry, &conn->mem_wait);
	nvtgt_req_park(req);
	nvtgt_conn_mem_kick(conn, force);
}
EXPORT_SYMBOL_GPL(nvtgt_conn_wait_mem);

/* Counts a connection's requests in each state, while its reactor changes them. */
static void nvtgt_conn_count_states(struct nvtgt_conn *conn, unsigned int *nr)
{
	struct nvtgt_slots *slots;
	unsigned int i, nr_slots;

	rcu_read_lock();
	/* pairs with __nvtgt_conn_new_req(): the table is at least as new as its length */
	nr_slots = smp_load_acquire(&conn->nr_slots);
	slots = rcu_dereference(conn->slots);
	for (i = 0; i < nr_slots; i++)
		nr[READ_ONCE(slots->req[i]->state)]++;
	rcu_read_unlock();
}

static void nvtgt_conn_show(struct seq_file *m, struct nvtgt_conn *conn)
{
	unsigned int i, nr[NVTGT_REQ_STATES] = {};
	int qid = READ_ONCE(conn->queue.qid);

	/* before Connect: the queue id that the host has told the transport, if it has */
	if (READ_ONCE(conn->half_open))
		qid = max(conn->queue.want_qid, 0);
	seq_printf(m, "%s %s qid %d %s", conn->queue.ops->name, conn->host_traddr, qid,
		   nvtgt_conn_state_names[READ_ONCE(conn->state)]);
	nvtgt_conn_count_states(conn, nr);
	for (i = 0; i < NVTGT_REQ_STATES; i++)
		seq_printf(m, " %s %u", nvtgt_req_state_names[i], nr[i]);
	seq_printf(m, " charged %u commands %llu", READ_ONCE(conn->charged),
		   READ_ONCE(conn->queue.nr_cmds));
	if (conn->queue.ops->show)
		conn->queue.ops->show(conn, m);
	seq_putc(m, '\n');
}

/**
 * nvtgt_conns_show - a line for each connection: what is it doing?
 * @m: where to
 *
 * The numbers are the reactors', read while they write them.
 *
 * Context: process, may sleep.
 */
void nvtgt_conns_show(struct seq_file *m)
{
	struct nvtgt_conns *conns;
	struct nvtgt_conn *conn;

	mutex_lock(&nvtgt_conns_mutex);
	list_for_each_entry(conns, &nvtgt_conns_list, entry) {
		mutex_lock(&conns->lock);
		/* after an overflow seq_read() calls this again with a larger buffer */
		list_for_each_entry(conn, &conns->list, entry) {
			if (seq_has_overflowed(m))
				break;
			nvtgt_conn_show(m, conn);
			cond_resched();
		}
		mutex_unlock(&conns->lock);
	}
	mutex_unlock(&nvtgt_conns_mutex);
}

/**
 * nvtgt_peers_show - a line for each address that has connections
 * @m: where to
 *
 * Context: process, may sleep.
 */
void nvtgt_peers_show(struct seq_file *m)
{
	struct nvtgt_conns *conns;

	seq_puts(m, "transport address connections half_open ending discovery\n");
	mutex_lock(&nvtgt_conns_mutex);
	list_for_each_entry(conns, &nvtgt_conns_list, entry)
		nvtgt_peers_show_of(m, conns);
	mutex_unlock(&nvtgt_conns_mutex);
}
