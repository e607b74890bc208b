/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP over a unix stream socket: unix server PATH | unix client PATH PREFIX COUNT */
#include "net.h"

#include <sys/un.h>

static int open_unix(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address->sun_path))
		errx(2, "the path is too long");
	strcpy(address->sun_path, path);
	return must(socket(AF_UNIX, SOCK_STREAM, 0), "socket");
}

static void serve(const char *path)
{
	struct sockaddr_un address;
	int listener = open_unix(path, &address);

	unlink(path);
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(listener, 128), "listen");
	ready();
	for (;;)
		serve_connection(must(accept(listener, NULL, NULL), "accept"));
}

static void ask(const char *path, const char *prefix, int count)
{
	struct sockaddr_un address;
	int fd = open_unix(path, &address);
	char request[256], head[HEAD_MAX];

	must(connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
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
