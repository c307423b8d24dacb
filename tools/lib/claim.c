// SPDX-License-Identifier: GPL-2.0
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* superblocks of md, as mdadm's md_p.h has them */
#define MD_MAGIC 0xa92b4efcU

/*
 * struct target - the device that is looked at
 * @st: what stat() says of it
 * @what: "" or, for a part of the device that was asked for, "its partition X "
 * @out: gets one sentence's end for each user
 */
struct target {
	struct stat st;
	const char *what;
	struct strvec *out;
};

static void add(const struct target *t, char *text)
{
	char *line = xasprintf("%s%s", t->what, text);

	if (!strvec_has(t->out, line))
		strvec_add(t->out, line);
	free(line);
	free(text);
}

static bool is_target(const struct target *t, const char *path)
{
	struct stat st;

	if (*path != '/' || stat(path, &st))
		return false;
	if (S_ISBLK(t->st.st_mode))
		return S_ISBLK(st.st_mode) && st.st_rdev == t->st.st_rdev;
	return st.st_dev == t->st.st_dev && st.st_ino == t->st.st_ino;
}

/* The kernel writes blanks and backslashes in its tables as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (s[1] - '0') * 64 + (s[2] - '0') * 8 +
				s[3] - '0';
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS ... - TYPE SOURCE ..." */
static void look_at_mount(const struct target *t, const char *line)
{
	char where[4096], source[4096] = "";
	const char *rest = strstr(line, " - ");
	unsigned int maj, min;

	if (sscanf(line, "%*s %*s %u:%u %*s %4095s", &maj, &min, where) != 3)
		return;
	if (rest)
		sscanf(rest, " - %*s %4095s", source);
	unescape(where);
	unescape(source);
	/* file systems on many devices have a number of their own */
	if ((S_ISBLK(t->st.st_mode) && makedev(maj, min) == t->st.st_rdev) ||
	    (S_ISBLK(t->st.st_mode) && is_target(t, source)))
		add(t, xasprintf("is mounted at %s", where));
}

static void look_at_swap(const struct target *t, const char *line)
{
	char path[4096];

	if (sscanf(line, "%4095s", path) != 1)
		return;
	unescape(path);
	if (is_target(t, path))
		add(t, xstrdup("is used as swap"));
}

static void each_line(const struct target *t, const char *file,
		      void (*look)(const struct target *t, const char *line))
{
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		return;
	while (getline(&line, &cap, f) >= 0)
		look(t, line);
	free(line);
	fclose(f);
}

/* The first line of a file in sysfs, "" where there is none. */
static char *sys_read(const char *dir, const char *file)
{
	char *path = xasprintf("%s/%s", dir, file), *line = NULL;
	FILE *f = fopen(path, "re");
	size_t cap = 0;

	free(path);
	if (f && getline(&line, &cap, f) >= 0)
		line[strcspn(line, "\n")] = '\0';
	else if (line)
		*line = '\0';
	if (f)
		fclose(f);
	return line ? line : xstrdup("");
}

static void sys_glob(const char *dir, const char *pattern, struct strvec *out)
{
	char *path = xasprintf("%s/%s", dir, pattern);
	glob_t g;

	if (!glob(path, 0, NULL, &g)) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			strvec_add(out, g.gl_pathv[i]);
		globfree(&g);
	}
	free(path);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What a device above this one is, from the prefix of its dm UUID. */
static const char *holder_kind(const char *uuid)
{
	if (!strncmp(uuid, "LVM-", 4))
		return "LVM volume ";
	if (!strncmp(uuid, "CRYPT-", 6))
		return "dm-crypt device ";
	if (!strncmp(uuid, "mpath-", 6))
		return "multipath device ";
	return "";
}

static void look_at_holders(const struct target *t, const char *sys)
{
	struct strvec v = { 0 };

	sys_glob(sys, "holders/*", &v);
	for (size_t i = 0; i < v.n; i++) {
		char *name = sys_read(v.v[i], "dm/name");
		char *uuid = sys_read(v.v[i], "dm/uuid");
		char *level = sys_read(v.v[i], "md/level");

		if (*level)
			add(t, xasprintf("is a member of the %s array %s",
					 level, last_part(v.v[i])));
		else
			add(t, xasprintf("is used by %s%s",
					 holder_kind(uuid), *name ? name :
					 last_part(v.v[i])));
		free(level);
		free(uuid);
		free(name);
	}
	strvec_free(&v);
}

static bool has_md(int fd, long long at)
{
	unsigned char b[4];
	uint32_t le, be;

	if (at < 0 || pread(fd, b, sizeof(b), at) != sizeof(b))
		return false;
	le = b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
	be = b[3] | b[2] << 8 | b[1] << 16 | (uint32_t)b[0] << 24;
	return le == MD_MAGIC || be == MD_MAGIC;
}

