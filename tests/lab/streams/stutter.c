/* SPDX-License-Identifier: Apache-2.0 */
/* Long streams in both directions between ends that stutter: readers stop until buffers are full and then catch up,
 * writers burst and rest. Under mda that forces each direction back and forth between redirection and TCP. Every
 * byte's position is checked.
 *
 *   stutter 4|6 CONNECTIONS MS SEED MESSAGE_MAX poll|edges
 *
 * Writers write for MS, messages of 1 to MESSAGE_MAX bytes; then each shuts down its side, and all must have arrived.
 * Readers on edges wait for the next one after a read that was short, as tokio's do. */
#include "streams.h"

#include <stdatomic.h>
#include <sys/epoll.h>

#define MESSAGE_LIMIT 65536
#define BURST_MAX (200 << 10) /* a reader's buffer, and what fits into the TCP window on top of it */

struct direction {
	int from, to;
	uint32_t stream;
	uint64_t sent, messages;
	_Atomic uint64_t received;
	pthread_t writer, reader;
};

static uint64_t end_ms;
static unsigned long message_max, seed;
static bool on_edges;

/* Half of the pauses are too short for a reader to fall behind, the others long enough for any. */
static void pause_a_while(struct random *random, unsigned long most_us)
{
	if (random_between(random, 0, 1))
		sleep_us(random_between(random, 0, most_us));
	else if (random_between(random, 0, 1))
		sleep_us(random_between(random, 0, 50));
}

static void write_burst(struct direction *direction, struct random *random)
{
	uint8_t bytes[MESSAGE_LIMIT];
	uint64_t end = direction->sent + random_between(random, 1, BURST_MAX);
	/* Many small ones in one burst, large ones in another. */
	uint64_t most = random_between(random, 1, message_max);

	while (direction->sent < end && now_ms() < end_ms) {
		size_t count = random_between(random, 1, most);
		ssize_t put;

		fill(bytes, count, direction->stream, direction->sent);
		put = send(direction->from, bytes, count, MSG_NOSIGNAL);
		if (put < 0 && errno != EAGAIN)
			err(1, "stream %u: send after %llu bytes", direction->stream,
			    (unsigned long long)direction->sent);
		if (put < 0) {
			must_be_ready(direction->from, POLLOUT, "send");
			continue;
		}
		direction->sent += put;
		direction->messages++;
	}
}

static void __attribute__((noreturn)) stands_still(const struct direction *direction)
{
	errx(1, "stream %u stands still: %llu bytes sent, %llu received", direction->stream,
	     (unsigned long long)direction->sent, (unsigned long long)direction->received);
}

/* As one does that waits for an answer: nothing more comes that could wake the reader. */
static void wait_until_read(const struct direction *direction)
{
	uint64_t limit_ms = now_ms() + STALL_MS;

	while (direction->received < direction->sent) {
		if (now_ms() > limit_ms)
			stands_still(direction);
		sleep_us(50);
	}
}

static void *write_stream(void *argument)
{
	struct direction *direction = argument;
	struct random random = random_from(seed << 32 | direction->stream << 1);

	while (now_ms() < end_ms) {
		write_burst(direction, &random);
		if (random_between(&random, 0, 1))
			wait_until_read(direction);
		pause_a_while(&random, 2000);
	}
	if (shutdown(direction->from, SHUT_WR))
		err(1, "stream %u: shutdown", direction->stream);
	return NULL;
}

struct reader {
	int fd, epoll;
	bool ends; /* the end of the stream was seen to come: no edge will */
};

static void wait_for_bytes(struct reader *reader, const struct direction *direction)
{
	struct epoll_event event = {};
	int count;

	if (reader->ends)
		return;
	count = on_edges ? epoll_wait(reader->epoll, &event, 1, STALL_MS) : ready(reader->fd, POLLIN, STALL_MS);
	if (count <= 0)
		stands_still(direction);
	reader->ends = event.events & (EPOLLRDHUP | EPOLLHUP);
}

static void *read_stream(void *argument)
{
	struct direction *direction = argument;
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	struct reader reader = { .fd = direction->to, .epoll = epoll_create1(0) };
	struct random random = random_from(seed << 32 | direction->stream << 1 | 1);
	static __thread uint8_t bytes[MESSAGE_LIMIT];
	uint64_t pause_at = 0;
	ssize_t got = -1;

	if (epoll_ctl(reader.epoll, EPOLL_CTL_ADD, reader.fd, &event))
		err(1, "Cannot watch a socket");
	while (got) {
		size_t most = random_between(&random, 1, sizeof(bytes));
		bool waits;

		got = recv(reader.fd, bytes, most, 0);
		if (got < 0 && errno != EAGAIN)
			err(1, "stream %u: recv after %llu bytes", direction->stream,
			    (unsigned long long)direction->received);
		if (got > 0) {
			check(bytes, got, direction->stream, direction->received);
			direction->received += got;
		}
		waits = got < 0 || (on_edges && got && (size_t)got < most);
		/* On edges, only before it waits: all that comes meanwhile is one edge. */
		if (direction->received >= pause_at && (waits || !on_edges)) {
			pause_a_while(&random, on_edges ? 30000 : 5000);
			pause_at = direction->received + random_between(&random, 1, BURST_MAX);
		}
		if (waits)
			wait_for_bytes(&reader, direction);
	}
	close(reader.epoll);
	return NULL;
}

int main(int count, char **arguments)
{
	unsigned long connections;
	uint64_t bytes = 0, messages = 0;
	struct direction *directions;
	struct address address;
	int listening;

	if (count != 7)
		errx(1, "usage: stutter 4|6 CONNECTIONS MS SEED MESSAGE_MAX poll|edges");
	connections = number(arguments[2], "CONNECTIONS");
	end_ms = now_ms() + number(arguments[3], "MS");
	seed = number(arguments[4], "SEED");
	message_max = number(arguments[5], "MESSAGE_MAX");
	on_edges = !strcmp(arguments[6], "edges");
	if (!message_max || message_max > MESSAGE_LIMIT)
		errx(1, "Cannot send %lu bytes at once: 1 to %d", message_max, MESSAGE_LIMIT);

	limit_seconds(60 + number(arguments[3], "MS") / 1000);
	address = loopback(arguments[1], 0);
	listening = listener(&address, SOCK_NONBLOCK);
	directions = calloc(2 * connections, sizeof(*directions));
	for (unsigned long i = 0; i < 2 * connections; i += 2) {
		struct pair pair = open_pair(mode_named("nonblocking"), listening, &address);

		directions[i] = (struct direction){ .from = pair.client, .to = pair.server, .stream = i };
		directions[i + 1] = (struct direction){ .from = pair.server, .to = pair.client, .stream = i + 1 };
	}
	for (unsigned long i = 0; i < 2 * connections; i++) {
		start_thread(&directions[i].writer, write_stream, &directions[i]);
		start_thread(&directions[i].reader, read_stream, &directions[i]);
	}
	for (unsigned long i = 0; i < 2 * connections; i++) {
		pthread_join(directions[i].writer, NULL);
		pthread_join(directions[i].reader, NULL);
		if (directions[i].received != directions[i].sent)
			errx(1, "stream %lu: %llu bytes sent, the stream ends after %llu", i,
			     (unsigned long long)directions[i].sent, (unsigned long long)directions[i].received);
		bytes += directions[i].sent;
		messages += directions[i].messages;
	}
	printf("%lu streams, %llu messages, %llu bytes, every byte right\n", 2 * connections,
	       (unsigned long long)messages, (unsigned long long)bytes);
	return 0;
}
