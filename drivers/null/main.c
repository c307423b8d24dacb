// SPDX-License-Identifier: GPL-2.0
/*
 * The backend "null": a namespace without a disk. Reads return zeroes, what is
 * written vanishes. backend_options, comma-separated:
 *
 *	size=BYTES		suffixes k, m, g, t; default 1g; changeable while enabled
 *	lba=512|4096		block size; default 512
 *	delay_us=N		each command takes that long; changeable
 *	error=none|STATUS	hexadecimal, as in Linux's enum nvme_status, DNR 4000;
 *				changeable
 *	error_every=N		only each Nth command fails; default 1; changeable
 *	stall=0|1		commands are held until it is 0 again; changeable
 *
 * A command that is held when the namespace is disabled ends with Namespace Not
 * Ready. Held or delayed, it is in the device: its queue's end does not call it back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bits.h>
#include <linux/bvec.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>
#include <nvtgt/backend.h>

static bool nvtgt_null_hang;
module_param_named(hang, nvtgt_null_hang, bool, 0644);
MODULE_PARM_DESC(hang, "opening and closing a namespace waits while it is Y, as a device that hangs would (default N)");

#define NVTGT_NULL_HANG_MS	20		/* between two looks at the parameter */
#define NVTGT_NULL_MAX_DELAY_US	(60 * USEC_PER_SEC)
#define NVTGT_NULL_MAX_SIZE	BIT_ULL(60)	/* bytes */
#define NVTGT_NULL_STATUS_MASK	0x7fff		/* SC, SCT, CRD, M, DNR */
#define NVTGT_NULL_LOOK_MS	20		/* while commands are held */

/* What backend_options say. */
struct nvtgt_null_options {
	u64 size;
	u8 lba_shift;
	u32 delay_us;
	u16 error;
	u32 error_every;
	bool stall;
};

/**
 * struct nvtgt_null - an open namespace
 * @ns: the core's part
 * @opt: written under @lock; read without it, but opt.stall again under it to hold a command
 * @nr_cmds: counts commands for error_every
 * @lock: protects @held and opt.stall; taken in any context
 * @held: nvtgt_null_priv.entry: commands held by stall
 * @look_work: while commands are held, looks whether the namespace is going away
 */
struct nvtgt_null {
	struct nvtgt_ns *ns;
	struct nvtgt_null_options opt;
	atomic_t nr_cmds;
	spinlock_t lock;	/* @held, opt.stall */
	struct list_head held;
	struct delayed_work look_work;
};

/* The backend's part of a request: a command is held first, and delayed then. */
struct nvtgt_null_priv {
	union {
		struct list_head entry;
		struct hrtimer timer;
	};
};

static int nvtgt_null_parse_size(const char *val, struct nvtgt_null_options *opt)
{
	char *end;
	u64 size;

	if (!*val || *val < '0' || *val > '9')
		return -EINVAL;
	size = memparse(val, &end);
	if (*end || !size || size > NVTGT_NULL_MAX_SIZE)
		return -EINVAL;
	opt->size = size;
	return 0;
}

static int nvtgt_null_parse_lba(const char *val, struct nvtgt_null_options *opt)
{
	if (!strcmp(val, "512"))
		opt->lba_shift = 9;
	else if (!strcmp(val, "4096"))
		opt->lba_shift = 12;
	else
		return -EINVAL;
	return 0;
}

static int nvtgt_null_parse_delay(const char *val, struct nvtgt_null_options *opt)
{
	if (kstrtou32(val, 0, &opt->delay_us))
		return -EINVAL;
	return opt->delay_us > NVTGT_NULL_MAX_DELAY_US ? -EINVAL : 0;
}

static int nvtgt_null_parse_error(const char *val, struct nvtgt_null_options *opt)
{
	if (!strcmp(val, "none")) {
		opt->error = 0;
		return 0;
	}
	if (kstrtou16(val, 16, &opt->error))
		return -EINVAL;
	return opt->error & ~NVTGT_NULL_STATUS_MASK ? -EINVAL : 0;
}

static int nvtgt_null_parse_every(const char *val, struct nvtgt_null_options *opt)
{
	return kstrtou32(val, 0, &opt->error_every) || !opt->error_every ? -EINVAL : 0;
}

static int nvtgt_null_parse_stall(const char *val, struct nvtgt_null_options *opt)
{
	return kstrtobool(val, &opt->stall);
}

static const struct {
	const char *key;
	int (*parse)(const char *val, struct nvtgt_null_options *opt);
	const char *rule;
} nvtgt_null_keys[] = {
	{ "size", nvtgt_null_parse_size, "1 to 2^60 bytes, suffix k, m, g or t" },
	{ "lba", nvtgt_null_parse_lba, "512 or 4096" },
	{ "delay_us", nvtgt_null_parse_delay, "0 to 60000000" },
	{ "error", nvtgt_null_parse_error, "none or a hexadecimal status up to 7fff" },
	{ "error_every", nvtgt_null_parse_every, "1 or more" },
	{ "stall", nvtgt_null_parse_stall, "0 or 1" },
};

