// SPDX-License-Identifier: GPL-2.0
// builds: tools/nvtgt-vfud/endpoint.c tools/nvtgt-vfud/device.c tools/nvtgt-vfud/pci.c
// builds: tools/nvtgt-vfud/log.c tools/lib/util.c
// cflags: -D_GNU_SOURCE -pthread
// libs: -ljson-c -pthread -Wl,--wrap=recvmsg -Wl,--wrap=send
/*
 * guards: an endpoint of nvtgt-vfud takes messages in whatever pieces they come, keeps no file
 * descriptor, and when the daemon ends at any point, its successor answers what is not
 * answered, and that once
 *
 * The kernel and the service manager are here. A daemon that dies is a thread that ends wherever it
 * stands (at a call of the kernel's, of the store's, at recvmsg() or send()); then all of its file
 * descriptors are closed, but those that the store has copies of.
 */
#include "unit.h"

#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vfud_fake.h"

struct vfud_options vfud_opts = { .nr_vectors = 16, .vendor = 1, .device = 2, .gid = -1, .mode = 0600 };

static char dir[] = "/tmp/vfud-XXXXXX", path[64];

/* ---- where a daemon may die */

static __thread bool immortal;		/* no thread of the daemon's */
static atomic_int step, die_at;
static atomic_int send_limit;		/* bytes that the socket takes at a time, or 0 */

static void may_die(void)
{
	if (!immortal && atomic_load(&die_at) && atomic_fetch_add(&step, 1) + 1 == atomic_load(&die_at))
		pthread_exit(NULL);
}

static void kernel_step(enum fake_op op)
{
	may_die();
}

ssize_t __real_recvmsg(int fd, struct msghdr *mh, int flags);
ssize_t __real_send(int fd, const void *data, size_t len, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t len, int flags);

ssize_t __wrap_recvmsg(int fd, struct msghdr *mh, int flags)
{
	may_die();
	return __real_recvmsg(fd, mh, flags);
}

ssize_t __wrap_send(int fd, const void *data, size_t len, int flags)
{
	int limit = atomic_load(&send_limit);

	may_die();
	return __real_send(fd, data, !immortal && limit && len > limit ? limit : len, flags);
}

/* ---- the kernel */

const struct vfud_kernel_ops vfud_kernel = FAKE_KERNEL;

static atomic_int attach_error, ctrl_other = -1, attached, adopted;

int vfud_kernel_attach(int fd, unsigned int port, unsigned int nr_vectors)
{
	int pair[2], error = atomic_load(&attach_error);

	may_die();
	CHECK_EQ(port, 7);
	CHECK_EQ(nr_vectors, 16);
	if (error)
		return -error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	if (atomic_load(&ctrl_other) >= 0)
		close(ctrl_other);
	atomic_store(&ctrl_other, pair[1]);
	atomic_fetch_add(&attached, 1);
	fake_init(16);
	fake.step = kernel_step;
	return pair[0];
}

int vfud_kernel_adopt(int ctrl)
{
	atomic_fetch_add(&adopted, 1);
	return 0;
}

/* ---- the store: names and copies, as a service manager has them */

static pthread_mutex_t store_lock = PTHREAD_MUTEX_INITIALIZER;
static int store[128];
static unsigned int forgotten;
static bool store_there = true;

void vfud_store_keep(char kind, unsigned int port, int fd)
{
	may_die();
	pthread_mutex_lock(&store_lock);
	CHECK(store[(int)kind] < 0);
	store[(int)kind] = dup(fd);
	pthread_mutex_unlock(&store_lock);
}

void vfud_store_forget(char kind, unsigned int port)
{
	may_die();
	pthread_mutex_lock(&store_lock);
	forgotten++;
	if (store[(int)kind] >= 0)
		close(store[(int)kind]);
	store[(int)kind] = -1;
	pthread_mutex_unlock(&store_lock);
}

int vfud_store_take(char kind, unsigned int port)
{
	return store[(int)kind] < 0 ? -1 : dup(store[(int)kind]);
}

bool vfud_store_is_there(void)
{
	return store_there;
}

