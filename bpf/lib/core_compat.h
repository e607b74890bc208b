/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Types as other kernels have them. Handlers and hooks never test a version: they ask for a
 * field's existence here. */
#pragma once

/* iov_iter before 5.14 (kernel commit 8cd54c1c8480 split `type` into iter_type and data_source). */
struct iov_iter___pre_5_14 {
	unsigned int type;
} __attribute__((preserve_access_index));

/* iov_iter from 5.14 to 6.3: `iov` was renamed `__iov` by kernel commit de4f5fed3f23 (6.4). */
struct iov_iter___pre_6_4 {
	const struct iovec *iov;
} __attribute__((preserve_access_index));

/* `ubuf` came with ITER_UBUF in 6.0 (kernel commit fcb14cb1bdac). */
enum iter_type___has_ubuf {
	ITER_UBUF___has_ubuf = 0,
};

enum user_iter {
	USER_ITER_NONE = 0,
	USER_ITER_UBUF = 1,
	USER_ITER_IOVEC = 2,
};

/* Whether the iterator walks user memory, and how. */
static __always_inline enum user_iter user_iter_of(struct iov_iter *iter)
{
	struct iov_iter___pre_5_14 *old = (void *)iter;

	if (bpf_core_field_exists(old->type)) {
		/* 5.10: a bit mask; ITER_IOVEC is 4, the low bit is the direction. */
		return (BPF_CORE_READ(old, type) & ~1U) == 4 ? USER_ITER_IOVEC : USER_ITER_NONE;
	}
	if (bpf_core_enum_value_exists(enum iter_type___has_ubuf, ITER_UBUF___has_ubuf) &&
	    BPF_CORE_READ(iter, iter_type) ==
		    bpf_core_enum_value(enum iter_type___has_ubuf, ITER_UBUF___has_ubuf))
		return USER_ITER_UBUF;
	if (BPF_CORE_READ(iter, iter_type) == bpf_core_enum_value(enum iter_type, ITER_IOVEC))
		return USER_ITER_IOVEC;
	return USER_ITER_NONE;
}

static __always_inline const struct iovec *iter_iov(struct iov_iter *iter)
{
	struct iov_iter___pre_6_4 *old = (void *)iter;

	if (bpf_core_field_exists(old->iov))
		return BPF_CORE_READ(old, iov);
	return BPF_CORE_READ(iter, __iov);
}
