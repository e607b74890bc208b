/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets and messages that the test programs share; a failure ends the program with its name. */
#pragma once

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX 16384

/* A negative result of a call ends the program. */
static inline long must(long result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
	return result;
}

static inline struct sockaddr_in loopback(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static inline int listen_on(int port, int protocol)
{
	struct sockaddr_in address = loopback(port);
	int fd = must(socket(AF_INET, SOCK_STREAM, protocol), "socket"), on = 1;

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(fd, 1024), "listen");
	return fd;
}

static inline int connect_to(int port)
{
	struct sockaddr_in address = loopback(port);
	int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket"), on = 1;

	must(connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), "TCP_NODELAY");
	return fd;
}

/* A unix stream socket, and the address of `path`. */
static inline int unix_socket(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		errx(2, "the path is too long");
	strcpy(address->sun_path, path);
	return must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
}

static inline int listen_on_path(const char *path)
{
	struct sockaddr_un address;
	int fd = unix_socket(path, &address);

	unlink(path);
	must(bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(fd, 128), "listen");
	return fd;
}

static inline int connect_to_path(const char *path)
{
	struct sockaddr_un address;
	int fd = unix_socket(path, &address);

	must(connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
	return fd;
}

static inline void ready(void)
{
	puts("READY");
	fflush(stdout);
}

/* Reads up to the empty line that ends a head: its length, or 0 at the end of the stream. Only
 * for peers that send one message at a time.
 */
static inline size_t read_head(int fd, char *head)
{
	size_t have = 0;

	while (have < HEAD_MAX - 1) {
		ssize_t got = recv(fd, head + have, HEAD_MAX - 1 - have, 0);

		if (got <= 0)
			return 0;
		have += got;
		head[have] = 0;
		if (strstr(head, "\r\n\r\n"))
			return have;
	}
	errx(1, "a head of more than %d bytes", HEAD_MAX);
}

static inline void send_all(int fd, const char *bytes, size_t count)
{
	while (count) {
		ssize_t sent = must(send(fd, bytes, count, MSG_NOSIGNAL), "send");

		bytes += sent;
		count -= sent;
	}
}

#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"

/* Answers every request of a connection until its end. */
static inline void serve_connection(int fd)
{
	char head[HEAD_MAX];

	while (read_head(fd, head))
		send_all(fd, ANSWER, sizeof(ANSWER) - 1);
	close(fd);
}
