/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pure-logic files of drivers/ use of the kernel, for userspace.
 * Only what has the same meaning there: no locks, no tasks, no devices. A file
 * that needs more than this is not pure logic.
 */
#ifndef NVTGT_SHIM_H
#define NVTGT_SHIM_H

#include <assert.h>
#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#ifndef ENOTSUPP
#define ENOTSUPP 524
#endif

/* compiler */
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define __packed __attribute__((packed))
#define __must_check __attribute__((warn_unused_result))
#define __maybe_unused __attribute__((unused))
#define __always_unused __attribute__((unused))
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define __printf(a, b) __attribute__((format(printf, a, b)))
#define __aligned(x) __attribute__((aligned(x)))
#define __nonstring
#define __init
#define __exit
#define __force
#define __user
#define __iomem
#ifndef __bitwise
#define __bitwise
#endif
#undef fallthrough
#define fallthrough __attribute__((fallthrough))
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define barrier() __asm__ __volatile__("" ::: "memory")
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define sizeof_field(type, member) sizeof(((type *)0)->member)
#define offsetofend(type, member) \
	(offsetof(type, member) + sizeof_field(type, member))
#define DECLARE_FLEX_ARRAY(type, name) \
	struct { struct { } __empty_ ## name; type name[]; }
#define struct_group(name, ...) \
	union { struct { __VA_ARGS__ }; struct { __VA_ARGS__ } name; }

/* build-time and run-time checks; a warning of the kernel ends the test */
#define BUILD_BUG_ON(cond) ((void)sizeof(char[1 - 2 * !!(cond)]))
#define BUILD_BUG_ON_ZERO(cond) ((int)(sizeof(struct { int : (-!!(cond)); })))
#define shim_warn(cond, what) ({						\
	int shim_bad = !!(cond);						\
	if (shim_bad) {								\
		fprintf(stderr, "%s:%d: %s(%s)\n", __FILE__, __LINE__, what, #cond); \
		abort();							\
	}									\
	shim_bad; })
#define WARN_ON(cond) shim_warn(cond, "WARN_ON")
#define WARN_ON_ONCE(cond) shim_warn(cond, "WARN_ON_ONCE")
#define WARN(cond, ...) shim_warn(cond, "WARN")
#define WARN_ONCE(cond, ...) shim_warn(cond, "WARN_ONCE")
#define BUG_ON(cond) shim_warn(cond, "BUG_ON")
#define BUG() abort()

/* numbers */
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define GENMASK(h, l) ((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define U8_MAX ((u8)~0U)
#define U16_MAX ((u16)~0U)
#define U32_MAX ((u32)~0U)
#define U64_MAX ((u64)~0ULL)
#define S32_MAX INT_MAX
#define min(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define max(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define min_t(t, a, b) ({ t _a = (a); t _b = (b); _a < _b ? _a : _b; })
#define max_t(t, a, b) ({ t _a = (a); t _b = (b); _a > _b ? _a : _b; })
#define umin(a, b) min_t(u64, a, b)
#define clamp(v, lo, hi) min(max(v, lo), hi)
#define clamp_t(t, v, lo, hi) min_t(t, max_t(t, v, lo), hi)
#define min3(a, b, c) min(min(a, b), c)
#define swap(a, b) do { __typeof__(a) _t = (a); (a) = (b); (b) = _t; } while (0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define round_up(x, y) ((((x) - 1) | ((__typeof__(x))((y) - 1))) + 1)
#define round_down(x, y) ((x) & ~((__typeof__(x))((y) - 1)))
#define roundup(x, y) (DIV_ROUND_UP(x, y) * (y))
#define rounddown(x, y) ((x) - (x) % (y))
#define ALIGN(x, a) round_up(x, a)
#define ALIGN_DOWN(x, a) round_down(x, a)
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define is_power_of_2(n) ((n) != 0 && (((n) & ((n) - 1)) == 0))
#define upper_32_bits(n) ((u32)((u64)(n) >> 32))
#define lower_32_bits(n) ((u32)(n))
#define check_add_overflow(a, b, d) __builtin_add_overflow(a, b, d)
#define check_sub_overflow(a, b, d) __builtin_sub_overflow(a, b, d)
#define check_mul_overflow(a, b, d) __builtin_mul_overflow(a, b, d)
#define check_shl_overflow(a, s, d) ({						\
	u64 shim_a = (a); unsigned int shim_s = (s);				\
	*(d) = shim_s < 64 ? shim_a << shim_s : 0;				\
	shim_s >= 64 || ((u64)*(d) >> shim_s) != shim_a; })
