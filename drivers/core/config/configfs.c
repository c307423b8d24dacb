// SPDX-License-Identifier: GPL-2.0
/*
 * The configfs tree: its root, hosts/, subsystems/ and allowed_hosts/.
 *
 * configfs itself refuses to remove a directory that is linked to or that has
 * entries of the user's, and lets no attribute handler run after rmdir.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include "configfs.h"

static char *configfs_root = "nvtgt";
module_param(configfs_root, charp, 0444);
MODULE_PARM_DESC(configfs_root, "name of the configuration's directory in configfs (default nvtgt)");

static const struct config_item_type nvtgt_host_type;

/**
 * nvtgt_text_len - how much of a written value goes into a log line
 * @page: what was written
 *
 * Return: the length of its first line, at most 80.
 */
int nvtgt_text_len(const char *page)
{
	return min_t(size_t, strcspn(page, "\n"), 80);
}

/**
 * nvtgt_text - take a line of text from what was written
 * @buf: where to put it, NUL terminated, without white space around it
 * @size: of @buf
 * @page: what was written, with or without a newline at its end
 *
 * Context: any.
 * Return: the length; -EINVAL when it does not fit, spans lines or has control
 * characters in it.
 */
int nvtgt_text(char *buf, size_t size, const char *page)
{
	size_t i, len;

	page = skip_spaces(page);
	len = strlen(page);
	while (len && isspace(page[len - 1]))
		len--;
	if (len >= size)
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (iscntrl(page[i]))
			return -EINVAL;
	memcpy(buf, page, len);
	buf[len] = '\0';
	return len;
}

/**
 * nvtgt_parse_hex16 - take 16 bytes from what was written
 * @page: 32 hexadecimal digits, with '-' or ':' between any two bytes
 * @val: where to put them
 *
 * Context: any.
 * Return: 0, or -EINVAL with some bytes of @val changed.
 */
int nvtgt_parse_hex16(const char *page, u8 *val)
{
	const char *p = skip_spaces(page);
	char digits[3] = "";
	int i;

	for (i = 0; i < 16; i++, p += 2) {
		if (i && (*p == '-' || *p == ':'))
			p++;
		if (!isxdigit(p[0]) || !isxdigit(p[1]))
			return -EINVAL;
		memcpy(digits, p, 2);
		if (kstrtou8(digits, 16, &val[i]))
			return -EINVAL;
	}
	return *skip_spaces(p) ? -EINVAL : 0;
}

/**
 * nvtgt_parse_id - take a number from a directory's name
 * @name: the name: digits without a leading zero, so that a number has one name
 * @max: the largest number allowed
 * @id: where to put it
 *
 * Context: any.
 * Return: 0 or -EINVAL.
 */
int nvtgt_parse_id(const char *name, u32 max, u32 *id)
{
	if (!isdigit(*name) || (*name == '0' && name[1]))
		return -EINVAL;
	return kstrtou32(name, 10, id) || *id > max ? -EINVAL : 0;
}

/**
 * nvtgt_group_init - make the directory of an object that may have a long name
 * @group: zeroed
 * @name: its name
 * @type: with the release() of the object that @group is a part of
 *
 * configfs does not tell when it had no memory for a name that is too long for
 * the item itself, and later trips over an item without one.
 *
 * Context: may sleep.
 * Return: 0, or -ENOMEM: the group was put, and release() has been called.
 */
int nvtgt_group_init(struct config_group *group, const char *name,
		     const struct config_item_type *type)
{
	config_group_init_type_name(group, name, type);
	if (config_item_name(&group->cg_item))
		return 0;
	config_item_put(&group->cg_item);
	return -ENOMEM;
}

/* Every port's discovery log that shows @subsys has changed. */
static void nvtgt_subsys_log_changed(struct nvtgt_subsys *subsys)
{
	struct nvtgt_cport *cport;
	struct nvtgt_subsys_link *link;

	list_for_each_entry(cport, &nvtgt_ports, entry)
		list_for_each_entry(link, &cport->subsystems, entry)
			if (link->subsys == subsys)
				nvtgt_discovery_changed(&cport->port, subsys);
}

/* allowed_hosts/ */

static struct nvtgt_host *to_nvtgt_host(struct config_item *item)
{
	return container_of(to_config_group(item), struct nvtgt_host, group);
}

static int nvtgt_hosts_link_locked(struct nvtgt_subsys *subsys,
				   struct nvtgt_host_link *new)
{
	const char *nqn = new->host->nqn;
	struct nvtgt_host_link *link;

