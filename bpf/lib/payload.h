/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Where the bytes of one socket call lie in the caller's memory, and copying them out. */
#pragma once

#include "lib/bound.h"

enum payload_kind {
	PAYLOAD_NONE = 0,   /* the call has no user buffer */
	PAYLOAD_UNKNOWN,    /* it may have one, not provably this call's */
	PAYLOAD_BUF,	    /* base, one buffer */
	PAYLOAD_USER_IOV,   /* iov: user address of an array of struct iovec */
	PAYLOAD_KERNEL_IOV, /* iov: kernel address of one */
};

struct payload {
	__u64 base; /* user address */
	__u64 iov;
	__u64 skip; /* bytes of the first segments that are not part of the call */
	__u32 segments;
	__u32 kind; /* enum payload_kind */
};

struct payload_copy {
	__u32 copied;
	__u32 tail; /* bytes of the call's end that follow the copied front */
	__u32 fault;
};

static __always_inline bool payload_segment(const struct payload *p, __u32 i, struct iovec *seg)
{
	const void *at = (const void *)(p->iov + i * sizeof(struct iovec));

	if (p->kind == PAYLOAD_KERNEL_IOV)
		return bpf_probe_read_kernel(seg, sizeof(*seg), at) == 0;
	return bpf_probe_read_user(seg, sizeof(*seg), at) == 0;
}

/* One segment is a buffer. */
static __always_inline void payload_simplify(struct payload *p)
{
	struct iovec seg = {};

	if (p->segments != 1 || !payload_segment(p, 0, &seg))
		return;
	p->kind = PAYLOAD_BUF;
	p->base = (__u64)seg.iov_base;
}

/* Copies up to cap bytes of a one-buffer call of `bytes` bytes to dst, and the call's last bytes
 * behind them when they do not all fit. dst has room for cap + CAPTURE_TAIL.
 * VERIFIER: lengths are 64 bits wide, since a 32-bit comparison bounds only half of a register;
 * seen on 5.10. */
static __always_inline void payload_copy_buf(const struct payload *p, __u8 *dst, __u64 cap,
					     __u64 bytes, struct payload_copy *out)
{
	__u64 base = p->base + p->skip;
	__u64 n = bytes;
	__u64 t;

	CLAMP(n, cap);
	if (bpf_probe_read_user(dst, n, (const void *)base)) {
		out->fault = 1;
		return;
	}
	out->copied = n;
	t = bytes - n;
	if (t == 0)
		return;
	CLAMP(t, CAPTURE_TAIL);
	if (!bpf_probe_read_user(dst + n, t, (const void *)(base + bytes - t)))
		out->tail = t;
}

/* Progress over the segments of one call. */
struct iov_walk {
	__u64 skip;    /* bytes in front that are not part of the call */
	__u64 end;     /* user address behind the call's last byte, once found */
	__u64 left;    /* bytes of the call not walked yet */
	__u64 off;     /* bytes copied so far */
	__u64 end_len; /* bytes of the call in its last segment */
	__u64 fault;
};

static __always_inline void iov_walk_forget(struct iov_walk *w)
{
	FORGET(w->skip);
	FORGET(w->end);
	FORGET(w->left);
	FORGET(w->off);
	FORGET(w->end_len);
	FORGET(w->fault);
}

/* One segment: the part of it that belongs to the call is copied as far as cap allows. */
static __always_inline void iov_walk_segment(struct iov_walk *w, const struct iovec *seg, __u8 *dst,
					     __u64 cap)
{
	__u64 base = (__u64)seg->iov_base;
	__u64 len = seg->iov_len;
	__u64 off = w->off;
	__u64 n;

	if (w->skip >= len) {
		w->skip -= len;
		return;
	}
	base += w->skip;
	len -= w->skip;
	w->skip = 0;
	if (len > w->left)
		len = w->left;
	w->left -= len;
	if (w->left == 0) {
		w->end = base + len;
		w->end_len = len;
	}
	if (off >= cap)
		return;
	n = cap - off;
	if (len < n)
		n = len;
	CLAMP(n, cap);
	CLAMP(off, cap);
	if (bpf_probe_read_user(dst + off, n, (const void *)base))
		w->fault = 1;
	else
		w->off = off + n;
}

/* The same over segments. dst has room for 2 * cap + CAPTURE_TAIL: the verifier knows the offset
 * and the length only each by itself. */
static __always_inline void payload_copy_iov(const struct payload *p, __u8 *dst, __u64 cap,
					     __u64 bytes, struct payload_copy *out)
{
	struct iov_walk w = {.skip = p->skip, .left = bytes};
	__u64 off, t;

	iov_walk_forget(&w);
	for (__u32 i = 0; i < IOV_SEGMENTS_MAX; i++) {
		struct iovec seg = {};

		if (i >= p->segments || w.left == 0 || w.fault)
			break;
		if (payload_segment(p, i, &seg))
			iov_walk_segment(&w, &seg, dst, cap);
		else
			w.fault = 1;
		iov_walk_forget(&w);
	}
	off = w.off;
	out->copied = off;
	out->fault = w.fault;
	t = bytes - off;
	if (t > w.end_len)
		t = w.end_len;
	if (w.fault || t == 0)
		return;
	CLAMP(t, CAPTURE_TAIL);
	CLAMP(off, cap);
	if (!bpf_probe_read_user(dst + off, t, (const void *)(w.end - t)))
		out->tail = t;
}

/* User address of the call's first byte, or 0. */
static __always_inline __u64 payload_at(const struct payload *p)
{
	struct iovec seg = {};
	__u64 at = 0;

	if (p->kind == PAYLOAD_BUF)
		at = p->base + p->skip;
	else if (p->kind > PAYLOAD_BUF && payload_segment(p, 0, &seg))
		at = (__u64)seg.iov_base + p->skip;
	FORGET(at);
	return at;
}
