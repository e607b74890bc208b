/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Front end `kprobe` (any kernel with kprobes): entries only, see handlers/call.h. What a raw
 * tracepoint gives is a plain address, too. */
#pragma once

#include "handlers/call.h"

SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(obi_kp_send, struct sock *sk, struct msghdr *msg, size_t size)
{
	return handle_call(sk, msg, size, 0, DATA_DIRECTION_SEND);
}

/* tcp_recvmsg by where its flags are; the loader takes the one that the kernel's BTF tells. */
SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(obi_kp_recv, struct sock *sk, struct msghdr *msg, size_t size, int flags)
{
	return handle_call(sk, msg, size, flags, DATA_DIRECTION_RECV);
}

/* Before 5.19 (kernel commit ec095263a965) non-blocking was an argument of its own. */
SEC("kprobe/tcp_recvmsg")
int BPF_KPROBE(obi_kp_recv6, struct sock *sk, struct msghdr *msg, size_t size, int nonblock,
	       int flags)
{
	return handle_call(sk, msg, size, flags, DATA_DIRECTION_RECV);
}

/* sendfile and splice before 6.5 (kernel commit dc97391e6610 removed sendpage). */
SEC("kprobe/tcp_sendpage")
int BPF_KPROBE(obi_kp_sendpage, struct sock *sk, struct page *page, int offset, size_t size)
{
	return handle_call(sk, NULL, size, NO_BUFFER, DATA_DIRECTION_SEND);
}

SEC("kprobe/tcp_splice_read")
int BPF_KPROBE(obi_kp_splice, struct socket *sock, loff_t *from, struct pipe_inode_info *pipe,
	       size_t size)
{
	return handle_call(FIELD(sock, sk), NULL, size, NO_BUFFER, DATA_DIRECTION_RECV);
}

SEC("kprobe/release_sock")
int BPF_KPROBE(obi_kp_unlock, struct sock *sk)
{
	return handle_unlock(sk);
}

SEC("kprobe/unix_stream_sendmsg")
int BPF_KPROBE(obi_kp_usend, struct socket *sock, struct msghdr *msg, size_t size)
{
	return handle_call(FIELD(sock, sk), msg, size, 0, DATA_DIRECTION_SEND);
}

SEC("kprobe/unix_stream_sendpage")
int BPF_KPROBE(obi_kp_usendpg, struct socket *sock, struct page *page, int offset, size_t size)
{
	return handle_call(FIELD(sock, sk), NULL, size, NO_BUFFER, DATA_DIRECTION_SEND);
}

SEC("kprobe/unix_stream_splice_read")
int BPF_KPROBE(obi_kp_usplice, struct socket *sock)
{
	return handle_untold(FIELD(sock, sk));
}

SEC("kprobe/unix_stream_recvmsg")
int BPF_KPROBE(obi_kp_urecv, struct socket *sock, struct msghdr *msg, size_t size, int flags)
{
	return handle_call(FIELD(sock, sk), msg, size, flags, DATA_DIRECTION_RECV);
}

SEC("kprobe/sock_def_readable")
int BPF_KPROBE(obi_kp_readable, struct sock *sk)
{
	return handle_readable(sk);
}

SEC("raw_tp/sock_recv_length")
int BPF_PROG(obi_kp_received, struct sock *sk)
{
	return handle_received(sk);
}

/* Where there is no such tracepoint. */
SEC("kprobe/consume_skb")
int BPF_KPROBE(obi_kp_consume, struct sk_buff *skb)
{
	return handle_consumed(skb);
}

/* A unix socket has no state tracepoint: its release is the close. */
SEC("kprobe/unix_release_sock")
int BPF_KPROBE(obi_kp_urelease, struct sock *sk)
{
	struct state_args a = {sk, TCP_ESTABLISHED_, TCP_CLOSE_};

	return handle_conn_state(&a);
}