	if (subsys->allow_any_host)
		return nvtgt_refuse(-EINVAL, nqn,
				    "subsystem %s: allowed_hosts: attr_allow_any_host must be 0",
				    subsys->nqn);
	list_for_each_entry(link, &subsys->hosts, entry)
		if (link->host == new->host)
			return nvtgt_refuse(-EEXIST, nqn,
					    "subsystem %s: allowed_hosts: linked already",
					    subsys->nqn);
	list_add_tail(&new->entry, &subsys->hosts);
	nvtgt_subsys_log_changed(subsys);
	return 0;
}

static int nvtgt_hosts_allow_link(struct config_item *parent, struct config_item *target)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(parent->ci_parent);
	struct nvtgt_host_link *link;
	int ret;

	if (target->ci_type != &nvtgt_host_type)
		return nvtgt_refuse(-EINVAL, config_item_name(target),
				    "subsystem %s: allowed_hosts: links must lead to hosts/",
				    subsys->nqn);
	link = kzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return -ENOMEM;
	link->host = to_nvtgt_host(target);

	down_write(&nvtgt_config_sem);
	ret = nvtgt_hosts_link_locked(subsys, link);
	up_write(&nvtgt_config_sem);
	if (ret)
		kfree(link);
	return ret;
}

static void nvtgt_hosts_drop_link(struct config_item *parent, struct config_item *target)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(parent->ci_parent);
	struct nvtgt_host *host = to_nvtgt_host(target);
	struct nvtgt_host_link *link, *next;

	down_write(&nvtgt_config_sem);
	list_for_each_entry_safe(link, next, &subsys->hosts, entry) {
		if (link->host != host)
			continue;
		nvtgt_subsys_log_changed(subsys);
		list_del(&link->entry);
		kfree(link);
		nvtgt_subsys_del_ctrls(subsys, NULL, host->nqn);
	}
	up_write(&nvtgt_config_sem);
}

static struct configfs_item_operations nvtgt_allowed_hosts_item_ops = {
	.allow_link	= nvtgt_hosts_allow_link,
	.drop_link	= nvtgt_hosts_drop_link,
};

static const struct config_item_type nvtgt_allowed_hosts_type = {
	.ct_item_ops	= &nvtgt_allowed_hosts_item_ops,
	.ct_owner	= THIS_MODULE,
};

/* subsystems/NQN/attr_* */

static ssize_t nvtgt_subsys_attr_allow_any_host_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_nvtgt_subsys(item)->allow_any_host);
}

static ssize_t nvtgt_subsys_attr_allow_any_host_store(struct config_item *item,
						      const char *page, size_t count)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);
	ssize_t ret = count;
	bool allow;

	if (kstrtobool(page, &allow))
		return nvtgt_refuse(-EINVAL, page,
				    "subsystem %s: attr_allow_any_host: must be 0 or 1",
				    subsys->nqn);

	down_write(&nvtgt_config_sem);
	if (allow && !list_empty(&subsys->hosts)) {
		ret = nvtgt_refuse(-EINVAL, page,
				   "subsystem %s: attr_allow_any_host: allowed_hosts must be empty",
				   subsys->nqn);
	} else if (allow != subsys->allow_any_host) {
		if (allow)
			subsys->allow_any_host = true;
		nvtgt_subsys_log_changed(subsys);
		subsys->allow_any_host = allow;
		nvtgt_subsys_del_disallowed(subsys);
	}
	up_write(&nvtgt_config_sem);
	return ret;
}
CONFIGFS_ATTR(nvtgt_subsys_, attr_allow_any_host);

/*
 * Hosts remember what they have identified: once one has, a value stays as it
 * is. Writing the same value again is no error. subsys->lock is held.
 */
static bool nvtgt_subsys_may_change(struct nvtgt_subsys *subsys, bool same)
{
	lockdep_assert_held(&subsys->lock);
	return same || !subsys->discovered;
}

#define nvtgt_refuse_fixed(subsys, attr, page)					\
	nvtgt_refuse(-EINVAL, page,						\
		     "subsystem %s: %s: fixed, since a host has identified the subsystem", \
		     (subsys)->nqn, attr)

