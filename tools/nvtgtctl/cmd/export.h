/* SPDX-License-Identifier: GPL-2.0 */
/* What "export" has worked out, for its two kinds of port. */
#ifndef NVTGTCTL_EXPORT_H
#define NVTGTCTL_EXPORT_H

#include "../ctl.h"

struct json_object;

/**
 * struct job - what "export" has worked out
 * @have: what runs
 * @want: the objects that the device needs; all others stay
 * @dev: absolute path of the device
 * @nqn: the subsystem
 * @nsid: the namespace
 * @port: the port
 * @again: the subsystem serves the device already
 */
struct job {
	struct nv_node *have;
	struct nv_node *want;
	char *dev;
	char *nqn;
	char *nsid;
	char *port;
	bool again;
};

/* export.c */
char *free_port(const struct nv_node *root);
bool port_is_unfinished(const struct nv_node *port);
int other_address(const struct job *j);

/* export_vm.c: a port of type vfio-user */
bool for_vm(const struct args *a);
int vm_check(const struct args *a);
int vm_choose_port(struct job *j, const struct args *a);
int vm_want_port(struct job *j, const struct args *a);
int vm_want_access(struct job *j, const struct args *a, struct nv_node *s);
void vm_print(const struct ctl *ctl, const struct job *j);
void vm_add_json(const struct ctl *ctl, const struct job *j,
		 struct json_object *o);

#endif
