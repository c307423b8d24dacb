// SPDX-License-Identifier: GPL-2.0
/* nvtgt-vfud: options, the list of ports, and what ends the daemon. */
#include "vfud.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define STOP_S		5		/* for a client's message that a device holds up */

struct vfud_options vfud_opts = {
	.nr_vectors	= 64,		/* Windows' driver does not take many more */
	.vendor		= 0x1d6b,	/* Linux Foundation */
	.device		= 0x0a54,
	.gid		= -1,
	.mode		= 0600,
	.control	= "/run/nvtgt-vfud/control",
	.seccomp	= true,
};

static struct vfud_endpoint *endpoints;
static int wake_fd = -1;

/** vfud_main_wake() - an endpoint has ended */
void vfud_main_wake(void)
{
	uint64_t one = 1;

	if (write(wake_fd, &one, sizeof(one)) < 0)
		return;			/* it is awake already */
}

static void usage(FILE *f)
{
	fputs("usage: nvtgt-vfud [OPTIONS]\n"
	      "       nvtgt-vfud --status [--json]\n"
	      "\n"
	      "Shows nvtgt's subsystems to virtual machines, as PCIe NVMe controllers over vfio-user:\n"
	      "each port with addr_trtype vfio-user, on the socket that its addr_traddr names.\n"
	      "\n"
	      "  --user NAME       become this user once /dev/nvtgt-vfu is open\n"
	      "  --group NAME      group of the sockets\n"
	      "  --mode MODE       permissions of the sockets, octal (0600; with --group 0660)\n"
	      "  --vectors N       MSI-X vectors of a controller, 1 to 2048 (64)\n"
	      "  --pci-id ID       PCI vendor and device, VVVV:DDDD (1d6b:0a54)\n"
	      "  --control PATH    socket for --status (/run/nvtgt-vfud/control)\n"
	      "  --no-seccomp      do not limit the system calls\n"
	      "  --hold            stay, and keep guests' connections while the daemon is replaced:\n"
	      "                    on SIGHUP, or when it ends; systemd does so by itself\n"
	      "  --status          show the endpoints of the daemon that runs\n"
	      "  --json            as JSON\n"
	      "  --version\n"
	      "  --help\n", f);
}

static bool parse_pci_id(const char *text)
{
	unsigned int vendor, device;
	int end = 0;

	if (sscanf(text, "%4x:%4x%n", &vendor, &device, &end) != 2 || text[end])
		return false;
	vfud_opts.vendor = vendor;
	vfud_opts.device = device;
	return true;
}

static bool parse_vectors(const char *text)
{
	uint64_t n;

	if (!str_to_u64(text, &n) || !n || n > VFUD_MAX_VECTORS)
		return false;
	vfud_opts.nr_vectors = n;
	return true;
}

static bool parse_mode(const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || mode > 0777)
		return false;
	vfud_opts.mode = mode;
	return true;
}

static bool parse_group(const char *name)
{
	struct group *gr = getgrnam(name);

	if (!gr)
		return false;
	vfud_opts.gid = gr->gr_gid;
	return true;
}

enum { OPT_USER = 256, OPT_GROUP, OPT_MODE, OPT_VECTORS, OPT_PCI_ID, OPT_CONTROL, OPT_NO_SECCOMP,
       OPT_HOLD, OPT_STATUS, OPT_JSON, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
	{ "user", required_argument, NULL, OPT_USER },
	{ "group", required_argument, NULL, OPT_GROUP },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "vectors", required_argument, NULL, OPT_VECTORS },
	{ "pci-id", required_argument, NULL, OPT_PCI_ID },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "no-seccomp", no_argument, NULL, OPT_NO_SECCOMP },
	{ "hold", no_argument, NULL, OPT_HOLD },
	{ "status", no_argument, NULL, OPT_STATUS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct request {
	bool hold, status, json, mode;
};

static bool parse_option(int c, struct request *req)
{
	switch (c) {
	case OPT_USER:
		vfud_opts.user = optarg;
		return true;
	case OPT_GROUP:
		return parse_group(optarg);
	case OPT_MODE:
		req->mode = true;
		return parse_mode(optarg);
	case OPT_VECTORS:
		return parse_vectors(optarg);
	case OPT_PCI_ID:
		return parse_pci_id(optarg);
	case OPT_CONTROL:
		vfud_opts.control = optarg;
		return *optarg == '/';
	case OPT_NO_SECCOMP:
		vfud_opts.seccomp = false;
		return true;
	case OPT_HOLD:
		req->hold = true;
		return true;
	case OPT_STATUS:
		req->status = true;
		return true;
	case OPT_JSON:
		req->json = true;
		return true;
	case OPT_VERSION:
		puts("nvtgt-vfud " NVTGT_VERSION);
		exit(0);
	case OPT_HELP:
		usage(stdout);
		exit(0);
	default:
		exit(2);		/* getopt_long() has said why */
	}
}

static void parse_options(int argc, char **argv, struct request *req)
{
	int c, index = 0;

	while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (parse_option(c, req))
			continue;
		fprintf(stderr, "nvtgt-vfud: --%s %s: %s\n", options[index].name, optarg,
			c == OPT_GROUP ? "there is no such group" :
			c == OPT_CONTROL ? "not an absolute path" : "not a valid value");
		exit(2);
	}
	if (optind < argc) {
		fprintf(stderr, "nvtgt-vfud: what is \"%s\"? See nvtgt-vfud --help\n", argv[optind]);
		exit(2);
	}
	if (req->json && !req->status) {
		fprintf(stderr, "nvtgt-vfud: --json goes with --status\n");
		exit(2);
	}
	if (!req->mode && vfud_opts.gid != (gid_t)-1)
		vfud_opts.mode = 0660;
}

