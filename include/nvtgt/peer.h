/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Peers: a transport's connections, counted by the address that they come from.
 */
#ifndef _NVTGT_PEER_H
#define _NVTGT_PEER_H

#include <linux/list.h>
#include <linux/siphash.h>
#include <linux/socket.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct nvtgt_queue;

#define NVTGT_PEER_BUCKETS	256
#define NVTGT_PEER_LEVELS	32

/**
 * struct nvtgt_peers - the connections of a transport, by source address
 * @name: of the module whose parameters these are
 * @max_connections: parameter: most connections of all addresses together
 * @max_half_open: parameter: most of them that no Connect has come on
 * @max_peer_connections: parameter: most connections of one address; 0: as many as of all
 * @max_peer_half_open: parameter: most half-open ones of one address; 0: as many as of all
 * @lock: protects what follows, and the peers
 * @entry: in the core's list of tables
 * @key: so that no peer can choose addresses that share a bucket
 * @nr_connections: connections without those on their way out for want of room
 * @nr_half_open: of these, half-open ones
 * @nr_ending: connections that were told to end for want of room, and are not gone
 * @hash: the peers
 * @levels: the peers with half-open connections: from 2^i to 2^(i+1) - 1 of them
 *
 * One for each transport, static. The transport fills in the first five; the rest is
 * the core's.
 */
struct nvtgt_peers {
	const char *name;
	const unsigned int *max_connections;
	const unsigned int *max_half_open;
	const unsigned int *max_peer_connections;
	const unsigned int *max_peer_half_open;

	spinlock_t lock;		/* protects what follows */
	struct list_head entry;
	siphash_key_t key;
	unsigned int nr_connections;
	unsigned int nr_half_open;
	unsigned int nr_ending;
	struct hlist_head hash[NVTGT_PEER_BUCKETS];
	struct list_head levels[NVTGT_PEER_LEVELS];
};

void nvtgt_peers_init(struct nvtgt_peers *peers);
void nvtgt_peers_exit(struct nvtgt_peers *peers);
bool nvtgt_peers_busy(const struct nvtgt_peers *peers);
int __must_check nvtgt_peer_enter(struct nvtgt_peers *peers, struct nvtgt_queue *queue,
				  const struct sockaddr_storage *addr);
void nvtgt_peer_settle(struct nvtgt_queue *queue);

#endif /* _NVTGT_PEER_H */
