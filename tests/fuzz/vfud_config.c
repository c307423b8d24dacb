// SPDX-License-Identifier: GPL-2.0
/*
 * Accesses of configuration space, of a function with any number of vectors: what is read-only stays,
 * what is written reads back, the capabilities stay in place, and a reset gives the beginning.
 *
 * Two bytes: the vectors. Then for each write two bytes of offset, one of length and so many of data.
 */
#include "fuzz.h"

#include <linux/pci_regs.h>

#include "tools/nvtgt-vfud/vfud.h"

static uint8_t first[VFUD_CONFIG_SIZE], config[VFUD_CONFIG_SIZE];

static const struct { uint16_t at, mask; } writable[] = {
	{ 0x04, 0x0546 }, { 0x0c, 0xff }, { 0x10, 0xc000 }, { 0x12, 0xffff }, { 0x14, 0xffff }, { 0x16, 0xffff },
	{ 0x20, 0xf000 }, { 0x22, 0xffff }, { 0x3c, 0xff }, { 0x44, 3 }, { 0x52, 0xc000 }, { 0x68, 0x7fff },
	{ 0x70, 0xcb }, { 0x88, 0xffff },
};

static uint8_t mask_of(size_t at)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(writable); i++)
		if (at / 2 * 2 == writable[i].at)
			return writable[i].mask >> (at % 2) * 8;
	return 0;
}

static void check(unsigned int nr)
{
	uint32_t size = vfud_pci_msix_size(nr), bar4;
	size_t i;

	for (i = 0; i < VFUD_CONFIG_SIZE; i++)
		MUST(!((config[i] ^ first[i]) & ~mask_of(i)));
	memcpy(&bar4, config + PCI_BASE_ADDRESS_4, 4);
	MUST(!(bar4 & (size - 1)));
	MUST((config[0x44] & 3) != 1 && (config[0x44] & 3) != 2);
}

static void write_config(unsigned int nr, size_t at, const uint8_t *data, size_t len)
{
	bool was_master = config[4] & 4, flr = at <= 0x69 && at + len > 0x69 && data[0x69 - at] & 0x80;
	enum vfud_pci_event event = vfud_pci_write(config, at, data, len);
	uint32_t bar4 = ~(uint32_t)(vfud_pci_msix_size(nr) - 1);
	size_t i;

	MUST((event == VFUD_PCI_FLR) == flr);
	if (flr) {
		MUST(!memcmp(config, first, sizeof(config)));
		return;
	}
	MUST((event == VFUD_PCI_MASTER_OFF) == (was_master && !(config[4] & 4)));
	check(nr);
	for (i = at; i < at + len; i++) {
		uint8_t mask = mask_of(i);

		if (i >= 0x20 && i < 0x24)
			mask = bar4 >> (i - 0x20) * 8;
		if (i != 0x44)
			MUST(!((config[i] ^ data[i - at]) & mask));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int nr;

	if (size < 2)
		return 0;
	nr = (data[0] | data[1] << 8) % VFUD_MAX_VECTORS + 1;
	vfud_pci_init(first, 0x1d6b, 0x0a54, nr);
	memcpy(config, first, sizeof(config));
	for (data += 2, size -= 2; size > 3; ) {
		size_t at = (data[0] | data[1] << 8) % VFUD_CONFIG_SIZE, len = data[2];

		/* mostly where there is something */
		if (data[1] & 0x10)
			at %= 0xa0;
		data += 3;
		size -= 3;
		if (len > size)
			len = size;
		if (len > VFUD_CONFIG_SIZE - at)
			len = VFUD_CONFIG_SIZE - at;
		write_config(nr, at, data, len);
		data += len;
		size -= len;
	}
	vfud_pci_reset(config);
	MUST(!memcmp(config, first, sizeof(config)));
	return 0;
}

size_t fuzz_seed(unsigned int nr, uint8_t *to)
{
	/* sizing, addresses, commands as a guest's firmware and driver write them */
	static const uint8_t boot[] = { 63, 0, 4, 0, 2, 0, 0, 0x10, 0, 4, 0xff, 0xff, 0xff, 0xff, 0x14, 0, 4,
		0xff, 0xff, 0xff, 0xff, 0x20, 0, 4, 0xff, 0xff, 0xff, 0xff, 0x30, 0, 4, 0xff, 0xff, 0xff, 0xff,
		0x10, 0, 4, 0, 0x40, 0xbf, 0xfe, 0x20, 0, 4, 0, 0, 0xc0, 0xfe, 4, 0, 2, 7, 1, 0x52, 0, 2, 0, 0xc0,
		0x52, 0, 2, 0, 0x80, 0x3c, 0, 1, 11, 4, 0, 2, 3, 1 };
	static const uint8_t flr[] = { 0, 8, 4, 0, 2, 6, 5, 0x68, 0, 2, 0, 0x80, 0x44, 0, 2, 3, 0, 0x44, 0, 2, 0, 0,
		0x60, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0 };

	if (nr > 1)
		return 0;
	memcpy(to, nr ? flr : boot, nr ? sizeof(flr) : sizeof(boot));
	return nr ? sizeof(flr) : sizeof(boot);
}
