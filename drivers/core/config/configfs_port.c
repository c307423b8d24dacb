// SPDX-License-Identifier: GPL-2.0
/* The configfs tree: ports/, with its links, referrals and ANA groups. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/kstrtox.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>
#include "configfs.h"

#define NVTGT_MAX_INLINE	(4 << 20)	/* bytes: more than any capsule has */

/* A number of the specification and its word in the tree. */
struct nvtgt_word {
	u8 val;
	const char *name;
};

static const struct nvtgt_word nvtgt_adrfams[] = {
	{ NVMF_ADDR_FAMILY_PCI, "pcie" },
	{ NVMF_ADDR_FAMILY_IP4, "ipv4" },
	{ NVMF_ADDR_FAMILY_IP6, "ipv6" },
	{ NVMF_ADDR_FAMILY_IB, "ib" },
	{ NVMF_ADDR_FAMILY_FC, "fc" },
	{ NVMF_ADDR_FAMILY_LOOP, "loop" },
};

static const struct nvtgt_word nvtgt_treqs[] = {
	{ NVMF_TREQ_NOT_SPECIFIED, "not specified" },
	{ NVMF_TREQ_REQUIRED, "required" },
	{ NVMF_TREQ_NOT_REQUIRED, "not required" },
};

static const struct nvtgt_word nvtgt_ana_states[] = {
	{ NVME_ANA_OPTIMIZED, "optimized" },
	{ NVME_ANA_NONOPTIMIZED, "non-optimized" },
	{ NVME_ANA_INACCESSIBLE, "inaccessible" },
	{ NVME_ANA_PERSISTENT_LOSS, "persistent-loss" },
	{ NVME_ANA_CHANGE, "change" },
};

static const char *nvtgt_word_name(const struct nvtgt_word *words, size_t nr, u8 val)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (words[i].val == val)
			return words[i].name;
	return "";
}

static int nvtgt_word_find(const struct nvtgt_word *words, size_t nr, const char *page)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (sysfs_streq(page, words[i].name))
			return words[i].val;
	return -EINVAL;
}

#define word_name(words, val)	nvtgt_word_name(words, ARRAY_SIZE(words), val)
#define word_find(words, page)	nvtgt_word_find(words, ARRAY_SIZE(words), page)

/* Addresses: what a port and a referral have in common. */

static ssize_t nvtgt_addr_show_trtype(const struct nvtgt_addr *addr, char *page)
{
	return sysfs_emit(page, "%s\n", nvtgt_trtype_name(addr->trtype));
}

static const char *nvtgt_addr_set_trtype(struct nvtgt_addr *addr, const char *page)
{
	int val = nvtgt_trtype_find(page);

	if (val < 0)
		return "must be tcp, rdma, fc, loop, pci or vfio-user";
	addr->trtype = val;
	return NULL;
}

static ssize_t nvtgt_addr_show_adrfam(const struct nvtgt_addr *addr, char *page)
{
	return sysfs_emit(page, "%s\n", word_name(nvtgt_adrfams, addr->adrfam));
}

static const char *nvtgt_addr_set_adrfam(struct nvtgt_addr *addr, const char *page)
{
	int val = word_find(nvtgt_adrfams, page);

	if (val < 0)
		return "must be ipv4, ipv6, ib, fc, loop or pcie";
	addr->adrfam = val;
	return NULL;
}

static ssize_t nvtgt_addr_show_treq(const struct nvtgt_addr *addr, char *page)
{
	u8 treq = addr->treq & NVME_TREQ_SECURE_CHANNEL_MASK;

	return sysfs_emit(page, "%s\n", word_name(nvtgt_treqs, treq));
}

static const char *nvtgt_addr_set_treq(struct nvtgt_addr *addr, const char *page)
{
	int val = word_find(nvtgt_treqs, page);

	if (val < 0)
		return "must be 'not specified', 'required' or 'not required'";
	addr->treq = (addr->treq & ~NVME_TREQ_SECURE_CHANNEL_MASK) | val;
	return NULL;
}

/* The rest of the field becomes zero, so that two addresses can be compared. */
static const char *nvtgt_addr_set_text(char *field, size_t size, const char *page)
{
	char buf[NVMF_TRADDR_SIZE + 1];
	int len = nvtgt_text(buf, size, page);

	if (len <= 0 || strpbrk(buf, " \t"))
		return "must be one word that fits into the discovery log's field";
	strscpy_pad(field, buf, size);
	return NULL;
}

