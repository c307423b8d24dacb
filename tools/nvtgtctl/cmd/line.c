// SPDX-License-Identifier: GPL-2.0
/*
 * A line from a person, with editing, history and completion by libedit, whose
 * licence goes with GPL-2.0-only; that of GNU readline does not. The library
 * keeps its state in globals, and so does this file.
 */
#include "line.h"

#include <editline/readline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HISTORY_MAX 1000

static line_candidates_fn *candidates;
static void *candidates_arg;
static struct strvec matches;
static size_t next_match;

/* readline() wants the matches one by one, in memory that it frees. */
static char *each_match(const char *text, int state)
{
	if (!state)
		next_match = 0;
	while (next_match < matches.n) {
		const char *m = matches.v[next_match++];

		if (!strncmp(m, text, strlen(text)))
			return strdup(m);
	}
	return NULL;
}

/* Without a candidate libedit goes on with the names of files. */
static char **complete(const char *text, int start, int end)
{
	char *before = xstrndup(rl_line_buffer, start), **all;

	(void)end;
	strvec_free(&matches);
	candidates(candidates_arg, before, text, &matches);
	free(before);
	all = rl_completion_matches(text, each_match);
	/* a directory or "NAME=" goes on */
	rl_completion_append_character = ' ';
	if (all && all[0] && *all[0] &&
	    strchr("=/", all[0][strlen(all[0]) - 1]))
		rl_completion_append_character = '\0';
	return all;
}

/**
 * line_init() - make ready for reading lines from a terminal
 * @fn: tells what a word may become
 * @arg: for @fn
 */
void line_init(line_candidates_fn *fn, void *arg)
{
	static char breaks[] = " \t\n\"'";

	candidates = fn;
	candidates_arg = arg;
	rl_readline_name = "nvtgtctl";
	using_history();
	stifle_history(HISTORY_MAX);
	rl_completer_word_break_characters = breaks;
	rl_attempted_completion_function = complete;
}

/**
 * line_read() - one line from the terminal
 * @prompt: what stands before it
 * Return: an allocated line without its end, or NULL at the end of input.
 */
char *line_read(const char *prompt)
{
	return readline(prompt);
}

/** line_remember() - make a line one of the history, which no file keeps */
void line_remember(const char *line)
{
	static char *last;

	if (last && !strcmp(last, line))
		return;
	free(last);
	last = xstrdup(line);
	add_history(line);
}