static void store_clear(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(store); i++) {
		if (store[i] >= 0)
			close(store[i]);
		store[i] = -1;
	}
}

void vfud_main_wake(void)
{
}

/* ---- the daemon */

static unsigned int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static bool soon(bool (*what)(void *), void *arg)
{
	long long end = monotonic_ms() + 20000;

	while (!what(arg)) {
		if (monotonic_ms() > end)
			return false;
		sleep_ms(1);
	}
	return true;
}

/* A daemon closes what came with a message after its reply. */
static bool fds_are(void *arg)
{
	return count_fds() == *(unsigned int *)arg;
}

static bool is_listening(void *arg)
{
	return atomic_load(&((struct vfud_endpoint *)arg)->listening);
}

static bool is_free(void *arg)
{
	return !atomic_load(&((struct vfud_endpoint *)arg)->connected);
}

static struct vfud_endpoint *daemon_start(void)
{
	struct vfud_endpoint *ep = vfud_endpoint_start(-1, 7, path);

	CHECK(ep);
	return ep;
}

/* An orderly end, or after the thread has died. */
static void daemon_end(struct vfud_endpoint *ep)
{
	atomic_store(&ep->stop, true);
	vfud_endpoint_wake(ep);
	pthread_join(ep->thread, NULL);
	vfud_endpoint_free(ep);
}

/* ---- a client */

