// SPDX-License-Identifier: GPL-2.0
/*
 * Ports: an address, and the subsystems that hosts may reach through it. The
 * first link opens the listener, the last unlink closes it.
 *
 * A port's memory belongs to its configfs item: queues and controllers that
 * came in through it hold references on that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/slab.h>
#include <net/net_namespace.h>
#include "object.h"

LIST_HEAD(nvtgt_ports);

/**
 * nvtgt_port_get - take a reference on a port's memory
 * @port: the port
 *
 * Context: any.
 */
void nvtgt_port_get(struct nvtgt_port *port)
{
	config_item_get(&to_nvtgt_cport(port)->group.cg_item);
}
EXPORT_SYMBOL_GPL(nvtgt_port_get);

/**
 * nvtgt_port_put - give a reference back
 * @port: the port, which may be gone afterwards
 *
 * Context: process.
 */
void nvtgt_port_put(struct nvtgt_port *port)
{
	config_item_put(&to_nvtgt_cport(port)->group.cg_item);
}
EXPORT_SYMBOL_GPL(nvtgt_port_put);

/**
 * nvtgt_port_create - make a port without an address
 * @id: its number
 * @net: the network namespace in which it will listen; a reference is taken
 *
 * The caller makes the configfs groups, whose release calls nvtgt_port_destroy().
 *
 * Context: may sleep.
 * Return: the port, or NULL without memory.
 */
struct nvtgt_cport *nvtgt_port_create(u16 id, struct net *net)
{
	struct nvtgt_cport *cport = kzalloc(sizeof(*cport), GFP_KERNEL);

	if (!cport)
		return NULL;
	if (!alloc_cpumask_var(&cport->port.cpus, GFP_KERNEL)) {
		kfree(cport);
		return NULL;
	}
	cpumask_copy(cport->port.cpus, cpu_possible_mask);
	INIT_LIST_HEAD(&cport->entry);
	INIT_LIST_HEAD(&cport->subsystems);
	INIT_LIST_HEAD(&cport->referrals);
	INIT_LIST_HEAD(&cport->ana_groups);
	cport->port.id = id;
	cport->port.net = get_net(net);
	cport->port.addr.trtype = NVTGT_TRTYPE_UNSET;
	cport->port.addr.adrfam = NVTGT_ADRFAM_UNSET;
	cport->port.addr.treq = NVMF_TREQ_NOT_SPECIFIED | NVMF_TREQ_DISABLE_SQFLOW;
	cport->conf_inline_data_size = -1;
	cport->conf_max_queue_size = -1;
	cport->conf_mdts = -1;
	cport->ana_state[NVTGT_DEFAULT_ANA_GRPID] = NVME_ANA_OPTIMIZED;
	cport->ana_state[NVTGT_LOST_ANAGRP] = NVME_ANA_PERSISTENT_LOSS;
	return cport;
}

/**
 * nvtgt_port_destroy - free a port
 * @cport: in no list, without references
 *
 * Context: process.
 */
void nvtgt_port_destroy(struct nvtgt_cport *cport)
{
	WARN_ON_ONCE(cport->enabled || !list_empty(&cport->subsystems));
	put_net(cport->port.net);
	free_cpumask_var(cport->port.cpus);
	kfree(cport);
}

/*
 * What is in force: -1 is left to the transport, and what exceeds this
 * target's bounds is brought inside, as nvmet's users expect.
 */
static void nvtgt_port_set_params(struct nvtgt_cport *cport)
{
	struct nvtgt_port *port = &cport->port;

	port->inline_data_size = cport->conf_inline_data_size;
	port->max_queue_size = cport->conf_max_queue_size;
	port->mdts = cport->conf_mdts;
	port->pi = cport->conf_pi;
	port->msdbd = 0;	/* another transport may have set it */
	if (port->max_queue_size >= 0)
		port->max_queue_size = clamp(port->max_queue_size, NVTGT_MIN_QUEUE_SIZE,
					     NVTGT_MAX_QUEUE_SIZE);
	if (!port->mdts || port->mdts > NVTGT_MAX_MDTS)	/* 0: no limit */
		port->mdts = NVTGT_MAX_MDTS;
}

/* Can the transport do what the port's parameters ask for? */
static int nvtgt_port_check_params(const struct nvtgt_cport *cport,
				   const struct nvtgt_transport_ops *ops)
{
	if (cport->port.pi && !ops->moves_pi) {
		pr_warn_ratelimited("port %u: enable: param_pi_enable: %s has no way to move protection information\n",
				    cport->port.id, ops->name);
		return -EOPNOTSUPP;
	}
	if (!ops->pcie && (cport->hostnqn[0] || !uuid_is_null(&cport->hostid))) {
		const char *attr = cport->hostnqn[0] ? "param_hostnqn" : "param_hostid";

		pr_warn_ratelimited("port %u: enable: %s: the hosts of %s say themselves who they are\n",
				    cport->port.id, attr, ops->name);
		return -EOPNOTSUPP;
	}
	return 0;
}

/**
 * nvtgt_port_enable - open the listener
 * @cport: the port, disabled
 *
 * Context: may sleep; nvtgt_config_sem is held for writing.
 * Return: 0 or a negative errno; the reason has been logged.
 */
