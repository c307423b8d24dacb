// SPDX-License-Identifier: GPL-2.0
/*
 * A directory tree that behaves like the target's configfs as far as nvtgtctl
 * can tell, so that the whole tool runs without a kernel module: creating an
 * object brings its attributes, and a few of the kernel's rules are kept. The
 * linker's --wrap puts these functions in the place of the system's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_mkdirat(int dirfd, const char *path, mode_t mode);
int __real_unlinkat(int dirfd, const char *path, int flags);
int __real_symlinkat(const char *target, int dirfd, const char *path);
ssize_t __real_write(int fd, const void *buf, size_t n);

struct entry {
	const char *name;
	/* NULL for a directory */
	const char *value;
	mode_t mode;
};

static const struct entry host[] = {
	{ "dhchap_key", "", 0644 }, { "dhchap_ctrl_key", "", 0644 },
	{ "dhchap_hash", "hmac(sha256)", 0644 },
	{ "dhchap_dhgroup", "null", 0644 }, { 0 }
};

static const struct entry subsystem[] = {
	{ "attr_allow_any_host", "0", 0644 }, { "attr_version", "2.1", 0644 },
	{ "attr_serial", "0123456789abcdef", 0644 },
	{ "attr_model", "Linux", 0644 }, { "attr_cntlid_min", "1", 0644 },
	{ "attr_cntlid_max", "65519", 0644 }, { "allowed_hosts", NULL, 0 },
	{ "namespaces", NULL, 0 }, { 0 }
};

static const struct entry ns[] = {
	{ "device_path", "(null)", 0644 },
	{ "device_uuid", "11111111-2222-3333-4444-555555555555", 0644 },
	{ "device_nguid", "00000000-0000-0000-0000-000000000000", 0644 },
	{ "ana_grpid", "1", 0644 }, { "buffered_io", "0", 0644 },
	{ "revalidate_size", "", 0200 }, { "enable", "0", 0644 },
	{ "backend", "bdev", 0644 }, { "backend_options", "", 0644 },
	{ "size_bytes", "1610612736", 0444 }, { "readonly", "1", 0444 },
	{ "lost", "0", 0444 }, { 0 }
};

static const struct entry port[] = {
	{ "addr_trtype", "", 0644 }, { "addr_adrfam", "", 0644 },
	{ "addr_traddr", "", 0644 }, { "addr_trsvcid", "", 0644 },
	{ "addr_treq", "not specified", 0644 }, { "addr_tsas", "", 0644 },
	{ "param_inline_data_size", "-1", 0644 },
	{ "param_inline_data_size_in_force", "16384", 0444 },
	{ "param_cpus", "all", 0644 },
	{ "param_hostnqn", "", 0644 }, { "param_hostid", "", 0644 },
	{ "netns", "", 0444 },
	{ "subsystems", NULL, 0 }, { "referrals", NULL, 0 },
	{ "ana_groups", NULL, 0 }, { "ana_groups/1", NULL, 0 },
	{ "ana_groups/1/ana_state", "optimized", 0644 }, { 0 }
};

static const struct entry referral[] = {
	{ "addr_trtype", "", 0644 }, { "addr_adrfam", "", 0644 },
	{ "addr_traddr", "", 0644 }, { "addr_trsvcid", "", 0644 },
	{ "addr_treq", "not specified", 0644 }, { "addr_portid", "0", 0644 },
	{ "enable", "0", 0644 }, { 0 }
};

static const struct entry ana[] = { { "ana_state", "inaccessible", 0644 }, { 0 } };

static const struct {
	const char *dir;
	const struct entry *entries;
} kinds[] = {
	{ "namespaces", ns }, { "referrals", referral },
	{ "ana_groups", ana }, { "hosts", host }, { "subsystems", subsystem },
	{ "ports", port },
};

/* The template for a path by the directory that it is made in. */
static const struct entry *template_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *dir = slash;

	if (!slash)
		return NULL;
	while (dir > path && dir[-1] != '/')
		dir--;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strlen(kinds[i].dir) == (size_t)(slash - dir) &&
		    !strncmp(kinds[i].dir, dir, slash - dir))
			return kinds[i].entries;
	return NULL;
}

