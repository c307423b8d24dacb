// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The life of a connection
 *
 * accept -> nvtgt_tcp_queue_create(): the socket's callbacks kick the reactor,
 * which does all the rest. The way out begins in the reactor: with
 * nvtgt_tcp_hang_up() when the core or the port wants it to end, with
 * nvtgt_tcp_fatal() when the peer broke the protocol, and, also after these two,
 * with nvtgt_tcp_close() when the peer has gone or a time is over.
 *
 * struct nvtgt_conn tells what may still see the connection then. The wire's part of it: the
 * socket's callbacks find the connection under RCU until nvtgt_tcp_detach() has put the
 * old callbacks back, and the socket is there until the grace period after that is over.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <net/tcp.h>
#include <net/tcp_states.h>
#include "tcp.h"

/* The socket's callbacks: softirq or process context, as TCP likes. */
static void nvtgt_tcp_data_ready(struct sock *sk)
{
	struct nvtgt_tcp_queue *q;

	rcu_read_lock();
	q = rcu_dereference_sk_user_data(sk);
	if (q)
		nvtgt_source_kick(&q->conn.source);
	rcu_read_unlock();
}

/* The peer has acknowledged something: is it what the reactor waits for? */
static void nvtgt_tcp_acknowledged(struct nvtgt_tcp_queue *q, struct sock *sk)
{
	bool ack_wanted = READ_ONCE(q->ack_wanted);

	if (ack_wanted && !before(READ_ONCE(tcp_sk(sk)->snd_una), READ_ONCE(q->ack_seq))) {
		WRITE_ONCE(q->ack_wanted, false);
		ack_wanted = false;
		set_bit(NVTGT_TCP_F_ACKED, &q->conn.flags);
		nvtgt_source_kick(&q->conn.source);
	}
	if (!sk_stream_is_writeable(sk))
		return;
	/* while SOCK_NOSPACE stays set TCP calls sk_write_space */
	if (!ack_wanted) {
		clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
		smp_mb__after_atomic();	/* pairs with nvtgt_tcp_want_ack(), which may have set it */
		if (READ_ONCE(q->ack_wanted))
			set_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	}
	set_bit(NVTGT_TCP_F_SPACE, &q->conn.flags);
	nvtgt_source_kick(&q->conn.source);
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
	unsigned long timeout = msecs_to_jiffies(nvtgt_tcp_conns.data_timeout_ms);
	struct nvtgt_tcp_cmd *cmd;
	unsigned long due, last;

	/*
	 * The host may have sent its data, and they stand in the socket. Want of a slot does
	 * not count here: either the host has sent more commands than its queue holds, or
	 * memory for a slot is short, and nvtgt_tcp_retry() moves rx_progress on.
	 */
	if (q->rx_state == NVTGT_TCP_RECV_MEM || q->rx_no_mem)
		return jiffies + timeout;
	/*
	 * Data of any command are progress, for on a slow link those of other commands wait
	 * behind them; but not for ever, or a host could hold one command's memory and send
	 * data of other commands.
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

	*due = jiffies + msecs_to_jiffies(nvtgt_tcp_conns.data_timeout_ms);
	if (!list_empty(&q->data_wait)) {
		end = nvtgt_tcp_data_due(q);
		if (time_after_eq(jiffies, end)) {
			nvtgt_tcp_warn(q, "no data for a write within %u ms, closed\n",
				       nvtgt_tcp_conns.data_timeout_ms);
			nvtgt_tcp_close(&q->conn);
			return false;
		}
		*due = end;
		owes = true;
	}
	if (nvtgt_tcp_acks_due(q, &end)) {
		if (time_after_eq(jiffies, end)) {
			nvtgt_tcp_warn(q, "less than %u KiB of data taken within %u ms, closed\n",
				       NVTGT_TCP_STEP >> 10,
				       NVTGT_TCP_DATA_PATIENCE * nvtgt_tcp_conns.data_timeout_ms);
			nvtgt_tcp_close(&q->conn);
			return false;
		}
		if (time_before(end, *due))
			*due = end;
		owes = true;
	}
	return owes;
}

/**
 * nvtgt_tcp_timer - the timer has fired: has something taken too long?
 * @conn: the connection
 *
 * Context: the reactor.
 */
void nvtgt_tcp_timer(struct nvtgt_conn *conn)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(&conn->queue);
	unsigned long due;

	if (conn->state == NVTGT_CONN_ENDING) {
		/* the timer may have fired earlier, before it was set for the linger time */
		if (!timer_pending(&conn->timer))
			nvtgt_tcp_close(conn);
		return;
	}
	/* before Connect the set-up deadline is in force */
	if (conn->state >= NVTGT_CONN_CLOSING || conn->half_open)
		return;
	if (nvtgt_tcp_check_data(q, &due))
		nvtgt_conn_look_by(conn, due);
}

