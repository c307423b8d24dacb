// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The life of a connection
 *
 * A connection request is judged in the CM's thread (nvtgt_rdma_queue_create());
 * setup_work makes the objects and accepts, many of them side by side. From then on
 * the reactor has the connection; the CM, the device and the timer set flags and kick.
 * The way out begins in the reactor with nvtgt_rdma_close().
 *
 * Who may still see the connection then, and what ends that:
 *  1. the device, through what was posted: disconnect_work sets the queue pair's
 *     error state, the last work requests are posted behind all others, and when
 *     they have come back, all have (and from a shared receive queue nothing more is
 *     taken, which the device tells, or a time has passed)
 *  2. the core and the backends, through requests in flight: state CLOSING lasts
 *     until the last one has come back (nvtgt_rdma_try_leave())
 *  3. the receive side's completion queue, which others use as well: when the queue
 *     pair has been reset, teardown_work lets the reactor take all that is there
 *  4. the CM, and the sends' completion queue: destroyed
 *  5. the timer: deleted
 *  6. its controller, remove_port(), the device's removal, newcomers that need its
 *     room, through ops->disconnect(): taken out of their lists
 *  7. the reactor: last of all, when none of these is left to kick it
 *
 * Hosts wait for these work items with what they write, and one of them may be this
 * machine, which writes to have memory: no allocation of theirs starts I/O.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "rdma.h"

#define NVTGT_RDMA_LAST_WQE_MS	2000	/* for devices that do not tell */
#define NVTGT_RDMA_RNR_RETRY	7	/* for ever: the host posts receives for all its commands */

/* protects devices, queues and their numbers; nothing is taken inside */
DEFINE_MUTEX(nvtgt_rdma_lock);
LIST_HEAD(nvtgt_rdma_queues);
static unsigned int nvtgt_rdma_nr_queues;	/* nvtgt_rdma_lock */
static DECLARE_WAIT_QUEUE_HEAD(nvtgt_rdma_gone);

/**
 * nvtgt_rdma_queue_event - something has happened that the reactor should know of
 * @q: the connection
 * @flag: NVTGT_RDMA_F_*
 *
 * Context: any.
 */
void nvtgt_rdma_queue_event(struct nvtgt_rdma_queue *q, unsigned int flag)
{
	set_bit(flag, &q->flags);
	nvtgt_source_kick(&q->source);
}

/* Events of a connection. */
static int nvtgt_rdma_cm_event(struct rdma_cm_id *cm_id, struct rdma_cm_event *event)
{
	struct nvtgt_rdma_queue *q = cm_id->context;

	switch (event->event) {
	case RDMA_CM_EVENT_ESTABLISHED:
		nvtgt_rdma_queue_event(q, NVTGT_RDMA_F_ESTABLISHED);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_REJECTED:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		nvtgt_rdma_queue_event(q, NVTGT_RDMA_F_DISCONNECT);
		break;
	default:
		break;
	}
	return 0;
}

/* Events of a queue pair. */
static void nvtgt_rdma_qp_event(struct ib_event *event, void *context)
{
	struct nvtgt_rdma_queue *q = context;

	switch (event->event) {
	case IB_EVENT_COMM_EST:
		/* the CM's own message may have been lost */
		rdma_notify(q->cm_id, event->event);
		break;
	case IB_EVENT_QP_LAST_WQE_REACHED:
		nvtgt_rdma_queue_event(q, NVTGT_RDMA_F_LAST_WQE);
		break;
	case IB_EVENT_QP_FATAL:
	case IB_EVENT_QP_REQ_ERR:
	case IB_EVENT_QP_ACCESS_ERR:
		nvtgt_rdma_warn(q, "%s\n", ib_event_msg(event->event));
		nvtgt_rdma_queue_event(q, NVTGT_RDMA_F_DISCONNECT);
		break;
	default:
		break;
	}
}

static void nvtgt_rdma_sent(struct ib_cq *cq, void *context)
{
	struct nvtgt_rdma_queue *q = context;

	nvtgt_source_kick(&q->source);
}

static void nvtgt_rdma_timer(struct timer_list *timer)
{
	struct nvtgt_rdma_queue *q = container_of(timer, struct nvtgt_rdma_queue, timer);

	nvtgt_rdma_queue_event(q, NVTGT_RDMA_F_TIMER);
}

