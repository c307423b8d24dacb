// SPDX-License-Identifier: GPL-2.0
#include "../ctl.h"
#include "cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/**
 * device_path() - the absolute path of a device or file that can be served
 *
 * Symbolic links stay, since /dev/disk/by-id/ is the name to keep.
 * Return: an allocated path, or NULL after a message.
 */
char *device_path(const char *dev)
{
	struct stat st;
	char *cwd, *path;

	if (stat(dev, &st)) {
		msg_error("device %s: %s", dev, strerror(errno));
		msg_hint("see: lsblk -p");
		return NULL;
	}
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) {
		msg_error("device %s is neither a block device nor a plain file",
			  dev);
		return NULL;
	}
	if (*dev == '/')
		return xstrdup(dev);
	cwd = getcwd(NULL, 0);
	if (!cwd) {
		msg_error("device %s: the working directory is gone", dev);
		return NULL;
	}
	path = xasprintf("%s/%s", cwd, dev);
	free(cwd);
	return path;
}

static bool names_backend(const struct args *a)
{
	if (arg_has(a, "backend"))
		return true;
	for (int i = 1; i < a->npos; i++)
		if (!strncmp(a->pos[i], "backend=", 8) ||
		    !strncmp(a->pos[i], "device_path=", 12))
			return true;
	return false;
}

static int create_steps(const struct args *a, struct nv_plan *plan,
			const char *path)
{
	const struct nv_kind *kind = &nv_kind_namespace;
	const char *dev = arg_opt(a, "device");
	struct nv_step *step;
	int ret;

	nv_plan_add(plan, NV_MKDIR, kind, path);
	step = nv_plan_add(plan, NV_SET, kind, path);
	if (dev) {
		char *abs = device_path(dev);

		if (!abs)
			return EXIT_FAILED;
		nv_step_attr(step, "device_path", abs);
		free(abs);
	}
	ret = add_opt_attrs(a, step);
	if (!ret)
		ret = add_pairs(a, step, 1);
	if (!ret && !arg_has(a, "disabled"))
		nv_plan_set(plan, kind, path, "enable", "1");
	return ret;
}

static char *choose_nsid(struct ctl *ctl, const struct args *a)
{
	char *dir, *nsid;

	if (arg_has(a, "nsid"))
		return xstrdup(arg_opt(a, "nsid"));
	dir = xasprintf("subsystems/%s/namespaces", a->pos[0]);
	nsid = free_id(&ctl->cfs, dir, 1);
	free(dir);
	return nsid;
}

static int create_at(struct ctl *ctl, const struct args *a, char **ids)
{
	const struct nv_kind *kind = &nv_kind_namespace;
	int ret = check_ids(a, kind, ids);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_exist(ctl, &nv_kind_subsystem, ids);
	if (!ret)
		ret = must_not_exist(ctl, kind, ids);
	if (ret)
		return ret;
	path = nv_path(kind, (const char *const *)ids);
	ret = create_steps(a, &plan, path);
	free(path);
	if (ret) {
		nv_plan_free(&plan);
		return ret;
	}
	ret = run_atomic(ctl, &plan);
	if (!ret && !arg_has(a, "nsid"))
		puts(ids[1]);
	return ret;
}

static int namespace_create(struct ctl *ctl, const struct args *a)
{
	const char *why;
	char *nsid;
	int ret;

	if (!nv_id_ok(&nv_kind_subsystem, a->pos[0], &why))
		return usage_error(a, "subsystem \"%s\": %s", a->pos[0], why);
	if (!arg_has(a, "device") && !names_backend(a) &&
	    !arg_has(a, "disabled"))
		return usage_error(a, "what shall it serve? give --device, --backend or --disabled");
	nsid = choose_nsid(ctl, a);
	ret = create_at(ctl, a, (char *[]){ a->pos[0], nsid });
	free(nsid);
	return ret;
}

static int namespace_resize(struct ctl *ctl, const struct args *a)
{
	const struct nv_kind *kind = &nv_kind_namespace;
	int ret = check_ids(a, kind, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_exist(ctl, kind, a->pos);
	if (ret)
		return ret;
	path = nv_path(kind, (const char *const *)a->pos);
	nv_plan_set(&plan, kind, path, "revalidate_size", "1");
	free(path);
	return run_atomic(ctl, &plan);
}

static int namespace_delete(struct ctl *ctl, const struct args *a)
{
	const struct nv_kind *kind = &nv_kind_namespace;
	int ret = check_ids(a, kind, a->pos);
	struct nv_plan plan = { 0 };
	char *path;

	if (!ret)
		ret = must_exist(ctl, kind, a->pos);
	if (ret)
		return ret;
	path = nv_path(kind, (const char *const *)a->pos);
	nv_plan_add(&plan, NV_RMDIR, kind, path);
	free(path);
	return run_atomic(ctl, &plan);
}

static const struct opt create_opts[] = {
	{ "nsid", "NSID", "its number; the first free one otherwise", NULL },
	{ "device", "PATH", "the block device or file to serve", NULL },
	{ "backend", "NAME", "bdev (the default) or null", "backend" },
	{ "backend-options", "KEY=VALUE,...", "options of the backend",
	  "backend_options" },
	{ "uuid", "UUID", "its UUID; random otherwise", "device_uuid" },
	{ "nguid", "NGUID", "its NGUID", "device_nguid" },
	{ "ana-group", "GRPID", "its ANA group", "ana_grpid" },
	{ "buffered-io", NULL, "a file goes through the page cache",
	  "buffered_io" },
	{ "disabled", NULL, "do not serve it yet", NULL },
	{ 0 }
};

static const struct verb verbs[] = {
	{ "create", "NQN [NAME=VALUE...]",
	  "make a namespace and serve it; prints the NSID that it chose", 1, -1,
	  NEED_TREE | NEED_LOCK, create_opts, namespace_create },
	{ "set", "NQN NSID NAME=VALUE...", "change attributes", 3, -1,
	  NEED_TREE | NEED_LOCK, NULL, verb_set },
	{ "enable", "NQN NSID", "serve it", 2, 2, NEED_TREE | NEED_LOCK, NULL,
	  verb_enable },
	{ "disable", "NQN NSID", "stop serving it", 2, 2,
	  NEED_TREE | NEED_LOCK, NULL, verb_disable },
	{ "resize", "NQN NSID", "look at the device's size again", 2, 2,
	  NEED_TREE | NEED_LOCK, NULL, namespace_resize },
	SHOW_LIST_VERBS("[NQN [NSID]]", 2),
	{ "delete", "NQN NSID", "stop serving it and remove it", 2, 2,
	  NEED_TREE | NEED_LOCK, NULL, namespace_delete },
	{ 0 }
};

const struct object object_namespace = {
	"namespace", "a device that a subsystem serves", &nv_kind_namespace,
	verbs
};
