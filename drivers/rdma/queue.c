// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The life of a connection
 *
 * A connection request is judged in the CM's thread (nvtgt_rdma_queue_create());
 * setup_work makes the objects and accepts, many of them side by side. From then on
 * the reactor has the connection; the CM, the device and the timer set flags and kick.
 * The way out begins in the reactor with nvtgt_rdma_close().
 *
 * struct nvtgt_conn tells what may still see the connection then. The wire's part of it:
 *  1. the device, through what was posted: disconnect_work sets the queue pair's
 *     error state, the last work requests are posted behind all others, and when
 *     they have completed, all have. Of a shared receive queue the device tells when
 *     the queue pair takes nothing more, or a time has to pass. Then
 *     nvtgt_rdma_try_leave() lets the connection leave
 *  2. the receive side's completion queue, which other queue pairs use as well: when the
 *     queue pair has been reset, nvtgt_rdma_end() lets the reactor take all that is there
 *  3. the CM, and the sends' completion queue: nvtgt_rdma_end() destroys them
 *
 * Hosts wait for these work items with what they write, and one of the hosts may be this
 * machine, which writes to have memory: no allocation of a work item starts I/O.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "rdma.h"

#define NVTGT_RDMA_LAST_WQE_MS	2000	/* for devices that do not tell */
#define NVTGT_RDMA_RNR_RETRY	7	/* for ever: the host posts receives for all its commands */

/* protects devices and what counts their queues; conns->lock is taken inside */
DEFINE_MUTEX(nvtgt_rdma_lock);

/* Events of a connection. */
static int nvtgt_rdma_cm_event(struct rdma_cm_id *cm_id, struct rdma_cm_event *event)
{
	struct nvtgt_rdma_queue *q = cm_id->context;

	switch (event->event) {
	case RDMA_CM_EVENT_ESTABLISHED:
		nvtgt_conn_event(&q->conn, NVTGT_RDMA_F_ESTABLISHED);
		break;
	case RDMA_CM_EVENT_DISCONNECTED:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
	case RDMA_CM_EVENT_REJECTED:
	case RDMA_CM_EVENT_UNREACHABLE:
	case RDMA_CM_EVENT_CONNECT_ERROR:
	case RDMA_CM_EVENT_ADDR_CHANGE:
		nvtgt_conn_event(&q->conn, NVTGT_CONN_F_DISCONNECT);
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
		nvtgt_conn_event(&q->conn, NVTGT_RDMA_F_LAST_WQE);
		break;
	case IB_EVENT_QP_FATAL:
	case IB_EVENT_QP_REQ_ERR:
	case IB_EVENT_QP_ACCESS_ERR:
		nvtgt_rdma_warn(q, "%s\n", ib_event_msg(event->event));
		nvtgt_conn_event(&q->conn, NVTGT_CONN_F_DISCONNECT);
		break;
	default:
		break;
	}
}

static void nvtgt_rdma_sent(struct ib_cq *cq, void *context)
{
	struct nvtgt_rdma_queue *q = context;

	nvtgt_source_kick(&q->conn.source);
}

/**
 * nvtgt_rdma_set_timer - have the sends' completions looked for soon, waited for or not
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_set_timer(struct nvtgt_rdma_queue *q)
{
	nvtgt_conn_look_by(&q->conn, jiffies + msecs_to_jiffies(NVTGT_RDMA_REAP_MS));
}

/* A connection that ends: has its queue pair had its time to report the last WQE? */
static void nvtgt_rdma_check_drain(struct nvtgt_rdma_queue *q)
{
	if (!q->draining || !q->rx->srq)
		return;
	if (time_after_eq(jiffies, q->drain_deadline))
		q->rq_drained = true;	/* it will not come any more */
	else
		nvtgt_conn_look_by(&q->conn, q->drain_deadline);
}

