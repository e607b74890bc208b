/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* events: every record to user space. Written by lib/emit.h only, read by stages/reader only.
 * Sized by the loader; full = the record is dropped and counted by kind. */
#pragma once

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

/* reader_state: one word, enum reader_sleep. The reader writes it before it blocks; the submit that
 * wakes it takes the word back. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} reader_state SEC(".maps");
