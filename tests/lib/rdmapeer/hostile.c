// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile host over verbs, case by case: wrong private data, capsules and
 * descriptors that lie, more commands than fit, sudden ends.
 *
 * usage: rdmapeer [CASE]...          all cases without one
 *        rdmapeer connects NUMBER    so many connections, each third one without a farewell
 *        rdmapeer sudden NUMBER      one sudden end, of the kind NUMBER % 3
 *        rdmapeer deaths NUMBER      so many connections that end in the middle of a SEND
 *        rdmapeer life NUMBER        so many lives of a good host whose target may refuse
 *                                    each step; nothing may hang
 *        rdmapeer batches            a good host: for each line "read|write BLOCKS NUMBER" on
 *                                    stdin so many batches of 32, all of one sent at once; then "ok"
 *
 * Environment: NVTGT_ADDR, NVTGT_PORT, NVTGT_NQN (namespace 1 stores, 512-byte
 * blocks), NVTGT_TIMEOUT (s), NVTGT_SETUP_TIMEOUT, a file with ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hostile.h"

#define INLINE	4096

int failures, rows;
const char *row = "";

/* Still served: a new host writes and reads back. */
void alive(void)
{
	struct peer *a = peer_admin(peer_nqn, 0), *q = NULL;
	unsigned char c[64 + BLOCK];
	struct response rsp;

	need(a, "no controller any more");
	if (a)
		q = peer_io(a, peer_nqn, 1, 32, false);
	need(q, "no I/O queue any more");
	if (q) {
		cmd_rw(c, OPC_WRITE, 1, 7, 1);
		sgl_set(c + 24, SGL_INLINE, 0, BLOCK, 0);
		memset(c + 64, 0xa7, BLOCK);
		need(peer_run(q, c, sizeof(c), &rsp) && !rsp.status, "a write fails");
		cmd_rw(c, OPC_READ, 1, 7, 1);
		cmd_keyed(q, c, 0, BLOCK);
		need(peer_run(q, c, 64, &rsp) && !rsp.status && q->data[BLOCK - 1] == 0xa7,
		     "a read fails");
	}
	peer_close(q, true);
	peer_close(a, true);
}

static void refused(const char *name, struct request req, int status)
{
	struct peer *p;

	ROW(name);
	p = peer_open(&req);
	need(p, "no refusal");
	need(!p || p->rejected == status, "status %d, not %d", p ? p->rejected : 0, status);
	peer_close(p, false);
}

static void private_data(void)
{
	struct request req = request(0, 32);

	req.len = 0;
	refused("no private data", req, REJ_HSQSIZE);	/* the CM fills it with zeroes */
	req = request(0, 32);
	req.recfmt = 1;
	refused("record format 1", req, REJ_RECFMT);
	req.recfmt = 0xffff;
	refused("record format ffffh", req, REJ_RECFMT);
	refused("queue 129", request(129, 32), REJ_QID);
	refused("queue ffffh", request(0xffff, 32), REJ_QID);
	refused("one entry", request(1, 1), REJ_HSQSIZE);
	refused("129 entries", request(1, 129), REJ_HSQSIZE);
	refused("an admin queue of 129", request(0, 129), REJ_HSQSIZE);
	req = request(1, 32);
	req.hsqsize = 0xffff;
	refused("10000h entries", req, REJ_HSQSIZE);
	req = request(1, 32);
	req.hrqsize = 0;
	refused("no room for responses", req, REJ_HRQSIZE);
	req.hrqsize = 30;
	refused("room for too few responses", req, REJ_HRQSIZE);
	req = request(1, 32);
	req.reads = 0;
	refused("no RDMA READs", req, REJ_IRD);
}

/* Connect against what the connection request said. */
static void connect_one(const char *name, uint16_t qid, uint16_t entries, uint16_t said_qid,
			uint16_t said, int status)
{
	struct request req = request(qid, entries);
	struct response rsp = { 0 };
	struct peer *p;

	ROW(name);
	p = peer_open(&req);
	need(p && !p->rejected, "no connection");
	if (p && !p->rejected) {
		need(peer_connect(p, peer_nqn, said_qid, said, 0xffff, 0, &rsp), "no response");
		need(rsp.status == status, "status %#x, not %#x", rsp.status, status);
	}
	peer_close(p, true);
}

static void connects_that_differ(void)
{
	connect_one("as it said", 0, 32, 0, 32, SC_SUCCESS);
	connect_one("fewer entries than it said", 0, 32, 0, 16, SC_SUCCESS);
	connect_one("more entries than it said", 0, 32, 0, 33, SC_CONNECT_INVALID_PARAM);
	connect_one("as many as a field holds", 0, 32, 0, 0, SC_CONNECT_INVALID_PARAM);
	connect_one("an admin queue, after all", 1, 32, 0, 32, SC_CONNECT_INVALID_PARAM);
	connect_one("no admin queue, after all", 0, 32, 1, 32, SC_CONNECT_INVALID_PARAM);
}

