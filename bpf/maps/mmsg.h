/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* mmsg_by_tid: which message of a sendmmsg/recvmmsg call a thread is at. Key: tid. Written and
 * read by lib/syscall.h; an evicted thread's next message has no payload. */
#pragma once

#define MMSG_BY_TID_MAX 1024

struct mmsg_cursor {
	__u64 vector; /* user address of the mmsghdr array */
	__u32 vlen;
	__u32 next;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MMSG_BY_TID_MAX);
	__type(key, __u32);
	__type(value, struct mmsg_cursor);
} mmsg_by_tid SEC(".maps");
