// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt-tcp: NVMe/TCP over kernel sockets.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "tcp.h"

struct nvtgt_conns nvtgt_tcp_conns = {
	NVTGT_CONNS_DEFAULTS,
	.name		= "nvtgt-tcp",
	.opening	= "ICReq",
	.cmd_name	= "nvtgt_tcp_cmd",
	.cmd_size	= sizeof(struct nvtgt_tcp_cmd),
	.cmd_gfp	= GFP_NOWAIT,
};

NVTGT_CONNS_PARAMS(nvtgt_tcp_conns);

int nvtgt_tcp_so_priority;
module_param_named(so_priority, nvtgt_tcp_so_priority, int, 0644);
MODULE_PARM_DESC(so_priority, "SO_PRIORITY of the sockets (0: the system's default)");

static_assert(!offsetof(struct nvtgt_tcp_cmd, req));

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
	.conns		= &nvtgt_tcp_conns,
	.needs_ka	= true,
	.trtype		= NVMF_TRTYPE_TCP,
	.sgls		= NVTGT_CTRL_SGLS_TRANSPORT,
	.add_port	= nvtgt_tcp_add_port,
	.remove_port	= nvtgt_tcp_remove_port,
	.close		= nvtgt_tcp_close,
	.hang_up	= nvtgt_tcp_hang_up,
	.timer		= nvtgt_tcp_timer,
	.connected	= nvtgt_tcp_connected,
	.detach		= nvtgt_tcp_detach,
	.end		= nvtgt_tcp_end,
	.give_back	= nvtgt_tcp_give_back,
	.free		= nvtgt_tcp_free,
	.init_req	= nvtgt_tcp_init_req,
	.mem_get	= nvtgt_tcp_mem_get,
	.mem_got	= nvtgt_tcp_mem_got,
	.mem_done	= nvtgt_tcp_mem_done,
	.fail		= nvtgt_tcp_fail,
	.drop		= nvtgt_tcp_drop,
	.respond	= nvtgt_tcp_respond,
	.flush		= nvtgt_tcp_flush,
	.hung_up	= nvtgt_tcp_hung_up,
	.disc_traddr	= nvtgt_tcp_disc_traddr,
};

static int __init nvtgt_tcp_init(void)
{
	int ret;

	ret = nvtgt_conns_init(&nvtgt_tcp_conns);
	if (ret)
		return ret;
	ret = nvtgt_transport_register(&nvtgt_tcp_ops);
	if (ret)
		nvtgt_conns_exit(&nvtgt_tcp_conns);
	return ret;
}

static void __exit nvtgt_tcp_exit(void)
{
	nvtgt_transport_unregister(&nvtgt_tcp_ops);
	nvtgt_conns_exit(&nvtgt_tcp_conns);
}

module_init(nvtgt_tcp_init);
module_exit(nvtgt_tcp_exit);

MODULE_DESCRIPTION("NVMe over Fabrics target: NVMe/TCP");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("nvtgt-transport-3");
