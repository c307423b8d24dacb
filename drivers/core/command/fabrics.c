// SPDX-License-Identifier: GPL-2.0
/*
 * Fabrics commands: Connect, Property Get, Property Set (NVMe-oF 1.1, 3; NVMe
 * base 2.1, 6).
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "command.h"

/* What a Connect found, kept in the request until its reactor takes it. */
struct nvtgt_connect {
	struct nvtgt_ctrl *ctrl;
	u16 qid;
	u16 size;
	bool sqhd_disabled;
};

/* A Connect that waits for the device, see nvtgt_host_must_wait(); in req->scratch. */
struct nvtgt_connect_retry {
	struct delayed_work work;
	struct nvtgt_req *req;
	unsigned long until;		/* jiffies: after that the host has to try again */
};

/* How long a Connect waits for a slow device before it is failed, and between two tries */
#define NVTGT_CONNECT_WAIT_MS	1000
#define NVTGT_CONNECT_RETRY_MS	20

static_assert(sizeof(struct nvtgt_connect) <= NVTGT_BACKEND_PRIV);
static_assert(sizeof(struct nvmf_connect_data) == 1024);

/* Invalid parameter offset, with IATTR: in the data or in the SQE (NVMe-oF 1.1, 3.3) */
#define NVTGT_IPO_DATA(field)	\
	cpu_to_le32(1 << 16 | offsetof(struct nvmf_connect_data, field))
#define NVTGT_IPO_SQE(field)	\
	cpu_to_le32(offsetof(struct nvmf_connect_command, field))

static u16 nvtgt_connect_bad_sqe(struct nvtgt_req *req, __le32 ipo)
{
	req->result.u32 = ipo;
	req->error_loc = le32_to_cpu(ipo);
	return NVME_SC_CONNECT_INVALID_PARAM | NVME_STATUS_DNR;
}

/*
 * What the field names is not there at the moment: the administrator may be about to put it
 * (back) in place. With DNR a host that reconnects meanwhile would give up for good.
 */
static u16 nvtgt_connect_not_there(struct nvtgt_req *req, __le32 ipo)
{
	req->result.u32 = ipo;
	return NVME_SC_CONNECT_INVALID_PARAM;
}

static u16 nvtgt_connect_bad_data(struct nvtgt_req *req, __le32 ipo)
{
	return nvtgt_connect_not_there(req, ipo) | NVME_STATUS_DNR;
}

/* The checks that need nothing but the command (NVMe-oF 1.1, 3.3). */
static u16 nvtgt_connect_check_sqe(struct nvtgt_req *req)
{
	struct nvmf_connect_command *c = &req->cmd->connect;
	u16 qid = le16_to_cpu(c->qid);
	u16 sqsize = le16_to_cpu(c->sqsize);
	u16 max = qid ? nvtgt_queue_max_size(req->queue) : NVTGT_ADMIN_QUEUE_SIZE;

	if (c->recfmt) {
		req->error_loc = offsetof(struct nvmf_connect_command, recfmt);
		return NVME_SC_CONNECT_FORMAT | NVME_STATUS_DNR;
	}
	if (req->queue->size_limit)
		max = min(max, req->queue->size_limit);
	if (qid > NVTGT_MAX_QID || (req->queue->want_qid >= 0 && req->queue->want_qid != qid))
		return nvtgt_connect_bad_sqe(req, NVTGT_IPO_SQE(qid));
	/* zero based, and a queue has two entries at least */
	if (!sqsize || sqsize >= max) {
		pr_warn_ratelimited("port %u: Connect with SQSIZE %u for queue %u refused (1 … %u)\n",
				    req->queue->port->id, sqsize, qid, max - 1);
		return nvtgt_connect_bad_sqe(req, NVTGT_IPO_SQE(sqsize));
	}
	return 0;
}

/*
 * Both names end inside their field and look like NQNs. A host may be without a name:
 * it is admitted where any host is.
 */