/**
 * nvtgt_rdma_set_timer - have the sends looked at soon, whether they are waited for or not
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_set_timer(struct nvtgt_rdma_queue *q)
{
	if (!timer_pending(&q->timer))
		mod_timer(&q->timer, jiffies + msecs_to_jiffies(NVTGT_RDMA_REAP_MS));
}

/**
 * nvtgt_rdma_retry_soon - a capsule waits for a slot: try again soon
 * @q: the connection
 *
 * Before Connect the timer is set to the deadline for that, which is too late.
 *
 * Context: the reactor.
 */
void nvtgt_rdma_retry_soon(struct nvtgt_rdma_queue *q)
{
	if (q->half_open)
		mod_timer(&q->timer, jiffies + msecs_to_jiffies(NVTGT_RDMA_REAP_MS));
	else
		nvtgt_rdma_set_timer(q);
}

static void nvtgt_rdma_check_timer(struct nvtgt_rdma_queue *q)
{
	struct nvtgt_rdma_cmd *first;

	if (q->state == NVTGT_RDMA_CLOSING) {
		if (!q->draining || !q->rx->srq)
			return;
		/* the device has not said that it takes no more, so it will not */
		if (time_after_eq(jiffies, q->drain_deadline))
			q->rq_drained = true;
		else
			mod_timer(&q->timer, q->drain_deadline);
		return;
	}
	if (q->half_open) {
		if (time_after_eq(jiffies, q->setup_deadline)) {
			nvtgt_rdma_warn(q, "no %s within %u ms, closed\n",
					q->state == NVTGT_RDMA_LIVE ? "Connect" :
					"answer to the connection's acceptance",
					nvtgt_rdma_setup_timeout_ms);
			nvtgt_rdma_close(q);
			return;
		}
		if (list_empty(&q->rx_wait))
			mod_timer(&q->timer, q->setup_deadline);
		else
			nvtgt_rdma_retry_soon(q);
	}
	if (list_empty(&q->posted) && list_empty(&q->rx_wait))
		return;
	first = list_first_entry_or_null(&q->posted, struct nvtgt_rdma_cmd, entry);
	if (first && time_after_eq(jiffies, first->posted_at +
				   msecs_to_jiffies(nvtgt_rdma_data_timeout_ms))) {
		nvtgt_rdma_warn(q, "command %#x, %s: not taken within %u ms, closed\n",
				le16_to_cpu((__force __le16)first->sqe.common.command_id),
				nvtgt_rdma_cmd_state_names[first->state],
				nvtgt_rdma_data_timeout_ms);
		nvtgt_rdma_close(q);
		return;
	}
	nvtgt_rdma_set_timer(q);
}

/**
 * nvtgt_rdma_close - end a connection
 * @q: in any state; nothing happens when it is on its way out already
 *
 * Context: the reactor.
 */
void nvtgt_rdma_close(struct nvtgt_rdma_queue *q)
{
	if (q->state >= NVTGT_RDMA_CLOSING)
		return;
	/* the work item that makes it goes on with it */
	if (q->state == NVTGT_RDMA_SETUP) {
		set_bit(NVTGT_RDMA_F_DISCONNECT, &q->flags);
		return;
	}
	q->state = NVTGT_RDMA_CLOSING;
	nvtgt_queue_stop(&q->queue);
	nvtgt_rdma_drop_cmds(q);
	queue_work(nvtgt_rdma_wq, &q->disconnect_work);
}

static void nvtgt_rdma_disconnect_work(struct work_struct *work)
{
	struct nvtgt_rdma_queue *q = container_of(work, struct nvtgt_rdma_queue, disconnect_work);
	struct ib_qp_attr attr = { .qp_state = IB_QPS_ERR };
	unsigned int noio = memalloc_noio_save();

	if (q->accepted)
		rdma_disconnect(q->cm_id);
	ib_modify_qp(q->qp, &attr, IB_QP_STATE);
	memalloc_noio_restore(noio);
	nvtgt_rdma_queue_event(q, NVTGT_RDMA_F_ERROR);
}

/* The queue pair gives everything back: what stands behind it all comes back last. */
static void nvtgt_rdma_drain(struct nvtgt_rdma_queue *q)
{
	q->draining = true;
	nvtgt_rdma_post_drain(q);
	if (q->rx->srq) {
		if (test_bit(NVTGT_RDMA_F_LAST_WQE, &q->flags))
			q->rq_drained = true;
		q->drain_deadline = jiffies + msecs_to_jiffies(NVTGT_RDMA_LAST_WQE_MS);
		mod_timer(&q->timer, q->drain_deadline);
	}
}

