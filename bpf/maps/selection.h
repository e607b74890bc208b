/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* sel_by_tgid: which processes are observed. Key: tgid in the initial PID namespace. Written at
 * fork, exec and listen by handlers/process.h, and by the loader only where there is no entry;
 * removed at exit. Full = the process is not observed, counted SELECT_FAILED.
 * judged_by_tgid: user space's answers for processes that are pending. Written and removed by the
 * loader alone: an answer that comes late, after the process became another program, changes
 * nothing, because since_ns differs.
 * port_bitmap: TCP ports that select their listener. Written by the loader before attach. */
#pragma once

#define SEL_BY_TGID_MAX 32768

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SEL_BY_TGID_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct selection);
} sel_by_tgid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SEL_BY_TGID_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct judgement);
} judged_by_tgid SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORT_BITMAP_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} port_bitmap SEC(".maps");