static struct vfud_endpoint *find_endpoint(unsigned int port, const char *path)
{
	struct vfud_endpoint *ep;

	for (ep = endpoints; ep; ep = ep->next)
		if (ep->port == port && !strcmp(ep->path, path) && !atomic_load(&ep->remove))
			return ep;
	return NULL;
}

static void remove_unseen(void)
{
	struct vfud_endpoint *ep;

	for (ep = endpoints; ep; ep = ep->next) {
		if (ep->seen || atomic_load(&ep->remove))
			continue;
		vfud_endpoint_remove(ep);
	}
}

/* Endpoints whose thread has ended. */
static void reap(void)
{
	struct vfud_endpoint **at = &endpoints, *ep;

	while ((ep = *at)) {
		if (!atomic_load(&ep->finished)) {
			at = &ep->next;
			continue;
		}
		*at = ep->next;
		pthread_join(ep->thread, NULL);
		vfud_endpoint_free(ep);
	}
}

static int read_ports(int dev_fd)
{
	struct nvtgt_vfu_port_info *ports;
	struct vfud_endpoint *ep;
	unsigned int nr, i;
	int ret = vfud_kernel_ports(dev_fd, &ports, &nr);

	if (ret) {
		vfud_err(NULL, "the list of ports: %s", strerror(-ret));
		return ret;
	}
	for (ep = endpoints; ep; ep = ep->next)
		ep->seen = false;
	/* those that go first: another port may get their socket */
	for (i = 0; i < nr; i++) {
		ports[i].path[sizeof(ports[i].path) - 1] = '\0';
		ep = find_endpoint(ports[i].id, ports[i].path);
		if (ep)
			ep->seen = true;
	}
	remove_unseen();
	for (i = 0; i < nr; i++) {
		if (find_endpoint(ports[i].id, ports[i].path))
			continue;
		ep = vfud_endpoint_start(dev_fd, ports[i].id, ports[i].path);
		if (!ep)
			continue;
		ep->next = endpoints;
		endpoints = ep;
	}
	free(ports);
	return 0;
}

/* Lets each endpoint end what it is doing. Returns whether all have. */
static bool stop_all(void)
{
	struct vfud_endpoint *ep;
	struct timespec until;
	bool all = true;

	for (ep = endpoints; ep; ep = ep->next) {
		atomic_store(&ep->stop, true);
		vfud_endpoint_wake(ep);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_S;
	for (ep = endpoints; ep; ep = ep->next)
		if (pthread_timedjoin_np(ep->thread, NULL, &until)) {
			vfud_warn(ep->path, "still waits for a device");
			all = false;
		}
	return all;
}

static int serve(int dev_fd, int control_fd, int sigs)
{
	for (;;) {
		struct pollfd pfd[] = {
			{ .fd = dev_fd, .events = POLLIN },
			{ .fd = control_fd, .events = POLLIN },
			{ .fd = sigs, .events = POLLIN },
			{ .fd = wake_fd, .events = POLLIN },
		};
		uint64_t count;

		if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0 && errno != EINTR)
			return 1;
		if (pfd[2].revents)
			return 0;
		if (pfd[3].revents && read(wake_fd, &count, sizeof(count)) > 0)
			reap();
		if (pfd[0].revents && read_ports(dev_fd))
			return 1;
		if (pfd[1].revents)
			vfud_status_answer(control_fd, endpoints);
	}
}

static int run(void)
{
	int dev_fd, control_fd, sigs, ret;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(0);			/* each file's mode is given with it */
	vfud_store_init();

	sigs = signalfd(-1, &mask, SFD_CLOEXEC);
	wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	dev_fd = vfud_kernel_open();
	if (dev_fd < 0) {
		vfud_err(NULL, "/dev/nvtgt-vfu: %s%s", strerror(-dev_fd),
			 dev_fd == -ENOENT ? " (is the module loaded? modprobe nvtgt-vfu)" : "");
		return 1;
	}
	if (vfud_drop_privileges(vfud_opts.user, vfud_opts.gid))
		return 1;
	control_fd = vfud_status_listen(vfud_opts.control);
	if (control_fd < 0) {
		vfud_err(NULL, "%s: %s", vfud_opts.control,
			 control_fd == -EADDRINUSE ? "another daemon runs" : strerror(-control_fd));
		return 1;
	}
	if (vfud_opts.seccomp && vfud_limit_calls())
		return 1;
	if (read_ports(dev_fd))
		return 1;
	vfud_store_close_rest();
	sd_notify(0, "READY=1");
	ret = serve(dev_fd, control_fd, sigs);
	sd_notify(0, "STOPPING=1");
	unlink(vfud_opts.control);
	/* a thread that still waits ends with the process */
	if (!stop_all())
		_exit(ret);
	return ret;
}

/* Each guest takes five file descriptors here, and four where they are kept. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* The daemon's own command line is the holder's without --hold. */
static int hold(int argc, char **argv)
{
	char **args = xcalloc(argc + 1, sizeof(*args));
	int i, n = 0;

	for (i = 0; i < argc; i++)
		if (strcmp(argv[i], "--hold"))
			args[n++] = argv[i];
	return vfud_hold(args);
}

int main(int argc, char **argv)
{
	struct request req = { 0 };

	vfud_log_init();
	parse_options(argc, argv, &req);
	if (req.status)
		return vfud_status_show(vfud_opts.control, req.json);
	raise_limit();
	if (req.hold)
		return hold(argc, argv);
	return run();
}
