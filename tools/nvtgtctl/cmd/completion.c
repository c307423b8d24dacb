// SPDX-License-Identifier: GPL-2.0
/* What may come next on a command line: the shell's completion asks this. */
#include "../ctl.h"
#include "../../lib/vfu.h"
#include "cmd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/*
 * struct comp - one question
 * @cfs: the tree, opened without complaint when it is not there
 * @have_tree: it is there
 * @words: what the line has so far
 * @n: how many words
 * @out: the answer
 */
struct comp {
	struct cfs cfs;
	bool have_tree;
	char **words;
	int n;
	struct strvec *out;
};

static void add_joined(const struct comp *c, const char *before,
		       const char *word, const char *behind)
{
	char *s = xasprintf("%s%s%s", before, word, behind);

	strvec_add(c->out, s);
	free(s);
}

static void add_opts(const struct comp *c, const struct opt *opts)
{
	for (; opts && opts->name; opts++)
		add_joined(c, "--", opts->name, "");
}

static void add_dir(const struct comp *c, const char *dir)
{
	if (c->have_tree)
		cfs_list(&c->cfs, dir, CFS_DIRS, c->out);
}

static void add_below(const struct comp *c, const struct nv_kind *kind,
		      const char *up)
{
	char *dir = xasprintf("%s/%s/%s", kind->parent->list, up, kind->list);

	add_dir(c, dir);
	free(dir);
}

static void add_attrs(const struct comp *c, const struct nv_kind *kind,
		      char *const *ids)
{
	char *path = nv_path(kind, (const char *const *)ids);
	struct strvec v = { 0 };

	if (c->have_tree)
		cfs_list(&c->cfs, path, CFS_FILES, &v);
	for (size_t i = 0; i < v.n; i++)
		add_joined(c, "", v.v[i], "=");
	strvec_free(&v);
	free(path);
}