static int nvtgt_null_parse_one(const struct nvtgt_ns *ns, char *word,
				struct nvtgt_null_options *opt)
{
	char *key = strsep(&word, "=");
	int i;

	for (i = 0; i < ARRAY_SIZE(nvtgt_null_keys); i++) {
		if (strcmp(nvtgt_null_keys[i].key, key))
			continue;
		if (word && !nvtgt_null_keys[i].parse(word, opt))
			return 0;
		pr_warn_ratelimited("namespace %u: option %s=%s: must be %s\n", ns->nsid,
				    key, word ?: "", nvtgt_null_keys[i].rule);
		return -EINVAL;
	}
	pr_warn_ratelimited("namespace %u: option %s: there is none of that name\n",
			    ns->nsid, key);
	return -EINVAL;
}

static int nvtgt_null_parse(const struct nvtgt_ns *ns, const char *options,
			    struct nvtgt_null_options *opt)
{
	char *copy, *rest, *word;
	int ret = 0;

	*opt = (struct nvtgt_null_options){
		.size = SZ_1G, .lba_shift = 9, .error_every = 1,
	};
	if (!options)
		return 0;
	copy = kstrdup(options, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	rest = copy;
	while (!ret && (word = strsep(&rest, ",")))
		if (*word)
			ret = nvtgt_null_parse_one(ns, word, opt);
	if (!ret && opt->size & ((1 << opt->lba_shift) - 1)) {
		pr_warn_ratelimited("namespace %u: option size=%llu: must be a multiple of lba\n",
				    ns->nsid, opt->size);
		ret = -EINVAL;
	}
	kfree(copy);
	return ret;
}

/* Commands */

static void nvtgt_null_finish(struct nvtgt_req *req)
{
	struct nvtgt_null *null = req->ns->priv;
	u16 error = READ_ONCE(null->opt.error);

	if (error && (u32)atomic_inc_return(&null->nr_cmds) %
		     READ_ONCE(null->opt.error_every))
		error = 0;
	nvtgt_req_complete(req, error);
}

static enum hrtimer_restart nvtgt_null_timer(struct hrtimer *timer)
{
	struct nvtgt_null_priv *priv = container_of(timer, struct nvtgt_null_priv, timer);