static u16 nvtgt_connect_check_data(struct nvtgt_req *req, struct nvmf_connect_data *d)
{
	size_t len = strnlen(d->subsysnqn, NVMF_NQN_FIELD_LEN);

	if (!nvtgt_nqn_valid(d->subsysnqn, len))
		return nvtgt_connect_bad_data(req, NVTGT_IPO_DATA(subsysnqn));
	len = strnlen(d->hostnqn, NVMF_NQN_FIELD_LEN);
	if (len && !nvtgt_nqn_valid(d->hostnqn, len))
		return nvtgt_connect_bad_data(req, NVTGT_IPO_DATA(hostnqn));
	return 0;
}

static u16 nvtgt_connect_admin(struct nvtgt_req *req, struct nvmf_connect_data *d,
			       struct nvtgt_subsys *subsys, struct nvtgt_ctrl **found)
{
	struct nvtgt_ctrl *ctrl;
	u16 status;

	/* the dynamic controller model: the host may not choose */
	if (le16_to_cpu(d->cntlid) != 0xffff)
		return nvtgt_connect_bad_data(req, NVTGT_IPO_DATA(cntlid));

	ctrl = nvtgt_ctrl_create(subsys, req->queue, d->hostnqn, &d->hostid,
				 le32_to_cpu(req->cmd->connect.kato), &status);
	if (!ctrl)
		return status;
	status = nvtgt_ctrl_add_queue(ctrl, req->queue, 0);
	if (status) {
		nvtgt_ctrl_put(ctrl);
		return status;
	}
	if (subsys->discovery)
		nvtgt_peer_add_discovery(req->queue, ctrl);
	nvtgt_ctrl_info(ctrl, "created on port %u, keep alive %u ms\n",
			req->queue->port->id, ctrl->kato_ms);
	*found = ctrl;
	return 0;
}

/*
 * An I/O queue joins a controller: it must be the same host by name, on the same
 * port. Its Host Identifier may be another one, since there are hosts that draw one
 * for each Connect: the controller's is the admin queue's.
 */
static u16 nvtgt_connect_io(struct nvtgt_req *req, struct nvmf_connect_data *d,
			    struct nvtgt_subsys *subsys, struct nvtgt_ctrl **found)
{
	u16 qid = le16_to_cpu(req->cmd->connect.qid);
	struct nvtgt_ctrl *ctrl;
	u16 status;

	ctrl = nvtgt_ctrl_find_get(subsys, le16_to_cpu(d->cntlid));
	if (!ctrl)	/* it may have ended without the host's knowledge */
		return nvtgt_connect_not_there(req, NVTGT_IPO_DATA(cntlid));

	if (strcmp(ctrl->hostnqn, d->hostnqn)) {
		status = nvtgt_connect_bad_data(req, NVTGT_IPO_DATA(hostnqn));
	} else if (ctrl->port != req->queue->port) {
		status = nvtgt_connect_bad_data(req, NVTGT_IPO_DATA(cntlid));
	} else if (qid > ctrl->max_qid || subsys->discovery) {
		status = nvtgt_connect_bad_sqe(req, NVTGT_IPO_SQE(qid));
	} else if (ctrl->pi && !req->queue->pi) {
		/* the queue has come through another device than the admin queue */
		nvtgt_ctrl_warn(ctrl, "queue %u refused: its device cannot move protection information\n",
				qid);
		status = NVME_SC_CONNECT_CTRL_BUSY | NVME_STATUS_DNR;
	} else {
		status = nvtgt_ctrl_add_queue(ctrl, req->queue, qid);
	}
	if (status) {
		nvtgt_ctrl_put(ctrl);
		return status;
	}
	if (!uuid_equal(&ctrl->hostid, &d->hostid))
		nvtgt_ctrl_info(ctrl, "queue %u has another Host Identifier, the admin queue's stays\n",
				qid);
	*found = ctrl;
	return 0;
}

/* Finds the subsystem, checks the host's right, and creates or joins a controller. */
static u16 nvtgt_connect_join(struct nvtgt_req *req, struct nvmf_connect_data *d,
			      struct nvtgt_ctrl **ctrl)
{
	struct nvtgt_queue *queue = req->queue;
	struct nvtgt_subsys *subsys;
	u16 status;