/**
 * nvtgt_rdma_try_leave - leave the reactor if nothing is in flight any more
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_try_leave(struct nvtgt_rdma_queue *q)
{
	if (q->state != NVTGT_RDMA_CLOSING || !q->sq_drained || !q->rq_drained)
		return;
	nvtgt_rdma_drop_posted(q);
	if (q->queue.nr_inflight)
		return;
	q->state = NVTGT_RDMA_LEFT;
	nvtgt_source_fix(&q->source);
	list_del_init(&q->queue.flush);
	queue_work(nvtgt_rdma_wq, &q->teardown_work);
}

static bool nvtgt_rdma_events(struct nvtgt_rdma_queue *q)
{
	if (test_and_clear_bit(NVTGT_RDMA_F_TIMER, &q->flags))
		nvtgt_rdma_check_timer(q);
	if (test_bit(NVTGT_RDMA_F_ESTABLISHED, &q->flags) && q->state == NVTGT_RDMA_CONNECTING) {
		q->state = NVTGT_RDMA_LIVE;
		nvtgt_rdma_run_wait(q);
	}
	/* a queue pair that is well does not say that it takes no more */
	if (test_bit(NVTGT_RDMA_F_DISCONNECT, &q->flags) ||
	    test_bit(NVTGT_RDMA_F_LAST_WQE, &q->flags))
		nvtgt_rdma_close(q);
	if (q->state == NVTGT_RDMA_CLOSING && test_bit(NVTGT_RDMA_F_ERROR, &q->flags)) {
		if (!q->draining)
			nvtgt_rdma_drain(q);
		if (test_bit(NVTGT_RDMA_F_LAST_WQE, &q->flags))
			q->rq_drained = true;
	}
	return q->state != NVTGT_RDMA_LEFT;
}

/* Does a command wait for the sends? Otherwise the next capsule, or the timer, is soon enough. */
static bool nvtgt_rdma_awaits_sends(const struct nvtgt_rdma_queue *q)
{
	return q->nr_awaited || q->sq_full || q->state == NVTGT_RDMA_CLOSING ||
	       !list_empty(&q->rx_wait) || !list_empty(&q->mem_wait);
}

static bool nvtgt_rdma_receive(struct nvtgt_source *source)
{
	struct nvtgt_rdma_queue *q = container_of(source, struct nvtgt_rdma_queue, source);
	bool found, more = false;

	if (q->state == NVTGT_RDMA_SETUP || q->state == NVTGT_RDMA_LEFT)
		return false;
	if (unlikely(q->flags) && !nvtgt_rdma_events(q))
		return false;
	found = nvtgt_rdma_reap(q, &more);
	if (unlikely(q->state >= NVTGT_RDMA_CLOSING)) {
		nvtgt_rdma_try_leave(q);
		if (q->state == NVTGT_RDMA_LEFT)
			return false;
	}
	nvtgt_rdma_run_wait(q);
	/* a command whose receive had waited may have posted its buffer again */
	nvtgt_rdma_rx_post(q->rx);
	if (more)
		return true;
	if (nvtgt_rdma_awaits_sends(q))
		nvtgt_source_poll(source, found);
	return false;
}

static bool nvtgt_rdma_arm(struct nvtgt_source *source)
{
	struct nvtgt_rdma_queue *q = container_of(source, struct nvtgt_rdma_queue, source);

	if (q->state == NVTGT_RDMA_LEFT)
		return false;
	return ib_req_notify_cq(q->send_cq, IB_CQ_NEXT_COMP | IB_CQ_REPORT_MISSED_EVENTS) > 0;
}

static void nvtgt_rdma_release(struct nvtgt_source *source)
{
	struct nvtgt_rdma_queue *q = container_of(source, struct nvtgt_rdma_queue, source);

	complete(&q->gone);
}

/* The last capsules of this connection that others' completion queue holds. */
static void nvtgt_rdma_flush_rx(void *arg)
{
	struct nvtgt_rdma_queue *q = arg;

	nvtgt_rdma_rx_flush(q->rx);
	nvtgt_rdma_rx_post(q->rx);
}

static void nvtgt_rdma_leave(void *arg)
{
	struct nvtgt_rdma_queue *q = arg;

	nvtgt_source_del(&q->source);
}

