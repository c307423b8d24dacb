// SPDX-License-Identifier: GPL-2.0
/*
 * Registered memory. RDMA READs of devices that need it (iWARP: the sink of a READ is
 * named by a key that the peer sees) go there; others read into any mapped memory.
 *
 * And data with protection information, both ways, through signature memory regions:
 * in memory the information lies beside the data, on the wire behind each block, or
 * nowhere (PRACT). The device takes it apart, makes it and checks it on the way, and
 * says afterwards what it has found.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/math64.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <rdma/rw.h>
#include "rdma.h"

/* A piece of the host's memory, and where it goes. */
struct nvtgt_rdma_reg {
	struct rdma_rw_ctx ctx;
	struct scatterlist *sg;
	unsigned int nents;
};

/* struct nvtgt_rdma_regs - the registrations of a command */
struct nvtgt_rdma_regs {
	struct scatterlist *sg;
	struct scatterlist pi;
	bool signature;			/* reg[0] moves protection information, too */
	unsigned int nr;		/* that have been made */
	struct nvtgt_rdma_reg reg[];
};

/* The segments of one key. Returns how many bytes they have. */
static u32 nvtgt_rdma_reg_sg(struct nvtgt_rdma_reg *reg, struct scatterlist *sg,
			     const struct bio_vec **bvec, u32 *off, u32 len)
{
	u32 done = 0;

	reg->sg = sg;
	reg->nents = 0;
	while (done < len) {
		u32 part = min(len - done, (*bvec)->bv_len - *off);

		sg_init_table(&sg[reg->nents], 1);
		sg_set_page(&sg[reg->nents], (*bvec)->bv_page, part, *off);
		reg->nents++;
		done += part;
		*off += part;
		if (*off == (*bvec)->bv_len) {
			(*bvec)++;
			*off = 0;
		}
	}
	/* one list: only its last entry is marked as the end */
	for (unsigned int i = 0; i + 1 < reg->nents; i++)
		sg_unmark_end(&sg[i]);
	return done;
}

/* One side: the memory, or the wire. */
static void nvtgt_rdma_sig_domain(const struct nvtgt_req *req, struct ib_sig_domain *domain)
{
	const struct nvme_rw_command *rw = &req->cmd->rw;

	domain->sig_type = IB_SIG_TYPE_T10_DIF;
	domain->sig.dif = (struct ib_t10_dif_domain) {
		.bg_type = IB_T10DIF_CRC,
		.pi_interval = req->data_len / (req->pi_len / NVTGT_PI_BYTES),
		.ref_tag = le32_to_cpu(rw->reftag),
		.app_tag = le16_to_cpu(rw->lbat),
		.apptag_check_mask = le16_to_cpu(rw->lbatm),
		/* type 3: reference tags do not count up; all ones in both tags: no check */
		.ref_remap = req->pi_type != NVME_NS_DPS_PI_TYPE3,
		.app_escape = true,
		.ref_escape = req->pi_type == NVME_NS_DPS_PI_TYPE3,
	};
}

/* What the device is to make, take away and check (NVM command set 1.1, 5.3.3). */
static void nvtgt_rdma_sig_attrs(const struct nvtgt_req *req, struct ib_sig_attrs *sig)
{
	u16 control = le16_to_cpu(req->cmd->rw.control);

	memset(sig, 0, sizeof(*sig));
	nvtgt_rdma_sig_domain(req, &sig->mem);
	if (req->pi_wire)
		nvtgt_rdma_sig_domain(req, &sig->wire);
	else
		sig->wire.sig_type = IB_SIG_TYPE_NONE;
	if (control & NVME_RW_PRINFO_PRCHK_GUARD)
		sig->check_mask |= IB_SIG_CHECK_GUARD;
	if (control & NVME_RW_PRINFO_PRCHK_APP)
		sig->check_mask |= IB_SIG_CHECK_APPTAG;
	if (control & NVME_RW_PRINFO_PRCHK_REF)
		sig->check_mask |= IB_SIG_CHECK_REFTAG;
}

