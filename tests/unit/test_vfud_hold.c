// SPDX-License-Identifier: GPL-2.0
// builds: tools/nvtgt-vfud/hold.c tools/nvtgt-vfud/store.c tools/nvtgt-vfud/log.c tools/lib/util.c
// cflags: -D_GNU_SOURCE -pthread
// libs: -lsystemd
/*
 * guards: nvtgt-vfud --hold gives each daemon all that its predecessor has left, as many guests as there
 * may be, and nobody else adds to it or takes from it
 *
 * This program is the daemon as well: each of its lives does the next thing, and says so in a pipe.
 */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "tools/nvtgt-vfud/vfud.h"

static unsigned int endpoints;		/* 4096, if the machine lets us */

static const char kinds[] = "lcks";

/* Two numbers that are a descriptor's own, and outlive a process. */
static uint64_t value_of_event(int fd)
{
	uint64_t value = 0;

	if (read(fd, &value, sizeof(value)) != sizeof(value))
		return 0;
	if (write(fd, &value, sizeof(value)) != sizeof(value))
		return 0;
	return value;
}

static void keep_all(void)
{
	unsigned int i, k;

	for (i = 0; i < endpoints; i++) {
		for (k = 0; k < 4; k++) {
			int fd = eventfd(1 + i * 4 + k, EFD_CLOEXEC);

			vfud_store_keep(kinds[k], 65535 - i, fd);
			close(fd);
		}
	}
}

/* Returns how many of them are not there, or are others. */
static int miss_all(void)
{
	unsigned int i, k, missing = 0;

	for (i = 0; i < endpoints; i++) {
		for (k = 0; k < 4; k++) {
			int fd = vfud_store_take(kinds[k], 65535 - i);

			if (fd < 0 || value_of_event(fd) != 1 + i * 4 + k ||
			    !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
				missing++;
		}
	}
	return missing;
}

/* The first and the second life end by themselves, the third by a signal. */
static int life(int report)
{
	int missing, first = getenv("LISTEN_FDS") && !strcmp(getenv("LISTEN_FDS"), "0");

	vfud_store_init();
	if (first) {
		keep_all();
		dprintf(report, "kept\n");
		return 1;
	}
	missing = miss_all();
	dprintf(report, "%d missing\n", missing);
	if (vfud_store_take('c', 1) >= 0 || fcntl(SD_LISTEN_FDS_START + 4 * endpoints, F_GETFD) >= 0)
		dprintf(report, "and there is more\n");
	pause();
	return 0;
}

static bool heard(FILE *f, const char *text)
{
	char line[100];

	if (!fgets(line, sizeof(line), f))
		return false;
	line[strcspn(line, "\n")] = 0;
	if (strcmp(line, text))
		printf("heard: %s\n", line);
	return !strcmp(line, text);
}

static void lives(void)
{
	char name[64], number[16];
	int pipes[2], status, round;
	FILE *f;
	pid_t pid;

	CHECK(!pipe(pipes));
	f = fdopen(pipes[0], "r");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		char *argv[] = { "/proc/self/exe", number, NULL };
		/* out of the way of what is handed on */
		int high = fcntl(pipes[1], F_DUPFD, 8 * endpoints + 500);

		close(pipes[0]);
		close(pipes[1]);
		snprintf(number, sizeof(number), "%d", high);
		_exit(vfud_hold(argv));
	}
	close(pipes[1]);
	CHECK(heard(f, "kept"));
	/* killed, replaced, killed */
	for (round = 0; round < 3; round++) {
		char path[64];
		pid_t child = 0;
		FILE *c;

		CHECK(heard(f, "0 missing"));
		/* anybody may write to the socket, and is not heard */
		snprintf(name, sizeof(name), "@nvtgt-vfud-hold-%d", pid);
		setenv("NOTIFY_SOCKET", name, 1);
		vfud_store_forget('c', 65535);
		vfud_store_keep('c', 1, 0);
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
		c = fopen(path, "r");
		CHECK(c && fscanf(c, "%d", &child) == 1);
		fclose(c);
		if (round == 1)
			kill(pid, SIGHUP);
		else
			kill(child, SIGKILL);
	}
	CHECK(heard(f, "0 missing"));
	kill(pid, SIGTERM);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	fclose(f);
}

/* A command line that is wrong ends it, as there are no guests. */
static void wrong(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		char *argv[] = { "/nonexistent", NULL };

		_exit(vfud_hold(argv));
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WEXITSTATUS(status), 127);
}

int main(int argc, char **argv)
{
	struct rlimit limit, more = { 65536, 65536 };

	/* as many numbers again are needed while they are put in order */
	setrlimit(RLIMIT_NOFILE, &more);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	endpoints = limit.rlim_max >= 65536 ? 4096 : (limit.rlim_max - 1000) / 8;
	if (argc > 1)
		return life(atoi(argv[1]));
	printf("%u endpoints\n", endpoints);
	alarm(300);
	RUN(wrong);
	RUN(lives);
	return UNIT_END();
}
