/* SPDX-License-Identifier: Apache-2.0 */
/* A receive armed in io_uring while the process does other work: uring PORT
 *
 * Serves one connection after another. The receive completes inside whatever system call the
 * process is in then: a write or read of POISON, which looks like a request. Whoever takes that
 * call's buffer for the socket's bytes reports a request that was never made.
 */
#include "net.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define POISON	"GET /poison HTTP/1.1\r\nHost: poison\r\n\r\n"
#define ENTRIES 8

struct ring {
	int fd;
	_Atomic uint32_t *sq_tail, *cq_head, *cq_tail;
	uint32_t *sq_array, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static char *map_ring(int fd, size_t size, off_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);

	if (at == MAP_FAILED)
		err(1, "mmap of the ring");
	return at;
}

static struct ring open_ring(void)
{
	struct io_uring_params p = {0};
	struct ring ring = {
		.fd = must(syscall(__NR_io_uring_setup, ENTRIES, &p), "io_uring_setup")};
	char *sq = map_ring(ring.fd, p.sq_off.array + p.sq_entries * sizeof(uint32_t),
			    IORING_OFF_SQ_RING);
	char *cq = map_ring(ring.fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
			    IORING_OFF_CQ_RING);

	ring.sqes = (void *)map_ring(ring.fd, p.sq_entries * sizeof(struct io_uring_sqe),
				     IORING_OFF_SQES);
	ring.sq_tail = (void *)(sq + p.sq_off.tail);
	ring.sq_mask = *(uint32_t *)(sq + p.sq_off.ring_mask);
	ring.sq_array = (void *)(sq + p.sq_off.array);
	ring.cq_head = (void *)(cq + p.cq_off.head);
	ring.cq_tail = (void *)(cq + p.cq_off.tail);
	ring.cq_mask = *(uint32_t *)(cq + p.cq_off.ring_mask);
	ring.cqes = (void *)(cq + p.cq_off.cqes);
	return ring;
}

static void arm_receive(struct ring *ring, int fd, char *buffer, size_t size)
{
	uint32_t tail = atomic_load(ring->sq_tail), slot = tail & ring->sq_mask;

	ring->sqes[slot] = (struct io_uring_sqe){
		.opcode = IORING_OP_RECV, .fd = fd, .addr = (uintptr_t)buffer, .len = size};
	ring->sq_array[slot] = slot;
	atomic_store(ring->sq_tail, tail + 1);
	must(syscall(__NR_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0), "io_uring_enter");
}

/* Works on POISON until the receive has completed: its result. */
static int work_until_received(struct ring *ring, int null, int file)
{
	char scratch[sizeof(POISON)];

	for (;;) {
		uint32_t head = atomic_load(ring->cq_head);

		if (head != atomic_load(ring->cq_tail)) {
			int result = ring->cqes[head & ring->cq_mask].res;

			atomic_store(ring->cq_head, head + 1);
			return result;
		}
		must(write(null, POISON, sizeof(POISON) - 1), "write");
		must(pread(file, scratch, sizeof(POISON) - 1, 0), "pread");
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: uring PORT");

	struct ring ring = open_ring();
	int listener = listen_on(atoi(argv[1]), 0);
	int null = must(open("/dev/null", O_WRONLY), "open"), file = memfd_create("poison", 0);
	char buffer[HEAD_MAX];

	must(write(must(file, "memfd_create"), POISON, sizeof(POISON) - 1), "write");
	ready();
	for (;;) {
		int fd = must(accept(listener, NULL, NULL), "accept");

		for (;;) {
			arm_receive(&ring, fd, buffer, sizeof(buffer));
			if (work_until_received(&ring, null, file) <= 0)
				break;
			send_all(fd, ANSWER, sizeof(ANSWER) - 1);
		}
		close(fd);
	}
}
