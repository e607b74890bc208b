/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* call_by_tid: the socket call that a thread is inside of, or was last. Key: tid in the initial
 * PID namespace. Written at the entry of the functions that move bytes, read by the hooks that run
 * when some have moved; both in handlers/call.h. Only the kprobe front end has it. Evicted = the
 * bytes of that one call are not seen: a gap in the stream, and HOOK_STAT_UNSEEN_BYTES. */
#pragma once

#define CALL_BY_TID_MAX 16384

struct call {
	__u64 sk;    /* kernel addresses */
	__u64 msg;   /* 0: the call has no message */
	__u64 size;  /* bytes asked for */
	__u64 told;  /* bytes that its iterator had moved when a hook looked last */
	__u32 seq;   /* TCP: of the direction, at entry */
	__s32 flags; /* MSG_* of a receive; MSG_TRUNC where no buffer of the caller takes part */
	__u32 dir;   /* enum data_direction */
	__u32 ino;   /* of the socket: tells a reused address */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CALL_BY_TID_MAX);
	__type(key, __u32);
	__type(value, struct call);
} call_by_tid SEC(".maps");
