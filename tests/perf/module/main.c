// SPDX-License-Identifier: GPL-2.0
/*
 * The module's files in debugfs/nvtgt-perf:
 *
 * run: write a job as words (port=4420 nqn=testnqn conns=4 qd=8 ios=100000
 *	bytes=4096 op=read flow=1 ragged=0 hdgst=0 ddgst=0), which runs it; read
 *	the result as words.
 * responder: write "PORT [BLOCK-DEVICE]" to start one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/parser.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include "perf.h"

#define PERF_BLANKS "\n "

static struct dentry *perf_dir;
static DEFINE_MUTEX(perf_mutex);	/* one job at a time */
static struct perf_result perf_last;
static int perf_error;

/**
 * perf_cpu_ns - CPU time that this kernel has used
 *
 * User Mode Linux is a process of the host, whose own clock of CPU time is asked
 * directly: a system call made here is one of the host.
 *
 * Return: nanoseconds; elsewhere the time that passed, which says less
 */
u64 perf_cpu_ns(void)
{
#if defined(CONFIG_UML) && defined(CONFIG_X86_64)
	struct { s64 sec, nsec; } ts = {};
	long ret = 228;			/* clock_gettime */
	long clock = 2;			/* CLOCK_PROCESS_CPUTIME_ID */

	asm volatile("syscall" : "+a" (ret) : "D" (clock), "S" (&ts)
		     : "rcx", "r11", "memory");
	return ret ? 0 : ts.sec * NSEC_PER_SEC + ts.nsec;
#else
	return ktime_get_ns();
#endif
}

static int perf_job_word(struct perf_job *job, const char *name, const char *value)
{
	static const struct {
		const char *name;
		size_t offset;
	} numbers[] = {
		{ "port", offsetof(struct perf_job, port) },
		{ "nsid", offsetof(struct perf_job, nsid) },
		{ "spread", offsetof(struct perf_job, spread) },
		{ "conns", offsetof(struct perf_job, conns) },
		{ "qd", offsetof(struct perf_job, qd) },
		{ "ios", offsetof(struct perf_job, ios) },
		{ "bytes", offsetof(struct perf_job, bytes) },
	}, flags[] = {
		{ "flow", offsetof(struct perf_job, flow) },
		{ "ragged", offsetof(struct perf_job, ragged) },
		{ "hdgst", offsetof(struct perf_job, hdgst) },
		{ "ddgst", offsetof(struct perf_job, ddgst) },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!strcmp(name, numbers[i].name))
			return kstrtouint(value, 0, (void *)job + numbers[i].offset);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (!strcmp(name, flags[i].name))
			return kstrtobool(value, (void *)job + flags[i].offset);
	if (!strcmp(name, "nqn"))
		return strscpy(job->nqn, value, sizeof(job->nqn)) < 0 ? -EINVAL : 0;
	if (!strcmp(name, "op")) {
		job->write = !strcmp(value, "write");
		return 0;
	}
	return -EINVAL;
}

static int perf_job_parse(struct perf_job *job, char *text)
{
	char *word, *value;
	int ret;

	while ((word = strsep(&text, PERF_BLANKS))) {
		if (!*word)
			continue;
		value = strchr(word, '=');
		if (!value)
			return -EINVAL;
		*value++ = '\0';
		ret = perf_job_word(job, word, value);
		if (ret) {
			pr_err("%s=%s: not understood\n", word, value);
			return ret;
		}
	}
	if (!job->conns || job->conns > PERF_MAX_CONNS || !job->qd || job->qd > PERF_MAX_QD ||
	    !job->bytes || job->bytes > PERF_MAX_BYTES || job->bytes % 512 || !job->spread ||
	    job->ios < job->conns)
		return -EINVAL;
	return 0;
}

static ssize_t perf_run_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct perf_job job = {
		.port = 4420, .nsid = 1, .spread = 1, .conns = 1, .qd = 1, .ios = 1000,
		.bytes = 4096, .flow = true, .nqn = "testnqn",
	};
	char *text = memdup_user_nul(buf, min_t(size_t, len, 1024));

	if (IS_ERR(text))
		return PTR_ERR(text);
	mutex_lock(&perf_mutex);
	perf_error = perf_job_parse(&job, text);
	if (!perf_error)
		perf_error = perf_run(&job, &perf_last);
	mutex_unlock(&perf_mutex);
	kfree(text);
	return perf_error ? : len;
}

static ssize_t perf_run_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	char text[200];
	int n;

	mutex_lock(&perf_mutex);
	n = scnprintf(text, sizeof(text),
		      "error=%d cpu_ns=%llu wall_ns=%llu ios=%u sends=%u reads=%u\n", perf_error,
		      perf_last.cpu_ns, perf_last.wall_ns, perf_last.ios, perf_last.sends,
		      perf_last.reads);
	mutex_unlock(&perf_mutex);
	return simple_read_from_buffer(buf, len, pos, text, n);
}

static const struct file_operations perf_run_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.read	= perf_run_read,
	.write	= perf_run_write,
};

static ssize_t perf_responder_write(struct file *file, const char __user *buf, size_t len,
				    loff_t *pos)
{
	char bdev[64] = "", *text = memdup_user_nul(buf, min_t(size_t, len, 100));
	unsigned int port;
	int ret = -EINVAL;

	if (IS_ERR(text))
		return PTR_ERR(text);
	if (sscanf(text, "%u %63s", &port, bdev) >= 1) {
		mutex_lock(&perf_mutex);
		ret = perf_responder_start(port, *bdev ? bdev : NULL);
		mutex_unlock(&perf_mutex);
	}
	kfree(text);
	return ret ? : len;
}

static const struct file_operations perf_responder_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= perf_responder_write,
};

static int __init perf_init(void)
{
	perf_dir = debugfs_create_dir("nvtgt-perf", NULL);
	debugfs_create_file("run", 0600, perf_dir, NULL, &perf_run_fops);
	debugfs_create_file("responder", 0200, perf_dir, NULL, &perf_responder_fops);
	return 0;
}

static void __exit perf_exit(void)
{
	debugfs_remove(perf_dir);
	perf_initiator_exit();
	perf_responder_exit();
}

module_init(perf_init);
module_exit(perf_exit);
MODULE_DESCRIPTION("Load for measuring NVMe/TCP targets");
MODULE_LICENSE("GPL");
