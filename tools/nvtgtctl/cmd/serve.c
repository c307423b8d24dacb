// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: The service
 *
 * Puts a file in place at once, as far as it can be, tells systemd so, and stays:
 * what was missing is put in place when it comes, however late. The lock is held
 * only while something changes. Changes that the administrator makes meanwhile
 * stay; only what was put off is ever touched, and only while it is as it was.
 *
 * SIGHUP: read the file again. SIGTERM, SIGINT: end, and leave the target as
 * it is.
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
#define STATUS_BYTES 900

/* What the service knows between two looks. */
struct service {
	struct ctl *ctl;
	const char *file;
	struct nv_plan pending;
	size_t refused;
};

static void say_status(const struct service *sv, const char *first)
{
	char *text = nv_pending_text(&sv->pending, STATUS_BYTES);
	char *refused = sv->refused ?
		xasprintf("; %zu refused: see the log", sv->refused) :
		xstrdup("");

	if (*text)
		nv_notify("%sSTATUS=Serving in part%s; waiting for %s", first,
			  refused, text);
	else
		nv_notify("%sSTATUS=Serving%s%s", first,
			  sv->refused ? " in part" : "", refused);
	free(refused);
	free(text);
}

/* Lead the target to the file, and put off what cannot be yet. */
static int put_in_place(struct service *sv)
{
	struct nv_node *want = nv_json_read_file(sv->file), *have;
	struct nv_plan plan = { 0 }, pending = { 0 };
	struct nv_run run = { .c = &sv->ctl->cfs, .pending = &pending };

	if (!want || ctl_lock(sv->ctl)) {
		nv_node_free(want);
		return EXIT_FAILED;
	}
	have = nv_tree_load(&sv->ctl->cfs);
	nv_diff(&plan, have, want, false);
	sv->refused = nv_plan_run(&plan, &run);
	ctl_unlock(sv->ctl);
	if (sv->refused)
		msg_error("%zu error%s: the rest of the configuration is in place",
			  sv->refused, sv->refused == 1 ? "" : "s");
	nv_plan_free(&plan);
	nv_plan_free(&sv->pending);
	sv->pending = pending;
	nv_node_free(have);
	nv_node_free(want);
	return EXIT_DONE;
}

static void complete(struct service *sv)
{
	if (!nv_pending_ready(&sv->pending) || ctl_lock(sv->ctl))
		return;
	sv->refused += nv_pending_run(&sv->pending, &sv->ctl->cfs);
	ctl_unlock(sv->ctl);
	say_status(sv, "");
}

/* The next signal, or 0 when it is time to look again. */
static int next_signal(const sigset_t *set, bool look)
{
	struct timespec ts = { LOOK_MS / 1000, LOOK_MS % 1000 * 1000000L };
	int sig;

	do
		sig = sigtimedwait(set, NULL, look ? &ts : NULL);
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
	ret = put_in_place(&sv);
	if (ret)
		return ret;
	say_status(&sv, "READY=1\n");
	while ((sig = next_signal(&set, sv.pending.n)) != SIGTERM &&
	       sig != SIGINT) {
		if (sig == SIGHUP && !put_in_place(&sv))
			say_status(&sv, "");
		else if (!sig)
			complete(&sv);
	}
	nv_notify("STOPPING=1\nSTATUS=");
	nv_plan_free(&sv.pending);
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
