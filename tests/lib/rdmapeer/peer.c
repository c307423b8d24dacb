// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "peer.h"

#define RESPONSES	512

const char *peer_error = "";
const char *peer_nqn;

static int patience_ms(void)
{
	const char *s = getenv("NVTGT_TIMEOUT");

	return (s ? atoi(s) : 30) * 1000;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

void put16(void *at, uint16_t v)
{
	unsigned char *b = at;

	b[0] = v;
	b[1] = v >> 8;
}

void put32(void *at, uint32_t v)
{
	put16(at, v);
	put16((char *)at + 2, v >> 16);
}

void put64(void *at, uint64_t v)
{
	put32(at, v);
	put32((char *)at + 4, v >> 32);
}

static uint64_t get(const unsigned char *b, int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | b[n];
	return v;
}

struct request request(uint16_t qid, uint16_t entries)
{
	return (struct request) { .qid = qid, .hrqsize = entries, .hsqsize = entries - 1, .len = -1,
				  .reads = 16 };
}

/* The next event of the CM, or -1. */
static int cm_event(struct peer *p, int timeout_ms)
{
	struct pollfd fd = { .fd = p->channel->fd, .events = POLLIN };
	struct rdma_cm_event *event;
	const unsigned char *priv;
	int type;

	if (poll(&fd, 1, timeout_ms) <= 0 || rdma_get_cm_event(p->channel, &event))
		return -1;
	type = event->event;
	if (type == RDMA_CM_EVENT_REJECTED) {
		priv = event->param.conn.private_data;
		p->rejected = priv && event->param.conn.private_data_len >= 4 ? priv[2] | priv[3] << 8 : -1;
	}
	rdma_ack_cm_event(event);
	return type;
}

static bool cm_wants(struct peer *p, int want)
{
	int got = cm_event(p, patience_ms());

	if (got == want)
		return true;
	peer_error = got < 0 ? "no answer of the CM" : rdma_event_str(got);
	return false;
}

static bool post_recv(struct peer *p, unsigned int slot)
{
	struct ibv_sge sge = { .addr = (uintptr_t)p->mem + CAPSULES * CAPSULE_ROOM + slot * 16,
			       .length = 16, .lkey = p->mr->lkey };
	struct ibv_recv_wr wr = { .wr_id = slot, .sg_list = &sge, .num_sge = 1 }, *bad;

	return !ibv_post_recv(p->id->qp, &wr, &bad);
}

static bool make_qp(struct peer *p)
{
	size_t room = CAPSULES * CAPSULE_ROOM + RESPONSES * 16 + DATA_ROOM;
	struct ibv_qp_init_attr attr = {
		.cap = { .max_send_wr = CAPSULES, .max_recv_wr = RESPONSES, .max_send_sge = 2,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC, .sq_sig_all = 1,
	};
	unsigned int i;

	p->pd = ibv_alloc_pd(p->id->verbs);
	p->scq = ibv_create_cq(p->id->verbs, CAPSULES, NULL, NULL, 0);
	p->rcq = ibv_create_cq(p->id->verbs, RESPONSES, NULL, NULL, 0);
	p->mem = aligned_alloc(4096, room);
	if (!p->pd || !p->scq || !p->rcq || !p->mem)
		return false;
	memset(p->mem, 0, room);
	p->data = p->mem + CAPSULES * CAPSULE_ROOM + RESPONSES * 16;
	p->mr = ibv_reg_mr(p->pd, p->mem, room, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
			   IBV_ACCESS_REMOTE_WRITE);
	attr.send_cq = p->scq;
	attr.recv_cq = p->rcq;
	if (!p->mr || rdma_create_qp(p->id, p->pd, &attr))
		return false;
	for (i = 0; i < (p->lazy ? 1 : RESPONSES); i++)
		if (!post_recv(p, i))
			return false;
	return true;
}

static bool reach(struct peer *p)
{
	const char *address = getenv("NVTGT_ADDR"), *port = getenv("NVTGT_PORT");
	struct addrinfo *ai;
	int ret;

	if (getaddrinfo(address, port ? port : "4420", NULL, &ai))
		return false;
	ret = rdma_resolve_addr(p->id, NULL, ai->ai_addr, patience_ms());
	freeaddrinfo(ai);
	return !ret && cm_wants(p, RDMA_CM_EVENT_ADDR_RESOLVED) &&
	       !rdma_resolve_route(p->id, patience_ms()) && cm_wants(p, RDMA_CM_EVENT_ROUTE_RESOLVED);
}

struct peer *peer_open(const struct request *req)
{
	struct rdma_conn_param param = { .initiator_depth = 1, .responder_resources = req->reads,
					 .retry_count = 7, .rnr_retry_count = 7 };
	struct peer *p = calloc(1, sizeof(*p));
	unsigned char priv[32] = { 0 };
	int event;

	peer_error = "";
	p->lazy = req->lazy;
	p->channel = rdma_create_event_channel();
	if (!p->channel || rdma_create_id(p->channel, &p->id, NULL, RDMA_PS_TCP) || !reach(p))
		goto fail;
	if (!req->no_qp && !make_qp(p)) {
		peer_error = strerror(errno);
		goto fail;
	}
	put16(priv, req->recfmt);
	put16(priv + 2, req->qid);
	put16(priv + 4, req->hrqsize);
	put16(priv + 6, req->hsqsize);
	param.private_data = priv;
	param.private_data_len = req->len < 0 ? (int)sizeof(priv) : req->len;
	if (req->no_qp)
		param.qp_num = 0xfff000 + getpid() % 4096;	/* nobody's */
	if (rdma_connect(p->id, &param)) {
		peer_error = strerror(errno);
		goto fail;
	}
	event = cm_event(p, patience_ms());
	if (event == RDMA_CM_EVENT_ESTABLISHED || event == RDMA_CM_EVENT_REJECTED ||
	    (req->no_qp && event == RDMA_CM_EVENT_CONNECT_RESPONSE))
		return p;
	peer_error = event < 0 ? "no answer to the connection request" : rdma_event_str(event);
fail:
	peer_close(p, false);
	return NULL;
}

void peer_close(struct peer *p, bool farewell)
{
	if (!p)
		return;
	if (farewell && p->id)
		rdma_disconnect(p->id);
	if (p->id && p->id->qp)
		rdma_destroy_qp(p->id);
	if (p->mr)
		ibv_dereg_mr(p->mr);
	if (p->scq)
		ibv_destroy_cq(p->scq);
	if (p->rcq)
		ibv_destroy_cq(p->rcq);
	if (p->pd)
		ibv_dealloc_pd(p->pd);
	if (p->id)
		rdma_destroy_id(p->id);
	if (p->channel)
		rdma_destroy_event_channel(p->channel);
	free(p->mem);
	free(p);
}

/* Takes what is in the send queue's completions. False: one has failed. */
static bool reap(struct peer *p)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(p->scq, 1, &wc) > 0)
		if (wc.status != IBV_WC_SUCCESS) {
			peer_error = ibv_wc_status_str(wc.status);
			return false;
		}
	return true;
}

