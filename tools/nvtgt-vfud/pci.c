// SPDX-License-Identifier: GPL-2.0
/* PCI configuration space of an NVMe function (PCI Express base specification, 7.5; NVMe over PCIe). */
#include "vfud.h"

#include <linux/pci_regs.h>
#include <string.h>

enum {
	PM_CAP		= 0x40,
	MSIX_CAP	= 0x50,
	EXP_CAP		= 0x60,
};

#define EXP_CAP_SIZE	0x3c		/* version 2, of an endpoint */
#define CLASS_NVME	0x010802	/* mass storage, non-volatile memory, NVM Express */

static void put8(uint8_t *config, size_t offset, uint8_t value)
{
	config[offset] = value;
}

static void put16(uint8_t *config, size_t offset, uint16_t value)
{
	config[offset] = value;
	config[offset + 1] = value >> 8;
}

static void put32(uint8_t *config, size_t offset, uint32_t value)
{
	put16(config, offset, value);
	put16(config, offset + 2, value >> 16);
}

static uint16_t get16(const uint8_t *config, size_t offset)
{
	return config[offset] | config[offset + 1] << 8;
}

static size_t round_page(size_t size)
{
	return (size + 4095) & ~(size_t)4095;
}

/** vfud_pci_pba_offset() - where the pending bits are in their BAR: on a page of their own */
size_t vfud_pci_pba_offset(unsigned int nr_vectors)
{
	return round_page(nr_vectors * PCI_MSIX_ENTRY_SIZE);
}

/** vfud_pci_msix_size() - bytes of the BAR with the MSI-X table and the pending bits: a power of two */
size_t vfud_pci_msix_size(unsigned int nr_vectors)
{
	size_t need = vfud_pci_pba_offset(nr_vectors) + round_page((nr_vectors + 63) / 64 * 8);
	size_t size = 4096;

	while (size < need)
		size *= 2;
	return size;
}

/**
 * vfud_pci_init() - a function as it is after power on
 * @config: VFUD_CONFIG_SIZE bytes
 * @vendor: vendor id, and subsystem vendor id
 * @device: the same
 * @nr_vectors: of MSI-X
 */
void vfud_pci_init(uint8_t *config, uint16_t vendor, uint16_t device, unsigned int nr_vectors)
{
	memset(config, 0, VFUD_CONFIG_SIZE);
	put16(config, PCI_VENDOR_ID, vendor);
	put16(config, PCI_DEVICE_ID, device);
	put16(config, PCI_STATUS, PCI_STATUS_CAP_LIST);
	put32(config, PCI_CLASS_REVISION, CLASS_NVME << 8);
	put32(config, PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_MEM_TYPE_64);
	put16(config, PCI_SUBSYSTEM_VENDOR_ID, vendor);
	put16(config, PCI_SUBSYSTEM_ID, device);
	put8(config, PCI_CAPABILITY_LIST, PM_CAP);

	put8(config, PM_CAP, PCI_CAP_ID_PM);
	put8(config, PM_CAP + 1, MSIX_CAP);
	put16(config, PM_CAP + PCI_PM_PMC, 3);
	put16(config, PM_CAP + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);

	put8(config, MSIX_CAP, PCI_CAP_ID_MSIX);
	put8(config, MSIX_CAP + 1, EXP_CAP);
	put16(config, MSIX_CAP + PCI_MSIX_FLAGS, nr_vectors - 1);
	put32(config, MSIX_CAP + PCI_MSIX_TABLE, VFUD_MSIX_BAR);
	put32(config, MSIX_CAP + PCI_MSIX_PBA, vfud_pci_pba_offset(nr_vectors) | VFUD_MSIX_BAR);

	put8(config, EXP_CAP, PCI_CAP_ID_EXP);
	put16(config, EXP_CAP + PCI_EXP_FLAGS, PCI_EXP_TYPE_ENDPOINT << 4 | 2);
	put32(config, EXP_CAP + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_FLR);
	put32(config, EXP_CAP + PCI_EXP_LNKCAP, PCI_EXP_LNKCAP_SLS_2_5GB | 1 << 4);
	put16(config, EXP_CAP + PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_CLS_2_5GB | 1 << PCI_EXP_LNKSTA_NLW_SHIFT);
}

