// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: What is left in backends when a queue has been stopped
 *
 * A host that resets a controller, shuts it down or connects anew may write the same
 * blocks again at once. So nothing that the old queues were asked for may reach the
 * medium afterwards.
 *
 * nvtgt_queue_stop() runs in the queue's reactor. From then on nothing of the queue
 * begins: a command that waits for a worker fails there and then, one whose worker
 * is about to begin fails in that worker, one that a backend defers once more fails as
 * well. A command that a device has already cannot be called back. It is noted in
 * queue->late until its result comes to the reactor (nvtgt_req.came_back); commands of a
 * queue that has not been stopped pay nothing for this.
 *
 * A queue is drained when it has been stopped and nothing of it is late. The
 * controller counts its I/O queues that are not drained (nr_undrained). Until the count is
 * zero these wait:
 *
 *  - CSTS.RDY after CC.EN = 0, CSTS.SHST after CC.SHN (nvtgt_ctrl_settle()). After
 *    drain_timeout_ms CSTS.CFS is set beside them.
 *  - a Connect that makes another controller for the same host, as long as an ending
 *    one's late commands change the medium (nvtgt_host_must_wait())
 *
 * A device may never answer. A Connect does not wait for what is late in a namespace
 * that has been disabled or removed: the host finds the namespace again when its last
 * command has come back. So the administrator lets a host in to its other namespaces.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include "object.h"

static unsigned int nvtgt_drain_timeout_ms = 10000;

module_param_cb(drain_timeout_ms, &nvtgt_timeout_ops, &nvtgt_drain_timeout_ms, 0644);
MODULE_PARM_DESC(drain_timeout_ms,
		 "time for devices to answer when a controller is reset or shut down, ms, 100 … 3600000");

/* late commands of a controller that a Connect looks at in one go; it looks again soon */
#define NVTGT_LATE_LOOKS	512

/* What a controller's stopped queues have left in backends. */
struct nvtgt_late {
	unsigned int nr;
	unsigned int nr_writes;		/* of them: commands that change the medium */
	u32 nsid;			/* of one of them, a write if there is any */
};

/**
 * nvtgt_req_cancel - complete a command that waits for a worker
 * @req: perhaps executing
 * @status: what it ends with
 *
 * Context: the reactor of the queue.
 * Return: whether it waited; it is complete then and will not be executed
 */
bool nvtgt_req_cancel(struct nvtgt_req *req, u16 status)
{
	bool found = false;
	struct nvtgt_ns *ns;

	/* the command may be completed meanwhile: RCU keeps the namespace's memory */
	rcu_read_lock();
	ns = READ_ONCE(req->ns);
	if (ns) {
		struct nvtgt_core_ns *core_ns = to_nvtgt_core_ns(ns);

		spin_lock_irq(&core_ns->deferred_lock);
		found = req->waits;
		if (found) {
			list_del_init(&req->entry);
			req->waits = false;
		}
		spin_unlock_irq(&core_ns->deferred_lock);
	}
	rcu_read_unlock();
	if (found)
		nvtgt_req_complete(req, status);
	return found;
}

static void nvtgt_queue_check_drained(struct nvtgt_queue *queue)
{
	struct nvtgt_ctrl *ctrl = queue->ctrl;

	lockdep_assert_held(&ctrl->lock);
	if (queue->drained || !queue->late_known || !list_empty(&queue->late))
		return;
	queue->drained = true;
	ctrl->nr_undrained--;
	nvtgt_ctrl_settle(ctrl);
}

/* nvtgt_req.came_back of a late command: it has its result. */
static void nvtgt_late_came_back(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;

	spin_lock_irq(&queue->ctrl->lock);
	list_del(&req->late_entry);
	queue->nr_late--;
	queue->nr_late_writes -= req->late_write;
	nvtgt_queue_check_drained(queue);
	spin_unlock_irq(&queue->ctrl->lock);
}

/**
 * nvtgt_req_stop - cancel a request of a stopped queue, or note that it is late
 * @req: in any state; called once for each request of the queue
 *
 * Context: the reactor of the queue, in nvtgt_queue_stop().
 */
void nvtgt_req_stop(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;

	/* what admin commands do is over with their controller, but for a PCIe function's memory */
	if (!queue->ctrl || (!queue->qid && !queue->ops->pcie))
		return;
	if (READ_ONCE(req->state) != NVTGT_REQ_EXECUTING ||
	    nvtgt_req_cancel(req, NVME_SC_ABORT_QUEUE))
		return;
	req->came_back = nvtgt_late_came_back;
	spin_lock_irq(&queue->ctrl->lock);
	req->late_write = nvtgt_changes_medium(req->cmd->common.opcode);
	if (req->late_write)
		list_add(&req->late_entry, &queue->late);
	else
		list_add_tail(&req->late_entry, &queue->late);
	queue->nr_late++;
	queue->nr_late_writes += req->late_write;
	spin_unlock_irq(&queue->ctrl->lock);
}

