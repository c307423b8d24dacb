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
 * 3. Another shell at "enable", "backend_options" or "revalidate_size":
 *    enable_lock, which is held all through.
 * 4. The look at its size, which only tries for enable_lock, and is cancelled
 *    before the wait for the last command. An Identify, which has a reference,
 *    only tries for it, too: the wait under enable_lock may be for that Identify.
 * 5. The news that its device is gone: it comes from a command or a look at the
 *    size; its work is cancelled when there are none any more.
 *
 * A device may hang for ever in the backend's open(), close() or revalidate(). So
 * these are called under enable_lock, the namespace's own, and no other lock.
 * What open() reads of the configuration does not change meanwhile: cns->in_use
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
static void nvtgt_ns_poll_again(struct nvtgt_cns *cns);
static void nvtgt_ns_lost_work(struct work_struct *work);
static void nvtgt_ns_remove_work(struct work_struct *work);

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
	cns->conf_anagrpid = NVTGT_DEFAULT_ANA_GRPID;
	cns->anagrpid = cns->conf_anagrpid;
	INIT_WORK(&cns->lost_work, nvtgt_ns_lost_work);
	INIT_WORK(&cns->remove_work, nvtgt_ns_remove_work);
	mutex_init(&cns->enable_lock);
	spin_lock_init(&cns->deferred_lock);
	INIT_LIST_HEAD(&cns->deferred);
	init_completion(&cns->gone);
	init_completion(&cns->removed);
	INIT_DELAYED_WORK(&cns->poll_work, nvtgt_ns_poll_work);
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
	kfree_rcu(cns, rcu);		/* nvtgt_req_cancel() */
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
	cancel_work_sync(&cns->lost_work);
	cns->ns.ops = NULL;
	cns->ns.priv = NULL;
	module_put(ops->owner);
}

/* enable_lock is held; owns the reference on ops->owner from here on. */
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

/* Opened and with a reference count: hosts may see it from now on. */
static int nvtgt_ns_show(struct nvtgt_cns *cns)
{
	struct nvtgt_ns *ns = &cns->ns;
	struct nvtgt_subsys *subsys = ns->subsys;
	int ret;

	mutex_lock(&subsys->lock);
	ret = xa_insert(&subsys->namespaces, ns->nsid, cns, GFP_KERNEL);
	if (!ret) {
		WRITE_ONCE(cns->enabled, true);
		subsys->nr_namespaces++;
		subsys->max_nsid = max(subsys->max_nsid, ns->nsid);
		nvtgt_ns_changed(subsys, ns->nsid);
	}
	mutex_unlock(&subsys->lock);
	return ret;
}

/* No command finds it any more; those that have found it go on. */
static void nvtgt_ns_hide(struct nvtgt_cns *cns)
{
	struct nvtgt_ns *ns = &cns->ns;
	struct nvtgt_subsys *subsys = ns->subsys;

	mutex_lock(&subsys->lock);
	xa_erase(&subsys->namespaces, ns->nsid);
	subsys->nr_namespaces--;
	nvtgt_ns_update_max(subsys);
	nvtgt_ns_changed(subsys, ns->nsid);
	mutex_unlock(&subsys->lock);
}

/* No host sees it; with in_use set, what open() reads still does not change. */
static void nvtgt_ns_set_disabled(struct nvtgt_cns *cns, bool in_use)
{
	struct nvtgt_subsys *subsys = cns->ns.subsys;

	mutex_lock(&subsys->lock);
	WRITE_ONCE(cns->enabled, false);
	cns->in_use = in_use;
	atomic_set(&cns->lost, 0);
	nvtgt_ns_set_anagrp(cns);
	mutex_unlock(&subsys->lock);
}

