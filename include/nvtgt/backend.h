/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the core and a backend.
 *
 * By the time a backend sees a request the core has checked opcode, namespace,
 * range and length: slba + nlb lies inside ns->size, req->data_len is right and
 * req->bvec describes that many bytes; with req->pi_len, which comes only where the
 * backend has set ns->pi_type, req->pi describes the blocks' protection information.
 * Nothing that writes comes while ns->readonly is set: the core refuses it.
 */
#ifndef _NVTGT_BACKEND_H
#define _NVTGT_BACKEND_H

#include <linux/module.h>
#include <nvtgt/types.h>

/** NVTGT_BACKEND_VERSION - grows with each change of this contract */
#define NVTGT_BACKEND_VERSION	7

/**
 * struct nvtgt_backend_ops - what a backend provides
 *
 * @version: NVTGT_BACKEND_VERSION. Required.
 * @size: sizeof(struct nvtgt_backend_ops). Required.
 * @name: as in the namespace's "backend" attribute; the module's alias is
 *	"nvtgt-backend-NAME". Required.
 * @owner: THIS_MODULE. The core holds a reference for each enabled namespace.
 * @needs_path: an empty device_path is refused by the core.
 *
 * @open: make ready for I/O: sets ns->priv, size, blksize_shift and the other
 *	fields of its own. Returns 0 or a negative errno, and has logged the
 *	reason. Required. It may set ns->ops to another table with the same @owner, which
 *	serves what it has found there: that one needs all that is required below, and no
 *	@open; the one that was registered needs only what is required up to @close.
 * @close: undo open(). No request is in flight and none will come. When it returns,
 *	no work item of the backend's own is in one of its functions. Required. That of
 *	the table that was registered is called when the core refuses the other one.
 * @revalidate: read ns->size and readonly again, or find that the device is gone
 *	(nvtgt_ns_lost()), and leave them. Requests may be in flight. Optional: the
 *	size never changes.
 * @set_options: ns->backend_options is about to become @options while the
 *	namespace is open. Returns 0, or a negative errno and nothing has changed.
 *	Optional: -EBUSY.
 *
 * These four may sleep, and wait for a device that hangs. They are called one at a
 * time, under a lock that is the namespace's own: what waits meanwhile is a thread
 * that enables, disables or changes this namespace. ns->device_path, backend_options and
 * buffered_io do not change from before open() until after close(), but for
 * backend_options after set_options().
 *
 * @rw: NVMe Read or Write (cmd->rw), FUA in cmd->rw.control honoured. Required.
 * @flush: every write that was completed before is made durable. Required.
 * @write_zeroes: NVMe Write Zeroes. Optional: the command is not supported.
 * @discard: deallocate @nr_ranges ranges; each has been checked. The array
 *	belongs to the core and lives until the request is complete. Optional:
 *	ranges are accepted and nothing is done.
 *
 * @poll: look whether @req's device has completed @req, or another request of the
 *	namespace that nvtgt_req_poll() was called for. Runs in the
 *	reactor that executed @req, must not sleep. @req may be complete already,
 *	but has not been released. Returns false when this did not look for the other
 *	requests (@req has not reached the device yet). Required of a backend that calls
 *	nvtgt_req_poll().
 *
 * Commands' functions, @rw to @discard, run in the reactor (mostly under its block plug) or
 * in a worker. They must not block for long in the reactor, and must not touch the request
 * after nvtgt_req_complete(), which the backend calls exactly once, in any context.
 */
struct nvtgt_backend_ops {
	u32 version;
	size_t size;
	const char *name;
	struct module *owner;
	bool needs_path;

	int (*open)(struct nvtgt_ns *ns);
	void (*close)(struct nvtgt_ns *ns);
	int (*revalidate)(struct nvtgt_ns *ns);
	int (*set_options)(struct nvtgt_ns *ns, const char *options);

	void (*rw)(struct nvtgt_req *req);
	void (*flush)(struct nvtgt_req *req);
	void (*write_zeroes)(struct nvtgt_req *req);
	void (*discard)(struct nvtgt_req *req, const struct nvme_dsm_range *ranges,
			unsigned int nr_ranges);
	bool (*poll)(struct nvtgt_req *req);
};

int __must_check nvtgt_backend_register(const struct nvtgt_backend_ops *ops);
void nvtgt_backend_unregister(const struct nvtgt_backend_ops *ops);

void nvtgt_ns_lost(struct nvtgt_ns *ns);
void nvtgt_req_complete(struct nvtgt_req *req, u16 status);
bool __must_check nvtgt_req_poll(struct nvtgt_req *req);
void nvtgt_req_poll_others(struct nvtgt_req *req);
bool nvtgt_req_in_reactor(const struct nvtgt_req *req);

/**
 * nvtgt_req_poll_done - the reactor need not poll for a request any more
 * @req: executing, after nvtgt_req_poll(): it will complete by itself
 *
 * Context: any.
 */
static inline void nvtgt_req_poll_done(struct nvtgt_req *req)
{
	WRITE_ONCE(req->poll_done, true);
}

void nvtgt_req_defer(struct nvtgt_req *req, void (*fn)(struct nvtgt_req *req));

/**
 * nvtgt_req_stopped - has the request's queue been stopped?
 * @req: executing
 *
 * The host may write the same blocks anew as soon as a command of a stopped queue has been
 * completed: no part of the command may begin after the stop. nvtgt_req_defer() checks that
 * itself; a backend that works through parts checks it before each.
 *
 * Context: any.
 * Return: whether it has; the request is completed with any status
 */
static inline bool nvtgt_req_stopped(const struct nvtgt_req *req)
{
	return READ_ONCE(req->queue->stopped);
}

/* Where nvtgt_req_defer() runs; also for a backend's own work items that may block. */
extern struct workqueue_struct *nvtgt_io_wq;

/**
 * nvtgt_req_priv - the backend's part of a request
 * @req: the request
 *
 * Return: NVTGT_BACKEND_PRIV bytes, aligned to a cache line, contents undefined at first.
 */
static inline void *nvtgt_req_priv(struct nvtgt_req *req)
{
	return req->backend_priv;
}

/**
 * nvtgt_req_from_priv - the request that a backend's part belongs to
 * @priv: what nvtgt_req_priv() gave
 *
 * Return: the request
 */
static inline struct nvtgt_req *nvtgt_req_from_priv(void *priv)
{
	return container_of(priv, struct nvtgt_req, backend_priv[0]);
}

/* What the device's error means to a host; sets error_loc, error_slba. */
u16 nvtgt_blk_status(struct nvtgt_req *req, blk_status_t blk_sts);
u16 nvtgt_errno_status(struct nvtgt_req *req, int err);

#endif /* _NVTGT_BACKEND_H */
