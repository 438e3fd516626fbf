/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait, on a socket in blocking mode: what they return, and that they wait.
 *
 *   waits 4|6 MODE exchange|silence
 *
 * MODE (streams.h) says which ends are in blocking mode. The subject is one that is: the client where it blocks, else
 * the server. `exchange`: it waits after bytes went to and fro, or for bytes that are there; `silence`: it waits on a
 * connection that has carried none since it is in blocking mode. Every line is an observation that plain TCP makes
 * too. */
#include "streams.h"

#define SHORT_US 3000 /* time enough for the subject to fall asleep */

static const struct mode *mode;
static struct address address;
static int listening;

struct ends {
	int subject, partner;
	struct pair pair;
};

static struct ends connect_ends(void)
{
	struct pair pair = open_pair(mode, listening, &address);

	if (mode->client_blocks)
		return (struct ends){ pair.client, pair.server, pair };
	return (struct ends){ pair.server, pair.client, pair };
}

static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

/* What a partner does while the subject waits. */
struct errand {
	pthread_t thread;
	struct ends ends;
	unsigned long bytes;
};

static void *send_three_later(void *argument)
{
	struct errand *errand = argument;

	sleep_us(SHORT_US);
	send_all(errand->ends.partner, "def", 3);
	return NULL;
}

/* With 3 bytes there, the other 3 come later. */
static void wait_for_all(void)
{
	struct findings findings = {};

	for (int i = 0; i < 50; i++) {
		struct errand errand = { .ends = connect_ends() };
		char bytes[6] = "";
		ssize_t got;

		for (int round = 0; round < 3; round++) {
			send_all(errand.ends.partner, "abc", 3);
			must_be_ready(errand.ends.subject, POLLIN, "3 bytes");
			start_thread(&errand.thread, send_three_later, &errand);
			got = recv(errand.ends.subject, bytes, 6, MSG_WAITALL);
			found(&findings, "%s %.6s", outcome(got), bytes);
			pthread_join(errand.thread, NULL);
			if (got < 6)
				break;
		}
		close_pair(errand.ends.pair);
	}
	print_findings("recv(6, MSG_WAITALL) with 3 bytes there", &findings);
}

/* The same on a connection that has been used: a request, an answer in two pieces. */
static void wait_for_all_of_an_answer(void)
{
	struct findings findings = {};

	for (int i = 0; i < 50; i++) {
		struct errand errand = { .ends = connect_ends() };
		char bytes[7] = "";

		set_option(errand.ends.partner, IPPROTO_TCP, TCP_NODELAY, 1);
		for (int round = 0; round < 3; round++) {
			if (send(errand.ends.subject, "hello", 5, 0) != 5)
				err(1, "send");
			receive_all(errand.ends.partner, bytes, 5);
			send_all(errand.ends.partner, "abc", 3);
			start_thread(&errand.thread, send_three_later, &errand);
			found(&findings, "%s", outcome(recv(errand.ends.subject, bytes, 6, MSG_WAITALL)));
			pthread_join(errand.thread, NULL);
		}
		close_pair(errand.ends.pair);
	}
	print_findings("recv(6, MSG_WAITALL) of an answer in two pieces", &findings);
}

/* The partner speaks as soon as the connection is there, before the subject has been switched to blocking mode. */
static void wait_for_all_of_a_greeting(void)
{
	struct findings findings = {};

	for (int i = 0; i < 50; i++) {
		struct ends ends;
		struct pair pair;
		struct errand errand = {};
		char bytes[7] = "";

		pair.client = start_connect(&address, mode->client_connects_nonblocking ? SOCK_NONBLOCK : 0);
		must_be_ready(listening, POLLIN, "accept");
		pair.server = accept4(listening, NULL, NULL, mode->server_blocks ? 0 : SOCK_NONBLOCK);
		finish_connect(pair.client);
		ends = mode->client_blocks ? (struct ends){ pair.client, pair.server, pair } :
					     (struct ends){ pair.server, pair.client, pair };
		send_all(ends.partner, "abc", 3);
		set_nonblocking(ends.subject, false);
		errand.ends = ends;
		start_thread(&errand.thread, send_three_later, &errand);
		found(&findings, "%s", outcome(recv(ends.subject, bytes, 6, MSG_WAITALL)));
		pthread_join(errand.thread, NULL);
		close_pair(pair);
	}
	print_findings("recv(6, MSG_WAITALL) of a greeting in two pieces", &findings);
}

#define REQUEST_BYTES 100
#define ANSWER_BYTES 20000

static void *answer_at_the_end(void *argument)
{
	struct errand *errand = argument;
	uint8_t bytes[ANSWER_BYTES];

	while (receive_some(errand->ends.partner, bytes, sizeof(bytes)))
		;
	if (errand->bytes % 3)
		sleep_us(errand->bytes % 3 * 500);
	fill(bytes, sizeof(bytes), errand->bytes, 0);
	send_all(errand->ends.partner, bytes, sizeof(bytes));
	shutdown(errand->ends.partner, SHUT_WR);
	return NULL;
}

