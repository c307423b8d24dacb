// SPDX-License-Identifier: GPL-2.0
/*
 * A port's socket, and the one client that it may have at a time.
 *
 * Each endpoint has a thread: QEMU stops its whole virtual machine while it waits for an answer,
 * and calls of the kernel may wait for a device. What a client is in the middle of lies in struct
 * vfud_state, so that a successor of this daemon goes on where it stood.
 */
#include "vfud.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define VERSION_MS	10000		/* a client has to say who it is within */
#define ATTACH_MS	4000		/* how long a former controller may take to go; QEMU waits 5 s */
#define SEND_MS		5000		/* a client that takes no answer for so long is gone */
#define REST_MS		500		/* for the rest of a message, when the daemon ends */
#define TRIES		3		/* at a message, when the daemon ends each time */
#define LISTEN_MS	3000		/* between tries to make the socket */
#define STACK_SIZE	(256 << 10)
#define ROUND		64		/* messages, until the flags are looked at */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * A successor shall have this, or need not. Once the port is gone these names are nobody's, or those
 * of an endpoint that has come with the same number.
 */
static void keep(struct vfud_endpoint *ep, char kind, int fd)
{
	pthread_mutex_lock(&ep->lock);
	if (!atomic_load(&ep->remove))
		vfud_store_keep(kind, ep->port, fd);
	pthread_mutex_unlock(&ep->lock);
}

static void forget(struct vfud_endpoint *ep, char kind)
{
	pthread_mutex_lock(&ep->lock);
	if (!atomic_load(&ep->remove))
		vfud_store_forget(kind, ep->port);
	pthread_mutex_unlock(&ep->lock);
}

/* Is there a process behind a socket that lies in the way? */
static bool is_in_use(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool used = fd >= 0 && (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) ||
				errno == EAGAIN);

	close_fd(&fd);
	return used;
}

static const char *make_way(const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st))
		return NULL;
	if (!S_ISSOCK(st.st_mode))
		return "there is something that is not a socket";
	if (is_in_use(addr))
		return "another process listens there";
	return unlink(addr->sun_path) ? strerror(errno) : NULL;
}

/* Makes the socket. Returns why it cannot be made, or NULL. */
static const char *make_socket(struct vfud_endpoint *ep)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *why;
	int fd;

	if (strlen(ep->path) >= sizeof(addr.sun_path))
		return "the path is too long";
	memcpy(addr.sun_path, ep->path, strlen(ep->path));
	why = make_way(&addr);
	if (why)
		return why;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the mode first: the file appears with it */
	if (fd < 0 || fchmod(fd, vfud_opts.mode) ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    (vfud_opts.gid != (gid_t)-1 && lchown(ep->path, -1, vfud_opts.gid)) ||
	    listen(fd, 8)) {
		why = strerror(errno);
		close_fd(&fd);
		return why;
	}
	ep->listen_fd = fd;
	return NULL;
}

static void start_listening(struct vfud_endpoint *ep)
{
	const char *why = make_socket(ep);

	if (why) {
		if (!ep->said_listen)
			vfud_err(ep->path, "port %u: no socket: %s; tried again every %d seconds",
				 ep->port, why, LISTEN_MS / 1000);
		ep->said_listen = true;
		return;
	}
	ep->said_listen = false;
	keep(ep, 'l', ep->listen_fd);
	atomic_store(&ep->listening, true);
	vfud_info(ep->path, "port %u: waits for a client", ep->port);
}

static void stop_listening(struct vfud_endpoint *ep)
{
	if (ep->listen_fd < 0)
		return;
	unlink(ep->path);
	forget(ep, 'l');
	close_fd(&ep->listen_fd);
	atomic_store(&ep->listening, false);
}

