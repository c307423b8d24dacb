/* SPDX-License-Identifier: GPL-2.0 */
/* Messages to the administrator, all on stderr. */
#ifndef NVTGT_TOOLS_MSG_H
#define NVTGT_TOOLS_MSG_H

#include "util.h"

extern bool msg_quiet;

void msg_error(const char *fmt, ...) PRINTF(1, 2);
void msg_hint(const char *fmt, ...) PRINTF(1, 2);
void msg_note(const char *fmt, ...) PRINTF(1, 2);

#endif
