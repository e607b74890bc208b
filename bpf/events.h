/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The records that cross from the kernel to user space, and the limits both sides must agree on.
 *
 * Self-contained: no kernel types. This file is the only definition; Rust reads it from the BTF of
 * abi.bpf.c. Every record starts with struct event_header; header.len is its whole length.
 */
#pragma once

enum event_limit {
	/* Raised with every change of a record's layout or meaning: recordings carry it. */
	ABI_VERSION = 4,
	/* Capture classes: payload bytes copied out of one socket call. */
	CAPTURE_SMALL = 256,
	CAPTURE_MEDIUM = 1024,
	CAPTURE_LARGE = 4096,
	CAPTURE_MAX = 16384,
	/* The last bytes of a call whose payload did not fit: enough for "\r\n0\r\n\r\n". */
	CAPTURE_TAIL = 16,
	/* Bytes captured in one direction without an answer before captures of what does not
	   begin like a head shrink to CAPTURE_SMALL. */
	CAPTURE_RUN_MAX = 65536,
	/* A connection that says nothing of interest is looked at again after so long a pause. */
	IDLE_REOPEN_MS = 5000,
	/* User buffers of one call that are walked (readv, writev, sendmsg …): by the system call's
	   own array, and by the kernel's iterator, where kernels without bpf_loop (before 5.17)
	   must do. */
	IOV_SEGMENTS_MAX = 64,
	MSG_SEGMENTS_MAX = 8,
	/* Messages of one sendmmsg/recvmmsg call that are attributed to their buffer, and buffers
	   of one message: the kernel takes no more (UIO_MAXIOV). */
	MMSG_MAX = 1024,
	/* Components of an executable's path, and bytes of each. */
	PATH_COMPONENTS = 32,
	PATH_COMPONENT_LEN = 256,
	/* Bytes of a unix socket's address (sizeof sockaddr_un.sun_path). */
	UNIX_PATH_LEN = 108,
	/* Bytes of the environment captured at exec. */
	ENVIRON_MAX = 4096,
	/* Words of the listening-port bitmap: 65,536 ports in 64-bit words. */
	PORT_BITMAP_WORDS = 1024,
};

enum event_kind {
	EVENT_KIND_DATA = 1,	   /* one socket call that moved bytes */
	EVENT_KIND_CONN_OPEN = 2,  /* first sight of a connection; precedes all its other records */
	EVENT_KIND_CONN_SHUT = 3,  /* our end will send no more (FIN queued) */
	EVENT_KIND_CONN_CLOSE = 4, /* the socket reached TCP_CLOSE or was released */
	EVENT_KIND_PROC_EXEC = 5,  /* a process became another executable */
	EVENT_KIND_PROC_FORK = 6,  /* a selected process got a child */
	EVENT_KIND_PROC_EXIT = 7,  /* the last thread of a selected process ended */
	EVENT_KIND_LISTEN = 8,	   /* a TCP port went into LISTEN */
};

enum data_direction {
	DATA_DIRECTION_SEND = 0,
	DATA_DIRECTION_RECV = 1,
};

/* header.flags of EVENT_KIND_DATA */
enum data_flag {
	DATA_FLAG_PAYLOAD_UNKNOWN = 1, /* the call's buffer could not be proved to belong to sk */
	DATA_FLAG_PAYLOAD_FAULT = 2,   /* the buffer was not readable (paged out, unmapped) */
	DATA_FLAG_PAYLOAD_NONE = 4, /* the call has no user buffer (sendfile, splice, MSG_TRUNC) */
	DATA_FLAG_EOF = 8,	    /* receive returned 0: the peer will send no more */
	DATA_FLAG_SELECTION_PENDING = 16, /* the process is not judged yet */
};

/* header.flags of EVENT_KIND_CONN_OPEN */
enum conn_flag {
	CONN_FLAG_FROM_BIRTH = 1,    /* both positions were at the start of the stream */
	CONN_FLAG_OWN_COUNTERS = 2,  /* positions are counted by the hooks (unix, kTLS, MPTCP) */
	CONN_FLAG_PEER_IS_AGENT = 4, /* the other end is this agent: never traced */
	CONN_FLAG_OWN = 8,	     /* this agent's own connection: never traced */
	CONN_FLAG_ADOPTED = 16,	     /* it was there before its process was selected */
};

