// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Controllers
 *
 * A controller is one host's association. It is made by Connect on an admin
 * queue and lives as long as one of its queues does, or a thread holds a
 * reference. It ends when its admin queue ends, when the keep alive timer
 * expires, or when the administrator takes away the host's right, the port's
 * link, or the subsystem: each of these calls nvtgt_ctrl_delete(), which only
 * asks the transports to disconnect the queues. Everything else follows from the
 * queues' own way out.
 *
 * CC changes in nvtgt_ctrl_set_cc() alone. CSTS follows in nvtgt_ctrl_settle(), when
 * nothing of the I/O queues is in a backend any more (drain.c).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/idr.h>
#include <linux/moduleparam.h>
#include <linux/slab.h>
#include "object.h"

static unsigned int nvtgt_max_ctrls = 4096;
module_param_named(max_ctrls, nvtgt_max_ctrls, uint, 0644);
MODULE_PARM_DESC(max_ctrls, "most controllers (connected hosts) of one subsystem");

#define NVTGT_KA_WAIT_MS	100	/* between looks at reactors that did not come round */

static void nvtgt_ctrl_ka_work(struct work_struct *work);
static void nvtgt_ctrl_fatal_work(struct work_struct *work);

/**
 * nvtgt_ctrl_cap - the CAP property of a controller
 * @max_size: most entries of its I/O queues
 *
 * Return: CAP (NVMe base 2.1, 3.1.4.1): MQES by port and transport, CQR, TO 15 s,
 *	NVM command set and I/O command set selection, CRMS with media
 */
static u64 nvtgt_ctrl_cap(u16 max_size)
{
	return (u64)(max_size - 1) |
	       1ULL << 16 |	/* CQR */
	       30ULL << 24 |	/* TO, 500 ms */
	       (u64)(NVME_CAP_CSS_NVM | NVME_CAP_CSS_CSI) << 37 |
	       NVME_CAP_CRMS_CRWMS;
}

static u16 nvtgt_ctrl_alloc_cntlid(struct nvtgt_subsys *subsys, u16 *cntlid)
{
	int id;

	lockdep_assert_held(&subsys->lock);
	/* in turn, so that a late packet of an old association finds nothing */
	if (subsys->next_cntlid < subsys->cntlid_min || subsys->next_cntlid > subsys->cntlid_max)
		subsys->next_cntlid = subsys->cntlid_min;
	id = ida_alloc_range(&subsys->cntlids, subsys->next_cntlid, subsys->cntlid_max,
			     GFP_KERNEL);
	if (id == -ENOSPC)
		id = ida_alloc_range(&subsys->cntlids, subsys->cntlid_min, subsys->cntlid_max,
				     GFP_KERNEL);
	if (id == -ENOSPC)	/* until another host leaves */
		return NVME_SC_CONNECT_CTRL_BUSY;
	if (id < 0)
		return NVME_SC_INTERNAL;
	subsys->next_cntlid = id + 1;
	*cntlid = id;
	return 0;
}

/* Round up to the granularity that KAS announces. */
static u32 nvtgt_ctrl_round_kato(u32 kato_ms)
{
	return min_t(u64, roundup((u64)kato_ms, NVTGT_KAS * 100), INT_MAX / 2);
}

/*
 * Any host may have a discovery controller: so that no host is shut out, the oldest
 * controller whose host asked for no keep alive ends, or else the oldest. It goes on its own,
 * so there may be more than max_ctrls for a moment. Returns whether there is room.
 */
static bool nvtgt_ctrl_make_room(struct nvtgt_subsys *subsys)
{
	struct nvtgt_ctrl *ctrl, *found = NULL;

	lockdep_assert_held(&subsys->lock);
	if (!subsys->discovery || subsys->nr_ctrls >= 2 * (u64)READ_ONCE(nvtgt_max_ctrls))
		return false;
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry) {
		if (READ_ONCE(ctrl->deleting) || (found && ctrl->persistent))
			continue;
		found = ctrl;
		if (!ctrl->persistent)
			break;
	}
	if (found)
		nvtgt_ctrl_delete(found);
	return found;
}

