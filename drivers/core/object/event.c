// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Asynchronous events
 *
 * NVMe base 2.1, 5.1.2. Requests wait in ctrl->aers until something happens; what
 * happens while none waits is kept in ctrl->events. When a notice is sent or kept, its
 * kind is masked until the host reads the log page that belongs to it without RAE: until
 * then the page itself tells what has happened since. A notice that still waits in
 * ctrl->events when its page is read is dropped, the host knows.
 *
 * A request in ctrl->aers belongs to the thread that takes it out under ctrl->lock; it is
 * completed after the lock was dropped, because the error log takes that lock.
 */
#include "object.h"

static_assert(NVTGT_MAX_AERS <= 256);

/* the discovery log's generation counter; nvtgt_config_sem */
u64 nvtgt_genctr;

/* how often an ANA state or a namespace's group has changed; the ANA log's change count */
atomic64_t nvtgt_ana_chgcnt = ATOMIC64_INIT(0);

/* The bit in aen_enabled and aen_masked, or -1 for what cannot be turned off. */
static int nvtgt_event_bit(u8 type, u8 info)
{
	if (type != NVME_AER_NOTICE)
		return -1;
	switch (info) {
	case NVME_AER_NOTICE_NS_CHANGED:
		return NVME_AEN_BIT_NS_ATTR;
	case NVME_AER_NOTICE_ANA:
		return NVME_AEN_BIT_ANA_CHANGE;
	case NVME_AER_NOTICE_DISC_CHANGED:
		return NVME_AEN_BIT_DISC_CHANGE;
	default:
		return -1;
	}
}

static void nvtgt_event_complete(struct nvtgt_req *req, const struct nvtgt_event *event)
{
	req->result.u32 = cpu_to_le32(event->type | event->info << 8 | event->log_page << 16);
	nvtgt_req_complete(req, 0);
}

/* Takes an AER and an event out of their lists. True when there was one of each. */
static bool nvtgt_event_take(struct nvtgt_ctrl *ctrl, struct nvtgt_req **req,
			     struct nvtgt_event *event)
{
	lockdep_assert_held(&ctrl->lock);
	if (!ctrl->nr_events || list_empty(&ctrl->aers))
		return false;
	*req = list_first_entry(&ctrl->aers, struct nvtgt_req, entry);
	list_del_init(&(*req)->entry);
	ctrl->nr_aers--;
	*event = ctrl->events[ctrl->first_event];
	ctrl->first_event = (ctrl->first_event + 1) % NVTGT_MAX_PENDING_EVENTS;
	ctrl->nr_events--;
	return true;
}

/* May the host be told of this event now? If so, its kind is masked from here on. */
static bool nvtgt_event_wanted(struct nvtgt_ctrl *ctrl, u8 type, u8 info)
{
	int bit = nvtgt_event_bit(type, info);

	lockdep_assert_held(&ctrl->lock);
	if (bit < 0)
		return true;
	if (!(ctrl->aen_enabled & BIT(bit)) || (ctrl->aen_masked & BIT(bit)))
		return false;
	ctrl->aen_masked |= BIT(bit);
	return true;
}

/**
 * nvtgt_event_send - something has happened that the host may want to know
 * @ctrl: the controller, alive
 * @type: NVME_AER_*
 * @info: NVME_AER_NOTICE_* or what goes with @type
 * @log_page: NVME_LOG_*: where the host finds more
 *
 * Context: any; takes ctrl->lock.
 */
void nvtgt_event_send(struct nvtgt_ctrl *ctrl, u8 type, u8 info, u8 log_page)
{
	struct nvtgt_event event;
	struct nvtgt_req *req;
	unsigned long flags;
	bool found = false;

	spin_lock_irqsave(&ctrl->lock, flags);
	if (ctrl->nr_events < NVTGT_MAX_PENDING_EVENTS && nvtgt_event_wanted(ctrl, type, info)) {
		unsigned int at = (ctrl->first_event + ctrl->nr_events) % NVTGT_MAX_PENDING_EVENTS;

		ctrl->events[at] = (struct nvtgt_event){
			.type = type, .info = info, .log_page = log_page,
		};
		ctrl->nr_events++;
		found = nvtgt_event_take(ctrl, &req, &event);
	}
	spin_unlock_irqrestore(&ctrl->lock, flags);

	if (found)
		nvtgt_event_complete(req, &event);
}

