// SPDX-License-Identifier: GPL-2.0
/*
 * A reactor's pass, as far as it is about queues and requests: results go to the
 * transports, devices that do not announce a completion are polled, what is ready is sent.
 * The reactor calls these through nvtgt_pass_hooks.
 */
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/llist.h>
#include "object.h"

#define NVTGT_POLL_LOOKS	8	/* requests looked at in a pass */

/**
 * nvtgt_queue_move - a queue goes with its source
 * @queue: the queue
 * @to: the reactor that it will belong to
 *
 * The results of what is in flight come to this reactor, or to the new one.
 *
 * Context: the reactor of the queue, in source->move().
 */
void nvtgt_queue_move(struct nvtgt_queue *queue, struct nvtgt_reactor *to)
{
	list_del_init(&queue->flush);
	/*
	 * From here on results and Aborts go to the new reactor, which may so handle the
	 * queue before it takes the kick. Pairs with nvtgt_pass_respond(), nvtgt_abort_call().
	 */
	smp_store_release(&queue->reactor, to);
}

static void nvtgt_pass_respond(struct nvtgt_reactor *reactor, struct nvtgt_req *req)
{
	/* pairs with nvtgt_queue_move() */
	struct nvtgt_reactor *owner = smp_load_acquire(&req->queue->reactor);

	if (unlikely(req->polled)) {
		list_del(&req->poll_entry);
		req->polled = false;
		reactor->poll_since = 0;
	}
	/* the queue has moved while the command was in flight */
	if (unlikely(owner != reactor)) {
		if (llist_add(&req->done_node, &owner->done))
			nvtgt_reactor_wake(owner);
		return;
	}
	nvtgt_req_set_state(req, NVTGT_REQ_RESPONDING);
	if (unlikely(req->came_back))
		req->came_back(req);
	if (req->ns)
		nvtgt_req_put_ns(req);
	req->queue->ops->respond(req);
}

/* Hands all results to their transports. */
static void nvtgt_pass_take_done(struct nvtgt_reactor *reactor)
{
	struct nvtgt_req *req, *next;

	if (!llist_empty(&reactor->done)) {
		struct llist_node *list = llist_reverse_order(llist_del_all(&reactor->done));

		llist_for_each_entry_safe(req, next, list, done_node)
			nvtgt_pass_respond(reactor, req);
	}
	while (!list_empty(&reactor->local_done)) {
		req = list_first_entry(&reactor->local_done, struct nvtgt_req, entry);
		list_del_init(&req->entry);
		nvtgt_pass_respond(reactor, req);
	}
}

/**
 * nvtgt_queue_want_flush - ask for ops->flush() in this pass
 * @queue: the queue
 *
 * Context: the reactor of the queue.
 */
void nvtgt_queue_want_flush(struct nvtgt_queue *queue)
{
	if (list_empty(&queue->flush))
		list_add_tail(&queue->flush, &queue->reactor->flush);
}
EXPORT_SYMBOL_GPL(nvtgt_queue_want_flush);

/* Lets each queue that has something to send do so once. */
static void nvtgt_pass_flush(struct nvtgt_reactor *reactor)
{
	struct nvtgt_queue *queue;
	LIST_HEAD(turn);

	list_splice_init(&reactor->flush, &turn);
	while (!list_empty(&turn)) {
		queue = list_first_entry(&turn, struct nvtgt_queue, flush);
		list_del_init(&queue->flush);
		queue->ops->flush(queue);
	}
}

/**
 * nvtgt_req_in_reactor - does the caller run in the thread of a request's reactor?
 * @req: executing
 *
 * Return: false also in an interrupt on top of it
 */
bool nvtgt_req_in_reactor(const struct nvtgt_req *req)
{
	return nvtgt_is_reactor(READ_ONCE(req->queue->reactor));
}
EXPORT_SYMBOL_GPL(nvtgt_req_in_reactor);

/**
 * nvtgt_req_poll - a request's completion will not be announced: poll for it
 * @req: executing, not yet given to the device
 *
 * From here on the reactor calls ops->poll() of the namespace's backend, for one
 * request of each namespace, until the request is complete.
 *
 * Context: the reactor of the queue; not in a worker.
 * Return: false when it cannot be polled for
 */
bool nvtgt_req_poll(struct nvtgt_req *req)
{
	struct nvtgt_reactor *reactor = req->queue->reactor;

	/* the reactor needs the namespace until the result has been taken */
	if (!req->ns_shared || !nvtgt_is_reactor(reactor))
		return false;
	req->polled = true;
	req->poll_done = false;
	req->poller = reactor;
	list_add_tail(&req->poll_entry, &reactor->polled);
	return true;
}
EXPORT_SYMBOL_GPL(nvtgt_req_poll);

/*
 * Polls the devices of the requests in @polled. One request speaks for the requests of the
 * same namespace next to it, if it can. After NVTGT_POLL_LOOKS requests the next call goes on
 * with the following request, so that no device waits behind one that has stalled.
 */
static void nvtgt_pass_poll(struct nvtgt_reactor *reactor)
{
	struct nvtgt_ns *asked = NULL;
	struct nvtgt_req *req, *next;
	unsigned int looks = 0;

	list_for_each_entry_safe(req, next, &reactor->polled, poll_entry) {
		if (READ_ONCE(req->state) != NVTGT_REQ_EXECUTING || READ_ONCE(req->poll_done)) {
			list_del_init(&req->poll_entry);
			continue;
		}
		if (looks++ == NVTGT_POLL_LOOKS) {
			list_rotate_to_front(&req->poll_entry, &reactor->polled);
			break;
		}
		if (req->ns != asked && req->ns->ops->poll(req))
			asked = req->ns;
	}
}

/**
 * nvtgt_req_poll_others - poll now for the requests that the reactor polls for
 * @req: one of these requests, not given to its device so far
 *
 * Context: the reactor of the queue, that of nvtgt_req_poll().
 */
void nvtgt_req_poll_others(struct nvtgt_req *req)
{
	struct nvtgt_reactor *reactor = req->poller;
	bool plugged = current->plug == &reactor->plug;

	blk_finish_plug(&reactor->plug);	/* what has not reached a device cannot be done */
	nvtgt_pass_poll(reactor);
	if (plugged)
		blk_start_plug(&reactor->plug);
}
EXPORT_SYMBOL_GPL(nvtgt_req_poll_others);

/* nvtgt_pass_hooks - what reactors are started with */
const struct nvtgt_reactor_hooks nvtgt_pass_hooks = {
	.take_done = nvtgt_pass_take_done,
	.flush = nvtgt_pass_flush,
	.poll = nvtgt_pass_poll,
};
