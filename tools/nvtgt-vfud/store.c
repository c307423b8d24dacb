// SPDX-License-Identifier: GPL-2.0
/*
 * File descriptors that outlive the daemon.
 *
 * systemd (FileDescriptorStoreMax= of the unit), or "nvtgt-vfud --hold", keeps what it is sent
 * and gives it to the next daemon, with its name: a letter for what it is, and the port, in hexadecimal. All
 * names together are one string of the environment, which has to be shorter than 128 KiB.
 *
 *   l  the socket that clients connect to
 *   c  the client's connection
 *   k  the kernel's controller
 *   s  struct vfud_state
 */
#include "vfud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static char **names;
static int nr_names;		/* file descriptors from SD_LISTEN_FDS_START on */
static bool there;

static void name_of(char *name, size_t size, char kind, unsigned int port)
{
	snprintf(name, size, "%c%x", kind, port);
}

/** vfud_store_init() - what a predecessor has left */
void vfud_store_init(void)
{
	there = getenv("NOTIFY_SOCKET") != NULL;
	nr_names = sd_listen_fds_with_names(1, &names);
	if (nr_names < 0)
		nr_names = 0;
}

/** vfud_store_is_there() - does anybody keep file descriptors for a successor? */
bool vfud_store_is_there(void)
{
	return there;
}

static int find(char kind, unsigned int port)
{
	char name[32];
	int i;

	name_of(name, sizeof(name), kind, port);
	for (i = 0; i < nr_names; i++)
		if (names[i] && !strcmp(names[i], name))
			return i;
	return -1;
}

/** vfud_store_take() - a predecessor's file descriptor, or -1 */
int vfud_store_take(char kind, unsigned int port)
{
	int i = find(kind, port);

	if (i < 0)
		return -1;
	free(names[i]);
	names[i] = NULL;
	return SD_LISTEN_FDS_START + i;
}

/** vfud_store_close_rest() - what nobody has taken belongs to ports that are gone */
void vfud_store_close_rest(void)
{
	int i;

	for (i = 0; i < nr_names; i++) {
		char *text;

		if (!names[i])
			continue;
		text = xasprintf("FDSTOREREMOVE=1\nFDNAME=%s", names[i]);
		sd_notify(0, text);
		free(text);
		close(SD_LISTEN_FDS_START + i);
		free(names[i]);
		names[i] = NULL;
	}
}

/** vfud_store_keep() - a successor shall have this */
void vfud_store_keep(char kind, unsigned int port, int fd)
{
	char name[32], text[80];

	name_of(name, sizeof(name), kind, port);
	/* no FDPOLL: a connection with messages that are not read yet would go with its client */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

/** vfud_store_forget() - nobody needs it any more */
void vfud_store_forget(char kind, unsigned int port)
{
	char name[32], text[80];

	name_of(name, sizeof(name), kind, port);
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	sd_notify(0, text);
}
