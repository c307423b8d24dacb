// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt-loop: a transport without a wire, and without a host's driver: for tests, for
 * configurations that name a port of type "loop", and to show what a transport has to do.
 *
 * Each port is a file, /sys/kernel/debug/nvtgt-loop/PORT. A process that opens it is a host
 * with a connection. A write is a capsule: the command (64 bytes), and behind it the command's
 * data; EAGAIN says that the process has to read responses first, EPIPE that the target
 * has ended the connection. A read takes the next response: the completion queue entry (16
 * bytes), and behind it the data that the command has brought. A read waits for one, and
 * returns 0 when the target has ended the connection; when the port was closed before the call,
 * debugfs answers EIO. The length in the command's SGL counts, whatever its type.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <nvtgt/conn.h>

#define NVTGT_LOOP_QUEUE_SIZE	128		/* default of param_max_queue_size */
#define NVTGT_LOOP_MAX_DATA	(4096 << NVTGT_MAX_MDTS)
#define NVTGT_LOOP_MAX_CAPSULES	128		/* of a connection, responses not read */
#define NVTGT_LOOP_MAX_HELD	(16 << 20)	/* bytes of room for data in these */

/* struct nvtgt_loop_capsule - a command's, and then its response's */
struct nvtgt_loop_capsule {
	struct list_head entry;		/* queue->in, queue->out */
	struct nvme_command sqe;
	struct nvme_completion cqe;
	u32 len;			/* bytes of data */
	u32 room;			/* bytes that data has room for */
	u8 *data;
};

/* struct nvtgt_loop_cmd - a command */
struct nvtgt_loop_cmd {
	struct nvtgt_req req;
	struct nvtgt_loop_capsule *capsule;
};

/* struct nvtgt_loop_queue - a connection */
struct nvtgt_loop_queue {
	struct nvtgt_conn conn;
	struct kref ref;		/* the target's, and the file's */
	spinlock_t lock;		/* protects what follows */
	bool ended;			/* nvtgt_loop_close() has run */
	struct list_head in, out;	/* nvtgt_loop_capsule */
	unsigned int nr;		/* capsules whose response the process has not read */
	u32 held;			/* bytes of room in them */
	wait_queue_head_t wait;
};

/* struct nvtgt_loop_port - a file that can be opened */
struct nvtgt_loop_port {
	struct nvtgt_port *port;
	struct dentry *file;
	bool closing;			/* set before remove_port() takes conns->lock */
};

static struct dentry *nvtgt_loop_debugfs;
static const struct nvtgt_transport_ops nvtgt_loop_ops;

static struct nvtgt_conns nvtgt_loop_conns = {
	NVTGT_CONNS_DEFAULTS,
	.name		= "nvtgt-loop",
	.opening	= "Connect",
	.cmd_name	= "nvtgt_loop_cmd",
	.cmd_size	= sizeof(struct nvtgt_loop_cmd),
	.cmd_gfp	= GFP_NOWAIT,
};

NVTGT_CONNS_PARAMS(nvtgt_loop_conns);

static_assert(!offsetof(struct nvtgt_loop_cmd, req));

static struct nvtgt_loop_queue *to_nvtgt_loop_queue(struct nvtgt_queue *queue)
{
	return container_of(queue, struct nvtgt_loop_queue, conn.queue);
}

static struct nvtgt_loop_cmd *to_nvtgt_loop_cmd(struct nvtgt_req *req)
{
	return container_of(req, struct nvtgt_loop_cmd, req);
}

static void nvtgt_loop_free_capsule(struct nvtgt_loop_capsule *capsule)
{
	kvfree(capsule->data);
	kfree(capsule);
}

static void nvtgt_loop_release(struct kref *ref)
{
	struct nvtgt_loop_queue *q = container_of(ref, struct nvtgt_loop_queue, ref);
	struct nvtgt_loop_capsule *capsule, *next;

	list_splice(&q->in, &q->out);
	list_for_each_entry_safe(capsule, next, &q->out, entry)
		nvtgt_loop_free_capsule(capsule);
	kfree(q);
}

/*
 * The transport's part of a command's way. All of it runs in the reactor.
 */

