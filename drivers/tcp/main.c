// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt-tcp: NVMe/TCP over kernel sockets.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "tcp.h"

static const struct kernel_param_ops nvtgt_tcp_timeout_ops = {
	.set = nvtgt_param_set_timeout,
	.get = param_get_uint,
};

unsigned int nvtgt_tcp_setup_timeout_ms = 10000;
module_param_cb(setup_timeout_ms, &nvtgt_tcp_timeout_ops, &nvtgt_tcp_setup_timeout_ms, 0644);
MODULE_PARM_DESC(setup_timeout_ms,
		 "time for a new connection to reach Connect, ms, 100 … 3600000");

unsigned int nvtgt_tcp_data_timeout_ms = 30000;
module_param_cb(data_timeout_ms, &nvtgt_tcp_timeout_ops, &nvtgt_tcp_data_timeout_ms, 0644);
MODULE_PARM_DESC(data_timeout_ms,
		 "time for a write's data, or for a peer that does not read, ms, 100 … 3600000");

static unsigned int nvtgt_tcp_max_connections = 65536;
module_param_named(max_connections, nvtgt_tcp_max_connections, uint, 0644);
MODULE_PARM_DESC(max_connections, "most connections, of all ports together");

static unsigned int nvtgt_tcp_max_half_open = 1024;
module_param_named(max_half_open, nvtgt_tcp_max_half_open, uint, 0644);
MODULE_PARM_DESC(max_half_open, "most connections that no Connect has come on");

static unsigned int nvtgt_tcp_max_peer_connections = 16384;
module_param_named(max_peer_connections, nvtgt_tcp_max_peer_connections, uint, 0644);
MODULE_PARM_DESC(max_peer_connections,
		 "most connections of one source address (0: max_connections)");

static unsigned int nvtgt_tcp_max_peer_half_open = 256;
module_param_named(max_peer_half_open, nvtgt_tcp_max_peer_half_open, uint, 0644);
MODULE_PARM_DESC(max_peer_half_open,
		 "most connections of one source address that no Connect has come on (0: max_half_open)");

int nvtgt_tcp_so_priority;
module_param_named(so_priority, nvtgt_tcp_so_priority, int, 0644);
MODULE_PARM_DESC(so_priority, "SO_PRIORITY of the sockets (0: the system's default)");

struct nvtgt_peers nvtgt_tcp_peers = {
	.name			= "nvtgt-tcp",
	.max_connections	= &nvtgt_tcp_max_connections,
	.max_half_open		= &nvtgt_tcp_max_half_open,
	.max_peer_connections	= &nvtgt_tcp_max_peer_connections,
	.max_peer_half_open	= &nvtgt_tcp_max_peer_half_open,
};

struct workqueue_struct *nvtgt_tcp_wq;
struct kmem_cache *nvtgt_tcp_cmd_cache;

/* The structures that go over the wire have the specification's sizes. */
static_assert(sizeof(struct nvme_tcp_icreq_pdu) == 128);
static_assert(sizeof(struct nvme_tcp_icresp_pdu) == 128);
static_assert(sizeof(struct nvme_tcp_term_pdu) == NVME_TCP_MIN_C2HTERM_PLEN);
static_assert(sizeof(struct nvme_tcp_cmd_pdu) == 72);
static_assert(sizeof(struct nvme_tcp_rsp_pdu) == 24);
static_assert(sizeof(struct nvme_tcp_r2t_pdu) == 24);
static_assert(sizeof(struct nvme_tcp_data_pdu) == 24);

const struct nvtgt_transport_ops nvtgt_tcp_ops = {
	.version	= NVTGT_TRANSPORT_VERSION,
	.size		= sizeof(struct nvtgt_transport_ops),
	.name		= "tcp",
	.owner		= THIS_MODULE,
	.needs_ka	= true,
	.trtype		= NVMF_TRTYPE_TCP,
	.sgls		= NVTGT_CTRL_SGLS_TRANSPORT,
	.add_port	= nvtgt_tcp_add_port,
	.remove_port	= nvtgt_tcp_remove_port,
	.disconnect	= nvtgt_tcp_disconnect,
	.respond	= nvtgt_tcp_respond,
	.flush		= nvtgt_tcp_flush,
	.stop		= nvtgt_tcp_stop,
	.abort		= nvtgt_tcp_abort,
	.hung_up	= nvtgt_tcp_hung_up,
	.host_traddr	= nvtgt_tcp_host_traddr,
	.disc_traddr	= nvtgt_tcp_disc_traddr,
};

static int __init nvtgt_tcp_init(void)
{
	int ret = -ENOMEM;

	nvtgt_tcp_cmd_cache = KMEM_CACHE(nvtgt_tcp_cmd, SLAB_HWCACHE_ALIGN);
	if (!nvtgt_tcp_cmd_cache)
		return -ENOMEM;
	nvtgt_tcp_wq = alloc_workqueue("nvtgt-tcp", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!nvtgt_tcp_wq)
		goto destroy_cache;
	nvtgt_peers_init(&nvtgt_tcp_peers);
	ret = nvtgt_transport_register(&nvtgt_tcp_ops);
	if (ret)
		goto exit_peers;
	return 0;

exit_peers:
	nvtgt_peers_exit(&nvtgt_tcp_peers);
	destroy_workqueue(nvtgt_tcp_wq);
destroy_cache:
	kmem_cache_destroy(nvtgt_tcp_cmd_cache);
	return ret;
}

static void __exit nvtgt_tcp_exit(void)
{
	nvtgt_transport_unregister(&nvtgt_tcp_ops);
	nvtgt_tcp_wait_no_queues();
	nvtgt_peers_exit(&nvtgt_tcp_peers);
	nvtgt_reactors_sync();	/* they may still be leaving the last queue's functions */
	destroy_workqueue(nvtgt_tcp_wq);
	kmem_cache_destroy(nvtgt_tcp_cmd_cache);
}

module_init(nvtgt_tcp_init);
module_exit(nvtgt_tcp_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: NVMe/TCP");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("nvtgt-transport-3");