bool peer_send(struct peer *p, const void *capsule, uint32_t len)
{
	unsigned char *at = p->mem + p->sent++ % CAPSULES * CAPSULE_ROOM;
	struct ibv_sge sge = { .addr = (uintptr_t)at, .length = len, .lkey = p->mr->lkey };
	struct ibv_send_wr wr = { .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND }, *bad;

	memcpy(at, capsule, len);
	reap(p);
	return !ibv_post_send(p->id->qp, &wr, &bad);
}

bool peer_send_all(struct peer *p, void *capsules, uint32_t len, unsigned int nr)
{
	struct ibv_send_wr wr[nr], *bad;
	struct ibv_sge sge[nr];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		unsigned char *at = p->mem + p->sent++ % CAPSULES * CAPSULE_ROOM;

		memcpy(at, (unsigned char *)capsules + i * len, len);
		sge[i] = (struct ibv_sge) { .addr = (uintptr_t)at, .length = len, .lkey = p->mr->lkey };
		wr[i] = (struct ibv_send_wr) { .sg_list = &sge[i], .num_sge = 1, .opcode = IBV_WR_SEND,
					       .next = i + 1 < nr ? &wr[i + 1] : NULL };
	}
	return reap(p) && !ibv_post_send(p->id->qp, wr, &bad);
}

