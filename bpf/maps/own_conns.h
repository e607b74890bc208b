/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* own_conns: the agent's connections, by what both sides of one know alike, through address
 * translation and in any network namespace: where its sequence numbers began. An address and port
 * of the agent's may be those of another connection too. Written when the agent's connect
 * completes, before the other side can accept; removed at close. */
#pragma once

#define OWN_CONNS_MAX 1024

struct own_key {
	__u32 base[2]; /* of position 0, by direction, on the agent's side */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, OWN_CONNS_MAX);
	__type(key, struct own_key);
	__type(value, __u32);
} own_conns SEC(".maps");
