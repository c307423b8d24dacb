// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: ROOT/SUBSYSNQN/ctrlCNTLID/ with one file per fact, as nvmet's; ROOT/reactors
 * has a line for each reactor, ROOT/peers for each address with connections, ROOT/connections
 * for each connection (a subsystem with one of these names is not shown).
 *
 * Nothing depends on debugfs: where it is missing nothing is shown.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "object.h"

static struct dentry *nvtgt_debugfs;

static int nvtgt_port_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;

	seq_printf(m, "%u\n", ctrl->port->id);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_port);

static int nvtgt_hostnqn_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;

	seq_printf(m, "%s\n", nvtgt_host_name(ctrl->hostnqn));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_hostnqn);

static int nvtgt_kato_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;

	seq_printf(m, "%u\n", READ_ONCE(ctrl->kato_ms) / 1000);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_kato);

static int nvtgt_queues_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;

	seq_printf(m, "%u\n", READ_ONCE(ctrl->nr_queues));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_queues);

/* The CPU of each queue's reactor. */
static int nvtgt_queue_cpus_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;
	int i;

	seq_puts(m, "qid cpu\n");
	spin_lock_irq(&ctrl->lock);
	for (i = 0; i <= ctrl->max_qid; i++)
		if (ctrl->queues[i])
			seq_printf(m, "%3d %3d\n", i,
				   nvtgt_reactor_cpu(READ_ONCE(ctrl->queues[i]->reactor)));
	spin_unlock_irq(&ctrl->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_queue_cpus);

static int nvtgt_host_traddr_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;
	char buf[NVMF_TRADDR_SIZE + 1] = "";
	struct nvtgt_queue *queue;

	spin_lock_irq(&ctrl->lock);
	queue = ctrl->queues[0];
	if (queue)
		strscpy(buf, to_nvtgt_conn(queue)->host_traddr, sizeof(buf));
	spin_unlock_irq(&ctrl->lock);
	seq_printf(m, "%s\n", buf);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_host_traddr);

static int nvtgt_state_show(struct seq_file *m, void *p)
{
	struct nvtgt_ctrl *ctrl = m->private;
	static const char * const names[] = {
		[0] = "not ready", [NVME_CSTS_RDY] = "ready",
		[NVME_CSTS_CFS] = "fatal", [NVME_CSTS_RDY | NVME_CSTS_CFS] = "fatal",
	};
	u32 csts = READ_ONCE(ctrl->csts);

	if (READ_ONCE(ctrl->draining))
		seq_puts(m, "draining\n");
	else if (csts & NVME_CSTS_SHST_MASK)
		seq_puts(m, "shut down\n");
	else
		seq_printf(m, "%s\n", names[csts & (NVME_CSTS_RDY | NVME_CSTS_CFS)]);
	return 0;
}

static int nvtgt_state_open(struct inode *inode, struct file *file)
{
	return single_open(file, nvtgt_state_show, inode->i_private);
}

/* "fatal" sets the controller's fatal status: a way to test hosts. */
static ssize_t nvtgt_state_write(struct file *file, const char __user *ubuf, size_t len,
				 loff_t *ppos)
{
	struct nvtgt_ctrl *ctrl = ((struct seq_file *)file->private_data)->private;
	char buf[16];

	if (len >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, len))
		return -EFAULT;
	buf[len] = '\0';
	if (!sysfs_streq(buf, "fatal"))
		return -EINVAL;
	nvtgt_ctrl_fatal(ctrl);
	return len;
}

