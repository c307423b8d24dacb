// SPDX-License-Identifier: GPL-2.0
/*
 * Get Log Page (NVMe base 2.1, 5.1.12).
 *
 * A page is made as a whole, in memory whose size the target alone determines; the
 * host gets the piece that it asks for. The commands run where they may sleep.
 */
#include <linux/err.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/unaligned.h>
#include "command.h"

static_assert(sizeof(struct nvme_error_slot) == 64);
static_assert(sizeof(struct nvme_smart_log) == 512);
static_assert(sizeof(struct nvme_fw_slot_info_log) == 512);
static_assert(sizeof(struct nvme_effects_log) == 4096);

#define NVTGT_LOG_RAE		BIT(7)	/* in get_log_page.lsp */
#define NVTGT_LOG_OT		BIT(7)	/* in get_log_page.rsvd14[2] */
#define NVTGT_NO_EVENT		-1

/**
 * struct nvtgt_log - a log page that there is
 * @make: the page, kvmalloc'ed, and its length in bytes; may sleep. Returns an
 *	ERR_PTR: -ENOMEM, or -ENOENT when the namespace is not there.
 * @event: NVME_AEN_BIT_* of the event that is cleared by reading the page
 * @len: its length, where @make() forgets what it reports: an offset beyond that is refused
 *	before anything is forgotten
 * @io: I/O controllers have it
 * @discovery: discovery controllers have it
 * @per_ns: may be asked for one namespace
 */
struct nvtgt_log {
	void *(*make)(struct nvtgt_req *req, size_t *len);
	int event;
	size_t len;
	bool io;
	bool discovery;
	bool per_ns;
};

static const struct nvtgt_log *nvtgt_log_find(const struct nvtgt_ctrl *ctrl, u8 lid);

static void *nvtgt_log_alloc(size_t size, size_t *len)
{
	void *page = kvzalloc(size, GFP_KERNEL);

	*len = size;
	return page ?: ERR_PTR(-ENOMEM);
}

/* LID 00h */
static void *nvtgt_log_supported(struct nvtgt_req *req, size_t *len)
{
	struct nvme_supported_log *log = nvtgt_log_alloc(sizeof(*log), len);
	unsigned int lid;

	if (IS_ERR(log))
		return log;
	for (lid = 0; lid < ARRAY_SIZE(log->lids); lid++)
		if (nvtgt_log_find(req->queue->ctrl, lid))
			log->lids[lid] = cpu_to_le32(NVME_LIDS_LSUPP);
	return log;
}

/* LID 01h: the latest first */
static void *nvtgt_log_error(struct nvtgt_req *req, size_t *len)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvme_error_slot *log;
	unsigned int i, nr;

	log = nvtgt_log_alloc(sizeof(ctrl->error_log), len);
	if (IS_ERR(log))
		return log;
	spin_lock_irq(&ctrl->lock);
	nr = min_t(u64, ctrl->error_count, NVTGT_ERROR_LOG_SLOTS);
	for (i = 0; i < nr; i++)
		log[i] = ctrl->error_log[(ctrl->error_count - 1 - i) % NVTGT_ERROR_LOG_SLOTS];
	spin_unlock_irq(&ctrl->lock);
	return log;
}

static void nvtgt_ns_add_stats(const struct nvtgt_core_ns *core_ns, struct nvtgt_ns_stats *sum)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		const struct nvtgt_ns_stats *stats = per_cpu_ptr(core_ns->stats, cpu);

		sum->reads += READ_ONCE(stats->reads);
		sum->writes += READ_ONCE(stats->writes);
		sum->read_sectors += READ_ONCE(stats->read_sectors);
		sum->written_sectors += READ_ONCE(stats->written_sectors);
	}
}