/**
 * nvtgt_queue_late_known - all that is late of a stopped queue has been noted
 * @queue: an I/O queue of a controller
 *
 * Context: the reactor of the queue.
 */
void nvtgt_queue_late_known(struct nvtgt_queue *queue)
{
	spin_lock_irq(&queue->ctrl->lock);
	queue->late_known = true;
	nvtgt_queue_check_drained(queue);
	spin_unlock_irq(&queue->ctrl->lock);
}

static void nvtgt_late_add(struct nvtgt_late *late, struct nvtgt_queue *queue)
{
	const struct nvtgt_req *first;

	first = list_first_entry_or_null(&queue->late, struct nvtgt_req, late_entry);
	if (!first)
		return;
	if (!late->nr || (queue->nr_late_writes && !late->nr_writes))
		late->nsid = le32_to_cpu(first->cmd->common.nsid);
	late->nr += queue->nr_late;
	late->nr_writes += queue->nr_late_writes;
}

/*
 * What is late of a controller. Returns whether that is all: the reactor of an I/O queue
 * may not have stopped the queue yet.
 */
static bool nvtgt_ctrl_get_late(struct nvtgt_ctrl *ctrl, struct nvtgt_late *late)
{
	bool all = true;
	unsigned int qid;

	lockdep_assert_held(&ctrl->lock);
	*late = (struct nvtgt_late) {};
	for (qid = 1; qid <= ctrl->max_qid; qid++) {
		struct nvtgt_queue *queue = ctrl->queues[qid];

		if (!queue || queue->drained)
			continue;
		all = all && queue->late_known;
		nvtgt_late_add(late, queue);
	}
	return all;
}

/* Has the command its result, or is its namespace hidden, so that no host can overtake it? */
static bool nvtgt_late_is_hidden(const struct nvtgt_req *req)
{
	struct nvtgt_ns *ns;
	bool hidden;

	/* the command may be completed meanwhile: RCU keeps the namespace's memory */
	rcu_read_lock();
	ns = READ_ONCE(req->ns);
	hidden = !ns || percpu_ref_is_dying(&ns->ref);
	rcu_read_unlock();
	return hidden;
}

/*
 * Writes that have their result, or are in a namespace that has been disabled, count as
 * writes no more. Each goes to the end of its list once, and never counts again.
 */
static void nvtgt_ctrl_forget_hidden(struct nvtgt_ctrl *ctrl)
{
	unsigned int qid, looks = NVTGT_LATE_LOOKS;

	lockdep_assert_held(&ctrl->lock);
	for (qid = 1; qid <= ctrl->max_qid; qid++) {
		struct nvtgt_queue *queue = ctrl->queues[qid];

		while (queue && queue->nr_late_writes) {
			struct nvtgt_req *req;

			req = list_first_entry(&queue->late, struct nvtgt_req, late_entry);
			if (!nvtgt_late_is_hidden(req))
				break;
			if (!looks--)
				return;
			req->late_write = false;
			queue->nr_late_writes--;
			list_move_tail(&req->late_entry, &queue->late);
		}
	}
}

/* The backend, or the path, that a namespace stands for. */
static const char *nvtgt_late_device(struct nvtgt_subsys *subsys, u32 nsid)
{
	struct nvtgt_core_ns *core_ns;

	lockdep_assert_held(&subsys->lock);
	core_ns = xa_load(&subsys->namespaces, nsid);
	if (!core_ns)
		return "disabled";
	return core_ns->ns.device_path ?: core_ns->backend_name;
}

static void nvtgt_ctrl_warn_stuck(struct nvtgt_ctrl *ctrl, const struct nvtgt_late *late)
{
	struct nvtgt_subsys *subsys = ctrl->subsys;

	mutex_lock(&subsys->lock);
	nvtgt_ctrl_warn(ctrl,
			"namespace %u (%s) and perhaps others: no answer to %u commands, %u of them writes, for %u ms (drain_timeout_ms) after reset or shutdown: fatal status; its host may connect anew when the device has answered, or the namespace is disabled or removed\n",
			late->nsid, nvtgt_late_device(subsys, late->nsid),
			late->nr, late->nr_writes, READ_ONCE(nvtgt_drain_timeout_ms));
	mutex_unlock(&subsys->lock);
}

/**
 * nvtgt_ctrl_drain_work - devices have had their time to answer
 * @work: a controller's drain_work
 */