static enum dma_data_direction nvtgt_rdma_reg_dir(const struct nvtgt_rdma_cmd *cmd)
{
	/* what the host sends comes from the device */
	return cmd->req.dir == DMA_TO_DEVICE ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
}

/* One registration: of plain data, or of data and their protection information. */
static int nvtgt_rdma_reg_init(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
			       struct nvtgt_rdma_reg *reg, const struct nvtgt_rdma_key *key)
{
	struct nvtgt_rdma_regs *regs = cmd->more->regs;
	const struct nvtgt_req *req = &cmd->req;
	struct ib_sig_attrs sig;

	if (likely(!req->pi_len))
		return rdma_rw_ctx_init(&reg->ctx, q->qp, q->cm_id->port_num, reg->sg, reg->nents,
					0, key->addr, key->rkey, nvtgt_rdma_reg_dir(cmd));
	regs->signature = true;
	sg_init_table(&regs->pi, 1);
	sg_set_page(&regs->pi, req->pi.bv_page, req->pi.bv_len, req->pi.bv_offset);
	nvtgt_rdma_sig_attrs(req, &sig);
	return rdma_rw_ctx_signature_init(&reg->ctx, q->qp, q->cm_id->port_num, reg->sg,
					  reg->nents, &regs->pi, 1, &sig, key->addr, key->rkey,
					  nvtgt_rdma_reg_dir(cmd));
}

/**
 * nvtgt_rdma_regs_get - register a command's memory
 * @q: the connection
 * @cmd: with its pieces and keys
 *
 * Context: the reactor; may sleep for memory.
 * Return: how many work requests the transfer takes; -EBUSY: the connection's
 *	registrations are in use; or another negative errno
 */
int nvtgt_rdma_regs_get(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_key *keys = cmd->more->keys ?: &cmd->key;
	const struct bio_vec *bvec = cmd->req.bvec;
	gfp_t gfp = GFP_ATOMIC | __GFP_NOWARN;
	u32 off = 0, left = cmd->req.data_len;
	struct nvtgt_rdma_regs *regs;
	struct scatterlist *sg;
	unsigned int i, nr = 0;
	int ret;

	regs = kzalloc(struct_size(regs, reg, cmd->nr_keys), gfp);
	if (!regs)
		return -ENOMEM;
	cmd->more->regs = regs;
	regs->sg = kmalloc_array(cmd->nr_pieces + cmd->nr_keys, sizeof(*regs->sg), gfp);
	if (!regs->sg)
		return -ENOMEM;
	sg = regs->sg;
	for (i = 0; i < cmd->nr_keys && left; i++) {
		struct nvtgt_rdma_reg *reg = &regs->reg[i];

		left -= nvtgt_rdma_reg_sg(reg, sg, &bvec, &off, min(keys[i].len, left));
		sg += reg->nents;
		ret = nvtgt_rdma_reg_init(q, cmd, reg, &keys[i]);
		if (ret < 0)
			return ret == -EAGAIN ? -EBUSY : ret;
		regs->nr++;
		nr += ret;
	}
	return nr;
}

static const char *nvtgt_rdma_sig_name(enum ib_sig_err_type type)
{
	switch (type) {
	case IB_SIG_BAD_GUARD:
		return "guard";
	case IB_SIG_BAD_REFTAG:
		return "reference tag";
	case IB_SIG_BAD_APPTAG:
		return "application tag";
	}
	return "something";
}

/**
 * nvtgt_rdma_regs_check - what has the device found wrong with what it moved?
 * @q: the connection
 * @cmd: with registrations that the device has done with
 *
 * Context: the reactor.
 * Return: 0, or an NVMe status
 */
