// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: Ports for virtual machines
 *
 * A port of type vfio-user is a socket of the daemon nvtgt-vfud, at which QEMU finds one
 * controller of one subsystem. Its address is the socket's path; it has no address family,
 * no service, and does not listen in a network namespace. The kernel looks at the path when
 * the first subsystem is linked, and at the number of subsystems when QEMU comes: too late
 * for a message to the administrator, so that both are looked at here.
 */
#include "vfu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "msg.h"

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/** nv_is_vfu() - whether a node is a port of type vfio-user */
bool nv_is_vfu(const struct nv_node *node)
{
	return node->kind == &nv_kind_port &&
	       !strcmp(nv_attr_value(node, "addr_trtype"), NV_VFU);
}

/* The port that has the object, attribute's directory or link at @path. */
static char *port_of(const char *path)
{
	static const char ports[] = "ports/";
	size_t n = strlen(ports);

	if (strncmp(path, ports, n))
		return NULL;
	return xstrndup(path, n + strcspn(path + n, "/"));
}

static char *read_or(const struct cfs *c, const char *path, const char *attr)
{
	char *value;

	return cfs_read(c, path, attr, &value) ? xstrdup("") : value;
}

/** nv_path_is_vfu() - whether @path is, or is below, a running port of type vfio-user */
bool nv_path_is_vfu(const struct cfs *c, const char *path)
{
	char *port = port_of(path), *type;
	bool is;

	if (!port)
		return false;
	type = read_or(c, port, "addr_trtype");
	is = !strcmp(type, NV_VFU);
	free(type);
	free(port);
	return is;
}

/**
 * nv_vfu_drop_unused() - forget attributes that mean nothing for such a port
 * @port: a port of any type, as it runs or as a file has it
 *
 * They may have any value, also one that cannot be written again: the kernel shows
 * an address family that was never set as an empty line, and takes none.
 */
void nv_vfu_drop_unused(struct nv_node *port)
{
	static const char *const unused[] = {
		"addr_adrfam", "addr_trsvcid", "addr_tsas", "netns", NULL
	};
	size_t n = 0;

	if (!nv_is_vfu(port))
		return;
	for (size_t i = 0; i < port->n_attrs; i++) {
		if (!str_in(unused, port->attrs[i].name)) {
			port->attrs[n++] = port->attrs[i];
			continue;
		}
		free(port->attrs[i].name);
		free(port->attrs[i].value);
	}
	port->n_attrs = n;
}

/** nv_socket_path_ok() - whether @path can be the address of such a port */
bool nv_socket_path_ok(const char *path, const char **why)
{
	static char too_long[64];
	size_t n = strlen(path);

	if (*path != '/')
		*why = "the absolute path of a socket is needed, such as " NV_VFU_DIR "/vm1.sock";
	else if (path[n - 1] == '/')
		*why = "the path of a socket is needed, not of a directory";
	else if (path[strcspn(path, " \t")])
		*why = "the path of a socket must have no blanks";
	else if (n <= SOCKET_PATH_MAX)
		return nv_value_ok(path, why);
	else {
		snprintf(too_long, sizeof(too_long),
			 "the path of a socket has at most %zu characters",
			 SOCKET_PATH_MAX);
		*why = too_long;
	}
	return false;
}

/**
 * nv_socket_exists() - whether there is a socket at @path
 *
 * No connection is tried: it would be the one that the daemon takes for QEMU.
 * Return: false when it is certain that there is none.
 */
bool nv_socket_exists(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno != ENOENT && errno != ENOTDIR;
	return S_ISSOCK(st.st_mode);
}

/* What an attribute will be after the step; NULL where the step leaves it. */
static const char *new_value(const struct nv_step *s, const char *attr)
{
	for (size_t i = s->n_attrs; i--; )
		if (!strcmp(s->attrs[i].name, attr))
			return s->attrs[i].value;
	return NULL;
}

/**
 * nv_vfu_set_ok() - whether a port's attributes make a socket's address
 * @c: the tree
 * @s: an NV_SET step, with full names
 * Return: false after a message.
 */
bool nv_vfu_set_ok(const struct cfs *c, const struct nv_step *s)
{
	const char *type = new_value(s, "addr_trtype"), *why;
	const char *path = new_value(s, "addr_traddr");
	char *now, *what;
	bool ok;

	if (s->kind != &nv_kind_port || (!type && !path) ||
	    (type ? strcmp(type, NV_VFU) : !nv_path_is_vfu(c, s->path)))
		return true;
	now = path ? xstrdup(path) : read_or(c, s->path, "addr_traddr");
	ok = (!path && !*now) || nv_socket_path_ok(now, &why);
	if (!ok) {
		what = nv_describe(s->path);
		msg_error("%s: addr_traddr=%s: %s", what, now, why);
		if (!path)
			msg_hint("addr_trtype=" NV_VFU " and addr_traddr can be set by one command");
		free(what);
	}
	free(now);
	return ok;
}

/**
 * nv_vfu_link_ok() - whether a port has room for another subsystem
 * @c: the tree
 * @s: an NV_LINK step
 * Return: false after a message.
 */
bool nv_vfu_link_ok(const struct cfs *c, const struct nv_step *s)
{
	const char *nqn = strrchr(s->path, '/') + 1;
	struct strvec links = { 0 };
	char *dir, *what;
	bool ok = true;

	if (!nv_path_is_vfu(c, s->path))
		return true;
	dir = xstrndup(s->path, nqn - 1 - s->path);
	cfs_list(c, dir, CFS_LINKS, &links);
	free(dir);
	if (links.n && !strvec_has(&links, nqn)) {
		what = nv_describe(s->path);
		msg_error("%s: the port serves %s already, and one of type " NV_VFU " has one subsystem",
			  what, links.v[0]);
		msg_hint("unlink that one first, or make another port with a socket of its own");
		free(what);
		ok = false;
	}
	strvec_free(&links);
	return ok;
}