/**
 * nvtgt_rdma_timer - the timer has fired: has something taken too long?
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_rdma_timer(struct nvtgt_conn *conn)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(&conn->queue);
	struct nvtgt_rdma_cmd *first;

	if (conn->state >= NVTGT_CONN_CLOSING) {
		if (conn->state == NVTGT_CONN_CLOSING)
			nvtgt_rdma_check_drain(q);
		return;
	}
	if (list_empty(&q->posted) && list_empty(&q->rx_wait))
		return;
	first = list_first_entry_or_null(&q->posted, struct nvtgt_rdma_cmd, req.entry);
	if (first && time_after_eq(jiffies, first->posted_at +
				   msecs_to_jiffies(conn->conns->data_timeout_ms))) {
		nvtgt_rdma_warn(q, "command %#x, %s: not taken within %u ms, closed\n",
				le16_to_cpu((__force __le16)first->sqe.common.command_id),
				nvtgt_req_state_names[first->req.state],
				conn->conns->data_timeout_ms);
		nvtgt_rdma_close(conn);
		return;
	}
	nvtgt_rdma_set_timer(q);
}

/**
 * nvtgt_rdma_close - end a connection
 * @conn: in any state; nothing happens when it is on its way out already
 *
 * Context: the reactor.
 */
void nvtgt_rdma_close(struct nvtgt_conn *conn)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(&conn->queue);

	/* setup_work has it; the reactor closes it afterwards */
	if (conn->state == NVTGT_CONN_SETUP) {
		set_bit(NVTGT_CONN_F_DISCONNECT, &conn->flags);
		return;
	}
	if (!nvtgt_conn_begin_end(conn, NVTGT_CONN_CLOSING))
		return;
	nvtgt_rdma_drop_cmds(q);
	queue_work(nvtgt_rdma_conns.wq, &q->disconnect_work);
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
	nvtgt_conn_event(&q->conn, NVTGT_RDMA_F_ERROR);
}

/* The queue pair flushes all work requests: post the ones that come back last. */
static void nvtgt_rdma_drain(struct nvtgt_rdma_queue *q)
{
	q->draining = true;
	nvtgt_rdma_post_drain(q);
	if (q->rx->srq) {
		if (test_bit(NVTGT_RDMA_F_LAST_WQE, &q->conn.flags))
			q->rq_drained = true;
		q->drain_deadline = jiffies + msecs_to_jiffies(NVTGT_RDMA_LAST_WQE_MS);
		nvtgt_conn_look_by(&q->conn, q->drain_deadline);
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
	if (q->conn.state != NVTGT_CONN_CLOSING || !q->sq_drained || !q->rq_drained)
		return;
	nvtgt_rdma_drop_posted(q);
	nvtgt_conn_try_leave(&q->conn);
}

static bool nvtgt_rdma_events(struct nvtgt_rdma_queue *q)
{
	nvtgt_conn_take_events(&q->conn);
	if (test_and_clear_bit(NVTGT_RDMA_F_ESTABLISHED, &q->conn.flags) &&
	    q->conn.state == NVTGT_CONN_OPENING) {
		nvtgt_conn_set_state(&q->conn, NVTGT_CONN_LIVE);
		nvtgt_rdma_run_wait(q);
	}
	/* a queue pair reports its last WQE in the error state only */
	if (test_bit(NVTGT_RDMA_F_LAST_WQE, &q->conn.flags))
		nvtgt_rdma_close(&q->conn);
	if (q->conn.state == NVTGT_CONN_CLOSING && test_bit(NVTGT_RDMA_F_ERROR, &q->conn.flags)) {
		if (!q->draining)
			nvtgt_rdma_drain(q);
		if (test_bit(NVTGT_RDMA_F_LAST_WQE, &q->conn.flags))
			q->rq_drained = true;
	}
	return q->conn.state != NVTGT_CONN_LEFT;
}

/* Does a command wait for a send's completion? If not, the next capsule or the timer looks. */
static bool nvtgt_rdma_awaits_sends(const struct nvtgt_rdma_queue *q)
{
	return q->nr_awaited || q->sq_full || q->conn.state == NVTGT_CONN_CLOSING ||
	       !list_empty(&q->rx_wait) || !list_empty(&q->conn.mem_wait);
}

static bool nvtgt_rdma_receive(struct nvtgt_source *source)
{
	struct nvtgt_rdma_queue *q = container_of(source, struct nvtgt_rdma_queue, conn.source);
	bool found, more = false;

	if (q->conn.state == NVTGT_CONN_SETUP || q->conn.state == NVTGT_CONN_LEFT)
		return false;
	if (unlikely(q->conn.flags) && !nvtgt_rdma_events(q))
		return false;
	found = nvtgt_rdma_reap(q, &more);
	if (unlikely(q->conn.state >= NVTGT_CONN_CLOSING)) {
		nvtgt_rdma_try_leave(q);
		if (q->conn.state == NVTGT_CONN_LEFT)
			return false;
	}
	nvtgt_rdma_run_wait(q);
	/* buffers of capsules and commands that had waited may have been chained */
	nvtgt_rdma_rx_post(q->rx);
	if (more)
		return true;
	if (nvtgt_rdma_awaits_sends(q))
		nvtgt_source_poll(source, found);
	return false;
}

static bool nvtgt_rdma_arm(struct nvtgt_source *source)
{
	struct nvtgt_rdma_queue *q = container_of(source, struct nvtgt_rdma_queue, conn.source);

	if (q->conn.state == NVTGT_CONN_LEFT)
		return false;
	return ib_req_notify_cq(q->send_cq, IB_CQ_NEXT_COMP | IB_CQ_REPORT_MISSED_EVENTS) > 0;
}

/* Takes the last receive completions of a connection; other connections' may be among them. */
static void nvtgt_rdma_flush_rx(void *arg)
{
	struct nvtgt_rdma_queue *q = arg;

	nvtgt_rdma_rx_flush(q->rx);
	nvtgt_rdma_rx_post(q->rx);
}

/*
 * Is the queue pair to be reset before it is destroyed?
 *
 * While rxe resets one, a packet that the peer sends at that moment may stay unseen in its queue.
 * The packet holds both queue pairs, and destroying either waits 50 seconds for it. In the error
 * state rxe sees every packet, and it completes no receive after it has reported the last.
 */
static bool nvtgt_rdma_needs_reset(const struct nvtgt_rdma_queue *q)
{
	if (q->dev->ib->ops.driver_id != RDMA_DRIVER_RXE)
		return true;
	return q->rx->srq && !test_bit(NVTGT_RDMA_F_LAST_WQE, &q->conn.flags);
}

/**
 * nvtgt_rdma_end - destroy what the device and the CM have of a connection
 * @conn: the connection, with nothing posted
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_end(struct nvtgt_conn *conn)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(&conn->queue);
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RESET };
	struct nvtgt_reactor *reactor = conn->queue.reactor;

	/* the reactor may have seen F_ERROR before disconnect_work had returned from setting it */
	cancel_work_sync(&q->disconnect_work);
	/*
	 * Some devices drop what they have completed, with its memory, when the queue
	 * pair is reset; others may complete something until then.
	 */
	nvtgt_rdma_run(reactor, nvtgt_rdma_flush_rx, q);
	/* where a device refuses that state (iWARP), the error state must do */
	if (nvtgt_rdma_needs_reset(q))
		ib_modify_qp(q->qp, &attr, IB_QP_STATE);
	nvtgt_rdma_run(reactor, nvtgt_rdma_flush_rx, q);
	rdma_destroy_qp(q->cm_id);
	rdma_destroy_id(q->cm_id);
	ib_destroy_cq(q->send_cq);
}

