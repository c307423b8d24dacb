// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Commands and their data
 *
 * A command's data lie in guest memory, where PRPs or SGLs say (NVMe base 2.1, 4.3). They
 * are resolved to pages, and the backend moves data from and to these: nothing is copied, unless the
 * segments do not suit the device, or the device needs data that stand still. What is
 * pinned already costs a look-up; a command that needs a page which is not waits in
 * conn->mem_wait, and is resolved anew when nvtgt_vfu_kick_all() says that there is more.
 *
 * PRP lists and SGL segments are read once, entry by entry: the guest may change them meanwhile.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/slab.h>
#include "vfu.h"

#define NVTGT_VFU_MAX_DESCS	1024		/* SGL descriptors looked at for a command */
#define NVTGT_VFU_DESCS_SHARE	64		/* … that cost as much as one more command */
#define NVTGT_VFU_COPY_SHARE	(64U << 10)	/* bytes copied, the same */
#define NVTGT_VFU_PER_PAGE	(NVTGT_VFU_PAGE / sizeof(__le64))

/* struct nvtgt_vfu_walk - resolving a command */
struct nvtgt_vfu_walk {
	struct nvtgt_vfu_queue *q;
	struct nvtgt_vfu_cmd *cmd;
	struct bio_vec *bvec;
	unsigned int room;
	u32 left;			/* bytes of data that have no place so far */
	unsigned int descs;
};

/*
 * What resolving says: 0; a status; or one of these, none of which is a status:
 * the page is being pinned, or there is no room for the segments at the moment.
 */
#define NVTGT_VFU_WAIT		0xffff
#define NVTGT_VFU_NO_MEMORY	0xfffe		/* and nothing of the queue's gives some back */

static u16 nvtgt_vfu_no_page(int err)
{
	return err == -EAGAIN ? NVTGT_VFU_WAIT : NVME_SC_DATA_XFER_ERROR;
}

static struct nvtgt_vfu_table *nvtgt_vfu_alloc_table(unsigned int room)
{
	struct nvtgt_vfu_table *table;

