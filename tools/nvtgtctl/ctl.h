/* SPDX-License-Identifier: GPL-2.0 */
/* What the command line's parts share. */
#ifndef NVTGTCTL_CTL_H
#define NVTGTCTL_CTL_H

#include "../lib/cfs.h"
#include "../lib/json.h"
#include "../lib/kind.h"
#include "../lib/msg.h"
#include "../lib/plan.h"
#include "../lib/tree.h"

#define NV_CONFIG_FILE "/etc/nvtgt/config.json"

/* exit codes */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE };

/**
 * struct opt - an option
 * @name: its name without the dashes
 * @arg: placeholder of its argument, or NULL
 * @help: one line
 * @attr: attribute that it sets when an object is created, or NULL
 */
struct opt {
	const char *name;
	const char *arg;
	const char *help;
	const char *attr;
};

struct args;
struct object;

/**
 * struct ctl - one run of the tool
 * @cfs: the tree, when the verb needs it
 * @root: --root, or NULL
 * @lock_file: --lock
 * @netns: --netns, or NULL
 * @no_wait: --no-wait
 * @lock_fd: the lock that is held, or -1
 */
struct ctl {
	struct cfs cfs;
	const char *root;
	const char *lock_file;
	const char *netns;
	bool no_wait;
	int lock_fd;
};

/* what a verb needs before it runs */
enum { NEED_TREE = 1, NEED_LOCK = 2 };

/**
 * struct verb - something that can be done
 * @name: its word; NULL for a command that has only one
 * @params: its arguments, for the usage line
 * @help: one line
 * @min: fewest arguments
 * @max: most arguments, -1 for any number
 * @need: NEED_* bits
 * @opts: options, ended by a NULL name; NULL for none
 * @run: does it; returns an exit code
 */
struct verb {
	const char *name;
	const char *params;
	const char *help;
	int min;
	int max;
	unsigned int need;
	const struct opt *opts;
	int (*run)(struct ctl *ctl, const struct args *a);
};

/**
 * struct object - a word of the command line
 * @name: the word
 * @help: one line
 * @kind: kind of configfs object, or NULL
 * @verbs: what can be done with it, ended by a NULL run
 */
struct object {
	const char *name;
	const char *help;
	const struct nv_kind *kind;
	const struct verb *verbs;
};

/**
 * struct args - a parsed command line
 * @object: the object
 * @verb: what to do
 * @pos: positional arguments
 * @npos: how many
 * @vals: options that were given, in order
 * @nvals: how many
 * @read: positional arguments that args_read_input() has made
 */
struct args {
	const struct object *object;
	const struct verb *verb;
	char **pos;
	int npos;
	struct {
		const struct opt *opt;
		const char *value;
	} *vals;
	int nvals;
	struct strvec read;
};

extern const struct object *const objects[];
extern const struct opt global_opts[];

/* args.c */
int args_parse(struct args *a, int argc, char **argv);
int args_read_input(struct args *a);
void args_free(struct args *a);
const char *arg_opt(const struct args *a, const char *name);
bool arg_has(const struct args *a, const char *name);
int usage_error(const struct args *a, const char *fmt, ...) PRINTF(2, 3);

/* help.c */
void help_all(FILE *f);
void help_object(FILE *f, const struct object *o);
void help_verb(FILE *f, const struct object *o, const struct verb *v);

/* main.c: the lock, which a verb with NEED_LOCK holds already */
int ctl_lock(struct ctl *ctl);
void ctl_unlock(struct ctl *ctl);

/* run of one command line, main.c */
int ctl_command(struct ctl *ctl, int argc, char **argv);

/* common.c: verbs that every kind has, and their parts */
int id_count(const struct nv_kind *kind);
int check_ids(const struct args *a, const struct nv_kind *kind, char **ids);
int must_exist(struct ctl *ctl, const struct nv_kind *kind, char **ids);
int must_not_exist(struct ctl *ctl, const struct nv_kind *kind, char **ids);
int add_pairs(const struct args *a, struct nv_step *step, int from);
int add_opt_attrs(const struct args *a, struct nv_step *step);
char *resolve_attr(const struct cfs *c, const struct nv_kind *kind,
		   const char *path, const char *name);
int run_atomic(struct ctl *ctl, struct nv_plan *plan);
char *free_id(const struct cfs *c, const char *dir, unsigned long first);
char *attr_or(const struct cfs *c, const char *path, const char *attr);

int verb_set(struct ctl *ctl, const struct args *a);
int verb_show(struct ctl *ctl, const struct args *a);
int verb_list(struct ctl *ctl, const struct args *a);
int verb_enable(struct ctl *ctl, const struct args *a);
int verb_disable(struct ctl *ctl, const struct args *a);

extern const struct opt show_opts[], list_opts[];

/* value.c */
char *value_arg(const char *name, const char *text);

/* print.c */
void print_node(FILE *f, const struct nv_node *node, int depth, bool secrets);
void print_table(FILE *f, const struct nv_kind *kind,
		 struct nv_node *const *nodes, const char *const *parents,
		 size_t n);

/* cmd/host.c, also for others that name hosts */
int host_check(const struct args *a, const char *nqn);

/* cmd/vm.c, also for everything that shows ports */
void note_sockets(struct nv_node *const *nodes, size_t n);

#define SHOW_LIST_VERBS(ids_optional, n)				\
	{ "show", ids_optional, "show objects with all attributes",	\
	  0, n, NEED_TREE, show_opts, verb_show },			\
	{ "list", ids_optional, "show a table of objects",		\
	  0, n, NEED_TREE, list_opts, verb_list }

#endif