static void nvtgt_rdma_free_cqes(struct nvtgt_rdma_queue *q)
{
	if (q->cqes)
		ib_dma_unmap_single(q->dev->ib, q->cqes_addr,
				    2 * q->request.size * sizeof(*q->cqes), DMA_TO_DEVICE);
	kfree(q->cqes);
}

/* A completion queue entry for each command, and for each response that is under way. */
static int nvtgt_rdma_alloc_cqes(struct nvtgt_rdma_queue *q)
{
	unsigned int nr = 2 * q->request.size;
	struct ib_device *ib = q->dev->ib;
	int ret;

	ret = nvtgt_conn_reserve(&q->conn, nr);
	if (ret)
		return ret;
	q->cqes = kcalloc(nr, sizeof(*q->cqes), GFP_KERNEL);
	if (!q->cqes)
		return -ENOMEM;
	q->cqes_addr = ib_dma_map_single(ib, q->cqes, nr * sizeof(*q->cqes), DMA_TO_DEVICE);
	if (!ib_dma_mapping_error(ib, q->cqes_addr))
		return 0;
	kfree(q->cqes);
	q->cqes = NULL;
	return -ENOMEM;
}

/**
 * nvtgt_rdma_free - the last of a connection
 * @conn: the connection; it may never have been set up
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_free(struct nvtgt_conn *conn)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(&conn->queue);

	if (q->rx)
		nvtgt_rdma_rx_put(q->rx);
	nvtgt_rdma_free_cqes(q);
	mutex_lock(&nvtgt_rdma_lock);
	q->dev->nr_queues--;
	mutex_unlock(&nvtgt_rdma_lock);
	kfree(q);
}

/**
 * nvtgt_rdma_show - what a connection has cost
 * @conn: the connection
 * @m: where to
 */
