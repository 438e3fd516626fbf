/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to wait until a socket can be read or written. */
#include "harness.h"

#include <sys/select.h>

#define ROUNDS 5

/* The server waits in its own way for each of some messages, which come while it waits. */
static void wait_by(void (*wait)(void))
{
	for (int i = 0; i < ROUNDS; i++) {
		BOTH {
			if (is_client) {
				nap_ms(10);
				send(conn, "hello", 5, 0);
			} else {
				wait();
				receive(conn, 100, 0);
				receive(conn, 100, MSG_DONTWAIT);
			}
		}
	}
}

static void in_recv(void)
{
}

static void blocking(void)
{
	wait_by(in_recv);
}

static void spin(void)
{
	char byte;

	while (recv(conn, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN)
		nap_ms(1);
}

static void by_trying(void)
{
	wait_by(spin);
}

static void in_select(void)
{
	struct timeval limit = { .tv_sec = 2 };
	fd_set readable;

	FD_ZERO(&readable);
	FD_SET(conn, &readable);
	say_result("select", select(conn + 1, &readable, NULL, NULL, &limit));
}

static void by_select(void)
{
	wait_by(in_select);
}

static void in_poll(void)
{
	polled(conn, POLLIN, 2000);
}

static void by_poll(void)
{
	wait_by(in_poll);
}

static int epoll = -1;

static void watch(uint32_t events)
{
	struct epoll_event watch = { .events = events };
	int result;

	if (epoll < 0)
		epoll = epoll_create1(EPOLL_CLOEXEC);
	result = epoll_ctl(epoll, EPOLL_CTL_ADD, conn, &watch);
	if (result)
		say("EPOLL_CTL_ADD = %s", outcome(result));
}

static void say_epoll(int timeout_ms)
{
	struct epoll_event event = {};
	int count = epoll_wait(epoll, &event, 1, timeout_ms);

	say("epoll_wait = %s", count > 0 ? poll_events(event.events) : outcome(count));
}

static void in_epoll(void)
{
	say_epoll(2000);
}

static void by_epoll_level(void)
{
	SERVER
		watch(EPOLLIN);
	wait_by(in_epoll);
	CLIENT
		send_text(conn, "twice the event", 0);
	SERVER {
		say_epoll(2000);
		say_epoll(0);
		receive(conn, 5, 0);
		say_epoll(0);
		receive(conn, 100, 0);
		say_epoll(0);
	}
}

static void by_epoll_edge(void)
{
	SERVER
		watch(EPOLLIN | EPOLLET);
	wait_by(in_epoll);
	for (int i = 0; i < 3; i++) {
		CLIENT
			send_text(conn, "one event", 0);
		SERVER {
			say_epoll(2000);
			say_epoll(0);
		}
	}
	SERVER {
		receive(conn, 12, 0);
		say_epoll(0);
		receive(conn, 100, 0);
		say_epoll(0);
	}
}

/* A short read is the last one, over TCP: tokio and nginx do not try again. */
static void by_short_reads(void)
{
	const uint64_t total = 1 << 20;

	SERVER
		watch(EPOLLIN | EPOLLET | EPOLLRDHUP);
	BOTH {
		if (is_client) {
			send_stream(conn, total, 3000);
			shutdown(conn, SHUT_WR);
		} else {
			uint8_t bytes[5000];
			struct stream stream = {};
			struct epoll_event event = {};
			ssize_t got = 1;

			while (got > 0 && stream.received < total && epoll_wait(epoll, &event, 1, 3000) == 1) {
				do {
					got = recv(conn, bytes, sizeof(bytes), 0);
					if (got > 0)
						take(&stream, bytes, got);
				} while (got == sizeof(bytes));
				if (got < 0 && errno == EAGAIN)
					got = 1;
			}
			say_stream(&stream);
		}
	}
}

static void in_epoll_once(void)
{
	struct epoll_event again = { .events = EPOLLIN | EPOLLONESHOT };

	say_epoll(2000);
	say_epoll(0);
	say_result("EPOLL_CTL_MOD", epoll_ctl(epoll, EPOLL_CTL_MOD, conn, &again));
	say_epoll(0);
	say_result("EPOLL_CTL_MOD", epoll_ctl(epoll, EPOLL_CTL_MOD, conn, &again));
}

static void by_epoll_oneshot(void)
{
	SERVER
		watch(EPOLLIN | EPOLLONESHOT);
	for (int i = 0; i < 2; i++) {
		CLIENT
			send_text(conn, "hello", 0);
		SERVER {
			in_epoll_once();
			receive(conn, 100, 0);
			say_epoll(0);
		}
	}
	wait_by(in_epoll_once);
}

static void by_epoll_exclusive(void)
{
	SERVER {
		watch(EPOLLIN | EPOLLEXCLUSIVE);
	}
	wait_by(in_epoll);
	SERVER {
		int second = epoll_create1(EPOLL_CLOEXEC);
		struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };

		say_result("EPOLL_CTL_ADD", epoll_ctl(second, EPOLL_CTL_ADD, conn, &event));
	}
	wait_by(in_epoll);
}

