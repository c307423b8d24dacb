// SPDX-License-Identifier: GPL-2.0
#include "kind.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define KINDS(...) ((const struct nv_kind *const[]){ __VA_ARGS__, NULL })

const struct nv_kind nv_kind_root = {
	.word = "target",
	.kids = KINDS(&nv_kind_host, &nv_kind_port, &nv_kind_subsystem),
};

const struct nv_kind nv_kind_host = {
	.word = "host",
	.list = "hosts",
	.id_key = "nqn",
	.groups = LIST("dhchap"),
	.order = LIST("dhchap_hash", "dhchap_dhgroup", "dhchap_key",
		      "dhchap_ctrl_key"),
	.vital = LIST("dhchap_key", "dhchap_ctrl_key"),
	.columns = LIST("dhchap_hash", "dhchap_dhgroup"),
};

const struct nv_kind nv_kind_subsystem = {
	.word = "subsystem",
	.list = "subsystems",
	.id_key = "nqn",
	.kids = KINDS(&nv_kind_namespace, &nv_kind_passthru),
	.links = "allowed_hosts",
	.links_to = &nv_kind_host,
	.groups = LIST("attr"),
	.columns = LIST("attr_allow_any_host", "attr_serial", "attr_model"),
};

const struct nv_kind nv_kind_namespace = {
	.word = "namespace",
	.list = "namespaces",
	.id_key = "nsid",
	.id_min = 1,
	.id_max = 0xfffffffe,
	.parent = &nv_kind_subsystem,
	.groups = LIST("device", "ana", "resv"),
	.ints = LIST("enable", "ana_grpid"),
	.order = LIST("backend", "device_path", "backend_options",
		      "device_uuid", "device_nguid"),
	.live = LIST("ana_grpid", "backend_options"),
	.vital = LIST("backend", "backend_options", "device_path",
		      "device_uuid", "device_nguid", "resv_enable"),
	.columns = LIST("enable", NV_COLUMN_SIZE, NV_COLUMN_ACCESS,
			"device_path", "device_uuid"),
};

const struct nv_kind nv_kind_passthru = {
	.word = "passthru",
	.list = "passthru",
	.parent = &nv_kind_subsystem,
	.groups = LIST("device"),
	.ints = LIST("enable", "clear_ids", "admin_timeout", "io_timeout"),
	.vital = LIST("device_path"),
};

const struct nv_kind nv_kind_port = {
	.word = "port",
	.list = "ports",
	.id_key = "portid",
	.id_max = 0xffff,
	.kids = KINDS(&nv_kind_ana_group, &nv_kind_referral),
	.links = "subsystems",
	.links_to = &nv_kind_subsystem,
	.groups = LIST("addr", "param"),
	.order = LIST("addr_trtype", "addr_adrfam", "addr_traddr",
		      "addr_trsvcid", "addr_tsas", "addr_treq"),
	.vital = LIST("addr_trtype", "addr_adrfam", "addr_traddr",
		      "addr_trsvcid", "addr_tsas", "addr_treq",
		      "param_hostnqn", "param_hostid"),
	.columns = LIST("addr_trtype", "addr_traddr", "addr_trsvcid",
			NV_COLUMN_STATE, NV_COLUMN_LINKS),
};

const struct nv_kind nv_kind_referral = {
	.word = "referral",
	.list = "referrals",
	.id_key = "name",
	.parent = &nv_kind_port,
	.groups = LIST("addr"),
	.ints = LIST("enable"),
	.order = LIST("addr_trtype", "addr_adrfam", "addr_traddr",
		      "addr_trsvcid", "addr_treq", "addr_portid"),
	.vital = LIST("addr_trtype", "addr_adrfam", "addr_traddr",
		      "addr_trsvcid"),
	.columns = LIST("enable", "addr_trtype", "addr_traddr",
			"addr_trsvcid"),
};