	table = kmalloc(struct_size(table, bvec, room), GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (table)
		table->room = room;
	return table;
}

static void nvtgt_vfu_put_table(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd)
{
	if (likely(!cmd->table))
		return;
	if (unlikely(cmd->table->room > NVTGT_VFU_SEGS)) {
		kfree(cmd->table);
		q->nr_large--;
	} else {
		list_add(&cmd->table->entry, &q->tables);
	}
	cmd->table = NULL;
}

/* More segments than the backend gets at a time: the data will be copied. */
static u16 nvtgt_vfu_get_large(struct nvtgt_vfu_walk *walk)
{
	struct nvtgt_vfu_queue *q = walk->q;
	struct nvtgt_vfu_cmd *cmd = walk->cmd;
	struct nvtgt_vfu_table *large;

	if (cmd->table->room > NVTGT_VFU_SEGS)
		return NVME_SC_SGL_INVALID_COUNT | NVME_STATUS_DNR;
	if (q->nr_large == NVTGT_VFU_MAX_LARGE)
		return NVTGT_VFU_WAIT;
	large = nvtgt_vfu_alloc_table(NVTGT_VFU_MAX_SEGS);
	if (!large)
		return NVTGT_VFU_NO_MEMORY;
	q->nr_large++;
	memcpy(large->bvec, cmd->table->bvec, cmd->nr * sizeof(large->bvec[0]));
	nvtgt_vfu_put_table(q, cmd);
	cmd->table = large;
	walk->bvec = large->bvec;
	walk->room = large->room;
	return 0;
}

/* More segments than the command has room for: one of the queue's tables. */
static u16 nvtgt_vfu_get_table(struct nvtgt_vfu_walk *walk)
{
	struct nvtgt_vfu_queue *q = walk->q;
	struct nvtgt_vfu_cmd *cmd = walk->cmd;

	if (cmd->table)
		return nvtgt_vfu_get_large(walk);
	cmd->table = list_first_entry_or_null(&q->tables, struct nvtgt_vfu_table, entry);
	if (cmd->table) {
		list_del(&cmd->table->entry);
	} else {
		if (q->nr_tables == NVTGT_VFU_MAX_TABLES)
			return NVTGT_VFU_WAIT;
		cmd->table = nvtgt_vfu_alloc_table(NVTGT_VFU_SEGS);
		if (!cmd->table)
			return q->nr_tables ? NVTGT_VFU_WAIT : NVTGT_VFU_NO_MEMORY;
		q->nr_tables++;
	}
	memcpy(cmd->table->bvec, cmd->few, sizeof(cmd->few));
	walk->bvec = cmd->table->bvec;
	walk->room = NVTGT_VFU_SEGS;
	return 0;
}

/* Adds a piece of a page. */
static u16 nvtgt_vfu_add(struct nvtgt_vfu_walk *walk, u64 gpa, u32 len)
{
	struct nvtgt_vfu_cmd *cmd = walk->cmd;
	unsigned int off = gpa & (NVTGT_VFU_PAGE - 1);
	struct page *page;
	u16 status;
	int ret;

	ret = nvtgt_vfu_find_page(walk->q->dev, gpa, cmd->req.dir == DMA_FROM_DEVICE, &page);
	if (unlikely(ret))
		return nvtgt_vfu_no_page(ret);
	walk->left -= len;
	if (!cmd->high || gpa < cmd->low)
		cmd->low = gpa;
	if (gpa + len > cmd->high)
		cmd->high = gpa + len;
	if (cmd->nr) {
		struct bio_vec *last = &walk->bvec[cmd->nr - 1];

		if (last->bv_offset + last->bv_len == PAGE_SIZE * (page - last->bv_page) + off &&
		    page_to_pfn(page) >= page_to_pfn(last->bv_page) &&
		    page_to_phys(last->bv_page) + last->bv_offset + last->bv_len ==
		    page_to_phys(page) + off) {
			last->bv_len += len;
			return 0;
		}
	}
	if (cmd->nr == walk->room) {
		status = nvtgt_vfu_get_table(walk);
		if (status)
			return status;
	}
	bvec_set_page(&walk->bvec[cmd->nr++], page, len, off);
	return 0;
}

static u16 nvtgt_vfu_bad_prp(struct nvtgt_vfu_walk *walk)
{
	walk->cmd->req.error_loc = offsetof(struct nvme_common_command, dptr);
	return NVME_SC_PRP_INVALID_OFFSET | NVME_STATUS_DNR;
}

/* A PRP list: pages of addresses, the last of a full page names the next one. */
static u16 nvtgt_vfu_prp_list(struct nvtgt_vfu_walk *walk, u64 list)
{
	unsigned int at = (list & (NVTGT_VFU_PAGE - 1)) / sizeof(__le64);
	const __le64 *entries = NULL;

	if (list % sizeof(__le64))
		return nvtgt_vfu_bad_prp(walk);
	while (walk->left) {
		u16 status;
		u64 prp;

		if (!entries) {
			struct page *page;
			int ret;

			ret = nvtgt_vfu_find_page(walk->q->dev, list, false, &page);
			if (unlikely(ret))
				return nvtgt_vfu_no_page(ret);
			entries = page_address(page);
		}
		prp = le64_to_cpu(READ_ONCE(entries[at]));
		if (prp & (NVTGT_VFU_PAGE - 1))
			return nvtgt_vfu_bad_prp(walk);
		if (++at == NVTGT_VFU_PER_PAGE && walk->left > NVTGT_VFU_PAGE) {
			/* MDTS bounds how many of them there are: each has 511 addresses */
			list = prp;
			at = 0;
			entries = NULL;
			continue;
		}
		status = nvtgt_vfu_add(walk, prp, min_t(u32, walk->left, NVTGT_VFU_PAGE));
		if (unlikely(status))
			return status;
	}
	return 0;
}

static u16 nvtgt_vfu_prps(struct nvtgt_vfu_walk *walk)
{
	const union nvme_data_ptr *dptr = &walk->cmd->sqe.common.dptr;
	u64 prp1 = le64_to_cpu(dptr->prp1), prp2 = le64_to_cpu(dptr->prp2);
	u16 status;

	if (prp1 % sizeof(__le32))
		return nvtgt_vfu_bad_prp(walk);
	status = nvtgt_vfu_add(walk, prp1, min_t(u32, walk->left,
						 NVTGT_VFU_PAGE - (prp1 & (NVTGT_VFU_PAGE - 1))));
	if (status || !walk->left)
		return status;
	if (walk->left > NVTGT_VFU_PAGE)
		return nvtgt_vfu_prp_list(walk, prp2);
	if (prp2 & (NVTGT_VFU_PAGE - 1))
		return nvtgt_vfu_bad_prp(walk);
	return nvtgt_vfu_add(walk, prp2, walk->left);
}

static u16 nvtgt_vfu_bad_sgl(struct nvtgt_vfu_walk *walk, u16 status)
{
	walk->cmd->req.error_loc = offsetof(struct nvme_common_command, dptr);
	return status | NVME_STATUS_DNR;
}

/* A data block, which may go over many pages. */
static u16 nvtgt_vfu_sgl_data(struct nvtgt_vfu_walk *walk, u64 addr, u32 len)
{
	if (len > walk->left || addr + len < addr)
		return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_DATA);
	while (len) {
		u32 part = min_t(u32, len, NVTGT_VFU_PAGE - (addr & (NVTGT_VFU_PAGE - 1)));
		u16 status;

		status = nvtgt_vfu_add(walk, addr, part);
		if (unlikely(status))
			return status;
		addr += part;
		len -= part;
	}
	return 0;
}

