/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nvtgt-vfu: NVMe controllers for virtual machines. What its files share.
 *
 * main.c: the device file and the ports; dev.c: a controller's file, its registers and its
 * end; mem.c: guest memory; queue.c: queues and interrupts; admin.c: the admin commands of a
 * PCIe function; data.c: commands and their data.
 */
#ifndef _NVTGT_VFU_H
#define _NVTGT_VFU_H

#include <linux/completion.h>
#include <linux/eventfd.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/nvme.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <nvtgt/backend.h>
#include <nvtgt/pci.h>
#include <uapi/linux/nvtgt_vfu.h>

#define NVTGT_VFU_PAGE_SHIFT	12		/* of the host: CC.MPS is 0 */
#define NVTGT_VFU_PAGE		BIT(NVTGT_VFU_PAGE_SHIFT)

#define NVTGT_VFU_QUEUE_SIZE	1024		/* default of param_max_queue_size */
#define NVTGT_VFU_MDTS		8		/* largest: 1 MiB */
#define NVTGT_VFU_SEGS		((1U << NVTGT_VFU_MDTS) + 1)
#define NVTGT_VFU_MAX_TABLES	64		/* of NVTGT_VFU_SEGS segments, for a queue */
#define NVTGT_VFU_MAX_SEGS	1020		/* of a command whose data are copied: SGLs of odd pieces */
#define NVTGT_VFU_MAX_LARGE	8		/* tables of as many, for a queue */
#define NVTGT_VFU_RETRY		HZ		/* until pages that could not be pinned are tried again */
#define NVTGT_VFU_MAX_REGIONS	4096		/* of a guest */
#define NVTGT_VFU_MAX_VECTORS	2048		/* as many as MSI-X has */
#define NVTGT_VFU_DOORBELLS	0x1000		/* offset in BAR0; CAP.DSTRD is 0 */
#define NVTGT_VFU_MAX_ADMIN	4096		/* entries: AQA has 12 bits, zero based */

#define NVTGT_VFU_MAX_AERS	32		/* requests for events, more than AERL allows */

#define NVTGT_VFU_CHUNK_SHIFT	21		/* what is pinned at once: 2 MiB */
#define NVTGT_VFU_CHUNK_PAGES	(1U << (NVTGT_VFU_CHUNK_SHIFT - PAGE_SHIFT))

/* bits of nvtgt_conn.flags */
#define NVTGT_VFU_F_MEMORY	NVTGT_CONN_F_OWN	/* a chunk was pinned, or a region mapped */

/* struct nvtgt_vfu_port - an enabled port */
struct nvtgt_vfu_port {
	struct kref ref;
	struct list_head entry;		/* nvtgt_vfu_ports; nvtgt_vfu_ports_lock */
	struct nvtgt_port *port;	/* NULL when it has been disabled; nvtgt_vfu_ports_lock */
	struct nvtgt_vfu_dev *dev;	/* its controller; nvtgt_vfu_ports_lock */
	u16 id;
	char path[NVTGT_VFU_PATH_SIZE];
};

/*
 * Guest memory: a file of it, with what has been pinned of the file. Guests that have several
 * controllers share it, and so do regions of one file. mem.c tells its life.
 */
struct nvtgt_vfu_mem;

/* struct nvtgt_vfu_region - a piece of a guest's address space */
struct nvtgt_vfu_region {
	u64 gpa;
	u64 size;
	u64 offset;			/* in the file */
	u32 flags;			/* NVTGT_VFU_MAP_* */
	struct nvtgt_vfu_mem *mem;	/* NULL: nothing that can be reached */
};

/* struct nvtgt_vfu_map_table - a guest's regions, by address; replaced as a whole, under RCU */
struct nvtgt_vfu_map_table {
	struct rcu_head rcu;
	unsigned int nr;
	struct nvtgt_vfu_region *region[] __counted_by(nr);
};

/* struct nvtgt_vfu_fence - regions go: the commands that use them come back first */
struct nvtgt_vfu_fence {
	struct kref ref;		/* commands, calls that look for some, and the controller */
	u64 gpa;
	u64 size;
	atomic_t left;			/* the same, and the caller instead of the controller */
	struct completion done;
	struct nvtgt_vfu_map_table *gone;	/* the regions: freed with the last reference, */
	struct work_struct free_work;	/* … by this */
};

/* struct nvtgt_vfu_ring - a queue's entries in guest memory */
struct nvtgt_vfu_ring {
	u64 gpa;
	u16 size;			/* entries */
	u8 shift;			/* log2 of an entry's bytes */
	bool ok;			/* page[] is right */
	void *page[(NVTGT_VFU_MAX_ADMIN * sizeof(struct nvme_command)) / NVTGT_VFU_PAGE];
};

