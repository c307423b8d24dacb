// SPDX-License-Identifier: GPL-2.0
/*
 * Identify (NVMe base 2.1, 5.1.13; NVM command set 1.1, 4.1.5).
 *
 * Each data structure is made in a zeroed page of 4,096 bytes; what is not set is
 * not supported. The commands run where they may sleep.
 */
#include <linux/bitmap.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include "command.h"

static_assert(sizeof(struct nvme_id_ctrl) == NVME_IDENTIFY_DATA_SIZE);
static_assert(sizeof(struct nvme_id_ns) == NVME_IDENTIFY_DATA_SIZE);
static_assert(sizeof(struct nvme_id_ns_cs_indep) == NVME_IDENTIFY_DATA_SIZE);
static_assert(sizeof(struct nvme_id_ctrl_nvm) == NVME_IDENTIFY_DATA_SIZE);
static_assert(sizeof(__le32[NVTGT_MAX_NSID]) <= NVME_IDENTIFY_DATA_SIZE);

/* Fields of the specification which <linux/nvme.h> has no names for. */
#define NVTGT_CNS_IO_COMMAND_SETS	0x1c
#define NVTGT_CTRL_LPA_SMART_PER_NS	BIT(0)
#define NVTGT_CTRL_LPA_EXTENDED_DATA	BIT(2)
#define NVTGT_CTRL_FRMW			0x3		/* one slot, read only */
#define NVTGT_CTRL_ONCS_SELECT		BIT(4)
#define NVTGT_CTRL_VWC_FLUSH_ALL_NO	(2 << 1)	/* Flush with NSID FFFFFFFFh fails */
#define NVTGT_ANACAP_STATES		0x1f		/* all five are reported */
#define NVTGT_ANATT_S			10
#define NVTGT_RAB			6
#define NVTGT_ACL			3		/* zero based */
#define NVTGT_NS_MC_EXT			BIT(0)
#define NVTGT_CTRL_CTRATT_MEM		BIT(16)		/* MDTS does not count metadata */
#define NVTGT_NSFEAT_OPTPERF		BIT(4)		/* NPWG, NPWA, NPDG, NPDA, NOWS */
#define NVTGT_DLFEAT_READS_ZEROES	1
#define NVTGT_DLFEAT_WZ_DEAC		BIT(3)

static u16 nvtgt_identify_bad(struct nvtgt_req *req, u16 error_loc, u16 status)
{
	req->error_loc = error_loc;
	return status | NVME_STATUS_DNR;
}

static u16 nvtgt_identify_bad_nsid(struct nvtgt_req *req)
{
	return nvtgt_identify_bad(req, offsetof(struct nvme_identify, nsid), NVME_SC_INVALID_NS);
}

static u32 nvtgt_identify_nsid(struct nvtgt_req *req)
{
	return le32_to_cpu(req->cmd->identify.nsid);
}

/*
 * The namespace that the command names. A number that could be a namespace and is
 * not in use gives NULL and no error: its structure is all zeroes. There is no
 * namespace management, so FFFFFFFFh names nothing.
 */
static u16 nvtgt_identify_get_ns(struct nvtgt_req *req, struct nvtgt_ns **ns)
{
	u32 nsid = nvtgt_identify_nsid(req);

	if (!nsid || nsid > NVTGT_MAX_NSID)
		return nvtgt_identify_bad_nsid(req);
	*ns = nvtgt_ns_find_get(req->queue->ctrl->subsys, nsid);
	return 0;
}

/* Zero based and in logical blocks. */
static __le16 nvtgt_blocks0(const struct nvtgt_ns *ns, u32 bytes)
{
	u32 blocks = clamp_t(u32, bytes >> ns->blksize_shift, 1, U16_MAX + 1);

	return cpu_to_le16(blocks - 1);
}

static void nvtgt_identify_ns_geometry(const struct nvtgt_ns *ns, struct nvme_id_ns *id)
{
	u64 size = READ_ONCE(ns->size);

	id->nsze = cpu_to_le64(size >> ns->blksize_shift);
	id->ncap = id->nsze;
	id->nuse = id->nsze;
	put_unaligned_le64(size, id->nvmcap);
	id->lbaf[0].ds = ns->blksize_shift;
	if (ns->phys_block_bytes) {
		id->nsfeat |= NVTGT_NSFEAT_OPTPERF;
		id->npwg = nvtgt_blocks0(ns, ns->phys_block_bytes);
		id->npwa = id->npwg;
		id->npdg = id->npwg;
		id->npda = id->npwg;
		id->nows = nvtgt_blocks0(ns, ns->io_opt_bytes ?: ns->phys_block_bytes);
	}
	if (ns->discard_zeroes)
		id->dlfeat = NVTGT_DLFEAT_READS_ZEROES | NVTGT_DLFEAT_WZ_DEAC;
}