/* Copies a descriptor, which may go over the end of a page, from guest memory. */
static u16 nvtgt_vfu_read_desc(struct nvtgt_vfu_walk *walk, u64 gpa, struct nvme_sgl_desc *desc)
{
	unsigned int off = gpa & (NVTGT_VFU_PAGE - 1);
	unsigned int part = min_t(unsigned int, sizeof(*desc), NVTGT_VFU_PAGE - off);
	struct page *page;
	int ret;

	ret = nvtgt_vfu_find_page(walk->q->dev, gpa, false, &page);
	if (ret)
		return nvtgt_vfu_no_page(ret);
	memcpy(desc, page_address(page) + off, part);
	if (part == sizeof(*desc))
		return 0;
	ret = nvtgt_vfu_find_page(walk->q->dev, gpa + part, false, &page);
	if (ret)
		return nvtgt_vfu_no_page(ret);
	memcpy((void *)desc + part, page_address(page), sizeof(*desc) - part);
	return 0;
}

/* A segment of descriptors. Returns with the next segment's in @next, if there is one. */
static u16 nvtgt_vfu_sgl_segment(struct nvtgt_vfu_walk *walk, const struct nvme_sgl_desc *segment,
				 struct nvme_sgl_desc *next, bool *more)
{
	u64 addr = le64_to_cpu(segment->addr);
	u32 len = le32_to_cpu(segment->length);
	bool last = segment->type >> 4 == NVME_SGL_FMT_LAST_SEG_DESC;
	unsigned int i, nr = len / sizeof(*next);

	*more = false;
	if (!nr || len % sizeof(*next) || addr + len < addr)
		return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_LAST);
	for (i = 0; i < nr; i++) {
		struct nvme_sgl_desc desc;
		u16 status;

		if (++walk->descs > NVTGT_VFU_MAX_DESCS)
			return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_COUNT);
		status = nvtgt_vfu_read_desc(walk, addr + i * sizeof(desc), &desc);
		if (status)
			return status;
		if (desc.type == NVME_SGL_FMT_DATA_DESC << 4) {
			status = nvtgt_vfu_sgl_data(walk, le64_to_cpu(desc.addr),
						    le32_to_cpu(desc.length));
			if (status)
				return status;
			continue;
		}
		if (desc.type != NVME_SGL_FMT_SEG_DESC << 4 &&
		    desc.type != NVME_SGL_FMT_LAST_SEG_DESC << 4)
			return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_TYPE);
		/* another segment is named by the last descriptor, and not by the last segment's */
		if (last || i != nr - 1)
			return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_LAST);
		*next = desc;
		*more = true;
	}
	return 0;
}