/* Gives the controller its id and its place in the subsystem. */
static u16 nvtgt_ctrl_add(struct nvtgt_ctrl *ctrl, struct nvtgt_subsys *subsys)
{
	u16 status;

	lockdep_assert_held(&subsys->lock);
	if (!subsys->discovery && nvtgt_host_must_wait(subsys, ctrl))
		return NVTGT_CONNECT_WAIT;
	if (subsys->nr_ctrls >= nvtgt_max_ctrls && !nvtgt_ctrl_make_room(subsys)) {
		pr_warn_ratelimited("%s: %u controllers already (parameter max_ctrls), host %s refused\n",
				    subsys->nqn, subsys->nr_ctrls, nvtgt_host_name(ctrl->hostnqn));
		return NVME_SC_CONNECT_CTRL_BUSY;
	}
	ctrl->max_qid = subsys->max_qid;
	ctrl->queues = kcalloc(ctrl->max_qid + 1, sizeof(*ctrl->queues), GFP_KERNEL);
	if (!ctrl->queues)
		return NVME_SC_INTERNAL;
	status = nvtgt_ctrl_alloc_cntlid(subsys, &ctrl->cntlid);
	if (status) {
		kfree(ctrl->queues);
		return status;
	}
	list_add_tail(&ctrl->subsys_entry, &subsys->ctrls);
	subsys->nr_ctrls++;
	return 0;
}

/* The KATO of a discovery controller: always some, and bounded, for any host may come. */
static u32 nvtgt_ctrl_disc_kato(const struct nvtgt_ctrl *ctrl, u32 kato_ms)
{
	/* a host that asks for none gets a default (NVMe-oF) */
	if (!kato_ms)
		return NVTGT_DISC_KATO_MS;
	if (kato_ms > NVTGT_DISC_MAX_KATO_MS)
		pr_info_ratelimited("%s (%s): keep alive of %u ms asked for, %u ms given\n",
				    ctrl->subsys->nqn, nvtgt_host_name(ctrl->hostnqn), kato_ms,
				    NVTGT_DISC_MAX_KATO_MS);
	return min_t(u32, kato_ms, NVTGT_DISC_MAX_KATO_MS);
}

/* Fills in the host's address, without the port, which is another one for each connection. */
static void nvtgt_ctrl_set_addr(struct nvtgt_ctrl *ctrl, struct nvtgt_queue *queue)
{
	char *port;

	strscpy(ctrl->host_addr, to_nvtgt_conn(queue)->host_traddr, sizeof(ctrl->host_addr));
	port = strrchr(ctrl->host_addr, ':');
	if (port)
		*port = '\0';
}

/**
 * nvtgt_ctrl_alloc - memory for a controller
 * @subsys: the subsystem
 * @port: the port
 * @hostnqn: the host's name, checked; "": it has none
 * @hostid: the host's identifier
 * @max_size: most entries of its I/O queues
 *
 * Context: process, may sleep.
 * Return: what nvtgt_ctrl_publish() or nvtgt_ctrl_free() ends, or NULL
 */
struct nvtgt_ctrl *nvtgt_ctrl_alloc(struct nvtgt_subsys *subsys, struct nvtgt_port *port,
				    const char *hostnqn, const uuid_t *hostid, u16 max_size)
{
	struct nvtgt_ctrl *ctrl = kzalloc(sizeof(*ctrl), GFP_KERNEL);

	if (!ctrl)
		return NULL;
	kref_init(&ctrl->ref);
	spin_lock_init(&ctrl->lock);
	INIT_LIST_HEAD(&ctrl->aers);
	INIT_LIST_HEAD(&ctrl->peer_entry);
	INIT_DELAYED_WORK(&ctrl->ka_work, nvtgt_ctrl_ka_work);
	INIT_DELAYED_WORK(&ctrl->drain_work, nvtgt_ctrl_drain_work);
	INIT_WORK(&ctrl->fatal_work, nvtgt_ctrl_fatal_work);
	ctrl->subsys = subsys;
	ctrl->port = port;
	strscpy(ctrl->hostnqn, hostnqn, sizeof(ctrl->hostnqn));
	uuid_copy(&ctrl->hostid, hostid);
	ctrl->cap = nvtgt_ctrl_cap(max_size);
	ctrl->mdts = port->mdts;
	return ctrl;
}