/* Each block's protection information follows its data: NVMe-oF has nothing else. */
static void nvtgt_identify_ns_pi(const struct nvtgt_ns *ns, struct nvme_id_ns *id)
{
	id->lbaf[0].ms = cpu_to_le16(NVTGT_PI_BYTES);
	id->flbas = NVME_NS_FLBAS_META_EXT;
	id->mc = NVTGT_NS_MC_EXT;
	id->dpc = BIT(ns->pi_type - 1) | NVME_NS_DPC_PI_LAST;
	id->dps = ns->pi_type;
}

/* CNS 00h, and CNS 11h: every namespace that is allocated is attached. */
static u16 nvtgt_identify_ns(struct nvtgt_req *req, void *page)
{
	struct nvme_id_ns *id = page;
	struct nvtgt_core_ns *core_ns;
	struct nvtgt_ns *ns;
	u16 status;

	status = nvtgt_identify_get_ns(req, &ns);
	if (status || !ns)
		return status;
	core_ns = to_nvtgt_core_ns(ns);
	nvtgt_ns_try_revalidate(core_ns);
	nvtgt_identify_ns_geometry(ns, id);
	if (ns->pi_type && req->queue->ctrl->pi)
		nvtgt_identify_ns_pi(ns, id);
	id->nmic = NVME_NS_NMIC_SHARED;
	id->anagrpid = cpu_to_le32(READ_ONCE(core_ns->anagrpid));
	if (ns->readonly)
		id->nsattr |= NVME_NS_ATTR_RO;
	/* the identifiers do not change while the namespace is enabled */
	memcpy(id->nguid, core_ns->nguid, sizeof(id->nguid));
	nvtgt_ns_put(ns);
	return 0;
}

static void nvtgt_identify_ctrl_names(struct nvtgt_subsys *subsys, struct nvme_id_ctrl *id)
{
	mutex_lock(&subsys->lock);
	/* from now on the administrator does not change what a host has seen */
	subsys->discovered = true;
	memcpy_and_pad(id->sn, sizeof(id->sn), subsys->serial, strlen(subsys->serial), ' ');
	memcpy_and_pad(id->mn, sizeof(id->mn), subsys->model, strlen(subsys->model), ' ');
	memcpy_and_pad(id->fr, sizeof(id->fr), subsys->firmware, strlen(subsys->firmware), ' ');
	id->vid = cpu_to_le16(subsys->vendor_id);
	id->ssvid = cpu_to_le16(subsys->subsys_vendor_id);
	put_unaligned_le24(subsys->ieee_oui, id->ieee);
	id->ver = cpu_to_le32(subsys->ver);
	mutex_unlock(&subsys->lock);
	strscpy(id->subnqn, subsys->nqn, sizeof(id->subnqn));
}

/* What I/O and discovery controllers both tell. */
static void nvtgt_identify_ctrl_common(const struct nvtgt_queue *queue, struct nvme_id_ctrl *id)
{
	struct nvtgt_ctrl *ctrl = queue->ctrl;

	nvtgt_identify_ctrl_names(ctrl->subsys, id);
	id->mdts = ctrl->mdts;
	id->cntlid = cpu_to_le16(ctrl->cntlid);
	id->ctratt = cpu_to_le32(NVME_CTRL_ATTR_HID_128_BIT |
				 (ctrl->pi ? NVTGT_CTRL_CTRATT_MEM : 0));
	id->aerl = NVTGT_MAX_AERS - 1;
	id->acl = NVTGT_ACL;
	id->elpe = NVTGT_ERROR_LOG_SLOTS - 1;
	id->sgls = cpu_to_le32(NVME_CTRL_SGLS_BYTE_ALIGNED | queue->ops->sgls);
}

/* What a controller over fabrics has beside that. */
static void nvtgt_identify_ctrl_fabrics(struct nvtgt_ctrl *ctrl, struct nvme_id_ctrl *id)
{
	id->ctratt |= cpu_to_le32(NVME_CTRL_ATTR_TBKAS);
	id->kas = cpu_to_le16(NVTGT_KAS);
	/* MQES is zero based */
	id->maxcmd = cpu_to_le16((ctrl->cap & 0xffff) + 1);
	id->sgls |= cpu_to_le32(NVME_CTRL_SGLS_SAOS);
	if (ctrl->subsys->discovery)
		return;
	/* capsules, in units of 16 bytes */
	id->ioccsz = cpu_to_le32((sizeof(struct nvme_command) +
				  (ctrl->pi ? 0 : ctrl->port->inline_data_size)) / 16);
	id->iorcsz = cpu_to_le32(sizeof(struct nvme_completion) / 16);
	id->msdbd = ctrl->port->msdbd ?: 1;
}