static struct nvtgt_loop_capsule *nvtgt_loop_next(struct nvtgt_loop_queue *q)
{
	struct nvtgt_loop_capsule *capsule;

	spin_lock(&q->lock);
	capsule = list_first_entry_or_null(&q->in, struct nvtgt_loop_capsule, entry);
	if (capsule)
		list_del_init(&capsule->entry);
	spin_unlock(&q->lock);
	return capsule;
}

static void nvtgt_loop_give_back_capsule(struct nvtgt_loop_queue *q,
					 struct nvtgt_loop_capsule *capsule)
{
	spin_lock(&q->lock);
	list_add(&capsule->entry, &q->in);
	spin_unlock(&q->lock);
}

static int nvtgt_loop_mem_get(struct nvtgt_req *req)
{
	if (!nvtgt_conn_has_room(&to_nvtgt_loop_queue(req->queue)->conn, req->data_len))
		return -EBUSY;
	return nvtgt_buf_get(req);
}

static void nvtgt_loop_mem_got(struct nvtgt_req *req)
{
	struct nvtgt_loop_capsule *capsule = to_nvtgt_loop_cmd(req)->capsule;
	struct iov_iter iter;

	iov_iter_bvec(&iter, ITER_DEST, req->bvec, req->nr_bvec, req->data_len);
	if (req->dir == DMA_TO_DEVICE &&
	    copy_to_iter(capsule->data, min(capsule->len, req->data_len), &iter) != req->data_len)
		nvtgt_req_fail(req, NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR);
	else
		nvtgt_req_execute(req);
}

static void nvtgt_loop_new_cmd(struct nvtgt_loop_queue *q, struct nvtgt_req *req,
			       struct nvtgt_loop_capsule *capsule)
{
	to_nvtgt_loop_cmd(req)->capsule = capsule;
	nvtgt_req_init(req, &q->conn.queue, &capsule->sqe,
		       le32_to_cpu(capsule->sqe.common.dptr.sgl.length));
	if (!nvtgt_req_parse(req)) {
		nvtgt_req_fail(req, req->status);
	} else if (req->data_len > capsule->room) {
		nvtgt_req_fail(req, NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR);
	} else if (req->data_len) {
		nvtgt_req_set_state(req, NVTGT_REQ_MEMORY);
		if (nvtgt_conn_try_mem(&q->conn, req, false, nvtgt_loop_mem_get))
			nvtgt_loop_mem_got(req);
		else
			nvtgt_conn_wait_mem(&q->conn, req, false);
	} else {
		nvtgt_req_execute(req);
	}
}

static bool nvtgt_loop_receive(struct nvtgt_source *source)
{
	struct nvtgt_loop_queue *q = container_of(source, struct nvtgt_loop_queue, conn.source);
	struct nvtgt_loop_capsule *capsule;
	struct nvtgt_req *req;

	if (unlikely(READ_ONCE(q->conn.flags)))
		nvtgt_conn_take_events(&q->conn);
	/* there is nothing that both ends have to agree on first */
	if (q->conn.state == NVTGT_CONN_OPENING)
		nvtgt_conn_set_state(&q->conn, NVTGT_CONN_LIVE);
	if (q->conn.state != NVTGT_CONN_LIVE)
		return false;
	capsule = nvtgt_loop_next(q);
	if (!capsule)
		return false;
	req = nvtgt_conn_get_req(&q->conn);
	if (!req) {
		nvtgt_loop_give_back_capsule(q, capsule);
		/*
		 * nvtgt_loop_respond() kicks the source when a request is free. If memory for a
		 * new request was short, no response may be to come: the timer kicks it.
		 */
		if (q->conn.nr_slots < q->conn.max_slots)
			nvtgt_conn_look_by(&q->conn, jiffies + 1);
		return false;
	}
	nvtgt_loop_new_cmd(q, req, capsule);
	return true;
}

/* Copies what a command has brought into its capsule, for nvtgt_loop_read(). */
static void nvtgt_loop_take_data(struct nvtgt_req *req, struct nvtgt_loop_capsule *capsule)
{
	struct iov_iter iter;

	capsule->len = 0;
	if (req->dir != DMA_FROM_DEVICE || !req->data_len || req->status)
		return;
	iov_iter_bvec(&iter, ITER_SOURCE, req->bvec, req->nr_bvec, req->data_len);
	capsule->len = copy_from_iter(capsule->data, req->data_len, &iter);
}

