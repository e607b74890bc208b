/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* The core object: one set of maps, the handlers, and the front ends. The loader switches
 * programs by autoload; see hooks/. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "events.h"
#include "agent_config.h"
#include "lib/stat.h"
#include "lib/field.h"
#include "lib/emit.h"
#include "lib/task.h"
#include "lib/sock.h"
#include "lib/payload.h"
#include "lib/buffer.h"
#include "lib/iter.h"
#include "hooks/process.h"
#include "hooks/tracepoint.h"
#include "hooks/fentry.h"
#include "hooks/kprobe.h"
#include "hooks/iter.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