/* enable_lock is held, in_use is set. */
static int nvtgt_ns_open_and_show(struct nvtgt_cns *cns)
{
	const struct nvtgt_backend_ops *ops = nvtgt_backend_find(cns->backend_name);
	struct nvtgt_ns *ns = &cns->ns;
	int ret;

	if (IS_ERR(ops)) {
		ret = PTR_ERR(ops);
		pr_warn_ratelimited("%s namespace %u: enable: backend %s cannot be had: error %d\n",
				    ns->subsys->nqn, ns->nsid, cns->backend_name, ret);
		return ret;
	}
	ret = nvtgt_ns_open(cns, ops);
	if (ret)
		return ret;
	if (atomic_read(&cns->lost)) {
		/* it has no size, which hosts must not see */
		pr_warn_ratelimited("%s namespace %u: enable: %s has been taken away just now\n",
				    ns->subsys->nqn, ns->nsid, ns->device_path ?: "its device");
		ret = -ENODEV;
		goto out_close;
	}

	/* a device may have held up the caller for longer than it has lived */
	ret = -EINTR;
	if (fatal_signal_pending(current))
		goto out_close;

	reinit_completion(&cns->gone);
	ret = percpu_ref_init(&ns->ref, nvtgt_ns_ref_release, 0, GFP_KERNEL);
	if (ret)
		goto out_close;
	ret = nvtgt_ns_show(cns);
	if (ret)
		goto out_exit;
	if (ns->readonly)
		pr_info("%s namespace %u: read-only\n", ns->subsys->nqn, ns->nsid);
	return 0;

out_exit:
	percpu_ref_exit(&ns->ref);
out_close:
	nvtgt_ns_close(cns);
	return ret;
}

/* Tells the hosts that the namespace is in another ANA group. */
static void nvtgt_ns_tell_ana(struct nvtgt_cns *cns)
{
	down_read(&nvtgt_config_sem);
	nvtgt_ana_changed(cns->ns.subsys, NULL);
	up_read(&nvtgt_config_sem);
}

/**
 * nvtgt_ns_enable - open the backend and let hosts see the namespace
 * @cns: the namespace
 *
 * Loads the backend's module. Nothing to do when it is enabled already.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and, without
 *	waiting for the device, nvtgt_config_sem and subsys->lock.
 * Return: 0 or a negative errno; the reason has been logged. -EINTR, without a line: a
 *	signal came while another thread enabled or disabled the namespace, or the
 *	caller was killed while the device was opened.
 */
int nvtgt_ns_enable(struct nvtgt_cns *cns)
{
	bool found_again = false;
	int ret = 0;

	if (mutex_lock_interruptible(&cns->enable_lock))
		return -EINTR;
	if (!cns->enabled) {
		nvtgt_ns_set_disabled(cns, true);
		ret = nvtgt_ns_open_and_show(cns);
		if (ret) {
			nvtgt_ns_set_disabled(cns, false);
		} else {
			nvtgt_ns_poll_again(cns);
			found_again = cns->was_lost;
			cns->was_lost = false;
		}
	}
	mutex_unlock(&cns->enable_lock);
	/*
	 * A host that has not seen that it was disabled has the same namespace before and
	 * after, and takes its group from the ANA log alone.
	 */
	if (found_again)
		nvtgt_ns_tell_ana(cns);
	return ret;
}

/* cns->gone completes with the last command. */
static void nvtgt_ns_hide_and_kill(struct nvtgt_cns *cns)
{
	nvtgt_ns_hide(cns);
	percpu_ref_kill(&cns->ns.ref);
}

/* After cns->gone: nothing uses the namespace. */
static void nvtgt_ns_close_gone(struct nvtgt_cns *cns)
{
	percpu_ref_exit(&cns->ns.ref);
	if (atomic_read(&cns->lost))
		cns->was_lost = true;
	nvtgt_ns_set_disabled(cns, true);
	nvtgt_ns_close(cns);
	nvtgt_ns_set_disabled(cns, false);
}

/**
 * nvtgt_ns_disable - hide the namespace from hosts and close the backend
 * @cns: the namespace; nothing to do when it is disabled already
 *
 * Waits for the commands that use it.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and, without
 *	waiting for the device, subsys->lock.
 */
void nvtgt_ns_disable(struct nvtgt_cns *cns)
{
	mutex_lock(&cns->enable_lock);
	if (cns->enabled) {
		if (!cns->hidden)
			nvtgt_ns_hide_and_kill(cns);
		cancel_delayed_work_sync(&cns->poll_work);
		wait_for_completion(&cns->gone);
		nvtgt_ns_close_gone(cns);
	}
	mutex_unlock(&cns->enable_lock);
}

static void nvtgt_ns_remove_work(struct work_struct *work)
{
	struct nvtgt_cns *cns = container_of(work, struct nvtgt_cns, remove_work);

	nvtgt_ns_disable(cns);
	complete(&cns->removed);
	config_item_put(&cns->group.cg_item);
}

