// SPDX-License-Identifier: GPL-2.0
/*
 * For tests alone: soft-RoCE devices get signature memory regions, so that both
 * sides of NVMe over RDMA can carry protection information (T10-PI) in a guest.
 *
 * No kernel driver of a device without hardware has these, while rdma_rxe moves
 * whatever memory an ordinary fast-registration region names. So a signature
 * region here is a struct ib_mr of our own with such a region inside, which
 * covers a bounce buffer with the bytes as they are on the wire. The inner region
 * has the keys that the outer one shows, hence a peer finds it by the outer's.
 *
 *  - memory to wire: the bounce buffer is filled, and what memory had is
 *    verified, when the registration is posted
 *  - wire to memory: the bounce buffer gets a pattern then; when the status is
 *    asked for and something came, this is verified and brought to memory
 *
 * Which of these it is shows in the rest of the posted chain: a target posts its
 * RDMA READ or WRITE with the registration, a host its command.
 *
 * Load it before anything that uses the devices: a host or target asks for what a
 * device can do when it first sees it, and is told of a device's end before us
 * only when it came after us. While regions exist, it cannot be unloaded.
 *
 * rdma_rxe has no DMA: addresses are kernel addresses, and there is no highmem.
 */
#include <linux/crc32.h>
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/nvme.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/t10-pi.h>
#include <net/checksum.h>
#include <rdma/ib_verbs.h>
#include <rdma/signature.h>

/* the longest list of pages that a signature region is said to take */
#define SIGMR_MAX_PAGES 256
/* a byte that no one sends by chance with a valid guard, block after block */
#define SIGMR_PATTERN 0xa7

static unsigned int corrupt;
module_param(corrupt, uint, 0644);
MODULE_PARM_DESC(corrupt, "so many more transfers from memory to wire with PI get a bad bit");

static unsigned int registered;
module_param(registered, uint, 0444);
MODULE_PARM_DESC(registered, "registrations of signature regions so far");

static unsigned int checked;
module_param(checked, uint, 0444);
MODULE_PARM_DESC(checked, "status checks of signature regions so far");

static unsigned int errors;
module_param(errors, uint, 0444);
MODULE_PARM_DESC(errors, "status checks that found an error so far");

/* of the parameters above */
static DEFINE_SPINLOCK(count_lock);

enum sigmr_flow {
	SIGMR_OUT,	/* memory to wire */
	SIGMR_IN,	/* wire to memory */
	SIGMR_EITHER,	/* it is in when the bounce buffer changes */
};

/* what an ib_device had before */
struct sigmr_dev {
	struct ib_device *ibdev;
	int (*create_qp)(struct ib_qp *qp, struct ib_qp_init_attr *attr, struct ib_udata *udata);
	int (*post_send)(struct ib_qp *qp, const struct ib_send_wr *wr,
			 const struct ib_send_wr **bad_wr);
	int (*dereg_mr)(struct ib_mr *mr, struct ib_udata *udata);
	struct ib_mr *(*alloc_mr_integrity)(struct ib_pd *pd, u32 max_data, u32 max_meta);
	int (*map_mr_sg_pi)(struct ib_mr *mr, struct scatterlist *data, int data_nents,
			    unsigned int *data_offset, struct scatterlist *meta, int meta_nents,
			    unsigned int *meta_offset);
	int (*check_mr_status)(struct ib_mr *mr, u32 mask, struct ib_mr_status *status);
	unsigned int max_pi_pages;
	int prot_cap;
	int guard_cap;
};

/* memory of the region's user, as it was mapped */
struct sigmr_mem {
	struct scatterlist *sg;
	unsigned int offset;
	unsigned int len;
};

/* a place in a scatter list */
struct sigmr_walk {
	struct scatterlist *sg;
	unsigned int offset;
};

struct sigmr {
	struct ib_mr ibmr;
	struct ib_mr *inner;
	struct sigmr_mem data;
	struct sigmr_mem meta;
	/* the bounce buffer: as many pages as were ever needed, of those there may be */
	struct scatterlist *bounce;
	unsigned int pages;
	unsigned int max_pages;
	u8 *block;

