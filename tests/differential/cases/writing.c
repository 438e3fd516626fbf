/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to write. */
#include "harness.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

/* Most cases end so. */
static void reads(void)
{
	READER {
		await(conn, POLLIN);
		receive(conn, 100000, 0);
		receive(conn, 100000, 0);
	}
}

/* Where TCP may hold something back for a while: what has arrived when is not in the transcript. */
static void reads_in_all(size_t count)
{
	READER {
		char bytes[100];
		size_t total = 0;
		ssize_t got = 1;

		while (total < count && got > 0) {
			await(conn, POLLIN);
			got = recv(conn, bytes + total, sizeof(bytes) - total, 0);
			total += got > 0 ? got : 0;
		}
		say("received %zu %s", total, bytes_as_text(bytes, total));
		receive(conn, 100, 0);
	}
}

static void with_send(void)
{
	SENDER {
		send_text(conn, "send", 0);
		send_text(conn, " with flags", MSG_NOSIGNAL | MSG_DONTWAIT);
		send_text(conn, " to the end", MSG_EOR);
	}
	reads();
}

static void with_write(void)
{
	SENDER {
		struct iovec parts[] = { { " of", 3 }, { NULL, 0 }, { " four parts", 11 }, { "!", 1 } };

		say_result("write", write(conn, "write and writev", 16));
		say_result("writev", writev(conn, parts, 4));
	}
	reads();
}

static void with_sendmsg(void)
{
	SENDER {
		struct iovec parts[] = { { "sendmsg", 7 }, { " of two parts", 13 } };
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };

		say_result("sendmsg", sendmsg(conn, &message, 0));
	}
	reads();
}

static void with_many_parts(void)
{
	SENDER {
		struct iovec parts[200];

		for (int i = 0; i < 200; i++)
			parts[i] = (struct iovec){ (void *)((const char *)pattern(0, 20000) + i * 100), 100 };
		say_result("writev of 200 parts", writev(conn, parts, 200));
	}
	reads();
}

static void with_sendmmsg(void)
{
	SENDER {
		struct iovec parts[] = { { "one", 3 }, { "two", 3 }, { "three", 5 } };
		struct mmsghdr messages[3] = {};

		for (int i = 0; i < 3; i++) {
			messages[i].msg_hdr.msg_iov = &parts[i];
			messages[i].msg_hdr.msg_iovlen = 1;
		}
		say_result("sendmmsg", sendmmsg(conn, messages, 3, 0));
		say("%u %u %u", messages[0].msg_len, messages[1].msg_len, messages[2].msg_len);
	}
	reads();
}

/* An address and a control message that TCP has no use for. */
static void with_address(void)
{
	SENDER
		say_result("sendto", sendto(conn, "sendto", 6, 0, (void *)&shared->address, shared->address_bytes));
	reads();
}

static void with_control(uint16_t level, int type, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[64];
	} control = { .header = { .cmsg_len = CMSG_LEN(count), .cmsg_level = level, .cmsg_type = type } };
	struct iovec part = { "sendmsg", 7 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count)
	};

	say_result("sendmsg with control", sendmsg(conn, &message, 0));
}

static void with_bad_control(void)
{
	SENDER {
		with_control(SOL_SOCKET, 4711, 4);
		with_control(SOL_IP, IP_TTL, 4);
	}
	READER
		receive(conn, 100, 0);
}

static int memory_file(const char *text)
{
	int file = memfd_create("text", MFD_CLOEXEC);

	if (file < 0 || write(file, text, strlen(text)) < 0)
		say("memfd_create = %s", outcome(-1));
	return file;
}

static void with_sendfile(void)
{
	SENDER {
		int file = memory_file("the text of a file, sent by sendfile");
		off_t from = 4;

		say_result("sendfile(15)", sendfile(conn, file, &from, 15));
		say_result("sendfile(100)", sendfile(conn, file, &from, 100));
		say_result("sendfile(100)", sendfile(conn, file, &from, 100));
		say("at %lld", (long long)from);
		close(file);
	}
	reads_in_all(32);
}

static void with_long_sendfile(void)
{
	const size_t total = 1 << 20;

	BOTH {
		if (is_client != server_sends) {
			int file = memfd_create("bytes", MFD_CLOEXEC);
			off_t from = 0;

			if (write(file, pattern(0, total), total) != (ssize_t)total)
				say("write = %s", outcome(-1));
			while ((size_t)from < total) {
				if (sendfile(conn, file, &from, total - from) < 0) {
					if (errno != EAGAIN)
						break;
					await(conn, POLLOUT);
				}
			}
			say("sendfile: %lld", (long long)from);
		} else {
			receive_stream(conn, total, 50000);
		}
	}
}

