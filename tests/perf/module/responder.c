// SPDX-License-Identifier: GPL-2.0
/*
 * The responder: what any target must spend. One thread per connection takes
 * what has come with read_sock, answers all of it with one call, spliced from
 * pages that it allocated beforehand, and checks nothing. With a block device it
 * also submits one bio per command under one plug and waits for all of them.
 *
 * It is no target: it trusts the initiator in this module.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/crc32c.h>
#include <linux/file.h>
#include <linux/in.h>
#include <linux/kthread.h>
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <net/sock.h>
#include <net/tcp.h>
#include "perf.h"

#define RESP_CMDS	PERF_MAX_QD
#define RESP_BVECS	(RESP_CMDS * 4)
#define RESP_MAX_BIO_PAGES (PERF_MAX_BYTES / PAGE_SIZE)
#define RESP_HDR_ORDER	5
#define RESP_HDR_BYTES	(PAGE_SIZE << RESP_HDR_ORDER)

struct resp_conn;

struct resp_cmd {
	struct resp_conn *conn;
	struct nvme_command cmd;
	unsigned int bytes, got;
	bool write, wants_r2t;
	struct bio bio;
};

struct resp_port {
	struct list_head entry;
	unsigned int port;
	struct socket *sock;
	struct task_struct *task;
	struct file *bdev_file;
};

struct resp_conn {
	struct list_head entry;
	struct resp_port *port;
	struct socket *sock;
	struct task_struct *task;
	wait_queue_head_t wait;
	unsigned long flags;
#define RESP_READY	0
	bool hdgst, ddgst, flow, gone;
	u16 sqhd;

	struct resp_cmd *cmds;		/* by identifier */
	struct resp_cmd *batch[RESP_CMDS * 2];
	unsigned int nr_batch;
	atomic_t bios;
	struct completion bios_done;

	struct page *data_page, *hdr_page;
	struct bio_vec *data_bvec;	/* one per page, of all that is read and written */
	unsigned int hdr_off;
	struct bio_vec tx[RESP_BVECS];
	unsigned int tx_nr, tx_len;

	u8 hdr[sizeof(struct nvme_tcp_icreq_pdu) + 4] __aligned(8);
	unsigned int have, left, dgst;	/* left: data bytes of the current PDU */
	u32 data_off;
	struct resp_cmd *rx_cmd;
};

static LIST_HEAD(resp_ports);
static LIST_HEAD(resp_conns);
static DEFINE_MUTEX(resp_mutex);	/* protects resp_conns */

static void resp_data_ready(struct sock *sk)
{
	struct resp_conn *c = READ_ONCE(sk->sk_user_data);

	if (c && !test_and_set_bit(RESP_READY, &c->flags))
		wake_up(&c->wait);
}

/* ------------------------------------------------------------ sending */

static void resp_tx_add(struct resp_conn *c, struct page *page, unsigned int off, unsigned int len)
{
	struct bio_vec *last = c->tx_nr ? &c->tx[c->tx_nr - 1] : NULL;

	if (last && last->bv_page == page && last->bv_offset + last->bv_len == off)
		last->bv_len += len;
	else
		bvec_set_page(&c->tx[c->tx_nr++], page, len, off);
	c->tx_len += len;
}

static void *resp_tx_room(struct resp_conn *c, unsigned int len)
{
	unsigned int off = c->hdr_off;

	c->hdr_off += len;
	resp_tx_add(c, c->hdr_page, off, len);
	return page_address(c->hdr_page) + off;
}

static void *resp_tx_begin(struct resp_conn *c, u8 type, u8 hlen, unsigned int data, bool ddgst)
{
	unsigned int head = hlen + (c->hdgst ? 4 : 0);
	struct nvme_tcp_hdr *hdr = resp_tx_room(c, head);

	memset(hdr, 0, head);
	hdr->type = type;
	hdr->hlen = hlen;
	hdr->flags = (c->hdgst ? NVME_TCP_F_HDGST : 0) | (ddgst ? NVME_TCP_F_DDGST : 0);
	hdr->pdo = data ? head : 0;
	hdr->plen = cpu_to_le32(head + data + (ddgst ? 4 : 0));
	return hdr;
}

static void resp_tx_end(struct resp_conn *c, void *pdu)
{
	struct nvme_tcp_hdr *hdr = pdu;

	if (c->hdgst)
		put_unaligned_le32(~crc32c(~0, hdr, hdr->hlen), pdu + hdr->hlen);
}

