/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The buffer of a socket call out of the system call's own arguments, proved before it is used
 * (design: never capture another stream's bytes). */
#pragma once

#include "lib/mmsg.h"

/* The buffer of the call that moved `ret` bytes of sk in direction dir. */
static __always_inline void payload_of_syscall(struct sock *sk, __u8 dir, int ret,
					       struct payload *p)
{
	struct syscall_args args;

	p->kind = PAYLOAD_UNKNOWN;
	if (!current_syscall(&args))
		return;
	if (dir == DATA_DIRECTION_SEND && (args.nr == NR_SENDFILE || args.nr == NR_SPLICE)) {
		p->kind = PAYLOAD_NONE;
		return;
	}
	if (!fd_is_sock(args.arg[0], sk))
		return;
	if (dir == DATA_DIRECTION_SEND) {
		switch (args.nr) {
		case NR_WRITE:
		case NR_SENDTO:
			p->kind = PAYLOAD_BUF;
			break;
		case NR_WRITEV:
		case NR_PWRITEV2:
			p->kind = PAYLOAD_USER_IOV;
			break;
		case NR_SENDMSG:
			payload_of_msghdr(args.arg[1], p);
			return;
		case NR_SENDMMSG:
			payload_of_mmsghdr(&args, ret, p);
			return;
		default:
			return;
		}
	} else {
		switch (args.nr) {
		case NR_READ:
		case NR_RECVFROM:
			p->kind = PAYLOAD_BUF;
			break;
		case NR_READV:
		case NR_PREADV2:
			p->kind = PAYLOAD_USER_IOV;
			break;
		case NR_RECVMSG:
			payload_of_msghdr(args.arg[1], p);
			return;
		case NR_RECVMMSG:
			payload_of_mmsghdr(&args, ret, p);
			return;
		default:
			return;
		}
	}
	if (p->kind == PAYLOAD_BUF) {
		p->base = args.arg[1];
		if ((__u64)ret > args.arg[2])
			p->kind = PAYLOAD_UNKNOWN;
	} else {
		p->iov = args.arg[1];
		p->segments = args.arg[2];
		payload_simplify(p);
	}
}
