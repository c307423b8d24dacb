// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Namespaces
 *
 * A namespace's directory is its object; enabling it opens the backend and puts
 * it into subsys->namespaces, where commands find it. Each command that uses it
 * holds a reference in ns.ref.
 *
 * Who may still see a namespace that is being disabled, and what ends them:
 *
 * 1. Commands on their way that found it: ns.ref. percpu_ref_kill() refuses
 *    new references; disable waits until the last one is back.
 * 2. A look-up that has loaded the pointer and not yet tried for a reference:
 *    it stands in an RCU read section. ns.ref reaches zero only after a grace
 *    period, so percpu_ref_exit() comes after it.
 * 3. Identify and the size poll, which take subsys->lock: cns->enabled is
 *    cleared under it, together with the backend's close().
 * 4. Another shell at "enable": enable_lock, which is held all through. The
 *    subsystem's lock is not held during the wait, because an Identify that
 *    holds a reference may be waiting for that lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "core.h"

static unsigned int resize_poll_ms = 2000;
module_param(resize_poll_ms, uint, 0644);
MODULE_PARM_DESC(resize_poll_ms,
		 "how often the size of enabled namespaces is looked at, ms (default 2000, 0: never)");

static atomic_t nvtgt_nr_enabled = ATOMIC_INIT(0);

static void nvtgt_ns_poll_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(nvtgt_ns_poll, nvtgt_ns_poll_work);

static void nvtgt_ns_ref_release(struct percpu_ref *ref)
{
	struct nvtgt_ns *ns = container_of(ref, struct nvtgt_ns, ref);

	complete(&to_nvtgt_cns(ns)->gone);
}

/**
 * nvtgt_ns_create - make a namespace, disabled
 * @subsys: whose namespace; a reference is taken
 * @nsid: 1 … NVTGT_MAX_NSID
 *
 * Context: may sleep.
 * Return: the namespace, or NULL without memory. Ends with nvtgt_ns_destroy().
 */
struct nvtgt_cns *nvtgt_ns_create(struct nvtgt_subsys *subsys, u32 nsid)
{
	struct nvtgt_cns *cns = kzalloc(sizeof(*cns), GFP_KERNEL);

	if (!cns)
		return NULL;
	cns->stats = alloc_percpu(struct nvtgt_ns_stats);
	if (!cns->stats) {
		kfree(cns);
		return NULL;
	}
	nvtgt_subsys_get(subsys);
	cns->ns.subsys = subsys;
	cns->ns.nsid = nsid;
	cns->anagrpid = NVTGT_DEFAULT_ANA_GRPID;
	mutex_init(&cns->enable_lock);
	spin_lock_init(&cns->deferred_lock);
	INIT_LIST_HEAD(&cns->deferred);
	init_completion(&cns->gone);
	uuid_gen(&cns->uuid);
	strscpy(cns->backend_name, "bdev", sizeof(cns->backend_name));
	return cns;
}

/**
 * nvtgt_ns_destroy - free a namespace
 * @cns: disabled, and nobody has a pointer to it any more
 *
 * Context: may sleep.
 */
void nvtgt_ns_destroy(struct nvtgt_cns *cns)
{
	struct nvtgt_subsys *subsys = cns->ns.subsys;

	WARN_ON_ONCE(cns->enabled);
	kfree(cns->ns.device_path);
	kfree(cns->ns.backend_options);
	mutex_destroy(&cns->enable_lock);
	free_percpu(cns->stats);
	kfree(cns);
	nvtgt_subsys_put(subsys);
}

static void nvtgt_ns_update_max(struct nvtgt_subsys *subsys)
{
	struct nvtgt_cns *cns;
	unsigned long nsid;
	u32 max = 0;

	xa_for_each(&subsys->namespaces, nsid, cns)
		max = nsid;
	subsys->max_nsid = max;
}

static void nvtgt_ns_close(struct nvtgt_cns *cns)
{
	const struct nvtgt_backend_ops *ops = cns->ns.ops;

	ops->close(&cns->ns);
	cns->ns.ops = NULL;
	cns->ns.priv = NULL;
	module_put(ops->owner);
}

