// SPDX-License-Identifier: GPL-2.0
/* Serving a device to a virtual machine: a port of type vfio-user, and QEMU's options. */
#include "export.h"
#include "../../lib/vfu.h"
#include "cmd.h"

#include <ctype.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QEMU_OBJECT "memory-backend-memfd,id=mem0,size=SIZE,share=on"
#define QEMU_MACHINE "memory-backend=mem0"
/* of a socket's name, before what makes it unique */
#define NAME_MAX_BYTES 64
/* for the daemon to see a new port */
#define SOCKET_MS 1000

/** for_vm() - whether the command line asks for a port of type vfio-user */
bool for_vm(const struct args *a)
{
	const char *type = arg_opt(a, "trtype");

	return type && !strcmp(type, NV_VFU);
}

/** vm_check() - whether the options make sense; 0 or the exit code */
int vm_check(const struct args *a)
{
	const char *why;

	if (arg_has(a, "host"))
		return usage_error(a, "--host: a virtual machine does not say who it is; --hostnqn HOSTNQN gives it a name");
	if (arg_has(a, "trsvcid"))
		return usage_error(a, "--trsvcid means nothing for " NV_VFU ", which has a socket");
	if (arg_has(a, "traddr") &&
	    !nv_socket_path_ok(arg_opt(a, "traddr"), &why))
		return usage_error(a, "--traddr %s: %s", arg_opt(a, "traddr"),
				   why);
	return vm_identity_check(a);
}

static bool is_taken(const struct job *j, const char *path, const char *port)
{
	for (size_t i = 0; i < j->have->n_kids; i++) {
		const struct nv_node *p = j->have->kids[i];

		if (nv_is_vfu(p) && strcmp(p->id, port) &&
		    !strcmp(nv_attr_value(p, "addr_traddr"), path))
			return true;
	}
	return false;
}

/*
 * A word for the subsystem that is good as a file's name: what stands behind its
 * naming authority, without the "uuid:" that says nothing.
 */
