// SPDX-License-Identifier: GPL-2.0
#include "util.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void out_of_memory(void)
{
	fputs("nvtgtctl: out of memory\n", stderr);
	exit(1);
}

/** xcalloc() - zeroed memory for @n objects of @size bytes; never NULL */
void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

/** xrealloc() - @p resized to @n objects of @size bytes; never NULL */
void *xrealloc(void *p, size_t n, size_t size)
{
	p = reallocarray(p, n ? n : 1, size ? size : 1);
	if (!p)
		out_of_memory();
	return p;
}

/** xstrdup() - a copy of @s that the caller frees */
char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

/** xstrndup() - a copy of the first @n bytes of @s that the caller frees */
char *xstrndup(const char *s, size_t n)
{
	char *p = strndup(s, n);

	if (!p)
		out_of_memory();
	return p;
}

/** xasprintf() - the formatted string, which the caller frees */
char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	return s;
}

/** strvec_add() - append a copy of @s */
void strvec_add(struct strvec *sv, const char *s)
{
	if (sv->n == sv->max) {
		sv->max = sv->max ? 2 * sv->max : 4;
		sv->v = xrealloc(sv->v, sv->max, sizeof(*sv->v));
	}
	sv->v[sv->n++] = xstrdup(s);
}

/** strvec_has() - whether @s is one of the strings */
bool strvec_has(const struct strvec *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++)
		if (!strcmp(sv->v[i], s))
			return true;
	return false;
}

/** strvec_remove() - take @s out, if it is there */
void strvec_remove(struct strvec *sv, const char *s)
{
	for (size_t i = 0; i < sv->n; i++) {
		if (strcmp(sv->v[i], s))
			continue;
		free(sv->v[i]);
		for (sv->n--; i < sv->n; i++)
			sv->v[i] = sv->v[i + 1];
		return;
	}
}

static int natural_qsort_cmp(const void *a, const void *b)
{
	return str_natural_cmp(*(char *const *)a, *(char *const *)b);
}

/** strvec_sort() - sort, with numbers by value */
void strvec_sort(struct strvec *sv)
{
	if (sv->n)
		qsort(sv->v, sv->n, sizeof(*sv->v), natural_qsort_cmp);
}

/** strvec_free() - free the strings and leave an empty vector */
void strvec_free(struct strvec *sv)
{
	for (size_t i = 0; i < sv->n; i++)
		free(sv->v[i]);
	free(sv->v);
	*sv = (struct strvec){ 0 };
}

/** str_in() - whether @s is in the NULL-terminated @list, which may be NULL */
bool str_in(const char *const *list, const char *s)
{
	for (; list && *list; list++)
		if (!strcmp(*list, s))
			return true;
	return false;
}

/**
 * str_to_u64() - a decimal or 0x hexadecimal number, without sign or blanks
 * Return: whether the whole of @s is such a number that fits.
 */
bool str_to_u64(const char *s, uint64_t *out)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	char *end;

	if (hex ? !isxdigit((unsigned char)s[2]) :
		  !isdigit((unsigned char)s[0]))
		return false;
	errno = 0;
	*out = strtoull(hex ? s + 2 : s, &end, hex ? 16 : 10);
	return !errno && !*end;
}

/** str_natural_cmp() - strcmp() that puts whole numbers in numeric order */
int str_natural_cmp(const char *a, const char *b)
{
	uint64_t x, y;

	if (str_to_u64(a, &x) && str_to_u64(b, &y) && x != y)
		return x < y ? -1 : 1;
	return strcmp(a, b);
}

/** path_is_under() - whether @path is @dir or inside it */
bool path_is_under(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && (!path[n] || path[n] == '/');
}

/** monotonic_ms() - milliseconds of a clock that never jumps */
long long monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/** sleep_ms() - pause between two looks at a condition */
void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}
