/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The pool: memory for commands' data, in pages that each reactor keeps, against credit
 * from one budget for all reactors.
 */
#ifndef _NVTGT_POOL_H
#define _NVTGT_POOL_H

#include <linux/list.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <nvtgt/types.h>

/**
 * enum nvtgt_buf_place - where a connection stands that wants credit
 *
 * @NVTGT_BUF_OUT: nowhere.
 * @NVTGT_BUF_IN_LINE: in the line of all reactors.
 * @NVTGT_BUF_GRANTED: it has been given its bytes; its reactor will call ready().
 * @NVTGT_BUF_SHORT: no page was free; its reactor will call ready() in a moment.
 */
enum nvtgt_buf_place {
	NVTGT_BUF_OUT,
	NVTGT_BUF_IN_LINE,
	NVTGT_BUF_GRANTED,
	NVTGT_BUF_SHORT,
};

/**
 * struct nvtgt_buf_waiter - a place in the line for the pool's credit
 * @node: in the line, or in the reactor's list of connections that were given credit
 * @reactor: the reactor of the connection, while it waits
 * @bytes: what it asked for
 * @place: enum nvtgt_buf_place
 * @was_short: it has waited for a page, has tried again, and waits once more; the core's
 * @ready: after nvtgt_buf_wait(): @bytes of credit are there, and the connection stands in the
 *	line no more. Call nvtgt_buf_get() again, for one request or for several. Credit
 *	that has not been used when this returns goes to the next connection in the line; a
 *	connection that wants more goes to the end of the line with nvtgt_buf_wait(). After
 *	nvtgt_buf_retry(): nothing has been given. Call nvtgt_buf_get() again before this
 *	returns, for the connection may be the one that may use what the kernel keeps for
 *	interrupts; if there is no credit either, it may do so when its turn in the line
 *	comes. Reactor context.
 */
struct nvtgt_buf_waiter {
	struct list_head node;
	struct nvtgt_reactor *reactor;
	long bytes;
	u8 place;
	bool was_short;
	void (*ready)(struct nvtgt_buf_waiter *waiter);
};

/**
 * NVTGT_BUF_PATIENCE_MS - how long a connection's commands wait for pages before they fail
 */
#define NVTGT_BUF_PATIENCE_MS	10000

/**
 * NVTGT_BUF_TURN - bytes that a connection asks for at once with several requests
 *
 * One request may be larger.
 */
#define NVTGT_BUF_TURN	(64 * 1024)

/**
 * nvtgt_buf_bytes - what a request is charged
 * @req: parsed
 *
 * Return: bytes: whole pages, its protection information beside its data
 */
static inline long nvtgt_buf_bytes(const struct nvtgt_req *req)
{
	return round_up(req->data_len, PAGE_SIZE) + round_up(req->pi_len, PAGE_SIZE);
}

/**
 * struct nvtgt_buf_hold - credit for memory that commands have left behind
 * @node: in the reactor's list, while @bytes is not 0
 * @bytes: how much it is
 * @look: see what can be given back, with nvtgt_buf_unhold(). @wanted: another
 *	connection waits for credit; more is to be given back as soon as it can be. Reactor context.
 *
 * Pages that a socket still needs when their command is over, for example.
 */
struct nvtgt_buf_hold {
	struct list_head node;
	long bytes;
	void (*look)(struct nvtgt_buf_hold *hold, bool wanted);
};

void nvtgt_buf_hold(struct nvtgt_reactor *reactor, struct nvtgt_buf_hold *hold, long bytes);
void nvtgt_buf_unhold(struct nvtgt_reactor *reactor, struct nvtgt_buf_hold *hold, long bytes);
bool nvtgt_buf_is_wanted(const struct nvtgt_reactor *reactor);
int __must_check nvtgt_buf_reserve(struct nvtgt_req *req);
int __must_check nvtgt_buf_fill(struct nvtgt_req *req);
int __must_check nvtgt_buf_get(struct nvtgt_req *req);
int __must_check nvtgt_buf_get_over(struct nvtgt_req *req);
void nvtgt_buf_reserve_beyond(struct nvtgt_req *req);
void nvtgt_buf_put(struct nvtgt_req *req);
void nvtgt_buf_wait(struct nvtgt_reactor *reactor, struct nvtgt_buf_waiter *waiter, long bytes);
void nvtgt_buf_retry(struct nvtgt_reactor *reactor, struct nvtgt_buf_waiter *waiter);
void nvtgt_buf_unwait(struct nvtgt_buf_waiter *waiter);
void nvtgt_buf_move(struct nvtgt_buf_waiter *waiter, struct nvtgt_reactor *to);
struct page *nvtgt_page_get(struct nvtgt_reactor *reactor);
void nvtgt_page_put(struct nvtgt_reactor *reactor, struct page *page);

#endif /* _NVTGT_POOL_H */
