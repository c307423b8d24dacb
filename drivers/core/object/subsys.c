// SPDX-License-Identifier: GPL-2.0
/*
 * Subsystems: NVM subsystems as configured, and those of discovery.
 *
 * A subsystem lives as long as there is a reference: its configfs directory,
 * each namespace's directory and each controller holds one. A Connect finds it
 * only while it stands in a list: a port's links for NVM subsystems,
 * nvtgt_disc_subsystems for discovery.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include "object.h"

/* Here, because it protects the lists of subsystems and which hosts may reach them. */
DECLARE_RWSEM(nvtgt_config_sem);
LIST_HEAD(nvtgt_subsystems);
LIST_HEAD(nvtgt_disc_subsystems);

/* nvtgt_config_sem: the discovery subsystem with a name of its own, or NULL */
static struct nvtgt_subsys *nvtgt_unique_disc;

static void nvtgt_subsys_set_ids(struct nvtgt_subsys *subsys)
{
	u8 random[NVTGT_SN_SIZE / 2];

	get_random_bytes(random, sizeof(random));
	snprintf(subsys->serial, sizeof(subsys->serial), "%*phN",
		 (int)sizeof(random), random);
	strscpy(subsys->model, "Linux", sizeof(subsys->model));
	strscpy(subsys->firmware, init_utsname()->release, sizeof(subsys->firmware));
}

/**
 * nvtgt_subsys_create - make a subsystem
 * @nqn: its name; the caller has judged it
 * @discovery: a discovery subsystem, which admits any host and has no namespaces
 *
 * The object stands in no list yet.
 *
 * Context: may sleep.
 * Return: the subsystem with one reference, or an ERR_PTR().
 */
struct nvtgt_subsys *nvtgt_subsys_create(const char *nqn, bool discovery)
{
	struct nvtgt_subsys *subsys = kzalloc(sizeof(*subsys), GFP_KERNEL);

	if (!subsys)
		return ERR_PTR(-ENOMEM);
	if (strscpy(subsys->nqn, nqn, sizeof(subsys->nqn)) < 0) {
		kfree(subsys);
		return ERR_PTR(-ENAMETOOLONG);
	}
	kref_init(&subsys->ref);
	subsys->discovery = discovery;
	subsys->allow_any_host = discovery;
	INIT_LIST_HEAD(&subsys->entry);
	INIT_LIST_HEAD(&subsys->hosts);
	INIT_LIST_HEAD(&subsys->ctrls);
	mutex_init(&subsys->lock);
	ida_init(&subsys->cntlids);
	xa_init(&subsys->namespaces);
	subsys->ver = NVME_VS(2, 1, 0);
	subsys->cntlid_min = NVTGT_CNTLID_MIN;
	subsys->cntlid_max = NVTGT_CNTLID_MAX;
	subsys->next_cntlid = NVTGT_CNTLID_MIN;
	subsys->max_qid = NVTGT_MAX_QID;
	nvtgt_subsys_set_ids(subsys);
	return subsys;
}

/**
 * nvtgt_subsys_get - take a reference
 * @subsys: the subsystem; the caller has a reference or holds the lock of the
 *	list in which it found it
 *
 * Context: any.
 */
void nvtgt_subsys_get(struct nvtgt_subsys *subsys)
{
	kref_get(&subsys->ref);
}

static void nvtgt_subsys_free(struct kref *ref)
{
	struct nvtgt_subsys *subsys = container_of(ref, struct nvtgt_subsys, ref);

	WARN_ON_ONCE(!list_empty(&subsys->ctrls));
	WARN_ON_ONCE(!list_empty(&subsys->hosts));
	WARN_ON_ONCE(!xa_empty(&subsys->namespaces));
	xa_destroy(&subsys->namespaces);
	ida_destroy(&subsys->cntlids);
	mutex_destroy(&subsys->lock);
	kfree(subsys);
}

/**
 * nvtgt_subsys_put - give a reference back
 * @subsys: the subsystem, which may be gone afterwards
 *
 * Context: process. subsys->lock must not be held.
 */
void nvtgt_subsys_put(struct nvtgt_subsys *subsys)
{
	kref_put(&subsys->ref, nvtgt_subsys_free);
}

static struct nvtgt_subsys *nvtgt_subsys_find(struct list_head *list, const char *nqn)
{
	struct nvtgt_subsys *subsys;

	list_for_each_entry(subsys, list, entry)
		if (!strcmp(subsys->nqn, nqn))
			return subsys;
	return NULL;
}

