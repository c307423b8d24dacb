// SPDX-License-Identifier: GPL-2.0
// builds: tools/nvtgt-vfud/device.c tools/nvtgt-vfud/pci.c tools/nvtgt-vfud/log.c tools/lib/util.c
// cflags: -D_GNU_SOURCE -pthread
// libs: -ljson-c
/*
 * guards: what a client of nvtgt-vfud asks reaches the kernel as it was meant or not at all, is
 * answered with no byte too many, and what the kernel refuses is refused
 */
#include "unit.h"

#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vfud_fake.h"

struct vfud_options vfud_opts;

static const struct vfud_kernel_ops ops = FAKE_KERNEL;
static struct vfud_state *state;
static struct vfud_device dev;
static struct vfud_msg msg;
static int event = -1;

#define VECTORS 17

/* A function whose client has said its version, unless @fresh. */
static void begin(bool greeted)
{
	fake_init(VECTORS);
	memset(state, 0, sizeof(*state));
	state->nr_vectors = VECTORS;
	strcpy(state->path, "test");
	vfud_pci_init(state->config, 1, 2, VECTORS);
	state->negotiated = greeted;
	vfud_device_init(&dev, state, &ops, NULL);
	free(msg.reply);
	memset(&msg, 0, sizeof(msg));
}

/* Sends a message of exactly @len bytes; the answer is in a buffer of exactly the room promised. */
static int ask(unsigned int cmd, const void *data, size_t len)
{
	void *copy = malloc(len ? len : 1);
	int ret;

	memcpy(copy, data ? data : "", len);
	free(msg.reply);
	msg.reply = malloc(VFU_MAX_MSG - sizeof(struct vfu_hdr));
	msg.hdr.cmd = cmd;
	msg.data = copy;
	msg.len = len;
	ret = vfud_device_handle(&dev, &msg);
	CHECK(msg.reply_len <= VFU_MAX_MSG - sizeof(struct vfu_hdr));
	msg.data = NULL;
	free(copy);
	return ret;
}

#define ASK(cmd, what) ask(cmd, &(what), sizeof(what))

static int version(const char *json, size_t len)
{
	uint8_t data[256] = { 0 };

	memcpy(data + 4, json, len);
	return ask(VFU_VERSION, data, 4 + len);
}

