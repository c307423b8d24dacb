// SPDX-License-Identifier: GPL-2.0
/* --help, made from the tables that the parser uses. */
#include "ctl.h"

#include <stdlib.h>

static void print_opt(FILE *f, const struct opt *o)
{
	char *left = xasprintf("--%s%s%s", o->name, o->arg ? " " : "",
			       o->arg ? o->arg : "");

	fprintf(f, "  %-24s %s\n", left, o->help);
	free(left);
}

static void print_opts(FILE *f, const char *title, const struct opt *opts)
{
	if (!opts || !opts->name)
		return;
	fprintf(f, "\n%s:\n", title);
	for (; opts->name; opts++)
		print_opt(f, opts);
}

static void usage_line(FILE *f, const struct object *o, const struct verb *v)
{
	fprintf(f, "nvtgtctl %s%s%s%s%s%s\n", o->name, v->name ? " " : "",
		v->name ? v->name : "", v->opts ? " [OPTIONS]" : "",
		*v->params ? " " : "", v->params);
}

/** help_verb() - help on one verb */
void help_verb(FILE *f, const struct object *o, const struct verb *v)
{
	fputs("usage: ", f);
	usage_line(f, o, v);
	fprintf(f, "\n%s\n", v->help);
	print_opts(f, "options", v->opts);
}

/** help_object() - help on one object and its verbs */
void help_object(FILE *f, const struct object *o)
{
	const struct verb *v = o->verbs;

	if (!v->name) {
		help_verb(f, o, v);
		return;
	}
	fprintf(f, "%s: %s\n\n", o->name, o->help);
	for (; v->run; v++) {
		usage_line(f, o, v);
		fprintf(f, "    %s\n", v->help);
	}
	fprintf(f, "\nFor the options: nvtgtctl %s VERB --help\n", o->name);
}

/** help_all() - help on the whole tool */
void help_all(FILE *f)
{
	fputs("usage: nvtgtctl [OPTIONS] OBJECT VERB [ARGUMENTS]\n"
	      "       nvtgtctl [OPTIONS] COMMAND [ARGUMENTS]\n\nobjects:\n", f);
	for (const struct object *const *o = objects; *o; o++) {
		if (!(*o)->verbs->name)
			continue;
		fprintf(f, "  %-12s %s\n", (*o)->name, (*o)->help);
		fprintf(f, "  %-12s   ", "");
		for (const struct verb *v = (*o)->verbs; v->run; v++)
			fprintf(f, " %s", v->name);
		fputc('\n', f);
	}
	fputs("\ncommands:\n", f);
	for (const struct object *const *o = objects; *o; o++)
		if (!(*o)->verbs->name)
			fprintf(f, "  %-12s %s\n", (*o)->name, (*o)->help);
	print_opts(f, "options before the object", global_opts);
	fputs("\nEach object, verb and command has its own --help.\n", f);
}
