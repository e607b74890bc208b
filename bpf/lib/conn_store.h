/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* One accessor over the two stores of connection state (maps/conn.h). */
#pragma once

#include "maps/conn.h"

/* The connection's state, or NULL when there is none. */
static __always_inline struct conn *conn_find(struct sock *sk)
{
	__u64 key = (__u64)sk;
	struct conn *conn;
	__u32 ino;

	if (CFG(use_sk_storage))
		return bpf_sk_storage_get(&conn_by_sk, sk, NULL, 0);
	conn = bpf_map_lookup_elem(&conn_by_sock, &key);
	if (!conn)
		return NULL;
	/* An orphaned socket has no inode any more: only its own close can be meant. */
	ino = sock_ino(sk);
	return !ino || conn->ino == ino ? conn : NULL;
}

/* State for sk, a copy of *init: published whole, because another CPU may find it at once. Who
 * comes second takes what the first has made. NULL when the kernel refuses. */
static __always_inline struct conn *conn_create(struct sock *sk, struct conn *init)
{
	__u64 key = (__u64)sk;
	struct conn *conn;

	if (CFG(use_sk_storage)) {
		conn = bpf_sk_storage_get(&conn_by_sk, sk, init, BPF_SK_STORAGE_GET_F_CREATE);
		return conn ?: bpf_sk_storage_get(&conn_by_sk, sk, NULL, 0);
	}
	init->ino = sock_ino(sk);
	bpf_map_update_elem(&conn_by_sock, &key, init, BPF_NOEXIST);
	conn = bpf_map_lookup_elem(&conn_by_sock, &key);
	if (conn && conn->ino == init->ino)
		return conn;
	/* What is left of another socket at this address. */
	bpf_map_update_elem(&conn_by_sock, &key, init, BPF_ANY);
	return bpf_map_lookup_elem(&conn_by_sock, &key);
}

/* The socket is gone. sk_storage goes with it by itself. */
static __always_inline void conn_drop(struct sock *sk)
{
	__u64 key = (__u64)sk;

	if (!CFG(use_sk_storage))
		bpf_map_delete_elem(&conn_by_sock, &key);
}

/* The socket cookie, or a counter stamped with the CPU where there is no such helper. */
static __always_inline __u64 conn_new_id(struct sock *sk)
{
	__u32 zero = 0;
	__u64 *next;

	if (CFG(use_cookie))
		return bpf_get_socket_cookie(sk);
	next = bpf_map_lookup_elem(&conn_counter, &zero);
	if (!next)
		return 0;
	return ((__u64)bpf_get_smp_processor_id() + 1) << 48 | ++*next;
}
