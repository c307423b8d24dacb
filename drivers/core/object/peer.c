// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Peers
 *
 * So that no host shuts out another. A connection costs memory from its first packet on, and
 * the host that it belongs to is known only when a Connect has come; until then it is
 * half-open. Connections are counted for each source address (an IPv4 address, the upper 64 bits
 * of an IPv6 address and, of a link-local one, the link; each in its network namespace)
 * and in all.
 *
 * At a bound the newcomer is let in, and the oldest half-open connection ends: of its
 * own address when that has reached its bound, otherwise of the address that has most
 * of them. An honest host has sent its Connect long before its connection is the oldest one.
 * The newcomer is refused where there is no such connection, since all are hosts at work.
 *
 * A connection that was told to end counts no more, but as one that is ending. While
 * max_half_open connections are ending newcomers are refused, for an ending connection holds
 * memory until its reactor has come round.
 *
 * Discovery admits any host, so its controllers are counted by address as well. At the
 * bound the oldest one whose host asked for no keep alive ends (it came to read a log
 * page), or else the oldest one; a host that stays comes back by itself.
 *
 * A connection is counted from nvtgt_peer_enter() to nvtgt_queue_destroy(); while it is
 * half-open it may be told to end at any time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/in.h>
#include <linux/in6.h>
#include <linux/log2.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <nvtgt/conn.h>
#include "object.h"

static unsigned int nvtgt_max_peer_discovery = 256;
module_param_named(max_peer_discovery, nvtgt_max_peer_discovery, uint, 0644);
MODULE_PARM_DESC(max_peer_discovery, "most discovery controllers of one source address (0: max_ctrls)");

#define NVTGT_PEER_LOOKS	64	/* addresses among which the one with most is looked for */

/*
 * struct nvtgt_peer - a source address with connections
 *
 * Lives while one of its connections does. All of it is protected by conns->peer_lock.
 */
struct nvtgt_peer {
	struct hlist_node node;		/* conns->hash */
	struct nvtgt_conns *conns;
	const struct net *net;		/* its connections' ports hold it */
	u64 addr;			/* IPv4 address, or the upper half of an IPv6 address */
	u32 scope;			/* of a link-local address: the interface's index; else 0 */
	sa_family_t family;
	unsigned int nr_queues;		/* nvtgt_queue.peer */
	unsigned int nr_connections;	/* without those that are ending */
	unsigned int nr_half_open;
	struct list_head half_open;	/* nvtgt_queue.peer_entry, the oldest first */
	struct list_head level;		/* conns->levels, while it has half-open ones */
	unsigned int nr_discovery;
	struct list_head discovery;	/* nvtgt_ctrl.peer_entry, the oldest first */
};

/* What a newcomer has met, for the log: the parameter's name and its count. */
struct nvtgt_peer_bound {
	const char *param;
	unsigned int nr;
};

/**
 * nvtgt_peers_init - prepare a transport's peers
 * @conns: its connections
 *
 * Context: module load.
 */
void nvtgt_peers_init(struct nvtgt_conns *conns)
{
	unsigned int i;

	spin_lock_init(&conns->peer_lock);
	get_random_bytes(&conns->key, sizeof(conns->key));
	for (i = 0; i < ARRAY_SIZE(conns->hash); i++)
		INIT_HLIST_HEAD(&conns->hash[i]);
	for (i = 0; i < ARRAY_SIZE(conns->levels); i++)
		INIT_LIST_HEAD(&conns->levels[i]);
}

/**
 * nvtgt_peers_exit - check that a transport has no peers left
 * @conns: its connections; none is left
 *
 * Context: module unload.
 */
void nvtgt_peers_exit(struct nvtgt_conns *conns)
{
	WARN_ON_ONCE(conns->nr_connections || conns->nr_half_open || conns->nr_ending);
}

/**
 * nvtgt_conns_busy - are as many connections ending for want of room as may be?
 * @conns: the transport's
 *
 * A transport that can leave newcomers in a line does so, for a moment; else
 * nvtgt_conn_init() refuses them.
 *
 * Context: any.
 * Return: whether there are
 */
bool nvtgt_conns_busy(const struct nvtgt_conns *conns)
{
	return READ_ONCE(conns->nr_ending) >= max(READ_ONCE(conns->max_half_open), 1U);
}
EXPORT_SYMBOL_GPL(nvtgt_conns_busy);

static unsigned int nvtgt_peer_limit(const unsigned int *param)
{
	return READ_ONCE(*param) ?: UINT_MAX;
}