static void versions(void)
{
	static const char qemu[] = "{\"capabilities\": {\"pgsizes\": 4096, \"max_msg_fds\": 16, "
		"\"max_dma_maps\": 65535, \"max_data_xfer_size\": 1048576, \"write_multiple\": true}}";
	static const char *const wrong[] = { "[]", "1", "\"a\"", "{", "{\"a\":}", "", "\0\0", "x", "[[[[[[[[[[" };
	struct vfu_version v = { .minor = 3 };
	size_t i;

	begin(false);
	CHECK_EQ(version(qemu, sizeof(qemu)), 0);
	CHECK(state->negotiated);
	/* QEMU takes no answer that is longer than what it has sent */
	CHECK(msg.reply_len <= 4 + sizeof(qemu) && msg.reply_len > 4);
	CHECK_EQ(msg.reply[msg.reply_len - 1], 0);
	CHECK_EQ(version(qemu, sizeof(qemu)), -EINVAL);		/* once */
	begin(false);
	CHECK_EQ(ask(VFU_VERSION, &v, sizeof(v)), 0);
	CHECK_EQ(msg.reply_len, sizeof(v));
	CHECK_EQ(msg.reply[2] | msg.reply[3], 0);
	begin(false);
	v.major = 1;
	CHECK_EQ(ask(VFU_VERSION, &v, sizeof(v)), -EINVAL);
	CHECK_EQ(ask(VFU_VERSION, &v, 3), -EINVAL);
	CHECK_EQ(ask(VFU_VERSION, NULL, 0), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_EQ(version(wrong[i], i == 6 ? 3 : strlen(wrong[i]) + 1), -EINVAL);
	CHECK_EQ(version("{}", 2), -EINVAL);			/* without its NUL */
	CHECK(!state->negotiated);
	/* nothing else comes first */
	for (i = 0; i < 32; i++)
		if (i != VFU_VERSION)
			CHECK_EQ(ask(i, &v, sizeof(v)), -EINVAL);
	/* a predecessor had done it, and not answered */
	begin(false);
	CHECK_EQ(version(qemu, sizeof(qemu)), 0);
	msg.again = true;
	CHECK_EQ(version(qemu, sizeof(qemu)), 0);
	CHECK(msg.reply_len > 4);
}

static void unknown(void)
{
	uint8_t data[64] = { 0 };
	unsigned int cmd;

	begin(true);
	for (cmd = 0; cmd < 65536; cmd++)
		if ((cmd > 10 || cmd == 6 || !cmd) && cmd != 13 && cmd != 15)
			CHECK_EQ(ask(cmd, data, sizeof(data)), -ENOTSUP);
	msg.hdr.flags = VFU_TYPE_REPLY;
	CHECK_EQ(ask(VFU_GET_INFO, data, sizeof(data)), -EINVAL);
	msg.hdr.flags = 0;
	/* each at each length up to that which it has: none reads further */
	for (cmd = 2; cmd < 16; cmd++) {
		size_t len;

		for (len = 0; len < 20; len++)
			ask(cmd, data, len);
	}
}

static int map(uint64_t gpa, uint64_t size, uint32_t flags, int fd)
{
	struct vfu_dma_map dma = { .argsz = sizeof(dma), .flags = flags, .offset = 4096,
				   .addr = gpa, .size = size };

	msg.nr_fds = fd >= 0;
	msg.fd[0] = fd;
	return ASK(VFU_DMA_MAP, dma);
}

static int unmap(uint64_t gpa, uint64_t size, uint32_t flags)
{
	struct vfu_dma_unmap dma = { .argsz = sizeof(dma), .flags = flags, .addr = gpa, .size = size };

	msg.nr_fds = 0;
	return ASK(VFU_DMA_UNMAP, dma);
}

static void memory(void)
{
	struct vfu_dma_map dma = { .argsz = 31, .size = 4096 };
	struct vfu_dma_unmap un = { .argsz = 23, .size = 4096 };

	begin(true);
	CHECK_EQ(map(0, 1 << 20, 3, event), 0);
	CHECK_EQ(fake.region[0].flags, NVTGT_VFU_MAP_READ | NVTGT_VFU_MAP_WRITE);
	CHECK_EQ(fake.region[0].offset, 4096);
	CHECK(state->has_shared);
	CHECK_EQ(msg.reply_len, 0);
	CHECK_EQ(map(4096, 4096, 3, event), -EEXIST);
	/* done by a predecessor, and not answered */
	msg.again = true;
	CHECK_EQ(map(0, 1 << 20, 3, event), 0);
	CHECK_EQ(unmap(0, 1 << 20, 0), 0);
	CHECK_EQ(unmap(0, 1 << 20, 0), 0);
	msg.again = false;
	CHECK_EQ(unmap(0, 1 << 20, 0), -ENOENT);
	CHECK_EQ(map(0, 4096, 1, event), 0);
	CHECK_EQ(fake.region[0].flags, NVTGT_VFU_MAP_READ);
	CHECK_EQ(map(4096, 4096, 7, event), -EINVAL);
	CHECK_EQ(ASK(VFU_DMA_MAP, dma), -EINVAL);
	dma.argsz = 32;
	msg.nr_fds = 2;
	CHECK_EQ(ASK(VFU_DMA_MAP, dma), -EINVAL);
	CHECK_EQ(ASK(VFU_DMA_UNMAP, un), -EINVAL);
	CHECK_EQ(unmap(0, 4096, 1), -ENOTSUP);
	CHECK_EQ(unmap(0, 4096, 6), -ENOTSUP);
	CHECK_EQ(unmap(77, 99, VFU_UNMAP_ALL), 0);
	CHECK_EQ(msg.reply_len, 24);
	CHECK_EQ(fake.nr_regions, 0);
	/* what is not memory, and what has no file at all, with an offset that means nothing */
	begin(true);
	fake.no_memory = true;
	CHECK_EQ(map(0, 4096, 3, event), 0);
	CHECK_EQ(fake.region[0].fd, -1);
	CHECK_EQ(map(8192, 4096, 3, -1), 0);
	CHECK_EQ(fake.region[1].offset, 0);
	CHECK(!state->has_shared);
	fake.no_memory = false;
	fake.fail[FAKE_MAP] = ENOMEM;
	CHECK_EQ(map(1 << 20, 4096, 3, event), -ENOMEM);
	fake.fail[FAKE_UNMAP] = EIO;
	CHECK_EQ(unmap(0, 4096, 0), -EIO);
	msg.nr_fds = 0;
}

static void info(void)
{
	struct vfio_device_info d = { .argsz = sizeof(d) };
	struct vfio_region_info r = { .argsz = sizeof(r) }, got;
	struct vfio_irq_info i = { .argsz = sizeof(i) };

	begin(true);
	CHECK_EQ(ASK(VFU_GET_INFO, d), 0);
	CHECK_EQ(msg.reply_len, 16);
	for (r.index = 0; r.index < VFIO_PCI_NUM_REGIONS; r.index++) {
		CHECK_EQ(ASK(VFU_GET_REGION_INFO, r), 0);
		CHECK_EQ(msg.reply_len, sizeof(r));
		memcpy(&got, msg.reply, sizeof(got));
		CHECK_EQ(got.size, r.index == 0 ? VFUD_BAR0_SIZE : r.index == VFUD_MSIX_BAR ?
			 vfud_pci_msix_size(VECTORS) : r.index == VFIO_PCI_CONFIG_REGION_INDEX ? 4096 : 0);
		CHECK(!(got.flags & VFIO_REGION_INFO_FLAG_MMAP));
	}
	CHECK_EQ(ASK(VFU_GET_REGION_INFO, r), -EINVAL);
	for (i.index = 0; i.index < VFIO_PCI_NUM_IRQS; i.index++) {
		struct vfio_irq_info irq;

		CHECK_EQ(ASK(VFU_GET_IRQ_INFO, i), 0);
		memcpy(&irq, msg.reply, sizeof(irq));
		CHECK_EQ(irq.count, i.index == VFIO_PCI_MSIX_IRQ_INDEX ? VECTORS :
			 i.index >= VFIO_PCI_ERR_IRQ_INDEX ? 1 : 0);
	}
	CHECK_EQ(ASK(VFU_GET_IRQ_INFO, i), -EINVAL);
}

static int irqs(uint32_t flags, uint32_t index, uint32_t start, uint32_t count, unsigned int nr_fds)
{
	struct vfio_irq_set set = { .argsz = sizeof(set), .flags = flags, .index = index,
				    .start = start, .count = count };
	unsigned int i;

	msg.nr_fds = nr_fds;
	for (i = 0; i < nr_fds; i++)
		msg.fd[i] = event;
	return ask(VFU_SET_IRQS, &set, 20);
}

static void interrupts(void)
{
	unsigned int i, n;

	begin(true);
	CHECK_EQ(irqs(0x24, 2, 1, 16, 16), 0);
	for (i = 0; i < VECTORS; i++)
		CHECK_EQ(fake.irq[i], i >= 1);
	CHECK_EQ(irqs(0x24, 2, 3, 2, 0), 0);
	for (i = n = 0; i < VECTORS; i++)
		n += fake.irq[i];
	CHECK_EQ(n, 14);
	CHECK_EQ(irqs(0x21, 2, 0, 0, 0), 0);
	for (i = n = 0; i < VECTORS; i++)
		n += fake.irq[i];
	CHECK_EQ(n, 0);
	CHECK_EQ(irqs(0x24, 2, 0, VECTORS, 0), 0);
	memset(fake.calls, 0, sizeof(fake.calls));
	CHECK_EQ(irqs(0x24, 2, VECTORS, 1, 1), -EINVAL);
	CHECK_EQ(irqs(0x24, 2, 0, VECTORS + 1, 0), -EINVAL);
	CHECK_EQ(irqs(0x24, 2, 0xffffffff, 2, 2), -EINVAL);
	CHECK_EQ(irqs(0x24, 2, 2, 0xffffffff, 0), -EINVAL);
	CHECK_EQ(irqs(0x24, 2, 0, 2, 1), -EINVAL);
	CHECK_EQ(irqs(0x24, 2, 0, 1, 2), -EINVAL);
	CHECK_EQ(irqs(0x24, 2, 0, 0, 0), -EINVAL);
	CHECK_EQ(irqs(0x21, 2, 0, 0, 1), -EINVAL);
	CHECK_EQ(irqs(0x22, 2, 0, 1, 0), -EINVAL);
	CHECK_EQ(irqs(0x24, 5, 0, 1, 1), -EINVAL);
	CHECK_EQ(irqs(0x24, 0, 0, 1, 1), -EINVAL);
	CHECK_EQ(irqs(0x24, 3, 0, 1, 1), 0);
	CHECK_EQ(irqs(0x21, 0, 0, 0, 0), 0);
	CHECK_EQ(fake.calls[FAKE_SET_IRQ], 0);
	fake.fail[FAKE_SET_IRQ] = EBADF;
	CHECK_EQ(irqs(0x24, 2, 0, 3, 3), -EBADF);
	CHECK_EQ(fake.calls[FAKE_SET_IRQ], 1);
	msg.nr_fds = 0;
}

static int reads(uint32_t region, uint64_t offset, uint32_t count)
{
	struct vfu_region access = { .region = region, .offset = offset, .count = count };

	return ASK(VFU_REGION_READ, access);
}

static int writes(uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
	static uint8_t room[sizeof(struct vfu_region) + VFU_MAX_DATA];
	struct vfu_region access = { .region = region, .offset = offset, .count = count };

	memcpy(room, &access, sizeof(access));
	memcpy(room + sizeof(access), data, count);
	return ask(VFU_REGION_WRITE, room, sizeof(access) + count);
}

static void registers(void)
{
	static const uint8_t zero[64];
	size_t i, n, at;

	begin(true);
	for (i = 0; i < sizeof(fake.bar0); i++)
		fake.bar0[i] = i * 7 + i / 256;
	/* every piece of some registers, and the whole */
	for (at = 0; at < 17; at++) {
		for (n = 1; n < 40; n++) {
			CHECK_EQ(reads(0, at, n), 0);
			CHECK_EQ(msg.reply_len, 16 + n);
			CHECK(!memcmp(msg.reply + 16, fake.bar0 + at, n));
		}
	}
	for (n = 1; n < 20; n++) {
		CHECK_EQ(reads(0, VFUD_BAR0_SIZE - n, n), 0);
		CHECK(!memcmp(msg.reply + 16, fake.bar0 + VFUD_BAR0_SIZE - n, n));
		CHECK_EQ(reads(0, VFUD_BAR0_SIZE - n, n + 1), -EINVAL);
	}
	CHECK_EQ(reads(0, 0, VFUD_BAR0_SIZE), 0);
	CHECK(!memcmp(msg.reply + 16, fake.bar0, VFUD_BAR0_SIZE));
	/* only whole registers are written */
	memset(fake.calls, 0, sizeof(fake.calls));
	CHECK_EQ(writes(0, 1, zero, 4), 0);
	CHECK_EQ(writes(0, 0x14, zero, 2), 0);
	CHECK_EQ(fake.calls[FAKE_WRITE], 0);
	CHECK_EQ(writes(0, 0x24, zero, 4), 0);
	CHECK_EQ(fake.calls[FAKE_WRITE], 1);
	CHECK_EQ(writes(0, 0x28, zero, 8), 0);
	CHECK_EQ(fake.calls[FAKE_WRITE], 2);
	CHECK_EQ(writes(0, 0x24, zero, 20), 0);			/* 4, 8 and 8 */
	CHECK_EQ(fake.calls[FAKE_WRITE], 5);
	for (i = 0; i < sizeof(fake.bar0); i++)
		CHECK_EQ(fake.bar0[i], i >= 0x24 && i < 0x38 ? 0 : (uint8_t)(i * 7 + i / 256));
	fake.fail[FAKE_READ] = ENODEV;
	CHECK_EQ(reads(0, 0, 4), -ENODEV);
	fake.fail[FAKE_WRITE] = ENODEV;
	CHECK_EQ(writes(0, 0x14, zero, 4), -ENODEV);
}

static void regions(void)
{
	size_t pba = vfud_pci_pba_offset(VECTORS), bar4 = vfud_pci_msix_size(VECTORS), i;
	static uint8_t ones[VFU_MAX_DATA], zero[VFU_MAX_DATA];
	struct vfu_region access = { .region = 7, .count = 4 };

	memset(ones, 0xff, sizeof(ones));
	begin(true);
	for (i = 0; i < 12; i++) {
		uint64_t size = i == 0 ? VFUD_BAR0_SIZE : i == 4 ? bar4 : i == 7 ? 4096 : 0;

		CHECK_EQ(reads(i, size, 1), -EINVAL);
		CHECK_EQ(reads(i, ~0ULL, 1), -EINVAL);
		CHECK_EQ(reads(i, 0, 0), -EINVAL);
		CHECK_EQ(reads(i, 0, size + 1), -EINVAL);
		CHECK_EQ(reads(i, 1, 0xffffffff), -EINVAL);
		CHECK_EQ(writes(i, size, ones, 1), -EINVAL);
		if (size) {
			CHECK_EQ(reads(i, size - 1, 1), 0);
			CHECK_EQ(reads(i, 0, size), 0);
		}
	}
	/* fewer or more bytes than it says */
	CHECK_EQ(ask(VFU_REGION_WRITE, &access, sizeof(access)), -EINVAL);
	/* the table keeps what is written; what is behind it stays 0 */
	CHECK_EQ(writes(4, 0, ones, bar4), 0);
	CHECK_EQ(reads(4, 0, bar4), 0);
	CHECK(!memcmp(msg.reply + 16, ones, VECTORS * 16));
	CHECK(!memcmp(msg.reply + 16 + VECTORS * 16, zero, bar4 - VECTORS * 16));
	CHECK_EQ(writes(4, pba, ones, 8), 0);
	CHECK_EQ(reads(4, VECTORS * 16 - 1, 2), 0);
	CHECK_EQ(msg.reply[16], 0xff);
	CHECK_EQ(msg.reply[17], 0);
	/* as large as it gets */
	state->nr_vectors = VFUD_MAX_VECTORS;
	CHECK_EQ(writes(4, 0, ones, 65536), 0);
	CHECK_EQ(reads(4, 0, 65536), 0);
	CHECK(!memcmp(msg.reply + 16, ones, VFUD_TABLE_SIZE));
	CHECK(!memcmp(msg.reply + 16 + VFUD_TABLE_SIZE, zero, 65536 - VFUD_TABLE_SIZE));
}

static void several(void)
{
	struct {
		uint64_t nr;
		struct {
			uint64_t offset;
			uint32_t region, count;
			uint64_t data;
		} w[3];
	} multi = { 3, { { 0x24, 0, 4, 1 }, { 0x28, 0, 8, 2 }, { 0x3c, 7, 1, 3 } } };
	uint64_t nr;

	begin(true);
	CHECK_EQ(ASK(VFU_REGION_WRITE_MULTI, multi), 0);
	memcpy(&nr, msg.reply, sizeof(nr));
	CHECK_EQ(nr, 3);
	CHECK_EQ(msg.reply_len, 8);
	CHECK_EQ(fake.bar0[0x24] << 16 | fake.bar0[0x28] << 8 | state->config[0x3c], 0x10203);
	multi.w[1].count = 9;
	CHECK_EQ(ASK(VFU_REGION_WRITE_MULTI, multi), -EINVAL);
	multi.w[1].count = 0;
	CHECK_EQ(ASK(VFU_REGION_WRITE_MULTI, multi), -EINVAL);
	multi.nr = 4;
	CHECK_EQ(ASK(VFU_REGION_WRITE_MULTI, multi), -EINVAL);
	multi.nr = 1ULL << 61;
	CHECK_EQ(ASK(VFU_REGION_WRITE_MULTI, multi), -EINVAL);
	multi.nr = 0;
	CHECK_EQ(ask(VFU_REGION_WRITE_MULTI, &multi, 8), 0);
}

static void resets(void)
{
	uint8_t first[VFUD_CONFIG_SIZE], one[2] = { 0, 0x80 }, on[2] = { 6, 0 }, off[2] = { 2, 0 };
	unsigned int n = 0;

	begin(true);
	memcpy(first, state->config, sizeof(first));
	CHECK_EQ(writes(7, 4, on, 2), 0);
	CHECK_EQ(writes(4, 0, one, 2), 0);
	CHECK_EQ(ask(VFU_RESET, NULL, 0), 0);
	CHECK_EQ(fake.calls[FAKE_RESET], ++n);
	CHECK(!memcmp(first, state->config, sizeof(first)));
	CHECK_EQ(state->msix_table[1], 0);
	/* a function level reset is the same */
	CHECK_EQ(writes(7, 4, on, 2), 0);
	CHECK_EQ(writes(4, 0, one, 2), 0);
	CHECK_EQ(writes(7, 0x60 + PCI_EXP_DEVCTL, one, 2), 0);
	CHECK_EQ(fake.calls[FAKE_RESET], ++n);
	CHECK(!memcmp(first, state->config, sizeof(first)));
	CHECK_EQ(state->msix_table[1], 0);
	/* bus master off stops the controller, and no more */
	CHECK_EQ(writes(7, 4, on, 2), 0);
	CHECK_EQ(writes(4, 0, one, 2), 0);
	CHECK_EQ(writes(7, 4, off, 2), 0);
	CHECK_EQ(fake.calls[FAKE_RESET], ++n);
	CHECK_EQ(state->config[4], 2);
	CHECK_EQ(state->msix_table[1], 0x80);
	fake.fail[FAKE_RESET] = EBUSY;
	CHECK_EQ(ask(VFU_RESET, NULL, 0), -EBUSY);
}

/* The administrator has ended the controller: nothing is asked of the kernel, and nothing is an error. */
static void dead(void)
{
	uint8_t word[4] = { 0 }, one[2] = { 0, 0x80 };
	int i;

	begin(true);
	dev.dead = true;
	memset(fake.fail, 0xff, sizeof(fake.fail));
	CHECK_EQ(map(0, 4096, 3, event), 0);
	CHECK_EQ(unmap(0, 4096, 0), 0);
	CHECK_EQ(irqs(0x24, 2, 0, 1, 1), 0);
	msg.nr_fds = 0;
	CHECK_EQ(writes(0, 0x14, word, 4), 0);
	CHECK_EQ(writes(7, 0x60 + PCI_EXP_DEVCTL, one, 2), 0);
	CHECK_EQ(writes(4, 0, word, 4), 0);
	CHECK_EQ(ask(VFU_RESET, NULL, 0), 0);
	for (i = 0; i < 8; i++) {
		if (i != 0 && i != 4 && i != 7)
			continue;
		CHECK_EQ(reads(i, 0, 4), 0);
		CHECK(!memcmp(msg.reply + 16, "\xff\xff\xff\xff", 4));
	}
	for (i = 0; i < FAKE_OPS; i++)
		CHECK_EQ(fake.calls[i], 0);
}

int main(void)
{
	state = calloc(1, sizeof(*state));
	event = eventfd(0, EFD_CLOEXEC);
	RUN(versions);
	RUN(unknown);
	RUN(memory);
	RUN(info);
	RUN(interrupts);
	RUN(registers);
	RUN(regions);
	RUN(several);
	RUN(resets);
	RUN(dead);
	free(msg.reply);
	free(state);
	close(event);
	return UNIT_END();
}
