// SPDX-License-Identifier: GPL-2.0
/* The checks of what a host sends, see capsule.h. */
#include <linux/string.h>
#include <linux/unaligned.h>
#include "capsule.h"

/**
 * nvtgt_rdma_check_request - judge the private data of a connection request
 * @data: the private data
 * @len: bytes in @data
 * @limits: what this port has room for
 * @req: what it says
 *
 * NVMe/RDMA 1.1, 3.2.1 (RDMA_CM_REQUEST private data).
 *
 * Return: 0, or enum nvme_rdma_cm_status for the refusal
 */
int nvtgt_rdma_check_request(const void *data, u8 len, const struct nvtgt_rdma_limits *limits,
			     struct nvtgt_rdma_request *req)
{
	struct nvme_rdma_cm_req priv;
	u16 max;

	if (!data || len < sizeof(priv))
		return NVME_RDMA_CM_INVALID_LEN;
	memcpy(&priv, data, sizeof(priv));
	if (le16_to_cpu(priv.recfmt) != NVME_RDMA_CM_FMT_1_0)
		return NVME_RDMA_CM_INVALID_RECFMT;
	req->qid = le16_to_cpu(priv.qid);
	if (req->qid > limits->max_qid)
		return NVME_RDMA_CM_INVALID_QID;
	/* zero based, and a queue has two entries at least */
	max = req->qid ? limits->max_io : limits->max_admin;
	if (!priv.hsqsize || le16_to_cpu(priv.hsqsize) >= max)
		return NVME_RDMA_CM_INVALID_HSQSIZE;
	req->size = le16_to_cpu(priv.hsqsize) + 1;
	/* there is a completion for each command that may be outstanding */
	req->hrqsize = le16_to_cpu(priv.hrqsize);
	if (req->hrqsize < req->size - 1)
		return NVME_RDMA_CM_INVALID_HRQSIZE;
	return 0;
}

/* A keyed data block. Returns 0 or a status. */
static u16 nvtgt_rdma_decode_keyed(const struct nvme_keyed_sgl_desc *desc,
				   struct nvtgt_rdma_sgl *sgl, struct nvtgt_rdma_key *keys)
{
	struct nvtgt_rdma_key *key = &keys[sgl->nr_keys];

	switch (desc->type) {
	case (NVME_KEY_SGL_FMT_DATA_DESC << 4) | NVME_SGL_FMT_INVALIDATE:
		/* the response can invalidate one key */
		if (!sgl->invalidate)
			sgl->invalidate_rkey = get_unaligned_le32(desc->key);
		sgl->invalidate = true;
		break;
	case (NVME_KEY_SGL_FMT_DATA_DESC << 4) | NVME_SGL_FMT_ADDRESS:
		break;
	default:
		return NVME_SC_SGL_INVALID_TYPE | NVME_STATUS_DNR;
	}
	key->addr = le64_to_cpu(desc->addr);
	key->len = get_unaligned_le24(desc->length);
	key->rkey = get_unaligned_le32(desc->key);
	if (!key->len)
		return 0;
	/* 24 bits each, and few of them: the sum fits */
	sgl->len += key->len;
	sgl->nr_keys++;
	return 0;
}

/* Several keyed data blocks stand in the capsule. */
static u16 nvtgt_rdma_decode_list(const struct nvme_sgl_desc *seg, const void *data, u32 data_len,
				  struct nvtgt_rdma_sgl *sgl, struct nvtgt_rdma_key *keys)
{
	u32 i, bytes = le32_to_cpu(seg->length);
	u64 off = le64_to_cpu(seg->addr);
	u16 status;

	if (!bytes || bytes % sizeof(struct nvme_keyed_sgl_desc))
		return NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR;
	if (bytes / sizeof(struct nvme_keyed_sgl_desc) > NVTGT_RDMA_MAX_KEYS)
		return NVME_SC_SGL_INVALID_COUNT | NVME_STATUS_DNR;
	if (off > data_len || bytes > data_len - off)
		return NVME_SC_SGL_INVALID_OFFSET | NVME_STATUS_DNR;
	for (i = 0; i < bytes; i += sizeof(struct nvme_keyed_sgl_desc)) {
		struct nvme_keyed_sgl_desc desc;

		memcpy(&desc, data + off + i, sizeof(desc));
		status = nvtgt_rdma_decode_keyed(&desc, sgl, keys);
		if (status)
			return status;
	}
	return 0;
}

/**
 * nvtgt_rdma_decode_sgl - where are the data of a command?
 * @cmd: the command
 * @data: what stands behind it in the capsule, as far as it is contiguous
 * @data_len: bytes in @data
 * @sgl: where they are
 * @keys: NVTGT_RDMA_MAX_KEYS of them; sgl->nr_keys are filled in
 *
 * NVMe/RDMA 1.1, 3.1 (capsules and SGLs): one keyed data block, or a last segment
 * in the capsule with several, or a data block in the capsule. Whether data in the
 * capsule really are there is for the caller to see: they need not be contiguous.
 *
 * Return: 0, or a status; then there are no data
 */
u16 nvtgt_rdma_decode_sgl(const struct nvme_command *cmd, const void *data, u32 data_len,
			  struct nvtgt_rdma_sgl *sgl, struct nvtgt_rdma_key *keys)
{
	const struct nvme_sgl_desc *desc = &cmd->common.dptr.sgl;
	u16 status;

	memset(sgl, 0, sizeof(*sgl));
	switch (desc->type) {
	case (NVME_SGL_FMT_DATA_DESC << 4) | NVME_SGL_FMT_OFFSET:
		if (le64_to_cpu(desc->addr) > U32_MAX)
			return NVME_SC_SGL_INVALID_OFFSET | NVME_STATUS_DNR;
		sgl->len = le32_to_cpu(desc->length);
		sgl->offset = le64_to_cpu(desc->addr);
		sgl->in_capsule = sgl->len;
		return 0;
	case (NVME_SGL_FMT_LAST_SEG_DESC << 4) | NVME_SGL_FMT_OFFSET:
		status = nvtgt_rdma_decode_list(desc, data, data_len, sgl, keys);
		break;
	default:
		status = nvtgt_rdma_decode_keyed(&cmd->common.dptr.ksgl, sgl, keys);
		break;
	}
	if (status)
		memset(sgl, 0, sizeof(*sgl));
	return status;
}
