// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The life of a connection
 *
 * accept -> nvtgt_tcp_queue_create(): the socket's callbacks kick the reactor,
 * which does all the rest. The way out begins in the reactor: with
 * nvtgt_tcp_hang_up() when the core or the port has set NVTGT_TCP_F_DISCONNECT, with
 * nvtgt_tcp_fatal() when the peer broke the protocol, and, also after these two,
 * with nvtgt_tcp_close() when the peer has gone or a time is over.
 *
 * Who may still see the connection then, and what ends that:
 *  1. the core and the backends, through requests in flight: state CLOSING lasts
 *     until the last one has come back (nvtgt_tcp_try_leave())
 *  2. the socket's callbacks: they are put back; an RCU grace period passes
 *  3. the timer: deleted in destroy_work, in process context
 *  4. its controller, remove_port() and newcomers that need its room, through
 *     ops->disconnect(): taken out of their lists in destroy_work
 *  5. the reactor: last of all, by nvtgt_source_del() in leave_call, when nobody
 *     is left who could kick it; then free_work frees the memory
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/tcp.h>
#include <net/tcp_states.h>
#include "tcp.h"

static DEFINE_MUTEX(nvtgt_tcp_lock);	/* protects the list */
static LIST_HEAD(nvtgt_tcp_queues);
static DECLARE_WAIT_QUEUE_HEAD(nvtgt_tcp_no_queues);

static atomic_t nvtgt_tcp_nr_queues = ATOMIC_INIT(0);

/* The socket's callbacks: softirq or process context, as TCP likes. */
static void nvtgt_tcp_data_ready(struct sock *sk)
{
	struct nvtgt_tcp_queue *q;

	rcu_read_lock();
	q = rcu_dereference_sk_user_data(sk);
	if (q)
		nvtgt_source_kick(&q->source);
	rcu_read_unlock();
}

/* The peer has acknowledged something: is it what the reactor waits for? */
static void nvtgt_tcp_acknowledged(struct nvtgt_tcp_queue *q, struct sock *sk)
{
	bool ack_wanted = READ_ONCE(q->ack_wanted);

	if (ack_wanted && !before(READ_ONCE(tcp_sk(sk)->snd_una), READ_ONCE(q->ack_seq))) {
		WRITE_ONCE(q->ack_wanted, false);
		ack_wanted = false;
		set_bit(NVTGT_TCP_F_ACKED, &q->flags);
		nvtgt_source_kick(&q->source);
	}
	if (!sk_stream_is_writeable(sk))
		return;
	/* while it stays set TCP calls */
	if (!ack_wanted) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		smp_mb__after_atomic();	/* pairs with nvtgt_tcp_want_ack(), which may have set it */
		if (READ_ONCE(q->ack_wanted))
			set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	}
	set_bit(NVTGT_TCP_F_SPACE, &q->flags);
	nvtgt_source_kick(&q->source);
}

static void nvtgt_tcp_write_space(struct sock *sk)
{
	struct nvtgt_tcp_queue *q;

	rcu_read_lock();
	q = rcu_dereference_sk_user_data(sk);
	if (q)
		nvtgt_tcp_acknowledged(q, sk);
	rcu_read_unlock();
}

static void nvtgt_tcp_timer(struct timer_list *timer)
{
	struct nvtgt_tcp_queue *q = container_of(timer, struct nvtgt_tcp_queue, timer);

	set_bit(NVTGT_TCP_F_TIMER, &q->flags);
	nvtgt_source_kick(&q->source);
}

static void nvtgt_tcp_take_callbacks(struct nvtgt_tcp_queue *q)
{
	struct sock *sk = q->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	q->old_data_ready = sk->sk_data_ready;
	q->old_state_change = sk->sk_state_change;
	q->old_write_space = sk->sk_write_space;
	rcu_assign_sk_user_data(sk, q);
	sk->sk_data_ready = nvtgt_tcp_data_ready;
	sk->sk_state_change = nvtgt_tcp_data_ready;
	sk->sk_write_space = nvtgt_tcp_write_space;
	write_unlock_bh(&sk->sk_callback_lock);
}

static void nvtgt_tcp_restore_callbacks(struct nvtgt_tcp_queue *q)
{
	struct sock *sk = q->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = q->old_data_ready;
	sk->sk_state_change = q->old_state_change;
	sk->sk_write_space = q->old_write_space;
	rcu_assign_sk_user_data(sk, NULL);
	write_unlock_bh(&sk->sk_callback_lock);
}