/* It counts no more; the last one out tells. */
static void nvtgt_rdma_uncount(struct nvtgt_rdma_queue *q)
{
	mutex_lock(&nvtgt_rdma_lock);
	list_del_init(&q->entry);
	q->dev->nr_queues--;
	nvtgt_rdma_nr_queues--;
	wake_up_all(&nvtgt_rdma_gone);
	mutex_unlock(&nvtgt_rdma_lock);
}

static void nvtgt_rdma_free_queue(struct nvtgt_rdma_queue *q)
{
	nvtgt_rdma_free_cmds(q);
	nvtgt_rdma_uncount(q);
	kfree(q);
}

/*
 * Is the queue pair to be reset before it is destroyed?
 *
 * While rxe resets one, a packet that the peer sends at that moment may stay unseen in its queue.
 * It holds both queue pairs, and destroying either waits 50 seconds for it. In the error
 * state rxe sees every packet, and it completes no receive after it has reported the last.
 */
static bool nvtgt_rdma_needs_reset(const struct nvtgt_rdma_queue *q)
{
	if (q->dev->ib->ops.driver_id != RDMA_DRIVER_RXE)
		return true;
	return q->rx->srq && !test_bit(NVTGT_RDMA_F_LAST_WQE, &q->flags);
}

static void nvtgt_rdma_teardown_work(struct work_struct *work)
{
	struct nvtgt_rdma_queue *q = container_of(work, struct nvtgt_rdma_queue, teardown_work);
	struct nvtgt_reactor *reactor = q->queue.reactor;
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RESET };
	unsigned int noio = memalloc_noio_save();

	/* its last word to the reactor may have been heard before it was out */
	cancel_work_sync(&q->disconnect_work);
	/*
	 * Some devices drop what they have completed, with its memory, when the queue
	 * pair is reset; others may complete something until then.
	 */
	nvtgt_rdma_run(reactor, nvtgt_rdma_flush_rx, q);
	/* where that state is not to be had (iWARP), the error state must do */
	if (nvtgt_rdma_needs_reset(q))
		ib_modify_qp(q->qp, &attr, IB_QP_STATE);
	nvtgt_rdma_run(reactor, nvtgt_rdma_flush_rx, q);
	rdma_destroy_qp(q->cm_id);
	/* while the queue holds its port, and that the network namespace */
	rdma_destroy_id(q->cm_id);
	ib_destroy_cq(q->send_cq);
	timer_delete_sync(&q->timer);
	nvtgt_queue_destroy(&q->queue);
	mutex_lock(&nvtgt_rdma_lock);
	list_del_init(&q->entry);
	mutex_unlock(&nvtgt_rdma_lock);
	nvtgt_rdma_run(reactor, nvtgt_rdma_leave, q);
	wait_for_completion(&q->gone);
	nvtgt_rdma_rx_put(q->rx);
	nvtgt_reactor_put(reactor);
	nvtgt_rdma_free_queue(q);
	memalloc_noio_restore(noio);
}

static int nvtgt_rdma_create_qp(struct nvtgt_rdma_queue *q)
{
	struct ib_cq_init_attr cq_attr = {
		/*
		 * When the queue pair fails each of them has a completion; what registers
		 * a signature memory region is up to four for the device.
		 */
		.cqe		= q->sq_size + (q->pi ? 3 * q->max_open : 0),
		.comp_vector	= nvtgt_rdma_comp_vector(q->dev, q->queue.reactor),
	};
	struct ib_qp_init_attr attr = {
		.event_handler	= nvtgt_rdma_qp_event,
		.qp_context	= q,
		.recv_cq	= q->rx->cq,
		.srq		= q->rx->srq,
		.cap = {
			.max_send_wr	= q->sq_size,
			.max_send_sge	= q->dev->max_sge,
			.max_rdma_ctxs	= q->dev->needs_mr || q->pi ? q->max_open : 0,
			.max_recv_wr	= q->rx->srq ? 0 : q->rx->max_recvs + 1,
			.max_recv_sge	= q->rx->srq ? 0 : 1 + q->rx->nr_pages,
		},
		.sq_sig_type	= IB_SIGNAL_REQ_WR,
		.port_num	= q->cm_id->port_num,
		.qp_type	= IB_QPT_RC,
		.create_flags	= q->pi ? IB_QP_CREATE_INTEGRITY_EN : 0,
	};
	int ret;

	q->send_cq = ib_create_cq(q->dev->ib, nvtgt_rdma_sent, NULL, q, &cq_attr);
	if (IS_ERR(q->send_cq))
		return PTR_ERR(q->send_cq);
	attr.send_cq = q->send_cq;
	ret = rdma_create_qp(q->cm_id, q->dev->pd, &attr);
	if (ret)
		goto destroy_cq;
	q->qp = q->cm_id->qp;
	if (!q->rx->srq) {
		ret = nvtgt_rdma_rx_fill(q->rx);
		if (ret)
			goto destroy_qp;
	}
	return 0;

destroy_qp:
	rdma_destroy_qp(q->cm_id);
destroy_cq:
	ib_destroy_cq(q->send_cq);
	return ret;
}

