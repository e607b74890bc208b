/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* sel_by_tgid: which processes are observed. Key: tgid in the initial PID namespace. Written at
 * fork, exec and listen by handlers/process.h, and by the loader only where there is no entry;
 * removed at exit. Full = the process is not observed, counted SELECT_FAILED.
 * judged_by_tgid: user space's answers for processes that are pending. Written and removed by the
 * loader alone: an answer that comes late, after the process became another program, changes
 * nothing, because since_ns differs.
 * port_bitmap: TCP ports that a selector asks for. Written by the loader.
 * judge_exec, judge_ports: whether a process is judged at exec, and when it listens on one of these
 * ports. Set by the loader; the configuration may change while the programs run. */
#pragma once

volatile __u8 judge_exec;
volatile __u8 judge_ports;

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
