/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The system call that the current task is inside of. */
#pragma once

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