static void *map_state(int fd)
{
	void *p = mmap(NULL, sizeof(struct vfud_state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int make_state(struct vfud_endpoint *ep)
{
	struct vfud_state *state;

	ep->state_fd = memfd_create("nvtgt-vfud", MFD_CLOEXEC);
	if (ep->state_fd < 0 || ftruncate(ep->state_fd, sizeof(*state)))
		return -errno;
	state = map_state(ep->state_fd);
	if (!state)
		return -errno;
	memcpy(state->magic, VFUD_MAGIC, sizeof(state->magic));
	state->port = ep->port;
	state->nr_vectors = vfud_opts.nr_vectors;
	memcpy(state->path, ep->path, sizeof(state->path));
	vfud_pci_init(state->config, vfud_opts.vendor, vfud_opts.device, state->nr_vectors);
	ep->state = state;
	return 0;
}

/* The daemon may end at each instruction: a successor finds what comes before this, if what comes after. */
static void in_order(void)
{
	atomic_signal_fence(memory_order_seq_cst);
}

static void drop_rx(struct vfud_endpoint *ep)
{
	unsigned int i;

	for (i = 0; i < VFU_MAX_FDS; i++)
		close_fd(&ep->fd[i]);
	ep->state->rx_fds = 0;
	ep->state->rx_have = 0;
	ep->state->tries = 0;
	in_order();
	ep->state->answered = false;
}

/* The client has no controller any more, and no successor's either. */
static void drop_ctrl(struct vfud_endpoint *ep)
{
	forget(ep, 'k');
	close_fd(&ep->ctrl_fd);
}

static void drop_client(struct vfud_endpoint *ep, const char *why)
{
	if (ep->state)
		drop_rx(ep);
	vfud_info(ep->path, "the client is gone: %s", why);
	forget(ep, 'c');
	forget(ep, 's');
	drop_ctrl(ep);
	close_fd(&ep->conn_fd);
	if (ep->state)
		munmap(ep->state, sizeof(*ep->state));
	ep->state = NULL;
	close_fd(&ep->state_fd);
	ep->deadline = 0;
	atomic_store(&ep->connected, false);
	atomic_store(&ep->client, 0);
	atomic_store(&ep->ended, false);
}

/* The administrator has ended the controller: a guest finds a device that has been pulled. */
static void ctrl_ended(struct vfud_endpoint *ep)
{
	if (ep->ctrl_fd < 0)
		return;
	vfud_warn(ep->path, "the controller has been ended; the guest's device is gone until its virtual machine is started anew");
	ep->dev.dead = true;
	atomic_store(&ep->ended, true);
	drop_ctrl(ep);
}

/* Has the client hung up, with messages left that are to be read before it goes? */
static bool is_leaving(const struct vfud_endpoint *ep)
{
	struct pollfd pfd = { .fd = ep->conn_fd, .events = POLLRDHUP };

	return ep->conn_fd >= 0 && poll(&pfd, 1, 0) > 0;
}

static void accept_client(struct vfud_endpoint *ep)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int fd, ret;

	/* the new client waits until the thread has read what the former one has left */
	if (is_leaving(ep))
		return;
	fd = accept4(ep->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	/* at once: QEMU would wait in its main loop */
	if (ep->conn_fd >= 0) {
		vfud_warn(ep->path, "process %d is refused: process %d has the controller",
			  cred.pid, atomic_load(&ep->client));
		close(fd);
		return;
	}
	ret = make_state(ep);
	ep->conn_fd = fd;
	if (ret) {
		vfud_err(ep->path, "no memory for a client: %s", strerror(-ret));
		drop_client(ep, "refused");
		return;
	}
	atomic_store(&ep->client, cred.pid);
	atomic_store(&ep->connected, true);
	ep->deadline = monotonic_ms() + VERSION_MS;
	vfud_device_init(&ep->dev, ep->state, &vfud_kernel, (void *)(intptr_t)-1);
	keep(ep, 's', ep->state_fd);
	keep(ep, 'c', ep->conn_fd);
	vfud_info(ep->path, "process %d of user %d has connected", cred.pid, cred.uid);
}

static const char *attach_hint(int error)
{
	switch (error) {
	case EBUSY:
		return ": the former controller's commands are still in a device";
	case EACCES:
		return ": the subsystem does not allow the port's host (param_hostnqn of the port, allowed_hosts of the subsystem)";
	case ENODEV:
		return ": no subsystem is linked to the port";
	default:
		return "";
	}
}

static int attach(struct vfud_endpoint *ep)
{
	long long end = monotonic_ms() + ATTACH_MS;
	int fd;

	for (;;) {
		fd = vfud_kernel_attach(ep->dev_fd, ep->port, ep->state->nr_vectors);
		if (fd != -EBUSY || monotonic_ms() >= end || atomic_load(&ep->stop))
			break;
		sleep_ms(10);
	}
	if (fd < 0) {
		vfud_err(ep->path, "port %u: no controller: %s%s", ep->port, strerror(-fd),
			 attach_hint(-fd));
		return fd;
	}
	ep->ctrl_fd = fd;
	ep->dev.ctrl = (void *)(intptr_t)fd;
	keep(ep, 'k', fd);
	return 0;
}

/* The message in rx is done; from here on, it is the reply that is to be sent. */
static void put_reply(struct vfud_endpoint *ep, const struct vfud_msg *msg, int error)
{
	struct vfud_state *state = ep->state;
	struct vfu_hdr hdr = {
		.id	= msg->hdr.id,
		.cmd	= msg->hdr.cmd,
		.size	= sizeof(hdr) + (error ? 0 : msg->reply_len),
		.flags	= VFU_TYPE_REPLY | (error ? VFU_ERROR : 0),
		.error	= error,
	};

	memcpy(state->tx, &hdr, sizeof(hdr));
	state->tx_len = msg->hdr.flags & VFU_NO_REPLY ? 0 : hdr.size;
	state->tx_sent = 0;
	in_order();
	state->answered = true;
	in_order();
}

/* Until the client takes more. Returns 0; -EAGAIN: the daemon ends; -ETIMEDOUT. */
static int wait_for_room(struct vfud_endpoint *ep, long long end)
{
	long long left = end - monotonic_ms();
	struct pollfd pfd[] = {
		{ .fd = ep->conn_fd, .events = POLLOUT },
		{ .fd = ep->wake_fd, .events = POLLIN },
	};
	uint64_t count;

	if (left <= 0)
		return -ETIMEDOUT;
	if (poll(pfd, ARRAY_SIZE(pfd), left) > 0 && pfd[1].revents &&
	    read(ep->wake_fd, &count, sizeof(count)) < 0)
		return -errno;
	return atomic_load(&ep->stop) ? -EAGAIN : 0;
}

/*
 * Sends what is left of the reply. Returns 0; -EAGAIN: the daemon ends, and it is the successor's to go
 * on; or another negative errno: the client does not take it.
 */
static int send_rest(struct vfud_endpoint *ep)
{
	struct vfud_state *state = ep->state;
	long long end = monotonic_ms() + SEND_MS;

	while (state->tx_sent < state->tx_len) {
		ssize_t n = send(ep->conn_fd, state->tx + state->tx_sent,
				 state->tx_len - state->tx_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		int ret;

		if (n > 0) {
			state->tx_sent += n;
			continue;
		}
		ret = errno == EAGAIN ? wait_for_room(ep, end) : errno == EINTR ? 0 : -errno;
		if (ret)
			return ret;
	}
	drop_rx(ep);
	return 0;
}

/* Does the message in rx. Returns 0, or a negative errno, which is the answer. */
static int execute(struct vfud_endpoint *ep, struct vfud_msg *msg)
{
	struct vfud_state *state = ep->state;
	int ret = 0;

	if (msg->hdr.size > sizeof(state->rx))
		return -E2BIG;
	if (state->tries == TRIES) {
		vfud_err(ep->path, "the daemon has ended %d times at a message of type %u, which is refused",
			 TRIES, msg->hdr.cmd);
		return -EIO;
	}
	msg->again = state->tries > 0;
	state->tries++;
	in_order();
	if (!state->negotiated && msg->hdr.cmd == VFU_VERSION && ep->ctrl_fd < 0)
		ret = attach(ep);
	return ret ? ret : vfud_device_handle(&ep->dev, msg);
}

/* Returns 0, -EAGAIN as send_rest(), or a negative errno: the client goes. */
static int handle(struct vfud_endpoint *ep)
{
	struct vfud_state *state = ep->state;
	struct vfud_msg msg = {
		.data	= state->rx + sizeof(msg.hdr),
		.len	= state->rx_have - sizeof(msg.hdr),
		.reply	= state->tx + sizeof(msg.hdr),
	};
	bool first = !state->negotiated;
	int ret, sent;

	memcpy(&msg.hdr, state->rx, sizeof(msg.hdr));
	while (msg.nr_fds < VFU_MAX_FDS && ep->fd[msg.nr_fds] >= 0) {
		msg.fd[msg.nr_fds] = ep->fd[msg.nr_fds];
		msg.nr_fds++;
	}
	atomic_fetch_add(&ep->messages, 1);
	ret = execute(ep, &msg);
	put_reply(ep, &msg, -ret);
	if (state->negotiated)
		ep->deadline = 0;
	sent = send_rest(ep);
	if (sent)
		return sent;
	return first ? ret : 0;		/* without a version there is nothing to talk about */
}

static int take_fds(struct vfud_endpoint *ep, struct msghdr *mh)
{
	struct cmsghdr *cmsg;
	bool overflow = mh->msg_flags & MSG_CTRUNC;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t i, n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (ep->state->rx_fds < VFU_MAX_FDS) {
				ep->fd[ep->state->rx_fds++] = fd;
			} else {
				close(fd);
				overflow = true;
			}
		}
	}
	return overflow ? -EMFILE : 0;
}

/* Returns the bytes that came, or a negative errno; -EAGAIN: none; -EPIPE: the client has gone. */
static ssize_t receive(struct vfud_endpoint *ep, void *to, size_t len)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(VFU_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = len };
	struct msghdr mh = {
		.msg_iov	= &iov,
		.msg_iovlen	= 1,
		.msg_control	= control.room,
		.msg_controllen	= sizeof(control.room),
	};
	ssize_t n = recvmsg(ep->conn_fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int ret;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	ret = take_fds(ep, &mh);
	if (ret)
		return ret;
	return n ? n : -EPIPE;
}

/*
 * Receives a piece of a message, and handles it if that was the last. Returns 0 or a negative errno.
 * Of a message that is too long, what is behind the header is written over again and again.
 */
static int receive_some(struct vfud_endpoint *ep)
{
	const size_t room = sizeof(ep->state->rx) - sizeof(struct vfu_hdr);
	struct vfud_state *state = ep->state;
	struct vfu_hdr hdr = { .size = sizeof(hdr) };
	size_t at = state->rx_have, want;
	ssize_t n;

	/* the header alone first: the file descriptors that come with bytes are of their message */
	if (state->rx_have >= sizeof(hdr))
		memcpy(&hdr, state->rx, sizeof(hdr));
	if (hdr.size <= state->rx_have)
		return -EPROTO;
	want = hdr.size - state->rx_have;
	if (hdr.size > sizeof(state->rx)) {
		at = sizeof(hdr);
		want = want < room ? want : room;
	}
	n = receive(ep, state->rx + at, want);
	if (n < 0)
		return n;
	state->rx_have += n;
	if (state->rx_have < sizeof(hdr))
		return 0;
	memcpy(&hdr, state->rx, sizeof(hdr));
	if (vfud_check_header(&hdr))
		return -EPROTO;
	return state->rx_have == hdr.size ? handle(ep) : 0;
}

static const char *why_gone(int error)
{
	switch (error) {
	case -EPIPE:
		return "it has hung up";
	case -EPROTO:
		return "it does not speak vfio-user";
	case -EMFILE:
		return "it has sent too many file descriptors";
	case -ETIMEDOUT:
		return "it does not take answers";
	default:
		return strerror(-error);
	}
}

static void serve_client(struct vfud_endpoint *ep)
{
	int i, ret = 0;

	/* not to end between a message's file descriptors, which no successor has, and its rest */
	for (i = 0; !ret && (i < ROUND || ep->state->rx_fds); i++)
		ret = receive_some(ep);
	if (ret && ret != -EAGAIN)
		drop_client(ep, why_gone(ret));
}

/* The daemon ends: a message whose file descriptors are here is waited for, if it does not take long. */
static void finish_message(struct vfud_endpoint *ep)
{
	long long end = monotonic_ms() + REST_MS, left;

	while (ep->state && ep->state->rx_fds && !ep->state->answered &&
	       (left = end - monotonic_ms()) > 0) {
		struct pollfd pfd = { .fd = ep->conn_fd, .events = POLLIN };

		if (poll(&pfd, 1, left) > 0)
			serve_client(ep);
	}
}

/* Does what a predecessor has been in the middle of. */
static void resume(struct vfud_endpoint *ep)
{
	struct vfud_state *state = ep->state;
	struct vfu_hdr hdr;
	int ret = 0;

	memcpy(&hdr, state->rx, sizeof(hdr));
	if (state->answered)
		ret = send_rest(ep);
	else if (state->rx_have >= sizeof(hdr) && hdr.size == state->rx_have)
		ret = handle(ep);
	if (ret && ret != -EAGAIN)
		drop_client(ep, why_gone(ret));
}

/* The administrator has closed the port: its guest finds the device pulled. */
static void remove_port(struct vfud_endpoint *ep)
{
	stop_listening(ep);
	if (ep->conn_fd < 0)
		return;
	ctrl_ended(ep);
}

static int poll_timeout(const struct vfud_endpoint *ep)
{
	long long left;

	if (ep->deadline) {
		left = ep->deadline - monotonic_ms();
		return left < 0 ? 0 : left;
	}
	return ep->listen_fd < 0 && !atomic_load(&ep->remove) ? LISTEN_MS : -1;
}

static void endpoint_round(struct vfud_endpoint *ep)
{
	struct pollfd pfd[] = {
		{ .fd = ep->wake_fd, .events = POLLIN },
		{ .fd = ep->listen_fd, .events = POLLIN },
		{ .fd = ep->ctrl_fd },
		{ .fd = ep->conn_fd, .events = POLLIN },
	};
	uint64_t count;

	if (poll(pfd, ARRAY_SIZE(pfd), poll_timeout(ep)) < 0)
		return;
	if (pfd[0].revents && read(ep->wake_fd, &count, sizeof(count)) < 0)
		vfud_err(ep->path, "eventfd: %s", strerror(errno));
	if (pfd[2].revents & POLLHUP)
		ctrl_ended(ep);
	if (pfd[3].revents)
		serve_client(ep);
	if (pfd[1].revents)
		accept_client(ep);
	if (ep->deadline && monotonic_ms() >= ep->deadline)
		drop_client(ep, "it has not said which version of vfio-user it speaks");
	if (ep->listen_fd < 0 && !atomic_load(&ep->remove))
		start_listening(ep);
}

static void *endpoint_thread(void *arg)
{
	struct vfud_endpoint *ep = arg;

	if (ep->state)
		resume(ep);
	if (ep->listen_fd < 0)
		start_listening(ep);
	while (!atomic_load(&ep->stop)) {
		if (atomic_load(&ep->remove)) {
			remove_port(ep);
			if (ep->conn_fd < 0)
				break;
		}
		endpoint_round(ep);
	}
	finish_message(ep);
	/* what is left is a successor's, if there is one: it finds the socket as it is */
	if (!vfud_store_is_there())
		stop_listening(ep);
	atomic_store(&ep->finished, true);
	vfud_main_wake();
	return NULL;
}

/* A predecessor's socket, unless the port has moved meanwhile, or the administrator has removed the file. */
static void take_listener(struct vfud_endpoint *ep)
{
	struct sockaddr_un addr = { 0 };
	socklen_t len = sizeof(addr) - 1;
	struct stat st;

	ep->listen_fd = vfud_store_take('l', ep->port);
	if (ep->listen_fd < 0 || getsockname(ep->listen_fd, (struct sockaddr *)&addr, &len))
		return;
	if (!strcmp(addr.sun_path, ep->path) && !lstat(ep->path, &st) && S_ISSOCK(st.st_mode))
		return;
	if (strcmp(addr.sun_path, ep->path))
		unlink(addr.sun_path);
	forget(ep, 'l');
	close_fd(&ep->listen_fd);
}

/* A predecessor's client. Returns whether all that is needed is there. */
static bool take_client(struct vfud_endpoint *ep)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	struct stat st;
	int ret;

	ep->conn_fd = vfud_store_take('c', ep->port);
	ep->state_fd = vfud_store_take('s', ep->port);
	ep->ctrl_fd = vfud_store_take('k', ep->port);
	if (ep->conn_fd < 0 && ep->state_fd < 0 && ep->ctrl_fd < 0)
		return true;
	if (ep->conn_fd < 0 || ep->state_fd < 0 || fstat(ep->state_fd, &st) ||
	    st.st_size != sizeof(*ep->state))
		return false;
	ep->state = map_state(ep->state_fd);
	if (!ep->state || memcmp(ep->state->magic, VFUD_MAGIC, sizeof(ep->state->magic)) ||
	    strcmp(ep->state->path, ep->path))
		return false;
	vfud_device_init(&ep->dev, ep->state, &vfud_kernel, (void *)(intptr_t)ep->ctrl_fd);
	getsockopt(ep->conn_fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	atomic_store(&ep->client, cred.pid);
	atomic_store(&ep->connected, true);
	if (!ep->state->negotiated) {
		ep->deadline = monotonic_ms() + VERSION_MS;
		return true;
	}
	if (ep->ctrl_fd < 0) {
		ep->dev.dead = true;
		atomic_store(&ep->ended, true);
		return true;
	}
	ret = vfud_kernel_adopt(ep->ctrl_fd);
	if (ret) {
		vfud_err(ep->path, "the guest's memory cannot be taken over: %s", strerror(-ret));
		return false;
	}
	vfud_info(ep->path, "goes on with process %d", cred.pid);
	return true;
}

/**
 * vfud_endpoint_start() - a port that is enabled
 * @dev_fd: /dev/nvtgt-vfu
 * @port: its number
 * @path: the socket
 *
 * Return: the endpoint, or NULL: there is no memory
 */
struct vfud_endpoint *vfud_endpoint_start(int dev_fd, unsigned int port, const char *path)
{
	struct vfud_endpoint *ep = xcalloc(1, sizeof(*ep));
	pthread_attr_t attr;
	unsigned int i;
	int ret;

	ep->port = port;
	snprintf(ep->path, sizeof(ep->path), "%s", path);
	ep->dev_fd = dev_fd;
	ep->conn_fd = -1;
	ep->ctrl_fd = -1;
	ep->state_fd = -1;
	for (i = 0; i < VFU_MAX_FDS; i++)
		ep->fd[i] = -1;
	pthread_mutex_init(&ep->lock, NULL);
	ep->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	take_listener(ep);
	atomic_store(&ep->listening, ep->listen_fd >= 0);
	if (!take_client(ep))
		drop_client(ep, "what the former daemon has left is not complete");

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	ret = ep->wake_fd < 0 ? errno : pthread_create(&ep->thread, &attr, endpoint_thread, ep);
	pthread_attr_destroy(&attr);
	if (!ret)
		return ep;
	vfud_err(path, "port %u: no thread: %s", port, strerror(ret));
	atomic_store(&ep->finished, true);
	vfud_endpoint_free(ep);
	return NULL;
}

/** vfud_endpoint_wake() - the thread looks at its flags */
void vfud_endpoint_wake(struct vfud_endpoint *ep)
{
	uint64_t one = 1;

	if (write(ep->wake_fd, &one, sizeof(one)) < 0)
		return;			/* it is awake already */
}

/**
 * vfud_endpoint_remove() - the port is gone
 *
 * What the store has of it is forgotten here, before another endpoint with the same number keeps something.
 */
void vfud_endpoint_remove(struct vfud_endpoint *ep)
{
	static const char kinds[] = "lcks";
	size_t i;

	pthread_mutex_lock(&ep->lock);
	atomic_store(&ep->remove, true);
	for (i = 0; kinds[i]; i++)
		vfud_store_forget(kinds[i], ep->port);
	pthread_mutex_unlock(&ep->lock);
	vfud_endpoint_wake(ep);
}

/** vfud_endpoint_free() - after the thread has been joined */
void vfud_endpoint_free(struct vfud_endpoint *ep)
{
	unsigned int i;

	for (i = 0; i < VFU_MAX_FDS; i++)
		close_fd(&ep->fd[i]);
	close_fd(&ep->conn_fd);
	close_fd(&ep->ctrl_fd);
	if (ep->state)
		munmap(ep->state, sizeof(*ep->state));
	close_fd(&ep->state_fd);
	close_fd(&ep->listen_fd);
	close_fd(&ep->wake_fd);
	pthread_mutex_destroy(&ep->lock);
	free(ep);
}