	/* held to the end: a handler that takes the right away finds the controller in the list */
	down_read(&nvtgt_config_sem);
	subsys = nvtgt_subsys_find_get(queue->port, d->subsysnqn);
	if (!subsys) {
		pr_warn_ratelimited("port %u: host %s asks for subsystem %s, which is not exported here\n",
				    queue->port->id, nvtgt_host_name(d->hostnqn), d->subsysnqn);
		status = nvtgt_connect_not_there(req, NVTGT_IPO_DATA(subsysnqn));
		goto out;
	}
	if (!nvtgt_host_allowed(subsys, d->hostnqn)) {
		pr_warn_ratelimited("%s: host %s is not allowed\n", subsys->nqn,
				    nvtgt_host_name(d->hostnqn));
		req->result.u32 = NVTGT_IPO_DATA(hostnqn);
		status = NVME_SC_CONNECT_INVALID_HOST;	/* may be allowed later: no DNR */
	} else if (req->cmd->connect.qid) {
		status = nvtgt_connect_io(req, d, subsys, ctrl);
	} else {
		status = nvtgt_connect_admin(req, d, subsys, ctrl);
	}
	nvtgt_subsys_put(subsys);
out:
	up_read(&nvtgt_config_sem);
	return status;
}

static void nvtgt_connect_run(struct nvtgt_req *req);

static void nvtgt_connect_retry_work(struct work_struct *work)
{
	struct nvtgt_connect_retry *retry = container_of(to_delayed_work(work),
							 struct nvtgt_connect_retry, work);
	unsigned int noio = memalloc_noio_save();	/* as in nvtgt_req_work() */

	nvtgt_connect_run(retry->req);	/* the request's end frees retry */
	memalloc_noio_restore(noio);
}

/*
 * Writes of the host's earlier association are in a device. Returns whether the Connect has
 * been scheduled for another try.
 */
static bool nvtgt_connect_later(struct nvtgt_req *req)
{
	struct nvtgt_connect_retry *retry = req->scratch;

	if (nvtgt_req_stopped(req) || (retry && time_after(jiffies, retry->until)))
		return false;
	if (!retry) {
		retry = kzalloc(sizeof(*retry), GFP_KERNEL);
		if (!retry)
			return false;
		INIT_DELAYED_WORK(&retry->work, nvtgt_connect_retry_work);
		retry->req = req;
		retry->until = jiffies + msecs_to_jiffies(NVTGT_CONNECT_WAIT_MS);
		req->scratch = retry;
	}
	queue_delayed_work(nvtgt_wq, &retry->work, msecs_to_jiffies(NVTGT_CONNECT_RETRY_MS));
	return true;
}

static void nvtgt_connect_run(struct nvtgt_req *req)
{
	struct nvmf_connect_command *c = &req->cmd->connect;
	struct nvtgt_connect *connect = nvtgt_req_priv(req);
	struct nvtgt_ctrl *ctrl = NULL;
	struct nvmf_connect_data *d;
	u16 status;

	memset(connect, 0, sizeof(*connect));
	d = kmalloc(sizeof(*d), GFP_KERNEL);
	if (!d) {
		status = NVME_SC_INTERNAL;
		goto out;
	}
	status = nvtgt_copy_in(req, 0, d, sizeof(*d));
	if (!status)
		status = nvtgt_connect_check_sqe(req);
	if (!status)
		status = nvtgt_connect_check_data(req, d);
	if (!status)
		status = nvtgt_connect_join(req, d, &ctrl);
	kfree(d);
	if (status == NVTGT_CONNECT_WAIT) {
		if (nvtgt_connect_later(req))
			return;
		status = NVME_SC_CONNECT_CTRL_BUSY;
	}
	if (!status) {
		connect->ctrl = ctrl;
		connect->qid = le16_to_cpu(c->qid);
		connect->size = le16_to_cpu(c->sqsize) + 1;
		connect->sqhd_disabled = c->cattr & NVME_CONNECT_DISABLE_SQFLOW;
		req->result.u32 = cpu_to_le32(ctrl->cntlid);
		if (!connect->qid)
			nvtgt_ctrl_start_ka(ctrl);
	}
out:
	nvtgt_req_complete(req, status);
}

static void nvtgt_connect_execute(struct nvtgt_req *req)
{
	nvtgt_req_complete_work(req, nvtgt_connect_run);
}

/*
 * nvtgt_req.came_back of a Connect, which has its result and is answered next. If it has
 * succeeded, the queue belongs to its controller from here on.
 */
