// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt-rdma: NVMe/RDMA over kernel verbs.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "rdma.h"

static const struct kernel_param_ops nvtgt_rdma_timeout_ops = {
	.set = nvtgt_param_set_timeout,
	.get = param_get_uint,
};

unsigned int nvtgt_rdma_setup_timeout_ms = 10000;
module_param_cb(setup_timeout_ms, &nvtgt_rdma_timeout_ops, &nvtgt_rdma_setup_timeout_ms, 0644);
MODULE_PARM_DESC(setup_timeout_ms,
		 "time for a new connection to reach Connect, ms, 100 … 3600000");

unsigned int nvtgt_rdma_data_timeout_ms = 30000;
module_param_cb(data_timeout_ms, &nvtgt_rdma_timeout_ops, &nvtgt_rdma_data_timeout_ms, 0644);
MODULE_PARM_DESC(data_timeout_ms,
		 "time for a peer to send a write's data, or to take a response, ms, 100 … 3600000");

static unsigned int nvtgt_rdma_max_connections = 65536;
module_param_named(max_connections, nvtgt_rdma_max_connections, uint, 0644);
MODULE_PARM_DESC(max_connections, "most connections, of all ports together");

static unsigned int nvtgt_rdma_max_half_open = 1024;
module_param_named(max_half_open, nvtgt_rdma_max_half_open, uint, 0644);
MODULE_PARM_DESC(max_half_open, "most connections that no Connect has come on");

static unsigned int nvtgt_rdma_max_peer_connections = 16384;
module_param_named(max_peer_connections, nvtgt_rdma_max_peer_connections, uint, 0644);
MODULE_PARM_DESC(max_peer_connections,
		 "most connections of one source address (0: max_connections)");

static unsigned int nvtgt_rdma_max_peer_half_open = 256;
module_param_named(max_peer_half_open, nvtgt_rdma_max_peer_half_open, uint, 0644);
MODULE_PARM_DESC(max_peer_half_open,
		 "most connections of one source address that no Connect has come on (0: max_half_open)");

bool nvtgt_rdma_use_srq = true;
module_param_named(use_srq, nvtgt_rdma_use_srq, bool, 0444);
MODULE_PARM_DESC(use_srq, "queues share receive queues where the device can do that (default: yes)");

bool nvtgt_rdma_force_mr;
module_param_named(force_mr, nvtgt_rdma_force_mr, bool, 0444);
MODULE_PARM_DESC(force_mr, "fetch data by way of the RDMA core's read/write contexts on all devices, not on those alone that need memory registered (default: no)");

unsigned int nvtgt_rdma_srq_size = 1024;
module_param_named(srq_size, nvtgt_rdma_srq_size, uint, 0444);
MODULE_PARM_DESC(srq_size, "most entries of a shared receive queue, from 256 on");

struct nvtgt_peers nvtgt_rdma_peers = {
	.name			= "nvtgt-rdma",
	.max_connections	= &nvtgt_rdma_max_connections,
	.max_half_open		= &nvtgt_rdma_max_half_open,
	.max_peer_connections	= &nvtgt_rdma_max_peer_connections,
	.max_peer_half_open	= &nvtgt_rdma_max_peer_half_open,
};

struct workqueue_struct *nvtgt_rdma_wq;
struct kmem_cache *nvtgt_rdma_cmd_cache;
struct kmem_cache *nvtgt_rdma_piece_cache;

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
	.needs_ka	= true,
	.trtype		= NVMF_TRTYPE_RDMA,
	.sgls		= NVME_CTRL_SGLS_KSDBDS,
	.moves_pi	= true,
	.add_port	= nvtgt_rdma_add_port,
	.remove_port	= nvtgt_rdma_remove_port,
	.disconnect	= nvtgt_rdma_disconnect,
	.respond	= nvtgt_rdma_respond,
	.flush		= nvtgt_rdma_flush,
	.stop		= nvtgt_rdma_stop,
	.abort		= nvtgt_rdma_abort,
	.hung_up	= nvtgt_rdma_hung_up,
	.host_traddr	= nvtgt_rdma_host_traddr,
	.disc_traddr	= nvtgt_rdma_disc_traddr,
};

static int __init nvtgt_rdma_init(void)
{
	int ret = -ENOMEM;

	nvtgt_rdma_cmd_cache = KMEM_CACHE(nvtgt_rdma_cmd, SLAB_HWCACHE_ALIGN);
	if (!nvtgt_rdma_cmd_cache)
		return -ENOMEM;
	nvtgt_rdma_piece_cache = KMEM_CACHE(nvtgt_rdma_piece, 0);
	if (!nvtgt_rdma_piece_cache)
		goto destroy_cmd_cache;
	nvtgt_rdma_wq = alloc_workqueue("nvtgt-rdma", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!nvtgt_rdma_wq)
		goto destroy_piece_cache;
	nvtgt_peers_init(&nvtgt_rdma_peers);
	ret = nvtgt_rdma_register_client();
	if (ret)
		goto exit_peers;
	ret = nvtgt_rdma_register_addrs();
	if (ret)
		goto unregister_client;
	ret = nvtgt_transport_register(&nvtgt_rdma_ops);
	if (ret)
		goto unregister_addrs;
	nvtgt_rdma_debugfs_init();
	return 0;

unregister_addrs:
	nvtgt_rdma_unregister_addrs();
unregister_client:
	nvtgt_rdma_unregister_client();
exit_peers:
	nvtgt_peers_exit(&nvtgt_rdma_peers);
	destroy_workqueue(nvtgt_rdma_wq);
destroy_piece_cache:
	kmem_cache_destroy(nvtgt_rdma_piece_cache);
destroy_cmd_cache:
	kmem_cache_destroy(nvtgt_rdma_cmd_cache);
	return ret;
}

static void __exit nvtgt_rdma_exit(void)
{
	nvtgt_rdma_debugfs_exit();
	nvtgt_transport_unregister(&nvtgt_rdma_ops);
	nvtgt_rdma_unregister_addrs();
	nvtgt_rdma_wait_no_queues(NULL);
	nvtgt_peers_exit(&nvtgt_rdma_peers);
	nvtgt_rdma_unregister_client();
	nvtgt_reactors_sync();	/* they may still be leaving the last queue's functions */
	destroy_workqueue(nvtgt_rdma_wq);
	kmem_cache_destroy(nvtgt_rdma_piece_cache);
	kmem_cache_destroy(nvtgt_rdma_cmd_cache);
}

module_init(nvtgt_rdma_init);
module_exit(nvtgt_rdma_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: NVMe/RDMA");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("nvtgt-transport-1");