bool peer_send_half(struct peer *p)
{
	struct ibv_sge sge[2] = {
		{ .addr = (uintptr_t)p->mem, .length = 2048, .lkey = p->mr->lkey },
		{ .addr = (uintptr_t)p->mem + 2048, .length = 2048, .lkey = p->mr->lkey ^ 0x5a00 },
	};
	struct ibv_send_wr wr = { .sg_list = sge, .num_sge = 2, .opcode = IBV_WR_SEND }, *bad;
	long end = now_ms() + patience_ms();
	struct ibv_wc wc;

	if (ibv_post_send(p->id->qp, &wr, &bad))
		return false;
	while (ibv_poll_cq(p->scq, 1, &wc) <= 0) {
		if (now_ms() > end)
			return false;
		usleep(100);
	}
	return wc.status != IBV_WC_SUCCESS;
}

int peer_deaths(int number)
{
	struct request req = request(0, 32);
	int refusals = 0;

	while (number) {
		struct peer *p = peer_open(&req);

		/* those before may still be on their way out */
		if (p && p->rejected && refusals++ < 1000) {
			peer_close(p, false);
			usleep(20000);
			continue;
		}
		if (!p || p->rejected || !peer_send_half(p)) {
			printf("    %d deaths before the end: %s\n", number, p ? "refused, or sent" : peer_error);
			return 1;
		}
		peer_close(p, false);
		number--;
	}
	return 0;
}

static bool gone(struct peer *p)
{
	int event = cm_event(p, 0);

	if (event < 0)
		return p->ended;
	peer_error = rdma_event_str(event);
	p->ended |= event == RDMA_CM_EVENT_DISCONNECTED || event == RDMA_CM_EVENT_REJECTED ||
		    event == RDMA_CM_EVENT_DEVICE_REMOVAL;
	return p->ended;
}

bool peer_wait(struct peer *p, struct response *rsp)
{
	long end = now_ms() + patience_ms();
	struct ibv_wc wc;

	while (ibv_poll_cq(p->rcq, 1, &wc) <= 0) {
		if (!reap(p) || gone(p))
			return false;
		if (now_ms() > end) {
			peer_error = "silence";
			return false;
		}
		usleep(200);
	}
	if (wc.status != IBV_WC_SUCCESS) {
		peer_error = ibv_wc_status_str(wc.status);
		p->ended = true;
		return false;
	}
	if (wc.byte_len != 16) {
		peer_error = "a response that is not 16 bytes long";
		return false;
	}
	unsigned char *cqe = p->mem + CAPSULES * CAPSULE_ROOM + wc.wr_id * 16;

	*rsp = (struct response) {
		.result = get(cqe, 8), .sqhd = get(cqe + 8, 2), .sqid = get(cqe + 10, 2),
		.cid = get(cqe + 12, 2), .status = get(cqe + 14, 2) >> 1 & 0x7ff,
		.invalidated = wc.wc_flags & IBV_WC_WITH_INV,
	};
	return p->lazy || post_recv(p, wc.wr_id);
}

bool peer_makes_room(struct peer *p)
{
	unsigned int i;

	p->lazy = false;
	for (i = 1; i < RESPONSES; i++)
		if (!post_recv(p, i))
			return false;
	return true;
}

bool peer_ends(struct peer *p)
{
	long end = now_ms() + patience_ms();
	struct ibv_wc wc;

	while (now_ms() < end) {
		if (gone(p))
			return true;
		while (p->rcq && ibv_poll_cq(p->rcq, 1, &wc) > 0)
			if (wc.status != IBV_WC_SUCCESS)
				return true;
		usleep(1000);
	}
	peer_error = "the connection lives on";
	return false;
}