/* Fills in the address. All that is neither IPv4 nor IPv6 is one peer. */
static void nvtgt_peer_set_addr(struct nvtgt_peer *peer, const struct sockaddr_storage *addr)
{
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;

	peer->family = addr->ss_family;
	if (addr->ss_family == AF_INET) {
		peer->addr = ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr);
	} else if (addr->ss_family == AF_INET6 && ipv6_addr_v4mapped(in6)) {
		peer->family = AF_INET;
		peer->addr = ntohl(in6->s6_addr32[3]);
	} else if (addr->ss_family == AF_INET6) {
		peer->addr = (u64)ntohl(in6->s6_addr32[0]) << 32 | ntohl(in6->s6_addr32[1]);
		if (ipv6_addr_type(in6) & IPV6_ADDR_LINKLOCAL)
			peer->scope = ((const struct sockaddr_in6 *)addr)->sin6_scope_id;
	}
}

static struct hlist_head *nvtgt_peer_bucket(const struct nvtgt_peer *peer)
{
	u64 hash = siphash_3u64(peer->addr, (unsigned long)peer->net,
				(u64)peer->scope << 32 | peer->family, &peer->conns->key);

	return &peer->conns->hash[hash % NVTGT_PEER_BUCKETS];
}

/* The peer that is there already, or the new one, which is added. */
static struct nvtgt_peer *nvtgt_peer_find(struct nvtgt_peer *fresh)
{
	struct hlist_head *bucket = nvtgt_peer_bucket(fresh);
	struct nvtgt_peer *peer;

	lockdep_assert_held(&fresh->conns->peer_lock);
	hlist_for_each_entry(peer, bucket, node)
		if (peer->addr == fresh->addr && peer->family == fresh->family &&
		    peer->net == fresh->net && peer->scope == fresh->scope)
			return peer;
	hlist_add_head(&fresh->node, bucket);
	return fresh;
}

/* Its count of half-open connections has changed. */
static void nvtgt_peer_set_level(struct nvtgt_peer *peer, unsigned int before)
{
	unsigned int now = peer->nr_half_open;

	/* peers of level 0 have one half-open connection each, and stand nearly by its age */
	if (before && now && ilog2(before) == ilog2(now))
		return;
	list_del_init(&peer->level);
	if (now)
		list_add_tail(&peer->level, &peer->conns->levels[ilog2(now)]);
}

static void nvtgt_peer_add_half_open(struct nvtgt_peer *peer, struct nvtgt_queue *queue)
{
	list_add_tail(&queue->peer_entry, &peer->half_open);
	queue->peer_state = NVTGT_PEER_HALF_OPEN;
	peer->conns->nr_half_open++;
	peer->nr_half_open++;
	nvtgt_peer_set_level(peer, peer->nr_half_open - 1);
}

static void nvtgt_peer_del_half_open(struct nvtgt_peer *peer, struct nvtgt_queue *queue)
{
	list_del_init(&queue->peer_entry);
	peer->conns->nr_half_open--;
	peer->nr_half_open--;
	nvtgt_peer_set_level(peer, peer->nr_half_open + 1);
}

/* Tells the peer's oldest half-open connection to end. Returns whether there is one. */
static bool nvtgt_peer_end_oldest(struct nvtgt_peer *peer)
{
	struct nvtgt_conns *conns = peer->conns;
	struct nvtgt_queue *queue;

	lockdep_assert_held(&conns->peer_lock);
	queue = list_first_entry_or_null(&peer->half_open, struct nvtgt_queue, peer_entry);
	if (!queue)
		return false;
	nvtgt_peer_del_half_open(peer, queue);
	queue->peer_state = NVTGT_PEER_ENDING;
	peer->nr_connections--;
	conns->nr_connections--;
	conns->nr_ending++;
	/* it lives: its nvtgt_queue_destroy() waits for the lock */
	nvtgt_conn_disconnect(to_nvtgt_conn(queue));
	return true;
}

/* Of the first peers of the highest level used, the one with most half-open ones; or NULL. */
static struct nvtgt_peer *nvtgt_peer_with_most(struct nvtgt_conns *conns)
{
	struct nvtgt_peer *peer, *most = NULL;
	int i, looks = NVTGT_PEER_LOOKS;

	for (i = NVTGT_PEER_LEVELS - 1; i >= 0 && !most; i--)
		list_for_each_entry(peer, &conns->levels[i], level) {
			if (!most || peer->nr_half_open > most->nr_half_open)
				most = peer;
			if (!i || !--looks)
				break;
		}
	return most;
}

/*
 * Makes room for one connection more. Returns whether there is some; @bound->param says
 * what has been reached, if anything. A guest's queue is half-open only while it is made, and the guest
 * is told that it has been: none ends for the sake of another guest's (@pcie).
 */
