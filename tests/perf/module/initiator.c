// SPDX-License-Identifier: GPL-2.0
/*
 * The initiator: for each connection one thread that sends what may be sent in
 * one call and takes with read_sock what has come. Data that arrive are counted,
 * not copied; data that go out are spliced. So what is measured is the target
 * and TCP.
 *
 * Sessions (an admin queue and its I/O queues) stay connected until the module
 * goes, so that a measurement holds nothing of setting up and tearing down.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/crc32c.h>
#include <linux/in.h>
#include <linux/kthread.h>
#include <linux/net.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "perf.h"

#define PERF_HOSTNQN	"nqn.2014-08.org.nvmexpress:uuid:4e4e4e4e-4e4e-4e4e-4e4e-4e4e4e4e4e4e"
#define PERF_SQSIZE	127		/* from 0 */
#define PERF_HDR_ORDER	5		/* of the ring that headers are made in */
#define PERF_HDR_BYTES	(PAGE_SIZE << PERF_HDR_ORDER)
#define PERF_HDR_ROOM	128		/* a header, its digest, the digest of the data before */
#define PERF_BVECS	(PERF_MAX_QD * 4)

struct perf_queue;

/* A command in flight: its number is its identifier. */
struct perf_cmd {
	u32 received;			/* bytes of a read */
	u32 r2t_off, r2t_len;		/* bytes asked for and not sent */
	u16 ttag;
	u64 lba;
};

struct perf_queue {
	struct socket *sock;
	struct task_struct *task;
	struct perf_session *session;
	unsigned int qid;
	wait_queue_head_t wait;
	unsigned long flags;
#define PERF_Q_READY	0		/* something has arrived */
	int error;

	/* the job */
	const struct perf_job *job;
	unsigned int to_send, to_come;	/* commands */
	struct perf_cmd cmds[PERF_MAX_QD];
	u16 free[PERF_MAX_QD];
	unsigned int nr_free;
	u16 r2ts[PERF_MAX_QD];		/* commands with data to send, a ring */
	unsigned int r2t_head, nr_r2ts;
	struct rnd_state rnd;
	u64 lba;
	unsigned int sends, reads;

	/* one command of the set-up */
	bool sync;
	bool sync_done;
	struct nvme_completion cqe;

	/* sending */
	struct page *hdr_page, *data_page;
	unsigned int hdr_off;
	struct bio_vec tx[PERF_BVECS];
	unsigned int tx_nr, tx_len;

	/* receiving */
	u8 hdr[128 + 4] __aligned(8);
	unsigned int have, skip;
};

struct perf_session {
	struct list_head entry;
	struct perf_job job;		/* what makes it another: port, nqn, conns, flow, digests */
	u16 cntlid;
	u32 maxh2c;
	struct perf_queue *admin;
	struct perf_queue *queues[PERF_MAX_CONNS];
	struct completion done;
	atomic_t running;
};

static LIST_HEAD(perf_sessions);

static void perf_data_ready(struct sock *sk)
{
	struct perf_queue *q = READ_ONCE(sk->sk_user_data);

	if (q && !test_and_set_bit(PERF_Q_READY, &q->flags))
		wake_up(&q->wait);
}

/* ------------------------------------------------------------ sending */

static void perf_tx_add(struct perf_queue *q, struct page *page, unsigned int off,
			unsigned int len)
{
	struct bio_vec *last = q->tx_nr ? &q->tx[q->tx_nr - 1] : NULL;

	if (last && last->bv_page == page && last->bv_offset + last->bv_len == off)
		last->bv_len += len;
	else
		bvec_set_page(&q->tx[q->tx_nr++], page, len, off);
	q->tx_len += len;
}

/* Room for bytes made here. The ring is far larger than what can be unsent. */
static void *perf_tx_room(struct perf_queue *q, unsigned int len)
{
	unsigned int off = q->hdr_off;

	q->hdr_off += len;
	perf_tx_add(q, q->hdr_page, off, len);
	return page_address(q->hdr_page) + off;
}

