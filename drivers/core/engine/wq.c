// SPDX-License-Identifier: GPL-2.0
/*
 * The work queues of the core.
 */
#include <linux/export.h>
#include <linux/workqueue.h>
#include <nvtgt/backend.h>
#include "engine.h"

/* Workers of all backends together. */
#define NVTGT_WORKERS		512

/*
 * nvtgt_wq - what may sleep and is done for the sake of a command or a queue: Connect,
 * admin commands, the end of a controller; unbound
 */
struct workqueue_struct *nvtgt_wq;

/*
 * nvtgt_io_wq - where a backend does what would block a reactor; unbound
 */
struct workqueue_struct *nvtgt_io_wq;
EXPORT_SYMBOL_GPL(nvtgt_io_wq);

/*
 * nvtgt_remove_wq - where a namespace is disabled after its directory has been removed:
 * its device may never answer, and no other work is to wait behind that
 */
struct workqueue_struct *nvtgt_remove_wq;

/**
 * nvtgt_wq_init - make the work queues
 *
 * Context: module load.
 * Return: 0 or -ENOMEM
 */
int nvtgt_wq_init(void)
{
	nvtgt_wq = alloc_workqueue("nvtgt", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!nvtgt_wq)
		return -ENOMEM;
	nvtgt_io_wq = alloc_workqueue("nvtgt-io", WQ_UNBOUND | WQ_MEM_RECLAIM, NVTGT_WORKERS);
	if (!nvtgt_io_wq)
		goto destroy_wq;
	nvtgt_remove_wq = alloc_workqueue("nvtgt-remove", WQ_UNBOUND, 0);
	if (!nvtgt_remove_wq)
		goto destroy_io_wq;
	return 0;

destroy_io_wq:
	destroy_workqueue(nvtgt_io_wq);
destroy_wq:
	destroy_workqueue(nvtgt_wq);
	return -ENOMEM;
}

/**
 * nvtgt_wq_exit - take the work queues away
 *
 * Context: module unload; no reactor is left.
 */
void nvtgt_wq_exit(void)
{
	destroy_workqueue(nvtgt_remove_wq);
	destroy_workqueue(nvtgt_io_wq);
	destroy_workqueue(nvtgt_wq);
}
