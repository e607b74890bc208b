/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* What differs between architectures. Each header has the same NR_*, syscall_of() and
 * UNTAGGED(), and is named after libbpf's __TARGET_ARCH_*. */
#pragma once

struct syscall_args {
	__u64 nr;
	__u64 arg[5];
};

#if defined(__TARGET_ARCH_x86)
#include "lib/arch/x86.h"
#elif defined(__TARGET_ARCH_arm64)
#include "lib/arch/arm64.h"
#else
#error "no system call table for this architecture"
#endif
