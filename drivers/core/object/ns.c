// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Namespaces
 *
 * A namespace's directory is its object; enabling it opens the backend and puts
 * it into subsys->namespaces, where commands find it. Each command that uses it
 * holds a reference in ns.ref.
 *
 * What may still use a namespace that is being disabled, and what ends that:
 *
 * 1. Commands on their way that found it: ns.ref. percpu_ref_kill() refuses
 *    new references; disable waits until the last one is back.
 * 2. A look-up that has loaded the pointer and not yet tried for a reference: the
 *    look-up is an RCU read-side critical section. ns.ref reaches zero only after a
 *    grace period, so percpu_ref_exit() comes after the look-up.
 * 3. Another thread that writes "enable", "backend_options" or "revalidate_size":
 *    enable_lock, which is held all through.
 * 4. poll_work, which only tries for enable_lock, and is cancelled before the wait
 *    for the last command. An Identify, which has a reference, only tries for
 *    enable_lock, too: the wait under enable_lock may be for that Identify.
 * 5. lost_work: nvtgt_ns_lost() is called from open(), a command or a look at the
 *    size; the work is cancelled when none of these can run any more.
 * 6. nvtgt_req_cancel() and nvtgt_late_is_hidden(), which may find the namespace
 *    while its command is completed: under RCU, so kfree_rcu() frees the memory.
 *
 * A device may hang for ever in the backend's open(), close() or revalidate(). So
 * these are called under enable_lock, the namespace's own, and no other lock.
 * What open() reads of the configuration does not change meanwhile: core_ns->in_use
 * stands from before open() until after close().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "object.h"

static unsigned int resize_poll_ms = 2000;
module_param(resize_poll_ms, uint, 0644);
MODULE_PARM_DESC(resize_poll_ms,
		 "how often the size of enabled namespaces is looked at, ms (default 2000, 0: never)");

/* how long rmdir waits for the device, seconds */
#define NVTGT_NS_REMOVE_S	5

static void nvtgt_ns_poll_work(struct work_struct *work);
static void nvtgt_ns_poll_again(struct nvtgt_core_ns *core_ns);
static void nvtgt_ns_lost_work(struct work_struct *work);
static void nvtgt_ns_remove_work(struct work_struct *work);

static void nvtgt_ns_ref_release(struct percpu_ref *ref)
{
	struct nvtgt_ns *ns = container_of(ref, struct nvtgt_ns, ref);

	complete(&to_nvtgt_core_ns(ns)->gone);
}

/**
 * nvtgt_ns_create - make a namespace, disabled
 * @subsys: whose namespace; a reference is taken
 * @nsid: 1 … NVTGT_MAX_NSID
 *
 * Context: may sleep.
 * Return: the namespace, or NULL without memory. Ends with nvtgt_ns_destroy().
 */
struct nvtgt_core_ns *nvtgt_ns_create(struct nvtgt_subsys *subsys, u32 nsid)
{
	struct nvtgt_core_ns *core_ns = kzalloc(sizeof(*core_ns), GFP_KERNEL);

	if (!core_ns)
		return NULL;
	core_ns->stats = alloc_percpu(struct nvtgt_ns_stats);
	if (!core_ns->stats) {
		kfree(core_ns);
		return NULL;
	}
	nvtgt_subsys_get(subsys);
	core_ns->ns.subsys = subsys;
	core_ns->ns.nsid = nsid;
	core_ns->conf_anagrpid = NVTGT_DEFAULT_ANA_GRPID;
	core_ns->anagrpid = core_ns->conf_anagrpid;
	INIT_WORK(&core_ns->lost_work, nvtgt_ns_lost_work);
	INIT_WORK(&core_ns->remove_work, nvtgt_ns_remove_work);
	mutex_init(&core_ns->enable_lock);
	spin_lock_init(&core_ns->deferred_lock);
	INIT_LIST_HEAD(&core_ns->deferred);
	init_completion(&core_ns->gone);
	init_completion(&core_ns->removed);
	INIT_DELAYED_WORK(&core_ns->poll_work, nvtgt_ns_poll_work);
	uuid_gen(&core_ns->uuid);
	strscpy(core_ns->backend_name, "bdev", sizeof(core_ns->backend_name));
	return core_ns;
}

