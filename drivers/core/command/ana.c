// SPDX-License-Identifier: GPL-2.0
/*
 * Asymmetric namespace access: what a port's state means for a command, and the
 * ANA log page (NVMe base 2.1, 8.1.1 and 5.1.12.1.13).
 *
 * A namespace belongs to one group, a port has a state for each group that was
 * made there. A namespace whose group the port does not have is inaccessible
 * through that port, and the log says so. A namespace whose device is gone is shown
 * in a group of its own number, NVTGT_LOST_ANAGRP, which is lost on each port.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include "command.h"

#define NVTGT_ANA_LOG_MAX (sizeof(struct nvme_ana_rsp_hdr) +				\
			   NVTGT_LOST_ANAGRP * sizeof(struct nvme_ana_group_desc) +	\
			   NVTGT_MAX_NSID * sizeof(__le32))

static enum nvme_ana_state nvtgt_ana_state(struct nvtgt_port *port, u32 grpid)
{
	enum nvme_ana_state state;

	if (WARN_ON_ONCE(grpid > NVTGT_LOST_ANAGRP))
		return NVME_ANA_INACCESSIBLE;
	state = READ_ONCE(to_nvtgt_cport(port)->ana_state[grpid]);
	return state ?: NVME_ANA_INACCESSIBLE;
}

/**
 * nvtgt_ana_check - may the host reach the namespace this way now?
 * @req: an I/O command with its namespace
 *
 * Context: the reactor of the queue; takes no lock.
 * Return: 0, or the status that tells the host to look for another path
 */
u16 nvtgt_ana_check(struct nvtgt_req *req)
{
	struct nvtgt_core_ns *core_ns = to_nvtgt_core_ns(req->ns);

	switch (nvtgt_ana_state(req->queue->port, READ_ONCE(core_ns->anagrpid))) {
	case NVME_ANA_OPTIMIZED:
	case NVME_ANA_NONOPTIMIZED:
		return 0;
	case NVME_ANA_PERSISTENT_LOSS:
		return NVME_SC_ANA_PERSISTENT_LOSS;
	case NVME_ANA_CHANGE:
		return NVME_SC_ANA_TRANSITION;
	default:
		return NVME_SC_ANA_INACCESSIBLE;
	}
}

/* What the log is made from: which namespace is in which group. */
struct nvtgt_ana_members {
	unsigned int nr;
	unsigned int nr_in[NVTGT_LOST_ANAGRP + 1];
	struct {
		u32 nsid;
		u32 grpid;
	} ns[NVTGT_MAX_NSID];
};

static void nvtgt_ana_collect(struct nvtgt_subsys *subsys, struct nvtgt_ana_members *members)
{
	struct nvtgt_core_ns *core_ns;
	unsigned long nsid;

	mutex_lock(&subsys->lock);
	xa_for_each(&subsys->namespaces, nsid, core_ns) {
		u32 grpid = READ_ONCE(core_ns->anagrpid);	/* nvtgt_ns_lost() takes no lock */

		if (members->nr == ARRAY_SIZE(members->ns) ||
		    WARN_ON_ONCE(grpid > NVTGT_LOST_ANAGRP))
			break;
		members->ns[members->nr].nsid = nsid;
		members->ns[members->nr].grpid = grpid;
		members->nr++;
		members->nr_in[grpid]++;
	}
	mutex_unlock(&subsys->lock);
}

static size_t nvtgt_ana_format_group(struct nvme_ana_group_desc *desc, u32 grpid,
				     struct nvtgt_port *port, bool rgo,
				     const struct nvtgt_ana_members *members, u64 chgcnt)
{
	unsigned int i, n = 0;

	desc->grpid = cpu_to_le32(grpid);
	desc->chgcnt = cpu_to_le64(chgcnt);
	desc->state = nvtgt_ana_state(port, grpid);
	for (i = 0; !rgo && i < members->nr; i++)
		if (members->ns[i].grpid == grpid)
			desc->nsids[n++] = cpu_to_le32(members->ns[i].nsid);
	desc->nnsids = cpu_to_le32(n);
	return struct_size(desc, nsids, n);
}

static size_t nvtgt_ana_format(void *page, struct nvtgt_port *port, bool rgo,
			       const struct nvtgt_ana_members *members)
{
	struct nvtgt_cport *cport = to_nvtgt_cport(port);
	u64 chgcnt = atomic64_read(&nvtgt_ana_chgcnt);
	struct nvme_ana_rsp_hdr *hdr = page;
	size_t len = sizeof(*hdr);
	u16 ngrps = 0;
	u32 grpid;

	for (grpid = 1; grpid <= NVTGT_LOST_ANAGRP; grpid++) {
		bool shown = cport->ana_state[grpid] && grpid != NVTGT_LOST_ANAGRP;

		if (!shown && !members->nr_in[grpid])
			continue;
		len += nvtgt_ana_format_group(page + len, grpid, port, rgo, members, chgcnt);
		ngrps++;
	}
	hdr->chgcnt = cpu_to_le64(chgcnt);
	hdr->ngrps = cpu_to_le16(ngrps);
	return len;
}

/**
 * nvtgt_ana_log - make the ANA log page as the request's host sees it
 * @req: Get Log Page
 * @len: length of the page, bytes
 *
 * Context: process, may sleep; takes nvtgt_config_sem and subsys->lock.
 * Return: the page, to be freed with kvfree(), or an ERR_PTR
 */
void *nvtgt_ana_log(struct nvtgt_req *req, size_t *len)
{
	bool rgo = req->cmd->get_log_page.lsp & NVME_ANA_LOG_RGO;
	struct nvtgt_ana_members *members;
	void *page;

	members = kvzalloc(sizeof(*members), GFP_KERNEL);
	page = kvzalloc(NVTGT_ANA_LOG_MAX, GFP_KERNEL);
	if (!members || !page) {
		kvfree(members);
		kvfree(page);
		return ERR_PTR(-ENOMEM);
	}
	down_read(&nvtgt_config_sem);
	nvtgt_ana_collect(req->queue->ctrl->subsys, members);
	*len = nvtgt_ana_format(page, req->queue->port, rgo, members);
	up_read(&nvtgt_config_sem);
	kvfree(members);
	return page;
}
