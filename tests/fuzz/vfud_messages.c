// SPDX-License-Identifier: GPL-2.0
/*
 * Messages of a client to the PCI function, over a kernel that is a fake (tests/unit/vfud_fake.h) and
 * that may fail.
 *
 * One byte: bit 0, the client has said its version already; the rest, the vectors. Then for each message:
 * one byte of command (from 240 on: two more are the command), one with bits 0 and 1, 0, 1, 2 or 16 file descriptors;
 * 2, a predecessor may have done it; 3, an answer is not wanted; 4, the kernel fails; 5, files are not memory;
 * 6, the controller is ended; then two bytes of length, and so many of payload, or all there is.
 */
#include "fuzz.h"

#include "tests/unit/vfud_fake.h"

struct vfud_options vfud_opts;

static const struct vfud_kernel_ops ops = FAKE_KERNEL;
static struct vfud_state state, pristine;
static uint8_t *reply;

void vfud_err(const char *where, const char *fmt, ...) { }
void vfud_warn(const char *where, const char *fmt, ...) { }
void vfud_info(const char *where, const char *fmt, ...) { }

static void check(int ret, const struct vfud_msg *msg)
{
	size_t table = state.nr_vectors * 16, i;

	MUST(ret <= 0 && ret > -4096);
	MUST(msg->reply_len <= VFU_MAX_MSG - sizeof(struct vfu_hdr));
	MUST(state.nr_vectors == pristine.nr_vectors);
	MUST(!memcmp(state.path, pristine.path, sizeof(state.path)));
	/* identity and capabilities */
	MUST(!memcmp(state.config, pristine.config, 4) && !memcmp(state.config + 8, pristine.config + 8, 4));
	MUST(!memcmp(state.config + 0x2c, pristine.config + 0x2c, 16));
	MUST(!memcmp(state.config + 0x40, pristine.config + 0x40, 4));
	MUST(!memcmp(state.config + 0x54, pristine.config + 0x54, 0x14));
	MUST(!memcmp(state.config + 0x8a, pristine.config + 0x8a, VFUD_CONFIG_SIZE - 0x8a));
	for (i = table; i < sizeof(state.msix_table); i += 64)
		MUST(!state.msix_table[i]);
	MUST(!state.rx[0] && !state.tx[0]);
}

