// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a request: taken for a command, parked, completed or failed, released; its
 * reference on a namespace, and what is copied in and out of its data. command/parse.c
 * judges and executes the command.
 */
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "object.h"

/* States in which a request is the transport's, before it is executed and afterwards. */
#define NVTGT_REQ_BEFORE	(BIT(NVTGT_REQ_RECEIVED) | BIT(NVTGT_REQ_MEMORY) |	\
				 BIT(NVTGT_REQ_INLINE) | BIT(NVTGT_REQ_FETCHING) |	\
				 BIT(NVTGT_REQ_DATA) | BIT(NVTGT_REQ_READY))
#define NVTGT_REQ_AFTER		(BIT(NVTGT_REQ_RESPONDING) | BIT(NVTGT_REQ_WRITING) |	\
				 BIT(NVTGT_REQ_SENT))

/*
 * What every command uses lies in two cache lines, see struct nvtgt_req. Sparse gives
 * a bit field of bool more room than the compilers do.
 */
#ifndef __CHECKER__
static_assert(offsetofend(struct nvtgt_req, error_loc) <= 64);
static_assert(offsetofend(struct nvtgt_req, pi_wire) <= 128);
#endif

/*
 * nvtgt_req_from - from which states a request may enter which; one bit per former state
 */
const u16 nvtgt_req_from[NVTGT_REQ_STATES] = {
	[NVTGT_REQ_FREE]	= NVTGT_REQ_AFTER,
	[NVTGT_REQ_RECEIVED]	= BIT(NVTGT_REQ_FREE),
	[NVTGT_REQ_MEMORY]	= BIT(NVTGT_REQ_RECEIVED),
	[NVTGT_REQ_INLINE]	= BIT(NVTGT_REQ_RECEIVED),
	[NVTGT_REQ_FETCHING]	= BIT(NVTGT_REQ_MEMORY),
	[NVTGT_REQ_DATA]	= BIT(NVTGT_REQ_FETCHING),
	[NVTGT_REQ_READY]	= BIT(NVTGT_REQ_RECEIVED) | BIT(NVTGT_REQ_MEMORY) |
				  BIT(NVTGT_REQ_INLINE) | BIT(NVTGT_REQ_DATA),
	[NVTGT_REQ_EXECUTING]	= NVTGT_REQ_BEFORE,
	[NVTGT_REQ_DONE]	= NVTGT_REQ_BEFORE | BIT(NVTGT_REQ_EXECUTING),
	[NVTGT_REQ_RESPONDING]	= BIT(NVTGT_REQ_DONE) | BIT(NVTGT_REQ_SENT),
	[NVTGT_REQ_WRITING]	= BIT(NVTGT_REQ_RESPONDING),
	[NVTGT_REQ_SENT]	= BIT(NVTGT_REQ_RESPONDING) | BIT(NVTGT_REQ_WRITING),
};
EXPORT_SYMBOL_GPL(nvtgt_req_from);

/**
 * nvtgt_req_init - take an idle request for a command that has arrived
 * @req: zeroed memory, or a request that was released
 * @queue: the queue that the command came in through
 * @cmd: the command, in memory that is stable until release
 * @transfer_len: bytes that the command's SGL describes
 *
 * Context: the reactor of @queue.
 */
void nvtgt_req_init(struct nvtgt_req *req, struct nvtgt_queue *queue,
		    struct nvme_command *cmd, u32 transfer_len)
{
	req->cmd = cmd;
	req->queue = queue;
	req->transfer_len = transfer_len;
	req->data_len = 0;
	req->pi_len = 0;
	req->pi_wire = 0;
	req->dir = DMA_NONE;
	req->backend_flags = 0;
	req->parked = false;
	req->ns_shared = false;
	req->polled = false;
	req->ns = NULL;
	req->execute = NULL;
	req->came_back = NULL;
	req->bvec = NULL;
	req->nr_bvec = 0;
	req->charged = 0;
	req->scratch = NULL;
	req->result.u64 = 0;
	req->status = 0;
	req->error_loc = NVTGT_NO_ERROR_LOC;
	req->error_slba = 0;
}
EXPORT_SYMBOL_GPL(nvtgt_req_init);

