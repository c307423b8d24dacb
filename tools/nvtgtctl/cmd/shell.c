// SPDX-License-Identifier: GPL-2.0
/*
 * Commands line by line, with a place in the tree: cd, ls, pwd and set work
 * there, everything else is as on the command line.
 */
#include "../ctl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * struct shell - one session
 * @ctl: the run it belongs to
 * @cwd: the current place, "" at the root, else without outer slashes
 * @words: the line being carried out
 */
struct shell {
	struct ctl *ctl;
	char *cwd;
	struct strvec words;
};

/* Split a line; quotes keep blanks. False when a quote is not closed. */
static bool split(const char *line, struct strvec *out)
{
	char *word = xcalloc(strlen(line) + 1, 1);
	size_t n = 0;
	bool any = false;
	char quote = 0;

	for (; *line; line++) {
		if (quote ? *line == quote : *line == '\'' || *line == '"') {
			quote = quote ? 0 : *line;
			any = true;
		} else if (!quote && isspace((unsigned char)*line)) {
			if (any || n) {
				word[n] = '\0';
				strvec_add(out, word);
			}
			n = 0;
			any = false;
		} else {
			word[n++] = *line;
		}
	}
	if (any || n) {
		word[n] = '\0';
		strvec_add(out, word);
	}
	free(word);
	return !quote;
}

/* @cwd changed by @to, where ".." goes up and a leading slash starts anew. */
static char *walk(const char *cwd, const char *to)
{
	char *path = xstrdup(*to == '/' ? "" : cwd);

	while (*to) {
		size_t n = strcspn(to, "/");
		char *slash, *more;

		if (n == 2 && !strncmp(to, "..", 2)) {
			slash = strrchr(path, '/');
			if (slash)
				*slash = '\0';
			else
				*path = '\0';
		} else if (n && !(n == 1 && *to == '.')) {
			more = xasprintf("%s%s%.*s", path, *path ? "/" : "",
					 (int)n, to);
			free(path);
			path = more;
		}
		to += n;
		to += *to == '/';
	}
	return path;
}

static void list_names(const struct cfs *c, const char *dir,
		       enum cfs_what what, const char *suffix)
{
	struct strvec v = { 0 };

	cfs_list(c, dir, what, &v);
	for (size_t i = 0; i < v.n; i++) {
		char *value = NULL;

		if (what == CFS_FILES && !nv_is_secret(v.v[i]))
			cfs_read(c, dir, v.v[i], &value);
		printf("%s%s%s\n", v.v[i], suffix, value ? value : "");
		free(value);
	}
	strvec_free(&v);
}

static int shell_ls(struct shell *sh, const char *to)
{
	const struct cfs *c = &sh->ctl->cfs;
	char *path = walk(sh->cwd, to);
	const char *dir = *path ? path : ".";
	int ret = EXIT_DONE;

	if (!cfs_exists(c, dir)) {
		msg_error("there is no %s", dir);
		ret = EXIT_FAILED;
	} else {
		list_names(c, dir, CFS_DIRS, "/");
		list_names(c, dir, CFS_LINKS, "@");
		list_names(c, dir, CFS_FILES, " = ");
	}
	free(path);
	return ret;
}

static int shell_cd(struct shell *sh, const char *to)
{
	char *path = walk(sh->cwd, to);
	struct strvec v = { 0 };
	int ret = cfs_list(&sh->ctl->cfs, *path ? path : ".", CFS_DIRS, &v);

	strvec_free(&v);
	if (ret) {
		msg_error("cannot go to %s: %s", path, strerror(-ret));
		free(path);
		return EXIT_FAILED;
	}
	free(sh->cwd);
	sh->cwd = path;
	return EXIT_DONE;
}

static int shell_other(struct shell *sh)
{
	struct ctl sub = *sh->ctl;

	/* each command opens the tree and takes the lock by itself */
	sub.cfs = (struct cfs){ .fd = -1, .kmsg = -1 };
	sub.lock_fd = -1;
	if (!strcmp(sh->words.v[0], "shell")) {
		msg_error("this is the shell already");
		return EXIT_USAGE;
	}
	return ctl_command(&sub, (int)sh->words.n, sh->words.v);
}

static int shell_line(struct shell *sh, bool *quit)
{
	const char *cmd = sh->words.v[0];
	const char *arg = sh->words.n > 1 ? sh->words.v[1] : "";

	if (!strcmp(cmd, "exit") || !strcmp(cmd, "quit")) {
		*quit = true;
		return EXIT_DONE;
	}
	if (!strcmp(cmd, "pwd")) {
		printf("/%s\n", sh->cwd);
		return EXIT_DONE;
	}
	if (!strcmp(cmd, "ls"))
		return shell_ls(sh, arg);
	if (!strcmp(cmd, "cd"))
		return shell_cd(sh, *arg ? arg : "/");
	if (!strcmp(cmd, "help")) {
		puts("cd [PATH]  ls [PATH]  pwd  help  exit, and:\n");
		help_all(stdout);
		return EXIT_DONE;
	}
	return shell_other(sh);
}

static int cmd_shell(struct ctl *ctl, const struct args *a)
{
	struct shell sh = { .ctl = ctl, .cwd = xstrdup("") };
	bool tty = isatty(0), quit = false;
	char *line = NULL;
	size_t cap = 0;
	int ret = EXIT_DONE;

	(void)a;
	while (!quit) {
		if (tty)
			printf("/%s> ", sh.cwd);
		fflush(stdout);
		if (getline(&line, &cap, stdin) < 0)
			break;
		if (!split(line, &sh.words)) {
			msg_error("a quotation mark is not closed");
			ret = EXIT_USAGE;
		} else if (sh.words.n && sh.words.v[0][0] != '#') {
			ret = shell_line(&sh, &quit);
		}
		strvec_free(&sh.words);
		/* a script stops at its first error, a person goes on */
		if (ret && !tty)
			break;
	}
	if (tty && !quit)
		putchar('\n');
	free(line);
	free(sh.cwd);
	return tty ? EXIT_DONE : ret;
}

static const struct verb shell_verb[] = {
	{ NULL, "", "read commands from standard input, line by line", 0, 0,
	  NEED_TREE, NULL, cmd_shell },
	{ 0 }
};

const struct object object_shell = {
	"shell", "commands line by line, with cd, ls and pwd", NULL, shell_verb
};