/**
 * nvtgt_ns_destroy - free a namespace
 * @core_ns: disabled; only RCU readers may still have a pointer to it
 *
 * Context: may sleep.
 */
void nvtgt_ns_destroy(struct nvtgt_core_ns *core_ns)
{
	struct nvtgt_subsys *subsys = core_ns->ns.subsys;

	WARN_ON_ONCE(core_ns->enabled);
	kfree(core_ns->ns.device_path);
	kfree(core_ns->ns.backend_options);
	mutex_destroy(&core_ns->enable_lock);
	free_percpu(core_ns->stats);
	kfree_rcu(core_ns, rcu);	/* nvtgt_req_cancel(), nvtgt_late_is_hidden() */
	nvtgt_subsys_put(subsys);
}

static void nvtgt_ns_update_max(struct nvtgt_subsys *subsys)
{
	struct nvtgt_core_ns *core_ns;
	unsigned long nsid;
	u32 max = 0;

	xa_for_each(&subsys->namespaces, nsid, core_ns)
		max = nsid;
	subsys->max_nsid = max;
}

static void nvtgt_ns_close(struct nvtgt_core_ns *core_ns)
{
	const struct nvtgt_backend_ops *ops = core_ns->ns.ops;

	ops->close(&core_ns->ns);
	cancel_work_sync(&core_ns->lost_work);
	core_ns->ns.ops = NULL;
	core_ns->ns.priv = NULL;
	module_put(ops->owner);
}

/* open() of @ops has succeeded, and has perhaps set ns->ops to another table. */
static int nvtgt_ns_check_ops(struct nvtgt_ns *ns, const struct nvtgt_backend_ops *ops)
{
	const char *missing = nvtgt_backend_missing(ns->ops);

	/* the namespace's reference is on the module of the table that was registered */
	if (ns->ops->owner != ops->owner)
		missing = "the same owner";
	if (likely(!missing))
		return 0;
	pr_err("backend %s: %s is missing\n", ops->name, missing);
	ops->close(ns);
	return -EINVAL;
}

/* enable_lock is held; takes over the reference on ops->owner, puts it on failure. */
static atomic_t nvtgt_ns_opened = ATOMIC_INIT(0);	/* how often namespaces were opened */

static int nvtgt_ns_open(struct nvtgt_core_ns *core_ns, const struct nvtgt_backend_ops *ops)
{
	struct nvtgt_ns *ns = &core_ns->ns;
	int ret;

	if (ops->needs_path && !ns->device_path) {
		pr_warn_ratelimited("%s namespace %u: enable: backend %s needs a device_path\n",
				    ns->subsys->nqn, ns->nsid, ops->name);
		module_put(ops->owner);
		return -EINVAL;
	}

	ns->ops = ops;
	ns->opened = atomic_inc_return(&nvtgt_ns_opened);
	ns->size = 0;
	ns->blksize_shift = 9;
	ns->phys_block_bytes = 0;
	ns->io_opt_bytes = 0;
	ns->readonly = false;
	ns->volatile_cache = false;
	ns->rotational = false;
	ns->pi_type = 0;
	ns->seg_offset_mask = 0;
	ns->seg_len_mask = 0;
	ns->stable_writes = false;
	ns->max_discard_blocks = 0;
	ns->max_write_zeroes_blocks = 0;
	ns->discard_zeroes = false;
	ret = ops->open(ns);
	if (!ret)
		ret = nvtgt_ns_check_ops(ns, ops);
	if (ret) {
		/* open() may have found that the device is gone */
		cancel_work_sync(&core_ns->lost_work);
		ns->ops = NULL;
		ns->priv = NULL;
		module_put(ops->owner);
	}
	return ret;
}