static int nvtgt_rdma_accept(struct nvtgt_rdma_queue *q)
{
	struct nvme_rdma_cm_rep rep = {
		.recfmt = cpu_to_le16(NVME_RDMA_CM_FMT_1_0),
		.crqsize = cpu_to_le16(q->request.size),
	};
	struct rdma_conn_param param = {
		.private_data = &rep,
		.private_data_len = sizeof(rep),
		.initiator_depth = q->conn.initiator_depth,
		.rnr_retry_count = NVTGT_RDMA_RNR_RETRY,
		.flow_control = 1,
	};
	int ret;

	/* the default is two thirds of a second, and queues share their receives */
	rdma_set_min_rnr_timer(q->cm_id, IB_RNR_TIMER_000_32);
	rdma_lock_handler(q->cm_id);
	ret = rdma_accept(q->cm_id, &param);
	rdma_unlock_handler(q->cm_id);
	return ret;
}

/* Everything that the reactor needs. */
static int nvtgt_rdma_setup(struct nvtgt_rdma_queue *q)
{
	struct nvtgt_port *port = q->queue.port;
	struct nvtgt_reactor *reactor;
	int ret;

	reactor = nvtgt_reactor_get_near(port->cpus, ibdev_to_node(q->dev->ib));
	if (IS_ERR(reactor))
		return PTR_ERR(reactor);
	q->queue.reactor = reactor;
	q->pool = &q->dev->pools[nvtgt_reactor_cpu(reactor)];
	q->source.cpus = port->cpus;
	q->rx = nvtgt_rdma_rx_get(q, reactor);
	if (IS_ERR(q->rx)) {
		ret = PTR_ERR(q->rx);
		goto put_reactor;
	}
	ret = nvtgt_rdma_alloc_cmds(q);
	if (ret)
		goto put_rx;
	ret = nvtgt_rdma_create_qp(q);
	if (ret)
		goto put_rx;
	return 0;

put_rx:
	nvtgt_rdma_rx_put(q->rx);
put_reactor:
	nvtgt_reactor_put(reactor);
	return ret;
}

static void nvtgt_rdma_refuse(struct nvtgt_rdma_queue *q)
{
	nvtgt_rdma_reject(q->cm_id, NVME_RDMA_CM_NO_RSC);
	rdma_destroy_id(q->cm_id);
	nvtgt_queue_destroy(&q->queue);
	nvtgt_rdma_free_queue(q);
}

static void nvtgt_rdma_setup_work(struct work_struct *work)
{
	struct nvtgt_rdma_queue *q = container_of(work, struct nvtgt_rdma_queue, setup_work);
	unsigned int noio = memalloc_noio_save();
	int ret;

	ret = nvtgt_rdma_setup(q);
	if (ret) {
		nvtgt_rdma_warn(q, "no room for the connection: error %d\n", ret);
		nvtgt_rdma_refuse(q);
		goto out;
	}
	/* all others' kicks count for nothing before the one at the end */
	nvtgt_source_add(&q->source, q->queue.reactor);
	/* capsules, and the CM's word, may be there before the call returns */
	q->setup_deadline = jiffies + msecs_to_jiffies(nvtgt_rdma_setup_timeout_ms);
	mod_timer(&q->timer, q->setup_deadline);
	q->accepted = true;
	/* the reactor leaves it alone before: what it finds then has been set up */
	smp_store_release(&q->state, NVTGT_RDMA_CONNECTING);
	ret = nvtgt_rdma_accept(q);
	if (ret) {
		nvtgt_rdma_warn(q, "not accepted: error %d\n", ret);
		set_bit(NVTGT_RDMA_F_DISCONNECT, &q->flags);
	}
	/* from here on the connection is the reactor's, and may be gone at once */
	__nvtgt_source_kick(&q->source);
out:
	memalloc_noio_restore(noio);
}

