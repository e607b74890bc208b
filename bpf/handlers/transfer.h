/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Bytes moved by one socket call, whatever hook saw it. */
#pragma once

#include "maps/verdict.h"
#include "lib/bound.h"
#include "lib/heads.h"
#include "handlers/conn.h"
#include "handlers/selection.h"

#define MSG_OOB_      0x1
#define MSG_PEEK_     0x2
#define MSG_TRUNC_    0x20
#define MSG_ERRQUEUE_ 0x2000

#define EPIPE_	    32
#define ECONNRESET_ 104

struct transfer_args {
	struct sock *sk;
	int ret;   /* bytes, or a negative errno */
	int flags; /* MSG_* of a receive */
	__u8 dir;  /* enum data_direction */
	/* Constant in each hook: 5.10's verifier takes no pointer's word for not being NULL, and
	 * knows no bpf_loop. */
	enum payload_source source;
	struct msghdr *msg; /* PAYLOAD_OF_MSG */
	__u64 size;	    /* PAYLOAD_OF_MSG: bytes asked for */
	__u64 told;	    /* PAYLOAD_OF_MSG: bytes of the call that are recorded already */
	bool unproved;	    /* PAYLOAD_OF_MSG: msg may not be this call's */
	struct conn *conn;  /* where the hook knows it */
};

/* What is left to record of a call after verdicts. */
struct transfer {
	__u64 pos;
	__u64 other_pos; /* of the other direction */
	__u64 fill;	 /* of the ring */
	__u32 bytes;
	__u32 want;  /* payload bytes worth capturing */
	__u16 flags; /* enum data_flag */
};

/* Asks user space's verdict while it may have changed: at the 1st, 2nd, 4th … 32nd call, at every
 * 32nd, at large ones, and whenever one direction runs long. */
static __always_inline void verdict_refresh(struct conn *conn, __u8 dir, const struct transfer *t)
{
	__u32 calls = conn->calls;
	struct verdict *v;
	__u64 pos[2];

	if ((calls & 31) && (calls & (calls - 1)) && conn->run[dir & 1] < CAPTURE_RUN_MAX &&
	    t->bytes <= CAPTURE_MAX)
		return;
	v = bpf_map_lookup_elem(&verdict_by_conn, &conn->id);
	if (!v)
		return;
	conn->skip_until[0] = v->skip_until[0];
	conn->skip_until[1] = v->skip_until[1];
	if (v->mode == VERDICT_NOTHING)
		conn->nothing = 1;
	if (v->mode != VERDICT_OPEN)
		return;
	pos[dir & 1] = t->pos;
	pos[(dir ^ 1) & 1] = t->other_pos;
	conn_open_anew(conn, pos);
	bpf_map_delete_elem(&verdict_by_conn, &conn->id);
}

/* A connection that says nothing is looked at again once it was idle. True = still nothing. */
static __always_inline bool verdict_nothing(struct conn *conn)
{
	__u64 now;
	__u64 idle;

	if (!conn->nothing)
		return false;
	now = bpf_ktime_get_ns();
	idle = now - conn->last_ktime;
	conn->last_ktime = now;
	if (idle < IDLE_REOPEN_MS * 1000000ULL || idle == now)
		return true;
	bpf_map_delete_elem(&verdict_by_conn, &conn->id);
	conn->nothing = 0;
	conn->calls = 1;
	return false;
}

static __always_inline void data_head(struct data_event *e, const struct transfer_args *a,
				      const struct conn *conn, const struct transfer *t,
				      const struct payload_copy *copy, __u16 flags)
{
	header_init(&e->header, EVENT_KIND_DATA, sizeof(*e) + copy->copied + copy->tail);
	e->header.conn_id = conn->id;
	e->header.flags = flags;
	e->pos = t->pos;
	e->other_pos = t->other_pos;
	e->bytes = t->bytes;
	e->captured = copy->copied;
	e->tail = copy->tail;
	e->direction = a->dir;
}

#define DATA_ROOM(cap, copies) (sizeof(struct data_event) + (cap) * (copies) + CAPTURE_TAIL)

/* Writes one data record of a size class. cap and copies are constants: the ring reserves only
 * known sizes before 5.19. */
static __always_inline void emit_data_class(const struct transfer_args *a, struct conn *conn,
					    const struct transfer *t, const struct payload *p,
					    const __u32 cap, const __u32 copies,
					    struct hook_stats *stats)
{
	struct payload_copy copy = {};
	__u16 flags = t->flags;
	struct data_event *e;

