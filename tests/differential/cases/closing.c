/* SPDX-License-Identifier: Apache-2.0 */
/* Every way in which a connection ends, and what each end sees of it. */
#include "harness.h"

#define ALL_EVENTS (POLLIN | POLLOUT | POLLRDHUP | POLLPRI)

static void half_close(void)
{
	CLIENT {
		send_text(conn, "the last question", 0);
		say_result("shutdown(SHUT_WR)", shutdown(conn, SHUT_WR));
		say_result("send after it", send(conn, "x", 1, MSG_NOSIGNAL));
	}
	SERVER {
		await(conn, POLLRDHUP);
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		for (int i = 0; i < 5; i++)
			send_text(conn, "an answer. ", 0);
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
	SERVER
		close_conn();
	CLIENT {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		polled(conn, ALL_EVENTS, 0);
		say_error(conn);
	}
}

static void half_close_later(void)
{
	exchange(1);
	half_close();
}

static void half_close_echo(void)
{
	BOTH {
		if (is_client) {
			pid_t child = fork();

			if (!child) {
				send_stream(conn, 300000, 2000);
				shutdown(conn, SHUT_WR);
				_exit(0);
			}
			receive_stream(conn, 300001, 5000);
			waitpid(child, NULL, 0);
		} else {
			static uint8_t bytes[4000];
			ssize_t got;

			for (;;) {
				got = recv(conn, bytes, sizeof(bytes), 0);
				if (got < 0 && errno == EAGAIN) {
					await(conn, POLLIN);
					continue;
				}
				if (got <= 0)
					break;
				for (ssize_t put = 0, sent = 0; sent < got; sent += put > 0 ? put : 0) {
					put = send(conn, bytes + sent, got - sent, 0);
					if (put < 0)
						await(conn, POLLOUT);
				}
			}
			say("the stream ends with %s", outcome(got));
			shutdown(conn, SHUT_WR);
		}
	}
}

static void shut_reading(void)
{
	exchange(1);
	SERVER {
		say_result("shutdown(SHUT_RD)", shutdown(conn, SHUT_RD));
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 100, 0);
	}
	CLIENT
		send_text(conn, "to deaf ears", 0);
	SERVER {
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		send_text(conn, "but not mute", 0);
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
}

static void shut_reading_with_bytes(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "unread", 0);
	SERVER {
		await(conn, POLLIN);
		say_result("shutdown(SHUT_RD)", shutdown(conn, SHUT_RD));
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void shut_both(void)
{
	exchange(1);
	SERVER {
		say_result("shutdown(SHUT_RDWR)", shutdown(conn, SHUT_RDWR));
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 100, 0);
		say_result("send", send(conn, "x", 1, MSG_NOSIGNAL));
	}
	CLIENT {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		say_result("shutdown(SHUT_RDWR)", shutdown(conn, SHUT_RDWR));
		say_result("shutdown again", shutdown(conn, SHUT_RDWR));
	}
}

static void close_in_order(void)
{
	exchange(1);
	CLIENT {
		send_text(conn, "the end", 0);
		close_conn();
	}
	SERVER {
		await(conn, POLLRDHUP);
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		say_error(conn);
		say_state(conn);
	}
}

static void send_to_closed(void)
{
	exchange(1);
	CLIENT
		close_conn();
	SERVER {
		await(conn, POLLRDHUP);
		send_text(conn, "to nobody", 0);
		await(conn, POLLERR);
		polled(conn, ALL_EVENTS, 0);
		say_error(conn);
		send_text(conn, "to nobody", MSG_NOSIGNAL);
		receive(conn, 100, 0);
	}
}

static void without_reading(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "unread", 0);
	SERVER {
		await(conn, POLLIN);
		close_conn();
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
}

static void reading_a_part(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "read, unread", 0);
	SERVER {
		await(conn, POLLIN);
		receive(conn, 6, 0);
		close_conn();
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		send_text(conn, "x", MSG_NOSIGNAL);
		say_error(conn);
	}
}