/* Forgets the events of a kind that no AER has carried yet. */
static void nvtgt_event_drop(struct nvtgt_ctrl *ctrl, u32 bit)
{
	unsigned int i, kept = 0, nr = ctrl->nr_events;

	lockdep_assert_held(&ctrl->lock);
	for (i = 0; i < nr; i++) {
		unsigned int from = (ctrl->first_event + i) % NVTGT_MAX_PENDING_EVENTS;
		unsigned int to = (ctrl->first_event + kept) % NVTGT_MAX_PENDING_EVENTS;
		struct nvtgt_event event = ctrl->events[from];

		if (nvtgt_event_bit(event.type, event.info) == bit)
			continue;
		ctrl->events[to] = event;
		kept++;
	}
	ctrl->nr_events = kept;
}

/**
 * nvtgt_event_rearm - the host reads the log page of an event
 * @ctrl: the controller
 * @bit: NVME_AEN_BIT_*
 *
 * To be called before the page is made, so that a change after that is told to the host.
 *
 * Context: any; takes ctrl->lock.
 */
void nvtgt_event_rearm(struct nvtgt_ctrl *ctrl, u32 bit)
{
	unsigned long flags;

	spin_lock_irqsave(&ctrl->lock, flags);
	ctrl->aen_masked &= ~BIT(bit);
	nvtgt_event_drop(ctrl, bit);
	spin_unlock_irqrestore(&ctrl->lock, flags);
}

static void nvtgt_aer_execute(struct nvtgt_req *req)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	struct nvtgt_event event;
	unsigned long flags;
	bool found = false;
	u16 status = 0;

	spin_lock_irqsave(&ctrl->lock, flags);
	if (req->queue->stopped || !nvtgt_ctrl_enabled(ctrl)) {
		status = NVME_SC_ABORT_REQ | NVME_STATUS_DNR;
	} else if (ctrl->nr_aers >= NVTGT_MAX_AERS) {
		status = NVME_SC_ASYNC_LIMIT | NVME_STATUS_DNR;
	} else {
		list_add_tail(&req->entry, &ctrl->aers);
		ctrl->nr_aers++;
		found = nvtgt_event_take(ctrl, &req, &event);
	}
	spin_unlock_irqrestore(&ctrl->lock, flags);

	if (status)
		nvtgt_req_complete(req, status);
	else if (found)
		nvtgt_event_complete(req, &event);
}

/**
 * nvtgt_aer_parse - judge an Asynchronous Event Request
 * @req: the request
 *
 * Context: the reactor of the queue.
 * Return: 0
 */
u16 nvtgt_aer_parse(struct nvtgt_req *req)
{
	req->execute = nvtgt_aer_execute;
	return 0;
}

/**
 * nvtgt_event_flush_aers - abort all outstanding Asynchronous Event Requests
 * @ctrl: the controller, whose admin queue ends or which is reset
 *
 * Context: any; takes ctrl->lock.
 */
void nvtgt_event_flush_aers(struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_req *req, *next;
	unsigned long flags;
	LIST_HEAD(aers);

	spin_lock_irqsave(&ctrl->lock, flags);
	list_splice_init(&ctrl->aers, &aers);
	ctrl->nr_aers = 0;
	spin_unlock_irqrestore(&ctrl->lock, flags);

	list_for_each_entry_safe(req, next, &aers, entry) {
		list_del_init(&req->entry);
		nvtgt_req_complete(req, NVME_SC_ABORT_REQ | NVME_STATUS_DNR);
	}
}

/**
 * nvtgt_event_abort_aer - the host aborts an Asynchronous Event Request
 * @ctrl: the controller
 * @cid: the request's command identifier, as it stands in the command
 *
 * Context: any; takes ctrl->lock.
 * Return: whether there was one, which has been completed
 */
bool nvtgt_event_abort_aer(struct nvtgt_ctrl *ctrl, u16 cid)
{
	struct nvtgt_req *req, *found = NULL;
	unsigned long flags;

	spin_lock_irqsave(&ctrl->lock, flags);
	list_for_each_entry(req, &ctrl->aers, entry) {
		if (req->cmd->common.command_id != cid)
			continue;
		list_del_init(&req->entry);
		ctrl->nr_aers--;
		found = req;
		break;
	}
	spin_unlock_irqrestore(&ctrl->lock, flags);

	if (found)
		nvtgt_req_complete(found, NVME_SC_ABORT_REQ | NVME_STATUS_DNR);
	return found;
}