static ssize_t nvtgt_addr_show_traddr(const struct nvtgt_addr *addr, char *page)
{
	return sysfs_emit(page, "%s\n", addr->traddr);
}

static const char *nvtgt_addr_set_traddr(struct nvtgt_addr *addr, const char *page)
{
	return nvtgt_addr_set_text(addr->traddr, sizeof(addr->traddr), page);
}

static ssize_t nvtgt_addr_show_trsvcid(const struct nvtgt_addr *addr, char *page)
{
	return sysfs_emit(page, "%s\n", addr->trsvcid);
}

static const char *nvtgt_addr_set_trsvcid(struct nvtgt_addr *addr, const char *page)
{
	return nvtgt_addr_set_text(addr->trsvcid, sizeof(addr->trsvcid), page);
}

/*
 * Change a copy first: a redundant write is no error even while the address is
 * in use, and nothing is half applied.
 */
static int nvtgt_addr_store(struct nvtgt_addr *addr, bool enabled, const char *object,
			    const char *attr, const char *page,
			    const char *(*set)(struct nvtgt_addr *addr, const char *page))
{
	struct nvtgt_addr new = *addr;
	const char *rule = set(&new, page);

	if (rule)
		return nvtgt_refuse(-EINVAL, page, "%s: %s: %s", object, attr, rule);
	if (!memcmp(&new, addr, sizeof(new)))
		return 0;
	if (enabled)
		return nvtgt_refuse(-EACCES, page, "%s: %s: it must be disabled first",
				    object, attr);
	*addr = new;
	return 0;
}

#define NVTGT_OBJECT_NAME	96	/* bytes for an object's name in a log line */

#define NVTGT_ADDR_SHOW(_kind, _to, _name)					\
static ssize_t nvtgt_##_kind##_addr_##_name##_show(struct config_item *item,	\
						   char *page)			\
{										\
	ssize_t len;								\
										\
	down_read(&nvtgt_config_sem);						\
	len = nvtgt_addr_show_##_name(_to(item), page);				\
	up_read(&nvtgt_config_sem);						\
	return len;								\
}

#define NVTGT_ADDR_STORE(_kind, _name)						\
static ssize_t nvtgt_##_kind##_addr_##_name##_store(struct config_item *item,	\
						    const char *page, size_t count) \
{										\
	return nvtgt_##_kind##_store_addr(item, "addr_" #_name, page,		\
					  nvtgt_addr_set_##_name) ?: count;	\
}

#define NVTGT_ADDR_ATTR(_kind, _to, _name)					\
	NVTGT_ADDR_SHOW(_kind, _to, _name)					\
	NVTGT_ADDR_STORE(_kind, _name)						\
	CONFIGFS_ATTR(nvtgt_##_kind##_, addr_##_name)

/* ports/ID/addr_* */

static struct nvtgt_cport *to_cport(struct config_item *item)
{
	return container_of(to_config_group(item), struct nvtgt_cport, group);
}

static struct nvtgt_addr *nvtgt_port_addr(struct config_item *item)
{
	return &to_cport(item)->port.addr;
}

/* Transport specific address subtype: what a fresh port of this type has. */
static void nvtgt_port_init_tsas(struct nvtgt_cport *cport)
{
	struct nvmf_disc_rsp_page_entry *entry = NULL;

	BUILD_BUG_ON(sizeof(entry->tsas) != sizeof(cport->tsas));
	memset(cport->tsas, 0, sizeof(cport->tsas));
	if (cport->port.addr.trtype == NVMF_TRTYPE_RDMA) {
		cport->tsas[offsetof(typeof(entry->tsas.rdma), qptype)] =
			NVMF_RDMA_QPTYPE_CONNECTED;
		cport->tsas[offsetof(typeof(entry->tsas.rdma), prtype)] =
			NVMF_RDMA_PRTYPE_NOT_SPECIFIED;
		cport->tsas[offsetof(typeof(entry->tsas.rdma), cms)] =
			NVMF_RDMA_CMS_RDMA_CM;
	}
}

static int nvtgt_port_store_addr(struct config_item *item, const char *attr,
				 const char *page,
				 const char *(*set)(struct nvtgt_addr *addr, const char *page))
{
	struct nvtgt_cport *cport = to_cport(item);
	char object[NVTGT_OBJECT_NAME];
	u8 trtype;
	int ret;

	snprintf(object, sizeof(object), "port %u", cport->port.id);
	down_write(&nvtgt_config_sem);
	trtype = cport->port.addr.trtype;
	ret = nvtgt_addr_store(&cport->port.addr, cport->enabled, object, attr, page, set);
	if (trtype != cport->port.addr.trtype)
		nvtgt_port_init_tsas(cport);
	up_write(&nvtgt_config_sem);
	return ret;
}

NVTGT_ADDR_ATTR(port, nvtgt_port_addr, trtype);
NVTGT_ADDR_ATTR(port, nvtgt_port_addr, adrfam);
NVTGT_ADDR_ATTR(port, nvtgt_port_addr, treq);
NVTGT_ADDR_ATTR(port, nvtgt_port_addr, traddr);
NVTGT_ADDR_ATTR(port, nvtgt_port_addr, trsvcid);

static const char *nvtgt_port_tsas_name(const struct nvtgt_cport *cport)
{
	switch (cport->port.addr.trtype) {
	case NVMF_TRTYPE_TCP:
		return "none";
	case NVMF_TRTYPE_RDMA:
		return "connected";
	default:
		return "";
	}
}

static ssize_t nvtgt_port_addr_tsas_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%s\n", nvtgt_port_tsas_name(to_cport(item)));
}

