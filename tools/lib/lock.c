// SPDX-License-Identifier: GPL-2.0
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "msg.h"

static int try_lock(int fd)
{
	while (flock(fd, LOCK_EX | LOCK_NB))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/**
 * nv_lock() - let no other run change the target meanwhile
 * @file: the lock file; the kernel ends the lock with the process
 * @wait: wait for the other run, with a message after a second
 * Return: a descriptor that holds the lock, or -1 after a message.
 */
int nv_lock(const char *file, bool wait)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	long long start = monotonic_ms();
	bool told = false;
	int ret;

	if (fd < 0) {
		msg_error("cannot open the lock %s: %s", file,
			  strerror(errno));
		if (errno == EACCES)
			msg_hint("only root may change the target; try sudo");
		return -1;
	}
	while ((ret = try_lock(fd)) == -EWOULDBLOCK && wait) {
		if (!told && monotonic_ms() - start >= 1000) {
			msg_note("another nvtgtctl is at work, waiting for it");
			told = true;
		}
		sleep_ms(20);
	}
	if (ret) {
		if (ret == -EWOULDBLOCK)
			msg_error("another nvtgtctl is at work; try again, or without --no-wait");
		else
			msg_error("cannot lock %s: %s", file, strerror(-ret));
		close(fd);
		return -1;
	}
	return fd;
}
