// SPDX-License-Identifier: GPL-2.0
// builds: drivers/rdma/capsule.c
/* Connection requests and SGLs of RDMA hosts: every rule, and what lies just beside it. */
#include "unit.h"
#include <linux/nvme.h>
#include <linux/nvme-rdma.h>
#include <linux/unaligned.h>
#include "../../drivers/rdma/capsule.h"

static const struct nvtgt_rdma_limits limits = { .max_admin = 128, .max_io = 256, .max_qid = 64 };
static struct nvtgt_rdma_request req;
static struct nvtgt_rdma_sgl sgl;
static struct nvtgt_rdma_key keys[NVTGT_RDMA_MAX_KEYS];
static u8 data[4096];

static int ask(u16 recfmt, u16 qid, u16 hsqsize, u16 hrqsize)
{
	struct nvme_rdma_cm_req priv = {
		.recfmt = cpu_to_le16(recfmt), .qid = cpu_to_le16(qid),
		.hsqsize = cpu_to_le16(hsqsize), .hrqsize = cpu_to_le16(hrqsize),
	};

	return nvtgt_rdma_check_request(&priv, sizeof(priv), &limits, &req);
}

static void test_requests(void)
{
	u8 priv[256] = { 0 };
	int len;

	CHECK_EQ(nvtgt_rdma_check_request(NULL, 0, &limits, &req), NVME_RDMA_CM_INVALID_LEN);
	CHECK_EQ(nvtgt_rdma_check_request(NULL, 255, &limits, &req), NVME_RDMA_CM_INVALID_LEN);
	for (len = 0; len < 32; len++)
		CHECK_EQ(nvtgt_rdma_check_request(priv, len, &limits, &req), NVME_RDMA_CM_INVALID_LEN);
	CHECK_EQ(nvtgt_rdma_check_request(priv, 32, &limits, &req), NVME_RDMA_CM_INVALID_HSQSIZE);
	CHECK_EQ(nvtgt_rdma_check_request(priv, 255, &limits, &req), NVME_RDMA_CM_INVALID_HSQSIZE);
	CHECK_EQ(ask(1, 0, 31, 32), NVME_RDMA_CM_INVALID_RECFMT);
	CHECK_EQ(ask(0xffff, 0, 31, 32), NVME_RDMA_CM_INVALID_RECFMT);
	CHECK_EQ(ask(0, 65, 31, 32), NVME_RDMA_CM_INVALID_QID);
	CHECK_EQ(ask(0, 0xffff, 31, 32), NVME_RDMA_CM_INVALID_QID);
	CHECK_EQ(ask(0, 64, 31, 32), 0);
}

static void test_sizes(void)
{
	CHECK_EQ(ask(0, 0, 31, 32), 0);
	CHECK_EQ(req.size, 32);
	CHECK_EQ(req.hrqsize, 32);
	CHECK_EQ(req.qid, 0);
	CHECK_EQ(ask(0, 0, 127, 128), 0);
	CHECK_EQ(req.size, 128);
	CHECK_EQ(ask(0, 0, 128, 129), NVME_RDMA_CM_INVALID_HSQSIZE);
	CHECK_EQ(ask(0, 1, 255, 256), 0);
	CHECK_EQ(req.size, 256);
	CHECK_EQ(ask(0, 1, 256, 257), NVME_RDMA_CM_INVALID_HSQSIZE);
	CHECK_EQ(ask(0, 1, 0xffff, 0xffff), NVME_RDMA_CM_INVALID_HSQSIZE);
	CHECK_EQ(ask(0, 1, 0, 32), NVME_RDMA_CM_INVALID_HSQSIZE);
	CHECK_EQ(ask(0, 1, 1, 1), 0);
	CHECK_EQ(ask(0, 1, 31, 31), 0);
	CHECK_EQ(ask(0, 1, 31, 30), NVME_RDMA_CM_INVALID_HRQSIZE);
	CHECK_EQ(ask(0, 1, 31, 0), NVME_RDMA_CM_INVALID_HRQSIZE);
}

static void set(void *at, u8 type, u64 addr, u32 len, u32 key)
{
	u8 *d = at;

	put_unaligned_le64(addr, d);
	put_unaligned_le32(len, d + 8);
	if (type >> 4 == NVME_KEY_SGL_FMT_DATA_DESC)
		put_unaligned_le32(key, d + 11);
	else
		memset(d + 12, 0, 3);
	d[15] = type;
}

/* Decodes one descriptor with so many bytes behind the command. */
static int decode(u8 type, u64 addr, u32 len, u32 key, u32 bytes)
{
	struct nvme_command cmd = { 0 };

	set(&cmd.common.dptr, type, addr, len, key);
	return nvtgt_rdma_decode_sgl(&cmd, data, bytes, &sgl, keys) & ~NVME_STATUS_DNR;
}

#define KEYED	(NVME_KEY_SGL_FMT_DATA_DESC << 4 | NVME_SGL_FMT_ADDRESS)
#define INV	(NVME_KEY_SGL_FMT_DATA_DESC << 4 | NVME_SGL_FMT_INVALIDATE)
#define INLINE	(NVME_SGL_FMT_DATA_DESC << 4 | NVME_SGL_FMT_OFFSET)
#define LIST	(NVME_SGL_FMT_LAST_SEG_DESC << 4 | NVME_SGL_FMT_OFFSET)

