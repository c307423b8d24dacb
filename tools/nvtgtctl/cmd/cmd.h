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

#endif