/* Opened and with a reference count: hosts may see it from now on. */
static int nvtgt_ns_show(struct nvtgt_core_ns *core_ns)
{
	struct nvtgt_ns *ns = &core_ns->ns;
	struct nvtgt_subsys *subsys = ns->subsys;
	int ret;

	mutex_lock(&subsys->lock);
	ret = xa_insert(&subsys->namespaces, ns->nsid, core_ns, GFP_KERNEL);
	if (!ret) {
		WRITE_ONCE(core_ns->enabled, true);
		subsys->nr_namespaces++;
		subsys->max_nsid = max(subsys->max_nsid, ns->nsid);
		nvtgt_ns_changed(subsys, ns->nsid);
	}
	mutex_unlock(&subsys->lock);
	return ret;
}

/* No command finds it any more; those that have found it go on. */
static void nvtgt_ns_hide(struct nvtgt_core_ns *core_ns)
{
	struct nvtgt_ns *ns = &core_ns->ns;
	struct nvtgt_subsys *subsys = ns->subsys;

	mutex_lock(&subsys->lock);
	xa_erase(&subsys->namespaces, ns->nsid);
	subsys->nr_namespaces--;
	nvtgt_ns_update_max(subsys);
	nvtgt_ns_changed(subsys, ns->nsid);
	mutex_unlock(&subsys->lock);
}

/* No host sees it; with in_use set, what open() reads still does not change. */
static void nvtgt_ns_set_disabled(struct nvtgt_core_ns *core_ns, bool in_use)
{
	struct nvtgt_subsys *subsys = core_ns->ns.subsys;

	mutex_lock(&subsys->lock);
	WRITE_ONCE(core_ns->enabled, false);
	core_ns->in_use = in_use;
	atomic_set(&core_ns->lost, 0);
	nvtgt_ns_set_anagrp(core_ns);
	mutex_unlock(&subsys->lock);
}

/* enable_lock is held, in_use is set. */
static int nvtgt_ns_open_and_show(struct nvtgt_core_ns *core_ns)
{
	const struct nvtgt_backend_ops *ops = nvtgt_backend_find(core_ns->backend_name);
	struct nvtgt_ns *ns = &core_ns->ns;
	int ret;

	if (IS_ERR(ops)) {
		ret = PTR_ERR(ops);
		pr_warn_ratelimited("%s namespace %u: enable: backend %s cannot be had: error %d\n",
				    ns->subsys->nqn, ns->nsid, core_ns->backend_name, ret);
		return ret;
	}
	ret = nvtgt_ns_open(core_ns, ops);
	if (ret)
		return ret;
	if (atomic_read(&core_ns->lost)) {
		/* a namespace without a size must not be shown to hosts */
		pr_warn_ratelimited("%s namespace %u: enable: %s has been taken away just now\n",
				    ns->subsys->nqn, ns->nsid, ns->device_path ?: "its device");
		ret = -ENODEV;
		goto out_close;
	}

	/* the caller may have been killed while the device held up open() */
	ret = -EINTR;
	if (fatal_signal_pending(current))
		goto out_close;

	reinit_completion(&core_ns->gone);
	ret = percpu_ref_init(&ns->ref, nvtgt_ns_ref_release, 0, GFP_KERNEL);
	if (ret)
		goto out_close;
	ret = nvtgt_ns_show(core_ns);
	if (ret)
		goto out_exit;
	if (ns->readonly)
		pr_info("%s namespace %u: read-only\n", ns->subsys->nqn, ns->nsid);
	return 0;

out_exit:
	percpu_ref_exit(&ns->ref);
out_close:
	nvtgt_ns_close(core_ns);
	return ret;
}

/* Tells the hosts that the namespace is in another ANA group. */
static void nvtgt_ns_tell_ana(struct nvtgt_core_ns *core_ns)
{
	down_read(&nvtgt_config_sem);
	nvtgt_ana_changed(core_ns->ns.subsys, NULL);
	up_read(&nvtgt_config_sem);
}

