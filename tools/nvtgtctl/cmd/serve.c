// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: The service
 *
 * Puts a file in place at once, as far as it can be, tells systemd so, and stays:
 * what was missing is put in place when it comes, however late. The lock is held
 * only while something changes. Changes that the administrator makes meanwhile
 * stay; only what was put off is ever touched, and only while it is as it was.
 *
 * What the target has already at the start and the file does not mention stays.
 *
 * A device that hangs while its namespace is enabled holds that namespace up and
 * nothing else: a child of the service waits for it (child.h).
 *
 * SIGHUP: read the file again, and remove what it does not mention. SIGTERM,
 * SIGINT: end, and leave the target as it is.
 */
#include "../ctl.h"
#include "cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../../lib/notify.h"
#include "../../lib/pending.h"

#define LOOK_MS 1000	/* how often to look whether something has come */
#define LOST_MS 5000	/* how often to look whether something was lost */
#define STATUS_BYTES 900

/* What the service knows between two looks. */
struct service {
	struct ctl *ctl;
	const char *file;
	struct nv_plan pending;
	size_t refused;
	struct strvec lost;
};

/* Append to *@text, which is reallocated. */
static void append(char **text, const char *sep, const char *more)
{
	char *s = xasprintf("%s%s%s", *text, sep, more);

	free(*text);
	*text = s;
}

static void say_status(const struct service *sv, const char *first)
{
	char *waiting = nv_pending_text(&sv->pending, STATUS_BYTES);
	char *text = xstrdup("");

	if (sv->refused) {
		char *n = xasprintf("%zu", sv->refused);

		append(&text, "; ", n);
		append(&text, "", " refused: see the log");
		free(n);
	}
	for (size_t i = 0; i < sv->lost.n && strlen(text) < STATUS_BYTES; i++)
		append(&text, i ? ", " : "; lost ", sv->lost.v[i]);
	if (*waiting)
		append(&text, "; waiting for ", waiting);
	nv_notify("%sSTATUS=Serving%s%s", first, *text ? " in part" : "", text);
	free(waiting);
	free(text);
}

static void lost_in(const struct cfs *c, const char *subsys, struct strvec *out)
{
	char *dir = xasprintf("subsystems/%s/namespaces", subsys);
	struct strvec ids = { 0 };

	cfs_list(c, dir, CFS_DIRS, &ids);
	for (size_t i = 0; i < ids.n; i++) {
		char *path = xasprintf("%s/%s", dir, ids.v[i]);
		char *lost = attr_or(c, path, "lost"), *what, *device, *text;

		if (!strcmp(lost, "1")) {
			what = nv_describe(path);
			device = attr_or(c, path, "device_path");
			text = xasprintf("%s (%s)", device, what);
			strvec_add(out, text);
			free(text);
			free(device);
			free(what);
		}
		free(lost);
		free(path);
	}
	strvec_free(&ids);
	free(dir);
}

/*
 * Devices that were taken away while they were served. They are not opened again
 * by themselves: another disk may have got the name.
 */
static void look_for_lost(struct service *sv)
{
	struct strvec subsystems = { 0 }, now = { 0 };
	bool same;

	cfs_list(&sv->ctl->cfs, "subsystems", CFS_DIRS, &subsystems);
	for (size_t i = 0; i < subsystems.n; i++)
		lost_in(&sv->ctl->cfs, subsystems.v[i], &now);
	strvec_free(&subsystems);
	same = now.n == sv->lost.n;
	for (size_t i = 0; i < now.n; i++) {
		if (strvec_has(&sv->lost, now.v[i]))
			continue;
		same = false;
		msg_note("lost: %s; when it is back: nvtgtctl namespace disable, enable",
			 now.v[i]);
	}
	strvec_free(&sv->lost);
	sv->lost = now;
	if (!same)
		say_status(sv, "");
}

/*
 * When the modules have been unloaded and loaded again there is another tree, and
 * the descriptor leads to one that nobody can fill any more.
 */
