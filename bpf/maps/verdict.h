/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* verdict_by_conn: what user space wants of a connection. Key: conn_id. Written by the
 * decoder after each batch, read by handlers/transfer.h. Evicted = default budget. */
#pragma once

#define VERDICT_BY_CONN_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, VERDICT_BY_CONN_MAX);
	__type(key, __u64);
	__type(value, struct verdict);
} verdict_by_conn SEC(".maps");