#define hweight8(x) __builtin_popcount((u8)(x))
#define hweight16(x) __builtin_popcount((u16)(x))
#define hweight32(x) __builtin_popcount(x)
#define ilog2(x) (63 - __builtin_clzll(x))
#define fls(x) ((x) ? 32 - __builtin_clz(x) : 0)
#define fls64(x) ((x) ? 64 - __builtin_clzll(x) : 0)
#define __ffs(x) ((unsigned long)__builtin_ctzl(x))
#define ffs(x) __builtin_ffs(x)
#define SECTOR_SHIFT 9
#define SECTOR_SIZE 512
#ifndef PAGE_SIZE
#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define PAGE_MASK (~(PAGE_SIZE - 1))
#endif
#define SZ_4K 4096
#define SZ_1M 0x100000

/* byte order */
#define le16_to_cpu(x) le16toh((u16)(x))
#define le32_to_cpu(x) le32toh((u32)(x))
#define le64_to_cpu(x) le64toh((u64)(x))
#define cpu_to_le16(x) ((__le16)htole16(x))
#define cpu_to_le32(x) ((__le32)htole32(x))
#define cpu_to_le64(x) ((__le64)htole64(x))
#define be16_to_cpu(x) be16toh((u16)(x))
#define be32_to_cpu(x) be32toh((u32)(x))
#define be64_to_cpu(x) be64toh((u64)(x))
#define cpu_to_be16(x) ((__be16)htobe16(x))
#define cpu_to_be32(x) ((__be32)htobe32(x))
#define cpu_to_be64(x) ((__be64)htobe64(x))
#define le16_to_cpup(p) le16_to_cpu(*(p))
#define le32_to_cpup(p) le32_to_cpu(*(p))
#define le64_to_cpup(p) le64_to_cpu(*(p))

#define shim_get(type, p) ({ type shim_v; memcpy(&shim_v, (p), sizeof(shim_v)); shim_v; })
#define shim_put(type, v, p) do { type shim_v = (v); memcpy((p), &shim_v, sizeof(shim_v)); } while (0)
#define get_unaligned(p) shim_get(__typeof__(*(p)), p)
#define put_unaligned(v, p) shim_put(__typeof__(*(p)), v, p)
#define get_unaligned_le16(p) le16_to_cpu(shim_get(u16, p))
#define get_unaligned_le32(p) le32_to_cpu(shim_get(u32, p))
#define get_unaligned_le64(p) le64_to_cpu(shim_get(u64, p))
#define get_unaligned_be16(p) be16_to_cpu(shim_get(u16, p))
#define get_unaligned_be32(p) be32_to_cpu(shim_get(u32, p))
#define get_unaligned_be64(p) be64_to_cpu(shim_get(u64, p))
#define put_unaligned_le16(v, p) shim_put(u16, htole16(v), p)
#define put_unaligned_le32(v, p) shim_put(u32, htole32(v), p)
#define put_unaligned_le64(v, p) shim_put(u64, htole64(v), p)
#define put_unaligned_be16(v, p) shim_put(u16, htobe16(v), p)
#define put_unaligned_be32(v, p) shim_put(u32, htobe32(v), p)
#define put_unaligned_be64(v, p) shim_put(u64, htobe64(v), p)
static inline u32 get_unaligned_le24(const void *p)
{
	const u8 *b = p;

	return b[0] | b[1] << 8 | b[2] << 16;
}