/**
 * nvtgt_ns_enable - open the backend and let hosts see the namespace
 * @core_ns: the namespace
 *
 * Loads the backend's module. Nothing to do when it is enabled already.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and, without
 *	waiting for the device, nvtgt_config_sem and subsys->lock.
 * Return: 0 or a negative errno; the reason has been logged. -EINTR, without a line: a
 *	signal came while another thread enabled or disabled the namespace, or the
 *	caller was killed while the device was opened.
 */
int nvtgt_ns_enable(struct nvtgt_core_ns *core_ns)
{
	bool found_again = false;
	int ret = 0;

	if (mutex_lock_interruptible(&core_ns->enable_lock))
		return -EINTR;
	if (!core_ns->enabled) {
		nvtgt_ns_set_disabled(core_ns, true);
		ret = nvtgt_ns_open_and_show(core_ns);
		if (ret) {
			nvtgt_ns_set_disabled(core_ns, false);
		} else {
			nvtgt_ns_poll_again(core_ns);
			found_again = core_ns->was_lost;
			core_ns->was_lost = false;
		}
	}
	mutex_unlock(&core_ns->enable_lock);
	/*
	 * A host that has not seen that it was disabled has the same namespace before and
	 * after, and takes its group from the ANA log alone.
	 */
	if (found_again)
		nvtgt_ns_tell_ana(core_ns);
	return ret;
}

/* core_ns->gone completes with the last command. */
static void nvtgt_ns_hide_and_kill(struct nvtgt_core_ns *core_ns)
{
	nvtgt_ns_hide(core_ns);
	percpu_ref_kill(&core_ns->ns.ref);
}

/* After core_ns->gone: nothing uses the namespace. */
static void nvtgt_ns_close_gone(struct nvtgt_core_ns *core_ns)
{
	percpu_ref_exit(&core_ns->ns.ref);
	if (atomic_read(&core_ns->lost))
		core_ns->was_lost = true;
	nvtgt_ns_set_disabled(core_ns, true);
	nvtgt_ns_close(core_ns);
	nvtgt_ns_set_disabled(core_ns, false);
}

/**
 * nvtgt_ns_disable - hide the namespace from hosts and close the backend
 * @core_ns: the namespace; nothing to do when it is disabled already
 *
 * Waits for the commands that use it.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and, without
 *	waiting for the device, subsys->lock.
 */
void nvtgt_ns_disable(struct nvtgt_core_ns *core_ns)
{
	mutex_lock(&core_ns->enable_lock);
	if (core_ns->enabled) {
		if (!core_ns->hidden)
			nvtgt_ns_hide_and_kill(core_ns);
		cancel_delayed_work_sync(&core_ns->poll_work);
		wait_for_completion(&core_ns->gone);
		nvtgt_ns_close_gone(core_ns);
	}
	mutex_unlock(&core_ns->enable_lock);
}

static void nvtgt_ns_remove_work(struct work_struct *work)
{
	struct nvtgt_core_ns *core_ns = container_of(work, struct nvtgt_core_ns, remove_work);

	nvtgt_ns_disable(core_ns);
	complete(&core_ns->removed);
	config_item_put(&core_ns->group.cg_item);
}

/**
 * nvtgt_ns_remove - disable a namespace whose directory is being removed
 * @core_ns: the namespace; the caller's reference on its configfs item is taken over
 *
 * configfs holds su_mutex here, which each mkdir and rmdir in the tree needs. So the
 * namespace is only hidden from hosts, a work does the rest, and the wait for that work is
 * bounded: a device may not answer a command, revalidate() or close().
 *
 * Context: may sleep; takes subsys->lock. No store to an attribute of the namespace is
 *	under way, and none will begin, which configfs sees to.
 */
