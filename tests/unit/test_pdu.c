// SPDX-License-Identifier: GPL-2.0
// builds: drivers/tcp/pdu.c
// What a PDU from the host must look like: each rule broken one at a time, the
// fatal error status and field that it must give, and, for every header there
// can be in a large sample, that lengths which were let through are consistent.

#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/nvme.h>
#include <linux/nvme-tcp.h>
#include "drivers/tcp/pdu.h"
#include "unit.h"

#define INLINE 8192
#define MAXH2C 131072

static struct nvtgt_tcp_rules live(bool hdgst, bool ddgst)
{
	struct nvtgt_tcp_rules rules = {
		.live = true, .hdgst = hdgst, .ddgst = ddgst,
		.max_inline = INLINE, .max_h2c = MAXH2C,
	};

	return rules;
}

static struct nvme_tcp_hdr header(u8 type, u8 hlen, u8 pdo, u32 plen)
{
	struct nvme_tcp_hdr hdr = {
		.type = type, .hlen = hlen, .pdo = pdo, .plen = cpu_to_le32(plen),
	};

	return hdr;
}

#define GOOD(hdr, rules, want) do {						\
	struct nvtgt_tcp_error err = { 0 };					\
	CHECK_EQ(nvtgt_tcp_check_hdr(&(hdr), rules, &err), want);		\
	CHECK_EQ(err.fes, 0);							\
} while (0)

#define BAD(hdr, rules, want_fes, want_fei) do {				\
	struct nvtgt_tcp_error err = { 0 };					\
	CHECK(nvtgt_tcp_check_hdr(&(hdr), rules, &err) < 0);			\
	CHECK_EQ(err.fes, want_fes);						\
	CHECK_EQ(err.fei, want_fei);						\
} while (0)

#define BAD_AT(hdr, rules, field)						\
	BAD(hdr, rules, NVME_TCP_FES_INVALID_PDU_HDR, offsetof(struct nvme_tcp_hdr, field))