/* Each type has one subtype so far, which it has from the start. */
static ssize_t nvtgt_port_addr_tsas_store(struct config_item *item, const char *page,
					  size_t count)
{
	struct nvtgt_cport *cport = to_cport(item);
	const char *name = nvtgt_port_tsas_name(cport);

	if (*name && sysfs_streq(page, name))
		return count;
	if (sysfs_streq(page, "tls1.3"))
		return nvtgt_refuse(-EINVAL, page, "port %u: addr_tsas: there is no TLS here",
				    cport->port.id);
	return nvtgt_refuse(-EINVAL, page,
			    "port %u: addr_tsas: must be none for tcp, connected for rdma; addr_trtype comes first",
			    cport->port.id);
}
CONFIGFS_ATTR(nvtgt_port_, addr_tsas);

/* ports/ID/param_* */

/*
 * What was configured stays readable while the port is open: a saved file must
 * ask for the same again. The value in force has a file of its own (*_in_force).
 */
static ssize_t nvtgt_port_param_show(const int *conf, char *page)
{
	ssize_t len;

	down_read(&nvtgt_config_sem);
	len = sysfs_emit(page, "%d\n", *conf);
	up_read(&nvtgt_config_sem);
	return len;
}

static ssize_t nvtgt_port_in_force_show(struct nvtgt_cport *cport, const int *in_force,
					char *page)
{
	ssize_t len;

	down_read(&nvtgt_config_sem);
	if (cport->enabled)
		len = sysfs_emit(page, "%d\n", *in_force);
	else
		len = sysfs_emit(page, "-\n");
	up_read(&nvtgt_config_sem);
	return len;
}

/* An open port takes what changes nothing: the same again, or the value in force. */
static int nvtgt_port_param_store(struct nvtgt_cport *cport, const char *attr, int *conf,
				  const int *in_force, int min, int max, const char *page)
{
	int ret = 0, val;

	if (kstrtoint(page, 0, &val) || val < -1 || (val >= 0 && val < min) || val > max)
		return nvtgt_refuse(-EINVAL, page,
				    "port %u: %s: must be %d to %d, or -1 for the transport's choice",
				    cport->port.id, attr, min, max);
	down_write(&nvtgt_config_sem);
	if (!cport->enabled || val == *in_force)
		*conf = val;
	else if (val != *conf)
		ret = nvtgt_refuse(-EACCES, page,
				   "port %u: %s: the port must have no subsystem linked",
				   cport->port.id, attr);
	up_write(&nvtgt_config_sem);
	return ret;
}

#define NVTGT_PORT_PARAM(_name, _min, _max)					\
static ssize_t nvtgt_port_param_##_name##_show(struct config_item *item, char *page) \
{										\
	return nvtgt_port_param_show(&to_cport(item)->conf_##_name, page);	\
}										\
										\
static ssize_t nvtgt_port_param_##_name##_in_force_show(struct config_item *item, \
							char *page)		\
{										\
	struct nvtgt_cport *cport = to_cport(item);				\
										\
	return nvtgt_port_in_force_show(cport, &cport->port._name, page);	\
}										\
										\
