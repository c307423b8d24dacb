// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: A controller and its file
 *
 * NVTGT_VFU_ATTACH makes a controller of a port and gives its file. Who still uses the
 * controller when the file is closed, and what ends that:
 *
 *  1. queues: nvtgt_pci_ctrl_end() has them end; each holds a reference until its connection
 *     is freed, with all that it had in a device
 *  2. enable_work: holds a reference while it is queued
 *  3. memory: nvtgt_vfu_pin_work() finds the controller in a list, under a lock; free_work takes it
 *     out of the list
 *
 * The last reference queues free_work. Only then may the port have another controller: no command
 * of the former one can reach the medium any more.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/fcntl.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "vfu.h"

#define NVTGT_VFU_RESET_MS	4000		/* QEMU waits five seconds for an answer */

static void nvtgt_vfu_free_work(struct work_struct *work)
{
	struct nvtgt_vfu_dev *dev = container_of(work, struct nvtgt_vfu_dev, free_work);
	unsigned int i;

	nvtgt_vfu_watch_memory(dev, false);
	for (i = 0; i < ARRAY_SIZE(dev->cqs); i++)
		if (dev->cqs[i])
			nvtgt_vfu_cq_put(dev->cqs[i]);
	nvtgt_vfu_free_regions(dev);
	nvtgt_vfu_free_vectors(dev);
	nvtgt_pci_ctrl_put(dev->ctrl);
	nvtgt_vfu_port_detach(dev->vport);
	kvfree(dev);
}

static void nvtgt_vfu_dev_release(struct kref *ref)
{
	struct nvtgt_vfu_dev *dev = container_of(ref, struct nvtgt_vfu_dev, ref);

	queue_work(nvtgt_vfu_conns.wq, &dev->free_work);
}

/**
 * nvtgt_vfu_dev_get - one reference more
 * @dev: a controller that the caller has a reference on
 */
void nvtgt_vfu_dev_get(struct nvtgt_vfu_dev *dev)
{
	kref_get(&dev->ref);
}

/**
 * nvtgt_vfu_dev_put - give a reference back
 * @dev: the controller, which may be freed
 *
 * Context: any.
 */
void nvtgt_vfu_dev_put(struct nvtgt_vfu_dev *dev)
{
	kref_put(&dev->ref, nvtgt_vfu_dev_release);
}

/* Completion queues of a controller that has no submission queues any more. */
static void nvtgt_vfu_drop_cqs(struct nvtgt_vfu_dev *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->lock);
	for (i = 0; i < ARRAY_SIZE(dev->cqs); i++) {
		struct nvtgt_vfu_cq *cq;

		spin_lock_irq(&dev->queue_lock);
		cq = dev->cqs[i];
		dev->cqs[i] = NULL;
		spin_unlock_irq(&dev->queue_lock);
		if (cq)
			nvtgt_vfu_cq_put(cq);
	}
}

/* Makes the admin queue. Returns why it cannot be made, or NULL. */
static const char *nvtgt_vfu_make_admin(struct nvtgt_vfu_dev *dev)
{
	u32 sq_size = (dev->aqa & 0xfff) + 1, cq_size = (dev->aqa >> 16 & 0xfff) + 1;
	struct nvtgt_vfu_cq *cq;
	u16 status;

	if (sq_size < 2 || cq_size < 2)
		return "AQA: a queue has two entries at least";
	if ((dev->asq | dev->acq) & (NVTGT_VFU_PAGE - 1))
		return "ASQ, ACQ: not at the beginning of a page";
	if (!nvtgt_vfu_is_mapped(dev, dev->asq, sq_size * sizeof(struct nvme_command), false))
		return "ASQ: not in the guest's memory";
	if (!nvtgt_vfu_is_mapped(dev, dev->acq, cq_size * sizeof(struct nvme_completion), true))
		return "ACQ: not in the guest's memory";
	cq = nvtgt_vfu_cq_create(0, dev->acq, cq_size, 0, true);
	if (!cq)
		return "no memory";
	spin_lock_irq(&dev->queue_lock);
	dev->cqs[0] = cq;
	spin_unlock_irq(&dev->queue_lock);
	status = nvtgt_vfu_queue_create(dev, 0, cq, dev->asq, sq_size);
	return status ? "no memory, or the controller ends" : NULL;
}

