// SPDX-License-Identifier: GPL-2.0
/* nvtgt-vfu: the module, /dev/nvtgt-vfu, and the ports of type vfio-user. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "vfu.h"

struct nvtgt_conns nvtgt_vfu_conns = {
	/* no wait for a Connect, and no address that guests come from: but for all together no bounds */
	.setup_timeout_ms = 10000,
	.data_timeout_ms = 30000,
	.max_connections = 65536,
	.max_half_open	= UINT_MAX,
	.name		= "nvtgt-vfu",
	.opening	= "admin queue",
	.cmd_name	= "nvtgt_vfu_cmd",
	.cmd_size	= sizeof(struct nvtgt_vfu_cmd),
	.cmd_gfp	= GFP_NOWAIT,
};

module_param_named(max_queues, nvtgt_vfu_conns.max_connections, uint, 0644);
MODULE_PARM_DESC(max_queues, "most submission queues, of all guests together");

static_assert(!offsetof(struct nvtgt_vfu_cmd, req));

static DEFINE_MUTEX(nvtgt_vfu_ports_lock);	/* protects what follows, and the ports */
static LIST_HEAD(nvtgt_vfu_ports);
static u32 nvtgt_vfu_generation;		/* read anywhere, READ_ONCE() */
static DECLARE_WAIT_QUEUE_HEAD(nvtgt_vfu_ports_wait);

/* struct nvtgt_vfu_client - an open /dev/nvtgt-vfu */
struct nvtgt_vfu_client {
	u32 seen;			/* nvtgt_vfu_generation that it has been told; READ_ONCE() */
};

/* The list, or what it says of a port, has changed. */
static void nvtgt_vfu_ports_changed(void)
{
	lockdep_assert_held(&nvtgt_vfu_ports_lock);
	WRITE_ONCE(nvtgt_vfu_generation, nvtgt_vfu_generation + 1);
	wake_up_all(&nvtgt_vfu_ports_wait);
}

static void nvtgt_vfu_port_release(struct kref *ref)
{
	kfree(container_of(ref, struct nvtgt_vfu_port, ref));
}

/**
 * nvtgt_vfu_port_put - give a reference back
 * @vport: the port
 */
void nvtgt_vfu_port_put(struct nvtgt_vfu_port *vport)
{
	kref_put(&vport->ref, nvtgt_vfu_port_release);
}

static int nvtgt_vfu_add_port(struct nvtgt_port *port)
{
	struct nvtgt_vfu_port *vport, *other;
	int ret = 0;

	if (port->addr.traddr[0] != '/' || strlen(port->addr.traddr) > 107) {
		pr_err("port %u: addr_traddr must be the path of a socket, of at most 107 characters\n",
		       port->id);
		return -EINVAL;
	}
	vport = kzalloc(sizeof(*vport), GFP_KERNEL);
	if (!vport)
		return -ENOMEM;
	kref_init(&vport->ref);
	vport->port = port;
	vport->id = port->id;
	strscpy(vport->path, port->addr.traddr, sizeof(vport->path));

	port->inline_data_size = 0;
	if (port->max_queue_size < 0)
		port->max_queue_size = NVTGT_VFU_QUEUE_SIZE;
	if (port->mdts <= 0 || port->mdts > NVTGT_VFU_MDTS)
		port->mdts = NVTGT_VFU_MDTS;

	mutex_lock(&nvtgt_vfu_ports_lock);
	list_for_each_entry(other, &nvtgt_vfu_ports, entry)
		if (!strcmp(other->path, vport->path))
			ret = -EADDRINUSE;
	if (!ret) {
		port->priv = vport;
		list_add_tail(&vport->entry, &nvtgt_vfu_ports);
		nvtgt_vfu_ports_changed();
	}
	mutex_unlock(&nvtgt_vfu_ports_lock);
	if (ret) {
		pr_err("port %u: another port has the path %s\n", port->id, vport->path);
		nvtgt_vfu_port_put(vport);
	}
	return ret;
}

static void nvtgt_vfu_remove_port(struct nvtgt_port *port)
{
	struct nvtgt_vfu_port *vport = port->priv;

	mutex_lock(&nvtgt_vfu_ports_lock);
	vport->port = NULL;
	list_del_init(&vport->entry);
	nvtgt_vfu_ports_changed();
	mutex_unlock(&nvtgt_vfu_ports_lock);
	port->priv = NULL;
	nvtgt_vfu_port_put(vport);
}

