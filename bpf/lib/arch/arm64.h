/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* System calls and user addresses of arm64. */
#pragma once

/* 64-bit numbers (include/uapi/asm-generic/unistd.h). */
#define NR_READ	      63
#define NR_WRITE      64
#define NR_READV      65
#define NR_WRITEV     66
#define NR_SENDFILE   71
#define NR_SPLICE     76
#define NR_SENDTO     206
#define NR_RECVFROM   207
#define NR_SENDMSG    211
#define NR_RECVMSG    212
#define NR_RECVMMSG   243
#define NR_SENDMMSG   269
#define NR_PREADV2    286
#define NR_PWRITEV2   287
#define PSR_MODE_BITS 0x1f /* arch/arm64/include/uapi/asm/ptrace.h: 0 in 64-bit user mode */

/* The processor ignores the topmost byte of a user address and a process may keep a tag there;
 * system calls take it off, bpf_probe_read_user() refuses it. */
#define UNTAGGED(at) ((__u64)(at) << 8 >> 8)

/* x0 holds the first argument at entry, which orig_x0 keeps, and the result before leaving. Where
 * the two are equal, a call that is over looks like one in flight; but do_signal, which runs the
 * task work of io_uring, has forgotten syscallno by then. */
static __always_inline bool syscall_of(const struct task_struct *task, const struct pt_regs *regs,
				       struct syscall_args *args)
{
	if (regs->pstate & PSR_MODE_BITS)
		return false;
	if (regs->syscallno < 0 || regs->regs[0] != regs->orig_x0)
		return false;
	args->nr = regs->syscallno;
	args->arg[0] = regs->orig_x0;
	args->arg[1] = UNTAGGED(regs->regs[1]); /* buffer, segments or message */
	args->arg[2] = regs->regs[2];
	args->arg[3] = regs->regs[3];
	args->arg[4] = regs->regs[4];
	return true;
}
