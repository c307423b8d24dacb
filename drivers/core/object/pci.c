// SPDX-License-Identifier: GPL-2.0
/*
 * Controllers that are PCIe functions (include/nvtgt/pci.h): what a transport without
 * Connect needs of the core.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/rwsem.h>
#include <nvtgt/pci.h>
#include "object.h"

/* The subsystem of a port, with the right of the port's host checked. */
static struct nvtgt_subsys *nvtgt_pci_find_subsys(struct nvtgt_cport *cport)
{
	struct nvtgt_subsys_link *link;

	lockdep_assert_held(&nvtgt_config_sem);
	/* nvtgt_port_link() admits one to such a port */
	link = list_first_entry_or_null(&cport->subsystems, struct nvtgt_subsys_link, entry);
	if (!link)
		return ERR_PTR(-ENODEV);
	if (!nvtgt_host_allowed(link->subsys, cport->hostnqn)) {
		pr_warn_ratelimited("%s: port %u: its host %s is not allowed\n", link->subsys->nqn,
				    cport->port.id, nvtgt_host_name(cport->hostnqn));
		return ERR_PTR(-EACCES);
	}
	return link->subsys;
}

static int nvtgt_pci_errno(u16 status)
{
	switch (status) {
	case NVTGT_CONNECT_WAIT:
	case NVME_SC_CONNECT_CTRL_BUSY:
		return -EBUSY;
	default:
		return -ENOMEM;
	}
}

/**
 * nvtgt_pci_ctrl_create - a controller without queues
 * @port: the port, whose one subsystem it is of
 * @host_addr: what to call the host's place, in the log and in debugfs
 * @priv: the transport's, for ops->ctrl_ended()
 * @nr_vectors: its interrupts
 *
 * Its host is the one that the port names (param_hostnqn, param_hostid).
 *
 * Context: process, may sleep; takes nvtgt_config_sem.
 * Return: the controller, which nvtgt_pci_ctrl_put() gives back. ERR_PTR: -ENODEV: the port is
 *	not enabled; -EACCES: its host is not allowed; -EBUSY: there are as many
 *	controllers as there may be, or the host's former one has writes in a device; -ENOMEM
 */
struct nvtgt_ctrl *nvtgt_pci_ctrl_create(struct nvtgt_port *port, const char *host_addr,
					 void *priv, u16 nr_vectors)
{
	struct nvtgt_cport *cport = to_nvtgt_cport(port);
	struct nvtgt_subsys *subsys;
	struct nvtgt_ctrl *ctrl;
	u16 status;

	/* held to the end, as in Connect: whoever takes the right away finds the controller */
	down_read(&nvtgt_config_sem);
	subsys = nvtgt_pci_find_subsys(cport);
	if (IS_ERR(subsys)) {
		ctrl = ERR_CAST(subsys);
		goto out;
	}
	ctrl = nvtgt_ctrl_alloc(subsys, port, cport->hostnqn, &cport->hostid, port->max_queue_size);
	if (!ctrl) {
		ctrl = ERR_PTR(-ENOMEM);
		goto out;
	}
	ctrl->pci_vectors = nr_vectors;
	ctrl->pci_no_coalescing = bitmap_zalloc(nr_vectors, GFP_KERNEL);
	if (!ctrl->pci_no_coalescing) {
		nvtgt_ctrl_free(ctrl);
		ctrl = ERR_PTR(-ENOMEM);
		goto out;
	}
	ctrl->pci_ops = port->ops;
	ctrl->pci_priv = priv;
	strscpy(ctrl->host_addr, host_addr, sizeof(ctrl->host_addr));
	status = nvtgt_ctrl_publish(ctrl);
	if (status)
		ctrl = ERR_PTR(nvtgt_pci_errno(status));
	else
		nvtgt_ctrl_info(ctrl, "created on port %u for %s\n", port->id, host_addr);
out:
	up_read(&nvtgt_config_sem);
	return ctrl;
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_create);

/**
 * nvtgt_pci_ctrl_put - the transport needs a controller no more
 * @ctrl: without queues
 *
 * Context: process, may sleep.
 */
void nvtgt_pci_ctrl_put(struct nvtgt_ctrl *ctrl)
{
	nvtgt_ctrl_put(ctrl);
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_put);

/**
 * nvtgt_pci_ctrl_end - the host is gone: the controller's queues end
 * @ctrl: the controller
 *
 * No queue can join any more. Returns before the queues are gone.
 *
 * Context: any.
 */
void nvtgt_pci_ctrl_end(struct nvtgt_ctrl *ctrl)
{
	nvtgt_ctrl_delete(ctrl);
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_end);

/**
 * nvtgt_pci_ctrl_port - the port of a controller
 * @ctrl: the controller, which has a reference on it
 *
 * Return: the port, which may have been disabled
 */
struct nvtgt_port *nvtgt_pci_ctrl_port(const struct nvtgt_ctrl *ctrl)
{
	return ctrl->port;
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_port);

/**
 * nvtgt_pci_ctrl_cntlid - the identifier of a controller
 * @ctrl: the controller
 *
 * Return: CNTLID, which does not change
 */
u16 nvtgt_pci_ctrl_cntlid(const struct nvtgt_ctrl *ctrl)
{
	return ctrl->cntlid;
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_cntlid);