void nvtgt_rdma_show(struct nvtgt_conn *conn, struct seq_file *m)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(&conn->queue);

	seq_printf(m, " device %s posts %llu requests %llu completions %llu",
		   dev_name(&q->dev->ib->dev), READ_ONCE(q->nr_posts), READ_ONCE(q->nr_wrs),
		   READ_ONCE(q->nr_wcs));
}

static int nvtgt_rdma_create_qp(struct nvtgt_rdma_queue *q)
{
	struct ib_cq_init_attr cq_attr = {
		/*
		 * When the queue pair fails each work request has a completion; one that
		 * registers a signature memory region is up to four for the device.
		 */
		.cqe		= q->sq_size + (q->pi ? 3 * q->max_open : 0),
		.comp_vector	= nvtgt_rdma_comp_vector(q->dev, q->conn.queue.reactor),
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
		.initiator_depth = q->initiator_depth,
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

/* Everything that the reactor needs. On failure nvtgt_conn_refuse() gives it back. */
static int nvtgt_rdma_setup(struct nvtgt_rdma_queue *q)
{
	struct nvtgt_port *port = q->conn.queue.port;
	struct nvtgt_reactor *reactor;
	struct nvtgt_rdma_rx *rx;
	int ret;

	reactor = nvtgt_reactor_get_near(port->cpus, ibdev_to_node(q->dev->ib));
	if (IS_ERR(reactor))
		return PTR_ERR(reactor);
	q->conn.queue.reactor = reactor;
	q->pool = &q->dev->pools[nvtgt_reactor_cpu(reactor)];
	rx = nvtgt_rdma_rx_get(q, reactor);
	if (IS_ERR(rx))
		return PTR_ERR(rx);
	/* nvtgt_rdma_is_rx() may read it meanwhile */
	WRITE_ONCE(q->rx, rx);
	ret = nvtgt_rdma_alloc_cqes(q);
	if (ret)
		return ret;
	return nvtgt_rdma_create_qp(q);
}

static void nvtgt_rdma_refuse(struct nvtgt_rdma_queue *q)
{
	nvtgt_rdma_reject(q->cm_id, NVME_RDMA_CM_NO_RSC);
	rdma_destroy_id(q->cm_id);
	nvtgt_conn_refuse(&q->conn);
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
	/* capsules and RDMA_CM_EVENT_ESTABLISHED may come before nvtgt_rdma_accept() returns */
	q->accepted = true;
	nvtgt_conn_start(&q->conn, q->conn.queue.reactor);
	ret = nvtgt_rdma_accept(q);
	if (ret) {
		nvtgt_rdma_warn(q, "not accepted: error %d\n", ret);
		set_bit(NVTGT_CONN_F_DISCONNECT, &q->conn.flags);
	}
	nvtgt_conn_go(&q->conn);
out:
	memalloc_noio_restore(noio);
}

static void nvtgt_rdma_queue_init(struct nvtgt_rdma_queue *q, struct rdma_cm_id *cm_id,
				  const struct rdma_conn_param *param)
{
	q->cm_id = cm_id;
	q->initiator_depth = min_t(int, param->initiator_depth,
				   cm_id->device->attrs.max_qp_init_rd_atom);
	INIT_LIST_HEAD(&q->rx_wait);
	INIT_LIST_HEAD(&q->tx_list);
	INIT_LIST_HEAD(&q->posted);
	q->conn.source.receive = nvtgt_rdma_receive;
	q->conn.source.arm = nvtgt_rdma_arm;
	INIT_WORK(&q->setup_work, nvtgt_rdma_setup_work);
	INIT_WORK(&q->disconnect_work, nvtgt_rdma_disconnect_work);
	q->max_open = q->request.size;
}

/* The CM may leave out on which link a link-local host is. */
static struct sockaddr_storage nvtgt_rdma_host_addr(const struct rdma_cm_id *cm_id)
{
	const struct rdma_addr *from = &cm_id->route.addr;
	struct sockaddr_storage addr = from->dst_addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr;

	if (addr.ss_family == AF_INET6 && !in6->sin6_scope_id)
		in6->sin6_scope_id = from->dev_addr.bound_dev_if;
	return addr;
}

/*
 * From here on the connection counts, for its device as well. Either
 * nvtgt_rdma_disconnect_dev() finds the connection in the list, or this function finds the
 * device dying and refuses the connection. Returns enum nvme_rdma_cm_status.
 */
static int nvtgt_rdma_enter(struct nvtgt_rdma_queue *q, struct nvtgt_port *port)
{
	const struct sockaddr_storage addr = nvtgt_rdma_host_addr(q->cm_id);

	lockdep_assert_held(&nvtgt_rdma_lock);
	q->dev = nvtgt_rdma_find_dev(q->cm_id->device);
	if (!q->dev)
		return NVME_RDMA_CM_NO_RSC;
	/* a device that has come after the port was opened may have room for less */
	if (q->request.size > q->dev->max_size)
		return NVME_RDMA_CM_INVALID_HSQSIZE;
	if (nvtgt_conn_init(&q->conn, port, &nvtgt_rdma_ops, &addr))
		return NVME_RDMA_CM_NO_RSC;
	q->dev->nr_queues++;
	return 0;
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
	/* without RDMA READs nothing can be written but what comes in capsules */
	if (!status && !conn->initiator_depth)
		status = NVME_RDMA_CM_INVALID_IRD;
	if (status)
		goto free;
	nvtgt_rdma_queue_init(q, cm_id, conn);
	mutex_lock(&nvtgt_rdma_lock);
	status = nvtgt_rdma_enter(q, port);
	mutex_unlock(&nvtgt_rdma_lock);
	if (status)
		goto free;
	if (port->pi && !q->dev->pi)
		pr_warn_ratelimited("port %u: device %s has no signature memory regions: host gets no protection information\n",
				    port->id, dev_name(&q->dev->ib->dev));
	q->conn.queue.max_size = q->dev->max_size;
	q->conn.queue.size_limit = q->request.size;
	q->conn.queue.want_qid = q->request.qid;
	q->conn.queue.pi = port->pi && q->dev->pi;
	q->pi = q->conn.queue.pi && q->request.qid;
	q->sq_size = nvtgt_rdma_entry_wrs(q->dev->needs_mr || q->pi) * q->max_open +
		     nvtgt_rdma_max_wrs(q->dev, port);
	q->sq_free = q->sq_size - 1;	/* one for sq_drain */
	cm_id->context = q;
	cm_id->event_handler = nvtgt_rdma_cm_event;
	queue_work(nvtgt_rdma_conns.wq, &q->setup_work);
	return 0;

free:
	kfree(q);
	return status;
}

static bool nvtgt_rdma_is_dev(struct nvtgt_conn *conn, const void *dev)
{
	return to_nvtgt_rdma_queue(&conn->queue)->dev == dev;
}

/**
 * nvtgt_rdma_disconnect_dev - end all connections of a device
 * @dev: the device, which gets no new ones
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_disconnect_dev(const struct nvtgt_rdma_dev *dev)
{
	nvtgt_conns_disconnect(&nvtgt_rdma_conns, nvtgt_rdma_is_dev, dev);
}

static bool nvtgt_rdma_is_rx(struct nvtgt_conn *conn, const void *rx)
{
	return READ_ONCE(to_nvtgt_rdma_queue(&conn->queue)->rx) == rx;
}

/**
 * nvtgt_rdma_disconnect_rx - end all connections of a receive queue
 * @rx: the receive queue, which gets no new ones and has not been freed
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_disconnect_rx(const struct nvtgt_rdma_rx *rx)
{
	nvtgt_conns_disconnect(&nvtgt_rdma_conns, nvtgt_rdma_is_rx, rx);
}

/**
 * nvtgt_rdma_wait_no_queues - wait until a device's connections have been freed
 * @dev: the device, which gets no new ones
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_wait_no_queues(const struct nvtgt_rdma_dev *dev)
{
	wait_event(nvtgt_rdma_conns.gone, !READ_ONCE(dev->nr_queues));
	/* the last nvtgt_rdma_free() may still hold the lock: wait for it */
	mutex_lock(&nvtgt_rdma_lock);
	mutex_unlock(&nvtgt_rdma_lock);
}
