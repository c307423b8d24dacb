// SPDX-License-Identifier: GPL-2.0
// builds: drivers/tcp/pdu.c
/* PDU headers from the host: every rule, and every header that agrees with it. */
#include "unit.h"
#include <linux/nvme.h>
#include <linux/nvme-tcp.h>
#include "../../drivers/tcp/pdu.h"

static const struct nvtgt_tcp_rules live = {
	.live = true, .max_inline = 8192, .max_h2c = 65536,
};

static struct nvtgt_tcp_error err;

static struct nvme_tcp_hdr hdr(u8 type, u8 flags, u8 hlen, u8 pdo, u32 plen)
{
	struct nvme_tcp_hdr h = { .type = type, .flags = flags, .hlen = hlen, .pdo = pdo };

	h.plen = cpu_to_le32(plen);
	err.fes = 0;
	err.fei = 0;
	return h;
}

static int check(struct nvme_tcp_hdr h, const struct nvtgt_tcp_rules *rules)
{
	return nvtgt_tcp_check_hdr(&h, rules, &err);
}

static void bad(struct nvme_tcp_hdr h, const struct nvtgt_tcp_rules *rules, u16 fes, u32 fei)
{
	CHECK(check(h, rules) < 0);
	CHECK_EQ(err.fes, fes);
	CHECK_EQ(err.fei, fei);
}

