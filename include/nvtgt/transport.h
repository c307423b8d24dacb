/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between the core and a transport.
 *
 * The way of a command:
 *
 *	nvtgt_conn_get_req()	the transport has received a capsule
 *	nvtgt_req_init()
 *	nvtgt_req_parse()	the core judges it: length, direction, right
 *	nvtgt_buf_get()		the transport gets memory and moves data in
 *	nvtgt_req_execute()	the core or a backend works
 *	ops->respond()		in the reactor: the result is there
 *	nvtgt_req_cqe()		the transport makes the completion entry
 *	nvtgt_req_release()	data and completion are on their way
 *
 * All of these run in the reactor that owns the queue. Where the transport has to
 * wait between parse and execute, for memory or for the host, it parks the request,
 * so that disabling the namespace does not wait for the host.
 */
#ifndef _NVTGT_TRANSPORT_H
#define _NVTGT_TRANSPORT_H

#include <linux/bits.h>
#include <linux/module.h>
#include <linux/socket.h>
#include <linux/tracepoint-defs.h>
#include <nvtgt/types.h>

struct nvtgt_conn;
struct nvtgt_conns;
struct seq_file;

/** NVTGT_TRANSPORT_VERSION - grows with each change of this contract */
#define NVTGT_TRANSPORT_VERSION	10

/**
 * NVTGT_TRTYPE_VFIO_USER - the transport type of virtual machines' controllers
 *
 * The specification has no number for it, and none goes to a host: discovery is of fabrics.
 */
#define NVTGT_TRTYPE_VFIO_USER	0xf0

/** NVTGT_CTRL_SGLS_TRANSPORT - SGLS of Identify Controller: transport SGL data blocks */
#define NVTGT_CTRL_SGLS_TRANSPORT	BIT(21)

/**
 * struct nvtgt_transport_ops - what a transport provides
 *
 * @version: NVTGT_TRANSPORT_VERSION. Required.
 * @size: sizeof(struct nvtgt_transport_ops). Required.
 * @name: as in addr_trtype. Required.
 * @owner: THIS_MODULE. The core holds a reference for each enabled port.
 * @conns: its connections. Required.
 * @moves_pi: protection information can be moved, on ports with port->pi
 * @needs_ka: a host may not do without a keep alive timer (NVMe base 2.1, 3.9)
 * @pcie: its controllers are PCIe functions (include/nvtgt/pci.h): commands name their data by
 *	PRPs or SGLs, and transfer_len is 0; there are no fabrics commands
 * @trtype: NVMF_TRTYPE_*. One transport per type.
 * @sgls: which SGL descriptors its capsules may have beside a plain data block: bits of
 *	SGLS in Identify Controller
 *
 * @add_port: open the listener for @port, in @port->net. May sleep; the
 *	configuration lock is held. Fills in the parameters that are -1. After
 *	success connections may arrive at once. Returns 0 or a negative errno,
 *	and has logged the reason. Required.
 * @remove_port: close the listener. May sleep; the configuration lock is held. Returns
 *	when no new connection can appear. The core ends the connections of
 *	@port afterwards; they hold references of their own on the port's memory. Required.
 * @close: end the connection: nothing is received or sent from here on. Calls
 *	nvtgt_conn_begin_end(), drops what the transport has in hand, and, as soon as nothing is
 *	in flight, here or later, nvtgt_conn_try_leave(). Nothing happens when it is on its way out
 *	already. Reactor context, must not sleep. Required.
 * @hang_up: the same through no fault of the peer's, which is told of the end first, in state
 *	ENDING. A half-open connection gets @close instead. Optional; the default is @close.
 * @timer: the connection's timer has fired: has something of the transport's own taken
 *	too long? nvtgt_conn_look_by() has it called again. Reactor context, must not
 *	sleep. Optional.
 * @connected: a Connect has succeeded; queue->size and queue->qid are known. Reactor
 *	context, must not sleep. Optional.
 * @detach: nothing is in flight any more: from here on no callback of the wire may find the
 *	connection under RCU. A callback that has found it already holds rcu_read_lock().
 *	Reactor context, must not sleep. Required of a transport with such callbacks.
 * @end: nothing from the wire may touch the connection when this returns. A grace period
 *	has passed if there is @detach or @hung_up; otherwise none has. May sleep; memory that it
 *	allocates starts no I/O. Required.
 * @give_back: give back what only the reactor may take (credit that is held). Reactor
 *	context, must not sleep; the last call in the reactor. Optional.
 * @free: free the memory around the connection, whose requests are gone. May sleep. Required.
 * @init_req: a request's memory is there, zeroed, for the first time. Reactor
 *	context, must not sleep. Optional.
 * @mem_get: memory for the data of @req, parsed: nvtgt_buf_get() or what is like it.
 *	Returns 0; -EBUSY: what this connection gives back lets it try again;
 *	-EAGAIN: there is no credit; -ENOMEM: no page is free; -E2BIG: it will never have
 *	as much. Reactor context, must not sleep. Required.
 * @mem_got: @req, in no list, has its memory: fetch the host's data, or execute. Reactor context,
 *	must not sleep. Required.
 * @mem_done: commands that had waited were given memory outside of receive(). Reactor
 *	context, must not sleep. Optional.
 * @fail: a command will not be executed: give back what is the transport's and call
 *	nvtgt_req_fail(), for a @req in INLINE only when its data have been read. @req is in no
 *	list, in MEMORY, INLINE or FETCHING. Reactor context, must not sleep. Optional; the
 *	default is nvtgt_req_fail().
 * @drop: the connection ends: @req will neither get its data (MEMORY, INLINE, FETCHING, DATA,
 *	READY) nor be answered (RESPONDING, WRITING). Take it out of its list, and fail it with
 *	nvtgt_req_fail() or free its slot; or leave it while the wire has it. Reactor context,
 *	must not sleep. Required.
 * @respond: the request has its result. Reactor context, must not sleep.
 *	Usually puts it into a list and asks for @flush with
 *	nvtgt_queue_want_flush(). Required.
 * @flush: send everything that became ready for the queue, in as few calls as
 *	the transport can. Reactor context, once per pass, must not block.
 *	Required if the transport calls nvtgt_queue_want_flush().
 * @hung_up: has the host ended the connection, or cut it, although the reactor may not
 *	have seen it yet? Called under ctrl->lock for a queue in its controller's list:
 *	must not sleep. Optional; the default is false.
 * @show: write what else is worth to be seen into the connection's line in debugfs,
 *	beginning with a space. Called under conns->lock, beside the reactor. Optional.
 * @admin: judge an admin command that is not the core's: set @req's data_len, dir and execute.
 *	Returns 0 or a status, NVME_SC_INVALID_OPCODE for one that there is not. Reactor context,
 *	must not sleep. Optional.
 * @ctrl_ended: a controller with this @priv (nvtgt_pci_ctrl_create()) has been ended by the
 *	administrator. Called under ctrl->lock: must not sleep. Required with @pcie.
 * @disc_traddr: write the address that a host which came in through @queue
 *	should be told for @port when the port listens on any address. Returns
 *	false when the port's own text is right. Optional.
 */
