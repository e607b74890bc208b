/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Which message of a sendmmsg or recvmmsg call a hook sees. The hook runs once a message, in their
 * order, also for one that fails or moves nothing; nothing tells where a call begins. So every
 * message of a selected task is followed, whether it is recorded or not, and a call that ends
 * before its last one is recognised by what ends it: an error, or a send that came short
 * (net/socket.c, __sys_sendmmsg and do_recvmmsg). */
#pragma once

#include "maps/mmsg.h"
#include "lib/payload.h"
#include "lib/syscall.h"

/* Offsets in the user-space struct msghdr and struct mmsghdr (64-bit). */
#define MSGHDR_IOV   16
#define MMSGHDR_SIZE 64

static __always_inline void payload_of_msghdr(__u64 msghdr, struct payload *p)
{
	struct {
		__u64 iov;
		__u64 len;
	} v = {};

	if (bpf_probe_read_user(&v, sizeof(v), (const void *)(msghdr + MSGHDR_IOV))) {
		p->kind = PAYLOAD_UNKNOWN;
		return;
	}
	p->kind = PAYLOAD_USER_IOV;
	p->iov = UNTAGGED(v.iov);
	p->segments = v.len;
	payload_simplify(p);
}

struct iov_room {
	__u64 iov;
	__u64 segments;
	__u64 left; /* bytes of the call that the segments so far did not hold */
	__u64 more; /* they hold more than the call moved */
};

static long iov_room_step(__u32 i, void *ctx)
{
	struct iov_room *room = ctx;
	struct iovec seg = {};

	if (i >= room->segments)
		return 1;
	if (bpf_probe_read_user(&seg, sizeof(seg), (const void *)(room->iov + i * sizeof(seg))))
		return 1;
	if (seg.iov_len > room->left) {
		room->more = 1;
		return 1;
	}
	room->left -= seg.iov_len;
	return 0;
}

/* Whether a send of `bytes` bytes moved less than the message holds. */
static __always_inline bool came_short(const struct payload *p, __u64 bytes)
{
	struct iov_room room = {.iov = p->iov, .segments = p->segments, .left = bytes};

	bpf_loop(MMSG_MAX, iov_room_step, &room, 0);
	return room.more;
}

/* The message that a call of several is at, which moved `ret` bytes; then the next one. */
static __always_inline void payload_of_mmsg(const struct syscall_args *args, int ret,
					    struct payload *p)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mmsg_cursor *cursor;
	__u64 vlen = args->arg[2];
	__u64 at;

	cursor = bpf_task_storage_get(&mmsg_by_task, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!cursor)
		return;
	if (cursor->vector != args->arg[1] || cursor->fd != (__u32)args->arg[0] ||
	    cursor->nr != args->nr || cursor->vlen != vlen) {
		cursor->vector = args->arg[1];
		cursor->fd = args->arg[0];
		cursor->nr = args->nr;
		cursor->vlen = vlen;
		cursor->at = 0;
	}
	at = cursor->at;
	if (at >= vlen)
		return;
	payload_of_msghdr(args->arg[1] + at * MMSGHDR_SIZE, p);
	cursor->at = at + 1 == vlen ? 0 : at + 1;
	if (args->nr != NR_SENDMMSG)
		return;
	if (p->kind == PAYLOAD_UNKNOWN)
		cursor->at = vlen;
	else if (came_short(p, ret))
		cursor->at = 0;
}

/* The buffer of one message. */
static __always_inline void payload_of_mmsghdr(const struct syscall_args *args, int ret,
					       struct payload *p)
{
	__u64 vlen = args->arg[2];

	p->kind = PAYLOAD_UNKNOWN;
	if (vlen == 1)
		payload_of_msghdr(args->arg[1], p);
	/* recvmmsg's timeout ends a call without a trace. */
	else if (vlen > 1 && vlen <= MMSG_MAX && !(args->nr == NR_RECVMMSG && args->arg[4]))
		payload_of_mmsg(args, ret, p);
}

/* A message that is not recorded: an error ends the call. */
static __always_inline void mmsg_pass(int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mmsg_cursor *cursor;
	struct syscall_args args;
	struct payload p = {};

	if (!current_syscall(&args) || (args.nr != NR_SENDMMSG && args.nr != NR_RECVMMSG))
		return;
	if (ret >= 0) {
		payload_of_mmsghdr(&args, ret, &p);
		return;
	}
	cursor = bpf_task_storage_get(&mmsg_by_task, task, NULL, 0);
	if (cursor)
		cursor->at = 0;
}
