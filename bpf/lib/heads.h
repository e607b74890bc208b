/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Where heads of HTTP/1 may lie in a call: what is worth capturing of it. */
#pragma once

#include "lib/bound.h"
#include "lib/payload.h"
#include "maps/conn.h"

#define YOUNG_CALLS  16	 /* of a connection */
#define YOUNG_BYTES  512 /* of such a call */
#define HEADS_BLOCK  64
#define HEADS_BLOCKS (CAPTURE_MEDIUM / HEADS_BLOCK)

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
#define LAST_CHUNK 0x300a0d   /* "\r\n0" before an empty line */

#define EACH_BYTE(byte) ((byte) * 0x0101010101010101ULL)
#define LOWER_BITS	EACH_BYTE(0x7f)

/* The highest bit of each byte of x that is not zero; other bits mean nothing. */
#define NOT_ZERO(x) ((((x) & LOWER_BITS) + LOWER_BITS) | (x))

/* How many line feeds with a carriage return behind them lie in a block: the middle of an empty
 * line, which a head has nowhere else. *last says of the word before which of its bytes are no line
 * feeds, and then of the last one. VERIFIER: no branch on the data, or every word doubles the
 * states; seen on 6.18. */
static __always_inline __u64 empty_lines_of(const __u64 *block, __u64 *last)
{
	__u64 found = 0;

	for (__u32 i = 0; i < HEADS_BLOCK / 8; i++) {
		__u64 no_lf = block[i] ^ EACH_BYTE('\n');
		__u64 no_cr = block[i] ^ EACH_BYTE('\r');

		no_lf = NOT_ZERO(no_lf);
		no_cr = NOT_ZERO(no_cr);
		found += ~(no_lf << 8 | *last >> 56 | no_cr) >> 7 & EACH_BYTE(1);
		*last = no_lf;
	}
	/* Each byte has its own count. */
	return found * EACH_BYTE(1) >> 56;
}

/* How many empty lines begin to show in the n bytes at a user address, of which the first
 * HEADS_BLOCKS * HEADS_BLOCK are looked at; more than one are as good as two. VERIFIER: a function
 * by itself is looked at once, not in every state of its callers. */
__noinline int empty_lines_at(__u64 at, __u64 n)
{
	__u64 last = ~0ULL;
	__u64 found = 0;

	for (__u32 i = 0; i < HEADS_BLOCKS && n; i++) {
		__u64 block[HEADS_BLOCK / 8] = {};
		const void *from = (const void *)at;
		__u64 len = n;

		CLAMP(len, HEADS_BLOCK);
		at += len;
		n -= len;
		FORGET(at);
		FORGET(n);
		if (bpf_probe_read_user(block, len, from))
			break;
		found += empty_lines_of(block, &last);
		FORGET(found);
		FORGET(last);
		if (found > 1)
			break;
	}
	return found;
}

/* The first four bytes at a user address; 0 = they cannot be read. */
static __always_inline __u32 word_at(__u64 at)
{
	__u32 word = 0;

	if (!at || bpf_probe_read_user(&word, sizeof(word), (const void *)at))
		return 0;
	return word;
}

/* Notes a request that begins where the one before was not answered yet; while the connection is
 * young, two in one call as well. */
static __always_inline void note_pipelined(struct conn *conn, __u8 dir, const struct payload *p,
					   __u32 bytes)
{
	__u64 unanswered = conn->run[dir & 1];
	__u64 n = p->kind == PAYLOAD_BUF ? bytes : 0;
	__u64 at;

	FORGET(n);
	if (conn->pipelined || (!unanswered && conn->calls > YOUNG_CALLS))
		return;
	at = payload_at(p);
	if (!begins_request(word_at(at)))
		return;
	CLAMP(n, YOUNG_BYTES);
	if (unanswered || empty_lines_at(at, n) > 1)
		conn->pipelined = 1;
}

/* Whether a call begins like a head. */
static __always_inline bool begins_like_head(const struct payload *p)
{
	__u32 word = word_at(payload_at(p));

	return begins_request(word) | EQUAL(word, WORD_HTTP);
}

/* Whether the first bytes of a call that has more, all that CAPTURE_MEDIUM holds, are one whole
 * head, so that the rest is its body. Else the head goes on, or other heads follow. */
static __always_inline bool one_head(struct conn *conn, const struct payload *p)
{
	__u64 at = payload_at(p);
	/* One that begins with the last byte ends behind it. */
	__u64 heads = empty_lines_at(at, CAPTURE_MEDIUM - 1);
	__u64 word = word_at(at);
	__u64 status = word_at(at + STATUS_AT) & 0xffffff;
	__u64 no_content =
		EQUAL(status, STATUS_204) | EQUAL(status, STATUS_304) | EQUAL(status & 0xff, '1');
	/* These have no body: what follows is another head. */
	__u64 bodiless = EQUAL(word, WORD_GET) | EQUAL(word, WORD_HEAD) |
			 (EQUAL(word, WORD_HTTP) & no_content);

	FORGET(heads);
	conn->pipelined |= (1 ^ EQUAL(heads, 0)) & bodiless;
	return EQUAL(heads, 1) & ~conn->pipelined;
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
	return end == EMPTY_LINE;
}
