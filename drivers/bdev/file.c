// SPDX-License-Identifier: GPL-2.0
/*
 * Regular files. Nearly everything begins in a worker, since a file system may block
 * anywhere; direct I/O then completes asynchronously. Short reads that the page cache
 * can answer are done where they come in.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "bdev.h"
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/uio.h>

#define NVTGT_ZERO_PAGES	64	/* pages of zeroes in one write */
#define NVTGT_FILE_INLINE_BYTES	SZ_64K	/* most that the reactor copies from the page cache */

/*
 * The file system's block size, unless another one was asked for. Direct I/O must be able to
 * do that one: on a disk with blocks of 4 KiB only the page cache can read or write less.
 */
static int nvtgt_file_set_block_size(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;
	struct kstat stat;
	int ret;

	ns->blksize_shift = clamp_t(u8, file_inode(dev->file)->i_blkbits, SECTOR_SHIFT,
				    NVTGT_FILE_MAX_SHIFT);
	ns->phys_block_bytes = 1U << ns->blksize_shift;
	if (!dev->blksize_shift)
		return 0;
	ns->blksize_shift = dev->blksize_shift;
	ns->phys_block_bytes = max(ns->phys_block_bytes, 1U << ns->blksize_shift);
	if (!(dev->file->f_flags & O_DIRECT))
		return 0;
	ret = vfs_getattr(&dev->file->f_path, &stat, STATX_DIOALIGN, AT_STATX_SYNC_AS_STAT);
	if (ret || !(stat.result_mask & STATX_DIOALIGN) ||
	    stat.dio_offset_align <= 1U << ns->blksize_shift)
		return 0;
	nvtgt_bdev_warn(ns, "block_size=%u: direct I/O to the file needs blocks of %u bytes; buffered_io has no such rule\n",
			1 << ns->blksize_shift, stat.dio_offset_align);
	return -EINVAL;
}

static int nvtgt_file_revalidate(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;

	WRITE_ONCE(ns->size, i_size_read(file_inode(dev->file)));
	return 0;
}

/* What a host is told. Below a file system, a disk that is gone fails in many ways. */
static u16 nvtgt_file_status(struct nvtgt_req *req, int err)
{
	struct block_device *bdev = file_inode(nvtgt_req_bdev(req)->file)->i_sb->s_bdev;

	if (likely(!err))
		return NVME_SC_SUCCESS;
	if (bdev && nvtgt_bdev_is_lost(req->ns, bdev))
		return NVME_SC_ANA_PERSISTENT_LOSS;
	return nvtgt_errno_status(req, err);
}

static loff_t nvtgt_file_pos(const struct nvtgt_req *req, __le64 slba)
{
	return le64_to_cpu(slba) << req->ns->blksize_shift;
}

static bool nvtgt_file_is_write(const struct nvtgt_req *req)
{
	return req->dir == DMA_TO_DEVICE;
}

static void nvtgt_file_rw_work(struct nvtgt_req *req);

/* No error, and no byte either. */
static u16 nvtgt_file_nothing_moved(struct nvtgt_req *req)
{
	if (nvtgt_file_is_write(req))
		return nvtgt_file_status(req, -EIO);
	/* the end of the file: it is shorter than the namespace was when the host asked */
	req->error_loc = offsetof(struct nvme_rw_command, slba);
	return NVME_SC_LBA_RANGE | NVME_STATUS_DNR;
}

/* After a short read or write a worker goes on with the rest, until the end or an error. */
static void nvtgt_file_rw_done(struct kiocb *iocb, long ret)
{
	struct nvtgt_req *req = nvtgt_req_from_priv(iocb);
	struct nvtgt_bdev_priv *priv = nvtgt_bdev_priv(req);

	if (nvtgt_file_is_write(req))
		kiocb_end_write(iocb);
	if (ret > 0) {
		priv->done += ret;
		if (likely(priv->done >= req->data_len))
			nvtgt_req_complete(req, NVME_SC_SUCCESS);
		else
			nvtgt_req_defer(req, nvtgt_file_rw_work);
	} else if (ret) {
		nvtgt_req_complete(req, nvtgt_file_status(req, ret));
	} else {
		nvtgt_req_complete(req, nvtgt_file_nothing_moved(req));
	}
}

/* Describes the part of the data that has not been moved yet. */
static void nvtgt_file_prepare(struct nvtgt_req *req, struct iov_iter *iter)
{
	struct nvtgt_bdev_priv *priv = nvtgt_bdev_priv(req);

	init_sync_kiocb(&priv->iocb, nvtgt_req_bdev(req)->file);
	priv->iocb.ki_pos = nvtgt_file_pos(req, req->cmd->rw.slba) + priv->done;
	iov_iter_bvec(iter, nvtgt_file_is_write(req) ? ITER_SOURCE : ITER_DEST, req->bvec,
		      req->nr_bvec, req->data_len);
	iov_iter_advance(iter, priv->done);
}