/**
 * nvtgt_req_park - the transport has to wait before it can execute
 * @req: parsed; may be parked already
 *
 * Lets the namespace go: disabling it does not wait for a host that is slow to
 * send its data. nvtgt_req_execute() judges the command anew.
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_park(struct nvtgt_req *req)
{
	if (!req->ns)
		return;
	req->parked_ns = req->ns->opened;
	nvtgt_req_put_ns(req);
	req->parked = true;
}
EXPORT_SYMBOL_GPL(nvtgt_req_park);

/* The command has its result: hand the request to the reactor. Any context. */
static __always_inline void nvtgt_req_done(struct nvtgt_req *req, u16 status)
{
	struct nvtgt_reactor *reactor;

	/* a polled request stands in a list of its poller, and only the poller takes it out */
	reactor = unlikely(req->polled) ? req->poller : READ_ONCE(req->queue->reactor);
	req->status = status;
	if (unlikely(status))
		nvtgt_error_log(req);
	/* a reference that the queue's requests share is given back in the reactor */
	if (req->ns && !req->ns_shared) {
		struct nvtgt_ns *ns = req->ns;

		/* first: nvtgt_req_cancel() must not find what may be freed after the put */
		WRITE_ONCE(req->ns, NULL);
		nvtgt_ns_put(ns);
	}
	nvtgt_req_set_state(req, NVTGT_REQ_DONE);
	if (nvtgt_is_reactor(reactor))
		list_add_tail(&req->entry, &reactor->local_done);
	else if (llist_add(&req->done_node, &reactor->done))
		nvtgt_reactor_wake(reactor);
}

/**
 * nvtgt_req_complete - the command has its result
 * @req: executing; the caller does not touch it afterwards
 * @status: enum nvme_status, with NVME_STATUS_DNR where a retry is useless
 *
 * Context: any.
 */
void nvtgt_req_complete(struct nvtgt_req *req, u16 status)
{
	WARN_ON_ONCE(req->state != NVTGT_REQ_EXECUTING);
	nvtgt_req_done(req, status);
}
EXPORT_SYMBOL_GPL(nvtgt_req_complete);

/**
 * nvtgt_req_fail - a parsed command will not be executed
 * @req: parsed
 * @status: why; may be what nvtgt_req_parse() left in req->status
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_fail(struct nvtgt_req *req, u16 status)
{
	WARN_ON_ONCE(!(NVTGT_REQ_BEFORE & BIT(req->state)));
	if (req->queue->connect_req == req)
		req->queue->connect_req = NULL;
	nvtgt_req_done(req, status);
}
EXPORT_SYMBOL_GPL(nvtgt_req_fail);

/**
 * nvtgt_req_set_error - what a command has brought cannot be given to the host
 * @req: responding, without a completion queue entry so far
 * @status: why
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_set_error(struct nvtgt_req *req, u16 status)
{
	req->status = status;
	nvtgt_error_log(req);
}
EXPORT_SYMBOL_GPL(nvtgt_req_set_error);

static void nvtgt_req_work(struct work_struct *work)
{
	struct nvtgt_req *req = container_of(work, struct nvtgt_req, work);
	unsigned int noio = memalloc_noio_save();	/* see nvtgt_reactor_thread() */

	req->execute(req);
	memalloc_noio_restore(noio);
}

/**
 * nvtgt_req_complete_work - let a command be executed where it may sleep
 * @req: executing
 * @fn: goes on with it; ends with nvtgt_req_complete()
 *
 * Context: any.
 */
void nvtgt_req_complete_work(struct nvtgt_req *req, void (*fn)(struct nvtgt_req *req))
{
	req->execute = fn;
	INIT_WORK(&req->work, nvtgt_req_work);
	queue_work(nvtgt_wq, &req->work);
}

/**
 * nvtgt_req_cqe - make the completion queue entry
 * @req: responding
 * @cqe: where to; all 16 bytes are written
 *
 * Moves the SQ head on, so it is called once per request, in the order in which
 * the entries are sent (NVMe-oF, 3.3.1.2.1: SQ flow control).
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_cqe(struct nvtgt_req *req, struct nvme_completion *cqe)
{
	struct nvtgt_queue *queue = req->queue;

	cqe->result = req->result;
	if (queue->sqhd_disabled) {
		cqe->sq_head = cpu_to_le16(0xffff);
	} else {
		if (++queue->sqhd >= queue->size)
			queue->sqhd = 0;
		cqe->sq_head = cpu_to_le16(queue->sqhd);
	}
	cqe->sq_id = cpu_to_le16(queue->qid);
	cqe->command_id = req->cmd->common.command_id;
	cqe->status = cpu_to_le16(req->status << 1);
}
EXPORT_SYMBOL_GPL(nvtgt_req_cqe);

/**
 * nvtgt_req_release - the transport needs the request no more
 * @req: responding; its memory has been given back with nvtgt_buf_put()
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_release(struct nvtgt_req *req)
{
	if (unlikely(req->scratch)) {
		kfree(req->scratch);
		req->scratch = NULL;
	}
	WARN_ON_ONCE(!(NVTGT_REQ_AFTER & BIT(req->state)));
	nvtgt_req_set_state(req, NVTGT_REQ_FREE);
	req->queue->nr_inflight--;
}
EXPORT_SYMBOL_GPL(nvtgt_req_release);

enum nvtgt_copy { NVTGT_COPY_OUT, NVTGT_COPY_IN, NVTGT_COPY_ZERO };

/* Moves bytes between a buffer and the request's segments; bounded by data_len. */
static u16 nvtgt_copy(struct nvtgt_req *req, size_t off, void *buf, size_t len,
		      enum nvtgt_copy how)
{
	unsigned int i;

