/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The buffer of a socket call out of the kernel's own iterator, after the call advanced it. The
 * message belongs to this very call, so no proof is needed; io_uring and other ABIs are exact. */
#pragma once

#include "lib/core_compat.h"

/* size: what the call was asked to move (msg_data_left at entry). */
static __always_inline void payload_of_msg(struct msghdr *msg, __u64 size, struct payload *p)
{
	struct iov_iter *iter = &msg->msg_iter;
	__u64 offset = BPF_CORE_READ(iter, iov_offset);
	__u64 count = BPF_CORE_READ(iter, count);
	__u64 advanced;
	const struct iovec *iov;

	p->kind = PAYLOAD_NONE;
	if (count > size)
		return;
	advanced = size - count;
	switch (user_iter_of(iter)) {
	case USER_ITER_UBUF:
		p->kind = PAYLOAD_BUF;
		p->base = UNTAGGED(BPF_CORE_READ(iter, ubuf)) + offset - advanced;
		return;
	case USER_ITER_IOVEC:
		break;
	default:
		return;
	}
	/* Walk back to where the call began. */
	iov = iter_iov(iter);
	p->segments = 1;
	for (int i = 0; i < MSG_SEGMENTS_MAX && advanced > offset; i++) {
		advanced -= offset;
		iov--;
		p->segments++;
		offset = BPF_CORE_READ(iov, iov_len);
	}
	p->kind = PAYLOAD_UNKNOWN;
	if (advanced > offset)
		return;
	p->kind = PAYLOAD_KERNEL_IOV;
	p->iov = (__u64)iov;
	p->skip = offset - advanced;
	/* A call that consumed its only segment whole stands behind it. */
	if (p->segments == 2 && BPF_CORE_READ(iter, iov_offset) == 0)
		p->segments = 1;
	payload_simplify(p);
}