static int reopen(struct service *sv)
{
	struct cfs *c = &sv->ctl->cfs;

	if (cfs_exists(c, "subsystems"))
		return EXIT_DONE;
	cfs_close(c);
	return cfs_open(c, sv->ctl->root) ? EXIT_FAILED : EXIT_DONE;
}

/*
 * Lead the target to the file, and put off what cannot be yet. With @merge, what
 * the file does not mention stays.
 */
static int put_in_place(struct service *sv, bool merge)
{
	struct nv_node *want = nv_json_read_file(sv->file), *have;
	struct nv_plan plan = { 0 }, pending = { 0 };
	struct nv_run run = {
		.c = &sv->ctl->cfs,
		.patience_ms = NV_PATIENCE_MS,
		.pending = &pending,
	};

	if (!want || ctl_lock(sv->ctl)) {
		nv_node_free(want);
		return EXIT_FAILED;
	}
	if (reopen(sv)) {
		ctl_unlock(sv->ctl);
		nv_node_free(want);
		return EXIT_FAILED;
	}
	/* what waits for a device would keep the file's new settings from it */
	nv_pending_stop(&sv->pending);
	have = nv_tree_load(&sv->ctl->cfs);
	nv_diff(&plan, have, want, merge);
	sv->refused = nv_plan_run(&plan, &run);
	ctl_unlock(sv->ctl);
	if (sv->refused)
		msg_error("%zu error%s: the rest of the configuration is in place",
			  sv->refused, sv->refused == 1 ? "" : "s");
	nv_plan_free(&plan);
	sv->pending = pending;
	nv_node_free(have);
	nv_node_free(want);
	return EXIT_DONE;
}

static void complete(struct service *sv)
{
	if (!nv_pending_ready(&sv->pending) || ctl_lock(sv->ctl))
		return;
	/* with the modules went what was put off; a reload brings it back */
	if (!cfs_exists(&sv->ctl->cfs, "subsystems"))
		nv_pending_stop(&sv->pending);
	sv->refused += nv_pending_run(&sv->pending, &sv->ctl->cfs, false);
	ctl_unlock(sv->ctl);
	say_status(sv, "");
}

/* The next signal, or 0 when it is time to look again. */
static int next_signal(const sigset_t *set, long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };
	int sig;

	do
		sig = sigtimedwait(set, NULL, &ts);
	while (sig < 0 && errno == EINTR);
	return sig < 0 ? 0 : sig;
}

static int cmd_serve(struct ctl *ctl, const struct args *a)
{
	struct service sv = {
		.ctl = ctl,
		.file = a->npos ? a->pos[0] : NV_CONFIG_FILE,
	};
	sigset_t set;
	int sig, ret;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/*
	 * After a kill the target serves on, and may have more than was saved; after
	 * a boot or a stop it is empty.
	 */
	ret = put_in_place(&sv, true);
	if (ret)
		return ret;
	say_status(&sv, "READY=1\n");
	while ((sig = next_signal(&set, sv.pending.n ? LOOK_MS : LOST_MS)) !=
	       SIGTERM && sig != SIGINT) {
		if (sig == SIGHUP && !put_in_place(&sv, false))
			say_status(&sv, "");
		else if (!sig)
			complete(&sv);
		look_for_lost(&sv);
	}
	/* not STOPPING=1: a SIGTERM by hand leaves the target, and a stop says so itself */
	nv_notify("STATUS=");
	nv_pending_stop(&sv.pending);
	strvec_free(&sv.lost);
	return EXIT_DONE;
}

static const struct verb serve_verb[] = {
	{ NULL, "[FILE]",
	  "apply a file, and stay to complete it when what was missing comes",
	  0, 1, NEED_TREE, NULL, cmd_serve },
	{ 0 }
};

const struct object object_serve = {
	"serve", "apply a file and complete it later; for the service", NULL,
	serve_verb
};
