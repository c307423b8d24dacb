// SPDX-License-Identifier: GPL-2.0
/*
 * Block devices. Reads and writes are submitted where they come in, with
 * REQ_NOWAIT and, but for protection information, without any allocation: the bio lies in the
 * request and borrows the request's own segments. What would have to wait (no free tag, a bio that
 * must be split, a device without REQ_NOWAIT) is submitted again in a worker.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "bdev.h"
#include <linux/blk-integrity.h>
#include <linux/blk-mq.h>
#include <linux/log2.h>
#include <linux/math.h>

static bool nvtgt_bdev_poll_queues = true;
module_param_named(poll_queues, nvtgt_bdev_poll_queues, bool, 0644);
MODULE_PARM_DESC(poll_queues, "use the poll queues of devices that have some (nvme.poll_queues and the like)");

/* nvtgt_req.backend_flags: not all bios of a chain could be made */
#define NVTGT_BDEV_FAILED	1
/* a bio is being submitted in the reactor, which tries again when it is refused */
#define NVTGT_BDEV_TRYING	2
#define NVTGT_BDEV_REFUSED	4

static void nvtgt_bdev_rw_work(struct nvtgt_req *req);

/**
 * nvtgt_bdev_is_lost - has the disk been taken away?
 * @ns: an open namespace, of which the core is told then
 * @bdev: its device, or the one that its file lies on
 *
 * A disk that is taken away is unhashed first, or marked as dead, and has the size 0
 * only then. It never comes back; another may come in its place.
 *
 * Context: any.
 * Return: whether it has; commands end with ANA Persistent Loss
 */
bool nvtgt_bdev_is_lost(struct nvtgt_ns *ns, struct block_device *bdev)
{
	if (likely(!test_bit(GD_DEAD, &bdev->bd_disk->state) && disk_live(bdev->bd_disk)))
		return false;
	nvtgt_ns_lost(ns);
	return true;
}

/* What may change under an open device. */
static void nvtgt_bdev_read_state(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;
	loff_t size = bdev_nr_bytes(dev->bdev);

	smp_rmb();	/* if the size has become 0 by a loss, the loss is seen below */
	if (nvtgt_bdev_is_lost(ns, dev->bdev))
		return;
	WRITE_ONCE(ns->size, size);
	WRITE_ONCE(ns->readonly,
		   !(dev->file->f_mode & FMODE_WRITE) || bdev_read_only(dev->bdev));
	ns->volatile_cache = bdev_write_cache(dev->bdev);
}

/* Has the device, or the disk it is a partition of, queues that have to be polled? */
static bool nvtgt_bdev_has_poll_queues(struct block_device *bdev)
{
	struct request_queue *q = bdev_get_queue(bdev);

	return queue_is_mq(q) && q->tag_set->nr_maps > HCTX_TYPE_POLL &&
	       q->tag_set->map[HCTX_TYPE_POLL].nr_queues;
}

/* Which protection information does the device keep, if it is one that NVMe has? */
static u8 nvtgt_bdev_pi_type(const struct nvtgt_ns *ns, struct block_device *bdev)
{
	struct blk_integrity *bi = bdev_get_integrity(bdev);
	const char *name;

	if (!bi || bi->metadata_size != NVTGT_PI_BYTES || bi->interval_exp != ns->blksize_shift)
		return 0;
	name = blk_integrity_profile_name(bi);
	if (!strcmp(name, "T10-DIF-TYPE1-CRC"))
		return NVME_NS_DPS_PI_TYPE1;
	if (!strcmp(name, "T10-DIF-TYPE3-CRC"))
		return NVME_NS_DPS_PI_TYPE3;
	return 0;
}

