/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the backend for devices and files share. */
#ifndef _NVTGT_BDEV_H
#define _NVTGT_BDEV_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <nvtgt/backend.h>

#define NVTGT_FILE_MAX_SHIFT	12	/* blocks of at most 4 KiB */

/**
 * struct nvtgt_bdev - an open namespace
 * @file: the open device or file
 * @bdev: the device; NULL for a file
 * @blksize_shift: the block size of a file as configured, as a power of two; 0: none
 * @poll: the device had poll queues when it was opened
 * @cached_reads: a file: reads may try the page cache without waiting
 */
struct nvtgt_bdev {
	struct file *file;
	struct block_device *bdev;
	u8 blksize_shift;
	bool poll;
	bool cached_reads;
};

/**
 * struct nvtgt_bdev_priv - the backend's part of a request
 * @bio: to a device; must be the first, its completion finds the request by its address
 * @iocb: to a file; the same holds
 * @done: bytes that have been moved so far
 * @ranges: of a Dataset Management command that waits for its worker
 * @nr_ranges: how many
 */
struct nvtgt_bdev_priv {
	union {
		struct bio bio;
		struct {
			struct kiocb iocb;
			u32 done;
		};
		struct {
			const struct nvme_dsm_range *ranges;
			unsigned int nr_ranges;
		};
	};
};

#define nvtgt_bdev_warn(ns, fmt, ...)						\
	pr_warn_ratelimited("%s (namespace %u): " fmt, (ns)->device_path,	\
			    (ns)->nsid, ##__VA_ARGS__)

static inline struct nvtgt_bdev *nvtgt_req_bdev(struct nvtgt_req *req)
{
	return req->ns->priv;
}

static inline struct nvtgt_bdev_priv *nvtgt_bdev_priv(struct nvtgt_req *req)
{
	return nvtgt_req_priv(req);
}

/* main.c */
void nvtgt_bdev_close(struct nvtgt_ns *ns);

/* bdev.c */
bool nvtgt_bdev_is_lost(struct nvtgt_ns *ns, struct block_device *bdev);
int nvtgt_blkdev_open(struct nvtgt_ns *ns);

/* file.c */
int nvtgt_file_open(struct nvtgt_ns *ns);

#endif /* _NVTGT_BDEV_H */
