// SPDX-License-Identifier: GPL-2.0
/* Backends: which are registered, and what their errors mean to a host. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/kmod.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include "object.h"

#define NVTGT_MAX_BACKENDS	16

/* protects nvtgt_backends; nothing is taken inside */
static DEFINE_MUTEX(nvtgt_backend_mutex);
static const struct nvtgt_backend_ops *nvtgt_backends[NVTGT_MAX_BACKENDS];

/**
 * nvtgt_backend_missing - what an ops table lacks to serve a namespace
 * @ops: as open() has left it
 *
 * Context: any.
 * Return: a function's name, or NULL
 */
const char *nvtgt_backend_missing(const struct nvtgt_backend_ops *ops)
{
	if (!ops->close)
		return "close";
	if (!ops->rw)
		return "rw";
	if (!ops->flush)
		return "flush";
	return NULL;
}

/* Does the table keep the contract? With another version or size only these are read. */
static int nvtgt_backend_check(const struct nvtgt_backend_ops *ops)
{
	if (ops->version != NVTGT_BACKEND_VERSION || ops->size != sizeof(*ops)) {
		pr_err("backend: version %u, size %zu; this core has version %u, size %zu\n",
		       ops->version, ops->size, NVTGT_BACKEND_VERSION, sizeof(*ops));
		return -EINVAL;
	}
	if (!ops->name || strlen(ops->name) >= NVTGT_BACKEND_NAME_SIZE) {
		pr_err("backend: name is missing or longer than %u characters\n",
		       NVTGT_BACKEND_NAME_SIZE - 1);
		return -EINVAL;
	}
	if (!ops->open || !ops->close) {
		pr_err("backend %s: %s is missing\n", ops->name, ops->open ? "close" : "open");
		return -EINVAL;
	}
	return 0;
}

/**
 * nvtgt_backend_register - a backend's module has been loaded
 * @ops: lives until nvtgt_backend_unregister()
 *
 * Context: may sleep.
 * Return: 0; -EINVAL when the table breaks the contract (the log names the
 * member); -EEXIST when the name is taken; -ENOSPC.
 */
