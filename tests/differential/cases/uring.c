/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring, by its system calls: one request at a time. */
#include "harness.h"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ENTRIES 8

static struct {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
} ring = { .fd = -1 };

/* False where the kernel has no io_uring, or does not let us. */
static bool open_ring(void)
{
	struct io_uring_params params = {};
	size_t completions_end, array_end;
	char *rings;

	ring.fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring.fd < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP)) {
		say("not on this kernel");
		return false;
	}
	/* Older kernels map what there is, and not a page more. */
	completions_end = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	array_end = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
	rings = mmap(NULL, completions_end > array_end ? completions_end : array_end, PROT_READ | PROT_WRITE, MAP_SHARED,
		     ring.fd, IORING_OFF_SQ_RING);
	ring.sqes = mmap(NULL, ENTRIES * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd,
			 IORING_OFF_SQES);
	if (rings == MAP_FAILED || ring.sqes == MAP_FAILED) {
		say("mmap = %s", outcome(-1));
		return false;
	}
	ring.sq_tail = (void *)(rings + params.sq_off.tail);
	ring.sq_mask = (void *)(rings + params.sq_off.ring_mask);
	ring.sq_array = (void *)(rings + params.sq_off.array);
	ring.cq_head = (void *)(rings + params.cq_off.head);
	ring.cq_tail = (void *)(rings + params.cq_off.tail);
	ring.cq_mask = (void *)(rings + params.cq_off.ring_mask);
	ring.cqes = (void *)(rings + params.cq_off.cqes);
	return true;
}

static void submit(uint8_t opcode, void *bytes, size_t count, uint32_t flags)
{
	unsigned int tail = *ring.sq_tail, at = tail & *ring.sq_mask;

	ring.sqes[at] = (struct io_uring_sqe){
		.opcode = opcode, .fd = conn, .addr = (uintptr_t)bytes, .len = count, .msg_flags = flags
	};
	ring.sq_array[at] = at;
	__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0) != 1)
		say("io_uring_enter = %s", outcome(-1));
}

static int completed(void)
{
	unsigned int head = *ring.cq_head;
	int result;

	while (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE))
		syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	result = ring.cqes[head & *ring.cq_mask].res;
	__atomic_store_n(ring.cq_head, head + 1, __ATOMIC_RELEASE);
	if (result < 0) {
		errno = -result;
		result = -1;
	}
	return result;
}

static bool is_completed(void)
{
	return *ring.cq_head != __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE);
}

static void say_received(const char *what, const char *bytes)
{
	int got = completed();

	say("%s = %s %s", what, outcome(got), got > 0 ? bytes_as_text(bytes, got) : "");
}

static void with_ring(void (*body)(void))
{
	static bool opened;

	BOTH
		opened = open_ring();
	/* Both can or neither. */
	if (opened)
		body();
}

static void send_and_recv_body(void)
{
	char bytes[100];

	for (int i = 0; i < 3; i++) {
		CLIENT {
			submit(IORING_OP_SEND, "by io_uring", 11, 0);
			say_result("send", completed());
		}
		SERVER {
			await(conn, POLLIN);
			submit(IORING_OP_RECV, bytes, sizeof(bytes), 0);
			say_received("recv", bytes);
		}
	}
	CLIENT {
		submit(IORING_OP_WRITE, "write", 5, 0);
		say_result("write", completed());
	}
	SERVER {
		await(conn, POLLIN);
		submit(IORING_OP_READ, bytes, sizeof(bytes), 0);
		say_received("read", bytes);
	}
}

static void send_and_recv(void)
{
	with_ring(send_and_recv_body);
}

/* The request is there before the bytes: in non-blocking mode it ends with EAGAIN or waits, as the kernel has it. */
static void recv_first_body(void)
{
	static char bytes[100];

	for (int i = 0; i < 3; i++) {
		SERVER {
			submit(IORING_OP_RECV, bytes, sizeof(bytes), 0);
			nap_ms(20);
			if (is_completed())
				say_received("recv at once", bytes);
			else
				shared->number = 1;
		}
		CLIENT
			send_text(conn, "some bytes", 0);
		SERVER {
			if (shared->number)
				say_received("recv", bytes);
			shared->number = 0;
			receive(conn, 100, MSG_DONTWAIT);
		}
	}
}

static void recv_first(void)
{
	with_ring(recv_first_body);
}

static void poll_first_body(void)
{
	SERVER
		submit(IORING_OP_POLL_ADD, NULL, 0, POLLIN);
	CLIENT
		send_text(conn, "some bytes", 0);
	SERVER {
		say("poll = %s", poll_events(completed()));
		receive(conn, 100, 0);
	}
}

static void poll_first(void)
{
	with_ring(poll_first_body);
}

static void wait_for_all_body(void)
{
	static char bytes[100];

	BOTH {
		if (is_client) {
			nap_ms(20);
			send(conn, "hello", 5, 0);
			nap_ms(20);
			send(conn, "hello", 5, 0);
		} else {
			submit(IORING_OP_RECV, bytes, 10, MSG_WAITALL);
			say_received("recv", bytes);
		}
	}
}

static void wait_for_all(void)
{
	with_ring(wait_for_all_body);
}

static void splice_body(void)
{
	static int ends[2];

	CLIENT
		send_text(conn, "spliced bytes", 0);
	SERVER {
		unsigned int tail = *ring.sq_tail, at = tail & *ring.sq_mask;
		char bytes[100];
		ssize_t got;

		if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
			say("pipe2 = %s", outcome(-1));
		await(conn, POLLIN);
		ring.sqes[at] = (struct io_uring_sqe){ .opcode = IORING_OP_SPLICE,
						       .fd = ends[1],
						       .off = -1,
						       .splice_fd_in = conn,
						       .splice_off_in = -1,
						       .len = 100,
						       .splice_flags = 2 /* SPLICE_F_NONBLOCK */ };
		ring.sq_array[at] = at;
		__atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
		syscall(SYS_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0);
		say_result("splice", completed());
		got = read(ends[0], bytes, sizeof(bytes));
		say("the pipe has %s %s", outcome(got), got > 0 ? bytes_as_text(bytes, got) : "");
	}
}

static void with_splice(void)
{
	with_ring(splice_body);
}

const struct test_case uring[] = {
	{ "uring", MUST, "io_uring: send, recv, write and read", "the bytes", .run = send_and_recv },
	{ "uring_recv_first", MUST, "io_uring: recv before there are bytes", "as the socket's mode has it",
	  .run = recv_first },
	{ "uring_recv_first_blocking", NEVER, "the same in blocking mode", "the bytes", .run = recv_first,
	  .how = BLOCKING },
	{ "uring_poll", MUST, "io_uring: poll", "IN", .run = poll_first },
	{ "uring_waitall", NEVER, "io_uring: recv with MSG_WAITALL in blocking mode", "all bytes",
	  .run = wait_for_all, .how = BLOCKING },
	{ "uring_splice", MAY, "io_uring: splice from the socket", "the bytes", .run = with_splice,
	  .differs = "not seen where the hooks are at system calls: EAGAIN" },
	{},
};
