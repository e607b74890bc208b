/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to move bytes over a socket: syscalls PORT | syscalls PATH
 *
 * For each way a client thread and a server thread of this process exchange POST /WAY and
 * POST /WAY/again with a body of BODY bytes, answered with as many, on a connection of their own:
 * TCP, or a unix stream socket at PATH. Where the way has no counterpart in the other direction
 * (sendfile, splice, MSG_TRUNC) the other side uses plain send and recv. READY is printed behind
 * the last exchange; the connections stay open until then.
 */
#include "net.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define BODY   1000
#define PIECES 3

/* arm64 ignores the topmost byte of an address: there all buffers have a tag in it, as those of
 * allocators that find errors by tags do.
 */
#if defined(__aarch64__)
#define TAGGED(bytes) ((char *)((unsigned long)(bytes) | 5UL << 56))

static void allow_tags(void)
{
	must(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0), "prctl");
}
#else
#define TAGGED(bytes) (bytes)

static void allow_tags(void)
{
}
#endif

/* Moves exactly the bytes given; several calls if the way is such. */
typedef void transfer(int fd, char *bytes, size_t count);

struct way {
	const char *name;
	transfer *send_head, *send_body, *recv_body;
};

static void by_send(int fd, char *bytes, size_t count)
{
	send_all(fd, bytes, count);
}

static void by_recv(int fd, char *bytes, size_t count)
{
	must(recv(fd, bytes, count, MSG_WAITALL), "recv");
}

static void by_write(int fd, char *bytes, size_t count)
{
	must(write(fd, bytes, count), "write");
}

static void by_read(int fd, char *bytes, size_t count)
{
	for (size_t have = 0; have < count;)
		have += must(read(fd, bytes + have, count - have), "read");
}

static void by_sendto(int fd, char *bytes, size_t count)
{
	must(sendto(fd, bytes, count, MSG_NOSIGNAL, NULL, 0), "sendto");
}

static void by_recvfrom(int fd, char *bytes, size_t count)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);

	must(recvfrom(fd, bytes, count, MSG_WAITALL, (struct sockaddr *)&from, &size), "recvfrom");
}

/* Cuts the bytes in pieces of unequal length, the first of one byte. */
static void cut(struct iovec pieces[PIECES], char *bytes, size_t count)
{
	pieces[0] = (struct iovec){bytes, 1};
	pieces[1] = (struct iovec){bytes + 1, 10};
	pieces[2] = (struct iovec){bytes + 11, count - 11};
}

static void by_writev(int fd, char *bytes, size_t count)
{
	struct iovec pieces[PIECES];

	cut(pieces, bytes, count);
	must(writev(fd, pieces, PIECES), "writev");
}

static void by_readv(int fd, char *bytes, size_t count)
{
	while (count) {
		struct iovec pieces[2] = {{bytes, count / 2},
					  {bytes + count / 2, count - count / 2}};
		size_t got = must(readv(fd, pieces, 2), "readv");

		bytes += got;
		count -= got;
	}
}

static void by_sendmsg(int fd, char *bytes, size_t count)
{
	struct iovec pieces[PIECES];
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = PIECES};

	cut(pieces, bytes, count);
	must(sendmsg(fd, &message, MSG_NOSIGNAL), "sendmsg");
}

static void by_recvmsg(int fd, char *bytes, size_t count)
{
	struct iovec piece = {bytes, count};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

	must(recvmsg(fd, &message, MSG_WAITALL), "recvmsg");
}