static ssize_t nvtgt_port_param_##_name##_store(struct config_item *item,	\
						const char *page, size_t count)	\
{										\
	struct nvtgt_cport *cport = to_cport(item);				\
										\
	return nvtgt_port_param_store(cport, "param_" #_name, &cport->conf_##_name, \
				      &cport->port._name, _min, _max, page) ?: count; \
}										\
CONFIGFS_ATTR(nvtgt_port_, param_##_name);					\
CONFIGFS_ATTR_RO(nvtgt_port_, param_##_name##_in_force)

NVTGT_PORT_PARAM(inline_data_size, 0, NVTGT_MAX_INLINE);
NVTGT_PORT_PARAM(max_queue_size, 1, 65535);
NVTGT_PORT_PARAM(mdts, 0, 255);

static ssize_t nvtgt_port_param_pi_enable_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", READ_ONCE(to_cport(item)->conf_pi));
}

static ssize_t nvtgt_port_param_pi_enable_store(struct config_item *item,
						const char *page, size_t count)
{
	struct nvtgt_cport *cport = to_cport(item);
	int ret = 0;
	bool val;

	if (kstrtobool(page, &val))
		return nvtgt_refuse(-EINVAL, page, "port %u: param_pi_enable: must be 0 or 1",
				    cport->port.id);
	down_write(&nvtgt_config_sem);
	if (cport->enabled && val != cport->conf_pi)
		ret = nvtgt_refuse(-EACCES, page,
				   "port %u: param_pi_enable: the port must have no subsystem linked",
				   cport->port.id);
	else
		WRITE_ONCE(cport->conf_pi, val);
	up_write(&nvtgt_config_sem);
	return ret ?: count;
}
CONFIGFS_ATTR(nvtgt_port_, param_pi_enable);

/* Who the host of a PCIe transport's port is, which nobody says but the administrator. */

static ssize_t nvtgt_port_param_hostnqn_show(struct config_item *item, char *page)
{
	ssize_t len;

	down_read(&nvtgt_config_sem);
	len = sysfs_emit(page, "%s\n", to_cport(item)->hostnqn);
	up_read(&nvtgt_config_sem);
	return len;
}

static ssize_t nvtgt_port_param_hostnqn_store(struct config_item *item, const char *page,
					      size_t count)
{
	struct nvtgt_cport *cport = to_cport(item);
	char nqn[NVTGT_NQN_SIZE];
	int len, ret = 0;

	len = nvtgt_text(nqn, sizeof(nqn), page);
	if (len < 0 || (len && !nvtgt_nqn_valid(nqn, len)))
		return nvtgt_refuse(-EINVAL, page,
				    "port %u: param_hostnqn: must be a host's name, 1 to 223 bytes of UTF-8, or empty",
				    cport->port.id);
	down_write(&nvtgt_config_sem);
	if (!cport->enabled)
		strscpy(cport->hostnqn, nqn, sizeof(cport->hostnqn));
	else if (strcmp(cport->hostnqn, nqn))
		ret = nvtgt_refuse(-EACCES, page,
				   "port %u: param_hostnqn: the port must have no subsystem linked",
				   cport->port.id);
	up_write(&nvtgt_config_sem);
	return ret ?: count;
}
CONFIGFS_ATTR(nvtgt_port_, param_hostnqn);

static ssize_t nvtgt_port_param_hostid_show(struct config_item *item, char *page)
{
	struct nvtgt_cport *cport = to_cport(item);
	ssize_t len;

	down_read(&nvtgt_config_sem);
	if (uuid_is_null(&cport->hostid))
		len = sysfs_emit(page, "\n");
	else
		len = sysfs_emit(page, "%pUb\n", &cport->hostid);
	up_read(&nvtgt_config_sem);
	return len;
}

static ssize_t nvtgt_port_param_hostid_store(struct config_item *item, const char *page,
					     size_t count)
{
	struct nvtgt_cport *cport = to_cport(item);
	uuid_t hostid = uuid_null;
	int ret = 0;

	if (*skip_spaces(page) && nvtgt_parse_hex16(page, hostid.b))
		return nvtgt_refuse(-EINVAL, page,
				    "port %u: param_hostid: must be a UUID, 32 hexadecimal digits, or empty",
				    cport->port.id);
	down_write(&nvtgt_config_sem);
	if (!cport->enabled)
		uuid_copy(&cport->hostid, &hostid);
	else if (!uuid_equal(&cport->hostid, &hostid))
		ret = nvtgt_refuse(-EACCES, page,
				   "port %u: param_hostid: the port must have no subsystem linked",
				   cport->port.id);
	up_write(&nvtgt_config_sem);
	return ret ?: count;
}
CONFIGFS_ATTR(nvtgt_port_, param_hostid);

static ssize_t nvtgt_port_param_cpus_show(struct config_item *item, char *page)
{
	struct nvtgt_cport *cport = to_cport(item);
	ssize_t len;

	down_read(&nvtgt_config_sem);
	if (cpumask_equal(cport->port.cpus, cpu_possible_mask))
		len = sysfs_emit(page, "all\n");
	else
		len = sysfs_emit(page, "%*pbl\n", cpumask_pr_args(cport->port.cpus));
	up_read(&nvtgt_config_sem);
	return len;
}

static int nvtgt_port_set_cpus(struct nvtgt_cport *cport, const struct cpumask *cpus,
			       const char *page)
{
	int ret = 0;

	down_write(&nvtgt_config_sem);
	if (!cport->enabled)
		cpumask_copy(cport->port.cpus, cpus);
	else if (!cpumask_equal(cport->port.cpus, cpus))
		ret = nvtgt_refuse(-EACCES, page,
				   "port %u: param_cpus: the port must have no subsystem linked",
				   cport->port.id);
	up_write(&nvtgt_config_sem);
	return ret;
}

static ssize_t nvtgt_port_param_cpus_store(struct config_item *item,
					   const char *page, size_t count)
{
	struct nvtgt_cport *cport = to_cport(item);
	cpumask_var_t cpus;
	int ret;

	if (!alloc_cpumask_var(&cpus, GFP_KERNEL))
		return -ENOMEM;
	if (sysfs_streq(page, "all"))
		cpumask_copy(cpus, cpu_possible_mask);
	else if (cpulist_parse(page, cpus))
		cpumask_clear(cpus);
	if (cpumask_intersects(cpus, cpu_online_mask))
		ret = nvtgt_port_set_cpus(cport, cpus, page);
	else
		ret = nvtgt_refuse(-EINVAL, page,
				   "port %u: param_cpus: must be a list like 0-3,8 with a CPU that is online, or all",
				   cport->port.id);
	free_cpumask_var(cpus);
	return ret ?: count;
}
CONFIGFS_ATTR(nvtgt_port_, param_cpus);

/* The inode's number, by which user space finds the name: stat -L /run/netns/NAME */
static ssize_t nvtgt_port_netns_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_cport(item)->port.net->ns.inum);
}
CONFIGFS_ATTR_RO(nvtgt_port_, netns);

