// SPDX-License-Identifier: GPL-2.0
/*
 * What can be looked at: a file with the state of all connections, and the
 * tracepoint of each change of a request's state.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "rdma.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static struct dentry *nvtgt_rdma_debugfs;

/**
 * nvtgt_rdma_trace_state - a request's state is about to change
 * @q: the connection
 * @cmd: the request
 * @state: the new one
 */
void nvtgt_rdma_trace_state(const struct nvtgt_rdma_queue *q, const struct nvtgt_rdma_cmd *cmd,
			    enum nvtgt_rdma_cmd_state state)
{
	trace_nvtgt_rdma_state(q, cmd, state);
}

/*
 * A line for each connection: what is it doing, and what has it cost? The numbers
 * are the reactor's, read while it writes them.
 */
static int nvtgt_rdma_queues_show(struct seq_file *m, void *unused)
{
	static const char *const states[] = { "setup", "connecting", "live", "closing", "left" };
	struct nvtgt_rdma_queue *q;
	int i;

	mutex_lock(&nvtgt_rdma_lock);
	list_for_each_entry(q, &nvtgt_rdma_queues, entry) {
		seq_printf(m, "%s %s qid %u %s", dev_name(&q->dev->ib->dev), q->host_traddr,
			   q->request.qid, states[READ_ONCE(q->state)]);
		for (i = 0; i < NVTGT_RDMA_CMD_STATES; i++)
			seq_printf(m, " %s %u", nvtgt_rdma_cmd_state_names[i],
				   READ_ONCE(q->nr_state[i]));
		seq_printf(m, " commands %llu posts %llu requests %llu completions %llu\n",
			   READ_ONCE(q->queue.nr_cmds), READ_ONCE(q->nr_posts),
			   READ_ONCE(q->nr_wrs), READ_ONCE(q->nr_wcs));
	}
	mutex_unlock(&nvtgt_rdma_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nvtgt_rdma_queues);

/**
 * nvtgt_rdma_debugfs_init - the module's folder
 */
void nvtgt_rdma_debugfs_init(void)
{
	nvtgt_rdma_debugfs = debugfs_create_dir("nvtgt-rdma", NULL);
	debugfs_create_file("queues", 0400, nvtgt_rdma_debugfs, NULL, &nvtgt_rdma_queues_fops);
}

/**
 * nvtgt_rdma_debugfs_exit - and away
 */
void nvtgt_rdma_debugfs_exit(void)
{
	debugfs_remove(nvtgt_rdma_debugfs);
}