static int perf_tx_send(struct perf_queue *q)
{
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL | MSG_SPLICE_PAGES };
	unsigned int len = q->tx_len;
	int ret;

	if (!len)
		return 0;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, q->tx, q->tx_nr, len);
	ret = sock_sendmsg(q->sock, &msg);
	q->sends++;
	q->tx_nr = 0;
	q->tx_len = 0;
	if (q->hdr_off + PERF_MAX_QD * PERF_HDR_ROOM * 2 > PERF_HDR_BYTES)
		q->hdr_off = 0;
	return ret == len ? 0 : ret < 0 ? ret : -EPIPE;
}

static void perf_tx_hdgst(struct perf_queue *q, struct nvme_tcp_hdr *hdr)
{
	if (hdr->flags & NVME_TCP_F_HDGST)
		put_unaligned_le32(~crc32c(~0, hdr, hdr->hlen), (u8 *)hdr + hdr->hlen);
}

static void perf_tx_data(struct perf_queue *q, unsigned int off, unsigned int len, bool ddgst)
{
	perf_tx_add(q, q->data_page, off, len);
	if (ddgst)
		put_unaligned_le32(~crc32c(~0, page_address(q->data_page) + off, len),
				   perf_tx_room(q, 4));
}

/* A capsule with @len bytes of data from @off of the data page. */
static struct nvme_command *perf_tx_cmd(struct perf_queue *q, unsigned int len)
{
	bool hd = q->session->job.hdgst, dd = q->session->job.ddgst && len;
	unsigned int head = sizeof(struct nvme_tcp_cmd_pdu) + (hd ? 4 : 0);
	struct nvme_tcp_cmd_pdu *pdu = perf_tx_room(q, head);

	memset(pdu, 0, head);
	pdu->hdr.type = nvme_tcp_cmd;
	pdu->hdr.hlen = sizeof(*pdu);
	pdu->hdr.pdo = len ? head : 0;
	pdu->hdr.plen = cpu_to_le32(head + len + (dd ? 4 : 0));
	pdu->hdr.flags = (hd ? NVME_TCP_F_HDGST : 0) | (dd ? NVME_TCP_F_DDGST : 0);
	pdu->cmd.common.flags = NVME_CMD_SGL_METABUF;
	if (len) {
		pdu->cmd.common.dptr.sgl.length = cpu_to_le32(len);
		pdu->cmd.common.dptr.sgl.type = (NVME_SGL_FMT_DATA_DESC << 4) |
						NVME_SGL_FMT_OFFSET;
	}
	return &pdu->cmd;
}

/* The command is complete: digest, data. */
static void perf_tx_cmd_end(struct perf_queue *q, struct nvme_command *cmd, unsigned int len)
{
	perf_tx_hdgst(q, (void *)cmd - offsetof(struct nvme_tcp_cmd_pdu, cmd));
	if (len)
		perf_tx_data(q, 0, len, q->session->job.ddgst);
}

static void perf_tx_io(struct perf_queue *q)
{
	const struct perf_job *job = q->job;
	unsigned int inl = job->write && job->bytes <= PERF_INLINE ? job->bytes : 0;
	struct nvme_command *cmd = perf_tx_cmd(q, inl);
	u16 cid = q->free[--q->nr_free];
	struct perf_cmd *pc = &q->cmds[cid];

	q->lba = (q->lba + 7919 * (job->bytes >> 9)) % (1 << 18);
	pc->received = 0;
	pc->r2t_len = 0;
	cmd->rw.opcode = job->write ? nvme_cmd_write : nvme_cmd_read;
	cmd->rw.command_id = cid;
	cmd->rw.nsid = cpu_to_le32(job->nsid + q->to_send % job->spread);
	cmd->rw.slba = cpu_to_le64(q->lba);
	cmd->rw.length = cpu_to_le16((job->bytes >> 9) - 1);
	if (!inl) {
		cmd->rw.dptr.sgl.length = cpu_to_le32(job->bytes);
		cmd->rw.dptr.sgl.type = (NVME_TRANSPORT_SGL_DATA_DESC << 4) |
					NVME_SGL_FMT_TRANSPORT_A;
	}
	perf_tx_cmd_end(q, cmd, inl);
	q->to_send--;
}

