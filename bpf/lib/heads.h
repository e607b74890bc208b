/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Where heads of HTTP/1 may lie in a call: what is worth capturing of it. */
#pragma once

#include "lib/bound.h"
#include "lib/payload.h"
#include "maps/conn.h"

#define YOUNG_CALLS  16 /* of a connection */
#define HEADS_BLOCK  64
#define HEADS_BLOCKS 8

/* The first four bytes of a head. */
#define WORD_CONNECT 0x4e4e4f43 /* "CONN" */
#define WORD_DELETE  0x454c4544 /* "DELE" */
#define WORD_GET     0x20544547 /* "GET " */
#define WORD_HEAD    0x44414548 /* "HEAD" */
#define WORD_OPTIONS 0x4954504f /* "OPTI" */
#define WORD_PATCH   0x43544150 /* "PATC" */
#define WORD_POST    0x54534f50 /* "POST" */
#define WORD_PUT     0x20545550 /* "PUT " */
#define WORD_TRACE   0x43415254 /* "TRAC" */
#define WORD_HTTP    0x50545448 /* "HTTP", a response's; "/1.1 " and the status follow */

#define STATUS_AT  9
#define STATUS_204 0x343032 /* "204" */
#define STATUS_304 0x343033 /* "304" */

/* Whether a request begins with these four bytes. */
static __always_inline __u64 begins_request(__u64 word)
{
	return EQUAL(word, WORD_CONNECT) | EQUAL(word, WORD_DELETE) | EQUAL(word, WORD_GET) |
	       EQUAL(word, WORD_HEAD) | EQUAL(word, WORD_OPTIONS) | EQUAL(word, WORD_PATCH) |
	       EQUAL(word, WORD_POST) | EQUAL(word, WORD_PUT) | EQUAL(word, WORD_TRACE);
}

#define EMPTY_LINE 0x0a0d0a0d /* "\r\n\r\n" */
#define LF_CR	   0x0d0a     /* its middle; a head has this nowhere else */
#define LAST_CHUNK 0x300a0d   /* "\r\n0" before an empty line */

/* How many empty lines ("\r\n\r\n") lie within the n bytes at buf, four bytes at a time: each
 * shows whole, or by its middle inside a word, or as "\r\n" on both sides of a word's edge. *last
 * is the word before buf, and then the last one. n is a constant. VERIFIER: no branch on the data,
 * or every iteration doubles the states; seen on 6.18. */
static __always_inline __u64 empty_lines_after(__u64 *last, const __u8 *buf, __u32 n)
{
	__u64 found = 0;

	for (__u32 i = 0; i + 4 <= n; i += 4) {
		__u64 word = *(const __u32 *)(buf + i);

		found += EQUAL(word, EMPTY_LINE);
		found += EQUAL(*last >> 16 | (word & 0xffff) << 16, EMPTY_LINE);
		found += EQUAL(word >> 16, LF_CR);
		found += EQUAL(word & 0xffff, LF_CR);
		*last = word;
	}
	return found;
}

/* The same of a buffer by itself. */
static __always_inline __u64 empty_lines(const __u8 *buf, __u32 n)
{
	__u64 last = 0;
	__u64 found = empty_lines_after(&last, buf, n);

	/* The last word's middle may lack its end. */
	return found - EQUAL(last >> 16, LF_CR);
}

/* How many empty lines show in the first bytes of the n at a user address, if a request begins
 * there: 0 = it does not, 1 = no more than the one at its end. VERIFIER: a function by itself is
 * looked at once, not in every state of its callers. */
__noinline int requests_at(__u64 at, __u64 n)
{
	__u64 last = 0;
	__u64 found = 0;

	for (__u32 i = 0; i < HEADS_BLOCKS && n; i++) {
		__u8 block[HEADS_BLOCK] = {};
		__u64 len = n;

		CLAMP(len, HEADS_BLOCK);
		if (bpf_probe_read_user(block, len, (const void *)at))
			break;
		if (i == 0 && !begins_request(*(__u32 *)block))
			return 0;
		found += empty_lines_after(&last, block, sizeof(block));
		FORGET(found);
		FORGET(last);
		at += len;
		n -= len;
	}
	return found > 1 ? found : 1;
}

/* Notes a request that begins where the one before was not answered yet; while the connection is
 * young, two in one call as well. */
static __always_inline void note_pipelined(struct conn *conn, __u8 dir, const struct payload *p,
					   __u32 bytes)
{
	__u64 unanswered = conn->run[dir & 1];
	__u64 n = p->kind == PAYLOAD_BUF ? bytes : sizeof(__u32);
	__u64 at;

	FORGET(n);
	if (conn->pipelined || (!unanswered && conn->calls > YOUNG_CALLS))
		return;
	at = payload_at(p);
	if (at && requests_at(at, n) > !unanswered)
		conn->pipelined = 1;
}

/* Whether a call begins like a head. */
static __always_inline bool begins_like_head(const struct payload *p)
{
	__u64 at = payload_at(p);
	__u32 word = 0;

	if (!at || bpf_probe_read_user(&word, sizeof(word), (const void *)at))
		return false;
	return begins_request(word) | EQUAL(word, WORD_HTTP);
}

/* Whether what of a call was captured is one whole head, so that the rest is its body. Else the
 * head goes on, or other heads follow. VERIFIER: one branch in all; see empty_lines. */
static __always_inline bool one_head(struct conn *conn, const __u8 *front, __u32 n)
{
	__u64 word = *(const __u32 *)front;
	__u64 heads = empty_lines(front, n);
	__u64 one = EQUAL(heads, 1);
	__u64 status = *(const __u32 *)(front + STATUS_AT) & 0xffffff;
	__u64 no_content =
		EQUAL(status, STATUS_204) | EQUAL(status, STATUS_304) | EQUAL(status & 0xff, '1');
	/* These have no body: what follows is another head. */
	__u64 bodiless = EQUAL(word, WORD_GET) | EQUAL(word, WORD_HEAD) |
			 (EQUAL(word, WORD_HTTP) & no_content);

	conn->pipelined |= (1 ^ EQUAL(heads, 0)) & bodiless;
	return one & ~conn->pipelined;
}

/* Whether a call of `bytes` bytes ends like a head and not like a chunked body. */
static __always_inline bool ends_in_head(const struct payload *p, __u32 bytes)
{
	__u64 end = 0;

	if (p->kind != PAYLOAD_BUF || bytes < sizeof(end))
		return false;
	if (bpf_probe_read_user(&end, sizeof(end),
				(const void *)(p->base + p->skip + bytes - sizeof(end))))
		return false;
	return end >> 32 == EMPTY_LINE && (end >> 8 & 0xffffff) != LAST_CHUNK;
}

/* Whether the call's first segment is at most max bytes and ends with an empty line: servers put
 * the head there and the body behind it. */
static __always_inline bool first_segment_is_head(const struct payload *p, __u32 max)
{
	struct iovec seg = {};
	__u32 end = 0;

	if (p->skip || !payload_segment(p, 0, &seg) || seg.iov_len < 4 || seg.iov_len > max)
		return false;
	if (bpf_probe_read_user(&end, sizeof(end), seg.iov_base + seg.iov_len - sizeof(end)))
		return false;
	return end == 0x0a0d0a0d;
}