/* All namespaces together, or the one that the command names; -ENOENT without it. */
static int nvtgt_log_smart_stats(struct nvtgt_req *req, struct nvtgt_ns_stats *sum)
{
	struct nvtgt_subsys *subsys = req->queue->ctrl->subsys;
	u32 only = le32_to_cpu(req->cmd->get_log_page.nsid);
	bool all = !only || only == NVME_NSID_ALL;
	bool found = all;
	struct nvtgt_core_ns *core_ns;
	unsigned long nsid;

	mutex_lock(&subsys->lock);
	xa_for_each(&subsys->namespaces, nsid, core_ns) {
		if (!all && nsid != only)
			continue;
		nvtgt_ns_add_stats(core_ns, sum);
		found = true;
	}
	mutex_unlock(&subsys->lock);
	return found ? 0 : -ENOENT;
}

/* LID 02h: only what hosts did is known, not in what state the medium is */
static void *nvtgt_log_smart(struct nvtgt_req *req, size_t *len)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvtgt_ns_stats sum = {};
	struct nvme_smart_log *log;
	u64 errors;
	int ret;

	ret = nvtgt_log_smart_stats(req, &sum);
	if (ret)
		return ERR_PTR(ret);
	log = nvtgt_log_alloc(sizeof(*log), len);
	if (IS_ERR(log))
		return log;
	spin_lock_irq(&ctrl->lock);
	errors = ctrl->error_count;
	spin_unlock_irq(&ctrl->lock);

	log->avail_spare = 100;
	/* data units are thousands of 512 bytes, rounded up */
	put_unaligned_le64(div_u64(sum.read_sectors + 999, 1000), log->data_units_read);
	put_unaligned_le64(div_u64(sum.written_sectors + 999, 1000), log->data_units_written);
	put_unaligned_le64(sum.reads, log->host_reads);
	put_unaligned_le64(sum.writes, log->host_writes);
	put_unaligned_le64(errors, log->num_err_log_entries);
	return log;
}

/* LID 03h: one slot, read only */
static void *nvtgt_log_fw_slot(struct nvtgt_req *req, size_t *len)
{
	struct nvtgt_subsys *subsys = req->queue->ctrl->subsys;
	struct nvme_fw_slot_info_log *log = nvtgt_log_alloc(sizeof(*log), len);

	if (IS_ERR(log))
		return log;
	log->afi = 1;
	mutex_lock(&subsys->lock);
	memcpy_and_pad(&log->frs[0], sizeof(log->frs[0]), subsys->firmware,
		       strlen(subsys->firmware), ' ');
	mutex_unlock(&subsys->lock);
	return log;
}

static int nvtgt_cmp_le32(const void *a, const void *b)
{
	u32 x = le32_to_cpu(*(const __le32 *)a);
	u32 y = le32_to_cpu(*(const __le32 *)b);

	return x < y ? -1 : x > y;
}

/* LID 04h: forgotten as soon as it is read, unless RAE says that it is kept */
static void *nvtgt_log_changed_ns(struct nvtgt_req *req, size_t *len)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	u32 nr;
	__le32 *log;

	log = nvtgt_log_alloc(sizeof(ctrl->changed_ns), len);
	if (IS_ERR(log))
		return log;
	spin_lock_irq(&ctrl->lock);
	nr = ctrl->nr_changed_ns;
	if (nr == U32_MAX) {
		log[0] = cpu_to_le32(NVME_NSID_ALL);
		nr = 1;
	} else {
		memcpy(log, ctrl->changed_ns, nr * sizeof(*log));
	}
	if (!(req->cmd->get_log_page.lsp & NVTGT_LOG_RAE))
		ctrl->nr_changed_ns = 0;
	spin_unlock_irq(&ctrl->lock);
	sort(log, nr, sizeof(*log), nvtgt_cmp_le32, NULL);
	return log;
}

/*
 * LID 05h. The Zoned command set has a page as well, without any I/O command: Linux hosts ask
 * for it after NVM's, and take a refusal for a failure of the whole.
 */
