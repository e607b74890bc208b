/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* System calls and user addresses of x86_64. */
#pragma once

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

/* A user address is what it says. */
#define UNTAGGED(at) ((__u64)(at))

/* ax is set to -ENOSYS at entry and to the result before leaving. */
static __always_inline bool syscall_of(const struct task_struct *task, const struct pt_regs *regs,
				       struct syscall_args *args)
{
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