/**
 * nvtgt_vfu_port_attach - make a port's controller
 * @id: the port's
 * @dev: becomes the port's; dev->vport and dev->ctrl are set
 *
 * Context: process, may sleep.
 * Return: 0; -ENODEV: no such port; -EBUSY: it has a controller; another of
 *	nvtgt_pci_ctrl_create()'s errors
 */
int nvtgt_vfu_port_attach(u16 id, struct nvtgt_vfu_dev *dev)
{
	struct nvtgt_vfu_port *vport;
	struct nvtgt_port *port;
	unsigned int noio;
	int ret = -ENODEV;

	mutex_lock(&nvtgt_vfu_ports_lock);
	list_for_each_entry(vport, &nvtgt_vfu_ports, entry) {
		if (vport->id != id)
			continue;
		ret = vport->dev ? -EBUSY : 0;
		break;
	}
	if (!ret) {
		kref_get(&vport->ref);
		port = vport->port;
		nvtgt_port_get(port);
		vport->dev = dev;
		dev->vport = vport;
	}
	mutex_unlock(&nvtgt_vfu_ports_lock);
	if (ret)
		return ret;

	/* takes nvtgt_config_sem, which whoever calls nvtgt_vfu_remove_port() holds */
	noio = memalloc_noio_save();	/* a Connect may wait for the lock */
	dev->ctrl = nvtgt_pci_ctrl_create(port, vport->path, dev, dev->nr_vectors);
	memalloc_noio_restore(noio);
	nvtgt_port_put(port);
	if (!IS_ERR(dev->ctrl)) {
		mutex_lock(&nvtgt_vfu_ports_lock);
		nvtgt_vfu_ports_changed();
		mutex_unlock(&nvtgt_vfu_ports_lock);
		return 0;
	}
	nvtgt_vfu_port_detach(vport);
	return PTR_ERR(dev->ctrl);
}

/**
 * nvtgt_vfu_port_detach - a port's controller is gone
 * @vport: the port; the controller's reference is given back
 *
 * Context: process, may sleep.
 */
void nvtgt_vfu_port_detach(struct nvtgt_vfu_port *vport)
{
	mutex_lock(&nvtgt_vfu_ports_lock);
	vport->dev = NULL;
	nvtgt_vfu_ports_changed();
	mutex_unlock(&nvtgt_vfu_ports_lock);
	nvtgt_vfu_port_put(vport);
}

/* Writes as many ports as there is room for into @info. Returns how many there are. */
static u32 nvtgt_vfu_get_ports(struct nvtgt_vfu_port_info *info, u32 room, u32 *generation)
{
	struct nvtgt_vfu_port *vport;
	u32 nr = 0;

	mutex_lock(&nvtgt_vfu_ports_lock);
	list_for_each_entry(vport, &nvtgt_vfu_ports, entry) {
		if (nr++ >= room)
			continue;
		info->id = vport->id;
		info->flags = vport->dev ? NVTGT_VFU_PORT_ATTACHED : 0;
		strscpy(info->path, vport->path, sizeof(info->path));
		info++;
	}
	*generation = nvtgt_vfu_generation;
	mutex_unlock(&nvtgt_vfu_ports_lock);
	return nr;
}

/* Nothing is copied to the process under the lock, which its page faults would hold up. */
static int nvtgt_vfu_copy_ports(struct nvtgt_vfu_client *client, struct nvtgt_vfu_ports *ports)
{
	struct nvtgt_vfu_port_info *info = NULL;
	u32 nr, generation, room = 0;
	int ret = 0;

	for (;;) {
		nr = nvtgt_vfu_get_ports(info, room, &generation);
		if (min(nr, ports->nr) <= room)
			break;
		kvfree(info);
		room = min(nr, ports->nr);
		info = kvcalloc(room, sizeof(*info), GFP_KERNEL_ACCOUNT);
		if (!info)
			return -ENOMEM;
	}
	room = min(nr, ports->nr);
	if (room && copy_to_user(u64_to_user_ptr(ports->ports), info, room * sizeof(*info))) {
		ret = -EFAULT;
	} else {
		WRITE_ONCE(client->seen, generation);
		ports->generation = generation;
		ports->nr = nr;
	}
	kvfree(info);
	return ret;
}

static int nvtgt_vfu_list_ports(struct nvtgt_vfu_client *client,
				struct nvtgt_vfu_ports __user *arg)
{
	struct nvtgt_vfu_ports ports;
	int ret;

