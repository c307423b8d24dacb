// SPDX-License-Identifier: GPL-2.0
/* /dev/nvtgt-vfu, and the files of controllers. */
#include "vfud.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#define DEVICE "/dev/nvtgt-vfu"

static int call(void *ctrl, unsigned long request, void *arg)
{
	int ret;

	do
		ret = ioctl((int)(intptr_t)ctrl, request, arg);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : ret;
}

static int kernel_map(void *ctrl, const struct nvtgt_vfu_map *map)
{
	return call(ctrl, NVTGT_VFU_MAP, (void *)map);
}

static int kernel_unmap(void *ctrl, const struct nvtgt_vfu_unmap *unmap)
{
	return call(ctrl, NVTGT_VFU_UNMAP, (void *)unmap);
}

static int kernel_read(void *ctrl, struct nvtgt_vfu_reg *reg)
{
	return call(ctrl, NVTGT_VFU_REG_READ, reg);
}

static int kernel_write(void *ctrl, const struct nvtgt_vfu_reg *reg)
{
	return call(ctrl, NVTGT_VFU_REG_WRITE, (void *)reg);
}

static int kernel_set_irq(void *ctrl, const struct nvtgt_vfu_irq *irq)
{
	return call(ctrl, NVTGT_VFU_SET_IRQ, (void *)irq);
}

static int kernel_reset(void *ctrl)
{
	return call(ctrl, NVTGT_VFU_RESET, NULL);
}

const struct vfud_kernel_ops vfud_kernel = {
	.map		= kernel_map,
	.unmap		= kernel_unmap,
	.read		= kernel_read,
	.write		= kernel_write,
	.set_irq	= kernel_set_irq,
	.reset		= kernel_reset,
};

/** vfud_kernel_open() - the device file, or a negative errno */
int vfud_kernel_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/**
 * vfud_kernel_ports() - the ports of type vfio-user that are enabled
 * @fd: the device file
 * @ports: to be freed
 * @nr: how many
 *
 * Return: 0 or a negative errno
 */
int vfud_kernel_ports(int fd, struct nvtgt_vfu_port_info **ports, unsigned int *nr)
{
	struct nvtgt_vfu_ports arg = { 0 };
	unsigned int room = 16;

	*ports = NULL;
	for (;;) {
		int ret;

		*ports = xrealloc(*ports, room, sizeof(**ports));
		arg.nr = room;
		arg.ports = (uintptr_t)*ports;
		ret = call((void *)(intptr_t)fd, NVTGT_VFU_PORTS, &arg);
		if (ret < 0) {
			free(*ports);
			return ret;
		}
		if (arg.nr <= room)
			break;
		room = arg.nr + 16;
	}
	*nr = arg.nr;
	return 0;
}

/** vfud_kernel_attach() - a controller of a port: its file, or a negative errno */
int vfud_kernel_attach(int fd, unsigned int port, unsigned int nr_vectors)
{
	struct nvtgt_vfu_attach attach = { .port = port, .nr_vectors = nr_vectors };

	return call((void *)(intptr_t)fd, NVTGT_VFU_ATTACH, &attach);
}

/** vfud_kernel_adopt() - guest memory that a predecessor has mapped becomes this process's */
int vfud_kernel_adopt(int ctrl)
{
	return call((void *)(intptr_t)ctrl, NVTGT_VFU_ADOPT, NULL);
}
