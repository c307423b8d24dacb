/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a PDU from the host must look like. Pure logic: no allocation, no lock,
 * no kernel service; tests/unit builds it in userspace.
 */
#ifndef _NVTGT_TCP_PDU_H
#define _NVTGT_TCP_PDU_H

#include <linux/types.h>
#include <linux/nvme-tcp.h>

#define NVTGT_TCP_MAX_HPDA	31	/* dwords, zero based (NVMe/TCP 1.1, 3.6.2.2) */
#define NVTGT_TCP_R2TS		4	/* outstanding R2Ts per command, at most */
#define NVTGT_TCP_R2T_MIN	(128 * 1024)	/* bytes; shorter transfers are one R2T */

/**
 * struct nvtgt_tcp_error - a fatal error, as a C2HTermReq reports it
 * @fes: NVME_TCP_FES_*; 0: no error
 * @fei: fatal error information: the offset of the field in error in the PDU
 *	header, or the digest; else 0
 */
struct nvtgt_tcp_error {
	u16 fes;
	u32 fei;
};

/**
 * struct nvtgt_tcp_rules - what was agreed on a connection
 * @live: ICReq has been answered
 * @hdgst: PDU headers carry a digest
 * @ddgst: PDU data carry a digest
 * @max_inline: bytes of data that a command capsule may carry
 * @max_h2c: MAXH2CDATA, bytes
 * @usual: the common header of a command capsule without data, as it is sent
 */
struct nvtgt_tcp_rules {
	bool live;
	bool hdgst;
	bool ddgst;
	u32 max_inline;
	u32 max_h2c;
	struct nvme_tcp_hdr usual;
};

/**
 * struct nvtgt_tcp_r2t - the part of a transfer that the host was asked for
 * @next: offset of the next byte that is due
 * @end: offset behind the last byte; 0: not outstanding
 */
struct nvtgt_tcp_r2t {
	u32 next;
	u32 end;
};

void nvtgt_tcp_set_usual(struct nvtgt_tcp_rules *rules);
int nvtgt_tcp_check_hdr(const struct nvme_tcp_hdr *hdr, const struct nvtgt_tcp_rules *rules,
			struct nvtgt_tcp_error *err);
bool nvtgt_tcp_check_icreq(const struct nvme_tcp_icreq_pdu *pdu, struct nvtgt_tcp_error *err);
bool nvtgt_tcp_check_h2c(const struct nvme_tcp_data_pdu *pdu, const struct nvtgt_tcp_rules *rules,
			 const struct nvtgt_tcp_r2t *r2t, u16 cccid, struct nvtgt_tcp_error *err);
u32 nvtgt_tcp_data_bytes(const struct nvme_tcp_hdr *hdr, const struct nvtgt_tcp_rules *rules);
u32 nvtgt_tcp_r2t_len(u32 data_len, u32 done, u32 maxr2t);
u16 nvtgt_tcp_decode_sgl(const struct nvme_sgl_desc *sgl, u32 inline_bytes, u32 *len);
u8 nvtgt_tcp_pdo(u8 hlen, bool hdgst, u8 hpda);

#endif /* _NVTGT_TCP_PDU_H */