struct nvtgt_transport_ops {
	u32 version;
	size_t size;
	const char *name;
	struct module *owner;
	struct nvtgt_conns *conns;
	bool moves_pi;
	bool needs_ka;
	bool pcie;
	u8 trtype;
	u32 sgls;

	int (*add_port)(struct nvtgt_port *port);
	void (*remove_port)(struct nvtgt_port *port);
	void (*close)(struct nvtgt_conn *conn);
	void (*hang_up)(struct nvtgt_conn *conn);
	void (*timer)(struct nvtgt_conn *conn);
	void (*connected)(struct nvtgt_conn *conn);
	void (*detach)(struct nvtgt_conn *conn);
	void (*end)(struct nvtgt_conn *conn);
	void (*give_back)(struct nvtgt_conn *conn);
	void (*free)(struct nvtgt_conn *conn);
	void (*init_req)(struct nvtgt_req *req);
	int (*mem_get)(struct nvtgt_req *req);
	void (*mem_got)(struct nvtgt_req *req);
	void (*mem_done)(struct nvtgt_conn *conn);
	void (*fail)(struct nvtgt_req *req, u16 status);
	void (*drop)(struct nvtgt_req *req);
	void (*respond)(struct nvtgt_req *req);
	void (*flush)(struct nvtgt_queue *queue);
	bool (*hung_up)(struct nvtgt_conn *conn);
	void (*show)(struct nvtgt_conn *conn, struct seq_file *m);
	u16 (*admin)(struct nvtgt_req *req);
	void (*ctrl_ended)(void *priv);
	bool (*disc_traddr)(struct nvtgt_queue *queue, const struct nvtgt_port *port,
			    char *buf, size_t len);
};

int __must_check nvtgt_transport_register(const struct nvtgt_transport_ops *ops);
void nvtgt_transport_unregister(const struct nvtgt_transport_ops *ops);

/* Ports: a transport's object that outlives remove_port() holds a reference of its own. */
void nvtgt_port_get(struct nvtgt_port *port);
void nvtgt_port_put(struct nvtgt_port *port);
bool nvtgt_sockaddr_is_any(const struct sockaddr_storage *ss);
int __must_check nvtgt_port_sockaddr(const struct nvtgt_port *port, struct sockaddr_storage *ss);

/* Queues. */
void nvtgt_queue_want_flush(struct nvtgt_queue *queue);

/* Requests. */
extern const u16 nvtgt_req_from[NVTGT_REQ_STATES];
extern const char *const nvtgt_req_state_names[NVTGT_REQ_STATES];
void __nvtgt_req_trace(const struct nvtgt_req *req, enum nvtgt_req_state state);

DECLARE_TRACEPOINT(nvtgt_req_state);

/**
 * nvtgt_req_set_state - the one place where a request changes its state
 * @req: the request
 * @state: the new state
 *
 * Debug kernels warn once about a step that does not exist.
 *
 * Context: the present owner's.
 */
static inline void nvtgt_req_set_state(struct nvtgt_req *req, enum nvtgt_req_state state)
{
	if (IS_ENABLED(CONFIG_PROVE_LOCKING))
		WARN_ON_ONCE(!(nvtgt_req_from[state] & BIT(req->state)));
	if (tracepoint_enabled(nvtgt_req_state))
		__nvtgt_req_trace(req, state);
	req->state = state;
}

void nvtgt_req_init(struct nvtgt_req *req, struct nvtgt_queue *queue,
		    struct nvme_command *cmd, u32 transfer_len);
bool __must_check nvtgt_req_parse(struct nvtgt_req *req);
void nvtgt_req_park(struct nvtgt_req *req);
void nvtgt_req_execute(struct nvtgt_req *req);
void nvtgt_req_fail(struct nvtgt_req *req, u16 status);
void nvtgt_req_set_error(struct nvtgt_req *req, u16 status);
void nvtgt_req_cqe(struct nvtgt_req *req, struct nvme_completion *cqe);
void nvtgt_req_release(struct nvtgt_req *req);

#endif /* _NVTGT_TRANSPORT_H */
