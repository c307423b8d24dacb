// SPDX-License-Identifier: GPL-2.0
/*
 * Admin commands: which there are, and the ones that need no page of their own.
 */
#include "command.h"

/* An Abort on its way through the reactor of the queue that it names. */
struct nvtgt_abort {
	struct nvtgt_call call;
	bool aborted;
};

static_assert(sizeof(struct nvtgt_abort) <= NVTGT_BACKEND_PRIV);

static void nvtgt_abort_complete(struct nvtgt_req *req, bool aborted)
{
	/* NVMe base 2.1, 5.1.1: bit 0 is cleared when the command was aborted */
	req->result.u32 = cpu_to_le32(!aborted);
	nvtgt_req_complete(req, 0);
}

/* The CID as nvtgt_conn_abort() takes it; <linux/nvme.h> declares it without a byte order. */
static u16 nvtgt_abort_cid(struct nvtgt_req *req)
{
	return le16_to_cpu((__force __le16)req->cmd->abort.cid);
}

/* The queue that the Abort names, or NULL. It is not freed while ctrl->lock is held. */
static struct nvtgt_queue *nvtgt_abort_queue(struct nvtgt_req *req)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	u16 sqid = le16_to_cpu(req->cmd->abort.sqid);

	lockdep_assert_held(&ctrl->lock);
	return sqid <= ctrl->max_qid ? ctrl->queues[sqid] : NULL;
}

/*
 * In the reactor of the queue that the Abort names. That queue may have moved to another
 * reactor meanwhile, or have ended, and a new queue may have its id: look it up again. A queue
 * in ctrl->queues[] that belongs to this reactor and has not been stopped stays until this
 * function returns, because its way out begins in this reactor.
 */
static void nvtgt_abort_call(struct nvtgt_call *call)
{
	struct nvtgt_abort *abort = container_of(call, struct nvtgt_abort, call);
	struct nvtgt_req *req = nvtgt_req_from_priv(abort);
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvtgt_reactor *reactor;
	struct nvtgt_queue *queue;
	bool aborted = false;

	spin_lock_irq(&ctrl->lock);
	queue = nvtgt_abort_queue(req);
	reactor = queue ? smp_load_acquire(&queue->reactor) : NULL;	/* nvtgt_queue_move() */
	if (queue && !nvtgt_in_reactor(reactor)) {
		nvtgt_reactor_call(reactor, call);	/* follow the queue */
		spin_unlock_irq(&ctrl->lock);
		return;
	}
	if (queue && queue->stopped)
		queue = NULL;
	spin_unlock_irq(&ctrl->lock);

	if (queue)
		aborted = nvtgt_conn_abort(to_nvtgt_conn(queue), nvtgt_abort_cid(req));
	nvtgt_abort_complete(req, aborted);
}

static void nvtgt_abort_execute(struct nvtgt_req *req)
{
	struct nvtgt_abort *abort = nvtgt_req_priv(req);
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvtgt_queue *queue;

	if (!req->cmd->abort.sqid && nvtgt_event_abort_aer(ctrl, req->cmd->abort.cid)) {
		nvtgt_abort_complete(req, true);
		return;
	}

	abort->call.fn = nvtgt_abort_call;
	spin_lock_irq(&ctrl->lock);
	queue = nvtgt_abort_queue(req);
	/* a queue in ctrl->queues[] has a reactor, which lives longer than the queue */
	if (queue)
		nvtgt_reactor_call(READ_ONCE(queue->reactor), &abort->call);
	spin_unlock_irq(&ctrl->lock);

	if (!queue)
		nvtgt_abort_complete(req, false);
}

static u16 nvtgt_abort_parse(struct nvtgt_req *req)
{
	req->execute = nvtgt_abort_execute;
	return 0;
}

/* That the command came is all there is to it: the queues count their commands. */
static void nvtgt_keep_alive_execute(struct nvtgt_req *req)
{
	nvtgt_req_complete(req, 0);
}

static u16 nvtgt_keep_alive_parse(struct nvtgt_req *req)
{
	/* KAS is 0 */
	if (req->queue->ops->pcie)
		return nvtgt_bad_opcode(req);
	req->execute = nvtgt_keep_alive_execute;
	return 0;
}

/**
 * nvtgt_admin_parse - judge a command on an admin queue
 * @req: with req->queue->ctrl; not a fabrics command
 *
 * The set is the same for I/O and discovery controllers; what differs is which
 * data structures, log pages and features there are (NVMe base 2.1, 3.1.3).
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: 0 or a status
 */
u16 nvtgt_admin_parse(struct nvtgt_req *req)
{
	/* NVMe base 2.1, 3.5.1: nothing but fabrics commands before the controller is ready */
	if (!nvtgt_ctrl_enabled(req->queue->ctrl))
		return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;

	switch (req->cmd->common.opcode) {
	case nvme_admin_get_log_page:
		return nvtgt_log_parse(req);
	case nvme_admin_identify:
		return nvtgt_identify_parse(req);
	case nvme_admin_abort_cmd:
		return nvtgt_abort_parse(req);
	case nvme_admin_set_features:
		return nvtgt_set_features_parse(req);
	case nvme_admin_get_features:
		return nvtgt_get_features_parse(req);
	case nvme_admin_async_event:
		return nvtgt_aer_parse(req);
	case nvme_admin_keep_alive:
		return nvtgt_keep_alive_parse(req);
	default:
		if (req->queue->ops->admin)
			return req->queue->ops->admin(req);
		return nvtgt_bad_opcode(req);
	}
}
