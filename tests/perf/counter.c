// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's that counts the instructions a guest executes.
 *
 * -plugin FILE,counter=PATH: PATH, eight bytes or more, is where the number is
 * kept, for anybody to read while the guest runs. A block of instructions counts
 * when it begins. Only for a guest with one CPU: nothing here is atomic.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "qemu_plugin.h"

/* QEMU refuses what is older than it knows: 2 from QEMU 9 on, 0 before */
EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t *counter;

static void executed(unsigned int vcpu, void *insns)
{
	*counter += (uintptr_t)insns;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	/* 0: looks at no register */
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, (void *)qemu_plugin_tb_n_insns(tb));
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	void *map;
	int fd;

	if (argc != 1 || strncmp(argv[0], "counter=", 8))
		return -1;
	fd = open(argv[0] + 8, O_RDWR);
	if (fd < 0)
		return -1;
	map = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return -1;
	counter = map;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