static void order_of_pdus(void)
{
	struct nvtgt_tcp_rules before = { .max_inline = INLINE, .max_h2c = MAXH2C };
	struct nvtgt_tcp_rules after = live(false, false);
	struct nvme_tcp_hdr icreq = header(nvme_tcp_icreq, 128, 0, 128);
	struct nvme_tcp_hdr cmd = header(nvme_tcp_cmd, 72, 0, 72);
	struct nvme_tcp_hdr data = header(nvme_tcp_h2c_data, 24, 24, 24 + 512);
	struct nvme_tcp_hdr term = header(nvme_tcp_h2c_term, 24, 0, 24);

	GOOD(icreq, &before, 128);
	BAD(cmd, &before, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	BAD(data, &before, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	GOOD(cmd, &after, 72);
	GOOD(data, &after, 24);
	BAD(icreq, &after, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	GOOD(term, &before, 24);
	GOOD(term, &after, 24);
}

static void types(void)
{
	struct nvtgt_tcp_rules rules = live(false, false);
	unsigned int type;

	for (type = 0; type < 256; type++) {
		struct nvme_tcp_hdr hdr = header(type, 72, 0, 72);

		switch (type) {
		case nvme_tcp_icreq:
		case nvme_tcp_h2c_term:
		case nvme_tcp_cmd:
		case nvme_tcp_h2c_data:
			continue;
		}
		BAD_AT(hdr, &rules, type);
	}
}

static void header_lengths(void)
{
	struct nvtgt_tcp_rules before = { .max_inline = INLINE, .max_h2c = MAXH2C };
	struct nvtgt_tcp_rules rules = live(false, false);
	struct nvme_tcp_hdr hdr;
	unsigned int hlen;

	for (hlen = 0; hlen < 256; hlen++) {
		hdr = header(nvme_tcp_cmd, hlen, 0, hlen);
		if (hlen != 72)
			BAD_AT(hdr, &rules, hlen);
		hdr = header(nvme_tcp_icreq, hlen, 0, 128);
		if (hlen != 128)
			BAD_AT(hdr, &before, hlen);
		hdr = header(nvme_tcp_h2c_data, hlen, 24, 1024);
		if (hlen != 24)
			BAD_AT(hdr, &rules, hlen);
	}
	hdr = header(nvme_tcp_icreq, 128, 0, 132);
	BAD_AT(hdr, &before, plen);
	hdr = header(nvme_tcp_h2c_term, 24, 0, 23);
	BAD_AT(hdr, &rules, plen);
	hdr = header(nvme_tcp_h2c_term, 24, 0, 24 + 128);
	GOOD(hdr, &rules, 24);
	hdr = header(nvme_tcp_h2c_term, 24, 0, 24 + 129);
	BAD_AT(hdr, &rules, plen);
}

static void digest_flags(void)
{
	struct nvtgt_tcp_rules none = live(false, false), both = live(true, true);
	struct nvme_tcp_hdr hdr = header(nvme_tcp_cmd, 72, 0, 72);

	hdr.flags = NVME_TCP_F_HDGST;
	BAD_AT(hdr, &none, flags);
	hdr = header(nvme_tcp_cmd, 72, 0, 76);
	BAD_AT(hdr, &both, flags);
	hdr.flags = NVME_TCP_F_HDGST;
	GOOD(hdr, &both, 76);
	hdr = header(nvme_tcp_h2c_data, 24, 28, 28 + 512 + 4);
	hdr.flags = NVME_TCP_F_HDGST;
	BAD_AT(hdr, &both, flags);
	hdr.flags = NVME_TCP_F_HDGST | NVME_TCP_F_DDGST;
	GOOD(hdr, &both, 28);
	CHECK_EQ(nvtgt_tcp_data_bytes(&hdr, &both), 512);
	hdr = header(nvme_tcp_h2c_data, 24, 24, 24 + 512);
	hdr.flags = NVME_TCP_F_DDGST;
	BAD_AT(hdr, &none, flags);
}

static void data_offsets_and_limits(void)
{
	struct nvtgt_tcp_rules rules = live(false, false);
	struct nvme_tcp_hdr hdr;
	unsigned int pdo;

	for (pdo = 0; pdo < 256; pdo++) {
		hdr = header(nvme_tcp_h2c_data, 24, pdo, 4096);
		if (pdo < 24 || pdo % 4) {
			BAD_AT(hdr, &rules, pdo);
		} else {
			GOOD(hdr, &rules, 24);
			CHECK_EQ(nvtgt_tcp_data_bytes(&hdr, &rules), 4096 - pdo);
		}
	}
	hdr = header(nvme_tcp_h2c_data, 24, 24, 24);
	BAD_AT(hdr, &rules, plen);
	hdr = header(nvme_tcp_h2c_data, 24, 128, 100);
	BAD_AT(hdr, &rules, plen);
	hdr = header(nvme_tcp_h2c_data, 24, 24, 24 + MAXH2C);
	GOOD(hdr, &rules, 24);
	hdr = header(nvme_tcp_h2c_data, 24, 24, 24 + MAXH2C + 1);
	BAD(hdr, &rules, NVME_TCP_FES_DATA_LIMIT_EXCEEDED, 0);
	hdr = header(nvme_tcp_cmd, 72, 72, 72 + INLINE);
	GOOD(hdr, &rules, 72);
	hdr = header(nvme_tcp_cmd, 72, 72, 72 + INLINE + 1);
	BAD_AT(hdr, &rules, plen);
	hdr = header(nvme_tcp_cmd, 72, 72, 0xffffffff);
	BAD_AT(hdr, &rules, plen);
	hdr = header(nvme_tcp_h2c_data, 24, 24, 0xffffffff);
	BAD(hdr, &rules, NVME_TCP_FES_DATA_LIMIT_EXCEEDED, 0);
}

/* Whatever gets through has data within the bounds and behind the header. */
static void any_header_at_all(void)
{
	u32 seed = 1;
	int i;

	for (i = 0; i < 2000000; i++) {
		struct nvtgt_tcp_rules rules;
		struct nvtgt_tcp_error err = { 0 };
		struct nvme_tcp_hdr hdr;
		u8 raw[8];
		unsigned int n;
		int ret;

		for (n = 0; n < sizeof(raw); n++) {
			seed = seed * 1664525 + 1013904223;
			raw[n] = seed >> 24;
		}
		/* otherwise hardly any would get past the first checks */
		raw[0] = (const u8[]){ nvme_tcp_cmd, nvme_tcp_h2c_data, raw[0], raw[0] % 16 }[seed & 3];
		if (seed & 16)
			raw[2] = raw[0] == nvme_tcp_cmd ? 72 : 24;
		raw[7] = seed & 32 ? 0 : raw[7];
		raw[6] &= seed & 64 ? 1 : 0xff;
		memcpy(&hdr, raw, sizeof(hdr));
		rules = live(hdr.flags & NVME_TCP_F_HDGST, hdr.flags & NVME_TCP_F_DDGST);
		rules.live = seed & 128;

		ret = nvtgt_tcp_check_hdr(&hdr, &rules, &err);
		if (ret < 0) {
			CHECK(err.fes != 0);
			continue;
		}
		CHECK_EQ(err.fes, 0);
		CHECK(ret <= (int)le32_to_cpu(hdr.plen));
		if (hdr.type == nvme_tcp_cmd || hdr.type == nvme_tcp_h2c_data) {
			u32 bytes = nvtgt_tcp_data_bytes(&hdr, &rules);

			CHECK(bytes <= (hdr.type == nvme_tcp_cmd ? INLINE : MAXH2C));
			if (bytes) {
				CHECK(hdr.pdo >= ret);
				CHECK_EQ(hdr.pdo + bytes + (rules.ddgst ? 4 : 0),
					 le32_to_cpu(hdr.plen));
			}
		}
		if (unit_failures)
			return;
	}
}

static void connection_request(void)
{
	struct nvme_tcp_icreq_pdu pdu = { .maxr2t = 0 };
	struct nvtgt_tcp_error err = { 0 };
	unsigned int v;

	CHECK(nvtgt_tcp_check_icreq(&pdu, &err));
	for (v = 0; v < 256; v++) {
		pdu.hpda = v;
		CHECK_EQ(nvtgt_tcp_check_icreq(&pdu, &err), v <= 31);
		if (v > 31)
			CHECK_EQ(err.fei, offsetof(struct nvme_tcp_icreq_pdu, hpda));
	}
	pdu.hpda = 0;
	pdu.pfv = cpu_to_le16(1);
	CHECK(!nvtgt_tcp_check_icreq(&pdu, &err));
	CHECK_EQ(err.fes, NVME_TCP_FES_UNSUPPORTED_PARAM);
	CHECK_EQ(err.fei, offsetof(struct nvme_tcp_icreq_pdu, pfv));
	pdu.pfv = 0;
	for (v = 0; v < 256; v++) {
		pdu.digest = v;
		CHECK_EQ(nvtgt_tcp_check_icreq(&pdu, &err), v < 4);
	}
}

static struct nvme_tcp_data_pdu h2c(u16 id, u32 offset, u32 length, bool last)
{
	struct nvme_tcp_data_pdu pdu = { .command_id = id };

	pdu.hdr = header(nvme_tcp_h2c_data, 24, 24, 24 + length);
	pdu.hdr.flags = last ? NVME_TCP_F_DATA_LAST : 0;
	pdu.data_offset = cpu_to_le32(offset);
	pdu.data_length = cpu_to_le32(length);
	return pdu;
}

static void data_from_the_host(void)
{
	struct nvtgt_tcp_rules rules = live(false, false);
	struct nvtgt_tcp_r2t r2t = { .next = 4096, .end = 12288 };
	static const struct {
		u16 id;
		u32 offset, length;
		bool last;
		u16 fes;
	} cases[] = {
		{ 7, 4096, 4096, false, 0 },
		{ 7, 4096, 8192, true, 0 },
		{ 7, 4096, 8192, false, NVME_TCP_FES_INVALID_PDU_HDR },
		{ 7, 4096, 4096, true, NVME_TCP_FES_INVALID_PDU_HDR },
		{ 8, 4096, 4096, false, NVME_TCP_FES_INVALID_PDU_HDR },
		{ 7, 4092, 4096, false, NVME_TCP_FES_DATA_OUT_OF_RANGE },
		{ 7, 8192, 4096, false, NVME_TCP_FES_DATA_OUT_OF_RANGE },
		{ 7, 0, 4096, false, NVME_TCP_FES_DATA_OUT_OF_RANGE },
		{ 7, 4096, 8196, true, NVME_TCP_FES_DATA_OUT_OF_RANGE },
		{ 7, 0xfffff000, 4096, false, NVME_TCP_FES_DATA_OUT_OF_RANGE },
		{ 7, 12288, 4, true, NVME_TCP_FES_DATA_OUT_OF_RANGE },
	};
	struct nvme_tcp_data_pdu pdu;
	struct nvtgt_tcp_error err;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		pdu = h2c(cases[i].id, cases[i].offset, cases[i].length, cases[i].last);
		err.fes = 0;
		CHECK_EQ(nvtgt_tcp_check_h2c(&pdu, &rules, &r2t, 7, &err), !cases[i].fes);
		CHECK_EQ(err.fes, cases[i].fes);
	}
	/* the length of the data and that of the PDU must be the same */
	pdu = h2c(7, 4096, 4096, false);
	pdu.data_length = cpu_to_le32(4092);
	CHECK(!nvtgt_tcp_check_h2c(&pdu, &rules, &r2t, 7, &err));
	CHECK_EQ(err.fei, offsetof(struct nvme_tcp_data_pdu, data_length));
	pdu.data_length = cpu_to_le32(0xffffffff);
	CHECK(!nvtgt_tcp_check_h2c(&pdu, &rules, &r2t, 7, &err));
}

/* Every transfer is asked for completely, in no more parts than allowed. */
static void ready_to_transfer(void)
{
	static const u32 lengths[] = { 1, 4, 511, 4096, 131071, 131072, 131073, 262144,
				       1048575, 1048576, 4194304 };
	size_t i;
	u32 maxr2t;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (maxr2t = 1; maxr2t < 70; maxr2t++) {
			u32 done = 0, parts = 0;

			while (done < lengths[i] && parts < 100) {
				u32 part = nvtgt_tcp_r2t_len(lengths[i], done, maxr2t);

				CHECK(part > 0 && part <= lengths[i] - done);
				CHECK(part % 4 == 0 || done + part == lengths[i]);
				done += part;
				parts++;
			}
			CHECK_EQ(done, lengths[i]);
			CHECK(parts <= maxr2t);
			CHECK(parts <= NVTGT_TCP_R2TS);
		}
		CHECK_EQ(nvtgt_tcp_r2t_len(lengths[i], 0, 0x10000), nvtgt_tcp_r2t_len(lengths[i], 0, NVTGT_TCP_R2TS));
	}
}

static void data_pointers(void)
{
	struct nvme_sgl_desc sgl = { .length = cpu_to_le32(4096) };
	unsigned int type;
	u32 len;

	sgl.type = NVME_SGL_FMT_DATA_DESC << 4 | NVME_SGL_FMT_OFFSET;
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 4096, &len), 0);
	CHECK_EQ(len, 4096);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 4092, &len) & 0x7ff, NVME_SC_SGL_INVALID_DATA);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 0, &len) & 0x7ff, NVME_SC_SGL_INVALID_DATA);
	sgl.addr = cpu_to_le64(4);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 4096, &len) & 0x7ff, NVME_SC_SGL_INVALID_OFFSET);
	sgl.addr = 0;
	sgl.type = NVME_TRANSPORT_SGL_DATA_DESC << 4 | NVME_SGL_FMT_TRANSPORT_A;
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 0, &len), 0);
	CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 4096, &len) & 0x7ff, NVME_SC_SGL_INVALID_DATA);
	for (type = 0; type < 256; type++) {
		sgl.type = type;
		if (type == (NVME_SGL_FMT_DATA_DESC << 4 | NVME_SGL_FMT_OFFSET) ||
		    type == (NVME_TRANSPORT_SGL_DATA_DESC << 4 | NVME_SGL_FMT_TRANSPORT_A))
			continue;
		CHECK_EQ(nvtgt_tcp_decode_sgl(&sgl, 4096, &len) & 0x7ff, NVME_SC_SGL_INVALID_TYPE);
	}
}

static void offsets_to_the_host(void)
{
	unsigned int hpda, hdgst;

	for (hpda = 0; hpda <= 31; hpda++) {
		for (hdgst = 0; hdgst < 2; hdgst++) {
			unsigned int pdo = nvtgt_tcp_pdo(24, hdgst, hpda);

			CHECK(pdo >= 24 + hdgst * 4);
			CHECK(pdo < 24 + hdgst * 4 + (hpda + 1) * 4);
			CHECK_EQ(pdo % ((hpda + 1) * 4), 0);
		}
	}
}

int main(void)
{
	RUN(order_of_pdus);
	RUN(types);
	RUN(header_lengths);
	RUN(digest_flags);
	RUN(data_offsets_and_limits);
	RUN(any_header_at_all);
	RUN(connection_request);
	RUN(data_from_the_host);
	RUN(ready_to_transfer);
	RUN(data_pointers);
	RUN(offsets_to_the_host);
	return UNIT_END();
}