static void nvtgt_connect_done(struct nvtgt_req *req)
{
	struct nvtgt_connect *connect = nvtgt_req_priv(req);
	struct nvtgt_queue *queue = req->queue;

	if (queue->connect_req != req)	/* the Connect has not been executed */
		return;
	queue->connect_req = NULL;
	if (req->status)
		return;
	queue->qid = connect->qid;
	queue->size = connect->size;
	queue->sqhd_disabled = connect->sqhd_disabled;
	queue->ctrl = connect->ctrl;
	/* the queue was stopped meanwhile: only this Connect was executing, nothing is late */
	if (unlikely(queue->stopped && queue->qid))
		nvtgt_queue_late_known(queue);
	nvtgt_conn_connected(to_nvtgt_conn(queue));
}

static void nvtgt_property_get_execute(struct nvtgt_req *req)
{
	struct nvmf_property_get_command *c = &req->cmd->prop_get;
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	bool eight = (c->attrib & 7) == 1;
	bool wide = false;
	u16 status = 0;
	u64 val = 0;

	switch (le32_to_cpu(c->offset)) {
	case NVME_REG_CAP:
		val = ctrl->cap;
		wide = true;
		break;
	case NVME_REG_VS:
		val = READ_ONCE(ctrl->subsys->ver);
		break;
	case NVME_REG_CC:
		val = READ_ONCE(ctrl->cc);
		break;
	case NVME_REG_CSTS:
		val = READ_ONCE(ctrl->csts);
		break;
	case NVME_REG_CRTO:
		val = NVME_CAP_TIMEOUT(ctrl->cap);	/* CRWMT, 500 ms */
		break;
	default:
		req->error_loc = offsetof(struct nvmf_property_get_command, offset);
		status = NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (!status && ((c->attrib & 7) > 1 || wide != eight)) {
		req->error_loc = offsetof(struct nvmf_property_get_command, attrib);
		status = NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (!status)
		req->result.u64 = cpu_to_le64(val);
	nvtgt_req_complete(req, status);
}

static void nvtgt_property_set_execute(struct nvtgt_req *req)
{
	struct nvmf_property_set_command *c = &req->cmd->prop_set;

	if (c->attrib & 7) {
		req->error_loc = offsetof(struct nvmf_property_set_command, attrib);
		nvtgt_req_complete(req, NVME_SC_INVALID_FIELD | NVME_STATUS_DNR);
		return;
	}
	if (le32_to_cpu(c->offset) != NVME_REG_CC) {
		req->error_loc = offsetof(struct nvmf_property_set_command, offset);
		nvtgt_req_complete(req, NVME_SC_INVALID_FIELD | NVME_STATUS_DNR);
		return;
	}
	/* here, in the reactor: two of them stay in order */
	nvtgt_ctrl_set_cc(req->queue->ctrl, le64_to_cpu(c->value));
	nvtgt_req_complete(req, 0);
}

/* Before a queue has a controller, Connect is all there is. */
static u16 nvtgt_connect_parse(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;

	if (queue->ctrl || queue->connect_req)
		return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;
	queue->connect_req = req;
	req->data_len = sizeof(struct nvmf_connect_data);
	req->dir = DMA_TO_DEVICE;
	req->execute = nvtgt_connect_execute;
	req->came_back = nvtgt_connect_done;
	return 0;
}

/**
 * nvtgt_fabrics_parse - judge a fabrics command
 * @req: opcode 7Fh
 *
 * Context: the reactor of the queue.
 * Return: 0 or a status
 */
u16 nvtgt_fabrics_parse(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;

	if (queue->ops->pcie)
		return nvtgt_bad_opcode(req);
	if (req->cmd->fabrics.fctype == nvme_fabrics_type_connect)
		return nvtgt_connect_parse(req);
	if (!queue->ctrl)
		return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;
	if (queue->qid)		/* properties are the admin queue's */
		return NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR;

	switch (req->cmd->fabrics.fctype) {
	case nvme_fabrics_type_property_get:
		req->execute = nvtgt_property_get_execute;
		return 0;
	case nvme_fabrics_type_property_set:
		req->execute = nvtgt_property_set_execute;
		return 0;
	default:
		req->error_loc = offsetof(struct nvmf_common_command, fctype);
		return NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR;
	}
}
