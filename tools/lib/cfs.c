// SPDX-License-Identifier: GPL-2.0
#include "cfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "msg.h"

static void explain_no_root(const char *root, int err)
{
	struct stat st;

	msg_error("cannot open the configuration tree %s: %s", root,
		  strerror(err));
	if (err == EACCES || err == EPERM) {
		msg_hint("only root may change the target; try sudo");
		return;
	}
	if (strcmp(root, CFS_DEFAULT_ROOT)) {
		msg_hint("look at --root and at the variable NVTGT_ROOT");
		return;
	}
	if (stat("/sys/kernel/config", &st) || st.st_nlink <= 1)
		msg_hint("is configfs mounted? mount -t configfs none /sys/kernel/config");
	msg_hint("the modules may not be loaded: modprobe nvtgt-tcp, or nvtgt-vfu for virtual machines");
	if (!stat(CFS_NVMET_ROOT, &st))
		msg_hint("the nvmet tree exists: nvtgtctl --root %s configures it",
			 CFS_NVMET_ROOT);
}

/* What the module's parameter configfs_root says, while it is loaded. */
static const char *loaded_root(void)
{
	FILE *f = fopen("/sys/module/nvtgt/parameters/configfs_root", "re");
	static char path[sizeof(CFS_MOUNT) + 64];
	char name[64];

	if (!f)
		return NULL;
	if (!fgets(name, sizeof(name), f))
		*name = '\0';
	fclose(f);
	name[strcspn(name, "\n")] = '\0';
	if (!*name || strchr(name, '/'))
		return NULL;
	snprintf(path, sizeof(path), CFS_MOUNT "/%s", name);
	return path;
}

/**
 * cfs_root() - the tree's path
 * @root: what the command line says, or NULL
 * Return: @root, else the variable NVTGT_ROOT, else where the loaded module has
 * its tree, else the default; good until the next call.
 */
const char *cfs_root(const char *root)
{
	if (!root)
		root = getenv("NVTGT_ROOT");
	if (!root || !*root)
		root = loaded_root();
	return root ? root : CFS_DEFAULT_ROOT;
}

/**
 * cfs_open() - open the tree at cfs_root(@root)
 *
 * Says what is missing and what to do.
 * Return: 0 or -errno.
 */
int cfs_open(struct cfs *c, const char *root)
{
	int err;

	root = cfs_root(root);
	*c = (struct cfs){ .fd = -1, .kmsg = -1 };
	c->fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->fd >= 0)
		c->path = realpath(root, NULL);
	if (!c->path) {
		err = errno;
		explain_no_root(root, err);
		cfs_close(c);
		return -err;
	}
	if (!cfs_exists(c, "subsystems") || !cfs_exists(c, "ports") ||
	    !cfs_exists(c, "hosts")) {
		msg_error("%s is not the root of an NVMe target: it lacks subsystems, ports or hosts",
			  root);
		cfs_close(c);
		return -ENOTDIR;
	}
	c->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cfs_klog_mark(c);
	return 0;
}

/** cfs_close() - release what cfs_open() took */
void cfs_close(struct cfs *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->kmsg >= 0)
		close(c->kmsg);
	free(c->path);
	*c = (struct cfs){ .fd = -1, .kmsg = -1 };
}

/** cfs_exists() - whether there is anything at @path */
bool cfs_exists(const struct cfs *c, const char *path)
{
	struct stat st;

	return !fstatat(c->fd, path, &st, AT_SYMLINK_NOFOLLOW);
}

static bool entry_is(int dirfd, const char *name, enum cfs_what what)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	switch (what) {
	case CFS_DIRS:
		return S_ISDIR(st.st_mode);
	case CFS_LINKS:
		return S_ISLNK(st.st_mode);
	case CFS_FILES:
		return S_ISREG(st.st_mode);
	}
	return false;
}

/**
 * cfs_list() - names of the directories, links or files in @dir, sorted
 * @c: the tree
 * @dir: a directory in it
 * @what: which entries
 * @out: gets the names
 */
int cfs_list(const struct cfs *c, const char *dir, enum cfs_what what,
	     struct strvec *out)
{
	int fd = openat(c->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		int err = errno;

		close(fd);
		return -err;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
		    entry_is(fd, e->d_name, what))
			strvec_add(out, e->d_name);
	closedir(d);
	strvec_sort(out);
	return 0;
}