static struct configfs_attribute *nvtgt_port_attrs[] = {
	&nvtgt_port_attr_addr_trtype,
	&nvtgt_port_attr_addr_adrfam,
	&nvtgt_port_attr_addr_treq,
	&nvtgt_port_attr_addr_traddr,
	&nvtgt_port_attr_addr_trsvcid,
	&nvtgt_port_attr_addr_tsas,
	&nvtgt_port_attr_param_inline_data_size,
	&nvtgt_port_attr_param_inline_data_size_in_force,
	&nvtgt_port_attr_param_max_queue_size,
	&nvtgt_port_attr_param_max_queue_size_in_force,
	&nvtgt_port_attr_param_mdts,
	&nvtgt_port_attr_param_mdts_in_force,
	&nvtgt_port_attr_param_pi_enable,
	&nvtgt_port_attr_param_cpus,
	&nvtgt_port_attr_param_hostnqn,
	&nvtgt_port_attr_param_hostid,
	&nvtgt_port_attr_netns,
	NULL,
};

/* ports/ID/subsystems/ */

static int nvtgt_port_subsys_allow_link(struct config_item *parent,
					struct config_item *target)
{
	struct nvtgt_cport *cport = to_cport(parent->ci_parent);

	if (target->ci_type != &nvtgt_subsys_type)
		return nvtgt_refuse(-EINVAL, config_item_name(target),
				    "port %u: subsystems: links must lead to subsystems/",
				    cport->port.id);
	return nvtgt_port_link(cport, to_nvtgt_subsys(target));
}

static void nvtgt_port_subsys_drop_link(struct config_item *parent,
					struct config_item *target)
{
	nvtgt_port_unlink(to_cport(parent->ci_parent), to_nvtgt_subsys(target));
}

static struct configfs_item_operations nvtgt_port_subsys_item_ops = {
	.allow_link	= nvtgt_port_subsys_allow_link,
	.drop_link	= nvtgt_port_subsys_drop_link,
};

static const struct config_item_type nvtgt_port_subsys_type = {
	.ct_item_ops	= &nvtgt_port_subsys_item_ops,
	.ct_owner	= THIS_MODULE,
};