	/* of the last registration */
	const struct ib_t10_dif_domain *dif;
	bool wire_pi;
	bool mem_pi;
	unsigned int blocks;
	unsigned int wire_len;
	enum sigmr_flow flow;
	u32 sum;
	bool settled;
	bool bad;
	struct ib_sig_err err;
};

/* a copy of a work request, and whose */
struct sigmr_wr {
	union {
		struct ib_send_wr wr;
		struct ib_rdma_wr rdma;
		struct ib_atomic_wr atomic;
		struct ib_reg_wr reg;
	};
	const struct ib_send_wr *orig;
};

static struct ib_client sigmr_client;

static struct sigmr *to_sigmr(struct ib_mr *mr)
{
	return container_of(mr, struct sigmr, ibmr);
}

static struct sigmr_dev *sigmr_dev_of(struct ib_device *ibdev)
{
	return ib_get_client_data(ibdev, &sigmr_client);
}

static void count(unsigned int *counter)
{
	unsigned long flags;

	spin_lock_irqsave(&count_lock, flags);
	(*counter)++;
	spin_unlock_irqrestore(&count_lock, flags);
}

static bool take_corruption(void)
{
	unsigned long flags;
	bool take;

	spin_lock_irqsave(&count_lock, flags);
	take = corrupt > 0;
	if (take)
		corrupt--;
	spin_unlock_irqrestore(&count_lock, flags);
	return take;
}

/* ------------------------------------------------------------ bytes */

static void walk_start(struct sigmr_walk *walk, const struct sigmr_mem *mem)
{
	walk->sg = mem->sg;
	walk->offset = mem->offset;
}

/* The next bytes of a list, at most @want and without a gap; NULL at its end. */
static void *walk_next(struct sigmr_walk *walk, unsigned int want, unsigned int *got)
{
	void *at;

	while (walk->sg && walk->offset >= walk->sg->length) {
		walk->offset -= walk->sg->length;
		walk->sg = sg_next(walk->sg);
	}
	if (!walk->sg)
		return NULL;
	at = sg_virt(walk->sg) + walk->offset;
	*got = min(want, walk->sg->length - walk->offset);
	walk->offset += *got;
	return at;
}

static void walk_get(struct sigmr_walk *walk, void *to, unsigned int len)
{
	unsigned int n;
	void *at;

	for (; len && (at = walk_next(walk, len, &n)); to += n, len -= n)
		memcpy(to, at, n);
	WARN_ON_ONCE(len);
}

static void walk_put(struct sigmr_walk *walk, const void *from, unsigned int len)
{
	unsigned int n;
	void *at;

	for (; len && (at = walk_next(walk, len, &n)); from += n, len -= n)
		memcpy(at, from, n);
	WARN_ON_ONCE(len);
}

static void bounce_start(struct sigmr *s, struct sigmr_walk *walk)
{
	walk->sg = s->bounce;
	walk->offset = 0;
}

static u32 bounce_sum(struct sigmr *s)
{
	unsigned int len = s->wire_len, n;
	struct sigmr_walk walk;
	u32 sum = ~0;
	void *at;

	bounce_start(s, &walk);
	for (; len && (at = walk_next(&walk, len, &n)); len -= n)
		sum = crc32_le(sum, at, n);
	return sum;
}

static void bounce_clear(struct sigmr *s)
{
	unsigned int len = s->wire_len, n;
	struct sigmr_walk walk;
	void *at;

	bounce_start(s, &walk);
	for (; len && (at = walk_next(&walk, len, &n)); len -= n)
		memset(at, SIGMR_PATTERN, n);
}

/* ------------------------------------------------------------ protection */

/*
 * The guard's CRC, polynomial 0x8bb7: not the kernel's, which the debug kernel
 * does not have and which what is tested computes with.
 */
static u16 crc_table[256];

static void crc_init(void)
{
	unsigned int i, bit;
	u16 crc;

	for (i = 0; i < ARRAY_SIZE(crc_table); i++) {
		crc = i << 8;
		for (bit = 0; bit < 8; bit++)
			crc = (crc << 1) ^ (crc & 0x8000 ? 0x8bb7 : 0);
		crc_table[i] = crc;
	}
}

static u16 crc_of(u16 crc, const u8 *p, unsigned int len)
{
	while (len--)
		crc = (crc << 8) ^ crc_table[(crc >> 8) ^ *p++];
	return crc;
}

