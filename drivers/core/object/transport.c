// SPDX-License-Identifier: GPL-2.0
/* Transports: their names, and which are registered. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/inet.h>
#include <linux/kmod.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/xarray.h>
#include <net/ipv6.h>
#include "object.h"

/* protects nvtgt_transports; nothing is taken inside */
static DEFINE_MUTEX(nvtgt_transport_mutex);
static DEFINE_XARRAY(nvtgt_transports);		/* trtype -> ops */

/* Transport types of the specification, and their words in addr_trtype and in the log. */
static const struct {
	u8 trtype;
	const char *name;
} nvtgt_trtypes[] = {
	{ NVMF_TRTYPE_RDMA, "rdma" },
	{ NVMF_TRTYPE_FC, "fc" },
	{ NVMF_TRTYPE_TCP, "tcp" },
	{ NVMF_TRTYPE_LOOP, "loop" },
	{ NVMF_TRTYPE_PCI, "pci" },
	{ NVTGT_TRTYPE_VFIO_USER, "vfio-user" },
};

/**
 * nvtgt_trtype_name - the word for a transport type
 * @trtype: NVMF_TRTYPE_*
 *
 * Return: as in addr_trtype; "" for a type that has none.
 */
const char *nvtgt_trtype_name(u8 trtype)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nvtgt_trtypes); i++)
		if (nvtgt_trtypes[i].trtype == trtype)
			return nvtgt_trtypes[i].name;
	return "";
}

/**
 * nvtgt_trtype_find - the transport type of a word
 * @name: as written to addr_trtype; a newline may follow the word
 *
 * Return: NVMF_TRTYPE_*, or -EINVAL
 */
int nvtgt_trtype_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(nvtgt_trtypes); i++)
		if (sysfs_streq(name, nvtgt_trtypes[i].name))
			return nvtgt_trtypes[i].trtype;
	return -EINVAL;
}

static const char *nvtgt_transport_missing(const struct nvtgt_transport_ops *ops)
{
	if (!ops->add_port)
		return "add_port";
	if (!ops->remove_port)
		return "remove_port";
	if (!ops->conns)
		return "conns";
	if (!ops->close)
		return "close";
	if (!ops->end)
		return "end";
	if (!ops->free)
		return "free";
	if (!ops->mem_get)
		return "mem_get";
	if (!ops->mem_got)
		return "mem_got";
	if (!ops->drop)
		return "drop";
	if (!ops->respond)
		return "respond";
	if (ops->pcie && !ops->ctrl_ended)
		return "ctrl_ended";
	return NULL;
}

static int nvtgt_transport_check(const struct nvtgt_transport_ops *ops)
{
	const char *missing;

	if (ops->version != NVTGT_TRANSPORT_VERSION || ops->size != sizeof(*ops)) {
		pr_err("transport: version %u, size %zu; this core has version %u, size %zu\n",
		       ops->version, ops->size, NVTGT_TRANSPORT_VERSION, sizeof(*ops));
		return -EINVAL;
	}
	if (!ops->name) {
		pr_err("transport of type %u: name is missing\n", ops->trtype);
		return -EINVAL;
	}
	missing = nvtgt_transport_missing(ops);
	if (missing) {
		pr_err("transport %s: %s is missing\n", ops->name, missing);
		return -EINVAL;
	}
	return 0;
}

/**
 * nvtgt_transport_register - a transport's module has been loaded
 * @ops: lives until nvtgt_transport_unregister()
 *
 * Context: may sleep.
 * Return: 0; -EINVAL when the table breaks the contract (the log names the
 * member); -EBUSY when the type has a transport already; -ENOMEM.
 */
int nvtgt_transport_register(const struct nvtgt_transport_ops *ops)
{
	int ret = nvtgt_transport_check(ops);

	if (ret)
		return ret;
	mutex_lock(&nvtgt_transport_mutex);
	ret = xa_insert(&nvtgt_transports, ops->trtype, (void *)ops, GFP_KERNEL);
	mutex_unlock(&nvtgt_transport_mutex);
	if (ret)
		pr_err("transport %s: type %u not registered: error %d\n",
		       ops->name, ops->trtype, ret);
	return ret;
}
EXPORT_SYMBOL_GPL(nvtgt_transport_register);