static void perf_tx_h2c(struct perf_queue *q, u16 cid)
{
	bool hd = q->session->job.hdgst, dd = q->session->job.ddgst;
	unsigned int head = sizeof(struct nvme_tcp_data_pdu) + (hd ? 4 : 0);
	struct perf_cmd *pc = &q->cmds[cid];
	struct nvme_tcp_data_pdu *pdu;
	u32 part;

	while (pc->r2t_len) {
		part = min(pc->r2t_len, q->session->maxh2c);
		pdu = perf_tx_room(q, head);
		memset(pdu, 0, head);
		pdu->hdr.type = nvme_tcp_h2c_data;
		pdu->hdr.hlen = sizeof(*pdu);
		pdu->hdr.pdo = head;
		pdu->hdr.plen = cpu_to_le32(head + part + (dd ? 4 : 0));
		pdu->hdr.flags = (hd ? NVME_TCP_F_HDGST : 0) | (dd ? NVME_TCP_F_DDGST : 0) |
				 (part == pc->r2t_len ? NVME_TCP_F_DATA_LAST : 0);
		pdu->command_id = cid;
		pdu->ttag = pc->ttag;
		pdu->data_offset = cpu_to_le32(pc->r2t_off);
		pdu->data_length = cpu_to_le32(part);
		perf_tx_hdgst(q, &pdu->hdr);
		perf_tx_data(q, 0, part, dd);
		pc->r2t_off += part;
		pc->r2t_len -= part;
	}
}

/* Sends what may be sent, at most @max commands. */
static int perf_send(struct perf_queue *q, unsigned int max)
{
	unsigned int n = min3(q->to_send, q->nr_free, max);

	while (q->nr_r2ts) {
		perf_tx_h2c(q, q->r2ts[q->r2t_head++ % PERF_MAX_QD]);
		q->nr_r2ts--;
	}
	while (n--)
		perf_tx_io(q);
	return perf_tx_send(q);
}

/* ------------------------------------------------------------ receiving */

static void perf_rx_bad(struct perf_queue *q, const char *what)
{
	struct nvme_tcp_hdr *hdr = (void *)q->hdr;

	pr_err("queue %u: %s (PDU type %#x, length %u)\n", q->qid, what, hdr->type,
	       le32_to_cpu(hdr->plen));
	q->error = -EPROTO;
}

static void perf_rx_complete(struct perf_queue *q, u16 cid, u16 status)
{
	if (status >> 1) {
		perf_rx_bad(q, "a command failed");
		pr_err("status %#x\n", status >> 1);
		return;
	}
	if (!q->job->write && q->cmds[cid].received != q->job->bytes)
		perf_rx_bad(q, "a read without all of its data");
	q->free[q->nr_free++] = cid;
	q->to_come--;
}