static void nvtgt_loop_respond(struct nvtgt_req *req)
{
	struct nvtgt_loop_capsule *capsule = to_nvtgt_loop_cmd(req)->capsule;
	struct nvtgt_loop_queue *q = to_nvtgt_loop_queue(req->queue);

	nvtgt_source_work(&q->conn.source, req->data_len);
	nvtgt_loop_take_data(req, capsule);
	nvtgt_req_cqe(req, &capsule->cqe);
	nvtgt_conn_put_req(&q->conn, req);
	spin_lock(&q->lock);
	list_add_tail(&capsule->entry, &q->out);
	spin_unlock(&q->lock);
	wake_up(&q->wait);
	nvtgt_source_kick(&q->conn.source);	/* a capsule may wait for a request */
	nvtgt_conn_mem_kick(&q->conn, false);
	nvtgt_conn_try_leave(&q->conn);
}

/* It has not been executed: nvtgt_loop_respond() itself answers those that have. */
static void nvtgt_loop_drop(struct nvtgt_req *req)
{
	list_del_init(&req->entry);
	nvtgt_req_fail(req, NVME_SC_ABORT_QUEUE);
}

static void nvtgt_loop_close(struct nvtgt_conn *conn)
{
	struct nvtgt_loop_queue *q = to_nvtgt_loop_queue(&conn->queue);

	if (!nvtgt_conn_begin_end(conn, NVTGT_CONN_CLOSING))
		return;
	nvtgt_conn_drop_reqs(conn);
	spin_lock(&q->lock);
	q->ended = true;
	spin_unlock(&q->lock);
	wake_up(&q->wait);
	nvtgt_conn_try_leave(conn);
}

static void nvtgt_loop_connected(struct nvtgt_conn *conn)
{
	conn->max_slots = conn->queue.size;
}

/*
 * The file's operations touch the connection only under the lock, and no more once
 * nvtgt_loop_close() has set q->ended: wait for one that holds the lock.
 */
static void nvtgt_loop_end(struct nvtgt_conn *conn)
{
	struct nvtgt_loop_queue *q = to_nvtgt_loop_queue(&conn->queue);

	spin_lock(&q->lock);
	spin_unlock(&q->lock);
}

static void nvtgt_loop_free(struct nvtgt_conn *conn)
{
	kref_put(&to_nvtgt_loop_queue(&conn->queue)->ref, nvtgt_loop_release);
}

/*
 * The file.
 */

static int nvtgt_loop_open(struct inode *inode, struct file *file)
{
	const struct sockaddr_storage nowhere = {};
	struct nvtgt_loop_port *lport = inode->i_private;
	struct nvtgt_port *port = lport->port;
	struct nvtgt_reactor *reactor;
	struct nvtgt_loop_queue *q;
	int ret;

	reactor = nvtgt_reactor_get(port->cpus, raw_smp_processor_id());
	if (IS_ERR(reactor))
		return PTR_ERR(reactor);
	ret = -ENOMEM;
	q = kzalloc(sizeof(*q), GFP_KERNEL);
	if (!q)
		goto put_reactor;
	kref_init(&q->ref);
	spin_lock_init(&q->lock);
	INIT_LIST_HEAD(&q->in);
	INIT_LIST_HEAD(&q->out);
	init_waitqueue_head(&q->wait);
	q->conn.source.receive = nvtgt_loop_receive;
	q->conn.max_slots = 1;
	ret = nvtgt_conn_init(&q->conn, port, &nvtgt_loop_ops, &nowhere);
	if (ret)
		goto free;
	snprintf(q->conn.host_traddr, sizeof(q->conn.host_traddr), "process:%d",
		 task_tgid_nr(current));
	kref_get(&q->ref);
	file->private_data = q;
	/*
	 * nvtgt_loop_remove_port() ends the connections that it finds in the list. If
	 * nvtgt_conn_init() put this one there too late, it took conns->lock after
	 * nvtgt_loop_remove_port(), and lport->closing is seen here.
	 */
	if (READ_ONCE(lport->closing))
		nvtgt_conn_disconnect(&q->conn);
	nvtgt_conn_start(&q->conn, reactor);
	nvtgt_conn_go(&q->conn);
	return 0;

free:
	kfree(q);
put_reactor:
	nvtgt_reactor_put(reactor);
	return ret;
}

