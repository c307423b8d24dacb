/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A controller of /dev/nvtgt-vfu as nvtgt-vfud sees one, for tests: it refuses what the kernel
 * refuses, takes down what it was asked, and fails when it is told to. What nvtgt-vfud must never
 * ask is a mistake of the test's run: see fake_wrong().
 */
#ifndef NVTGT_VFUD_FAKE_H
#define NVTGT_VFUD_FAKE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/nvtgt-vfud/vfud.h"

enum fake_op { FAKE_MAP, FAKE_UNMAP, FAKE_READ, FAKE_WRITE, FAKE_SET_IRQ, FAKE_RESET, FAKE_OPS };

#define FAKE_REGIONS	64

struct fake {
	unsigned int nr_vectors;
	unsigned int calls[FAKE_OPS];
	int fail[FAKE_OPS];		/* an errno, or 0 */
	bool no_memory;			/* files are not memory: ENODEV */
	unsigned int nr_regions;
	struct nvtgt_vfu_map region[FAKE_REGIONS];
	bool irq[VFUD_MAX_VECTORS];
	uint8_t bar0[VFUD_BAR0_SIZE];
	void (*step)(enum fake_op op);	/* before each call */
};

static struct fake fake;

static inline void fake_wrong(const char *what)
{
	fprintf(stderr, "the kernel was asked what it must not be: %s\n", what);
	abort();
}

static inline void fake_init(unsigned int nr_vectors)
{
	memset(&fake, 0, sizeof(fake));
	fake.nr_vectors = nr_vectors;
}

static inline int fake_called(enum fake_op op)
{
	if (fake.step)
		fake.step(op);
	fake.calls[op]++;
	return -fake.fail[op];
}

static inline int fake_map(void *ctrl, const struct nvtgt_vfu_map *map)
{
	int ret = fake_called(FAKE_MAP);
	unsigned int i;

	(void)ctrl;
	if (map->fd >= 0 && fcntl(map->fd, F_GETFD) < 0)
		fake_wrong("a region of a file that is closed");
	if (map->flags & ~(NVTGT_VFU_MAP_READ | NVTGT_VFU_MAP_WRITE))
		fake_wrong("flags of a region");
	if (ret)
		return ret;
	if (!map->size || (map->gpa | map->size | map->offset) % 4096 || map->gpa + map->size < map->gpa)
		return -EINVAL;
	if (map->fd >= 0 && fake.no_memory)
		return -ENODEV;
	for (i = 0; i < fake.nr_regions; i++)
		if (map->gpa < fake.region[i].gpa + fake.region[i].size &&
		    fake.region[i].gpa < map->gpa + map->size)
			return -EEXIST;
	if (fake.nr_regions == FAKE_REGIONS)
		return -EFBIG;
	fake.region[fake.nr_regions++] = *map;
	return 0;
}

static inline int fake_unmap(void *ctrl, const struct nvtgt_vfu_unmap *unmap)
{
	uint64_t end = unmap->gpa + unmap->size;
	int ret = fake_called(FAKE_UNMAP);
	unsigned int i, n = 0;

	(void)ctrl;
	if (unmap->reserved || unmap->flags & ~NVTGT_VFU_UNMAP_ALL ||
	    (unmap->flags && (unmap->gpa || unmap->size)))
		fake_wrong("unmap");
	if (ret)
		return ret;
	if (unmap->flags) {
		fake.nr_regions = 0;
		return 0;
	}
	if (!unmap->size || end < unmap->gpa)
		return -EINVAL;
	for (i = 0; i < fake.nr_regions; i++) {
		uint64_t from = fake.region[i].gpa, to = from + fake.region[i].size;

		if (from < end && unmap->gpa < to) {
			if (from < unmap->gpa || to > end)
				return -ENOENT;
			n++;
		}
	}
	if (!n)
		return -ENOENT;
	for (i = 0, n = 0; i < fake.nr_regions; i++)
		if (fake.region[i].gpa >= end || fake.region[i].gpa < unmap->gpa)
			fake.region[n++] = fake.region[i];
	fake.nr_regions = n;
	return 0;
}

static inline void fake_check_reg(const struct nvtgt_vfu_reg *reg)
{
	if ((reg->size != 4 && reg->size != 8) || reg->offset % reg->size ||
	    reg->offset > VFUD_BAR0_SIZE - reg->size)
		fake_wrong("a register that cannot be");
}

static inline int fake_read(void *ctrl, struct nvtgt_vfu_reg *reg)
{
	int ret = fake_called(FAKE_READ);

	(void)ctrl;
	fake_check_reg(reg);
	if (ret)
		return ret;
	reg->value = 0;
	memcpy(&reg->value, fake.bar0 + reg->offset, reg->size);
	return 0;
}

static inline int fake_write(void *ctrl, const struct nvtgt_vfu_reg *reg)
{
	int ret = fake_called(FAKE_WRITE);

	(void)ctrl;
	fake_check_reg(reg);
	if (!ret)
		memcpy(fake.bar0 + reg->offset, &reg->value, reg->size);
	return ret;
}

static inline int fake_set_irq(void *ctrl, const struct nvtgt_vfu_irq *irq)
{
	int ret = fake_called(FAKE_SET_IRQ);

	(void)ctrl;
	if (irq->vector >= fake.nr_vectors)
		fake_wrong("a vector that there is not");
	if (irq->fd >= 0 && fcntl(irq->fd, F_GETFD) < 0)
		fake_wrong("an eventfd that is closed");
	if (!ret)
		fake.irq[irq->vector] = irq->fd >= 0;
	return ret;
}

static inline int fake_reset(void *ctrl)
{
	int ret = fake_called(FAKE_RESET);

	(void)ctrl;
	memset(fake.bar0, 0, sizeof(fake.bar0));
	memset(fake.irq, 0, sizeof(fake.irq));
	return ret;
}

#define FAKE_KERNEL {								\
	.map = fake_map, .unmap = fake_unmap, .read = fake_read,		\
	.write = fake_write, .set_irq = fake_set_irq, .reset = fake_reset,	\
}

#endif
