/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A unit test is tests/unit/test_NAME.c; a comment line in it names the files
 * that it builds, relative to the tree's root:
 *
 *     // builds: drivers/tcp/pdu.c
 *
 * and, where needed, `// cflags:` and `// libs:` lines. It is linked with ASan
 * and UBSan; any finding of theirs fails it, as does CHECK().
 */
#ifndef NVTGT_UNIT_H
#define NVTGT_UNIT_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unit_failures;

#define CHECK(cond) do {							\
	if (!(cond)) {								\
		printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #cond);	\
		unit_failures++;						\
	}									\
} while (0)

#define CHECK_EQ(a, b) do {							\
	long long unit_a = (long long)(a), unit_b = (long long)(b);		\
	if (unit_a != unit_b) {							\
		printf("%s:%d: %s is %lld (%#llx), not %s = %lld (%#llx)\n",	\
		       __FILE__, __LINE__, #a, unit_a, unit_a, #b, unit_b, unit_b); \
		unit_failures++;						\
	}									\
} while (0)

#define CHECK_STR(a, b) do {							\
	const char *unit_a = (a), *unit_b = (b);				\
	if (strcmp(unit_a, unit_b)) {						\
		printf("%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__,	\
		       #a, unit_a, unit_b);					\
		unit_failures++;						\
	}									\
} while (0)

/* RUN(function): one case, named in the log */
#define RUN(function) do {							\
	int unit_before = unit_failures;					\
	function();								\
	printf("%s %s\n", unit_failures == unit_before ? "ok" : "not ok", #function); \
} while (0)

/* the last line of main() */
#define UNIT_END() (unit_failures ? (printf("%d failures\n", unit_failures), 1) : 0)

#endif
