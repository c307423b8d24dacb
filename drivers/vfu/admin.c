// SPDX-License-Identifier: GPL-2.0
/*
 * Admin commands of a PCIe function: queues, and shadow doorbells (NVMe base 2.1, 5.2).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include "vfu.h"

static struct nvtgt_vfu_dev *nvtgt_vfu_req_dev(struct nvtgt_req *req)
{
	return to_nvtgt_vfu_queue(req->queue)->dev;
}

static u16 nvtgt_vfu_bad(struct nvtgt_req *req, u16 error_loc, u16 status)
{
	req->error_loc = error_loc;
	return status | NVME_STATUS_DNR;
}

/* What the two commands that create a queue have in common; the fields lie at the same places. */
static u16 nvtgt_vfu_check_queue(struct nvtgt_req *req, unsigned int entry_bytes, bool write)
{
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	struct nvme_create_cq *c = &req->cmd->create_cq;
	u16 qid = le16_to_cpu(c->cqid), qsize = le16_to_cpu(c->qsize);
	u64 gpa = le64_to_cpu(c->prp1);
	u32 cc = nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CC);

	BUILD_BUG_ON(offsetof(struct nvme_create_cq, qsize) !=
		     offsetof(struct nvme_create_sq, qsize));
	if (!qid || qid > nvtgt_pci_ctrl_max_qid(dev->ctrl))
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, cqid),
				     NVME_SC_QID_INVALID);
	/* also before CC.IOSQES or CC.IOCQES has been set */
	cc = write ? (cc & NVME_CC_IOCQES_MASK) >> NVME_CC_IOCQES_SHIFT :
		     (cc & NVME_CC_IOSQES_MASK) >> NVME_CC_IOSQES_SHIFT;
	if (!qsize || qsize > (u16)nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CAP) ||
	    BIT(cc) != entry_bytes)
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, qsize),
				     NVME_SC_QUEUE_SIZE);
	/* CAP.CQR: in one piece */
	if (!(c->cq_flags & cpu_to_le16(NVME_QUEUE_PHYS_CONTIG)))
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, cq_flags),
				     NVME_SC_INVALID_FIELD);
	if (gpa & (NVTGT_VFU_PAGE - 1))
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, prp1),
				     NVME_SC_PRP_INVALID_OFFSET);
	if (!nvtgt_vfu_is_mapped(dev, gpa, (qsize + 1) * entry_bytes, write))
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, prp1),
				     NVME_SC_DATA_XFER_ERROR);
	return 0;
}

static u16 nvtgt_vfu_do_create_cq(struct nvtgt_req *req)
{
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	struct nvme_create_cq *c = &req->cmd->create_cq;
	u16 qid = le16_to_cpu(c->cqid), vector = le16_to_cpu(c->irq_vector);
	bool interrupts = c->cq_flags & cpu_to_le16(NVME_CQ_IRQ_ENABLED);
	struct nvtgt_vfu_cq *cq;
	u16 status;

	status = nvtgt_vfu_check_queue(req, sizeof(struct nvme_completion), true);
	if (status)
		return status;
	if (dev->cqs[qid])
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, cqid),
				     NVME_SC_QID_INVALID);
	if (vector >= dev->nr_vectors) {
		if (interrupts)
			return nvtgt_vfu_bad(req, offsetof(struct nvme_create_cq, irq_vector),
					     NVME_SC_INVALID_VECTOR);
		vector = 0;
	}
	cq = nvtgt_vfu_cq_create(qid, le64_to_cpu(c->prp1), le16_to_cpu(c->qsize) + 1, vector,
				 interrupts);
	if (!cq)
		return NVME_SC_INTERNAL;
	spin_lock_irq(&dev->queue_lock);
	dev->cqs[qid] = cq;
	spin_unlock_irq(&dev->queue_lock);
	return 0;
}

static u16 nvtgt_vfu_do_create_sq(struct nvtgt_req *req)
{
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	struct nvme_create_sq *c = &req->cmd->create_sq;
	u16 qid = le16_to_cpu(c->sqid), cqid = le16_to_cpu(c->cqid);
	u16 status;

	status = nvtgt_vfu_check_queue(req, sizeof(struct nvme_command), false);
	if (status)
		return status;
	if (dev->sqs[qid])
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_sq, sqid),
				     NVME_SC_QID_INVALID);
	if (!cqid || cqid > nvtgt_pci_ctrl_max_qid(dev->ctrl))
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_sq, cqid),
				     NVME_SC_QID_INVALID);
	if (!dev->cqs[cqid])
		return nvtgt_vfu_bad(req, offsetof(struct nvme_create_sq, cqid),
				     NVME_SC_CQ_INVALID);
	return nvtgt_vfu_queue_create(dev, qid, dev->cqs[cqid], le64_to_cpu(c->prp1),
				      le16_to_cpu(c->qsize) + 1);
}

static u16 nvtgt_vfu_do_delete_cq(struct nvtgt_req *req)
{
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	u16 qid = le16_to_cpu(req->cmd->delete_queue.qid), status = 0;
	struct nvtgt_vfu_cq *cq = NULL;

	spin_lock_irq(&dev->queue_lock);
	if (!qid || qid > NVTGT_MAX_QID || !dev->cqs[qid]) {
		status = NVME_SC_QID_INVALID;
	} else if (dev->cqs[qid]->nr_sqs) {
		status = NVME_SC_INVALID_QUEUE;
	} else {
		cq = dev->cqs[qid];
		dev->cqs[qid] = NULL;
	}
	spin_unlock_irq(&dev->queue_lock);
	if (status)
		return nvtgt_vfu_bad(req, offsetof(struct nvme_delete_queue, qid), status);
	nvtgt_vfu_cq_put(cq);
	return 0;
}