	e = bpf_ringbuf_reserve(&events, DATA_ROOM(cap, copies), 0);
	if (!e) {
		stat_lost(stats, HOOK_STAT_DATA_RESERVE_FAILED);
		return;
	}
	if (copies == 1)
		payload_copy_buf(p, (__u8 *)(e + 1), cap, t->bytes, &copy);
	else
		payload_copy_iov(p, a->source, (__u8 *)(e + 1), cap, t->bytes, &copy);
	FORGET(copy.copied);
	FORGET(copy.tail);
	FORGET(copy.fault);
	if (copy.fault) {
		flags |= DATA_FLAG_PAYLOAD_FAULT;
		stat_inc(stats, HOOK_STAT_PAYLOAD_FAULT);
	}
	data_head(e, a, conn, t, &copy, flags);
	conn->run[a->dir & 1] += copy.copied;
	data_submit(e, t->fill);
	stat_inc(stats, HOOK_STAT_DATA_SUBMITTED);
}

static __always_inline void emit_data_bare(const struct transfer_args *a, struct conn *conn,
					   const struct transfer *t, struct hook_stats *stats)
{
	struct payload_copy none = {};
	struct data_event *e;

	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		stat_lost(stats, HOOK_STAT_DATA_RESERVE_FAILED);
		return;
	}
	data_head(e, a, conn, t, &none, t->flags);
	data_submit(e, t->fill);
	stat_inc(stats, HOOK_STAT_DATA_SUBMITTED);
}

static __always_inline void emit_data(const struct transfer_args *a, struct conn *conn,
				      const struct transfer *t, const struct payload *p,
				      struct hook_stats *stats)
{
	__u32 n = t->bytes < t->want ? t->bytes : t->want;

	if (a->source == PAYLOAD_OF_NOTHING || p->kind < PAYLOAD_BUF || n == 0) {
		emit_data_bare(a, conn, t, stats);
		return;
	}
	if (p->kind == PAYLOAD_BUF) {
		if (n <= CAPTURE_SMALL)
			emit_data_class(a, conn, t, p, CAPTURE_SMALL, 1, stats);
		else if (n <= CAPTURE_MEDIUM || one_head(conn, p))
			emit_data_class(a, conn, t, p, CAPTURE_MEDIUM, 1, stats);
		else if (n <= CAPTURE_LARGE)
			emit_data_class(a, conn, t, p, CAPTURE_LARGE, 1, stats);
		else
			emit_data_class(a, conn, t, p, CAPTURE_MAX, 1, stats);
		return;
	}
	if (n <= CAPTURE_SMALL)
		emit_data_class(a, conn, t, p, CAPTURE_SMALL, 2, stats);
	else if (n <= CAPTURE_MEDIUM ||
		 (!conn->pipelined && first_segment_is_head(p, CAPTURE_MEDIUM)))
		emit_data_class(a, conn, t, p, CAPTURE_MEDIUM, 2, stats);
	else
		emit_data_class(a, conn, t, p, CAPTURE_MAX, 2, stats);
}

/* Applies skip_until: false when the whole call lies below it. A call that crosses it is recorded
 * from there. */
static __always_inline bool transfer_clip(struct conn *conn, __u8 dir, struct transfer *t,
					  struct payload *p)
{
	__u64 until = conn->skip_until[dir & 1];
	__u64 cut;

	if (t->pos >= until || t->bytes == 0)
		return true;
	cut = until - t->pos;
	if (cut >= t->bytes)
		return false;
	t->pos += cut;
	t->bytes -= cut;
	p->skip += cut;
	return true;
}

/* Where the call's bytes lie in their stream, and where the other one stands. */
static __always_inline void transfer_place(const struct transfer_args *a, struct conn *conn,
					   struct transfer *t)
{
	struct tcp_sock *tp = conn_tcp(a->sk, conn);
	__u8 dir = a->dir & 1;
	__u64 pos[2];

	/* An addition that returns the old value needs 5.12. */
	if (!tp)
		__sync_fetch_and_add(&conn->own_pos[dir], a->ret);
	conn_positions(tp, conn, pos);
	if (tp && CFG(untyped))
		conn->own_pos[dir] = dir == DATA_DIRECTION_SEND ? pos[0] : pos[1];
	/* VERIFIER: 5.10 reads the stack at constant offsets only. */
	t->pos = (dir == DATA_DIRECTION_SEND ? pos[0] : pos[1]) - a->ret;
	t->other_pos = dir == DATA_DIRECTION_SEND ? pos[1] : pos[0];
	t->bytes = a->ret;
}