struct pair {
	struct peer *admin, *io;
};

static struct pair make_pair(uint16_t entries)
{
	struct pair pair = { .admin = peer_admin(peer_nqn, 0) };

	need(pair.admin, "no controller");
	if (pair.admin)
		pair.io = peer_io(pair.admin, peer_nqn, 1, entries, false);
	need(!pair.admin || pair.io, "no I/O queue");
	return pair;
}

static void drop_pair(struct pair pair)
{
	peer_close(pair.io, true);
	peer_close(pair.admin, true);
}

/* The connection ends by it, and nobody else's does. */
static void fatal(const char *name, const void *capsule, uint32_t len)
{
	struct pair pair;

	ROW(name);
	pair = make_pair(32);
	if (pair.io) {
		need(peer_send(pair.io, capsule, len), "not sent");
		need(peer_ends(pair.io), "goes on");
	}
	drop_pair(pair);
}

static void lengths(void)
{
	static unsigned char c[CAPSULE_ROOM];

	cmd_rw(c, OPC_READ, 1, 0, 1);
	fatal("no byte", c, 0);
	fatal("10 bytes", c, 10);
	fatal("63 bytes", c, 63);
	fatal("one more than a buffer holds", c, 64 + INLINE + 1);
	fatal("16 KiB", c, 64 + 16384);
	alive();
}

/* One command on a good queue. */
static void one(struct peer *q, const char *name, unsigned char *c, uint32_t len, int status)
{
	struct response rsp = { 0 };

	ROW(name);
	if (!q)
		return;
	need(peer_run(q, c, len, &rsp), "no response");
	need(rsp.status == status, "status %#x, not %#x", rsp.status, status);
}

static void inline_data(void)
{
	static unsigned char c[64 + INLINE];
	struct pair pair = make_pair(32);
	struct peer *q = pair.io;
	unsigned int i;

	static const struct {
		const char *name;
		uint64_t off;
		uint32_t len;
		int status;
	} table[] = {
		{ "at 2^64 - 1", ~0ULL, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "at 2^64 - 512", -512ULL, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "at 2^64 - 64", -64ULL, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "at 2^63", 1ULL << 63, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "at 2^32 - 1", 0xffffffff, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "at 2^32 - 512", 0xfffffe00, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "at the end", INLINE, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "a byte over the end", INLINE - BLOCK + 1, BLOCK, SC_SGL_INVALID_OFFSET },
		{ "longer than the command", 0, BLOCK + 1, SC_SGL_INVALID_DATA },
		{ "shorter than the command", 0, BLOCK - 1, SC_SGL_INVALID_DATA },
		{ "without length", 0, 0, SC_SGL_INVALID_DATA },
		{ "4 GiB", 0, 0xffffffff, SC_SGL_INVALID_DATA },
	};

	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		cmd_rw(c, OPC_WRITE, 1, 0, 1);
		sgl_set(c + 24, SGL_INLINE, table[i].off, table[i].len, 0);
		one(q, table[i].name, c, sizeof(c), table[i].status);
	}
	cmd_rw(c, OPC_WRITE, 1, 0, 8);
	sgl_set(c + 24, SGL_INLINE, 0, 8 * BLOCK, 0);
	one(q, "more than the capsule has", c, 64 + 8 * BLOCK - 1, SC_SGL_INVALID_OFFSET);
	cmd_rw(c, OPC_READ, 1, 0, 1);
	sgl_set(c + 24, SGL_INLINE, 0, BLOCK, 0);
	one(q, "a read into the capsule", c, sizeof(c), SC_SGL_INVALID_TYPE);

	/* an offset that is right */
	for (i = 0; i < 3; i++) {
		static const uint32_t offs[] = { 512, 100, INLINE - BLOCK };

		cmd_rw(c, OPC_WRITE, 1, 20 + i, 1);
		memset(c + 64, 0, INLINE);
		memset(c + 64 + offs[i], 0x11 * (i + 1), BLOCK);
		sgl_set(c + 24, SGL_INLINE, offs[i], BLOCK, 0);
		one(q, "an offset within the capsule", c, sizeof(c), SC_SUCCESS);
		cmd_rw(c, OPC_READ, 1, 20 + i, 1);
		if (!q)
			break;
		cmd_keyed(q, c, 0, BLOCK);
		one(q, "and what was written so", c, 64, SC_SUCCESS);
		need(q->data[0] == 0x11 * (i + 1) && q->data[BLOCK - 1] == 0x11 * (i + 1),
		     "reads %#x, %#x", q->data[0], q->data[BLOCK - 1]);
	}
	drop_pair(pair);
	alive();
}