static void resp_tx_cqe(struct resp_conn *c, struct resp_cmd *cmd, u64 result)
{
	struct nvme_tcp_rsp_pdu *pdu;

	pdu = resp_tx_begin(c, nvme_tcp_rsp, sizeof(*pdu), 0, false);
	pdu->cqe.command_id = cmd->cmd.common.command_id;
	pdu->cqe.sq_head = cpu_to_le16(c->sqhd++ & 127);
	pdu->cqe.result.u64 = cpu_to_le64(result);
	resp_tx_end(c, pdu);
}

static void resp_tx_data(struct resp_conn *c, struct resp_cmd *cmd)
{
	struct nvme_tcp_data_pdu *pdu;

	pdu = resp_tx_begin(c, nvme_tcp_c2h_data, sizeof(*pdu), cmd->bytes, c->ddgst);
	pdu->hdr.flags |= NVME_TCP_F_DATA_LAST;
	if (!c->flow)
		pdu->hdr.flags |= NVME_TCP_F_DATA_SUCCESS;
	pdu->command_id = cmd->cmd.common.command_id;
	pdu->data_length = cpu_to_le32(cmd->bytes);
	resp_tx_end(c, pdu);
	resp_tx_add(c, c->data_page, 0, cmd->bytes);
	if (c->ddgst)
		put_unaligned_le32(~crc32c(~0, page_address(c->data_page), cmd->bytes),
				   resp_tx_room(c, 4));
	if (c->flow)
		resp_tx_cqe(c, cmd, 0);
}

static void resp_tx_r2t(struct resp_conn *c, struct resp_cmd *cmd)
{
	struct nvme_tcp_r2t_pdu *pdu = resp_tx_begin(c, nvme_tcp_r2t, sizeof(*pdu), 0, false);

	pdu->command_id = cmd->cmd.common.command_id;
	pdu->ttag = cmd->cmd.common.command_id;
	pdu->r2t_length = cpu_to_le32(cmd->bytes);
	resp_tx_end(c, pdu);
}

static int resp_tx_send(struct resp_conn *c)
{
	struct msghdr msg = { .msg_flags = MSG_NOSIGNAL | MSG_SPLICE_PAGES };
	int ret;

	if (!c->tx_len)
		return 0;
	iov_iter_bvec(&msg.msg_iter, ITER_SOURCE, c->tx, c->tx_nr, c->tx_len);
	ret = sock_sendmsg(c->sock, &msg);
	if (ret >= 0 && ret != c->tx_len)
		ret = -EPIPE;
	c->tx_nr = 0;
	c->tx_len = 0;
	if (c->hdr_off + RESP_HDR_BYTES / 3 > RESP_HDR_BYTES)
		c->hdr_off = 0;
	return ret < 0 ? ret : 0;
}

/* ------------------------------------------------------------ executing */

static void resp_bio_done(struct bio *bio)
{
	struct resp_cmd *cmd = container_of(bio, struct resp_cmd, bio);
	struct resp_conn *c = cmd->conn;

	bio_uninit(bio);
	if (atomic_dec_and_test(&c->bios))
		complete(&c->bios_done);
}

static void resp_submit(struct resp_conn *c, struct resp_cmd *cmd)
{
	struct bio *bio = &cmd->bio;

	bio_init(bio, file_bdev(c->port->bdev_file), c->data_bvec,
		 DIV_ROUND_UP(cmd->bytes, PAGE_SIZE),
		 cmd->write ? REQ_OP_WRITE | REQ_SYNC | REQ_IDLE : REQ_OP_READ);
	bio->bi_vcnt = DIV_ROUND_UP(cmd->bytes, PAGE_SIZE);
	bio->bi_iter.bi_size = cmd->bytes;
	bio->bi_iter.bi_sector = le64_to_cpu(cmd->cmd.rw.slba);
	bio->bi_end_io = resp_bio_done;
	atomic_inc(&c->bios);
	submit_bio(bio);
}

static void resp_answer_fabrics(struct resp_conn *c, struct resp_cmd *cmd)
{
	u64 result = 0;

	switch (cmd->cmd.fabrics.fctype) {
	case nvme_fabrics_type_connect:
		c->flow = !(cmd->cmd.connect.cattr & NVME_CONNECT_DISABLE_SQFLOW);
		result = 1;		/* cntlid */
		break;
	case nvme_fabrics_type_property_get:
		result = NVME_CSTS_RDY;
		break;
	}
	resp_tx_cqe(c, cmd, result);
}