static void nvtgt_bdev_read_limits(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;
	unsigned int to_blocks = ns->blksize_shift - SECTOR_SHIFT;

	ns->phys_block_bytes = bdev_physical_block_size(dev->bdev);
	ns->io_opt_bytes = bdev_io_opt(dev->bdev);
	ns->rotational = bdev_rot(dev->bdev);
	ns->pi_type = nvtgt_bdev_pi_type(ns, dev->bdev);
	ns->seg_offset_mask = bdev_dma_alignment(dev->bdev);
	ns->seg_len_mask = bdev_logical_block_size(dev->bdev) - 1;
	ns->stable_writes = bdev_stable_writes(dev->bdev);
	ns->max_discard_blocks = bdev_max_discard_sectors(dev->bdev) >> to_blocks;
	ns->max_write_zeroes_blocks = bdev_write_zeroes_sectors(dev->bdev) >> to_blocks;
}

static int nvtgt_bdev_revalidate(struct nvtgt_ns *ns)
{
	nvtgt_bdev_read_state(ns);
	return 0;
}

static sector_t nvtgt_bdev_sector(const struct nvtgt_req *req, __le64 slba)
{
	return le64_to_cpu(slba) << (req->ns->blksize_shift - SECTOR_SHIFT);
}

/* What a host is told. A disk that is gone fails in many ways. */
static u16 nvtgt_bdev_status(struct nvtgt_req *req, blk_status_t status)
{
	if (likely(status == BLK_STS_OK))
		return NVME_SC_SUCCESS;
	if (nvtgt_bdev_is_lost(req->ns, nvtgt_req_bdev(req)->bdev))
		return NVME_SC_ANA_PERSISTENT_LOSS;
	return nvtgt_blk_status(req, status);
}

/* The same for what the block layer's synchronous functions return. */
static u16 nvtgt_bdev_errno_status(struct nvtgt_req *req, int err)
{
	if (err && nvtgt_bdev_is_lost(req->ns, nvtgt_req_bdev(req)->bdev))
		return NVME_SC_ANA_PERSISTENT_LOSS;
	return nvtgt_errno_status(req, err);
}

static void nvtgt_bdev_rw_done(struct bio *bio)
{
	struct nvtgt_req *req = nvtgt_req_from_priv(bio);
	blk_status_t status = bio->bi_status;
	bool nowait = bio->bi_opf & REQ_NOWAIT;

	bio_uninit(bio);
	/* not supported: device mapper has loaded a table without REQ_NOWAIT meanwhile */
	if (unlikely(nowait && (status == BLK_STS_AGAIN || status == BLK_STS_NOTSUPP))) {
		if (req->backend_flags & NVTGT_BDEV_TRYING &&
		    nvtgt_req_in_reactor(req)) {
			req->backend_flags |= NVTGT_BDEV_REFUSED;
			return;
		}
		nvtgt_req_poll_done(req);
		nvtgt_req_defer(req, nvtgt_bdev_rw_work);
	} else {
		nvtgt_req_complete(req, nvtgt_bdev_status(req, status));
	}
}

#ifdef CONFIG_BLK_DEV_INTEGRITY
/* The host's protection information goes with the bio; bio_uninit() lets go of it. */
static int nvtgt_bdev_add_pi(struct nvtgt_req *req, struct bio *bio)
{
	u16 control = le16_to_cpu(req->cmd->rw.control);
	struct bio_integrity_payload *bip;

	bip = bio_integrity_alloc(bio, bio->bi_opf & REQ_NOWAIT ? GFP_NOWAIT | __GFP_NOWARN :
				  GFP_NOIO, 1);
	if (IS_ERR(bip))
		return PTR_ERR(bip);
	/* the host's reference tags count from here; the block layer puts in the device's own */
	bip_set_seed(bip, le64_to_cpu(req->cmd->rw.slba));
	if (control & NVME_RW_PRINFO_PRCHK_GUARD)
		bip->bip_flags |= BIP_CHECK_GUARD;
	if (control & NVME_RW_PRINFO_PRCHK_REF)
		bip->bip_flags |= BIP_CHECK_REFTAG;
	if (bio_integrity_add_page(bio, req->pi.bv_page, req->pi_len,
				   req->pi.bv_offset) != req->pi_len)
		return -EINVAL;
	bip->bip_iter.bi_size = req->pi_len;
	return 0;
}
#else
static int nvtgt_bdev_add_pi(struct nvtgt_req *req, struct bio *bio)
{
	return -EOPNOTSUPP;		/* no device says that it has any */
}
#endif

