// SPDX-License-Identifier: GPL-2.0
#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/**
 * nv_notify() - tell the service manager, if there is one
 * @fmt: lines NAME=VALUE as sd_notify(3) describes them
 */
void nv_notify(const char *fmt, ...)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	char *text = NULL;
	va_list ap;
	int fd, n;

	if (!path || strlen(path) >= sizeof(addr.sun_path))
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n >= 0 && fd >= 0) {
		memcpy(addr.sun_path, path, strlen(path));
		/* "@name" is a socket without a file */
		if (*path == '@')
			addr.sun_path[0] = '\0';
		sendto(fd, text, n, MSG_NOSIGNAL, (struct sockaddr *)&addr,
		       offsetof(struct sockaddr_un, sun_path) + strlen(path));
	}
	if (fd >= 0)
		close(fd);
	if (n >= 0)
		free(text);
}
