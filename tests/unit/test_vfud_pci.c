// SPDX-License-Identifier: GPL-2.0
// builds: tools/nvtgt-vfud/pci.c tools/lib/util.c
// cflags: -D_GNU_SOURCE -pthread
/*
 * guards: a guest that writes anything anywhere into configuration space changes only what PCI
 * lets it change, and finds BARs and MSI-X that do not overlap
 */
#include "unit.h"

#include <linux/pci_regs.h>

#include "tools/nvtgt-vfud/vfud.h"

#define VENDOR 0x1d6b
#define DEVICE 0x0a54

static uint8_t config[VFUD_CONFIG_SIZE];
static unsigned int pm, msix, expr;

static uint32_t get(size_t at, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, config + at, size);
	return value;
}

static enum vfud_pci_event set(size_t at, uint32_t value, size_t size)
{
	return vfud_pci_write(config, at, (const uint8_t *)&value, size);
}

/* Walks the capabilities; each begins where none other is. */
static void find_caps(void)
{
	unsigned int at = config[PCI_CAPABILITY_LIST], n = 0;

	pm = msix = expr = 0;
	CHECK(get(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	for (; at && n < 8; at = config[at + 1], n++) {
		CHECK(at >= 0x40 && at % 4 == 0);
		if (config[at] == PCI_CAP_ID_PM)
			pm = at;
		else if (config[at] == PCI_CAP_ID_MSIX)
			msix = at;
		else if (config[at] == PCI_CAP_ID_EXP)
			expr = at;
	}
	CHECK_EQ(n, 3);
	CHECK(pm && msix && expr);
	/* 8, 12 and 0x3c bytes */
	CHECK(pm + 8 <= msix && msix + 12 <= expr && expr + 0x3c <= 0x100);
}

static void fresh(unsigned int nr)
{
	vfud_pci_init(config, VENDOR, DEVICE, nr);
	find_caps();
}

static void identity(void)
{
	fresh(64);
	CHECK_EQ(get(PCI_VENDOR_ID, 2), VENDOR);
	CHECK_EQ(get(PCI_DEVICE_ID, 2), DEVICE);
	CHECK_EQ(get(PCI_SUBSYSTEM_VENDOR_ID, 2), VENDOR);
	CHECK_EQ(get(PCI_CLASS_PROG, 2) | get(PCI_CLASS_DEVICE + 1, 1) << 16, 0x010802);
	CHECK_EQ(config[PCI_HEADER_TYPE], 0);
	CHECK_EQ(config[PCI_INTERRUPT_PIN], 0);
	CHECK_EQ(get(PCI_COMMAND, 2), 0);
	CHECK(get(expr + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	CHECK_EQ(get(0x100, 4), 0);		/* no extended capabilities */
}

/* What each byte may take on; all others are read-only. */
static uint8_t expected_mask(size_t at, unsigned int nr)
{
	uint32_t bar4 = ~(uint32_t)(vfud_pci_msix_size(nr) - 1);

	if (at == PCI_COMMAND)
		return 0x46;
	if (at == PCI_COMMAND + 1)
		return 0x05;
	if (at == PCI_CACHE_LINE_SIZE || at == PCI_INTERRUPT_LINE)
		return 0xff;
	if (at >= PCI_BASE_ADDRESS_0 && at < PCI_BASE_ADDRESS_2)
		return at == PCI_BASE_ADDRESS_0 ? 0 : at == PCI_BASE_ADDRESS_0 + 1 ? 0xc0 : 0xff;
	if (at >= PCI_BASE_ADDRESS_4 && at < PCI_BASE_ADDRESS_5)
		return bar4 >> (at - PCI_BASE_ADDRESS_4) * 8;
	if (at == pm + PCI_PM_CTRL)
		return 3;
	if (at == msix + PCI_MSIX_FLAGS + 1)
		return 0xc0;
	if (at == expr + PCI_EXP_DEVCTL)
		return 0xff;
	if (at == expr + PCI_EXP_DEVCTL + 1)
		return 0x7f;
	if (at == expr + PCI_EXP_LNKCTL)
		return 0xcb;
	if (at == expr + PCI_EXP_DEVCTL2 || at == expr + PCI_EXP_DEVCTL2 + 1)
		return 0xff;
	return 0;
}

static void each_byte(void)
{
	static const unsigned int vectors[] = { 1, 16, 64, 2048 };
	static uint8_t before[VFUD_CONFIG_SIZE];
	size_t i, at;
	int value;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		fresh(vectors[i]);
		for (at = 0; at < VFUD_CONFIG_SIZE; at++) {
			uint8_t mask = expected_mask(at, vectors[i]);

			for (value = 0; value < 256; value++) {
				uint8_t byte = value, old;

				if (at == expr + PCI_EXP_DEVCTL + 1 && value & 0x80)
					continue;		/* that is a reset */
				if (at == pm + PCI_PM_CTRL && (value & 3) % 3)
					continue;		/* D1 and D2: below */
				memcpy(before, config, sizeof(before));
				old = config[at];
				vfud_pci_write(config, at, &byte, 1);
				if (config[at] != ((old & ~mask) | (byte & mask))) {
					printf("byte %#zx: %#x written to %#x gives %#x\n", at, byte, old, config[at]);
					unit_failures++;
				}
				before[at] = config[at];
				CHECK(!memcmp(before, config, sizeof(before)));
			}
			/* as firmware leaves it */
			value = 0;
			vfud_pci_write(config, at, (uint8_t *)&value, 1);
		}
	}
}

/* Words, and the whole space at once, are what their bytes are. */
static void wide(void)
{
	static uint8_t all[VFUD_CONFIG_SIZE], bytes[VFUD_CONFIG_SIZE];
	size_t at;

	fresh(64);
	memset(all, 0xff, sizeof(all));
	all[expr + PCI_EXP_DEVCTL + 1] = 0x7f;
	for (at = 0; at < VFUD_CONFIG_SIZE; at++)
		vfud_pci_write(config, at, all + at, 1);
	memcpy(bytes, config, sizeof(bytes));
	fresh(64);
	vfud_pci_write(config, 0, all, sizeof(all));
	CHECK(!memcmp(bytes, config, sizeof(bytes)));
	/* a word over the edge of a register */
	fresh(64);
	set(PCI_COMMAND + 1, 0xffffffff, 4);
	CHECK_EQ(get(PCI_COMMAND, 2), 0x0500);
	CHECK_EQ(get(PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
}

static void bars(void)
{
	unsigned int nr;

	for (nr = 1; nr <= VFUD_MAX_VECTORS; nr++) {
		size_t size = vfud_pci_msix_size(nr), pba = vfud_pci_pba_offset(nr);
		uint32_t table_end = nr * 16, pba_end = pba + (nr + 63) / 64 * 8;

		fresh(nr);
		CHECK(size && !(size & (size - 1)) && size >= 4096);
		/* a hypervisor maps pages: none has both, and each array is within */
		CHECK(pba % 4096 == 0 && table_end <= pba && pba_end <= size);
		CHECK_EQ((get(msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1, nr);
		CHECK_EQ(get(msix + PCI_MSIX_TABLE, 4), VFUD_MSIX_BAR);
		CHECK_EQ(get(msix + PCI_MSIX_PBA, 4), pba | VFUD_MSIX_BAR);
		CHECK(table_end <= VFUD_TABLE_SIZE);
		set(PCI_BASE_ADDRESS_4, 0xffffffff, 4);
		CHECK_EQ(~(get(PCI_BASE_ADDRESS_4, 4) & ~0xfU) + 1, size);
		CHECK_EQ(get(PCI_BASE_ADDRESS_4, 4) & 0xf, 0);
	}
	/* 64 bits wide */
	set(PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	set(PCI_BASE_ADDRESS_1, 0xffffffff, 4);
	CHECK_EQ(get(PCI_BASE_ADDRESS_0, 4), (uint32_t)~(VFUD_BAR0_SIZE - 1) | 4);
	CHECK_EQ(get(PCI_BASE_ADDRESS_1, 4), 0xffffffff);
	set(PCI_BASE_ADDRESS_0, 0xfebf4000, 4);
	set(PCI_BASE_ADDRESS_1, 0x38, 4);
	CHECK_EQ(get(PCI_BASE_ADDRESS_0, 4), 0xfebf4004);
	CHECK_EQ(get(PCI_BASE_ADDRESS_1, 4), 0x38);
	/* those that there are not, and the ROM */
	set(PCI_BASE_ADDRESS_2, 0xffffffff, 4);
	set(PCI_BASE_ADDRESS_3, 0xffffffff, 4);
	set(PCI_BASE_ADDRESS_5, 0xffffffff, 4);
	set(PCI_ROM_ADDRESS, 0xffffffff, 4);
	CHECK_EQ(get(PCI_BASE_ADDRESS_2, 4) | get(PCI_BASE_ADDRESS_3, 4) | get(PCI_BASE_ADDRESS_5, 4) |
		 get(PCI_ROM_ADDRESS, 4), 0);
}

static void resets(void)
{
	static uint8_t first[VFUD_CONFIG_SIZE];
	uint8_t flr = PCI_EXP_DEVCTL_BCR_FLR >> 8;
	size_t from;

	fresh(17);
	memcpy(first, config, sizeof(first));
	set(PCI_COMMAND, 0x0546, 2);
	set(PCI_BASE_ADDRESS_0, 0xfebf0000, 4);
	set(msix + PCI_MSIX_FLAGS, 0xffff, 2);
	CHECK_EQ(set(expr + PCI_EXP_DEVCTL, 0x8000, 2), VFUD_PCI_FLR);
	CHECK(!memcmp(first, config, sizeof(first)));
	/* within any write that reaches that byte */
	for (from = expr + PCI_EXP_DEVCTL - 2; from <= expr + PCI_EXP_DEVCTL + 1; from++) {
		uint32_t word = (uint32_t)flr << (expr + PCI_EXP_DEVCTL + 1 - from) * 8;

		set(PCI_COMMAND, 0x0546, 2);
		CHECK_EQ(set(from, word, 4), VFUD_PCI_FLR);
		CHECK(!memcmp(first, config, sizeof(first)));
	}
	CHECK_EQ(set(expr + PCI_EXP_DEVCTL, 0x7fff, 2), VFUD_PCI_NONE);
	CHECK_EQ(set(expr + PCI_EXP_DEVCTL + 2, 0xffff, 2), VFUD_PCI_NONE);
	vfud_pci_reset(config);
	CHECK(!memcmp(first, config, sizeof(first)));
}

static void bus_master(void)
{
	fresh(8);
	CHECK_EQ(set(PCI_COMMAND, 0x0002, 2), VFUD_PCI_NONE);
	CHECK_EQ(set(PCI_COMMAND, 0x0006, 2), VFUD_PCI_NONE);
	CHECK_EQ(set(PCI_COMMAND, 0x0406, 2), VFUD_PCI_NONE);
	CHECK_EQ(set(PCI_COMMAND, 0x0402, 2), VFUD_PCI_MASTER_OFF);
	CHECK_EQ(get(PCI_COMMAND, 2), 0x0402);		/* nothing else has changed */
	CHECK_EQ(set(PCI_COMMAND, 0, 2), VFUD_PCI_NONE);
	CHECK_EQ(set(PCI_COMMAND, 0x06, 1), VFUD_PCI_NONE);
	CHECK_EQ(set(PCI_COMMAND, 0, 1), VFUD_PCI_MASTER_OFF);
}

/* D1 and D2 are not there: such a write is as none (PCI PM, 3.2.4). */
static void power(void)
{
	fresh(8);
	set(pm + PCI_PM_CTRL, 3, 2);
	CHECK_EQ(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET | 3);
	set(pm + PCI_PM_CTRL, 1, 2);
	CHECK_EQ(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET | 3);
	set(pm + PCI_PM_CTRL, 0, 2);
	CHECK_EQ(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	set(pm + PCI_PM_CTRL, 2, 1);
	CHECK_EQ(get(pm + PCI_PM_CTRL, 2), PCI_PM_CTRL_NO_SOFT_RESET);
	CHECK_EQ(get(pm + PCI_PM_PMC, 2) & (PCI_PM_CAP_D1 | PCI_PM_CAP_D2), 0);
}

int main(void)
{
	RUN(identity);
	RUN(each_byte);
	RUN(wide);
	RUN(bars);
	RUN(resets);
	RUN(bus_master);
	RUN(power);
	return UNIT_END();
}