static char *subsystem_word(const char *nqn)
{
	const char *own = strchr(nqn, ':');
	char *word, *s;

	own = own && own[1] ? own + 1 : nqn;
	if (!strncmp(own, "uuid:", 5) && own[5])
		own += 5;
	word = xstrndup(own, NAME_MAX_BYTES);
	for (s = word; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
			*s = '-';
	/* neither a hidden file nor what looks like an option */
	if (!isalnum((unsigned char)*word))
		*word = '_';
	return word;
}

/* The socket of a port for which none was given. */
static char *default_path(const struct job *j, const char *port)
{
	char *word = subsystem_word(j->nqn);
	char *path = xasprintf(NV_VFU_DIR "/%s.sock", word);

	if (is_taken(j, path, port)) {
		free(path);
		path = xasprintf(NV_VFU_DIR "/%s-%s.sock", word, port);
	}
	free(word);
	return path;
}

/* Whether a port is this export's, from an earlier run. */
static bool is_ours(const struct job *j, const struct args *a,
		    const struct nv_node *p)
{
	const char *want = arg_opt(a, "traddr");
	const char *is = nv_attr_value(p, "addr_traddr");
	char *path;
	bool ours;

	if (!nv_is_vfu(p))
		return false;
	if (want)
		return !strcmp(want, is);
	if (p->links.n)
		return strvec_has(&p->links, j->nqn);
	path = default_path(j, p->id);
	ours = !strcmp(path, is);
	free(path);
	return ours;
}

/** vm_choose_port() - an earlier export's port, or a new one; 0 or the exit code */
int vm_choose_port(struct job *j, const struct args *a)
{
	const struct nv_node *ours = NULL, *unfinished = NULL;
	size_t n = 0;

	for (size_t i = 0; i < j->have->n_kids; i++) {
		const struct nv_node *p = j->have->kids[i];

		if (is_ours(j, a, p)) {
			ours = p;
			n++;
		} else if (p->kind == &nv_kind_port && port_is_unfinished(p)) {
			unfinished = p;
		}
	}
	if (n > 1)
		return usage_error(a, "%zu sockets lead to %s already; choose with --traddr",
				   n, j->nqn);
	if (!ours)
		ours = unfinished;
	j->port = ours ? xstrdup(ours->id) : free_port(j->have);
	return 0;
}

/* The host NQN that the virtual machine has, or will have; "" for none. */
static const char *host_of(const struct job *j, const struct args *a)
{
	const struct nv_node *p = nv_node_kid(j->have, &nv_kind_port, j->port);

	if (arg_has(a, "hostnqn"))
		return arg_opt(a, "hostnqn");
	return p && nv_is_vfu(p) ? nv_attr_value(p, "param_hostnqn") : "";
}

/* A port that is in use stays as it is. */
static int check_used_port(const struct job *j, const struct args *a,
			   const struct nv_node *have)
{
	static const char *const names[] = { "hostnqn", "hostid" };

	if (!strvec_has(&have->links, j->nqn)) {
		msg_error("port %s serves %s already, and one of type " NV_VFU " has one subsystem",
			  j->port, have->links.v[0]);
		msg_hint("another --traddr makes another port");
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *attr = xasprintf("param_%s", names[i]);
		const char *is = nv_attr_value(have, attr);
		const char *want = arg_opt(a, names[i]);
		bool same = !want || nv_value_same(attr, is, want);

		if (!same) {
			msg_error("port %s: %s is \"%s\", and stays so while a subsystem is linked",
				  j->port, attr, is);
			msg_hint("unexport first, which takes the disk away from the virtual machine");
		}
		free(attr);
		if (!same)
			return EXIT_FAILED;
	}
	return 0;
}

/** vm_want_port() - the port, its socket and its host; 0 or the exit code */
int vm_want_port(struct job *j, const struct args *a)
{
	const struct nv_node *have = nv_node_kid(j->have, &nv_kind_port,
						 j->port);
	struct nv_node *p = nv_node_add(j->want, &nv_kind_port, j->port);
	const char *want = arg_opt(a, "traddr");
	char *path = NULL;

	strvec_add(&p->links, j->nqn);
	if (have && port_is_unfinished(have))
		have = NULL;
	if (have && (!nv_is_vfu(have) ||
		     (want && strcmp(want, nv_attr_value(have, "addr_traddr")))))
		return other_address(j);
	if (have && have->links.n)
		return check_used_port(j, a, have);
	if (!have) {
		path = want ? xstrdup(want) : default_path(j, j->port);
		nv_attr_set(p, "addr_trtype", NV_VFU, true, true);
		nv_attr_set(p, "addr_traddr", path, true, true);
		free(path);
	}
	if (arg_has(a, "hostnqn"))
		nv_attr_set(p, "param_hostnqn", arg_opt(a, "hostnqn"), true,
			    true);
	if (arg_has(a, "hostid"))
		nv_attr_set(p, "param_hostid", arg_opt(a, "hostid"), true,
			    true);
	return 0;
}

/* Whether no host can have a right to the subsystem, or lose one. */
static bool is_fresh(const struct nv_node *root, const struct nv_node *s)
{
	if (s && s->links.n)
		return false;
	for (size_t i = 0; s && i < root->n_kids; i++)
		if (root->kids[i]->kind == &nv_kind_port &&
		    strvec_has(&root->kids[i]->links, s->id))
			return false;
	return true;
}

/**
 * vm_want_access() - let the virtual machine in
 * @j: with the port chosen
 * @a: the command line
 * @s: the subsystem in @j->want
 *
 * One without a name gets in where every host does. For a new subsystem that is no
 * risk, since nobody but the owner of the socket reaches it; one that has hosts, or is
 * on a port, is not opened for others by the way.
 * Return: 0 or the exit code.
 */
int vm_want_access(struct job *j, const struct args *a, struct nv_node *s)
{
	const struct nv_node *have = nv_node_kid(j->have, &nv_kind_subsystem,
						 j->nqn);
	bool any = have && !strcmp(nv_attr_value(have, "attr_allow_any_host"),
				   "1");
	const char *host = host_of(j, a);

	if (arg_has(a, "allow-any-host") ||
	    (!*host && !any && is_fresh(j->have, have))) {
		nv_attr_set(s, "attr_allow_any_host", "1", true, true);
	} else if (*host && any && arg_has(a, "hostnqn")) {
		msg_error("subsystem %s lets every host connect, not only %s",
			  j->nqn, host);
		msg_hint("nvtgtctl subsystem set %s allow_any_host=0 ends that; --allow-any-host leaves it so",
			 j->nqn);
		return EXIT_FAILED;
	} else if (*host && !any) {
		nv_node_add(j->want, &nv_kind_host, host);
		strvec_add(&s->links, host);
	} else if (!any) {
		msg_error("subsystem %s lets only hosts connect that have a name",
			  j->nqn);
		msg_hint("--hostnqn HOSTNQN gives the virtual machine one; --allow-any-host lets every host connect");
		return EXIT_FAILED;
	}
	return 0;
}

static char *socket_of(const struct ctl *ctl, const struct job *j)
{
	char *dir = xasprintf("ports/%s", j->port);
	char *path = attr_or(&ctl->cfs, dir, "addr_traddr");

	free(dir);
	return path;
}

static struct json_object *device_json(const char *path)
{
	struct json_object *dev = json_object_new_object();
	struct json_object *sock = json_object_new_object();

	json_object_object_add(dev, "driver",
			       json_object_new_string("vfio-user-pci"));
	json_object_object_add(sock, "type", json_object_new_string("unix"));
	json_object_object_add(sock, "path", json_object_new_string(path));
	json_object_object_add(dev, "socket", sock);
	return dev;
}

/* In single quotes, for a shell. */
static void print_quoted(const char *s)
{
	putchar('\'');
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*s);
	putchar('\'');
}