static bool nvtgt_peer_make_room(struct nvtgt_peer *peer, struct nvtgt_peer_bound *bound,
				 bool pcie)
{
	struct nvtgt_conns *conns = peer->conns;
	struct nvtgt_peer *most;

	lockdep_assert_held(&conns->peer_lock);
	if (nvtgt_conns_busy(conns)) {
		*bound = (struct nvtgt_peer_bound) { "max_half_open", conns->nr_ending };
		return false;
	}
	if (peer->nr_half_open >= nvtgt_peer_limit(&conns->max_peer_half_open)) {
		*bound = (struct nvtgt_peer_bound) { "max_peer_half_open", peer->nr_half_open };
		return nvtgt_peer_end_oldest(peer);
	}
	if (peer->nr_connections >= nvtgt_peer_limit(&conns->max_peer_connections)) {
		*bound = (struct nvtgt_peer_bound) { "max_peer_connections", peer->nr_connections };
		return nvtgt_peer_end_oldest(peer);
	}
	if (conns->nr_half_open >= READ_ONCE(conns->max_half_open))
		*bound = (struct nvtgt_peer_bound) { "max_half_open", conns->nr_half_open };
	else if (conns->nr_connections >= READ_ONCE(conns->max_connections))
		*bound = (struct nvtgt_peer_bound) { "max_connections", conns->nr_connections };
	else
		return true;
	most = pcie ? NULL : nvtgt_peer_with_most(conns);
	return most && nvtgt_peer_end_oldest(most);
}

/* Adds a connection to its peer if there is room. */
static bool nvtgt_peer_add(struct nvtgt_peer *peer, struct nvtgt_queue *queue,
			   struct nvtgt_peer_bound *bound)
{
	if (!nvtgt_peer_make_room(peer, bound, queue->ops->pcie))
		return false;
	queue->peer = peer;
	peer->nr_queues++;
	peer->nr_connections++;
	peer->conns->nr_connections++;
	nvtgt_peer_add_half_open(peer, queue);
	return true;
}

static struct nvtgt_peer *nvtgt_peer_alloc(struct nvtgt_conns *conns, const struct net *net,
					   const struct sockaddr_storage *addr)
{
	/* a host on this machine may have to write to us for memory to be free */
	struct nvtgt_peer *peer = kzalloc(sizeof(*peer), GFP_NOIO);

	if (!peer)
		return NULL;
	peer->conns = conns;
	peer->net = net;
	nvtgt_peer_set_addr(peer, addr);
	INIT_LIST_HEAD(&peer->half_open);
	INIT_LIST_HEAD(&peer->level);
	INIT_LIST_HEAD(&peer->discovery);
	return peer;
}

/**
 * nvtgt_peer_enter - count a new connection, half-open
 * @queue: the connection, which may be told to end from here on, in any context
 * @addr: where it comes from
 *
 * Another half-open connection may be told to end, so that there is room.
 * nvtgt_queue_destroy() takes @queue out again.
 *
 * Context: process, may sleep.
 * Return: 0; -ENOMEM; -EMFILE: there is no room, which has been logged
 */
int nvtgt_peer_enter(struct nvtgt_queue *queue, const struct sockaddr_storage *addr)
{
	struct nvtgt_conns *conns = queue->ops->conns;
	struct nvtgt_peer_bound bound = {};
	struct nvtgt_peer *peer, *fresh;
	bool room;

	fresh = nvtgt_peer_alloc(conns, queue->port->net, addr);
	if (!fresh)
		return -ENOMEM;
	spin_lock(&conns->peer_lock);
	peer = nvtgt_peer_find(fresh);
	room = nvtgt_peer_add(peer, queue, &bound);
	if (peer == fresh && room)
		fresh = NULL;
	else if (peer == fresh)
		hlist_del(&fresh->node);
	spin_unlock(&conns->peer_lock);
	kfree(fresh);
	if (bound.param)
		pr_warn_ratelimited("port %u, peer %pISc: %u connections (parameter %s of %s): %s\n",
				    queue->port->id, addr, bound.nr, bound.param, conns->name,
				    room ? "the oldest without a Connect ends" : "refused");
	return room ? 0 : -EMFILE;
}

/**
 * nvtgt_peer_settle - a Connect has succeeded: half-open no more
 * @queue: the connection
 *
 * Context: process, the reactor of the queue.
 */
void nvtgt_peer_settle(struct nvtgt_queue *queue)
{
	struct nvtgt_peer *peer = queue->peer;

	if (!peer)
		return;
	spin_lock(&peer->conns->peer_lock);
	if (queue->peer_state == NVTGT_PEER_HALF_OPEN) {
		nvtgt_peer_del_half_open(peer, queue);
		queue->peer_state = NVTGT_PEER_SETTLED;
	}
	spin_unlock(&peer->conns->peer_lock);
}

