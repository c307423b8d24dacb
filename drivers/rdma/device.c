// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: what the InfiniBand core tells about them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include "rdma.h"

static LIST_HEAD(nvtgt_rdma_devs);		/* nvtgt_rdma_lock */

/**
 * nvtgt_rdma_has_pi - can a device make and check protection information on its way?
 * @ib: the device
 *
 * Return: whether it has signature memory regions
 */
bool nvtgt_rdma_has_pi(const struct ib_device *ib)
{
	return ib->attrs.kernel_cap_flags & IBK_INTEGRITY_HANDOVER;
}

static bool nvtgt_rdma_is_iwarp(const struct ib_device *ib)
{
	u32 port;

	for (port = rdma_start_port(ib); port <= rdma_end_port(ib); port++)
		if (rdma_protocol_iwarp(ib, port))
			return true;
	return false;
}

/* What the device has room for. */
static void nvtgt_rdma_dev_limits(struct nvtgt_rdma_dev *dev)
{
	const struct ib_device_attr *attrs = &dev->ib->attrs;
	int recv_sge = attrs->max_recv_sge, size;

	dev->iwarp = nvtgt_rdma_is_iwarp(dev->ib);
	/* iWARP cannot say "receiver not ready": where a buffer is missing the connection ends */
	dev->shares_rx = nvtgt_rdma_use_srq && attrs->max_srq && !dev->iwarp;
	if (dev->shares_rx)
		recv_sge = min(recv_sge, attrs->max_srq_sge);
	dev->needs_mr = nvtgt_rdma_force_mr || dev->iwarp;
	dev->pi = nvtgt_rdma_has_pi(dev->ib);
	dev->max_sge = clamp(attrs->max_send_sge, 1, NVTGT_RDMA_SGES);
	dev->max_read_sge = clamp(attrs->max_sge_rd, 1, (int)dev->max_sge);
	dev->max_recv_sge = clamp(recv_sge, 1, 1 + NVTGT_RDMA_INLINE_PAGES);
	/* work requests for each entry, and as many as the largest command takes */
	size = (attrs->max_qp_wr - nvtgt_rdma_max_wrs(dev, NULL)) /
	       (int)nvtgt_rdma_entry_wrs(dev->needs_mr || dev->pi);
	dev->max_size = clamp(size, NVTGT_MIN_QUEUE_SIZE, NVTGT_MAX_QUEUE_SIZE);
}

static int nvtgt_rdma_add_one(struct ib_device *ib)
{
	struct nvtgt_rdma_dev *dev;
	int ret;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return -ENOMEM;
	dev->ib = ib;
	mutex_init(&dev->rx_lock);
	INIT_LIST_HEAD(&dev->rx_retired);
	nvtgt_rdma_dev_limits(dev);
	ret = nvtgt_rdma_pools_init(dev);
	if (ret)
		goto free;
	ret = -ENOMEM;
	dev->rx = kcalloc(nr_cpu_ids * (1 + NVTGT_RDMA_INLINE_PAGES), sizeof(*dev->rx), GFP_KERNEL);
	if (!dev->rx)
		goto free_pools;
	dev->pd = ib_alloc_pd(ib, 0);
	if (IS_ERR(dev->pd)) {
		ret = PTR_ERR(dev->pd);
		pr_warn("%s: no protection domain: error %d\n", dev_name(&ib->dev), ret);
		goto free_rx;
	}
	mutex_lock(&nvtgt_rdma_lock);
	list_add_tail(&dev->entry, &nvtgt_rdma_devs);
	mutex_unlock(&nvtgt_rdma_lock);
	return 0;

free_rx:
	kfree(dev->rx);
free_pools:
	nvtgt_rdma_pools_exit(dev);
free:
	kfree(dev);
	return ret;
}

static struct nvtgt_rdma_dev *nvtgt_rdma_lookup(const struct ib_device *ib)
{
	struct nvtgt_rdma_dev *dev;

	lockdep_assert_held(&nvtgt_rdma_lock);
	list_for_each_entry(dev, &nvtgt_rdma_devs, entry)
		if (dev->ib == ib)
			return dev;
	return NULL;
}