/** cfs_mode() - what the kernel lets the owner do with an attribute */
int cfs_mode(const struct cfs *c, const char *dir, const char *attr,
	     bool *readable, bool *writable)
{
	char *path = xasprintf("%s/%s", dir, attr);
	struct stat st;
	int ret = 0;

	if (fstatat(c->fd, path, &st, AT_SYMLINK_NOFOLLOW))
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -ENOENT;
	free(path);
	if (ret)
		return ret;
	*readable = st.st_mode & S_IRUSR;
	*writable = st.st_mode & S_IWUSR;
	return 0;
}

static int open_attr(const struct cfs *c, const char *dir, const char *attr,
		     int flags)
{
	char *path = xasprintf("%s/%s", dir, attr);
	int fd = openat(c->fd, path, flags | O_CLOEXEC | O_NOFOLLOW);
	int err = errno;

	free(path);
	return fd < 0 ? -err : fd;
}

/**
 * cfs_read() - read an attribute without surrounding white space
 *
 * nvmet prints an unset path as "(null)"; that reads as the empty string.
 * Return: 0 with *@value owned by the caller, or -errno.
 */
int cfs_read(const struct cfs *c, const char *dir, const char *attr,
	     char **value)
{
	int fd = open_attr(c, dir, attr, O_RDONLY);
	char buf[CFS_VALUE_MAX + 1];
	char *s = buf;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, buf, sizeof(buf) - 1);
	if (n < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	close(fd);
	while (n > 0 && (!buf[n - 1] || isspace((unsigned char)buf[n - 1])))
		n--;
	buf[n] = '\0';
	while (isspace((unsigned char)*s))
		s++;
	*value = xstrdup(strcmp(s, "(null)") ? s : "");
	return 0;
}

/**
 * cfs_open_attr() - open an attribute to write it
 * Return: a descriptor, which the caller closes, or -errno.
 */
int cfs_open_attr(const struct cfs *c, const char *dir, const char *attr)
{
	return open_attr(c, dir, attr, O_WRONLY);
}

/** cfs_write() - write an attribute in one system call, with a newline */
int cfs_write(const struct cfs *c, const char *dir, const char *attr,
	      const char *value)
{
	size_t len = strlen(value);
	char *line;
	ssize_t n;
	int fd, ret = 0;

	if (len >= CFS_VALUE_MAX)
		return -EMSGSIZE;
	fd = open_attr(c, dir, attr, O_WRONLY);
	if (fd < 0)
		return fd;
	line = xasprintf("%s\n", value);
	n = write(fd, line, len + 1);
	if (n < 0)
		ret = -errno;
	else if ((size_t)n < len)
		ret = -EIO;
	if (close(fd) && !ret)
		ret = -errno;
	free(line);
	return ret;
}

/** cfs_mkdir() - create an object */
int cfs_mkdir(const struct cfs *c, const char *path)
{
	return mkdirat(c->fd, path, 0755) ? -errno : 0;
}

/** cfs_rmdir() - remove an object */
int cfs_rmdir(const struct cfs *c, const char *path)
{
	return unlinkat(c->fd, path, AT_REMOVEDIR) ? -errno : 0;
}

/**
 * cfs_link() - link @path to the object @target
 *
 * configfs resolves a link's target from the caller's working directory, so
 * that only an absolute path is safe.
 */
int cfs_link(const struct cfs *c, const char *target, const char *path)
{
	char *abs = xasprintf("%s/%s", c->path, target);
	int ret = symlinkat(abs, c->fd, path) ? -errno : 0;

	free(abs);
	return ret;
}

/** cfs_unlink() - remove a link */
int cfs_unlink(const struct cfs *c, const char *path)
{
	return unlinkat(c->fd, path, 0) ? -errno : 0;
}

/** cfs_klog_mark() - forget what the kernel has logged so far */
void cfs_klog_mark(const struct cfs *c)
{
	if (c->kmsg >= 0)
		lseek(c->kmsg, 0, SEEK_END);
}

/**
 * cfs_klog_print() - show what the target has logged since the mark
 * Return: whether there was anything.
 */
bool cfs_klog_print(const struct cfs *c)
{
	bool any = false;
	char rec[8192];
	ssize_t n;

	if (c->kmsg < 0)
		return false;
	for (;;) {
		char *text, *nl;

		n = read(c->kmsg, rec, sizeof(rec) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		rec[n] = '\0';
		text = strchr(rec, ';');
		if (!text)
			continue;
		nl = strchr(text, '\n');
		if (nl)
			*nl = '\0';
		if (!strstr(text, "nvtgt") && !strstr(text, "nvmet"))
			continue;
		msg_hint("kernel: %s", text + 1);
		any = true;
	}
	return any;
}