/* strings */
static inline ssize_t strscpy(char *to, const char *from, size_t size)
{
	size_t len = strnlen(from, size);

	if (!size)
		return -E2BIG;
	if (len == size) {
		memcpy(to, from, size - 1);
		to[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(to, from, len + 1);
	return (ssize_t)len;
}

static inline void *memchr_inv(const void *p, int c, size_t n)
{
	const u8 *b = p;

	for (; n; n--, b++)
		if (*b != (u8)c)
			return (void *)b;
	return NULL;
}

static inline void memcpy_and_pad(void *to, size_t size, const void *from, size_t count, int pad)
{
	if (count > size)
		count = size;
	memcpy(to, from, count);
	memset((u8 *)to + count, pad, size - count);
}

static inline void strncpy_pad(char *to, const char *from, size_t size, int pad)
{
	memcpy_and_pad(to, size, from, strnlen(from, size), pad);
}

#define strtomem_pad(to, from, pad) strncpy_pad((char *)(to), from, sizeof(to), pad)

static inline char *skip_spaces(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	return (char *)s;
}

static inline char *strim(char *s)
{
	size_t n;

	s = skip_spaces(s);
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

static inline bool sysfs_streq(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	n -= n && a[n - 1] == '\n';
	m -= m && b[m - 1] == '\n';
	return n == m && !memcmp(a, b, n);
}

#define shim_kstrto(name, type, parse, wide, lowest, highest)			\
static inline int name(const char *s, unsigned int base, type *out)		\
{										\
	char *end;								\
	wide v;									\
										\
	if (isspace((unsigned char)*s) ||					\
	    (*s == '-' && (wide)-1 > 0))					\
		return -EINVAL;							\
	errno = 0;								\
	v = parse(s, &end, base);						\
	if (end == s || (*end && !(end[0] == '\n' && !end[1])))			\
		return -EINVAL;							\
	if (errno || v < (wide)(lowest) || v > (wide)(highest))			\
		return -ERANGE;							\
	*out = (type)v;								\
	return 0;								\
}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtype-limits"
shim_kstrto(kstrtou8, u8, strtoull, unsigned long long, 0, U8_MAX)
shim_kstrto(kstrtou16, u16, strtoull, unsigned long long, 0, U16_MAX)
shim_kstrto(kstrtou32, u32, strtoull, unsigned long long, 0, U32_MAX)
shim_kstrto(kstrtou64, u64, strtoull, unsigned long long, 0, U64_MAX)
shim_kstrto(kstrtouint, unsigned int, strtoull, unsigned long long, 0, UINT_MAX)
shim_kstrto(kstrtoul, unsigned long, strtoull, unsigned long long, 0, ULONG_MAX)
shim_kstrto(kstrtoull, unsigned long long, strtoull, unsigned long long, 0, ULLONG_MAX)
shim_kstrto(kstrtoint, int, strtoll, long long, INT_MIN, INT_MAX)
#pragma GCC diagnostic pop

static inline int kstrtobool(const char *s, bool *out)
{
	switch (s ? tolower((unsigned char)s[0]) : 0) {
	case 'y': case 't': case '1':
		*out = true;
		return 0;
	case 'n': case 'f': case '0':
		*out = false;
		return 0;
	case 'o':
		if (tolower((unsigned char)s[1]) == 'n' || tolower((unsigned char)s[1]) == 'f') {
			*out = tolower((unsigned char)s[1]) == 'n';
			return 0;
		}
	}
	return -EINVAL;
}

/* memory */
#define GFP_KERNEL 0u
#define GFP_ATOMIC 1u
#define __GFP_ZERO 2u
#define kmalloc(n, gfp) malloc(n)
#define kzalloc(n, gfp) calloc(1, n)
#define kcalloc(n, size, gfp) calloc(n, size)
#define kmalloc_array(n, size, gfp) calloc(n, size)
#define kfree(p) free((void *)(p))
#define kstrdup(s, gfp) strdup(s)
#define kstrndup(s, n, gfp) strndup(s, n)
#define kmemdup_nul(s, n, gfp) strndup(s, n)
#define struct_size(p, member, n) (sizeof(*(p)) + sizeof(*(p)->member) * (n))

static inline void *kmemdup(const void *from, size_t n, gfp_t gfp)
{
	void *to = malloc(n);

	(void)gfp;
	return to ? memcpy(to, from, n) : NULL;
}

/* errors in pointers */
#define MAX_ERRNO 4095
#define IS_ERR_VALUE(x) ((unsigned long)(x) >= (unsigned long)-MAX_ERRNO)
static inline void *ERR_PTR(long e) { return (void *)e; }
static inline long PTR_ERR(const void *p) { return (long)p; }
static inline bool IS_ERR(const void *p) { return IS_ERR_VALUE(p); }
static inline bool IS_ERR_OR_NULL(const void *p) { return !p || IS_ERR(p); }

/* lists */
struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name) { &(name), &(name) }
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)
static inline void INIT_LIST_HEAD(struct list_head *h) { h->next = h->prev = h; }
static inline bool list_empty(const struct list_head *h) { return h->next == h; }
static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	n->next = h;
	n->prev = h->prev;
	h->prev->next = n;
	h->prev = n;
}