/* NVTGT_FAKE_KILL=N: the process dies before its Nth change. */
static void maybe_die(void)
{
	static long count;
	const char *at = getenv("NVTGT_FAKE_KILL");

	if (at && ++count == atol(at))
		raise(SIGKILL);
}

static void put(int dirfd, const char *dir, const struct entry *e)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	/* NVTGT_FAKE_OLD: a target that gives virtual machines no name */
	if (getenv("NVTGT_FAKE_OLD") && !strncmp(e->name, "param_host", 10))
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, e->name);
	if (!e->value) {
		__real_mkdirat(dirfd, path, 0755);
		return;
	}
	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, e->mode);
	if (fd < 0)
		abort();
	if (!strcmp(e->name, "netns") && !stat("/proc/self/ns/net", &st))
		dprintf(fd, "%lu\n", (unsigned long)st.st_ino);
	else
		dprintf(fd, "%s\n", e->value);
	close(fd);
}

int __wrap_mkdirat(int dirfd, const char *path, mode_t mode)
{
	const struct entry *e = template_of(path);
	int ret;

	if (!e)
		return __real_mkdirat(dirfd, path, mode);
	maybe_die();
	ret = __real_mkdirat(dirfd, path, mode);
	for (; !ret && e->name; e++)
		put(dirfd, path, e);
	return ret;
}

static int read_value(const char *dir, const char *attr, char *buf, size_t n)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, attr);
	f = fopen(path, "r");
	if (!f)
		return -1;
	if (!fgets(buf, n, f))
		*buf = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
	return 0;
}

/*
 * A device hangs while the file DEVICE.hangs exists: its namespace is not enabled
 * and not disabled so long. With DEVICE.stuck the namespace is not removed either.
 */
static void wait_for_device(const char *ns, const char *suffix)
{
	char device[256] = "", file[300];

	read_value(ns, "device_path", device, sizeof(device));
	snprintf(file, sizeof(file), "%s.%s", device, suffix);
	while (!access(file, F_OK))
		usleep(20000);
}

int __wrap_unlinkat(int dirfd, const char *path, int flags)
{
	const struct entry *all = template_of(path), *e;
	char sub[PATH_MAX];

	if (template_of(path))
		maybe_die();
	/* NVTGT_FAKE_BUSY=PATH: this object does not go */
	if (getenv("NVTGT_FAKE_BUSY") && flags & AT_REMOVEDIR &&
	    !strcmp(path, getenv("NVTGT_FAKE_BUSY"))) {
		errno = EBUSY;
		return -1;
	}
	if (all == ns) {
		snprintf(sub, sizeof(sub), "%s/%s", getenv("NVTGT_ROOT"), path);
		wait_for_device(sub, "stuck");
	}
	if (!(flags & AT_REMOVEDIR) || !all)
		return __real_unlinkat(dirfd, path, flags);
	/* user-made children keep their parent, as in configfs */
	for (e = all; e->name; e++)
		;
	while (e-- > all) {
		int dir = e->value ? 0 : AT_REMOVEDIR;

		snprintf(sub, sizeof(sub), "%s/%s", path, e->name);
		if (__real_unlinkat(dirfd, sub, dir) && errno == ENOTEMPTY) {
			for (; e->name; e++)
				put(dirfd, path, e);
			errno = ENOTEMPTY;
			return -1;
		}
	}
	return __real_unlinkat(dirfd, path, flags);
}