static __always_inline bool is_closed(struct sock *sk, const struct conn *conn)
{
	return conn_tcp(sk, conn) && sock_state(sk) == TCP_CLOSE_;
}

/* Whether a receive that returned 0 is news: the peer's FIN, once. A connection that is closed has
 * told its end. */
static __always_inline bool eof_is_news(struct sock *sk, struct conn *conn)
{
	if (conn->eof || !(FIELD(sk, sk_shutdown) & RCV_SHUTDOWN_) || is_closed(sk, conn))
		return false;
	conn->eof = 1;
	return true;
}

/* Every reason not to record a call of a selected task. True = skip, counted. */
static __always_inline bool transfer_skipped(const struct transfer_args *a, struct conn *conn,
					     struct hook_stats *stats)
{
	if (conn->flags & (CONN_FLAG_PEER_IS_AGENT | CONN_FLAG_OWN)) {
		stat_inc(stats, HOOK_STAT_SKIP_AGENT_PEER);
		return true;
	}
	if (verdict_nothing(conn)) {
		stat_inc(stats, HOOK_STAT_SKIP_VERDICT_NOTHING);
		conn->skipped_calls++;
		return true;
	}
	if (a->ret == 0 && !eof_is_news(a->sk, conn)) {
		stat_inc(stats, HOOK_STAT_SKIP_EMPTY);
		return true;
	}
	return false;
}

static __always_inline void transfer_payload(const struct transfer_args *a, struct transfer *t,
					     struct payload *p, struct hook_stats *stats)
{
	if (a->source == PAYLOAD_OF_SYSCALL)
		payload_of_syscall(a->sk, a->dir, a->ret, p);
	else if (a->source == PAYLOAD_OF_MSG)
		payload_of_msg(a->msg, a->size - a->told, p);
	if (a->unproved)
		p->kind = PAYLOAD_UNKNOWN;
	if (a->flags & MSG_TRUNC_ || a->ret == 0)
		p->kind = PAYLOAD_NONE;
	if (p->kind == PAYLOAD_UNKNOWN) {
		t->flags |= DATA_FLAG_PAYLOAD_UNKNOWN;
		stat_inc(stats, HOOK_STAT_PAYLOAD_UNKNOWN);
	} else if (p->kind == PAYLOAD_NONE) {
		t->flags |= DATA_FLAG_PAYLOAD_NONE;
	}
}

/* What the paths so far know of these values does not matter to the copying. */
static __always_inline void transfer_forget(struct transfer *t, struct payload *p)
{
	FORGET(t->pos);
	FORGET(t->other_pos);
	FORGET(t->fill);
	FORGET(t->bytes);
	FORGET(t->want);
	FORGET(t->flags);
	FORGET(p->base);
	FORGET(p->iov);
	FORGET(p->skip);
	FORGET(p->segments);
	FORGET(p->kind);
}

/* Records a call that no verdict leaves out. */
static __always_inline int record_transfer(const struct transfer_args *a, struct conn *conn,
					   struct transfer *t, struct hook_stats *stats)
{
	struct payload p = {};
	__u32 behind = 0;
	__u32 over = 0;

	conn->run[(a->dir ^ 1) & 1] = 0;
	transfer_payload(a, t, &p, stats);
	note_pipelined(conn, a->dir, &p, t->bytes);
	transfer_forget(t, &p);
	if (!transfer_clip(conn, a->dir, t, &p)) {
		stat_inc(stats, HOOK_STAT_SKIP_VERDICT_UNTIL);
		conn->skipped_calls++;
		return 0;
	}
	t->fill = ring_fill();
	if (t->fill >= CFG(data_limit)) {
		stat_lost(stats, HOOK_STAT_DATA_RESERVE_FAILED);
		return 0;
	}
	if (!conn->announced) {
		if (!emit_conn_open(a->sk, conn, stats)) {
			stat_lost(stats, HOOK_STAT_DATA_OPEN_FAILED);
			return 0;
		}
		over = is_closed(a->sk, conn);
	}
	FORGET(over);
	/* A body that nobody answers, unless it is over. */
	t->want = conn->run[a->dir & 1] < CAPTURE_RUN_MAX || begins_like_head(&p) ? CAPTURE_MAX
										  : CAPTURE_SMALL;
	transfer_forget(t, &p);
	/* The rest of a body that was answered early, and the next request behind it. */
	if (a->dir == DATA_DIRECTION_RECV && t->bytes > t->want && ends_in_head(&p, t->bytes)) {
		t->want = CAPTURE_MAX;
		if (t->bytes > CAPTURE_MAX)
			behind = CAPTURE_LARGE;
		FORGET(t->want);
	}
	FORGET(behind);
	t->bytes -= behind;
	emit_data(a, conn, t, &p, stats);
	if (behind) {
		stat_inc(stats, HOOK_STAT_CALLS);
		t->pos += t->bytes;
		p.skip += t->bytes;
		t->bytes = behind;
		transfer_forget(t, &p);
		emit_data_class(a, conn, t, &p, CAPTURE_LARGE, 1, stats);
	}
	/* Closed before its first call: no other hook will tell. */
	if (over)
		emit_conn_end(a->sk, conn, EVENT_KIND_CONN_CLOSE, stats);
	return 0;
}

