/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* A connection's beginning and end. */
#pragma once

#include "maps/own_conns.h"
#include "lib/conn_store.h"

/* Whether these are the sequence numbers of a connection that the agent opened. On its side, its
 * SYN counts as the first byte. */
static __always_inline bool peer_is_agent(const __u32 base[2])
{
	struct own_key key = {{base[DATA_DIRECTION_RECV] - 1, base[DATA_DIRECTION_SEND]}};

	return bpf_map_lookup_elem(&own_conns, &key) != NULL;
}

/* The TCP socket that tells the connection's positions; NULL where the hooks count them. */
static __always_inline struct tcp_sock *conn_tcp(struct sock *sk, const struct conn *conn)
{
	return conn->flags & CONN_FLAG_OWN_COUNTERS ? NULL : sock_tcp(sk);
}

/* Current positions of both directions. */
static __always_inline void conn_positions(struct tcp_sock *tp, const struct conn *conn,
					   __u64 pos[2])
{
	if (tp) {
		pos[DATA_DIRECTION_SEND] = tcp_send_pos(tp, conn->base[DATA_DIRECTION_SEND]);
		if (conn->fin_sent)
			pos[DATA_DIRECTION_SEND]--;
		pos[DATA_DIRECTION_RECV] = tcp_recv_pos(tp, conn->base[DATA_DIRECTION_RECV]);
	} else {
		pos[DATA_DIRECTION_SEND] = conn->own_pos[DATA_DIRECTION_SEND];
		pos[DATA_DIRECTION_RECV] = conn->own_pos[DATA_DIRECTION_RECV];
	}
}

/* User space is adopting connections: one that a hook sees first now may be older than that. Set
 * by the loader. TCP's positions tell by themselves. */
volatile __u32 adopting;

/* State for a connection seen for the first time. `moved` bytes in direction dir have moved
 * already by the call that revealed it (0 when none did). In the other direction a call may have
 * moved bytes whose hook has not run yet: its record begins before the open position. */
static __always_inline struct conn *conn_adopt(struct sock *sk, __u8 dir, __u32 moved, __u16 flags)
{
	struct tcp_sock *tp = sock_tcp(sk);
	struct conn init = {.id = conn_new_id(sk), .flags = flags};

	if (tp) {
		tcp_bases(tp, init.base);
		if (peer_is_agent(init.base))
			init.flags |= CONN_FLAG_PEER_IS_AGENT;
		conn_positions(tp, &init, init.open_pos);
		init.open_pos[dir & 1] -= moved;
		if (CFG(untyped))
			__builtin_memcpy(init.own_pos, init.open_pos, sizeof(init.own_pos));
		/* The SYN of an active open counts as the first acknowledged byte. */
		if (init.open_pos[DATA_DIRECTION_RECV] == 0 &&
		    init.open_pos[DATA_DIRECTION_SEND] <= 1)
			init.flags |= CONN_FLAG_FROM_BIRTH;
	} else {
		init.flags |= CONN_FLAG_OWN_COUNTERS;
		if (adopting)
			init.flags |= CONN_FLAG_ADOPTED;
	}
	return conn_create(sk, &init);
}

/* Lets the connection begin at pos of a direction. What no hook saw before stays to be told. */
static __always_inline void conn_open_at(struct conn *conn, __u8 dir, __u64 pos)
{
	__u64 before = conn->open_pos[dir & 1];

	conn->open_pos[dir & 1] = pos;
	__sync_fetch_and_add(&conn->seen[dir & 1], before - pos);
}

/* Lets the connection begin here, older than what is told of it from now on. */
static __always_inline void conn_open_anew(struct conn *conn, const __u64 pos[2])
{
	conn_open_at(conn, DATA_DIRECTION_SEND, pos[DATA_DIRECTION_SEND]);
	conn_open_at(conn, DATA_DIRECTION_RECV, pos[DATA_DIRECTION_RECV]);
	conn->flags = (conn->flags & ~CONN_FLAG_FROM_BIRTH) | CONN_FLAG_ADOPTED;
	conn->announced = 0;
}

/* Writes the open record. False when the ring had no room; tried again at the next call. Two CPUs
 * may write the same one twice. */
static __always_inline bool emit_conn_open(struct sock *sk, struct conn *conn,
					   struct hook_stats *stats)
{
	struct conn_open_event *e;

	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e)
		return false;
	__builtin_memset(e, 0, sizeof(*e));
	header_init(&e->header, EVENT_KIND_CONN_OPEN, sizeof(*e));
	e->header.conn_id = conn->id;
	e->header.flags = conn->flags;
	e->send_pos = conn->open_pos[DATA_DIRECTION_SEND];
	e->recv_pos = conn->open_pos[DATA_DIRECTION_RECV];
	e->family = FIELD(sk, __sk_common.skc_family);
	e->protocol = FIELD(sk, sk_protocol);
	e->netns = sock_netns(sk);
	if (e->family == AF_UNIX_) {
		unix_path_of(sk, e->unix_path);
	} else {
		sock_local(sk, e->local_addr, &e->local_port);
		sock_remote(sk, e->remote_addr, &e->remote_port);
	}
	event_submit(e);
	conn->announced = 1;
	stat_inc(stats, HOOK_STAT_CONN_OPENED);
	return true;
}

