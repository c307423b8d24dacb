/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of cases share: rows that are noted when they go wrong. */
#ifndef NVTGT_RDMAPEER_HOSTILE_H
#define NVTGT_RDMAPEER_HOSTILE_H

#include <stdio.h>
#include "peer.h"

#define BLOCK	512

extern int failures, rows;
extern const char *row;

#define need(what, ...) do {						\
	if (!(what)) {							\
		printf("    %s: ", row);				\
		printf(__VA_ARGS__);					\
		printf(" (%s)\n", peer_error);				\
		failures++;						\
	}								\
} while (0)

#define ROW(name) (row = (name), rows++)

void alive(void);		/* a new host is still served */
void half_open(void);

#endif