static void descriptors(void)
{
	static unsigned char c[64 + INLINE];
	static const uint8_t types[] = { 0x00, 0x02, 0x0a, 0x10, 0x20, 0x21, 0x30, 0x3f, 0x41, 0x42,
					 0x4e, 0x50, 0x5a, 0x60, 0xf0, 0xff };
	struct pair pair = make_pair(32);
	struct peer *q = pair.io;
	struct response rsp;
	unsigned int i;

	for (i = 0; q && i < sizeof(types); i++) {
		cmd_rw(c, OPC_READ, 1, 0, 1);
		cmd_keyed(q, c, 0, BLOCK);
		c[39] = types[i];
		one(q, "a type that is none", c, 64, SC_SGL_INVALID_TYPE);
	}
	if (q) {
		cmd_rw(c, OPC_READ, 1, 0, 2);
		cmd_keyed(q, c, 0, BLOCK);
		one(q, "shorter than the command", c, 64, SC_SGL_INVALID_DATA);
		cmd_keyed(q, c, 0, 3 * BLOCK);
		one(q, "longer than the command", c, 64, SC_SGL_INVALID_DATA);
		cmd_keyed(q, c, 0, 0xffffff);
		one(q, "16 MiB", c, 64, SC_SGL_INVALID_DATA);
		cmd_keyed(q, c, 0, 0);
		one(q, "nothing", c, 64, SC_SGL_INVALID_DATA);
		cmd_init(c, OPC_FLUSH, 1);
		c[39] = 0xff;
		one(q, "of a command without data", c, 64, SC_SUCCESS);
	}

	/* several of them */
	for (i = 1; q && i <= 17; i++) {
		unsigned int n, want = i > 16 ? SC_SGL_INVALID_COUNT : SC_SUCCESS;

		cmd_rw(c, OPC_WRITE, 1, 100, i);
		for (n = 0; n < i; n++) {
			memset(q->data + n * 8192, n + 1, BLOCK);
			sgl_set(c + 64 + n * 16, SGL_KEYED, (uintptr_t)q->data + n * 8192, BLOCK,
				q->mr->rkey);
		}
		sgl_set(c + 24, SGL_LAST_SEG, 0, i * 16, 0);
		one(q, "several, for a write", c, 64 + i * 16, want);
		cmd_rw(c, OPC_READ, 1, 100, i);
		memset(q->data, 0, 17 * 8192);
		sgl_set(c + 24, SGL_LAST_SEG, 0, i * 16, 0);
		one(q, "several, for a read", c, 64 + i * 16, want);
		for (n = 0; n < i && i <= 16; n++)
			need(q->data[n * 8192] == n + 1 && q->data[n * 8192 + BLOCK - 1] == n + 1 &&
			     !q->data[n * 8192 + BLOCK], "piece %u of %u is wrong", n, i);
	}
	for (i = 0; q && i < 6; i++) {
		static const struct { uint64_t off; uint32_t len; int status; } lists[] = {
			{ 0, 0, SC_SGL_INVALID_DATA }, { 0, 17, SC_SGL_INVALID_DATA },
			{ -16ULL, 16, SC_SGL_INVALID_OFFSET }, { INLINE, 16, SC_SGL_INVALID_OFFSET },
			{ INLINE - 8, 16, SC_SGL_INVALID_OFFSET }, { 0, 0xfffffff0, SC_SGL_INVALID_COUNT },
		};

		cmd_rw(c, OPC_READ, 1, 0, 1);
		sgl_set(c + 24, SGL_LAST_SEG, lists[i].off, lists[i].len, 0);
		one(q, "a list that is none", c, sizeof(c), lists[i].status);
	}
	if (q) {
		cmd_rw(c, OPC_READ, 1, 0, 1);
		sgl_set(c + 24, SGL_LAST_SEG, 0, 16, 0);
		sgl_set(c + 64, SGL_INLINE, 0, BLOCK, 0);
		one(q, "a list with something else in it", c, 80, SC_SGL_INVALID_TYPE);
		sgl_set(c + 64, SGL_LAST_SEG, 0, 16, 0);
		one(q, "a list of itself", c, 80, SC_SGL_INVALID_TYPE);
	}

	/* an end that is as it should be after all of this */
	if (q) {
		cmd_rw(c, OPC_READ, 1, 100, 16);
		cmd_keyed(q, c, 0, 16 * BLOCK);
		ROW("a good read");
		need(peer_run(q, c, 64, &rsp) && !rsp.status && !rsp.invalidated, "fails");
	}
	drop_pair(pair);
	alive();
}

/* A key that is not what it says: the device notices, and the connection ends. */
static void keys(void)
{
	static const struct { const char *name; uint8_t opcode; bool key; uint32_t off; } table[] = {
		{ "a read with a wrong key", OPC_READ, true, 0 },
		{ "a write with a wrong key", OPC_WRITE, true, 0 },
		{ "a read beyond the key's memory", OPC_READ, false, DATA_ROOM - BLOCK },
		{ "a write beyond the key's memory", OPC_WRITE, false, DATA_ROOM - BLOCK },
	};
	unsigned char c[64];
	unsigned int i;

	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct pair pair;

		ROW(table[i].name);
		pair = make_pair(32);
		if (pair.io) {
			cmd_rw(c, table[i].opcode, 1, 0, 16);
			sgl_set(c + 24, SGL_KEYED, (uintptr_t)pair.io->data + table[i].off, 16 * BLOCK,
				pair.io->mr->rkey ^ (table[i].key ? 0x5a5a5a : 0));
			need(peer_send(pair.io, c, 64), "not sent");
			need(peer_ends(pair.io), "goes on");
		}
		drop_pair(pair);
	}
	alive();
}

