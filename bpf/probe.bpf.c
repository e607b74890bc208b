/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Small programs that answer one question each by being loadable: what this kernel offers. And
 * one that tells the agent who it is when its PID namespace is not the initial one. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "events.h"

struct self_record identity = {};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} probe_storage SEC(".maps");

/* Run by test_run in the agent's own context. */
SEC("raw_tp")
int obi_self(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct pid *pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	struct upid upid = {};

	identity.tgid = bpf_get_current_pid_tgid() >> 32;
	identity.ns_level = BPF_CORE_READ(pid, level);
	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      identity.ns_level * bpf_core_type_size(struct upid));
	identity.ns_inum = BPF_CORE_READ(upid.ns, ns.inum);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(obi_pr_cookie, struct sock *sk)
{
	return bpf_get_socket_cookie(sk) == 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(obi_pr_storage, struct sock *sk)
{
	return bpf_sk_storage_get(&probe_storage, sk, NULL, 0) != NULL;
}

SEC("iter/task_file")
int obi_pr_sockfile(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;

	return file && bpf_sock_from_file(file) ? 0 : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