/* Its own FIN is acknowledged while the subject waits. */
static void read_after_shutdown(void)
{
	struct findings findings = {};
	static uint8_t bytes[ANSWER_BYTES];

	for (int i = 0; i < 300; i++) {
		struct errand errand = { .ends = connect_ends(), .bytes = i };
		size_t received = 0;
		ssize_t got;

		start_thread(&errand.thread, answer_at_the_end, &errand);
		if (send(errand.ends.subject, bytes, REQUEST_BYTES, 0) != REQUEST_BYTES ||
		    shutdown(errand.ends.subject, SHUT_WR))
			err(1, "Cannot send the request");
		while ((got = read(errand.ends.subject, bytes, sizeof(bytes))) > 0) {
			check(bytes, got, i, received);
			received += got;
		}
		found(&findings, "%zu bytes and then %s", received, outcome(got));
		pthread_join(errand.thread, NULL);
		close_pair(errand.ends.pair);
	}
	print_findings("send, shutdown(SHUT_WR), read the answer", &findings);
}

static void *answer_in_the_end(void *argument)
{
	struct errand *errand = argument;
	uint8_t bytes[65536];

	for (uint64_t received = 0; received < errand->bytes;) {
		size_t got = receive_some(errand->ends.partner, bytes, sizeof(bytes));

		check(bytes, got, 1, received);
		received += got;
		sleep_us(500);
	}
	send_all(errand->ends.partner, "answer", 6);
	return NULL;
}

static void *read_answer(void *argument)
{
	struct errand *errand = argument;
	static __thread char bytes[6];

	errand->bytes = 0;
	for (;;) {
		ssize_t got = recv(errand->ends.subject, bytes, sizeof(bytes), 0);

		if (got == sizeof(bytes) || errand->bytes == 1000)
			return NULL;
		if (got >= 0 || errno != EAGAIN)
			errx(1, "recv of the answer: %s", outcome(got));
		errand->bytes++;
	}
}

/* Each end has spoken, and what it said is acknowledged and read. */
static void exchange(struct ends ends)
{
	char bytes[5];

	if (send(ends.subject, "hello", 5, 0) != 5)
		err(1, "send");
	receive_all(ends.partner, bytes, 5);
	send_all(ends.partner, "hello", 5);
	if (recv(ends.subject, bytes, 5, MSG_WAITALL) != 5)
		errx(1, "the answer is cut short");
}

static const char *when(bool used_before)
{
	return used_before ? "after a round trip" : "at once";
}

/* One thread waits for the answer, another still sends: send buffer freed, the reader is woken without data. */
static void read_while_another_sends(bool used_before)
{
	const unsigned long bytes_to_send = 8 << 20;
	struct findings findings = {};
	static uint8_t bytes[65536];

	for (int i = 0; i < 5; i++) {
		struct ends ends = connect_ends();
		struct errand partner = { .ends = ends, .bytes = bytes_to_send }, reader = { .ends = ends };

		set_option(ends.subject, SOL_SOCKET, SO_SNDBUF, 256 << 10);
		if (used_before)
			exchange(ends);
		start_thread(&reader.thread, read_answer, &reader);
		sleep_us(SHORT_US);
		start_thread(&partner.thread, answer_in_the_end, &partner);
		for (unsigned long sent = 0; sent < bytes_to_send; sent += sizeof(bytes)) {
			ssize_t put;

			fill(bytes, sizeof(bytes), 1, sent);
			put = send(ends.subject, bytes, sizeof(bytes), 0);
			if (put != sizeof(bytes))
				errx(1, "send of %zu bytes in blocking mode: %s", sizeof(bytes), outcome(put));
		}
		pthread_join(partner.thread, NULL);
		pthread_join(reader.thread, NULL);
		found(&findings, "%lu waits ended without data", reader.bytes);
		close_pair(ends.pair);
	}
	printf("%s, ", when(used_before));
	print_findings("recv in one thread, send in another", &findings);
}

static void *echo(void *argument)
{
	struct errand *errand = argument;
	uint8_t bytes[8192];
	size_t got;

	while ((got = receive_some(errand->ends.partner, bytes, sizeof(bytes))))
		send_all(errand->ends.partner, bytes, got);
	return NULL;
}

/* Plain request and response, as a library with a blocking interface does it. */
static void request_and_response(void)
{
	struct findings findings = {};
	uint8_t sent[8192], received[8192];
	struct random random = random_from(1);

	for (int i = 0; i < 10; i++) {
		struct errand errand = { .ends = connect_ends() };
		unsigned long round_trips = 0;

		start_thread(&errand.thread, echo, &errand);
		for (uint64_t offset = 0; round_trips < 300; round_trips++) {
			size_t count = random_between(&random, 1, sizeof(sent)), total = 0;

			fill(sent, count, i, offset);
			if (send(errand.ends.subject, sent, count, 0) != (ssize_t)count)
				err(1, "send");
			while (total < count) {
				/* By turns: whatever there is, and all of it. */
				ssize_t got = recv(errand.ends.subject, received, count - total,
						   round_trips & 1 ? MSG_WAITALL : 0);

				if (got <= 0 || (round_trips & 1 && (size_t)got < count)) {
					found(&findings, "recv %s", outcome(got));
					break;
				}
				check(received, got, i, offset + total);
				total += got;
			}
			if (total < count)
				break;
			offset += count;
		}
		found(&findings, "%lu right", round_trips);
		shutdown(errand.ends.subject, SHUT_WR);
		pthread_join(errand.thread, NULL);
		close_pair(errand.ends.pair);
	}
	print_findings("round trips", &findings);
}