static int resp_answer(struct resp_conn *c)
{
	unsigned int i;

	if (c->port->bdev_file) {
		struct blk_plug plug;

		reinit_completion(&c->bios_done);
		atomic_set(&c->bios, 1);
		blk_start_plug(&plug);
		for (i = 0; i < c->nr_batch; i++)
			if (c->batch[i]->bytes && !c->batch[i]->wants_r2t)
				resp_submit(c, c->batch[i]);
		blk_finish_plug(&plug);
		if (!atomic_dec_and_test(&c->bios))
			wait_for_completion(&c->bios_done);
	}
	for (i = 0; i < c->nr_batch; i++) {
		struct resp_cmd *cmd = c->batch[i];

		if (cmd->cmd.common.opcode == nvme_fabrics_command)
			resp_answer_fabrics(c, cmd);
		else if (cmd->wants_r2t)
			resp_tx_r2t(c, cmd);
		else if (cmd->write)
			resp_tx_cqe(c, cmd, 0);
		else
			resp_tx_data(c, cmd);
		cmd->wants_r2t = false;
	}
	c->nr_batch = 0;
	return resp_tx_send(c);
}

/* ------------------------------------------------------------ receiving */

static void resp_rx_icreq(struct resp_conn *c)
{
	struct nvme_tcp_icreq_pdu *req = (void *)c->hdr;
	struct nvme_tcp_icresp_pdu *pdu = resp_tx_room(c, sizeof(*pdu));

	c->hdgst = req->digest & NVME_TCP_HDR_DIGEST_ENABLE;
	c->ddgst = req->digest & NVME_TCP_DATA_DIGEST_ENABLE;
	memset(pdu, 0, sizeof(*pdu));
	pdu->hdr.type = nvme_tcp_icresp;
	pdu->hdr.hlen = sizeof(*pdu);
	pdu->hdr.plen = cpu_to_le32(sizeof(*pdu));
	pdu->maxdata = cpu_to_le32(PERF_MAX_BYTES);
	pdu->digest = req->digest;
}

static void resp_rx_pdu(struct resp_conn *c)
{
	struct nvme_tcp_data_pdu *data = (void *)c->hdr;
	struct nvme_tcp_cmd_pdu *pdu = (void *)c->hdr;
	struct resp_cmd *cmd;
	unsigned int inl;
	u16 cid;

	if (pdu->hdr.type == nvme_tcp_icreq) {
		resp_rx_icreq(c);
		return;
	}
	cid = pdu->hdr.type == nvme_tcp_cmd ? pdu->cmd.common.command_id : data->command_id;
	if (cid >= RESP_CMDS) {
		c->gone = true;
		return;
	}
	cmd = &c->cmds[cid];
	c->dgst = pdu->hdr.flags & NVME_TCP_F_DDGST ? 4 : 0;
	inl = le32_to_cpu(pdu->hdr.plen) - pdu->hdr.hlen - (c->hdgst ? 4 : 0) - c->dgst;
	c->left = inl;
	c->data_off = 0;
	c->rx_cmd = cmd;
	if (pdu->hdr.type == nvme_tcp_h2c_data)
		return;
	cmd->cmd = pdu->cmd;
	cmd->got = 0;
	cmd->bytes = 0;
	if (cmd->cmd.common.opcode != nvme_fabrics_command) {
		cmd->bytes = (le16_to_cpu(cmd->cmd.rw.length) + 1) << SECTOR_SHIFT;
		cmd->write = cmd->cmd.rw.opcode == nvme_cmd_write;
		cmd->wants_r2t = cmd->write && !inl;
	}
	if (!inl)
		c->batch[c->nr_batch++] = cmd;
}

/* The data of a PDU go to the one place that all data go to. */
static size_t resp_rx_data(struct resp_conn *c, const u8 *from, size_t len)
{
	size_t part = min3(len, (size_t)c->left, PERF_MAX_BYTES - (size_t)c->data_off);

	memcpy(page_address(c->data_page) + c->data_off, from, part);
	if (c->ddgst)
		crc32c(~0, page_address(c->data_page) + c->data_off, part);
	c->data_off = (c->data_off + part) % PERF_MAX_BYTES;
	c->left -= part;
	c->rx_cmd->got += part;
	return part;
}

