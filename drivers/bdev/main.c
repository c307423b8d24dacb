// SPDX-License-Identifier: GPL-2.0
/*
 * The backend "bdev": any block device, or a regular file.
 *
 * Both are opened through the file system, without an exclusive claim, as many
 * namespaces may share one device. From then on the table of bdev.c or that of file.c
 * serves the namespace.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "bdev.h"
#include <linux/err.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/slab.h>
#include <linux/stat.h>

/*
 * Look before opening: to open a FIFO, a terminal or a tape may wait or have
 * effects of its own.
 */
static int nvtgt_bdev_check_path(struct nvtgt_ns *ns)
{
	struct path path;
	umode_t mode;
	int ret;

	if (*ns->device_path != '/') {
		nvtgt_bdev_warn(ns, "device_path must begin with /\n");
		return -EINVAL;
	}
	ret = kern_path(ns->device_path, LOOKUP_FOLLOW, &path);
	if (ret) {
		nvtgt_bdev_warn(ns, "cannot be found: error %d\n", ret);
		return ret;
	}
	mode = d_backing_inode(path.dentry)->i_mode;
	path_put(&path);
	if (S_ISBLK(mode) || S_ISREG(mode))
		return 0;
	nvtgt_bdev_warn(ns, "is neither a block device nor a regular file\n");
	return -ENOTBLK;
}

static struct file *nvtgt_bdev_open_file(const struct nvtgt_ns *ns, int flags)
{
	struct file *file = filp_open(ns->device_path, flags | O_RDWR | O_LARGEFILE, 0);
	long err = PTR_ERR_OR_ZERO(file);

	if (err != -EACCES && err != -EROFS && err != -EPERM)
		return file;
	file = filp_open(ns->device_path, flags | O_RDONLY | O_LARGEFILE, 0);
	if (!IS_ERR(file))
		nvtgt_bdev_warn(ns, "cannot be opened for writing (error %ld), read-only then\n",
				err);
	return file;
}

static struct file *nvtgt_bdev_open_any(struct nvtgt_ns *ns)
{
	struct file *file;

	if (ns->buffered_io)
		return nvtgt_bdev_open_file(ns, 0);
	file = nvtgt_bdev_open_file(ns, O_DIRECT);
	if (IS_ERR(file) && PTR_ERR(file) == -EINVAL) {
		pr_info("%s (namespace %u): its file system has no direct I/O, the page cache is used\n",
			ns->device_path, ns->nsid);
		file = nvtgt_bdev_open_file(ns, 0);
	}
	return file;
}

/* The one option there is: block_size=512 or 4096. Empty words are nothing. */
static int nvtgt_bdev_parse(struct nvtgt_ns *ns, struct nvtgt_bdev *dev)
{
	const char *word = ns->backend_options ?: "";
	size_t len;

	for (; *word; word += len + (word[len] == ',')) {
		len = strcspn(word, ",");
		if (len == strlen("block_size=512") &&
		    !strncmp(word, "block_size=512", len)) {
			dev->blksize_shift = SECTOR_SHIFT;
		} else if (len == strlen("block_size=4096") &&
			   !strncmp(word, "block_size=4096", len)) {
			dev->blksize_shift = NVTGT_FILE_MAX_SHIFT;
		} else if (len) {
			nvtgt_bdev_warn(ns, "backend_options: %.*s: bdev has block_size=512 and block_size=4096, for files\n",
					(int)len, word);
			return -EINVAL;
		}
	}
	return 0;
}

/* Opens what is there; what it is decides whose functions serve the namespace. */
static int nvtgt_bdev_open(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev;
	umode_t mode;
	int ret;

	ret = nvtgt_bdev_check_path(ns);
	if (ret)
		return ret;
	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return -ENOMEM;
	ret = nvtgt_bdev_parse(ns, dev);
	if (ret)
		goto out_free;
	dev->file = nvtgt_bdev_open_any(ns);
	if (IS_ERR(dev->file)) {
		ret = PTR_ERR(dev->file);
		nvtgt_bdev_warn(ns, "cannot be opened: error %d\n", ret);
		goto out_free;
	}

	ns->priv = dev;
	mode = file_inode(dev->file)->i_mode;
	if (S_ISBLK(mode))
		ret = nvtgt_blkdev_open(ns);
	else if (S_ISREG(mode))
		ret = nvtgt_file_open(ns);
	else
		ret = -ENOTBLK;
	if (!ret)
		return 0;

	ns->priv = NULL;
	filp_close(dev->file, NULL);
out_free:
	kfree(dev);
	return ret;
}

/*
 * In a kernel thread filp_close() leaves the last part to a worker that serves the whole
 * machine: the device would be in use for a moment longer, or that worker be stuck in it.
 */
static void nvtgt_bdev_put_file(struct file *file)
{
	if (!(current->flags & PF_KTHREAD)) {
		filp_close(file, NULL);
		return;
	}
	get_file(file);
	filp_close(file, NULL);
	__fput_sync(file);
}

/**
 * nvtgt_bdev_close - what a device and a file have in common at their end
 * @ns: without requests
 *
 * Context: may sleep.
 */
void nvtgt_bdev_close(struct nvtgt_ns *ns)
{
	struct nvtgt_bdev *dev = ns->priv;

	nvtgt_bdev_put_file(dev->file);
	kfree(dev);
}

static const struct nvtgt_backend_ops nvtgt_bdev_ops = {
	.version	= NVTGT_BACKEND_VERSION,
	.size		= sizeof(struct nvtgt_backend_ops),
	.name		= "bdev",
	.owner		= THIS_MODULE,
	.needs_path	= true,
	.open		= nvtgt_bdev_open,
	.close		= nvtgt_bdev_close,
};

static int __init nvtgt_bdev_init(void)
{
	BUILD_BUG_ON(sizeof(struct nvtgt_bdev_priv) > NVTGT_BACKEND_PRIV);
	return nvtgt_backend_register(&nvtgt_bdev_ops);
}

static void __exit nvtgt_bdev_exit(void)
{
	nvtgt_backend_unregister(&nvtgt_bdev_ops);
}

module_init(nvtgt_bdev_init);
module_exit(nvtgt_bdev_exit);

MODULE_ALIAS("nvtgt-backend-bdev");
MODULE_DESCRIPTION("nvtgt backend: block devices and files");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
