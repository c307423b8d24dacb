// SPDX-License-Identifier: GPL-2.0
/*
 * Ports: listeners and what comes in through them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <net/addrconf.h>
#include <rdma/ib_cm.h>
#include "rdma.h"

#define NVTGT_RDMA_BACKLOG	1024
#define NVTGT_RDMA_REPAIR	HZ	/* between two tries to listen again */
#define NVTGT_RDMA_SETTLE	(HZ / 5)	/* after an address has come or gone */

static DEFINE_SPINLOCK(nvtgt_rdma_ports_lock);	/* bh; protects the list */
static LIST_HEAD(nvtgt_rdma_ports);

/**
 * nvtgt_rdma_reject - refuse a connection and tell why
 * @cm_id: the connection; stays the caller's
 * @status: why
 */
void nvtgt_rdma_reject(struct rdma_cm_id *cm_id, enum nvme_rdma_cm_status status)
{
	struct nvme_rdma_cm_rej rej = {
		.recfmt = cpu_to_le16(NVME_RDMA_CM_FMT_1_0),
		.sts = cpu_to_le16(status),
	};

	rdma_reject(cm_id, &rej, sizeof(rej), IB_CM_REJ_CONSUMER_DEFINED);
}

/* The CM's thread: judge the request, leave the work to a work item. */
static int nvtgt_rdma_connect_request(struct nvtgt_rdma_port *rport, struct rdma_cm_id *cm_id,
				      const struct rdma_conn_param *conn)
{
	/* reclaim may wait for the writes of a host that connects again */
	unsigned int noio = memalloc_noio_save();
	int status = nvtgt_rdma_queue_create(rport->port, cm_id, conn);

	memalloc_noio_restore(noio);
	if (!status)
		return 0;
	pr_warn_ratelimited("port %u: connection from %pISpc refused: %s\n", rport->port->id,
			    &cm_id->route.addr.dst_addr, nvme_rdma_cm_msg(status));
	nvtgt_rdma_reject(cm_id, status);
	return -ECONNREFUSED;		/* the CM destroys the id */
}

/* Events of a listener. */
static int nvtgt_rdma_listen_event(struct rdma_cm_id *cm_id, struct rdma_cm_event *event)
{
	struct nvtgt_rdma_port *rport = cm_id->context;

	switch (event->event) {
	case RDMA_CM_EVENT_CONNECT_REQUEST:
		return nvtgt_rdma_connect_request(rport, cm_id, &event->param.conn);
	case RDMA_CM_EVENT_ADDR_CHANGE:
	case RDMA_CM_EVENT_DEVICE_REMOVAL:
		/* the CM may be waiting until repair_work has destroyed the id */
		mod_delayed_work(nvtgt_rdma_conns.wq, &rport->repair_work, 0);
		return 0;
	default:
		return 0;
	}
}

/* Defaults for what was not set, and bounds for what was. */
static void nvtgt_rdma_set_params(struct nvtgt_port *port)
{
	if (port->inline_data_size < 0)
		port->inline_data_size = NVTGT_RDMA_INLINE_SIZE;
	port->inline_data_size = min_t(int, port->inline_data_size,
				       NVTGT_RDMA_INLINE_PAGES * PAGE_SIZE);
	if (port->max_queue_size < 0)
		port->max_queue_size = NVTGT_RDMA_QUEUE_SIZE;
	if (port->mdts <= 0)
		port->mdts = NVTGT_DEFAULT_MDTS;
	if (port->pi) {
		/*
		 * A command takes up to seven work requests, and a device has not as many of
		 * them as it says.
		 */
		port->max_queue_size = min(port->max_queue_size, NVTGT_RDMA_PI_QUEUE_SIZE);
		port->mdts = min(port->mdts, NVTGT_RDMA_PI_MDTS);
	}
	nvtgt_rdma_limit_port(port);
	/* IOCCSZ counts units of 16 bytes */
	port->inline_data_size = round_down(port->inline_data_size, 16);
	/* several SGL descriptors stand in the capsule where data would */
	port->msdbd = clamp_t(u32, port->inline_data_size / sizeof(struct nvme_keyed_sgl_desc),
			      1, NVTGT_RDMA_MAX_KEYS);
}

/* Opens the listener. */
static int nvtgt_rdma_listen(struct nvtgt_rdma_port *rport)
{
	struct rdma_cm_id *cm_id;
	int ret;

	cm_id = rdma_create_id(rport->port->net, nvtgt_rdma_listen_event, rport, RDMA_PS_TCP,
			       IB_QPT_RC);
	if (IS_ERR(cm_id))
		return PTR_ERR(cm_id);
	/* a port for IPv6 leaves IPv4 to another one */
	ret = rdma_set_afonly(cm_id, 1);
	if (!ret)
		ret = rdma_bind_addr(cm_id, (struct sockaddr *)&rport->addr);
	if (!ret)
		ret = rdma_listen(cm_id, NVTGT_RDMA_BACKLOG);
	if (ret) {
		rdma_destroy_id(cm_id);
		return ret;
	}
	rport->cm_id = cm_id;
	return 0;
}

