/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* own_ends: the agent's end of its connections, as their other side sees its peer. Written when
 * the agent's connect completes, before the other side can accept; removed at close. */
#pragma once

#define OWN_ENDS_MAX 1024

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OWN_ENDS_MAX);
	__type(key, struct end_key);
	__type(value, __u32);
} own_ends SEC(".maps");