static void cut_short(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "unread", 0);
	SERVER {
		await(conn, POLLIN);
		send_text(conn, "half of an ans", 0);
		close_conn();
	}
	CLIENT {
		await(conn, POLLERR);
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void half_closed_unread(void)
{
	exchange(1);
	CLIENT {
		send_text(conn, "unread", 0);
		shutdown(conn, SHUT_WR);
	}
	SERVER {
		await(conn, POLLRDHUP);
		close_conn();
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
}

static void both_without_reading(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "unread", 0);
	SERVER {
		await(conn, POLLIN);
		send_text(conn, "unread as well", 0);
		close_conn();
	}
	CLIENT {
		await(conn, POLLERR);
		close_conn();
	}
}

static void linger_without_reading(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "unread", 0);
	SERVER {
		struct linger linger = { .l_onoff = 1, .l_linger = 2 };

		setsockopt(conn, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		await(conn, POLLIN);
		say_result("close", close(conn));
		conn = -1;
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* What a worker leaves behind that is killed before it has read. */
static void killed_without_reading(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "unread", 0);
	SERVER {
		pid_t child = in_child(wait_for_ever);

		await(conn, POLLIN);
		close_conn();
		kill(child, SIGKILL);
		say_end(child);
	}
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
}

static void linger_no_time(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

static void see_reset(void)
{
	await(conn, POLLERR);
	polled(conn, ALL_EVENTS, 0);
	receive(conn, 100, 0);
	receive(conn, 100, 0);
	send_text(conn, "x", MSG_NOSIGNAL);
	say_error(conn);
}

static void reset_by_server(void)
{
	exchange(1);
	SERVER {
		linger_no_time(conn);
		conn = -1;
	}
	CLIENT
		see_reset();
}

static void reset_by_client(void)
{
	exchange(1);
	CLIENT {
		linger_no_time(conn);
		conn = -1;
	}
	SERVER
		see_reset();
}

static void reset_with_bytes_unread(void)
{
	exchange(1);
	CLIENT {
		send_text(conn, "before the reset", 0);
	}
	SERVER
		await(conn, POLLIN);
	CLIENT {
		linger_no_time(conn);
		conn = -1;
	}
	SERVER
		see_reset();
}

static void pending_error(void)
{
	exchange(1);
	CLIENT {
		linger_no_time(conn);
		conn = -1;
	}
	SERVER {
		await(conn, POLLERR);
		say_error(conn);
		say_error(conn);
		receive(conn, 100, 0);
	}
}

static void linger_some_time(void)
{
	exchange(1);
	CLIENT {
		struct linger linger = { .l_onoff = 1, .l_linger = 2 };

		setsockopt(conn, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		send_text(conn, "the end", 0);
		say_result("close", close(conn));
		conn = -1;
	}
	SERVER {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static volatile sig_atomic_t broken_pipes;

static void note_broken_pipe(int signal)
{
	(void)signal;
	broken_pipes++;
}

static void broken_pipe(void)
{
	exchange(1);
	CLIENT {
		struct iovec part = { "x", 1 };

		sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = note_broken_pipe }, NULL);
		shutdown(conn, SHUT_WR);
		say_result("send(MSG_NOSIGNAL)", send(conn, "x", 1, MSG_NOSIGNAL));
		say("SIGPIPE: %d", broken_pipes);
		say_result("send", send(conn, "x", 1, 0));
		say("SIGPIPE: %d", broken_pipes);
		say_result("write", write(conn, "x", 1));
		say("SIGPIPE: %d", broken_pipes);
		say_result("writev", writev(conn, &part, 1));
		say("SIGPIPE: %d", broken_pipes);
	}
}

static void die_of_broken_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	shutdown(conn, SHUT_WR);
	send(conn, "x", 1, 0);
}

static void killed_by_broken_pipe(void)
{
	exchange(1);
	CLIENT
		say_end(in_child(die_of_broken_pipe));
}

static void epoll_sees_the_end(void)
{
	static int epoll;
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

	exchange(1);
	SERVER {
		epoll = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(epoll, EPOLL_CTL_ADD, conn, &event);
		say("epoll_wait = %s", epoll_wait(epoll, &event, 1, 1000) == 1 ? poll_events(event.events) : "none");
	}
	CLIENT {
		send_text(conn, "the end", 0);
		shutdown(conn, SHUT_WR);
	}
	SERVER {
		await(conn, POLLRDHUP);
		say("epoll_wait = %s", epoll_wait(epoll, &event, 1, 1000) == 1 ? poll_events(event.events) : "none");
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
	CLIENT {
		linger_no_time(conn);
		conn = -1;
	}
	SERVER {
		await(conn, POLLERR);
		say("epoll_wait = %s", epoll_wait(epoll, &event, 1, 1000) == 1 ? poll_events(event.events) : "none");
		receive(conn, 100, 0);
	}
}

static void waits_for_the_end(void)
{
	exchange(1);
	BOTH {
		if (is_client) {
			nap_ms(20);
			close_conn();
		} else {
			polled(conn, POLLIN | POLLRDHUP, 2000);
			receive(conn, 100, 0);
		}
	}
}

static void blocking_recv_sees_the_end(void)
{
	exchange(1);
	BOTH {
		if (is_client) {
			nap_ms(20);
			shutdown(conn, SHUT_WR);
		} else {
			receive(conn, 100, 0);
			receive(conn, 100, 0);
		}
	}
	SERVER
		close_conn();
	CLIENT
		receive(conn, 100, 0);
}

static void blocking_recv_sees_reset(void)
{
	exchange(1);
	BOTH {
		if (is_client) {
			nap_ms(20);
			linger_no_time(conn);
			conn = -1;
		} else {
			receive(conn, 100, 0);
			receive(conn, 100, 0);
		}
	}
}

static void send_for_ever(void)
{
	for (;;)
		if (send(conn, "0123456789", 10, MSG_NOSIGNAL) < 0)
			await(conn, POLLOUT);
}

/* What a process leaves behind that is killed while it sends. */
static void killed_while_it_sends(void)
{
	BOTH {
		if (is_client) {
			pid_t child = in_child(send_for_ever);

			close_conn();
			nap_ms(30);
			kill(child, SIGKILL);
			say_end(child);
		} else {
			static char bytes[5000];
			uint64_t total = 0;
			size_t wrong = 0;
			ssize_t got;

			for (;;) {
				got = recv(conn, bytes, sizeof(bytes), 0);
				if (got < 0 && errno == EAGAIN) {
					await(conn, POLLIN);
					continue;
				}
				if (got <= 0)
					break;
				for (ssize_t i = 0; i < got; i++, total++)
					wrong += bytes[i] != (char)('0' + total % 10);
			}
			say("%zu wrong, the stream ends with %s", wrong, outcome(got));
		}
	}
}

static void stopped_for_a_while(void)
{
	BOTH {
		if (is_client) {
			nap_ms(5);
			kill(shared->server, SIGSTOP);
			for (int i = 0; i < 20; i++)
				send(conn, pattern(i * 1000, 1000), 1000, 0);
			nap_ms(30);
			kill(shared->server, SIGCONT);
			for (int i = 20; i < 40; i++)
				send(conn, pattern(i * 1000, 1000), 1000, 0);
		} else {
			receive_stream(conn, 40000, 3000);
		}
	}
}

static void disconnect_and_connect(void)
{
	exchange(1);
	CLIENT {
		struct sockaddr nobody = { .sa_family = AF_UNSPEC };

		say_result("connect(AF_UNSPEC)", connect(conn, &nobody, sizeof(nobody)));
		say_state(conn);
		polled(conn, ALL_EVENTS, 0);
		receive(conn, 10, 0);
		say_result("send", send(conn, "x", 1, MSG_NOSIGNAL));
	}
	SERVER {
		see_reset();
		close_conn();
	}
	CLIENT
		say_result("connect", connect(conn, (void *)&shared->address, shared->address_bytes));
	SERVER {
		await(listening, POLLIN);
		conn = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	CLIENT
		await(conn, POLLOUT);
	exchange(1);
	exchange(1);
}

static void states(void)
{
	exchange(1);
	CLIENT {
		say_state(conn);
		shutdown(conn, SHUT_WR);
	}
	SERVER {
		await(conn, POLLRDHUP);
		say_state(conn);
	}
	/* When the acknowledgement of the FIN comes, which takes a while, it is in FIN_WAIT2. */
	CLIENT {
		nap_ms(100);
		say_state(conn);
	}
	SERVER {
		shutdown(conn, SHUT_WR);
		await(conn, POLLHUP);
		say_state(conn);
	}
	CLIENT
		await(conn, POLLHUP);
}

static void at_the_same_time(void)
{
	exchange(1);
	BOTH {
		send(conn, "the last word", 13, 0);
		shutdown(conn, SHUT_WR);
		await(conn, POLLHUP);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		say_error(conn);
	}
}

static void never_accepted(void)
{
	static int other;

	CLIENT {
		other = start_connecting(&shared->address, SOCK_NONBLOCK);
		await(other, POLLOUT);
		send_text(other, "is anybody there", 0);
	}
	SERVER
		close(listening);
	CLIENT {
		await(other, POLLERR);
		receive(other, 100, 0);
	}
}

/* There sk_psock_drop() empties the redirected queue before anybody can look. */
#define PURGED "the end of the stream on 5.10"

const struct test_case closing[] = {
	{ "half_close", MUST, "shutdown(SHUT_WR), then answers", "the answers come", .run = half_close_later },
	{ "half_close_first", MAY, "the same as the first thing on a connection", "the answers come",
	  .run = half_close },
	{ "half_close_echo", MUST, "an echo of a stream that ends", "every byte right, then the end",
	  .run = half_close_echo },
	{ "shut_rd", MUST, "shutdown(SHUT_RD)", "0 when nothing is there, and what comes later",
	  .run = shut_reading },
	{ "shut_rd_unread", MUST, "shutdown(SHUT_RD) with bytes waiting", "they can be read",
	  .run = shut_reading_with_bytes },
	{ "shut_rdwr", MUST, "shutdown(SHUT_RDWR)", "HUP, 0, EPIPE", .run = shut_both },
	{ "close", MUST, "close", "the last bytes, then 0", .run = close_in_order },
	{ "close_peer_sends", MUST, "a send to an end that has closed", "one succeeds, then EPIPE",
	  .run = send_to_closed },
	{ "close_unread", MUST, "close with bytes unread", "ECONNRESET", .run = without_reading, .differs = PURGED },
	{ "close_unread_partly", MUST, "close with a part of the bytes unread", "ECONNRESET, 0, EPIPE",
	  .run = reading_a_part, .differs = PURGED },
	{ "close_unread_reply", MUST, "close with bytes unread, after an answer", "the answer, then ECONNRESET",
	  .run = cut_short, .differs = PURGED },
	{ "close_unread_half", MUST, "close with bytes unread, whose sender has shut down", "ECONNRESET",
	  .run = half_closed_unread, .differs = PURGED },
	{ "close_unread_both", MUST, "close of both ends with bytes unread", "nothing hangs", .run = both_without_reading, .differs = PURGED },
	{ "close_unread_linger", MUST, "close with bytes unread and SO_LINGER of some time", "ECONNRESET", .run = linger_without_reading, .differs = PURGED },
	{ "killed_unread", MUST, "SIGKILL of a worker that has not read", "ECONNRESET", .run = killed_without_reading, .differs = PURGED },
	{ "reset_by_server", MUST, "SO_LINGER of no time at the server", "ECONNRESET, 0, EPIPE",
	  .run = reset_by_server },
	{ "reset_by_client", MUST, "SO_LINGER of no time at the client", "ECONNRESET, 0, EPIPE",
	  .run = reset_by_client },
	{ "reset_unread", MUST, "a reset with bytes unread",
	  "the bytes, then ECONNRESET", .run = reset_with_bytes_unread },
	{ "so_error", MUST, "SO_ERROR after a reset", "ECONNRESET, then none", .run = pending_error },
	{ "linger", MUST, "SO_LINGER of some time", "the last bytes, then 0", .run = linger_some_time },
	{ "sigpipe", MUST, "EPIPE from send, write and writev, with a handler of SIGPIPE",
	  "one signal each, but for MSG_NOSIGNAL", .run = broken_pipe },
	{ "sigpipe_default", MUST, "SIGPIPE without a handler", "ends the process",
	  .run = killed_by_broken_pipe },
	{ "epoll_rdhup", MUST, "EPOLLRDHUP, EPOLLHUP and EPOLLERR", "an event each",
	  .run = epoll_sees_the_end },
	{ "poll_rdhup", MUST, "a poll that waits for the end", "IN|RDHUP", .run = waits_for_the_end },
	{ "end_blocking", NEVER, "a blocking recv that waits for the end", "0",
	  .run = blocking_recv_sees_the_end, .how = BLOCKING },
	{ "reset_blocking", NEVER, "a blocking recv that waits and is reset", "ECONNRESET, then 0",
	  .run = blocking_recv_sees_reset, .how = BLOCKING },
	{ "killed", MUST, "a sender that is killed", "the bytes in order, then 0",
	  .run = killed_while_it_sends },
	{ "stopped", MUST, "a reader that is stopped and continued", "every byte right",
	  .run = stopped_for_a_while },
	{ "disconnect", MUST, "connect(AF_UNSPEC), and connect again",
	  "ECONNRESET at the other end; the new one works", .run = disconnect_and_connect },
	{ "tcp_info_state", MUST, "TCP_INFO's state while both ends shut down", "as RFC 9293 has it",
	  .run = states },
	{ "close_together", MUST, "both ends shut down at the same time", "each has the other's last word",
	  .run = at_the_same_time },
	{ "never_accepted", NEVER, "a connection that nobody accepts before its listener closes", "ECONNRESET",
	  .run = never_accepted },
	{},
};