static ssize_t nvtgt_subsys_attr_version_show(struct config_item *item, char *page)
{
	u64 ver = to_nvtgt_subsys(item)->ver;

	if (NVME_TERTIARY(ver))
		return sysfs_emit(page, "%llu.%llu.%llu\n", NVME_MAJOR(ver),
				  NVME_MINOR(ver), NVME_TERTIARY(ver));
	return sysfs_emit(page, "%llu.%llu\n", NVME_MAJOR(ver), NVME_MINOR(ver));
}

static int nvtgt_parse_version(const char *page, u64 *ver)
{
	unsigned int part[3] = { 0 };
	char buf[16], *rest = buf, *word;
	int i, len;

	len = nvtgt_text(buf, sizeof(buf), page);
	if (len <= 0)
		return -EINVAL;
	for (i = 0; (word = strsep(&rest, ".")); i++)
		if (i >= 3 || kstrtouint(word, 10, &part[i]))
			return -EINVAL;
	if (i < 2 || part[0] > 0xffff || part[1] > 0xff || part[2] > 0xff)
		return -EINVAL;
	*ver = NVME_VS((u64)part[0], part[1], part[2]);
	return *ver < NVME_VS(1, 3, 0) ? -EINVAL : 0;
}

static ssize_t nvtgt_subsys_attr_version_store(struct config_item *item,
					       const char *page, size_t count)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);
	ssize_t ret = count;
	u64 ver;

	if (nvtgt_parse_version(page, &ver))
		return nvtgt_refuse(-EINVAL, page,
				    "subsystem %s: attr_version: must be MAJOR.MINOR or MAJOR.MINOR.TERTIARY, 1.3 or later",
				    subsys->nqn);
	mutex_lock(&subsys->lock);
	if (nvtgt_subsys_may_change(subsys, ver == subsys->ver))
		subsys->ver = ver;
	else
		ret = nvtgt_refuse_fixed(subsys, "attr_version", page);
	mutex_unlock(&subsys->lock);
	return ret;
}
CONFIGFS_ATTR(nvtgt_subsys_, attr_version);

static ssize_t nvtgt_subsys_store_text(struct nvtgt_subsys *subsys, const char *attr,
				       char *field, size_t max, const char *page,
				       size_t count)
{
	char buf[NVTGT_MN_SIZE + 1];
	ssize_t ret = count;
	int i, len;

	len = nvtgt_text(buf, max + 1, page);
	for (i = 0; i < len; i++)
		if (!isascii(buf[i]))	/* NVMe base 2.1, 1.4.2: 20h to 7Eh */
			len = -EINVAL;
	if (len <= 0)
		return nvtgt_refuse(-EINVAL, page,
				    "subsystem %s: %s: must be 1 to %zu printable ASCII characters",
				    subsys->nqn, attr, max);
	mutex_lock(&subsys->lock);
	if (nvtgt_subsys_may_change(subsys, !strcmp(field, buf)))
		strscpy(field, buf, max + 1);
	else
		ret = nvtgt_refuse_fixed(subsys, attr, page);
	mutex_unlock(&subsys->lock);
	return ret;
}

static ssize_t nvtgt_subsys_show_text(struct nvtgt_subsys *subsys, const char *field,
				      char *page)
{
	ssize_t len;

	mutex_lock(&subsys->lock);
	len = sysfs_emit(page, "%s\n", field);
	mutex_unlock(&subsys->lock);
	return len;
}

#define NVTGT_SUBSYS_TEXT(_name, _field, _max)					\
static ssize_t nvtgt_subsys_##_name##_show(struct config_item *item, char *page)	\
{										\
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);			\
										\
	return nvtgt_subsys_show_text(subsys, subsys->_field, page);		\
}										\
										\
static ssize_t nvtgt_subsys_##_name##_store(struct config_item *item,		\
					    const char *page, size_t count)	\
{										\
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);			\
										\
	return nvtgt_subsys_store_text(subsys, #_name, subsys->_field, _max,	\
				       page, count);				\
}										\
CONFIGFS_ATTR(nvtgt_subsys_, _name)

NVTGT_SUBSYS_TEXT(attr_serial, serial, NVTGT_SN_SIZE);
NVTGT_SUBSYS_TEXT(attr_model, model, NVTGT_MN_SIZE);
NVTGT_SUBSYS_TEXT(attr_firmware, firmware, NVTGT_FR_SIZE);

/* A number that hosts remember: fixed once one has identified the subsystem. */
#define NVTGT_SUBSYS_ID(_name, _field, _max, _format)				\
static ssize_t nvtgt_subsys_##_name##_show(struct config_item *item, char *page)	\
{										\
	return sysfs_emit(page, _format "\n", to_nvtgt_subsys(item)->_field);	\
}										\
										\