/* ports/ID/referrals/NAME */

static struct nvtgt_referral *to_referral(struct config_item *item)
{
	return container_of(to_config_group(item), struct nvtgt_referral, group);
}

static struct nvtgt_addr *nvtgt_referral_addr(struct config_item *item)
{
	return &to_referral(item)->addr;
}

static void nvtgt_referral_name(struct nvtgt_referral *referral, char *object)
{
	snprintf(object, NVTGT_OBJECT_NAME, "port %u referral %.64s",
		 referral->cport->port.id, config_item_name(&referral->group.cg_item));
}

static int nvtgt_referral_store_addr(struct config_item *item, const char *attr,
				     const char *page,
				     const char *(*set)(struct nvtgt_addr *addr,
							const char *page))
{
	struct nvtgt_referral *referral = to_referral(item);
	char object[NVTGT_OBJECT_NAME];
	int ret;

	nvtgt_referral_name(referral, object);
	down_write(&nvtgt_config_sem);
	ret = nvtgt_addr_store(&referral->addr, referral->enabled, object, attr, page, set);
	up_write(&nvtgt_config_sem);
	return ret;
}

NVTGT_ADDR_ATTR(referral, nvtgt_referral_addr, trtype);
NVTGT_ADDR_ATTR(referral, nvtgt_referral_addr, adrfam);
NVTGT_ADDR_ATTR(referral, nvtgt_referral_addr, treq);
NVTGT_ADDR_ATTR(referral, nvtgt_referral_addr, traddr);
NVTGT_ADDR_ATTR(referral, nvtgt_referral_addr, trsvcid);

static ssize_t nvtgt_referral_addr_portid_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", to_referral(item)->portid);
}

static ssize_t nvtgt_referral_addr_portid_store(struct config_item *item,
						const char *page, size_t count)
{
	struct nvtgt_referral *referral = to_referral(item);
	char object[NVTGT_OBJECT_NAME];
	ssize_t ret = count;
	u16 val;

	nvtgt_referral_name(referral, object);
	if (kstrtou16(page, 0, &val))
		return nvtgt_refuse(-EINVAL, page, "%s: addr_portid: must be 0 to 65535",
				    object);
	down_write(&nvtgt_config_sem);
	if (!referral->enabled)
		referral->portid = val;
	else if (referral->portid != val)
		ret = nvtgt_refuse(-EACCES, page, "%s: addr_portid: it must be disabled first",
				   object);
	up_write(&nvtgt_config_sem);
	return ret;
}
CONFIGFS_ATTR(nvtgt_referral_, addr_portid);

static void nvtgt_referral_set(struct nvtgt_referral *referral, bool enable)
{
	struct nvtgt_cport *cport = referral->cport;

	down_write(&nvtgt_config_sem);
	if (referral->enabled != enable) {
		referral->enabled = enable;
		if (enable)
			list_add_tail(&referral->entry, &cport->referrals);
		else
			list_del_init(&referral->entry);
		nvtgt_discovery_changed(&cport->port, NULL);
	}
	up_write(&nvtgt_config_sem);
}

static ssize_t nvtgt_referral_enable_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%d\n", to_referral(item)->enabled);
}

static ssize_t nvtgt_referral_enable_store(struct config_item *item, const char *page,
					   size_t count)
{
	struct nvtgt_referral *referral = to_referral(item);
	char object[NVTGT_OBJECT_NAME];
	bool enable;

	nvtgt_referral_name(referral, object);
	if (kstrtobool(page, &enable))
		return nvtgt_refuse(-EINVAL, page, "%s: enable: must be 0 or 1", object);
	if (enable && referral->addr.trtype == NVTGT_TRTYPE_UNSET)
		return nvtgt_refuse(-EINVAL, page, "%s: enable: addr_trtype is not set", object);
	nvtgt_referral_set(referral, enable);
	return count;
}
CONFIGFS_ATTR(nvtgt_referral_, enable);

static struct configfs_attribute *nvtgt_referral_attrs[] = {
	&nvtgt_referral_attr_addr_trtype,
	&nvtgt_referral_attr_addr_adrfam,
	&nvtgt_referral_attr_addr_portid,
	&nvtgt_referral_attr_addr_treq,
	&nvtgt_referral_attr_addr_traddr,
	&nvtgt_referral_attr_addr_trsvcid,
	&nvtgt_referral_attr_enable,
	NULL,
};

static void nvtgt_referral_release(struct config_item *item)
{
	kfree(to_referral(item));
}