int nvtgt_backend_register(const struct nvtgt_backend_ops *ops)
{
	int i, slot = -1, ret;

	ret = nvtgt_backend_check(ops);
	if (ret)
		return ret;

	mutex_lock(&nvtgt_backend_mutex);
	for (i = 0; i < NVTGT_MAX_BACKENDS; i++) {
		if (!nvtgt_backends[i]) {
			if (slot < 0)
				slot = i;
		} else if (!strcmp(nvtgt_backends[i]->name, ops->name)) {
			ret = -EEXIST;
		}
	}
	if (!ret && slot < 0)
		ret = -ENOSPC;
	if (!ret)
		nvtgt_backends[slot] = ops;
	mutex_unlock(&nvtgt_backend_mutex);

	if (ret)
		pr_err("backend %s: not registered: error %d\n", ops->name, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(nvtgt_backend_register);

/**
 * nvtgt_backend_unregister - a backend's module is about to go
 * @ops: as registered; no namespace uses it, which its module's references say
 *
 * A thread may still be on its way out of one of the backend's functions, in which it
 * has completed the last command of a namespace:
 *
 *  1. a worker: no, nvtgt_deferred_work() and nvtgt_dsm_discard() hold the namespace
 *     until the function has returned, and the namespace holds the module
 *  2. a work of the backend's own: no, its close() waits for that
 *  3. a reactor: nvtgt_reactors_sync()
 *  4. an interrupt, of a timer or a device: synchronize_rcu() waits for interrupts
 *  5. another task that completes a bio or a file's I/O (loop, dm-crypt, a file system):
 *     that task does not sleep in the function, but may be preempted:
 *     synchronize_rcu_tasks()
 *
 * nvtgt_io_wq is not flushed: a worker in there may hang in a device of another backend.
 *
 * Context: may sleep.
 */
void nvtgt_backend_unregister(const struct nvtgt_backend_ops *ops)
{
	int i;

	mutex_lock(&nvtgt_backend_mutex);
	for (i = 0; i < NVTGT_MAX_BACKENDS; i++)
		if (nvtgt_backends[i] == ops)
			nvtgt_backends[i] = NULL;
	mutex_unlock(&nvtgt_backend_mutex);
	nvtgt_reactors_sync();
	synchronize_rcu();
	synchronize_rcu_tasks();
}
EXPORT_SYMBOL_GPL(nvtgt_backend_unregister);

static const struct nvtgt_backend_ops *nvtgt_backend_get(const char *name)
{
	const struct nvtgt_backend_ops *ops = NULL;
	int i;

	mutex_lock(&nvtgt_backend_mutex);
	for (i = 0; i < NVTGT_MAX_BACKENDS; i++) {
		if (!nvtgt_backends[i] || strcmp(nvtgt_backends[i]->name, name))
			continue;
		if (try_module_get(nvtgt_backends[i]->owner))
			ops = nvtgt_backends[i];
		break;
	}
	mutex_unlock(&nvtgt_backend_mutex);
	return ops;
}

/**
 * nvtgt_backend_find - find a backend, loading its module when needed
 * @name: as in the "backend" attribute
 *
 * Context: may sleep, and waits for modprobe.
 * Return: the backend with a reference on its module, or ERR_PTR(-ENODEV).
 */
const struct nvtgt_backend_ops *nvtgt_backend_find(const char *name)
{
	const struct nvtgt_backend_ops *ops = nvtgt_backend_get(name);

	if (!ops) {
		request_module("nvtgt-backend-%s", name);
		ops = nvtgt_backend_get(name);
	}
	return ops ?: ERR_PTR(-ENODEV);
}

/* Which field of the command names the blocks that an error is about? */
static void nvtgt_blame_slba(struct nvtgt_req *req)
{
	switch (req->cmd->common.opcode) {
	case nvme_cmd_read:
	case nvme_cmd_write:
		req->error_slba = le64_to_cpu(req->cmd->rw.slba);
		break;
	case nvme_cmd_write_zeroes:
		req->error_slba = le64_to_cpu(req->cmd->write_zeroes.slba);
		break;
	}
}

static u16 nvtgt_unsupported(struct nvtgt_req *req)
{
	req->error_loc = offsetof(struct nvme_common_command, opcode);
	return NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR;
}

static u16 nvtgt_medium_error(const struct nvtgt_req *req)
{
	return req->cmd->common.opcode == nvme_cmd_read ?
		NVME_SC_READ_ERROR : NVME_SC_WRITE_FAULT;
}

/**
 * nvtgt_blk_status - what a block device's error means to a host
 * @req: the request; error_loc and error_slba are set
 * @blk_sts: as the bio ended
 *
 * Errors that another try cannot help carry DNR. What may go away (resources,
 * a path, a time-out) does not, so that a host tries again or takes another path.
 *
 * Context: any.
 * Return: an NVMe status.
 */
u16 nvtgt_blk_status(struct nvtgt_req *req, blk_status_t blk_sts)
{
	if (likely(blk_sts == BLK_STS_OK))
		return NVME_SC_SUCCESS;

	nvtgt_blame_slba(req);
	switch (blk_sts) {
	case BLK_STS_NOTSUPP:
		return nvtgt_unsupported(req);
	case BLK_STS_NOSPC:
		req->error_loc = offsetof(struct nvme_rw_command, length);
		return NVME_SC_CAP_EXCEEDED | NVME_STATUS_DNR;
	case BLK_STS_RESV_CONFLICT:
		return NVME_SC_RESERVATION_CONFLICT | NVME_STATUS_DNR;
	case BLK_STS_MEDIUM:
		req->error_loc = offsetof(struct nvme_rw_command, nsid);
		return nvtgt_medium_error(req) | NVME_STATUS_DNR;
	case BLK_STS_PROTECTION:
		return NVME_SC_GUARD_CHECK | NVME_STATUS_DNR;
	case BLK_STS_TARGET:
		req->error_loc = offsetof(struct nvme_rw_command, slba);
		return NVME_SC_INTERNAL | NVME_STATUS_DNR;
	case BLK_STS_INVAL:
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	case BLK_STS_TIMEOUT:
	case BLK_STS_RESOURCE:
	case BLK_STS_DEV_RESOURCE:
	case BLK_STS_AGAIN:
	case BLK_STS_DM_REQUEUE:
		return NVME_SC_NS_NOT_READY;
	case BLK_STS_TRANSPORT:
	case BLK_STS_OFFLINE:
		/* the way to the medium, not the medium: a path error to hosts */
		return NVME_SC_INTERNAL_PATH_ERROR;
	case BLK_STS_IOERR:
	default:
		req->error_loc = offsetof(struct nvme_common_command, opcode);
		return NVME_SC_INTERNAL | NVME_STATUS_DNR;
	}
}
EXPORT_SYMBOL_GPL(nvtgt_blk_status);

/**
 * nvtgt_errno_status - what a file's error means to a host
 * @req: the request; error_loc and error_slba are set
 * @err: 0 or a negative errno
 *
 * Context: any.
 * Return: an NVMe status.
 */
u16 nvtgt_errno_status(struct nvtgt_req *req, int err)
{
	if (likely(!err))
		return NVME_SC_SUCCESS;

	nvtgt_blame_slba(req);
	switch (err) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		req->error_loc = offsetof(struct nvme_rw_command, length);
		return NVME_SC_CAP_EXCEEDED | NVME_STATUS_DNR;
	case -EREMOTEIO:	/* BLK_STS_TARGET below a file system */
		req->error_loc = offsetof(struct nvme_rw_command, slba);
		return NVME_SC_INTERNAL | NVME_STATUS_DNR;
	case -EOPNOTSUPP:
		return nvtgt_unsupported(req);
	case -ENODATA:
		req->error_loc = offsetof(struct nvme_rw_command, nsid);
		return nvtgt_medium_error(req) | NVME_STATUS_DNR;
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return NVME_SC_NS_WRITE_PROTECTED | NVME_STATUS_DNR;
	case -ENODEV:	/* BLK_STS_OFFLINE */
	case -ENOLINK:	/* BLK_STS_TRANSPORT */
	case -ENXIO:
	case -ESHUTDOWN:
		/* the way to the medium, not the medium: a path error to hosts */
		return NVME_SC_INTERNAL_PATH_ERROR;
	case -ECANCELED:
		return NVME_SC_ABORT_QUEUE;
	case -EAGAIN:
	case -ENOMEM:
	case -EBUSY:
	case -ETIMEDOUT:
		return NVME_SC_NS_NOT_READY;
	default:
		req->error_loc = offsetof(struct nvme_common_command, opcode);
		return NVME_SC_INTERNAL | NVME_STATUS_DNR;
	}
}
EXPORT_SYMBOL_GPL(nvtgt_errno_status);

/* A worker of a namespace: the command that it was started for, and what waits. */
static void nvtgt_deferred_work(struct work_struct *work)
{
	struct nvtgt_req *req = container_of(work, struct nvtgt_req, work);
	struct nvtgt_core_ns *core_ns = to_nvtgt_core_ns(req->ns);
	unsigned int noio = memalloc_noio_save();	/* see nvtgt_reactor_thread() */
	struct nvtgt_req *next;

	/* the command's own reference may be gone when execute() returns */
	percpu_ref_get(&core_ns->ns.ref);
	if (unlikely(nvtgt_req_stopped(req)))
		nvtgt_req_complete(req, NVME_SC_ABORT_QUEUE);
	else
		req->execute(req);
	memalloc_noio_restore(noio);

	spin_lock_irq(&core_ns->deferred_lock);
	next = list_first_entry_or_null(&core_ns->deferred, struct nvtgt_req, entry);
	if (next) {
		list_del_init(&next->entry);
		next->waits = false;
	} else {
		core_ns->nr_workers--;
	}
	spin_unlock_irq(&core_ns->deferred_lock);
	if (next)
		queue_work(nvtgt_io_wq, &next->work);
	nvtgt_ns_put(&core_ns->ns);
}

/**
 * nvtgt_req_defer - let a command go on where it may block
 * @req: executing
 * @fn: goes on with it; ends with nvtgt_req_complete(), sooner or later
 *
 * No more than NVTGT_NS_WORKERS of a namespace's commands are in workers at a time;
 * the others wait, so that a device that stalls holds up its own commands only.
 * When the queue is stopped before the worker begins, the command fails instead.
 *
 * Context: any.
 */
void nvtgt_req_defer(struct nvtgt_req *req, void (*fn)(struct nvtgt_req *req))
{
	struct nvtgt_core_ns *core_ns = to_nvtgt_core_ns(req->ns);
	bool stopped, wait = false;
	unsigned long flags;

	req->execute = fn;
	INIT_WORK(&req->work, nvtgt_deferred_work);
	spin_lock_irqsave(&core_ns->deferred_lock, flags);
	/* under the lock: if the queue is stopped later nvtgt_req_cancel() finds the command */
	stopped = nvtgt_req_stopped(req);
	if (!stopped) {
		wait = core_ns->nr_workers == NVTGT_NS_WORKERS;
		if (wait) {
			list_add_tail(&req->entry, &core_ns->deferred);
			req->waits = true;
		} else {
			core_ns->nr_workers++;
		}
	}
	spin_unlock_irqrestore(&core_ns->deferred_lock, flags);
	if (unlikely(stopped))
		nvtgt_req_complete(req, NVME_SC_ABORT_QUEUE);
	else if (!wait)
		queue_work(nvtgt_io_wq, &req->work);
}
EXPORT_SYMBOL_GPL(nvtgt_req_defer);