void nvtgt_ns_remove(struct nvtgt_core_ns *core_ns)
{
	if (core_ns->enabled) {
		nvtgt_ns_hide_and_kill(core_ns);
		core_ns->hidden = true;
	}
	config_item_get(&core_ns->group.cg_item);	/* for the work */
	/* not on nvtgt_wq, where a Connect could wait for its worker */
	queue_work(nvtgt_remove_wq, &core_ns->remove_work);
	if (!wait_for_completion_timeout(&core_ns->removed, NVTGT_NS_REMOVE_S * HZ))
		pr_warn("%s namespace %u: removed, but its device does not answer; it is closed when it has\n",
			core_ns->ns.subsys->nqn, core_ns->ns.nsid);
	config_item_put(&core_ns->group.cg_item);
}

/* Tells the hosts that the namespace is not as it was. */
static void nvtgt_ns_tell_change(struct nvtgt_core_ns *core_ns)
{
	struct nvtgt_subsys *subsys = core_ns->ns.subsys;

	mutex_lock(&subsys->lock);
	nvtgt_ns_changed(subsys, core_ns->ns.nsid);
	mutex_unlock(&subsys->lock);
}

static int nvtgt_ns_revalidate_locked(struct nvtgt_core_ns *core_ns)
{
	struct nvtgt_ns *ns = &core_ns->ns;
	bool was_readonly = ns->readonly;
	loff_t old = ns->size;
	int ret;

	lockdep_assert_held(&core_ns->enable_lock);
	/* a device that is gone has no size; its namespace keeps the one it had */
	if (!core_ns->enabled || !ns->ops->revalidate || atomic_read(&core_ns->lost))
		return 0;
	ret = ns->ops->revalidate(ns);
	if (ret || (ns->size == old && ns->readonly == was_readonly))
		return ret;
	pr_info("%s namespace %u: %lld bytes, were %lld%s\n", ns->subsys->nqn, ns->nsid,
		ns->size, old, ns->readonly ? ", read-only" : "");
	nvtgt_ns_tell_change(core_ns);
	return 0;
}

/**
 * nvtgt_ns_revalidate - look at the device's size again
 * @core_ns: the namespace; the caller has no reference in ns.ref
 *
 * Hosts are told when the size has changed, or whether the device is read-only. Nothing to
 * do for a disabled namespace.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and subsys->lock.
 * Return: 0, or the backend's error; -EINTR: a signal came.
 */
int nvtgt_ns_revalidate(struct nvtgt_core_ns *core_ns)
{
	int ret;

	if (mutex_lock_interruptible(&core_ns->enable_lock))
		return -EINTR;
	ret = nvtgt_ns_revalidate_locked(core_ns);
	mutex_unlock(&core_ns->enable_lock);
	return ret;
}

/**
 * nvtgt_ns_try_revalidate - look at the device's size again, unless another thread does
 * @core_ns: the namespace; the caller may have a reference in ns.ref
 *
 * As nvtgt_ns_revalidate(), but does nothing while another thread holds enable_lock.
 *
 * Context: may sleep; takes enable_lock if it is free, and subsys->lock.
 */
void nvtgt_ns_try_revalidate(struct nvtgt_core_ns *core_ns)
{
	if (!mutex_trylock(&core_ns->enable_lock))
		return;
	nvtgt_ns_revalidate_locked(core_ns);
	mutex_unlock(&core_ns->enable_lock);
}

/* Lets the backend judge and take new options, if it is open; enable_lock is held. */
static int nvtgt_ns_take_options(struct nvtgt_core_ns *core_ns, const char *options)
{
	struct nvtgt_ns *ns = &core_ns->ns;

	if (!core_ns->enabled || !strcmp(ns->backend_options ?: "", options))
		return 0;
	return ns->ops->set_options ? ns->ops->set_options(ns, options) : -EBUSY;
}

/**
 * nvtgt_ns_set_options - change the backend's options
 * @core_ns: the namespace
 * @options: as the backend understands them; "" for none
 *
 * The backend judges them now if the namespace is enabled, else when it is enabled.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and subsys->lock.
 * Return: 0; -EBUSY when the backend cannot change them while it is open; -EINTR: a
 * signal came; another negative errno.
 */