static u16 nvtgt_vfu_sgls(struct nvtgt_vfu_walk *walk)
{
	struct nvme_sgl_desc segment = walk->cmd->sqe.common.dptr.sgl;
	bool more = true;
	u16 status = 0;

	switch (segment.type) {
	case NVME_SGL_FMT_DATA_DESC << 4:
		status = nvtgt_vfu_sgl_data(walk, le64_to_cpu(segment.addr),
					    le32_to_cpu(segment.length));
		break;
	case NVME_SGL_FMT_SEG_DESC << 4:
	case NVME_SGL_FMT_LAST_SEG_DESC << 4:
		while (!status && more) {
			struct nvme_sgl_desc next;

			status = nvtgt_vfu_sgl_segment(walk, &segment, &next, &more);
			if (!status && more)
				segment = next;
		}
		break;
	default:
		return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_TYPE);
	}
	if (!status && walk->left)
		return nvtgt_vfu_bad_sgl(walk, NVME_SC_SGL_INVALID_DATA);
	return status;
}

/* Do the segments suit the device, and may the guest write into them while they are written? */
static bool nvtgt_vfu_must_bounce(const struct nvtgt_vfu_cmd *cmd, const struct bio_vec *bvec)
{
	unsigned int i;

	if (unlikely(cmd->stable || cmd->nr > NVTGT_VFU_SEGS))
		return true;
	for (i = 0; i < cmd->nr; i++)
		if (bvec[i].bv_offset & cmd->offset_mask || bvec[i].bv_len & cmd->len_mask)
			return true;
	return false;
}

/* The guest's segments of a command. */
static struct bio_vec *nvtgt_vfu_segs(struct nvtgt_vfu_cmd *cmd)
{
	return cmd->table ? cmd->table->bvec : cmd->few;
}

/* Where are the data? Returns 0, a status or NVTGT_VFU_WAIT; the command holds nothing then. */
static u16 nvtgt_vfu_resolve(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd)
{
	struct nvtgt_vfu_walk walk = {
		.q = q, .cmd = cmd, .bvec = cmd->few, .room = NVTGT_INLINE_BVECS,
		.left = cmd->req.data_len,
	};
	u16 status;

	cmd->nr = 0;
	cmd->low = 0;
	cmd->high = 0;
	if (cmd->sqe.common.flags & NVME_CMD_SGL_ALL)
		status = nvtgt_vfu_sgls(&walk);
	else
		status = nvtgt_vfu_prps(&walk);
	/* a command that takes long to look at counts as several */
	q->spent += walk.descs / NVTGT_VFU_DESCS_SHARE;
	if (likely(!status))
		return 0;
	nvtgt_vfu_put_table(q, cmd);
	cmd->nr = 0;
	cmd->high = 0;
	return status;
}

/**
 * nvtgt_vfu_mem_get - resolve a command's data, and get memory if they have to be copied
 * @req: parsed, with data
 *
 * Context: the reactor.
 * Return: 0: nvtgt_vfu_mem_got() goes on, with a status where the data cannot be reached; -EBUSY:
 *	a page is being pinned; -ENOMEM; what nvtgt_buf_get() returns
 */