/* What no device holds now may be taken up by the next boot. */
static void look_at_signature(const struct target *t, int fd)
{
	long long size = lseek(fd, 0, SEEK_END);
	char label[32];

	for (int i = 0; i < 4; i++)
		if (pread(fd, label, sizeof(label), i * 512) == sizeof(label) &&
		    !memcmp(label, "LABELONE", 8) &&
		    !memcmp(label + 24, "LVM2 001", 8))
			add(t, xstrdup("is an LVM physical volume"));
	/* versions 1.1, 1.2, 1.0 and 0.90 differ in the place */
	if (has_md(fd, 0) || has_md(fd, 4096) ||
	    has_md(fd, ((size >> 9) - 16) / 8 * 8 << 9) ||
	    has_md(fd, size / 65536 * 65536 - 65536))
		add(t, xstrdup("is a member of an md array"));
}

/* Whole disks: what uses a partition uses the disk. */
static void look_at_partitions(const struct target *t, const char *sys);

static void look_at_block(struct target *t, const char *path)
{
	char *sys = xasprintf("/sys/dev/block/%u:%u", major(t->st.st_rdev),
			      minor(t->st.st_rdev));
	size_t before = t->out->n;
	int fd;

	each_line(t, "/proc/self/mountinfo", look_at_mount);
	look_at_holders(t, sys);
	look_at_partitions(t, sys);
	fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == EBUSY && t->out->n == before)
		add(t, xstrdup("is claimed by a program or another part of the kernel"));
	else if (fd >= 0 && t->out->n == before)
		look_at_signature(t, fd);
	if (fd >= 0)
		close(fd);
	free(sys);
}

static void look_at_partition(const struct target *t, const char *dir)
{
	char *what = xasprintf("%sits partition %s ", t->what, last_part(dir));
	struct target part = { .what = what, .out = t->out };
	char *dev = sys_read(dir, "dev"), *sys;
	unsigned int maj, min;

	if (sscanf(dev, "%u:%u", &maj, &min) == 2) {
		part.st.st_mode = S_IFBLK;
		part.st.st_rdev = makedev(maj, min);
		sys = xasprintf("/sys/dev/block/%s", dev);
		each_line(&part, "/proc/swaps", look_at_swap);
		each_line(&part, "/proc/self/mountinfo", look_at_mount);
		look_at_holders(&part, sys);
		free(sys);
	}
	free(dev);
	free(what);
}

static void look_at_partitions(const struct target *t, const char *sys)
{
	struct strvec v = { 0 };

	sys_glob(sys, "*/partition", &v);
	for (size_t i = 0; i < v.n; i++) {
		*strrchr(v.v[i], '/') = '\0';
		look_at_partition(t, v.v[i]);
	}
	strvec_free(&v);
}

/* A plain file may be the disk of a loop device. */
static void look_at_loops(const struct target *t)
{
	struct strvec v = { 0 };

	sys_glob("/sys/block", "loop*/loop", &v);
	for (size_t i = 0; i < v.n; i++) {
		char *file = sys_read(v.v[i], "backing_file");

		*strrchr(v.v[i], '/') = '\0';
		if (is_target(t, file))
			add(t, xasprintf("backs /dev/%s", last_part(v.v[i])));
		free(file);
	}
	strvec_free(&v);
}

/**
 * nv_claims() - what uses a device or file on this machine
 * @dev: its path
 * @out: gets for each user the end of a sentence, such as "is mounted at /srv"
 *
 * Nothing is changed, and nothing stays claimed.
 */
void nv_claims(const char *dev, struct strvec *out)
{
	struct target t = { .what = "", .out = out };

	if (stat(dev, &t.st))
		return;
	each_line(&t, "/proc/swaps", look_at_swap);
	if (S_ISBLK(t.st.st_mode))
		look_at_block(&t, dev);
	else
		look_at_loops(&t);
}

/** nv_same_device() - whether two paths lead to the same device or file */
bool nv_same_device(const char *a, const char *b)
{
	struct stat x, y;

	if (!strcmp(a, b))
		return true;
	if (!*b || stat(a, &x) || stat(b, &y))
		return false;
	if (S_ISBLK(x.st_mode) && S_ISBLK(y.st_mode))
		return x.st_rdev == y.st_rdev;
	return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The disk's folder in sysfs, of a partition that of the disk it is in. */
static char *sys_disk(const char *dev, bool *is_part)
{
	char *link, *dir, *partition;
	struct stat st;

	if (stat(dev, &st) || !S_ISBLK(st.st_mode))
		return NULL;
	link = xasprintf("/sys/dev/block/%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
	dir = realpath(link, NULL);
	free(link);
	if (!dir)
		return NULL;
	partition = xasprintf("%s/partition", dir);
	*is_part = !stat(partition, &st);
	if (*is_part)
		*strrchr(dir, '/') = '\0';
	free(partition);
	return dir;
}

/**
 * nv_devices_overlap() - whether two devices or files share blocks
 * @a: a path
 * @b: another
 * Return: true for the same one, and for a disk and one of its partitions.
 */
bool nv_devices_overlap(const char *a, const char *b)
{
	bool part_a = false, part_b = false, same;
	char *x, *y;

	if (nv_same_device(a, b))
		return true;
	x = sys_disk(a, &part_a);
	y = sys_disk(b, &part_b);
	same = x && y && !strcmp(x, y) && part_a != part_b;
	free(x);
	free(y);
	return same;
}