/**
 * nvtgt_tcp_fatal - the peer broke the protocol: say so and end (3.5)
 * @q: the connection, OPENING or LIVE
 * @err: what was wrong; q->hdr holds the PDU header
 *
 * Context: the reactor.
 */
void nvtgt_tcp_fatal(struct nvtgt_tcp_queue *q, const struct nvtgt_tcp_error *err)
{
	struct nvme_tcp_hdr *hdr = (void *)q->hdr;

	nvtgt_tcp_warn(q, "protocol error %#x, information %#x, in PDU of type %#x\n",
		       err->fes, err->fei, hdr->type);
	if (!nvtgt_conn_begin_end(&q->conn, NVTGT_CONN_ENDING))
		return;
	nvtgt_tcp_drop_cmds(q);
	mod_timer(&q->conn.timer, jiffies + msecs_to_jiffies(NVTGT_TCP_TERM_LINGER_MS));
	nvtgt_tcp_want_send(q);
}

/**
 * nvtgt_tcp_hang_up - end the connection without a fault of the peer's
 * @conn: in any state; nothing happens when it is on its way out already
 *
 * The peer gets a FIN and what it still sends is thrown away until it has closed
 * its end. Data for a socket that is closed at both ends would be answered by a
 * RST instead, upon which a Linux host may send SIGPIPE to the process whose I/O
 * it was just about to send.
 *
 * Context: the reactor, not under the socket's lock.
 */
void nvtgt_tcp_hang_up(struct nvtgt_conn *conn)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(&conn->queue);

	if (!nvtgt_conn_begin_end(conn, NVTGT_CONN_ENDING))
		return;
	q->term_sent = true;		/* no C2HTermReq is to be sent */
	nvtgt_tcp_drop_cmds(q);
	mod_timer(&q->conn.timer, jiffies + msecs_to_jiffies(NVTGT_TCP_HANG_UP_MS));
	nvtgt_tcp_want_send(q);
}

/**
 * nvtgt_tcp_close - end the connection
 * @conn: in any state; nothing happens when it is on its way out already
 *
 * Context: the reactor, not under the socket's lock.
 */
void nvtgt_tcp_close(struct nvtgt_conn *conn)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(&conn->queue);

	if (!nvtgt_conn_begin_end(conn, NVTGT_CONN_CLOSING))
		return;
	/* the host notices now, however long the commands in flight take */
	kernel_sock_shutdown(q->sock, SHUT_RDWR);
	nvtgt_tcp_drop_cmds(q);
	nvtgt_tcp_drop_tx(q);
	nvtgt_conn_try_leave(&q->conn);
}

/**
 * nvtgt_tcp_detach - the socket's callbacks find the connection no more
 * @conn: the connection, with nothing in flight
 *
 * Context: the reactor.
 */
void nvtgt_tcp_detach(struct nvtgt_conn *conn)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(&conn->queue);

	nvtgt_buf_unwait(&q->retry);
	nvtgt_tcp_restore_callbacks(q);
}

/**
 * nvtgt_tcp_end - the socket goes
 * @conn: the connection; neither its reactor nor a callback uses the socket any more
 *
 * Context: process, may sleep.
 */
void nvtgt_tcp_end(struct nvtgt_conn *conn)
{
	sock_release(to_nvtgt_tcp_queue(&conn->queue)->sock);
}

/**
 * nvtgt_tcp_free - the last of a connection
 * @conn: the connection
 */