static int nvtgt_loop_close_file(struct inode *inode, struct file *file)
{
	struct nvtgt_loop_queue *q = file->private_data;

	spin_lock(&q->lock);
	if (!q->ended)
		nvtgt_conn_disconnect(&q->conn);
	spin_unlock(&q->lock);
	kref_put(&q->ref, nvtgt_loop_release);
	return 0;
}

static struct nvtgt_loop_capsule *nvtgt_loop_copy_capsule(const char __user *buf, size_t len)
{
	struct nvtgt_loop_capsule *capsule;

	if (len < sizeof(capsule->sqe) || len - sizeof(capsule->sqe) > NVTGT_LOOP_MAX_DATA)
		return ERR_PTR(-EINVAL);
	capsule = kzalloc(sizeof(*capsule), GFP_KERNEL);
	if (!capsule)
		return ERR_PTR(-ENOMEM);
	capsule->len = len - sizeof(capsule->sqe);
	if (copy_from_user(&capsule->sqe, buf, sizeof(capsule->sqe))) {
		kfree(capsule);
		return ERR_PTR(-EFAULT);
	}
	/* a command that is executed moves no more than its SGL says */
	capsule->room = min_t(u32, le32_to_cpu(capsule->sqe.common.dptr.sgl.length),
			      NVTGT_LOOP_MAX_DATA);
	capsule->room = max3(capsule->room, capsule->len, 1U);
	capsule->data = kvmalloc(capsule->room, GFP_KERNEL_ACCOUNT);
	if (!capsule->data) {
		kfree(capsule);
		return ERR_PTR(-ENOMEM);
	}
	if (copy_from_user(capsule->data, buf + sizeof(capsule->sqe), capsule->len)) {
		nvtgt_loop_free_capsule(capsule);
		return ERR_PTR(-EFAULT);
	}
	return capsule;
}

static ssize_t nvtgt_loop_write(struct file *file, const char __user *buf, size_t len,
				loff_t *ppos)
{
	struct nvtgt_loop_capsule *capsule = nvtgt_loop_copy_capsule(buf, len);
	struct nvtgt_loop_queue *q = file->private_data;
	int ret = 0;

	if (IS_ERR(capsule))
		return PTR_ERR(capsule);
	spin_lock(&q->lock);
	if (q->ended)
		ret = -EPIPE;
	else if (q->nr == NVTGT_LOOP_MAX_CAPSULES ||
		 q->held + capsule->room > NVTGT_LOOP_MAX_HELD)
		ret = -EAGAIN;
	if (!ret) {
		q->nr++;
		q->held += capsule->room;
		list_add_tail(&capsule->entry, &q->in);
		nvtgt_source_kick(&q->conn.source);
	}
	spin_unlock(&q->lock);
	if (ret)
		nvtgt_loop_free_capsule(capsule);
	return ret ?: len;
}

static struct nvtgt_loop_capsule *nvtgt_loop_take_response(struct nvtgt_loop_queue *q, bool *ended)
{
	struct nvtgt_loop_capsule *capsule;

	spin_lock(&q->lock);
	capsule = list_first_entry_or_null(&q->out, struct nvtgt_loop_capsule, entry);
	if (capsule) {
		list_del_init(&capsule->entry);
		q->nr--;
		q->held -= capsule->room;
	}
	*ended = q->ended;
	spin_unlock(&q->lock);
	return capsule;
}