/* More commands than the queue has entries, at once. */
static void too_many(void)
{
	unsigned char c[64];
	struct pair pair;
	unsigned int i;

	ROW("ten times as many as fit");
	pair = make_pair(32);
	if (pair.io) {
		for (i = 0; i < 320; i++) {
			cmd_rw(c, OPC_READ, 1, 0, 256);
			put16(c + 2, i);
			cmd_keyed(pair.io, c, 0, 256 * BLOCK);
			if (!peer_send(pair.io, c, 64))
				break;
		}
		need(peer_ends(pair.io), "goes on");
	}
	drop_pair(pair);

	ROW("before the connection has a controller");
	{
		struct request req = request(1, 32);
		struct peer *p = peer_open(&req);
		struct response rsp;
		unsigned int n = 0;

		need(p && !p->rejected, "no connection");
		for (i = 0; p && i < 320; i++) {
			cmd_rw(c, OPC_READ, 1, 0, 1);
			cmd_keyed(p, c, 0, BLOCK);
			if (!peer_send(p, c, 64))
				break;
		}
		/* one that is slow in sending gets an answer to each, which is right too */
		for (n = 0; p && n < i && peer_wait(p, &rsp); n++)
			need(rsp.status == SC_CMD_SEQ_ERROR, "answer %u is %#x", n, rsp.status);
		need(!p || n == 320 || peer_ends(p), "goes on after %u answers", n);
		peer_close(p, true);
	}
	alive();
}

#define LAZY	20

/* Hosts that send and do not receive: what they hold up is theirs. */
static void responses_not_taken(void)
{
	struct peer *a = peer_admin(peer_nqn, 0), *q[LAZY] = { NULL };
	unsigned char c[64];
	unsigned int i, n;

	/* two slots for each entry, and as many capsules as may wait for one */
	ROW("as many commands as there is room for");
	need(a, "no controller");
	for (i = 0; a && i < LAZY; i++) {
		q[i] = peer_io(a, peer_nqn, i + 1, 128, true);
		need(q[i], "no I/O queue %u", i + 1);
		for (n = 0; q[i] && n < 376; n++) {
			/* no data: their work requests would fill the send queue first */
			cmd_init(c, OPC_FLUSH, 1);
			put16(c + 2, n);
			if (!peer_send(q[i], c, 64))
				break;
			if (n % 64 == 63)
				usleep(1000);
		}
	}
	/* while they are there, and nothing is taken back */
	ROW("another host");
	alive();
	for (i = 0; i < LAZY; i++)
		peer_close(q[i], true);
	peer_close(a, true);
}

/* More data at once than a connection may hold: nobody waits for a timer. The shell sets long ones. */
static void burst(void)
{
	struct pair pair = make_pair(128);
	struct response rsp;
	unsigned char c[64];
	unsigned int i, round;

	for (round = 0; pair.io && round < 4; round++) {
		ROW("64 MiB at once");
		for (i = 0; i < 64; i++) {
			cmd_rw(c, round & 1 ? OPC_WRITE : OPC_READ, 1, i * 256, 2048);
			put16(c + 2, i);
			cmd_keyed(pair.io, c, 0, 2048 * BLOCK);
			need(peer_send(pair.io, c, 64), "not sent");
		}
		for (i = 0; i < 64; i++)
			if (!peer_wait(pair.io, &rsp) || rsp.status)
				break;
		need(i == 64, "%u are done", i);
	}
	drop_pair(pair);
}

/* Commands before Connect, and Connect twice. */
static void order(void)
{
	static unsigned char c[64 + 1024];
	struct request req = request(0, 32);
	struct peer *p = peer_open(&req);
	uint32_t len;

	need(p && !p->rejected, "no connection");
	if (p && !p->rejected) {
		cmd_init(c, OPC_IDENTIFY, 0);
		put32(c + 40, 1);
		cmd_keyed(p, c, 0, 4096);
		one(p, "Identify before Connect", c, 64, SC_CMD_SEQ_ERROR);
		len = cmd_connect(c, peer_nqn, 0, 31, 0xffff, 0);
		one(p, "Connect", c, len, SC_SUCCESS);
		len = cmd_connect(c, peer_nqn, 0, 31, 0xffff, 0);
		one(p, "Connect again", c, len, SC_CMD_SEQ_ERROR);
	}
	peer_close(p, true);
	alive();
}

#define STUCK	8	/* commands; the last is the write */

