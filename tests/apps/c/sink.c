/* SPDX-License-Identifier: Apache-2.0 */
/* A lean OTLP/HTTP endpoint: sink PORT. Answers 200 to whatever is posted and counts the spans in
 * it, where it is plain protobuf; a GET is answered with the spans, bytes and requests so far. */
#include "net.h"

#define EMPTY	 "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define BODY_MAX (256L << 20)

static long spans, posted, requests;

/* A protobuf varint at p: its value, and what stands behind it; end when it is not whole. */
static const unsigned char *varint(const unsigned char *p, const unsigned char *end,
				   unsigned long *value)
{
	*value = 0;
	for (int shift = 0; p < end && shift < 64; shift += 7) {
		*value |= (unsigned long)(*p & 0x7f) << shift;
		if (!(*p++ & 0x80))
			return p;
	}
	return end;
}

/* Spans in a message at depth 0 (ExportTraceServiceRequest), 1 (ResourceSpans) or 2 (ScopeSpans).
 * All fields of the three are length-delimited. */
static long spans_in(const unsigned char *p, const unsigned char *end, int depth)
{
	static const unsigned long next[] = {1, 2, 2};
	unsigned long tag, length;
	long found = 0;

	while (p < end) {
		p = varint(p, end, &tag);
		p = varint(p, end, &length);
		if ((tag & 7) != 2 || length > (unsigned long)(end - p))
			errx(1, "this is no ExportTraceServiceRequest");
		if (tag >> 3 == next[depth])
			found += depth == 2 ? 1 : spans_in(p, p + length, depth + 1);
		p += length;
	}
	return found;
}

/* Bytes of the body that a head announces. */
static long length_of(const char *head)
{
	const char *line = strcasestr(head, "\r\ncontent-length:");
	long length = line ? atol(line + sizeof("\r\ncontent-length:") - 1) : 0;

	if (length < 0 || length > BODY_MAX)
		errx(1, "a body of %ld bytes", length);
	return length;
}

static void tell(int fd)
{
	char body[96], message[256];

	snprintf(body, sizeof(body), "%ld %ld %ld\n", __atomic_load_n(&spans, __ATOMIC_SEQ_CST),
		 __atomic_load_n(&posted, __ATOMIC_SEQ_CST),
		 __atomic_load_n(&requests, __ATOMIC_SEQ_CST));
	snprintf(message, sizeof(message), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	send_all(fd, message, strlen(message));
}

/* Whether a head is that of spans whose number can be read. */
static int is_plain(const char *head)
{
	return strstr(head, "/v1/traces ") && strcasestr(head, "application/x-protobuf") &&
	       !strcasestr(head, "\r\ncontent-encoding:");
}

/* The body of a message of which `have` bytes are at `at`. */
static void take(int fd, const char *at, long have, long length, int plain)
{
	unsigned char *body = malloc(length + 1);

	if (!body)
		errx(1, "no memory");
	memcpy(body, at, have);
	while (have < length)
		have += must(recv(fd, body + have, length - have, MSG_WAITALL), "recv");
	if (plain)
		__atomic_add_fetch(&spans, spans_in(body, body + length, 0), __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&posted, length, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&requests, 1, __ATOMIC_SEQ_CST);
	free(body);
	send_all(fd, EMPTY, sizeof(EMPTY) - 1);
}

static void *serve(void *argument)
{
	char head[HEAD_MAX];
	int fd = (long)argument;
	size_t have;

	while ((have = read_head(fd, head))) {
		const char *body = strstr(head, "\r\n\r\n") + 4;

		if (strncmp(head, "GET ", 4) == 0)
			tell(fd);
		else
			take(fd, body, have - (body - head), length_of(head), is_plain(head));
	}
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: sink PORT");

	int listener = listen_on(atoi(argv[1]), 0);

	ready();
	for (;;) {
		long fd = must(accept(listener, NULL, NULL), "accept");
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, (void *)fd))
			errx(1, "pthread_create");
		pthread_detach(thread);
	}
}
