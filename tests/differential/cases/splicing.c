/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that never come to user space: splice(2), tee(2), TCP_ZEROCOPY_RECEIVE. */
#include "harness.h"

#include <sys/mman.h>

static int pipe_ends[2];

static void make_pipe(void)
{
	if (pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC))
		say("pipe2 = %s", outcome(-1));
}

static void read_pipe(void)
{
	char bytes[65536];
	ssize_t got = read(pipe_ends[0], bytes, sizeof(bytes));

	if (got > 0)
		say("the pipe has %zd %s", got, bytes_as_text(bytes, got));
	else
		say("the pipe has %s", outcome(got));
}

static void splice_to_pipe(size_t count)
{
	ssize_t moved;

	do
		moved = splice(conn, NULL, pipe_ends[1], NULL, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	while (moved < 0 && errno == EAGAIN && is_to_try_again(conn));
	say_result("splice to a pipe", moved);
}

static void by_splice(void)
{
	READER {
		make_pipe();
		splice_to_pipe(100);
	}
	for (int i = 0; i < 3; i++) {
		SENDER
			send_text(conn, "spliced bytes", 0);
		READER {
			await(conn, POLLIN);
			splice_to_pipe(i == 1 ? 7 : 1000);
			splice_to_pipe(1000);
			read_pipe();
			polled(conn, POLLIN, 0);
		}
	}
	SENDER
		shutdown(conn, SHUT_WR);
	READER {
		await(conn, POLLIN);
		splice_to_pipe(1000);
	}
}

/* Without asking poll first, as haproxy does: it splices when it knows that much is to come. */
static void after_recv(void)
{
	for (int i = 0; i < 12; i++) {
		SENDER
			send_text(conn, "received bytes", 0);
		READER {
			await(conn, POLLIN);
			receive(conn, 1000, 0);
			send_text(conn, "ok", 0);
		}
		SENDER {
			await(conn, POLLIN);
			receive(conn, 1000, 0);
		}
	}
	SENDER {
		send_text(conn, "a header, and", 0);
		send_text(conn, " a body", 0);
	}
	READER {
		make_pipe();
		await(conn, POLLIN);
		receive(conn, 8, 0);
		splice_to_pipe(1000);
		read_pipe();
	}
	by_splice();
}

static void recv_after_splice(void)
{
	by_splice();
}

static void between_recvs(void)
{
	for (int i = 0; i < 4; i++) {
		SENDER {
			send_text(conn, "by recv", 0);
			send_text(conn, "by splice", 0);
		}
		READER {
			if (!i)
				make_pipe();
			await(conn, POLLIN);
			receive(conn, 7, 0);
			splice_to_pipe(1000);
			read_pipe();
			send_text(conn, "ok", 0);
		}
		SENDER {
			await(conn, POLLIN);
			receive(conn, 1000, 0);
		}
	}
}

/* A blocking splice waits for more. */
static void blocking(void)
{
	BOTH {
		if (is_client) {
			nap_ms(30);
			send(conn, "late bytes", 10, 0);
		} else {
			make_pipe();
			say_result("splice", splice(conn, NULL, pipe_ends[1], NULL, 100, SPLICE_F_MOVE));
			read_pipe();
		}
	}
}

/* In non-blocking mode of the socket but not of the call: the socket's mode counts. */
static void without_nonblock(void)
{
	READER {
		make_pipe();
		say_result("splice", splice(conn, NULL, pipe_ends[1], NULL, 100, 0));
	}
	SENDER
		send_text(conn, "bytes", 0);
	READER {
		await(conn, POLLIN);
		say_result("splice", splice(conn, NULL, pipe_ends[1], NULL, 100, 0));
		read_pipe();
	}
}

static void tee_to_another(void)
{
	SENDER
		send_text(conn, "for two pipes", 0);
	READER {
		int other[2];
		char bytes[100];
		ssize_t got;

		make_pipe();
		if (pipe2(other, O_NONBLOCK | O_CLOEXEC))
			say("pipe2 = %s", outcome(-1));
		await(conn, POLLIN);
		splice_to_pipe(1000);
		say_result("tee", tee(pipe_ends[0], other[1], 1000, SPLICE_F_NONBLOCK));
		read_pipe();
		got = read(other[0], bytes, sizeof(bytes));
		say("the other has %zd %s", got, got > 0 ? bytes_as_text(bytes, got) : "");
	}
}

/* Moves what comes from one socket to another until the end, as TCP proxies do. */
static void forward(int from, int to)
{
	size_t in_pipe = 0;
	bool ended = false;

	make_pipe();
	while (!ended || in_pipe) {
		struct pollfd waits[] = { { from, ended ? 0 : POLLIN, 0 }, { to, in_pipe ? POLLOUT : 0, 0 } };
		ssize_t moved;

		poll(waits, 2, -1);
		if (!ended && in_pipe < 60000) {
			moved = splice(from, NULL, pipe_ends[1], NULL, 60000 - in_pipe, SPLICE_F_NONBLOCK);
			if (moved > 0)
				in_pipe += moved;
			else if (moved == 0 || errno != EAGAIN)
				ended = true;
		}
		if (in_pipe) {
			moved = splice(pipe_ends[0], NULL, to, NULL, in_pipe, SPLICE_F_NONBLOCK);
			if (moved > 0)
				in_pipe -= moved;
			else if (errno != EAGAIN)
				break;
		}
	}
	shutdown(to, SHUT_WR);
}

/* The client's bytes go through the server, back to where the client reads them. */
static void proxy(void)
{
	const uint64_t total = 400000;
	static int out = -1;

	SENDER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	READER {
		out = start_connecting(&shared->address, SOCK_NONBLOCK);
		await(out, POLLOUT);
	}
	SENDER {
		await(listening, POLLIN);
		out = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	}
	BOTH {
		bool is_proxy = !is_client;

		if (is_proxy) {
			forward(conn, out);
			say("forwarded");
		} else {
			pid_t child = fork();

			if (!child) {
				send_stream(conn, total, 3000);
				shutdown(conn, SHUT_WR);
				_exit(0);
			}
			receive_stream(out, total + 1, 4096);
			waitpid(child, NULL, 0);
		}
	}
}

static void proxy_after_recv(void)
{
	for (int i = 0; i < 12; i++) {
		SENDER
			send_text(conn, "received bytes", 0);
		READER {
			await(conn, POLLIN);
			receive(conn, 1000, 0);
		}
	}
	proxy();
}

static void reads(void)
{
	READER {
		await(conn, POLLIN);
		receive(conn, 100000, 0);
		receive(conn, 100000, 0);
	}
}

static void splice_out(void)
{
	SENDER {
		make_pipe();
		say_result("write", write(pipe_ends[1], "from a pipe", 11));
		say_result("splice to the socket", splice(pipe_ends[0], NULL, conn, NULL, 100, SPLICE_F_NONBLOCK));
		say_result("splice of nothing", splice(pipe_ends[0], NULL, conn, NULL, 100, SPLICE_F_NONBLOCK));
	}
	reads();
	SENDER {
		say_result("write", write(pipe_ends[1], "more to come, ", 14));
		say_result("splice to the socket",
			   splice(pipe_ends[0], NULL, conn, NULL, 100, SPLICE_F_NONBLOCK | SPLICE_F_MORE));
		send_text(conn, "and here it is", 0);
	}
	reads();
}

static void vmsplice_out(void)
{
	SENDER {
		struct iovec part = { (void *)pattern(0, 20000), 20000 };

		make_pipe();
		say_result("vmsplice", vmsplice(pipe_ends[1], &part, 1, 0));
		say_result("splice to the socket", splice(pipe_ends[0], NULL, conn, NULL, 20000, SPLICE_F_NONBLOCK));
	}
	reads();
}

#ifndef TCP_ZEROCOPY_RECEIVE
#define TCP_ZEROCOPY_RECEIVE 35
#endif

/* include/uapi/linux/tcp.h: struct tcp_zerocopy_receive, which glibc's tcp.h has too in an older form */
struct zerocopy_receive {
	uint64_t address;
	uint32_t length, recv_skip_hint, inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
	uint64_t msg_control, msg_controllen;
	uint32_t msg_flags, reserved;
};

#define MAPPED_BYTES (64 << 10)

/* How much is mapped and how much must be read depends on how it was packed: the bytes do not. */
static void by_mapping(uint64_t total)
{
	char *memory = mmap(NULL, MAPPED_BYTES, PROT_READ, MAP_SHARED, conn, 0);
	struct stream stream = {};
	static char bytes[MAPPED_BYTES];

	if (memory == MAP_FAILED) {
		say("mmap = %s", outcome(-1));
		return;
	}
	while (stream.received < total) {
		struct zerocopy_receive request = { .address = (uintptr_t)memory, .length = MAPPED_BYTES };
		socklen_t request_bytes = sizeof(request);
		ssize_t got;

		await(conn, POLLIN);
		if (getsockopt(conn, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &request, &request_bytes)) {
			say("TCP_ZEROCOPY_RECEIVE = %s", outcome(-1));
			break;
		}
		if (request.length) {
			take(&stream, memory, request.length);
			madvise(memory, MAPPED_BYTES, MADV_DONTNEED);
		}
		if (request.recv_skip_hint) {
			got = recv(conn, bytes, request.recv_skip_hint < sizeof(bytes) ? request.recv_skip_hint : sizeof(bytes), 0);
			if (got <= 0)
				break;
			take(&stream, bytes, got);
		}
		if (!request.length && !request.recv_skip_hint) {
			if (is_to_try_again(conn))
				continue;
			say("nothing to map and nothing to read, where poll says that there is");
			break;
		}
	}
	say_stream(&stream);
	munmap(memory, MAPPED_BYTES);
}

static void zerocopy_receive(void)
{
	SENDER
		send_pattern(conn, 8192, 0);
	READER
		by_mapping(8192);
	BOTH {
		if (is_client)
			send_stream(conn, 200000, 8192);
		else
			by_mapping(200000);
	}
}

static void zerocopy_receive_after_recv(void)
{
	for (int i = 0; i < 12; i++) {
		SENDER
			send_text(conn, "received bytes", 0);
		READER {
			await(conn, POLLIN);
			receive(conn, 1000, 0);
		}
	}
	SENDER
		send_pattern(conn, 5000, 0);
	READER
		by_mapping(5000);
	zerocopy_receive();
}

static void by_splice_passed(void)
{
	server_sends = true;
	by_splice();
}

static void splice_out_passed(void)
{
	server_sends = true;
	splice_out();
}

const struct test_case splicing[] = {
	{ "splice_cold", NEVER, "a program that always splices from the socket", "the bytes, EAGAIN for none",
	  .run = by_splice, .how = COLD },
	{ "splice", NEVER, "splice from the socket by a program that received before",
	  "the bytes, EAGAIN for none", .run = recv_after_splice },
	{ "splice_later", NEVER, "recv, then splice with bytes waiting", "the bytes", .run = after_recv,
	  .how = TRIES_AGAIN, .learns = "EAGAIN although poll says IN, for some 0.1 s" },
	{ "splice_later_cold", NEVER, "the same by a program not known before", "the bytes", .run = after_recv,
	  .how = COLD | TRIES_AGAIN,
	  .learns = "EAGAIN although poll says IN, for some 0.1 s" },
	{ "splice_between", NEVER, "recv of a header, splice of a body, and again", "the bytes",
	  .run = between_recvs,
	  .learns = "bytes that are read both ways may come late or reset the connection" },
	{ "splice_between_cold", NEVER, "the same by a program not known before", "the bytes",
	  .run = between_recvs, .how = COLD },
	{ "splice_blocking", NEVER, "a splice that waits, in blocking mode", "the bytes", .run = blocking,
	  .how = BLOCKING },
	{ "splice_flags", NEVER, "splice without SPLICE_F_NONBLOCK of a non-blocking socket",
	  "EAGAIN, then the bytes", .run = without_nonblock },
	{ "tee", NEVER, "splice to a pipe, tee to another", "both have the bytes", .run = tee_to_another,
	  .how = TRIES_AGAIN, .learns = "EAGAIN although poll says IN, for some 0.1 s" },
	{ "splice_proxy_cold", NEVER, "a proxy that splices from one socket to another", "every byte right",
	  .run = proxy, .how = COLD },
	{ "splice_proxy", NEVER, "the same by a program that received before", "every byte right", .run = proxy,
	  .learns = "a peer that ends the stream meanwhile: what it had sent is lost" },
	{ "splice_proxy_later", NEVER, "the same, on a connection that was read from before", "every byte right",
	  .run = proxy_after_recv,
	  .learns = "a peer that ends the stream meanwhile: what it had sent is lost" },
	{ "splice_out", MUST, "splice from a pipe to the socket", "the bytes", .run = splice_out },
	{ "vmsplice", MUST, "vmsplice, and splice to the socket", "the bytes", .run = vmsplice_out },
	{ "zerocopy_receive_cold", NEVER, "a program that always maps what it receives", "every byte right",
	  .run = zerocopy_receive, .how = COLD },
	{ "zerocopy_receive", NEVER, "TCP_ZEROCOPY_RECEIVE by a program that received before", "every byte right",
	  .run = zerocopy_receive,
	  .learns = "what was redirected comes late, and may come twice" },
	{ "zerocopy_receive_later", NEVER, "recv, then TCP_ZEROCOPY_RECEIVE with bytes waiting",
	  "every byte right", .run = zerocopy_receive_after_recv,
	  .learns = "what was redirected comes late, and may come twice" },
	{ "splice_passed", NEVER, "splice from the socket by a client that has not sent", "the bytes, EAGAIN for none", .run = by_splice_passed },
	{ "splice_out_passed", NEVER, "splice to the socket, to a client that has not sent", "the bytes", .run = splice_out_passed },
	{},
};