int nvtgt_vfu_mem_get(struct nvtgt_req *req)
{
	struct nvtgt_vfu_queue *q = to_nvtgt_vfu_queue(req->queue);
	struct nvtgt_vfu_cmd *cmd = to_nvtgt_vfu_cmd(req);
	struct bio_vec *bvec;
	int ret;

	cmd->bounce = false;
	cmd->status = nvtgt_vfu_resolve(q, cmd);
	if (unlikely(cmd->status)) {
		if (cmd->status == NVTGT_VFU_NO_MEMORY)
			return -ENOMEM;
		if (cmd->status != NVTGT_VFU_WAIT)
			return 0;
		/* the page may have come, and the kick with it, before this command waits */
		return -EBUSY;
	}
	bvec = nvtgt_vfu_segs(cmd);
	if (likely(!nvtgt_vfu_must_bounce(cmd, bvec))) {
		req->bvec = bvec;
		req->nr_bvec = cmd->nr;
		return 0;
	}
	cmd->bounce = true;
	q->spent += req->data_len / NVTGT_VFU_COPY_SHARE;
	ret = nvtgt_conn_has_room(&q->conn, req->data_len) ? nvtgt_buf_get(req) : -EBUSY;
	if (ret) {
		nvtgt_vfu_put_table(q, cmd);
		cmd->high = 0;
	}
	return ret;
}

/*
 * Copies between the guest's segments and the request's. A segment may go over several folios that
 * lie one after the other, which copy_to_iter() takes for an overrun of the first: hence not that one.
 */
static void nvtgt_vfu_copy(struct nvtgt_vfu_cmd *cmd, bool to_guest)
{
	struct nvtgt_req *req = &cmd->req;
	struct bio_vec *bvec = nvtgt_vfu_segs(cmd);
	struct iov_iter iter;
	unsigned int i;

	iov_iter_bvec(&iter, to_guest ? ITER_SOURCE : ITER_DEST, req->bvec, req->nr_bvec,
		      req->data_len);
	for (i = 0; i < cmd->nr; i++) {
		void *guest = page_address(bvec[i].bv_page) + bvec[i].bv_offset;
		size_t done;

		done = to_guest ? _copy_from_iter(guest, bvec[i].bv_len, &iter) :
				  _copy_to_iter(guest, bvec[i].bv_len, &iter);
		WARN_ON_ONCE(done != bvec[i].bv_len);
	}
}

/**
 * nvtgt_vfu_mem_got - a command's data are there
 * @req: in MEMORY, in no list
 *
 * Context: the reactor.
 */
void nvtgt_vfu_mem_got(struct nvtgt_req *req)
{
	struct nvtgt_vfu_cmd *cmd = to_nvtgt_vfu_cmd(req);

	if (unlikely(cmd->status)) {
		nvtgt_req_fail(req, cmd->status);
		return;
	}
	if (unlikely(cmd->bounce) && req->dir == DMA_TO_DEVICE)
		nvtgt_vfu_copy(cmd, false);
	nvtgt_req_execute(req);
}

/**
 * nvtgt_vfu_new_cmd - a command has been fetched
 * @q: the queue
 * @cmd: with its entry in sqe
 *
 * Context: the reactor.
 */
void nvtgt_vfu_new_cmd(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd)
{
	struct nvtgt_req *req = &cmd->req;

	cmd->nr = 0;
	cmd->high = 0;
	cmd->bounce = false;
	nvtgt_req_init(req, &q->conn.queue, &cmd->sqe, 0);
	if (unlikely(!nvtgt_req_parse(req))) {
		nvtgt_req_fail(req, req->status);
		return;
	}
	if (!req->data_len) {
		nvtgt_req_execute(req);
		return;
	}
	/* noted, for a command that waits has no namespace */
	cmd->offset_mask = req->ns ? req->ns->seg_offset_mask : 0;
	cmd->len_mask = req->ns ? req->ns->seg_len_mask : 0;
	cmd->stable = req->ns && req->ns->stable_writes && req->dir == DMA_TO_DEVICE;
	nvtgt_req_set_state(req, NVTGT_REQ_MEMORY);
	if (likely(nvtgt_conn_try_mem(&q->conn, req, false, nvtgt_vfu_mem_get)))
		nvtgt_vfu_mem_got(req);
	else
		nvtgt_conn_wait_mem(&q->conn, req, false);
}