/* struct nvtgt_vfu_vector - an interrupt */
struct nvtgt_vfu_vector {
	spinlock_t lock;		/* protects what follows */
	struct eventfd_ctx *event;
	bool pending;			/* it was to be signalled while there was no event */
};

/* struct nvtgt_vfu_cq - a completion queue */
struct nvtgt_vfu_cq {
	struct kref ref;		/* dev->cqs[], and each submission queue's */
	u16 id;
	u16 vector;
	bool interrupts;
	u32 bar_head;			/* written by the doorbell, in any context */
	unsigned int nr_sqs;		/* dev->queue_lock */

	spinlock_t lock;		/* protects what follows */
	struct nvtgt_vfu_ring ring;
	u16 head, tail;
	bool phase;
	bool full;			/* a completion waits for the host to move the head */
	unsigned int dbbuf_gen;
	bool had_shadow;
	__le32 *shadow, *event;		/* of the shadow doorbells, or NULL */
};

/* struct nvtgt_vfu_table - room for a command's segments */
struct nvtgt_vfu_table {
	struct list_head entry;
	unsigned int room;
	struct bio_vec bvec[] __counted_by(room);
};

/* struct nvtgt_vfu_cmd - a command */
struct nvtgt_vfu_cmd {
	struct nvtgt_req req;
	struct nvme_command sqe;	/* copied: the guest may change its own */
	struct nvtgt_vfu_fence *fence;	/* what waits for it */
	struct nvtgt_vfu_table *table;	/* or NULL: @few has all segments */
	struct bio_vec few[NVTGT_INLINE_BVECS];
	u16 nr;				/* segments of guest memory */
	u16 offset_mask, len_mask;	/* what the namespace asks of segments */
	bool stable;			/* and of data that are written */
	bool bounce;			/* the data are copied between these and the request's */
	u16 status;			/* of a command that has waited for memory: it fails */
	u64 low, high;			/* it uses no guest memory outside of these; 0: none */
};

/* struct nvtgt_vfu_queue - a submission queue */
struct nvtgt_vfu_queue {
	struct nvtgt_conn conn;
	struct kref ref;		/* the connection's, and calls' */
	struct nvtgt_vfu_dev *dev;	/* holds a reference */
	struct nvtgt_vfu_cq *cq;	/* the same */
	u32 bar_tail;			/* written by the doorbell, in any context */
	struct nvtgt_req *delete_req;	/* Delete I/O Submission Queue; dev->queue_lock */

	/* the reactor's */
	struct nvtgt_vfu_ring ring;
	u16 head;
	bool signal;			/* entries have been posted since the last interrupt */
	unsigned int spent;		/* of this pass's share: entries, and what they cost */
	unsigned int dbbuf_gen;
	bool had_shadow;
	__le32 *shadow, *event;		/* of the shadow doorbells, or NULL */
	struct list_head done;		/* nvtgt_req.entry: no room in the completion queue */
	struct list_head tables;	/* free ones, of NVTGT_VFU_SEGS */
	unsigned int nr_tables;
	unsigned int nr_large;		/* tables of NVTGT_VFU_MAX_SEGS */

	struct nvtgt_call fence_call;
	struct nvtgt_vfu_fence *fence;	/* dev->unmap_lock; until fence_call has run, the reactor's */
};

/* struct nvtgt_vfu_dev - a controller, and the file that it is used by */
struct nvtgt_vfu_dev {
	struct kref ref;		/* the file's, and each queue's */
	struct nvtgt_vfu_port *vport;
	struct nvtgt_ctrl *ctrl;
	wait_queue_head_t wait;		/* poll(), and waits for queues to go */
	bool ended;			/* by the administrator */
	struct work_struct enable_work;
	struct work_struct free_work;
	struct list_head watch_entry;	/* nvtgt_vfu_watchers */

	struct mutex lock;		/* protects what follows, and making queues */
	bool closed;			/* the file is gone: no queue is made any more */
	u32 aqa;
	u64 asq, acq;
	u32 intm;			/* INTMS, INTMC: of no effect, for all interrupts are MSI-X */
	struct nvtgt_vfu_map_table __rcu *table;

	struct mutex unmap_lock;	/* around NVTGT_VFU_UNMAP, before lock; protects what follows */
	struct nvtgt_vfu_fence *fence;	/* of the last one, if it was killed while it waited */

	spinlock_t queue_lock;		/* protects the tables and delete_req */
	struct nvtgt_vfu_queue *sqs[NVTGT_MAX_QID + 1];
	struct nvtgt_vfu_cq *cqs[NVTGT_MAX_QID + 1];

	/* shadow doorbells: the addresses are written before the number */
	unsigned int dbbuf_gen;
	u64 dbbuf_shadow, dbbuf_event;	/* guest addresses, 0: none */

