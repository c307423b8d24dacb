// SPDX-License-Identifier: GPL-2.0
// builds: tools/nvtgt-vfud/sandbox.c tools/nvtgt-vfud/endpoint.c tools/nvtgt-vfud/device.c
// builds: tools/nvtgt-vfud/pci.c tools/nvtgt-vfud/store.c tools/nvtgt-vfud/status.c
// builds: tools/nvtgt-vfud/log.c tools/lib/util.c
// cflags: -D_GNU_SOURCE -pthread
// libs: -ljson-c -lsystemd -lseccomp -pthread -Wl,--wrap=seccomp_init
/*
 * guards: nvtgt-vfud needs no system call that it has forbidden itself, with the C library and the
 * libraries that are here
 *
 * A call that would fail in the daemon ends this test, and is named.
 */
#include "unit.h"

#include <seccomp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vfud_fake.h"

struct vfud_options vfud_opts = { .nr_vectors = 16, .vendor = 1, .device = 2, .gid = -1, .mode = 0600 };
const struct vfud_kernel_ops vfud_kernel = FAKE_KERNEL;

static char dir[] = "/tmp/vfud-XXXXXX", path[64], control[64], notify[64];

int vfud_kernel_attach(int fd, unsigned int port, unsigned int nr_vectors)
{
	fake_init(16);
	return dup(0);
}

int vfud_kernel_adopt(int ctrl)
{
	return 0;
}

void vfud_main_wake(void)
{
}

scmp_filter_ctx __real_seccomp_init(uint32_t action);
scmp_filter_ctx __wrap_seccomp_init(uint32_t action);

scmp_filter_ctx __wrap_seccomp_init(uint32_t action)
{
	CHECK_EQ(action, SCMP_ACT_ERRNO(EPERM));
	return __real_seccomp_init(SCMP_ACT_TRAP);
}

static void forbidden(int sig, siginfo_t *info, void *context)
{
	char text[100];
	int n = snprintf(text, sizeof(text), "system call %d is forbidden\n", info->si_syscall);

	n = write(2, text, n);
	_exit(3);
}

/* As main.c does, but for the list of ports. */
static void serve(int go)
{
	struct sigaction action = { .sa_sigaction = forbidden, .sa_flags = SA_SIGINFO };
	struct vfud_endpoint *ep;
	struct timespec until;
	int status_fd;
	char byte;

	umask(0);
	setenv("NOTIFY_SOCKET", notify, 1);
	vfud_store_init();
	sigaction(SIGSYS, &action, NULL);
	status_fd = vfud_status_listen(control);
	if (vfud_limit_calls())
		_exit(4);
	ep = vfud_endpoint_start(-1, 1, path);
	vfud_store_close_rest();
	if (!ep || read(go, &byte, 1) != 1)
		_exit(5);
	vfud_status_answer(status_fd, ep);
	vfud_err("here", "%s", strerror(ENOENT));
	unlink(control);
	atomic_store(&ep->stop, true);
	vfud_endpoint_wake(ep);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	if (pthread_timedjoin_np(ep->thread, NULL, &until))
		_exit(6);
	vfud_endpoint_free(ep);
	sleep_ms(1);
	free(malloc(8 << 20));
	_exit(0);
}

static int connect_to(const char *where)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	strcpy(addr.sun_path, where);
	for (i = 0; i < 5000 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)); i++)
		sleep_ms(1);
	CHECK(i < 5000);
	return fd;
}

static void talk(void)
{
	const struct vfu_hdr version = { .cmd = VFU_VERSION, .size = 23 };
	uint8_t data[64];
	int fd, round;

	for (round = 0; round < 2; round++) {
		fd = connect_to(path);
		memcpy(data, &version, sizeof(version));
		memcpy(data + 16, "\0\0\0\0{}", 7);
		CHECK_EQ(write(fd, data, 23), 23);
		CHECK_EQ(recv(fd, data, 20, MSG_WAITALL), 20);
		close(fd);
	}
}

static void daemon_works(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int go[2], status, notify_fd, fd;
	pid_t pid;

	/* messages of the store are only taken */
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, notify);
	CHECK(!bind(notify_fd, (struct sockaddr *)&addr, sizeof(addr)));
	CHECK(!pipe(go));
	/* a stale socket is removed by the daemon */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(addr.sun_path, path);
	CHECK(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	close(fd);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* a daemon's NOTIFY_SOCKET takes messages whoever reads them: drain */
		if (!fork()) {
			char text[4096];

			close(go[1]);
			while (recv(notify_fd, text, sizeof(text), 0) > 0 && !strstr(text, "FDNAME=end"))
				;
			_exit(0);
		}
		serve(go[0]);
	}
	talk();
	fd = connect_to(control);
	CHECK_EQ(write(go[1], "x", 1), 1);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
	close(fd);
	strcpy(addr.sun_path, notify);
	CHECK(sendto(notify_fd, "FDNAME=end", 11, 0, (struct sockaddr *)&addr, sizeof(addr)) > 0);
	close(notify_fd);
}

int main(void)
{
	alarm(60);
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(control, sizeof(control), "%s/c", dir);
	snprintf(notify, sizeof(notify), "%s/n", dir);
	RUN(daemon_works);
	unlink(path);
	unlink(control);
	unlink(notify);
	rmdir(dir);
	return UNIT_END();
}
