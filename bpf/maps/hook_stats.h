/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* hook_stats: counters of enum hook_stat, one set a CPU. Written by lib/stat.h, read by the
 * loader for the ledger. Never cleared. */
#pragma once

struct hook_stats {
	__u64 cells[HOOK_STAT_COUNT];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct hook_stats);
} hook_stats SEC(".maps");
