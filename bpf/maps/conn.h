/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Connection state. Made at the first call of a selected owner (or by the adoption iterator),
 * gone with the socket. Two stores, one at a time (CFG(use_sk_storage)):
 *   conn_by_sk    sk_storage: freed by the kernel with the socket
 *   conn_by_sock  LRU hash by socket address, for kernels before 5.11 and kprobe programs;
 *                 removed at TCP_CLOSE, checked against the socket's inode number */
#pragma once

#define CONN_BY_SOCK_MAX 16384

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

struct conn {
	__u64 id;
	__u64 last_ktime;    /* of the last call, while a verdict says nothing */
	__u64 own_pos[2];    /* CONN_FLAG_OWN_COUNTERS: bytes moved; else, by kprobe: position up to
				which hooks have looked */
	__u64 open_pos[2];   /* positions at first sight */
	__u64 seen[2];	     /* bytes that hooks saw since */
	__u64 skip_until[2]; /* verdict: positions below need no record */
	__u32 base[2];	     /* TCP: sequence number of position 0 */
	__u32 run[2];	     /* bytes captured since the other direction moved */
	__u32 calls;
	__u32 skipped_calls;
	__u32 ino;   /* of the socket: tells a reused address in conn_by_sock */
	__u16 flags; /* enum conn_flag, as it was made or opened anew */
	/* Each by itself: CPUs that set different ones at once undo nothing. */
	__u8 announced; /* the open record was written */
	__u8 nothing;	/* user space asked for nothing */
	__u8 eof;	/* the end of the receive direction was reported */
	__u8 fin_sent;	/* write_seq counts our FIN */
	__u8 pipelined; /* heads may stand anywhere in a call: CAPTURE_MAX is copied of one that
			   does not fit less */
	__u8 _pad[5];
};

#pragma clang diagnostic pop

_Static_assert(sizeof(struct conn) <= 256, "charged to the target's optmem");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conn_by_sk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONN_BY_SOCK_MAX);
	__type(key, __u64);
	__type(value, struct conn);
} conn_by_sock SEC(".maps");

/* conn_counter: ids made on each CPU, for kernels without the cookie helper. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} conn_counter SEC(".maps");