/* Responses with data that the target's list of connections has on this line: to be posted, and posted. */
static unsigned int responses_in(const char *line)
{
	const char *at = strstr(line, " writing ");
	unsigned int waiting = 0, posted = 0;

	if (at)
		sscanf(at, " writing %u sent %u", &waiting, &posted);
	return waiting + posted;
}

/* The target's list of connections says of queue 1, sooner or later, that it has as many in a state. */
static bool shown(const char *what, unsigned int responses)
{
	int tries;

	for (tries = 0; tries < 1500; tries++) {
		FILE *f = fopen("/sys/kernel/debug/nvtgt/connections", "r");
		bool found = false;
		char line[512];

		while (f && fgets(line, sizeof(line), f))
			found |= strstr(line, " qid 1 live ") && strstr(line, what) &&
				 (!responses || responses_in(line) == responses);
		if (f)
			fclose(f);
		if (found)
			return true;
		usleep(20000);
	}
	return false;
}

/* A write whose data have not been asked for, for responses that are not taken are in the way. */
static void aborted(void)
{
	struct peer *a = peer_admin(peer_nqn, 0), *q = NULL;
	static unsigned char c[64 + INLINE];
	unsigned int i, n, seen[STUCK] = { 0 };
	struct response rsp;

	need(a, "no controller");
	if (a)
		q = peer_io(a, peer_nqn, 1, 16, true);
	need(q, "no I/O queue");
	for (i = 0; q && i < STUCK; i++) {
		bool write = i == STUCK - 1;

		need(!write || shown("", STUCK - 1), "the reads are not where they should be");

		cmd_rw(c, write ? OPC_WRITE : OPC_READ, 1, write ? 3000 : 0, 16);
		put16(c + 2, i);
		for (n = 0; n < 16; n++)
			sgl_set(c + 64 + n * 16, SGL_KEYED, (uintptr_t)q->data + n * 8192, BLOCK,
				q->mr->rkey);
		sgl_set(c + 24, SGL_LAST_SEG, 0, 256, 0);
		if (write)
			cmd_keyed(q, c, 0, 16 * BLOCK);
		need(peer_send(q, c, write ? 64 : 64 + 256), "not sent");
	}
	if (q) {
		ROW("the write");
		need(shown(" fetching 1 ", 0), "it does not wait for its turn");
		cmd_init(c, OPC_ABORT, 0);
		put32(c + 40, 1 | (STUCK - 1) << 16);
		need(peer_run(a, c, 64, &rsp) && !rsp.status && !(rsp.result & 1), "was not aborted");
		need(peer_makes_room(q), "no room");
		for (i = 0; i < STUCK && peer_wait(q, &rsp); i++) {
			need(rsp.cid < STUCK && !seen[rsp.cid]++, "a response of %u too many", rsp.cid);
			need(rsp.status == (rsp.cid == STUCK - 1 ? SC_ABORT_REQ : SC_SUCCESS),
			     "command %u ended with %#x", rsp.cid, rsp.status);
		}
		need(i == STUCK, "%u responses", i);
		ROW("after it");
		memset(q->data, 0x5c, 16 * BLOCK);
		for (i = 0; i < 32 && !failures; i++) {
			cmd_rw(c, i & 1 ? OPC_READ : OPC_WRITE, 1, 3000, 16);
			cmd_keyed(q, c, 0, 16 * BLOCK);
			need(peer_run(q, c, 64, &rsp) && !rsp.status && q->data[9 * BLOCK] == 0x5c,
			     "command %u fails", i);
		}
	}
	peer_close(q, true);
	peer_close(a, true);
	alive();
}

/* Gone in the middle of everything: does not return. */
static void sudden(int number)
{
	static unsigned char c[64 + INLINE];
	struct pair pair;
	int i;

	ROW("commands of all kinds, and gone");
	pair = make_pair(64);
	for (i = 0; pair.io && i < 60; i++) {
		if (i % 3 == 2) {
			cmd_rw(c, OPC_WRITE, 1, i * 8, 8);
			sgl_set(c + 24, SGL_INLINE, 0, 8 * BLOCK, 0);
		} else {
			cmd_rw(c, i % 3 ? OPC_WRITE : OPC_READ, 1, i * 256, 2048);
			cmd_keyed(pair.io, c, 0, 2048 * BLOCK);
		}
		put16(c + 2, i);
		need(peer_send(pair.io, c, i % 3 == 2 ? 64 + 8 * BLOCK : 64), "not sent");
	}
	fflush(stdout);
	usleep(number * 300);
	if (number % 3 == 1 && pair.io) {	/* its memory first */
		ibv_dereg_mr(pair.io->mr);
		usleep(1000);
	}
	if (number % 3 == 2) {			/* one thing after the other */
		peer_close(pair.io, true);
		peer_close(pair.admin, true);
	}
	_exit(!!failures);
}