void nvtgt_tcp_free(struct nvtgt_conn *conn)
{
	kfree(to_nvtgt_tcp_queue(&conn->queue));
}

/* The connection goes to another reactor: out of the lists of this one. */
static void nvtgt_tcp_move(struct nvtgt_source *source, struct nvtgt_reactor *to)
{
	struct nvtgt_tcp_queue *q = container_of(source, struct nvtgt_tcp_queue, conn.source);

	/* nvtgt_tcp_arrive(), or the next command, puts it into the list of the other reactor */
	list_del_init(&q->hold.node);
	nvtgt_conn_move(&q->conn, to);
	nvtgt_buf_move(&q->retry, to);
}

/* The connection has come to its reactor: into the lists that nvtgt_tcp_move() took it from. */
static void nvtgt_tcp_arrive(struct nvtgt_source *source)
{
	struct nvtgt_tcp_queue *q = container_of(source, struct nvtgt_tcp_queue, conn.source);

	nvtgt_buf_hold(q->conn.queue.reactor, &q->hold, 0);
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
	tcp_sock_set_user_timeout(sk, nvtgt_tcp_conns.data_timeout_ms);
}

static void nvtgt_tcp_queue_init_lists(struct nvtgt_tcp_queue *q)
{
	INIT_LIST_HEAD(&q->data_wait);
	INIT_LIST_HEAD(&q->retry.node);
	INIT_LIST_HEAD(&q->hold.node);
	INIT_LIST_HEAD(&q->exec_list);
	INIT_LIST_HEAD(&q->ctrl_list);
	INIT_LIST_HEAD(&q->data_list);
	INIT_LIST_HEAD(&q->sent_list);
}

static void nvtgt_tcp_queue_init(struct nvtgt_tcp_queue *q, struct socket *sock)
{
	q->sock = sock;
	nvtgt_tcp_queue_init_lists(q);
	q->conn.source.receive = nvtgt_tcp_receive;
	q->conn.source.move = nvtgt_tcp_move;
	q->conn.source.arrive = nvtgt_tcp_arrive;
	q->retry.ready = nvtgt_tcp_retry;
	q->hold.look = nvtgt_tcp_look;
	/* for Connect, and commands that come too early; nvtgt_tcp_connected() allows more */
	q->conn.max_slots = 4;
	q->rx_state = NVTGT_TCP_RECV_HDR;
	q->rx_want = sizeof(struct nvme_tcp_hdr);
	q->maxr2t = 1;
	q->rules.max_inline = NVME_TCP_ADMIN_CCSZ;
	q->rules.max_h2c = NVTGT_TCP_MAXH2CDATA;
	q->rx_progress = jiffies;
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
		return ret;		/* the peer has gone again */
	reactor = nvtgt_reactor_get(port->cpus, READ_ONCE(sock->sk->sk_incoming_cpu));
	if (IS_ERR(reactor))
		return PTR_ERR(reactor);
	ret = -ENOMEM;
	q = kzalloc_node(sizeof(*q), GFP_NOIO, nvtgt_reactor_node(reactor));
	if (!q)
		goto put_reactor;
	nvtgt_tcp_queue_init(q, sock);
	ret = nvtgt_conn_init(&q->conn, port, &nvtgt_tcp_ops, &addr);
	if (ret)
		goto free;
	nvtgt_tcp_set_sockopts(sock->sk);
	nvtgt_conn_start(&q->conn, reactor);
	nvtgt_tcp_take_callbacks(q);
	nvtgt_conn_go(&q->conn);
	return 0;

free:
	kfree(q);
put_reactor:
	nvtgt_reactor_put(reactor);
	return ret;
}

/**
 * nvtgt_tcp_hung_up - has the peer ended the connection?
 * @conn: the connection, not closed; the caller is in an RCU read-side critical section
 *
 * Context: any.
 * Return: whether it is so
 */
bool nvtgt_tcp_hung_up(struct nvtgt_conn *conn)
{
	return READ_ONCE(to_nvtgt_tcp_queue(&conn->queue)->sock->sk->sk_state) != TCP_ESTABLISHED;
}