	if (off > req->data_len || len > req->data_len - off)
		return NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR;

	for (i = 0; len && i < req->nr_bvec; i++) {
		struct bio_vec *bv = &req->bvec[i];
		size_t part;
		u8 *mem;

		if (off >= bv->bv_len) {
			off -= bv->bv_len;
			continue;
		}
		part = min_t(size_t, len, bv->bv_len - off);
		/* pool pages are never highmem */
		mem = page_address(bv->bv_page) + bv->bv_offset + off;
		if (how == NVTGT_COPY_OUT)
			memcpy(mem, buf, part);
		else if (how == NVTGT_COPY_IN)
			memcpy(buf, mem, part);
		else
			memset(mem, 0, part);
		buf += part;
		len -= part;
		off = 0;
	}
	return len ? NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR : 0;
}

/**
 * nvtgt_copy_out - put bytes into the data for the host
 * @req: the request
 * @off: where, bytes from the beginning of its data
 * @buf: what
 * @len: how many bytes
 *
 * Return: 0, or a status when off + len lies outside the request's data
 */
u16 nvtgt_copy_out(struct nvtgt_req *req, size_t off, const void *buf, size_t len)
{
	return nvtgt_copy(req, off, (void *)buf, len, NVTGT_COPY_OUT);
}

/**
 * nvtgt_copy_in - get bytes from the data that the host sent
 * @req: the request
 * @off: where, bytes from the beginning of its data
 * @buf: where to
 * @len: how many bytes
 *
 * Return: 0, or a status when off + len lies outside the request's data
 */
u16 nvtgt_copy_in(struct nvtgt_req *req, size_t off, void *buf, size_t len)
{
	return nvtgt_copy(req, off, buf, len, NVTGT_COPY_IN);
}

/**
 * nvtgt_zero_out - clear a part of the data for the host
 * @req: the request
 * @off: where, bytes from the beginning of its data
 * @len: how many bytes
 *
 * Return: 0, or a status when off + len lies outside the request's data
 */
u16 nvtgt_zero_out(struct nvtgt_req *req, size_t off, size_t len)
{
	return nvtgt_copy(req, off, NULL, len, NVTGT_COPY_ZERO);
}

/**
 * nvtgt_req_find_ns - look up the command's namespace
 * @req: the request; req->ns gets a reference that lasts until completion
 *
 * The commands of a queue share one reference as long as they are for the same
 * namespace: while one of them has it, neither a look-up nor a count of its own
 * is needed for the next. Once the namespace is being disabled no command joins them.
 *
 * Context: the reactor; does not sleep.
 * Return: 0, or Invalid Namespace or Format
 */
u16 nvtgt_req_find_ns(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;
	u32 nsid = le32_to_cpu(req->cmd->common.nsid);

	if (likely(queue->ns && queue->ns->nsid == nsid &&
		   !percpu_ref_is_dying(&queue->ns->ref))) {
		queue->ns_users++;
		req->ns = queue->ns;
		req->ns_shared = true;
		return 0;
	}
	req->ns = nvtgt_ns_find_get(queue->ctrl->subsys, nsid);
	if (unlikely(!req->ns)) {
		req->error_loc = offsetof(struct nvme_common_command, nsid);
		return NVME_SC_INVALID_NS | NVME_STATUS_DNR;
	}
	if (!queue->ns) {
		queue->ns = req->ns;
		queue->ns_users = 1;
		req->ns_shared = true;
	}
	return 0;
}

/**
 * nvtgt_req_put_ns - the command needs its namespace no more
 * @req: with a namespace
 *
 * Context: the reactor of the queue.
 */
void nvtgt_req_put_ns(struct nvtgt_req *req)
{
	struct nvtgt_queue *queue = req->queue;

	if (req->ns_shared) {
		req->ns_shared = false;
		if (--queue->ns_users) {
			req->ns = NULL;
			return;
		}
		queue->ns = NULL;
	}
	nvtgt_ns_put(req->ns);
	req->ns = NULL;
}