/* A process for each: nothing is left of it. */
static void sudden_ends(void)
{
	int number, status;

	for (number = 0; number < 24; number++) {
		char text[12];
		pid_t pid;

		ROW("a process of its own");
		snprintf(text, sizeof(text), "%d", number);
		fflush(stdout);
		pid = fork();
		if (!pid) {
			execl("/proc/self/exe", "rdmapeer", "sudden", text, NULL);
			_exit(127);
		}
		need(waitpid(pid, &status, 0) == pid && !status, "end %d has not come so far", number);
	}
	alive();
}

static unsigned int setup_timeout_ms(void)
{
	const char *name = getenv("NVTGT_SETUP_TIMEOUT");
	FILE *f = name ? fopen(name, "r") : NULL;
	unsigned int ms = 10000;

	if (f) {
		if (fscanf(f, "%u", &ms) != 1)
			ms = 10000;
		fclose(f);
	}
	return ms;
}

/* Half-made connections do not stay. The shell sets a short time-out. */
static void half_made(void)
{
	struct request req = request(0, 32);
	struct peer *p;

	need(setup_timeout_ms() <= 5000, "the shell has set no time-out");
	ROW("never confirmed");
	req.no_qp = true;
	p = peer_open(&req);
	need(p && !p->rejected, "not accepted");
	need(!p || peer_ends(p), "is kept");
	peer_close(p, false);
	ROW("no Connect");
	req.no_qp = false;
	p = peer_open(&req);
	need(p && !p->rejected, "no connection");
	need(!p || peer_ends(p), "is kept");
	peer_close(p, false);
	alive();
}

#define PI	8
#define CHECKS	(PRCHK_GUARD | PRCHK_APP | PRCHK_REF)
#define APP	0x4e56