/**
 * nvtgt_ctrl_free - a controller that nobody has seen, or sees any more
 * @ctrl: the controller
 */
void nvtgt_ctrl_free(struct nvtgt_ctrl *ctrl)
{
	bitmap_free(ctrl->pci_no_coalescing);
	kfree(ctrl);
}

/**
 * nvtgt_ctrl_publish - a controller gets its identifier and its place in the subsystem
 * @ctrl: from nvtgt_ctrl_alloc(); gets references on subsystem and port, or is freed
 *
 * Context: process, may sleep.
 * Return: 0 or a status; NVTGT_CONNECT_WAIT: an earlier controller of the host has writes
 *	in a device
 */
u16 nvtgt_ctrl_publish(struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_subsys *subsys = ctrl->subsys;
	u16 status;

	mutex_lock(&subsys->lock);
	status = nvtgt_ctrl_add(ctrl, subsys);
	mutex_unlock(&subsys->lock);
	if (status) {
		nvtgt_ctrl_free(ctrl);
		return status;
	}
	nvtgt_subsys_get(subsys);
	nvtgt_port_get(ctrl->port);
	nvtgt_debugfs_add_ctrl(ctrl);
	return 0;
}

/**
 * nvtgt_ctrl_create - a new association
 * @subsys: the subsystem; a reference is taken
 * @queue: its admin queue; a reference on the port is taken
 * @hostnqn: the host's name, checked; "": it has none
 * @hostid: the host's identifier
 * @kato_ms: keep alive time-out, 0: none
 * @status: why not; NVTGT_CONNECT_WAIT: an earlier controller of the host has writes
 *	in a device
 *
 * Context: process, may sleep.
 * Return: a controller with one reference, or NULL
 */
struct nvtgt_ctrl *nvtgt_ctrl_create(struct nvtgt_subsys *subsys, struct nvtgt_queue *queue,
				     const char *hostnqn, const uuid_t *hostid, u32 kato_ms,
				     u16 *status)
{
	struct nvtgt_ctrl *ctrl;

	ctrl = nvtgt_ctrl_alloc(subsys, queue->port, hostnqn, hostid,
				nvtgt_queue_max_size(queue));
	if (!ctrl) {
		*status = NVME_SC_INTERNAL;
		return NULL;
	}
	nvtgt_ctrl_set_addr(ctrl, queue);
	ctrl->pi = queue->pi && READ_ONCE(subsys->pi) && !subsys->discovery;
	ctrl->persistent = kato_ms;
	if (subsys->discovery)
		kato_ms = nvtgt_ctrl_disc_kato(ctrl, kato_ms);
	ctrl->kato_ms = nvtgt_ctrl_round_kato(kato_ms);
	*status = nvtgt_ctrl_publish(ctrl);
	return *status ? NULL : ctrl;
}

/**
 * nvtgt_ctrl_find_get - look up a controller
 * @subsys: the subsystem
 * @cntlid: the controller's id
 *
 * Context: process, may sleep.
 * Return: a controller with a reference more, or NULL
 */
struct nvtgt_ctrl *nvtgt_ctrl_find_get(struct nvtgt_subsys *subsys, u16 cntlid)
{
	struct nvtgt_ctrl *ctrl, *found = NULL;

	mutex_lock(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry) {
		if (ctrl->cntlid != cntlid)
			continue;
		if (kref_get_unless_zero(&ctrl->ref))
			found = ctrl;
		break;
	}
	mutex_unlock(&subsys->lock);
	return found;
}

/**
 * nvtgt_ctrl_get - one reference more
 * @ctrl: a controller that the caller has a reference on
 */
void nvtgt_ctrl_get(struct nvtgt_ctrl *ctrl)
{
	kref_get(&ctrl->ref);
}