/* subsys->lock is held; owns the reference on ops->owner from here on. */
static int nvtgt_ns_open(struct nvtgt_cns *cns, const struct nvtgt_backend_ops *ops)
{
	struct nvtgt_ns *ns = &cns->ns;
	int ret;

	if (ops->needs_path && !ns->device_path) {
		pr_warn_ratelimited("%s namespace %u: enable: backend %s needs a device_path\n",
				    ns->subsys->nqn, ns->nsid, ops->name);
		module_put(ops->owner);
		return -EINVAL;
	}

	ns->ops = ops;
	ns->size = 0;
	ns->blksize_shift = 9;
	ns->phys_block_bytes = 0;
	ns->io_opt_bytes = 0;
	ns->readonly = false;
	ns->volatile_cache = false;
	ns->rotational = false;
	ns->pi_type = 0;
	ns->max_discard_blocks = 0;
	ns->max_write_zeroes_blocks = 0;
	ns->discard_zeroes = false;
	ret = ops->open(ns);
	if (ret) {
		ns->ops = NULL;
		ns->priv = NULL;
		module_put(ops->owner);
	}
	return ret;
}

/* subsys->lock is held; owns the reference on ops->owner from here on. */
static int nvtgt_ns_enable_locked(struct nvtgt_cns *cns,
				  const struct nvtgt_backend_ops *ops)
{
	struct nvtgt_ns *ns = &cns->ns;
	struct nvtgt_subsys *subsys = ns->subsys;
	int ret;

	ret = nvtgt_ns_open(cns, ops);
	if (ret)
		return ret;

	reinit_completion(&cns->gone);
	ret = percpu_ref_init(&ns->ref, nvtgt_ns_ref_release, 0, GFP_KERNEL);
	if (ret)
		goto out_close;
	ret = xa_insert(&subsys->namespaces, ns->nsid, cns, GFP_KERNEL);
	if (ret)
		goto out_exit;

	cns->enabled = true;
	subsys->nr_namespaces++;
	subsys->max_nsid = max(subsys->max_nsid, ns->nsid);
	nvtgt_ns_changed(subsys, ns->nsid);
	if (ns->readonly)
		pr_info("%s namespace %u: read-only\n", subsys->nqn, ns->nsid);
	return 0;

out_exit:
	percpu_ref_exit(&ns->ref);
out_close:
	nvtgt_ns_close(cns);
	return ret;
}

/**
 * nvtgt_ns_enable - open the backend and let hosts see the namespace
 * @cns: the namespace
 *
 * Loads the backend's module. Nothing to do when it is enabled already.
 *
 * Context: may sleep; takes enable_lock and subsys->lock.
 * Return: 0 or a negative errno; the reason has been logged.
 */
int nvtgt_ns_enable(struct nvtgt_cns *cns)
{
	const struct nvtgt_backend_ops *ops;
	struct nvtgt_subsys *subsys = cns->ns.subsys;
	int ret = 0;

	mutex_lock(&cns->enable_lock);
	if (cns->enabled)
		goto out;

	/* backend_name changes only under enable_lock */
	ops = nvtgt_backend_find(cns->backend_name);
	if (IS_ERR(ops)) {
		ret = PTR_ERR(ops);
		pr_warn_ratelimited("%s namespace %u: enable: backend %s cannot be had: error %d\n",
				    subsys->nqn, cns->ns.nsid, cns->backend_name, ret);
		goto out;
	}

	mutex_lock(&subsys->lock);
	ret = nvtgt_ns_enable_locked(cns, ops);
	mutex_unlock(&subsys->lock);
	if (!ret && atomic_inc_return(&nvtgt_nr_enabled) == 1)
		queue_delayed_work(nvtgt_wq, &nvtgt_ns_poll, HZ);
out:
	mutex_unlock(&cns->enable_lock);
	return ret;
}

/**
 * nvtgt_ns_disable - hide the namespace from hosts and close the backend
 * @cns: the namespace; nothing to do when it is disabled already
 *
 * Waits for the commands that use it.
 *
 * Context: may sleep; takes enable_lock and subsys->lock.
 */
void nvtgt_ns_disable(struct nvtgt_cns *cns)
{
	struct nvtgt_ns *ns = &cns->ns;
	struct nvtgt_subsys *subsys = ns->subsys;

	mutex_lock(&cns->enable_lock);
	if (!cns->enabled)
		goto out;

	mutex_lock(&subsys->lock);
	xa_erase(&subsys->namespaces, ns->nsid);
	subsys->nr_namespaces--;
	nvtgt_ns_update_max(subsys);
	nvtgt_ns_changed(subsys, ns->nsid);
	mutex_unlock(&subsys->lock);

	percpu_ref_kill(&ns->ref);
	wait_for_completion(&cns->gone);
	percpu_ref_exit(&ns->ref);

	mutex_lock(&subsys->lock);
	cns->enabled = false;
	nvtgt_ns_close(cns);
	mutex_unlock(&subsys->lock);
	atomic_dec(&nvtgt_nr_enabled);
out:
	mutex_unlock(&cns->enable_lock);
}

