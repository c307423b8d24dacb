// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: Changes that a device may hold up
 *
 * Opening a device can take for ever, and no signal ends a process that waits in
 * the kernel for a disk. So the change is written, or the directory removed, by a
 * child: the tool can stop waiting for it, go on with other namespaces, and
 * end. The child has none of the tool's descriptors, so that it never keeps the
 * lock or a pipe of the caller's. It is killed with the process that started it, which
 * counts as soon as the device answers.
 */
#include "child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/**
 * nv_child_needed() - whether a device may hold up a change
 * @path: the object
 * @attr: the attribute that is written; NULL: the object is removed
 */
bool nv_child_needed(const char *path, const char *attr)
{
	static const char *const attrs[] = {
		"enable", "backend_options", "revalidate_size", NULL
	};

	if (strncmp(path, "subsystems/", strlen("subsystems/")))
		return false;
	return attr ? str_in(attrs, attr) : strstr(path, "/namespaces/") != NULL;
}

/* In the child: nothing is left of the parent but @fd, which becomes 0. */
static void detach(int fd, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the parent may have ended before the line above */
	if (getppid() != parent)
		_exit(EINTR);
	if (dup2(fd, 0) < 0)
		_exit(errno);
	close_range(1, ~0U, 0);
}

/* Writes @text into @fd, or removes the directory @text below @fd. */
static int start(struct nv_child *child, int fd, const char *text, bool remove)
{
	pid_t parent = getpid(), pid = fork();
	int ret = 0;

	if (pid < 0)
		return -errno;
	if (!pid) {
		size_t len = strlen(text);
		ssize_t n;

		detach(fd, parent);
		if (remove)
			_exit(unlinkat(0, text, AT_REMOVEDIR) ? errno : 0);
		n = write(0, text, len);
		_exit(n < 0 ? errno : (size_t)n < len ? EIO : 0);
	}
	*child = (struct nv_child){ pid, pidfd_open(pid, 0) };
	if (child->fd < 0) {
		ret = -errno;
		kill(pid, SIGKILL);
		*child = (struct nv_child){ 0 };
	}
	return ret;
}

/**
 * nv_child_write() - begin to write an attribute
 * @child: gets the process
 * @c: the tree
 * @dir: the object
 * @attr: the attribute
 * @value: what to write, without the newline
 * Return: 0, or -errno when it has not begun.
 */
int nv_child_write(struct nv_child *child, const struct cfs *c,
		   const char *dir, const char *attr, const char *value)
{
	char *line;
	int fd, ret;

	if (strlen(value) >= CFS_VALUE_MAX)
		return -EMSGSIZE;
	fd = cfs_open_attr(c, dir, attr);
	if (fd < 0)
		return fd;
	line = xasprintf("%s\n", value);
	ret = start(child, fd, line, false);
	free(line);
	close(fd);
	return ret;
}

/** nv_child_rmdir() - begin to remove an object; as nv_child_write() */
int nv_child_rmdir(struct nv_child *child, const struct cfs *c,
		   const char *path)
{
	return start(child, c->fd, path, true);
}

/**
 * nv_child_wait() - the kernel's answer to the change
 * @child: the process; forgotten unless it is still there
 * @ms: how long to wait; -1: until it comes
 * @mask: signals that are blocked meanwhile; NULL: as they are
 * Return: 0 or -errno of the change, -EINPROGRESS when there is no answer yet,
 * -ECANCELED when a signal came to this process, -EINTR when one ended the child.
 */
int nv_child_wait(struct nv_child *child, long ms, const sigset_t *mask)
{
	struct timespec limit = { ms / 1000, ms % 1000 * 1000000 };
	struct pollfd p = { .fd = child->fd, .events = POLLIN };
	int n = ppoll(&p, 1, ms < 0 ? NULL : &limit, mask), status = 0;
	pid_t pid;

	if (n <= 0)
		return n ? -ECANCELED : -EINPROGRESS;
	do
		pid = waitpid(child->pid, &status, 0);
	while (pid < 0 && errno == EINTR);
	nv_child_forget(child);
	if (pid < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/** nv_child_has_ended() - whether the kernel has answered */
bool nv_child_has_ended(const struct nv_child *child)
{
	struct pollfd p = { .fd = child->fd, .events = POLLIN };

	return child->pid && poll(&p, 1, 0) == 1;
}

/** nv_child_kill() - let the change not be made, if that can still be helped */
void nv_child_kill(const struct nv_child *child)
{
	if (child->pid)
		pidfd_send_signal(child->fd, SIGKILL, NULL, 0);
}

/** nv_child_forget() - leave the process alone; nv_child_reap() buries it */
void nv_child_forget(struct nv_child *child)
{
	if (child->pid)
		close(child->fd);
	*child = (struct nv_child){ 0 };
}

/** nv_child_reap() - bury all children that have ended */
void nv_child_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}
