// SPDX-License-Identifier: GPL-2.0
/* What the commands that know of virtual machines' ports share. */
#include "../ctl.h"
#include "../../lib/vfu.h"
#include "cmd.h"

#include <ctype.h>
#include <string.h>

/* 16 bytes, with "-" between any two or not, as the kernel takes them. */
static bool is_uuid(const char *s)
{
	for (int i = 0; i < 16; i++, s += 2) {
		s += i && *s == '-';
		if (!isxdigit((unsigned char)s[0]) ||
		    !isxdigit((unsigned char)s[1]))
			return false;
	}
	return !*s;
}

/** vm_identity_check() - --hostnqn and --hostid of a port of type vfio-user */
int vm_identity_check(const struct args *a)
{
	const char *id = arg_opt(a, "hostid"), *nqn = arg_opt(a, "hostnqn");

	if (nqn && host_check(a, nqn))
		return EXIT_USAGE;
	if (id && !is_uuid(id))
		return usage_error(a, "--hostid %s: a UUID is needed", id);
	return 0;
}

/** no_vm_check() - other ports have no host of their own; 0 or the exit code */
int no_vm_check(const struct args *a, const char *instead)
{
	static const char *const names[] = { "hostnqn", "hostid" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (arg_has(a, names[i]))
			return usage_error(a, "--%s is for --trtype " NV_VFU "; %s",
					   names[i], instead);
	return 0;
}

/** note_socket() - say that a port's socket is not there, and what to do */
void note_socket(const char *port, const char *path)
{
	msg_note("port %s: there is no socket at %s: the daemon makes it; systemctl start nvtgt-vfud",
		 port, path);
}

/** note_sockets() - the same for all ports among some objects */
void note_sockets(struct nv_node *const *nodes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *path = nv_attr_value(nodes[i], "addr_traddr");

		if (nv_is_vfu(nodes[i]) && nodes[i]->links.n &&
		    !nv_socket_exists(path))
			note_socket(nodes[i]->id, path);
	}
}
