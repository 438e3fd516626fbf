/* SPDX-License-Identifier: Apache-2.0 */
/* Urgent data: one byte of the stream that has a place of its own. */
#include "harness.h"

#include <linux/sockios.h>
#include <sys/select.h>

static void say_mark(void)
{
	int at_mark = -1;

	if (ioctl(conn, SIOCATMARK, &at_mark))
		say("SIOCATMARK = %s", outcome(-1));
	else
		say("at the mark: %s", at_mark ? "yes" : "no");
}

static void send_urgent(void)
{
	SENDER {
		send_text(conn, "before", 0);
		send_text(conn, "!", MSG_OOB);
		send_text(conn, "after", 0);
	}
}

static void beside_the_stream(void)
{
	send_urgent();
	READER {
		await(conn, POLLPRI);
		receive(conn, 10, MSG_OOB | MSG_PEEK);
		receive(conn, 10, MSG_OOB);
		receive(conn, 10, MSG_OOB);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void in_the_stream(void)
{
	READER
		set(conn, SOL_SOCKET, SO_OOBINLINE, 1);
	send_urgent();
	READER {
		await(conn, POLLPRI);
		receive(conn, 10, MSG_OOB);
		say_mark();
		receive(conn, 100, 0);
		say_mark();
		receive(conn, 100, 0);
		say_mark();
		receive(conn, 100, 0);
	}
}

static void at_the_mark(void)
{
	READER
		say_mark();
	send_urgent();
	READER {
		await(conn, POLLPRI);
		say_mark();
		receive(conn, 3, 0);
		say_mark();
		receive(conn, 100, 0);
		say_mark();
		receive(conn, 100, 0);
		say_mark();
	}
}

static void polled_for(void)
{
	SENDER
		send_text(conn, "before", 0);
	READER
		polled(conn, POLLIN | POLLPRI, 1000);
	SENDER
		send_text(conn, "!", MSG_OOB);
	READER {
		await(conn, POLLPRI);
		polled(conn, POLLIN | POLLPRI, 0);
		receive(conn, 100, 0);
		polled(conn, POLLIN | POLLPRI, 0);
		receive(conn, 10, MSG_OOB);
		polled(conn, POLLIN | POLLPRI, 0);
	}
	SENDER
		send_text(conn, "?", MSG_OOB);
	READER {
		struct timeval limit = { .tv_sec = 1 };
		fd_set exceptional;

		FD_ZERO(&exceptional);
		FD_SET(conn, &exceptional);
		say_result("select for exceptional conditions", select(conn + 1, NULL, NULL, &exceptional, &limit));
		receive(conn, 10, MSG_OOB);
	}
}

static volatile sig_atomic_t urgent_signals;

static void note_urgent(int signal)
{
	(void)signal;
	urgent_signals++;
}

static void signalled(void)
{
	READER {
		sigaction(SIGURG, &(struct sigaction){ .sa_handler = note_urgent, .sa_flags = SA_RESTART }, NULL);
		say_result("F_SETOWN", fcntl(conn, F_SETOWN, getpid()));
	}
	send_urgent();
	READER {
		for (int ms = 0; ms < 1000 && !urgent_signals; ms++)
			nap_ms(1);
		say("SIGURG: %s", urgent_signals ? "yes" : "no");
		receive(conn, 10, MSG_OOB);
		receive(conn, 100, 0);
	}
}

static void alone(void)
{
	SENDER
		send_text(conn, "!", MSG_OOB);
	READER {
		await(conn, POLLPRI);
		receive(conn, 100, 0);
		receive(conn, 10, MSG_OOB);
	}
	SENDER
		send_text(conn, "last of many", MSG_OOB);
	READER {
		await(conn, POLLPRI);
		receive(conn, 100, 0);
		receive(conn, 10, MSG_OOB);
		receive(conn, 10, MSG_OOB);
	}
}

static void none(void)
{
	SENDER
		send_text(conn, "ordinary", 0);
	READER {
		await(conn, POLLIN);
		receive(conn, 10, MSG_OOB);
		say_mark();
		receive(conn, 100, 0);
	}
}

static void after_ordinary(void)
{
	for (int i = 0; i < 12; i++) {
		SENDER
			send_text(conn, "ordinary", 0);
		READER {
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
	}
	/* These bytes wait to be read when the urgent one comes. */
	beside_the_stream();
	SENDER
		send_text(conn, "ordinary", 0);
	READER {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
}

static void beside_passed(void)
{
	server_sends = true;
	beside_the_stream();
}

static void inline_passed(void)
{
	server_sends = true;
	in_the_stream();
}

const struct test_case urgent[] = {
	{ "oob", NEVER, "MSG_OOB, read beside the stream", "the byte has its own place",
	  .run = beside_the_stream,
	  .learns = "recv(MSG_OOB) reads redirected bytes that wait" },
	{ "oob_cold", NEVER, "the same by a program not known before", "the byte has its own place",
	  .run = beside_the_stream, .how = COLD },
	{ "oob_later", NEVER, "MSG_OOB after ordinary messages, and on", "the byte has its own place",
	  .run = after_ordinary,
	  .learns = "recv(MSG_OOB) reads redirected bytes that wait" },
	{ "oob_inline", NEVER, "MSG_OOB with SO_OOBINLINE", "the byte is in the stream, a read stops before it",
	  .run = in_the_stream },
	{ "oob_atmark", NEVER, "SIOCATMARK", "true between the bytes before and after", .run = at_the_mark,
	  .learns = "SIOCATMARK does not count redirected bytes that wait" },
	{ "oob_poll", MAY, "POLLPRI, and select for exceptional conditions", "while the byte is unread",
	  .run = polled_for },
	{ "oob_sigurg", NEVER, "SIGURG", "comes", .run = signalled,
	  .learns = "recv(MSG_OOB) reads redirected bytes that wait" },
	{ "oob_alone", NEVER, "urgent data and nothing else", "the last byte is urgent", .run = alone,
	  .learns = "EAGAIN where there is no urgent byte" },
	{ "oob_none", MUST, "recv(MSG_OOB) where there is none", "EINVAL", .run = none,
	  .differs = "the ordinary bytes",
	  .instead = "server: recv(10, MSG_OOB) = 8 \"ordinary\"" },
	{ "oob_passed", NEVER, "MSG_OOB, to a client that has not sent", "the byte has its own place", .run = beside_passed },
	{ "oob_inline_passed", NEVER, "MSG_OOB with SO_OOBINLINE, to a client that has not sent", "the byte is in the stream, a read stops before it", .run = inline_passed },
	{},
};
