// SPDX-License-Identifier: GPL-2.0
/*
 * NVM commands: every check before anything is touched, then the backend.
 * (NVM command set 1.1, 3.)
 */
#include <linux/overflow.h>
#include <linux/slab.h>
#include "command.h"

/* All ranges lie inside the namespace: slba + nlb can neither wrap nor pass the end. */
static bool nvtgt_range_ok(const struct nvtgt_ns *ns, u64 slba, u64 nlb)
{
	u64 nsze = (u64)READ_ONCE(ns->size) >> ns->blksize_shift;

	return slba <= nsze && nlb <= nsze - slba;
}

static u16 nvtgt_bad_range(struct nvtgt_req *req, u64 slba)
{
	req->error_loc = offsetof(struct nvme_rw_command, slba);
	req->error_slba = slba;
	return NVME_SC_LBA_RANGE | NVME_STATUS_DNR;
}

/*
 * The namespace may have become read-only since the command was parsed. Returns whether the
 * command has been completed for that reason. A command that the backend defers is not looked
 * at again: the device itself judges one that had begun before the change.
 */
static bool nvtgt_refuse_write(struct nvtgt_req *req)
{
	if (likely(!READ_ONCE(req->ns->readonly)))
		return false;
	nvtgt_req_complete(req, NVME_SC_NS_WRITE_PROTECTED | NVME_STATUS_DNR);
	return true;
}

static void nvtgt_rw_execute(struct nvtgt_req *req)
{
	/* a reactor whose CPU is offline runs anywhere: a count may be lost then */
	struct nvtgt_ns_stats *stats = raw_cpu_ptr(to_nvtgt_core_ns(req->ns)->stats);

	if (req->dir == DMA_TO_DEVICE) {
		if (nvtgt_refuse_write(req))
			return;
		stats->writes++;
		stats->written_sectors += req->data_len >> SECTOR_SHIFT;
	} else {
		stats->reads++;
		stats->read_sectors += req->data_len >> SECTOR_SHIFT;
	}
	req->ns->ops->rw(req);
}

/*
 * Extended LBAs, or PRACT (NVM command set 1.1, 5.3.3). Here only the command is checked; the
 * data are checked against their protection information where they are moved.
 */
static u16 nvtgt_rw_parse_pi(struct nvtgt_req *req, u64 slba, u32 nlb)
{
	struct nvme_rw_command *rw = &req->cmd->rw;
	u16 control = le16_to_cpu(rw->control);
	bool bad = false;

	req->pi_type = req->ns->pi_type;
	req->pi_len = nlb * NVTGT_PI_BYTES;
	req->pi_wire = control & NVME_RW_PRINFO_PRACT ? 0 : req->pi_len;
	if (!(control & NVME_RW_PRINFO_PRCHK_REF))
		return 0;
	if (req->ns->pi_type == NVME_NS_DPS_PI_TYPE1)
		bad = le32_to_cpu(rw->reftag) != lower_32_bits(slba);
	else if (req->ns->pi_type == NVME_NS_DPS_PI_TYPE3)
		bad = true;
	if (!bad)
		return 0;
	req->error_loc = offsetof(struct nvme_rw_command, reftag);
	return NVME_SC_INVALID_PI | NVME_STATUS_DNR;
}

