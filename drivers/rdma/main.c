// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt-rdma: NVMe/RDMA over kernel verbs.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "rdma.h"

struct nvtgt_conns nvtgt_rdma_conns = {
	NVTGT_CONNS_DEFAULTS,
	.name		= "nvtgt-rdma",
	.opening	= "answer to the connection's acceptance",
	.cmd_name	= "nvtgt_rdma_cmd",
	.cmd_size	= sizeof(struct nvtgt_rdma_cmd),
	.cmd_gfp	= GFP_ATOMIC,
};

NVTGT_CONNS_PARAMS(nvtgt_rdma_conns);

bool nvtgt_rdma_use_srq = true;
module_param_named(use_srq, nvtgt_rdma_use_srq, bool, 0444);
MODULE_PARM_DESC(use_srq, "queues share receive queues where the device can do that (default: yes)");

bool nvtgt_rdma_force_mr;
module_param_named(force_mr, nvtgt_rdma_force_mr, bool, 0444);
MODULE_PARM_DESC(force_mr, "fetch data by way of the RDMA core's read/write contexts on all devices, not on those alone that need memory registered (default: no)");

unsigned int nvtgt_rdma_srq_size = 1024;
module_param_named(srq_size, nvtgt_rdma_srq_size, uint, 0444);
MODULE_PARM_DESC(srq_size, "most entries of a shared receive queue, from 256 on");

struct kmem_cache *nvtgt_rdma_piece_cache;

static_assert(!offsetof(struct nvtgt_rdma_cmd, req));

/* What goes over the wire has the specification's sizes. */
static_assert(sizeof(struct nvme_command) == 64);
static_assert(sizeof(struct nvme_completion) == 16);
static_assert(sizeof(struct nvme_keyed_sgl_desc) == 16);
static_assert(sizeof(struct nvme_rdma_cm_req) == 32);
static_assert(sizeof(struct nvme_rdma_cm_rep) == 32);
static_assert(sizeof(struct nvme_rdma_cm_rej) == 4);

const struct nvtgt_transport_ops nvtgt_rdma_ops = {
	.version	= NVTGT_TRANSPORT_VERSION,
	.size		= sizeof(struct nvtgt_transport_ops),
	.name		= "rdma",
	.owner		= THIS_MODULE,
	.conns		= &nvtgt_rdma_conns,
	.needs_ka	= true,
	.trtype		= NVMF_TRTYPE_RDMA,
	.sgls		= NVME_CTRL_SGLS_KSDBDS,
	.moves_pi	= true,
	.add_port	= nvtgt_rdma_add_port,
	.remove_port	= nvtgt_rdma_remove_port,
	.close		= nvtgt_rdma_close,
	.timer		= nvtgt_rdma_timer,
	.connected	= nvtgt_rdma_connected,
	.end		= nvtgt_rdma_end,
	.free		= nvtgt_rdma_free,
	.mem_get	= nvtgt_rdma_mem_get,
	.mem_got	= nvtgt_rdma_mem_got,
	.mem_done	= nvtgt_rdma_mem_done,
	.fail		= nvtgt_rdma_fail,
	.drop		= nvtgt_rdma_drop,
	.respond	= nvtgt_rdma_respond,
	.flush		= nvtgt_rdma_flush,
	.show		= nvtgt_rdma_show,
	.disc_traddr	= nvtgt_rdma_disc_traddr,
};

static int __init nvtgt_rdma_init(void)
{
	int ret = -ENOMEM;

	nvtgt_rdma_piece_cache = KMEM_CACHE(nvtgt_rdma_piece, 0);
	if (!nvtgt_rdma_piece_cache)
		return -ENOMEM;
	ret = nvtgt_conns_init(&nvtgt_rdma_conns);
	if (ret)
		goto destroy_piece_cache;
	ret = nvtgt_rdma_register_client();
	if (ret)
		goto exit_conns;
	ret = nvtgt_rdma_register_addrs();
	if (ret)
		goto unregister_client;
	ret = nvtgt_transport_register(&nvtgt_rdma_ops);
	if (ret)
		goto unregister_addrs;
	return 0;

unregister_addrs:
	nvtgt_rdma_unregister_addrs();
unregister_client:
	nvtgt_rdma_unregister_client();
exit_conns:
	nvtgt_conns_exit(&nvtgt_rdma_conns);
destroy_piece_cache:
	kmem_cache_destroy(nvtgt_rdma_piece_cache);
	return ret;
}

static void __exit nvtgt_rdma_exit(void)
{
	nvtgt_transport_unregister(&nvtgt_rdma_ops);
	nvtgt_rdma_unregister_addrs();
	nvtgt_conns_wait(&nvtgt_rdma_conns);
	nvtgt_rdma_unregister_client();
	nvtgt_conns_exit(&nvtgt_rdma_conns);
	kmem_cache_destroy(nvtgt_rdma_piece_cache);
}

module_init(nvtgt_rdma_init);
module_exit(nvtgt_rdma_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: NVMe/RDMA");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("nvtgt-transport-1");