static __be16 guard_of(const struct sigmr *s)
{
	if (s->dif->bg_type == IB_T10DIF_CSUM)
		return (__force __be16)ip_compute_csum(s->block, s->dif->pi_interval);
	return cpu_to_be16(crc_of(s->dif->bg, s->block, s->dif->pi_interval));
}

static u32 ref_tag_of(const struct sigmr *s, unsigned int i)
{
	return s->dif->ref_tag + (s->dif->ref_remap ? i : 0);
}

static void pi_make(const struct sigmr *s, unsigned int i, struct t10_pi_tuple *pi)
{
	pi->guard_tag = guard_of(s);
	pi->app_tag = cpu_to_be16(s->dif->app_tag);
	pi->ref_tag = cpu_to_be32(ref_tag_of(s, i));
}

static bool pi_escapes(const struct sigmr *s, const struct t10_pi_tuple *pi)
{
	if (!s->dif->app_escape || pi->app_tag != cpu_to_be16(0xffff))
		return false;
	return !s->dif->ref_escape || pi->ref_tag == cpu_to_be32(0xffffffff);
}

static void pi_error(struct sigmr *s, unsigned int i, enum ib_sig_err_type type,
		     u32 expected, u32 actual)
{
	/* as devices that have these regions count, whatever is on the wire */
	unsigned int step = s->dif->pi_interval + sizeof(struct t10_pi_tuple);

	s->bad = true;
	s->err.err_type = type;
	s->err.expected = expected;
	s->err.actual = actual;
	s->err.sig_err_offset = (u64)i * step;
	s->err.key = s->ibmr.lkey;
}

/* The block in s->block is the @i-th; the first error of a region counts. */
static void pi_verify(struct sigmr *s, unsigned int i, const struct t10_pi_tuple *pi)
{
	u8 mask = s->ibmr.sig_attrs->check_mask;
	u16 app_mask = s->dif->apptag_check_mask;
	u16 app = be16_to_cpu(pi->app_tag);
	__be16 guard;

	if (s->bad || pi_escapes(s, pi))
		return;
	guard = guard_of(s);
	if ((mask & IB_SIG_CHECK_GUARD) && pi->guard_tag != guard)
		pi_error(s, i, IB_SIG_BAD_GUARD, be16_to_cpu(guard), be16_to_cpu(pi->guard_tag));
	else if ((mask & IB_SIG_CHECK_REFTAG) && be32_to_cpu(pi->ref_tag) != ref_tag_of(s, i))
		pi_error(s, i, IB_SIG_BAD_REFTAG, ref_tag_of(s, i), be32_to_cpu(pi->ref_tag));
	else if ((mask & IB_SIG_CHECK_APPTAG) && (app & app_mask) != (s->dif->app_tag & app_mask))
		pi_error(s, i, IB_SIG_BAD_APPTAG, s->dif->app_tag, app);
}

/* What memory has goes to the bounce buffer. */
static void sigmr_fill(struct sigmr *s)
{
	struct sigmr_walk data, meta, bounce;
	struct t10_pi_tuple pi;
	unsigned int i;

	walk_start(&data, &s->data);
	walk_start(&meta, &s->meta);
	bounce_start(s, &bounce);
	for (i = 0; i < s->blocks; i++) {
		walk_get(&data, s->block, s->dif->pi_interval);
		if (s->mem_pi) {
			walk_get(&meta, &pi, sizeof(pi));
			/* of a transfer into memory this is no one's mistake */
			if (s->flow == SIGMR_OUT)
				pi_verify(s, i, &pi);
		} else {
			pi_make(s, i, &pi);
		}
		walk_put(&bounce, s->block, s->dif->pi_interval);
		if (s->wire_pi)
			walk_put(&bounce, &pi, sizeof(pi));
	}
}