/* The command is over for guest memory. */
static void nvtgt_vfu_let_memory(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd)
{
	struct nvtgt_vfu_fence *fence = cmd->fence;

	nvtgt_vfu_put_table(q, cmd);
	cmd->high = 0;
	if (unlikely(fence)) {
		cmd->fence = NULL;
		nvtgt_vfu_fence_put(fence);
	}
}

/**
 * nvtgt_vfu_put_cmd - a command is over
 * @q: the queue
 * @cmd: in no list
 *
 * Context: the reactor.
 */
void nvtgt_vfu_put_cmd(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd)
{
	/* entries may wait for a request */
	if (unlikely(list_empty(&q->conn.free)))
		nvtgt_source_kick(&q->conn.source);
	nvtgt_conn_put_req(&q->conn, &cmd->req);
	nvtgt_conn_mem_kick(&q->conn, false);
}

/**
 * nvtgt_vfu_respond - a command has its result
 * @req: responding
 *
 * Context: the reactor.
 */
void nvtgt_vfu_respond(struct nvtgt_req *req)
{
	struct nvtgt_vfu_queue *q = to_nvtgt_vfu_queue(req->queue);
	struct nvtgt_vfu_cmd *cmd = to_nvtgt_vfu_cmd(req);
	bool live = q->conn.state == NVTGT_CONN_LIVE;

	nvtgt_source_work(&q->conn.source, req->data_len);
	if (unlikely(cmd->bounce) && cmd->high && live && req->dir == DMA_FROM_DEVICE &&
	    !req->status)
		nvtgt_vfu_copy(cmd, true);
	nvtgt_vfu_let_memory(q, cmd);
	if (unlikely(!live)) {
		nvtgt_conn_put_req(&q->conn, req);
		nvtgt_conn_try_leave(&q->conn);
		return;
	}
	/* in their order, when the guest has left no room for some */
	if (likely(list_empty(&q->done)) && likely(nvtgt_vfu_post(q, req)))
		nvtgt_vfu_put_cmd(q, cmd);
	else
		list_add_tail(&req->entry, &q->done);
}

/**
 * nvtgt_vfu_drop - the queue ends: a command is not executed, or not answered
 * @req: in MEMORY, or responding
 *
 * Context: the reactor.
 */
void nvtgt_vfu_drop(struct nvtgt_req *req)
{
	struct nvtgt_vfu_queue *q = to_nvtgt_vfu_queue(req->queue);

	list_del_init(&req->entry);
	if (req->state == NVTGT_REQ_RESPONDING)
		nvtgt_conn_put_req(&q->conn, req);
	else
		nvtgt_req_fail(req, NVME_SC_ABORT_QUEUE);
}

/**
 * nvtgt_vfu_fence_cmds - a range of guest memory goes: commands that use it are waited for
 * @q: the queue
 * @fence: what waits
 *
 * Context: the reactor.
 */
void nvtgt_vfu_fence_cmds(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_fence *fence)
{
	unsigned int i;

	for (i = 0; i < q->conn.nr_slots; i++) {
		struct nvtgt_vfu_cmd *cmd = to_nvtgt_vfu_cmd(nvtgt_conn_find_req(&q->conn, i));

		if (cmd->req.state == NVTGT_REQ_FREE || !cmd->high || cmd->fence ||
		    cmd->low >= fence->gpa + fence->size || cmd->high <= fence->gpa)
			continue;
		kref_get(&fence->ref);
		atomic_inc(&fence->left);
		cmd->fence = fence;
	}
}

/**
 * nvtgt_vfu_free_tables - a queue goes
 * @q: without commands
 */
void nvtgt_vfu_free_tables(struct nvtgt_vfu_queue *q)
{
	struct nvtgt_vfu_table *table, *next;

	list_for_each_entry_safe(table, next, &q->tables, entry)
		kfree(table);
}
