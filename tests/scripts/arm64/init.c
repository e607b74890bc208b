/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of a VM that has nothing else: init [COMMAND [ARGUMENT...] [; COMMAND...]]...
 *
 * Runs the commands one after the other in the folder $ROOT, says "guest: passed" if each exited
 * with 0 and "guest: failed" if not, and switches the machine off.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void mount_all(void)
{
	static const char *const mounts[][2] = {
		{"proc", "/proc"},
		{"sysfs", "/sys"},
		{"devtmpfs", "/dev"},
		{"bpf", "/sys/fs/bpf"},
		{"tracefs", "/sys/kernel/tracing"},
		{"tmpfs", "/dev/shm"},
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		mkdir(mounts[i][1], 0755);
		if (mount(mounts[i][0], mounts[i][1], mounts[i][0], 0, NULL))
			perror(mounts[i][1]);
	}
}

static void loopback_up(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	if (ioctl(sock, SIOCSIFFLAGS, &lo))
		perror("lo");
	close(sock);
}

/* Whether the command exits with 0. */
static int run(char *const argv[])
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		execv(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	/* Orphans are ours, too. */
	while (wait(&status) != pid)
		;
	printf("guest: %s ended with status %x\n", argv[0], status);
	return status == 0;
}

int main(int argc, char *argv[])
{
	int passed = 1;

	mount_all();
	loopback_up();
	if (chdir(getenv("ROOT") ?: "/"))
		perror("ROOT");
	for (int at = 1; at < argc; at++) {
		char **command = argv + at;

		while (at < argc && strcmp(argv[at], ";"))
			at++;
		argv[at] = NULL;
		passed &= run(command);
	}
	printf("guest: %s\n", passed ? "passed" : "failed");
	fflush(stdout);
	return reboot(RB_POWER_OFF);
}