/* When has the host had its time for data that were asked for? */
static unsigned long nvtgt_tcp_data_due(const struct nvtgt_tcp_queue *q)
{
	unsigned long timeout = msecs_to_jiffies(nvtgt_tcp_data_timeout_ms);
	struct nvtgt_tcp_cmd *cmd;
	unsigned long due, last;

	/*
	 * It may have sent them, and they stand in the socket. Not so without a slot:
	 * only a host that sends more commands than its queue holds brings that about.
	 */
	if (q->rx_state == NVTGT_TCP_RECV_MEM || q->rx_no_mem)
		return jiffies + timeout;
	/*
	 * Data of any command are progress, for on a slow link the others wait; but
	 * not for ever, or a host could hold the memory of one behind the others'.
	 */
	cmd = list_first_entry(&q->data_wait, struct nvtgt_tcp_cmd, wait);
	due = cmd->last_rx;
	if (time_after(q->rx_progress, due))
		due = q->rx_progress;
	due += timeout;
	last = cmd->last_rx + NVTGT_TCP_DATA_PATIENCE * timeout;
	return time_before(due, last) ? due : last;
}

/*
 * Closes the connection if the host is late with data that were asked for, or with
 * acknowledgments. Returns whether it owes any and is not late: look again at @due.
 */
static bool nvtgt_tcp_check_data(struct nvtgt_tcp_queue *q, unsigned long *due)
{
	bool owes = false;
	unsigned long end;

	*due = jiffies + msecs_to_jiffies(nvtgt_tcp_data_timeout_ms);
	if (!list_empty(&q->data_wait)) {
		end = nvtgt_tcp_data_due(q);
		if (time_after_eq(jiffies, end)) {
			nvtgt_tcp_warn(q, "no data for a write within %u ms, closed\n",
				       nvtgt_tcp_data_timeout_ms);
			nvtgt_tcp_close(q);
			return false;
		}
		*due = end;
		owes = true;
	}
	if (nvtgt_tcp_acks_due(q, &end)) {
		if (time_after_eq(jiffies, end)) {
			nvtgt_tcp_warn(q, "less than %u KiB of data taken within %u ms, closed\n",
				       NVTGT_TCP_STEP >> 10,
				       NVTGT_TCP_DATA_PATIENCE * nvtgt_tcp_data_timeout_ms);
			nvtgt_tcp_close(q);
			return false;
		}
		if (time_before(end, *due))
			*due = end;
		owes = true;
	}
	return owes;
}

/**
 * nvtgt_tcp_check_timer - the timer has fired: has something taken too long?
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_tcp_check_timer(struct nvtgt_tcp_queue *q)
{
	unsigned long due;

	if (q->state == NVTGT_TCP_TERM) {
		/* it may have fired for another reason, before it was set for this one */
		if (!timer_pending(&q->timer))
			nvtgt_tcp_close(q);
		return;
	}
	if (q->state >= NVTGT_TCP_CLOSING)
		return;
	if (q->half_open) {
		due = q->setup_deadline;
		if (time_after_eq(jiffies, due)) {
			nvtgt_tcp_warn(q, "no %s within %u ms, closed\n",
				       q->rules.live ? "Connect" : "ICReq",
				       nvtgt_tcp_setup_timeout_ms);
			nvtgt_tcp_close(q);
			return;
		}
	} else if (!nvtgt_tcp_check_data(q, &due)) {
		return;
	}
	mod_timer(&q->timer, due);
}

/**
 * nvtgt_tcp_fatal - the peer broke the protocol: say so and end (3.5)
 * @q: the connection, INIT or LIVE
 * @err: what was wrong; q->hdr holds the PDU header
 *
 * Context: the reactor.
 */
void nvtgt_tcp_fatal(struct nvtgt_tcp_queue *q, const struct nvtgt_tcp_error *err)
{
	struct nvme_tcp_hdr *hdr = (void *)q->hdr;

	nvtgt_tcp_warn(q, "protocol error %#x, information %#x, in PDU of type %#x\n",
		       err->fes, err->fei, hdr->type);
	q->state = NVTGT_TCP_TERM;
	nvtgt_queue_stop(&q->queue);
	nvtgt_tcp_drop_cmds(q);
	mod_timer(&q->timer, jiffies + msecs_to_jiffies(NVTGT_TCP_TERM_LINGER_MS));
	nvtgt_tcp_want_send(q);
}

