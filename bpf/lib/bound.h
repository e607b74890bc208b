/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Idioms that keep the verifier's work small. */
#pragma once

/* Always 0, which the verifier does not know. */
static volatile __u64 unknown_zero;

/* VERIFIER: paths that differ only in a known value are explored one by one; a value that is not
 * known any more lets them merge. Without it the transfer programs pass one million instructions
 * on 6.18. One load and one addition at run time; in assembler, or clang moves the addition behind
 * the place where the paths should merge (545,905 instructions instead of 69,766 on 6.1). */
#define FORGET(x)                                                                                  \
	({                                                                                         \
		__u64 forgotten_ = (x);                                                            \
		asm volatile("%0 += %1" : "+r"(forgotten_) : "r"(unknown_zero));                   \
		(x) = forgotten_;                                                                  \
	})

/* 1 or 0 without a branch, for values below 2^63: 0 - 1 borrows into the topmost bit exactly where
 * the two are equal. */
#define EQUAL(a, b) ((((__u64)(a) ^ (__u64)(b)) - 1) >> 63)

/* x = min(x, max), both 64 bits wide and unsigned.
 * VERIFIER: the bound must be known on the register that is used. Written in C, clang compares a
 * copy, or the lower half, and spills the original before; seen on 5.10 with clang 19. */
#define CLAMP(x, max) asm volatile("if %0 <= %1 goto +1\n\t%0 = %1" : "+r"(x) : "r"((__u64)(max)))

/* x = min(x, max) without a branch and without a bound that the verifier would know, for values
 * that lie less than 2^63 apart.
 * VERIFIER: in a loop over segments each branch doubles the paths of all segments behind. */
#define LESSER(x, max)                                                                             \
	({                                                                                         \
		__u64 over_ = (x) - (max);                                                         \
		__s64 below_ = (__s64)over_ >> 63;                                                 \
		asm volatile("" : "+r"(below_));                                                   \
		(x) = (max) + (over_ & below_);                                                    \
	})