/* What the bounce buffer has is verified; where it @came from the wire, memory gets it. */
static void sigmr_settle(struct sigmr *s, bool came)
{
	struct sigmr_walk data, meta, bounce;
	struct t10_pi_tuple pi;
	unsigned int i;

	walk_start(&data, &s->data);
	walk_start(&meta, &s->meta);
	bounce_start(s, &bounce);
	for (i = 0; i < s->blocks; i++) {
		walk_get(&bounce, s->block, s->dif->pi_interval);
		if (s->wire_pi) {
			walk_get(&bounce, &pi, sizeof(pi));
			pi_verify(s, i, &pi);
		} else if (came) {
			pi_make(s, i, &pi);
		} else {
			walk_get(&meta, &pi, sizeof(pi));
			pi_verify(s, i, &pi);
		}
		if (!came)
			continue;
		walk_put(&data, s->block, s->dif->pi_interval);
		if (s->mem_pi)
			walk_put(&meta, &pi, sizeof(pi));
	}
}

/* ------------------------------------------------------------ registration */

/* What the signature attributes make of the mapped memory. */
static int sigmr_layout(struct sigmr *s)
{
	const struct ib_sig_attrs *attrs = s->ibmr.sig_attrs;
	const struct ib_t10_dif_domain *mem = &attrs->mem.sig.dif, *wire = &attrs->wire.sig.dif;
	unsigned int pi_len;

	s->mem_pi = attrs->mem.sig_type == IB_SIG_TYPE_T10_DIF;
	s->wire_pi = attrs->wire.sig_type == IB_SIG_TYPE_T10_DIF;
	if (!s->mem_pi && !s->wire_pi)
		return -EINVAL;
	if (s->mem_pi && s->wire_pi &&
	    (mem->bg_type != wire->bg_type || mem->pi_interval != wire->pi_interval))
		return -EINVAL;
	s->dif = s->wire_pi ? wire : mem;
	if (s->dif->bg_type != IB_T10DIF_CRC && s->dif->bg_type != IB_T10DIF_CSUM)
		return -EINVAL;
	if (!s->dif->pi_interval || s->dif->pi_interval > PAGE_SIZE ||
	    !s->data.len || s->data.len % s->dif->pi_interval)
		return -EINVAL;
	s->blocks = s->data.len / s->dif->pi_interval;
	pi_len = s->blocks * sizeof(struct t10_pi_tuple);
	if (s->meta.len != (s->mem_pi ? pi_len : 0))
		return -EINVAL;
	s->wire_len = s->data.len + (s->wire_pi ? pi_len : 0);
	return 0;
}

static int sigmr_map_inner(struct sigmr *s)
{
	unsigned int n = DIV_ROUND_UP(s->wire_len, PAGE_SIZE);
	struct page *page;

	if (n > s->max_pages)
		return -EINVAL;
	for (; s->pages < n; s->pages++) {
		page = alloc_page(GFP_ATOMIC | __GFP_NOWARN);
		if (!page)
			return -ENOMEM;
		sg_set_page(&s->bounce[s->pages], page, PAGE_SIZE, 0);
	}
	if (ib_dma_map_sg(s->ibmr.device, s->bounce, n, DMA_BIDIRECTIONAL) != n ||
	    ib_map_mr_sg(s->inner, s->bounce, n, NULL, PAGE_SIZE) != n)
		return -EINVAL;
	/* what is registered begins at 0 and ends with the last block */
	s->inner->iova = 0;
	s->inner->length = s->wire_len;
	return 0;
}

/* Where the bytes of a region go, by what follows its registration in the chain. */
static enum sigmr_flow sigmr_flow_of(const struct ib_reg_wr *reg)
{
	const struct ib_send_wr *wr;
	struct nvme_command *cmd;

	for (wr = reg->wr.next; wr; wr = wr->next) {
		switch (wr->opcode) {
		case IB_WR_RDMA_WRITE:
		case IB_WR_RDMA_WRITE_WITH_IMM:
			if (wr->num_sge && wr->sg_list->lkey == reg->key)
				return SIGMR_OUT;
			break;
		case IB_WR_RDMA_READ:
		case IB_WR_RDMA_READ_WITH_INV:
			if (wr->num_sge && wr->sg_list->lkey == reg->key)
				return SIGMR_IN;
			break;
		case IB_WR_SEND:
			if (!wr->num_sge || wr->sg_list->length != sizeof(*cmd))
				break;
			cmd = (struct nvme_command *)(uintptr_t)wr->sg_list->addr;
			return nvme_is_write(cmd) ? SIGMR_OUT : SIGMR_IN;
		default:
			break;
		}
	}
	return SIGMR_EITHER;
}