static void with_more(void)
{
	SENDER {
		send_text(conn, "more", MSG_MORE);
		send_text(conn, " is", MSG_MORE);
		send_text(conn, " to come", 0);
	}
	reads_in_all(15);
	SENDER
		send_text(conn, "held for a while", MSG_MORE);
	reads_in_all(16);
}

static void corked(void)
{
	SENDER {
		set(conn, IPPROTO_TCP, TCP_CORK, 1);
		send_text(conn, "corked", 0);
		send_text(conn, " and", 0);
		send_text(conn, " not", 0);
		set(conn, IPPROTO_TCP, TCP_CORK, 0);
	}
	reads_in_all(14);
}

static void nodelay_off(void)
{
	SENDER {
		set(conn, IPPROTO_TCP, TCP_NODELAY, 0);
		for (int i = 0; i < 5; i++)
			send_text(conn, "little", 0);
	}
	reads_in_all(30);
}

static void completions(int fd)
{
	for (;;) {
		union {
			struct cmsghdr align;
			char bytes[256];
		} control;
		struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };
		ssize_t got = recvmsg(fd, &message, MSG_ERRQUEUE);

		if (got < 0) {
			say("the error queue: %s", outcome(got));
			return;
		}
		for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
			struct sock_extended_err error;

			memcpy(&error, CMSG_DATA(at), sizeof(error));
			/* Whether the bytes were copied after all depends on the device. */
			say("completed %u to %u, origin %u", error.ee_info, error.ee_data, error.ee_origin);
		}
	}
}

static void zerocopy(size_t count)
{
	SENDER {
		if (set(conn, SOL_SOCKET, SO_ZEROCOPY, 1))
			send_and_say(conn, pattern(0, count), count, MSG_ZEROCOPY, "MSG_ZEROCOPY");
		else
			send_pattern(conn, count, 0);
	}
	READER
		receive_stream(conn, count, count);
	SENDER {
		polled(conn, 0, 300);
		completions(conn);
	}
}

static void zerocopy_small(void)
{
	zerocopy(100);
}

static void zerocopy_large(void)
{
	zerocopy(50000);
}

static void zerocopy_later(void)
{
	SENDER
		send_text(conn, "first", 0);
	reads();
	zerocopy(20000);
	SENDER
		send_text(conn, "last", 0);
	reads();
}

static void timestamps(void)
{
	SENDER {
		set(conn, SOL_SOCKET, SO_TIMESTAMPING,
		    SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_ACK |
			    SOF_TIMESTAMPING_OPT_TSONLY);
		send_text(conn, "stamped", 0);
	}
	reads();
	SENDER {
		int stamps = 0;

		nap_ms(100);
		for (;; stamps++) {
			char control[256];
			struct msghdr message = { .msg_control = control, .msg_controllen = sizeof(control) };

			if (recvmsg(conn, &message, MSG_ERRQUEUE) < 0)
				break;
		}
		say("%d stamps", stamps);
	}
}

static void with_fast_open(void)
{
	exchange(1);
	SERVER {
		send_text(conn, "too late", MSG_FASTOPEN);
		say_result("connect again", connect(conn, (struct sockaddr *)&shared->address, shared->address_bytes));
	}
	exchange(1);
	CLIENT {
		/* Only now is the socket's own state that of a connection. */
		say_result("connect again", connect(conn, (struct sockaddr *)&shared->address, shared->address_bytes));
		send_text(conn, "too late", MSG_FASTOPEN);
	}
	exchange(1);
}

static void of_nothing(void)
{
	SENDER {
		say_result("send(0)", send(conn, "", 0, 0));
		say_result("write(0)", write(conn, "", 0));
	}
	READER {
		polled(conn, POLLIN, 0);
		receive(conn, 10, 0);
	}
	SENDER
		send_text(conn, "something", 0);
	reads();
	SENDER
		say_result("send(0)", send(conn, "", 0, 0));
	READER {
		polled(conn, POLLIN, 0);
		receive(conn, 10, 0);
	}
}

static void from_no_memory(void)
{
	SENDER {
		char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(pages + 4096, 4096);
		say_result("send from unmapped memory", send(conn, pages + 4096, 100, 0));
		send_text(conn, "and then", 0);
	}
	reads();
}

