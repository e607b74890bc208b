/* SPDX-License-Identifier: Apache-2.0 */
/* A server that times itself: timed PORT
 *
 * It answers one connection after the other, a path that begins with /error with 503, any other
 * with 200. On SIGQUIT it prints how many requests it answered, how many of them with 503, and the
 * nanoseconds between the end of each request's read and the end of its answer's write, in all.
 */
#include "net.h"

#include <signal.h>
#include <time.h>

#define REFUSAL "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

static volatile unsigned long answered, refused, nanoseconds;

static void tell(int signal)
{
	char line[100];
	int length = snprintf(line, sizeof(line), "%lu %lu %lu\n", answered, refused, nanoseconds);

	(void)signal;
	must(write(STDOUT_FILENO, line, length), "write");
	_exit(0);
}

static unsigned long now(void)
{
	struct timespec time;

	must(clock_gettime(CLOCK_MONOTONIC, &time), "clock_gettime");
	return time.tv_sec * 1000000000UL + time.tv_nsec;
}

static void serve_timed(int fd)
{
	char head[HEAD_MAX];

	while (read_head(fd, head)) {
		unsigned long began = now();

		if (strstr(head, " /error")) {
			send_all(fd, REFUSAL, sizeof(REFUSAL) - 1);
			refused++;
		} else {
			send_all(fd, ANSWER, sizeof(ANSWER) - 1);
		}
		nanoseconds += now() - began;
		answered++;
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: timed PORT");

	int listener = listen_on(atoi(argv[1]), 0);

	signal(SIGQUIT, tell);
	for (;;)
		serve_timed(must(accept(listener, NULL, NULL), "accept"));
}
