// SPDX-License-Identifier: GPL-2.0
/*
 * Queues: a connection's share of the core.
 *
 * What may still use a queue when it goes away, and what ends that (struct nvtgt_conn
 * describes the same for the connection around it, and for the reactor, which is last):
 *  1. requests in flight: the connection leaves its reactor when nr_inflight is 0;
 *     nvtgt_queue_stop() completes the ones that would wait for ever (AERs)
 *  2. new connections that need its room and call nvtgt_conn_disconnect():
 *     nvtgt_queue_destroy() takes it out of its peer's list under conns->peer_lock
 *  3. threads that find it in ctrl->queues[] (nvtgt_ctrl_disconnect_queues(), Abort, keep
 *     alive, debugfs): they hold ctrl->lock, under which nvtgt_queue_destroy() takes it out
 */
#include "object.h"

/**
 * nvtgt_queue_init - the core's part of a new connection
 * @queue: zeroed
 * @port: where the host came in; a reference is taken
 * @ops: the transport
 *
 * nvtgt_conn_start() sets queue->reactor, if the transport has not.
 *
 * Context: process.
 */
void nvtgt_queue_init(struct nvtgt_queue *queue, struct nvtgt_port *port,
		      const struct nvtgt_transport_ops *ops)
{
	queue->ops = ops;
	queue->port = port;
	queue->want_qid = -1;
	INIT_LIST_HEAD(&queue->flush);
	INIT_LIST_HEAD(&queue->peer_entry);
	INIT_LIST_HEAD(&queue->late);
	nvtgt_port_get(port);
}

/**
 * nvtgt_queue_max_size - most entries that the host's I/O queues may have
 * @queue: one of its queues
 *
 * Return: what the port allows, or less if the transport has not as much room
 */
u16 nvtgt_queue_max_size(const struct nvtgt_queue *queue)
{
	u16 max = queue->port->max_queue_size;

	return queue->max_size ? min(max, queue->max_size) : max;
}

/**
 * nvtgt_queue_stop - nothing more will be received, and nothing begins
 * @queue: the queue; its connection's state is ENDING or CLOSING already
 *
 * Completes the requests that wait for an event to happen, or for a worker, so that
 * everything in flight ends by itself. With an admin queue its controller ends: the
 * other queues are disconnected at once, for the host may come back at once. May be
 * called repeatedly.
 *
 * Context: the reactor of the queue.
 */
void nvtgt_queue_stop(struct nvtgt_queue *queue)
{
	if (queue->stopped)
		return;
	WRITE_ONCE(queue->stopped, true);
	nvtgt_conn_stop_reqs(to_nvtgt_conn(queue));
	if (queue->ctrl && (queue->qid || queue->ops->pcie)) {
		if (!queue->qid)
			nvtgt_event_flush_aers(queue->ctrl);
		nvtgt_queue_late_known(queue);
	} else if (queue->ctrl) {
		nvtgt_ctrl_delete(queue->ctrl);
		nvtgt_event_flush_aers(queue->ctrl);
	}
}

/**
 * nvtgt_queue_destroy - the connection is gone
 * @queue: stopped, with nothing in flight; or never started
 *
 * With an admin queue its controller's other queues are disconnected.
 *
 * Context: process, may sleep.
 */
void nvtgt_queue_destroy(struct nvtgt_queue *queue)
{
	struct nvtgt_ctrl *ctrl = queue->ctrl;

	WARN_ON_ONCE(queue->nr_inflight || queue->ns || !list_empty(&queue->flush));
	WARN_ON_ONCE(!list_empty(&queue->late));
	nvtgt_peer_leave(queue);
	if (ctrl) {
		nvtgt_ctrl_del_queue(ctrl, queue, queue->qid);
		if (!queue->qid && !queue->ops->pcie) {
			nvtgt_ctrl_stop_ka(ctrl);
			nvtgt_ctrl_delete(ctrl);
		}
		nvtgt_ctrl_put(ctrl);
		queue->ctrl = NULL;
	}
	nvtgt_port_put(queue->port);
}