static int client_try(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = 20 };

	strcpy(addr.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static int client(void)
{
	long long end = monotonic_ms() + 20000;
	int fd;

	while ((fd = client_try()) < 0 && monotonic_ms() < end)
		sleep_ms(1);
	CHECK(fd >= 0);
	return fd;
}

static size_t make(uint8_t *to, uint16_t id, uint16_t cmd, const void *data, size_t len)
{
	struct vfu_hdr hdr = { .id = id, .cmd = cmd, .size = sizeof(hdr) + len };

	memcpy(to, &hdr, sizeof(hdr));
	if (len)
		memcpy(to + sizeof(hdr), data, len);
	return hdr.size;
}

static bool transmit(int fd, const void *data, size_t len, const int *fds, unsigned int nr_fds)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(64 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nr_fds) {
		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE(nr_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(nr_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, nr_fds * sizeof(int));
	}
	return sendmsg(fd, &mh, MSG_NOSIGNAL) == (ssize_t)len;
}

static uint8_t rx[VFU_MAX_MSG + 1024];

static bool exactly(int fd, uint8_t *to, size_t len)
{
	while (len) {
		ssize_t n = recv(fd, to, len, 0);

		if (n <= 0)
			return false;
		to += n;
		len -= n;
	}
	return true;
}

/* The next reply: its errno, or -1 when the daemon has hung up. */
static int reply(int fd, uint16_t id, uint16_t cmd)
{
	struct vfu_hdr hdr;

	if (!exactly(fd, rx, sizeof(hdr)))
		return -1;
	memcpy(&hdr, rx, sizeof(hdr));
	CHECK_EQ(hdr.id, id);
	CHECK_EQ(hdr.cmd, cmd);
	CHECK_EQ(hdr.flags, hdr.error ? VFU_TYPE_REPLY | VFU_ERROR : VFU_TYPE_REPLY);
	CHECK(hdr.size >= sizeof(hdr) && hdr.size <= VFU_MAX_MSG);
	if (hdr.size < sizeof(hdr) || hdr.size > VFU_MAX_MSG || !exactly(fd, rx + 16, hdr.size - 16))
		return -1;
	CHECK(!hdr.error || hdr.size == 16);
	return hdr.error;
}

/* No reply is there. */
static bool silent(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return !poll(&pfd, 1, 20);
}

static int call(int fd, uint16_t cmd, const void *data, size_t len, const int *fds, unsigned int nr)
{
	static uint8_t tx[sizeof(rx)];
	static uint16_t id;
	size_t size = make(tx, ++id, cmd, data, len);

	if (!transmit(fd, tx, size, fds, nr))
		return -1;
	return reply(fd, id, cmd);
}

static const uint8_t greeting[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":16,"
	"\"max_data_xfer_size\":1048576,\"pgsizes\":4096,\"max_dma_maps\":65535}}          ";
static const uint8_t info[16] = { 16 };

static int hello(void)
{
	int fd = client();

	CHECK_EQ(call(fd, VFU_VERSION, greeting, sizeof(greeting), NULL, 0), 0);
	return fd;
}

/* ---- what happens while the daemon lives */

static void pieces(void)
{
	static uint8_t tx[4096];
	size_t len = make(tx, 5, VFU_GET_INFO, info, sizeof(info)), i, j;
	struct vfud_endpoint *ep = daemon_start();
	int fd = hello();

	for (i = 0; i < len; i++) {
		CHECK(transmit(fd, tx + i, 1, NULL, 0));
		if (i % 7 == 0)
			sleep_ms(2);
	}
	CHECK_EQ(reply(fd, 5, VFU_GET_INFO), 0);
	for (i = 1; i < len; i++) {
		CHECK(transmit(fd, tx, i, NULL, 0) && transmit(fd, tx + i, len - i, NULL, 0));
		CHECK_EQ(reply(fd, 5, VFU_GET_INFO), 0);
	}
	for (i = 0; i < 100; i++)
		make(tx + i * len, i, VFU_GET_INFO, info, sizeof(info));
	CHECK(transmit(fd, tx, 100 * len, NULL, 0));
	for (i = 0; i < 100; i++)
		CHECK_EQ(reply(fd, i, VFU_GET_INFO), 0);
	/* replies in pieces, too */
	atomic_store(&send_limit, 3);
	for (j = 0; j < 3; j++)
		CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	atomic_store(&send_limit, 0);
	close(fd);
	daemon_end(ep);
	store_clear();
}

static void sizes(void)
{
	static uint8_t big[300000];
	struct vfud_endpoint *ep = daemon_start();
	struct vfu_region access = { .region = 4, .count = 8192 };
	struct vfu_hdr hdr = { .id = 1, .cmd = VFU_GET_INFO };
	int fd = hello(), size;

	/* too long by a byte, by much; with file descriptors */
	CHECK_EQ(call(fd, VFU_GET_INFO, big, VFU_MAX_MSG - 15, NULL, 0), E2BIG);
	hdr.size = sizeof(big);
	memcpy(big, &hdr, sizeof(hdr));
	size = dup(0);
	CHECK(transmit(fd, big, 20, &size, 1));
	CHECK(transmit(fd, big, sizeof(big) - 20, &size, 1));
	close(size);
	CHECK_EQ(reply(fd, 1, VFU_GET_INFO), E2BIG);
	/* as long as may be */
	memset(big, 0, sizeof(big));
	CHECK_EQ(call(fd, VFU_GET_INFO, big, VFU_MAX_MSG - 16, NULL, 0), EINVAL);
	memcpy(big, &access, sizeof(access));
	CHECK_EQ(call(fd, VFU_REGION_WRITE, big, 16 + 8192, NULL, 0), 0);
	CHECK_EQ(call(fd, VFU_REGION_READ, &access, 16, NULL, 0), 0);
	close(fd);
	/* one that cannot be: it is hung up */
	for (size = 0; size < 16; size++) {
		fd = hello();
		hdr.size = size;
		CHECK(transmit(fd, &hdr, sizeof(hdr), NULL, 0));
		CHECK(!exactly(fd, rx, 1));
		close(fd);
	}
	/* anything else before a version */
	fd = client();
	CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), EINVAL);
	CHECK(!exactly(fd, rx, 1));
	close(fd);
	fd = client();
	CHECK_EQ(call(fd, VFU_GET_INFO, big, VFU_MAX_MSG, NULL, 0), E2BIG);
	CHECK(!exactly(fd, rx, 1));
	close(fd);
	atomic_store(&attach_error, EACCES);
	fd = client();
	CHECK_EQ(call(fd, VFU_VERSION, greeting, sizeof(greeting), NULL, 0), EACCES);
	CHECK(!exactly(fd, rx, 1));
	close(fd);
	atomic_store(&attach_error, 0);
	daemon_end(ep);
	store_clear();
}

