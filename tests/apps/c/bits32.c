/* SPDX-License-Identifier: Apache-2.0 */
/* A 32-bit process that makes requests with 32-bit system calls: bits32 PORT PREFIX COUNT
 *
 * Freestanding, so that no 32-bit library is needed. Odd requests go out by sendto, even ones by
 * write; the numbers of these calls mean others to a 64-bit kernel table. For i386 and arm.
 */
enum {
	NR_EXIT = 1,
	NR_READ = 3,
	NR_WRITE = 4,
	NR_CLOSE = 6,
#if defined(__i386__)
	NR_SOCKET = 359,
	NR_CONNECT = 362,
	NR_SENDTO = 369,
	NR_RECVFROM = 371
#elif defined(__arm__)
	NR_SOCKET = 281,
	NR_CONNECT = 283,
	NR_SENDTO = 290,
	NR_RECVFROM = 292
#endif
};

/* The last three arguments of sendto and recvfrom (flags, address, its size) are 0. */
static long call(long number, long a, long b, long c)
{
#if defined(__i386__)
	long result;

	/* ebp is the frame pointer, so it is saved around the call. */
	asm volatile("push %%ebp; xor %%ebp, %%ebp; int $0x80; pop %%ebp"
		     : "=a"(result)
		     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(0), "D"(0)
		     : "memory");
	return result;
#elif defined(__arm__)
	register long r0 asm("r0") = a, r1 asm("r1") = b, r2 asm("r2") = c, r3 asm("r3") = 0;
	register long r4 asm("r4") = 0, r5 asm("r5") = 0, r7 asm("r7") = number;

	asm volatile("svc #0"
		     : "+r"(r0)
		     : "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5), "r"(r7)
		     : "memory");
	return r0;
#endif
}

static void quit(int status)
{
	call(NR_EXIT, status, 0, 0);
	__builtin_unreachable();
}

static unsigned int number(const char *digits)
{
	unsigned int value = 0;

	while (*digits)
		value = value * 10 + (*digits++ - '0');
	return value;
}

static char *append(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

static char *append_number(char *at, unsigned int value)
{
	if (value >= 10)
		at = append_number(at, value / 10);
	*at++ = '0' + value % 10;
	return at;
}

static void ask(int fd, const char *prefix, unsigned int i)
{
	char buffer[512];
	char *end = append(append(buffer, "GET /"), prefix);

	end = append_number(append(end, "-"), i);
	end = append(end, " HTTP/1.1\r\nHost: bits32\r\n\r\n");

	long size = end - buffer;

	if (call(i % 2 ? NR_SENDTO : NR_WRITE, fd, (long)buffer, size) != size)
		quit(4);
	if (call(i % 2 ? NR_RECVFROM : NR_READ, fd, (long)buffer, sizeof(buffer)) <= 0)
		quit(5);
}

__attribute__((used)) void start(long argc, char **argv)
{
	if (argc != 4)
		quit(2);

	unsigned int port = number(argv[1]);
	/* AF_INET, the port, 127.0.0.1; in words, because for bytes gcc calls memset. */
	unsigned int address[4] = {2 | (unsigned int)__builtin_bswap16(port) << 16, 0x0100007f};
	long fd = call(NR_SOCKET, 2, 1, 0);

	if (call(NR_CONNECT, fd, (long)address, sizeof(address)) != 0)
		quit(3);
	for (unsigned int i = 0; i < number(argv[3]); i++)
		ask(fd, argv[2], i);
	call(NR_CLOSE, fd, 0, 0);
	call(NR_WRITE, 1, (long)"READY\n", 6);
	quit(0);
}

#if defined(__i386__)
asm(".globl _start\n_start: mov %esp, %eax; lea 4(%eax), %edx; mov (%eax), %ecx\n"
    "and $-16, %esp; sub $8, %esp; push %edx; push %ecx; call start\n");
#elif defined(__arm__)
asm(".globl _start\n_start: ldr r0, [sp]; add r1, sp, #4; bic sp, sp, #7; bl start\n");
#endif