/* The host has set CC.EN: make the admin queue, once those of before a reset are gone. */
static void nvtgt_vfu_try_enable(struct nvtgt_vfu_dev *dev)
{
	u32 cc = nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CC);
	const char *why;

	lockdep_assert_held(&dev->lock);
	/* after a shutdown only a reset leads back */
	if (dev->closed || !(cc & NVME_CC_ENABLE) || cc & NVME_CC_SHN_MASK ||
	    nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CSTS) & (NVME_CSTS_RDY | NVME_CSTS_CFS) ||
	    !nvtgt_pci_ctrl_is_idle(dev->ctrl))
		return;
	nvtgt_vfu_drop_cqs(dev);
	why = nvtgt_vfu_make_admin(dev);
	if (!why)
		return;
	nvtgt_vfu_warn(dev, "the guest cannot enable the controller: %s\n", why);
	nvtgt_pci_ctrl_fatal(dev->ctrl);
}

static void nvtgt_vfu_enable_work(struct work_struct *work)
{
	struct nvtgt_vfu_dev *dev = container_of(work, struct nvtgt_vfu_dev, enable_work);

	unsigned int noio = memalloc_noio_save();	/* as the core's workers */

	mutex_lock(&dev->lock);
	nvtgt_vfu_try_enable(dev);
	mutex_unlock(&dev->lock);
	nvtgt_vfu_dev_put(dev);
	memalloc_noio_restore(noio);
}

/**
 * nvtgt_vfu_queue_gone - a queue has left its controller
 * @dev: the controller
 *
 * Context: process.
 */
void nvtgt_vfu_queue_gone(struct nvtgt_vfu_dev *dev)
{
	wake_up_all(&dev->wait);
	nvtgt_vfu_dev_get(dev);
	if (!queue_work(nvtgt_vfu_conns.wq, &dev->enable_work))
		nvtgt_vfu_dev_put(dev);
}

/* A reset, of any kind: nothing that the guest has set up counts any more. */
static void nvtgt_vfu_forget_guest(struct nvtgt_vfu_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	dev->intm = 0;
	WRITE_ONCE(dev->dbbuf_shadow, 0);
	WRITE_ONCE(dev->dbbuf_event, 0);
	/* pairs with nvtgt_vfu_find_shadow() */
	smp_store_release(&dev->dbbuf_gen, dev->dbbuf_gen + 1);
}

static void nvtgt_vfu_write_cc(struct nvtgt_vfu_dev *dev, u32 cc)
{
	u32 old = nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CC);
	unsigned int noio = memalloc_noio_save();	/* makes a queue, as enable_work does */

	lockdep_assert_held(&dev->lock);
	nvtgt_pci_ctrl_set_cc(dev->ctrl, cc);
	if (old & NVME_CC_ENABLE && !(cc & NVME_CC_ENABLE))
		nvtgt_vfu_forget_guest(dev);
	nvtgt_vfu_try_enable(dev);
	memalloc_noio_restore(noio);
}

/**
 * nvtgt_vfu_ctrl_ended - the administrator has ended a controller
 * @priv: the controller's file
 *
 * Context: any, under the controller's lock.
 */
void nvtgt_vfu_ctrl_ended(void *priv)
{
	struct nvtgt_vfu_dev *dev = priv;

	WRITE_ONCE(dev->ended, true);
	wake_up_all(&dev->wait);
}

static u32 nvtgt_vfu_read_reg(struct nvtgt_vfu_dev *dev, u32 offset)
{
	switch (offset) {
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		return dev->intm;
	case NVME_REG_CAP + 4:
		return upper_32_bits(nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CAP));
	case NVME_REG_AQA:
		return dev->aqa;
	case NVME_REG_ASQ:
		return lower_32_bits(dev->asq);
	case NVME_REG_ASQ + 4:
		return upper_32_bits(dev->asq);
	case NVME_REG_ACQ:
		return lower_32_bits(dev->acq);
	case NVME_REG_ACQ + 4:
		return upper_32_bits(dev->acq);
	default:
		return lower_32_bits(nvtgt_pci_ctrl_read(dev->ctrl, offset));
	}
}