static u16 nvtgt_rw_parse(struct nvtgt_req *req, bool write)
{
	struct nvme_rw_command *rw = &req->cmd->rw;
	struct nvtgt_ns *ns = req->ns;
	u64 slba = le64_to_cpu(rw->slba);
	u32 nlb = le16_to_cpu(rw->length) + 1;
	u64 bytes = (u64)nlb << ns->blksize_shift;

	/* MDTS first: it bounds the memory (NVMe base 2.1, 5.1.13.2.1) */
	if (unlikely(bytes > (u64)NVTGT_PAGE_BYTES << req->queue->ctrl->mdts)) {
		req->error_loc = offsetof(struct nvme_rw_command, length);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (unlikely(!nvtgt_range_ok(ns, slba, nlb)))
		return nvtgt_bad_range(req, slba);

	req->data_len = bytes;
	req->dir = write ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
	req->execute = nvtgt_rw_execute;
	if (unlikely(ns->pi_type) && req->queue->ctrl->pi)
		return nvtgt_rw_parse_pi(req, slba, nlb);
	return 0;
}

static void nvtgt_flush_execute(struct nvtgt_req *req)
{
	req->ns->ops->flush(req);
}

static void nvtgt_write_zeroes_execute(struct nvtgt_req *req)
{
	if (!nvtgt_refuse_write(req))
		req->ns->ops->write_zeroes(req);
}

static u16 nvtgt_write_zeroes_parse(struct nvtgt_req *req)
{
	struct nvme_write_zeroes_cmd *wz = &req->cmd->write_zeroes;
	u64 slba = le64_to_cpu(wz->slba);

	if (!req->ns->ops->write_zeroes)
		return NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR;
	if (!nvtgt_range_ok(req->ns, slba, le16_to_cpu(wz->length) + 1))
		return nvtgt_bad_range(req, slba);
	req->execute = nvtgt_write_zeroes_execute;
	return 0;
}

static void nvtgt_dsm_discard(struct nvtgt_req *req, const struct nvme_dsm_range *ranges,
			      unsigned int nr)
{
	struct nvtgt_ns *ns = req->ns;

	if (nvtgt_refuse_write(req))
		return;
	/* the command's own reference may be gone when the backend returns */
	percpu_ref_get(&ns->ref);
	ns->ops->discard(req, ranges, nr);
	nvtgt_ns_put(ns);
}

/* Copies the ranges and checks each before the first is touched. */
static void nvtgt_dsm_work(struct nvtgt_req *req)
{
	unsigned int nr = (le32_to_cpu(req->cmd->dsm.nr) & 0xff) + 1;
	struct nvme_dsm_range *ranges;
	unsigned int i;
	u16 status;

	if (nvtgt_req_stopped(req)) {
		nvtgt_req_complete(req, NVME_SC_ABORT_QUEUE);
		return;
	}
	ranges = kmalloc_array(nr, sizeof(*ranges), GFP_KERNEL);
	if (!ranges) {
		nvtgt_req_complete(req, NVME_SC_INTERNAL);
		return;
	}
	req->scratch = ranges;
	status = nvtgt_copy_in(req, 0, ranges, nr * sizeof(*ranges));
	for (i = 0; !status && i < nr; i++) {
		u64 slba = le64_to_cpu(ranges[i].slba);

		if (!nvtgt_range_ok(req->ns, slba, le32_to_cpu(ranges[i].nlb)))
			status = nvtgt_bad_range(req, slba);
	}
	if (status)
		nvtgt_req_complete(req, status);
	else
		nvtgt_dsm_discard(req, ranges, nr);
}

static void nvtgt_dsm_execute(struct nvtgt_req *req)
{
	/* the other attributes are hints, which may be ignored */
	if (!(le32_to_cpu(req->cmd->dsm.attributes) & NVME_DSMGMT_AD) || !req->ns->ops->discard) {
		nvtgt_req_complete(req, 0);
		return;
	}
	nvtgt_req_complete_work(req, nvtgt_dsm_work);
}

static u16 nvtgt_dsm_parse(struct nvtgt_req *req)
{
	unsigned int nr = (le32_to_cpu(req->cmd->dsm.nr) & 0xff) + 1;

	/*
	 * Hosts may send the whole buffer of 256 ranges, whatever number of
	 * ranges the command names: Linux does.
	 */
	req->data_len = clamp_t(u32, req->transfer_len, nr * sizeof(struct nvme_dsm_range),
				NVME_DSM_MAX_RANGES * sizeof(struct nvme_dsm_range));
	req->dir = DMA_TO_DEVICE;
	req->execute = nvtgt_dsm_execute;
	return 0;
}

static u16 nvtgt_io_parse_ns(struct nvtgt_req *req)
{
	u8 opcode = req->cmd->common.opcode;
	u16 status;

	if (unlikely(!nvtgt_ana_optimized(req))) {
		status = nvtgt_ana_check(req);
		if (status)
			return status;
	}
	if (unlikely(READ_ONCE(req->ns->readonly)) && nvtgt_changes_medium(opcode))
		return NVME_SC_NS_WRITE_PROTECTED | NVME_STATUS_DNR;

	switch (opcode) {
	case nvme_cmd_read:
		return nvtgt_rw_parse(req, false);
	case nvme_cmd_write:
		return nvtgt_rw_parse(req, true);
	case nvme_cmd_flush:
		req->execute = nvtgt_flush_execute;
		return 0;
	case nvme_cmd_write_zeroes:
		return nvtgt_write_zeroes_parse(req);
	default:
		return nvtgt_dsm_parse(req);
	}
}

/**
 * nvtgt_io_parse - judge a command on an I/O queue
 * @req: with req->queue->ctrl
 *
 * Sets data_len, dir, execute; takes the namespace's reference.
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: 0 or a status; req->ns, when set, is let go at the command's end
 */
u16 nvtgt_io_parse(struct nvtgt_req *req)
{
	u16 status;

	if (unlikely(!READ_ONCE(req->queue->ctrl->ready)))
		return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;

	switch (req->cmd->common.opcode) {
	case nvme_cmd_read:
	case nvme_cmd_write:
	case nvme_cmd_flush:
	case nvme_cmd_write_zeroes:
	case nvme_cmd_dsm:
		break;
	default:
		req->error_loc = offsetof(struct nvme_common_command, opcode);
		return NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR;
	}

	status = nvtgt_req_find_ns(req);
	if (unlikely(status))
		return status;
	return nvtgt_io_parse_ns(req);
}
