/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Who a task is, in the initial PID namespace and in the agent's. */
#pragma once

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* The task's tgid in the agent's PID namespace; 0 when it is not visible there. */
static __always_inline __u32 ns_tgid_of(struct task_struct *task)
{
	struct pid *pid;
	struct upid upid = {};
	__u32 level;

	if (CFG(ns_level) == 0)
		return BPF_CORE_READ(task, tgid);
	pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	level = BPF_CORE_READ(pid, level);
	if (!pid || level < CFG(ns_level))
		return 0;
	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      CFG(ns_level) * bpf_core_type_size(struct upid));
	if (BPF_CORE_READ(upid.ns, ns.inum) != CFG(ns_inum))
		return 0;
	return upid.nr;
}
