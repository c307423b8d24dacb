// SPDX-License-Identifier: GPL-2.0
/* Connections that no Connect comes on. */
#include "hostile.h"

#define HALF_OPEN	8	/* max_half_open; the shell sets it */

/* More connections without a Connect than there may be: each new one ends the oldest. */
void half_open(void)
{
	struct request req = request(0, 32);
	struct peer *p[HALF_OPEN + 4] = { NULL };
	unsigned int i;

	ROW("as many as may be, and four more");
	for (i = 0; i < HALF_OPEN + 4; i++) {
		p[i] = peer_open(&req);
		need(p[i] && !p[i]->rejected, "number %u is not accepted", i);
	}
	for (i = 0; i < 4; i++)
		need(p[i] && peer_ends(p[i]), "number %u is kept", i);
	ROW("a host");
	alive();
	for (i = 0; i < HALF_OPEN + 4; i++)
		peer_close(p[i], true);
	alive();
}
