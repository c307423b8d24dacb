// SPDX-License-Identifier: GPL-2.0
/*
 * DOC: Replacing a saved configuration
 *
 * The new text is written under a name of its own and synced, the old file
 * becomes FILE.1 and older ones move on, and only then does the new text take
 * the place of FILE: at each moment FILE is one configuration, whole. The same
 * text again changes nothing, so that it does not drive older ones out. What a run
 * that was killed has left under such a name goes with the next.
 */
#include "save.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"
#include "msg.h"

/* in the name of a text that is not in its place yet, before six letters */
#define TEMP_TAG ".new-"

static char *parent_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? xstrndup(file, slash - file + 1) : xstrdup("./");
}

static int make_parent(const char *file)
{
	char *dir = parent_of(file);
	int ret = 0;

	if (mkdir(dir, 0755) && errno != EEXIST)
		ret = -errno;
	free(dir);
	return ret;
}

static int sync_parent(const char *file)
{
	char *dir = parent_of(file);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	free(dir);
	return ret;
}

/* Whether @file is a plain file with exactly this text, for its owner only. */
static bool has_text(const char *file, const char *text, size_t len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	bool same = false;
	struct stat st;
	char *buf;

	if (f && !fstat(fd, &st) && S_ISREG(st.st_mode) &&
	    !(st.st_mode & 077) && (size_t)st.st_size == len) {
		buf = xcalloc(1, len + 1);
		same = fread(buf, 1, len, f) == len && !memcmp(buf, text, len);
		free(buf);
	}
	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
	return same;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	/* EINVAL: nothing that could be synced */
	return fsync(fd) && errno != EINVAL ? -errno : 0;
}

/* What is left of runs that were killed; the lock keeps other runs from saving meanwhile. */
static void remove_stale(const char *file)
{
	const char *slash = strrchr(file, '/');
	char *dir = parent_of(file);
	char *head = xasprintf(".%s" TEMP_TAG, slash ? slash + 1 : file);
	size_t n = strlen(head);
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (!strncmp(e->d_name, head, n) && strlen(e->d_name) == n + 6)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	free(head);
	free(dir);
}

/* A file beside @file with a name that no other run has; mode 0600. */
static int write_temp(const char *file, const char *text, size_t len,
		      char **temp)
{
	const char *slash = strrchr(file, '/');
	char *dir = parent_of(file);
	int fd, ret;

	*temp = xasprintf("%s.%s" TEMP_TAG "XXXXXX", dir,
			  slash ? slash + 1 : file);
	free(dir);
	fd = mkostemp(*temp, O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
		free(*temp);
		*temp = NULL;
		return ret;
	}
	ret = write_all(fd, text, len);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static char *version_of(const char *file, int n)
{
	return n ? xasprintf("%s.%d", file, n) : xstrdup(file);
}

/* @file becomes @file.1 as well, @file.1 becomes @file.2, and so on. */
static int keep_versions(const char *file)
{
	struct stat st;
	int ret = 0;

	if (lstat(file, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(st.st_mode))
		return 0;
	for (int n = NV_SAVE_VERSIONS - 1; n >= 0 && !ret; n--) {
		char *from = version_of(file, n), *to = version_of(file, n + 1);

		if (n)
			ret = rename(from, to);
		/* a file system without hard links */
		else if (link(from, to))
			ret = rename(from, to);
		if (ret)
			ret = errno == ENOENT ? 0 : -errno;
		free(from);
		free(to);
	}
	return ret;
}

/* A pipe or a terminal, such as /dev/stdout: nothing to replace. */
static int write_through(const char *file, const char *text, size_t len)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write_all(fd, text, len);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static int replace(const char *file, const char *text, size_t len)
{
	char *temp = NULL;
	struct stat st;
	int ret;

	if (!stat(file, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return write_through(file, text, len);
	remove_stale(file);
	if (has_text(file, text, len))
		return 0;
	ret = make_parent(file);
	if (!ret)
		ret = write_temp(file, text, len, &temp);
	if (!ret)
		ret = keep_versions(file);
	if (!ret && rename(temp, file))
		ret = -errno;
	if (ret && temp)
		unlink(temp);
	free(temp);
	return ret ? ret : sync_parent(file);
}

/**
 * nv_save_file() - save a configuration, "-" being standard output
 * @file: where; its old versions stay as @file.1 (the newest) and so on
 * @root: the configuration
 *
 * The file appears whole or not at all and is readable by its owner only, since
 * it may hold secrets. The caller holds the lock.
 * Return: 0, or -1 after a message.
 */
int nv_save_file(const char *file, const struct nv_node *root)
{
	struct json_object *obj = nv_json_from_node(root, NV_JSON_SAVE);
	bool to_stdout = !strcmp(file, "-");
	/* a symbolic link stays one */
	char *real = realpath(file, NULL);
	char *text = NULL;
	size_t len = 0;
	FILE *f = to_stdout ? stdout : open_memstream(&text, &len);
	int ret = 0;

	if (f)
		nv_json_print(f, obj);
	if (!f || (to_stdout ? fflush(f) : fclose(f)))
		ret = -errno;
	else if (!to_stdout)
		ret = replace(real ? real : file, text, len);
	if (ret)
		msg_error("cannot save to %s: %s", file, strerror(-ret));
	json_object_put(obj);
	free(text);
	free(real);
	return ret ? -1 : 0;
}