/* CRC-16 of T10: 8bb7h */
static uint16_t guard(const unsigned char *data, unsigned int len)
{
	uint16_t crc = 0;
	int bit;

	while (len--) {
		crc ^= *data++ << 8;
		for (bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x8bb7 : crc << 1;
	}
	return crc;
}

static void be16(unsigned char *at, uint16_t v)
{
	at[0] = v >> 8;
	at[1] = v;
}

/* Extended LBAs, right in all their parts. */
static void extended(unsigned char *at, unsigned int blocks, uint32_t slba, unsigned char seed)
{
	for (; blocks--; at += BLOCK + PI, slba++) {
		memset(at, slba * 7 + seed, BLOCK);
		at[slba % BLOCK] ^= 0x55;
		be16(at + BLOCK, guard(at, BLOCK));
		be16(at + BLOCK + 2, APP);
		be16(at + BLOCK + 4, slba >> 16);
		be16(at + BLOCK + 6, slba);
	}
}

/* A command whose data are at the beginning of ours. */
static void one_pi(struct peer *q, const char *name, uint8_t opcode, uint16_t control,
		   uint64_t slba, uint32_t blocks, uint32_t len, int status)
{
	unsigned char c[64];

	cmd_rw(c, opcode, 1, slba, blocks);
	put16(c + 50, control);
	put32(c + 56, slba);
	put16(c + 60, APP);
	put16(c + 62, 0xffff);
	if (!q)
		return;
	cmd_keyed(q, c, 0, len);
	one(q, name, c, sizeof(c), status);
}

static void protected_data(struct peer *q)
{
	static unsigned char want[256 * (BLOCK + PI)];
	static const uint32_t sizes[] = { 1, 7, 8, 9, 64, 256 };
	unsigned int i, n;

	for (i = 0; q && i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint32_t len = sizes[i] * (BLOCK + PI);

		extended(want, sizes[i], 1000, i);
		memcpy(q->data, want, len);
		one_pi(q, "a write", OPC_WRITE, CHECKS, 1000, sizes[i], len, SC_SUCCESS);
		memset(q->data, 0xee, len + 1);
		one_pi(q, "a read", OPC_READ, CHECKS, 1000, sizes[i], len, SC_SUCCESS);
		need(!memcmp(q->data, want, len) && q->data[len] == 0xee, "%u blocks differ", sizes[i]);
		memset(q->data, 0xee, len);
		one_pi(q, "a read without", OPC_READ, PRACT | CHECKS, 1000, sizes[i],
		       sizes[i] * BLOCK, SC_SUCCESS);
		for (n = 0; n < sizes[i]; n++)
			need(!memcmp(q->data + n * BLOCK, want + n * (BLOCK + PI), BLOCK),
			     "block %u of %u differs", n, sizes[i]);
		need(q->data[sizes[i] * BLOCK] == 0xee, "more came than was asked for");
		/* back again, with what the target makes */
		one_pi(q, "a write without", OPC_WRITE, PRACT, 1000, sizes[i], sizes[i] * BLOCK,
		       SC_SUCCESS);
		memset(q->data, 0xee, len);
		one_pi(q, "a read of what was made", OPC_READ, CHECKS, 1000, sizes[i], len, SC_SUCCESS);
		need(!memcmp(q->data, want, len), "what was made for %u blocks differs", sizes[i]);
	}
}

static void protection(void)
{
	static const struct { const char *name; unsigned int at; uint16_t checks; int status; } wrong[] = {
		{ "a wrong byte", 3 * (BLOCK + PI) + 9, PRCHK_GUARD, SC_GUARD_CHECK },
		{ "a wrong guard", BLOCK, PRCHK_GUARD, SC_GUARD_CHECK },
		{ "a wrong application tag", 7 * (BLOCK + PI) + BLOCK + 2, PRCHK_APP, SC_APPTAG_CHECK },
		{ "a wrong reference tag", 2 * (BLOCK + PI) + BLOCK + 7, PRCHK_REF, SC_REFTAG_CHECK },
	};
	static unsigned char c[64 + INLINE];
	struct pair pair = make_pair(32);
	struct peer *q = pair.io;
	uint32_t len = 8 * (BLOCK + PI);
	unsigned int i;

	protected_data(q);
	for (i = 0; q && i < sizeof(wrong) / sizeof(*wrong); i++) {
		extended(q->data, 8, 2000, 1);
		one_pi(q, "before", OPC_WRITE, CHECKS, 2000, 8, len, SC_SUCCESS);
		extended(q->data, 8, 2000, 2);
		q->data[wrong[i].at] ^= 0x10;
		one_pi(q, wrong[i].name, OPC_WRITE, wrong[i].checks, 2000, 8, len, wrong[i].status);
		one_pi(q, wrong[i].name, OPC_READ, CHECKS, 2000, 8, len, SC_SUCCESS);
		extended(c, 1, 2000, 1);
		need(!memcmp(q->data, c, BLOCK + PI), "it was written all the same");
	}
	one_pi(q, "no room for it", OPC_READ, CHECKS, 0, 8, 8 * BLOCK, SC_SGL_INVALID_DATA);
	one_pi(q, "room for it, and none comes", OPC_READ, PRACT, 0, 8, len, SC_SGL_INVALID_DATA);
	one_pi(q, "half of it", OPC_WRITE, 0, 0, 8, len - 32, SC_SGL_INVALID_DATA);
	one_pi(q, "more than MDTS", OPC_WRITE, 0, 0, 257, 257 * (BLOCK + PI), SC_INVALID_FIELD);
	for (i = 0; q && i < 2; i++) {
		cmd_rw(c, i ? OPC_WRITE : OPC_READ, 1, 5, 1);
		put16(c + 50, PRCHK_REF);
		put32(c + 56, 6);
		cmd_keyed(q, c, 0, BLOCK + PI);
		one(q, "another block's reference tag", c, 64, SC_INVALID_PI);
		cmd_rw(c, i ? OPC_WRITE : OPC_READ, 1, 5, 1);
		sgl_set(c + 24, SGL_LAST_SEG, 0, 32, 0);
		sgl_set(c + 64, SGL_KEYED, (uintptr_t)q->data, BLOCK, q->mr->rkey);
		sgl_set(c + 80, SGL_KEYED, (uintptr_t)q->data + BLOCK, PI, q->mr->rkey);
		one(q, "in two pieces", c, 96, SC_SGL_INVALID_COUNT);
	}
	if (q) {
		cmd_rw(c, OPC_WRITE, 1, 5, 1);
		extended(c + 64, 1, 5, 0);
		sgl_set(c + 24, SGL_INLINE, 0, BLOCK + PI, 0);
		one(q, "in the capsule", c, 64 + BLOCK + PI, SC_SGL_INVALID_OFFSET);
	}
	drop_pair(pair);

	for (i = 0; i < 4; i++) {
		ROW("a wrong key");
		pair = make_pair(32);
		if (pair.io) {
			cmd_rw(c, i & 1 ? OPC_WRITE : OPC_READ, 1, 0, 8);
			put16(c + 50, i & 2 ? PRACT : 0);
			sgl_set(c + 24, SGL_KEYED, (uintptr_t)pair.io->data, i & 2 ? 8 * BLOCK : len,
				pair.io->mr->rkey ^ 0x5a5a5a);
			need(peer_send(pair.io, c, 64), "not sent");
			need(peer_ends(pair.io), "goes on");
		}
		drop_pair(pair);
	}
	pair = make_pair(32);
	protected_data(pair.io);
	drop_pair(pair);
}

/* A host that falls silent loses its controller. */
static void silence(void)
{
	struct peer *p;

	ROW("keep alive of a second");
	p = peer_admin(peer_nqn, 1000);
	need(p, "no controller");
	need(!p || peer_ends(p), "is kept");
	peer_close(p, false);
}

static void connects(int number)
{
	int i;

	ROW("connects");
	for (i = 0; i < number && !failures; i++) {
		struct peer *p = peer_admin(peer_nqn, 0);

		need(p, "number %d", i);
		peer_close(p, i % 3 != 1);
	}
}

/* A refusal, an error, an end: all are answers. */
static bool hung(void)
{
	return !strcmp(peer_error, "silence") || !strncmp(peer_error, "no answer", 9);
}

static int life(int number)
{
	static unsigned char c[64 + INLINE];
	int done = 0, i, n;

	ROW("a life");
	for (i = 0; i < number; i++) {
		struct peer *a, *q = NULL;
		struct response rsp;

		peer_error = "";
		a = peer_admin(peer_nqn, 0);
		if (a)
			q = peer_io(a, peer_nqn, 1, 64, false);
		for (n = 0; q && n < 24; n++) {
			uint32_t len = 64;

			cmd_rw(c, n & 1 ? OPC_WRITE : OPC_READ, 1, n * 8, n % 3 ? 8 : 512);
			if (n % 4 == 3) {
				cmd_rw(c, OPC_WRITE, 1, n * 8, 8);
				sgl_set(c + 24, SGL_INLINE, 0, 8 * BLOCK, 0);
				len += 8 * BLOCK;
			} else if (n % 4 == 2) {
				cmd_rw(c, OPC_READ, 1, n * 8, 2);
				sgl_set(c + 24, SGL_LAST_SEG, 0, 32, 0);
				sgl_set(c + 64, SGL_KEYED, (uintptr_t)q->data, BLOCK, q->mr->rkey);
				sgl_set(c + 80, SGL_KEYED, (uintptr_t)q->data + 8192, BLOCK, q->mr->rkey);
				len += 32;
			} else {
				cmd_keyed(q, c, 0, (n % 3 ? 8 : 512) * BLOCK);
			}
			if (!peer_run(q, c, len, &rsp))
				break;
			done += !rsp.status;
		}
		need(!hung(), "life %d: command %d", i, q ? n : -1);
		peer_close(q, true);
		peer_close(a, true);
	}
	printf("%d commands done\n", done);
	return !!failures;
}

#define BATCH	32

static bool batch(struct peer *q, bool write, unsigned int blocks)
{
	static unsigned char c[BATCH][64 + INLINE];
	uint32_t len = write ? 64 + blocks * BLOCK : 64;
	struct response rsp;
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		unsigned char *at = (unsigned char *)c + i * len;

		cmd_rw(at, write ? OPC_WRITE : OPC_READ, 1, i * blocks, blocks);
		put16(at + 2, i);
		if (write)
			sgl_set(at + 24, SGL_INLINE, 0, blocks * BLOCK, 0);
		else
			cmd_keyed(q, at, i * blocks * BLOCK, blocks * BLOCK);
	}
	if (!peer_send_all(q, c, len, BATCH))
		return false;
	for (i = 0; i < BATCH; i++)
		if (!peer_wait(q, &rsp) || rsp.status)
			return false;
	return true;
}