/**
 * nvtgt_ns_remove - disable a namespace whose directory is being removed
 * @cns: the namespace; the caller's reference on its configfs item is taken over
 *
 * configfs holds the lock of the whole tree's directories here. So hosts lose sight of
 * the namespace, a work does the rest, and the wait for that is bounded: a device may
 * not answer a command, the look at its size, or the backend that closes it.
 *
 * Context: may sleep; takes subsys->lock. No store to an attribute of the namespace is
 *	under way, and none will begin, which configfs sees to.
 */
void nvtgt_ns_remove(struct nvtgt_cns *cns)
{
	if (cns->enabled) {
		nvtgt_ns_hide_and_kill(cns);
		cns->hidden = true;
	}
	config_item_get(&cns->group.cg_item);	/* for the work */
	/* not on nvtgt_wq, where a Connect could wait for its worker */
	queue_work(nvtgt_remove_wq, &cns->remove_work);
	if (!wait_for_completion_timeout(&cns->removed, NVTGT_NS_REMOVE_S * HZ))
		pr_warn("%s namespace %u: removed, but its device does not answer; it is closed when it has\n",
			cns->ns.subsys->nqn, cns->ns.nsid);
	config_item_put(&cns->group.cg_item);
}

/* Tells the hosts that the namespace is not as it was. */
static void nvtgt_ns_tell_change(struct nvtgt_cns *cns)
{
	struct nvtgt_subsys *subsys = cns->ns.subsys;

	mutex_lock(&subsys->lock);
	nvtgt_ns_changed(subsys, cns->ns.nsid);
	mutex_unlock(&subsys->lock);
}

static int nvtgt_ns_revalidate_locked(struct nvtgt_cns *cns)
{
	struct nvtgt_ns *ns = &cns->ns;
	bool was_readonly = ns->readonly;
	loff_t old = ns->size;
	int ret;

	lockdep_assert_held(&cns->enable_lock);
	/* a device that is gone has no size; its namespace keeps the one it had */
	if (!cns->enabled || !ns->ops->revalidate || atomic_read(&cns->lost))
		return 0;
	ret = ns->ops->revalidate(ns);
	if (ret || (ns->size == old && ns->readonly == was_readonly))
		return ret;
	pr_info("%s namespace %u: %lld bytes, were %lld%s\n", ns->subsys->nqn, ns->nsid,
		ns->size, old, ns->readonly ? ", read-only" : "");
	nvtgt_ns_tell_change(cns);
	return 0;
}

/**
 * nvtgt_ns_revalidate - look at the device's size again
 * @cns: the namespace; the caller has no reference in ns.ref
 *
 * A changed size, or that it is read-only, is told to the hosts. Nothing to do for a disabled namespace.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and subsys->lock.
 * Return: 0, or the backend's error; -EINTR: a signal came.
 */
int nvtgt_ns_revalidate(struct nvtgt_cns *cns)
{
	int ret;

	if (mutex_lock_interruptible(&cns->enable_lock))
		return -EINTR;
	ret = nvtgt_ns_revalidate_locked(cns);
	mutex_unlock(&cns->enable_lock);
	return ret;
}

/**
 * nvtgt_ns_try_revalidate - look at the device's size again, unless another thread does
 * @cns: the namespace; the caller may have a reference in ns.ref
 *
 * As nvtgt_ns_revalidate(); nothing to do while the namespace is looked at or disabled.
 *
 * Context: may sleep; takes enable_lock if it is free, and subsys->lock.
 */
void nvtgt_ns_try_revalidate(struct nvtgt_cns *cns)
{
	if (!mutex_trylock(&cns->enable_lock))
		return;
	nvtgt_ns_revalidate_locked(cns);
	mutex_unlock(&cns->enable_lock);
}

/* Options of a namespace that is enabled, or is not; enable_lock is held. */
static int nvtgt_ns_take_options(struct nvtgt_cns *cns, const char *options)
{
	struct nvtgt_ns *ns = &cns->ns;

	if (!cns->enabled || !strcmp(ns->backend_options ?: "", options))
		return 0;
	return ns->ops->set_options ? ns->ops->set_options(ns, options) : -EBUSY;
}

