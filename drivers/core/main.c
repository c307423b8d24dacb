// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt: the core of the NVMe over Fabrics target.
 */
#include <linux/module.h>
#include "config/configfs.h"
#include "engine/engine.h"
#include "object/object.h"

/* The structures that go over the wire have the specification's sizes. */
static_assert(sizeof(struct nvme_command) == 64);
static_assert(sizeof(struct nvme_completion) == 16);
static_assert(sizeof(struct nvme_id_ctrl) == 4096);
static_assert(sizeof(struct nvme_id_ns) == 4096);

static int __init nvtgt_init(void)
{
	int ret;

	ret = nvtgt_wq_init();
	if (ret)
		return ret;
	ret = nvtgt_reactors_init(&nvtgt_pass_hooks);
	if (ret)
		goto exit_wq;
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
exit_wq:
	nvtgt_wq_exit();
	return ret;
}

/*
 * Each enabled port holds its transport's module, each open namespace its backend's, and
 * these modules hold the core: no queue and no request is left here.
 */
static void __exit nvtgt_exit(void)
{
	nvtgt_configfs_exit();
	nvtgt_discovery_exit();
	nvtgt_debugfs_exit();
	/* the worker that completed a last command may still be about to wake its reactor */
	flush_workqueue(nvtgt_io_wq);
	flush_workqueue(nvtgt_wq);
	nvtgt_reactors_exit();
	nvtgt_wq_exit();
	rcu_barrier();
}

module_init(nvtgt_init);
module_exit(nvtgt_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: core");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