/* Ends when the queue is gone: nvtgt_vfu_free(). */
static u16 nvtgt_vfu_do_delete_sq(struct nvtgt_req *req, bool *later)
{
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	u16 qid = le16_to_cpu(req->cmd->delete_queue.qid);
	struct nvtgt_vfu_queue *q;

	spin_lock_irq(&dev->queue_lock);
	q = qid && qid <= NVTGT_MAX_QID ? dev->sqs[qid] : NULL;
	if (q && !q->delete_req) {
		q->delete_req = req;
		*later = true;
		nvtgt_conn_disconnect(&q->conn);
	}
	spin_unlock_irq(&dev->queue_lock);
	if (*later)
		return 0;
	return nvtgt_vfu_bad(req, offsetof(struct nvme_delete_queue, qid), NVME_SC_QID_INVALID);
}

/* The two pages of the shadow doorbells (NVMe base 2.1, 5.2.5). */
static u16 nvtgt_vfu_do_dbbuf(struct nvtgt_req *req)
{
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	u64 shadow = le64_to_cpu(req->cmd->dbbuf.prp1);
	u64 event = le64_to_cpu(req->cmd->dbbuf.prp2);

	if ((shadow | event) & (NVTGT_VFU_PAGE - 1) || shadow == event)
		return nvtgt_vfu_bad(req, offsetof(struct nvme_dbbuf, prp1), NVME_SC_INVALID_FIELD);
	if (!nvtgt_vfu_is_mapped(dev, shadow, NVTGT_VFU_PAGE, true) ||
	    !nvtgt_vfu_is_mapped(dev, event, NVTGT_VFU_PAGE, true))
		return nvtgt_vfu_bad(req, offsetof(struct nvme_dbbuf, prp1),
				     NVME_SC_DATA_XFER_ERROR);
	WRITE_ONCE(dev->dbbuf_shadow, shadow);
	WRITE_ONCE(dev->dbbuf_event, event);
	/* pairs with nvtgt_vfu_find_shadow(): both addresses are there */
	smp_store_release(&dev->dbbuf_gen, dev->dbbuf_gen + 1);
	/* queues that there are sleep without an event index */
	nvtgt_vfu_kick_all(dev);
	return 0;
}

static bool nvtgt_vfu_is_ready(struct nvtgt_vfu_dev *dev)
{
	lockdep_assert_held(&dev->lock);
	return nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CC) & NVME_CC_ENABLE &&
	       nvtgt_pci_ctrl_read(dev->ctrl, NVME_REG_CSTS) & NVME_CSTS_RDY;
}

static void nvtgt_vfu_admin_work(struct work_struct *work)
{
	struct nvtgt_req *req = container_of(work, struct nvtgt_req, work);
	struct nvtgt_vfu_dev *dev = nvtgt_vfu_req_dev(req);
	unsigned int noio = memalloc_noio_save();	/* as the core's workers */
	bool later = false;
	u16 status;

	mutex_lock(&dev->lock);
	if (!nvtgt_vfu_is_ready(dev)) {
		/* a reset came while it waited: what it would set up would outlive that */
		mutex_unlock(&dev->lock);
		nvtgt_req_complete(req, NVME_SC_ABORT_QUEUE);
		goto out;
	}
	switch (req->cmd->common.opcode) {
	case nvme_admin_create_cq:
		status = nvtgt_vfu_do_create_cq(req);
		break;
	case nvme_admin_create_sq:
		status = nvtgt_vfu_do_create_sq(req);
		break;
	case nvme_admin_delete_cq:
		status = nvtgt_vfu_do_delete_cq(req);
		break;
	case nvme_admin_delete_sq:
		status = nvtgt_vfu_do_delete_sq(req, &later);
		break;
	default:
		status = nvtgt_vfu_do_dbbuf(req);
	}
	mutex_unlock(&dev->lock);
	if (!later)
		nvtgt_req_complete(req, status);
out:
	memalloc_noio_restore(noio);
}

static void nvtgt_vfu_admin_execute(struct nvtgt_req *req)
{
	INIT_WORK(&req->work, nvtgt_vfu_admin_work);
	queue_work(nvtgt_vfu_conns.wq, &req->work);
}

/**
 * nvtgt_vfu_admin - judge an admin command of a PCIe function
 * @req: the request
 *
 * Context: the reactor; does not sleep.
 * Return: 0 or a status
 */
u16 nvtgt_vfu_admin(struct nvtgt_req *req)
{
	switch (req->cmd->common.opcode) {
	case nvme_admin_create_cq:
	case nvme_admin_create_sq:
	case nvme_admin_delete_cq:
	case nvme_admin_delete_sq:
	case nvme_admin_dbbuf:
		req->execute = nvtgt_vfu_admin_execute;
		return 0;
	default:
		return nvtgt_vfu_bad(req, offsetof(struct nvme_common_command, opcode),
				     NVME_SC_INVALID_OPCODE);
	}
}
