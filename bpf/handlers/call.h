/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Socket calls seen from inside. A function that can sleep has no exit that a probe sees every time
 * (a kretprobe that finds no free instance is silently left out), and at its entry nobody knows how
 * many bytes it will move. So the entry only notes the call, and what the kernel itself calls once
 * bytes have moved tells how many:
 *   TCP           release_sock, at the end and before each wait; the socket is still locked, so
 *                 that write_seq and copied_seq are this call's
 *   unix, send    sock_def_readable of the peer, once a segment is in its queue
 *   unix, receive the tracepoint sock_recv_length at the end (6.3+), before that consume_skb of the
 *                 segment at the head of the queue, once it is copied (seen on 5.10 and 6.1)
 * A noted call may be over, and its message gone, when one of these runs for another reason. */
#pragma once

#include "maps/call.h"
#include "handlers/transfer.h"

/* Flags of a call without a message. */
#define NO_BUFFER MSG_TRUNC_

/* Sequence number of a direction's next byte. */
static __always_inline __u32 stream_seq(struct sock *sk, __u32 dir)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return dir == DATA_DIRECTION_SEND ? FIELD(tp, write_seq) : FIELD(tp, copied_seq);
}

/* current enters a socket call. One that moves no bytes of the stream is not noted. */
static __always_inline int handle_call(struct sock *sk, struct msghdr *msg, __u64 size, int flags,
				       enum data_direction dir)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct call call = {
		.sk = (__u64)sk, .msg = (__u64)msg, .size = size, .flags = flags, .dir = dir};

	if (!sock_is_stream(sk) || !current_selection())
		return 0;
	if (flags & (MSG_PEEK_ | MSG_ERRQUEUE_ | MSG_OOB_)) {
		bpf_map_delete_elem(&call_by_tid, &tid);
		return 0;
	}
	call.ino = sock_ino(sk);
	if (!sock_is_unix(sk))
		call.seq = stream_seq(sk, dir);
	bpf_map_update_elem(&call_by_tid, &tid, &call, BPF_ANY);
	return 0;
}

/* current enters a call on a unix socket of which nothing will tell how many bytes it moves. */
static __always_inline int handle_untold(struct sock *sk)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&call_by_tid, &tid);
	if (!current_selection())
		return 0;
	stat_inc(stats_of_cpu(), HOOK_STAT_UNSEEN_CALLS);
	conn_break(sk);
	return 0;
}

static __always_inline struct call *call_of_current(void)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&call_by_tid, &tid);
}

/* Whether the call's socket is still the one at its address. A thread may close it and get another
 * one there, whose connect unlocks it before the thread's next call: 2 of 14 connections were taken
 * for what they are not; seen on 6.12. */
static __always_inline bool call_has_socket(const struct call *call)
{
	return call->ino && call->ino == sock_ino((struct sock *)call->sk);
}

/* Bytes that the call has moved since the last look, by its iterator; of a call without a message,
 * all that it may still move. Not to be believed of a call that is over. */
static __always_inline __u64 call_moved(const struct call *call)
{
	struct msghdr *msg = (struct msghdr *)call->msg;
	__u64 left = msg ? BPF_CORE_READ(msg, msg_iter.count) : 0;

	return call->size - left - call->told;
}

static __always_inline struct transfer_args args_of(const struct call *call, __u8 dir, int moved)
{
	return (struct transfer_args){.sk = (struct sock *)call->sk,
				      .ret = moved,
				      .flags = call->flags,
				      .dir = dir,
				      .source = PAYLOAD_OF_MSG,
				      .msg = (struct msghdr *)call->msg,
				      .size = call->size,
				      .told = call->told};
}

/* Bytes that moved on a TCP connection since a hook looked last: by its positions, or where it is
 * seen for the first time, by the call (0 when they cannot all be the call's). */
static __always_inline __u64 stream_moved(const struct call *call, struct sock *sk,
					  struct conn *conn, struct tcp_sock *tp)
{
	__u32 dir = call->dir & 1;
	__u64 moved;
	__u64 pos[2];