/**
 * nvtgt_tcp_hang_up - end the connection without a fault of the peer's
 * @q: in any state; nothing happens when it is on its way out already
 *
 * The peer gets a FIN and what it still sends is thrown away until it has closed
 * its end. Data for a socket that is closed at both ends would be answered by a
 * RST instead, upon which a Linux host may send SIGPIPE to the process whose I/O
 * it was just about to send.
 *
 * Context: the reactor, not under the socket's lock.
 */
void nvtgt_tcp_hang_up(struct nvtgt_tcp_queue *q)
{
	if (q->state >= NVTGT_TCP_TERM)
		return;
	q->state = NVTGT_TCP_TERM;
	q->term_sent = true;		/* there is none to be sent */
	nvtgt_queue_stop(&q->queue);
	nvtgt_tcp_drop_cmds(q);
	mod_timer(&q->timer, jiffies + msecs_to_jiffies(NVTGT_TCP_HANG_UP_MS));
	nvtgt_tcp_want_send(q);
}

/**
 * nvtgt_tcp_close - end the connection
 * @q: in any state; nothing happens when it is on its way out already
 *
 * Context: the reactor, not under the socket's lock.
 */
void nvtgt_tcp_close(struct nvtgt_tcp_queue *q)
{
	if (q->state >= NVTGT_TCP_CLOSING)
		return;
	q->state = NVTGT_TCP_CLOSING;
	/* before the host notices: it may connect anew at once */
	nvtgt_queue_stop(&q->queue);
	/* it does so now, however long the commands in flight take */
	kernel_sock_shutdown(q->sock, SHUT_RDWR);
	nvtgt_tcp_drop_cmds(q);
	nvtgt_tcp_drop_tx(q);
	nvtgt_tcp_try_leave(q);
}

/**
 * nvtgt_tcp_try_leave - leave the reactor if nothing is in flight any more
 * @q: the connection
 *
 * Context: the reactor.
 */
void nvtgt_tcp_try_leave(struct nvtgt_tcp_queue *q)
{
	if (q->state != NVTGT_TCP_CLOSING || q->queue.nr_inflight)
		return;
	q->state = NVTGT_TCP_LEFT;
	nvtgt_source_fix(&q->source);
	list_del_init(&q->queue.flush);
	nvtgt_buf_unwait(&q->retry);
	nvtgt_tcp_restore_callbacks(q);
	queue_rcu_work(nvtgt_tcp_wq, &q->destroy_work);
}

static void nvtgt_tcp_destroy_work(struct work_struct *work)
{
	struct nvtgt_tcp_queue *q = container_of(to_rcu_work(work), struct nvtgt_tcp_queue,
						 destroy_work);
	unsigned int noio = memalloc_noio_save();

	timer_delete_sync(&q->timer);
	/* while the queue holds its port, and that the network namespace */
	sock_release(q->sock);
	nvtgt_queue_destroy(&q->queue);
	mutex_lock(&nvtgt_tcp_lock);
	list_del(&q->entry);
	mutex_unlock(&nvtgt_tcp_lock);
	memalloc_noio_restore(noio);
	nvtgt_reactor_call(q->queue.reactor, &q->leave_call);
}

static void nvtgt_tcp_leave(struct nvtgt_call *call)
{
	struct nvtgt_tcp_queue *q = container_of(call, struct nvtgt_tcp_queue, leave_call);

	nvtgt_tcp_unhold_all(q);
	nvtgt_source_del(&q->source);
}

static void nvtgt_tcp_left(struct nvtgt_source *source)
{
	struct nvtgt_tcp_queue *q = container_of(source, struct nvtgt_tcp_queue, source);

	queue_work(nvtgt_tcp_wq, &q->free_work);
}

static void nvtgt_tcp_free_work(struct work_struct *work)
{
	struct nvtgt_tcp_queue *q = container_of(work, struct nvtgt_tcp_queue, free_work);

	nvtgt_tcp_free_cmds(q);
	nvtgt_reactor_put(q->queue.reactor);
	kfree(q);
	if (atomic_dec_and_test(&nvtgt_tcp_nr_queues))
		wake_up(&nvtgt_tcp_no_queues);
}

