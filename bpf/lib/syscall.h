/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The system call that the current task is inside of. */
#pragma once

#include "lib/arch.h"

/* Arguments of the native system call that current is inside of. False when it is in none: its
 * return value is already set (task work, exit path), it came through another ABI, or it is a
 * kernel thread. */
static __always_inline bool current_syscall(struct syscall_args *args)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return syscall_of(task, (struct pt_regs *)bpf_task_pt_regs(task), args);
}

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