static void nvtgt_rdma_queue_init(struct nvtgt_rdma_queue *q, struct rdma_cm_id *cm_id,
				  const struct rdma_conn_param *conn)
{
	q->cm_id = cm_id;
	q->half_open = true;
	q->conn.initiator_depth = min_t(int, conn->initiator_depth,
					cm_id->device->attrs.max_qp_init_rd_atom);
	INIT_LIST_HEAD(&q->free);
	INIT_LIST_HEAD(&q->rx_wait);
	INIT_LIST_HEAD(&q->mem_wait);
	INIT_LIST_HEAD(&q->tx_list);
	INIT_LIST_HEAD(&q->posted);
	INIT_LIST_HEAD(&q->waiter.node);
	q->waiter.ready = nvtgt_rdma_mem_ready;
	q->source.receive = nvtgt_rdma_receive;
	q->source.release = nvtgt_rdma_release;
	q->source.arm = nvtgt_rdma_arm;
	/* kicks count for nothing before there is a reactor */
	set_bit(NVTGT_SOURCE_KICKED, &q->source.flags);
	INIT_WORK(&q->setup_work, nvtgt_rdma_setup_work);
	INIT_WORK(&q->disconnect_work, nvtgt_rdma_disconnect_work);
	INIT_WORK(&q->teardown_work, nvtgt_rdma_teardown_work);
	init_completion(&q->gone);
	timer_setup(&q->timer, nvtgt_rdma_timer, 0);
	q->max_open = q->request.size;
	q->max_cmds = 2 * q->max_open;
	snprintf(q->host_traddr, sizeof(q->host_traddr), "%pISpc", &cm_id->route.addr.dst_addr);
}

/* Under the lock: whose device is it? Returns enum nvme_rdma_cm_status. */
static int nvtgt_rdma_count(struct nvtgt_rdma_queue *q)
{
	lockdep_assert_held(&nvtgt_rdma_lock);
	q->dev = nvtgt_rdma_find_dev(q->cm_id->device);
	if (!q->dev)
		return NVME_RDMA_CM_NO_RSC;
	nvtgt_rdma_nr_queues++;
	q->dev->nr_queues++;
	list_add_tail(&q->entry, &nvtgt_rdma_queues);
	return 0;
}

/* The CM may leave out on which link a link-local host is. */
static int nvtgt_rdma_enter(struct nvtgt_rdma_queue *q)
{
	const struct rdma_addr *from = &q->cm_id->route.addr;
	struct sockaddr_storage addr = from->dst_addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

	if (addr.ss_family == AF_INET6 && !in6->sin6_scope_id)
		in6->sin6_scope_id = from->dev_addr.bound_dev_if;
	return nvtgt_peer_enter(&nvtgt_rdma_peers, &q->queue, &addr);
}

/**
 * nvtgt_rdma_queue_create - a host wants to connect
 * @port: where it came in
 * @cm_id: the connection; stays the caller's on failure
 * @conn: what it says
 *
 * Context: the CM's thread: no more than a look and an allocation here.
 * Return: 0, or enum nvme_rdma_cm_status for the refusal
 */