static void nvtgt_identify_ctrl_io(struct nvtgt_ctrl *ctrl, struct nvme_id_ctrl *id)
{
	id->cntrltype = NVME_CTRL_IO;
	id->rab = NVTGT_RAB;
	id->cmic = NVME_CTRL_CMIC_MULTI_PORT | NVME_CTRL_CMIC_MULTI_CTRL | NVME_CTRL_CMIC_ANA;
	id->oaes = cpu_to_le32(NVME_AEN_CFG_NS_ATTR | NVME_AEN_CFG_ANA_CHANGE);
	id->frmw = NVTGT_CTRL_FRMW;
	id->lpa = NVTGT_CTRL_LPA_SMART_PER_NS | NVME_CTRL_LPA_CMD_EFFECTS_LOG |
		  NVTGT_CTRL_LPA_EXTENDED_DATA;
	id->anatt = NVTGT_ANATT_S;
	id->anacap = NVTGT_ANACAP_STATES;
	id->anagrpmax = cpu_to_le32(NVTGT_LOST_ANAGRP);
	id->nanagrpid = cpu_to_le32(NVTGT_LOST_ANAGRP);
	id->sqes = NVTGT_IOSQES << 4 | NVTGT_IOSQES;
	id->cqes = NVTGT_IOCQES << 4 | NVTGT_IOCQES;
	id->nn = cpu_to_le32(NVTGT_MAX_NSID);
	id->mnan = cpu_to_le32(NVTGT_MAX_NSID);
	id->oncs = cpu_to_le16(NVME_CTRL_ONCS_DSM | NVME_CTRL_ONCS_WRITE_ZEROES |
			       NVTGT_CTRL_ONCS_SELECT);
	id->vwc = NVME_CTRL_VWC_PRESENT | NVTGT_CTRL_VWC_FLUSH_ALL_NO;
}

static void nvtgt_identify_ctrl_disc(struct nvme_id_ctrl *id)
{
	id->cntrltype = NVME_CTRL_DISC;
	/*
	 * DCTYPE is not reported: hosts take "direct" (DDC) as a promise of Discovery
	 * Information Management, and try it.
	 */
	id->oaes = cpu_to_le32(NVME_AEN_CFG_DISC_CHANGE);
	id->lpa = NVTGT_CTRL_LPA_EXTENDED_DATA;
}

/* CNS 01h */
static u16 nvtgt_identify_ctrl(struct nvtgt_req *req, void *page)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvme_id_ctrl *id = page;

	nvtgt_identify_ctrl_common(req->queue, id);
	if (ctrl->pci_ops)
		id->oacs = cpu_to_le16(NVME_CTRL_OACS_DBBUF_SUPP);
	else
		nvtgt_identify_ctrl_fabrics(ctrl, id);
	if (ctrl->subsys->discovery)
		nvtgt_identify_ctrl_disc(id);
	else
		nvtgt_identify_ctrl_io(ctrl, id);
	return 0;
}

/* CNS 02h, 07h, 10h: namespaces above the one that the command names */
static u16 nvtgt_identify_ns_list(struct nvtgt_req *req, void *page)
{
	struct nvtgt_subsys *subsys = req->queue->ctrl->subsys;
	u32 above = nvtgt_identify_nsid(req);
	__le32 *list = page;
	struct nvtgt_core_ns *core_ns;
	unsigned long nsid;
	unsigned int n = 0;

	/* the specification refuses FFFFFFFEh and FFFFFFFFh */
	if (above >= NVME_NSID_ALL - 1)
		return nvtgt_identify_bad_nsid(req);
	xa_for_each_range(&subsys->namespaces, nsid, core_ns, above + 1UL, NVTGT_MAX_NSID) {
		if (n == NVME_IDENTIFY_DATA_SIZE / sizeof(*list))
			break;
		list[n++] = cpu_to_le32(nsid);
	}
	return 0;
}

static void *nvtgt_identify_add_desc(void *at, u8 type, u8 len, const void *id)
{
	struct nvme_ns_id_desc *desc = at;

	desc->nidt = type;
	desc->nidl = len;
	memcpy(desc + 1, id, len);
	return at + sizeof(*desc) + len;
}

