/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Reading the kernel's structures, whatever kind of program asks. */
#pragma once

/* A field behind a pointer. Typed pointers (tp_btf, fexit, iter) are loaded from, which cannot
 * fault; what a kprobe program has is a plain address (CFG(untyped)), and 0 is read where that
 * faults. The branch that is not taken vanishes at load. */
#define FIELD(ptr, field)                                                                          \
	({                                                                                         \
		typeof(ptr) ptr_ = (ptr);                                                          \
		__typeof_unqual__(ptr_->field) value_;                                             \
		if (CFG(untyped)) {                                                                \
			__typeof_unqual__(ptr_->field) read_ = 0;                                  \
			bpf_core_read(&read_, sizeof(read_), &ptr_->field);                        \
			value_ = read_;                                                            \
		} else {                                                                           \
			value_ = *(volatile typeof(ptr_->field) *)&ptr_->field;                    \
		}                                                                                  \
		value_;                                                                            \
	})