static void nvtgt_ctrl_release(struct kref *ref)
{
	struct nvtgt_ctrl *ctrl = container_of(ref, struct nvtgt_ctrl, ref);
	struct nvtgt_subsys *subsys = ctrl->subsys;

	nvtgt_ctrl_stop_ka(ctrl);
	nvtgt_debugfs_del_ctrl(ctrl);
	mutex_lock(&subsys->lock);
	list_del(&ctrl->subsys_entry);
	subsys->nr_ctrls--;
	ida_free(&subsys->cntlids, ctrl->cntlid);
	mutex_unlock(&subsys->lock);
	/* the keep alive work and debugfs, which queue it, have ended above */
	cancel_work_sync(&ctrl->fatal_work);
	cancel_delayed_work_sync(&ctrl->drain_work);

	WARN_ON_ONCE(ctrl->nr_queues || ctrl->nr_undrained);
	WARN_ON_ONCE(!list_empty(&ctrl->aers) || !list_empty(&ctrl->peer_entry));
	nvtgt_ctrl_info(ctrl, "gone\n");
	nvtgt_port_put(ctrl->port);
	nvtgt_subsys_put(subsys);
	kfree(ctrl->queues);
	nvtgt_ctrl_free(ctrl);
}

/**
 * nvtgt_ctrl_put - give a reference back
 * @ctrl: the controller, which may be freed
 *
 * Context: process, may sleep; subsys->lock is not held, and not from the
 *	controller's own works.
 */
void nvtgt_ctrl_put(struct nvtgt_ctrl *ctrl)
{
	kref_put(&ctrl->ref, nvtgt_ctrl_release);
}

/**
 * nvtgt_ctrl_add_queue - a queue joins its controller
 * @ctrl: the controller
 * @queue: the queue
 * @qid: its id, at most ctrl->max_qid; 0: the admin queue
 *
 * Return: 0 or the Connect command's status (NVMe-oF, 3.3)
 */
u16 nvtgt_ctrl_add_queue(struct nvtgt_ctrl *ctrl, struct nvtgt_queue *queue, u16 qid)
{
	u16 status = 0;

	spin_lock_irq(&ctrl->lock);
	if (ctrl->deleting)
		status = NVME_SC_CONNECT_CTRL_BUSY;
	else if ((qid || ctrl->pci_ops) && ctrl->draining)	/* ends without the host: no DNR */
		status = NVME_SC_CMD_SEQ_ERROR;
	else if (qid && !ctrl->ready)
		status = NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;
	else if (ctrl->queues[qid])	/* an old queue may be on its way out: no DNR */
		status = NVME_SC_CMD_SEQ_ERROR;
	if (!status) {
		ctrl->queues[qid] = queue;
		ctrl->nr_queues++;
		ctrl->nr_undrained += qid || ctrl->pci_ops;
		queue->in_ctrl = true;
	}
	spin_unlock_irq(&ctrl->lock);
	return status;
}

/**
 * nvtgt_ctrl_del_queue - a queue leaves its controller
 * @ctrl: the controller
 * @queue: the queue
 * @qid: its id
 */
void nvtgt_ctrl_del_queue(struct nvtgt_ctrl *ctrl, struct nvtgt_queue *queue, u16 qid)
{
	spin_lock_irq(&ctrl->lock);
	if (queue->in_ctrl) {
		ctrl->queues[qid] = NULL;
		ctrl->nr_queues--;
		if (WARN_ON_ONCE((qid || ctrl->pci_ops) && !queue->drained))
			ctrl->nr_undrained--;
		queue->in_ctrl = false;
		/* the sum loses this queue's commands: the next look begins anew */
		ctrl->seen_cmds = 0;
	}
	spin_unlock_irq(&ctrl->lock);
}

/**
 * nvtgt_ctrl_disconnect_queues - ask the transports to end queues
 * @ctrl: the controller, whose lock is held
 * @first: the first queue's id: 0 for all, 1 for the I/O queues
 *
 * Context: any.
 */
void nvtgt_ctrl_disconnect_queues(struct nvtgt_ctrl *ctrl, u16 first)
{
	unsigned int qid;

	lockdep_assert_held(&ctrl->lock);
	for (qid = first; qid <= ctrl->max_qid; qid++) {
		struct nvtgt_queue *queue = ctrl->queues[qid];

		if (queue)
			nvtgt_conn_disconnect(to_nvtgt_conn(queue));
	}
}