static int sigmr_register(const struct ib_reg_wr *reg)
{
	struct sigmr *s = to_sigmr(reg->mr);
	struct sigmr_walk walk;
	unsigned int n;
	u8 *first;
	int ret;

	ret = sigmr_layout(s);
	if (!ret)
		ret = sigmr_map_inner(s);
	if (ret)
		return ret;
	s->flow = sigmr_flow_of(reg);
	s->bad = false;
	s->settled = s->flow == SIGMR_OUT;
	if (s->flow == SIGMR_IN)
		bounce_clear(s);
	else
		sigmr_fill(s);
	if (s->flow == SIGMR_OUT && s->wire_pi && take_corruption()) {
		bounce_start(s, &walk);
		first = walk_next(&walk, 1, &n);
		*first ^= 1;
	}
	if (!s->settled)
		s->sum = bounce_sum(s);
	count(&registered);
	return 0;
}

static size_t wr_size(const struct ib_send_wr *wr)
{
	switch (wr->opcode) {
	case IB_WR_REG_MR:
	case IB_WR_REG_MR_INTEGRITY:
		return sizeof(struct ib_reg_wr);
	case IB_WR_RDMA_READ:
	case IB_WR_RDMA_READ_WITH_INV:
	case IB_WR_RDMA_WRITE:
	case IB_WR_RDMA_WRITE_WITH_IMM:
		return sizeof(struct ib_rdma_wr);
	case IB_WR_ATOMIC_CMP_AND_SWP:
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		return sizeof(struct ib_atomic_wr);
	case IB_WR_SEND:
	case IB_WR_SEND_WITH_IMM:
	case IB_WR_SEND_WITH_INV:
	case IB_WR_LOCAL_INV:
		return sizeof(struct ib_send_wr);
	default:
		return 0;
	}
}

/*
 * The requests are the caller's, and may be gone once they are posted: what is
 * changed is a copy.
 */
static int sigmr_post_copy(struct sigmr_dev *sdev, struct ib_qp *qp,
			   const struct ib_send_wr *first, const struct ib_send_wr **bad_wr)
{
	const struct ib_send_wr *wr, *bad = NULL;
	struct sigmr_wr *copy;
	unsigned int n = 0, i;
	int ret = 0;

	for (wr = first; wr; wr = wr->next)
		n++;
	*bad_wr = first;
	copy = kcalloc(n, sizeof(*copy), GFP_ATOMIC);
	if (!copy)
		return -ENOMEM;
	for (wr = first, i = 0; wr; wr = wr->next, i++) {
		size_t size = wr_size(wr);

		ret = size ? 0 : -EINVAL;
		if (!ret && wr->opcode == IB_WR_REG_MR_INTEGRITY)
			ret = sigmr_register(reg_wr(wr));
		if (ret)
			goto out;
		memcpy(&copy[i], wr, size);
		copy[i].orig = wr;
		copy[i].wr.next = wr->next ? &copy[i + 1].wr : NULL;
		if (wr->opcode == IB_WR_REG_MR_INTEGRITY) {
			copy[i].wr.opcode = IB_WR_REG_MR;
			copy[i].reg.mr = to_sigmr(reg_wr(wr)->mr)->inner;
		}
	}
	ret = sdev->post_send(qp, &copy->wr, &bad);
	if (ret && bad)
		*bad_wr = container_of(bad, struct sigmr_wr, wr)->orig;
out:
	kfree(copy);
	return ret;
}

static int sigmr_post_send(struct ib_qp *qp, const struct ib_send_wr *first,
			   const struct ib_send_wr **bad_wr)
{
	struct sigmr_dev *sdev = sigmr_dev_of(qp->device);
	const struct ib_send_wr *wr;

	for (wr = first; wr; wr = wr->next) {
		if (wr->opcode == IB_WR_REG_MR_INTEGRITY)
			return sigmr_post_copy(sdev, qp, first, bad_wr);
	}
	return sdev->post_send(qp, first, bad_wr);
}

/* ------------------------------------------------------------ the device's operations */