static ssize_t nvtgt_subsys_##_name##_store(struct config_item *item,		\
					    const char *page, size_t count)	\
{										\
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);			\
	ssize_t ret = count;							\
	u32 val;								\
										\
	if (kstrtou32(page, 0, &val) || val > (_max))				\
		return nvtgt_refuse(-EINVAL, page,				\
				    "subsystem %s: " #_name ": must be 0 to %#x", \
				    subsys->nqn, _max);				\
	mutex_lock(&subsys->lock);						\
	if (nvtgt_subsys_may_change(subsys, val == subsys->_field))		\
		subsys->_field = val;						\
	else									\
		ret = nvtgt_refuse_fixed(subsys, #_name, page);			\
	mutex_unlock(&subsys->lock);						\
	return ret;								\
}										\
CONFIGFS_ATTR(nvtgt_subsys_, _name)

NVTGT_SUBSYS_ID(attr_ieee_oui, ieee_oui, 0xffffff, "0x%06x");
NVTGT_SUBSYS_ID(attr_vendor_id, vendor_id, 0xffff, "0x%x");
NVTGT_SUBSYS_ID(attr_subsys_vendor_id, subsys_vendor_id, 0xffff, "0x%x");

static ssize_t nvtgt_subsys_set_cntlids(struct nvtgt_subsys *subsys, const char *attr,
					const char *page, size_t count)
{
	bool is_min = !strcmp(attr, "attr_cntlid_min");
	ssize_t ret = count;
	u16 min, max, val;

	if (kstrtou16(page, 0, &val) || val < NVTGT_CNTLID_MIN || val > NVTGT_CNTLID_MAX)
		return nvtgt_refuse(-EINVAL, page, "subsystem %s: %s: must be %u to %u",
				    subsys->nqn, attr, NVTGT_CNTLID_MIN, NVTGT_CNTLID_MAX);
	mutex_lock(&subsys->lock);
	min = is_min ? val : subsys->cntlid_min;
	max = is_min ? subsys->cntlid_max : val;
	if (min > max) {
		ret = nvtgt_refuse(-EINVAL, page,
				   "subsystem %s: %s: the smallest id must not exceed the largest",
				   subsys->nqn, attr);
	} else {
		subsys->cntlid_min = min;
		subsys->cntlid_max = max;
		nvtgt_subsys_del_outside(subsys);
	}
	mutex_unlock(&subsys->lock);
	return ret;
}

static ssize_t nvtgt_subsys_attr_cntlid_min_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_nvtgt_subsys(item)->cntlid_min);
}

static ssize_t nvtgt_subsys_attr_cntlid_min_store(struct config_item *item,
						  const char *page, size_t count)
{
	return nvtgt_subsys_set_cntlids(to_nvtgt_subsys(item), "attr_cntlid_min",
					page, count);
}
CONFIGFS_ATTR(nvtgt_subsys_, attr_cntlid_min);

static ssize_t nvtgt_subsys_attr_cntlid_max_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_nvtgt_subsys(item)->cntlid_max);
}

static ssize_t nvtgt_subsys_attr_cntlid_max_store(struct config_item *item,
						  const char *page, size_t count)
{
	return nvtgt_subsys_set_cntlids(to_nvtgt_subsys(item), "attr_cntlid_max",
					page, count);
}
CONFIGFS_ATTR(nvtgt_subsys_, attr_cntlid_max);

static ssize_t nvtgt_subsys_attr_qid_max_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_nvtgt_subsys(item)->max_qid);
}

static ssize_t nvtgt_subsys_attr_qid_max_store(struct config_item *item,
					       const char *page, size_t count)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);
	u16 val;

	if (kstrtou16(page, 0, &val) || val < 1 || val > NVTGT_MAX_QID)
		return nvtgt_refuse(-EINVAL, page,
				    "subsystem %s: attr_qid_max: must be 1 to %u",
				    subsys->nqn, NVTGT_MAX_QID);
	nvtgt_subsys_set_max_qid(subsys, val);
	return count;
}
CONFIGFS_ATTR(nvtgt_subsys_, attr_qid_max);

static ssize_t nvtgt_subsys_attr_pi_enable_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", READ_ONCE(to_nvtgt_subsys(item)->pi));
}