/**
 * nvtgt_ctrl_delete - end a controller
 * @ctrl: the controller, alive
 *
 * No queue can join any more, and the controller's queues are disconnected. Returns
 * before they are gone. May be called repeatedly.
 *
 * Context: any.
 */
void nvtgt_ctrl_delete(struct nvtgt_ctrl *ctrl)
{
	unsigned long flags;

	spin_lock_irqsave(&ctrl->lock, flags);
	/* a PCIe function cannot go away without its host, which sees the fatal status */
	if (ctrl->pci_ops && !ctrl->deleting) {
		WRITE_ONCE(ctrl->csts, ctrl->csts | NVME_CSTS_CFS);
		ctrl->pci_ops->ctrl_ended(ctrl->pci_priv);
	}
	ctrl->deleting = true;
	nvtgt_ctrl_disconnect_queues(ctrl, 0);
	spin_unlock_irqrestore(&ctrl->lock, flags);
}

static void nvtgt_ctrl_fatal_work(struct work_struct *work)
{
	struct nvtgt_ctrl *ctrl = container_of(work, struct nvtgt_ctrl, fatal_work);

	nvtgt_ctrl_warn(ctrl, "fatal error, its connections are closed\n");
	nvtgt_ctrl_delete(ctrl);
}

/**
 * nvtgt_ctrl_fatal - the controller cannot go on
 * @ctrl: the controller, alive
 *
 * Sets CSTS.CFS and ends its connections.
 *
 * Context: any.
 */
void nvtgt_ctrl_fatal(struct nvtgt_ctrl *ctrl)
{
	unsigned long flags;

	spin_lock_irqsave(&ctrl->lock, flags);
	if (!(ctrl->csts & NVME_CSTS_CFS) && !ctrl->deleting) {
		ctrl->csts |= NVME_CSTS_CFS;
		queue_work(nvtgt_wq, &ctrl->fatal_work);
	}
	spin_unlock_irqrestore(&ctrl->lock, flags);
}

/* NVMe base 2.1, 3.1.4.5: what a host may ask for when it sets CC.EN. */
static bool nvtgt_ctrl_cc_valid(struct nvtgt_ctrl *ctrl, u32 cc)
{
	u32 css = cc & NVME_CC_CSS_MASK;
	u32 sqes, cqes;

	if ((cc & NVME_CC_MPS_MASK) || (cc & NVME_CC_AMS_MASK) != NVME_CC_AMS_RR)
		return false;
	if (css != NVME_CC_CSS_NVM && css != NVME_CC_CSS_CSI)
		return false;
	if (ctrl->subsys->discovery)
		return true;	/* has no I/O queues */
	sqes = (cc & NVME_CC_IOSQES_MASK) >> NVME_CC_IOSQES_SHIFT;
	cqes = (cc & NVME_CC_IOCQES_MASK) >> NVME_CC_IOCQES_SHIFT;
	/* drivers of PCIe functions may set these later, before they create I/O queues */
	return (sqes == NVTGT_IOSQES || (ctrl->pci_ops && !sqes)) &&
	       (cqes == NVTGT_IOCQES || (ctrl->pci_ops && !cqes));
}

/*
 * Controller Level Reset: I/O queues end, features and events are forgotten. RDY stays set
 * until the queues are drained, or is set again when CC.EN had been set while they drained.
 */
static void nvtgt_ctrl_reset_locked(struct nvtgt_ctrl *ctrl)
{
	lockdep_assert_held(&ctrl->lock);
	nvtgt_ctrl_drain(ctrl);
	ctrl->csts = NVME_CSTS_RDY;
	/* it stays with a PCIe function that has ended */
	if (ctrl->stuck || (ctrl->pci_ops && ctrl->deleting))
		ctrl->csts |= NVME_CSTS_CFS;
	memset(ctrl->features, 0, sizeof(ctrl->features));
	uuid_copy(&ctrl->set_hostid, &uuid_null);
	if (ctrl->pci_ops)
		bitmap_zero(ctrl->pci_no_coalescing, ctrl->pci_vectors);
	ctrl->aen_enabled = 0;
	ctrl->aen_masked = 0;
	ctrl->nr_events = 0;
	ctrl->nr_changed_ns = 0;
}

