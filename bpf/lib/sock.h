/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Everything that is read out of a struct sock. */
#pragma once

#include "lib/field.h"

#define AF_UNIX_	 1
#define AF_INET_	 2
#define AF_INET6_	 10
#define SOCK_STREAM_	 1
#define IPPROTO_TCP_	 6
#define IPPROTO_MPTCP_	 262
#define RCV_SHUTDOWN_	 1
#define SEND_SHUTDOWN_	 2
#define TCP_ESTABLISHED_ 1
#define TCP_SYN_SENT_	 2
#define TCP_FIN_WAIT1_	 4
#define TCP_CLOSE_	 7
#define TCP_LAST_ACK_	 9
#define TCP_LISTEN_	 10

static __always_inline bool sock_is_unix(struct sock *sk)
{
	return FIELD(sk, __sk_common.skc_family) == AF_UNIX_;
}

static __always_inline __u8 sock_state(struct sock *sk)
{
	return FIELD(sk, __sk_common.skc_state);
}

static __always_inline bool sock_is_stream(struct sock *sk)
{
	__u16 family = FIELD(sk, __sk_common.skc_family);
	__u16 protocol;

	if (FIELD(sk, sk_type) != SOCK_STREAM_)
		return false;
	if (family == AF_UNIX_)
		return true;
	protocol = FIELD(sk, sk_protocol);
	return (family == AF_INET_ || family == AF_INET6_) &&
	       (protocol == IPPROTO_TCP_ || protocol == IPPROTO_MPTCP_);
}

/* The TCP socket whose sequence numbers are the application's stream; NULL where the kernel has
 * none (unix, MPTCP, kTLS) and positions are counted by the hooks. */
static __always_inline struct tcp_sock *sock_tcp(struct sock *sk)
{
	struct tcp_sock *tp;

	if (sock_is_unix(sk) || FIELD(sk, sk_protocol) != IPPROTO_TCP_)
		return NULL;
	tp = CFG(untyped) ? (struct tcp_sock *)sk : bpf_skc_to_tcp_sock(sk);
	if (!tp || FIELD(tp, inet_conn.icsk_ulp_ops))
		return NULL;
	return tp;
}

/* Sequence numbers of position 0. The two fields of a pair change together under the socket lock.
 * True when two reads agree. */
static __always_inline bool tcp_bases_read(struct tcp_sock *tp, __u32 base[2])
{
	__u64 acked = FIELD(tp, bytes_acked);
	__u32 una = FIELD(tp, snd_una);
	__u64 received = FIELD(tp, bytes_received);
	__u32 nxt = FIELD(tp, rcv_nxt);

	base[DATA_DIRECTION_SEND] = una - (__u32)acked;
	base[DATA_DIRECTION_RECV] = nxt - (__u32)received;
	return acked == FIELD(tp, bytes_acked) && una == FIELD(tp, snd_una) &&
	       received == FIELD(tp, bytes_received) && nxt == FIELD(tp, rcv_nxt);
}

/* The same for hooks that do not hold the lock: up to four tries. A torn pair that slips through
 * only shifts the connection's positions by a constant.
 * VERIFIER: no loop, which clang may close without a jump; 5.10 takes none of these. */
static __always_inline void tcp_bases(struct tcp_sock *tp, __u32 base[2])
{
	if (!tcp_bases_read(tp, base) && !tcp_bases_read(tp, base) && !tcp_bases_read(tp, base))
		tcp_bases_read(tp, base);
}

/* 64-bit position of sequence number seq. Its low half is exact; the high half comes from the
 * kernel's own 64-bit counter, which may be a little off, either way, while another CPU moves
 * bytes: differences to it are signed. */
static __always_inline __u64 pos_near(__u32 seq, __u32 base, __u64 near)
{
	return near + (__s64)(__s32)(seq - base - (__u32)near);
}

static __always_inline __u64 tcp_send_pos(struct tcp_sock *tp, __u32 base)
{
	__u32 seq = FIELD(tp, write_seq);

	return pos_near(seq, base, FIELD(tp, bytes_acked) + (__s32)(seq - FIELD(tp, snd_una)));
}

/* Whether the peer's FIN arrived in order. It has a sequence number and is no byte. */
static __always_inline bool tcp_got_fin(struct tcp_sock *tp)
{
	struct sock *sk = (struct sock *)tp;

	return (FIELD(sk, __sk_common.skc_flags) >>
		bpf_core_enum_value(enum sock_flags, SOCK_DONE)) &
	       1;
}

static __always_inline __u64 tcp_recv_pos(struct tcp_sock *tp, __u32 base)
{
	/* Asked first: a FIN that arrives now has moved rcv_nxt before it is told. */
	bool fin = tcp_got_fin(tp);
	__u32 seq = FIELD(tp, copied_seq);
	__u32 next = FIELD(tp, rcv_nxt);

	/* The call that took the last byte may have taken the FIN with it. */
	if (fin && seq == next)
		seq--;

	return pos_near(seq, base, FIELD(tp, bytes_received) - (__s32)(next - seq));
}

/* Bytes that arrived and were not read yet. */
static __always_inline __u32 tcp_unread(struct tcp_sock *tp)
{
	__u32 unread = FIELD(tp, rcv_nxt) - FIELD(tp, copied_seq);

	return unread && tcp_got_fin(tp) ? unread - 1 : unread;
}

static __always_inline __u32 sock_netns(struct sock *sk)
{
	struct net *net = FIELD(sk, __sk_common.skc_net.net);

	return FIELD(net, ns.inum);
}

static __always_inline void map_v4(__u8 addr[16], __be32 v4)
{
	__builtin_memset(addr, 0, 10);
	addr[10] = 0xff;
	addr[11] = 0xff;
	__builtin_memcpy(addr + 12, &v4, 4);
}

static __always_inline void sock_local(struct sock *sk, __u8 addr[16], __u16 *port)
{
	*port = FIELD(sk, __sk_common.skc_num);
	if (FIELD(sk, __sk_common.skc_family) == AF_INET6_)
		BPF_CORE_READ_INTO((__u8(*)[16])addr, sk, __sk_common.skc_v6_rcv_saddr);
	else
		map_v4(addr, FIELD(sk, __sk_common.skc_rcv_saddr));
}

static __always_inline void sock_remote(struct sock *sk, __u8 addr[16], __u16 *port)
{
	*port = bpf_ntohs(FIELD(sk, __sk_common.skc_dport));
	if (FIELD(sk, __sk_common.skc_family) == AF_INET6_)
		BPF_CORE_READ_INTO((__u8(*)[16])addr, sk, __sk_common.skc_v6_daddr);
	else
		map_v4(addr, FIELD(sk, __sk_common.skc_daddr));
}

/* Bound name of a unix socket or, for its client, of the other end. */
static __always_inline void unix_path_of(struct sock *sk, __u8 path[UNIX_PATH_LEN])
{
	struct unix_sock *u = (struct unix_sock *)sk;
	struct unix_address *addr = BPF_CORE_READ(u, addr);
	__u32 len;

	if (!addr) {
		u = (struct unix_sock *)BPF_CORE_READ(u, peer);
		addr = BPF_CORE_READ(u, addr);
	}
	if (!addr)
		return;
	len = BPF_CORE_READ(addr, len) - sizeof(__u16);
	if (len > UNIX_PATH_LEN)
		len = UNIX_PATH_LEN;
	bpf_probe_read_kernel(path, len,
			      (void *)addr + bpf_core_field_offset(struct unix_address, name) +
				      sizeof(__u16));
}

static __always_inline __u32 sock_ino(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
}
