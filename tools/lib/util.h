/* SPDX-License-Identifier: GPL-2.0 */
/* Memory that is there or the program ends, and a vector of strings. */
#ifndef NVTGT_TOOLS_UTIL_H
#define NVTGT_TOOLS_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/**
 * struct strvec - a growing vector of owned strings
 * @v: the strings
 * @n: how many there are
 * @max: how many there is room for
 */
struct strvec {
	char **v;
	size_t n;
	size_t max;
};

void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

void strvec_add(struct strvec *sv, const char *s);
bool strvec_has(const struct strvec *sv, const char *s);
void strvec_remove(struct strvec *sv, const char *s);
void strvec_sort(struct strvec *sv);
void strvec_free(struct strvec *sv);

bool str_in(const char *const *list, const char *s);
bool str_to_u64(const char *s, uint64_t *out);
int str_natural_cmp(const char *a, const char *b);
bool path_is_under(const char *path, const char *dir);
long long monotonic_ms(void);
void sleep_ms(long ms);

#endif