	if (conn) {
		conn_positions(tp, conn, pos);
		/* VERIFIER: 5.10 reads the stack at constant offsets only. */
		return dir == DATA_DIRECTION_SEND ? pos[0] - conn->own_pos[0]
						  : pos[1] - conn->own_pos[1];
	}
	moved = call->flags & MSG_TRUNC_ ? stream_seq(sk, dir) - call->seq : call_moved(call);
	/* A FIN has a sequence number and is no byte. */
	if (moved > call->size || FIELD(sk, sk_shutdown) & SEND_SHUTDOWN_)
		return 0;
	return moved;
}

/* Whether the receiving application stands at the end of the stream, and was not told so. */
static __always_inline bool at_new_end(const struct call *call, struct sock *sk,
				       const struct conn *conn, struct tcp_sock *tp)
{
	return call->dir == DATA_DIRECTION_RECV && !(conn && conn->eof) &&
	       FIELD(sk, sk_shutdown) & RCV_SHUTDOWN_ && tcp_unread(tp) == 0;
}

/* A TCP socket is about to be unlocked by current. */
static __always_inline int handle_unlock(struct sock *sk)
{
	struct call *call = call_of_current();
	struct transfer_args a;
	struct tcp_sock *tp;
	struct conn *conn;
	__u64 by_iter;
	__u64 moved;

	if (!call || call->sk != (__u64)sk || !call_has_socket(call))
		return 0;
	conn = conn_find(sk);
	tp = conn ? conn_tcp(sk, conn) : sock_tcp(sk);
	if (!tp)
		return 0;
	by_iter = call_moved(call);
	moved = stream_moved(call, sk, conn, tp);
	if (moved == 0 && !at_new_end(call, sk, conn, tp))
		return 0;
	a = args_of(call, call->dir, moved);
	a.conn = conn;
	a.unproved = moved != by_iter;
	call->told += by_iter;
	return handle_transfer(&a);
}

/* Bytes of a call on a unix socket have moved. */
static __always_inline int handle_unix_moved(struct call *call, enum data_direction dir)
{
	__u64 moved = call_moved(call);
	struct transfer_args a;

	if (moved == 0 || moved > call->size)
		return 0;
	a = args_of(call, dir, moved);
	call->told += moved;
	return handle_transfer(&a);
}

/* Bytes lie in the queue of sk for its reader. */
static __always_inline int handle_readable(struct sock *sk)
{
	struct call *call = call_of_current();
	struct unix_sock *sender;

	if (!call || call->dir != DATA_DIRECTION_SEND || !sock_is_unix(sk))
		return 0;
	sender = (struct unix_sock *)call->sk;
	if (!sock_is_unix((struct sock *)sender) || FIELD(sender, peer) != sk ||
	    !call_has_socket(call))
		return 0;
	return handle_unix_moved(call, DATA_DIRECTION_SEND);
}

/* The call of current if it receives from a unix socket, or NULL. */
static __always_inline struct call *unix_receive(void)
{
	struct call *call = call_of_current();

	if (!call || call->dir != DATA_DIRECTION_RECV || !sock_is_unix((struct sock *)call->sk) ||
	    !call_has_socket(call))
		return NULL;
	return call;
}

/* current lets go of a segment. A unix receive does so with the one at the head of its queue
 * whenever it has copied from it. */
static __always_inline int handle_consumed(struct sk_buff *skb)
{
	struct call *call = unix_receive();

	if (!call || FIELD((struct sock *)call->sk, sk_receive_queue.next) != skb)
		return 0;
	return handle_unix_moved(call, DATA_DIRECTION_RECV);
}

/* A receive has ended. */
static __always_inline int handle_received(struct sock *sk)
{
	struct call *call = unix_receive();

	if (!call || call->sk != (__u64)sk)
		return 0;
	return handle_unix_moved(call, DATA_DIRECTION_RECV);
}