/* D1 and D2 are not there: a write that asks for one changes no state (PCI PM, 3.2.4). */
static void keep_state(uint8_t *config, uint8_t old)
{
	uint8_t *ctrl = &config[PM_CAP + PCI_PM_CTRL];
	uint8_t state = *ctrl & PCI_PM_CTRL_STATE_MASK;

	if (state == 1 || state == 2)
		*ctrl = (*ctrl & ~PCI_PM_CTRL_STATE_MASK) | (old & PCI_PM_CTRL_STATE_MASK);
}

/* Which bits of a byte of configuration space a guest may write. */
static uint8_t writable(const uint8_t *config, size_t offset)
{
	size_t nr = (get16(config, MSIX_CAP + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
	const struct {
		size_t offset;
		uint32_t mask;
	} words[] = {
		{ PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			       PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE },
		{ PCI_CACHE_LINE_SIZE, 0xff },
		{ PCI_BASE_ADDRESS_0, ~(uint32_t)(VFUD_BAR0_SIZE - 1) },
		{ PCI_BASE_ADDRESS_1, ~0U },
		{ PCI_BASE_ADDRESS_4, ~(uint32_t)(vfud_pci_msix_size(nr) - 1) },
		{ PCI_INTERRUPT_LINE, 0xff },
		{ PM_CAP + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK },
		{ MSIX_CAP + 0, (uint32_t)(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL) << 16 },
		{ EXP_CAP + PCI_EXP_DEVCTL, 0x7fff },	/* and Initiate FLR, which reads as 0 */
		{ EXP_CAP + PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB |
					    PCI_EXP_LNKCTL_CCC | PCI_EXP_LNKCTL_ES },
		{ EXP_CAP + PCI_EXP_DEVCTL2, 0xffff },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (offset >= words[i].offset && offset < words[i].offset + 4)
			return words[i].mask >> (offset - words[i].offset) * 8;
	return 0;
}

/**
 * vfud_pci_reset() - what a function level reset leaves: addresses and controls are gone
 * @config: the function's
 */
void vfud_pci_reset(uint8_t *config)
{
	size_t nr = (get16(config, MSIX_CAP + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;

	vfud_pci_init(config, get16(config, PCI_VENDOR_ID), get16(config, PCI_DEVICE_ID), nr);
}

/**
 * vfud_pci_write() - a guest writes
 * @config: the function's
 * @offset: where
 * @data: what
 * @len: bytes; @offset + @len is at most VFUD_CONFIG_SIZE
 *
 * What cannot be written stays as it is.
 *
 * Return: VFUD_PCI_FLR: the guest has asked for a function level reset, and configuration space has
 *	had its own; VFUD_PCI_MASTER_OFF: it has turned off bus mastering; or VFUD_PCI_NONE
 */
enum vfud_pci_event vfud_pci_write(uint8_t *config, size_t offset, const uint8_t *data, size_t len)
{
	bool was_master = get16(config, PCI_COMMAND) & PCI_COMMAND_MASTER;
	uint8_t pm_ctrl = config[PM_CAP + PCI_PM_CTRL];
	size_t flr = EXP_CAP + PCI_EXP_DEVCTL + 1;
	size_t i;

	if (offset <= flr && flr < offset + len && data[flr - offset] & PCI_EXP_DEVCTL_BCR_FLR >> 8) {
		vfud_pci_reset(config);
		return VFUD_PCI_FLR;
	}
	for (i = 0; i < len; i++) {
		uint8_t mask = writable(config, offset + i);

		config[offset + i] = (config[offset + i] & ~mask) | (data[i] & mask);
	}
	keep_state(config, pm_ctrl);
	/* status bits that a one clears are never set here */
	if (was_master && !(get16(config, PCI_COMMAND) & PCI_COMMAND_MASTER))
		return VFUD_PCI_MASTER_OFF;
	return VFUD_PCI_NONE;
}
