/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Where the bytes of one socket call lie in the caller's memory, and copying them out. */
#pragma once

#include "lib/arch.h"
#include "lib/bound.h"

/* Where a hook finds the buffer of the call that it sees. */
enum payload_source {
	PAYLOAD_OF_NOTHING = 0, /* there is none */
	PAYLOAD_OF_SYSCALL,	/* the arguments of the system call */
	PAYLOAD_OF_MSG,		/* the kernel's iterator */
};

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
	long err;

	if (p->kind == PAYLOAD_KERNEL_IOV)
		err = bpf_probe_read_kernel(seg, sizeof(*seg), at);
	else
		err = bpf_probe_read_user(seg, sizeof(*seg), at);
	seg->iov_base = (void *)UNTAGGED(seg->iov_base);
	return err == 0;
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
	__u64 left;    /* bytes of the call not walked yet */
	__u64 off;     /* bytes copied so far */
	__u64 end;     /* user address behind the last byte walked */
	__u64 end_len; /* bytes of the call in the last segment walked */
	__u64 fault;
};

static __always_inline void iov_walk_forget(struct iov_walk *w)
{
	FORGET(w->skip);
	FORGET(w->left);
	FORGET(w->off);
	FORGET(w->end);
	FORGET(w->end_len);
	FORGET(w->fault);
}

/* One segment: the part of it that belongs to the call is copied as far as cap allows. */
static __always_inline void iov_walk_segment(struct iov_walk *w, const struct iovec *seg, __u8 *dst,
					     __u64 cap)
{
	__u64 base = (__u64)seg->iov_base;
	__u64 len = seg->iov_len;
	__u64 skip = w->skip;
	__u64 off = w->off;
	__u64 n = cap - off;
	__s64 err;

	LESSER(skip, len);
	w->skip -= skip;
	base += skip;
	len -= skip;
	LESSER(len, w->left);
	w->left -= len;
	w->end = base + len;
	w->end_len = len;
	LESSER(n, len);
	CLAMP(n, cap);
	CLAMP(off, cap);
	err = bpf_probe_read_user(dst + off, n, (const void *)base);
	w->fault |= err;
	w->off = off + (n & ~(err >> 63));
}

/* Walks one segment. False = there is no more to walk. */
static __always_inline bool iov_walk_next(struct iov_walk *w, const struct payload *p, __u32 i,
					  __u8 *dst, __u64 cap)
{
	struct iovec seg = {};

	if (i >= p->segments)
		return false;
	if (payload_segment(p, i, &seg))
		iov_walk_segment(w, &seg, dst, cap);
	else
		w->fault = 1;
	iov_walk_forget(w);
	return w->left && !w->fault;
}

struct iov_loop {
	struct iov_walk walk;
	const struct payload *payload;
	__u8 *dst;
};

/* bpf_loop's callback for each capture class. VERIFIER: the class must be a constant in it. */
#define IOV_LOOP_STEP(class)                                                                       \
	static long iov_loop_step_##class(__u32 i, void *ctx)                                      \
	{                                                                                          \
		struct iov_loop *loop = ctx;                                                       \
                                                                                                   \
		return !iov_walk_next(&loop->walk, loop->payload, i, loop->dst, class);            \
	}

IOV_LOOP_STEP(CAPTURE_SMALL)
IOV_LOOP_STEP(CAPTURE_MEDIUM)
IOV_LOOP_STEP(CAPTURE_MAX)

/* The segments of the system call's own array. */
static __always_inline void iov_walk_user(struct iov_walk *w, const struct payload *p, __u8 *dst,
					  __u64 cap)
{
	struct iov_loop loop = {.walk = *w, .payload = p, .dst = dst};

	if (cap == CAPTURE_SMALL)
		bpf_loop(IOV_SEGMENTS_MAX, iov_loop_step_CAPTURE_SMALL, &loop, 0);
	else if (cap == CAPTURE_MEDIUM)
		bpf_loop(IOV_SEGMENTS_MAX, iov_loop_step_CAPTURE_MEDIUM, &loop, 0);
	else
		bpf_loop(IOV_SEGMENTS_MAX, iov_loop_step_CAPTURE_MAX, &loop, 0);
	*w = loop.walk;
}

/* The segments of the kernel's iterator. */
static __always_inline void iov_walk_msg(struct iov_walk *w, const struct payload *p, __u8 *dst,
					 __u64 cap)
{
	for (__u32 i = 0; i < MSG_SEGMENTS_MAX; i++)
		if (!iov_walk_next(w, p, i, dst, cap))
			break;
}

/* payload_copy_buf over segments. dst has room for 2 * cap + CAPTURE_TAIL: the verifier knows the
 * offset and the length only each by itself. */
static __always_inline void payload_copy_iov(const struct payload *p, enum payload_source source,
					     __u8 *dst, __u64 cap, __u64 bytes,
					     struct payload_copy *out)
{
	struct iov_walk w = {.skip = p->skip, .left = bytes};
	__u64 off, t;

	iov_walk_forget(&w);
	if (source == PAYLOAD_OF_SYSCALL)
		iov_walk_user(&w, p, dst, cap);
	else
		iov_walk_msg(&w, p, dst, cap);
	off = w.off;
	out->copied = off;
	out->fault = w.fault != 0;
	t = bytes - off;
	if (t > w.end_len)
		t = w.end_len;
	/* Behind the last segment walked the end is not known. */
	if (w.fault || w.left || t == 0)
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