/* The daemon makes the socket when it sees the port, in a directory that is there. */
static void wait_for_socket(const char *port, const char *path)
{
	long long end = monotonic_ms() + SOCKET_MS;
	char *dir = xstrndup(path, strrchr(path, '/') - path + 1);
	bool is_there = nv_socket_exists(path);

	while (!is_there && !access(dir, F_OK) && monotonic_ms() < end) {
		sleep_ms(20);
		is_there = nv_socket_exists(path);
	}
	if (!is_there)
		note_socket(port, path);
	free(dir);
}

/** vm_print() - the options that QEMU needs */
void vm_print(const struct ctl *ctl, const struct job *j)
{
	char *path = socket_of(ctl, j);
	struct json_object *dev = device_json(path);

	puts("-object " QEMU_OBJECT " -machine " QEMU_MACHINE);
	fputs("-device ", stdout);
	print_quoted(json_object_to_json_string_ext(dev,
		JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	putchar('\n');
	json_object_put(dev);
	msg_note("options for QEMU 10.1 or newer; SIZE is the virtual machine's memory, as in -m");
	wait_for_socket(j->port, path);
	free(path);
}

/** vm_add_json() - the same as JSON */
void vm_add_json(const struct ctl *ctl, const struct job *j,
		 struct json_object *o)
{
	struct json_object *qemu = json_object_new_object();
	char *path = socket_of(ctl, j);

	json_object_object_add(qemu, "device", device_json(path));
	json_object_object_add(qemu, "machine",
			       json_object_new_string(QEMU_MACHINE));
	json_object_object_add(qemu, "object",
			       json_object_new_string(QEMU_OBJECT));
	json_object_object_add(o, "qemu", qemu);
	json_object_object_add(o, "socket", json_object_new_string(path));
	wait_for_socket(j->port, path);
	free(path);
}