int nvtgt_rdma_queue_create(struct nvtgt_port *port, struct rdma_cm_id *cm_id,
			    const struct rdma_conn_param *conn)
{
	const struct nvtgt_rdma_limits limits = {
		.max_admin = NVTGT_ADMIN_QUEUE_SIZE,
		.max_io = port->max_queue_size,
		.max_qid = NVTGT_MAX_QID,
	};
	struct nvtgt_rdma_queue *q;
	int status;

	q = kzalloc(sizeof(*q), GFP_NOIO);
	if (!q)
		return NVME_RDMA_CM_NO_RSC;
	status = nvtgt_rdma_check_request(conn->private_data, conn->private_data_len, &limits,
					  &q->request);
	/* without them nothing can be written but what comes in capsules */
	if (!status && !conn->initiator_depth)
		status = NVME_RDMA_CM_INVALID_IRD;
	if (status)
		goto free;
	nvtgt_rdma_queue_init(q, cm_id, conn);
	mutex_lock(&nvtgt_rdma_lock);
	status = nvtgt_rdma_count(q);
	mutex_unlock(&nvtgt_rdma_lock);
	if (status)
		goto free;
	/* a device that has come after the port was opened may have room for less */
	status = NVME_RDMA_CM_INVALID_HSQSIZE;
	if (q->request.size > q->dev->max_size)
		goto uncount;
	if (port->pi && !q->dev->pi)
		pr_warn_ratelimited("port %u: device %s has no signature memory regions: host gets no protection information\n",
				    port->id, dev_name(&q->dev->ib->dev));
	nvtgt_queue_init(&q->queue, port, &nvtgt_rdma_ops);
	q->queue.max_size = q->dev->max_size;
	q->queue.size_limit = q->request.size;
	q->queue.want_qid = q->request.qid;
	q->queue.pi = port->pi && q->dev->pi;
	q->pi = q->queue.pi && q->request.qid;
	q->sq_size = nvtgt_rdma_entry_wrs(q->dev->needs_mr || q->pi) * q->max_open +
		     nvtgt_rdma_max_wrs(q->dev, port);
	q->sq_free = q->sq_size - 1;	/* one for the end */
	if (nvtgt_rdma_enter(q)) {
		status = NVME_RDMA_CM_NO_RSC;
		goto destroy_queue;
	}
	cm_id->context = q;
	cm_id->event_handler = nvtgt_rdma_cm_event;
	queue_work(nvtgt_rdma_wq, &q->setup_work);
	return 0;

destroy_queue:
	nvtgt_queue_destroy(&q->queue);
uncount:
	nvtgt_rdma_uncount(q);
free:
	kfree(q);
	return status;
}

/**
 * nvtgt_rdma_disconnect - end a connection from outside
 * @queue: the connection, in its controller's list or in ours
 *
 * Context: any.
 */
void nvtgt_rdma_disconnect(struct nvtgt_queue *queue)
{
	nvtgt_rdma_queue_event(to_nvtgt_rdma_queue(queue), NVTGT_RDMA_F_DISCONNECT);
}

/**
 * nvtgt_rdma_disconnect_all - end all connections of a port, a device or a receive queue
 * @port: the port, whose listener is closed, or NULL
 * @dev: the device, which takes no new ones, or NULL
 * @rx: the receive queue, which gets no new ones and has not been freed, or NULL
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_disconnect_all(const struct nvtgt_port *port, const struct nvtgt_rdma_dev *dev,
			       const struct nvtgt_rdma_rx *rx)
{
	struct nvtgt_rdma_queue *q;

	mutex_lock(&nvtgt_rdma_lock);
	list_for_each_entry(q, &nvtgt_rdma_queues, entry)
		if ((port && q->queue.port == port) || (dev && q->dev == dev) ||
		    (rx && READ_ONCE(q->rx) == rx))
			nvtgt_rdma_disconnect(&q->queue);
	mutex_unlock(&nvtgt_rdma_lock);
}

/**
 * nvtgt_rdma_wait_no_queues - wait until connections have been freed
 * @dev: those of this device, or NULL: all
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_wait_no_queues(const struct nvtgt_rdma_dev *dev)
{
	const unsigned int *nr = dev ? &dev->nr_queues : &nvtgt_rdma_nr_queues;

	wait_event(nvtgt_rdma_gone, !READ_ONCE(*nr));
	/* the last nvtgt_rdma_uncount() may still hold the lock: wait for it */
	mutex_lock(&nvtgt_rdma_lock);
	mutex_unlock(&nvtgt_rdma_lock);
}

/**
 * nvtgt_rdma_hung_up - has the peer ended the connection, or is it ending?
 * @queue: the connection, in its controller's list
 *
 * Context: any.
 * Return: whether it is so
 */
bool nvtgt_rdma_hung_up(struct nvtgt_queue *queue)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(queue);

	return READ_ONCE(q->state) >= NVTGT_RDMA_CLOSING ||
	       test_bit(NVTGT_RDMA_F_DISCONNECT, &q->flags);
}

/**
 * nvtgt_rdma_host_traddr - the peer's address as text
 * @queue: the connection
 * @buf: where to
 * @len: room in @buf
 */
void nvtgt_rdma_host_traddr(struct nvtgt_queue *queue, char *buf, size_t len)
{
	strscpy(buf, to_nvtgt_rdma_queue(queue)->host_traddr, len);
}
