/* SPDX-License-Identifier: GPL-2.0 */
/* A fuzzer: LLVMFuzzerTestOneInput(), as libFuzzer wants it, and inputs to begin with. */
#ifndef NVTGT_FUZZ_H
#define NVTGT_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes input @nr, returns its length; 0: there are no more. */
size_t fuzz_seed(unsigned int nr, uint8_t *to);

#define MUST(cond) do {								\
	if (!(cond)) {								\
		fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
		abort();							\
	}									\
} while (0)

#endif
