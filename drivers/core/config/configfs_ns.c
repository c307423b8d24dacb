// SPDX-License-Identifier: GPL-2.0
/* The configfs tree: subsystems/NQN/namespaces/. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uuid.h>
#include "configfs.h"

#define NVTGT_MAX_OPTIONS	256	/* bytes of backend_options, with the NUL */

static struct nvtgt_core_ns *to_core_ns(struct config_item *item)
{
	return container_of(to_config_group(item), struct nvtgt_core_ns, group);
}

/* As nvtgt_refuse(), with the namespace's name in front. */
#define nvtgt_ns_refuse(core_ns, err, page, fmt, ...)				\
	nvtgt_refuse(err, page, "%s namespace %u: " fmt,			\
		     (core_ns)->ns.subsys->nqn, (core_ns)->ns.nsid, ##__VA_ARGS__)

/* device_path */

static ssize_t nvtgt_ns_device_path_show(struct config_item *item, char *page)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	ssize_t len;

	mutex_lock(&core_ns->ns.subsys->lock);
	len = sysfs_emit(page, "%s\n", core_ns->ns.device_path ?: "");
	mutex_unlock(&core_ns->ns.subsys->lock);
	return len;
}

static ssize_t nvtgt_ns_device_path_store(struct config_item *item, const char *page,
					  size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	struct mutex *lock = &core_ns->ns.subsys->lock;
	size_t len = strcspn(page, "\n");
	ssize_t ret = count;
	char *path = NULL;

	if (len >= PATH_MAX || len + 1 < count)
		return nvtgt_ns_refuse(core_ns, -EINVAL, page,
				       "device_path: must be one line of less than %u bytes",
				       PATH_MAX);
	if (len) {
		path = kmemdup_nul(page, len, GFP_KERNEL);
		if (!path)
			return -ENOMEM;
	}
	mutex_lock(lock);
	if (!core_ns->in_use)
		swap(core_ns->ns.device_path, path);
	else if (!path || !core_ns->ns.device_path || strcmp(path, core_ns->ns.device_path))
		ret = nvtgt_ns_refuse(core_ns, -EBUSY, page,
				      "device_path: the namespace must be disabled first");
	mutex_unlock(lock);
	kfree(path);
	return ret;
}
CONFIGFS_ATTR(nvtgt_ns_, device_path);

/* device_uuid, device_nguid */

static ssize_t nvtgt_ns_device_uuid_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%pUb\n", &to_core_ns(item)->uuid);
}

/* Take over an identifier of 16 bytes: only while hosts don't see the namespace. */
static int nvtgt_ns_set_id(struct nvtgt_core_ns *core_ns, void *field, const void *id)
{
	struct mutex *lock = &core_ns->ns.subsys->lock;
	int ret = 0;

	mutex_lock(lock);
	if (!core_ns->enabled)
		memcpy(field, id, 16);
	else if (memcmp(field, id, 16))
		ret = -EBUSY;
	mutex_unlock(lock);
	return ret;
}

static ssize_t nvtgt_ns_device_uuid_store(struct config_item *item, const char *page,
					  size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	uuid_t uuid;
	char buf[UUID_STRING_LEN + 1];

	if (nvtgt_text(buf, sizeof(buf), page) != UUID_STRING_LEN || uuid_parse(buf, &uuid))
		return nvtgt_ns_refuse(core_ns, -EINVAL, page, "device_uuid: must be a UUID");
	if (nvtgt_ns_set_id(core_ns, &core_ns->uuid, &uuid))
		return nvtgt_ns_refuse(core_ns, -EBUSY, page,
				       "device_uuid: the namespace must be disabled first");
	return count;
}
CONFIGFS_ATTR(nvtgt_ns_, device_uuid);

static ssize_t nvtgt_ns_device_nguid_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%pUb\n", to_core_ns(item)->nguid);
}

static ssize_t nvtgt_ns_device_nguid_store(struct config_item *item, const char *page,
					   size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	u8 nguid[16];

	if (nvtgt_parse_hex16(page, nguid))
		return nvtgt_ns_refuse(core_ns, -EINVAL, page,
				       "device_nguid: must be 32 hexadecimal digits");
	if (nvtgt_ns_set_id(core_ns, core_ns->nguid, nguid))
		return nvtgt_ns_refuse(core_ns, -EBUSY, page,
				       "device_nguid: the namespace must be disabled first");
	return count;
}
CONFIGFS_ATTR(nvtgt_ns_, device_nguid);

/* ana_grpid */

static ssize_t nvtgt_ns_ana_grpid_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_core_ns(item)->conf_anagrpid);
}