static void nvtgt_bdev_submit_rw(struct nvtgt_req *req, blk_opf_t opf)
{
	struct bio *bio = &nvtgt_bdev_priv(req)->bio;
	int ret;

	if (req->dir == DMA_TO_DEVICE) {
		opf |= REQ_OP_WRITE | REQ_SYNC | REQ_IDLE;
		if (req->cmd->rw.control & cpu_to_le16(NVME_RW_FUA))
			opf |= REQ_FUA;
	} else {
		opf |= REQ_OP_READ;
	}

	/* the segments stay the request's: nothing is copied, nothing freed */
	bio_init(bio, nvtgt_req_bdev(req)->bdev, req->bvec, req->nr_bvec, opf);
	bio->bi_vcnt = req->nr_bvec;
	bio->bi_iter.bi_size = req->data_len;
	bio->bi_iter.bi_sector = nvtgt_bdev_sector(req, req->cmd->rw.slba);
	bio->bi_end_io = nvtgt_bdev_rw_done;
	ret = unlikely(req->pi_len) ? nvtgt_bdev_add_pi(req, bio) : 0;
	if (likely(!ret))
		submit_bio(bio);
	else if (ret == -ENOMEM && opf & REQ_NOWAIT)
		bio_wouldblock_error(bio);
	else
		bio_io_error(bio);
}

static void nvtgt_bdev_rw_work(struct nvtgt_req *req)
{
	nvtgt_bdev_submit_rw(req, 0);
}

/*
 * A REQ_NOWAIT bio is not split but refused: don't even try. The limits are
 * looked at each time, because a device mapper table may change them under I/O.
 */
static bool nvtgt_bdev_may_nowait(struct block_device *bdev, const struct nvtgt_req *req)
{
	const struct request_queue *q = bdev_get_queue(bdev);
	unsigned int chunk = READ_ONCE(q->limits.chunk_sectors);
	unsigned int nr = req->data_len >> SECTOR_SHIFT;
	sector_t sector;

	if (!bdev_nowait(bdev) || nr > queue_max_sectors(q) ||
	    req->nr_bvec > queue_max_segments(q))
		return false;
	if (likely(!chunk))
		return true;
	sector = nvtgt_bdev_sector(req, req->cmd->rw.slba);
	return sector_div(sector, chunk) + nr <= chunk;
}

/*
 * REQ_NOMERGE: nvtgt_bdev_poll() needs bi_cookie, which the block layer sets in the first bio
 * of a merged request only. Returns whether the bio was taken.
 */
static bool nvtgt_bdev_try_polled(struct nvtgt_req *req)
{
	u8 flags;

	req->backend_flags = NVTGT_BDEV_TRYING;
	nvtgt_bdev_submit_rw(req, REQ_NOWAIT | REQ_POLLED | REQ_NOMERGE);
	/* even if the request is complete: this reactor has yet to take its result */
	flags = req->backend_flags;
	req->backend_flags = 0;
	return likely(!(flags & NVTGT_BDEV_REFUSED));
}

/* On a poll queue. */
static void nvtgt_bdev_submit_polled(struct nvtgt_req *req)
{
	struct bio *bio = &nvtgt_bdev_priv(req)->bio;

	if (!nvtgt_req_poll(req)) {
		nvtgt_bdev_submit_rw(req, REQ_NOWAIT);
		return;
	}
	if (unlikely(!nvtgt_bdev_try_polled(req))) {
		/* finished requests keep their tags until their queue is polled */
		nvtgt_req_poll_others(req);
		if (!nvtgt_bdev_try_polled(req)) {
			nvtgt_req_poll_done(req);
			nvtgt_req_defer(req, nvtgt_bdev_rw_work);
			return;
		}
	}
	/* has the block layer found no poll queue, and cleared the flag? */
	if (unlikely(!(READ_ONCE(bio->bi_opf) & REQ_POLLED)))
		nvtgt_req_poll_done(req);
}