/* Bytes that arrived and that the application may still read, although the connection is over.
 * Without a descriptor (an orphan) nobody will. */
static __always_inline __u64 unread_bytes(struct sock *sk, const struct conn *conn)
{
	struct tcp_sock *tp = conn_tcp(sk, conn);

	return tp && FIELD(sk, sk_socket) ? tcp_unread(tp) : 0;
}

static __always_inline void emit_conn_end(struct sock *sk, struct conn *conn, enum event_kind kind,
					  struct hook_stats *stats)
{
	struct conn_end_event *e;
	__u64 pos[2];

	conn_positions(conn_tcp(sk, conn), conn, pos);
	if (kind == EVENT_KIND_CONN_CLOSE) {
		__u64 moved = pos[0] - conn->open_pos[0] + pos[1] - conn->open_pos[1];
		__s64 unseen = moved - conn->seen[0] - conn->seen[1];

		if (unseen > 0)
			stat_add(stats, HOOK_STAT_UNSEEN_BYTES, unseen);
	}
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		stat_lost(stats, HOOK_STAT_CONTROL_RESERVE_FAILED);
		return;
	}
	header_init(&e->header, kind, sizeof(*e));
	e->header.conn_id = conn->id;
	e->send_pos = pos[DATA_DIRECTION_SEND];
	e->recv_pos = pos[DATA_DIRECTION_RECV] + unread_bytes(sk, conn);
	e->send_seen = conn->seen[DATA_DIRECTION_SEND];
	e->recv_seen = conn->seen[DATA_DIRECTION_RECV];
	e->error = FIELD(sk, sk_err);
	e->skipped_calls = conn->skipped_calls;
	event_submit(e);
	stat_inc(stats, HOOK_STAT_CONTROL_SUBMITTED);
	if (kind == EVENT_KIND_CONN_CLOSE)
		stat_inc(stats, HOOK_STAT_CONN_CLOSED);
}

/* The agent's own connect: mark the socket now, its sequence numbers are known once it is
 * established. */
static __always_inline void handle_own_connect(struct sock *sk)
{
	struct conn init = {.flags = CONN_FLAG_OWN};

	conn_create(sk, &init);
}

/* One of the agent's own connections is established or closed. */
static __always_inline void own_conn_state(struct sock *sk, struct conn *conn, int state)
{
	struct tcp_sock *tp = sock_tcp(sk);
	struct own_key key = {};
	__u32 one = 1;

	if (state == TCP_ESTABLISHED_ && tp)
		tcp_bases(tp, conn->base);
	__builtin_memcpy(key.base, conn->base, sizeof(key.base));
	if (state == TCP_ESTABLISHED_) {
		bpf_map_update_elem(&own_conns, &key, &one, BPF_ANY);
	} else if (state == TCP_CLOSE_) {
		bpf_map_delete_elem(&own_conns, &key);
		conn_drop(sk);
	}
}

struct state_args {
	struct sock *sk;
	int oldstate;
	int newstate;
};

/* A TCP socket changed state. Runs in any context: current means something only for LISTEN and
 * SYN_SENT, which handlers/process.h and handle_own_connect care about. */
static __always_inline int handle_conn_state(const struct state_args *a)
{
	struct conn *conn;

	if (a->newstate != TCP_CLOSE_ && a->newstate != TCP_FIN_WAIT1_ &&
	    a->newstate != TCP_LAST_ACK_ &&
	    !(a->newstate == TCP_ESTABLISHED_ && a->oldstate == TCP_SYN_SENT_))
		return 0;
	conn = conn_find(a->sk);
	if (!conn)
		return 0;
	if (conn->flags & CONN_FLAG_OWN) {
		own_conn_state(a->sk, conn, a->newstate);
		return 0;
	}
	if (a->newstate == TCP_ESTABLISHED_)
		return 0;
	if (conn->announced)
		emit_conn_end(a->sk, conn,
			      a->newstate == TCP_CLOSE_ ? EVENT_KIND_CONN_CLOSE
							: EVENT_KIND_CONN_SHUT,
			      stats_of_cpu());
	if (a->newstate == TCP_CLOSE_)
		conn_drop(a->sk);
	else
		/* The FIN is queued next; it has a sequence number and is no byte. */
		conn->fin_sent = 1;
	return 0;
}