	unsigned int nr_vectors;
	struct nvtgt_vfu_vector vectors[] __counted_by(nr_vectors);
};

#define nvtgt_vfu_warn(dev, fmt, ...)						\
	pr_warn_ratelimited("%s: " fmt, (dev)->vport->path, ##__VA_ARGS__)

static inline struct nvtgt_vfu_queue *to_nvtgt_vfu_queue(struct nvtgt_queue *queue)
{
	return container_of(queue, struct nvtgt_vfu_queue, conn.queue);
}

static inline struct nvtgt_vfu_cmd *to_nvtgt_vfu_cmd(struct nvtgt_req *req)
{
	return container_of(req, struct nvtgt_vfu_cmd, req);
}

/* main.c */
extern struct nvtgt_conns nvtgt_vfu_conns;
extern const struct nvtgt_transport_ops nvtgt_vfu_ops;
int nvtgt_vfu_port_attach(u16 id, struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_port_detach(struct nvtgt_vfu_port *vport);
void nvtgt_vfu_port_put(struct nvtgt_vfu_port *vport);

/* dev.c */
int nvtgt_vfu_attach(const struct nvtgt_vfu_attach *attach);
void nvtgt_vfu_ctrl_ended(void *priv);
void nvtgt_vfu_dev_get(struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_dev_put(struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_queue_gone(struct nvtgt_vfu_dev *dev);

/* mem.c */
int nvtgt_vfu_mem_init(void);
void nvtgt_vfu_mem_exit(void);
int nvtgt_vfu_map(struct nvtgt_vfu_dev *dev, const struct nvtgt_vfu_map *map);
int nvtgt_vfu_unmap(struct nvtgt_vfu_dev *dev, const struct nvtgt_vfu_unmap *unmap);
int nvtgt_vfu_adopt(struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_free_regions(struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_watch_memory(struct nvtgt_vfu_dev *dev, bool watch);
int nvtgt_vfu_find_page(struct nvtgt_vfu_dev *dev, u64 gpa, bool write, struct page **page);
bool nvtgt_vfu_is_mapped(struct nvtgt_vfu_dev *dev, u64 gpa, u64 size, bool write);
void nvtgt_vfu_fence_put(struct nvtgt_vfu_fence *fence);

/* queue.c */
u16 nvtgt_vfu_queue_create(struct nvtgt_vfu_dev *dev, u16 qid, struct nvtgt_vfu_cq *cq, u64 gpa,
			   u16 size);
struct nvtgt_vfu_cq *nvtgt_vfu_cq_create(u16 id, u64 gpa, u16 size, u16 vector, bool interrupts);
void nvtgt_vfu_cq_put(struct nvtgt_vfu_cq *cq);
void nvtgt_vfu_doorbell(struct nvtgt_vfu_dev *dev, u32 offset, u32 value);
void nvtgt_vfu_kick_all(struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_queue_put(struct nvtgt_vfu_queue *q);
int nvtgt_vfu_set_irq(struct nvtgt_vfu_dev *dev, const struct nvtgt_vfu_irq *irq);
void nvtgt_vfu_forget_irqs(struct nvtgt_vfu_dev *dev);
void nvtgt_vfu_free_vectors(struct nvtgt_vfu_dev *dev);
bool nvtgt_vfu_post(struct nvtgt_vfu_queue *q, struct nvtgt_req *req);
void nvtgt_vfu_forget_rings(struct nvtgt_vfu_queue *q, u64 gpa, u64 size);
void nvtgt_vfu_forget_cq(struct nvtgt_vfu_cq *cq, u64 gpa, u64 size);
void nvtgt_vfu_flush(struct nvtgt_queue *queue);
void nvtgt_vfu_close(struct nvtgt_conn *conn);
void nvtgt_vfu_end(struct nvtgt_conn *conn);
void nvtgt_vfu_free(struct nvtgt_conn *conn);

/* admin.c */
u16 nvtgt_vfu_admin(struct nvtgt_req *req);

/* data.c */
void nvtgt_vfu_new_cmd(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd);
int nvtgt_vfu_mem_get(struct nvtgt_req *req);
void nvtgt_vfu_mem_got(struct nvtgt_req *req);
void nvtgt_vfu_respond(struct nvtgt_req *req);
void nvtgt_vfu_drop(struct nvtgt_req *req);
void nvtgt_vfu_put_cmd(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_cmd *cmd);
void nvtgt_vfu_fence_cmds(struct nvtgt_vfu_queue *q, struct nvtgt_vfu_fence *fence);
void nvtgt_vfu_free_tables(struct nvtgt_vfu_queue *q);

#endif /* _NVTGT_VFU_H */