static void test_order(void)
{
	struct nvtgt_tcp_rules init = live;

	init.live = false;
	CHECK_EQ(check(hdr(nvme_tcp_icreq, 0, 128, 0, 128), &init), 128);
	bad(hdr(nvme_tcp_icreq, 0, 128, 0, 128), &live, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	bad(hdr(nvme_tcp_cmd, 0, 72, 0, 72), &init, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	bad(hdr(nvme_tcp_h2c_data, 0, 24, 24, 28), &init, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	CHECK_EQ(check(hdr(nvme_tcp_h2c_term, 0, 24, 0, 24), &init), 24);
	CHECK_EQ(check(hdr(nvme_tcp_h2c_term, 0, 24, 0, 152), &live), 24);
	bad(hdr(nvme_tcp_h2c_term, 0, 24, 0, 153), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	bad(hdr(nvme_tcp_h2c_term, 0, 24, 0, 23), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
}

static void test_types(void)
{
	unsigned int type;

	for (type = 0; type < 256; type++) {
		if (type == nvme_tcp_icreq || type == nvme_tcp_h2c_term || type == nvme_tcp_cmd ||
		    type == nvme_tcp_h2c_data)
			continue;
		bad(hdr(type, 0, 72, 0, 72), &live, NVME_TCP_FES_INVALID_PDU_HDR, 0);
	}
}

static void test_cmd(void)
{
	struct nvtgt_tcp_rules dgst = live;
	unsigned int hlen;

	dgst.hdgst = true;
	dgst.ddgst = true;
	CHECK_EQ(check(hdr(nvme_tcp_cmd, 0, 72, 0, 72), &live), 72);
	CHECK_EQ(check(hdr(nvme_tcp_cmd, NVME_TCP_F_HDGST, 72, 0, 76), &dgst), 76);
	for (hlen = 0; hlen < 256; hlen++)
		if (hlen != 72)
			bad(hdr(nvme_tcp_cmd, 0, hlen, 0, 72), &live,
			    NVME_TCP_FES_INVALID_PDU_HDR, 2);
	/* digest bits that were not agreed, or are missing */
	bad(hdr(nvme_tcp_cmd, NVME_TCP_F_HDGST, 72, 0, 76), &live, NVME_TCP_FES_INVALID_PDU_HDR, 1);
	bad(hdr(nvme_tcp_cmd, 0, 72, 0, 76), &dgst, NVME_TCP_FES_INVALID_PDU_HDR, 1);
	bad(hdr(nvme_tcp_cmd, NVME_TCP_F_HDGST, 72, 76, 84), &dgst,
	    NVME_TCP_FES_INVALID_PDU_HDR, 1);
	/* lengths */
	bad(hdr(nvme_tcp_cmd, 0, 72, 0, 71), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	bad(hdr(nvme_tcp_cmd, 0, 72, 0, 0), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	bad(hdr(nvme_tcp_cmd, 0, 72, 72, 72 + 8193), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	bad(hdr(nvme_tcp_cmd, 0, 72, 72, U32_MAX), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	bad(hdr(nvme_tcp_cmd, 0, 72, 76, 76), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	/* data offsets */
	bad(hdr(nvme_tcp_cmd, 0, 72, 68, 100), &live, NVME_TCP_FES_INVALID_PDU_HDR, 3);
	bad(hdr(nvme_tcp_cmd, 0, 72, 74, 100), &live, NVME_TCP_FES_INVALID_PDU_HDR, 3);
	bad(hdr(nvme_tcp_cmd, 0, 72, 0, 100), &live, NVME_TCP_FES_INVALID_PDU_HDR, 3);
}

static void test_data_bytes(void)
{
	struct nvtgt_tcp_rules rules = live;
	struct nvme_tcp_hdr h;
	unsigned int pdo, len;

	for (pdo = 76; pdo < 256; pdo += 4) {
		for (len = 1; len <= 8192; len += 511) {
			rules.hdgst = true;
			rules.ddgst = true;
			h = hdr(nvme_tcp_cmd, NVME_TCP_F_HDGST | NVME_TCP_F_DDGST, 72, pdo,
				pdo + len + 4);
			CHECK_EQ(check(h, &rules), 76);
			CHECK_EQ(nvtgt_tcp_data_bytes(&h, &rules), len);
		}
	}
	h = hdr(nvme_tcp_cmd, 0, 72, 0, 72);
	CHECK_EQ(nvtgt_tcp_data_bytes(&h, &live), 0);
}

static void test_icreq(void)
{
	struct nvme_tcp_icreq_pdu pdu = { .hpda = 31, .digest = 3 };
	struct nvtgt_tcp_error e = {};

	CHECK(nvtgt_tcp_check_icreq(&pdu, &e));
	pdu.hpda = 32;
	CHECK(!nvtgt_tcp_check_icreq(&pdu, &e));
	CHECK_EQ(e.fes, NVME_TCP_FES_INVALID_PDU_HDR);
	CHECK_EQ(e.fei, 10);
	pdu.hpda = 0;
	pdu.digest = 4;
	CHECK(!nvtgt_tcp_check_icreq(&pdu, &e));
	CHECK_EQ(e.fei, 11);
	pdu.digest = 0;
	pdu.pfv = cpu_to_le16(1);
	CHECK(!nvtgt_tcp_check_icreq(&pdu, &e));
	CHECK_EQ(e.fes, NVME_TCP_FES_UNSUPPORTED_PARAM);
	CHECK_EQ(e.fei, 8);
}

static bool h2c(u32 off, u32 len, bool last, u16 cccid, const struct nvtgt_tcp_r2t *r2t)
{
	struct nvme_tcp_data_pdu pdu = {
		.hdr = hdr(nvme_tcp_h2c_data, last ? NVME_TCP_F_DATA_LAST : 0, 24, 24, 24 + len),
		.command_id = cccid,
		.data_offset = cpu_to_le32(off),
		.data_length = cpu_to_le32(len),
	};

	return nvtgt_tcp_check_h2c(&pdu, &live, r2t, 7, &err);
}

static void test_h2c(void)
{
	struct nvtgt_tcp_r2t r2t = { .next = 4096, .end = 12288 };
	struct nvme_tcp_data_pdu pdu;

	CHECK(h2c(4096, 8192, true, 7, &r2t));
	CHECK(h2c(4096, 4096, false, 7, &r2t));
	CHECK(!h2c(4096, 8192, true, 8, &r2t));		/* another command */
	CHECK_EQ(err.fei, 8);
	CHECK(!h2c(4096, 8192, false, 7, &r2t));	/* the end without LAST */
	CHECK_EQ(err.fei, 1);
	CHECK(!h2c(4096, 4096, true, 7, &r2t));		/* LAST before the end */
	CHECK(!h2c(0, 4096, false, 7, &r2t));		/* again */
	CHECK_EQ(err.fes, NVME_TCP_FES_DATA_OUT_OF_RANGE);
	CHECK(!h2c(8192, 4096, true, 7, &r2t));		/* a gap */
	CHECK(!h2c(4096, 8193, true, 7, &r2t));		/* beyond */
	CHECK(!h2c(U32_MAX, 2, true, 7, &r2t));
	r2t.next = 8192;
	CHECK(!h2c(8192, 8192, true, 7, &r2t));

	/* the field and the PDU's length disagree */
	pdu.hdr = hdr(nvme_tcp_h2c_data, 0, 24, 24, 24 + 100);
	pdu.command_id = 7;
	pdu.data_offset = cpu_to_le32(8192);
	pdu.data_length = cpu_to_le32(99);
	CHECK(!nvtgt_tcp_check_h2c(&pdu, &live, &r2t, 7, &err));
	CHECK_EQ(err.fei, 16);

	bad(hdr(nvme_tcp_h2c_data, 0, 24, 24, 24), &live, NVME_TCP_FES_INVALID_PDU_HDR, 4);
	bad(hdr(nvme_tcp_h2c_data, 0, 24, 24, 24 + 65537), &live,
	    NVME_TCP_FES_DATA_LIMIT_EXCEEDED, 0);
}

static void test_r2t_len(void)
{
	u32 len, done, maxr2t, part, nr;

	for (maxr2t = 1; maxr2t <= 6; maxr2t++) {
		for (len = 512; len <= 4 << 20; len += 512 * 37) {
			for (done = 0, nr = 0; done < len; done += part, nr++) {
				part = nvtgt_tcp_r2t_len(len, done, maxr2t);
				if (!part || part > len - done)
					break;
			}
			CHECK_EQ(done, len);
			CHECK(nr <= maxr2t && nr <= NVTGT_TCP_R2TS);
		}
	}
	CHECK_EQ(nvtgt_tcp_r2t_len(1 << 20, 0, 1), 1 << 20);
	CHECK_EQ(nvtgt_tcp_r2t_len(1 << 20, 0, 4), 256 << 10);
	CHECK_EQ(nvtgt_tcp_r2t_len(64 << 10, 0, 4), 64 << 10);
}

static void test_sgl(void)
{
	struct nvme_sgl_desc sgl = { .length = cpu_to_le32(512) };
	unsigned int type;
	u32 len;

	sgl.type = 0x01;
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 512, &len), 0);
	CHECK_EQ(len, 512);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 511, &len), NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 0, &len), NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR);
	sgl.addr = cpu_to_le64(4);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 512, &len),
		 NVME_SC_SGL_INVALID_OFFSET | NVME_STATUS_DNR);
	sgl.addr = 0;
	sgl.type = 0x5a;
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 0, &len), 0);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 512, &len), NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR);
	for (type = 0; type < 256; type++) {
		if (type == 0x01 || type == 0x5a)
			continue;
		sgl.type = type;
		CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 512, &len),
			 NVME_SC_SGL_INVALID_TYPE | NVME_STATUS_DNR);
	}
}

static void test_pdo(void)
{
	unsigned int hpda;

	for (hpda = 0; hpda <= NVTGT_TCP_MAX_HPDA; hpda++) {
		u8 pdo = nvtgt_tcp_pdo(24, true, hpda);

		CHECK(pdo >= 28 && pdo <= 128);
		CHECK_EQ(pdo % ((hpda + 1) * 4), 0);
		CHECK(pdo < 28 + (hpda + 1) * 4);
	}
	CHECK_EQ(nvtgt_tcp_pdo(24, false, 0), 24);
}

int main(void)
{
	RUN(test_order);
	RUN(test_types);
	RUN(test_cmd);
	RUN(test_data_bytes);
	RUN(test_icreq);
	RUN(test_h2c);
	RUN(test_r2t_len);
	RUN(test_sgl);
	RUN(test_pdo);
	UNIT_END();
}