static ssize_t nvtgt_subsys_attr_pi_enable_store(struct config_item *item,
						 const char *page, size_t count)
{
	struct nvtgt_subsys *subsys = to_nvtgt_subsys(item);
	bool val;

	if (kstrtobool(page, &val))
		return nvtgt_refuse(-EINVAL, page, "subsystem %s: attr_pi_enable: must be 0 or 1",
				    subsys->nqn);
	mutex_lock(&subsys->lock);
	WRITE_ONCE(subsys->pi, val);	/* controllers that are there stay as they are */
	mutex_unlock(&subsys->lock);
	return count;
}
CONFIGFS_ATTR(nvtgt_subsys_, attr_pi_enable);

static struct configfs_attribute *nvtgt_subsys_attrs[] = {
	&nvtgt_subsys_attr_attr_allow_any_host,
	&nvtgt_subsys_attr_attr_version,
	&nvtgt_subsys_attr_attr_serial,
	&nvtgt_subsys_attr_attr_model,
	&nvtgt_subsys_attr_attr_firmware,
	&nvtgt_subsys_attr_attr_ieee_oui,
	&nvtgt_subsys_attr_attr_vendor_id,
	&nvtgt_subsys_attr_attr_subsys_vendor_id,
	&nvtgt_subsys_attr_attr_cntlid_min,
	&nvtgt_subsys_attr_attr_cntlid_max,
	&nvtgt_subsys_attr_attr_qid_max,
	&nvtgt_subsys_attr_attr_pi_enable,
	NULL,
};

/* subsystems/ */

static void nvtgt_subsys_release(struct config_item *item)
{
	nvtgt_subsys_put(to_nvtgt_subsys(item));
}

static struct configfs_item_operations nvtgt_subsys_item_ops = {
	.release	= nvtgt_subsys_release,
};

