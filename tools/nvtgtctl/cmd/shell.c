// SPDX-License-Identifier: GPL-2.0
/*
 * Commands line by line, with a place in the tree: cd, ls, pwd and set work
 * there, everything else is as on the command line.
 */
#include "../ctl.h"
#include "cmd.h"
#include "line.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * struct shell - one session
 * @ctl: the run it belongs to
 * @cwd: the current place, "" at the root, else without outer slashes
 * @words: the line being carried out
 * @tty: a person types the lines
 */
struct shell {
	struct ctl *ctl;
	char *cwd;
	struct strvec words;
	bool tty;
};

static const char *const own_words[] = {
	"cd", "ls", "pwd", "set", "help", "exit", "quit", NULL
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

/* The kind of the object at @path, and its identifiers; NULL where none is. */
static const struct nv_kind *kind_at(char *path, const char **ids, int *n)
{
	const struct nv_kind *kind = &nv_kind_root;
	char *save = NULL, *list = strtok_r(path, "/", &save);

	for (*n = 0; list; list = strtok_r(NULL, "/", &save)) {
		const struct nv_kind *const *kid = kind->kids;

		while (kid && *kid && strcmp((*kid)->list, list))
			kid++;
		if (!kid || !*kid || !(*kid)->id_key)
			return NULL;
		kind = *kid;
		ids[*n] = strtok_r(NULL, "/", &save);
		if (!ids[(*n)++])
			return NULL;
	}
	return kind == &nv_kind_root ? NULL : kind;
}

static bool has_set(const struct nv_kind *kind)
{
	for (const struct object *const *o = objects; *o; o++)
		for (const struct verb *v = (*o)->verbs;
		     (*o)->kind == kind && v->run; v++)
			if (!strcmp(v->name, "set"))
				return true;
	return false;
}

/* "set X=Y" becomes "OBJECT set ID... X=Y" for the object that cd went to. */
static int shell_set(struct shell *sh)
{
	char *path = xstrdup(sh->cwd);
	const char *ids[2] = { NULL };
	const struct nv_kind *kind;
	struct strvec line = { 0 };
	int n, ret;

	kind = kind_at(path, ids, &n);
	if (!kind || !has_set(kind)) {
		msg_error("/%s has no attributes that could be set", sh->cwd);
		msg_hint("go to an object, such as: cd ports/1");
		free(path);
		return EXIT_FAILED;
	}
	strvec_add(&line, kind->word);
	strvec_add(&line, "set");
	for (int i = 0; i < n; i++)
		strvec_add(&line, ids[i]);
	for (size_t i = 1; i < sh->words.n; i++)
		strvec_add(&line, sh->words.v[i]);
	strvec_free(&sh->words);
	sh->words = line;
	ret = shell_other(sh);
	free(path);
	return ret;
}

/* "help", or "help OBJECT [VERB]" */
static int shell_help(struct shell *sh)
{
	if (sh->words.n > 1) {
		free(sh->words.v[0]);
		for (size_t i = 1; i < sh->words.n; i++)
			sh->words.v[i - 1] = sh->words.v[i];
		sh->words.v[sh->words.n - 1] = xstrdup("--help");
		return shell_other(sh);
	}
	puts("cd [PATH]          go to a place in the tree, the root otherwise\n"
	     "ls [PATH]          what is there, with the values of attributes\n"
	     "pwd                where this is\n"
	     "set NAME=VALUE...  change attributes of the object here\n"
	     "help [OBJECT [VERB]]\n"
	     "exit, quit\n\n"
	     "Everything else is as on the command line:\n");
	help_all(stdout);
	return EXIT_DONE;
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
	if (!strcmp(cmd, "set"))
		return shell_set(sh);
	if (!strcmp(cmd, "help"))
		return shell_help(sh);
	return shell_other(sh);
}

/* Directories that a path which is being typed may lead to. */
static void path_candidates(const struct shell *sh, const char *text,
			    struct strvec *out)
{
	const char *slash = strrchr(text, '/');
	char *typed = xstrndup(text, slash ? slash - text + 1 : 0);
	char *dir = walk(sh->cwd, typed);
	struct strvec v = { 0 };

	cfs_list(&sh->ctl->cfs, *dir ? dir : ".", CFS_DIRS, &v);
	for (size_t i = 0; i < v.n; i++) {
		char *path = xasprintf("%s%s/", typed, v.v[i]);

		strvec_add(out, path);
		free(path);
	}
	strvec_free(&v);
	free(dir);
	free(typed);
}

static void attr_candidates(const struct shell *sh, struct strvec *out)
{
	struct strvec v = { 0 };

	cfs_list(&sh->ctl->cfs, *sh->cwd ? sh->cwd : ".", CFS_FILES, &v);
	for (size_t i = 0; i < v.n; i++) {
		char *name = xasprintf("%s=", v.v[i]);

		strvec_add(out, name);
		free(name);
	}
	strvec_free(&v);
}

static void shell_candidates(void *arg, const char *before, const char *text,
			     struct strvec *out)
{
	const struct shell *sh = arg;
	struct strvec words = { 0 };
	const char *first;

	split(before, &words);
	first = words.n ? words.v[0] : "";
	if (!strcmp(first, "cd") || !strcmp(first, "ls")) {
		path_candidates(sh, text, out);
	} else if (!strcmp(first, "set")) {
		attr_candidates(sh, out);
	} else {
		bool help = !strcmp(first, "help");
		struct args a = {
			.pos = words.v + help,
			.npos = (int)words.n - help,
		};

		complete_words(sh->ctl, &a, out);
		for (size_t i = 0; !words.n && own_words[i]; i++)
			strvec_add(out, own_words[i]);
	}
	strvec_free(&words);
}

/* The next line, or NULL at the end. */
static char *next_line(struct shell *sh)
{
	char *prompt, *line = NULL;
	size_t cap = 0;

	if (sh->tty) {
		prompt = xasprintf("/%s> ", sh->cwd);
		line = line_read(prompt);
		free(prompt);
	} else if (getline(&line, &cap, stdin) < 0) {
		free(line);
		line = NULL;
	}
	return line;
}

static int run_line(struct shell *sh, const char *line, bool *quit)
{
	int ret = EXIT_DONE;

	if (!split(line, &sh->words)) {
		msg_error("a quotation mark is not closed");
		ret = EXIT_USAGE;
	} else if (sh->words.n && sh->words.v[0][0] != '#') {
		if (sh->tty)
			line_remember(line);
		ret = shell_line(sh, quit);
	}
	strvec_free(&sh->words);
	fflush(stdout);
	return ret;
}

static int cmd_shell(struct ctl *ctl, const struct args *a)
{
	struct shell sh = { .ctl = ctl, .cwd = xstrdup("") };
	bool quit = false;
	int ret = EXIT_DONE;
	char *line;

	(void)a;
	sh.tty = isatty(0) && isatty(1);
	if (sh.tty)
		line_init(shell_candidates, &sh);
	while (!quit && (line = next_line(&sh))) {
		ret = run_line(&sh, line, &quit);
		free(line);
		/* a script stops at its first error, a person goes on */
		if (ret && !sh.tty)
			break;
	}
	if (sh.tty && !quit)
		putchar('\n');
	free(sh.cwd);
	return sh.tty ? EXIT_DONE : ret;
}

static const struct verb shell_verb[] = {
	{ NULL, "", "read commands from standard input, line by line", 0, 0,
	  NEED_TREE, NULL, cmd_shell },
	{ 0 }
};

const struct object object_shell = {
	"shell", "commands line by line, with cd, ls, pwd and set", NULL, shell_verb
};
