/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* mmsg_by_task: which message of a sendmmsg or recvmmsg call a thread is at. Written and read by
 * lib/mmsg.h; gone with the thread. Task storage needs 5.11: only the tracepoint front end has it.
 */
#pragma once

struct mmsg_cursor {
	__u64 vector; /* user address of the mmsghdr array */
	__u32 fd;
	__u16 nr; /* of the system call */
	__u16 vlen;
	__u32 at; /* index of the next message; vlen: not known until the call is over */
	__u32 _pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mmsg_cursor);
} mmsg_by_task SEC(".maps");
