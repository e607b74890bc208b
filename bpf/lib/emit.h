/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The only C that names the transport. Submits are silent; the reader is woken only when it said
 * that it sleeps. */
#pragma once

#include "maps/ring.h"

/* Data leaves the last part of the ring to process and connection records. */
static __always_inline bool ring_has_room_for_data(void)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < CFG(data_limit);
}

static __always_inline void event_submit(void *record)
{
	__u64 flags = BPF_RB_NO_WAKEUP;
	__u32 zero = 0;
	__u32 *asleep = bpf_map_lookup_elem(&reader_state, &zero);

	if (asleep && *asleep) {
		*asleep = 0;
		flags = BPF_RB_FORCE_WAKEUP;
	}
	bpf_ringbuf_submit(record, flags);
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
}
