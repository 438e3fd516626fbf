/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to read. */
#include "harness.h"

#include <linux/filter.h>

#include <sys/mman.h>
#include <time.h>

static void with_recv(void)
{
	for (int i = 0; i < 5; i++) {
		SENDER
			send_text(conn, "a question", 0);
		READER {
			await(conn, POLLIN);
			receive(conn, 100, 0);
			send_text(conn, "an answer", 0);
		}
		SENDER {
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
	}
}

static void with_read(void)
{
	SENDER
		send_text(conn, "read and readv", 0);
	READER {
		char first[5] = "", second[100] = "";
		struct iovec parts[] = { { first, 4 }, { second, 99 } };

		await(conn, POLLIN);
		say_result("read(5)", read(conn, first, 5));
		say_result("readv(4 and 99)", readv(conn, parts, 2));
		say("%.4s, %s", first, second);
		say_result("read(5) of nothing", read(conn, first, 5));
	}
}

static void with_recvmsg(void)
{
	SENDER
		send_text(conn, "recvmsg of two parts", 0);
	READER {
		char first[9] = "", second[100] = "", control[64];
		struct sockaddr_storage name;
		struct iovec parts[] = { { first, 8 }, { second, 99 } };
		struct msghdr message = { .msg_name = &name,
					  .msg_namelen = sizeof(name),
					  .msg_iov = parts,
					  .msg_iovlen = 2,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };

		await(conn, POLLIN);
		say_result("recvmsg", recvmsg(conn, &message, MSG_CMSG_CLOEXEC));
		say("%s, %s; name of %d bytes, control of %zu, flags %x", first, second, message.msg_namelen,
		    message.msg_controllen, message.msg_flags & ~MSG_CMSG_CLOEXEC);
	}
}

static void with_recvmmsg(void)
{
	SENDER
		send_text(conn, "recvmmsg of several", 0);
	READER {
		char texts[3][9] = {};
		struct iovec parts[3];
		struct mmsghdr messages[3] = {};
		int got;

		for (int i = 0; i < 3; i++) {
			parts[i] = (struct iovec){ texts[i], 8 };
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		await(conn, POLLIN);
		got = recvmmsg(conn, messages, 3, 0, NULL);
		say_result("recvmmsg(3)", got);
		for (int i = 0; i < got; i++)
			say("%u %s", messages[i].msg_len, texts[i]);
		say_result("recvmmsg(3) of nothing", recvmmsg(conn, messages, 3, 0, NULL));
	}
}

static void with_recvfrom(void)
{
	SENDER
		send_text(conn, "recvfrom", 0);
	READER {
		struct sockaddr_storage from;
		socklen_t bytes = sizeof(from);
		char text[100] = "";

		await(conn, POLLIN);
		say_result("recvfrom", recvfrom(conn, text, sizeof(text), 0, (void *)&from, &bytes));
		say("%s from an address of %d bytes", text, bytes);
	}
}

static void in_small_pieces(void)
{
	SENDER
		for (int i = 0; i < 3; i++)
			send_pattern(conn, 100, 0);
	READER {
		struct stream stream = {};
		uint8_t bytes[3];
		ssize_t got;

		await(conn, POLLIN);
		while ((got = recv(conn, bytes, 1, 0)) == 1)
			stream.received++;
		say("%llu bytes one by one, then %s", (unsigned long long)stream.received, outcome(got));
	}
	SENDER {
		send_text(conn, "abcdefgh", 0);
		send_text(conn, "ijkl", 0);
	}
	READER {
		await(conn, POLLIN);
		for (int i = 0; i < 5; i++)
			receive(conn, 3, 0);
	}
}

static void many_at_once(void)
{
	SENDER {
		for (int i = 0; i < 50; i++)
			send(conn, pattern(i * 10, 10), 10, 0);
		say("sent 50 x 10");
	}
	READER {
		await(conn, POLLIN);
		receive(conn, 1000, 0);
		receive(conn, 1000, 0);
	}
}

static void of_nothing(void)
{
	READER {
		receive(conn, 10, 0);
		receive(conn, 10, MSG_DONTWAIT);
		receive(conn, 10, MSG_PEEK);
		receive(conn, 0, 0);
		receive(conn, 10, MSG_ERRQUEUE);
	}
	SENDER
		send_text(conn, "something", 0);
	READER {
		await(conn, POLLIN);
		receive(conn, 0, 0);
		receive(conn, 10, 0);
		receive(conn, 10, 0);
	}
}

static void peek(void)
{
	SENDER {
		send_text(conn, "peek", 0);
		send_text(conn, " and read", 0);
	}
	READER {
		await(conn, POLLIN);
		receive(conn, 2, MSG_PEEK);
		receive(conn, 100, MSG_PEEK);
		polled(conn, POLLIN, 0);
		receive(conn, 6, 0);
		receive(conn, 100, MSG_PEEK);
		receive(conn, 100, 0);
		receive(conn, 100, MSG_PEEK);
		polled(conn, POLLIN, 0);
	}
}

static void peek_with_offset(void)
{
	SENDER {
		send_text(conn, "hello", 0);
		send_text(conn, " peeker", 0);
	}
	READER {
		await(conn, POLLIN);
		if (set(conn, SOL_SOCKET, SO_PEEK_OFF, 0)) {
			receive(conn, 3, MSG_PEEK);
			receive(conn, 3, MSG_PEEK);
			receive(conn, 2, 0);
			receive(conn, 3, MSG_PEEK);
			receive(conn, 100, MSG_PEEK);
			set(conn, SOL_SOCKET, SO_PEEK_OFF, -1);
		}
		receive(conn, 100, MSG_PEEK);
		receive(conn, 100, 0);
	}
}

static void truncate_into_buffer(void)
{
	SENDER
		send_text(conn, "thrown away, kept", 0);
	READER {
		char bytes[13] = "untouched...";

		await(conn, POLLIN);
		say_result("recv(12, MSG_TRUNC)", recv(conn, bytes, 12, MSG_TRUNC));
		say("the buffer: %s", bytes);
		receive(conn, 100, 0);
	}
}

static void truncate_without_buffer(void)
{
	SENDER
		send_text(conn, "thrown away, kept", 0);
	READER {
		await(conn, POLLIN);
		say_result("recv(NULL, 12, MSG_TRUNC)", recv(conn, NULL, 12, MSG_TRUNC));
		say_result("recv(NULL, 100, MSG_TRUNC | MSG_PEEK)", recv(conn, NULL, 100, MSG_TRUNC | MSG_PEEK));
		receive(conn, 100, 0);
	}
}

static void wait_for_all(void)
{
	SENDER
		send_text(conn, "abc", 0);
	READER {
		await(conn, POLLIN);
		receive(conn, 6, MSG_WAITALL);
	}
	SENDER {
		send_text(conn, "def", 0);
		send_text(conn, "ghijk", 0);
	}
	READER {
		await(conn, POLLIN);
		receive(conn, 6, MSG_WAITALL);
		receive(conn, 6, MSG_WAITALL);
	}
}

static void wait_for_all_blocking(void)
{
	BOTH {
		if (is_client != server_sends) {
			send(conn, "abc", 3, 0);
			nap_ms(30);
			send(conn, "def", 3, 0);
			nap_ms(30);
			send(conn, "ghi", 3, 0);
			shutdown(conn, SHUT_WR);
		} else {
			receive(conn, 6, MSG_WAITALL);
			receive(conn, 6, MSG_WAITALL);
			receive(conn, 6, MSG_WAITALL);
		}
	}
}

static void do_not_wait(void)
{
	READER
		receive(conn, 6, MSG_DONTWAIT);
	SENDER
		send_text(conn, "hello", MSG_DONTWAIT);
	READER {
		await(conn, POLLIN);
		receive(conn, 6, MSG_DONTWAIT);
		receive(conn, 6, MSG_DONTWAIT);
	}
}

static void into_no_memory(void)
{
	SENDER
		send_text(conn, "no memory for this", 0);
	READER {
		char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(pages + 4096, 4096);
		await(conn, POLLIN);
		say_result("recv into unmapped memory", recv(conn, pages + 4096, 100, 0));
		receive(conn, 100, MSG_PEEK);
		receive(conn, 100, 0);
	}
}

static void into_too_little_memory(void)
{
	SENDER
		send_text(conn, "half of this has memory", 0);
	READER {
		char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(pages + 4096, 4096);
		await(conn, POLLIN);
		say_result("recv across the end of memory", recv(conn, pages + 4096 - 8, 100, 0));
		receive(conn, 100, 0);
	}
}

static void low_water_first(void)
{
	READER
		set(conn, SOL_SOCKET, SO_RCVLOWAT, 10);
	SENDER
		send_text(conn, "hello", 0);
	READER
		polled(conn, POLLIN, 50);
	SENDER
		send_text(conn, "hello", 0);
	READER {
		polled(conn, POLLIN, 2000);
		receive(conn, 100, 0);
	}
}

static void low_water_later(void)
{
	with_recv();
	low_water_first();
	READER
		set(conn, SOL_SOCKET, SO_RCVLOWAT, 1);
	with_recv();
}

static void low_water_above_what_waits(void)
{
	SENDER
		send_text(conn, "hello", 0);
	READER {
		await(conn, POLLIN);
		set(conn, SOL_SOCKET, SO_RCVLOWAT, 10);
		polled(conn, POLLIN, 0);
	}
	SENDER
		send_text(conn, "hello", 0);
	READER {
		polled(conn, POLLIN, 2000);
		receive(conn, 100, 0);
	}
}

static void receive_with_control(size_t count)
{
	char text[100] = "";
	union {
		struct cmsghdr align;
		char bytes[256];
	} control;
	struct iovec part = { text, count };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	say_result("recvmsg", recvmsg(conn, &message, 0));
	say("%s; flags %x", text, message.msg_flags);
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
		int number;

		memcpy(&number, CMSG_DATA(at), sizeof(number));
		if (at->cmsg_level == IPPROTO_TCP && at->cmsg_type == TCP_CM_INQ)
			say("TCP_CM_INQ %d", number);
		else
			say("control message %d of level %d, %zu bytes", at->cmsg_type, at->cmsg_level,
			    (size_t)at->cmsg_len);
	}
}

static void left_in_queue(void)
{
	READER
		set(conn, IPPROTO_TCP, TCP_INQ, 1);
	SENDER {
		send_text(conn, "hello", 0);
		send_text(conn, " you there", 0);
	}
	READER {
		await(conn, POLLIN);
		receive_with_control(4);
		receive_with_control(50);
	}
	SENDER {
		send_text(conn, "the end", 0);
		shutdown(conn, SHUT_WR);
	}
	READER {
		await(conn, POLLRDHUP);
		receive_with_control(3);
		receive_with_control(50);
		receive_with_control(50);
	}
}

static void timestamps(void)
{
	READER
		set(conn, SOL_SOCKET, SO_TIMESTAMP, 1);
	/* The host's clock for packets is switched on later, by a worker (net_enable_timestamp()). */
	READER
		nap_ms(100);
	for (int i = 0; i < 3; i++) {
		SENDER
			send_text(conn, "hello", 0);
		READER {
			await(conn, POLLIN);
			if (i < 2)
				receive(conn, 50, 0);
			else
				receive_with_control(50);
		}
	}
}

static void how_much_is_unread(void)
{
	READER
		say_unread(conn);
	SENDER {
		send_text(conn, "hello", 0);
		send_text(conn, " you there", 0);
	}
	READER {
		await(conn, POLLIN);
		say_unread(conn);
		receive(conn, 7, 0);
		say_unread(conn);
		receive(conn, 100, MSG_PEEK);
		say_unread(conn);
		receive(conn, 100, 0);
		say_unread(conn);
	}
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

static void with_time_limit(void)
{
	SENDER
		send_text(conn, "hello", 0);
	READER {
		struct timeval limit = { .tv_usec = 200000 };
		uint64_t start_ms;

		setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		receive(conn, 100, 0);
		start_ms = now_ms();
		receive(conn, 100, 0);
		/* An emulated machine that lost ticks makes up for them: its limits pass faster by some ten ms. */
		say("%s", now_ms() - start_ms < 100 ? "early" : "in time");
		receive(conn, 100, MSG_WAITALL);
	}
	SENDER
		send_text(conn, "hello", 0);
	READER
		receive(conn, 100, MSG_WAITALL);
}

/* Of a socket in non-blocking mode it limits nothing. */
static void with_time_limit_nonblocking(void)
{
	READER {
		struct timeval limit = { .tv_sec = 3 };

		say_result("SO_RCVTIMEO", setsockopt(conn, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
		receive(conn, 100, 0);
	}
	SENDER
		send_text(conn, "hello", 0);
	READER {
		await(conn, POLLIN);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void interrupted(int signal)
{
	(void)signal;
}

static void until_a_signal(void)
{
	READER {
		struct sigaction interrupt = { .sa_handler = interrupted };
		pid_t child;

		sigaction(SIGUSR1, &interrupt, NULL);
		child = fork();
		if (!child) {
			nap_ms(50);
			kill(getppid(), SIGUSR1);
			_exit(0);
		}
		receive(conn, 100, 0);
		waitpid(child, NULL, 0);
	}
}

static void through_a_small_buffer(void)
{
	READER
		set(conn, SOL_SOCKET, SO_RCVBUF, 4096);
	BOTH {
		if (is_client != server_sends)
			send_stream(conn, 20000, 500);
		else
			receive_stream(conn, 20000, 1000);
	}
}

/* Where several readers or a slow one leave bytes in both queues: those of TCP and the redirected ones. */
static void after_a_pause(void)
{
	SENDER {
		ssize_t put;
		uint64_t sent = 0;

		while ((put = send(conn, pattern(sent, 1000), 1000, 0)) > 0)
			sent += put;
		say("then %s", outcome(put));
		shared->number = sent;
		polled(conn, POLLOUT, 0);
	}
	BOTH {
		if (is_client != server_sends) {
			await(conn, POLLOUT);
			polled(conn, POLLOUT, 0);
			send(conn, pattern(shared->number, 1000), 1000, 0);
			shutdown(conn, SHUT_WR);
		} else {
			uint8_t bytes[4096];
			struct stream stream = {};
			ssize_t got;

			do {
				await(conn, POLLIN);
				got = recv(conn, bytes, sizeof(bytes), 0);
				if (got > 0)
					take(&stream, bytes, got);
			} while (got > 0 || (got < 0 && errno == EAGAIN));
			say("%s, then %s",
			    stream.received >= (uint64_t)shared->number && !stream.wrong ? "every byte right" : "wrong",
			    outcome(got));
		}
	}
}

static void recv_nothing_passed(void)
{
	server_sends = true;
	of_nothing();
}

static void recv_trunc_passed(void)
{
	server_sends = true;
	truncate_into_buffer();
}

static void recv_peek_off_passed(void)
{
	server_sends = true;
	peek_with_offset();
}

static void tcp_inq_passed(void)
{
	server_sends = true;
	left_in_queue();
}

static void filtered(void)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { 1, &nothing };

	exchange(1);
	READER
		say_result("SO_ATTACH_FILTER", setsockopt(conn, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
	SENDER
		send_text(conn, "dropped", 0);
	READER {
		polled(conn, POLLIN, 100);
		receive(conn, 100, 0);
		set(conn, SOL_SOCKET, SO_DETACH_FILTER, 0);
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
	exchange(1);
}

static void so_timestamp_passed(void)
{
	server_sends = true;
	timestamps();
}

static void rcvlowat_unread_passed(void)
{
	server_sends = true;
	low_water_above_what_waits();
}

static void fionread_passed(void)
{
	server_sends = true;
	how_much_is_unread();
}

static void recv_efault_passed(void)
{
	server_sends = true;
	into_too_little_memory();
}

const struct test_case reading[] = {
	{ "recv", MUST, "questions and answers with recv", "each read has one message", .run = with_recv },
	{ "read", MUST, "read and readv", "the bytes, then EAGAIN", .run = with_read },
	{ "recvmsg", MUST, "recvmsg into two parts, with a name and control asked for", "no name, no control",
	  .run = with_recvmsg },
	{ "recvmmsg", MUST, "recvmmsg of three", "fills one after the other, then EAGAIN",
	  .run = with_recvmmsg },
	{ "recvfrom", MUST, "recvfrom with an address asked for", "no address", .run = with_recvfrom },
	{ "recv_pieces", MUST, "reads smaller than messages", "a stream has no borders",
	  .run = in_small_pieces },
	{ "recv_many", MUST, "one read of 50 messages", "has them all", .run = many_at_once },
	{ "recv_nothing", MUST, "reads of nothing, and of 0 bytes", "EAGAIN, and 0", .run = of_nothing,
	  .differs = "recv of 0 bytes is 0",
	  .instead = "server: recv(0) = 0" },
	{ "recv_peek", MUST, "MSG_PEEK", "the bytes stay", .run = peek },
	{ "recv_peek_off", MUST, "SO_PEEK_OFF", "MSG_PEEK goes on where the last ended",
	  .run = peek_with_offset,
	  .differs = "not for bytes that waited when it was set",
	  .instead = "server: recv(3, MSG_PEEK) = 3 \"hel\"" },
	{ "recv_trunc", MUST, "MSG_TRUNC", "throws bytes away", .run = truncate_into_buffer,
	  .differs = "the buffer gets them",
	  .instead = "server: the buffer: thrown away," },
	{ "recv_trunc_null", MUST, "MSG_TRUNC without a buffer", "throws bytes away",
	  .run = truncate_without_buffer,
	  .differs = "EFAULT",
	  .instead = "server: recv(NULL, 12, MSG_TRUNC) = EFAULT" },
	{ "recv_waitall", MUST, "MSG_WAITALL in non-blocking mode", "does not wait", .run = wait_for_all },
	{ "recv_waitall_blocking", NEVER, "MSG_WAITALL in blocking mode", "waits for all",
	  .run = wait_for_all_blocking, .how = BLOCKING },
	{ "recv_dontwait", MUST, "MSG_DONTWAIT in non-blocking mode", "EAGAIN", .run = do_not_wait },
	{ "recv_dontwait_blocking", NEVER, "MSG_DONTWAIT in blocking mode", "EAGAIN", .run = do_not_wait,
	  .how = BLOCKING },
	{ "recv_efault", MUST, "recv into memory that is not there", "EFAULT, nothing is lost",
	  .run = into_no_memory },
	{ "recv_efault_later", MUST, "recv into memory that ends", "EFAULT, nothing is lost",
	  .run = into_too_little_memory,
	  .differs = "the bytes that there is memory for",
	  .instead = "server: recv across the end of memory = 8" },
	{ "rcvlowat", NEVER, "SO_RCVLOWAT before the first message", "poll waits for so many bytes",
	  .run = low_water_first },
	{ "rcvlowat_later", MUST, "SO_RCVLOWAT in mid-stream", "poll waits for so many bytes",
	  .run = low_water_later },
	{ "rcvlowat_unread", MUST, "SO_RCVLOWAT above what waits to be read", "poll waits for more",
	  .run = low_water_above_what_waits,
	  .differs = "not for bytes that waited when it was set",
	  .instead = "server: poll(IN) = IN" },
	{ "tcp_inq", NEVER, "TCP_INQ", "each read tells how much is left", .run = left_in_queue },
	{ "so_timestamp", NEVER, "SO_TIMESTAMP", "each read tells when its bytes came", .run = timestamps },
	{ "so_attach_filter", MUST, "SO_ATTACH_FILTER in mid-stream", "what it drops comes once it is gone", .run = filtered },
	{ "fionread", MAY, "FIONREAD", "what is unread", .run = how_much_is_unread,
	  .learns = "the bytes of one queue only" },
	{ "rcvtimeo", NEVER, "SO_RCVTIMEO in blocking mode", "EAGAIN in time", .run = with_time_limit,
	  .how = BLOCKING },
	{ "rcvtimeo_nonblocking", MUST, "SO_RCVTIMEO in non-blocking mode", "EAGAIN at once",
	  .run = with_time_limit_nonblocking },
	{ "recv_eintr", NEVER, "a signal while a blocking recv waits", "EINTR", .run = until_a_signal,
	  .how = BLOCKING },
	{ "recv_small_buffer", MUST, "a stream through an SO_RCVBUF of 4 KiB", "every byte right",
	  .run = through_a_small_buffer },
	{ "recv_after_full", MUST, "a reader that stops until the sender has EAGAIN", "every byte right",
	  .run = after_a_pause },
	{ "recv_nothing_passed", NEVER, "reads of nothing, and of 0 bytes, by a client that has not sent", "EAGAIN, and 0", .run = recv_nothing_passed,
	  .differs = "recv of 0 bytes is 0",
	  .instead = "client: recv(0) = 0" },
	{ "recv_trunc_passed", NEVER, "MSG_TRUNC, by a client that has not sent", "throws bytes away", .run = recv_trunc_passed },
	{ "recv_peek_off_passed", NEVER, "SO_PEEK_OFF, by a client that has not sent", "MSG_PEEK goes on where the last ended", .run = recv_peek_off_passed },
	{ "tcp_inq_passed", NEVER, "TCP_INQ, by a client that has not sent", "each read tells how much is left", .run = tcp_inq_passed },
	{ "so_timestamp_passed", NEVER, "SO_TIMESTAMP, by a client that has not sent", "each read tells when its bytes came", .run = so_timestamp_passed },
	{ "rcvlowat_unread_passed", NEVER, "SO_RCVLOWAT above what waits to be read, by a client that has not sent", "poll waits for more", .run = rcvlowat_unread_passed },
	{ "fionread_passed", NEVER, "FIONREAD, by a client that has not sent", "what is unread", .run = fionread_passed,
	  .learns = "the bytes of one queue only" },
	{ "recv_efault_passed", NEVER, "recv into memory that ends, by a client that has not sent", "EFAULT, nothing is lost", .run = recv_efault_passed },
	{},
};