static size_t set_irqs(uint8_t *to, uint16_t id, uint32_t start, uint32_t count)
{
	uint32_t set[5] = { 20, 0x24, VFIO_PCI_MSIX_IRQ_INDEX, start, count };

	return make(to, id, VFU_SET_IRQS, set, sizeof(set));
}

/* Whatever comes with whatever message: no file descriptor is left. */
static void descriptors(void)
{
	struct vfud_endpoint *ep = daemon_start();
	unsigned int before, i;
	uint8_t tx[64];
	int fds[17], fd;
	size_t len;

	for (i = 0; i < 17; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	fd = hello();
	before = count_fds();
	for (i = 0; i <= 16; i++) {
		CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), fds, i), 0);
		CHECK_EQ(call(fd, 99, info, sizeof(info), fds, i), ENOTSUP);
		CHECK(soon(fds_are, &before));
	}
	len = set_irqs(tx, 9, 0, 16);
	CHECK(transmit(fd, tx, len, fds, 16));
	CHECK_EQ(reply(fd, 9, VFU_SET_IRQS), 0);
	CHECK(soon(fds_are, &before));
	for (i = 0; i < 16; i++)
		CHECK(fake.irq[i]);
	/* with each of a message's pieces */
	len = set_irqs(tx, 9, 0, 3);
	for (i = 0; i < 3; i++) {
		CHECK(transmit(fd, tx + i * 6, i == 2 ? len - 12 : 6, fds, 1));
		sleep_ms(5);
	}
	CHECK_EQ(reply(fd, 9, VFU_SET_IRQS), 0);
	CHECK(soon(fds_are, &before));
	/* in the middle of a message, the client goes: both ends of its connection as well */
	CHECK(transmit(fd, tx, 6, fds, 3));
	CHECK(transmit(fd, tx + 6, 12, fds, 3));
	close(fd);
	CHECK(soon(is_free, ep));
	before -= 1 + 1 + 1 + 1 + 3;	/* client, connection, state, controller; three in the store */
	CHECK(soon(fds_are, &before));
	/* too many */
	for (i = 0; i < 3; i++) {
		fd = hello();
		if (i) {
			CHECK(transmit(fd, tx, 6, fds, i == 1 ? 16 : 1));
			CHECK(transmit(fd, tx + 6, 6, fds, i == 1 ? 1 : 16));
		} else {
			CHECK(transmit(fd, tx, len, fds, 17));
		}
		CHECK(!exactly(fd, rx, 1));
		close(fd);
		CHECK(soon(is_free, ep));
		CHECK(soon(fds_are, &before));
	}
	daemon_end(ep);
	for (i = 0; i < 17; i++)
		close(fds[i]);
	store_clear();
}

static void second(void)
{
	struct vfud_endpoint *ep = daemon_start();
	int fd = hello(), other = client();

	CHECK(!exactly(other, rx, 1));
	close(other);
	CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	close(fd);
	fd = hello();			/* at once: the former one is gone, and nobody waits */
	CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	store_clear();
}

static void ended(void)
{
	struct vfu_region access = { .region = 0, .count = 4 };
	struct vfud_endpoint *ep = daemon_start();
	int fd = hello();

	close(atomic_exchange(&ctrl_other, -1));
	do {
		CHECK_EQ(call(fd, VFU_REGION_READ, &access, sizeof(access), NULL, 0), 0);
	} while (rx[32] != 0xff);
	CHECK(atomic_load(&ep->ended));
	CHECK(store['k'] < 0 && store['c'] >= 0);
	/* and a successor knows */
	daemon_end(ep);
	ep = daemon_start();
	CHECK_EQ(call(fd, VFU_REGION_READ, &access, sizeof(access), NULL, 0), 0);
	CHECK_EQ(rx[32], 0xff);
	CHECK(atomic_load(&ep->ended));
	close(fd);
	CHECK(soon(is_free, ep));
	CHECK(!atomic_load(&ep->ended));
	daemon_end(ep);
	store_clear();
}

