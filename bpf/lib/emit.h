/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The way into the ring. Submits are silent; the reader is woken only when it said
 * that it sleeps, and how deeply. */
#pragma once

#include "maps/ring.h"
#include "lib/bound.h"
#include "lib/stat.h"

/* Bytes in the ring that the reader has not taken. Data leaves the last part of it, above
 * CFG(data_limit), to process and connection records. */
static __always_inline __u64 ring_fill(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
}

/* Submits a record; wakes the reader if it sleeps at most so deeply. Whoever wakes it takes its
 * word back: one wake-up a sleep. */
static __always_inline void submit(void *record, __u32 depth)
{
	__u64 flags = BPF_RB_NO_WAKEUP;
	__u32 zero = 0;
	__u32 *sleep = bpf_map_lookup_elem(&reader_state, &zero);

	if (sleep && *sleep != READER_AWAKE && *sleep <= depth) {
		*sleep = READER_AWAKE;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
}

/* Submits a record that is rare. */
static __always_inline void event_submit(void *record)
{
	submit(record, READER_IDLE);
}

/* Submits a record of data, of which many may come while the reader lets them gather. */
static __always_inline void data_submit(void *record, __u64 fill)
{
	__u32 depth = READER_IDLE;

	if (fill >= CFG(wake_at))
		depth = READER_LINGERS;
	FORGET(depth);
	submit(record, depth);
}

static __always_inline void header_init(struct event_header *h, enum event_kind kind, __u32 len)
{
	__u64 pid_tgid = bpf_get_current_pid_tgid();

	h->ktime_ns = bpf_ktime_get_ns();
	h->conn_id = 0;
	h->tgid = pid_tgid >> 32;
	h->tid = (__u32)pid_tgid;
	h->kind = kind;
	h->flags = 0;
	h->len = len;
	h->losses = losses.count;
}