/* CNS 03h */
static u16 nvtgt_identify_ns_descs(struct nvtgt_req *req, void *page)
{
	static const u8 csi = NVME_CSI_NVM;
	struct nvtgt_core_ns *core_ns;
	struct nvtgt_ns *ns;
	u16 status;

	status = nvtgt_identify_get_ns(req, &ns);
	if (status)
		return status;
	/* CNS 03h is for active namespaces only */
	if (!ns)
		return nvtgt_identify_bad_nsid(req);
	core_ns = to_nvtgt_core_ns(ns);
	if (!uuid_is_null(&core_ns->uuid))
		page = nvtgt_identify_add_desc(page, NVME_NIDT_UUID, NVME_NIDT_UUID_LEN,
					       &core_ns->uuid);
	if (memchr_inv(core_ns->nguid, 0, sizeof(core_ns->nguid)))
		page = nvtgt_identify_add_desc(page, NVME_NIDT_NGUID, NVME_NIDT_NGUID_LEN,
					       core_ns->nguid);
	nvtgt_identify_add_desc(page, NVME_NIDT_CSI, NVME_NIDT_CSI_LEN, &csi);
	nvtgt_ns_put(ns);
	return 0;
}

/* CNS 05h, NVM: protection information has 16-bit guards and no storage tag: all zero. */
static u16 nvtgt_identify_ns_nvm(struct nvtgt_req *req, void *page)
{
	struct nvtgt_ns *ns;
	u16 status;

	status = nvtgt_identify_get_ns(req, &ns);
	if (!status && ns)
		nvtgt_ns_put(ns);
	return status;
}

/*
 * CNS 06h, NVM: neither Write Zeroes nor Dataset Management has a limit of its
 * own, which is what zero says.
 */
static u16 nvtgt_identify_ctrl_nvm(struct nvtgt_req *req, void *page)
{
	return 0;
}

/* CNS 08h */
static u16 nvtgt_identify_ns_indep(struct nvtgt_req *req, void *page)
{
	struct nvme_id_ns_cs_indep *id = page;
	struct nvtgt_ns *ns;
	u16 status;

	status = nvtgt_identify_get_ns(req, &ns);
	if (status || !ns)
		return status;
	id->nmic = NVME_NS_NMIC_SHARED;
	id->anagrpid = cpu_to_le32(READ_ONCE(to_nvtgt_core_ns(ns)->anagrpid));
	if (ns->readonly)
		id->nsattr |= NVME_NS_ATTR_RO;
	if (ns->rotational)
		id->nsfeat |= NVME_NS_ROTATIONAL;
	if (!ns->volatile_cache)
		id->nsfeat |= NVME_NS_VWC_NOT_PRESENT;
	id->nstat = NVME_NSTAT_NRDY;	/* bit 0 set means ready, whatever its name says */
	nvtgt_ns_put(ns);
	return 0;
}

/* CNS 13h: controllers of the subsystem, from the one that the command names on */
static u16 nvtgt_identify_ctrl_list(struct nvtgt_req *req, void *page)
{
	struct nvtgt_subsys *subsys = req->queue->ctrl->subsys;
	unsigned long id = le16_to_cpu(req->cmd->identify.ctrlid);
	const unsigned int max = NVME_IDENTIFY_DATA_SIZE / sizeof(__le16) - 1;
	__le16 *list = page;
	struct nvtgt_ctrl *ctrl;
	unsigned long *seen;
	unsigned int n = 0;

	seen = bitmap_zalloc(U16_MAX + 1, GFP_KERNEL);
	if (!seen)
		return NVME_SC_INTERNAL;
	mutex_lock(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry)
		__set_bit(ctrl->cntlid, seen);
	mutex_unlock(&subsys->lock);

	for_each_set_bit_from(id, seen, U16_MAX + 1) {
		if (n == max)
			break;
		list[++n] = cpu_to_le16(id);
	}
	list[0] = cpu_to_le16(n);
	bitmap_free(seen);
	return 0;
}

/* CNS 12h: every controller has every namespace */
static u16 nvtgt_identify_ns_ctrl_list(struct nvtgt_req *req, void *page)
{
	struct nvtgt_ns *ns;
	u16 status;

	status = nvtgt_identify_get_ns(req, &ns);
	if (status || !ns)
		return status;
	nvtgt_ns_put(ns);
	return nvtgt_identify_ctrl_list(req, page);
}