static ssize_t nvtgt_ns_ana_grpid_store(struct config_item *item, const char *page,
					size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	struct nvtgt_subsys *subsys = core_ns->ns.subsys;
	bool changed;
	u32 grpid;

	if (kstrtou32(page, 0, &grpid) || grpid < 1 || grpid > NVTGT_MAX_ANAGRPS)
		return nvtgt_ns_refuse(core_ns, -EINVAL, page, "ana_grpid: must be 1 to %u",
				       NVTGT_MAX_ANAGRPS);
	down_write(&nvtgt_config_sem);
	mutex_lock(&subsys->lock);
	changed = core_ns->conf_anagrpid != grpid;
	core_ns->conf_anagrpid = grpid;
	nvtgt_ns_set_anagrp(core_ns);
	mutex_unlock(&subsys->lock);
	if (changed)
		nvtgt_ana_changed(subsys, NULL);
	up_write(&nvtgt_config_sem);
	return count;
}
CONFIGFS_ATTR(nvtgt_ns_, ana_grpid);

/* enable */

static ssize_t nvtgt_ns_enable_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_core_ns(item)->enabled);
}

static ssize_t nvtgt_ns_enable_store(struct config_item *item, const char *page,
				     size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	bool enable;
	int ret = 0;

	if (kstrtobool(page, &enable))
		return nvtgt_ns_refuse(core_ns, -EINVAL, page, "enable: must be 0 or 1");
	if (enable)
		ret = nvtgt_ns_enable(core_ns);
	else
		nvtgt_ns_disable(core_ns);
	return ret ?: count;
}
CONFIGFS_ATTR(nvtgt_ns_, enable);

/* buffered_io */

static ssize_t nvtgt_ns_buffered_io_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_core_ns(item)->ns.buffered_io);
}

static ssize_t nvtgt_ns_buffered_io_store(struct config_item *item, const char *page,
					  size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	struct mutex *lock = &core_ns->ns.subsys->lock;
	ssize_t ret = count;
	bool val;

	if (kstrtobool(page, &val))
		return nvtgt_ns_refuse(core_ns, -EINVAL, page, "buffered_io: must be 0 or 1");
	mutex_lock(lock);
	if (!core_ns->in_use)
		core_ns->ns.buffered_io = val;
	else if (core_ns->ns.buffered_io != val)
		ret = nvtgt_ns_refuse(core_ns, -EINVAL, page,
				      "buffered_io: the namespace must be disabled first");
	mutex_unlock(lock);
	return ret;
}
CONFIGFS_ATTR(nvtgt_ns_, buffered_io);

/* revalidate_size */

static ssize_t nvtgt_ns_revalidate_size_store(struct config_item *item,
					      const char *page, size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	bool val;
	int ret;

	if (kstrtobool(page, &val) || !val)
		return nvtgt_ns_refuse(core_ns, -EINVAL, page, "revalidate_size: must be 1");
	if (!READ_ONCE(core_ns->enabled))
		return nvtgt_ns_refuse(core_ns, -EINVAL, page,
				       "revalidate_size: the namespace must be enabled first");
	ret = nvtgt_ns_revalidate(core_ns);
	return ret ?: count;
}
CONFIGFS_ATTR_WO(nvtgt_ns_, revalidate_size);

/* size_bytes, readonly, lost: what is in force; the last values stay out of sight while disabled */

static ssize_t nvtgt_ns_size_bytes_show(struct config_item *item, char *page)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);

	return sysfs_emit(page, "%lld\n",
			  READ_ONCE(core_ns->enabled) ? READ_ONCE(core_ns->ns.size) : 0);
}
CONFIGFS_ATTR_RO(nvtgt_ns_, size_bytes);

static ssize_t nvtgt_ns_readonly_show(struct config_item *item, char *page)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);

	return sysfs_emit(page, "%d\n",
			  READ_ONCE(core_ns->enabled) && READ_ONCE(core_ns->ns.readonly));
}
CONFIGFS_ATTR_RO(nvtgt_ns_, readonly);

static ssize_t nvtgt_ns_lost_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", atomic_read(&to_core_ns(item)->lost));
}
CONFIGFS_ATTR_RO(nvtgt_ns_, lost);

/* resv_enable */

static ssize_t nvtgt_ns_resv_enable_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "0\n");
}

static ssize_t nvtgt_ns_resv_enable_store(struct config_item *item, const char *page,
					  size_t count)
{
	bool val;

	if (kstrtobool(page, &val) || val)
		return nvtgt_ns_refuse(to_core_ns(item), -EINVAL, page,
				       "resv_enable: must be 0, there are no reservations here");
	return count;
}
CONFIGFS_ATTR(nvtgt_ns_, resv_enable);

/* backend, backend_options */

static ssize_t nvtgt_ns_backend_show(struct config_item *item, char *page)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	ssize_t len;

	mutex_lock(&core_ns->ns.subsys->lock);
	len = sysfs_emit(page, "%s\n", core_ns->backend_name);
	mutex_unlock(&core_ns->ns.subsys->lock);
	return len;
}