/**
 * nvtgt_bdev_poll - let a device's poll queue say what is done
 * @req: submitted on it, perhaps complete
 *
 * Context: the reactor that submitted @req.
 * Return: false when it waits in the block layer and has no queue yet
 */
static bool nvtgt_bdev_poll(struct nvtgt_req *req)
{
	struct bio *bio = &nvtgt_bdev_priv(req)->bio;
	DEFINE_IO_COMP_BATCH(done);

	if (READ_ONCE(bio->bi_cookie) == BLK_QC_T_NONE)
		return false;
	bio_poll(bio, &done, BLK_POLL_ONESHOT);
	if (done.complete)
		done.complete(&done);
	return true;
}

/**
 * nvtgt_bdev_rw - Read or Write
 * @req: the request, with its data's segments
 *
 * Context: reactor or process.
 */
static void nvtgt_bdev_rw(struct nvtgt_req *req)
{
	const struct nvtgt_bdev *dev = nvtgt_req_bdev(req);

	if (unlikely(!nvtgt_bdev_may_nowait(dev->bdev, req)))
		nvtgt_req_defer(req, nvtgt_bdev_rw_work);
	else if (unlikely(dev->poll) && READ_ONCE(nvtgt_bdev_poll_queues))
		nvtgt_bdev_submit_polled(req);
	else
		nvtgt_bdev_submit_rw(req, REQ_NOWAIT);
}

static void nvtgt_bdev_flush_work(struct nvtgt_req *req);

static void nvtgt_bdev_flush_done(struct bio *bio)
{
	struct nvtgt_req *req = nvtgt_req_from_priv(bio);
	blk_status_t status = bio->bi_status;
	bool nowait = bio->bi_opf & REQ_NOWAIT;

	bio_uninit(bio);
	if (unlikely(nowait && (status == BLK_STS_AGAIN || status == BLK_STS_NOTSUPP)))
		nvtgt_req_defer(req, nvtgt_bdev_flush_work);
	else
		nvtgt_req_complete(req, nvtgt_bdev_status(req, status));
}

static void nvtgt_bdev_submit_flush(struct nvtgt_req *req, blk_opf_t opf)
{
	struct bio *bio = &nvtgt_bdev_priv(req)->bio;

	/* REQ_SYNC and REQ_IDLE: not throttled as writeback is */
	bio_init(bio, nvtgt_req_bdev(req)->bdev, NULL, 0,
		 REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC | REQ_IDLE | opf);
	bio->bi_end_io = nvtgt_bdev_flush_done;
	submit_bio(bio);
}

static void nvtgt_bdev_flush_work(struct nvtgt_req *req)
{
	nvtgt_bdev_submit_flush(req, 0);
}

/**
 * nvtgt_bdev_flush - make durable what was written
 * @req: the request
 *
 * Nothing has been written through a file that is open for reading alone. A device that has
 * become read-only since is flushed: it may hold what was written before.
 *
 * In a worker where the device is stacked: such devices wait in their flush, whatever
 * REQ_NOWAIT says. Devices with blk-mq queue a flush.
 *
 * Context: reactor or process.
 */
static void nvtgt_bdev_flush(struct nvtgt_req *req)
{
	const struct nvtgt_bdev *dev = nvtgt_req_bdev(req);
	struct block_device *bdev = dev->bdev;

	if (!(dev->file->f_mode & FMODE_WRITE) || !bdev_write_cache(bdev))
		nvtgt_req_complete(req, NVME_SC_SUCCESS);
	else if (queue_is_mq(bdev_get_queue(bdev)) && bdev_nowait(bdev))
		nvtgt_bdev_submit_flush(req, REQ_NOWAIT);
	else
		nvtgt_req_defer(req, nvtgt_bdev_flush_work);
}

