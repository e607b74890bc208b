/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Which processes are observed: the constant-time judgement, its inheritance, and the events that
 * let user space judge. */
#pragma once

#include "maps/selection.h"

/* enum selection_state of an entry: its own, or what user space has answered since. */
static __always_inline __u32 selection_of(__u32 tgid, const struct selection *sel)
{
	struct judgement *judged;

	if (sel->state != SELECTION_PENDING)
		return sel->state;
	judged = bpf_map_lookup_elem(&judged_by_tgid, &tgid);
	return judged && judged->since_ns == sel->since_ns ? judged->state : SELECTION_PENDING;
}

/* SELECTION_SELECTED or SELECTION_PENDING when current is observed, or 0. The answer is kept in the
 * entry unless a LISTEN of another thread may be replacing it. */
static __always_inline __u32 current_selection(void)
{
	__u32 tgid = current_tgid();
	struct selection *sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);
	__u32 state;

	if (!sel)
		return 0;
	state = selection_of(tgid, sel);
	if (state != sel->state && (state == SELECTION_SELECTED || !judge_ports))
		sel->state = state;
	return state == SELECTION_SELECTED || state == SELECTION_PENDING ? state : 0;
}

/* Takes one record from the budget of current, which is pending. Two threads may take the last
 * one, so that less than nothing is left. */
static __always_inline bool pending_budget_left(void)
{
	__u32 tgid = current_tgid();
	struct selection *sel = bpf_map_lookup_elem(&sel_by_tgid, &tgid);

	if (!sel || (__s32)sel->budget <= 0)
		return false;
	__sync_fetch_and_add(&sel->budget, -1);
	return true;
}

static __always_inline void selection_set(__u32 tgid, __u32 state, __u64 since_ns)
{
	struct selection sel = {
		.since_ns = since_ns, .state = state, .budget = CFG(pending_budget)};

	if (bpf_map_update_elem(&sel_by_tgid, &tgid, &sel, BPF_ANY))
		stat_inc(stats_of_cpu(), HOOK_STAT_SELECT_FAILED);
}

static __always_inline bool port_selects(__u16 port)
{
	__u32 word = port >> 6;
	__u64 *bits = bpf_map_lookup_elem(&port_bitmap, &word);

	return bits && (*bits >> (port & 63)) & 1;
}
