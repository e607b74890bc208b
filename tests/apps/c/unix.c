/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over a unix stream socket: unix server PATH | unix client PATH PREFIX COUNT */
#include "net.h"

static void serve(const char *path)
{
	int listener = listen_on_path(path);

	ready();
	for (;;)
		serve_connection(must(accept(listener, NULL, NULL), "accept"));
}

static void ask(const char *path, const char *prefix, int count)
{
	int fd = connect_to_path(path);
	char request[256], head[HEAD_MAX];

	for (int i = 0; i < count; i++) {
		int size = snprintf(request, sizeof(request),
				    "GET /%s-%d HTTP/1.1\r\nHost: unix\r\n\r\n", prefix, i);

		send_all(fd, request, size);
		if (!read_head(fd, head))
			errx(1, "no answer");
	}
	ready();
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "server"))
		serve(argv[2]);
	else if (argc == 5 && !strcmp(argv[1], "client"))
		ask(argv[2], argv[3], atoi(argv[4]));
	else
		errx(2, "usage: unix server PATH | unix client PATH PREFIX COUNT");
	return 0;
}