int nvtgt_port_enable(struct nvtgt_cport *cport)
{
	const struct nvtgt_transport_ops *ops;
	struct nvtgt_port *port = &cport->port;
	int ret;

	lockdep_assert_held_write(&nvtgt_config_sem);

	if (port->addr.trtype == NVTGT_TRTYPE_UNSET) {
		pr_warn_ratelimited("port %u: enable: addr_trtype is not set\n", port->id);
		return -EINVAL;
	}
	ops = nvtgt_transport_find(port->addr.trtype);
	if (IS_ERR(ops)) {
		pr_warn_ratelimited("port %u: enable: there is no transport for addr_trtype %s\n",
				    port->id, nvtgt_trtype_name(port->addr.trtype));
		return PTR_ERR(ops);
	}

	port->ops = ops;
	nvtgt_port_set_params(cport);
	ret = nvtgt_port_check_params(cport, ops);
	if (!ret)
		ret = ops->add_port(port);
	if (ret) {
		pr_warn_ratelimited("port %u: enable: %s does not listen on %s, service %s: error %d\n",
				    port->id, ops->name, port->addr.traddr,
				    port->addr.trsvcid, ret);
		port->ops = NULL;
		module_put(ops->owner);
		return ret;
	}
	cport->enabled = true;
	return 0;
}

/**
 * nvtgt_port_disable - close the listener
 * @cport: the port, enabled
 *
 * Context: may sleep; nvtgt_config_sem is held for writing.
 */
void nvtgt_port_disable(struct nvtgt_cport *cport)
{
	const struct nvtgt_transport_ops *ops = cport->port.ops;

	lockdep_assert_held_write(&nvtgt_config_sem);

	ops->remove_port(&cport->port);
	nvtgt_conns_disconnect_port(ops->conns, &cport->port);
	cport->enabled = false;
	cport->port.ops = NULL;
	module_put(ops->owner);
}

/*
 * Have the transport's module loaded before the lock is taken: modprobe may
 * take its time, and Connect waits for that lock.
 */
static void nvtgt_port_load_transport(struct nvtgt_cport *cport)
{
	u8 trtype = READ_ONCE(cport->port.addr.trtype);
	const struct nvtgt_transport_ops *ops;

	if (trtype == NVTGT_TRTYPE_UNSET)
		return;
	ops = nvtgt_transport_find(trtype);
	if (!IS_ERR(ops))
		module_put(ops->owner);
}

static int nvtgt_port_link_locked(struct nvtgt_cport *cport,
				  struct nvtgt_subsys_link *new)
{
	struct nvtgt_subsys_link *link;
	int ret;

	list_for_each_entry(link, &cport->subsystems, entry) {
		if (link->subsys != new->subsys)
			continue;
		pr_warn_ratelimited("port %u: subsystem %s is linked already\n",
				    cport->port.id, new->subsys->nqn);
		return -EEXIST;
	}
	if (cport->enabled && cport->port.ops->pcie) {
		pr_warn_ratelimited("port %u: subsystem %s is not linked: %s has one controller, of the one subsystem that is\n",
				    cport->port.id, new->subsys->nqn, cport->port.ops->name);
		return -EBUSY;
	}
	if (!cport->enabled) {
		ret = nvtgt_port_enable(cport);
		if (ret)
			return ret;
	}
	list_add_tail(&new->entry, &cport->subsystems);
	new->subsys->nr_ports++;
	nvtgt_discovery_changed(&cport->port, new->subsys);
	return 0;
}

/**
 * nvtgt_port_link - export a subsystem through a port
 * @cport: the port; opened by its first subsystem
 * @subsys: the subsystem; the caller keeps it alive until nvtgt_port_unlink()
 *
 * Context: may sleep; takes nvtgt_config_sem.
 * Return: 0; -EEXIST; -EBUSY: of PCIe there is one subsystem; another negative errno. The reason has been logged.
 */
int nvtgt_port_link(struct nvtgt_cport *cport, struct nvtgt_subsys *subsys)
{
	struct nvtgt_subsys_link *link = kzalloc(sizeof(*link), GFP_KERNEL);
	int ret;

	if (!link)
		return -ENOMEM;
	link->subsys = subsys;
	nvtgt_port_load_transport(cport);

	down_write(&nvtgt_config_sem);
	ret = nvtgt_port_link_locked(cport, link);
	up_write(&nvtgt_config_sem);
	if (ret)
		kfree(link);
	return ret;
}

/**
 * nvtgt_port_unlink - stop exporting a subsystem through a port
 * @cport: the port; closed with its last subsystem
 * @subsys: the subsystem, whose controllers on this port are ended
 *
 * Context: may sleep; takes nvtgt_config_sem.
 */
void nvtgt_port_unlink(struct nvtgt_cport *cport, struct nvtgt_subsys *subsys)
{
	struct nvtgt_subsys_link *link, *next;

	down_write(&nvtgt_config_sem);
	list_for_each_entry_safe(link, next, &cport->subsystems, entry) {
		if (link->subsys != subsys)
			continue;
		list_del(&link->entry);
		kfree(link);
		subsys->nr_ports--;
		nvtgt_subsys_del_ctrls(subsys, &cport->port, NULL);
		nvtgt_discovery_changed(&cport->port, subsys);
	}
	if (cport->enabled && list_empty(&cport->subsystems))
		nvtgt_port_disable(cport);
	up_write(&nvtgt_config_sem);
}