static void add_devices(const struct comp *c)
{
	struct strvec v = { 0 };
	struct cfs dev = { .kmsg = -1 };

	dev.fd = open("/sys/class/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dev.fd < 0)
		return;
	cfs_list(&dev, ".", CFS_LINKS, &v);
	for (size_t i = 0; i < v.n; i++)
		add_joined(c, "/dev/", v.v[i], "");
	strvec_free(&v);
	cfs_close(&dev);
}

static void add_types(const struct comp *c, const struct object *o)
{
	strvec_add(c->out, "tcp");
	strvec_add(c->out, "rdma");
	if (o->kind != &nv_kind_referral)
		strvec_add(c->out, NV_VFU);
}

/* Candidates for an argument that help calls @what. */
static void add_arg(const struct comp *c, const struct object *o,
		    const char *what, char *const *pos, int npos)
{
	static const char *const states[] = {
		"optimized", "non-optimized", "inaccessible",
		"persistent-loss", "change",
	};

	if (!strcmp(what, "HOSTNQN"))
		add_dir(c, "hosts");
	else if (!strcmp(what, "NQN"))
		add_dir(c, "subsystems");
	else if (!strcmp(what, "ID") || !strcmp(what, "PORT"))
		add_dir(c, "ports");
	else if (!strcmp(what, "NSID") && npos)
		add_below(c, &nv_kind_namespace, pos[0]);
	else if (!strcmp(what, "GRPID") && npos)
		add_below(c, &nv_kind_ana_group, pos[0]);
	else if (!strcmp(what, "NAME") && npos && o->kind &&
		 o->kind->parent)
		add_below(c, o->kind, pos[0]);
	else if (!strcmp(what, "NAME=VALUE") && o->kind &&
		 npos >= 1 + !!o->kind->parent)
		add_attrs(c, o->kind, pos);
	else if (!strncmp(what, "DEVICE", 6))
		add_devices(c);
	else if (!strcmp(what, "TYPE"))
		add_types(c, o);
	else if (!strcmp(what, "state=STATE"))
		for (size_t i = 0; i < ARRAY_SIZE(states); i++)
			add_joined(c, "state=", states[i], "");
}

/* The word for argument number @n in a line such as "PORT NAME [X=Y...]". */
static char *param_word(const char *params, int n)
{
	const char *last = NULL;
	size_t last_len = 0;

	while (*params) {
		size_t len;

		params += strspn(params, " [");
		len = strcspn(params, " ].");
		if (len) {
			last = params;
			last_len = len;
		}
		params += len;
		if (!strncmp(params, "...", 3))
			break;
		params += strspn(params, ".] ");
		if (!n--)
			break;
	}
	return last ? xstrndup(last, last_len) : NULL;
}

static const struct opt *opt_word(const struct opt *opts, const char *word)
{
	if (strncmp(word, "--", 2))
		return NULL;
	for (; opts && opts->name; opts++)
		if (!strcmp(opts->name, word + 2))
			return opts;
	return NULL;
}

static void complete_verb(struct comp *c, const struct object *o,
			  const struct verb *v, int i)
{
	char **pos = xcalloc(c->n + 1, sizeof(*pos)), *what;
	const struct opt *opt = NULL;
	int npos = 0;

	for (; i < c->n; i++) {
		opt = opt_word(v->opts, c->words[i]);
		if (!opt && strncmp(c->words[i], "--", 2))
			pos[npos++] = c->words[i];
		else if (opt && opt->arg)
			i++;
	}
	if (i > c->n) {
		add_arg(c, o, opt->arg, pos, npos);
		if (!strcmp(opt->arg, "PATH"))
			add_devices(c);
	} else {
		add_opts(c, v->opts);
		strvec_add(c->out, "--help");
		what = v->max < 0 || npos < v->max ?
		       param_word(v->params, npos) : NULL;
		if (what)
			add_arg(c, o, what, pos, npos);
		free(what);
	}
	free(pos);
}

static void complete_object(struct comp *c, const struct object *o, int i)
{
	const struct verb *v = o->verbs;

	if (!v->name) {
		complete_verb(c, o, v, i);
		return;
	}
	if (i >= c->n) {
		for (; v->run; v++)
			strvec_add(c->out, v->name);
		strvec_add(c->out, "--help");
		return;
	}
	for (; v->run; v++)
		if (!strcmp(v->name, c->words[i]))
			complete_verb(c, o, v, i + 1);
}

/**
 * complete_words() - what may come behind some words of a command line
 * @ctl: the run, for its --root
 * @a: the words as arguments, options before the object included
 * @out: gets the candidates, whatever the next word begins with
 */
void complete_words(const struct ctl *ctl, const struct args *a,
		    struct strvec *out)
{
	struct comp c = { .words = a->pos, .n = a->npos };
	const char *root = ctl->root;
	int i = 0;

	c.out = out;
	c.cfs = (struct cfs){ .kmsg = -1 };
	while (i < c.n && !strncmp(c.words[i], "--", 2)) {
		const struct opt *o = opt_word(global_opts, c.words[i]);

		if (o && o->arg && !strcmp(o->name, "root") && i + 1 < c.n)
			root = c.words[i + 1];
		i += o && o->arg ? 2 : 1;
	}
	c.cfs.fd = open(cfs_root(root), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c.have_tree = c.cfs.fd >= 0;
	if (i == c.n) {
		add_opts(&c, global_opts);
		for (const struct object *const *o = objects; *o; o++)
			strvec_add(out, (*o)->name);
	} else if (i < c.n) {
		for (const struct object *const *o = objects; *o; o++)
			if (!strcmp((*o)->name, c.words[i]))
				complete_object(&c, *o, i + 1);
	}
	cfs_close(&c.cfs);
}

static int cmd_completion(struct ctl *ctl, const struct args *a)
{
	struct strvec out = { 0 };

	complete_words(ctl, a, &out);
	for (size_t i = 0; i < out.n; i++)
		puts(out.v[i]);
	strvec_free(&out);
	return EXIT_DONE;
}

static const struct verb completion_verb[] = {
	{ NULL, "[-- WORD...]",
	  "print what may follow these words; for the shell's completion", 0,
	  -1, 0, NULL, cmd_completion },
	{ 0 }
};

const struct object object_completion = {
	"completion", "print what may come next", NULL, completion_verb
};