static const struct file_operations nvtgt_state_fops = {
	.owner = THIS_MODULE,
	.open = nvtgt_state_open,
	.read = seq_read,
	.write = nvtgt_state_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/**
 * nvtgt_debugfs_add_ctrl - show a controller
 * @ctrl: new, with its cntlid
 *
 * Context: process, may sleep; takes subsys->lock.
 */
void nvtgt_debugfs_add_ctrl(struct nvtgt_ctrl *ctrl)
{
	struct nvtgt_subsys *subsys = ctrl->subsys;
	struct dentry *dir;
	char name[16];

	mutex_lock(&subsys->lock);
	if (!subsys->debugfs)
		goto out;
	snprintf(name, sizeof(name), "ctrl%u", ctrl->cntlid);
	dir = debugfs_create_dir(name, subsys->debugfs);
	if (IS_ERR(dir))
		goto out;
	ctrl->debugfs = dir;
	debugfs_create_file("port", 0400, dir, ctrl, &nvtgt_port_fops);
	debugfs_create_file("hostnqn", 0400, dir, ctrl, &nvtgt_hostnqn_fops);
	debugfs_create_file("kato", 0400, dir, ctrl, &nvtgt_kato_fops);
	debugfs_create_file("queues", 0400, dir, ctrl, &nvtgt_queues_fops);
	debugfs_create_file("queue_cpus", 0400, dir, ctrl, &nvtgt_queue_cpus_fops);
	debugfs_create_file("host_traddr", 0400, dir, ctrl, &nvtgt_host_traddr_fops);
	debugfs_create_file("state", 0600, dir, ctrl, &nvtgt_state_fops);
out:
	mutex_unlock(&subsys->lock);
}

/**
 * nvtgt_debugfs_del_ctrl - show a controller no more; waits for readers
 * @ctrl: the controller
 *
 * Context: process, may sleep; takes subsys->lock.
 */
void nvtgt_debugfs_del_ctrl(struct nvtgt_ctrl *ctrl)
{
	mutex_lock(&ctrl->subsys->lock);
	debugfs_remove_recursive(ctrl->debugfs);
	ctrl->debugfs = NULL;
	mutex_unlock(&ctrl->subsys->lock);
}

/**
 * nvtgt_debugfs_add_subsys - a directory for a subsystem's controllers
 * @subsys: new; no other of that name is shown
 *
 * Context: process, may sleep.
 */
void nvtgt_debugfs_add_subsys(struct nvtgt_subsys *subsys)
{
	struct dentry *dir;

	if (IS_ERR_OR_NULL(nvtgt_debugfs))
		return;
	dir = debugfs_create_dir(subsys->nqn, nvtgt_debugfs);
	subsys->debugfs = IS_ERR(dir) ? NULL : dir;
}

/**
 * nvtgt_debugfs_del_subsys - show a subsystem and its controllers no more
 * @subsys: the subsystem, whose last controllers may still be on their way out
 *
 * Context: process, may sleep; takes subsys->lock.
 */
void nvtgt_debugfs_del_subsys(struct nvtgt_subsys *subsys)
{
	struct nvtgt_ctrl *ctrl;

	mutex_lock(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry)
		ctrl->debugfs = NULL;
	debugfs_remove_recursive(subsys->debugfs);
	subsys->debugfs = NULL;
	mutex_unlock(&subsys->lock);
}

static int nvtgt_reactors_file_show(struct seq_file *m, void *p)
{
	nvtgt_reactors_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_reactors_file);

static int nvtgt_peers_file_show(struct seq_file *m, void *p)
{
	nvtgt_peers_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_peers_file);

static int nvtgt_conns_file_show(struct seq_file *m, void *p)
{
	nvtgt_conns_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_conns_file);

/** nvtgt_debugfs_init - the root directory, the reactors, the peers, the connections */
void nvtgt_debugfs_init(void)
{
	nvtgt_debugfs = debugfs_create_dir(KBUILD_MODNAME, NULL);
	debugfs_create_file("reactors", 0400, nvtgt_debugfs, NULL, &nvtgt_reactors_file_fops);
	debugfs_create_file("peers", 0400, nvtgt_debugfs, NULL, &nvtgt_peers_file_fops);
	debugfs_create_file("connections", 0400, nvtgt_debugfs, NULL, &nvtgt_conns_file_fops);
}

/** nvtgt_debugfs_exit - remove the root directory and all in it */
void nvtgt_debugfs_exit(void)
{
	debugfs_remove_recursive(nvtgt_debugfs);
}