const struct config_item_type nvtgt_subsys_type = {
	.ct_item_ops	= &nvtgt_subsys_item_ops,
	.ct_attrs	= nvtgt_subsys_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *nvtgt_subsys_make(struct config_group *group, const char *name)
{
	struct nvtgt_subsys *subsys;

	if (!nvtgt_nqn_valid(name, strlen(name)))
		return ERR_PTR(nvtgt_refuse(-EINVAL, name,
					    "subsystems: not a name for a subsystem"));
	subsys = nvtgt_subsys_create(name, false);
	if (IS_ERR(subsys))
		return ERR_CAST(subsys);
	if (nvtgt_group_init(&subsys->group, name, &nvtgt_subsys_type))
		return ERR_PTR(-ENOMEM);
	if (nvtgt_subsys_add(subsys)) {
		config_item_put(&subsys->group.cg_item);
		return ERR_PTR(nvtgt_refuse(-EINVAL, name,
					    "subsystems: a discovery subsystem has that name"));
	}

	config_group_init_type_name(&subsys->ns_group, "namespaces", &nvtgt_namespaces_type);
	configfs_add_default_group(&subsys->ns_group, &subsys->group);
	config_group_init_type_name(&subsys->hosts_group, "allowed_hosts",
				    &nvtgt_allowed_hosts_type);
	configfs_add_default_group(&subsys->hosts_group, &subsys->group);
	return &subsys->group;
}

static void nvtgt_subsys_drop(struct config_group *group, struct config_item *item)
{
	nvtgt_subsys_del(to_nvtgt_subsys(item));
	config_item_put(item);
}

static struct configfs_group_operations nvtgt_subsystems_group_ops = {
	.make_group	= nvtgt_subsys_make,
	.drop_item	= nvtgt_subsys_drop,
};

static const struct config_item_type nvtgt_subsystems_type = {
	.ct_group_ops	= &nvtgt_subsystems_group_ops,
	.ct_owner	= THIS_MODULE,
};

/* hosts/ */

static void nvtgt_host_release(struct config_item *item)
{
	kfree(to_nvtgt_host(item));
}

static struct configfs_item_operations nvtgt_host_item_ops = {
	.release	= nvtgt_host_release,
};

static const struct config_item_type nvtgt_host_type = {
	.ct_item_ops	= &nvtgt_host_item_ops,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *nvtgt_host_make(struct config_group *group, const char *name)
{
	struct nvtgt_host *host;

	if (!nvtgt_nqn_valid(name, strlen(name)))
		return ERR_PTR(nvtgt_refuse(-EINVAL, name, "hosts: not a name for a host"));
	host = kzalloc(sizeof(*host), GFP_KERNEL);
	if (!host)
		return ERR_PTR(-ENOMEM);
	strscpy(host->nqn, name, sizeof(host->nqn));
	if (nvtgt_group_init(&host->group, name, &nvtgt_host_type))
		return ERR_PTR(-ENOMEM);
	return &host->group;
}

static struct configfs_group_operations nvtgt_hosts_group_ops = {
	.make_group	= nvtgt_host_make,
};

static const struct config_item_type nvtgt_hosts_type = {
	.ct_group_ops	= &nvtgt_hosts_group_ops,
	.ct_owner	= THIS_MODULE,
};

/* the root */

static ssize_t nvtgt_root_discovery_nqn_show(struct config_item *item, char *page)
{
	struct nvtgt_subsys *subsys;
	ssize_t len;

	/* the well-known subsystem comes first in the list; one with a name of its own is last */
	down_read(&nvtgt_config_sem);
	subsys = list_last_entry(&nvtgt_disc_subsystems, struct nvtgt_subsys, entry);
	len = sysfs_emit(page, "%s\n", subsys->nqn);
	up_read(&nvtgt_config_sem);
	return len;
}

static ssize_t nvtgt_root_discovery_nqn_store(struct config_item *item,
					      const char *page, size_t count)
{
	char nqn[NVTGT_NQN_SIZE];
	int len, ret;

	len = nvtgt_text(nqn, sizeof(nqn), page);
	if (len <= 0 || !nvtgt_nqn_valid(nqn, len))
		return nvtgt_refuse(-EINVAL, page, "discovery_nqn: not a name for a subsystem");
	ret = nvtgt_discovery_set_nqn(nqn);
	if (ret == -EEXIST)
		return nvtgt_refuse(ret, page, "discovery_nqn: a subsystem has that name");
	return ret ?: count;
}
CONFIGFS_ATTR(nvtgt_root_, discovery_nqn);

static struct configfs_attribute *nvtgt_root_attrs[] = {
	&nvtgt_root_attr_discovery_nqn,
	NULL,
};

static const struct config_item_type nvtgt_root_type = {
	.ct_attrs	= nvtgt_root_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group nvtgt_subsystems_group, nvtgt_ports_group, nvtgt_hosts_group;

static struct configfs_subsystem nvtgt_configfs = {
	.su_mutex = __MUTEX_INITIALIZER(nvtgt_configfs.su_mutex),
	.su_group.cg_item.ci_type = &nvtgt_root_type,
};

static void nvtgt_configfs_add(struct config_group *group, const char *name,
			       const struct config_item_type *type)
{
	config_group_init_type_name(group, name, type);
	configfs_add_default_group(group, &nvtgt_configfs.su_group);
}

/**
 * nvtgt_configfs_init - let the tree appear
 *
 * Context: module load, as its last step.
 * Return: 0 or a negative errno; the reason has been logged.
 */
int nvtgt_configfs_init(void)
{
	struct config_group *root = &nvtgt_configfs.su_group;
	int ret;

	if (!*configfs_root || strlen(configfs_root) >= CONFIGFS_ITEM_NAME_LEN ||
	    strchr(configfs_root, '/')) {
		pr_err("configfs_root: must be 1 to %u characters without /\n",
		       CONFIGFS_ITEM_NAME_LEN - 1);
		return -EINVAL;
	}
	strscpy(root->cg_item.ci_namebuf, configfs_root, CONFIGFS_ITEM_NAME_LEN);
	config_group_init(root);
	nvtgt_configfs_add(&nvtgt_subsystems_group, "subsystems", &nvtgt_subsystems_type);
	nvtgt_configfs_add(&nvtgt_ports_group, "ports", &nvtgt_ports_type);
	nvtgt_configfs_add(&nvtgt_hosts_group, "hosts", &nvtgt_hosts_type);

	ret = configfs_register_subsystem(&nvtgt_configfs);
	if (ret == -EEXIST) {
		pr_err("configfs_root: /sys/kernel/config/%s belongs to another module; unload that one or choose another name\n",
		       configfs_root);
		ret = -EBUSY;	/* modprobe takes EEXIST for "loaded already" */
	} else if (ret) {
		pr_err("configfs_root: %s cannot be registered: error %d\n",
		       configfs_root, ret);
	}
	return ret;
}

/**
 * nvtgt_configfs_exit - take the tree away
 *
 * Context: module unload; the tree is empty, otherwise the module would be in use.
 */
void nvtgt_configfs_exit(void)
{
	configfs_unregister_subsystem(&nvtgt_configfs);
}