static void nvtgt_vfu_write_reg(struct nvtgt_vfu_dev *dev, u32 offset, u32 value)
{
	switch (offset) {
	case NVME_REG_INTMS:
		dev->intm |= value;
		break;
	case NVME_REG_INTMC:
		dev->intm &= ~value;
		break;
	case NVME_REG_CC:
		nvtgt_vfu_write_cc(dev, value);
		break;
	case NVME_REG_AQA:
		dev->aqa = value & 0x0fff0fff;
		break;
	case NVME_REG_ASQ:
		dev->asq = (dev->asq & ~(u64)U32_MAX) | value;
		break;
	case NVME_REG_ASQ + 4:
		dev->asq = (dev->asq & U32_MAX) | (u64)value << 32;
		break;
	case NVME_REG_ACQ:
		dev->acq = (dev->acq & ~(u64)U32_MAX) | value;
		break;
	case NVME_REG_ACQ + 4:
		dev->acq = (dev->acq & U32_MAX) | (u64)value << 32;
		break;
	}
}

static int nvtgt_vfu_reg(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_reg *reg, bool write)
{
	if ((reg->size != 4 && reg->size != 8) || reg->offset % reg->size)
		return -EINVAL;
	if (reg->offset >= NVTGT_VFU_DOORBELLS) {
		if (write && reg->size == 4)
			nvtgt_vfu_doorbell(dev, reg->offset, reg->value);
		reg->value = 0;
		return 0;
	}
	mutex_lock(&dev->lock);
	if (write) {
		nvtgt_vfu_write_reg(dev, reg->offset, reg->value);
		if (reg->size == 8)
			nvtgt_vfu_write_reg(dev, reg->offset + 4, reg->value >> 32);
	} else {
		reg->value = nvtgt_vfu_read_reg(dev, reg->offset);
		if (reg->size == 8)
			reg->value |= (u64)nvtgt_vfu_read_reg(dev, reg->offset + 4) << 32;
	}
	mutex_unlock(&dev->lock);
	return 0;
}

/* The admin queue's registers are forgotten as well (NVMe base 2.1, 3.7.2). */
static int nvtgt_vfu_reset(struct nvtgt_vfu_dev *dev)
{
	long left;

	mutex_lock(&dev->lock);
	nvtgt_vfu_write_cc(dev, 0);
	nvtgt_vfu_forget_guest(dev);
	dev->aqa = 0;
	dev->asq = 0;
	dev->acq = 0;
	mutex_unlock(&dev->lock);
	left = wait_event_killable_timeout(dev->wait, nvtgt_pci_ctrl_is_idle(dev->ctrl),
					   msecs_to_jiffies(NVTGT_VFU_RESET_MS));
	if (left < 0)
		return -EINTR;
	if (!left)
		return -EBUSY;
	nvtgt_vfu_forget_irqs(dev);
	return 0;
}

static int nvtgt_vfu_get_info(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_info __user *to)
{
	struct nvtgt_vfu_info info = {
		.port = dev->vport->id,
		.nr_vectors = dev->nr_vectors,
		.cntlid = nvtgt_pci_ctrl_cntlid(dev->ctrl),
	};

	if (READ_ONCE(dev->ended))
		info.flags |= NVTGT_VFU_INFO_ENDED;
	if (nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CC) & NVME_CC_ENABLE)
		info.flags |= NVTGT_VFU_INFO_ENABLED;
	strscpy(info.path, dev->vport->path, sizeof(info.path));
	return copy_to_user(to, &info, sizeof(info)) ? -EFAULT : 0;
}