int __wrap_symlinkat(const char *target, int dirfd, const char *path)
{
	const char *tail = strstr(path, "/allowed_hosts/");
	char any[8] = "", dir[PATH_MAX], link[64];
	struct stat st;
	ssize_t n;

	maybe_die();
	if (stat(target, &st)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, dir, sizeof(dir) - 1);
	if (tail && n > 0) {
		snprintf(dir + n, sizeof(dir) - n, "/%.*s",
			 (int)(tail - path), path);
		if (!read_value(dir, "attr_allow_any_host", any,
				sizeof(any)) && !strcmp(any, "1")) {
			errno = EINVAL;
			return -1;
		}
	}
	/* NVTGT_FAKE_LINK=ERRNO: the transport does not open the port */
	if (!strncmp(path, "ports/", 6) && getenv("NVTGT_FAKE_LINK")) {
		errno = atoi(getenv("NVTGT_FAKE_LINK"));
		return -1;
	}
	if (!strncmp(path, "ports/", 6) && n > 0) {
		snprintf(dir + n, sizeof(dir) - n, "/%.*s",
			 (int)strcspn(path + 6, "/") + 6, path);
		if (!read_value(dir, "addr_traddr", any, sizeof(any)) &&
		    !*any) {
			errno = EINVAL;
			return -1;
		}
	}
	return __real_symlinkat(target, dirfd, path);
}

static int has_entries(const char *dir, const char *sub)
{
	char cmd[PATH_MAX + 64];

	snprintf(cmd, sizeof(cmd), "%s/%s", dir, sub);
	/* an empty directory has only "." and "..", so rmdir would succeed */
	if (rmdir(cmd))
		return errno == ENOTEMPTY;
	__real_mkdirat(AT_FDCWD, cmd, 0755);
	return 0;
}

/* The kernel's rules that the tests lean on; 0 or an errno. */
static int check_write(const char *dir, const char *attr, const char *value)
{
	char buf[256] = "", other[256] = "";

	if (!strncmp(attr, "device_", 7) || !strcmp(attr, "backend") ||
	    !strcmp(attr, "backend_options"))
		if (!read_value(dir, "enable", buf, sizeof(buf)) &&
		    !strcmp(buf, "1"))
			return EBUSY;
	if (!strncmp(attr, "addr_", 5) && strstr(dir, "/ports/") &&
	    !strstr(dir, "/referrals/") && has_entries(dir, "subsystems"))
		return EACCES;
	if (!strcmp(attr, "enable") && !strcmp(value, "1") &&
	    strstr(dir, "/namespaces/")) {
		wait_for_device(dir, "hangs");
		read_value(dir, "device_path", buf, sizeof(buf));
		read_value(dir, "backend", other, sizeof(other));
		if (strcmp(other, "null") && access(buf, F_OK))
			return ENOENT;
	}
	if (!strcmp(attr, "enable") && !strcmp(value, "0") &&
	    strstr(dir, "/namespaces/"))
		wait_for_device(dir, "hangs");
	if (!strcmp(attr, "attr_allow_any_host") && !strcmp(value, "1") &&
	    has_entries(dir, "allowed_hosts"))
		return EINVAL;
	if (!strcmp(attr, "attr_cntlid_min") &&
	    !read_value(dir, "attr_cntlid_max", buf, sizeof(buf)) &&
	    atol(value) > atol(buf))
		return EINVAL;
	if (!strcmp(attr, "attr_cntlid_max") &&
	    !read_value(dir, "attr_cntlid_min", buf, sizeof(buf)) &&
	    atol(value) < atol(buf))
		return EINVAL;
	if (!strncmp(attr, "param_host", 10) && has_entries(dir, "subsystems"))
		return EACCES;
	if (!strcmp(attr, "addr_trtype") && strcmp(value, "tcp") && strcmp(value, "vfio-user"))
		return EINVAL;
	if (!strncmp(attr, "addr_", 5) && !*value)
		return EINVAL;
	return !strcmp(value, "refuse-me") ? EINVAL : 0;
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
	const char *root = getenv("NVTGT_ROOT");
	char link[64], path[PATH_MAX], value[4096];
	size_t len = n < sizeof(value) ? n : sizeof(value) - 1;
	char *slash;
	ssize_t got;
	int err;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, sizeof(path) - 1);
	if (got <= 0 || !root || strncmp(path, root, strlen(root)))
		return __real_write(fd, buf, n);
	maybe_die();
	path[got] = '\0';
	memcpy(value, buf, len);
	value[len] = '\0';
	value[strcspn(value, "\n")] = '\0';
	slash = strrchr(path, '/');
	*slash = '\0';
	err = check_write(path, slash + 1, value);
	if (!err && !ftruncate(fd, 0))
		return __real_write(fd, buf, n);
	errno = err;
	return -1;
}
