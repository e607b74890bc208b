/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Instantiates every type of events.h so that clang writes its BTF: the one source of the Rust
 * types. No programs, never loaded. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "events.h"

enum event_limit abi_event_limit = CAPTURE_SMALL;
enum event_kind abi_event_kind = EVENT_KIND_DATA;
enum data_direction abi_data_direction = DATA_DIRECTION_SEND;
enum data_flag abi_data_flag = DATA_FLAG_EOF;
enum conn_flag abi_conn_flag = CONN_FLAG_FROM_BIRTH;
enum hook_stat abi_hook_stat = HOOK_STAT_CALLS;
enum selection_state abi_selection_state = SELECTION_DENIED;
enum verdict_mode abi_verdict_mode = VERDICT_CAPTURE;
enum reader_sleep abi_reader_sleep = READER_AWAKE;

struct event_header abi_event_header = {};
struct data_event abi_data_event = {};
struct conn_open_event abi_conn_open_event = {};
struct conn_end_event abi_conn_end_event = {};
struct exec_event abi_exec_event = {};
struct process_event abi_process_event = {};
struct listen_event abi_listen_event = {};
struct task_record abi_task_record = {};
struct listener_record abi_listener_record = {};
struct self_record abi_self_record = {};
struct verdict abi_verdict = {};
struct selection abi_selection = {};
struct judgement abi_judgement = {};

char LICENSE[] SEC("license") = "Dual BSD/GPL";
