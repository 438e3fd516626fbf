/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that end, or half of them, or that turn into what mda leaves to TCP, with bytes under way: nothing is
 * lost, and nobody is told of an error that TCP would not tell of. Event-driven ends.
 *
 *   leaving 4|6 PERCENT
 *
 * PERCENT of the connections, for slow machines. Every line is an observation that plain TCP makes too. */
#include "streams.h"

#define PATIENCE_BYTES 100000 /* fits into the buffers of a connection whose receiver does not read yet */

enum {
	TO_SERVER,
	TO_CLIENT
};

static struct address address;
static int listening;
static unsigned long percent;

static int some(int connections)
{
	return (connections * percent + 99) / 100;
}

/* A connection with a thread at its server's end, or at whichever end is the partner's. */
struct visit {
	pthread_t thread;
	struct pair pair;
	unsigned long index;
	struct random random;
	uint64_t bytes;
	const char *problem; /* of the thread; NULL: none */
};

static struct visit begin(unsigned long index)
{
	struct visit visit = {
		.pair = open_pair(mode_named("nonblocking"), listening, &address),
		.index = index,
		.random = random_from(index),
	};

	/* As event-driven programs do. */
	set_option(visit.pair.client, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(visit.pair.server, IPPROTO_TCP, TCP_NODELAY, 1);
	return visit;
}

static uint32_t stream_of(const struct visit *visit, int direction)
{
	return visit->index * 2 + direction;
}

/* Sends a part of a stream in messages of up to message_max bytes. Returns NULL or the error's name. */
static const char *send_part(int fd, uint32_t stream, uint64_t offset, uint64_t bytes, size_t message_max)
{
	struct random random = random_from(stream ^ offset << 32);
	static __thread uint8_t message[1 << 20];

	for (uint64_t end = offset + bytes; offset < end;) {
		size_t count = random_between(&random, 1, message_max);
		ssize_t put;

		if (count > end - offset)
			count = end - offset;
		fill(message, count, stream, offset);
		put = send(fd, message, count, MSG_NOSIGNAL);
		if (put < 0 && errno != EAGAIN)
			return strerrorname_np(errno);
		if (put < 0 && !ready(fd, POLLOUT, STALL_MS))
			return "a send that stands still";
		if (put > 0)
			offset += put;
	}
	return NULL;
}

/* Reads a part of a stream, up to `bytes`, or to its end. Returns how many came; what ended it is in *end. */
static uint64_t read_part(int fd, uint32_t stream, uint64_t offset, uint64_t bytes, const char **end)
{
	static __thread uint8_t buffer[65536];
	uint64_t received = 0;

	*end = "as many as expected";
	while (received < bytes) {
		uint64_t most = bytes - received < sizeof(buffer) ? bytes - received : sizeof(buffer);
		ssize_t got = recv(fd, buffer, most, 0);

		if (got < 0 && errno == EAGAIN) {
			if (ready(fd, POLLIN, STALL_MS))
				continue;
			*end = "a stream that stands still";
			break;
		}
		if (got <= 0) {
			*end = got ? strerrorname_np(errno) : "the end";
			break;
		}
		check(buffer, got, stream, offset + received);
		received += got;
	}
	return received;
}

#define TO_THE_END UINT64_MAX

/* One finding: right, or where it went wrong. */
static void judge(struct findings *findings, const char *sent, uint64_t received, uint64_t expected, const char *end)
{
	if (!sent && received == expected)
		found(findings, "every byte, %s", end);
	else
		found(findings, "%s%s%lld bytes short, %s", sent ?: "", sent ? ", " : "",
		      (long long)(expected - received), end);
}

static void *echo_at_the_end(void *argument)
{
	struct visit *visit = argument;
	const char *end;
	uint64_t bytes = read_part(visit->pair.server, stream_of(visit, TO_SERVER), 0, TO_THE_END, &end);

	visit->problem = send_part(visit->pair.server, stream_of(visit, TO_SERVER), 0, bytes, 4000);
	close(visit->pair.server);
	return NULL;
}

/* The client half-closes, the server answers with all that it has read. */
static void echo_after_half_close(void)
{
	struct findings findings = {};

	for (int i = 0; i < some(300); i++) {
		struct visit visit = begin(i);
		uint64_t bytes = random_between(&visit.random, 1, i & 1 ? 60000 : 500), received;
		const char *problem, *end;

		start_thread(&visit.thread, echo_at_the_end, &visit);
		problem = send_part(visit.pair.client, stream_of(&visit, TO_SERVER), 0, bytes, 2000);
		shutdown(visit.pair.client, SHUT_WR);
		received = read_part(visit.pair.client, stream_of(&visit, TO_SERVER), 0, TO_THE_END, &end);
		pthread_join(visit.thread, NULL);
		judge(&findings, problem ?: visit.problem, received, bytes, end);
		close(visit.pair.client);
	}
	print_findings("echo after a half-close", &findings);
}

static void *answer_at_the_end(void *argument)
{
	struct visit *visit = argument;
	const char *end;

	read_part(visit->pair.server, stream_of(visit, TO_SERVER), 0, TO_THE_END, &end);
	visit->problem = send_part(visit->pair.server, stream_of(visit, TO_CLIENT), 0, visit->bytes,
				   visit->index & 1 ? 16384 : 1 << 20);
	close(visit->pair.server);
	return NULL;
}

static void large_answer_after_half_close(void)
{
	struct findings findings = {};

	for (int i = 0; i < some(20); i++) {
		struct visit visit = begin(i);
		const char *problem, *end;
		uint64_t received;

		visit.bytes = 4 << 20;
		start_thread(&visit.thread, answer_at_the_end, &visit);
		problem = send_part(visit.pair.client, stream_of(&visit, TO_SERVER), 0, 100, 100);
		shutdown(visit.pair.client, SHUT_WR);
		received = read_part(visit.pair.client, stream_of(&visit, TO_CLIENT), 0, TO_THE_END, &end);
		pthread_join(visit.thread, NULL);
		judge(&findings, problem ?: visit.problem, received, visit.bytes, end);
		close(visit.pair.client);
	}
	print_findings("large answer after a half-close", &findings);
}

enum amid {
	SHUTS_DOWN_BEHIND,
	SHUTS_DOWN,
	BLOCKS_AND_SHUTS_DOWN,
	BLOCKS_AND_ANSWERS,
	ANSWERS_IN_BULK,
	AMID_KINDS
};

static const char *const amid_names[] = {
	"the server shuts down its side while it is behind",
	"the server shuts down its side",
	"the server switches to blocking mode and shuts down its side",
	"the server switches to blocking mode and answers",
	"the server answers in bulk",
};

static const uint64_t amid_answer_bytes[] = { 1000, 0, 0, 1000, 512 << 10 };

/* Reads until it has caught up with the client, so that what comes next meets a message in the middle of its way. */
static uint64_t catch_up(struct visit *visit, uint64_t bytes, enum amid kind)
{
	uint64_t received = 0;

	for (uint64_t end_ms = now_ms() + STALL_MS; now_ms() < end_ms;) {
		uint8_t buffer[16384];
		ssize_t got = recv(visit->pair.server, buffer, sizeof(buffer), 0);

		if (got > 0) {
			check(buffer, got, stream_of(visit, TO_SERVER), received);
			received += got;
		}
		if (got < 0 && errno != EAGAIN)
			err(1, "recv");
		if (!got || (received >= bytes && (got < 0 || kind == SHUTS_DOWN_BEHIND)))
			return received;
	}
	errx(1, "a stream stands still");
}

static void *change_amid(void *argument)
{
	struct visit *visit = argument;
	enum amid kind = visit->index % AMID_KINDS;
	uint64_t received = catch_up(visit, random_between(&visit->random, 0, visit->bytes / 2), kind);
	const char *end;

	if (kind == BLOCKS_AND_SHUTS_DOWN || kind == BLOCKS_AND_ANSWERS)
		set_nonblocking(visit->pair.server, false);
	visit->problem = send_part(visit->pair.server, stream_of(visit, TO_CLIENT), 0, amid_answer_bytes[kind],
				   kind == ANSWERS_IN_BULK ? 256 << 10 : 300);
	if (shutdown(visit->pair.server, SHUT_WR))
		err(1, "shutdown");
	received += read_part(visit->pair.server, stream_of(visit, TO_SERVER), received, TO_THE_END, &end);
	if (!visit->problem && received < visit->bytes)
		visit->problem = end;
	visit->bytes = received;
	return NULL;
}

/* The client sends one message after the other while the server leaves: no EPIPE, as the server still reads. */
static void pipeline_amid_changes(void)
{
	struct findings findings[AMID_KINDS] = {};

	for (int i = 0; i < some(200 * AMID_KINDS); i++) {
		struct visit visit = begin(i);
		uint64_t bytes = random_between(&visit.random, 1, i & 1 ? 40000 : 200000), received;
		const char *problem, *end;

		visit.bytes = bytes;
		start_thread(&visit.thread, change_amid, &visit);
		problem = send_part(visit.pair.client, stream_of(&visit, TO_SERVER), 0, bytes, 200);
		shutdown(visit.pair.client, SHUT_WR);
		received = read_part(visit.pair.client, stream_of(&visit, TO_CLIENT), 0, TO_THE_END, &end);
		pthread_join(visit.thread, NULL);
		judge(&findings[i % AMID_KINDS], problem ?: visit.problem, visit.bytes + received,
		      bytes + amid_answer_bytes[i % AMID_KINDS], end);
		close_pair(visit.pair);
	}
	for (int kind = 0; kind < AMID_KINDS; kind++) {
		printf("amid pipelined messages, ");
		print_findings(amid_names[kind], &findings[kind]);
	}
}

static void *send_and_close(void *argument)
{
	struct visit *visit = argument;

	visit->problem = send_part(visit->pair.server, stream_of(visit, TO_CLIENT), 0, visit->bytes, 3000);
	close(visit->pair.server);
	return NULL;
}

/* All of it arrives, and then the end, however late it is read. */
static void close_with_data_in_flight(void)
{
	struct findings findings = {};

	for (int i = 0; i < some(400); i++) {
		struct visit visit = begin(i);
		const char *end;
		uint64_t received;

		visit.bytes = random_between(&visit.random, 1, i & 1 ? PATIENCE_BYTES : 300);
		/* Some have been in use before. */
		if (i & 2) {
			send_all(visit.pair.client, "hello", 5);
			receive_all(visit.pair.server, (char[5]){}, 5);
		}
		start_thread(&visit.thread, send_and_close, &visit);
		if (i & 4)
			sleep_us(random_between(&visit.random, 0, 2000));
		received = read_part(visit.pair.client, stream_of(&visit, TO_CLIENT), 0, TO_THE_END, &end);
		pthread_join(visit.thread, NULL);
		judge(&findings, visit.problem, received, visit.bytes, end);
		close(visit.pair.client);
	}
	print_findings("close with data in flight", &findings);
}

static void round_trips(struct visit *visit, uint64_t offset, unsigned long count, struct findings *findings)
{
	for (unsigned long i = 0; i < count; i++, offset += 100) {
		const char *end;
		uint64_t there, back;

		send_part(visit->pair.client, stream_of(visit, TO_SERVER), offset, 100, 100);
		there = read_part(visit->pair.server, stream_of(visit, TO_SERVER), offset, 100, &end);
		send_part(visit->pair.server, stream_of(visit, TO_CLIENT), offset, 100, 100);
		back = read_part(visit->pair.client, stream_of(visit, TO_CLIENT), offset, 100, &end);
		if (there + back < 200) {
			found(findings, "round trip %s", end);
			return;
		}
	}
}

#define BULK_BYTES (8 << 20)
#define SMALL_TRIPS 200
#define SMALL_OFFSET (SMALL_TRIPS * 100)

static void *send_bulk(void *argument)
{
	struct visit *visit = argument;

	visit->problem = send_part(visit->pair.client, stream_of(visit, TO_SERVER), SMALL_OFFSET, BULK_BYTES,
				   visit->index & 1 ? 1 << 20 : 128 << 10);
	return NULL;
}

/* Small messages, large ones (mda leaves such a socket to TCP), small ones. */
static void turn_to_bulk(void)
{
	struct findings findings = {};

	for (int i = 0; i < some(10); i++) {
		struct visit visit = begin(i);
		const char *end;
		uint64_t received;

		round_trips(&visit, 0, SMALL_TRIPS, &findings);
		start_thread(&visit.thread, send_bulk, &visit);
		received = read_part(visit.pair.server, stream_of(&visit, TO_SERVER), SMALL_OFFSET, BULK_BYTES, &end);
		pthread_join(visit.thread, NULL);
		judge(&findings, visit.problem, received, BULK_BYTES, end);
		visit.index += 1000; /* other streams from here on, so that positions begin at 0 */
		round_trips(&visit, 0, SMALL_TRIPS, &findings);
		close_pair(visit.pair);
	}
	print_findings("small, large and small messages", &findings);
}

#define SWITCHING_BYTES (2 << 20)

static void *send_while_switching(void *argument)
{
	struct visit *visit = argument;
	struct random random = random_from(visit->index + 1000);

	for (uint64_t offset = 0; offset < SWITCHING_BYTES && !visit->problem;) {
		uint64_t bytes = random_between(&random, 1, 20000);

		if (bytes > SWITCHING_BYTES - offset)
			bytes = SWITCHING_BYTES - offset;
		if (visit->index & 1)
			set_nonblocking(visit->pair.client, random_between(&random, 0, 1));
		visit->problem = send_part(visit->pair.client, stream_of(visit, TO_SERVER), offset, bytes, 2000);
		offset += bytes;
	}
	shutdown(visit->pair.client, SHUT_WR);
	return NULL;
}

/* Ends switch to blocking mode and back, each at its own time, as the bytes flow. */
static void switch_modes(void)
{
	struct findings findings = {};

	for (int i = 0; i < some(30); i++) {
		struct visit visit = begin(i);
		uint64_t received = 0;
		const char *end = "";

		start_thread(&visit.thread, send_while_switching, &visit);
		while (strcmp(end, "the end") && received < SWITCHING_BYTES) {
			uint64_t bytes = random_between(&visit.random, 1, 20000), got;

			if (i & 2)
				set_nonblocking(visit.pair.server, random_between(&visit.random, 0, 1));
			got = read_part(visit.pair.server, stream_of(&visit, TO_SERVER), received,
					bytes < SWITCHING_BYTES - received ? bytes : SWITCHING_BYTES - received, &end);
			received += got;
		}
		pthread_join(visit.thread, NULL);
		judge(&findings, visit.problem, received, SWITCHING_BYTES, end);
		close_pair(visit.pair);
	}
	print_findings("blocking mode on and off amid a stream", &findings);
}

static void reset(int fd)
{
	struct linger linger = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(fd);
}

enum visit_kind {
	CLIENT_CLOSES,
	SERVER_CLOSES,
	CLIENT_SENDS,
	SERVER_SENDS,
	CLIENT_RESETS,
	VISIT_KINDS
};

static const char *const visit_names[] = {
	"the client closes",
	"the server closes",
	"the client sends and closes",
	"the server sends and closes",
	"the client resets",
};

/* Connections that are hardly there: what does the end see that did not close? */
static void open_and_close(enum visit_kind kind)
{
	struct findings findings = {};

	for (int i = 0; i < some(500); i++) {
		struct visit visit = begin(i);
		int closes = kind == SERVER_CLOSES || kind == SERVER_SENDS ? visit.pair.server : visit.pair.client;
		int stays = visit.pair.client + visit.pair.server - closes;
		const char *end;
		uint64_t received;

		if (kind == CLIENT_SENDS || kind == SERVER_SENDS)
			send_part(closes, i, 0, 100, 100);
		if (kind == CLIENT_RESETS)
			reset(closes);
		else
			close(closes);
		received = read_part(stays, i, 0, TO_THE_END, &end);
		found(&findings, "%llu bytes and %s", (unsigned long long)received, end);
		close(stays);
	}
	print_findings(visit_names[kind], &findings);
}

int main(int count, char **arguments)
{
	if (count != 3)
		errx(1, "usage: leaving 4|6 PERCENT");
	limit_seconds(60);
	percent = number(arguments[2], "PERCENT");
	address = loopback(arguments[1], 0);
	listening = listener(&address, SOCK_NONBLOCK);

	echo_after_half_close();
	large_answer_after_half_close();
	pipeline_amid_changes();
	close_with_data_in_flight();
	turn_to_bulk();
	switch_modes();
	for (int kind = 0; kind < VISIT_KINDS; kind++)
		open_and_close(kind);
	return 0;
}