static inline void list_add(struct list_head *n, struct list_head *h)
{
	list_add_tail(n, h->next);
}

static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->next = n->prev = NULL;
}

static inline void list_del_init(struct list_head *n)
{
	list_del(n);
	INIT_LIST_HEAD(n);
}

#define list_entry(p, type, member) container_of(p, type, member)
#define list_first_entry(h, type, member) list_entry((h)->next, type, member)
#define list_for_each_entry(p, h, member)					\
	for (p = list_entry((h)->next, __typeof__(*p), member);			\
	     &p->member != (h);							\
	     p = list_entry(p->member.next, __typeof__(*p), member))
#define list_for_each_entry_safe(p, n, h, member)				\
	for (p = list_entry((h)->next, __typeof__(*p), member),			\
	     n = list_entry(p->member.next, __typeof__(*p), member);		\
	     &p->member != (h);							\
	     p = n, n = list_entry(n->member.next, __typeof__(*n), member))

/* UUIDs */
#define UUID_SIZE 16
#define UUID_STRING_LEN 36
typedef struct { u8 b[UUID_SIZE]; } uuid_t;
typedef struct { u8 b[UUID_SIZE]; } guid_t;
static inline void uuid_copy(uuid_t *to, const uuid_t *from) { *to = *from; }
static inline bool uuid_equal(const uuid_t *a, const uuid_t *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static inline bool uuid_is_null(const uuid_t *u)
{
	return !memchr_inv(u, 0, sizeof(*u));
}

static inline void import_uuid(uuid_t *to, const u8 *from) { memcpy(to, from, UUID_SIZE); }
static inline void export_uuid(u8 *to, const uuid_t *from) { memcpy(to, from, UUID_SIZE); }

/* CRC32C, bit by bit: slow and plainly right */
static inline u32 crc32c(u32 crc, const void *data, size_t n)
{
	const u8 *b = data;
	int i;

	while (n--) {
		crc ^= *b++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* log lines and module declarations lead nowhere */
#define printk(...) ((void)0)
#define pr_err(...) ((void)0)
#define pr_warn(...) ((void)0)
#define pr_info(...) ((void)0)
#define pr_debug(...) ((void)0)
#define pr_err_ratelimited(...) ((void)0)
#define pr_warn_ratelimited(...) ((void)0)
#define pr_info_ratelimited(...) ((void)0)
#define EXPORT_SYMBOL_GPL(x) struct shim_no_export
#define EXPORT_SYMBOL(x) struct shim_no_export
#define MODULE_LICENSE(x) struct shim_no_export
#define MODULE_DESCRIPTION(x) struct shim_no_export
#define THIS_MODULE NULL
#define might_sleep() ((void)0)
#define lockdep_assert_held(x) ((void)0)
#define IS_ENABLED(x) 0

#endif