static void perf_rx_pdu(struct perf_queue *q)
{
	struct nvme_tcp_data_pdu *data = (void *)q->hdr;
	struct nvme_tcp_rsp_pdu *rsp = (void *)q->hdr;
	struct nvme_tcp_r2t_pdu *r2t = (void *)q->hdr;
	struct perf_cmd *pc;

	switch (rsp->hdr.type) {
	case nvme_tcp_rsp:
		if (q->sync) {
			q->cqe = rsp->cqe;
			q->sync_done = true;
		} else if (rsp->cqe.command_id >= PERF_MAX_QD) {
			perf_rx_bad(q, "no such command");
		} else {
			perf_rx_complete(q, rsp->cqe.command_id, le16_to_cpu(rsp->cqe.status));
		}
		return;
	case nvme_tcp_c2h_data:
		q->skip = le32_to_cpu(data->hdr.plen) - data->hdr.hlen -
			  (data->hdr.flags & NVME_TCP_F_HDGST ? 4 : 0);
		if (data->command_id >= PERF_MAX_QD) {
			perf_rx_bad(q, "no such command");
			return;
		}
		q->cmds[data->command_id].received += le32_to_cpu(data->data_length);
		if (data->hdr.flags & NVME_TCP_F_DATA_SUCCESS)
			perf_rx_complete(q, data->command_id, 0);
		return;
	case nvme_tcp_r2t:
		if (r2t->command_id >= PERF_MAX_QD || q->nr_r2ts == PERF_MAX_QD) {
			perf_rx_bad(q, "no such command");
			return;
		}
		pc = &q->cmds[r2t->command_id];
		if (pc->r2t_len) {
			perf_rx_bad(q, "two R2Ts at once");
			return;
		}
		pc->ttag = r2t->ttag;
		pc->r2t_off = le32_to_cpu(r2t->r2t_offset);
		pc->r2t_len = le32_to_cpu(r2t->r2t_length);
		q->r2ts[(q->r2t_head + q->nr_r2ts++) % PERF_MAX_QD] = r2t->command_id;
		return;
	case nvme_tcp_icresp:
		q->sync_done = true;
		return;
	default:
		perf_rx_bad(q, "unexpected");
	}
}

/* Bytes of a header, or of data that are passed over. Returns how many. */
static size_t perf_rx_step(struct perf_queue *q, const u8 *from, size_t len)
{
	struct nvme_tcp_hdr *hdr = (void *)q->hdr;
	size_t want = sizeof(*hdr), part;

	if (q->skip) {
		part = min_t(size_t, q->skip, len);
		q->skip -= part;
		return part;
	}
	if (q->have >= sizeof(*hdr))
		want = hdr->hlen + (hdr->flags & NVME_TCP_F_HDGST ? 4 : 0);
	if (want > sizeof(q->hdr)) {
		perf_rx_bad(q, "a long header");
		return 0;
	}
	part = min_t(size_t, want - q->have, len);
	memcpy(q->hdr + q->have, from, part);
	q->have += part;
	if (q->have < sizeof(*hdr) ||
	    q->have < hdr->hlen + (hdr->flags & NVME_TCP_F_HDGST ? 4 : 0))
		return part;
	q->have = 0;
	perf_rx_pdu(q);
	return part;
}

static int perf_rx_actor(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset,
			 size_t len)
{
	struct perf_queue *q = desc->arg.data;
	struct skb_seq_state seq;
	size_t done = 0, have = 0, part;
	const u8 *from = NULL;

	skb_prepare_seq_read(skb, offset, offset + len, &seq);
	while (!q->error) {
		if (!have) {
			have = skb_seq_read(done, &from, &seq);
			if (!have)
				return done;
		}
		part = perf_rx_step(q, from, have);
		from += part;
		have -= part;
		done += part;
	}
	skb_abort_seq_read(&seq);
	return done;
}

/* Takes what has come. */
static void perf_receive(struct perf_queue *q)
{
	read_descriptor_t desc = { .arg.data = q, .count = 1 };
	struct sock *sk = q->sock->sk;
	int ret;

	lock_sock(sk);
	ret = tcp_read_sock(sk, &desc, perf_rx_actor);
	release_sock(sk);
	if (ret < 0)
		q->error = ret;
	else if (ret)
		q->reads++;
	if (sk->sk_state != TCP_ESTABLISHED)
		q->error = -EPIPE;
}

/* ------------------------------------------------------------ set-up */

static int perf_sync_wait(struct perf_queue *q)
{
	while (!q->sync_done && !q->error) {
		if (!wait_event_timeout(q->wait, test_bit(PERF_Q_READY, &q->flags), 10 * HZ))
			return -ETIMEDOUT;
		clear_bit(PERF_Q_READY, &q->flags);
		smp_mb__after_atomic();	/* cleared before the look: what comes later sets it */
		perf_receive(q);
	}
	q->sync_done = false;
	return q->error;
}

