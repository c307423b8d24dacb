// SPDX-License-Identifier: GPL-2.0
// builds:
// The harness itself: the kernel's headers give the specification's sizes, and
// the shim's arithmetic is what the kernel's is.

#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/errno.h>
#include <linux/unaligned.h>
#include <linux/crc32c.h>
#include <linux/nvme-tcp.h>
#include "unit.h"

static void sizes(void)
{
	CHECK_EQ(sizeof(struct nvme_command), 64);
	CHECK_EQ(sizeof(struct nvme_completion), 16);
	CHECK_EQ(sizeof(struct nvme_id_ctrl), 4096);
	CHECK_EQ(sizeof(struct nvme_id_ns), 4096);
	CHECK_EQ(sizeof(struct nvme_tcp_icreq_pdu), 128);
	CHECK_EQ(sizeof(struct nvme_tcp_icresp_pdu), 128);
	CHECK_EQ(sizeof(struct nvme_tcp_cmd_pdu), 72);
	CHECK_EQ(sizeof(struct nvme_tcp_rsp_pdu), 24);
}

static void arithmetic(void)
{
	u64 sum;
	u8 small;

	CHECK_EQ(round_up(13, 8), 16);
	CHECK_EQ(DIV_ROUND_UP(9, 4), 3);
	CHECK(check_add_overflow(U64_MAX, (u64)1, &sum));
	CHECK(!check_add_overflow((u64)1, (u64)2, &sum));
	CHECK_EQ(sum, 3);
	CHECK_EQ(kstrtou8("255\n", 10, &small), 0);
	CHECK_EQ(small, 255);
	CHECK_EQ(kstrtou8("256", 10, &small), -ERANGE);
	CHECK_EQ(kstrtou8("-1", 10, &small), -EINVAL);
	CHECK_EQ(kstrtou8("", 10, &small), -EINVAL);
	CHECK_EQ(get_unaligned_le32("\x04\x03\x02\x01"), 0x01020304);
}

/* RFC 3720, B.4: 32 bytes of zeroes */
static void checksum(void)
{
	static const u8 zeroes[32];

	CHECK_EQ((u32)~crc32c(~0u, zeroes, sizeof(zeroes)), 0x8a9136aau);
}

int main(void)
{
	RUN(sizes);
	RUN(arithmetic);
	RUN(checksum);
	return UNIT_END();
}