/**
 * nvtgt_ctrl_settle - CSTS becomes what CC asks for, unless queues have to drain first
 * @ctrl: the controller, whose lock is held
 *
 * Context: any.
 */
void nvtgt_ctrl_settle(struct nvtgt_ctrl *ctrl)
{
	u32 csts = ctrl->csts;

	lockdep_assert_held(&ctrl->lock);
	if (ctrl->draining && ctrl->nr_undrained) {
		WRITE_ONCE(ctrl->ready, false);
		return;
	}
	if (ctrl->draining) {
		ctrl->draining = false;
		cancel_delayed_work(&ctrl->drain_work);
		if (ctrl->stuck)
			csts &= ~NVME_CSTS_CFS;
		ctrl->stuck = false;
		/* the admin queue has ended with the others */
		if (ctrl->pci_ops)
			csts &= ~NVME_CSTS_RDY;
	}
	if (!(ctrl->cc & NVME_CC_ENABLE))
		csts &= ~(NVME_CSTS_RDY | (ctrl->deleting ? 0 : NVME_CSTS_CFS));
	else if (csts & (NVME_CSTS_RDY | NVME_CSTS_CFS))
		;
	else if (!nvtgt_ctrl_cc_valid(ctrl, ctrl->cc))
		csts |= NVME_CSTS_CFS;
	else if (!ctrl->pci_ops || ctrl->pci_admin)
		csts |= NVME_CSTS_RDY;
	if (ctrl->cc & NVME_CC_SHN_MASK)
		csts = (csts & ~NVME_CSTS_SHST_MASK) | NVME_CSTS_SHST_CMPLT;
	WRITE_ONCE(ctrl->csts, csts);
	WRITE_ONCE(ctrl->ready, (csts & NVME_CSTS_RDY) && !(ctrl->cc & NVME_CC_SHN_MASK));
}

/**
 * nvtgt_ctrl_set_cc - the host has set the CC property
 * @ctrl: the controller
 * @cc: the new value
 *
 * Enable, reset, shutdown (NVMe base 2.1, 3.5 and 3.6). Values that the
 * controller does not support end in CSTS.CFS, as the specification demands.
 * A host that sets CC.EN again before RDY is 0 breaks the rules: RDY goes to 0 then,
 * and comes back when the queues are drained.
 *
 * Context: the reactor of the admin queue; does not sleep.
 */
void nvtgt_ctrl_set_cc(struct nvtgt_ctrl *ctrl, u32 cc)
{
	bool reset = false;
	u32 old;

	spin_lock_irq(&ctrl->lock);
	old = ctrl->cc;
	WRITE_ONCE(ctrl->cc, cc);
	if ((cc & NVME_CC_ENABLE) && !(old & NVME_CC_ENABLE))
		ctrl->csts = ctrl->pci_ops && ctrl->deleting ? NVME_CSTS_CFS : 0;
	if (!(cc & NVME_CC_ENABLE) && (old & NVME_CC_ENABLE)) {
		nvtgt_ctrl_reset_locked(ctrl);
		reset = true;
	}
	if ((cc & NVME_CC_SHN_MASK) && !(old & NVME_CC_SHN_MASK)) {
		nvtgt_ctrl_drain(ctrl);
		ctrl->csts = (ctrl->csts & ~NVME_CSTS_SHST_MASK) | NVME_CSTS_SHST_OCCUR;
	}
	if (!(cc & NVME_CC_SHN_MASK) && (old & NVME_CC_SHN_MASK))
		ctrl->csts &= ~NVME_CSTS_SHST_MASK;
	nvtgt_ctrl_settle(ctrl);
	spin_unlock_irq(&ctrl->lock);

	if (reset)
		nvtgt_event_flush_aers(ctrl);
}

/* Commands that the controller's queues have seen, all together. */
static u64 nvtgt_ctrl_count_cmds(struct nvtgt_ctrl *ctrl)
{
	unsigned int qid;
	u64 sum = 0;

	lockdep_assert_held(&ctrl->lock);
	for (qid = 0; qid <= ctrl->max_qid; qid++)
		if (ctrl->queues[qid])
			sum += READ_ONCE(ctrl->queues[qid]->nr_cmds);
	return sum;
}