static int perf_sync_cmd(struct perf_queue *q, struct nvme_command *cmd, unsigned int len)
{
	int ret;

	perf_tx_cmd_end(q, cmd, len);
	ret = perf_tx_send(q) ? : perf_sync_wait(q);
	if (!ret && le16_to_cpu(q->cqe.status) >> 1) {
		pr_err("queue %u: fabrics command: status %#x\n", q->qid,
		       le16_to_cpu(q->cqe.status) >> 1);
		ret = -EIO;
	}
	return ret;
}

static int perf_initialize(struct perf_queue *q)
{
	struct nvme_tcp_icreq_pdu *pdu = perf_tx_room(q, sizeof(*pdu));
	struct nvme_tcp_icresp_pdu *resp = (void *)q->hdr;
	const struct perf_job *job = &q->session->job;
	int ret;

	memset(pdu, 0, sizeof(*pdu));
	pdu->hdr.type = nvme_tcp_icreq;
	pdu->hdr.hlen = sizeof(*pdu);
	pdu->hdr.plen = cpu_to_le32(sizeof(*pdu));
	pdu->digest = (job->hdgst ? NVME_TCP_HDR_DIGEST_ENABLE : 0) |
		      (job->ddgst ? NVME_TCP_DATA_DIGEST_ENABLE : 0);
	ret = perf_tx_send(q) ? : perf_sync_wait(q);
	if (!ret)
		q->session->maxh2c = min(le32_to_cpu(resp->maxdata), PERF_MAX_BYTES);
	return ret;
}

static int perf_fabrics_connect(struct perf_queue *q)
{
	struct nvmf_connect_data *data = page_address(q->data_page);
	struct perf_session *s = q->session;
	struct nvme_command *cmd;
	int ret;

	memset(data, 0, sizeof(*data));
	memset(&data->hostid, 0x4e, sizeof(data->hostid));
	data->cntlid = cpu_to_le16(q->qid ? s->cntlid : 0xffff);
	strscpy(data->subsysnqn, s->job.nqn, sizeof(data->subsysnqn));
	strscpy(data->hostnqn, PERF_HOSTNQN, sizeof(data->hostnqn));
	cmd = perf_tx_cmd(q, sizeof(*data));
	cmd->connect.opcode = nvme_fabrics_command;
	cmd->connect.fctype = nvme_fabrics_type_connect;
	cmd->connect.qid = cpu_to_le16(q->qid);
	cmd->connect.sqsize = cpu_to_le16(q->qid ? PERF_SQSIZE : 31);
	if (q->qid && !s->job.flow)
		cmd->connect.cattr = NVME_CONNECT_DISABLE_SQFLOW;
	ret = perf_sync_cmd(q, cmd, sizeof(*data));
	if (!ret && !q->qid)
		s->cntlid = le32_to_cpu(q->cqe.result.u32) & 0xffff;
	return ret;
}

static int perf_enable(struct perf_queue *q)
{
	struct nvme_command *cmd = perf_tx_cmd(q, 0);
	int ret, i;

	cmd->prop_set.opcode = nvme_fabrics_command;
	cmd->prop_set.fctype = nvme_fabrics_type_property_set;
	cmd->prop_set.offset = cpu_to_le32(NVME_REG_CC);
	cmd->prop_set.value = cpu_to_le64(NVME_CC_ENABLE | NVME_CC_IOSQES | NVME_CC_IOCQES);
	ret = perf_sync_cmd(q, cmd, 0);
	for (i = 0; !ret && i < 100; i++) {
		cmd = perf_tx_cmd(q, 0);
		cmd->prop_get.opcode = nvme_fabrics_command;
		cmd->prop_get.fctype = nvme_fabrics_type_property_get;
		cmd->prop_get.offset = cpu_to_le32(NVME_REG_CSTS);
		ret = perf_sync_cmd(q, cmd, 0);
		if (!ret && le64_to_cpu(q->cqe.result.u64) & NVME_CSTS_RDY)
			return 0;
		msleep(20);
	}
	return ret ? : -ETIMEDOUT;
}