static void *nvtgt_log_effects(struct nvtgt_req *req, size_t *len)
{
	struct nvme_effects_log *log = nvtgt_log_alloc(sizeof(*log), len);
	const __le32 supported = cpu_to_le32(NVME_CMD_EFFECTS_CSUPP);
	const __le32 writes = cpu_to_le32(NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC);

	if (IS_ERR(log))
		return log;
	log->acs[nvme_admin_get_log_page] = supported;
	log->acs[nvme_admin_identify] = supported;
	log->acs[nvme_admin_abort_cmd] = supported;
	log->acs[nvme_admin_set_features] = supported;
	log->acs[nvme_admin_get_features] = supported;
	log->acs[nvme_admin_async_event] = supported;
	if (req->queue->ops->pcie) {
		log->acs[nvme_admin_delete_sq] = supported;
		log->acs[nvme_admin_create_sq] = supported;
		log->acs[nvme_admin_delete_cq] = supported;
		log->acs[nvme_admin_create_cq] = supported;
		log->acs[nvme_admin_dbbuf] = supported;
	} else {
		log->acs[nvme_admin_keep_alive] = supported;
	}

	if (req->cmd->get_log_page.csi != NVME_CSI_NVM)
		return log;
	log->iocs[nvme_cmd_flush] = supported;
	log->iocs[nvme_cmd_read] = supported;
	log->iocs[nvme_cmd_write] = writes;
	log->iocs[nvme_cmd_write_zeroes] = writes;
	log->iocs[nvme_cmd_dsm] = writes;
	return log;
}

/* LID 12h */
static void *nvtgt_log_features(struct nvtgt_req *req, size_t *len)
{
	struct nvme_supported_features_log *log = nvtgt_log_alloc(sizeof(*log), len);
	unsigned int fid;

	if (IS_ERR(log))
		return log;
	for (fid = 0; fid < ARRAY_SIZE(log->fis); fid++)
		log->fis[fid] = cpu_to_le32(nvtgt_feature_effects(fid, req->queue->ops->pcie));
	return log;
}

static const struct nvtgt_log nvtgt_logs[] = {
	[NVME_LOG_SUPPORTED]	= { nvtgt_log_supported, NVTGT_NO_EVENT, .io = true,
				    .discovery = true },
	[NVME_LOG_ERROR]	= { nvtgt_log_error, NVTGT_NO_EVENT, .io = true },
	[NVME_LOG_SMART]	= { nvtgt_log_smart, NVTGT_NO_EVENT, .io = true, .per_ns = true },
	[NVME_LOG_FW_SLOT]	= { nvtgt_log_fw_slot, NVTGT_NO_EVENT, .io = true },
	[NVME_LOG_CHANGED_NS]	= { nvtgt_log_changed_ns, NVME_AEN_BIT_NS_ATTR, .io = true,
				    .len = sizeof_field(struct nvtgt_ctrl, changed_ns) },
	[NVME_LOG_CMD_EFFECTS]	= { nvtgt_log_effects, NVTGT_NO_EVENT, .io = true },
	[NVME_LOG_ANA]		= { nvtgt_ana_log, NVME_AEN_BIT_ANA_CHANGE, .io = true },
	[NVME_LOG_FEATURES]	= { nvtgt_log_features, NVTGT_NO_EVENT, .io = true },
	[NVME_LOG_DISC]		= { nvtgt_discovery_log, NVME_AEN_BIT_DISC_CHANGE,
				    .discovery = true },
};

static const struct nvtgt_log *nvtgt_log_find(const struct nvtgt_ctrl *ctrl, u8 lid)
{
	const struct nvtgt_log *log;

	if (lid >= ARRAY_SIZE(nvtgt_logs))
		return NULL;
	log = &nvtgt_logs[lid];
	return (ctrl->subsys->discovery ? log->discovery : log->io) ? log : NULL;
}

/* How many bytes the command asks for: (NUMD + 1) * 4; U32_MAX when that is more than fits. */
static u32 nvtgt_get_log_page_len(const struct nvme_command *cmd)
{
	u64 numd = le16_to_cpu(cmd->get_log_page.numdu);

	numd = (numd << 16) + le16_to_cpu(cmd->get_log_page.numdl) + 1;
	return min_t(u64, numd * sizeof(u32), U32_MAX);
}

/* Where it begins to read: LPO, bytes. */
static u64 nvtgt_get_log_page_offset(const struct nvme_command *cmd)
{
	return le64_to_cpu(cmd->get_log_page.lpo);
}

static u16 nvtgt_log_bad_offset(struct nvtgt_req *req)
{
	req->error_loc = offsetof(struct nvme_get_log_page_command, lpo);
	return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
}

