// SPDX-License-Identifier: GPL-2.0
/* --status: a socket on which the daemon says what it has, as JSON. */
#include "vfud.h"

#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS	2000		/* for a client to take it: main has other things to do */

static int open_socket(const char *path, struct sockaddr_un *addr, int flags)
{
	if (strlen(path) >= sizeof(addr->sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(addr->sun_path, path, strlen(path));
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

/**
 * vfud_status_listen() - make the socket
 * @path: its path; one that nobody listens on any more is replaced
 *
 * Return: the socket; -EADDRINUSE: another daemon has it; another negative errno
 */
int vfud_status_listen(const char *path)
{
	struct sockaddr_un addr;
	int fd = open_socket(path, &addr, SOCK_NONBLOCK);
	int ret;

	if (fd < 0)
		return -errno;
	ret = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? errno : 0;
	close(fd);
	if (!ret || ret == EAGAIN)		/* or it has a queue before it */
		return -EADDRINUSE;
	if (ret == ECONNREFUSED)
		unlink(path);
	fd = open_socket(path, &addr, SOCK_NONBLOCK);
	if (fd >= 0 && !fchmod(fd, 0600) && !bind(fd, (struct sockaddr *)&addr, sizeof(addr)) &&
	    !listen(fd, 8))
		return fd;
	ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

static const char *state_of(const struct vfud_endpoint *ep)
{
	if (atomic_load(&ep->ended))
		return "ended";
	if (atomic_load(&ep->connected))
		return "connected";
	return atomic_load(&ep->listening) ? "waiting" : "no socket";
}

static struct json_object *to_json(const struct vfud_endpoint *list)
{
	struct json_object *array = json_object_new_array();

	for (; list; list = list->next) {
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "port", json_object_new_int(list->port));
		json_object_object_add(o, "path", json_object_new_string(list->path));
		json_object_object_add(o, "state", json_object_new_string(state_of(list)));
		json_object_object_add(o, "pid", json_object_new_int(atomic_load(&list->client)));
		json_object_object_add(o, "messages",
				       json_object_new_int64(atomic_load(&list->messages)));
		json_object_array_add(array, o);
	}
	return array;
}

/* As much as the client takes in time. */
static void send_text(int fd, const char *text)
{
	long long end = monotonic_ms() + ANSWER_MS, left;
	size_t len = strlen(text);

	while (len && (left = end - monotonic_ms()) > 0) {
		struct pollfd pfd = { .fd = fd, .events = POLLOUT };
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			text += n;
			len -= n;
		} else if (errno != EAGAIN || poll(&pfd, 1, left) <= 0) {
			return;
		}
	}
}

/** vfud_status_answer() - a --status has connected */
void vfud_status_answer(int listen_fd, const struct vfud_endpoint *list)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	struct json_object *all;

	if (fd < 0)
		return;
	all = to_json(list);
	send_text(fd, json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
	close(fd);
}

static char *read_all(int fd)
{
	size_t have = 0, room = 0;
	char *text = NULL;
	ssize_t n;

	do {
		if (room - have < 4096) {
			room += 65536;
			text = xrealloc(text, room, 1);
		}
		n = read(fd, text + have, room - have - 1);
		if (n > 0)
			have += n;
	} while (n > 0);
	text[have] = '\0';
	return text;
}

static int print_table(const char *text)
{
	struct json_object *all = json_tokener_parse(text), *o, *v;
	size_t i;

	if (!all || !json_object_is_type(all, json_type_array)) {
		fprintf(stderr, "nvtgt-vfud: the daemon's answer cannot be read\n");
		json_object_put(all);
		return 1;
	}
	printf("%-6s %-10s %8s %12s  %s\n", "PORT", "STATE", "PROCESS", "MESSAGES", "SOCKET");
	for (i = 0; i < json_object_array_length(all); i++) {
		int pid;

		o = json_object_array_get_idx(all, i);
		pid = json_object_get_int(json_object_object_get(o, "pid"));
		printf("%-6d %-10s ", json_object_get_int(json_object_object_get(o, "port")),
		       json_object_get_string(json_object_object_get(o, "state")));
		if (pid)
			printf("%8d", pid);
		else
			printf("%8s", "-");
		v = json_object_object_get(o, "messages");
		printf(" %12lld  %s\n", (long long)json_object_get_int64(v),
		       json_object_get_string(json_object_object_get(o, "path")));
	}
	json_object_put(all);
	return 0;
}

/**
 * vfud_status_show() - nvtgt-vfud --status
 * @path: the daemon's socket
 * @json: as it comes
 *
 * Return: the exit status
 */
int vfud_status_show(const char *path, bool json)
{
	struct sockaddr_un addr;
	int fd = open_socket(path, &addr, 0);
	int ret = 0;
	char *text;

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "nvtgt-vfud: no daemon answers on %s: %s\n", path, strerror(errno));
		return 1;
	}
	text = read_all(fd);
	close(fd);
	if (json)
		puts(text);
	else
		ret = print_table(text);
	free(text);
	return ret;
}
