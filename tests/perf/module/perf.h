/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The load for `make bench`: an NVMe/TCP initiator and a responder that does
 * nothing but answer, both in the kernel, so that no switch to user mode and no
 * host driver stands between two targets that are compared.
 */
#ifndef _NVTGT_PERF_H
#define _NVTGT_PERF_H

#include <linux/nvme.h>
#include <linux/nvme-tcp.h>
#include <linux/types.h>

#define PERF_MAX_CONNS	64
#define PERF_MAX_QD	128
#define PERF_MAX_BYTES	(1024 * 1024)
#define PERF_INLINE	8192	/* writes up to this size go in the capsule, bytes */

/**
 * struct perf_job - what is to be measured
 * @port: TCP port on 127.0.0.1
 * @nqn: subsystem to connect to
 * @nsid: namespace; with @spread, the first of that many
 * @spread: namespaces that the commands go round, 1: one
 * @conns: I/O queues, each a connection and a thread
 * @qd: commands in flight per connection
 * @ios: commands in all
 * @bytes: bytes per command
 * @write: Write, not Read
 * @flow: SQ flow control
 * @ragged: send a random part of what may be sent, not all at once
 * @hdgst: header digests
 * @ddgst: data digests
 */
struct perf_job {
	unsigned int port;
	char nqn[NVMF_NQN_SIZE];
	unsigned int nsid, spread, conns, qd, ios, bytes;
	bool write, flow, ragged, hdgst, ddgst;
};

/**
 * struct perf_result - what came out
 * @cpu_ns: CPU time of the whole process (the kernel, its load and the target)
 * @wall_ns: time that passed
 * @ios: commands completed
 * @sends: calls of the initiator to its sockets
 * @reads: wake-ups of the initiator that found something
 */
struct perf_result {
	u64 cpu_ns, wall_ns;
	unsigned int ios, sends, reads;
};

/* initiator.c */
int perf_run(const struct perf_job *job, struct perf_result *result);
void perf_initiator_exit(void);

/* responder.c */
int perf_responder_start(unsigned int port, const char *bdev);
void perf_responder_exit(void);

/* main.c */
u64 perf_cpu_ns(void);

#endif /* _NVTGT_PERF_H */
