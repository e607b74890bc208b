/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Which processes are observed: the constant-time judgement, its inheritance, and the events that
 * let user space judge. */
#pragma once

#include "maps/selection.h"

/* enum selection_state of current, or 0 = not observed. */
static __always_inline __u32 current_selection(void)
{
	__u32 tgid = current_tgid();
	struct selection *sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);

	if (!sel)
		return CFG(select_all) ? SELECTION_SELECTED : 0;
	return sel->state == SELECTION_DENIED ? 0 : sel->state;
}

/* Takes one record from the budget of current, which was pending a moment ago: user space may have
 * judged it since. Two threads may take the last one, so that less than nothing is left. */
static __always_inline bool pending_budget_left(void)
{
	__u32 tgid = current_tgid();
	struct selection *sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);

	if (!sel)
		return false;
	if (sel->state != SELECTION_PENDING)
		return sel->state == SELECTION_SELECTED;
	if ((__s32)sel->budget <= 0)
		return false;
	__sync_fetch_and_add(&sel->budget, -1);
	return true;
}

static __always_inline void selection_set(__u32 tgid, __u32 state)
{
	struct selection sel = {.state = state, .budget = CFG(pending_budget)};

	if (bpf_map_update_elem(&sel_by_tgid, &tgid, &sel, BPF_ANY))
		stat_inc(stats_of_cpu(), HOOK_STAT_SELECT_FAILED);
}

static __always_inline bool port_selects(__u16 port)
{
	__u32 word = port >> 6;
	__u64 *bits = bpf_map_lookup_elem(&port_bitmap, &word);

	return bits && (*bits >> (port & 63)) & 1;
}