void nvtgt_ctrl_drain_work(struct work_struct *work)
{
	struct nvtgt_ctrl *ctrl = container_of(to_delayed_work(work), struct nvtgt_ctrl,
					       drain_work);
	struct nvtgt_late late;
	bool stuck;

	spin_lock_irq(&ctrl->lock);
	/* the work may have been about to run when the wait it was for ended */
	stuck = ctrl->draining && !ctrl->stuck && time_after_eq(jiffies, ctrl->drain_due);
	if (stuck) {
		ctrl->stuck = true;
		ctrl->csts |= NVME_CSTS_CFS;
		nvtgt_ctrl_get_late(ctrl, &late);
	}
	spin_unlock_irq(&ctrl->lock);
	if (stuck)
		nvtgt_ctrl_warn_stuck(ctrl, &late);
}

/**
 * nvtgt_ctrl_drain - end a controller's I/O queues and wait for what is in backends
 * @ctrl: the controller, whose lock is held
 *
 * nvtgt_ctrl_settle() ends the wait.
 *
 * Context: any.
 */
void nvtgt_ctrl_drain(struct nvtgt_ctrl *ctrl)
{
	unsigned long timeout = msecs_to_jiffies(READ_ONCE(nvtgt_drain_timeout_ms));

	lockdep_assert_held(&ctrl->lock);
	ctrl->pci_admin = false;
	nvtgt_ctrl_disconnect_queues(ctrl, ctrl->pci_ops ? 0 : 1);
	if (ctrl->draining)		/* its time runs already */
		return;
	ctrl->draining = true;
	ctrl->drain_due = jiffies + timeout;
	if (ctrl->nr_undrained)
		queue_delayed_work(nvtgt_wq, &ctrl->drain_work, timeout);
}

/*
 * The same host, as far as Connect tells? Some hosts draw a Host Identifier for each
 * Connect: then the same name from the same address is the same host. Machines that were
 * cloned with their name come from different addresses. A host without name and
 * identifier matches no other.
 */
static bool nvtgt_same_host(const struct nvtgt_ctrl *a, const struct nvtgt_ctrl *b)
{
	/* the place of a PCIe function's host is the function's own */
	if (a->pci_ops && a->pci_ops == b->pci_ops && !strcmp(a->host_addr, b->host_addr))
		return true;
	if (strcmp(a->hostnqn, b->hostnqn))
		return false;
	if (uuid_equal(&a->hostid, &b->hostid))
		return a->hostnqn[0] || !uuid_is_null(&a->hostid);
	return a->hostnqn[0] && a->host_addr[0] && !strcmp(a->host_addr, b->host_addr);
}

/* Has the host ended the association, although no reactor has seen it yet? */
static bool nvtgt_ctrl_hung_up(struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_queue *admin = ctrl->queues[0];

	lockdep_assert_held(&ctrl->lock);
	return !ctrl->deleting && admin && nvtgt_conn_hung_up(to_nvtgt_conn(admin));
}

/*
 * Can writes of an ending controller still reach the medium? Logs this when the namespace
 * of the first such write is not the one that was logged last.
 */
static bool nvtgt_ctrl_writes_late(struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_late late = {};
	bool ends, all, tell;

	spin_lock_irq(&ctrl->lock);
	/* what the controller leaves in devices is known when the reactors have seen its end */
	all = !nvtgt_ctrl_hung_up(ctrl);
	ends = ctrl->deleting && ctrl->nr_undrained;
	if (ends) {
		nvtgt_ctrl_forget_hidden(ctrl);
		all = nvtgt_ctrl_get_late(ctrl, &late);
	}
	tell = late.nr_writes && ctrl->told_late != late.nsid;
	if (tell)
		ctrl->told_late = late.nsid;
	spin_unlock_irq(&ctrl->lock);

	if (tell)
		nvtgt_ctrl_info(ctrl, "ends with %u writes that have no answer, one of them in namespace %u (%s): its host has to wait with the next Connect until the device has answered, or the namespace is disabled or removed\n",
				late.nr_writes, late.nsid,
				nvtgt_late_device(ctrl->subsys, late.nsid));
	return !all || late.nr_writes;
}

/**
 * nvtgt_host_must_wait - are writes of a host's earlier association still in a device?
 * @subsys: the subsystem, whose lock is held
 * @ctrl: the host's new controller, in no list yet
 *
 * Other controllers of the host that are alive, its other paths, do not count.
 *
 * Context: process.
 * Return: whether the new controller has to wait
 */
bool nvtgt_host_must_wait(struct nvtgt_subsys *subsys, const struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_ctrl *old;

	lockdep_assert_held(&subsys->lock);
	list_for_each_entry(old, &subsys->ctrls, subsys_entry)
		if (nvtgt_same_host(old, ctrl) && nvtgt_ctrl_writes_late(old))
			return true;
	return false;
}