/* The port goes under its client, and comes back at once: what the new one keeps is not the old one's to forget. */
static void removed(void)
{
	struct vfud_endpoint *ep = daemon_start(), *next;
	unsigned int seen;
	int fd = hello(), i;

	vfud_endpoint_remove(ep);
	CHECK(store['l'] < 0 && store['c'] < 0 && store['k'] < 0 && store['s'] < 0);
	next = daemon_start();
	CHECK(soon(is_listening, next));
	CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	i = hello();
	pthread_mutex_lock(&store_lock);
	seen = forgotten;
	pthread_mutex_unlock(&store_lock);
	CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	CHECK_EQ(call(fd, VFU_RESET, NULL, 0, NULL, 0), 0);
	close(fd);
	CHECK(soon(is_free, ep));
	pthread_join(ep->thread, NULL);
	CHECK(atomic_load(&ep->finished));
	vfud_endpoint_free(ep);
	CHECK_EQ(forgotten, seen);
	CHECK(store['l'] >= 0 && store['c'] >= 0 && store['k'] >= 0 && store['s'] >= 0);
	CHECK(!access(path, F_OK));
	close(i);
	CHECK(soon(is_free, next));
	store_there = false;
	daemon_end(next);
	store_there = true;
	CHECK(access(path, F_OK));		/* nobody comes after it */
	store_clear();
}

/* The port's path has changed, or the file has been removed, while there was no daemon. */
static void moved(void)
{
	struct vfud_endpoint *ep = daemon_start();
	char other[80];
	int fd;

	CHECK(soon(is_listening, ep));
	daemon_end(ep);
	CHECK(!access(path, F_OK));
	strcpy(other, path);
	strcat(path, "-moved");
	ep = daemon_start();
	fd = hello();
	CHECK(access(other, F_OK));
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	unlink(path);
	ep = daemon_start();
	fd = hello();
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	/* and as it was: the same socket, no other */
	ep = daemon_start();
	CHECK(is_listening(ep));
	daemon_end(ep);
	unlink(path);
	strcpy(path, other);
	store_clear();
}

/* ---- ends of the daemon */

/* Replies that nobody reads, until the daemon has to wait: @n are sent, of @len bytes each. */
static void jam(int fd, unsigned int n)
{
	struct vfu_region access = { .region = VFIO_PCI_CONFIG_REGION_INDEX, .count = 4096 };
	uint8_t tx[64];
	unsigned int i;

	for (i = 0; i < n; i++) {
		size_t len = make(tx, 100 + i, VFU_REGION_READ, &access, sizeof(access));

		CHECK(transmit(fd, tx, len, NULL, 0));
	}
}

/* Until the daemon does nothing more, as the client reads nothing. */
static void jammed(struct vfud_endpoint *ep)
{
	unsigned long long now = atomic_load(&ep->messages), last;

	do {
		last = now;
		sleep_ms(100);
		now = atomic_load(&ep->messages);
	} while (now != last);
}

/* A client that does not read: the daemon ends nonetheless, and its successor goes on where it stood. */
static void stop_while_sending(void)
{
	struct vfud_endpoint *ep = daemon_start();
	long long begin;
	int fd = hello(), i, round;

	atomic_store(&send_limit, 1000);
	jam(fd, 200);
	for (round = 0; round < 3; round++) {
		jammed(ep);
		begin = monotonic_ms();
		daemon_end(ep);
		CHECK(monotonic_ms() - begin < 3000);
		ep = daemon_start();
	}
	for (i = 0; i < 200; i++) {
		CHECK_EQ(reply(fd, 100 + i, VFU_REGION_READ), 0);
		CHECK_EQ(rx[32], 1);		/* the vendor */
	}
	CHECK(silent(fd));
	CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	atomic_store(&send_limit, 0);
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	store_clear();
}

