/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Processes come, change and go; ports go into LISTEN. */
#pragma once

#include "lib/bound.h"
#include "handlers/selection.h"

#define CLONE_THREAD_ 0x00010000
#define MOUNT_HOPS    3 /* mounts stacked on one directory */

static __always_inline void control_submitted(void *record)
{
	event_submit(record);
	stat_inc(stats_of_cpu(), HOOK_STAT_CONTROL_SUBMITTED);
}

/* Room for a process record; a failure is counted. */
#define control_reserve(type)                                                                      \
	({                                                                                         \
		type *record_ = bpf_ringbuf_reserve(&events, sizeof(type), 0);                     \
		if (!record_)                                                                      \
			stat_lost(stats_of_cpu(), HOOK_STAT_CONTROL_RESERVE_FAILED);               \
		record_;                                                                           \
	})

/* A new task. A process inherits its parent's selection before it runs. */
static __always_inline int handle_fork(struct task_struct *child, __u64 clone_flags)
{
	__u32 parent = current_tgid();
	__u64 now = bpf_ktime_get_ns();
	struct process_event *e;
	struct selection *sel;
	__u32 state;
	__u32 tgid;

	if (clone_flags & CLONE_THREAD_)
		return 0;
	sel = bpf_map_lookup_elem(&sel_by_tgid, &parent);
	if (!sel)
		return 0;
	state = selection_of(parent, sel);
	if (state == SELECTION_REFUSED)
		return 0;
	tgid = BPF_CORE_READ(child, tgid);
	selection_set(tgid, state, now);
	if (state == SELECTION_DENIED)
		return 0;
	e = control_reserve(struct process_event);
	if (!e)
		return 0;
	header_init(&e->header, EVENT_KIND_PROC_FORK, sizeof(*e));
	e->header.ktime_ns = now;
	e->child_tgid = tgid;
	e->ns_tgid = ns_tgid_of(child);
	control_submitted(e);
	return 0;
}

/* The last thread of a process ended. */
static __always_inline int handle_exit(struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	struct process_event *e;
	struct selection *sel;

	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);
	if (!sel)
		return 0;
	bpf_map_delete_elem(&sel_by_tgid, &tgid);
	e = control_reserve(struct process_event);
	if (!e)
		return 0;
	header_init(&e->header, EVENT_KIND_PROC_EXIT, sizeof(*e));
	e->header.tgid = tgid;
	e->child_tgid = 0;
	e->ns_tgid = ns_tgid_of(task);
	control_submitted(e);
	return 0;
}

static __always_inline struct mount *real_mount(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

struct path_walk {
	struct dentry *dentry;
	struct mount *mnt;
};

/* Steps out of mounts whose root the walk stands on. True at the root of the mount tree. */
static __always_inline bool leave_mounts(struct path_walk *w)
{
	for (int hop = 0; hop < MOUNT_HOPS; hop++) {
		struct mount *mnt = w->mnt;
		struct mount *above;

		if (w->dentry != BPF_CORE_READ(mnt, mnt.mnt_root))
			return false;
		above = BPF_CORE_READ(mnt, mnt_parent);
		if (above == mnt)
			return true;
		w->dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
		w->mnt = above;
	}
	return false;
}

/* Path of f, innermost component first, up to the root of its mount tree.
 * VERIFIER: one component an iteration at a constant index, so that no two loop counters multiply
 * the states; seen on 6.18. */
static __always_inline void path_of_file(struct file *f, struct process_image *image)
{
	struct path_walk w = {
		.dentry = BPF_CORE_READ(f, f_path.dentry),
		.mnt = real_mount(BPF_CORE_READ(f, f_path.mnt)),
	};

	for (__u32 i = 0; i < PATH_COMPONENTS; i++) {
		struct dentry *dentry;
		long len;

		if (leave_mounts(&w))
			return;
		dentry = w.dentry;
		len = bpf_probe_read_kernel_str(image->path[i], PATH_COMPONENT_LEN,
						BPF_CORE_READ(dentry, d_name.name));
		if (len < 0 || (__u32)len != BPF_CORE_READ(dentry, d_name.len) + 1)
			break;
		image->components = i + 1;
		w.dentry = BPF_CORE_READ(dentry, d_parent);
	}
	image->path_truncated = 1;
}

/* Front of the environment that execve laid out. */
static __always_inline void environ_of(struct task_struct *task, struct process_image *image)
{
	__u64 start = BPF_CORE_READ(task, mm, env_start);
	__u64 end = BPF_CORE_READ(task, mm, env_end);
	__u64 len = end - start;

	if (end <= start)
		return;
	if (len > ENVIRON_MAX) {
		len = ENVIRON_MAX;
		image->environ_truncated = 1;
	}
	barrier_var(len);
	if (len > ENVIRON_MAX)
		return;
	if (bpf_probe_read_user(image->environ, len, (const void *)start)) {
		image->environ_truncated = 1;
		return;
	}
	image->environ_len = len;
}

/* What current runs. */
static __always_inline void image_of(struct task_struct *task, struct file *exe,
				     struct process_image *image)
{
	image->components = 0;
	image->path_truncated = 0;
	image->environ_truncated = 0;
	image->environ_len = 0;
	path_of_file(exe, image);
	environ_of(task, image);
}

/* A process became another program. */
static __always_inline int handle_exec(struct task_struct *task, struct linux_binprm *bprm)
{
	__u32 tgid = current_tgid();
	struct selection *sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);
	__u64 now = bpf_ktime_get_ns();
	struct exec_event *e;

	if (sel && sel->state == SELECTION_DENIED)
		return 0;
	if (!sel && !judge_exec)
		return 0;
	selection_set(tgid, SELECTION_PENDING, now);
	e = control_reserve(struct exec_event);
	if (!e)
		return 0;
	header_init(&e->header, EVENT_KIND_PROC_EXEC, sizeof(*e));
	e->header.ktime_ns = now;
	e->ns_tgid = ns_tgid_of(task);
	e->_pad = 0;
	image_of(task, BPF_CORE_READ(bprm, file), &e->image);
	control_submitted(e);
	return 0;
}

/* A port went into LISTEN in the context of its owner, of which nothing may be known: it is gone
 * by the time user space looks, if it lives for a moment only. */
static __always_inline int handle_listen(struct sock *sk)
{
	__u16 port = sk->__sk_common.skc_num;
	__u64 now = bpf_ktime_get_ns();
	__u32 tgid = current_tgid();
	struct task_struct *task;
	struct listen_event *e;
	struct selection *sel;
	__u32 state = 0;

	if (!judge_ports || !port_selects(port))
		return 0;
	sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);
	if (sel)
		state = selection_of(tgid, sel);
	if (state == SELECTION_DENIED)
		return 0;
	if (state != SELECTION_SELECTED)
		selection_set(tgid, SELECTION_PENDING, now);
	FORGET(state);
	e = control_reserve(struct listen_event);
	if (!e)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	header_init(&e->header, EVENT_KIND_LISTEN, sizeof(*e));
	e->header.ktime_ns = now;
	e->ns_tgid = ns_tgid_of(task);
	e->netns = sock_netns(sk);
	e->port = port;
	__builtin_memset(e->_pad, 0, sizeof(e->_pad));
	image_of(task, BPF_CORE_READ(task, mm, exe_file), &e->image);
	control_submitted(e);
	return 0;
}