static void test_one(void)
{
	CHECK_EQ(decode(KEYED, 0x1122334455667788, 0xabcdef, 0xdeadbeef, 0), 0);
	CHECK_EQ(sgl.len, 0xabcdef);
	CHECK_EQ(sgl.nr_keys, 1);
	CHECK(!sgl.in_capsule && !sgl.invalidate);
	CHECK_EQ(keys[0].addr, 0x1122334455667788);
	CHECK_EQ(keys[0].len, 0xabcdef);
	CHECK_EQ(keys[0].rkey, 0xdeadbeef);
	CHECK_EQ(decode(INV, 8, 4096, 77, 0), 0);
	CHECK(sgl.invalidate);
	CHECK_EQ(sgl.invalidate_rkey, 77);
	CHECK_EQ(decode(KEYED, 8, 0, 77, 0), 0);
	CHECK_EQ(sgl.nr_keys, 0);
	CHECK_EQ(sgl.len, 0);
	CHECK(!sgl.invalidate);
}

static void test_inline(void)
{
	CHECK_EQ(decode(INLINE, 0, 512, 0, 512), 0);
	CHECK(sgl.in_capsule);
	CHECK_EQ(sgl.len, 512);
	CHECK_EQ(sgl.nr_keys, 0);
	CHECK_EQ(decode(INLINE, 0xffffffff, 512, 0, 512), 0);
	CHECK_EQ(sgl.offset, 0xffffffff);	/* held against the capsule by the caller */
	CHECK_EQ(decode(INLINE, 0x100000000, 512, 0, 512), NVME_SC_SGL_INVALID_OFFSET);
	CHECK_EQ(decode(INLINE, ~0ULL, 512, 0, 512), NVME_SC_SGL_INVALID_OFFSET);
	CHECK_EQ(sgl.len, 0);
	CHECK_EQ(decode(INLINE, 0, 0, 0, 0), 0);
	CHECK(!sgl.in_capsule);
}

static void test_types(void)
{
	unsigned int type;

	for (type = 0; type < 256; type++) {
		if (type == KEYED || type == INV || type == INLINE || type == LIST)
			continue;
		CHECK_EQ(decode(type, 0, 512, 1, 512), NVME_SC_SGL_INVALID_TYPE);
		CHECK(!sgl.len && !sgl.nr_keys && !sgl.in_capsule && !sgl.invalidate);
	}
}

static void test_lists(void)
{
	unsigned int n;

	for (n = 0; n < 17; n++)
		set(data + 16 * n, n == 3 || n == 5 ? INV : KEYED, n, 0xffffff, 100 + n);
	for (n = 1; n <= 16; n++) {
		CHECK_EQ(decode(LIST, 0, 16 * n, 0, 16 * n), 0);
		CHECK_EQ(sgl.nr_keys, n);
		CHECK_EQ(sgl.len, n * 0xffffff);
		CHECK_EQ(keys[n - 1].rkey, 99 + n);
		CHECK_EQ(decode(LIST, 0, 16 * n, 0, 16 * n - 1), NVME_SC_SGL_INVALID_OFFSET);
		CHECK_EQ(sgl.nr_keys, 0);
	}
	/* one of those that ask for it is invalidated */
	CHECK_EQ(decode(LIST, 0, 16 * 6, 0, 16 * 6), 0);
	CHECK(sgl.invalidate);
	CHECK_EQ(sgl.invalidate_rkey, 103);
	CHECK_EQ(decode(LIST, 0, 16 * 17, 0, 16 * 17), NVME_SC_SGL_INVALID_COUNT);
	CHECK_EQ(decode(LIST, 0, 0xfffffff0, 0, 4096), NVME_SC_SGL_INVALID_COUNT);
	CHECK_EQ(decode(LIST, 0, 0, 0, 4096), NVME_SC_SGL_INVALID_DATA);
	CHECK_EQ(decode(LIST, 0, 15, 0, 4096), NVME_SC_SGL_INVALID_DATA);
	CHECK_EQ(decode(LIST, 4096, 16, 0, 4096), NVME_SC_SGL_INVALID_OFFSET);
	CHECK_EQ(decode(LIST, 4081, 16, 0, 4096), NVME_SC_SGL_INVALID_OFFSET);
	CHECK_EQ(decode(LIST, ~15ULL, 16, 0, 4096), NVME_SC_SGL_INVALID_OFFSET);
	CHECK_EQ(decode(LIST, 1ULL << 63, 16, 0, 4096), NVME_SC_SGL_INVALID_OFFSET);
	memmove(data + 4080, data, 16);
	CHECK_EQ(decode(LIST, 4080, 16, 0, 4096), 0);
	CHECK_EQ(sgl.nr_keys, 1);
	/* odd, but inside */
	memmove(data + 1001, data, 32);
	CHECK_EQ(decode(LIST, 1001, 32, 0, 4096), 0);
	CHECK_EQ(sgl.nr_keys, 2);
	/* nothing but keyed data blocks */
	set(data + 16, INLINE, 0, 512, 0);
	CHECK_EQ(decode(LIST, 0, 48, 0, 4096), NVME_SC_SGL_INVALID_TYPE);
	set(data + 16, LIST, 0, 16, 0);
	CHECK_EQ(decode(LIST, 0, 48, 0, 4096), NVME_SC_SGL_INVALID_TYPE);
	/* pieces without length are passed over */
	set(data + 16, KEYED, 0, 0, 9);
	CHECK_EQ(decode(LIST, 0, 48, 0, 4096), 0);
	CHECK_EQ(sgl.nr_keys, 2);
	CHECK_EQ(keys[1].rkey, 102);
}

int main(void)
{
	RUN(test_requests);
	RUN(test_sizes);
	RUN(test_one);
	RUN(test_inline);
	RUN(test_types);
	RUN(test_lists);
	return UNIT_END();
}