/* The address has moved, or its device has gone: listen anew, as often as it takes. */
static void nvtgt_rdma_repair_work(struct work_struct *work)
{
	struct nvtgt_rdma_port *rport = container_of(to_delayed_work(work),
						     struct nvtgt_rdma_port, repair_work);
	unsigned int noio = memalloc_noio_save();	/* reclaim may wait for a host */
	int ret = 0;

	mutex_lock(&rport->lock);
	if (rport->closing)
		goto out;
	if (rport->cm_id)
		rdma_destroy_id(rport->cm_id);
	rport->cm_id = NULL;
	ret = nvtgt_rdma_listen(rport);
	if (!ret)
		pr_info("port %u: listening on %pISpc again\n", rport->port->id, &rport->addr);
	else if (!rport->lost)
		pr_warn("port %u: no RDMA device has %pISpc any more: waiting for one\n",
			rport->port->id, &rport->addr);
	rport->lost = ret;
	if (ret)
		queue_delayed_work(nvtgt_rdma_conns.wq, &rport->repair_work, NVTGT_RDMA_REPAIR);
out:
	mutex_unlock(&rport->lock);
	memalloc_noio_restore(noio);
}

/*
 * An address has come to a network device, or gone from it: the ports that have it
 * listen anew, for the CM does not tell when an address moves to another device. They do
 * so a moment later, when the RDMA core has taken note as well.
 */
static void nvtgt_rdma_addr_moved(const struct net *net, int family, const void *addr)
{
	struct nvtgt_rdma_port *rport;

	spin_lock_bh(&nvtgt_rdma_ports_lock);
	list_for_each_entry(rport, &nvtgt_rdma_ports, entry) {
		const struct sockaddr_in6 *in6 = (void *)&rport->addr;
		const struct sockaddr_in *in = (void *)&rport->addr;

		if (rport->port->net != net || rport->addr.ss_family != family)
			continue;
		if (family == AF_INET ? !memcmp(&in->sin_addr, addr, sizeof(in->sin_addr)) :
					!memcmp(&in6->sin6_addr, addr, sizeof(in6->sin6_addr)))
			mod_delayed_work(nvtgt_rdma_conns.wq, &rport->repair_work,
					 NVTGT_RDMA_SETTLE);
	}
	spin_unlock_bh(&nvtgt_rdma_ports_lock);
}

static int nvtgt_rdma_inetaddr_event(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct in_ifaddr *ifa = data;

	if (event == NETDEV_UP || event == NETDEV_DOWN)
		nvtgt_rdma_addr_moved(dev_net(ifa->ifa_dev->dev), AF_INET, &ifa->ifa_local);
	return NOTIFY_DONE;
}

static int nvtgt_rdma_inet6addr_event(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct inet6_ifaddr *ifa = data;

	if (event == NETDEV_UP || event == NETDEV_DOWN)
		nvtgt_rdma_addr_moved(dev_net(ifa->idev->dev), AF_INET6, &ifa->addr);
	return NOTIFY_DONE;
}

static struct notifier_block nvtgt_rdma_inetaddr_nb = {
	.notifier_call = nvtgt_rdma_inetaddr_event,
};

static struct notifier_block nvtgt_rdma_inet6addr_nb = {
	.notifier_call = nvtgt_rdma_inet6addr_event,
};

/**
 * nvtgt_rdma_register_addrs - from now on, know which addresses come
 *
 * Return: 0 or a negative errno
 */
int nvtgt_rdma_register_addrs(void)
{
	int ret = register_inetaddr_notifier(&nvtgt_rdma_inetaddr_nb);

	if (ret)
		return ret;
	ret = register_inet6addr_notifier(&nvtgt_rdma_inet6addr_nb);
	if (ret)
		unregister_inetaddr_notifier(&nvtgt_rdma_inetaddr_nb);
	return ret;
}

/**
 * nvtgt_rdma_unregister_addrs - and no longer
 */
void nvtgt_rdma_unregister_addrs(void)
{
	unregister_inet6addr_notifier(&nvtgt_rdma_inet6addr_nb);
	unregister_inetaddr_notifier(&nvtgt_rdma_inetaddr_nb);
}

