// SPDX-License-Identifier: GPL-2.0
/*
 * Values of attributes from a file, standard input or a person: a command line
 * is read by everybody who may list processes.
 */
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* All of @f; NULL after a message. */
static char *read_all(FILE *f, const char *name, const char *from)
{
	char buf[CFS_VALUE_MAX + 1];
	size_t n = fread(buf, 1, sizeof(buf), f);
	char *value = NULL;

	if (ferror(f))
		msg_error("%s: cannot read %s: %s", name, from,
			  strerror(errno));
	else if (n >= CFS_VALUE_MAX)
		msg_error("%s: %s has more than %d bytes", name, from,
			  CFS_VALUE_MAX - 1);
	else if (memchr(buf, '\0', n))
		msg_error("%s: %s contains a NUL", name, from);
	else
		value = xstrndup(buf, n);
	memset(buf, 0, sizeof(buf));
	return value;
}

static char *from_file(const char *name, const char *file)
{
	FILE *f = fopen(file, "re");
	struct stat st;
	char *value;

	if (!f) {
		msg_error("%s: cannot open %s: %s", name, file,
			  strerror(errno));
		return NULL;
	}
	if (!fstat(fileno(f), &st) && S_ISREG(st.st_mode) &&
	    st.st_mode & 077 && nv_is_secret(name))
		msg_note("%s can be read by others: chmod 600 %s", file, file);
	value = read_all(f, name, file);
	fclose(f);
	return value;
}

static volatile sig_atomic_t came;

static void on_signal(int sig)
{
	came = sig;
}

static const int sigs[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

/* No signal ends the process before the caller sets @before again. */
static void block_signals(sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaddset(&set, sigs[i]);
	sigprocmask(SIG_BLOCK, &set, before);
}

/* Waits until there is a line, or a signal, which are let through for that long. */
static void wait_for_line(const sigset_t *before)
{
	struct sigaction note = { .sa_handler = on_signal };
	struct sigaction was[ARRAY_SIZE(sigs)];
	struct pollfd p = { .fd = 0, .events = POLLIN };

	came = 0;
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		sigaction(sigs[i], NULL, &was[i]);
		if (was[i].sa_handler != SIG_IGN)
			sigaction(sigs[i], &note, NULL);
	}
	while (ppoll(&p, 1, NULL, before) < 0 && errno == EINTR && !came)
		;
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &was[i], NULL);
}

/* One line, which the terminal does not show. */
static char *from_terminal(const char *name)
{
	struct termios old, quiet;
	char *line = NULL;
	ssize_t n = -1;
	size_t cap = 0;
	sigset_t before;

	if (tcgetattr(0, &old))
		return NULL;
	quiet = old;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	block_signals(&before);
	tcsetattr(0, TCSAFLUSH, &quiet);
	/* who answers this prompt is not shown, and not thrown away with what came before */
	fprintf(stderr, "%s: ", name);
	wait_for_line(&before);
	if (!came)
		n = getline(&line, &cap, stdin);
	tcsetattr(0, TCSAFLUSH, &old);
	fputc('\n', stderr);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (came)
		raise(came);
	if (n >= 0)
		return line;
	clearerr(stdin);
	free(line);
	msg_error("%s: no value was given", name);
	return NULL;
}

/**
 * value_arg() - the value that an argument NAME=TEXT means
 * @name: the attribute
 * @text: the value, \@FILE, \@- for standard input, or \@\@TEXT for what begins
 *	  with one of these characters
 *
 * The end of line behind the last line of a file is no part of the value.
 * Return: an allocated value, or NULL after a message.
 */
char *value_arg(const char *name, const char *text)
{
	char *value;
	size_t n;

	if (*text != '@')
		return xstrdup(text);
	text++;
	if (*text == '@')
		return xstrdup(text);
	if (strcmp(text, "-"))
		value = from_file(name, text);
	else if (isatty(0))
		value = from_terminal(name);
	else
		value = read_all(stdin, name, "standard input");
	n = value ? strlen(value) : 0;
	if (n && value[n - 1] == '\n')
		value[--n] = '\0';
	if (n && value[n - 1] == '\r')
		value[n - 1] = '\0';
	return value;
}
