// SPDX-License-Identifier: GPL-2.0
/*
 * Network namespaces. The kernel shows which one a port is in by the number of
 * its inode; people and files have a name, as ip-netns(8) does, or a path. The
 * empty name is the first namespace, that of process 1.
 */
#include "netns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NETNS_DIR "/run/netns"
#define NETNS_FIRST "/proc/1/ns/net"
#define NETNS_OWN "/proc/self/ns/net"

/* The file in @dir that is the namespace @inode, or NULL. */
static char *find_in(const char *dir, uint64_t inode)
{
	DIR *d = opendir(dir);
	char *found = NULL;
	struct dirent *e;
	struct stat st;

	while (d && !found && (e = readdir(d)))
		if (e->d_name[0] != '.' &&
		    !fstatat(dirfd(d), e->d_name, &st, 0) &&
		    st.st_ino == inode)
			found = xstrdup(e->d_name);
	if (d)
		closedir(d);
	return found;
}

/**
 * nv_netns_name() - the name for a number that the kernel shows
 * @inode: the number of the namespace's inode, as text
 * Return: "" for the first namespace, a name or path that nv_netns_enter()
 * takes, or "net:[INODE]" for one without a name; the caller frees it.
 */
char *nv_netns_name(const char *inode)
{
	char *name, *path;
	struct stat st;
	uint64_t n;

	if (!str_to_u64(inode, &n))
		return xstrdup("");
	/* only root may look at process 1; others see their own one at least */
	if ((!stat(NETNS_FIRST, &st) || !stat(NETNS_OWN, &st)) &&
	    st.st_ino == n)
		return xstrdup("");
	name = find_in(NETNS_DIR, n);
	if (name)
		return name;
	name = find_in("/run/docker/netns", n);
	if (!name)
		return xasprintf("net:[%s]", inode);
	path = xasprintf("/run/docker/netns/%s", name);
	free(name);
	return path;
}

static int open_netns(const char *name)
{
	char *path;
	int fd;

	if (!*name)
		path = xstrdup(NETNS_FIRST);
	else if (*name == '/')
		path = xstrdup(name);
	else if (strchr(name, '/'))
		return -ENOENT;
	else
		path = xasprintf(NETNS_DIR "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	free(path);
	return fd;
}

/**
 * nv_netns_enter() - go into a network namespace
 * @name: a name of ip-netns(8), a path, or "" for the first one
 * Return: a descriptor for nv_netns_leave(), or -errno.
 */
int nv_netns_enter(const char *name)
{
	int fd = open_netns(name), back, ret = 0;

	if (fd < 0)
		return fd;
	back = open(NETNS_OWN, O_RDONLY | O_CLOEXEC);
	if (back < 0 || setns(fd, CLONE_NEWNET)) {
		/* a file that is no namespace is as good as none */
		ret = errno == EINVAL ? -ENOENT : -errno;
		if (back >= 0)
			close(back);
	}
	close(fd);
	return ret ? ret : back;
}

/** nv_netns_leave() - go back to where nv_netns_enter() was called */
void nv_netns_leave(int fd)
{
	if (setns(fd, CLONE_NEWNET))
		abort();
	close(fd);
}

/** nv_netns_exists() - whether nv_netns_enter() can succeed now */
bool nv_netns_exists(const char *name)
{
	int back = nv_netns_enter(name);

	if (back >= 0)
		nv_netns_leave(back);
	return back >= 0;
}

static bool can_bind(const char *addr)
{
	struct addrinfo want = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	}, *res;
	bool ok = true;
	int fd;

	if (getaddrinfo(addr, "0", &want, &res))
		return true;
	fd = socket(res->ai_family, res->ai_socktype | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		ok = !bind(fd, res->ai_addr, res->ai_addrlen) ||
		     errno != EADDRNOTAVAIL;
		close(fd);
	}
	freeaddrinfo(res);
	return ok;
}

/**
 * nv_addr_exists() - whether an interface has an address
 * @addr: the address
 * @netns: in this network namespace; NULL is that of this process
 *
 * Asked before the kernel is, since the kernel logs each attempt to listen.
 * Return: false when it is certain that nothing can listen there now.
 */
bool nv_addr_exists(const char *addr, const char *netns)
{
	int back = netns ? nv_netns_enter(netns) : -1;
	bool ok;

	if (netns && back < 0)
		return false;
	ok = can_bind(addr);
	if (back >= 0)
		nv_netns_leave(back);
	return ok;
}
