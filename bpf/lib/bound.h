/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Idioms that keep the verifier's work small. */
#pragma once

/* Always 0, which the verifier does not know. */
static volatile __u64 unknown_zero;

/* VERIFIER: paths that differ only in a known value are explored one by one; a value that is not
 * known any more lets them merge. Without it the transfer programs pass one million instructions
 * on 6.18. One load and one addition at run time. */
#define FORGET(x) ((x) += unknown_zero)

/* x = min(x, max), both 64 bits wide and unsigned.
 * VERIFIER: the bound must be known on the register that is used. Written in C, clang compares a
 * copy, or the lower half, and spills the original before; seen on 5.10 with clang 19. */
#define CLAMP(x, max) asm volatile("if %0 <= %1 goto +1\n\t%0 = %1" : "+r"(x) : "r"((__u64)(max)))
