/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Counting in the kernel: one look-up a program run, then plain per-CPU additions. */
#pragma once

#include "maps/hook_stats.h"

/* Calls and records that left nothing in the ring. Alone on its cache line: only losses write. */
static struct {
	__u64 count;
	__u64 _pad[7];
} losses __attribute__((aligned(64)));

static __always_inline struct hook_stats *stats_of_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&hook_stats, &zero);
}

static __always_inline void stat_add(struct hook_stats *stats, enum hook_stat cell, __u64 n)
{
	if (stats)
		__sync_fetch_and_add(&stats->cells[cell], n);
}

static __always_inline void stat_inc(struct hook_stats *stats, enum hook_stat cell)
{
	stat_add(stats, cell, 1);
}

/* Something left no record: who compares the records before and behind it must know. */
static __always_inline void stat_lost(struct hook_stats *stats, enum hook_stat cell)
{
	stat_inc(stats, cell);
	__sync_fetch_and_add(&losses.count, 1);
}
