/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the core and a transport.
 *
 * The way of a command:
 *
 *	nvtgt_req_init()	the transport has received a capsule
 *	nvtgt_req_parse()	the core judges it: length, direction, right
 *	nvtgt_buf_get()		the transport gets memory and moves data in
 *	nvtgt_req_execute()	the core or a backend works
 *	ops->respond()		in the reactor: the result is there
 *	nvtgt_req_cqe()		the transport makes the completion entry
 *	nvtgt_req_release()	data and completion are on their way
 *
 * All of these run in the reactor that owns the queue. Where the transport has to
 * wait between parse and execute, for memory or for the host, it parks the request,
 * so that nobody waits with it for the namespace.
 */
#ifndef _NVTGT_TRANSPORT_H
#define _NVTGT_TRANSPORT_H

#include <linux/bits.h>
#include <linux/module.h>
#include <linux/socket.h>
#include <nvtgt/types.h>

/** NVTGT_TRANSPORT_VERSION - grows with each change of this contract */
#define NVTGT_TRANSPORT_VERSION	6

/** NVTGT_CTRL_SGLS_TRANSPORT - SGLS of Identify Controller: transport SGL data blocks */
#define NVTGT_CTRL_SGLS_TRANSPORT	BIT(21)

/**
 * struct nvtgt_transport_ops - what a transport provides
 *
 * @version: NVTGT_TRANSPORT_VERSION. Required.
 * @size: sizeof(struct nvtgt_transport_ops). Required.
 * @name: as in addr_trtype. Required.
 * @owner: THIS_MODULE. The core holds a reference for each enabled port.
 * @moves_pi: protection information can be moved, on ports with port->pi
 * @needs_ka: a host may not do without a keep alive timer (NVMe base 2.1, 3.9)
 * @trtype: NVMF_TRTYPE_*. One transport per type.
 * @sgls: which SGL descriptors its capsules may have beside a plain data block: bits of
 *	SGLS in Identify Controller
 *
 * @add_port: open the listener for @port, in @port->net. May sleep; the
 *	configuration lock is held. Fills in the parameters that are -1. After
 *	success connections may arrive at once. Returns 0 or a negative errno,
 *	and has logged the reason. Required.
 * @remove_port: close the listener and disconnect every queue that came in
 *	through @port. May sleep; the configuration lock is held. Returns when no
 *	new queue can appear; the old ones may still be on their way out (they
 *	hold references of their own on the port's memory). Required.
 * @disconnect: end the queue's connection: nothing more is received, what is
 *	in flight is let finish, then the transport calls nvtgt_queue_destroy().
 *	Any context, may be called repeatedly and beside itself. The caller
 *	guarantees that the queue's memory lives: it stands in its controller's
 *	list, and ctrl->lock is held. Must not sleep. Required.
 * @respond: the request has its result. Reactor context, must not sleep.
 *	Usually puts it into a list and asks for @flush with
 *	nvtgt_queue_want_flush(). Required.
 * @flush: send everything that became ready for the queue, in as few calls as
 *	the transport can. Reactor context, once per pass, must not block.
 *	Required.
 * @stop: the queue is being stopped: call nvtgt_req_stop() for each command that
 *	has been handed to the core and whose respond() has not come. Called by
 *	nvtgt_queue_stop(), once. Reactor context, must not sleep. Required.
 * @abort: the host asks to abort the command @cid. Reactor context, must not
 *	sleep. Returns true when the command was still the transport's (waiting
 *	for memory or for the host's data) and has been failed with
 *	NVME_SC_ABORT_REQ, or nvtgt_req_cancel() has taken it back from the core.
 *	Optional; the default is false.
 * @hung_up: has the host ended the connection, or cut it, although the reactor may not
 *	have seen it yet? Called under ctrl->lock for a queue in its controller's list:
 *	must not sleep. Optional; the default is false.
 * @host_traddr: write the peer's address, as text, at most @len bytes with
 *	the NUL. Called under ctrl->lock: must not sleep. Optional; the default
 *	is "".
 * @disc_traddr: write the address that a host which came in through @queue
 *	should be told for @port when the port listens on any address. Returns
 *	false when the port's own text is right. Optional.
 */
struct nvtgt_transport_ops {
	u32 version;
	size_t size;
	const char *name;
	struct module *owner;
	bool moves_pi;
	bool needs_ka;
	u8 trtype;
	u32 sgls;

	int (*add_port)(struct nvtgt_port *port);
	void (*remove_port)(struct nvtgt_port *port);
	void (*disconnect)(struct nvtgt_queue *queue);
	void (*respond)(struct nvtgt_req *req);
	void (*flush)(struct nvtgt_queue *queue);
	void (*stop)(struct nvtgt_queue *queue);
	bool (*abort)(struct nvtgt_queue *queue, u16 cid);
	bool (*hung_up)(struct nvtgt_queue *queue);
	void (*host_traddr)(struct nvtgt_queue *queue, char *buf, size_t len);
	bool (*disc_traddr)(struct nvtgt_queue *queue, const struct nvtgt_port *port,
			    char *buf, size_t len);
};

int __must_check nvtgt_transport_register(const struct nvtgt_transport_ops *ops);
void nvtgt_transport_unregister(const struct nvtgt_transport_ops *ops);

/* Ports: a transport's object that outlives remove_port() holds its own. */
void nvtgt_port_get(struct nvtgt_port *port);
void nvtgt_port_put(struct nvtgt_port *port);
bool nvtgt_sockaddr_is_any(const struct sockaddr_storage *ss);
int __must_check nvtgt_port_sockaddr(const struct nvtgt_port *port, struct sockaddr_storage *ss);

int nvtgt_param_set_timeout(const char *val, const struct kernel_param *kp);

/* Queues. */
void nvtgt_queue_init(struct nvtgt_queue *queue, struct nvtgt_port *port,
		      const struct nvtgt_transport_ops *ops);
void nvtgt_queue_stop(struct nvtgt_queue *queue);
void nvtgt_queue_destroy(struct nvtgt_queue *queue);
void nvtgt_queue_want_flush(struct nvtgt_queue *queue);
void nvtgt_queue_move(struct nvtgt_queue *queue, struct nvtgt_reactor *to);
bool nvtgt_queue_connected(const struct nvtgt_queue *queue);

/* Requests. */
void nvtgt_req_init(struct nvtgt_req *req, struct nvtgt_queue *queue,
		    struct nvme_command *cmd, u32 transfer_len);
bool __must_check nvtgt_req_parse(struct nvtgt_req *req);
void nvtgt_req_park(struct nvtgt_req *req);
void nvtgt_req_execute(struct nvtgt_req *req);
void nvtgt_req_fail(struct nvtgt_req *req, u16 status);
void nvtgt_req_stop(struct nvtgt_req *req);
bool nvtgt_req_cancel(struct nvtgt_req *req, u16 status);
void nvtgt_req_spoil(struct nvtgt_req *req, u16 status);
void nvtgt_req_cqe(struct nvtgt_req *req, struct nvme_completion *cqe);
void nvtgt_req_release(struct nvtgt_req *req);

#endif /* _NVTGT_TRANSPORT_H */