/* The device goes: its queues first. */
static void nvtgt_rdma_remove_one(struct ib_device *ib, void *client_data)
{
	struct nvtgt_rdma_dev *dev;

	mutex_lock(&nvtgt_rdma_lock);
	dev = nvtgt_rdma_lookup(ib);
	if (dev)
		dev->dying = true;
	mutex_unlock(&nvtgt_rdma_lock);
	if (!dev)
		return;
	nvtgt_rdma_disconnect_dev(dev);
	nvtgt_rdma_wait_no_queues(dev);
	mutex_lock(&nvtgt_rdma_lock);
	list_del(&dev->entry);
	mutex_unlock(&nvtgt_rdma_lock);
	nvtgt_rdma_pools_exit(dev);
	ib_dealloc_pd(dev->pd);
	kfree(dev->rx);
	kfree(dev);
}

static struct ib_client nvtgt_rdma_client = {
	.name	= "nvtgt-rdma",
	.add	= nvtgt_rdma_add_one,
	.remove	= nvtgt_rdma_remove_one,
};

/**
 * nvtgt_rdma_register_client - from now on, know the devices
 *
 * Return: 0 or a negative errno
 */
int nvtgt_rdma_register_client(void)
{
	return ib_register_client(&nvtgt_rdma_client);
}

/**
 * nvtgt_rdma_unregister_client - let all devices go
 *
 * Waits for their queues.
 */
void nvtgt_rdma_unregister_client(void)
{
	ib_unregister_client(&nvtgt_rdma_client);
}

/**
 * nvtgt_rdma_find_dev - what we know of a device
 * @ib: the device
 *
 * Context: nvtgt_rdma_lock is held.
 * Return: the device, or NULL: it is not known, or on its way out
 */
struct nvtgt_rdma_dev *nvtgt_rdma_find_dev(const struct ib_device *ib)
{
	struct nvtgt_rdma_dev *dev = nvtgt_rdma_lookup(ib);

	return dev && !dev->dying ? dev : NULL;
}

/**
 * nvtgt_rdma_limit_port - no more than each device has room for
 * @port: with its parameters set; a request may come in through any device
 */
void nvtgt_rdma_limit_port(struct nvtgt_port *port)
{
	struct nvtgt_rdma_dev *dev;

	mutex_lock(&nvtgt_rdma_lock);
	list_for_each_entry(dev, &nvtgt_rdma_devs, entry) {
		port->max_queue_size = min_t(int, port->max_queue_size, dev->max_size);
		port->inline_data_size = min_t(int, port->inline_data_size,
					       (dev->max_recv_sge - 1) * PAGE_SIZE);
	}
	mutex_unlock(&nvtgt_rdma_lock);
}

/**
 * nvtgt_rdma_comp_vector - the interrupt for a reactor's completion queues
 * @dev: the device
 * @reactor: the reactor
 *
 * Drivers spread their vectors over the CPUs in turn.
 *
 * Return: a completion vector
 */
int nvtgt_rdma_comp_vector(const struct nvtgt_rdma_dev *dev, const struct nvtgt_reactor *reactor)
{
	return nvtgt_reactor_cpu(reactor) % dev->ib->num_comp_vectors;
}

struct nvtgt_rdma_call {
	struct nvtgt_call call;
	void (*fn)(void *arg);
	void *arg;
	struct completion done;
};

static void nvtgt_rdma_called(struct nvtgt_call *call)
{
	struct nvtgt_rdma_call *c = container_of(call, struct nvtgt_rdma_call, call);

	c->fn(c->arg);
	complete(&c->done);
}

/**
 * nvtgt_rdma_run - run a function in a reactor and wait for it
 * @reactor: the reactor
 * @fn: must not sleep
 * @arg: for @fn
 *
 * Context: process, may sleep; not in a reactor.
 */
void nvtgt_rdma_run(struct nvtgt_reactor *reactor, void (*fn)(void *arg), void *arg)
{
	struct nvtgt_rdma_call c = { .call.fn = nvtgt_rdma_called, .fn = fn, .arg = arg };

	init_completion(&c.done);
	nvtgt_reactor_call(reactor, &c.call);
	wait_for_completion(&c.done);
}
