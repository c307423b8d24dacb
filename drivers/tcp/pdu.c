// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of PDU headers (NVMe/TCP transport specification 1.1, 3.6). Everything
 * in a header is the peer's to choose; nothing of it is used before these
 * functions have seen it.
 */
#include <linux/kernel.h>
#include <linux/nvme.h>
#include <linux/nvme-tcp.h>
#include "pdu.h"

static int nvtgt_tcp_bad(struct nvtgt_tcp_error *err, u16 fes, u32 fei)
{
	err->fes = fes;
	err->fei = fei;
	return -1;
}

#define BAD_FIELD(err, field)	\
	nvtgt_tcp_bad(err, NVME_TCP_FES_INVALID_PDU_HDR, offsetof(struct nvme_tcp_hdr, field))

static u8 nvtgt_tcp_hlen(u8 type)
{
	switch (type) {
	case nvme_tcp_icreq:
		return sizeof(struct nvme_tcp_icreq_pdu);
	case nvme_tcp_h2c_term:
		return sizeof(struct nvme_tcp_term_pdu);
	case nvme_tcp_cmd:
		return sizeof(struct nvme_tcp_cmd_pdu);
	case nvme_tcp_h2c_data:
		return sizeof(struct nvme_tcp_data_pdu);
	default:
		return 0;	/* a host may not send it */
	}
}

/* A PDU that may carry data: where they begin, and whether all lengths agree. */
static int nvtgt_tcp_check_data_hdr(const struct nvme_tcp_hdr *hdr,
				    const struct nvtgt_tcp_rules *rules,
				    struct nvtgt_tcp_error *err)
{
	u32 head = hdr->hlen + (rules->hdgst ? NVME_TCP_DIGEST_LENGTH : 0);
	u32 tail = rules->ddgst ? NVME_TCP_DIGEST_LENGTH : 0;
	u32 max = hdr->type == nvme_tcp_cmd ? rules->max_inline : rules->max_h2c;
	u32 plen = le32_to_cpu(hdr->plen);

	if (!!(hdr->flags & NVME_TCP_F_HDGST) != rules->hdgst)
		return BAD_FIELD(err, flags);
	if (plen < head)
		return BAD_FIELD(err, plen);
	if (plen == head)	/* no data; a command does without them */
		return hdr->type == nvme_tcp_cmd ? 0 : BAD_FIELD(err, plen);

	/* CPDA is 0: the data are aligned to four bytes (3.6.2.3) */
	if (hdr->pdo < head || hdr->pdo % 4)
		return BAD_FIELD(err, pdo);
	if (!!(hdr->flags & NVME_TCP_F_DDGST) != rules->ddgst)
		return BAD_FIELD(err, flags);
	if (plen <= hdr->pdo + tail)
		return BAD_FIELD(err, plen);
	if (plen - hdr->pdo - tail > max) {
		if (hdr->type == nvme_tcp_cmd)
			return BAD_FIELD(err, plen);
		return nvtgt_tcp_bad(err, NVME_TCP_FES_DATA_LIMIT_EXCEEDED, 0);
	}
	return 0;
}

/**
 * nvtgt_tcp_set_usual - work out the header that most PDUs have
 * @rules: with everything else agreed; from now on the connection is live
 *
 * A command capsule without data is known by one comparison then.
 */
void nvtgt_tcp_set_usual(struct nvtgt_tcp_rules *rules)
{
	u8 hlen = sizeof(struct nvme_tcp_cmd_pdu);

	rules->live = true;
	rules->usual = (struct nvme_tcp_hdr) {
		.type = nvme_tcp_cmd,
		.flags = rules->hdgst ? NVME_TCP_F_HDGST : 0,
		.hlen = hlen,
		.plen = cpu_to_le32(hlen + (rules->hdgst ? NVME_TCP_DIGEST_LENGTH : 0)),
	};
}

/**
 * nvtgt_tcp_check_hdr - judge the common header of a PDU from the host
 * @hdr: the first eight bytes
 * @rules: what was agreed
 * @err: what is wrong
 *
 * After success hlen, pdo and plen agree with each other, with the type and with
 * the bounds, so nvtgt_tcp_data_bytes() can be used.
 *
 * Return: bytes of header and header digest; negative with @err set
 */