static int sigmr_create_qp(struct ib_qp *qp, struct ib_qp_init_attr *attr, struct ib_udata *udata)
{
	struct sigmr_dev *sdev = sigmr_dev_of(qp->device);
	u32 flags = attr->create_flags;
	int ret;

	attr->create_flags &= ~IB_QP_CREATE_INTEGRITY_EN;
	ret = sdev->create_qp(qp, attr, udata);
	attr->create_flags = flags;
	return ret;
}

static void sigmr_free(struct sigmr *s)
{
	unsigned int i;

	for (i = 0; i < s->pages; i++)
		__free_page(sg_page(&s->bounce[i]));
	kvfree(s->bounce);
	kfree(s->block);
	kfree(s);
	module_put(THIS_MODULE);
}

static struct ib_mr *sigmr_alloc(struct ib_pd *pd, u32 max_data, u32 max_meta)
{
	struct sigmr *s;

	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return ERR_PTR(-ENOMEM);
	__module_get(THIS_MODULE);
	/* eight bytes with 512 are a page with 64, and some spare */
	s->max_pages = max_data + max_data / 32 + 1;
	s->bounce = kvcalloc(s->max_pages, sizeof(*s->bounce), GFP_KERNEL);
	s->block = kmalloc(PAGE_SIZE, GFP_KERNEL);
	if (!s->bounce || !s->block) {
		sigmr_free(s);
		return ERR_PTR(-ENOMEM);
	}
	sg_init_table(s->bounce, s->max_pages);
	s->inner = ib_alloc_mr(pd, IB_MR_TYPE_MEM_REG, s->max_pages);
	if (IS_ERR(s->inner)) {
		struct ib_mr *err = s->inner;

		sigmr_free(s);
		return err;
	}
	s->ibmr.lkey = s->inner->lkey;
	s->ibmr.rkey = s->inner->rkey;
	s->settled = true;
	return &s->ibmr;
}

static int sigmr_dereg_mr(struct ib_mr *mr, struct ib_udata *udata)
{
	int ret;

	if (mr->type != IB_MR_TYPE_INTEGRITY)
		return sigmr_dev_of(mr->device)->dereg_mr(mr, udata);
	ret = ib_dereg_mr(to_sigmr(mr)->inner);
	if (!ret)
		sigmr_free(to_sigmr(mr));
	return ret;
}

static void mem_set(struct sigmr_mem *mem, struct scatterlist *sg, int nents, unsigned int *offset)
{
	struct scatterlist *p;
	int i;

	mem->sg = nents ? sg : NULL;
	mem->offset = offset ? *offset : 0;
	mem->len = 0;
	for_each_sg(sg, p, nents, i)
		mem->len += p->length;
	mem->len -= min(mem->len, mem->offset);
}

/*
 * The lists are their owner's until the region is invalidated. The bounce buffer
 * waits for the registration: a host sets the signature's attributes after this.
 */
static int sigmr_map(struct ib_mr *mr, struct scatterlist *data, int data_nents,
		     unsigned int *data_offset, struct scatterlist *meta, int meta_nents,
		     unsigned int *meta_offset)
{
	struct sigmr *s = to_sigmr(mr);

	mem_set(&s->data, data, data_nents, data_offset);
	mem_set(&s->meta, meta, meta_nents, meta_offset);
	s->settled = true;
	s->bad = false;
	if (DIV_ROUND_UP(s->data.len + s->meta.len, PAGE_SIZE) > s->max_pages)
		return -EINVAL;
	mr->iova = 0;
	mr->length = s->data.len + s->meta.len;
	mr->sig_attrs->meta_length = s->meta.len;
	/* nothing was left out, which this operation says with 0 and not with a number */
	return 0;
}

static int sigmr_check(struct ib_mr *mr, u32 mask, struct ib_mr_status *status)
{
	struct sigmr *s = to_sigmr(mr);
	bool came;

	status->fail_status = 0;
	if (mr->type != IB_MR_TYPE_INTEGRITY || (mask & ~IB_MR_CHECK_SIG_STATUS))
		return -EINVAL;
	if (!(mask & IB_MR_CHECK_SIG_STATUS))
		return 0;
	count(&checked);
	if (!s->settled) {
		s->settled = true;
		came = bounce_sum(s) != s->sum;
		/* into memory with nothing on the wire: the command failed before */
		if (came || s->flow == SIGMR_EITHER)
			sigmr_settle(s, came);
	}
	if (s->bad) {
		status->fail_status |= IB_MR_CHECK_SIG_STATUS;
		status->sig_err = s->err;
		count(&errors);
	}
	return 0;
}

