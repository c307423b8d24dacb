// SPDX-License-Identifier: GPL-2.0
/*
 * Commands: the way in. Each command is judged here before anything is done for it, and
 * given to the file that knows its kind; then it is executed.
 */
#include <linux/export.h>
#include <linux/lockdep.h>
#include "command.h"

/* What holds for every command (NVMe base 2.1, 3.3.3.1: common command format). */
static u16 nvtgt_req_check_common(struct nvtgt_req *req)
{
	u8 flags = req->cmd->common.flags;

	if (unlikely(flags & (NVME_CMD_FUSE_FIRST | NVME_CMD_FUSE_SECOND))) {
		req->error_loc = offsetof(struct nvme_common_command, flags);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	/*
	 * Over fabrics PSDT is 01b: SGL, metadata (if any) in one piece. PCIe functions have PRPs as
	 * well, and nothing but PRPs for admin commands (NVMe base 2.1, 4.3).
	 */
	if (unlikely((flags & NVME_CMD_SGL_ALL) != NVME_CMD_SGL_METABUF) &&
	    (!req->queue->ops->pcie || flags & NVME_CMD_SGL_ALL)) {
		req->error_loc = offsetof(struct nvme_common_command, flags);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (unlikely(flags & NVME_CMD_SGL_ALL) && !req->queue->qid && req->queue->ops->pcie) {
		req->error_loc = offsetof(struct nvme_common_command, flags);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	return 0;
}

static u16 nvtgt_req_dispatch(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;
	u16 status;

	status = nvtgt_req_check_common(req);
	if (unlikely(status))
		return status;
	if (likely(queue->qid && queue->ctrl && req->cmd->common.opcode != nvme_fabrics_command))
		return nvtgt_io_parse(req);
	if (req->cmd->common.opcode == nvme_fabrics_command)
		return nvtgt_fabrics_parse(req);
	if (!queue->ctrl)	/* NVMe-oF: Connect comes first on any queue */
		return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;
	return nvtgt_admin_parse(req);
}

/**
 * nvtgt_req_parse - judge a command before anything is done for it
 * @req: initialised
 *
 * Checks the command, its namespace and the host's right, works out direction
 * and length of its data, and holds the length against the SGL's. On failure
 * req->status says why and req->data_len is 0: the transport passes over the data
 * that the host may send with the command and calls nvtgt_req_fail().
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: whether the command may be executed
 */
bool nvtgt_req_parse(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;

	lockdep_assert(nvtgt_is_reactor(queue->reactor));
	queue->nr_inflight++;
	WRITE_ONCE(queue->nr_cmds, queue->nr_cmds + 1);
	nvtgt_req_set_state(req, NVTGT_REQ_RECEIVED);

	req->status = nvtgt_req_dispatch(req);
	if (unlikely(!req->status && req->data_len + req->pi_wire != req->transfer_len) &&
	    !queue->ops->pcie) {
		req->error_loc = offsetof(struct nvme_common_command, dptr);
		req->status = NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR;
	}
	if (likely(!req->status))
		return true;
	req->data_len = 0;
	req->pi_len = 0;
	if (queue->connect_req == req)
		queue->connect_req = NULL;
	return false;
}
EXPORT_SYMBOL_GPL(nvtgt_req_parse);

/* Judges a parked command anew: its namespace may be another one by now, or gone. */
static u16 nvtgt_req_unpark(struct nvtgt_req *req)
{
	u32 data_len = req->data_len, pi_len = req->pi_len;
	u16 status;

	req->parked = false;
	req->pi_len = 0;
	status = nvtgt_req_dispatch(req);
	/* segments in a guest's memory suit the device that the namespace had: it may try again */
	if (!status && req->queue->ops->pcie && req->ns->opened != req->parked_ns)
		status = NVME_SC_NS_NOT_READY;
	if (!status && (req->data_len != data_len || req->pi_len != pi_len)) {
		req->error_loc = offsetof(struct nvme_common_command, dptr);
		status = NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR;
	}
	/* nvtgt_req_dispatch() may have changed the lengths; the memory has the old ones */
	req->data_len = data_len;
	req->pi_len = pi_len;
	return status;
}

/**
 * nvtgt_req_execute - do what the command asks for
 * @req: parsed, with memory for its data and the host's data in it
 *
 * The reactor's loop calls ops->respond() when the result is there; never from in here.
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_execute(struct nvtgt_req *req)
{
	u16 status;

	if (unlikely(req->queue->stopped)) {
		nvtgt_req_fail(req, NVME_SC_ABORT_QUEUE);
		return;
	}
	if (unlikely(req->parked)) {
		status = nvtgt_req_unpark(req);
		if (status) {
			nvtgt_req_fail(req, status);
			return;
		}
	}
	nvtgt_req_set_state(req, NVTGT_REQ_EXECUTING);
	req->execute(req);
}
EXPORT_SYMBOL_GPL(nvtgt_req_execute);
