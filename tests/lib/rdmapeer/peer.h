/* SPDX-License-Identifier: GPL-2.0 */
/* An NVMe/RDMA host that can be told to be wrong, over verbs in userspace. */
#ifndef NVTGT_RDMAPEER_H
#define NVTGT_RDMAPEER_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>
#include <stdbool.h>
#include <stdint.h>

#define CAPSULES	512		/* that can be sent without waiting */
#define CAPSULE_ROOM	20480		/* bytes for each */
#define DATA_ROOM	(4 << 20)

enum { OPC_FLUSH = 0, OPC_WRITE = 1, OPC_READ = 2, OPC_IDENTIFY = 6, OPC_ABORT = 8, OPC_FABRICS = 0x7f };
enum { FCTYPE_PROPERTY_SET = 0, FCTYPE_CONNECT = 1 };

/* status field without phase and DNR */
enum {
	SC_SUCCESS = 0, SC_INVALID_FIELD = 0x2, SC_ABORT_REQ = 0x7, SC_CMD_SEQ_ERROR = 0xc, SC_SGL_INVALID_COUNT = 0xe,
	SC_SGL_INVALID_DATA = 0xf, SC_SGL_INVALID_TYPE = 0x11, SC_SGL_INVALID_OFFSET = 0x16,
	SC_INVALID_PI = 0x181, SC_CONNECT_INVALID_PARAM = 0x182,
	SC_GUARD_CHECK = 0x282, SC_APPTAG_CHECK, SC_REFTAG_CHECK,
};

/* bits of a read's or write's control field */
enum { PRACT = 0x2000, PRCHK_GUARD = 0x1000, PRCHK_APP = 0x800, PRCHK_REF = 0x400 };

/* SGL descriptor types: type << 4 | subtype */
enum { SGL_INLINE = 0x01, SGL_LAST_SEG = 0x31, SGL_KEYED = 0x40, SGL_KEYED_INV = 0x4f };

/* nvme_rdma_cm_status */
enum { REJ_LEN = 1, REJ_RECFMT, REJ_QID, REJ_HSQSIZE, REJ_HRQSIZE, REJ_NO_RSC, REJ_IRD };

struct request {			/* private data, and what is beside it */
	uint16_t recfmt, qid, hrqsize, hsqsize;
	int len;			/* bytes of private data; -1: all */
	int reads;			/* RDMA READs that we serve at a time */
	bool no_qp;			/* the answer is never confirmed */
	bool lazy;			/* there is room for one response, once */
};

struct response {
	uint64_t result;
	uint16_t sqhd, sqid, cid, status;
	bool invalidated;
};

struct peer {
	struct rdma_event_channel *channel;
	struct rdma_cm_id *id;
	struct ibv_pd *pd;
	struct ibv_cq *scq, *rcq;
	struct ibv_mr *mr;
	unsigned char *mem;		/* capsules, then responses, then data */
	unsigned char *data;
	int rejected;			/* status of the refusal, -1: without one; 0: connected */
	unsigned int sent;
	bool lazy;
	bool ended;			/* somebody has seen it */
	uint16_t cntlid;
};

extern const char *peer_error;		/* why the last call failed */

struct request request(uint16_t qid, uint16_t entries);
struct peer *peer_open(const struct request *req);	/* NULL: no connection, and no refusal */
void peer_close(struct peer *p, bool farewell);
bool peer_send(struct peer *p, const void *capsule, uint32_t len);
bool peer_send_all(struct peer *p, void *capsules, uint32_t len, unsigned int nr);	/* in one call */
bool peer_send_half(struct peer *p);			/* the first half of a capsule, and no more ever */
int peer_deaths(int number);				/* as many end like that; 0: they did */
bool peer_wait(struct peer *p, struct response *rsp);	/* false: the connection has ended */
bool peer_makes_room(struct peer *p);			/* a lazy one takes responses from now on */
bool peer_ends(struct peer *p);				/* it ends in time */
bool peer_run(struct peer *p, void *capsule, uint32_t len, struct response *rsp);

void put16(void *at, uint16_t v);
void put32(void *at, uint32_t v);
void put64(void *at, uint64_t v);

/* Commands: the capsule is 64 bytes and what stands behind. */
void cmd_init(unsigned char *c, uint8_t opcode, uint32_t nsid);
void cmd_rw(unsigned char *c, uint8_t opcode, uint32_t nsid, uint64_t slba, uint32_t blocks);
void sgl_set(unsigned char *sgl, uint8_t type, uint64_t addr, uint32_t len, uint32_t key);
void cmd_keyed(struct peer *p, unsigned char *c, uint32_t off, uint32_t len);
uint32_t cmd_connect(unsigned char *c, const char *nqn, uint16_t qid, uint16_t sqsize,
		     uint16_t cntlid, uint32_t kato);
bool peer_connect(struct peer *p, const char *nqn, uint16_t qid, uint16_t entries,
		  uint16_t cntlid, uint32_t kato, struct response *rsp);
struct peer *peer_admin(const char *nqn, uint32_t kato);	/* connected and enabled */
struct peer *peer_io(const struct peer *admin, const char *nqn, uint16_t qid, uint16_t entries,
		     bool lazy);

extern const char *peer_nqn;

#endif
