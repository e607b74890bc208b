/* SPDX-License-Identifier: Apache-2.0 */
/* The first request comes in the same millisecond as listen(): instant PORT COUNT
 *
 * Listens on PORT, PORT+1, … in turn; each is asked GET /instant-N and answered at once.
 */
#include "net.h"

static void *ask(void *argument)
{
	int *port_and_number = argument;
	char request[128], head[HEAD_MAX];
	int fd = connect_to(port_and_number[0]);
	int count = snprintf(request, sizeof(request),
			     "GET /instant-%d HTTP/1.1\r\nHost: x\r\n\r\n", port_and_number[1]);

	send_all(fd, request, count);
	if (!read_head(fd, head))
		errx(1, "no answer");
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: instant PORT COUNT");
	for (int i = 0; i < atoi(argv[2]); i++) {
		int argument[2] = {atoi(argv[1]) + i, i};
		int listener = listen_on(argument[0], 0);
		pthread_t client;

		if (pthread_create(&client, NULL, ask, argument))
			errx(1, "pthread_create");
		serve_connection(must(accept(listener, NULL, NULL), "accept"));
		pthread_join(client, NULL);
		close(listener);
	}
	ready();
	return 0;
}
