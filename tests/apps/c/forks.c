/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that live for a moment: forks PORT COUNT RATE
 *
 * Starts COUNT children, RATE a second. Of four, one ends at once, one asks PORT for GET /fork-N,
 * one becomes another program that ends at once, and one becomes another that asks for
 * GET /exec-N. Fails when a child does.
 */
#include "net.h"

#include <sys/wait.h>
#include <time.h>

#define NS_PER_S 1000000000L

static void ask(int port, const char *kind, const char *number)
{
	char request[128], head[HEAD_MAX];
	int fd = connect_to(port);
	int count = snprintf(request, sizeof(request), "GET /%s-%s HTTP/1.1\r\nHost: x\r\n\r\n",
			     kind, number);

	send_all(fd, request, count);
	if (!read_head(fd, head))
		errx(1, "no answer to %s-%s", kind, number);
	close(fd);
}

/* What child `number` does with its life. */
static void live(char **argv, int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", number);
	switch (number % 4) {
	case 1:
		ask(atoi(argv[1]), "fork", text);
		break;
	case 2:
		must(execl("/bin/true", "true", NULL), "exec /bin/true");
		break;
	case 3:
		must(execl("/proc/self/exe", argv[0], argv[1], text, NULL), "exec itself");
	}
	_exit(0);
}

/* Ends the program when a child failed; gives the number of children that ended. */
static int reap(int options)
{
	int status, ended = 0;

	while (waitpid(-1, &status, options) > 0) {
		if (status)
			errx(1, "a child ended with %#x", status);
		ended++;
	}
	return ended;
}

static void sleep_until(struct timespec *at)
{
	at->tv_sec += at->tv_nsec / NS_PER_S;
	at->tv_nsec %= NS_PER_S;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL))
		;
}

int main(int argc, char **argv)
{
	struct timespec next;
	int ended = 0;

	if (argc == 3) {
		ask(atoi(argv[1]), "exec", argv[2]);
		return 0;
	}
	if (argc != 4)
		errx(2, "usage: forks PORT COUNT RATE");
	must(clock_gettime(CLOCK_MONOTONIC, &next), "clock_gettime");
	for (int i = 0; i < atoi(argv[2]); i++) {
		if (must(fork(), "fork") == 0)
			live(argv, i);
		ended += reap(WNOHANG);
		next.tv_nsec += NS_PER_S / atoi(argv[3]);
		sleep_until(&next);
	}
	ended += reap(0);
	if (ended != atoi(argv[2]))
		errx(1, "%d of %s children ended", ended, argv[2]);
	return 0;
}