/* Submits the last bio of a chain that the block layer has allocated. */
static void nvtgt_bdev_submit_chain(struct nvtgt_req *req, struct bio *bio,
				    bio_end_io_t *end_io)
{
	bio->bi_private = req;
	bio->bi_end_io = end_io;
	submit_bio(bio);
}

static sector_t nvtgt_bdev_zero_sectors(const struct nvtgt_req *req)
{
	return ((sector_t)le16_to_cpu(req->cmd->write_zeroes.length) + 1) <<
		(req->ns->blksize_shift - SECTOR_SHIFT);
}

static unsigned int nvtgt_bdev_zero_flags(const struct nvtgt_req *req)
{
	if (req->cmd->write_zeroes.control & cpu_to_le16(NVME_WZ_DEAC))
		return 0;
	return BLKDEV_ZERO_NOUNMAP;
}

static bool nvtgt_bdev_zero_fua(const struct nvtgt_req *req)
{
	return req->cmd->write_zeroes.control & cpu_to_le16(NVME_RW_FUA);
}

/* The slow way, which ends in plain writes of zeroes where all else fails. */
static void nvtgt_bdev_zero_sync_work(struct nvtgt_req *req)
{
	struct block_device *bdev = nvtgt_req_bdev(req)->bdev;
	int ret;

	ret = blkdev_issue_zeroout(bdev, nvtgt_bdev_sector(req, req->cmd->write_zeroes.slba),
				   nvtgt_bdev_zero_sectors(req), GFP_KERNEL,
				   nvtgt_bdev_zero_flags(req));
	if (!ret && nvtgt_bdev_zero_fua(req) && bdev_write_cache(bdev))
		ret = blkdev_issue_flush(bdev);
	nvtgt_req_complete(req, nvtgt_bdev_errno_status(req, ret));
}

static void nvtgt_bdev_write_zeroes_done(struct bio *bio)
{
	struct nvtgt_req *req = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_put(bio);
	if (req->backend_flags & NVTGT_BDEV_FAILED)
		status = BLK_STS_IOERR;
	/* devices promise what they turn out not to have (loop on some file systems) */
	if (status == BLK_STS_NOTSUPP || status == BLK_STS_TARGET || status == BLK_STS_INVAL)
		nvtgt_req_defer(req, nvtgt_bdev_zero_sync_work);
	else if (!status && nvtgt_bdev_zero_fua(req))
		nvtgt_req_defer(req, nvtgt_bdev_flush_work);
	else
		nvtgt_req_complete(req, nvtgt_bdev_status(req, status));
}

static void nvtgt_bdev_write_zeroes_work(struct nvtgt_req *req)
{
	struct bio *bio = NULL;
	int ret;

	ret = __blkdev_issue_zeroout(nvtgt_req_bdev(req)->bdev,
				     nvtgt_bdev_sector(req, req->cmd->write_zeroes.slba),
				     nvtgt_bdev_zero_sectors(req), GFP_KERNEL, &bio,
				     nvtgt_bdev_zero_flags(req));
	/* on an error the bios that were submitted end first, and then the command fails */
	req->backend_flags = ret ? NVTGT_BDEV_FAILED : 0;
	if (bio)
		nvtgt_bdev_submit_chain(req, bio, nvtgt_bdev_write_zeroes_done);
	else
		nvtgt_req_complete(req, nvtgt_bdev_errno_status(req, ret));
}

/**
 * nvtgt_bdev_write_zeroes - Write Zeroes
 * @req: the request
 *
 * In a worker: bios are allocated on the way.
 *
 * Context: reactor or process.
 */
static void nvtgt_bdev_write_zeroes(struct nvtgt_req *req)
{
	nvtgt_req_defer(req, nvtgt_bdev_write_zeroes_work);
}

