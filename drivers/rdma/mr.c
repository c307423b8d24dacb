// SPDX-License-Identifier: GPL-2.0
/*
 * RDMA READs into registered memory, for devices that need it (iWARP: the sink of a
 * READ is named by a key that the peer sees). Others read into any mapped memory.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

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
	/* one list: the ends that stand inside it are none */
	for (unsigned int i = 0; i + 1 < reg->nents; i++)
		sg_unmark_end(&sg[i]);
	return done;
}

/**
 * nvtgt_rdma_regs_get - register a command's memory for its RDMA READs
 * @q: the connection
 * @cmd: with its pieces and keys
 *
 * Context: the reactor; may sleep for memory.
 * Return: how many work requests the READs take; -EBUSY: the connection's
 *	registrations are in use; or another negative errno
 */
int nvtgt_rdma_regs_get(struct nvtgt_rdma_queue *q, struct nvtgt_rdma_cmd *cmd)
{
	struct nvtgt_rdma_key *keys = cmd->more->keys ?: &cmd->key;
	const struct bio_vec *bvec = cmd->req.bvec;
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN;
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
		ret = rdma_rw_ctx_init(&reg->ctx, q->qp, q->cm_id->port_num, reg->sg, reg->nents, 0,
				       keys[i].addr, keys[i].rkey, DMA_FROM_DEVICE);
		if (ret < 0)
			return ret == -EAGAIN ? -EBUSY : ret;
		regs->nr++;
		nr += ret;
	}
	return nr;
}

/**
 * nvtgt_rdma_regs_put - a command's READs are over, or will not be
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
	for (i = 0; i < regs->nr; i++)
		rdma_rw_ctx_destroy(&regs->reg[i].ctx, q->qp, q->cm_id->port_num, regs->reg[i].sg,
				    regs->reg[i].nents, DMA_FROM_DEVICE);
	kfree(regs->sg);
	kfree(regs);
	cmd->more->regs = NULL;
}

/**
 * nvtgt_rdma_regs_build - the work requests of a command's READs, chained
 * @q: the connection
 * @cmd: with registrations
 * @first: the first of them
 * @last: the last
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
		/* of a queue pair that fails each of them has a completion */
		wr->wr_cqe = &cmd->cqe;
		*last = wr;
		nr++;
	}
	return nr;
}