/* ------------------------------------------------------------ devices */

static int sigmr_add(struct ib_device *ibdev)
{
	struct sigmr_dev *sdev;

	if (ibdev->ops.driver_id != RDMA_DRIVER_RXE)
		return -EOPNOTSUPP;
	sdev = kzalloc(sizeof(*sdev), GFP_KERNEL);
	if (!sdev)
		return -ENOMEM;
	sdev->ibdev = ibdev;
	sdev->create_qp = ibdev->ops.create_qp;
	sdev->post_send = ibdev->ops.post_send;
	sdev->dereg_mr = ibdev->ops.dereg_mr;
	sdev->alloc_mr_integrity = ibdev->ops.alloc_mr_integrity;
	sdev->map_mr_sg_pi = ibdev->ops.map_mr_sg_pi;
	sdev->check_mr_status = ibdev->ops.check_mr_status;
	sdev->max_pi_pages = ibdev->attrs.max_pi_fast_reg_page_list_len;
	sdev->prot_cap = ibdev->attrs.sig_prot_cap;
	sdev->guard_cap = ibdev->attrs.sig_guard_cap;
	/* the operations find it by this */
	ib_set_client_data(ibdev, &sigmr_client, sdev);

	ibdev->ops.create_qp = sigmr_create_qp;
	ibdev->ops.post_send = sigmr_post_send;
	ibdev->ops.dereg_mr = sigmr_dereg_mr;
	ibdev->ops.alloc_mr_integrity = sigmr_alloc;
	ibdev->ops.map_mr_sg_pi = sigmr_map;
	ibdev->ops.check_mr_status = sigmr_check;
	ibdev->attrs.max_pi_fast_reg_page_list_len =
		min_t(unsigned int, SIGMR_MAX_PAGES, ibdev->attrs.max_fast_reg_page_list_len);
	ibdev->attrs.sig_prot_cap = IB_PROT_T10DIF_TYPE_1 | IB_PROT_T10DIF_TYPE_2 |
				    IB_PROT_T10DIF_TYPE_3;
	ibdev->attrs.sig_guard_cap = IB_GUARD_T10DIF_CRC | IB_GUARD_T10DIF_CSUM;
	ibdev->attrs.kernel_cap_flags |= IBK_INTEGRITY_HANDOVER;
	dev_info(&ibdev->dev, "nvtgt-sigmr: signature regions are emulated\n");
	return 0;
}

static void sigmr_remove(struct ib_device *ibdev, void *client_data)
{
	struct sigmr_dev *sdev = client_data;

	if (!sdev)
		return;
	ibdev->attrs.kernel_cap_flags &= ~(u64)IBK_INTEGRITY_HANDOVER;
	ibdev->attrs.sig_guard_cap = sdev->guard_cap;
	ibdev->attrs.sig_prot_cap = sdev->prot_cap;
	ibdev->attrs.max_pi_fast_reg_page_list_len = sdev->max_pi_pages;
	ibdev->ops.check_mr_status = sdev->check_mr_status;
	ibdev->ops.map_mr_sg_pi = sdev->map_mr_sg_pi;
	ibdev->ops.alloc_mr_integrity = sdev->alloc_mr_integrity;
	ibdev->ops.dereg_mr = sdev->dereg_mr;
	ibdev->ops.post_send = sdev->post_send;
	ibdev->ops.create_qp = sdev->create_qp;
	kfree(sdev);
}

static struct ib_client sigmr_client = {
	.name = "nvtgt-sigmr",
	.add = sigmr_add,
	.remove = sigmr_remove,
};

static int __init sigmr_init(void)
{
	crc_init();
	return ib_register_client(&sigmr_client);
}

static void __exit sigmr_exit(void)
{
	ib_unregister_client(&sigmr_client);
}

module_init(sigmr_init);
module_exit(sigmr_exit);

MODULE_DESCRIPTION("signature memory regions for soft-RoCE devices, for tests");
MODULE_LICENSE("GPL");