const struct nv_kind nv_kind_ana_group = {
	.word = "ana-group",
	.list = "ana_groups",
	.id_key = "grpid",
	.id_min = 1,
	.id_max = 0xffffffff,
	.parent = &nv_kind_port,
	.groups = LIST("ana"),
	.columns = LIST("ana_state"),
	.builtin = "1",
};

/**
 * nv_name_ok() - whether @s may name a directory of the tree
 * @s: an identifier or NQN from outside
 * @why: gets the reason when it may not
 */
bool nv_name_ok(const char *s, const char **why)
{
	if (!*s)
		*why = "a name must not be empty";
	else if (strlen(s) > 223)
		*why = "a name has at most 223 bytes";
	else if (!strcmp(s, ".") || !strcmp(s, "..") || strchr(s, '/'))
		*why = "a name is not \".\" or \"..\" and contains no \"/\"";
	else
		return nv_value_ok(s, why);
	return false;
}

/**
 * nv_id_ok() - nv_name_ok(), and the range of a numeric identifier
 * @kind: the kind that it shall identify
 * @id: the identifier
 * @why: gets the reason when it may not, good until the next call
 */
bool nv_id_ok(const struct nv_kind *kind, const char *id, const char **why)
{
	static char buf[96];
	uint64_t n;

	if (!kind->id_max)
		return nv_name_ok(id, why);
	/* one spelling for each number, since it becomes a directory's name */
	if (isdigit((unsigned char)id[0]) && (id[0] != '0' || !id[1]) &&
	    str_to_u64(id, &n) && n >= kind->id_min && n <= kind->id_max)
		return true;
	snprintf(buf, sizeof(buf), "it must be a decimal number from %llu to %llu",
		 (unsigned long long)kind->id_min,
		 (unsigned long long)kind->id_max);
	*why = buf;
	return false;
}

/** nv_attr_name_ok() - whether @s may be an attribute's file name */
bool nv_attr_name_ok(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > 64)
		return false;
	for (; *s; s++)
		if (!islower((unsigned char)*s) &&
		    !isdigit((unsigned char)*s) && *s != '_')
			return false;
	return true;
}

/** nv_value_ok() - whether @s may be written into an attribute */
bool nv_value_ok(const char *s, const char **why)
{
	if (strlen(s) >= 4095) {
		*why = "a value has less than 4095 bytes";
		return false;
	}
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f) {
			*why = "control characters are not allowed";
			return false;
		}
	}
	return true;
}

/* Hexadecimal digits in groups, of which only the digits count. */
static bool same_digits(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "-:");
		b += strspn(b, "-:");
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

/* "2.1" and "2.1.0" are the same version. */
static bool same_version(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	if (x < y)
		return same_version(b, a);
	return !strncmp(a, b, y) && !strcmp(a + y, ".0");
}

#define MAX_CPUS 8192

