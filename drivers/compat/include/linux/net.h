/* SPDX-License-Identifier: GPL-2.0 */
#include_next <linux/net.h>
#ifndef _NVTGT_COMPAT_LINUX_NET_H
#define _NVTGT_COMPAT_LINUX_NET_H

#include <nvtgt_compat_config.h>

#ifndef HAVE_MSG_SPLICE_PAGES_TCP
#include <linux/bvec.h>
#include <linux/socket.h>
#include <linux/uio.h>
#include <net/sock.h>

/*
 * Before 6.5 TCP splices pages through sendpage only. The socket is locked once
 * for the whole vector, as sock_sendmsg() with MSG_SPLICE_PAGES does.
 */
static inline int nvtgt_compat_sock_sendmsg(struct socket *sock, struct msghdr *msg)
{
	int flags = msg->msg_flags & ~MSG_SPLICE_PAGES;
	struct iov_iter *iter = &msg->msg_iter;
	struct sock *sk = sock->sk;
	int sent = 0, ret = 0;

	if (!(msg->msg_flags & MSG_SPLICE_PAGES) || !iov_iter_is_bvec(iter))
		return sock_sendmsg(sock, msg);

	lock_sock(sk);
	while (iov_iter_count(iter)) {
		const struct bio_vec *bv = iter->bvec;
		size_t len = min(bv->bv_len - iter->iov_offset, iov_iter_count(iter));
		bool last = len == iov_iter_count(iter);

		ret = kernel_sendpage_locked(sk, bv->bv_page, bv->bv_offset + iter->iov_offset,
					     len, last ? flags :
					     flags | MSG_MORE | MSG_SENDPAGE_NOTLAST);
		if (ret <= 0)
			break;
		sent += ret;
		iov_iter_advance(iter, ret);
	}
	release_sock(sk);
	return sent ? sent : ret;
}
#define sock_sendmsg nvtgt_compat_sock_sendmsg
#endif

#endif