static void by_sendmmsg(int fd, char *bytes, size_t count)
{
	struct iovec pieces[PIECES];
	struct mmsghdr messages[PIECES] = {0};

	cut(pieces, bytes, count);
	for (int i = 0; i < PIECES; i++) {
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	if (must(sendmmsg(fd, messages, PIECES, MSG_NOSIGNAL), "sendmmsg") != PIECES)
		errx(1, "sendmmsg sent less");
}

static void by_recvmmsg(int fd, char *bytes, size_t count)
{
	while (count) {
		size_t half = count > 1 ? count / 2 : count;
		struct iovec pieces[2] = {{bytes, half}, {bytes + half, count - half}};
		struct mmsghdr messages[2] = {
			{.msg_hdr = {.msg_iov = &pieces[0], .msg_iovlen = 1}},
			{.msg_hdr = {.msg_iov = &pieces[1], .msg_iovlen = 1}}};
		int filled = must(recvmmsg(fd, messages, 1 + (count > half), MSG_WAITFORONE, NULL),
				  "recvmmsg");

		/* A first message that came short leaves a hole; the content does not matter. */
		for (int i = 0; i < filled; i++) {
			bytes += messages[i].msg_len;
			count -= messages[i].msg_len;
		}
	}
}

/* Two large messages, of which the first usually takes all that is there: the call ends before the
 * second. The vector is the same for every call of a thread. The bytes need not be those given:
 * head and body come together.
 */
static void by_recvmmsg_early(int fd, char *bytes, size_t count)
{
	static __thread char buffers[2][HEAD_MAX];
	static __thread struct iovec pieces[2];
	static __thread struct mmsghdr messages[2];

	(void)bytes;
	for (size_t have = 0; have < count;) {
		for (int i = 0; i < 2; i++) {
			pieces[i] = (struct iovec){buffers[i], HEAD_MAX};
			messages[i] = (struct mmsghdr){
				.msg_hdr = {.msg_iov = &pieces[i], .msg_iovlen = 1}};
		}
		int filled = must(recvmmsg(fd, messages, 2, MSG_WAITFORONE, NULL), "recvmmsg");

		for (int i = 0; i < filled; i++)
			have += messages[i].msg_len;
	}
}

static void by_sendfile(int fd, char *bytes, size_t count)
{
	int file = must(memfd_create("body", 0), "memfd_create");
	off_t from = 0;

	must(write(file, bytes, count), "write to file");
	if ((size_t)must(sendfile(fd, file, &from, count), "sendfile") != count)
		errx(1, "sendfile sent less");
	close(file);
}

static void by_splice(int fd, char *bytes, size_t count)
{
	int ends[2];

	must(pipe(ends), "pipe");
	must(write(ends[1], bytes, count), "write to pipe");
	if ((size_t)must(splice(ends[0], NULL, fd, NULL, count, 0), "splice") != count)
		errx(1, "splice sent less");
	close(ends[0]);
	close(ends[1]);
}

/* From the socket into a pipe. */
static void from_splice(int fd, char *bytes, size_t count)
{
	int ends[2];

	must(pipe(ends), "pipe");
	while (count) {
		size_t got = must(splice(fd, NULL, ends[1], NULL, count, 0), "splice");

		must(read(ends[0], bytes, got), "read from pipe");
		count -= got;
	}
	close(ends[0]);
	close(ends[1]);
}

/* Looks twice before it takes. */
static void by_peek(int fd, char *bytes, size_t count)
{
	must(recv(fd, bytes, count, MSG_PEEK), "MSG_PEEK");
	must(recv(fd, bytes, count, MSG_PEEK | MSG_WAITALL), "MSG_PEEK");
	by_recv(fd, bytes, count);
}

/* Discards without a buffer. */
static void by_trunc(int fd, char *bytes, size_t count)
{
	(void)bytes;
	while (count)
		count -= must(recv(fd, NULL, count, MSG_TRUNC), "MSG_TRUNC");
}

static const struct way ways[] = {
	{"send-recv", by_send, by_send, by_recv},
	{"write-read", by_write, by_write, by_read},
	{"sendto-recvfrom", by_sendto, by_sendto, by_recvfrom},
	{"writev-readv", by_writev, by_writev, by_readv},
	{"sendmsg-recvmsg", by_sendmsg, by_sendmsg, by_recvmsg},
	{"sendmmsg-recvmmsg", by_sendmmsg, by_sendmmsg, by_recvmmsg},
	{"recvmmsg-early", by_send, by_send, by_recvmmsg_early},
	{"sendfile", by_send, by_sendfile, by_recv},
	{"splice-out", by_write, by_splice, by_read},
	{"splice-in", by_write, by_write, from_splice},
	{"peek", by_send, by_send, by_peek},
	/* Only TCP discards without a buffer (tcp(7)). */
	{"trunc", by_send, by_send, by_trunc},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static const char *turns[] = {"", "/again"};

#define TURNS (sizeof(turns) / sizeof(turns[0]))

/* Takes a head a byte at a time, so that none of the body goes with it. */
static void recv_head(int fd)
{
	char last[4] = "";

	while (memcmp(last, "\r\n\r\n", 4)) {
		memmove(last, last + 1, 3);
		if (must(recv(fd, last + 3, 1, 0), "recv") == 0)
			errx(1, "a head without an end");
	}
}

/* The same without a call a byte: peeks where the head ends, then takes it by the way itself. */
static void recv_head_by(int fd, transfer *recv_body)
{
	char head[HEAD_MAX] = "";
	char *end;

	if (recv_body == by_trunc || recv_body == from_splice) {
		recv_head(fd);
		return;
	}
	do {
		ssize_t got = must(recv(fd, head, HEAD_MAX - 1, MSG_PEEK), "MSG_PEEK");

		head[got] = 0;
		end = strstr(head, "\r\n\r\n");
	} while (!end);
	recv_body(fd, TAGGED(head), end + 4 - head);
}

static void send_message(int fd, const struct way *way, const char *start)
{
	char head[256], body[BODY];
	int count = snprintf(head, sizeof(head), "%s\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
			     start, BODY);

	memset(body, 'b', BODY);
	way->send_head(fd, TAGGED(head), count);
	way->send_body(fd, TAGGED(body), BODY);
}

static void recv_message(int fd, const struct way *way)
{
	char head[HEAD_MAX] = "", body[BODY];

	if (way->recv_body == by_recvmmsg_early) {
		while (!strstr(head, "\r\n\r\n"))
			must(recv(fd, head, HEAD_MAX - 1, MSG_PEEK), "MSG_PEEK");
		by_recvmmsg_early(fd, NULL, strstr(head, "\r\n\r\n") + 4 - head + BODY);
		return;
	}
	recv_head_by(fd, way->recv_body);
	way->recv_body(fd, TAGGED(body), BODY);
}

/* A port, or a path. */
static bool is_path(const char *address)
{
	return address[0] == '/';
}

static size_t ways_over(const char *address)
{
	return is_path(address) ? WAYS - 1 : WAYS;
}

static void *client_thread(void *argument)
{
	const char *address = argument;
	char start[64];

	for (size_t i = 0; i < ways_over(address); i++) {
		int fd = is_path(address) ? connect_to_path(address) : connect_to(atoi(address));

		for (size_t turn = 0; turn < TURNS; turn++) {
			snprintf(start, sizeof(start), "POST /%s%s HTTP/1.1", ways[i].name,
				 turns[turn]);
			send_message(fd, &ways[i], start);
			recv_message(fd, &ways[i]);
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t client;

	if (argc != 2)
		errx(2, "usage: syscalls PORT | syscalls PATH");

	const char *address = argv[1];
	int listener = is_path(address) ? listen_on_path(address) : listen_on(atoi(address), 0);

	allow_tags();
	if (pthread_create(&client, NULL, client_thread, argv[1]))
		errx(1, "pthread_create");
	for (size_t i = 0; i < ways_over(address); i++) {
		int fd = must(accept(listener, NULL, NULL), "accept");

		for (size_t turn = 0; turn < TURNS; turn++) {
			recv_message(fd, &ways[i]);
			send_message(fd, &ways[i], "HTTP/1.1 200 OK");
		}
	}
	pthread_join(client, NULL);
	ready();
	return 0;
}