static void by_nested_epoll(void)
{
	static int outer;

	SERVER {
		struct epoll_event event = { .events = EPOLLIN };

		watch(EPOLLIN | EPOLLET);
		outer = epoll_create1(EPOLL_CLOEXEC);
		say_result("EPOLL_CTL_ADD", epoll_ctl(outer, EPOLL_CTL_ADD, epoll, &event));
	}
	for (int i = 0; i < 3; i++) {
		CLIENT
			send_text(conn, "hello", 0);
		SERVER {
			polled(outer, POLLIN, 2000);
			say_epoll(0);
			receive(conn, 100, 0);
			polled(outer, POLLIN, 0);
		}
	}
}

/* Added when bytes are already there: the event must come. */
static void watched_late(void)
{
	CLIENT
		send_text(conn, "hello", 0);
	SERVER {
		await(conn, POLLIN);
		watch(EPOLLIN | EPOLLOUT | EPOLLET);
		say_epoll(1000);
		say_epoll(0);
		receive(conn, 100, 0);
	}
}

static void rearmed(void)
{
	SERVER
		watch(EPOLLIN | EPOLLET);
	CLIENT
		send_text(conn, "hello", 0);
	SERVER {
		struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };

		say_epoll(1000);
		say_result("EPOLL_CTL_MOD", epoll_ctl(epoll, EPOLL_CTL_MOD, conn, &event));
		say_epoll(1000);
		say_epoll(0);
		receive(conn, 100, 0);
		event.events = EPOLLIN;
		say_result("EPOLL_CTL_MOD", epoll_ctl(epoll, EPOLL_CTL_MOD, conn, &event));
		say_epoll(0);
	}
}

static void until_writable(void)
{
	CLIENT {
		ssize_t put;

		watch(EPOLLOUT | EPOLLET);
		say_epoll(0);
		while ((put = send(conn, pattern(0, 8000), 8000, 0)) > 0)
			;
		say("then %s", outcome(put));
		polled(conn, POLLIN | POLLOUT, 0);
		say_epoll(0);
	}
	BOTH {
		if (is_client) {
			await(conn, POLLOUT);
			say_epoll(1000);
			shutdown(conn, SHUT_WR);
		} else {
			static char bytes[65536];
			ssize_t got;

			do {
				await(conn, POLLIN);
				got = recv(conn, bytes, sizeof(bytes), 0);
			} while (got > 0 || (got < 0 && errno == EAGAIN));
			say("the stream ends with %s", outcome(got));
		}
	}
}

static volatile sig_atomic_t io_signals;

static void note_io(int signal)
{
	(void)signal;
	io_signals = 1;
}

static void by_sigio(void)
{
	SERVER {
		sigaction(SIGIO, &(struct sigaction){ .sa_handler = note_io, .sa_flags = SA_RESTART }, NULL);
		say_result("F_SETOWN", fcntl(conn, F_SETOWN, getpid()));
		say_result("O_ASYNC", fcntl(conn, F_SETFL, fcntl(conn, F_GETFL) | O_ASYNC));
	}
	for (int i = 0; i < 3; i++) {
		CLIENT {
			nap_ms(10);
			send_text(conn, "hello", 0);
		}
		SERVER {
			for (int ms = 0; ms < 1000 && !io_signals; ms++)
				nap_ms(1);
			say("SIGIO: %s", io_signals ? "yes" : "no");
			receive(conn, 100, 0);
			io_signals = 0;
		}
	}
}

static void without_events(void)
{
	SERVER {
		polled(conn, POLLIN, 30);
		polled(conn, POLLOUT, 0);
		polled(conn, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0);
	}
	CLIENT
		send_text(conn, "hello", 0);
	SERVER {
		await(conn, POLLIN);
		polled(conn, POLLIN | POLLOUT | POLLRDHUP | POLLPRI | POLLRDNORM, 0);
		polled(conn, 0, 0);
		receive(conn, 100, 0);
		polled(conn, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0);
	}
}

const struct test_case waiting[] = {
	{ "wait_blocking", NEVER, "a blocking recv", "ends with the bytes", .run = blocking, .how = BLOCKING },
	{ "wait_trying", MUST, "recv again and again", "EAGAIN until the bytes are there", .run = by_trying },
	{ "wait_select", MUST, "select", "ends with the bytes", .run = by_select },
	{ "wait_poll", MUST, "poll", "ends with the bytes", .run = by_poll },
	{ "poll_events", MUST, "all events that poll knows", "IN with bytes, OUT always",
	  .run = without_events },
	{ "epoll_level", MUST, "epoll", "an event while bytes are there", .run = by_epoll_level },
	{ "epoll_edge", MUST, "epoll with EPOLLET", "one event a message", .run = by_epoll_edge },
	{ "epoll_short_reads", MUST, "an edge-triggered reader that takes a short read for the last",
	  "every byte right", .run = by_short_reads },
	{ "epoll_oneshot", MUST, "EPOLLONESHOT", "one event each time it is armed", .run = by_epoll_oneshot },
	{ "epoll_exclusive", MUST, "EPOLLEXCLUSIVE", "an event", .run = by_epoll_exclusive },
	{ "epoll_nested", MUST, "an epoll in an epoll", "events in both", .run = by_nested_epoll },
	{ "epoll_late", MUST, "a watch that begins with bytes waiting", "one event", .run = watched_late },
	{ "epoll_rearmed", MUST, "EPOLL_CTL_MOD with bytes waiting", "another event", .run = rearmed },
	{ "wait_writable", MUST, "POLLOUT and EPOLLOUT after EAGAIN", "an event when the reader has read",
	  .run = until_writable },
	{ "sigio", MUST, "SIGIO", "a signal a message", .run = by_sigio },
	{},
};