static struct configfs_item_operations nvtgt_referral_item_ops = {
	.release	= nvtgt_referral_release,
};

static const struct config_item_type nvtgt_referral_type = {
	.ct_item_ops	= &nvtgt_referral_item_ops,
	.ct_attrs	= nvtgt_referral_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *nvtgt_referral_make(struct config_group *group,
						const char *name)
{
	struct nvtgt_referral *referral = kzalloc(sizeof(*referral), GFP_KERNEL);

	if (!referral)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&referral->entry);
	referral->cport = to_cport(group->cg_item.ci_parent);
	referral->addr.trtype = NVTGT_TRTYPE_UNSET;
	referral->addr.adrfam = NVTGT_ADRFAM_UNSET;
	if (nvtgt_group_init(&referral->group, name, &nvtgt_referral_type))
		return ERR_PTR(-ENOMEM);
	return &referral->group;
}

static void nvtgt_referral_drop(struct config_group *group, struct config_item *item)
{
	nvtgt_referral_set(to_referral(item), false);
	config_item_put(item);
}

static struct configfs_group_operations nvtgt_referrals_group_ops = {
	.make_group	= nvtgt_referral_make,
	.drop_item	= nvtgt_referral_drop,
};

static const struct config_item_type nvtgt_referrals_type = {
	.ct_group_ops	= &nvtgt_referrals_group_ops,
	.ct_owner	= THIS_MODULE,
};

/* ports/ID/ana_groups/GRPID */

static struct nvtgt_ana_group *to_ana_group(struct config_item *item)
{
	return container_of(to_config_group(item), struct nvtgt_ana_group, group);
}

static void nvtgt_ana_group_set(struct nvtgt_ana_group *grp, enum nvme_ana_state state)
{
	struct nvtgt_cport *cport = grp->cport;

	down_write(&nvtgt_config_sem);
	if (cport->ana_state[grp->grpid] != state) {
		/* the I/O path looks without a lock */
		WRITE_ONCE(cport->ana_state[grp->grpid], state);
		nvtgt_ana_changed(NULL, &cport->port);
	}
	up_write(&nvtgt_config_sem);
}

static ssize_t nvtgt_ana_group_ana_state_show(struct config_item *item, char *page)
{
	struct nvtgt_ana_group *grp = to_ana_group(item);
	u8 state = READ_ONCE(grp->cport->ana_state[grp->grpid]);

	return sysfs_emit(page, "%s\n", word_name(nvtgt_ana_states, state));
}

static ssize_t nvtgt_ana_group_ana_state_store(struct config_item *item,
					       const char *page, size_t count)
{
	struct nvtgt_ana_group *grp = to_ana_group(item);
	int state = word_find(nvtgt_ana_states, page);

	if (state < 0)
		return nvtgt_refuse(-EINVAL, page,
				    "port %u ANA group %u: ana_state: must be optimized, non-optimized, inaccessible, persistent-loss or change",
				    grp->cport->port.id, grp->grpid);
	nvtgt_ana_group_set(grp, state);
	return count;
}
CONFIGFS_ATTR(nvtgt_ana_group_, ana_state);

static struct configfs_attribute *nvtgt_ana_group_attrs[] = {
	&nvtgt_ana_group_attr_ana_state,
	NULL,
};

static void nvtgt_ana_group_release(struct config_item *item)
{
	kfree(to_ana_group(item));
}

static struct configfs_item_operations nvtgt_ana_group_item_ops = {
	.release	= nvtgt_ana_group_release,
};