static void nvtgt_bdev_discard_done(struct bio *bio)
{
	struct nvtgt_req *req = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_put(bio);
	/* advice that the device cannot follow is no error */
	if (status == BLK_STS_NOTSUPP)
		status = BLK_STS_OK;
	nvtgt_req_complete(req, nvtgt_bdev_status(req, status));
}

static void nvtgt_bdev_discard_work(struct nvtgt_req *req)
{
	const struct nvtgt_bdev_priv *priv = nvtgt_bdev_priv(req);
	unsigned int to_sectors = req->ns->blksize_shift - SECTOR_SHIFT;
	struct bio *bio = NULL;
	unsigned int i;

	for (i = 0; i < priv->nr_ranges && !nvtgt_req_stopped(req); i++) {
		const struct nvme_dsm_range *range = &priv->ranges[i];
		sector_t nr = (sector_t)le32_to_cpu(range->nlb) << to_sectors;

		if (nr)
			__blkdev_issue_discard(nvtgt_req_bdev(req)->bdev,
					       nvtgt_bdev_sector(req, range->slba), nr,
					       GFP_KERNEL, &bio);
	}
	if (bio)
		nvtgt_bdev_submit_chain(req, bio, nvtgt_bdev_discard_done);
	else
		nvtgt_req_complete(req, NVME_SC_SUCCESS);
}

static void nvtgt_bdev_discard(struct nvtgt_req *req, const struct nvme_dsm_range *ranges,
			       unsigned int nr_ranges)
{
	nvtgt_bdev_priv(req)->ranges = ranges;
	nvtgt_bdev_priv(req)->nr_ranges = nr_ranges;
	if (bdev_max_discard_sectors(nvtgt_req_bdev(req)->bdev))
		nvtgt_req_defer(req, nvtgt_bdev_discard_work);
	else
		nvtgt_req_complete(req, NVME_SC_SUCCESS);
}

static const struct nvtgt_backend_ops nvtgt_blkdev_ops = {
	.version	= NVTGT_BACKEND_VERSION,
	.size		= sizeof(struct nvtgt_backend_ops),
	.name		= "bdev",
	.owner		= THIS_MODULE,
	.close		= nvtgt_bdev_close,
	.revalidate	= nvtgt_bdev_revalidate,
	.rw		= nvtgt_bdev_rw,
	.flush		= nvtgt_bdev_flush,
	.write_zeroes	= nvtgt_bdev_write_zeroes,
	.discard	= nvtgt_bdev_discard,
	.poll		= nvtgt_bdev_poll,
};

/**
 * nvtgt_blkdev_open - make a block device ready
 * @ns: priv->file is open
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; the reason has been logged.
 */
int nvtgt_blkdev_open(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;

	dev->bdev = I_BDEV(dev->file->f_mapping->host);
	if (bdev_is_zoned(dev->bdev)) {
		nvtgt_bdev_warn(ns, "is a zoned device, which cannot be exported yet\n");
		return -EOPNOTSUPP;
	}
	if (bdev_logical_block_size(dev->bdev) > PAGE_SIZE) {
		nvtgt_bdev_warn(ns, "has blocks of %u bytes, more than a page\n",
				bdev_logical_block_size(dev->bdev));
		return -EINVAL;
	}
	if (dev->blksize_shift) {
		nvtgt_bdev_warn(ns, "backend_options: block_size is for files, a device keeps its blocks of %u bytes\n",
				bdev_logical_block_size(dev->bdev));
		return -EINVAL;
	}
	ns->blksize_shift = ilog2(bdev_logical_block_size(dev->bdev));
	dev->poll = nvtgt_bdev_has_poll_queues(dev->bdev);
	nvtgt_bdev_read_state(ns);
	nvtgt_bdev_read_limits(ns);
	ns->ops = &nvtgt_blkdev_ops;
	return 0;
}
