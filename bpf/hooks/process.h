/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Hooks that every front end shares: processes and TCP states, by typed raw tracepoints. */
#pragma once

#include "handlers/process.h"
#include "handlers/conn.h"

SEC("tp_btf/task_newtask")
int BPF_PROG(obi_fork, struct task_struct *task, unsigned long clone_flags)
{
	return handle_fork(task, clone_flags);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(obi_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	return handle_exec(task, bprm);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(obi_exit, struct task_struct *task)
{
	return handle_exit(task);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(obi_tcp_state, struct sock *sk, int oldstate, int newstate)
{
	struct state_args a = {sk, oldstate, newstate};

	if (newstate == TCP_LISTEN_)
		return handle_listen(sk);
	if (newstate == TCP_SYN_SENT_) {
		if (current_tgid() == CFG(self_tgid))
			handle_own_connect(sk);
		return 0;
	}
	return handle_conn_state(&a);
}
