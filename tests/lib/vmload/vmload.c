// SPDX-License-Identifier: GPL-2.0
/*
 * vmload: a guest's driver on /dev/nvtgt-vfu, as fast as it can, without a virtual machine.
 *
 * It keeps DEPTH reads or writes out, waits for an interrupt when there is nothing to reap, as
 * Linux' driver does, and says in a line what that has cost: doorbells that would have been an exit
 * of the virtual processor, interrupts, and CPU time of the target's threads and of itself.
 *
 * Without --no-check each block that is read must be what was written to it, or zeroes; checked says how
 * many were not zeroes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/nvtgt_vfu.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096
#define QUEUE		1024		/* entries of an I/O queue */
#define MAX_DEPTH	256
#define MAX_BYTES	(1 << 20)
#define READ		0x02
#define WRITE		0x01

/* where things lie in the guest's memory */
enum {
	ADMIN_SQ = 0x1000, ADMIN_CQ = 0x2000, SHADOW = 0x3000, EVENT = 0x4000,
	SQ = 0x10000, CQ = 0x20000, LISTS = 0x40000, DATA = 0x200000,
};

struct queue {
	unsigned int id, size;
	uint8_t *sq, *cq;
	uint16_t tail, head, phase;
	bool shadow;
};

struct options {
	unsigned int port, depth, ios, bytes, blocks, idle;
	bool write, shadow, poll, check;
};

static struct options opts = {
	.port = 1, .depth = 32, .ios = 10000, .bytes = PAGE, .blocks = 8192, .shadow = true, .check = true,
};

static uint8_t *memory;
static int ctrl, event;
static uint64_t doorbells, interrupts, sleeps, checked;

