/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The buffer of a socket call out of the system call's own arguments, proved before it is used
 * (design: never capture another stream's bytes). */
#pragma once

#include "maps/mmsg.h"
#include "lib/payload.h"

#if defined(__TARGET_ARCH_x86)
/* Native 64-bit numbers (arch/x86/entry/syscalls/syscall_64.tbl). */
#define NR_READ	    0
#define NR_WRITE    1
#define NR_READV    19
#define NR_WRITEV   20
#define NR_SENDFILE 40
#define NR_SENDTO   44
#define NR_RECVFROM 45
#define NR_SENDMSG  46
#define NR_RECVMSG  47
#define NR_SPLICE   275
#define NR_RECVMMSG 299
#define NR_SENDMMSG 307
#define NR_PREADV2  327
#define NR_PWRITEV2 328
#define TS_COMPAT   2 /* arch/x86/include/asm/thread_info.h: 32-bit call in flight */
#define ENOSYS	    38

struct syscall_args {
	__u64 nr;
	__u64 arg[5];
};

/* Arguments of the native system call that current is inside of. False when it is in none: its
 * return value is already set (task work, exit path), it came through another ABI, or it is a
 * kernel thread. x86 sets ax to -ENOSYS at entry and to the result before leaving. */
static __always_inline bool current_syscall(struct syscall_args *args)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

	if (task->thread_info.status & TS_COMPAT)
		return false;
	if ((__s64)regs->ax != -ENOSYS)
		return false;
	args->nr = regs->orig_ax;
	args->arg[0] = regs->di;
	args->arg[1] = regs->si;
	args->arg[2] = regs->dx;
	args->arg[3] = regs->r10;
	args->arg[4] = regs->r8;
	return true;
}
#else
#error "no system call table for this architecture"
#endif

/* Whether fd in current's table is the file of this very socket. */
static __always_inline bool fd_is_sock(__u32 fd, struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *fdt = task->files->fdt;
	struct file *file = NULL;

	if (fd >= fdt->max_fds)
		return false;
	if (bpf_probe_read_kernel(&file, sizeof(file), fdt->fd + fd))
		return false;
	return file && (__u64)file == (__u64)sk->sk_socket->file;
}

/* Index of the message that a sendmmsg/recvmmsg call is at; -1 when it cannot be told. The hook
 * runs once a message; a call ends early only on an error or a short message, which reset. */
static __always_inline int mmsg_index(const struct syscall_args *args, int ret)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mmsg_cursor *cursor, fresh = {};
	__u32 vlen = args->arg[2];
	__u32 at = 0;

	if (vlen == 1)
		return 0;
	if (vlen > MMSG_MAX || vlen == 0)
		return -1;
	/* recvmmsg's timeout ends a call without a trace. */
	if (args->nr == NR_RECVMMSG && args->arg[4])
		return -1;
	cursor = bpf_map_lookup_elem(&mmsg_by_tid, &tid);
	if (cursor && cursor->vector == args->arg[1] && cursor->vlen == vlen)
		at = cursor->next;
	fresh.vector = args->arg[1];
	fresh.vlen = vlen;
	fresh.next = ret <= 0 || at + 1 >= vlen ? 0 : at + 1;
	bpf_map_update_elem(&mmsg_by_tid, &tid, &fresh, BPF_ANY);
	return at;
}

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
	p->iov = v.iov;
	p->segments = v.len;
	payload_simplify(p);
}

static __always_inline void payload_of_mmsghdr(const struct syscall_args *args, int ret,
					       struct payload *p)
{
	int at = mmsg_index(args, ret);

	p->kind = PAYLOAD_UNKNOWN;
	if (at >= 0)
		payload_of_msghdr(args->arg[1] + (__u64)at * MMSGHDR_SIZE, p);
}

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
