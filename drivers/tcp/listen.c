// SPDX-License-Identifier: GPL-2.0
/*
 * Ports: listeners and what comes in through them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <net/tcp.h>
#include <net/tcp_states.h>
#include "tcp.h"

#define NVTGT_TCP_BACKLOG	1024
#define NVTGT_TCP_ACCEPT_BATCH	64	/* connections that one run of the work takes */
#define NVTGT_TCP_ACCEPT_RETRY	(HZ / 10)	/* until the next try without memory */

static void nvtgt_tcp_listen_ready(struct sock *sk)
{
	struct nvtgt_tcp_port *tport;

	rcu_read_lock();
	tport = rcu_dereference_sk_user_data(sk);
	if (tport && sk->sk_state == TCP_LISTEN)
		queue_delayed_work(nvtgt_tcp_conns.wq, &tport->accept_work, 0);
	rcu_read_unlock();
}

static void nvtgt_tcp_accept(struct nvtgt_tcp_port *tport)
{
	struct socket *sock;
	int i, ret;

	for (i = 0; i < NVTGT_TCP_ACCEPT_BATCH; i++) {
		/* first the reactors end the connections that were told to make room */
		if (nvtgt_conns_busy(&nvtgt_tcp_conns)) {
			queue_delayed_work(nvtgt_tcp_conns.wq, &tport->accept_work, 1);
			return;
		}
		ret = kernel_accept(tport->sock, &sock, O_NONBLOCK);
		if (ret == -ECONNABORTED)
			continue;
		if (ret == -EAGAIN)
			return;
		if (ret < 0) {
			pr_warn_ratelimited("port %u: accept: error %d\n", tport->port->id, ret);
			/* the host stays in the backlog; no callback tells when memory is free */
			if (ret == -ENOMEM)
				queue_delayed_work(nvtgt_tcp_conns.wq, &tport->accept_work,
						   NVTGT_TCP_ACCEPT_RETRY);
			return;
		}
		ret = nvtgt_tcp_queue_create(tport->port, sock);
		if (ret) {
			if (ret != -EMFILE)	/* logged */
				pr_warn_ratelimited("port %u: connection refused: error %d\n",
						    tport->port->id, ret);
			sock_release(sock);
		}
		cond_resched();
	}
	/* hosts that connect without end must not keep the port from being closed */
	queue_delayed_work(nvtgt_tcp_conns.wq, &tport->accept_work, 0);
}

static void nvtgt_tcp_accept_work(struct work_struct *work)
{
	struct nvtgt_tcp_port *tport = container_of(to_delayed_work(work),
						    struct nvtgt_tcp_port, accept_work);
	unsigned int noio = memalloc_noio_save();	/* reclaim may wait for a host */

	nvtgt_tcp_accept(tport);
	memalloc_noio_restore(noio);
}

static void nvtgt_tcp_set_params(struct nvtgt_port *port)
{
	if (port->inline_data_size < 0)
		port->inline_data_size = NVTGT_TCP_INLINE_SIZE;
	port->inline_data_size = min_t(int, port->inline_data_size, NVTGT_TCP_MAX_INLINE);
	/* IOCCSZ counts units of 16 bytes */
	port->inline_data_size = round_down(port->inline_data_size, 16);
	if (port->max_queue_size < 0)
		port->max_queue_size = NVTGT_MAX_QUEUE_SIZE;
	if (port->mdts <= 0)
		port->mdts = NVTGT_DEFAULT_MDTS;
}