static void resp_rx_data_end(struct resp_conn *c)
{
	struct resp_cmd *cmd = c->rx_cmd;

	if (cmd->got >= cmd->bytes)
		c->batch[c->nr_batch++] = cmd;
	c->rx_cmd = NULL;
}

static size_t resp_rx_step(struct resp_conn *c, const u8 *from, size_t len)
{
	struct nvme_tcp_hdr *hdr = (void *)c->hdr;
	size_t part, want;

	if (c->left) {
		part = resp_rx_data(c, from, len);
		if (!c->left && !c->dgst)
			resp_rx_data_end(c);
		return part;
	}
	if (c->dgst) {
		part = min_t(size_t, c->dgst, len);
		c->dgst -= part;
		if (!c->dgst && c->rx_cmd)
			resp_rx_data_end(c);
		return part;
	}
	want = c->have < sizeof(*hdr) ? sizeof(*hdr) :
	       hdr->hlen + (hdr->flags & NVME_TCP_F_HDGST ? 4 : 0);
	part = min_t(size_t, want - c->have, len);
	memcpy(c->hdr + c->have, from, part);
	c->have += part;
	if (c->have < sizeof(*hdr) ||
	    c->have < hdr->hlen + (hdr->flags & NVME_TCP_F_HDGST ? 4 : 0))
		return part;
	if (hdr->flags & NVME_TCP_F_HDGST)
		crc32c(~0, hdr, hdr->hlen);
	c->have = 0;
	resp_rx_pdu(c);
	return part;
}

static int resp_rx_actor(read_descriptor_t *desc, struct sk_buff *skb, unsigned int offset,
			 size_t len)
{
	struct resp_conn *c = desc->arg.data;
	struct skb_seq_state seq;
	size_t done = 0, have = 0, part;
	const u8 *from = NULL;

	skb_prepare_seq_read(skb, offset, offset + len, &seq);
	while (!c->gone) {
		if (!have) {
			have = skb_seq_read(done, &from, &seq);
			if (!have)
				return done;
		}
		part = resp_rx_step(c, from, have);
		from += part;
		have -= part;
		done += part;
	}
	skb_abort_seq_read(&seq);
	return done;
}

static int resp_conn_thread(void *data)
{
	struct resp_conn *c = data;
	struct sock *sk = c->sock->sk;

	while (!kthread_should_stop()) {
		read_descriptor_t desc = { .arg.data = c, .count = 1 };
		int ret;

		wait_event_idle(c->wait, test_bit(RESP_READY, &c->flags) ||
				kthread_should_stop());
		clear_bit(RESP_READY, &c->flags);
		smp_mb__after_atomic();	/* cleared before the look: what comes later sets it */
		if (c->gone)
			continue;
		lock_sock(sk);
		ret = tcp_read_sock(sk, &desc, resp_rx_actor);
		release_sock(sk);
		if (ret < 0 || resp_answer(c) || sk->sk_state != TCP_ESTABLISHED)
			c->gone = true;
	}
	return 0;
}

/* ------------------------------------------------------------ set-up */

static void resp_conn_free(struct resp_conn *c)
{
	if (c->task)
		kthread_stop(c->task);
	WRITE_ONCE(c->sock->sk->sk_user_data, NULL);
	kernel_sock_shutdown(c->sock, SHUT_RDWR);
	sock_release(c->sock);
	if (c->data_page)
		__free_pages(c->data_page, get_order(PERF_MAX_BYTES));
	if (c->hdr_page)
		__free_pages(c->hdr_page, RESP_HDR_ORDER);
	kfree(c->data_bvec);
	kvfree(c->cmds);
	kvfree(c);
}