static void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("vmload: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static void call(unsigned long request, void *arg, const char *what)
{
	if (ioctl(ctrl, request, arg) < 0)
		die("%s: %s", what, strerror(errno));
}

static void reg_write(uint32_t offset, uint32_t size, uint64_t value)
{
	struct nvtgt_vfu_reg reg = { .offset = offset, .size = size, .value = value };

	call(NVTGT_VFU_REG_WRITE, &reg, "register");
}

static uint64_t reg_read(uint32_t offset, uint32_t size)
{
	struct nvtgt_vfu_reg reg = { .offset = offset, .size = size };

	call(NVTGT_VFU_REG_READ, &reg, "register");
	return reg.value;
}

/* A doorbell as NVMe base 2.1, annex B.5, has it: memory first, and a register write if the controller wants one. */
static void ring(struct queue *q, bool is_cq, uint16_t old, uint16_t new)
{
	unsigned int at = (2 * q->id + is_cq) * 4;

	if (q->shadow) {
		uint32_t *shadow = (uint32_t *)(memory + SHADOW + at);
		uint32_t *wanted = (uint32_t *)(memory + EVENT + at);
		uint16_t idx;

		__atomic_store_n(shadow, new, __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		idx = __atomic_load_n(wanted, __ATOMIC_RELAXED);
		if ((uint16_t)(new - idx - 1) >= (uint16_t)(new - old))
			return;
	}
	doorbells++;
	reg_write(0x1000 + at, 4, new);
}

static void put32(uint8_t *sqe, unsigned int dword, uint32_t value)
{
	memcpy(sqe + 4 * dword, &value, 4);
}

static void put64(uint8_t *sqe, unsigned int dword, uint64_t value)
{
	memcpy(sqe + 4 * dword, &value, 8);
}

static uint8_t *next_sqe(struct queue *q, uint8_t opcode, uint16_t cid)
{
	uint8_t *sqe = q->sq + 64 * q->tail;

	memset(sqe, 0, 64);
	put32(sqe, 0, opcode | (uint32_t)cid << 16);
	q->tail = (q->tail + 1) % q->size;
	return sqe;
}

/* The next completion's command, or -1. */
static int reap(struct queue *q)
{
	uint8_t *cqe = q->cq + 16 * q->head;
	uint16_t status = __atomic_load_n((uint16_t *)(cqe + 14), __ATOMIC_ACQUIRE);
	uint16_t cid;

	if ((status & 1) != q->phase)
		return -1;
	if (status >> 1)
		die("queue %u: status %03xh", q->id, status >> 1 & 0x7ff);
	memcpy(&cid, cqe + 12, 2);
	if (++q->head == q->size) {
		q->head = 0;
		q->phase ^= 1;
	}
	return cid;
}

static void admin(struct queue *q, uint8_t opcode, uint64_t prp1, uint64_t prp2, uint32_t dw10, uint32_t dw11)
{
	uint16_t old = q->tail, head = q->head;
	uint8_t *sqe = next_sqe(q, opcode, 1);

	put64(sqe, 6, prp1);
	put64(sqe, 8, prp2);
	put32(sqe, 10, dw10);
	put32(sqe, 11, dw11);
	ring(q, false, old, q->tail);
	while (reap(q) < 0)
		usleep(100);
	ring(q, true, head, q->head);
}

static void make_memory(void)
{
	size_t size = DATA + (size_t)MAX_DEPTH * opts.bytes;
	struct nvtgt_vfu_map map = { .flags = NVTGT_VFU_MAP_READ | NVTGT_VFU_MAP_WRITE };

	size = (size + (2 << 20) - 1) & ~(size_t)((2 << 20) - 1);
	map.fd = memfd_create("guest", 0);
	map.size = size;
	if (map.fd < 0 || ftruncate(map.fd, size))
		die("memory: %s", strerror(errno));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map.fd, 0);
	if (memory == MAP_FAILED)
		die("memory: %s", strerror(errno));
	call(NVTGT_VFU_MAP, &map, "map");
}

static void make_queue(struct queue *q)
{
	struct queue a = { .size = 32, .sq = memory + ADMIN_SQ, .cq = memory + ADMIN_CQ, .phase = 1 };
	struct nvtgt_vfu_irq irq = { .vector = 1 };

	reg_write(0x24, 4, 31 << 16 | 31);
	reg_write(0x28, 8, ADMIN_SQ);
	reg_write(0x30, 8, ADMIN_CQ);
	reg_write(0x14, 4, 0x460001);
	while (!(reg_read(0x1c, 4) & 3))
		usleep(100);
	if (reg_read(0x1c, 4) & 2)
		die("the controller has failed");
	event = eventfd(0, 0);
	irq.fd = event;
	call(NVTGT_VFU_SET_IRQ, &irq, "interrupt");
	if (opts.shadow)
		admin(&a, 0x7c, SHADOW, EVENT, 0, 0);
	*q = (struct queue){ .id = 1, .size = QUEUE, .sq = memory + SQ, .cq = memory + CQ, .phase = 1,
			     .shadow = opts.shadow };
	admin(&a, 0x05, CQ, 0, (QUEUE - 1) << 16 | 1, 1 << 16 | 3);
	admin(&a, 0x01, SQ, 0, (QUEUE - 1) << 16 | 1, 1 << 16 | 1);
}

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static uint64_t lba_of[MAX_DEPTH];

static void stamp(uint8_t *at, uint64_t lba)
{
	unsigned int i;

	for (i = 0; i < opts.bytes / 512; i++)
		put64(at + 512 * i, 0, (lba + i) * 0x9e3779b97f4a7c15ULL + 1);
}

static void check(const uint8_t *at, uint64_t lba)
{
	unsigned int i;

	for (i = 0; i < opts.bytes / 512; i++) {
		uint64_t got;

		memcpy(&got, at + 512 * i, 8);
		if (got && got != (lba + i) * 0x9e3779b97f4a7c15ULL + 1)
			die("block %llu is not what was written", (unsigned long long)(lba + i));
		checked += !!got;
	}
}

/* PRPs of a command's data, whose list was made at the beginning. */
static void submit(struct queue *q, unsigned int slot)
{
	uint64_t gpa = DATA + (uint64_t)slot * opts.bytes;
	uint64_t lba = rnd() % (opts.blocks - opts.bytes / 512 + 1);
	uint8_t *sqe = next_sqe(q, opts.write ? WRITE : READ, slot);

	lba_of[slot] = lba;
	if (opts.write && opts.check)
		stamp(memory + gpa, lba);
	put32(sqe, 1, 1);
	put64(sqe, 6, gpa);
	if (opts.bytes == 2 * PAGE)
		put64(sqe, 8, gpa + PAGE);
	else if (opts.bytes > 2 * PAGE)
		put64(sqe, 8, LISTS + (uint64_t)slot * PAGE);
	put64(sqe, 10, lba);
	put32(sqe, 12, opts.bytes / 512 - 1);
}

static void make_lists(void)
{
	unsigned int slot, i;

	for (slot = 0; slot < opts.depth; slot++)
		for (i = 1; i < opts.bytes / PAGE; i++)
			put64(memory + LISTS + (uint64_t)slot * PAGE, 2 * (i - 1),
			      DATA + (uint64_t)slot * opts.bytes + (uint64_t)i * PAGE);
}

static void wait_for_interrupt(void)
{
	uint64_t count;

	sleeps++;
	if (read(event, &count, sizeof(count)) != sizeof(count))
		die("eventfd: %s", strerror(errno));
	interrupts += count;
}

static void run(struct queue *q, unsigned int ios)
{
	unsigned int out = 0, begun = 0, slot;
	uint16_t old = q->tail;

	for (slot = 0; slot < opts.depth && begun < ios; slot++, out++, begun++)
		submit(q, slot);
	ring(q, false, old, q->tail);
	while (out) {
		uint16_t head = q->head;
		int cid;

		old = q->tail;
		while ((cid = reap(q)) >= 0) {
			if ((unsigned int)cid >= opts.depth)
				die("a completion of command %d", cid);
			if (!opts.write && opts.check)
				check(memory + DATA + (uint64_t)cid * opts.bytes, lba_of[cid]);
			out--;
			if (begun < ios) {
				submit(q, cid);
				out++;
				begun++;
			}
		}
		if (q->head != head)
			ring(q, true, head, q->head);
		if (q->tail != old)
			ring(q, false, old, q->tail);
		else if (q->head == head && !opts.poll)
			wait_for_interrupt();
	}
}

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* CPU time of the target's threads, in ns: kernel threads whose name begins with nvtgt */
static uint64_t target_ns(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	uint64_t sum = 0;

	while (proc && (d = readdir(proc))) {
		char path[300], name[64] = "";
		unsigned long long ns;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (d->d_name[0] < '0' || d->d_name[0] > '9' || !(f = fopen(path, "r")))
			continue;
		if (!fgets(name, sizeof(name), f))
			*name = '\0';
		fclose(f);
		if (strncmp(name, "nvtgt", 5))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%llu", &ns) == 1)
			sum += ns;
		fclose(f);
	}
	if (proc)
		closedir(proc);
	return sum;
}

static unsigned int number(const char *text, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!n || n > max || *end)
		die("%s: not a number from 1 to %u", text, max);
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "port", 1, NULL, 'p' }, { "depth", 1, NULL, 'd' }, { "ios", 1, NULL, 'n' },
		{ "bytes", 1, NULL, 'b' }, { "blocks", 1, NULL, 'B' }, { "write", 0, NULL, 'w' },
		{ "no-shadow", 0, NULL, 's' }, { "poll", 0, NULL, 'P' }, { "no-check", 0, NULL, 'c' },
		{ "idle", 1, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 'p': opts.port = number(optarg, 65535); break;
		case 'd': opts.depth = number(optarg, MAX_DEPTH); break;
		case 'n': opts.ios = number(optarg, ~0U); break;
		case 'b': opts.bytes = number(optarg, MAX_BYTES); break;
		case 'B': opts.blocks = number(optarg, ~0U); break;
		case 'w': opts.write = true; break;
		case 's': opts.shadow = false; break;
		case 'P': opts.poll = true; break;
		case 'i': opts.idle = number(optarg, 3600); break;
		case 'c': opts.check = false; break;
		default: exit(2);
		}
	if (opts.bytes % 512 || (opts.bytes > PAGE && opts.bytes % PAGE))
		die("--bytes: blocks of 512, and whole pages beyond one");
	if (opts.blocks < opts.bytes / 512)
		die("--blocks: less than a command");
}