/* Changed Namespace List: each once; too many: the list says "all". */
static void nvtgt_ctrl_note_changed_ns(struct nvtgt_ctrl *ctrl, u32 nsid)
{
	unsigned long flags;
	u32 i;

	spin_lock_irqsave(&ctrl->lock, flags);
	if (ctrl->nr_changed_ns == U32_MAX)
		goto out;
	for (i = 0; i < ctrl->nr_changed_ns; i++)
		if (ctrl->changed_ns[i] == cpu_to_le32(nsid))
			goto out;
	if (ctrl->nr_changed_ns == NVME_MAX_CHANGED_NAMESPACES)
		ctrl->nr_changed_ns = U32_MAX;
	else
		ctrl->changed_ns[ctrl->nr_changed_ns++] = cpu_to_le32(nsid);
out:
	spin_unlock_irqrestore(&ctrl->lock, flags);
}

/**
 * nvtgt_ns_changed - a namespace has come, gone or changed
 * @subsys: the subsystem
 * @nsid: the namespace
 *
 * Context: process; subsys->lock is held.
 */
void nvtgt_ns_changed(struct nvtgt_subsys *subsys, u32 nsid)
{
	struct nvtgt_ctrl *ctrl;

	lockdep_assert_held(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry) {
		nvtgt_ctrl_note_changed_ns(ctrl, nsid);
		nvtgt_event_send(ctrl, NVME_AER_NOTICE, NVME_AER_NOTICE_NS_CHANGED,
				 NVME_LOG_CHANGED_NS);
	}
}

/* Tells the controllers of a subsystem; @port as a filter, or NULL. */
static void nvtgt_subsys_notice(struct nvtgt_subsys *subsys, struct nvtgt_port *port,
				u8 info, u8 log_page)
{
	struct nvtgt_ctrl *ctrl;

	mutex_lock(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry)
		if (!port || ctrl->port == port)
			nvtgt_event_send(ctrl, NVME_AER_NOTICE, info, log_page);
	mutex_unlock(&subsys->lock);
}

/**
 * nvtgt_ana_changed - a state or a namespace's group has changed
 * @subsys: only this subsystem's controllers; NULL: of all that the port exports
 * @port: only those that came in through this port; NULL: through any
 *
 * Context: process, may sleep; nvtgt_config_sem is held.
 */
void nvtgt_ana_changed(struct nvtgt_subsys *subsys, struct nvtgt_port *port)
{
	struct nvtgt_subsys_link *link;

	lockdep_assert_held(&nvtgt_config_sem);
	atomic64_inc(&nvtgt_ana_chgcnt);
	if (subsys) {
		nvtgt_subsys_notice(subsys, port, NVME_AER_NOTICE_ANA, NVME_LOG_ANA);
		return;
	}
	if (WARN_ON_ONCE(!port))
		return;
	list_for_each_entry(link, &to_nvtgt_cport(port)->subsystems, entry)
		nvtgt_subsys_notice(link->subsys, port, NVME_AER_NOTICE_ANA, NVME_LOG_ANA);
}

static bool nvtgt_port_exports(struct nvtgt_port *port, const struct nvtgt_subsys *subsys)
{
	struct nvtgt_subsys_link *link;

	list_for_each_entry(link, &to_nvtgt_cport(port)->subsystems, entry)
		if (link->subsys == subsys)
			return true;
	return false;
}

/**
 * nvtgt_discovery_changed - the discovery log has changed
 * @port: on this port; NULL: on each that exports @subsys
 * @subsys: what has changed; NULL: the port itself or a referral
 *
 * The generation counter grows. Each discovery controller on the ports is told:
 * a host that has just lost its right has to look, too.
 *
 * Context: process, may sleep; nvtgt_config_sem is held for writing.
 */
void nvtgt_discovery_changed(struct nvtgt_port *port, struct nvtgt_subsys *subsys)
{
	struct nvtgt_subsys *disc;
	struct nvtgt_ctrl *ctrl;

	lockdep_assert_held_write(&nvtgt_config_sem);
	nvtgt_genctr++;
	list_for_each_entry(disc, &nvtgt_disc_subsystems, entry) {
		mutex_lock(&disc->lock);
		list_for_each_entry(ctrl, &disc->ctrls, subsys_entry) {
			if (port ? ctrl->port != port :
				   subsys && !nvtgt_port_exports(ctrl->port, subsys))
				continue;
			nvtgt_event_send(ctrl, NVME_AER_NOTICE, NVME_AER_NOTICE_DISC_CHANGED,
					 NVME_LOG_DISC);
		}
		mutex_unlock(&disc->lock);
	}
}