/* Marks the CPUs of a list such as "0-3,8"; "all" is every possible one. */
static bool cpu_list(const char *s, unsigned char *set)
{
	char possible[256] = "", *end;

	if (!strcmp(s, "all")) {
		FILE *f = fopen("/sys/devices/system/cpu/possible", "re");

		if (f) {
			if (!fgets(possible, sizeof(possible), f))
				*possible = '\0';
			fclose(f);
		}
		possible[strcspn(possible, "\n")] = '\0';
		s = possible;
	}
	for (;; s = end + 1) {
		unsigned long from, to;

		if (!isdigit((unsigned char)*s))
			return false;
		from = to = strtoul(s, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			to = strtoul(end + 1, &end, 10);
		if (from > to || to >= MAX_CPUS)
			return false;
		memset(set + from, 1, to - from + 1);
		if (*end != ',')
			return !*end;
	}
}

static bool same_cpus(const char *a, const char *b)
{
	unsigned char *x = xcalloc(2, MAX_CPUS), *y = x + MAX_CPUS;
	bool same = cpu_list(a, x) && cpu_list(b, y) &&
		    !memcmp(x, y, MAX_CPUS);

	free(x);
	return same;
}

/** nv_value_same() - whether two values of @attr mean the same */
bool nv_value_same(const char *attr, const char *a, const char *b)
{
	static const char *const texts[] = {
		"attr_serial", "attr_model", "attr_firmware", "device_path",
		"dhchap_key", "dhchap_ctrl_key", "param_hostnqn", NULL
	};
	uint64_t x, y;

	if (!strcmp(a, b))
		return true;
	if (!strcmp(attr, "device_uuid") || !strcmp(attr, "device_nguid"))
		return same_digits(a, b);
	if (!strcmp(attr, "param_hostid"))
		return same_digits(a, b) || (nv_value_is_off(attr, a) &&
					     nv_value_is_off(attr, b));
	/* an address in hexadecimal, but a path is what it is */
	if (!strcmp(attr, "addr_traddr"))
		return *a != '/' && !strcasecmp(a, b);
	if (!strcmp(attr, "attr_version"))
		return same_version(a, b);
	if (!strcmp(attr, "param_cpus"))
		return same_cpus(a, b);
	/* a text that looks like a number is still a text */
	if (str_in(texts, attr))
		return false;
	return str_to_u64(a, &x) && str_to_u64(b, &y) && x == y;
}

/**
 * nv_value_is_off() - whether @value asks for nothing
 *
 * A target without the attribute then already does what is asked. Never true
 * for an attribute that says what is served.
 */
bool nv_value_is_off(const char *attr, const char *value)
{
	if (!strcmp(attr, "dhchap_hash") || !strcmp(attr, "dhchap_dhgroup"))
		return true;
	if (!strcmp(attr, "device_nguid") || !strcmp(attr, "param_hostid"))
		return strspn(value, "0-") == strlen(value);
	return str_in(LIST("", "0", "-1", "none", "not specified", "disabled"),
		      value);
}

/** nv_attr_rank() - the place of an attribute in the order of writing */
size_t nv_attr_rank(const struct nv_kind *kind, const char *name)
{
	size_t i = 0;

	for (const char *const *o = kind->order; o && *o; o++, i++)
		if (!strcmp(*o, name))
			break;
	return i;
}

/** nv_is_secret() - whether an attribute's value must not be shown */
bool nv_is_secret(const char *attr)
{
	return !strcmp(attr, "dhchap_key") || !strcmp(attr, "dhchap_ctrl_key");
}

/**
 * nv_path() - path of an object below the root
 * @kind: its kind
 * @ids: identifiers from the outermost inwards, as many as the kind needs
 * Return: a string that the caller frees.
 */
char *nv_path(const struct nv_kind *kind, const char *const *ids)
{
	char *up, *path;

	if (!kind->parent)
		return xasprintf("%s/%s", kind->list, ids[0]);
	up = xasprintf("%s/%s", kind->parent->list, ids[0]);
	if (kind->id_key)
		path = xasprintf("%s/%s/%s", up, kind->list, ids[1]);
	else
		path = xasprintf("%s/%s", up, kind->list);
	free(up);
	return path;
}

static const struct nv_kind *kind_by_list(const struct nv_kind *in,
					  const char *list, size_t n)
{
	for (const struct nv_kind *const *k = in->kids; k && *k; k++)
		if (strlen((*k)->list) == n && !strncmp((*k)->list, list, n))
			return *k;
	return NULL;
}

/**
 * nv_describe() - the words for the object at @path
 *
 * "subsystems/NQN/namespaces/1" is "subsystem NQN namespace 1", and
 * "ports/1/subsystems/NQN" is "port 1 link to NQN".
 * Return: a string that the caller frees.
 */
char *nv_describe(const char *path)
{
	const struct nv_kind *kind = &nv_kind_root;
	char *out = xstrdup("");

	if (!strcmp(path, ".")) {
		free(out);
		return xstrdup("target");
	}
	while (*path) {
		size_t n = strcspn(path, "/"), m;
		const char *id = path + n + !!path[n];
		char *more;

		if (kind->links && strlen(kind->links) == n &&
		    !strncmp(kind->links, path, n)) {
			more = xasprintf("%s link to %s", out, id);
			free(out);
			return more;
		}
		kind = kind_by_list(kind, path, n);
		if (!kind)
			break;
		m = kind->id_key ? strcspn(id, "/") : 0;
		more = xasprintf("%s%s%s%s%.*s", out, *out ? " " : "",
				 kind->word, m ? " " : "", (int)m, id);
		free(out);
		out = more;
		path = id + m;
		path += *path == '/';
	}
	return out;
}

static const struct {
	const char *attr;
	const char *rule;
} rules[] = {
	{ "addr_adrfam", "ipv4 or ipv6, as the address is" },
	{ "addr_traddr", "an address of this machine in the port's network namespace; 0.0.0.0 or :: for all; for vfio-user the path of a socket" },
	{ "addr_treq", "\"not specified\", \"required\" or \"not required\"" },
	{ "addr_trsvcid", "a TCP port number from 1 to 65535; 4420 is usual" },
	{ "addr_trtype", "a transport that the target has: tcp, rdma, vfio-user" },
	{ "addr_tsas", "\"none\" or \"tls1.3\", which the kernel must support; set addr_trtype first" },
	{ "ana_grpid", "an ANA group from 1 to 128" },
	{ "ana_state", "optimized, non-optimized, inaccessible, persistent-loss or change" },
	{ "attr_allow_any_host", "0 or 1; nvmet wants the list of allowed hosts empty for 1" },
	{ "attr_cntlid_max", "from attr_cntlid_min to 65519" },
	{ "attr_cntlid_min", "from 1 to attr_cntlid_max" },
	{ "attr_firmware", "1 to 8 printable ASCII characters" },
	{ "attr_ieee_oui", "a number below 0x1000000" },
	{ "attr_model", "1 to 40 printable ASCII characters; fixed once a host has connected" },
	{ "attr_qid_max", "the number of I/O queues, from 1 to what the target allows" },
	{ "attr_serial", "1 to 20 printable ASCII characters; fixed once a host has connected" },
	{ "attr_version", "a version of the NVMe specification, such as 2.1; fixed once a host has connected" },
	{ "backend", "bdev or null; only while the namespace is disabled" },
	{ "backend_options", "KEY=VALUE,... as the backend defines" },
	{ "buffered_io", "0 or 1; only while the namespace is disabled" },
	{ "device_nguid", "16 bytes in hexadecimal; only while the namespace is disabled" },
	{ "device_path", "an absolute path of a block device or file; only while the namespace is disabled" },
	{ "device_uuid", "a UUID; only while the namespace is disabled" },
	{ "dhchap_ctrl_key", "a secret as \"nvme gen-dhchap-key\" prints it" },
	{ "dhchap_dhgroup", "null, ffdhe2048, ffdhe3072, ffdhe4096, ffdhe6144 or ffdhe8192" },
	{ "dhchap_hash", "hmac(sha256), hmac(sha384) or hmac(sha512)" },
	{ "dhchap_key", "a secret as \"nvme gen-dhchap-key\" prints it" },
	{ "enable", "0 or 1; 1 needs a device that can be opened" },
	{ "netns", "a name as \"ip netns list\" shows it, or a path" },
	{ "param_cpus", "a list of CPUs such as 0-3,8, or all; only while no subsystem is linked to the port" },
	{ "param_hostid", "a UUID, the host identifier of a virtual machine; only while no subsystem is linked to the port" },
	{ "param_hostnqn", "the host NQN of a virtual machine; only while no subsystem is linked to the port" },
	{ "param_inline_data_size", "bytes, or -1 for the transport's choice; only while no subsystem is linked to the port" },
	{ "param_max_queue_size", "entries, or -1 for the transport's choice; only while no subsystem is linked to the port" },
	{ "param_mdts", "a power of two of pages, or -1 for the transport's choice; only while no subsystem is linked to the port" },
};

/** nv_attr_rule() - what may be written into an attribute, or NULL */
const char *nv_attr_rule(const char *attr)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (!strcmp(rules[i].attr, attr))
			return rules[i].rule;
	return NULL;
}