	if (copy_from_user(&ports, arg, sizeof(ports)))
		return -EFAULT;
	ret = nvtgt_vfu_copy_ports(client, &ports);
	if (!ret && copy_to_user(arg, &ports, sizeof(ports)))
		ret = -EFAULT;
	return ret;
}

static long nvtgt_vfu_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct nvtgt_vfu_attach attach;

	switch (cmd) {
	case NVTGT_VFU_PORTS:
		return nvtgt_vfu_list_ports(file->private_data, (void __user *)arg);
	case NVTGT_VFU_ATTACH:
		if (copy_from_user(&attach, (void __user *)arg, sizeof(attach)))
			return -EFAULT;
		return nvtgt_vfu_attach(&attach);
	default:
		return -ENOTTY;
	}
}

static __poll_t nvtgt_vfu_poll(struct file *file, struct poll_table_struct *table)
{
	struct nvtgt_vfu_client *client = file->private_data;

	poll_wait(file, &nvtgt_vfu_ports_wait, table);
	return READ_ONCE(client->seen) == READ_ONCE(nvtgt_vfu_generation) ? 0 : EPOLLIN;
}

static int nvtgt_vfu_open(struct inode *inode, struct file *file)
{
	struct nvtgt_vfu_client *client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);

	if (!client)
		return -ENOMEM;
	client->seen = READ_ONCE(nvtgt_vfu_generation) - 1;
	file->private_data = client;
	return 0;
}

static int nvtgt_vfu_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct file_operations nvtgt_vfu_fops = {
	.owner		= THIS_MODULE,
	.open		= nvtgt_vfu_open,
	.release	= nvtgt_vfu_release,
	.poll		= nvtgt_vfu_poll,
	.unlocked_ioctl	= nvtgt_vfu_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice nvtgt_vfu_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "nvtgt-vfu",
	.fops	= &nvtgt_vfu_fops,
	.mode	= 0600,
};

const struct nvtgt_transport_ops nvtgt_vfu_ops = {
	.version	= NVTGT_TRANSPORT_VERSION,
	.size		= sizeof(struct nvtgt_transport_ops),
	.name		= "vfio-user",
	.owner		= THIS_MODULE,
	.conns		= &nvtgt_vfu_conns,
	.pcie		= true,
	.trtype		= NVTGT_TRTYPE_VFIO_USER,
	.add_port	= nvtgt_vfu_add_port,
	.remove_port	= nvtgt_vfu_remove_port,
	.close		= nvtgt_vfu_close,
	.end		= nvtgt_vfu_end,
	.free		= nvtgt_vfu_free,
	.mem_get	= nvtgt_vfu_mem_get,
	.mem_got	= nvtgt_vfu_mem_got,
	.drop		= nvtgt_vfu_drop,
	.respond	= nvtgt_vfu_respond,
	.flush		= nvtgt_vfu_flush,
	.admin		= nvtgt_vfu_admin,
	.ctrl_ended	= nvtgt_vfu_ctrl_ended,
};

static int __init nvtgt_vfu_init(void)
{
	int ret;

	/* a page of the guest is looked for as one of the kernel's */
	if (PAGE_SIZE != NVTGT_VFU_PAGE) {
		pr_err("kernels with pages of %lu bytes are not supported\n", PAGE_SIZE);
		return -EOPNOTSUPP;
	}
	ret = nvtgt_vfu_mem_init();
	if (ret)
		return ret;
	ret = nvtgt_conns_init(&nvtgt_vfu_conns);
	if (ret)
		goto exit_mem;
	ret = nvtgt_transport_register(&nvtgt_vfu_ops);
	if (ret)
		goto exit_conns;
	/* last: a process may open it at once */
	ret = misc_register(&nvtgt_vfu_misc);
	if (!ret)
		return 0;

	nvtgt_transport_unregister(&nvtgt_vfu_ops);
exit_conns:
	nvtgt_conns_exit(&nvtgt_vfu_conns);
exit_mem:
	nvtgt_vfu_mem_exit();
	return ret;
}

static void __exit nvtgt_vfu_exit(void)
{
	misc_deregister(&nvtgt_vfu_misc);
	nvtgt_transport_unregister(&nvtgt_vfu_ops);
	nvtgt_conns_exit(&nvtgt_vfu_conns);
	nvtgt_vfu_mem_exit();
}

module_init(nvtgt_vfu_init);
module_exit(nvtgt_vfu_exit);

MODULE_DESCRIPTION("NVMe target: controllers for virtual machines, the data plane");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("nvtgt-transport-240");