/* A port on any address has no device: the connection's decides, nvtgt_rdma_queue_create(). */
static bool nvtgt_rdma_port_has_pi(struct nvtgt_rdma_port *rport)
{
	bool ok = true;

	mutex_lock(&rport->lock);
	if (rport->cm_id && rport->cm_id->device)
		ok = nvtgt_rdma_has_pi(rport->cm_id->device);
	if (!ok)
		pr_err("port %u: param_pi_enable: device %s has no signature memory regions\n",
		       rport->port->id, dev_name(&rport->cm_id->device->dev));
	mutex_unlock(&rport->lock);
	return ok;
}

/*
 * The CM and the notifiers of addresses bring nothing to the port from now on. What may
 * still see it, and what ends that:
 *  1. the notifiers of addresses: out of the list
 *  2. repair_work that runs, or that a notifier or the CM starts: it leaves the listener
 *     alone when closing is set
 *  3. the CM, with events and connection requests: rdma_destroy_id() waits for them;
 *     until then an event may still queue repair_work
 *  4. repair_work in the queue: cancelled when no notifier and no event can queue it
 */
static void nvtgt_rdma_close_port(struct nvtgt_rdma_port *rport)
{
	spin_lock_bh(&nvtgt_rdma_ports_lock);
	list_del_init(&rport->entry);
	spin_unlock_bh(&nvtgt_rdma_ports_lock);
	mutex_lock(&rport->lock);
	rport->closing = true;
	mutex_unlock(&rport->lock);
	if (rport->cm_id)
		rdma_destroy_id(rport->cm_id);
	cancel_delayed_work_sync(&rport->repair_work);
}

/**
 * nvtgt_rdma_add_port - open a listener
 * @port: the port; its parameters get the defaults where they are -1
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno, logged
 */
int nvtgt_rdma_add_port(struct nvtgt_port *port)
{
	struct nvtgt_rdma_port *rport;
	int ret;

	rport = kzalloc(sizeof(*rport), GFP_KERNEL);
	if (!rport)
		return -ENOMEM;
	rport->port = port;
	INIT_LIST_HEAD(&rport->entry);
	mutex_init(&rport->lock);
	INIT_DELAYED_WORK(&rport->repair_work, nvtgt_rdma_repair_work);
	ret = nvtgt_port_sockaddr(port, &rport->addr);
	if (ret)
		goto free;
	port->priv = rport;
	/* first the bounds of all devices: a connection request may come at once, through any */
	nvtgt_rdma_set_params(port);
	spin_lock_bh(&nvtgt_rdma_ports_lock);
	list_add(&rport->entry, &nvtgt_rdma_ports);
	spin_unlock_bh(&nvtgt_rdma_ports_lock);
	/* a device's removal may come before cm_id is set: repair_work waits for the lock */
	mutex_lock(&rport->lock);
	ret = nvtgt_rdma_listen(rport);
	mutex_unlock(&rport->lock);
	if (ret) {
		pr_err("port %u: cannot listen on %pISpc: error %d%s\n", port->id, &rport->addr,
		       ret, ret == -ENODEV ? " (no RDMA device has this address)" : "");
		nvtgt_rdma_close_port(rport);
		port->priv = NULL;
		goto free;
	}
	if (port->pi && !nvtgt_rdma_port_has_pi(rport)) {
		nvtgt_rdma_remove_port(port);
		nvtgt_conns_disconnect_port(&nvtgt_rdma_conns, port);
		return -EOPNOTSUPP;
	}
	pr_info("port %u: listening on %pISpc\n", port->id, &rport->addr);
	return 0;

free:
	kfree(rport);
	return ret;
}

/**
 * nvtgt_rdma_remove_port - close a listener
 * @port: what nvtgt_rdma_add_port() opened
 *
 * Context: process, may sleep.
 */
void nvtgt_rdma_remove_port(struct nvtgt_port *port)
{
	struct nvtgt_rdma_port *rport = port->priv;

	nvtgt_rdma_close_port(rport);
	port->priv = NULL;
	kfree(rport);
	pr_info("port %u: closed\n", port->id);
}

/**
 * nvtgt_rdma_disc_traddr - which address should the host be told for a port?
 * @queue: the host's connection to a discovery controller
 * @port: the port
 * @buf: where to
 * @len: room in @buf
 *
 * Return: true when @port listens on any address: the one that the host used
 */
bool nvtgt_rdma_disc_traddr(struct nvtgt_queue *queue, const struct nvtgt_port *port,
			    char *buf, size_t len)
{
	struct nvtgt_rdma_queue *q = to_nvtgt_rdma_queue(queue);
	struct nvtgt_rdma_port *rport = port->priv;

	if (!rport || !nvtgt_sockaddr_is_any(&rport->addr))
		return false;
	snprintf(buf, len, "%pISc", &q->cm_id->route.addr.src_addr);
	return true;
}