static void perf_queue_free(struct perf_queue *q)
{
	if (!q)
		return;
	if (q->task)
		kthread_stop(q->task);
	if (q->sock) {
		WRITE_ONCE(q->sock->sk->sk_user_data, NULL);
		kernel_sock_shutdown(q->sock, SHUT_RDWR);
		sock_release(q->sock);
	}
	if (q->hdr_page)
		__free_pages(q->hdr_page, PERF_HDR_ORDER);
	if (q->data_page)
		__free_pages(q->data_page, get_order(PERF_MAX_BYTES));
	kvfree(q);
}

static int perf_queue_thread(void *data);

static int perf_queue_open(struct perf_queue *q)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(q->session->job.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int ret;

	q->hdr_page = alloc_pages(GFP_KERNEL | __GFP_COMP, PERF_HDR_ORDER);
	q->data_page = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(PERF_MAX_BYTES));
	if (!q->hdr_page || !q->data_page)
		return -ENOMEM;
	ret = sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &q->sock);
	if (ret)
		return ret;
	tcp_sock_set_nodelay(q->sock->sk);
	ret = q->sock->ops->connect(q->sock, (void *)&addr, sizeof(addr), 0);
	if (ret) {
		pr_err("port %u: connect: %d\n", q->session->job.port, ret);
		return ret;
	}
	WRITE_ONCE(q->sock->sk->sk_user_data, q);
	q->sock->sk->sk_data_ready = perf_data_ready;
	q->sock->sk->sk_state_change = perf_data_ready;
	q->sync = true;
	ret = perf_initialize(q) ? : perf_fabrics_connect(q);
	if (!ret && !q->qid)
		return perf_enable(q);
	q->sync = false;
	return ret;
}

static struct perf_queue *perf_queue_create(struct perf_session *s, unsigned int qid)
{
	struct perf_queue *q = kvzalloc(sizeof(*q), GFP_KERNEL);
	int ret;

	if (!q)
		return ERR_PTR(-ENOMEM);
	q->session = s;
	q->qid = qid;
	init_waitqueue_head(&q->wait);
	prandom_seed_state(&q->rnd, 4711 + qid);
	ret = perf_queue_open(q);
	if (!ret && qid) {
		q->task = kthread_run(perf_queue_thread, q, "perf/%u", qid);
		if (IS_ERR(q->task)) {
			ret = PTR_ERR(q->task);
			q->task = NULL;
		}
	}
	if (ret) {
		perf_queue_free(q);
		return ERR_PTR(ret);
	}
	return q;
}

static void perf_session_free(struct perf_session *s)
{
	int i;

	for (i = 0; i < s->job.conns; i++)
		perf_queue_free(s->queues[i]);
	perf_queue_free(s->admin);
	kfree(s);
}

static struct perf_session *perf_session_create(const struct perf_job *job)
{
	struct perf_session *s = kzalloc(sizeof(*s), GFP_KERNEL);
	struct perf_queue *q;
	int i;

	if (!s)
		return ERR_PTR(-ENOMEM);
	s->job = *job;
	init_completion(&s->done);
	q = perf_queue_create(s, 0);
	if (IS_ERR(q))
		goto fail;
	s->admin = q;
	for (i = 0; i < job->conns; i++) {
		q = perf_queue_create(s, i + 1);
		if (IS_ERR(q))
			goto fail;
		s->queues[i] = q;
	}
	list_add_tail(&s->entry, &perf_sessions);
	return s;
fail:
	perf_session_free(s);
	return ERR_CAST(q);
}

static struct perf_session *perf_session_get(const struct perf_job *job)
{
	struct perf_session *s;