/* The connection goes to another reactor: out of the lists of this one. */
static void nvtgt_tcp_move(struct nvtgt_source *source, struct nvtgt_reactor *to)
{
	struct nvtgt_tcp_queue *q = container_of(source, struct nvtgt_tcp_queue, source);

	/* nvtgt_tcp_arrive(), or the next command, puts it into the other's list */
	list_del_init(&q->hold.node);
	nvtgt_queue_move(&q->queue, to);
	nvtgt_buf_move(&q->waiter, to);
	nvtgt_buf_move(&q->retry, to);
}

/* It has come: into the lists again where it may have stood in them. */
static void nvtgt_tcp_arrive(struct nvtgt_source *source)
{
	struct nvtgt_tcp_queue *q = container_of(source, struct nvtgt_tcp_queue, source);

	nvtgt_buf_hold(q->queue.reactor, &q->hold, 0);
	nvtgt_tcp_want_send(q);
	nvtgt_tcp_mem_kick(q);
}

static void nvtgt_tcp_set_sockopts(struct sock *sk)
{
	/* the reactor does not wait for memory; what it sends may make some free */
	sk->sk_allocation = GFP_ATOMIC | __GFP_NOWARN;
	sk->sk_use_task_frag = false;
	tcp_sock_set_nodelay(sk);
	sock_no_linger(sk);
	if (nvtgt_tcp_so_priority > 0)
		sock_set_priority(sk, nvtgt_tcp_so_priority);
	/* a peer that is dead, or that never reads, does not hold memory for ever */
	sock_set_keepalive(sk);
	tcp_sock_set_keepidle(sk, 60);
	tcp_sock_set_keepintvl(sk, 10);
	tcp_sock_set_user_timeout(sk, nvtgt_tcp_data_timeout_ms);
}

static void nvtgt_tcp_queue_init_lists(struct nvtgt_tcp_queue *q)
{
	INIT_LIST_HEAD(&q->free);
	INIT_LIST_HEAD(&q->mem_wait);
	INIT_LIST_HEAD(&q->data_wait);
	INIT_LIST_HEAD(&q->waiter.node);
	INIT_LIST_HEAD(&q->retry.node);
	INIT_LIST_HEAD(&q->hold.node);
	INIT_LIST_HEAD(&q->exec_list);
	INIT_LIST_HEAD(&q->ctrl_list);
	INIT_LIST_HEAD(&q->data_list);
	INIT_LIST_HEAD(&q->sent_list);
}

static void nvtgt_tcp_queue_init(struct nvtgt_tcp_queue *q, struct socket *sock,
				 const struct sockaddr_storage *addr)
{
	q->sock = sock;
	q->half_open = true;
	nvtgt_tcp_queue_init_lists(q);
	q->source.receive = nvtgt_tcp_receive;
	q->source.release = nvtgt_tcp_left;
	q->source.move = nvtgt_tcp_move;
	q->source.arrive = nvtgt_tcp_arrive;
	q->leave_call.fn = nvtgt_tcp_leave;
	q->waiter.ready = nvtgt_tcp_mem_ready;
	q->retry.ready = nvtgt_tcp_retry;
	q->hold.look = nvtgt_tcp_look;
	/* ICReq answered, a Connect, and what may come too early */
	q->max_cmds = 4;
	INIT_RCU_WORK(&q->destroy_work, nvtgt_tcp_destroy_work);
	INIT_WORK(&q->free_work, nvtgt_tcp_free_work);
	timer_setup(&q->timer, nvtgt_tcp_timer, 0);
	q->state = NVTGT_TCP_INIT;
	q->rx_state = NVTGT_TCP_RECV_HDR;
	q->rx_want = sizeof(struct nvme_tcp_hdr);
	q->maxr2t = 1;
	q->rules.max_inline = NVME_TCP_ADMIN_CCSZ;
	q->rules.max_h2c = NVTGT_TCP_MAXH2CDATA;
	q->rx_progress = jiffies;
	q->setup_deadline = jiffies + msecs_to_jiffies(nvtgt_tcp_setup_timeout_ms);
	snprintf(q->host_traddr, sizeof(q->host_traddr), "%pISpc", addr);
}

/**
 * nvtgt_tcp_queue_create - take over an accepted socket
 * @port: where it came in
 * @sock: the connection; stays the caller's on failure
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno
 */