/**
 * nvtgt_transport_unregister - a transport's module is about to go
 * @ops: as registered; no port uses it, which its module's references say
 *
 * Context: may sleep.
 */
void nvtgt_transport_unregister(const struct nvtgt_transport_ops *ops)
{
	mutex_lock(&nvtgt_transport_mutex);
	xa_erase(&nvtgt_transports, ops->trtype);
	mutex_unlock(&nvtgt_transport_mutex);
}
EXPORT_SYMBOL_GPL(nvtgt_transport_unregister);

static const struct nvtgt_transport_ops *nvtgt_transport_get(u8 trtype)
{
	const struct nvtgt_transport_ops *ops;

	mutex_lock(&nvtgt_transport_mutex);
	ops = xa_load(&nvtgt_transports, trtype);
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	mutex_unlock(&nvtgt_transport_mutex);
	return ops;
}

/**
 * nvtgt_transport_find - find a transport, loading its module when needed
 * @trtype: NVMF_TRTYPE_*
 *
 * Context: may sleep, and waits for modprobe.
 * Return: the transport with a reference on its module, or ERR_PTR(-ENODEV).
 */
const struct nvtgt_transport_ops *nvtgt_transport_find(u8 trtype)
{
	const struct nvtgt_transport_ops *ops = nvtgt_transport_get(trtype);

	if (!ops) {
		request_module("nvtgt-transport-%u", trtype);
		ops = nvtgt_transport_get(trtype);
	}
	return ops ?: ERR_PTR(-ENODEV);
}

/**
 * nvtgt_port_sockaddr - a port's address, for transports over IP
 * @port: the port
 * @ss: where to
 *
 * Context: process.
 * Return: 0, or a negative errno, logged
 */
int nvtgt_port_sockaddr(const struct nvtgt_port *port, struct sockaddr_storage *ss)
{
	__kernel_sa_family_t family;
	int ret;

	switch (port->addr.adrfam) {
	case NVMF_ADDR_FAMILY_IP4:
		family = AF_INET;
		break;
	case NVMF_ADDR_FAMILY_IP6:
		family = AF_INET6;
		break;
	default:
		pr_err("port %u: addr_adrfam must be ipv4 or ipv6 for %s\n", port->id,
		       port->ops->name);
		return -EINVAL;
	}
	ret = inet_pton_with_scope(port->net, family, port->addr.traddr, port->addr.trsvcid, ss);
	if (ret)
		pr_err("port %u: addr_traddr \"%s\" addr_trsvcid \"%s\" is not an address of this family\n",
		       port->id, port->addr.traddr, port->addr.trsvcid);
	return ret;
}
EXPORT_SYMBOL_GPL(nvtgt_port_sockaddr);

/**
 * nvtgt_sockaddr_is_any - does a port with this address listen on all of them?
 * @ss: AF_INET or AF_INET6
 *
 * Return: whether it is 0.0.0.0 or ::
 */
bool nvtgt_sockaddr_is_any(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET)
		return ((const struct sockaddr_in *)ss)->sin_addr.s_addr == htonl(INADDR_ANY);
	return ipv6_addr_any(&((const struct sockaddr_in6 *)ss)->sin6_addr);
}
EXPORT_SYMBOL_GPL(nvtgt_sockaddr_is_any);

/* A time-out is a tenth of a second to an hour. */
static int nvtgt_timeout_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 100, 3600 * MSEC_PER_SEC);
}

/*
 * nvtgt_timeout_ops - module parameters that are a time-out, ms, unsigned int
 */
const struct kernel_param_ops nvtgt_timeout_ops = {
	.set = nvtgt_timeout_set,
	.get = param_get_uint,
};
EXPORT_SYMBOL_GPL(nvtgt_timeout_ops);