static long nvtgt_vfu_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct nvtgt_vfu_dev *dev = file->private_data;
	void __user *from = (void __user *)arg;
	union {
		struct nvtgt_vfu_map map;
		struct nvtgt_vfu_unmap unmap;
		struct nvtgt_vfu_reg reg;
		struct nvtgt_vfu_irq irq;
	} u;
	int ret;

	if (_IOC_DIR(cmd) & _IOC_WRITE) {
		if (_IOC_SIZE(cmd) > sizeof(u))
			return -ENOTTY;
		if (copy_from_user(&u, from, _IOC_SIZE(cmd)))
			return -EFAULT;
	}
	switch (cmd) {
	case NVTGT_VFU_MAP:
		return nvtgt_vfu_map(dev, &u.map);
	case NVTGT_VFU_UNMAP:
		return nvtgt_vfu_unmap(dev, &u.unmap);
	case NVTGT_VFU_REG_READ:
		ret = nvtgt_vfu_reg(dev, &u.reg, false);
		if (!ret && copy_to_user(from, &u.reg, sizeof(u.reg)))
			ret = -EFAULT;
		return ret;
	case NVTGT_VFU_REG_WRITE:
		return nvtgt_vfu_reg(dev, &u.reg, true);
	case NVTGT_VFU_SET_IRQ:
		return nvtgt_vfu_set_irq(dev, &u.irq);
	case NVTGT_VFU_RESET:
		return nvtgt_vfu_reset(dev);
	case NVTGT_VFU_ADOPT:
		return nvtgt_vfu_adopt(dev);
	case NVTGT_VFU_INFO:
		return nvtgt_vfu_get_info(dev, from);
	default:
		return -ENOTTY;
	}
}

static __poll_t nvtgt_vfu_dev_poll(struct file *file, struct poll_table_struct *table)
{
	struct nvtgt_vfu_dev *dev = file->private_data;

	poll_wait(file, &dev->wait, table);
	return READ_ONCE(dev->ended) ? EPOLLHUP : 0;
}

static int nvtgt_vfu_dev_release_file(struct inode *inode, struct file *file)
{
	struct nvtgt_vfu_dev *dev = file->private_data;

	mutex_lock(&dev->lock);
	dev->closed = true;
	mutex_unlock(&dev->lock);
	nvtgt_pci_ctrl_end(dev->ctrl);
	nvtgt_vfu_dev_put(dev);
	return 0;
}

static const struct file_operations nvtgt_vfu_dev_fops = {
	.owner		= THIS_MODULE,
	.release	= nvtgt_vfu_dev_release_file,
	.poll		= nvtgt_vfu_dev_poll,
	.unlocked_ioctl	= nvtgt_vfu_dev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct nvtgt_vfu_dev *nvtgt_vfu_dev_alloc(unsigned int nr_vectors)
{
	struct nvtgt_vfu_dev *dev;
	unsigned int i;

	dev = kvzalloc(struct_size(dev, vectors, nr_vectors), GFP_KERNEL_ACCOUNT);
	if (!dev)
		return NULL;
	kref_init(&dev->ref);
	init_waitqueue_head(&dev->wait);
	INIT_WORK(&dev->enable_work, nvtgt_vfu_enable_work);
	INIT_WORK(&dev->free_work, nvtgt_vfu_free_work);
	mutex_init(&dev->lock);
	mutex_init(&dev->unmap_lock);
	spin_lock_init(&dev->queue_lock);
	dev->dbbuf_gen = 1;
	dev->nr_vectors = nr_vectors;
	for (i = 0; i < nr_vectors; i++)
		spin_lock_init(&dev->vectors[i].lock);
	return dev;
}

/**
 * nvtgt_vfu_attach - NVTGT_VFU_ATTACH
 * @attach: as the process asks
 *
 * Context: process.
 * Return: a file descriptor, or a negative errno
 */
int nvtgt_vfu_attach(const struct nvtgt_vfu_attach *attach)
{
	struct nvtgt_vfu_dev *dev;
	int ret;

	if (!attach->nr_vectors || attach->nr_vectors > NVTGT_VFU_MAX_VECTORS || attach->flags)
		return -EINVAL;
	dev = nvtgt_vfu_dev_alloc(attach->nr_vectors);
	if (!dev)
		return -ENOMEM;
	ret = nvtgt_vfu_port_attach(attach->port, dev);
	if (ret) {
		kvfree(dev);
		return ret;
	}
	nvtgt_vfu_watch_memory(dev, true);
	ret = anon_inode_getfd("[nvtgt-vfu]", &nvtgt_vfu_dev_fops, dev, O_RDWR | O_CLOEXEC);
	if (ret < 0) {
		nvtgt_pci_ctrl_end(dev->ctrl);
		nvtgt_vfu_dev_put(dev);
	}
	return ret;
}
