// SPDX-License-Identifier: GPL-2.0
/*
 * Error information (NVMe base 2.1, 5.1.12.1.2): the last failed commands of a
 * controller.
 */
#include "object.h"

/**
 * nvtgt_error_log - note a command that has failed
 * @req: with status, error_loc and error_slba; its More bit is set
 *
 * A queue without a controller has no log.
 *
 * Context: any; takes ctrl->lock.
 */
void nvtgt_error_log(struct nvtgt_req *req)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvme_error_slot *slot;
	unsigned long flags;

	if (!ctrl)
		return;

	/* NVMe base 2.1, 4.2.3.1: More says that this log knows about the command */
	req->status |= NVME_STATUS_MORE;

	spin_lock_irqsave(&ctrl->lock, flags);
	ctrl->error_count++;
	slot = &ctrl->error_log[(ctrl->error_count - 1) % NVTGT_ERROR_LOG_SLOTS];
	memset(slot, 0, sizeof(*slot));
	slot->error_count = cpu_to_le64(ctrl->error_count);
	slot->sqid = cpu_to_le16(req->queue->qid);
	slot->cmdid = (__force __le16)req->cmd->common.command_id;
	slot->status_field = cpu_to_le16(req->status << 1);
	slot->param_error_location = cpu_to_le16(req->error_loc);
	slot->lba = cpu_to_le64(req->error_slba);
	slot->nsid = req->cmd->common.nsid;
	spin_unlock_irqrestore(&ctrl->lock, flags);
}