/* The same with what is too long: what comes after it is a message, and no memory is written but its own. */
static void stop_while_refusing(void)
{
	static uint8_t big[VFU_MAX_MSG + 5000];
	struct vfud_endpoint *ep = daemon_start();
	int fd = hello(), i;
	size_t len;

	jam(fd, 100);
	jammed(ep);
	daemon_end(ep);
	ep = daemon_start();
	for (i = 0; i < 100; i++)
		CHECK_EQ(reply(fd, 100 + i, VFU_REGION_READ), 0);
	/* in each part of such a message */
	len = make(big, 3, VFU_GET_INFO, big + 16, sizeof(big) - 16);
	for (i = 0; i < 6; i++) {
		size_t cut = (const size_t[]){ 1, 16, 17, 60000, VFU_MAX_MSG, VFU_MAX_MSG + 4999 }[i];

		CHECK(transmit(fd, big, cut, NULL, 0));
		sleep_ms(20);
		daemon_end(ep);
		ep = daemon_start();
		CHECK(transmit(fd, big + cut, len - cut, NULL, 0));
		CHECK_EQ(reply(fd, 3, VFU_GET_INFO), E2BIG);
		CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
	}
	/* its answer waits, when the daemon ends */
	jam(fd, 50);
	CHECK(transmit(fd, big, len, NULL, 0));
	jam(fd, 2);
	jammed(ep);
	daemon_end(ep);
	ep = daemon_start();
	for (i = 0; i < 50; i++)
		CHECK_EQ(reply(fd, 100 + i, VFU_REGION_READ), 0);
	CHECK_EQ(reply(fd, 3, VFU_GET_INFO), E2BIG);
	for (i = 0; i < 2; i++)
		CHECK_EQ(reply(fd, 100 + i, VFU_REGION_READ), 0);
	CHECK(silent(fd));
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	store_clear();
}

/* An orderly end takes the rest of a message with file descriptors: no successor could have them. */
static void stop_within_fds(void)
{
	struct vfud_endpoint *ep = daemon_start();
	int fd = hello(), fds[2], round;
	uint8_t tx[64];
	size_t len = set_irqs(tx, 1, 2, 2);

	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = eventfd(0, EFD_CLOEXEC);
	for (round = 0; round < 3; round++) {
		CHECK(transmit(fd, tx, 16, fds, 2));
		sleep_ms(20);
		atomic_store(&ep->stop, true);
		vfud_endpoint_wake(ep);
		sleep_ms(20);
		CHECK(transmit(fd, tx + 16, len - 16, NULL, 0));
		daemon_end(ep);
		ep = daemon_start();
		CHECK_EQ(reply(fd, 1, VFU_SET_IRQS), 0);
		CHECK(fake.irq[2] && fake.irq[3]);
		memset(fake.irq, 0, sizeof(fake.irq));
	}
	/* but not for long */
	CHECK(transmit(fd, tx, 17, fds, 2));
	sleep_ms(20);
	daemon_end(ep);
	ep = daemon_start();
	CHECK(transmit(fd, tx + 17, len - 17, NULL, 0));
	CHECK_EQ(reply(fd, 1, VFU_SET_IRQS), 0);
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	close(fds[0]);
	close(fds[1]);
	store_clear();
}

static void kill_endpoint(enum fake_op op)
{
	pthread_exit(NULL);
}

/* A message at which the daemon ends each time: it does not take all other guests with it for ever. */
static void deadly(void)
{
	struct vfu_region access = { .region = 0, .count = 4 };
	struct vfud_endpoint *ep = daemon_start();
	int fd = hello(), i;
	uint8_t tx[64];

	fake.step = kill_endpoint;
	CHECK(transmit(fd, tx, make(tx, 4, VFU_REGION_READ, &access, sizeof(access)), NULL, 0));
	for (i = 0; i < 3; i++) {
		pthread_join(ep->thread, NULL);
		CHECK(silent(fd));
		vfud_endpoint_free(ep);
		ep = daemon_start();
	}
	CHECK_EQ(reply(fd, 4, VFU_REGION_READ), EIO);
	fake.step = NULL;
	CHECK_EQ(call(fd, VFU_REGION_READ, &access, sizeof(access), NULL, 0), 0);
	close(fd);
	CHECK(soon(is_free, ep));
	daemon_end(ep);
	store_clear();
}

