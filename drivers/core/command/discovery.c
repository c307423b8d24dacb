// SPDX-License-Identifier: GPL-2.0
/*
 * The discovery log page (NVMe base 2.1, 5.1.12.3.1): what a host may connect to
 * through the port that it came in through, and where else it may ask.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "command.h"

static_assert(sizeof(struct nvmf_disc_rsp_page_entry) == 1024);
static_assert(offsetof(struct nvmf_disc_rsp_page_hdr, entries) == 1024);

static void nvtgt_disc_put_addr(struct nvmf_disc_rsp_page_entry *entry,
				const struct nvtgt_addr *addr, const char *traddr)
{
	entry->trtype = addr->trtype;
	entry->adrfam = addr->adrfam;
	entry->treq = addr->treq;
	/* ASCII strings of the specification are padded with spaces */
	memcpy_and_pad(entry->trsvcid, sizeof(entry->trsvcid), addr->trsvcid,
		       strnlen(addr->trsvcid, NVMF_TRSVCID_SIZE), ' ');
	memcpy_and_pad(entry->traddr, sizeof(entry->traddr), traddr,
		       strnlen(traddr, NVMF_TRADDR_SIZE), ' ');
}

static void nvtgt_disc_put_names(struct nvmf_disc_rsp_page_entry *entry, u8 subtype,
				 const char *nqn, u16 portid)
{
	entry->subtype = subtype;
	entry->portid = cpu_to_le16(portid);
	entry->cntlid = cpu_to_le16(NVME_CNTLID_DYNAMIC);
	entry->asqsz = cpu_to_le16(NVME_AQ_DEPTH);
	strscpy(entry->subnqn, nqn, sizeof(entry->subnqn));
}

/* Adds an entry for a subsystem on the host's own port: discovery itself, or an exported one. */
static void nvtgt_disc_add_local(struct nvmf_disc_rsp_page_hdr *hdr, size_t *nr, u8 subtype,
				 const char *nqn, struct nvtgt_cport *cport, const char *traddr)
{
	struct nvmf_disc_rsp_page_entry *entry = &hdr->entries[(*nr)++];
	const struct nvtgt_port *port = &cport->port;

	nvtgt_disc_put_addr(entry, &port->addr, traddr);
	nvtgt_disc_put_names(entry, subtype, nqn, port->id);
	entry->treq |= NVMF_TREQ_DISABLE_SQFLOW;
	static_assert(sizeof(entry->tsas) == sizeof(cport->tsas));
	memcpy(&entry->tsas, cport->tsas, sizeof(entry->tsas));
	/* the host may keep its connection to this discovery controller, for events */
	if (subtype == NVME_NQN_CURR)
		entry->eflags = cpu_to_le16(NVME_DISC_EFLAGS_EPCSD);
}

static size_t nvtgt_disc_count(struct nvtgt_ctrl *ctrl, struct nvtgt_cport *cport)
{
	struct nvtgt_subsys_link *link;
	struct nvtgt_referral *referral;
	size_t nr = 1;

	list_for_each_entry(link, &cport->subsystems, entry)
		nr += nvtgt_host_allowed(link->subsys, ctrl->hostnqn);
	list_for_each_entry(referral, &cport->referrals, entry)
		nr += referral->enabled;
	return nr;
}

static void nvtgt_disc_fill(struct nvtgt_ctrl *ctrl, struct nvtgt_cport *cport,
			    struct nvmf_disc_rsp_page_hdr *hdr, const char *traddr)
{
	struct nvtgt_subsys_link *link;
	struct nvtgt_referral *referral;
	size_t nr = 0;

	nvtgt_disc_add_local(hdr, &nr, NVME_NQN_CURR, ctrl->subsys->nqn, cport, traddr);
	list_for_each_entry(link, &cport->subsystems, entry)
		if (nvtgt_host_allowed(link->subsys, ctrl->hostnqn))
			nvtgt_disc_add_local(hdr, &nr, NVME_NQN_NVME, link->subsys->nqn,
					     cport, traddr);
	list_for_each_entry(referral, &cport->referrals, entry) {
		struct nvmf_disc_rsp_page_entry *entry;

		if (!referral->enabled)
			continue;
		entry = &hdr->entries[nr++];
		nvtgt_disc_put_addr(entry, &referral->addr, referral->addr.traddr);
		nvtgt_disc_put_names(entry, NVME_NQN_DISC, NVME_DISC_SUBSYS_NAME,
				     referral->portid);
	}
	hdr->genctr = cpu_to_le64(nvtgt_genctr);
	hdr->numrec = cpu_to_le64(nr);
}

/**
 * nvtgt_discovery_log - make the discovery log page for the request's host
 * @req: Get Log Page of a discovery controller
 * @len: length of the page, bytes
 *
 * GENCTR lets a host that reads in pieces see that the page has changed meanwhile.
 *
 * Context: process, may sleep; takes nvtgt_config_sem.
 * Return: the page, to be freed with kvfree(), or an ERR_PTR
 */
void *nvtgt_discovery_log(struct nvtgt_req *req, size_t *len)
{
	struct nvtgt_queue *queue = req->queue;
	struct nvtgt_cport *cport = to_nvtgt_cport(queue->port);
	struct nvmf_disc_rsp_page_hdr *hdr;
	char traddr[NVMF_TRADDR_SIZE + 1];

	down_read(&nvtgt_config_sem);
	/* on a port that listens on any address: the one that the host knows */
	if (!queue->ops->disc_traddr ||
	    !queue->ops->disc_traddr(queue, queue->port, traddr, sizeof(traddr)))
		strscpy(traddr, queue->port->addr.traddr, sizeof(traddr));

	*len = struct_size(hdr, entries, nvtgt_disc_count(queue->ctrl, cport));
	hdr = kvzalloc(*len, GFP_KERNEL);
	if (hdr)
		nvtgt_disc_fill(queue->ctrl, cport, hdr, traddr);
	up_read(&nvtgt_config_sem);
	return hdr ?: ERR_PTR(-ENOMEM);
}