/**
 * nvtgt_subsys_add - let a configured subsystem appear
 * @subsys: as nvtgt_subsys_create() made it
 *
 * Context: may sleep; takes nvtgt_config_sem.
 * Return: 0, or -EEXIST when a discovery subsystem has that name.
 */
int nvtgt_subsys_add(struct nvtgt_subsys *subsys)
{
	int ret = -EEXIST;

	down_write(&nvtgt_config_sem);
	if (!nvtgt_subsys_find(&nvtgt_disc_subsystems, subsys->nqn)) {
		list_add_tail(&subsys->entry, &nvtgt_subsystems);
		nvtgt_debugfs_add_subsys(subsys);
		ret = 0;
	}
	up_write(&nvtgt_config_sem);
	return ret;
}

/**
 * nvtgt_subsys_del - take a configured subsystem away
 * @subsys: a subsystem without links from ports
 *
 * Ends the controllers that are left. The object lives on until they are gone.
 *
 * Context: may sleep; takes nvtgt_config_sem.
 */
void nvtgt_subsys_del(struct nvtgt_subsys *subsys)
{
	down_write(&nvtgt_config_sem);
	WARN_ON_ONCE(subsys->nr_ports);
	list_del_init(&subsys->entry);
	nvtgt_debugfs_del_subsys(subsys);
	nvtgt_subsys_del_ctrls(subsys, NULL, NULL);
	up_write(&nvtgt_config_sem);
}

/**
 * nvtgt_subsys_find_get - find the subsystem that a host names in Connect
 * @port: the port that the host came in through
 * @nqn: NUL terminated
 *
 * Discovery subsystems are on every port. A Connect that makes a controller
 * keeps nvtgt_config_sem until the controller stands in subsys->ctrls, so that
 * the thread that takes away the host's right meanwhile finds the controller there.
 *
 * Context: may sleep; nvtgt_config_sem is held.
 * Return: the subsystem with a reference, or NULL.
 */
struct nvtgt_subsys *nvtgt_subsys_find_get(struct nvtgt_port *port, const char *nqn)
{
	struct nvtgt_cport *cport = to_nvtgt_cport(port);
	struct nvtgt_subsys *subsys;
	struct nvtgt_subsys_link *link;

	lockdep_assert_held(&nvtgt_config_sem);

	subsys = nvtgt_subsys_find(&nvtgt_disc_subsystems, nqn);
	if (subsys)
		goto found;
	list_for_each_entry(link, &cport->subsystems, entry) {
		subsys = link->subsys;
		if (!strcmp(subsys->nqn, nqn))
			goto found;
	}
	return NULL;
found:
	nvtgt_subsys_get(subsys);
	return subsys;
}

/**
 * nvtgt_host_allowed - may a host use a subsystem?
 * @subsys: the subsystem
 * @hostnqn: the host's name; "", which no list has, where it has given none
 *
 * Context: nvtgt_config_sem is held.
 * Return: whether it may.
 */
bool nvtgt_host_allowed(struct nvtgt_subsys *subsys, const char *hostnqn)
{
	struct nvtgt_host_link *link;

	lockdep_assert_held(&nvtgt_config_sem);

	if (subsys->allow_any_host)
		return true;
	list_for_each_entry(link, &subsys->hosts, entry)
		if (!strcmp(link->host->nqn, hostnqn))
			return true;
	return false;
}

/**
 * nvtgt_subsys_del_ctrls - end controllers
 * @subsys: whose controllers
 * @port: only those that came in through this port; NULL: through any
 * @hostnqn: only those of this host; NULL: of any
 *
 * Returns at once; the controllers go on their own.
 *
 * Context: may sleep; takes subsys->lock.
 */
void nvtgt_subsys_del_ctrls(struct nvtgt_subsys *subsys, struct nvtgt_port *port,
			    const char *hostnqn)
{
	struct nvtgt_ctrl *ctrl;

	mutex_lock(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry) {
		if (port && ctrl->port != port)
			continue;
		if (hostnqn && strcmp(ctrl->hostnqn, hostnqn))
			continue;
		nvtgt_ctrl_delete(ctrl);
	}
	mutex_unlock(&subsys->lock);
}

/**
 * nvtgt_subsys_del_disallowed - end the controllers of hosts without a right
 * @subsys: whose rights have changed
 *
 * Context: may sleep; nvtgt_config_sem is held; takes subsys->lock.
 */
void nvtgt_subsys_del_disallowed(struct nvtgt_subsys *subsys)
{
	struct nvtgt_ctrl *ctrl;

	mutex_lock(&subsys->lock);
	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry)
		if (!nvtgt_host_allowed(subsys, ctrl->hostnqn))
			nvtgt_ctrl_delete(ctrl);
	mutex_unlock(&subsys->lock);
}