static int batches(void)
{
	struct pair pair = make_pair(64);
	unsigned int blocks, number;
	char line[80], what[8];

	if (!pair.io)
		return 1;
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%7s %u %u", what, &blocks, &number) != 3 || blocks > INLINE / BLOCK)
			return 2;
		while (number--)
			if (!batch(pair.io, !strcmp(what, "write"), blocks)) {
				printf("failed: %s\n", peer_error);
				return 1;
			}
		printf("ok\n");
	}
	drop_pair(pair);
	return 0;
}

static const struct {
	const char *name;
	void (*fn)(void);
} cases[] = {
	{ "private-data", private_data },
	{ "connects-that-differ", connects_that_differ },
	{ "order", order },
	{ "lengths", lengths },
	{ "inline-data", inline_data },
	{ "descriptors", descriptors },
	{ "keys", keys },
	{ "too-many", too_many },
	{ "responses-not-taken", responses_not_taken },
	{ "burst", burst },
	{ "aborted", aborted },
	{ "sudden-ends", sudden_ends },
	{ "half-made", half_made },
	{ "silence", silence },
	{ "half-open", half_open },	/* with max_half_open of 8 */
	{ "protection", protection },	/* with a block device that keeps it */
};

int main(int argc, char **argv)
{
	int bad = 0, ran = 0;
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	peer_nqn = getenv("NVTGT_NQN");
	if (!peer_nqn || !getenv("NVTGT_ADDR")) {
		fprintf(stderr, "rdmapeer: NVTGT_ADDR and NVTGT_NQN say where the target is\n");
		return 2;
	}
	if (argc == 3 && !strcmp(argv[1], "connects")) {
		connects(atoi(argv[2]));
		return !!failures;
	}
	if (argc == 3 && !strcmp(argv[1], "deaths"))
		return peer_deaths(atoi(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "life"))
		return life(atoi(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "batches"))
		return batches();
	if (argc == 3 && !strcmp(argv[1], "sudden"))
		sudden(atoi(argv[2]));
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int a, before = failures, first = rows;
		bool wanted = argc == 1;

		for (a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], cases[i].name);
		if (!wanted)
			continue;
		ran++;
		ROW("");
		cases[i].fn();
		bad += failures != before;
		printf("%sok %s (%d rows)\n", failures != before ? "not " : "", cases[i].name,
		       rows - first - 1);
	}
	printf("%d cases, %d failed\n", ran, bad);
	return bad || !ran;
}