/* Kernel-side counters, one 64-bit cell per CPU each. In = out + drops at every line:
 *   CALLS = DATA_SUBMITTED + DATA_RESERVE_FAILED + DATA_OPEN_FAILED + SKIP_* */
enum hook_stat {
	HOOK_STAT_CALLS = 0,	  /* successful socket calls of selected tasks on stream sockets;
				     one that is recorded in two parts counts as two */
	HOOK_STAT_DATA_SUBMITTED, /* data records written to the ring */
	HOOK_STAT_DATA_RESERVE_FAILED, /* data records lost: ring full */
	HOOK_STAT_DATA_OPEN_FAILED,    /* calls lost: the connection's open record found no room */
	HOOK_STAT_SKIP_PEEK,	       /* MSG_PEEK, MSG_ERRQUEUE, MSG_OOB: no stream bytes moved */
	HOOK_STAT_SKIP_EMPTY, /* receive returned 0 without the end of the stream, or again */
	HOOK_STAT_SKIP_VERDICT_NOTHING, /* user space asked for nothing of this connection */
	HOOK_STAT_SKIP_VERDICT_UNTIL,	/* the call lies wholly inside a body that is not needed */
	HOOK_STAT_SKIP_AGENT_PEER,	/* the other end is the agent */
	HOOK_STAT_SKIP_NO_CONN,		/* connection state could not be created */
	HOOK_STAT_SKIP_PENDING_BUDGET,	/* a process not judged yet used up its budget */
	HOOK_STAT_CONN_OPENED,		/* open records written */
	HOOK_STAT_CONN_CLOSED,		/* close records written */
	HOOK_STAT_CONTROL_SUBMITTED,	/* all records but data and open, close included */
	HOOK_STAT_CONTROL_RESERVE_FAILED, /* process, listen, shut, close records lost: ring full */
	HOOK_STAT_PAYLOAD_UNKNOWN,	  /* data records without payload: buffer not proved */
	HOOK_STAT_PAYLOAD_FAULT,	  /* data records without payload: buffer not readable */
	HOOK_STAT_SELECT_FAILED,	  /* selection table full at fork or listen */
	HOOK_STAT_UNSEEN_BYTES, /* bytes that moved without a hook seeing them, at close */
	HOOK_STAT_UNSEEN_CALLS, /* calls of which no hook tells how many bytes they move */
	HOOK_STAT_COUNT,
};

/* sel_by_tgid values */
enum selection_state {
	SELECTION_DENIED = 1,
	SELECTION_SELECTED = 2,
	SELECTION_PENDING = 3, /* after exec, until user space has judged the executable */
	SELECTION_REFUSED = 4, /* judged; another exec or listen asks anew */
};

/* verdict.mode */
enum verdict_mode {
	VERDICT_CAPTURE = 0, /* default budget */
	VERDICT_NOTHING = 1, /* no record for this connection until it was idle */
	VERDICT_OPEN = 2,    /* another open record: user space does not know this connection */
};

/* reader_state */
enum reader_sleep {
	READER_AWAKE = 0,
	READER_IDLE = 1,    /* the ring was empty: any record wakes it */
	READER_LINGERS = 2, /* records gather: a ring that fills up wakes it */
};

#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

struct event_header {
	__u64 ktime_ns; /* CLOCK_MONOTONIC at the end of the call */
	__u64 conn_id;	/* 0 for process records */
	__u32 tgid;	/* in the initial PID namespace */
	__u32 tid;	/* in the initial PID namespace */
	__u16 kind;	/* enum event_kind */
	__u16 flags;
	__u16 len;    /* bytes of the whole record */
	__u16 losses; /* calls and records that left nothing here so far, modulo 65,536 */
};

/* EVENT_KIND_DATA: head, then `captured` bytes from the front of the call's data, then `tail`
 * bytes from its end (0 when the front is the whole). */