/**
 * nvtgt_pci_ctrl_read - the host reads a register that is the core's
 * @ctrl: the controller
 * @offset: NVME_REG_CAP, NVME_REG_VS, NVME_REG_CC, NVME_REG_CSTS or NVME_REG_CRTO
 *
 * Context: any.
 * Return: the register; 0 for another offset
 */
u64 nvtgt_pci_ctrl_read(struct nvtgt_ctrl *ctrl, u32 offset)
{
	switch (offset) {
	case NVME_REG_CAP:
		return ctrl->cap;
	case NVME_REG_VS:
		return READ_ONCE(ctrl->subsys->ver);
	case NVME_REG_CC:
		return READ_ONCE(ctrl->cc);
	case NVME_REG_CSTS:
		return READ_ONCE(ctrl->csts);
	case NVME_REG_CRTO:
		return NVME_CAP_TIMEOUT(ctrl->cap);
	default:
		return 0;
	}
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_read);

/**
 * nvtgt_pci_ctrl_set_cc - the host writes CC
 * @ctrl: the controller
 * @cc: the new value
 *
 * With CC.EN set the controller becomes ready when the transport has made the admin queue
 * (nvtgt_pci_conn_join()). With CC.EN cleared, or with CC.SHN, all queues end.
 *
 * Context: process; calls of one controller's follow each other.
 */
void nvtgt_pci_ctrl_set_cc(struct nvtgt_ctrl *ctrl, u32 cc)
{
	nvtgt_ctrl_set_cc(ctrl, cc);
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_set_cc);

/**
 * nvtgt_pci_ctrl_fatal - what the host asks for cannot be done: CSTS.CFS
 * @ctrl: the controller; its queues end, and a reset makes it usable again
 *
 * Context: any.
 */
void nvtgt_pci_ctrl_fatal(struct nvtgt_ctrl *ctrl)
{
	unsigned long flags;

	spin_lock_irqsave(&ctrl->lock, flags);
	WRITE_ONCE(ctrl->csts, ctrl->csts | NVME_CSTS_CFS);
	ctrl->pci_admin = false;
	nvtgt_ctrl_disconnect_queues(ctrl, 0);
	spin_unlock_irqrestore(&ctrl->lock, flags);
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_fatal);

/**
 * nvtgt_pci_ctrl_is_idle - has a controller no queue any more?
 * @ctrl: the controller
 *
 * Context: any.
 * Return: whether all that it had are gone, and a reset, if there was one, is over
 */
bool nvtgt_pci_ctrl_is_idle(struct nvtgt_ctrl *ctrl)
{
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&ctrl->lock, flags);
	idle = !ctrl->nr_queues && !ctrl->draining;
	spin_unlock_irqrestore(&ctrl->lock, flags);
	return idle;
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_is_idle);

/**
 * nvtgt_pci_ctrl_max_qid - how many I/O queues may there be?
 * @ctrl: the controller
 *
 * Return: the largest queue identifier
 */
unsigned int nvtgt_pci_ctrl_max_qid(const struct nvtgt_ctrl *ctrl)
{
	return ctrl->max_qid;
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_max_qid);

/**
 * nvtgt_pci_ctrl_doorbell_error - the host has rung a doorbell in a wrong way
 * @ctrl: the controller
 * @info: 0: of a queue that there is not; 1: with a value beyond the queue (NVMe base 2.1,
 *	5.1.2: error status)
 *
 * Context: any.
 */
void nvtgt_pci_ctrl_doorbell_error(struct nvtgt_ctrl *ctrl, u8 info)
{
	nvtgt_event_send(ctrl, NVME_AER_ERROR, info, NVME_LOG_ERROR);
}
EXPORT_SYMBOL_GPL(nvtgt_pci_ctrl_doorbell_error);

/**
 * nvtgt_pci_conn_join - a submission queue becomes a controller's
 * @conn: its connection, initialised and not started; gets a reference on @ctrl
 * @ctrl: the controller
 * @qid: 0: the admin queue
 * @size: entries
 *
 * With the admin queue the controller is ready, if its host has set CC.EN.
 *
 * Context: process.
 * Return: 0 or a status: the controller ends or is reset, or has such a queue
 */
u16 nvtgt_pci_conn_join(struct nvtgt_conn *conn, struct nvtgt_ctrl *ctrl, u16 qid, u16 size)
{
	struct nvtgt_queue *queue = &conn->queue;
	u16 status;

	queue->qid = qid;
	queue->size = size;
	queue->sqhd_disabled = true;	/* the head is the transport's: what it has fetched */
	status = nvtgt_ctrl_add_queue(ctrl, queue, qid);
	if (status)
		return status;
	nvtgt_ctrl_get(ctrl);
	queue->ctrl = ctrl;
	nvtgt_conn_connected(conn);
	if (!qid) {
		spin_lock_irq(&ctrl->lock);
		/* unless it has been told to end already */
		ctrl->pci_admin = !test_bit(NVTGT_CONN_F_DISCONNECT, &conn->flags);
		nvtgt_ctrl_settle(ctrl);
		spin_unlock_irq(&ctrl->lock);
	}
	return 0;
}
EXPORT_SYMBOL_GPL(nvtgt_pci_conn_join);