static int resp_conn_setup(struct resp_conn *c)
{
	int i;

	c->cmds = kvcalloc(RESP_CMDS, sizeof(*c->cmds), GFP_KERNEL);
	c->data_bvec = kcalloc(RESP_MAX_BIO_PAGES, sizeof(*c->data_bvec), GFP_KERNEL);
	c->data_page = alloc_pages(GFP_KERNEL | __GFP_COMP, get_order(PERF_MAX_BYTES));
	c->hdr_page = alloc_pages(GFP_KERNEL | __GFP_COMP, RESP_HDR_ORDER);
	if (!c->cmds || !c->data_bvec || !c->data_page || !c->hdr_page)
		return -ENOMEM;
	for (i = 0; i < RESP_CMDS; i++)
		c->cmds[i].conn = c;
	for (i = 0; i < RESP_MAX_BIO_PAGES; i++)
		bvec_set_page(&c->data_bvec[i], c->data_page + i, PAGE_SIZE, 0);
	init_completion(&c->bios_done);
	init_waitqueue_head(&c->wait);
	c->task = kthread_create(resp_conn_thread, c, "perf-resp");
	if (IS_ERR(c->task)) {
		int ret = PTR_ERR(c->task);

		c->task = NULL;
		return ret;
	}
	return 0;
}

static void resp_accepted(struct resp_port *port, struct socket *sock)
{
	struct resp_conn *c = kvzalloc(sizeof(*c), GFP_KERNEL);

	if (!c) {
		sock_release(sock);
		return;
	}
	c->port = port;
	c->sock = sock;
	if (resp_conn_setup(c)) {
		resp_conn_free(c);
		return;
	}
	tcp_sock_set_nodelay(sock->sk);
	mutex_lock(&resp_mutex);
	list_add_tail(&c->entry, &resp_conns);
	mutex_unlock(&resp_mutex);
	WRITE_ONCE(sock->sk->sk_user_data, c);
	sock->sk->sk_data_ready = resp_data_ready;
	sock->sk->sk_state_change = resp_data_ready;
	set_bit(RESP_READY, &c->flags);
	wake_up_process(c->task);
}

static int resp_port_thread(void *data)
{
	struct resp_port *port = data;
	struct socket *sock;

	while (!kthread_should_stop()) {
		if (kernel_accept(port->sock, &sock, 0))
			schedule_timeout_idle(HZ / 10);
		else
			resp_accepted(port, sock);
	}
	return 0;
}

static void resp_port_free(struct resp_port *port)
{
	if (port->sock)
		kernel_sock_shutdown(port->sock, SHUT_RDWR);
	if (port->task)
		kthread_stop(port->task);
	if (port->sock)
		sock_release(port->sock);
	if (port->bdev_file)
		fput(port->bdev_file);
	kfree(port);
}

static int resp_port_listen(struct resp_port *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int ret;

	ret = sock_create_kern(&init_net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &port->sock);
	if (ret)
		return ret;
	sock_set_reuseaddr(port->sock->sk);
	ret = port->sock->ops->bind(port->sock, (void *)&addr, sizeof(addr)) ? :
	      kernel_listen(port->sock, 128);
	if (ret)
		return ret;
	port->task = kthread_run(resp_port_thread, port, "perf-accept");
	if (IS_ERR(port->task)) {
		ret = PTR_ERR(port->task);
		port->task = NULL;
	}
	return ret;
}

/**
 * perf_responder_start - answer on a port
 * @port: TCP port on 127.0.0.1
 * @bdev: block device to read and write, or NULL
 *
 * Return: 0 or a negative errno
 */
int perf_responder_start(unsigned int port, const char *bdev)
{
	struct resp_port *p = kzalloc(sizeof(*p), GFP_KERNEL);
	int ret = 0;

	if (!p)
		return -ENOMEM;
	p->port = port;
	if (bdev) {
		p->bdev_file = bdev_file_open_by_path(bdev, BLK_OPEN_READ | BLK_OPEN_WRITE,
						      NULL, NULL);
		if (IS_ERR(p->bdev_file)) {
			ret = PTR_ERR(p->bdev_file);
			p->bdev_file = NULL;
		}
	}
	ret = ret ? : resp_port_listen(p);
	if (ret) {
		resp_port_free(p);
		return ret;
	}
	list_add_tail(&p->entry, &resp_ports);
	return 0;
}

/**
 * perf_responder_exit - end all ports and connections
 */
void perf_responder_exit(void)
{
	struct resp_port *port, *next_port;
	struct resp_conn *c, *next;

	list_for_each_entry(port, &resp_ports, entry) {
		kernel_sock_shutdown(port->sock, SHUT_RDWR);
		kthread_stop(port->task);
		port->task = NULL;
	}
	list_for_each_entry_safe(c, next, &resp_conns, entry)
		resp_conn_free(c);
	list_for_each_entry_safe(port, next_port, &resp_ports, entry)
		resp_port_free(port);
}