static void *close_later(void *argument)
{
	struct errand *errand = argument;

	sleep_us(SHORT_US);
	shutdown(errand->ends.partner, SHUT_WR);
	return NULL;
}

static void *reset_later(void *argument)
{
	struct errand *errand = argument;

	sleep_us(SHORT_US);
	reset(errand->ends.partner);
	return NULL;
}

static void *shut_down_subject_later(void *argument)
{
	struct errand *errand = argument;

	sleep_us(SHORT_US);
	shutdown(errand->ends.subject, SHUT_RDWR);
	return NULL;
}

/* How a wait ends that no data will end. */
static void wait_for_the_end(const char *what, void *(*end)(void *), bool used_before)
{
	struct findings findings = {};

	for (int i = 0; i < 30; i++) {
		struct errand errand = { .ends = connect_ends() };
		char byte;

		if (used_before)
			exchange(errand.ends);
		start_thread(&errand.thread, end, &errand);
		found(&findings, "%s", outcome(recv(errand.ends.subject, &byte, 1, 0)));
		pthread_join(errand.thread, NULL);
		close(errand.ends.subject);
		if (end != reset_later)
			close(errand.ends.partner);
	}
	printf("%s, ", when(used_before));
	print_findings(what, &findings);
}

/* SO_RCVTIMEO: EAGAIN then, and not before. */
static void wait_with_a_limit(bool used_before)
{
	const struct timeval limit = { .tv_usec = 30000 };
	struct findings findings = {};

	for (int i = 0; i < 5; i++) {
		struct ends ends = connect_ends();
		uint64_t start_ms;
		char byte;
		ssize_t got;

		if (used_before)
			exchange(ends);
		setsockopt(ends.subject, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		for (int round = 0; round < 3; round++) {
			start_ms = now_ms();
			got = recv(ends.subject, &byte, 1, 0);
			found(&findings, "%s %s", outcome(got), now_ms() - start_ms < 29 ? "early" : "in time");
		}
		close_pair(ends.pair);
	}
	printf("%s, ", when(used_before));
	print_findings("recv with SO_RCVTIMEO", &findings);
}

/* MSG_DONTWAIT asks one call of a blocking socket not to wait; MSG_PEEK leaves the bytes. */
static void other_flags(void)
{
	struct findings findings = {};

	for (int i = 0; i < 20; i++) {
		struct ends ends = connect_ends();
		char bytes[7] = "";

		found(&findings, "nothing there: %s", outcome(recv(ends.subject, bytes, 6, MSG_DONTWAIT)));
		send_all(ends.partner, "abcdef", 6);
		must_be_ready(ends.subject, POLLIN, "6 bytes");
		found(&findings, "peek: %s", outcome(recv(ends.subject, bytes, 3, MSG_PEEK)));
		found(&findings, "peek all: %s %.6s", outcome(recv(ends.subject, bytes, 6, MSG_PEEK | MSG_WAITALL)),
		      bytes);
		found(&findings, "all: %s %.6s", outcome(recv(ends.subject, bytes, 6, MSG_WAITALL)), bytes);
		close_pair(ends.pair);
	}
	print_findings("MSG_DONTWAIT and MSG_PEEK", &findings);
}

int main(int count, char **arguments)
{
	bool used_before;

	if (count != 4 || (strcmp(arguments[3], "exchange") && strcmp(arguments[3], "silence")))
		errx(1, "usage: waits 4|6 MODE exchange|silence");
	mode = mode_named(arguments[2]);
	if (!mode->client_blocks && !mode->server_blocks)
		errx(1, "Cannot use mode %s: no end is in blocking mode", arguments[2]);
	limit_seconds(30);
	address = loopback(arguments[1], 0);
	listening = listener(&address, mode->listener_blocks ? 0 : SOCK_NONBLOCK);

	used_before = !strcmp(arguments[3], "exchange");
	if (used_before) {
		wait_for_all();
		wait_for_all_of_an_answer();
		read_after_shutdown();
		request_and_response();
		other_flags();
	} else {
		wait_for_all_of_a_greeting();
	}
	read_while_another_sends(used_before);
	wait_for_the_end("recv until the partner shuts down", close_later, used_before);
	wait_for_the_end("recv until the partner resets", reset_later, used_before);
	wait_for_the_end("recv until another thread shuts down", shut_down_subject_later, used_before);
	wait_with_a_limit(used_before);
	return 0;
}
