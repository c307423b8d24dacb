/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a host may send: the private data of its connection requests and the
 * descriptors in its capsules. Pure logic: no allocation, no lock, no kernel
 * service; tests/unit builds it in userspace.
 */
#ifndef _NVTGT_RDMA_CAPSULE_H
#define _NVTGT_RDMA_CAPSULE_H

#include <linux/types.h>
#include <linux/nvme.h>
#include <linux/nvme-rdma.h>

/* MSDBD: descriptors that a capsule may have */
#define NVTGT_RDMA_MAX_KEYS	16

/**
 * struct nvtgt_rdma_key - a piece of the host's memory
 * @addr: as the host names it
 * @len: bytes, never 0
 * @rkey: the remote key
 */
struct nvtgt_rdma_key {
	u64 addr;
	u32 len;
	u32 rkey;
};

/**
 * struct nvtgt_rdma_sgl - where a command's data are
 * @len: bytes of all of them
 * @offset: in the capsule's data, if @in_capsule
 * @invalidate_rkey: to be invalidated with the response, if @invalidate
 * @nr_keys: pieces of the host's memory; 0 if @in_capsule or without data
 * @in_capsule: the data are in the capsule
 * @invalidate: the host asks for remote invalidation
 */
struct nvtgt_rdma_sgl {
	u32 len;
	u32 offset;
	u32 invalidate_rkey;
	u8 nr_keys;
	bool in_capsule;
	bool invalidate;
};

/**
 * struct nvtgt_rdma_limits - what a connection request is held against
 * @max_admin: most entries of an admin queue
 * @max_io: most entries of an I/O queue
 * @max_qid: largest queue id
 */
struct nvtgt_rdma_limits {
	u16 max_admin;
	u16 max_io;
	u16 max_qid;
};

/**
 * struct nvtgt_rdma_request - what a connection request says
 * @qid: queue id
 * @size: entries: HSQSIZE + 1
 * @hrqsize: completions that the host can receive at a time
 */
struct nvtgt_rdma_request {
	u16 qid;
	u16 size;
	u16 hrqsize;
};

int nvtgt_rdma_check_request(const void *data, u8 len, const struct nvtgt_rdma_limits *limits,
			     struct nvtgt_rdma_request *req);
u16 nvtgt_rdma_decode_sgl(const struct nvme_command *cmd, const void *data, u32 data_len,
			  struct nvtgt_rdma_sgl *sgl, struct nvtgt_rdma_key *keys);

#endif /* _NVTGT_RDMA_CAPSULE_H */