static void nvtgt_peer_del_discovery(struct nvtgt_peer *peer, struct nvtgt_ctrl *ctrl)
{
	if (list_empty(&ctrl->peer_entry))
		return;
	list_del_init(&ctrl->peer_entry);
	peer->nr_discovery--;
}

/* Ends the oldest discovery controller whose host asked for no keep alive, or the oldest. */
static void nvtgt_peer_end_discovery(struct nvtgt_peer *peer)
{
	struct nvtgt_ctrl *ctrl, *found;

	found = list_first_entry(&peer->discovery, struct nvtgt_ctrl, peer_entry);
	list_for_each_entry(ctrl, &peer->discovery, peer_entry)
		if (!ctrl->persistent) {
			found = ctrl;
			break;
		}
	nvtgt_peer_del_discovery(peer, found);
	nvtgt_ctrl_delete(found);
}

/**
 * nvtgt_peer_add_discovery - a discovery controller has been made
 * @queue: its admin queue
 * @ctrl: the controller
 *
 * Another discovery controller of the same address ends when there are too many.
 *
 * Context: process, while the Connect is in flight.
 */
void nvtgt_peer_add_discovery(struct nvtgt_queue *queue, struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_peer *peer = queue->peer;
	bool full;

	if (!peer)
		return;
	spin_lock(&peer->conns->peer_lock);
	full = peer->nr_discovery >= nvtgt_peer_limit(&nvtgt_max_peer_discovery);
	if (full)
		nvtgt_peer_end_discovery(peer);
	list_add_tail(&ctrl->peer_entry, &peer->discovery);
	peer->nr_discovery++;
	spin_unlock(&peer->conns->peer_lock);
	if (full)
		nvtgt_ctrl_warn(ctrl, "too many discovery controllers of its address (parameter max_peer_discovery): an older one ends\n");
}

/**
 * nvtgt_peer_leave - a connection is gone
 * @queue: the connection; its controller, if it has one, is still there
 *
 * Context: process.
 */
void nvtgt_peer_leave(struct nvtgt_queue *queue)
{
	struct nvtgt_peer *peer = queue->peer;
	struct nvtgt_conns *conns;
	bool last;

	if (!peer)
		return;
	conns = peer->conns;
	spin_lock(&conns->peer_lock);
	if (queue->peer_state == NVTGT_PEER_HALF_OPEN)
		nvtgt_peer_del_half_open(peer, queue);
	if (queue->peer_state == NVTGT_PEER_ENDING) {
		conns->nr_ending--;
	} else {
		peer->nr_connections--;
		conns->nr_connections--;
	}
	if (queue->ctrl && !queue->qid)
		nvtgt_peer_del_discovery(peer, queue->ctrl);
	last = !--peer->nr_queues;
	if (last)
		hlist_del(&peer->node);
	spin_unlock(&conns->peer_lock);
	queue->peer = NULL;
	if (last)
		kfree(peer);
}

static void nvtgt_peer_show(struct seq_file *m, const struct nvtgt_peer *peer)
{
	char text[40];

	if (peer->family == AF_INET) {
		__be32 addr = htonl(peer->addr);

		snprintf(text, sizeof(text), "%pI4", &addr);
	} else {
		struct in6_addr addr = {};
		int len;

		addr.s6_addr32[0] = htonl(peer->addr >> 32);
		addr.s6_addr32[1] = htonl(lower_32_bits(peer->addr));
		len = snprintf(text, sizeof(text), "%pI6c", &addr);
		if (peer->scope)
			snprintf(text + len, sizeof(text) - len, "%%%u", peer->scope);
	}
	seq_printf(m, "%-10s %-23s %6u %6u %6u %6u\n", peer->conns->name, text,
		   peer->nr_connections, peer->nr_half_open,
		   peer->nr_queues - peer->nr_connections, peer->nr_discovery);
}

/**
 * nvtgt_peers_show_of - a line for each address that has connections of a transport
 * @m: where to
 * @conns: the transport's
 *
 * Context: process, may sleep.
 */
void nvtgt_peers_show_of(struct seq_file *m, struct nvtgt_conns *conns)
{
	struct nvtgt_peer *peer;
	unsigned int i;

	for (i = 0; i < NVTGT_PEER_BUCKETS; i++) {
		spin_lock(&conns->peer_lock);
		hlist_for_each_entry(peer, &conns->hash[i], node)
			nvtgt_peer_show(m, peer);
		spin_unlock(&conns->peer_lock);
		cond_resched();
	}
}