static int nvtgt_ns_revalidate_locked(struct nvtgt_cns *cns)
{
	struct nvtgt_ns *ns = &cns->ns;
	bool was_readonly = ns->readonly;
	loff_t old = ns->size;
	int ret;

	if (!cns->enabled || !ns->ops->revalidate)
		return 0;
	ret = ns->ops->revalidate(ns);
	if (ret || (ns->size == old && ns->readonly == was_readonly))
		return ret;
	pr_info("%s namespace %u: %lld bytes, were %lld%s\n", ns->subsys->nqn, ns->nsid,
		ns->size, old, ns->readonly ? ", read-only" : "");
	nvtgt_ns_changed(ns->subsys, ns->nsid);
	return 0;
}

/**
 * nvtgt_ns_revalidate - look at the device's size again
 * @cns: the namespace; the caller has a reference of any kind
 *
 * A changed size, or that it is read-only, is told to the hosts. Nothing to do for a disabled namespace.
 *
 * Context: may sleep; takes subsys->lock.
 * Return: 0, or the backend's error.
 */
int nvtgt_ns_revalidate(struct nvtgt_cns *cns)
{
	struct nvtgt_subsys *subsys = cns->ns.subsys;
	int ret;

	mutex_lock(&subsys->lock);
	ret = nvtgt_ns_revalidate_locked(cns);
	mutex_unlock(&subsys->lock);
	return ret;
}

/**
 * nvtgt_ns_set_options - change the backend's options
 * @cns: the namespace
 * @options: as the backend understands them; "" for none
 *
 * They are judged now if the namespace is enabled, when it is enabled otherwise.
 *
 * Context: may sleep; takes subsys->lock.
 * Return: 0; -EBUSY when the backend cannot change them while it is open;
 * another negative errno.
 */
int nvtgt_ns_set_options(struct nvtgt_cns *cns, const char *options)
{
	struct nvtgt_ns *ns = &cns->ns;
	char *copy = kstrdup(options, GFP_KERNEL);
	loff_t old;
	int ret = 0;

	if (!copy)
		return -ENOMEM;

	mutex_lock(&ns->subsys->lock);
	old = ns->size;
	if (cns->enabled && strcmp(ns->backend_options ?: "", copy))
		ret = ns->ops->set_options ? ns->ops->set_options(ns, copy) : -EBUSY;
	if (!ret) {
		swap(ns->backend_options, copy);
		if (cns->enabled && ns->size != old)
			nvtgt_ns_changed(ns->subsys, ns->nsid);
	}
	mutex_unlock(&ns->subsys->lock);
	kfree(copy);
	return ret;
}

static void nvtgt_ns_poll_subsys(struct nvtgt_subsys *subsys)
{
	struct nvtgt_cns *cns;
	unsigned long nsid;

	/* a device may hang in open() under this lock, and hosts' Connects wait for us */
	if (!mutex_trylock(&subsys->lock))
		return;
	xa_for_each(&subsys->namespaces, nsid, cns)
		nvtgt_ns_revalidate_locked(cns);
	mutex_unlock(&subsys->lock);
}

/*
 * No kernel before 6.13 tells the opener of a device that its size has changed,
 * and a file never does: look.
 */
static void nvtgt_ns_poll_work(struct work_struct *work)
{
	unsigned int period_ms = READ_ONCE(resize_poll_ms);
	struct nvtgt_subsys *subsys;

	if (period_ms) {
		down_read(&nvtgt_config_sem);
		list_for_each_entry(subsys, &nvtgt_subsystems, entry)
			nvtgt_ns_poll_subsys(subsys);
		up_read(&nvtgt_config_sem);
	}
	if (atomic_read(&nvtgt_nr_enabled))
		queue_delayed_work(nvtgt_wq, &nvtgt_ns_poll,
				   msecs_to_jiffies(period_ms ?: MSEC_PER_SEC));
}

/**
 * nvtgt_ns_poll_stop - no more looks at sizes
 *
 * Context: module unload; no namespace is left.
 */
void nvtgt_ns_poll_stop(void)
{
	cancel_delayed_work_sync(&nvtgt_ns_poll);
}
