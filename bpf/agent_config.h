/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Run-time configuration as read-only data: what is off vanishes at load. Written by the loader
 * before load; the verifier sees constants. */
#pragma once

struct agent_config {
	__u32 self_tgid;      /* the agent, in the initial PID namespace */
	__u32 ns_level;	      /* depth of the agent's PID namespace; 0 = initial */
	__u32 ns_inum;	      /* inode number of the agent's PID namespace */
	__u32 data_limit;     /* ring fill in bytes above which data records are refused */
	__u32 wake_at;	      /* ring fill in bytes at which a lingering reader is woken */
	__u32 pending_budget; /* records of a process that is not judged yet */
	__u8 use_sk_storage;  /* connection state in sk_storage (5.11+), else in a hash */
	__u8 use_cookie;      /* conn_id is the socket cookie (5.12+), else a CPU-stamped counter */
	__u8 untyped;	      /* some programs have plain addresses of sockets (kprobe) */
	__u8 _pad[5];
};

const volatile struct agent_config cfg = {};

#define CFG(field) (cfg.field)