/*
 * The host may be this machine, writing so that memory becomes free. With PF_LOCAL_THROTTLE a
 * write into the page cache waits only for dirty pages of the file's own device; those of
 * other devices may be waiting for this write. Direct I/O may end in the page cache, too:
 * file systems fall back to it (newer btrfs, for data with checksums).
 */
static ssize_t nvtgt_file_write(struct file *file, struct kiocb *iocb, struct iov_iter *iter)
{
	unsigned long flags = current->flags;
	ssize_t ret;

	current->flags |= PF_LOCAL_THROTTLE;
	ret = file->f_op->write_iter(iocb, iter);
	current_restore_flags(flags, PF_LOCAL_THROTTLE);
	return ret;
}

static void nvtgt_file_rw_work(struct nvtgt_req *req)
{
	struct file *file = nvtgt_req_bdev(req)->file;
	struct kiocb *iocb = &nvtgt_bdev_priv(req)->iocb;
	struct iov_iter iter;
	ssize_t ret;

	nvtgt_file_prepare(req, &iter);
	iocb->ki_complete = nvtgt_file_rw_done;
	if (nvtgt_file_is_write(req)) {
		if (req->cmd->rw.control & cpu_to_le16(NVME_RW_FUA))
			iocb->ki_flags |= IOCB_DSYNC;
		iocb->ki_flags |= IOCB_WRITE;
		kiocb_start_write(iocb);
		ret = nvtgt_file_write(file, iocb, &iter);
	} else {
		ret = file->f_op->read_iter(iocb, &iter);
	}
	if (ret != -EIOCBQUEUED)
		nvtgt_file_rw_done(iocb, ret);
}

/*
 * Reads what the page cache has. IOCB_NOIO: no read-ahead is begun here either, since for
 * that a file system may wait for the blocks that say where the file's blocks are. Returns
 * whether the command has been completed; priv->done says how far it has come.
 */
static bool nvtgt_file_read_cached(struct nvtgt_req *req)
{
	struct nvtgt_bdev_priv *priv = nvtgt_bdev_priv(req);
	struct iov_iter iter;
	ssize_t ret;

	nvtgt_file_prepare(req, &iter);
	priv->iocb.ki_flags |= IOCB_NOWAIT | IOCB_NOIO;
	ret = nvtgt_req_bdev(req)->file->f_op->read_iter(&priv->iocb, &iter);
	if (ret > 0)
		priv->done = ret;
	if (priv->done < req->data_len)
		return false;
	nvtgt_req_complete(req, NVME_SC_SUCCESS);
	return true;
}

static void nvtgt_file_rw(struct nvtgt_req *req)
{
	nvtgt_bdev_priv(req)->done = 0;
	if (nvtgt_req_bdev(req)->cached_reads && !nvtgt_file_is_write(req) &&
	    req->data_len <= NVTGT_FILE_INLINE_BYTES && nvtgt_file_read_cached(req))
		return;
	nvtgt_req_defer(req, nvtgt_file_rw_work);
}

static void nvtgt_file_flush_work(struct nvtgt_req *req)
{
	int ret = vfs_fsync(nvtgt_req_bdev(req)->file, 1);

	nvtgt_req_complete(req, nvtgt_file_status(req, ret));
}

static void nvtgt_file_flush(struct nvtgt_req *req)
{
	/* nothing was written through this file, and some file systems refuse to sync it */
	if (!(nvtgt_req_bdev(req)->file->f_mode & FMODE_WRITE))
		nvtgt_req_complete(req, NVME_SC_SUCCESS);
	else
		nvtgt_req_defer(req, nvtgt_file_flush_work);
}

/* A synchronous write of zeroes, for file systems that know no other way. */
static int nvtgt_file_write_zero_pages(const struct nvtgt_req *req, struct file *file, loff_t pos,
				       size_t len)
{
	struct bio_vec *bvec = kmalloc_array(NVTGT_ZERO_PAGES, sizeof(*bvec), GFP_KERNEL);
	struct iov_iter iter;
	struct kiocb iocb;
	ssize_t ret = 0;
	int i;

	if (!bvec)
		return -ENOMEM;
	for (i = 0; i < NVTGT_ZERO_PAGES; i++)
		bvec_set_page(&bvec[i], ZERO_PAGE(0), PAGE_SIZE, 0);
	while (len) {
		size_t n = min_t(size_t, len, NVTGT_ZERO_PAGES * PAGE_SIZE);

		ret = -ECANCELED;
		if (nvtgt_req_stopped(req))
			break;
		init_sync_kiocb(&iocb, file);
		iocb.ki_pos = pos;
		iocb.ki_flags |= IOCB_WRITE;
		iov_iter_bvec(&iter, ITER_SOURCE, bvec, NVTGT_ZERO_PAGES, n);
		file_start_write(file);
		ret = nvtgt_file_write(file, &iocb, &iter);
		file_end_write(file);
		if (ret <= 0)
			break;
		pos += ret;
		len -= ret;
	}
	kfree(bvec);
	if (ret < 0)
		return ret;
	return len ? -EIO : 0;
}

