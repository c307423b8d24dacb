// SPDX-License-Identifier: GPL-2.0
#include "msg.h"

#include <stdarg.h>
#include <stdio.h>

/* Suppresses notes, never errors. */
bool msg_quiet;

static void vmsg(const char *prefix, const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs(prefix, stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

/** msg_error() - what went wrong, with object and reason */
void msg_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vmsg("nvtgtctl: ", fmt, ap);
	va_end(ap);
}

/** msg_hint() - one more line about the last error: a rule, or what to do */
void msg_hint(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vmsg("  ", fmt, ap);
	va_end(ap);
}

/** msg_note() - progress that --quiet suppresses */
void msg_note(const char *fmt, ...)
{
	va_list ap;

	if (msg_quiet)
		return;
	va_start(ap, fmt);
	vmsg("nvtgtctl: ", fmt, ap);
	va_end(ap);
}