/* CNS 1Ch: one combination, which is the NVM command set */
static u16 nvtgt_identify_io_command_sets(struct nvtgt_req *req, void *page)
{
	u16 cntlid = le16_to_cpu(req->cmd->identify.ctrlid);
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	__le64 *vectors = page;

	if (cntlid != NVME_CNTLID_DYNAMIC && cntlid != ctrl->cntlid) {
		ctrl = nvtgt_ctrl_find_get(ctrl->subsys, cntlid);
		if (!ctrl)
			return nvtgt_identify_bad(req, offsetof(struct nvme_identify, ctrlid),
						  NVME_SC_INVALID_FIELD);
		nvtgt_ctrl_put(ctrl);
	}
	vectors[0] = cpu_to_le64(BIT_ULL(NVME_CSI_NVM));
	return 0;
}

/**
 * struct nvtgt_identify - a data structure that there is
 * @fill: fills in the zeroed page; may sleep. Returns 0 or a status.
 * @csi: belongs to the I/O command set that the command names
 * @discovery: discovery controllers have it
 */
struct nvtgt_identify {
	u16 (*fill)(struct nvtgt_req *req, void *page);
	bool csi;
	bool discovery;
};

static const struct nvtgt_identify nvtgt_identify_cns[] = {
	[NVME_ID_CNS_NS]		= { .fill = nvtgt_identify_ns },
	[NVME_ID_CNS_CTRL]		= { .fill = nvtgt_identify_ctrl, .discovery = true },
	[NVME_ID_CNS_NS_ACTIVE_LIST]	= { .fill = nvtgt_identify_ns_list },
	[NVME_ID_CNS_NS_DESC_LIST]	= { .fill = nvtgt_identify_ns_descs },
	[NVME_ID_CNS_CS_NS]		= { .fill = nvtgt_identify_ns_nvm, .csi = true },
	[NVME_ID_CNS_CS_CTRL]		= { .fill = nvtgt_identify_ctrl_nvm, .csi = true },
	[NVME_ID_CNS_NS_ACTIVE_LIST_CS]	= { .fill = nvtgt_identify_ns_list, .csi = true },
	[NVME_ID_CNS_NS_CS_INDEP]	= { .fill = nvtgt_identify_ns_indep },
	[NVME_ID_CNS_NS_PRESENT_LIST]	= { .fill = nvtgt_identify_ns_list },
	[NVME_ID_CNS_NS_PRESENT]	= { .fill = nvtgt_identify_ns },
	[NVME_ID_CNS_CTRL_NS_LIST]	= { .fill = nvtgt_identify_ns_ctrl_list },
	[NVME_ID_CNS_CTRL_LIST]		= { .fill = nvtgt_identify_ctrl_list },
	[NVTGT_CNS_IO_COMMAND_SETS]	= { .fill = nvtgt_identify_io_command_sets },
};

static void nvtgt_identify_work(struct nvtgt_req *req)
{
	void *page = kzalloc(NVME_IDENTIFY_DATA_SIZE, GFP_KERNEL);
	u16 status;

	if (!page) {
		nvtgt_req_complete(req, NVME_SC_INTERNAL);
		return;
	}
	status = nvtgt_identify_cns[req->cmd->identify.cns].fill(req, page);
	if (!status)
		status = nvtgt_copy_out(req, 0, page, NVME_IDENTIFY_DATA_SIZE);
	kfree(page);
	nvtgt_req_complete(req, status);
}

static void nvtgt_identify_execute(struct nvtgt_req *req)
{
	nvtgt_req_complete_work(req, nvtgt_identify_work);
}

/**
 * nvtgt_identify_parse - judge an Identify command
 * @req: the request
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: 0 or a status
 */
u16 nvtgt_identify_parse(struct nvtgt_req *req)
{
	struct nvme_identify *c = &req->cmd->identify;
	const struct nvtgt_identify *identify = &nvtgt_identify_cns[0];

	if (c->cns < ARRAY_SIZE(nvtgt_identify_cns))
		identify = &nvtgt_identify_cns[c->cns];
	if (c->cns >= ARRAY_SIZE(nvtgt_identify_cns) || !identify->fill ||
	    (req->queue->ctrl->subsys->discovery && !identify->discovery))
		return nvtgt_identify_bad(req, offsetof(struct nvme_identify, cns),
					  NVME_SC_INVALID_FIELD);
	if (identify->csi && c->csi != NVME_CSI_NVM)
		return nvtgt_identify_bad(req, offsetof(struct nvme_identify, csi),
					  NVME_SC_INVALID_FIELD);
	req->data_len = NVME_IDENTIFY_DATA_SIZE;
	req->dir = DMA_FROM_DEVICE;
	req->execute = nvtgt_identify_execute;
	return 0;
}
