// SPDX-License-Identifier: GPL-2.0
/* Addresses that a host can use when a port listens at all of them. */
#include "../ctl.h"
#include "cmd.h"

#include <arpa/inet.h>
#include <glob.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_word(const char *file, char *buf, int n)
{
	FILE *f = fopen(file, "re");
	bool ok;

	if (!f)
		return false;
	ok = fgets(buf, n, f);
	fclose(f);
	if (ok)
		buf[strcspn(buf, "\n")] = '\0';
	return ok;
}

/* The network interfaces that RDMA devices use; none where it is unknown. */
static void rdma_interfaces(struct strvec *out)
{
	char name[IFNAMSIZ + 1];
	glob_t g;

	if (glob("/sys/class/infiniband/*/ports/*/gid_attrs/ndevs/*", 0, NULL,
		 &g))
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		if (read_word(g.gl_pathv[i], name, sizeof(name)) &&
		    !strvec_has(out, name))
			strvec_add(out, name);
	globfree(&g);
}

/* Whether a listener at :: takes IPv4 as well: TCP's does, RDMA's does not. */
static bool takes_both(const char *trtype)
{
	char only[8] = "0";

	read_word("/proc/sys/net/ipv6/bindv6only", only, sizeof(only));
	return !strcmp(trtype, "tcp") && !strcmp(only, "0");
}

static void add_address(const struct ifaddrs *i, bool v4, bool v6,
			struct strvec *out)
{
	const struct sockaddr_in6 *six = (void *)i->ifa_addr;
	const struct sockaddr_in *four = (void *)i->ifa_addr;
	char buf[INET6_ADDRSTRLEN];

	if (v6 && i->ifa_addr->sa_family == AF_INET6 &&
	    !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
		inet_ntop(AF_INET6, &six->sin6_addr, buf, sizeof(buf));
	else if (v4 && i->ifa_addr->sa_family == AF_INET)
		inet_ntop(AF_INET, &four->sin_addr, buf, sizeof(buf));
	else
		return;
	if (!strvec_has(out, buf))
		strvec_add(out, buf);
}

/**
 * usable_addresses() - where hosts reach a port
 * @trtype: its transport
 * @traddr: its address, maybe 0.0.0.0 or ::
 * @out: gets @traddr, or each address of this network namespace that it means;
 *	 that of this machine alone when there is no other
 */
void usable_addresses(const char *trtype, const char *traddr,
		      struct strvec *out)
{
	bool six = !strcmp(traddr, "::"), rdma = !strcmp(trtype, "rdma");
	struct strvec devs = { 0 };
	struct ifaddrs *list = NULL;

	if (!six && strcmp(traddr, "0.0.0.0")) {
		strvec_add(out, traddr);
		return;
	}
	if (rdma)
		rdma_interfaces(&devs);
	getifaddrs(&list);
	for (const struct ifaddrs *i = list; i; i = i->ifa_next)
		if (i->ifa_addr && i->ifa_flags & IFF_UP &&
		    !(i->ifa_flags & IFF_LOOPBACK) &&
		    (!devs.n || strvec_has(&devs, i->ifa_name)))
			add_address(i, !six || takes_both(trtype), six, out);
	if (list)
		freeifaddrs(list);
	strvec_free(&devs);
	if (out->n)
		return;
	msg_note("no network interface is up: hosts on this machine alone can connect");
	strvec_add(out, six ? "::1" : "127.0.0.1");
}
