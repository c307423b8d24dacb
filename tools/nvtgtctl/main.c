// SPDX-License-Identifier: GPL-2.0
/* nvtgtctl: configure the NVMe target. A table and a loop. */
#include "ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/lock.h"

#ifndef NVTGT_VERSION
#define NVTGT_VERSION "unknown"
#endif

extern const struct object object_host, object_subsystem, object_namespace,
	object_port, object_referral, object_ana_group, object_show,
	object_save, object_restore, object_apply, object_clear, object_export,
	object_unexport, object_completion, object_shell, object_serve;

const struct object *const objects[] = {
	&object_host, &object_subsystem, &object_namespace, &object_port,
	&object_referral, &object_ana_group, &object_export, &object_unexport,
	&object_show, &object_save, &object_restore, &object_apply,
	&object_clear, &object_serve, &object_shell, &object_completion, NULL
};

const struct opt global_opts[] = {
	{ "root", "DIR", "the configuration tree; else $NVTGT_ROOT, else where the loaded module has it",
	  NULL },
	{ "netns", "NAME", "work in this network namespace, where new ports belong",
	  NULL },
	{ "lock", "FILE", "lock file; " NV_LOCK_FILE " is the default", NULL },
	{ "no-wait", NULL, "fail when another run holds the lock", NULL },
	{ "quiet", NULL, "print errors and results only", NULL },
	{ "help", NULL, "help on all, an object or a verb", NULL },
	{ "version", NULL, "print the version", NULL },
	{ 0 }
};

static int enter_netns(const char *name)
{
	char *path = strchr(name, '/') ? xstrdup(name) :
		     xasprintf("/run/netns/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = 0;

	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		msg_error("cannot enter network namespace %s: %s", name,
			  strerror(errno));
		msg_hint("see: ip netns list");
		ret = EXIT_FAILED;
	}
	if (fd >= 0)
		close(fd);
	free(path);
	return ret;
}

/**
 * ctl_lock() - let no other run change the target meanwhile
 * Return: 0, or EXIT_FAILED after a message.
 */
int ctl_lock(struct ctl *ctl)
{
	ctl->lock_fd = nv_lock(ctl->lock_file, !ctl->no_wait);
	return ctl->lock_fd < 0 ? EXIT_FAILED : 0;
}

/** ctl_unlock() - give the lock back, if it is held */
void ctl_unlock(struct ctl *ctl)
{
	if (ctl->lock_fd >= 0)
		close(ctl->lock_fd);
	ctl->lock_fd = -1;
}

static int prepare(struct ctl *ctl, unsigned int need)
{
	int ret = 0;

	if (ctl->netns && need)
		ret = enter_netns(ctl->netns);
	if (!ret && need & NEED_TREE && cfs_open(&ctl->cfs, ctl->root))
		ret = EXIT_FAILED;
	if (!ret && need & NEED_LOCK)
		ret = ctl_lock(ctl);
	return ret;
}

static int run_verb(struct ctl *ctl, const struct object *o,
		    const struct verb *v, int argc, char **argv)
{
	struct args a = { .object = o, .verb = v };
	int ret;

	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		if (strcmp(argv[i], "--help"))
			continue;
		help_verb(stdout, o, v);
		return EXIT_DONE;
	}
	ret = args_parse(&a, argc, argv);
	if (!ret && v->need & NEED_LOCK)
		ret = args_read_input(&a);
	if (!ret)
		ret = prepare(ctl, v->need);
	if (!ret)
		ret = v->run(ctl, &a);
	args_free(&a);
	ctl_unlock(ctl);
	cfs_close(&ctl->cfs);
	return ret;
}

static int run_object(struct ctl *ctl, const struct object *o, int argc,
		      char **argv)
{
	struct args none = { .object = o };

	if (!o->verbs->name)
		return run_verb(ctl, o, o->verbs, argc, argv);
	if (!argc)
		return usage_error(&none, "what shall be done with the %s?",
				   o->name);
	if (!strcmp(argv[0], "--help")) {
		help_object(stdout, o);
		return EXIT_DONE;
	}
	for (const struct verb *v = o->verbs; v->run; v++)
		if (!strcmp(v->name, argv[0]))
			return run_verb(ctl, o, v, argc - 1, argv + 1);
	return usage_error(&none, "%s has no verb \"%s\"", o->name, argv[0]);
}

/**
 * ctl_command() - carry out "OBJECT VERB ..." or "COMMAND ..."
 * Return: an exit code.
 */
int ctl_command(struct ctl *ctl, int argc, char **argv)
{
	for (const struct object *const *o = objects; *o; o++)
		if (!strcmp((*o)->name, argv[0]))
			return run_object(ctl, *o, argc - 1, argv + 1);
	return usage_error(NULL, "there is no object or command \"%s\"",
			   argv[0]);
}

static const char *global_arg(int argc, char **argv, int *i, const char *name)
{
	size_t n = strlen(name);
	const char *s = argv[*i] + 2;

	if (strncmp(s, name, n) || (s[n] && s[n] != '='))
		return NULL;
	if (s[n])
		return s + n + 1;
	return *i + 1 < argc ? argv[++*i] : NULL;
}

/* Takes argv[*i]; returns -1 to go on, else the exit code. */
static int global_option(struct ctl *ctl, int argc, char **argv, int *i)
{
	const char *name = argv[*i] + 2, *v;

	if (!strcmp(name, "help")) {
		help_all(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(name, "version")) {
		puts("nvtgtctl " NVTGT_VERSION);
		return EXIT_DONE;
	}
	if (!strcmp(name, "no-wait"))
		ctl->no_wait = true;
	else if (!strcmp(name, "quiet"))
		msg_quiet = true;
	else if ((v = global_arg(argc, argv, i, "root")))
		ctl->root = v;
	else if ((v = global_arg(argc, argv, i, "lock")))
		ctl->lock_file = v;
	else if ((v = global_arg(argc, argv, i, "netns")))
		ctl->netns = v;
	else
		return usage_error(NULL, "option %s is unknown here or lacks its argument",
				   argv[*i]);
	return -1;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.cfs = { .fd = -1, .kmsg = -1 },
		.lock_file = NV_LOCK_FILE,
		.lock_fd = -1,
	};
	static char shell[] = "shell";
	char *shell_argv[] = { shell, NULL };
	int i, ret;

	/* a parent may have ignored it, and children would take their answers along */
	signal(SIGCHLD, SIG_DFL);
	for (i = 1; i < argc && !strncmp(argv[i], "--", 2); i++) {
		ret = global_option(&ctl, argc, argv, &i);
		if (ret >= 0)
			return ret;
	}
	if (i < argc) {
		ret = ctl_command(&ctl, argc - i, argv + i);
	} else if (isatty(0)) {
		ret = ctl_command(&ctl, 1, shell_argv);
	} else {
		help_all(stderr);
		ret = EXIT_USAGE;
	}
	if (fflush(stdout) || ferror(stdout)) {
		msg_error("cannot write the result: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return ret;
}