int nvtgt_ns_set_options(struct nvtgt_core_ns *core_ns, const char *options)
{
	struct nvtgt_ns *ns = &core_ns->ns;
	char *copy = kstrdup(options, GFP_KERNEL);
	loff_t old;
	int ret;

	if (!copy)
		return -ENOMEM;
	if (mutex_lock_interruptible(&core_ns->enable_lock)) {
		kfree(copy);
		return -EINTR;
	}
	old = ns->size;
	ret = nvtgt_ns_take_options(core_ns, copy);
	if (!ret) {
		mutex_lock(&ns->subsys->lock);
		swap(ns->backend_options, copy);
		mutex_unlock(&ns->subsys->lock);
		if (core_ns->enabled && ns->size != old)
			nvtgt_ns_tell_change(core_ns);
	}
	mutex_unlock(&core_ns->enable_lock);
	kfree(copy);
	return ret;
}

/**
 * nvtgt_ns_set_anagrp - put the namespace into the ANA group that hosts are to see
 * @core_ns: the namespace; conf_anagrpid or lost has changed
 *
 * Context: subsys->lock is held.
 */
void nvtgt_ns_set_anagrp(struct nvtgt_core_ns *core_ns)
{
	lockdep_assert_held(&core_ns->ns.subsys->lock);
	WRITE_ONCE(core_ns->anagrpid, core_ns->conf_anagrpid);
	smp_mb();	/* pairs with the exchange in nvtgt_ns_lost(): a loss is not overwritten */
	if (atomic_read(&core_ns->lost))
		WRITE_ONCE(core_ns->anagrpid, NVTGT_LOST_ANAGRP);
}

static void nvtgt_ns_lost_work(struct work_struct *work)
{
	struct nvtgt_core_ns *core_ns = container_of(work, struct nvtgt_core_ns, lost_work);
	struct nvtgt_ns *ns = &core_ns->ns;

	pr_err("%s namespace %u: %s is gone; hosts are told that the namespace is lost on all ports\n",
	       ns->subsys->nqn, ns->nsid, ns->device_path ?: "its device");
	nvtgt_ns_tell_ana(core_ns);
}

/**
 * nvtgt_ns_lost - the device is gone and does not come back by itself
 * @ns: an open namespace, or one whose open() runs
 *
 * Until it is disabled and enabled again, hosts see the namespace with the size that
 * it had, in the ANA state persistent loss, so that they use other paths to it. Only
 * the first call does something.
 *
 * Context: any; from open(), a command's function, its completion, or revalidate().
 */
void nvtgt_ns_lost(struct nvtgt_ns *ns)
{
	struct nvtgt_core_ns *core_ns = to_nvtgt_core_ns(ns);

	if (atomic_xchg(&core_ns->lost, 1))
		return;
	/* before the first command is answered: the host reads the ANA log at once */
	WRITE_ONCE(core_ns->anagrpid, NVTGT_LOST_ANAGRP);
	queue_work(nvtgt_wq, &core_ns->lost_work);
}
EXPORT_SYMBOL_GPL(nvtgt_ns_lost);

/* Looks are due at the same time for all namespaces: an idle machine wakes up once. */
static void nvtgt_ns_poll_again(struct nvtgt_core_ns *core_ns)
{
	unsigned long period = msecs_to_jiffies(READ_ONCE(resize_poll_ms) ?: MSEC_PER_SEC);

	queue_delayed_work(nvtgt_wq, &core_ns->poll_work, period - jiffies % period);
}

/*
 * Backends are not told when the size of their device or file changes: look. Each
 * namespace has its own work, for a device may hang.
 */
static void nvtgt_ns_poll_work(struct work_struct *work)
{
	struct nvtgt_core_ns *core_ns = container_of(to_delayed_work(work), struct nvtgt_core_ns,
						     poll_work);

	if (READ_ONCE(resize_poll_ms))
		nvtgt_ns_try_revalidate(core_ns);
	nvtgt_ns_poll_again(core_ns);
}
