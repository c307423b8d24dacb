// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt: the core of the NVMe over Fabrics target.
 */
#include <linux/module.h>
#include "core.h"

unsigned int nvtgt_max_ctrls = 4096;
module_param_named(max_ctrls, nvtgt_max_ctrls, uint, 0644);
MODULE_PARM_DESC(max_ctrls, "most controllers (connected hosts) of one subsystem");

DECLARE_RWSEM(nvtgt_config_sem);
u64 nvtgt_genctr;

struct workqueue_struct *nvtgt_wq;
struct workqueue_struct *nvtgt_remove_wq;

/*
 * nvtgt_io_wq - where a backend does what would block a reactor; unbound
 */
struct workqueue_struct *nvtgt_io_wq;
EXPORT_SYMBOL_GPL(nvtgt_io_wq);

/* The structures that go over the wire have the specification's sizes. */
static_assert(sizeof(struct nvme_command) == 64);
static_assert(sizeof(struct nvme_completion) == 16);
static_assert(sizeof(struct nvme_id_ctrl) == 4096);
static_assert(sizeof(struct nvme_id_ns) == 4096);

static int __init nvtgt_init_workqueues(void)
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

static void nvtgt_exit_workqueues(void)
{
	destroy_workqueue(nvtgt_remove_wq);
	destroy_workqueue(nvtgt_io_wq);
	destroy_workqueue(nvtgt_wq);
}

static int __init nvtgt_init(void)
{
	int ret;

	ret = nvtgt_init_workqueues();
	if (ret)
		return ret;
	ret = nvtgt_reactors_init();
	if (ret)
		goto exit_workqueues;
	nvtgt_debugfs_init();
	ret = nvtgt_discovery_init();
	if (ret)
		goto exit_reactors;
	ret = nvtgt_configfs_init();
	if (ret)
		goto exit_discovery;
	return 0;

exit_discovery:
	nvtgt_discovery_exit();
exit_reactors:
	nvtgt_debugfs_exit();
	nvtgt_reactors_exit();
exit_workqueues:
	nvtgt_exit_workqueues();
	return ret;
}

/*
 * Transports and backends hold this module, each enabled port and namespace
 * holds them: no queue and no request is left here.
 */
static void __exit nvtgt_exit(void)
{
	nvtgt_configfs_exit();
	nvtgt_discovery_exit();
	nvtgt_debugfs_exit();
	/* whoever completed the last commands may still be about to wake their reactor */
	flush_workqueue(nvtgt_io_wq);
	flush_workqueue(nvtgt_wq);
	nvtgt_reactors_exit();
	nvtgt_exit_workqueues();
	rcu_barrier();
}

module_init(nvtgt_init);
module_exit(nvtgt_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: core");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