struct data_event {
	struct event_header header;
	__u64 pos;	 /* stream position of the first byte */
	__u64 other_pos; /* where the other direction stood at the end of the call */
	__u32 bytes;	 /* bytes the call moved */
	__u16 captured;
	__u8 tail;
	__u8 direction; /* enum data_direction */
};

/* EVENT_KIND_CONN_OPEN */
struct conn_open_event {
	struct event_header header;
	__u64 send_pos; /* positions before the call that revealed the connection */
	__u64 recv_pos;
	__u8 local_addr[16]; /* network order; IPv4 as ::ffff:a.b.c.d */
	__u8 remote_addr[16];
	__u16 local_port; /* host order */
	__u16 remote_port;
	__u16 family; /* AF_INET, AF_INET6, AF_UNIX */
	__u16 protocol;
	__u32 netns;		       /* inode number of the network namespace */
	__u8 unix_path[UNIX_PATH_LEN]; /* of whichever end is bound; a leading NUL = abstract */
};

/* EVENT_KIND_CONN_SHUT and EVENT_KIND_CONN_CLOSE */
struct conn_end_event {
	struct event_header header;
	__u64 send_pos;	 /* the kernel's own final positions */
	__u64 recv_pos;	 /* with what the application has not read yet but may */
	__u64 send_seen; /* bytes that hooks saw since the open record */
	__u64 recv_seen;
	__s32 error;	     /* sk_err: 0 or an errno */
	__u32 skipped_calls; /* calls that a verdict kept out of the ring */
};

/* What a process runs: its executable's path and the front of its environment. */
struct process_image {
	__u16 components; /* path components, innermost first */
	__u8 path_truncated;
	__u8 environ_truncated;
	__u32 environ_len;
	__u8 path[PATH_COMPONENTS][PATH_COMPONENT_LEN];
	__u8 environ[ENVIRON_MAX];
};

/* EVENT_KIND_PROC_EXEC */
struct exec_event {
	struct event_header header;
	__u32 ns_tgid; /* in the agent's PID namespace; 0 = not visible there */
	__u32 _pad;
	struct process_image image;
};

/* EVENT_KIND_PROC_FORK: header.tgid is the parent. EVENT_KIND_PROC_EXIT: header.tgid ended. */
struct process_event {
	struct event_header header;
	__u32 child_tgid;
	__u32 ns_tgid; /* of the child, or of the process that ended */
};

/* EVENT_KIND_LISTEN */
struct listen_event {
	struct event_header header;
	__u32 ns_tgid;
	__u32 netns;
	__u16 port;
	__u8 _pad[6];
	struct process_image image;
};

/* Output of the task iterator: one per process. */
struct task_record {
	__u64 start_ktime_ns;
	__u32 tgid;
	__u32 ns_tgid;
	__u32 parent_tgid;
	__u32 _pad;
};

/* Output of the task-file iterator: one per listening TCP socket of a process. */
struct listener_record {
	__u32 tgid;
	__u32 ns_tgid;
	__u32 netns;
	__u16 port;
	__u16 _pad;
};

/* Output of the self program: who and where the agent is. */
struct self_record {
	__u32 tgid;
	__u32 ns_level;
	__u32 ns_inum;
	__u32 _pad;
};

/* User space -> kernel, keyed by conn_id. */
struct verdict {
	__u64 skip_until[2]; /* by enum data_direction: positions below need no record */
	__u32 mode;	     /* enum verdict_mode */
	__u32 _pad;
};

/* sel_by_tgid */
struct selection {
	__u64 since_ns; /* time of the record by which user space was asked, or 0 */
	__u32 state;	/* enum selection_state */
	__u32 budget;	/* records left while pending */
};

/* judged_by_tgid */
struct judgement {
	__u64 since_ns; /* of the selection that was judged */
	__u32 state;	/* SELECTION_SELECTED or SELECTION_REFUSED */
	__u32 _pad;
};

#pragma clang diagnostic pop

_Static_assert(sizeof(struct event_header) == 32, "wire constant");
_Static_assert(sizeof(struct data_event) % 8 == 0, "payload starts 8-byte aligned");
_Static_assert(CAPTURE_MAX < 65536, "data_event.captured is 16 bits");
