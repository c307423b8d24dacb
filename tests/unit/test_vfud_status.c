// SPDX-License-Identifier: GPL-2.0
// builds: tools/nvtgt-vfud/status.c tools/nvtgt-vfud/log.c tools/lib/util.c
// cflags: -D_GNU_SOURCE -pthread
// libs: -ljson-c -pthread
/*
 * guards: nvtgt-vfud --status shows thousands of endpoints, and who asks and does not read, or does so slowly,
 * does not hold the daemon up
 */
#include "unit.h"

#include <errno.h>
#include <json-c/json.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/nvtgt-vfud/vfud.h"

static char dir[] = "/tmp/vfud-XXXXXX", path[64];
static struct vfud_endpoint *list;
static int listener;

static int connect_to(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	CHECK(!connect(fd, (struct sockaddr *)&addr, sizeof(addr)));
	return fd;
}

static void sockets(void)
{
	struct stat st;

	listener = vfud_status_listen(path);
	CHECK(listener >= 0);
	CHECK(!stat(path, &st));
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(vfud_status_listen(path), -EADDRINUSE);
	close(listener);
	/* one that a dead daemon has left */
	listener = vfud_status_listen(path);
	CHECK(listener >= 0);
	CHECK_EQ(vfud_status_listen("/nonexistent/x"), -ENOENT);
	/* nobody is there any more: it does not wait */
	vfud_status_answer(listener, list);
}

static atomic_bool enough;

static void *slow(void *arg)
{
	char byte;

	while (!atomic_load(&enough) && read(*(int *)arg, &byte, 1) == 1)
		sleep_ms(20);
	return NULL;
}

static void who_does_not_read(void)
{
	long long begin = monotonic_ms();
	pthread_t thread;
	int fd = connect_to();

	vfud_status_answer(listener, list);
	CHECK(monotonic_ms() - begin < 3500);
	close(fd);
	begin = monotonic_ms();
	fd = connect_to();
	pthread_create(&thread, NULL, slow, &fd);
	vfud_status_answer(listener, list);
	CHECK(monotonic_ms() - begin < 3500);
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	close(fd);
	/* who has gone already */
	close(connect_to());
	vfud_status_answer(listener, list);
}

static void *ask(void *arg)
{
	CHECK_EQ(vfud_status_show(path, false), 0);
	return NULL;
}

static void many(void)
{
	struct json_object *all;
	size_t have = 0, room = 4 << 20;
	char *text = calloc(1, room);
	pthread_t thread;
	int fd = connect_to(), was;
	ssize_t n;

	list[1].next = NULL;
	vfud_status_answer(listener, list);
	while ((n = read(fd, text + have, room - have - 1)) > 0)
		have += n;
	all = json_tokener_parse(text);
	CHECK(all && json_object_array_length(all) == 2);
	CHECK_STR(json_object_get_string(json_object_object_get(json_object_array_get_idx(all, 0), "state")),
		  "connected");
	json_object_put(all);
	free(text);
	close(fd);
	/* as a table, of all: it goes away again */
	list[1].next = &list[2];
	fflush(stdout);
	was = dup(1);
	CHECK(freopen("/dev/null", "w", stdout));
	pthread_create(&thread, NULL, ask, NULL);
	sleep_ms(100);
	vfud_status_answer(listener, list);
	pthread_join(thread, NULL);
	fflush(stdout);
	dup2(was, 1);
	close(was);
}

int main(void)
{
	unsigned int i;

	list = calloc(4096, sizeof(*list));
	for (i = 0; i < 4096; i++) {
		list[i].next = i < 4095 ? &list[i + 1] : NULL;
		list[i].port = i;
		memset(list[i].path, '"', sizeof(list[i].path) - 1);
		atomic_store(&list[i].client, i + 1);
		atomic_store(&list[i].connected, true);
	}
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/control", dir);
	RUN(sockets);
	RUN(who_does_not_read);
	RUN(many);
	close(listener);
	unlink(path);
	rmdir(dir);
	free(list);
	return UNIT_END();
}