/* The connection of a call that is to be recorded; NULL, counted, where there is a reason not to.
 */
static __always_inline struct conn *transfer_admit(const struct transfer_args *a,
						   struct transfer *t, __u32 selected,
						   struct hook_stats *stats)
{
	struct conn *conn;

	stat_inc(stats, HOOK_STAT_CALLS);
	if (a->flags & (MSG_PEEK_ | MSG_ERRQUEUE_ | MSG_OOB_)) {
		stat_inc(stats, HOOK_STAT_SKIP_PEEK);
		return NULL;
	}
	conn = a->conn ?: conn_find(a->sk);
	if (!conn)
		conn = conn_adopt(a->sk, a->dir, a->ret, 0);
	if (!conn) {
		stat_lost(stats, HOOK_STAT_SKIP_NO_CONN);
		return NULL;
	}
	transfer_place(a, conn, t);
	__sync_fetch_and_add(&conn->seen[a->dir & 1], a->ret);
	conn->calls++;
	verdict_refresh(conn, a->dir, t);
	if (transfer_skipped(a, conn, stats))
		return NULL;
	if (selected == SELECTION_PENDING) {
		if (!pending_budget_left()) {
			stat_lost(stats, HOOK_STAT_SKIP_PENDING_BUDGET);
			return NULL;
		}
		t->flags |= DATA_FLAG_SELECTION_PENDING;
	}
	if (a->ret == 0)
		t->flags |= DATA_FLAG_EOF;
	return conn;
}

/* The peer of a unix socket is gone. No tracepoint tells of the socket's own end. */
static __always_inline bool unix_is_broken(const struct transfer_args *a)
{
	return sock_is_unix(a->sk) && (a->ret == -EPIPE_ || a->ret == -ECONNRESET_);
}

/* Ends a unix connection whose positions are not known any more, and begins it anew from here. */
static __always_inline void conn_break(struct sock *sk)
{
	struct conn *conn = conn_find(sk);

	if (!conn || !conn->announced)
		return;
	emit_conn_end(sk, conn, EVENT_KIND_CONN_CLOSE, stats_of_cpu());
	conn_open_anew(conn, conn->own_pos);
}

/* A call that moved nothing and told nothing. */
static __always_inline void handle_failed(const struct transfer_args *a)
{
	if (a->source == PAYLOAD_OF_SYSCALL)
		mmsg_pass(a->ret);
	if (unix_is_broken(a))
		conn_break(a->sk);
}

/* A call of a task that is not observed, on a socket that it shares with one that is: it moves the
 * positions that hooks count. */
static __always_inline void handle_unobserved(const struct transfer_args *a)
{
	struct conn *conn;

	if (!sock_is_unix(a->sk) && FIELD(a->sk, sk_protocol) != IPPROTO_MPTCP_)
		return;
	if (a->flags & (MSG_PEEK_ | MSG_ERRQUEUE_ | MSG_OOB_))
		return;
	conn = conn_find(a->sk);
	if (conn)
		__sync_fetch_and_add(&conn->own_pos[a->dir & 1], a->ret);
}

static __always_inline int handle_transfer(const struct transfer_args *a)
{
	struct transfer t = {};
	struct hook_stats *stats;
	struct conn *conn;
	__u32 selected;

	if (!sock_is_stream(a->sk))
		return 0;
	if (a->ret < 0 || (a->ret == 0 && a->dir == DATA_DIRECTION_SEND)) {
		handle_failed(a);
		return 0;
	}
	selected = current_selection();
	if (!selected) {
		handle_unobserved(a);
		return 0;
	}
	stats = stats_of_cpu();
	if (!stats)
		return 0;
	conn = transfer_admit(a, &t, selected, stats);
	if (conn)
		return record_transfer(a, conn, &t, stats);
	if (a->source == PAYLOAD_OF_SYSCALL)
		mmsg_pass(a->ret);
	return 0;
}
