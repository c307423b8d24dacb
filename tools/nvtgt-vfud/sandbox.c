// SPDX-License-Identifier: GPL-2.0
/*
 * What is left to the daemon once it runs: a user that owns nothing, and the system calls that it needs.
 * Clients are virtual machines' processes, and what they send may come from a hostile guest.
 */
#include "vfud.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder of the daemon's sockets, if there is none yet. */
static void make_dir(const struct passwd *pw)
{
	char *path = xstrdup(vfud_opts.control);

	*strrchr(path, '/') = '\0';
	if (*path && !mkdir(path, 0755) && pw && chown(path, pw->pw_uid, pw->pw_gid))
		vfud_err(NULL, "%s: %s", path, strerror(errno));
	free(path);
}

/**
 * vfud_drop_privileges() - become another user, for good, after making the folder of the sockets
 * @user: its name, or NULL: none
 * @gid: a group to be a member of as well, so that sockets can be given to it, or -1
 *
 * Return: 0, or 1 after saying what is wrong
 */
int vfud_drop_privileges(const char *user, gid_t gid)
{
	struct passwd *pw = user ? getpwnam(user) : NULL;

	if (user && !pw) {
		vfud_err(NULL, "there is no user %s (--user)", user);
		return 1;
	}
	make_dir(pw);
	if (!pw)
		return 0;
	if (setgroups(gid != (gid_t)-1, &gid) || setgid(pw->pw_gid) || setuid(pw->pw_uid)) {
		vfud_err(NULL, "cannot become user %s: %s", user, strerror(errno));
		return 1;
	}
	return 0;
}

static int allow(scmp_filter_ctx ctx)
{
	static const int calls[] = {
		SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(dup),
		SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(lseek),
		SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
		SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(connect),
		SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(shutdown),
		SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(fchmod), SCMP_SYS(lchown),
		SCMP_SYS(fchownat), SCMP_SYS(lstat), SCMP_SYS(stat), SCMP_SYS(fstat),
		SCMP_SYS(newfstatat), SCMP_SYS(statx),
		SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(eventfd2), SCMP_SYS(fcntl),
		SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap),
		SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3),
		SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
		SCMP_SYS(sched_getaffinity), SCMP_SYS(prctl), SCMP_SYS(exit), SCMP_SYS(exit_group),
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigreturn),
		SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(getpid), SCMP_SYS(gettid),
		SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
		SCMP_SYS(clock_gettime),
		SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
		SCMP_SYS(getrandom), SCMP_SYS(restart_syscall), SCMP_SYS(membarrier),
	};
	int ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				   SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	size_t i;

	/* of devices, those of /dev/nvtgt-vfu */
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, NVTGT_VFU_IOC << 8));
	for (i = 0; i < ARRAY_SIZE(calls) && !ret; i++)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return ret;
}

/**
 * vfud_limit_calls() - from here on, other system calls fail with EPERM
 *
 * Return: 0, or 1 after saying what is wrong
 */
int vfud_limit_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret = ctx ? allow(ctx) : -ENOMEM;

	if (!ret)
		ret = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	if (ret)
		vfud_err(NULL, "the system calls cannot be limited: %s (--no-seccomp goes on without)",
			 strerror(-ret));
	return ret != 0;
}