u16 nvtgt_rdma_regs_check(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_regs *regs = cmd->more->regs;
	struct nvtgt_req *req = &cmd->req;
	struct ib_mr_status found = {};
	u32 block;

	if (likely(!regs->signature))
		return 0;
	if (ib_check_mr_status(regs->reg[0].ctx.reg->mr, IB_MR_CHECK_SIG_STATUS, &found)) {
		nvtgt_rdma_warn(q, "command %#x: the device does not say whether its protection information is right\n",
				le16_to_cpu((__force __le16)req->cmd->common.command_id));
		return NVME_SC_INVALID_PI | NVME_STATUS_DNR;
	}
	if (likely(!(found.fail_status & IB_MR_CHECK_SIG_STATUS)))
		return 0;
	/* whatever is on the wire, sig_err_offset counts data and protection information */
	block = div_u64(found.sig_err.sig_err_offset,
			(req->data_len + req->pi_len) / (req->pi_len / NVTGT_PI_BYTES));
	req->error_slba = le64_to_cpu(req->cmd->rw.slba) + block;
	nvtgt_rdma_warn(q, "protection information of block %llu, %s: expected %#x, is %#x\n",
			req->error_slba, nvtgt_rdma_sig_name(found.sig_err.err_type),
			found.sig_err.expected, found.sig_err.actual);
	switch (found.sig_err.err_type) {
	case IB_SIG_BAD_GUARD:
		return NVME_SC_GUARD_CHECK | NVME_STATUS_DNR;
	case IB_SIG_BAD_REFTAG:
		return NVME_SC_REFTAG_CHECK | NVME_STATUS_DNR;
	case IB_SIG_BAD_APPTAG:
		return NVME_SC_APPTAG_CHECK | NVME_STATUS_DNR;
	}
	return NVME_SC_INVALID_PI | NVME_STATUS_DNR;
}

/**
 * nvtgt_rdma_regs_put - a command's transfer is over, or will not take place
 * @q: the connection
 * @cmd: with registrations, or with none
 *
 * Context: the reactor; the device has done with what was posted.
 */
void nvtgt_rdma_regs_put(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_regs *regs = cmd->more ? cmd->more->regs : NULL;
	unsigned int i;

	if (!regs)
		return;
	for (i = 0; i < regs->nr; i++) {
		struct nvtgt_rdma_reg *reg = &regs->reg[i];

		if (unlikely(regs->signature))
			rdma_rw_ctx_destroy_signature(&reg->ctx, q->qp, q->cm_id->port_num, reg->sg,
						      reg->nents, &regs->pi, 1,
						      nvtgt_rdma_reg_dir(cmd));
		else
			rdma_rw_ctx_destroy(&reg->ctx, q->qp, q->cm_id->port_num, reg->sg,
					    reg->nents, nvtgt_rdma_reg_dir(cmd));
	}
	kfree(regs->sg);
	kfree(regs);
	cmd->more->regs = NULL;
}

/**
 * nvtgt_rdma_regs_build - the work requests of a command's transfer, chained
 * @q: the connection
 * @cmd: with registrations
 * @first: the first of them
 * @last: the last
 *
 * The last one asks for a completion, which over iWARP nothing else can stand for.
 *
 * Return: how many
 */
unsigned int nvtgt_rdma_regs_build(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd,
				   struct ib_send_wr **first, struct ib_send_wr **last)
{
	struct nvtgt_rdma_regs *regs = cmd->more->regs;
	struct ib_send_wr *wr = NULL;
	unsigned int i, nr = 0;

	for (i = regs->nr; i--; )
		wr = rdma_rw_ctx_wrs(&regs->reg[i].ctx, q->qp, q->cm_id->port_num,
				     wr ? NULL : &cmd->cqe, wr);
	*first = wr;
	for (; wr; wr = wr->next) {
		/* when the queue pair fails each work request has a completion */
		wr->wr_cqe = &cmd->cqe;
		*last = wr;
		nr++;
	}
	return nr;
}
