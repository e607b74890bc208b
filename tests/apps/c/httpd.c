/* SPDX-License-Identifier: Apache-2.0 */
/* One small server in several shapes: httpd PORT threads|prefork|mptcp|pool|handoff
 *
 *   threads   a thread per connection, blocked in recv between requests
 *   prefork   four processes that accept on one socket
 *   mptcp     threads, on a multipath TCP listener
 *   pool      one thread accepts, another reads, a third writes
 *   handoff   a process that was forked before the master listens gets its connections
 */
#include "net.h"

#include <signal.h>
#include <sys/prctl.h>

#define WORKERS 4
#define QUEUE	1024

static void *connection_thread(void *fd)
{
	serve_connection((long)fd);
	return NULL;
}

static void thread_per_connection(int listener)
{
	for (;;) {
		long fd = must(accept(listener, NULL, NULL), "accept");
		pthread_t thread;
		pthread_attr_t attributes;

		pthread_attr_init(&attributes);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attributes, 128 * 1024);
		if (pthread_create(&thread, &attributes, connection_thread, (void *)fd))
			errx(1, "pthread_create");
	}
}

static void serve_in_turn(int listener)
{
	for (;;)
		serve_connection(must(accept(listener, NULL, NULL), "accept"));
}

static void prefork(int listener)
{
	for (int i = 0; i < WORKERS; i++) {
		if (must(fork(), "fork") == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve_in_turn(listener);
		}
	}
	ready();
	pause();
}

/* Descriptors on their way from one thread of the pool to the next go through a pipe. */
static int to_reader[2], to_writer[2];

static void hand_over(int pipe_end, int fd)
{
	must(write(pipe_end, &fd, sizeof(fd)), "write to pipe");
}

static int take(int pipe_end)
{
	int fd;

	if (must(read(pipe_end, &fd, sizeof(fd)), "read from pipe") == 0)
		exit(0);
	return fd;
}

static void *reader_thread(void *unused)
{
	char head[HEAD_MAX];

	(void)unused;
	for (;;) {
		int fd = take(to_reader[0]);

		if (read_head(fd, head))
			hand_over(to_writer[1], fd);
		else
			close(fd);
	}
	return NULL;
}

static void *writer_thread(void *unused)
{
	(void)unused;
	for (;;) {
		int fd = take(to_writer[0]);

		send_all(fd, ANSWER, sizeof(ANSWER) - 1);
		hand_over(to_reader[1], fd);
	}
	return NULL;
}

static void pool(int listener)
{
	pthread_t thread;

	must(pipe(to_reader), "pipe");
	must(pipe(to_writer), "pipe");
	if (pthread_create(&thread, NULL, reader_thread, NULL) ||
	    pthread_create(&thread, NULL, writer_thread, NULL))
		errx(1, "pthread_create");
	for (;;)
		hand_over(to_reader[1], must(accept(listener, NULL, NULL), "accept"));
}

/* Room for one descriptor as control data. */
union one_fd {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void pass(int to, int fd)
{
	char byte = 0;
	struct iovec piece = {&byte, 1};
	union one_fd control = {0};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	must(sendmsg(to, &message, 0), "sendmsg");
	close(fd);
}

static int passed(int from)
{
	char byte;
	struct iovec piece = {&byte, 1};
	union one_fd control;
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control)};
	int fd;

	if (must(recvmsg(from, &message, 0), "recvmsg") == 0)
		exit(0);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void handoff(int port)
{
	int ends[2], listener;

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	if (must(fork(), "fork") == 0) {
		close(ends[0]);
		for (;;)
			serve_connection(passed(ends[1]));
	}
	close(ends[1]);
	listener = listen_on(port, 0);
	ready();
	for (;;)
		pass(ends[0], must(accept(listener, NULL, NULL), "accept"));
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: httpd PORT threads|prefork|mptcp|pool|handoff");

	const char *shape = argv[2];

	if (!strcmp(shape, "handoff"))
		handoff(atoi(argv[1]));

	int listener = listen_on(atoi(argv[1]), strcmp(shape, "mptcp") ? 0 : IPPROTO_MPTCP);

	if (!strcmp(shape, "prefork"))
		prefork(listener);
	ready();
	if (!strcmp(shape, "pool"))
		pool(listener);
	thread_per_connection(listener);
}