int nvtgt_tcp_queue_create(struct nvtgt_port *port, struct socket *sock)
{
	struct sockaddr_storage addr;
	struct nvtgt_reactor *reactor;
	struct nvtgt_tcp_queue *q;
	int ret;

	ret = kernel_getpeername(sock, (void *)&addr);
	if (ret < 0)
		return ret;		/* it has gone again */
	reactor = nvtgt_reactor_get(port->cpus, READ_ONCE(sock->sk->sk_incoming_cpu));
	if (IS_ERR(reactor))
		return PTR_ERR(reactor);
	ret = -ENOMEM;
	q = kzalloc_node(sizeof(*q), GFP_NOIO, nvtgt_reactor_node(reactor));
	if (!q)
		goto put_reactor;
	nvtgt_tcp_queue_init(q, sock, &addr);
	q->queue.reactor = reactor;
	nvtgt_queue_init(&q->queue, port, &nvtgt_tcp_ops);
	q->source.cpus = port->cpus;
	nvtgt_source_add(&q->source, reactor);
	/* all others' kicks count for nothing before the one at the end */
	set_bit(NVTGT_SOURCE_KICKED, &q->source.flags);
	ret = nvtgt_peer_enter(&nvtgt_tcp_peers, &q->queue, &addr);
	if (ret)
		goto destroy_queue;
	nvtgt_tcp_set_sockopts(sock->sk);
	atomic_inc(&nvtgt_tcp_nr_queues);
	mutex_lock(&nvtgt_tcp_lock);
	list_add_tail(&q->entry, &nvtgt_tcp_queues);
	mutex_unlock(&nvtgt_tcp_lock);

	nvtgt_tcp_take_callbacks(q);
	mod_timer(&q->timer, q->setup_deadline);
	/* from here on the connection is the reactor's, and may be gone at once */
	__nvtgt_source_kick(&q->source);
	return 0;

destroy_queue:
	nvtgt_queue_destroy(&q->queue);
	kfree(q);
put_reactor:
	nvtgt_reactor_put(reactor);
	return ret;
}

/**
 * nvtgt_tcp_disconnect - end a connection from outside
 * @queue: the connection, in its controller's list
 *
 * Context: any.
 */
void nvtgt_tcp_disconnect(struct nvtgt_queue *queue)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(queue);

	set_bit(NVTGT_TCP_F_DISCONNECT, &q->flags);
	nvtgt_source_kick(&q->source);
}

/**
 * nvtgt_tcp_disconnect_port - end all connections of a port
 * @port: the port, whose listener is closed
 *
 * Context: process, may sleep.
 */
void nvtgt_tcp_disconnect_port(struct nvtgt_port *port)
{
	struct nvtgt_tcp_queue *q;

	mutex_lock(&nvtgt_tcp_lock);
	list_for_each_entry(q, &nvtgt_tcp_queues, entry)
		if (q->queue.port == port)
			nvtgt_tcp_disconnect(&q->queue);
	mutex_unlock(&nvtgt_tcp_lock);
}

/**
 * nvtgt_tcp_hung_up - has the peer ended the connection, or is it ending?
 * @queue: the connection, in its controller's list
 *
 * Context: any that keeps it there; ctrl->lock is held.
 * Return: whether it is so
 */
bool nvtgt_tcp_hung_up(struct nvtgt_queue *queue)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(queue);

	bool hung_up;

	/* a connection that leaves its reactor keeps its socket for a grace period */
	rcu_read_lock();
	hung_up = READ_ONCE(q->state) >= NVTGT_TCP_TERM ||
		  READ_ONCE(q->sock->sk->sk_state) != TCP_ESTABLISHED;
	rcu_read_unlock();
	return hung_up;
}

/**
 * nvtgt_tcp_host_traddr - the peer's address as text
 * @queue: the connection
 * @buf: where to
 * @len: room in @buf
 */
void nvtgt_tcp_host_traddr(struct nvtgt_queue *queue, char *buf, size_t len)
{
	strscpy(buf, to_nvtgt_tcp_queue(queue)->host_traddr, len);
}

/**
 * nvtgt_tcp_wait_no_queues - wait until every connection has been freed
 *
 * Context: module exit: all ports are gone.
 */
void nvtgt_tcp_wait_no_queues(void)
{
	wait_event(nvtgt_tcp_no_queues, !atomic_read(&nvtgt_tcp_nr_queues));
}
