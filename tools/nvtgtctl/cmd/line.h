/* SPDX-License-Identifier: GPL-2.0 */
/* Lines from a person at a terminal. */
#ifndef NVTGTCTL_LINE_H
#define NVTGTCTL_LINE_H

#include "../../lib/util.h"

/**
 * typedef line_candidates_fn - what a word may become
 * @arg: as given to line_init()
 * @before: the line up to the word
 * @text: what there is of the word
 * @out: gets the candidates; those that begin otherwise than @text are left out
 */
typedef void line_candidates_fn(void *arg, const char *before,
				const char *text, struct strvec *out);

void line_init(line_candidates_fn *fn, void *arg);
char *line_read(const char *prompt);
void line_remember(const char *line);

#endif