static void begin(uint8_t how)
{
	memset(&state, 0, offsetof(struct vfud_state, rx));
	state.nr_vectors = (how >> 1) * 16 + 1;
	state.negotiated = how & 1;
	strcpy(state.path, "fuzz");
	vfud_pci_init(state.config, 0x1d6b, 0x0a54, state.nr_vectors);
	memcpy(&pristine, &state, offsetof(struct vfud_state, rx));
	fake_init(state.nr_vectors);
	if (!reply)
		reply = malloc(VFU_MAX_MSG - sizeof(struct vfu_hdr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfud_device dev;
	int i;

	if (!size)
		return 0;
	begin(data[0]);
	vfud_device_init(&dev, &state, &ops, NULL);
	for (data++, size--; size >= 4; ) {
		struct vfud_msg msg = { .hdr.cmd = data[0] % 18, .reply = reply };
		uint8_t how = data[1], *copy;

		if (data[0] >= 240)
			msg.hdr.cmd = data[1] << 8 | data[2];
		msg.nr_fds = (const unsigned int[]){ 0, 1, 2, 16 }[how & 3];
		for (i = 0; i < VFU_MAX_FDS; i++)
			msg.fd[i] = i < msg.nr_fds ? 0 : -1;
		msg.again = how & 4;
		msg.hdr.flags = how & 8 ? VFU_NO_REPLY : 0;
		for (i = 0; i < FAKE_OPS; i++)
			fake.fail[i] = how & 16 ? EIO : 0;
		fake.no_memory = how & 32;
		dev.dead = how & 64;
		msg.len = data[2] | data[3] << 8;
		data += 4;
		size -= 4;
		if (msg.len > size)
			msg.len = size;
		/* of its own size, so that ASan sees a byte too far */
		copy = malloc(msg.len ? msg.len : 1);
		memcpy(copy, data, msg.len);
		msg.data = copy;
		state.rx_fds = msg.nr_fds;
		check(vfud_device_handle(&dev, &msg), &msg);
		free(copy);
		data += msg.len;
		size -= msg.len;
	}
	return 0;
}

/* ---- what QEMU 11.1 sends */

static uint8_t *out;
static size_t out_len;

static void put(uint8_t cmd, uint8_t how, const void *payload, size_t len)
{
	const uint8_t head[] = { cmd, how, len, len >> 8 };

	memcpy(out + out_len, head, 4);
	memcpy(out + out_len + 4, payload, len);
	out_len += 4 + len;
}

#define PUT(cmd, how, ...) do {							\
	const uint32_t put_words[] = { __VA_ARGS__ };				\
	put(cmd, how, put_words, sizeof(put_words));				\
} while (0)

static void start(void)
{
	static const char version[] = "\0\0\0\0{\"capabilities\": {\"pgsizes\": 4096, \"max_msg_fds\": 16, "
		"\"max_dma_maps\": 65535, \"max_data_xfer_size\": 1048576, \"migration\": {\"max_bitmap_size\": "
		"268435456, \"pgsize\": 4096}, \"write_multiple\": true}}";
	uint32_t i;

	put(VFU_VERSION, 0, version, sizeof(version));
	PUT(VFU_DMA_MAP, 1, 32, 3, 0, 0, 0, 0, 0xc0000, 0);
	PUT(VFU_DMA_MAP, 0, 32, 1, 0, 0, 0xfffc0000, 0, 0x40000, 0);
	PUT(VFU_DMA_MAP, 1, 32, 3, 0x100000, 0, 0x100000, 0, 0x3ff00000, 0);
	PUT(VFU_GET_INFO, 0, 16, 0, 0, 0);
	for (i = 0; i < 8; i++)
		PUT(VFU_GET_REGION_INFO, 0, 32, 0, i, 0, 0, 0, 0, 0);
	PUT(VFU_GET_IRQ_INFO, 0, 16, 0, 3, 0);
	PUT(VFU_REGION_READ, 0, 0, 0, 7, 4096);
	PUT(VFU_GET_IRQ_INFO, 0, 16, 0, 2, 0);
	PUT(VFU_SET_IRQS, 1, 20, 0x24, 3, 0, 1);
}

static void enable(void)
{
	PUT(VFU_REGION_READ, 0, 0, 0, 0, 8);
	PUT(VFU_REGION_WRITE, 8, 0x24, 0, 0, 4, 0x001f001f);
	PUT(VFU_REGION_WRITE, 8, 0x28, 0, 0, 8, 0x1000, 0);
	PUT(VFU_REGION_WRITE, 8, 0x14, 0, 0, 4, 0x460001);
	PUT(VFU_REGION_READ, 0, 0x1c, 0, 0, 4);
	PUT(VFU_SET_IRQS, 0, 20, 0x21, 2, 0, 0);
	PUT(VFU_SET_IRQS, 2, 20, 0x24, 2, 0, 2);
	PUT(VFU_SET_IRQS, 0, 20, 0x24, 2, 1, 1);
	PUT(VFU_REGION_WRITE, 8, 0x1000, 0, 0, 4, 1);
	PUT(VFU_REGION_READ, 0, 0x1000, 0, 4, 8);
	PUT(VFU_REGION_WRITE, 0, 0x20, 0, 4, 4, 0xfee00000);
}

static void reboot(void)
{
	PUT(VFU_REGION_WRITE, 0, 4, 0, 7, 2, 0x0103);
	PUT(VFU_REGION_WRITE, 0, 0x68, 0, 7, 4, 0x8000);
	PUT(VFU_RESET, 0, 0);
	PUT(VFU_DMA_UNMAP, 0, 24, 0, 0, 0, 0xc0000, 0);
	PUT(VFU_DMA_MAP, 5, 32, 3, 0, 0, 0, 0, 0xa0000, 0);
	PUT(VFU_REGION_WRITE_MULTI, 8, 2, 0, 0x24, 0, 0, 4, 0x10001, 0, 0x14, 0, 0, 4, 0x460000, 0);
	PUT(VFU_DMA_UNMAP, 0, 24, 2, 0, 0, 0, 0);
}

size_t fuzz_seed(unsigned int nr, uint8_t *to)
{
	if (nr > 3)
		return 0;
	out = to;
	out_len = 1;
	to[0] = nr == 0 ? 8 : 9;
	if (nr == 0 || nr == 3)
		start();
	if (nr == 1 || nr == 3)
		enable();
	if (nr == 2 || nr == 3)
		reboot();
	if (nr == 3)
		to[0] = 254;
	return out_len;
}