static void one_of_each_size(void)
{
	static const size_t sizes[] = { 1, 2, 100, 1448, 4095, 4096, 4097, 16384, 65535, 65536, 65537, 200000, 1 << 20 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		BOTH {
			if (is_client != server_sends)
				send_stream(conn, sizes[i], sizes[i]);
			else
				receive_stream(conn, sizes[i], sizes[i]);
		}
	}
}

static void one_of_16_mib(void)
{
	BOTH {
		if (is_client != server_sends)
			send_stream(conn, 16 << 20, 16 << 20);
		else
			receive_stream(conn, 16 << 20, 1 << 20);
	}
}

static void stream_of_small_ones(void)
{
	BOTH {
		if (is_client != server_sends)
			send_stream(conn, 2 << 20, 700);
		else
			receive_stream(conn, 2 << 20, 16384);
	}
}

static void both_ways(void)
{
	BOTH {
		pid_t child = fork();

		if (!child) {
			send_stream(conn, 1 << 20, 5000);
			_exit(0);
		}
		receive_stream(conn, 1 << 20, 7000);
		waitpid(child, NULL, 0);
	}
}

static void all_of_a_blocking_send(void)
{
	BOTH {
		if (is_client != server_sends) {
			say_result("send of 8 MiB", send(conn, pattern(0, 8 << 20), 8 << 20, 0));
		} else {
			nap_ms(50);
			receive_stream(conn, 8 << 20, 1 << 20);
		}
	}
}

