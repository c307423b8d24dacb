/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/nvtgt-vfu: the kernel half of NVMe controllers for virtual machines.
 *
 * A program that speaks for a virtual machine opens the device, finds the ports of type
 * vfio-user with NVTGT_VFU_PORTS, and gets a controller with NVTGT_VFU_ATTACH: a file of
 * its own, which has the other calls. Closing that file ends the controller and lets go of
 * the guest's memory. Queues, commands and data are the kernel's business: the program hands
 * on memory, registers, doorbells that the guest rings, and the event that an interrupt is.
 *
 * Numbers are in the machine's byte order. Reserved fields are zero.
 */
#ifndef _UAPI_LINUX_NVTGT_VFU_H
#define _UAPI_LINUX_NVTGT_VFU_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define NVTGT_VFU_VERSION	1

#define NVTGT_VFU_PATH_SIZE	256	/* with the NUL */

/* port.flags */
#define NVTGT_VFU_PORT_ATTACHED	(1 << 0)	/* it has a controller, or one that is ending */

struct nvtgt_vfu_port_info {
	__u16 id;
	__u16 flags;
	__u32 reserved;
	char path[NVTGT_VFU_PATH_SIZE];		/* addr_traddr */
};

/*
 * The ports that are enabled. nr: how many fit into ports; then how many there are, of which
 * the first were written. generation: another one after each change of the list; poll() on the
 * device says POLLIN while the list is not the one that this file has been given last.
 */
struct nvtgt_vfu_ports {
	__u32 nr;
	__u32 generation;
	__u64 ports;				/* struct nvtgt_vfu_port_info * */
};

/*
 * A controller of a port. The call returns its file; EBUSY: the port has one; ENODEV: no such
 * port; EACCES: the subsystem does not allow the port's host.
 */
struct nvtgt_vfu_attach {
	__u16 port;
	__u16 nr_vectors;			/* of MSI-X, 1 … 2048 */
	__u32 flags;				/* 0 */
};

/* map.flags */
#define NVTGT_VFU_MAP_READ	(1 << 0)	/* the controller may read it */
#define NVTGT_VFU_MAP_WRITE	(1 << 1)	/* and write */

/*
 * Guest memory: size bytes at guest address gpa are the file's at offset; all three are multiples
 * of 4096. The file is of tmpfs, hugetlbfs or memfd and open for reading and writing. fd -1: nothing
 * that a controller could reach. Regions do not overlap. EEXIST: this one does; EFBIG: there are too
 * many; ENODEV: not such a file; EINVAL. The file is not truncated, and no holes are made in it,
 * while it is mapped: commands would go on with the pages of before. The pages are pinned as they are used, and counted
 * against RLIMIT_MEMLOCK of the process that makes the call, unless it has CAP_IPC_LOCK.
 */
struct nvtgt_vfu_map {
	__u64 gpa;
	__u64 size;
	__u64 offset;
	__s32 fd;
	__u32 flags;
};

/* unmap.flags */
#define NVTGT_VFU_UNMAP_ALL	(1 << 0)	/* every region; gpa and size are 0 */

/*
 * Regions that lie in the range go. Returns when no command uses them any more, which may take as
 * long as a device does; the other calls do not wait for this one. ENOENT: a region begins
 * or ends inside the range alone, and nothing has been done.
 */
struct nvtgt_vfu_unmap {
	__u64 gpa;
	__u64 size;
	__u32 flags;
	__u32 reserved;
};

/*
 * Registers and doorbells: what the guest does at an offset of BAR0. size is 4 or 8, and divides
 * the offset. What is not there reads as 0, and is not written.
 */
struct nvtgt_vfu_reg {
	__u32 offset;
	__u32 size;
	__u64 value;
};

/* An eventfd to be signalled for a vector, or -1. One that came meanwhile is signalled at once. */
struct nvtgt_vfu_irq {
	__u32 vector;
	__s32 fd;
};

/* info.flags */
#define NVTGT_VFU_INFO_ENDED	(1 << 0)	/* the administrator has ended it */
#define NVTGT_VFU_INFO_ENABLED	(1 << 1)	/* the guest has set CC.EN */

/* What a controller is: for a process that was given its file, and has not made it. */
struct nvtgt_vfu_info {
	__u16 port;
	__u16 nr_vectors;
	__u32 flags;
	__u16 cntlid;
	__u16 reserved[3];
	char path[NVTGT_VFU_PATH_SIZE];		/* addr_traddr when it was made */
};

#define NVTGT_VFU_IOC		0xb5

/* of the device */
#define NVTGT_VFU_PORTS		_IOWR(NVTGT_VFU_IOC, 0x00, struct nvtgt_vfu_ports)
#define NVTGT_VFU_ATTACH	_IOW(NVTGT_VFU_IOC, 0x01, struct nvtgt_vfu_attach)

/* of a controller */
#define NVTGT_VFU_MAP		_IOW(NVTGT_VFU_IOC, 0x10, struct nvtgt_vfu_map)
#define NVTGT_VFU_UNMAP		_IOW(NVTGT_VFU_IOC, 0x11, struct nvtgt_vfu_unmap)
#define NVTGT_VFU_REG_READ	_IOWR(NVTGT_VFU_IOC, 0x12, struct nvtgt_vfu_reg)
#define NVTGT_VFU_REG_WRITE	_IOW(NVTGT_VFU_IOC, 0x13, struct nvtgt_vfu_reg)
#define NVTGT_VFU_SET_IRQ	_IOW(NVTGT_VFU_IOC, 0x14, struct nvtgt_vfu_irq)

/*
 * As by a function level reset, and when the guest clears Bus Master Enable. Returns when CSTS.RDY
 * is 0: nothing of before writes into guest memory, or signals, any more. EBUSY: commands
 * have not come back from their device for four seconds, and those that read may still write;
 * the call may be made again.
 */
#define NVTGT_VFU_RESET		_IO(NVTGT_VFU_IOC, 0x15)

/*
 * The calling process takes the place of the one that has mapped the guest's memory and may be
 * gone (its file was kept by another one): what is pinned from now on is pinned through this
 * process, and all that is pinned counts against its RLIMIT_MEMLOCK, unless it has CAP_IPC_LOCK.
 * Memory that several controllers share moves with the first of them. Between the end of that
 * process and this call commands that need memory not pinned before wait, with those behind them
 * in their queues, and all others are executed; the queues are looked at again here. May be
 * called repeatedly. ENOMEM: nothing has changed.
 */
#define NVTGT_VFU_ADOPT		_IO(NVTGT_VFU_IOC, 0x16)

#define NVTGT_VFU_INFO		_IOR(NVTGT_VFU_IOC, 0x17, struct nvtgt_vfu_info)

#endif /* _UAPI_LINUX_NVTGT_VFU_H */