/* Each way leaves zeroes; they differ in what becomes of the space. */
static int nvtgt_file_zero(const struct nvtgt_req *req, struct file *file, loff_t pos, loff_t len)
{
	bool deallocate = req->cmd->write_zeroes.control & cpu_to_le16(NVME_WZ_DEAC);
	int ret = -EOPNOTSUPP;

	if (!deallocate)
		ret = vfs_fallocate(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, pos, len);
	if (ret == -EOPNOTSUPP)
		ret = vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos, len);
	if (ret == -EOPNOTSUPP)
		ret = nvtgt_file_write_zero_pages(req, file, pos, len);
	return ret;
}

static void nvtgt_file_write_zeroes_work(struct nvtgt_req *req)
{
	const struct nvme_write_zeroes_cmd *cmd = &req->cmd->write_zeroes;
	struct file *file = nvtgt_req_bdev(req)->file;
	loff_t len = ((loff_t)le16_to_cpu(cmd->length) + 1) << req->ns->blksize_shift;
	int ret;

	ret = nvtgt_file_zero(req, file, nvtgt_file_pos(req, cmd->slba), len);
	if (!ret && cmd->control & cpu_to_le16(NVME_RW_FUA))
		ret = vfs_fsync(file, 1);
	nvtgt_req_complete(req, nvtgt_file_status(req, ret));
}

static void nvtgt_file_write_zeroes(struct nvtgt_req *req)
{
	nvtgt_req_defer(req, nvtgt_file_write_zeroes_work);
}

static void nvtgt_file_discard_work(struct nvtgt_req *req)
{
	const struct nvtgt_bdev_priv *priv = nvtgt_bdev_priv(req);
	struct file *file = nvtgt_req_bdev(req)->file;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < priv->nr_ranges && !ret && !nvtgt_req_stopped(req); i++) {
		const struct nvme_dsm_range *range = &priv->ranges[i];
		loff_t len = (loff_t)le32_to_cpu(range->nlb) << req->ns->blksize_shift;

		if (len)
			ret = vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					    nvtgt_file_pos(req, range->slba), len);
	}
	/* advice that the file system cannot follow is no error */
	if (ret == -EOPNOTSUPP)
		ret = 0;
	nvtgt_req_complete(req, nvtgt_file_status(req, ret));
}

static void nvtgt_file_discard(struct nvtgt_req *req, const struct nvme_dsm_range *ranges,
			       unsigned int nr_ranges)
{
	nvtgt_bdev_priv(req)->ranges = ranges;
	nvtgt_bdev_priv(req)->nr_ranges = nr_ranges;
	nvtgt_req_defer(req, nvtgt_file_discard_work);
}

static const struct nvtgt_backend_ops nvtgt_file_ops = {
	.version	= NVTGT_BACKEND_VERSION,
	.size		= sizeof(struct nvtgt_backend_ops),
	.name		= "bdev",
	.owner		= THIS_MODULE,
	.close		= nvtgt_bdev_close,
	.revalidate	= nvtgt_file_revalidate,
	.rw		= nvtgt_file_rw,
	.flush		= nvtgt_file_flush,
	.write_zeroes	= nvtgt_file_write_zeroes,
	.discard	= nvtgt_file_discard,
};

/**
 * nvtgt_file_open - make a file ready
 * @ns: priv->file is open
 *
 * Context: may sleep.
 * Return: 0 or a negative errno; the reason has been logged.
 */
int nvtgt_file_open(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;
	int ret;

	if (!dev->file->f_op->read_iter || !dev->file->f_op->write_iter) {
		nvtgt_bdev_warn(ns, "its file system cannot serve I/O from the kernel\n");
		return -EOPNOTSUPP;
	}
	ret = nvtgt_file_set_block_size(ns);
	if (ret)
		return ret;
	ns->readonly = !(dev->file->f_mode & FMODE_WRITE);
	ns->volatile_cache = true;
	/* what direct I/O may ask for; through the page cache anything goes */
	if (dev->file->f_flags & O_DIRECT) {
		ns->seg_offset_mask = SECTOR_SIZE - 1;
		ns->seg_len_mask = BIT(ns->blksize_shift) - 1;
	}
	dev->cached_reads = dev->file->f_mode & FMODE_NOWAIT &&
			    !(dev->file->f_flags & O_DIRECT) &&
			    !IS_DAX(file_inode(dev->file));
	/* the time of a read is of no use here, and to note it may wait for a journal */
	spin_lock(&dev->file->f_lock);
	dev->file->f_flags |= O_NOATIME;
	spin_unlock(&dev->file->f_lock);
	if (dev->file->f_op->fallocate) {
		ns->max_discard_blocks = U32_MAX;
		ns->discard_zeroes = true;
	}
	ns->ops = &nvtgt_file_ops;
	return nvtgt_file_revalidate(ns);
}