bool peer_run(struct peer *p, void *capsule, uint32_t len, struct response *rsp)
{
	static uint16_t cid;

	put16((char *)capsule + 2, ++cid);
	if (!peer_send(p, capsule, len) || !peer_wait(p, rsp))
		return false;
	if (rsp->cid == cid)
		return true;
	peer_error = "the response is another command's";
	return false;
}

void cmd_init(unsigned char *c, uint8_t opcode, uint32_t nsid)
{
	memset(c, 0, 64);
	c[0] = opcode;
	c[1] = 0x40;			/* PSDT: SGL */
	put32(c + 4, nsid);
	c[39] = SGL_KEYED;
}

void cmd_rw(unsigned char *c, uint8_t opcode, uint32_t nsid, uint64_t slba, uint32_t blocks)
{
	cmd_init(c, opcode, nsid);
	put64(c + 40, slba);
	put16(c + 48, blocks - 1);
}

void sgl_set(unsigned char *sgl, uint8_t type, uint64_t addr, uint32_t len, uint32_t key)
{
	put64(sgl, addr);
	put32(sgl + 8, len);
	if (type >> 4 == SGL_KEYED >> 4)
		put32(sgl + 11, key);
	else
		put32(sgl + 12, 0);
	sgl[15] = type;
}

void cmd_keyed(struct peer *p, unsigned char *c, uint32_t off, uint32_t len)
{
	sgl_set(c + 24, SGL_KEYED, (uintptr_t)p->data + off, len, p->mr->rkey);
}

uint32_t cmd_connect(unsigned char *c, const char *nqn, uint16_t qid, uint16_t sqsize,
		     uint16_t cntlid, uint32_t kato)
{
	memset(c, 0, 64 + 1024);
	c[0] = OPC_FABRICS;
	c[1] = 0x40;
	c[4] = FCTYPE_CONNECT;
	sgl_set(c + 24, SGL_INLINE, 0, 1024, 0);
	put16(c + 42, qid);
	put16(c + 44, sqsize);
	put32(c + 48, kato);
	c[64] = 0x5a;			/* host identifier */
	put16(c + 64 + 16, cntlid);
	strcpy((char *)c + 64 + 256, nqn);
	strcpy((char *)c + 64 + 512, "nqn.2026-11.test:rdmapeer");
	return 64 + 1024;
}

bool peer_connect(struct peer *p, const char *nqn, uint16_t qid, uint16_t entries,
		  uint16_t cntlid, uint32_t kato, struct response *rsp)
{
	unsigned char c[64 + 1024];
	uint32_t len = cmd_connect(c, nqn, qid, entries - 1, cntlid, kato);

	return peer_run(p, c, len, rsp);
}

struct peer *peer_admin(const char *nqn, uint32_t kato)
{
	struct request req = request(0, 32);
	struct peer *p = peer_open(&req);
	struct response rsp;
	unsigned char c[64];

	if (!p)
		return NULL;
	if (p->rejected) {
		peer_error = "refused";
		goto fail;
	}
	if (!peer_connect(p, nqn, 0, 32, 0xffff, kato, &rsp))
		goto fail;
	peer_error = "Connect, or Property Set, was refused";
	if (rsp.status)
		goto fail;
	p->cntlid = rsp.result;
	cmd_init(c, OPC_FABRICS, FCTYPE_PROPERTY_SET);
	put32(c + 44, 0x14);		/* CC */
	put64(c + 48, 0x460001);
	if (!peer_run(p, c, 64, &rsp) || rsp.status)
		goto fail;
	return p;
fail:
	peer_close(p, true);
	return NULL;
}

struct peer *peer_io(const struct peer *admin, const char *nqn, uint16_t qid, uint16_t entries,
		     bool lazy)
{
	struct request req = request(qid, entries);
	struct peer *p;
	struct response rsp;

	req.lazy = lazy;
	p = peer_open(&req);
	if (!p)
		return NULL;
	peer_error = "refused";
	if (!p->rejected && peer_connect(p, nqn, qid, entries, admin->cntlid, 0, &rsp) && !rsp.status)
		return p;
	peer_close(p, true);
	return NULL;
}