int main(int argc, char **argv)
{
	struct nvtgt_vfu_attach attach = { .nr_vectors = 16 };
	uint64_t wall, self, target;
	struct queue q;
	int dev;

	parse(argc, argv);
	dev = open("/dev/nvtgt-vfu", O_RDWR | O_CLOEXEC);
	attach.port = opts.port;
	if (dev < 0)
		die("/dev/nvtgt-vfu: %s", strerror(errno));
	ctrl = ioctl(dev, NVTGT_VFU_ATTACH, &attach);
	if (ctrl < 0)
		die("attach: %s", strerror(errno));
	make_memory();
	make_queue(&q);
	make_lists();
	/* pinning, and what else the first commands need, is not what is measured */
	run(&q, 2 * MAX_DEPTH);
	doorbells = interrupts = sleeps = 0;
	wall = now(CLOCK_MONOTONIC);
	self = now(CLOCK_THREAD_CPUTIME_ID);
	target = target_ns();
	run(&q, opts.ios);
	target = target_ns() - target;
	self = now(CLOCK_THREAD_CPUTIME_ID) - self;
	wall = now(CLOCK_MONOTONIC) - wall;
	printf("ios=%u wall_ns=%llu target_ns=%llu self_ns=%llu doorbells=%llu interrupts=%llu sleeps=%llu checked=%llu\n",
	       opts.ios, (unsigned long long)wall, (unsigned long long)target, (unsigned long long)self,
	       (unsigned long long)doorbells, (unsigned long long)interrupts, (unsigned long long)sleeps,
	       (unsigned long long)checked);
	if (opts.idle) {
		puts("idle");
		fflush(stdout);
		sleep(opts.idle);
	}
	return 0;
}