static int nvtgt_tcp_listen(struct nvtgt_tcp_port *tport)
{
	struct sockaddr_storage *ss = &tport->addr;
	struct sock *sk;
	int ret;

	ret = sock_create_kern(tport->port->net, ss->ss_family, SOCK_STREAM, IPPROTO_TCP,
			       &tport->sock);
	if (ret)
		return ret;
	sk = tport->sock->sk;
	sock_set_reuseaddr(sk);
	tcp_sock_set_nodelay(sk);
	if (nvtgt_tcp_so_priority > 0)
		sock_set_priority(sk, nvtgt_tcp_so_priority);

	ret = kernel_bind(tport->sock, (void *)ss, sizeof(*ss));
	if (ret)
		goto release;
	write_lock_bh(&sk->sk_callback_lock);
	tport->old_data_ready = sk->sk_data_ready;
	rcu_assign_sk_user_data(sk, tport);
	sk->sk_data_ready = nvtgt_tcp_listen_ready;
	write_unlock_bh(&sk->sk_callback_lock);
	ret = kernel_listen(tport->sock, NVTGT_TCP_BACKLOG);
	if (ret)
		goto release;
	return 0;

release:
	sock_release(tport->sock);
	return ret;
}

/**
 * nvtgt_tcp_add_port - open a listener
 * @port: the port; its parameters get the defaults where they are -1
 *
 * Context: process, may sleep.
 * Return: 0 or a negative errno, logged
 */
int nvtgt_tcp_add_port(struct nvtgt_port *port)
{
	struct nvtgt_tcp_port *tport;
	int ret;

	tport = kzalloc(sizeof(*tport), GFP_KERNEL);
	if (!tport)
		return -ENOMEM;
	ret = nvtgt_port_sockaddr(port, &tport->addr);
	if (ret)
		goto free;
	tport->port = port;
	INIT_DELAYED_WORK(&tport->accept_work, nvtgt_tcp_accept_work);
	nvtgt_tcp_set_params(port);
	port->priv = tport;

	ret = nvtgt_tcp_listen(tport);
	if (ret) {
		pr_err("port %u: cannot listen on %pISpc: error %d\n", port->id, &tport->addr,
		       ret);
		port->priv = NULL;
		goto free;
	}
	pr_info("port %u: listening on %pISpc\n", port->id, &tport->addr);
	return 0;

free:
	kfree(tport);
	return ret;
}

/**
 * nvtgt_tcp_remove_port - close a listener
 * @port: what nvtgt_tcp_add_port() opened
 *
 * Context: process, may sleep.
 */
void nvtgt_tcp_remove_port(struct nvtgt_port *port)
{
	struct nvtgt_tcp_port *tport = port->priv;
	struct sock *sk = tport->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = tport->old_data_ready;
	rcu_assign_sk_user_data(sk, NULL);
	write_unlock_bh(&sk->sk_callback_lock);
	synchronize_rcu();		/* no callback queues the work any more */
	cancel_delayed_work_sync(&tport->accept_work);
	sock_release(tport->sock);
	port->priv = NULL;
	kfree(tport);
	pr_info("port %u: closed\n", port->id);
}

/**
 * nvtgt_tcp_disc_traddr - which address should the host be told for a port?
 * @queue: the host's connection to a discovery controller
 * @port: the port
 * @buf: where to
 * @len: room in @buf
 *
 * Return: true when @port listens on any address: the one that the host used
 */
bool nvtgt_tcp_disc_traddr(struct nvtgt_queue *queue, const struct nvtgt_port *port,
			   char *buf, size_t len)
{
	struct nvtgt_tcp_queue *q = to_nvtgt_tcp_queue(queue);
	const struct nvtgt_tcp_port *tport = port->priv;
	struct sockaddr_storage addr;

	if (!tport || !nvtgt_sockaddr_is_any(&tport->addr))
		return false;
	if (kernel_getsockname(q->sock, (void *)&addr) < 0)
		return false;
	if (addr.ss_family == AF_INET6 &&
	    ipv6_addr_v4mapped(&((struct sockaddr_in6 *)&addr)->sin6_addr))
		snprintf(buf, len, "%pI4", &((struct sockaddr_in6 *)&addr)->sin6_addr.s6_addr32[3]);
	else
		snprintf(buf, len, "%pISc", &addr);
	return true;
}
