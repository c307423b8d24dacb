/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vfio-user protocol, version 0.0, as far as a device without migration needs it.
 *
 * QEMU's docs/interop/vfio-user.rst describes it. Numbers are in the machine's byte order.
 * What a payload says of regions and interrupts are the structures of <linux/vfio.h>.
 */
#ifndef NVTGT_VFUD_PROTO_H
#define NVTGT_VFUD_PROTO_H

#include <stdint.h>

enum vfu_cmd {
	VFU_VERSION		= 1,
	VFU_DMA_MAP		= 2,
	VFU_DMA_UNMAP		= 3,
	VFU_GET_INFO		= 4,
	VFU_GET_REGION_INFO	= 5,
	VFU_GET_IRQ_INFO	= 7,
	VFU_SET_IRQS		= 8,
	VFU_REGION_READ		= 9,
	VFU_REGION_WRITE	= 10,
	VFU_RESET		= 13,
	VFU_REGION_WRITE_MULTI	= 15,
};

/* flags */
#define VFU_TYPE_MASK		0xf
#define VFU_TYPE_COMMAND	0
#define VFU_TYPE_REPLY		1
#define VFU_NO_REPLY		0x10
#define VFU_ERROR		0x20

/* struct vfu_hdr - before each message */
struct vfu_hdr {
	uint16_t id;		/* the sender's; a reply has the same */
	uint16_t cmd;
	uint32_t size;		/* bytes, with this header */
	uint32_t flags;
	uint32_t error;		/* errno, with VFU_ERROR */
};

struct vfu_version {
	uint16_t major;
	uint16_t minor;
	char json[];		/* with its NUL */
};

#define VFU_DMA_READ		(1 << 0)
#define VFU_DMA_WRITE		(1 << 1)

struct vfu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;	/* in the file that comes with the message */
	uint64_t addr;
	uint64_t size;
};

#define VFU_UNMAP_DIRTY		(1 << 0)
#define VFU_UNMAP_ALL		(1 << 1)

struct vfu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t addr;
	uint64_t size;
};

struct vfu_region {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
	uint8_t data[];
};

struct vfu_multi {
	uint64_t nr;
	struct {
		uint64_t offset;
		uint32_t region;
		uint32_t count;
		uint8_t data[8];
	} write[];
};

#define VFU_MAX_FDS		16	/* with a message */
#define VFU_MAX_DATA		65536	/* bytes that a message reads or writes */
#define VFU_MAX_MSG		(sizeof(struct vfu_hdr) + sizeof(struct vfu_region) + VFU_MAX_DATA)

#endif