/* The piece that the host wants; what it wants beyond the end is zero. */
static u16 nvtgt_log_copy(struct nvtgt_req *req, const void *page, size_t len)
{
	u64 offset = nvtgt_get_log_page_offset(req->cmd);
	size_t part;
	u16 status;

	if (offset > len)
		return nvtgt_log_bad_offset(req);
	part = min_t(u64, len - offset, req->data_len);
	status = nvtgt_copy_out(req, 0, page + offset, part);
	return status ?: nvtgt_zero_out(req, part, req->data_len - part);
}

static void nvtgt_log_work(struct nvtgt_req *req)
{
	struct nvme_get_log_page_command *c = &req->cmd->get_log_page;
	const struct nvtgt_log *log = nvtgt_log_find(req->queue->ctrl, c->lid);
	size_t len;
	void *page;
	u16 status;

	if (log->len && nvtgt_get_log_page_offset(req->cmd) > log->len) {
		nvtgt_req_complete(req, nvtgt_log_bad_offset(req));
		return;
	}
	if (log->event != NVTGT_NO_EVENT && !(c->lsp & NVTGT_LOG_RAE))
		nvtgt_event_rearm(req->queue->ctrl, log->event);
	page = log->make(req, &len);
	if (!IS_ERR(page)) {
		status = nvtgt_log_copy(req, page, len);
		kvfree(page);
	} else if (PTR_ERR(page) == -ENOENT) {
		req->error_loc = offsetof(struct nvme_get_log_page_command, nsid);
		status = NVME_SC_INVALID_NS | NVME_STATUS_DNR;
	} else {
		status = NVME_SC_INTERNAL;
	}
	nvtgt_req_complete(req, status);
}

static void nvtgt_log_execute(struct nvtgt_req *req)
{
	nvtgt_req_complete_work(req, nvtgt_log_work);
}

/* 5.1.12, NSID: a page of the whole controller is not asked for one namespace */
static u16 nvtgt_log_check_ns(struct nvtgt_req *req, const struct nvtgt_log *log)
{
	u32 nsid = le32_to_cpu(req->cmd->get_log_page.nsid);

	if (!nsid || nsid == NVME_NSID_ALL || log->per_ns)
		return 0;
	req->error_loc = offsetof(struct nvme_get_log_page_command, nsid);
	return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
}

/**
 * nvtgt_log_parse - judge a Get Log Page command
 * @req: the request
 *
 * A host controls page, offset and length, each in full. The length is bounded by
 * MDTS before memory is taken; the offset is compared with the page that is made.
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: 0 or a status
 */
u16 nvtgt_log_parse(struct nvtgt_req *req)
{
	struct nvme_get_log_page_command *c = &req->cmd->get_log_page;
	const struct nvtgt_log *log = nvtgt_log_find(req->queue->ctrl, c->lid);
	u32 len = nvtgt_get_log_page_len(req->cmd);

	if (!log) {
		req->error_loc = offsetof(struct nvme_get_log_page_command, lid);
		return NVME_SC_INVALID_LOG_PAGE | NVME_STATUS_DNR;
	}
	if (len > (u64)NVTGT_PAGE_BYTES << req->queue->ctrl->mdts) {
		req->error_loc = offsetof(struct nvme_get_log_page_command, numdl);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (nvtgt_get_log_page_offset(req->cmd) & 3) {
		req->error_loc = offsetof(struct nvme_get_log_page_command, lpo);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	/* no page says that it can be read by index */
	if (c->rsvd14[2] & NVTGT_LOG_OT) {
		req->error_loc = offsetof(struct nvme_get_log_page_command, rsvd14) + 2;
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (c->lid == NVME_LOG_CMD_EFFECTS && c->csi != NVME_CSI_NVM && c->csi != NVME_CSI_ZNS) {
		req->error_loc = offsetof(struct nvme_get_log_page_command, csi);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	req->data_len = len;
	req->dir = DMA_FROM_DEVICE;
	req->execute = nvtgt_log_execute;
	return nvtgt_log_check_ns(req, log);
}