static const struct config_item_type nvtgt_ana_group_type = {
	.ct_item_ops	= &nvtgt_ana_group_item_ops,
	.ct_attrs	= nvtgt_ana_group_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct nvtgt_ana_group *nvtgt_ana_group_create(struct nvtgt_cport *cport, u32 grpid,
						      const char *name)
{
	struct nvtgt_ana_group *grp = kzalloc(sizeof(*grp), GFP_KERNEL);

	if (!grp)
		return NULL;
	grp->cport = cport;
	grp->grpid = grpid;
	config_group_init_type_name(&grp->group, name, &nvtgt_ana_group_type);
	return grp;
}

static struct config_group *nvtgt_ana_group_make(struct config_group *group,
						 const char *name)
{
	struct nvtgt_cport *cport = to_cport(group->cg_item.ci_parent);
	struct nvtgt_ana_group *grp;
	u32 grpid;

	if (nvtgt_parse_id(name, NVTGT_MAX_ANAGRPS, &grpid) ||
	    grpid <= NVTGT_DEFAULT_ANA_GRPID)
		return ERR_PTR(nvtgt_refuse(-EINVAL, name,
					    "port %u: an ANA group's name must be a number from %u to %u",
					    cport->port.id, NVTGT_DEFAULT_ANA_GRPID + 1,
					    NVTGT_MAX_ANAGRPS));
	grp = nvtgt_ana_group_create(cport, grpid, name);
	if (!grp)
		return ERR_PTR(-ENOMEM);
	nvtgt_ana_group_set(grp, NVME_ANA_INACCESSIBLE);
	return &grp->group;
}

static void nvtgt_ana_group_drop(struct config_group *group, struct config_item *item)
{
	nvtgt_ana_group_set(to_ana_group(item), 0);
	config_item_put(item);
}

static struct configfs_group_operations nvtgt_ana_groups_group_ops = {
	.make_group	= nvtgt_ana_group_make,
	.drop_item	= nvtgt_ana_group_drop,
};

static const struct config_item_type nvtgt_ana_groups_type = {
	.ct_group_ops	= &nvtgt_ana_groups_group_ops,
	.ct_owner	= THIS_MODULE,
};

/* ports/ */

static void nvtgt_port_release(struct config_item *item)
{
	nvtgt_port_destroy(to_cport(item));
}

static struct configfs_item_operations nvtgt_port_item_ops = {
	.release	= nvtgt_port_release,
};

static const struct config_item_type nvtgt_port_type = {
	.ct_item_ops	= &nvtgt_port_item_ops,
	.ct_attrs	= nvtgt_port_attrs,
	.ct_owner	= THIS_MODULE,
};

static void nvtgt_port_add_group(struct nvtgt_cport *cport, struct config_group *group,
				 const char *name, const struct config_item_type *type)
{
	config_group_init_type_name(group, name, type);
	configfs_add_default_group(group, &cport->group);
}

static struct config_group *nvtgt_port_make(struct config_group *group, const char *name)
{
	struct nvtgt_ana_group *grp;
	struct nvtgt_cport *cport;
	u32 id;

	if (nvtgt_parse_id(name, U16_MAX, &id))
		return ERR_PTR(nvtgt_refuse(-EINVAL, name,
					    "ports: a port's name must be a number from 0 to %u",
					    U16_MAX));
	cport = nvtgt_port_create(id, current->nsproxy->net_ns);
	if (!cport)
		return ERR_PTR(-ENOMEM);
	grp = nvtgt_ana_group_create(cport, NVTGT_DEFAULT_ANA_GRPID,
				     __stringify(NVTGT_DEFAULT_ANA_GRPID));
	if (!grp) {
		nvtgt_port_destroy(cport);
		return ERR_PTR(-ENOMEM);
	}

	config_group_init_type_name(&cport->group, name, &nvtgt_port_type);
	nvtgt_port_add_group(cport, &cport->subsys_group, "subsystems",
			     &nvtgt_port_subsys_type);
	nvtgt_port_add_group(cport, &cport->referrals_group, "referrals",
			     &nvtgt_referrals_type);
	nvtgt_port_add_group(cport, &cport->ana_groups_group, "ana_groups",
			     &nvtgt_ana_groups_type);
	configfs_add_default_group(&grp->group, &cport->ana_groups_group);

	down_write(&nvtgt_config_sem);
	list_add_tail(&cport->entry, &nvtgt_ports);
	up_write(&nvtgt_config_sem);
	return &cport->group;
}

static void nvtgt_port_drop(struct config_group *group, struct config_item *item)
{
	struct nvtgt_cport *cport = to_cport(item);

	down_write(&nvtgt_config_sem);
	if (cport->enabled)
		nvtgt_port_disable(cport);
	list_del_init(&cport->entry);
	up_write(&nvtgt_config_sem);
	/*
	 * The default ANA group is an object of its own, whose reference is given back here. A
	 * process with an open file of the group keeps the group's memory, but not the port's.
	 */
	configfs_remove_default_groups(&cport->ana_groups_group);
	config_item_put(item);
}

static struct configfs_group_operations nvtgt_ports_group_ops = {
	.make_group	= nvtgt_port_make,
	.drop_item	= nvtgt_port_drop,
};

const struct config_item_type nvtgt_ports_type = {
	.ct_group_ops	= &nvtgt_ports_group_ops,
	.ct_owner	= THIS_MODULE,
};