/**
 * nvtgt_subsys_del_outside - end the controllers whose id is out of range
 * @subsys: whose cntlid_min or cntlid_max has changed
 *
 * Context: subsys->lock is held.
 */
void nvtgt_subsys_del_outside(struct nvtgt_subsys *subsys)
{
	struct nvtgt_ctrl *ctrl;

	lockdep_assert_held(&subsys->lock);

	list_for_each_entry(ctrl, &subsys->ctrls, subsys_entry)
		if (ctrl->cntlid < subsys->cntlid_min || ctrl->cntlid > subsys->cntlid_max)
			nvtgt_ctrl_delete(ctrl);
}

/**
 * nvtgt_subsys_set_max_qid - change the number of I/O queues of a controller
 * @subsys: the subsystem
 * @max_qid: 1 … NVTGT_MAX_QID
 *
 * A controller's number is fixed when it is made, so the living ones are ended;
 * their hosts come back with the new number.
 *
 * Context: may sleep; takes subsys->lock.
 */
void nvtgt_subsys_set_max_qid(struct nvtgt_subsys *subsys, u16 max_qid)
{
	bool changed;

	mutex_lock(&subsys->lock);
	changed = subsys->max_qid != max_qid;
	subsys->max_qid = max_qid;
	mutex_unlock(&subsys->lock);
	if (changed)
		nvtgt_subsys_del_ctrls(subsys, NULL, NULL);
}

static void nvtgt_disc_del(struct nvtgt_subsys *subsys)
{
	list_del_init(&subsys->entry);
	nvtgt_debugfs_del_subsys(subsys);
	nvtgt_subsys_del_ctrls(subsys, NULL, NULL);
	nvtgt_subsys_put(subsys);
}

/**
 * nvtgt_discovery_set_nqn - give discovery a name of its own
 * @nqn: the name; the well-known one takes the other away
 *
 * The well-known name goes on working beside it (NVMe base 2.1, 3.1.3.3).
 *
 * Context: may sleep; takes nvtgt_config_sem.
 * Return: 0; -EEXIST when a subsystem has that name; -ENOMEM.
 */
int nvtgt_discovery_set_nqn(const char *nqn)
{
	struct nvtgt_subsys *subsys = NULL;
	int ret = 0;

	if (strcmp(nqn, NVME_DISC_SUBSYS_NAME)) {
		subsys = nvtgt_subsys_create(nqn, true);
		if (IS_ERR(subsys))
			return PTR_ERR(subsys);
	}

	down_write(&nvtgt_config_sem);
	if (subsys && nvtgt_unique_disc && !strcmp(nvtgt_unique_disc->nqn, nqn))
		goto out;		/* redundant */
	if (nvtgt_subsys_find(&nvtgt_subsystems, nqn)) {
		ret = -EEXIST;
		goto out;
	}
	if (nvtgt_unique_disc)
		nvtgt_disc_del(nvtgt_unique_disc);
	nvtgt_unique_disc = subsys;
	if (subsys) {
		list_add_tail(&subsys->entry, &nvtgt_disc_subsystems);
		nvtgt_debugfs_add_subsys(subsys);
	}
	subsys = NULL;
out:
	up_write(&nvtgt_config_sem);
	if (subsys)
		nvtgt_subsys_put(subsys);
	return ret;
}

/**
 * nvtgt_discovery_init - make the discovery subsystem with the well-known name
 *
 * Context: module load.
 * Return: 0 or a negative errno.
 */
int nvtgt_discovery_init(void)
{
	struct nvtgt_subsys *subsys = nvtgt_subsys_create(NVME_DISC_SUBSYS_NAME, true);

	if (IS_ERR(subsys))
		return PTR_ERR(subsys);
	list_add(&subsys->entry, &nvtgt_disc_subsystems);
	nvtgt_debugfs_add_subsys(subsys);
	return 0;
}

/**
 * nvtgt_discovery_exit - take the discovery subsystems away
 *
 * Context: module unload; no transport is left.
 */
void nvtgt_discovery_exit(void)
{
	struct nvtgt_subsys *subsys, *next;

	down_write(&nvtgt_config_sem);
	list_for_each_entry_safe(subsys, next, &nvtgt_disc_subsystems, entry)
		nvtgt_disc_del(subsys);
	nvtgt_unique_disc = NULL;
	up_write(&nvtgt_config_sem);
}