	nvtgt_null_finish(nvtgt_req_from_priv(priv));
	return HRTIMER_NORESTART;
}

static void nvtgt_null_run(struct nvtgt_req *req)
{
	struct nvtgt_null *null = req->ns->priv;
	struct nvtgt_null_priv *priv = nvtgt_req_priv(req);
	u32 delay_us = READ_ONCE(null->opt.delay_us);

	if (!delay_us) {
		nvtgt_null_finish(req);
		return;
	}
	hrtimer_setup(&priv->timer, nvtgt_null_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	hrtimer_start(&priv->timer, ns_to_ktime((u64)delay_us * NSEC_PER_USEC), HRTIMER_MODE_REL);
}

static bool nvtgt_null_hold(struct nvtgt_req *req)
{
	struct nvtgt_null *null = req->ns->priv;
	struct nvtgt_null_priv *priv = nvtgt_req_priv(req);
	unsigned long flags;
	bool held;

	if (likely(!READ_ONCE(null->opt.stall)))
		return false;
	spin_lock_irqsave(&null->lock, flags);
	held = null->opt.stall;
	if (held) {
		list_add_tail(&priv->entry, &null->held);
		queue_delayed_work(nvtgt_io_wq, &null->look_work,
				   msecs_to_jiffies(NVTGT_NULL_LOOK_MS));
	}
	spin_unlock_irqrestore(&null->lock, flags);
	return held;
}

static void nvtgt_null_start(struct nvtgt_req *req)
{
	if (!nvtgt_null_hold(req))
		nvtgt_null_run(req);
}

static void nvtgt_null_take_held(struct nvtgt_null *null, struct list_head *list)
{
	unsigned long flags;

	spin_lock_irqsave(&null->lock, flags);
	list_splice_init(&null->held, list);
	spin_unlock_irqrestore(&null->lock, flags);
}

static void nvtgt_null_look_work(struct work_struct *work)
{
	struct nvtgt_null *null = container_of(work, struct nvtgt_null, look_work.work);
	struct nvtgt_null_priv *priv, *next;
	LIST_HEAD(list);

	if (!percpu_ref_is_dying(&null->ns->ref)) {
		if (READ_ONCE(null->opt.stall))
			queue_delayed_work(nvtgt_io_wq, &null->look_work,
					   msecs_to_jiffies(NVTGT_NULL_LOOK_MS));
		return;
	}
	nvtgt_null_take_held(null, &list);
	list_for_each_entry_safe(priv, next, &list, entry)
		nvtgt_req_complete(nvtgt_req_from_priv(priv), NVME_SC_NS_NOT_READY);
}

static void nvtgt_null_release_held(struct nvtgt_null *null)
{
	struct nvtgt_null_priv *priv, *next;
	LIST_HEAD(list);

	nvtgt_null_take_held(null, &list);
	list_for_each_entry_safe(priv, next, &list, entry)
		nvtgt_null_run(nvtgt_req_from_priv(priv));
}

static void nvtgt_null_rw(struct nvtgt_req *req)
{
	unsigned int i;

	if (req->dir == DMA_FROM_DEVICE)
		for (i = 0; i < req->nr_bvec; i++)
			memset(bvec_virt(&req->bvec[i]), 0, req->bvec[i].bv_len);
	nvtgt_null_start(req);
}

static void nvtgt_null_discard(struct nvtgt_req *req, const struct nvme_dsm_range *ranges,
			       unsigned int nr_ranges)
{
	nvtgt_null_start(req);
}

/* Configuration */

static void nvtgt_null_apply(struct nvtgt_null *null, const struct nvtgt_null_options *opt)
{
	unsigned long flags;

	spin_lock_irqsave(&null->lock, flags);
	WRITE_ONCE(null->opt.error_every, opt->error_every);
	WRITE_ONCE(null->opt.error, opt->error);
	WRITE_ONCE(null->opt.delay_us, opt->delay_us);
	WRITE_ONCE(null->opt.stall, opt->stall);
	null->opt.size = opt->size;
	null->opt.lba_shift = opt->lba_shift;
	spin_unlock_irqrestore(&null->lock, flags);
	WRITE_ONCE(null->ns->size, opt->size);
}

/* A signal ends the wait in open(); close() cannot fail. */
static int nvtgt_null_wait(bool interruptible)
{
	while (READ_ONCE(nvtgt_null_hang)) {
		if (!interruptible)
			msleep(NVTGT_NULL_HANG_MS);
		else if (msleep_interruptible(NVTGT_NULL_HANG_MS))
			return -EINTR;
	}
	return 0;
}

static int nvtgt_null_open(struct nvtgt_ns *ns)
{
	struct nvtgt_null_options opt;
	struct nvtgt_null *null;
	int ret;

	ret = nvtgt_null_wait(true);
	if (ret)
		return ret;
	ret = nvtgt_null_parse(ns, ns->backend_options, &opt);
	if (ret)
		return ret;
	null = kzalloc(sizeof(*null), GFP_KERNEL);
	if (!null)
		return -ENOMEM;
	null->ns = ns;
	spin_lock_init(&null->lock);
	INIT_LIST_HEAD(&null->held);
	INIT_DELAYED_WORK(&null->look_work, nvtgt_null_look_work);
	nvtgt_null_apply(null, &opt);

	ns->priv = null;
	ns->blksize_shift = opt.lba_shift;
	ns->max_discard_blocks = U32_MAX;
	ns->max_write_zeroes_blocks = U32_MAX;
	ns->discard_zeroes = true;
	return 0;
}

static void nvtgt_null_close(struct nvtgt_ns *ns)
{
	struct nvtgt_null *null = ns->priv;

	nvtgt_null_wait(false);
	cancel_delayed_work_sync(&null->look_work);
	WARN_ON_ONCE(!list_empty(&null->held));
	kfree(null);
}

static int nvtgt_null_set_options(struct nvtgt_ns *ns, const char *options)
{
	struct nvtgt_null *null = ns->priv;
	struct nvtgt_null_options opt;
	int ret;

	ret = nvtgt_null_parse(ns, options, &opt);
	if (ret)
		return ret;
	if (opt.lba_shift != ns->blksize_shift) {
		pr_warn_ratelimited("namespace %u: option lba: the namespace must be disabled first\n",
				    ns->nsid);
		return -EBUSY;
	}
	nvtgt_null_apply(null, &opt);
	if (!opt.stall)
		nvtgt_null_release_held(null);
	return 0;
}

static const struct nvtgt_backend_ops nvtgt_null_ops = {
	.version	= NVTGT_BACKEND_VERSION,
	.size		= sizeof(struct nvtgt_backend_ops),
	.name		= "null",
	.owner		= THIS_MODULE,
	.open		= nvtgt_null_open,
	.close		= nvtgt_null_close,
	.set_options	= nvtgt_null_set_options,
	.rw		= nvtgt_null_rw,
	.flush		= nvtgt_null_start,
	.write_zeroes	= nvtgt_null_start,
	.discard	= nvtgt_null_discard,
};

static int __init nvtgt_null_init(void)
{
	BUILD_BUG_ON(sizeof(struct nvtgt_null_priv) > NVTGT_BACKEND_PRIV);
	return nvtgt_backend_register(&nvtgt_null_ops);
}

static void __exit nvtgt_null_exit(void)
{
	nvtgt_backend_unregister(&nvtgt_null_ops);
}

module_init(nvtgt_null_init);
module_exit(nvtgt_null_exit);

MODULE_ALIAS("nvtgt-backend-null");
MODULE_DESCRIPTION("nvtgt backend: a namespace without a disk");
MODULE_VERSION(NVTGT_VERSION);
MODULE_LICENSE("GPL");
