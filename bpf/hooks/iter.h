/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Iterators: processes, listeners and connections that were there before the agent. */
#pragma once

#include "handlers/conn.h"
#include "handlers/selection.h"

SEC("iter/task")
int obi_it_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_record r = {};

	if (!task || task->pid != task->tgid)
		return 0;
	r.start_ktime_ns = task->start_time;
	r.tgid = task->tgid;
	r.ns_tgid = ns_tgid_of(task);
	r.parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}

/* Listeners are reported; connected stream sockets of selected processes are adopted. */
SEC("iter/task_file")
int obi_it_file(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct listener_record r = {};
	struct socket *sock;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	sk = sock->sk;
	if (!sk || !sock_is_stream(sk))
		return 0;
	if (sk->__sk_common.skc_family != AF_UNIX_ && sk->__sk_common.skc_state == TCP_LISTEN_) {
		r.tgid = task->tgid;
		r.ns_tgid = ns_tgid_of(task);
		r.netns = sock_netns(sk);
		r.port = sk->__sk_common.skc_num;
		bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
		return 0;
	}
	if (sk->__sk_common.skc_state == TCP_ESTABLISHED_) {
		__u32 tgid = task->tgid;
		struct selection *sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);

		if (sel && selection_of(tgid, sel) == SELECTION_SELECTED)
			if (!conn_find(sk))
				conn_adopt(sk, DATA_DIRECTION_SEND, 0, CONN_FLAG_ADOPTED);
	}
	return 0;
}