/**
 * nvtgt_ns_set_options - change the backend's options
 * @cns: the namespace
 * @options: as the backend understands them; "" for none
 *
 * They are judged now if the namespace is enabled, when it is enabled otherwise.
 *
 * Context: may sleep, as long as the device hangs; takes enable_lock and subsys->lock.
 * Return: 0; -EBUSY when the backend cannot change them while it is open; -EINTR: a
 * signal came; another negative errno.
 */
int nvtgt_ns_set_options(struct nvtgt_cns *cns, const char *options)
{
	struct nvtgt_ns *ns = &cns->ns;
	char *copy = kstrdup(options, GFP_KERNEL);
	loff_t old;
	int ret;

	if (!copy)
		return -ENOMEM;
	if (mutex_lock_interruptible(&cns->enable_lock)) {
		kfree(copy);
		return -EINTR;
	}
	old = ns->size;
	ret = nvtgt_ns_take_options(cns, copy);
	if (!ret) {
		mutex_lock(&ns->subsys->lock);
		swap(ns->backend_options, copy);
		mutex_unlock(&ns->subsys->lock);
		if (cns->enabled && ns->size != old)
			nvtgt_ns_tell_change(cns);
	}
	mutex_unlock(&cns->enable_lock);
	kfree(copy);
	return ret;
}

/**
 * nvtgt_ns_set_anagrp - put the namespace into the ANA group that hosts are to see
 * @cns: the namespace; conf_anagrpid or lost has changed
 *
 * Context: subsys->lock is held.
 */
void nvtgt_ns_set_anagrp(struct nvtgt_cns *cns)
{
	lockdep_assert_held(&cns->ns.subsys->lock);
	WRITE_ONCE(cns->anagrpid, cns->conf_anagrpid);
	smp_mb();	/* pairs with the exchange in nvtgt_ns_lost(): the loss comes out on top */
	if (atomic_read(&cns->lost))
		WRITE_ONCE(cns->anagrpid, NVTGT_LOST_ANAGRP);
}

static void nvtgt_ns_lost_work(struct work_struct *work)
{
	struct nvtgt_cns *cns = container_of(work, struct nvtgt_cns, lost_work);
	struct nvtgt_ns *ns = &cns->ns;

	pr_err("%s namespace %u: %s is gone; hosts are told that the namespace is lost on all ports\n",
	       ns->subsys->nqn, ns->nsid, ns->device_path ?: "its device");
	nvtgt_ns_tell_ana(cns);
}

/**
 * nvtgt_ns_lost - the device is gone and does not come back by itself
 * @ns: an open namespace
 *
 * Until it is disabled and enabled again, hosts see the namespace with the size that
 * it had, in the ANA state persistent loss, so that they use other paths to it. Only
 * the first call does something.
 *
 * Context: any; from a command's function, its completion, or revalidate().
 */
void nvtgt_ns_lost(struct nvtgt_ns *ns)
{
	struct nvtgt_cns *cns = to_nvtgt_cns(ns);

	if (atomic_xchg(&cns->lost, 1))
		return;
	/* before the first command is answered: the host reads the ANA log at once */
	WRITE_ONCE(cns->anagrpid, NVTGT_LOST_ANAGRP);
	queue_work(nvtgt_wq, &cns->lost_work);
}
EXPORT_SYMBOL_GPL(nvtgt_ns_lost);

/* Looks are due at the same time for all namespaces: an idle machine wakes up once. */
static void nvtgt_ns_poll_again(struct nvtgt_cns *cns)
{
	unsigned long period = msecs_to_jiffies(READ_ONCE(resize_poll_ms) ?: MSEC_PER_SEC);

	queue_delayed_work(nvtgt_wq, &cns->poll_work, period - jiffies % period);
}

/*
 * No kernel before 6.13 tells the opener of a device that its size has changed,
 * and a file never does: look. Each namespace has its own work, for a device may hang.
 */
static void nvtgt_ns_poll_work(struct work_struct *work)
{
	struct nvtgt_cns *cns = container_of(to_delayed_work(work), struct nvtgt_cns, poll_work);

	if (READ_ONCE(resize_poll_ms))
		nvtgt_ns_try_revalidate(cns);
	nvtgt_ns_poll_again(cns);
}