int nvtgt_tcp_check_hdr(const struct nvme_tcp_hdr *hdr, const struct nvtgt_tcp_rules *rules,
			struct nvtgt_tcp_error *err)
{
	u32 plen = le32_to_cpu(hdr->plen);
	int ret = 0;
	u8 hlen;

	/* before ICReq there is no usual header: it is all zero */
	if (likely(hdr->type == nvme_tcp_cmd && !memcmp(hdr, &rules->usual, sizeof(*hdr))))
		return plen;
	hlen = nvtgt_tcp_hlen(hdr->type);
	if (!hlen)
		return BAD_FIELD(err, type);
	/* 3.5: ICReq is the first PDU and comes once; only H2CTermReq may come before it */
	if ((hdr->type == nvme_tcp_icreq) == rules->live && hdr->type != nvme_tcp_h2c_term)
		return nvtgt_tcp_bad(err, NVME_TCP_FES_PDU_SEQ_ERR, 0);
	if (hdr->hlen != hlen)
		return BAD_FIELD(err, hlen);

	switch (hdr->type) {
	case nvme_tcp_icreq:
		if (plen != hlen)
			return BAD_FIELD(err, plen);
		return hlen;	/* never with a digest */
	case nvme_tcp_h2c_term:
		if (plen < hlen || plen > NVME_TCP_MAX_C2HTERM_PLEN)
			return BAD_FIELD(err, plen);
		return hlen;
	default:
		ret = nvtgt_tcp_check_data_hdr(hdr, rules, err);
	}
	if (ret)
		return ret;
	return hlen + (rules->hdgst ? NVME_TCP_DIGEST_LENGTH : 0);
}

/**
 * nvtgt_tcp_data_bytes - how many bytes of data follow a header
 * @hdr: a header that nvtgt_tcp_check_hdr() has passed, command or H2CData
 * @rules: what was agreed
 *
 * Return: bytes, without padding and digest
 */
u32 nvtgt_tcp_data_bytes(const struct nvme_tcp_hdr *hdr, const struct nvtgt_tcp_rules *rules)
{
	u32 head = hdr->hlen + (rules->hdgst ? NVME_TCP_DIGEST_LENGTH : 0);
	u32 plen = le32_to_cpu(hdr->plen);

	if (plen == head)
		return 0;
	return plen - hdr->pdo - (rules->ddgst ? NVME_TCP_DIGEST_LENGTH : 0);
}

/**
 * nvtgt_tcp_check_icreq - judge an ICReq (3.6.2.2)
 * @pdu: the whole PDU
 * @err: what is wrong
 *
 * Return: whether it is right
 */
bool nvtgt_tcp_check_icreq(const struct nvme_tcp_icreq_pdu *pdu, struct nvtgt_tcp_error *err)
{
	if (pdu->pfv != cpu_to_le16(NVME_TCP_PFV_1_0)) {
		nvtgt_tcp_bad(err, NVME_TCP_FES_UNSUPPORTED_PARAM,
			      offsetof(struct nvme_tcp_icreq_pdu, pfv));
		return false;
	}
	if (pdu->hpda > NVTGT_TCP_MAX_HPDA) {
		nvtgt_tcp_bad(err, NVME_TCP_FES_INVALID_PDU_HDR,
			      offsetof(struct nvme_tcp_icreq_pdu, hpda));
		return false;
	}
	if (pdu->digest & ~(NVME_TCP_HDR_DIGEST_ENABLE | NVME_TCP_DATA_DIGEST_ENABLE)) {
		nvtgt_tcp_bad(err, NVME_TCP_FES_INVALID_PDU_HDR,
			      offsetof(struct nvme_tcp_icreq_pdu, digest));
		return false;
	}
	return true;
}

/**
 * nvtgt_tcp_check_h2c - judge an H2CData PDU against the R2T that it answers
 * @pdu: a header that nvtgt_tcp_check_hdr() has passed
 * @rules: what was agreed
 * @r2t: the R2T that the transfer tag names, outstanding
 * @cccid: the command identifier of the R2T's command
 * @err: what is wrong
 *
 * The data of one R2T come in order and without a gap, in as many PDUs as the
 * host likes; the PDU that ends them has LAST_PDU set (3.6.2.8).
 *
 * Return: whether it is right
 */
