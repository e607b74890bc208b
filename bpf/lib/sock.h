/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Everything that is read out of a struct sock. The pointer is BTF-typed (tp_btf, fexit, iter),
 * so fields are plain loads that cannot fault. */
#pragma once

#define AF_UNIX_	 1
#define AF_INET_	 2
#define AF_INET6_	 10
#define SOCK_STREAM_	 1
#define IPPROTO_TCP_	 6
#define IPPROTO_MPTCP_	 262
#define RCV_SHUTDOWN_	 1
#define TCP_ESTABLISHED_ 1
#define TCP_SYN_SENT_	 2
#define TCP_FIN_WAIT1_	 4
#define TCP_CLOSE_	 7
#define TCP_LAST_ACK_	 9
#define TCP_LISTEN_	 10
#define BASE_READ_TRIES	 4

static __always_inline bool sock_is_stream(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;
	__u16 protocol;

	if (sk->sk_type != SOCK_STREAM_)
		return false;
	if (family == AF_UNIX_)
		return true;
	protocol = sk->sk_protocol;
	return (family == AF_INET_ || family == AF_INET6_) &&
	       (protocol == IPPROTO_TCP_ || protocol == IPPROTO_MPTCP_);
}

/* The TCP socket whose sequence numbers are the application's stream; NULL where the kernel has
 * none (unix, MPTCP, kTLS) and positions are counted by the hooks. */
static __always_inline struct tcp_sock *sock_tcp(struct sock *sk)
{
	struct tcp_sock *tp;

	if (sk->__sk_common.skc_family == AF_UNIX_ || sk->sk_protocol != IPPROTO_TCP_)
		return NULL;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || tp->inet_conn.icsk_ulp_ops)
		return NULL;
	return tp;
}

/* Sequence numbers of position 0. The two fields of a pair change together under the socket
 * lock, which hooks do not hold: read until two reads agree. A torn pair that slips through only
 * shifts the connection's positions by a constant. */
static __always_inline void tcp_bases(struct tcp_sock *tp, __u32 base[2])
{
	for (int i = 0; i < BASE_READ_TRIES; i++) {
		__u64 acked = *(volatile __u64 *)&tp->bytes_acked;
		__u32 una = *(volatile __u32 *)&tp->snd_una;
		__u64 received = *(volatile __u64 *)&tp->bytes_received;
		__u32 nxt = *(volatile __u32 *)&tp->rcv_nxt;

		base[DATA_DIRECTION_SEND] = una - (__u32)acked;
		base[DATA_DIRECTION_RECV] = nxt - (__u32)received;
		if (acked == *(volatile __u64 *)&tp->bytes_acked &&
		    una == *(volatile __u32 *)&tp->snd_una &&
		    received == *(volatile __u64 *)&tp->bytes_received &&
		    nxt == *(volatile __u32 *)&tp->rcv_nxt)
			break;
	}
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
	__u32 seq = tp->write_seq;

	return pos_near(seq, base, tp->bytes_acked + (__s32)(seq - tp->snd_una));
}

/* Whether the peer's FIN arrived in order. It has a sequence number and is no byte. */
static __always_inline bool tcp_got_fin(struct tcp_sock *tp)
{
	struct sock *sk = (struct sock *)tp;

	return (sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE)) & 1;
}

static __always_inline __u64 tcp_recv_pos(struct tcp_sock *tp, __u32 base)
{
	__u32 seq = tp->copied_seq;

	/* The call that took the last byte may have taken the FIN with it. */
	if (seq == tp->rcv_nxt && tcp_got_fin(tp))
		seq--;

	return pos_near(seq, base, tp->bytes_received - (__s32)(tp->rcv_nxt - seq));
}

/* Bytes that arrived and were not read yet. */
static __always_inline __u32 tcp_unread(struct tcp_sock *tp)
{
	__u32 unread = tp->rcv_nxt - tp->copied_seq;

	return unread && tcp_got_fin(tp) ? unread - 1 : unread;
}

static __always_inline __u32 sock_netns(struct sock *sk)
{
	return sk->__sk_common.skc_net.net->ns.inum;
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
	*port = sk->__sk_common.skc_num;
	if (sk->__sk_common.skc_family == AF_INET6_)
		BPF_CORE_READ_INTO((__u8(*)[16])addr, sk, __sk_common.skc_v6_rcv_saddr);
	else
		map_v4(addr, sk->__sk_common.skc_rcv_saddr);
}

static __always_inline void sock_remote(struct sock *sk, __u8 addr[16], __u16 *port)
{
	*port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET6_)
		BPF_CORE_READ_INTO((__u8(*)[16])addr, sk, __sk_common.skc_v6_daddr);
	else
		map_v4(addr, sk->__sk_common.skc_daddr);
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
