// SPDX-License-Identifier: GPL-2.0
/*
 * nvtgt-vfud --hold: keeps the daemon's file descriptors while it is replaced, as systemd does.
 *
 * It starts the daemon as its child, takes what the daemon sends by sd_notify(3) with FDSTORE=1, and
 * gives it to the next one (sd_listen_fds(3)). A daemon that ends by itself is started again. SIGHUP
 * replaces it; SIGTERM and SIGINT end it, and all that is kept with it.
 */
#include "vfud.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define MAX_KEPT	16384
#define AGAIN_MS	500		/* a daemon that does not come up is not started in a busy loop */

struct kept {
	char *name;
	int fd;
};

static struct kept *kept;
static size_t nr_kept;

static void forget(const char *name)
{
	size_t i, n = 0;

	for (i = 0; i < nr_kept; i++) {
		if (strcmp(kept[i].name, name)) {
			kept[n++] = kept[i];
			continue;
		}
		close(kept[i].fd);
		free(kept[i].name);
	}
	nr_kept = n;
}

static void keep(const char *name, int fd)
{
	if (nr_kept == MAX_KEPT) {
		vfud_err(NULL, "hold: more than %d file descriptors", MAX_KEPT);
		close(fd);
		return;
	}
	kept = xrealloc(kept, nr_kept + 1, sizeof(*kept));
	kept[nr_kept].name = xstrdup(name);
	kept[nr_kept++].fd = fd;
}

/* The value of a line NAME=VALUE, to be freed, or NULL. */
static char *value_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (text && *text) {
		const char *end = strchrnul(text, '\n');

		if (!strncmp(text, name, len) && text[len] == '=')
			return xstrndup(text + len + 1, end - text - len - 1);
		text = *end ? end + 1 : NULL;
	}
	return NULL;
}

/* Is this message the daemon's? Everybody may send one. */
static bool is_from(struct msghdr *mh, pid_t pid)
{
	struct cmsghdr *cmsg;
	struct ucred cred;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
		return cred.pid == pid;
	}
	return false;
}

/* One message of the daemon's, which is process @pid. */
static void take_message(int sock, pid_t pid)
{
	char text[4096], *name, *store, *remove;
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	bool known;

	if (n < 0)
		return;
	text[n] = '\0';
	known = is_from(&mh, pid);
	if (known && mh.msg_flags & MSG_CTRUNC)
		vfud_err(NULL, "hold: a file descriptor is lost: there are too many");
	name = value_of(text, "FDNAME");
	store = value_of(text, "FDSTORE");
	remove = value_of(text, "FDSTOREREMOVE");
	if (known && name && remove)
		forget(name);
	for (cmsg = CMSG_FIRSTHDR(&mh); cmsg; cmsg = CMSG_NXTHDR(&mh, cmsg)) {
		size_t i, nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < nr; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (known && name && store)
				keep(name, fd);
			else
				close(fd);
		}
	}
	free(name);
	free(store);
	free(remove);
}

/* In the child: what is kept gets the numbers from 3 on, and the names go to the environment. */
static bool hand_on(void)
{
	int high = SD_LISTEN_FDS_START + nr_kept;
	char *names, *number;
	size_t i, size;
	FILE *f = open_memstream(&names, &size);

	for (i = 0; f && i < nr_kept; i++) {
		fprintf(f, "%s%s", i ? ":" : "", kept[i].name);
		/* out of the way of the numbers that are given next */
		kept[i].fd = fcntl(kept[i].fd, F_DUPFD_CLOEXEC, high);
		if (kept[i].fd < 0)
			return false;
	}
	if (!f || fclose(f))
		return false;
	for (i = 0; i < nr_kept; i++)
		if (dup2(kept[i].fd, SD_LISTEN_FDS_START + i) < 0)
			return false;
	number = xasprintf("%zu", nr_kept);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	number = xasprintf("%d", getpid());
	setenv("LISTEN_PID", number, 1);
	return true;
}

static pid_t start(const char *socket_name, char **argv, const sigset_t *mask)
{
	pid_t pid;

	/* what is kept here is virtual machines: there is nothing to give up for */
	while ((pid = fork()) < 0) {
		vfud_err(NULL, "hold: %s", strerror(errno));
		sleep_ms(AGAIN_MS);
	}
	if (pid)
		return pid;
	sigprocmask(SIG_UNBLOCK, mask, NULL);
	if (!hand_on()) {
		vfud_err(NULL, "hold: %zu file descriptors: %s", nr_kept, strerror(errno));
		_exit(1);
	}
	setenv("NOTIFY_SOCKET", socket_name, 1);
	/* not /proc/self/exe: a new version may lie at the path */
	execvp(argv[0], argv);
	vfud_err(NULL, "hold: %s: %s", argv[0], strerror(errno));
	_exit(127);
}

/* A socket without a file, that the daemon finds by its name after it has become another user. */
static int notify_socket(char *name, size_t size)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int len = snprintf(name, size, "@nvtgt-vfud-hold-%d", getpid());
	int on = 1;

	memcpy(addr.sun_path + 1, name + 1, len - 1);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&addr, offsetof(struct sockaddr_un, sun_path) + len))
		return -1;
	return fd;
}

/**
 * vfud_hold() - nvtgt-vfud --hold
 * @argv: the daemon's command line
 *
 * Return: the exit status
 */
int vfud_hold(char **argv)
{
	struct signalfd_siginfo info;
	bool ending = false;
	char name[64];
	int sock, sigs;
	sigset_t mask;
	pid_t pid;

	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigs = signalfd(-1, &mask, SFD_CLOEXEC);
	sock = notify_socket(name, sizeof(name));
	if (sigs < 0 || sock < 0) {
		vfud_err(NULL, "hold: %s", strerror(errno));
		return 1;
	}
	pid = start(name, argv, &mask);
	for (;;) {
		struct pollfd pfd[] = {
			{ .fd = sock, .events = POLLIN },
			{ .fd = sigs, .events = POLLIN },
		};
		int status;

		poll(pfd, 2, -1);
		if (pfd[0].revents) {
			take_message(sock, pid);
			continue;	/* all that a daemon has sent, before its successor starts */
		}
		if (!pfd[1].revents || read(sigs, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD) {
			ending |= info.ssi_signo != SIGHUP;
			kill(pid, SIGTERM);
			continue;
		}
		if (waitpid(pid, &status, WNOHANG) != pid)
			continue;
		if (ending)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		if (!nr_kept && WIFEXITED(status) &&
		    (WEXITSTATUS(status) == 2 || WEXITSTATUS(status) == 127))
			return WEXITSTATUS(status);	/* the command line is wrong, and no guest lost by it */
		if (!WIFEXITED(status) || WEXITSTATUS(status)) {
			vfud_warn(NULL, "hold: the daemon has ended (%s %d), and is started again",
				  WIFEXITED(status) ? "exit" : "signal",
				  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
			sleep_ms(AGAIN_MS);
		}
		pid = start(name, argv, &mask);
	}
}
