/* SPDX-License-Identifier: GPL-2.0 */
/* What one command's file offers to another's. */
#ifndef NVTGTCTL_CMD_H
#define NVTGTCTL_CMD_H

#include "../ctl.h"

/* address.c */
void usable_addresses(const char *trtype, const char *traddr,
		      struct strvec *out);

/* completion.c */
void complete_words(const struct ctl *ctl, const struct args *a,
		    struct strvec *out);

/* namespace.c */
char *device_path(const char *dev);

/* port.c */
const char *adrfam_of(const char *traddr);
int addr_attrs(const struct args *a, struct nv_step *step);

/* referral.c */
int delete_leaf(struct ctl *ctl, const struct args *a);

/* vm.c */
int vm_identity_check(const struct args *a);
int no_vm_check(const struct args *a, const char *instead);
void note_socket(const char *port, const char *path);

#endif