static bool nvtgt_backend_name_valid(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!islower(*name) && !isdigit(*name) && *name != '-')
			return false;
	return true;
}

static ssize_t nvtgt_ns_backend_store(struct config_item *item, const char *page,
				      size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	struct mutex *lock = &core_ns->ns.subsys->lock;
	char name[NVTGT_BACKEND_NAME_SIZE];
	ssize_t ret = count;

	if (nvtgt_text(name, sizeof(name), page) <= 0 || !nvtgt_backend_name_valid(name))
		return nvtgt_ns_refuse(core_ns, -EINVAL, page,
				       "backend: must be the name of a backend, such as bdev or null");
	mutex_lock(lock);
	if (!core_ns->in_use)
		strscpy(core_ns->backend_name, name, sizeof(core_ns->backend_name));
	else if (strcmp(core_ns->backend_name, name))
		ret = nvtgt_ns_refuse(core_ns, -EBUSY, page,
				      "backend: the namespace must be disabled first");
	mutex_unlock(lock);
	return ret;
}
CONFIGFS_ATTR(nvtgt_ns_, backend);

static ssize_t nvtgt_ns_backend_options_show(struct config_item *item, char *page)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	ssize_t len;

	mutex_lock(&core_ns->ns.subsys->lock);
	len = sysfs_emit(page, "%s\n", core_ns->ns.backend_options ?: "");
	mutex_unlock(&core_ns->ns.subsys->lock);
	return len;
}

static ssize_t nvtgt_ns_backend_options_store(struct config_item *item,
					      const char *page, size_t count)
{
	struct nvtgt_core_ns *core_ns = to_core_ns(item);
	char options[NVTGT_MAX_OPTIONS];
	int ret;

	if (nvtgt_text(options, sizeof(options), page) < 0)
		return nvtgt_ns_refuse(core_ns, -EINVAL, page,
				       "backend_options: must be one line of less than %u bytes",
				       NVTGT_MAX_OPTIONS);
	ret = nvtgt_ns_set_options(core_ns, options);
	if (ret)
		return nvtgt_ns_refuse(core_ns, ret, page,
				       "backend_options: the backend does not take them now");
	return count;
}
CONFIGFS_ATTR(nvtgt_ns_, backend_options);

static struct configfs_attribute *nvtgt_ns_attrs[] = {
	&nvtgt_ns_attr_device_path,
	&nvtgt_ns_attr_device_uuid,
	&nvtgt_ns_attr_device_nguid,
	&nvtgt_ns_attr_ana_grpid,
	&nvtgt_ns_attr_enable,
	&nvtgt_ns_attr_buffered_io,
	&nvtgt_ns_attr_revalidate_size,
	&nvtgt_ns_attr_size_bytes,
	&nvtgt_ns_attr_readonly,
	&nvtgt_ns_attr_lost,
	&nvtgt_ns_attr_resv_enable,
	&nvtgt_ns_attr_backend,
	&nvtgt_ns_attr_backend_options,
	NULL,
};

static void nvtgt_ns_release(struct config_item *item)
{
	nvtgt_ns_destroy(to_core_ns(item));
}

static struct configfs_item_operations nvtgt_ns_item_ops = {
	.release	= nvtgt_ns_release,
};

static const struct config_item_type nvtgt_ns_type = {
	.ct_item_ops	= &nvtgt_ns_item_ops,
	.ct_attrs	= nvtgt_ns_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *nvtgt_ns_make(struct config_group *group, const char *name)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(group->cg_item.ci_parent);
	struct nvtgt_core_ns *core_ns;
	u32 nsid;

	if (nvtgt_parse_id(name, NVTGT_MAX_NSID, &nsid) || !nsid)
		return ERR_PTR(nvtgt_refuse(-EINVAL, name,
					    "subsystem %s: a namespace's name must be a number from 1 to %u",
					    subsys->nqn, NVTGT_MAX_NSID));
	core_ns = nvtgt_ns_create(subsys, nsid);
	if (!core_ns)
		return ERR_PTR(-ENOMEM);
	config_group_init_type_name(&core_ns->group, name, &nvtgt_ns_type);
	return &core_ns->group;
}

/* Here and not in release(), so that as a rule the namespace is disabled when rmdir returns. */
static void nvtgt_ns_drop(struct config_group *group, struct config_item *item)
{
	nvtgt_ns_remove(to_core_ns(item));
}

static struct configfs_group_operations nvtgt_namespaces_group_ops = {
	.make_group	= nvtgt_ns_make,
	.drop_item	= nvtgt_ns_drop,
};

const struct config_item_type nvtgt_namespaces_type = {
	.ct_group_ops	= &nvtgt_namespaces_group_ops,
	.ct_owner	= THIS_MODULE,
};