	list_for_each_entry(s, &perf_sessions, entry)
		if (s->job.port == job->port && s->job.conns == job->conns &&
		    s->job.flow == job->flow && s->job.hdgst == job->hdgst &&
		    s->job.ddgst == job->ddgst && !strcmp(s->job.nqn, job->nqn))
			return s;
	return perf_session_create(job);
}

/* ------------------------------------------------------------ the load */

static void perf_queue_work(struct perf_queue *q)
{
	while (q->to_come && !q->error) {
		unsigned int max = PERF_MAX_QD;

		/* no more than by chance, and the others' turn in between */
		if (q->job->ragged)
			max = 1 + prandom_u32_state(&q->rnd) % 8;
		if (q->nr_r2ts || (q->to_send && q->nr_free)) {
			q->error = perf_send(q, max);
			if (q->job->ragged)
				schedule();
		}
		clear_bit(PERF_Q_READY, &q->flags);
		smp_mb__after_atomic();	/* cleared before the look: what comes later sets it */
		perf_receive(q);
		if (q->nr_r2ts || (q->to_send && q->nr_free) || !q->to_come)
			continue;
		wait_event_idle(q->wait, test_bit(PERF_Q_READY, &q->flags) ||
				kthread_should_stop());
		if (kthread_should_stop())
			break;
	}
	q->job = NULL;
	if (atomic_dec_and_test(&q->session->running))
		complete(&q->session->done);
}

static int perf_queue_thread(void *data)
{
	struct perf_queue *q = data;

	while (!kthread_should_stop()) {
		wait_event_idle(q->wait, READ_ONCE(q->job) || kthread_should_stop());
		if (READ_ONCE(q->job))
			perf_queue_work(q);
	}
	return 0;
}

static int perf_round(struct perf_session *s, const struct perf_job *job, unsigned int ios)
{
	int i, ret = 0;

	reinit_completion(&s->done);
	atomic_set(&s->running, job->conns);
	for (i = 0; i < job->conns; i++) {
		struct perf_queue *q = s->queues[i];
		unsigned int cid;

		q->to_send = ios / job->conns;
		q->to_come = q->to_send;
		q->nr_free = 0;
		for (cid = job->qd; cid; cid--)
			q->free[q->nr_free++] = cid - 1;
		q->sends = 0;
		q->reads = 0;
		WRITE_ONCE(q->job, job);
		wake_up(&q->wait);
	}
	if (!wait_for_completion_timeout(&s->done, 60 * HZ)) {
		pr_err("port %u: the load does not come to an end\n", job->port);
		ret = -ETIMEDOUT;
	}
	for (i = 0; i < job->conns; i++)
		ret = ret ? : s->queues[i]->error;
	return ret;
}

/**
 * perf_run - run a job and measure it
 * @job: what to do
 * @result: what came out
 *
 * Return: 0 or a negative errno
 */
int perf_run(const struct perf_job *job, struct perf_result *result)
{
	struct perf_session *s = perf_session_get(job);
	u64 cpu, wall;
	int ret, i;

	memset(result, 0, sizeof(*result));
	if (IS_ERR(s))
		return PTR_ERR(s);
	ret = perf_round(s, job, max(job->ios / 10, job->conns));
	if (ret)
		goto fail;
	cpu = perf_cpu_ns();
	wall = ktime_get_ns();
	ret = perf_round(s, job, job->ios);
	result->cpu_ns = perf_cpu_ns() - cpu;
	result->wall_ns = ktime_get_ns() - wall;
	result->ios = job->ios / job->conns * job->conns;
	for (i = 0; i < job->conns; i++) {
		result->sends += s->queues[i]->sends;
		result->reads += s->queues[i]->reads;
	}
	if (!ret)
		return 0;
fail:
	list_del(&s->entry);
	perf_session_free(s);
	return ret;
}

/**
 * perf_initiator_exit - disconnect everything
 */
void perf_initiator_exit(void)
{
	struct perf_session *s, *next;

	list_for_each_entry_safe(s, next, &perf_sessions, entry) {
		list_del(&s->entry);
		perf_session_free(s);
	}
}
