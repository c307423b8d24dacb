// SPDX-License-Identifier: GPL-2.0
/* Messages to the administrator, on stderr; with their priority when that is the journal. */
#include "vfud.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#define BURST	20		/* lines about an endpoint in INTERVAL: a client may be hostile */
#define INTERVAL 10000		/* ms */

static bool journal;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/** vfud_log_init() - once, before anything is said */
void vfud_log_init(void)
{
	journal = getenv("JOURNAL_STREAM") != NULL;
}

static void say(const char *priority, const char *where, const char *fmt, va_list ap)
{
	pthread_mutex_lock(&lock);
	if (journal)
		fputs(priority, stderr);
	else
		fputs("nvtgt-vfud: ", stderr);
	if (where)
		fprintf(stderr, "%s: ", where);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	pthread_mutex_unlock(&lock);
}

/* struct budget - each thread is an endpoint, or main: what one says too often is left out, and counted */
struct budget {
	long long since;
	unsigned int said, left_out;
};

static bool may_say(struct budget *b, const char *where)
{
	long long now = monotonic_ms();

	if (!where)
		return true;
	if (now - b->since >= INTERVAL) {
		if (b->left_out) {
			pthread_mutex_lock(&lock);
			fprintf(stderr, "%s%s: %u messages were left out\n",
				journal ? SD_NOTICE : "nvtgt-vfud: ", where, b->left_out);
			pthread_mutex_unlock(&lock);
		}
		*b = (struct budget){ .since = now };
	}
	if (b->said < BURST) {
		b->said++;
		return true;
	}
	b->left_out++;
	return false;
}

/* errors are said also after a client has come and gone too often */
static _Thread_local struct budget errors, others;

/**
 * vfud_err() - something does not work that should
 * @where: an endpoint's path, or NULL
 * @fmt: what
 */
void vfud_err(const char *where, const char *fmt, ...)
{
	va_list ap;

	if (!may_say(&errors, where))
		return;
	va_start(ap, fmt);
	say(SD_ERR, where, fmt, ap);
	va_end(ap);
}

/** vfud_warn() - a client or the administrator has done what cannot be right */
void vfud_warn(const char *where, const char *fmt, ...)
{
	va_list ap;

	if (!may_say(&others, where))
		return;
	va_start(ap, fmt);
	say(SD_WARNING, where, fmt, ap);
	va_end(ap);
}

/** vfud_info() - who comes and goes */
void vfud_info(const char *where, const char *fmt, ...)
{
	va_list ap;

	if (!may_say(&others, where))
		return;
	va_start(ap, fmt);
	say(SD_INFO, where, fmt, ap);
	va_end(ap);
}