/* The whole of a guest's start, as a client that must not notice anything. */
static int talk(int fd)
{
	uint32_t dma[8] = { 32, 3, 0, 0, 0, 0, 1 << 20, 0 }, un[6] = { 24, 0, 0, 0, 1 << 20, 0 };
	struct {
		struct vfu_region access;
		uint8_t data[4];
	} w = { { .offset = 0x24, .region = 0, .count = 4 }, { 1, 2, 3, 4 } };
	struct vfu_region all = { .region = VFIO_PCI_CONFIG_REGION_INDEX, .count = 4096 };
	int round;

	if (call(fd, VFU_VERSION, greeting, sizeof(greeting), NULL, 0))
		return -1;
	for (round = 0; round < 2; round++) {
		CHECK_EQ(call(fd, VFU_GET_INFO, info, sizeof(info), NULL, 0), 0);
		CHECK_EQ(call(fd, VFU_DMA_MAP, dma, sizeof(dma), NULL, 0), 0);
		CHECK_EQ(call(fd, VFU_REGION_READ, &all, sizeof(all), NULL, 0), 0);
		CHECK_EQ(call(fd, VFU_REGION_WRITE, &w, sizeof(w.access) + 4, NULL, 0), 0);
		CHECK_EQ(fake.bar0[0x27], 4);
		CHECK_EQ(fake.nr_regions, 1);
		CHECK_EQ(call(fd, VFU_DMA_UNMAP, un, sizeof(un), NULL, 0), 0);
		CHECK_EQ(call(fd, 99, info, sizeof(info), NULL, 0), ENOTSUP);
		CHECK_EQ(call(fd, VFU_RESET, NULL, 0, NULL, 0), 0);
		CHECK_EQ(fake.nr_regions, 0);
	}
	CHECK(silent(fd));
	return 0;
}

static void *talker(void *arg)
{
	immortal = true;
	return (void *)(intptr_t)talk((intptr_t)arg);
}

/*
 * The daemon dies once, at the first place there is, then at the second, and so on. Between
 * accept() and the store's having the connection, the client finds it closed: it is the only loss.
 */
static void die_everywhere(void)
{
	bool died = true;
	int at, lost = 0;

	unlink(path);
	for (at = 1; died && at < 2000; at++) {
		struct vfud_endpoint *ep;
		pthread_t thread;
		void *ret;
		int fd;

		atomic_store(&step, 0);
		atomic_store(&send_limit, at % 2 ? 0 : 1500);
		ep = daemon_start();
		CHECK(soon(is_listening, ep));
		atomic_store(&die_at, at);
		fd = client();
		pthread_create(&thread, NULL, talker, (void *)(intptr_t)fd);
		while (pthread_tryjoin_np(thread, &ret)) {
			if (atomic_load(&step) >= at && atomic_load(&die_at)) {
				pthread_join(ep->thread, NULL);
				atomic_store(&die_at, 0);
				vfud_endpoint_free(ep);
				ep = daemon_start();
				if (ep->conn_fd < 0)
					lost++;
			}
			sleep_ms(1);
		}
		died = !atomic_load(&die_at);
		atomic_store(&die_at, 0);
		close(fd);
		CHECK(soon(is_free, ep));
		CHECK((ret == NULL) || lost);
		daemon_end(ep);
		store_clear();
		unlink(path);
		if (unit_failures) {
			printf("(died at %d)\n", at);
			break;
		}
	}
	atomic_store(&send_limit, 0);
	printf("%d places to die at, %d of them before the store has the client\n", at - 2, lost);
	CHECK(at > 50 && lost <= 3);
}

int main(void)
{
	unsigned int before;

	immortal = true;
	signal(SIGPIPE, SIG_IGN);
	memset(store, 0xff, sizeof(store));
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	before = count_fds();
	RUN(pieces);
	RUN(sizes);
	RUN(descriptors);
	RUN(second);
	RUN(ended);
	RUN(removed);
	RUN(moved);
	RUN(stop_while_sending);
	RUN(stop_while_refusing);
	RUN(stop_within_fds);
	RUN(deadly);
	RUN(die_everywhere);
	if (ctrl_other >= 0)
		close(ctrl_other);
	CHECK(soon(fds_are, &before));
	unlink(path);
	rmdir(dir);
	return UNIT_END();
}
