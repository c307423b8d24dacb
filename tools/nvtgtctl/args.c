// SPDX-License-Identifier: GPL-2.0
#include "ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/**
 * usage_error() - the command line is wrong
 * Return: the exit code for it.
 */
int usage_error(const struct args *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	msg_error("%s", text ? text : "out of memory");
	free(text);
	if (a && a->verb && a->verb->name)
		msg_hint("see: nvtgtctl %s %s --help", a->object->name,
			 a->verb->name);
	else if (a && a->object)
		msg_hint("see: nvtgtctl %s --help", a->object->name);
	else
		msg_hint("see: nvtgtctl --help");
	return EXIT_USAGE;
}

static const struct opt *find_opt(const struct opt *opts, const char *name,
				  size_t n)
{
	for (; opts && opts->name; opts++)
		if (strlen(opts->name) == n && !strncmp(opts->name, name, n))
			return opts;
	return NULL;
}

/* Takes argv[*i], and the next one where the option's argument is there. */
static int take_option(struct args *a, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2;
	size_t n = strcspn(name, "=");
	const struct opt *o = find_opt(a->verb->opts, name, n);
	const char *value = name[n] ? name + n + 1 : NULL;

	if (!o)
		return usage_error(a, "there is no option --%.*s here",
				   (int)n, name);
	if (!o->arg && value)
		return usage_error(a, "option --%s takes no argument",
				   o->name);
	if (o->arg && !value) {
		if (*i + 1 >= argc)
			return usage_error(a, "option --%s needs %s", o->name,
					   o->arg);
		value = argv[++*i];
	}
	a->vals[a->nvals].opt = o;
	a->vals[a->nvals++].value = value ? value : "1";
	return 0;
}

/**
 * args_parse() - options and arguments of the verb in @a
 * @a: with object and verb filled in; args_free() it in any case
 * @argc: number of words behind the verb
 * @argv: these words
 * Return: 0, or the exit code after a message.
 */
int args_parse(struct args *a, int argc, char **argv)
{
	const struct verb *v = a->verb;
	bool only_pos = false;

	a->pos = xcalloc(argc + 1, sizeof(*a->pos));
	a->vals = xcalloc(argc + 1, sizeof(*a->vals));
	for (int i = 0; i < argc; i++) {
		if (only_pos || strncmp(argv[i], "--", 2)) {
			a->pos[a->npos++] = argv[i];
		} else if (!argv[i][2]) {
			only_pos = true;
		} else {
			int ret = take_option(a, argc, argv, &i);

			if (ret)
				return ret;
		}
	}
	if (a->npos < v->min)
		return usage_error(a, "something is missing: %s%s%s %s",
				   a->object->name, v->name ? " " : "",
				   v->name ? v->name : "", v->params);
	if (v->max >= 0 && a->npos > v->max)
		return usage_error(a, "\"%s\" is one argument too many",
				   a->pos[v->max]);
	return 0;
}

/**
 * args_read_input() - put values in the place of arguments NAME=\@-
 * @a: the arguments
 *
 * Before the lock is taken: a person may take long to type, and the other end of a
 * pipe may be a run that needs the lock.
 * Return: 0, or the exit code after a message.
 */
int args_read_input(struct args *a)
{
	for (int i = 0; i < a->npos; i++) {
		const char *eq = strchr(a->pos[i], '=');
		char *name, *value, *pair;

		if (!eq || strcmp(eq, "=@-"))
			continue;
		name = xstrndup(a->pos[i], eq - a->pos[i]);
		value = value_arg(name, eq + 1);
		if (!value) {
			free(name);
			return EXIT_FAILED;
		}
		/* value_arg() sees it again */
		pair = xasprintf("%s=%s%s", name, *value == '@' ? "@" : "",
				 value);
		strvec_add(&a->read, pair);
		a->pos[i] = a->read.v[a->read.n - 1];
		free(pair);
		free(value);
		free(name);
	}
	return 0;
}

/** args_free() - release what args_parse() took */
void args_free(struct args *a)
{
	strvec_free(&a->read);
	free(a->pos);
	free(a->vals);
}

/** arg_opt() - the last value given for an option, or NULL */
const char *arg_opt(const struct args *a, const char *name)
{
	for (int i = a->nvals; i--; )
		if (!strcmp(a->vals[i].opt->name, name))
			return a->vals[i].value;
	return NULL;
}

/** arg_has() - whether an option was given */
bool arg_has(const struct args *a, const char *name)
{
	return arg_opt(a, name);
}