static void with_time_limit(void)
{
	SENDER {
		struct timeval limit = { .tv_usec = 60000 };
		uint64_t total = 0;
		ssize_t put;

		say_result("SO_SNDTIMEO", setsockopt(conn, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
		while ((put = send(conn, pattern(0, 1 << 20), 1 << 20, 0)) == 1 << 20)
			total += put;
		if (put >= 0)
			put = send(conn, pattern(0, 1 << 20), 1 << 20, 0);
		say("then %s", outcome(put));
	}
}

static void small_send_buffer(void)
{
	SENDER
		set(conn, SOL_SOCKET, SO_SNDBUF, 4608);
	BOTH {
		if (is_client != server_sends)
			send_stream(conn, 200000, 3000);
		else
			receive_stream(conn, 200000, 3000);
	}
}

static void until_acknowledged(void)
{
	int unsent = -1;

	SENDER {
		send_text(conn, "hello", 0);
		for (int ms = 0; ms < 1000 && !ioctl(conn, SIOCOUTQ, &unsent) && unsent; ms++)
			nap_ms(1);
		say("SIOCOUTQ: %d", unsent);
	}
	reads();
	SENDER {
		ssize_t put;

		while ((put = send(conn, pattern(0, 8000), 8000, 0)) > 0)
			;
		say("then %s", outcome(put));
		ioctl(conn, SIOCOUTQ, &unsent);
		say("SIOCOUTQ: %s", unsent > 0 ? "some" : "0");
		ioctl(conn, SIOCOUTQNSD, &unsent);
		say("SIOCOUTQNSD: %s", unsent > 0 ? "some" : "0");
	}
}

static void sendfile_passed(void)
{
	server_sends = true;
	with_sendfile();
}

static void more_passed(void)
{
	server_sends = true;
	with_more();
}

static void cork_passed(void)
{
	server_sends = true;
	corked();
}

static void zerocopy_passed(void)
{
	server_sends = true;
	zerocopy_large();
}

static void timestamps_passed(void)
{
	server_sends = true;
	timestamps();
}

static void control_passed(void)
{
	server_sends = true;
	with_bad_control();
}

static void efault_passed(void)
{
	server_sends = true;
	from_no_memory();
}

const struct test_case writing[] = {
	{ "send", MUST, "send, with flags", "the bytes", .run = with_send },
	{ "write", MUST, "write and writev", "the bytes", .run = with_write },
	{ "sendmsg", MUST, "sendmsg of two parts", "the bytes", .run = with_sendmsg },
	{ "writev_200", MUST, "writev of 200 parts", "the bytes", .run = with_many_parts },
	{ "sendmmsg", MUST, "sendmmsg of three", "the bytes", .run = with_sendmmsg },
	{ "sendto", MUST, "sendto with an address", "the address means nothing", .run = with_address },
	{ "sendmsg_control", MUST, "sendmsg with a control message that TCP does not know",
	  "EINVAL, and 7 for IP's", .run = with_bad_control,
	  .differs = "it is sent",
	  .instead = "client: sendmsg with control = 7" },
	{ "sendfile", MUST, "sendfile of parts of a file", "the bytes, 0 at its end", .run = with_sendfile },
	{ "sendfile_long", MUST, "sendfile of 1 MiB", "every byte right", .run = with_long_sendfile },
	{ "msg_more", MUST, "MSG_MORE", "the bytes, the last ones after a while", .run = with_more },
	{ "tcp_cork", MUST, "TCP_CORK", "the bytes", .run = corked },
	{ "nagle", MUST, "TCP_NODELAY off", "the bytes", .run = nodelay_off },
	{ "zerocopy", NEVER, "MSG_ZEROCOPY of 100 bytes", "completed 0 to 0", .run = zerocopy_small,
	  .learns = "one send completes as several, on older kernels as none" },
	{ "zerocopy_long", NEVER, "MSG_ZEROCOPY of 50,000 bytes", "completed 0 to 0", .run = zerocopy_large,
	  .learns = "one send completes as several, on older kernels as none" },
	{ "zerocopy_cold", NEVER, "MSG_ZEROCOPY by a program that always does so", "completed 0 to 0",
	  .run = zerocopy_large, .how = COLD,
	  .learns = "one send completes as several, on older kernels as none" },
	{ "zerocopy_later", NEVER, "MSG_ZEROCOPY between other sends", "completed 0 to 0",
	  .run = zerocopy_later,
	  .learns = "one send completes as several, on older kernels as none" },
	{ "so_timestamping", NEVER, "SO_TIMESTAMPING of what is sent", "a stamp when it leaves, one when it is acknowledged",
	  .run = timestamps },
	{ "msg_fastopen", MUST, "MSG_FASTOPEN on a connection", "EISCONN", .run = with_fast_open,
	  .differs = "before 6.5 it is sent" },
	{ "send_nothing", MUST, "sends of 0 bytes", "0, and the reader is not woken", .run = of_nothing },
	{ "send_efault", MUST, "send from memory that is not there", "EFAULT", .run = from_no_memory,
	  .differs = "0",
	  .instead = "client: send from unmapped memory = 0" },
	{ "send_sizes", MUST, "messages of 1 byte to 1 MiB", "every byte right", .run = one_of_each_size },
	{ "send_16_mib", MAY, "a message of 16 MiB", "every byte right", .run = one_of_16_mib },
	{ "send_stream", MUST, "2 MiB in messages of 700 bytes", "every byte right",
	  .run = stream_of_small_ones },
	{ "send_both_ways", MUST, "1 MiB in each direction at once", "every byte right", .run = both_ways },
	{ "send_blocking", NEVER, "a blocking send of 8 MiB", "sends all", .run = all_of_a_blocking_send,
	  .how = BLOCKING },
	{ "sndtimeo", NEVER, "SO_SNDTIMEO and a reader that does not read", "EAGAIN", .run = with_time_limit,
	  .how = BLOCKING },
	{ "send_small_buffer", MUST, "a stream through an SO_SNDBUF of 4.5 KiB", "every byte right",
	  .run = small_send_buffer },
	{ "siocoutq", MUST, "SIOCOUTQ, read and unread", "0, and some", .run = until_acknowledged },
	{ "sendfile_passed", NEVER, "sendfile, to a client that has not sent", "the bytes, 0 at its end", .run = sendfile_passed },
	{ "msg_more_passed", NEVER, "MSG_MORE, to a client that has not sent", "the bytes, the last ones after a while", .run = more_passed },
	{ "tcp_cork_passed", NEVER, "TCP_CORK, to a client that has not sent", "the bytes", .run = cork_passed },
	{ "zerocopy_passed", NEVER, "MSG_ZEROCOPY of 50,000 bytes, to a client that has not sent", "completed 0 to 0", .run = zerocopy_passed,
	  .learns = "one send completes as several, on older kernels as none" },
	{ "so_timestamping_passed", NEVER, "SO_TIMESTAMPING, to a client that has not sent", "a stamp when it leaves, one when it is acknowledged", .run = timestamps_passed },
	{ "sendmsg_control_passed", NEVER, "sendmsg with control, to a client that has not sent", "EINVAL, and 7 for IP's", .run = control_passed,
	  .differs = "it is sent",
	  .instead = "server: sendmsg with control = 7" },
	{ "send_efault_passed", NEVER, "send from memory that is not there, to a client that has not sent", "EFAULT", .run = efault_passed,
	  .differs = "0",
	  .instead = "server: send from unmapped memory = 0" },
	{},
};