/*
 * A command counts once its reactor has taken it. A reactor that got no CPU, or
 * had too much to do, says nothing about the host: has each made two passes since
 * the time was over (the first may have been under way), or had nothing to do?
 */
static bool nvtgt_ctrl_reactors_came_round(struct nvtgt_ctrl *ctrl)
{
	bool all = true;
	unsigned int qid;

	lockdep_assert_held(&ctrl->lock);
	for (qid = 0; qid <= ctrl->max_qid; qid++) {
		struct nvtgt_queue *queue = ctrl->queues[qid];
		const struct nvtgt_reactor *reactor;

		if (!queue)
			continue;
		reactor = READ_ONCE(queue->reactor);
		if (!ctrl->ka_overdue || queue->ka_reactor != reactor) {
			queue->ka_reactor = reactor;
			queue->ka_round = nvtgt_reactor_passes(reactor);
		}
		if (!nvtgt_reactor_is_idle(reactor) &&
		    nvtgt_reactor_passes(reactor) - queue->ka_round < 2)
			all = false;
	}
	ctrl->ka_overdue = !all;
	return all;
}

/*
 * Traffic based keep alive (NVMe base 2.1, 3.9.4): any command counts. The queues
 * count their commands anyway, so a look once per KATO is all it takes.
 */
static void nvtgt_ctrl_ka_work(struct work_struct *work)
{
	struct nvtgt_ctrl *ctrl = container_of(to_delayed_work(work), struct nvtgt_ctrl, ka_work);
	bool alive, wait = false;
	u32 kato_ms;
	u64 sum;

	spin_lock_irq(&ctrl->lock);
	sum = nvtgt_ctrl_count_cmds(ctrl);
	alive = sum != ctrl->seen_cmds;
	ctrl->seen_cmds = sum;
	kato_ms = ctrl->kato_ms;
	if (alive)
		ctrl->ka_overdue = false;
	else if (kato_ms)
		wait = !nvtgt_ctrl_reactors_came_round(ctrl);
	if ((alive || wait) && kato_ms && !ctrl->deleting)
		queue_delayed_work(nvtgt_wq, &ctrl->ka_work,
				   msecs_to_jiffies(wait ? NVTGT_KA_WAIT_MS : kato_ms));
	spin_unlock_irq(&ctrl->lock);

	if (!alive && !wait && kato_ms) {
		nvtgt_ctrl_warn(ctrl, "nothing heard for %u ms (keep alive)\n", kato_ms);
		nvtgt_ctrl_fatal(ctrl);
	}
}

/**
 * nvtgt_ctrl_start_ka - start the keep alive timer, or start it afresh
 * @ctrl: the controller; kato_ms says how long, 0 stops it
 *
 * Context: process.
 */
void nvtgt_ctrl_start_ka(struct nvtgt_ctrl *ctrl)
{
	spin_lock_irq(&ctrl->lock);
	ctrl->kato_ms = nvtgt_ctrl_round_kato(ctrl->kato_ms);
	if (ctrl->kato_ms && !ctrl->deleting) {
		ctrl->seen_cmds = nvtgt_ctrl_count_cmds(ctrl);
		ctrl->ka_overdue = false;
		mod_delayed_work(nvtgt_wq, &ctrl->ka_work, msecs_to_jiffies(ctrl->kato_ms));
	} else {
		cancel_delayed_work(&ctrl->ka_work);
	}
	spin_unlock_irq(&ctrl->lock);
}

/**
 * nvtgt_ctrl_stop_ka - the keep alive timer will not fire any more
 * @ctrl: the controller
 *
 * Context: process, may sleep; not from the keep alive work itself.
 */
void nvtgt_ctrl_stop_ka(struct nvtgt_ctrl *ctrl)
{
	spin_lock_irq(&ctrl->lock);
	ctrl->kato_ms = 0;
	spin_unlock_irq(&ctrl->lock);
	cancel_delayed_work_sync(&ctrl->ka_work);
}
