/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Front end `fentry` (trampolines: 5.5+, arm64 6.4+): exits of the socket functions, where
 * arguments, result and the advanced iterator are all at hand. */
#pragma once

#include "handlers/transfer.h"

static __always_inline int transfer_by_msg(struct sock *sk, struct msghdr *msg, __u64 size,
					   int flags, int ret, __u8 dir)
{
	struct transfer_args a = {.sk = sk,
				  .ret = ret,
				  .flags = flags,
				  .dir = dir,
				  .source = PAYLOAD_OF_MSG,
				  .msg = msg,
				  .size = size};

	return handle_transfer(&a);
}

SEC("fexit/tcp_sendmsg")
int BPF_PROG(obi_fx_send, struct sock *sk, struct msghdr *msg, size_t size, int ret)
{
	return transfer_by_msg(sk, msg, size, 0, ret, DATA_DIRECTION_SEND);
}

/* tcp_recvmsg by the number of its parameters; the loader takes the one that the kernel's BTF has.
 * 7.2 dropped addr_len (seen in the BTF of Debian's 7.2.13). */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(obi_fx_recv4, struct sock *sk, struct msghdr *msg, size_t len, int flags, int ret)
{
	return transfer_by_msg(sk, msg, len, flags, ret, DATA_DIRECTION_RECV);
}

SEC("fexit/tcp_recvmsg")
int BPF_PROG(obi_fx_recv5, struct sock *sk, struct msghdr *msg, size_t len, int flags,
	     int *addr_len, int ret)
{
	return transfer_by_msg(sk, msg, len, flags, ret, DATA_DIRECTION_RECV);
}

/* Before 5.19 (kernel commit ec095263a965) non-blocking was an argument of its own. */
SEC("fexit/tcp_recvmsg")
int BPF_PROG(obi_fx_recv6, struct sock *sk, struct msghdr *msg, size_t len, int nonblock, int flags,
	     int *addr_len, int ret)
{
	return transfer_by_msg(sk, msg, len, flags, ret, DATA_DIRECTION_RECV);
}

static __always_inline int transfer_bare(struct sock *sk, int ret, __u8 dir)
{
	struct transfer_args a = {.sk = sk, .ret = ret, .dir = dir};

	return handle_transfer(&a);
}

/* sendfile and splice before 6.5 (kernel commit dc97391e6610 removed sendpage). */
SEC("fexit/tcp_sendpage")
int BPF_PROG(obi_fx_sendpage, struct sock *sk, struct page *page, int offset, size_t size,
	     int flags, int ret)
{
	return transfer_bare(sk, ret, DATA_DIRECTION_SEND);
}

SEC("fexit/unix_stream_sendpage")
int BPF_PROG(obi_fx_usendpg, struct socket *sock, struct page *page, int offset, size_t size,
	     int flags, int ret)
{
	return transfer_bare(sock->sk, ret, DATA_DIRECTION_SEND);
}

/* TCP counts what is spliced out of it; for a unix socket the hooks do. */
SEC("fexit/unix_stream_splice_read")
int BPF_PROG(obi_fx_usplice, struct socket *sock, loff_t *from, struct pipe_inode_info *pipe,
	     size_t size, unsigned int flags, ssize_t ret)
{
	return transfer_bare(sock->sk, ret, DATA_DIRECTION_RECV);
}

SEC("fexit/unix_stream_sendmsg")
int BPF_PROG(obi_fx_usend, struct socket *sock, struct msghdr *msg, size_t len, int ret)
{
	return transfer_by_msg(sock->sk, msg, len, 0, ret, DATA_DIRECTION_SEND);
}

SEC("fexit/unix_stream_recvmsg")
int BPF_PROG(obi_fx_urecv, struct socket *sock, struct msghdr *msg, size_t size, int flags, int ret)
{
	return transfer_by_msg(sock->sk, msg, size, flags, ret, DATA_DIRECTION_RECV);
}

/* A unix socket has no state tracepoint: its release is the close. */
SEC("fentry/unix_release_sock")
int BPF_PROG(obi_fx_urelease, struct sock *sk, int embrion)
{
	struct state_args a = {sk, TCP_ESTABLISHED_, TCP_CLOSE_};

	return handle_conn_state(&a);
}