bool nvtgt_tcp_check_h2c(const struct nvme_tcp_data_pdu *pdu, const struct nvtgt_tcp_rules *rules,
			 const struct nvtgt_tcp_r2t *r2t, u16 cccid, struct nvtgt_tcp_error *err)
{
	u32 off = le32_to_cpu(pdu->data_offset);
	u32 len = le32_to_cpu(pdu->data_length);
	bool last = pdu->hdr.flags & NVME_TCP_F_DATA_LAST;
	u32 field = 0;

	if (pdu->command_id != cccid)
		field = offsetof(struct nvme_tcp_data_pdu, command_id);
	else if (len != nvtgt_tcp_data_bytes(&pdu->hdr, rules))
		field = offsetof(struct nvme_tcp_data_pdu, data_length);
	if (field) {
		nvtgt_tcp_bad(err, NVME_TCP_FES_INVALID_PDU_HDR, field);
		return false;
	}
	if (off != r2t->next || len > r2t->end - r2t->next) {
		nvtgt_tcp_bad(err, NVME_TCP_FES_DATA_OUT_OF_RANGE, 0);
		return false;
	}
	if (last != (off + len == r2t->end)) {
		nvtgt_tcp_bad(err, NVME_TCP_FES_INVALID_PDU_HDR,
			      offsetof(struct nvme_tcp_hdr, flags));
		return false;
	}
	return true;
}

/**
 * nvtgt_tcp_r2t_len - how much to ask for next
 * @data_len: bytes of the whole transfer
 * @done: bytes asked for already, less than @data_len
 * @maxr2t: R2Ts that the host allows per command, from 1
 *
 * A host that allows one R2T is asked for all at once, so that it never waits for
 * the next; one that allows more gets a transfer in as many parts, all
 * outstanding together, so that commands' data interleave.
 *
 * Return: bytes, a multiple of four unless it is the rest
 */
u32 nvtgt_tcp_r2t_len(u32 data_len, u32 done, u32 maxr2t)
{
	u32 parts = min_t(u32, maxr2t, NVTGT_TCP_R2TS);
	u32 part = max_t(u32, (data_len + parts - 1) / parts, NVTGT_TCP_R2T_MIN);

	part = (part + 3) & ~3U;
	return min_t(u32, part, data_len - done);
}

/**
 * nvtgt_tcp_decode_sgl - which bytes does a command's SGL describe?
 * @sgl: the descriptor in the command (NVMe/TCP 1.1, 3.3.2: data transfer)
 * @inline_bytes: bytes that came in the capsule
 * @len: bytes of the transfer
 *
 * Return: 0 or a status
 */
u16 nvtgt_tcp_decode_sgl(const struct nvme_sgl_desc *sgl, u32 inline_bytes, u32 *len)
{
	*len = le32_to_cpu(sgl->length);
	switch (sgl->type) {
	case (NVME_SGL_FMT_DATA_DESC << 4) | NVME_SGL_FMT_OFFSET:
		if (sgl->addr)
			return NVME_SC_SGL_INVALID_OFFSET | NVME_STATUS_DNR;
		if (*len != inline_bytes)
			return NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR;
		return 0;
	case (NVME_TRANSPORT_SGL_DATA_DESC << 4) | NVME_SGL_FMT_TRANSPORT_A:
		/* data in the capsule that no descriptor speaks of */
		if (inline_bytes)
			return NVME_SC_SGL_INVALID_DATA | NVME_STATUS_DNR;
		return 0;
	default:
		return NVME_SC_SGL_INVALID_TYPE | NVME_STATUS_DNR;
	}
}

/**
 * nvtgt_tcp_pdo - where the data of a PDU to the host begin
 * @hlen: bytes of the header
 * @hdgst: whether a header digest follows
 * @hpda: the host's alignment, dwords, zero based
 *
 * Return: the offset in bytes, at most 128
 */
u8 nvtgt_tcp_pdo(u8 hlen, bool hdgst, u8 hpda)
{
	u32 align = (hpda + 1) * 4;
	u32 pdo = hlen + (hdgst ? NVME_TCP_DIGEST_LENGTH : 0);

	return (pdo + align - 1) / align * align;
}