static ssize_t nvtgt_loop_read(struct file *file, char __user *buf, size_t len, loff_t *ppos)
{
	struct nvtgt_loop_queue *q = file->private_data;
	struct nvtgt_loop_capsule *capsule = NULL;
	bool ended = false;
	ssize_t ret;

	ret = wait_event_interruptible(q->wait,
				       (capsule = nvtgt_loop_take_response(q, &ended)) || ended);
	if (ret || !capsule)
		return ret;
	ret = sizeof(capsule->cqe) + capsule->len;
	/* a buffer that is too short loses the response: the process knows what it asked for */
	if (len < ret)
		ret = -EMSGSIZE;
	else if (copy_to_user(buf, &capsule->cqe, sizeof(capsule->cqe)) ||
		 copy_to_user(buf + sizeof(capsule->cqe), capsule->data, capsule->len))
		ret = -EFAULT;
	nvtgt_loop_free_capsule(capsule);
	return ret;
}

static const struct file_operations nvtgt_loop_fops = {
	.owner		= THIS_MODULE,
	.open		= nvtgt_loop_open,
	.release	= nvtgt_loop_close_file,
	.read		= nvtgt_loop_read,
	.write		= nvtgt_loop_write,
};

/*
 * Ports, and the module.
 */

static int nvtgt_loop_add_port(struct nvtgt_port *port)
{
	struct nvtgt_loop_port *lport;
	char name[8];
	int ret;

	lport = kzalloc(sizeof(*lport), GFP_KERNEL);
	if (!lport)
		return -ENOMEM;
	lport->port = port;
	port->inline_data_size = 0;
	if (port->max_queue_size < 0)
		port->max_queue_size = NVTGT_LOOP_QUEUE_SIZE;
	if (port->mdts <= 0)
		port->mdts = NVTGT_DEFAULT_MDTS;
	snprintf(name, sizeof(name), "%u", port->id);
	lport->file = debugfs_create_file(name, 0600, nvtgt_loop_debugfs, lport, &nvtgt_loop_fops);
	if (IS_ERR(lport->file)) {
		ret = PTR_ERR(lport->file);
		pr_err("port %u: no file in debugfs: error %d\n", port->id, ret);
		kfree(lport);
		return ret;
	}
	port->priv = lport;
	pr_info("port %u: no host's driver reaches it, only debugfs: nvtgt-loop/%s\n", port->id,
		name);
	return 0;
}

static void nvtgt_loop_remove_port(struct nvtgt_port *port)
{
	struct nvtgt_loop_port *lport = port->priv;

	/* debugfs_remove() waits for processes in read(), which wait for the connection's end */
	WRITE_ONCE(lport->closing, true);
	nvtgt_conns_disconnect_port(&nvtgt_loop_conns, port);
	debugfs_remove(lport->file);
	port->priv = NULL;
	kfree(lport);
}

static const struct nvtgt_transport_ops nvtgt_loop_ops = {
	.version	= NVTGT_TRANSPORT_VERSION,
	.size		= sizeof(struct nvtgt_transport_ops),
	.name		= "loop",
	.owner		= THIS_MODULE,
	.conns		= &nvtgt_loop_conns,
	.trtype		= NVMF_TRTYPE_LOOP,
	.add_port	= nvtgt_loop_add_port,
	.remove_port	= nvtgt_loop_remove_port,
	.close		= nvtgt_loop_close,
	.connected	= nvtgt_loop_connected,
	.end		= nvtgt_loop_end,
	.free		= nvtgt_loop_free,
	.mem_get	= nvtgt_loop_mem_get,
	.mem_got	= nvtgt_loop_mem_got,
	.drop		= nvtgt_loop_drop,
	.respond	= nvtgt_loop_respond,
};

static int __init nvtgt_loop_init(void)
{
	int ret = nvtgt_conns_init(&nvtgt_loop_conns);

	if (ret)
		return ret;
	nvtgt_loop_debugfs = debugfs_create_dir(nvtgt_loop_conns.name, NULL);
	ret = nvtgt_transport_register(&nvtgt_loop_ops);
	if (ret) {
		debugfs_remove(nvtgt_loop_debugfs);
		nvtgt_conns_exit(&nvtgt_loop_conns);
	}
	return ret;
}

static void __exit nvtgt_loop_exit(void)
{
	nvtgt_transport_unregister(&nvtgt_loop_ops);
	debugfs_remove(nvtgt_loop_debugfs);
	nvtgt_conns_exit(&nvtgt_loop_conns);
}

module_init(nvtgt_loop_init);
module_exit(nvtgt_loop_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: a transport without a wire, for tests");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("nvtgt-transport-254");
