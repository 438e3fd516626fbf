/* SPDX-License-Identifier: Apache-2.0 */
/* Readers that receive, and begin to splice(2) from their sockets in mid-stream, with bytes waiting.
 *
 *   splices 4|6 CONNECTIONS BYTES SEED [mixed|never]
 *
 * Each connection has a process at each end. The writer sends BYTES in messages of many sizes; the reader takes the first of
 * them with recv(2), and from some place on all with splice(2), or with `mixed` now with the one and then with the other, or with
 * `never` not at all. Every byte is checked. Prints how often splice had to be tried again although poll said that there was something. */
#include "streams.h"

#include <sys/wait.h>

#define WARM_TRIPS 40
#define MESSAGE_MAX 6000
#define READ_MAX 10000

static void write_stream(int fd, uint32_t stream, size_t bytes, struct random random)
{
	static uint8_t message[MESSAGE_MAX];

	for (int i = 0; i < WARM_TRIPS; i++) {
		send_all(fd, "request", 7);
		receive_all(fd, message, 1);
	}
	for (size_t sent = 0; sent < bytes;) {
		size_t count = random_between(&random, 1, MESSAGE_MAX);

		if (count > bytes - sent)
			count = bytes - sent;
		fill(message, count, stream, sent);
		send_all(fd, message, count);
		sent += count;
		if (!random_between(&random, 0, 15))
			sleep_us(random_between(&random, 100, 3000));
	}
	/* The reader says that it has read all: until then nobody closes. */
	receive_all(fd, message, 1);
}

/* As a program with an event loop does it; *again counts the times that there was nothing after all. */
static size_t splice_some(int fd, const int pipe[2], uint8_t *bytes, size_t count, unsigned long *again)
{
	uint64_t end = now_ms() + STALL_MS;

	for (;;) {
		ssize_t moved;

		must_be_ready(fd, POLLIN, "splice");
		moved = splice(fd, NULL, pipe[1], NULL, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (moved >= 0) {
			for (ssize_t got = 0, more; got < moved; got += more)
				if ((more = read(pipe[0], bytes + got, moved - got)) <= 0)
					err(1, "read from the pipe");
			return moved;
		}
		if (errno != EAGAIN)
			err(1, "splice");
		if (now_ms() > end)
			errx(1, "splice: EAGAIN for %d ms, while poll says that there is something", STALL_MS);
		++*again;
		sleep_us(1000);
	}
}

static bool never;

static unsigned long read_stream(int fd, uint32_t stream, size_t bytes, struct random random, bool mixed)
{
	size_t splice_from = never ? bytes : random_between(&random, 0, bytes / 2);
	static uint8_t taken[READ_MAX];
	unsigned long again = 0;
	int ends[2];

	if (pipe(ends))
		err(1, "Cannot make a pipe");
	for (int i = 0; i < WARM_TRIPS; i++) {
		receive_all(fd, taken, 7);
		send_all(fd, "!", 1);
	}
	for (size_t received = 0; received < bytes;) {
		size_t count = random_between(&random, 1, READ_MAX);
		bool splices = received >= splice_from && (!mixed || random_between(&random, 0, 1));
		size_t got;

		if (!random_between(&random, 0, 15))
			sleep_us(random_between(&random, 100, 3000));
		got = splices ? splice_some(fd, ends, taken, count, &again) : receive_some(fd, taken, count);
		if (!got)
			errx(1, "stream %u ends after %zu of %zu bytes", stream, received, bytes);
		check(taken, got, stream, received);
		received += got;
	}
	send_all(fd, "!", 1);
	/* Its peer closes. */
	if (receive_some(fd, taken, 1))
		errx(1, "stream %u has more than was sent", stream);
	return again;
}

static pid_t start(void)
{
	pid_t child = fork();

	if (child < 0)
		err(1, "Cannot fork");
	if (!child)
		limit_seconds(60);
	return child;
}

int main(int argc, char **argv)
{
	size_t connections, bytes;
	struct address address;
	bool mixed = argc == 6 && !strcmp(argv[5], "mixed");
	int listening, failed = 0;
	uint64_t seed;

	never = argc == 6 && !strcmp(argv[5], "never");
	if (argc != 5 && !mixed && !never)
		errx(2, "usage: splices 4|6 CONNECTIONS BYTES SEED [mixed|never]");
	connections = number(argv[2], "CONNECTIONS");
	bytes = number(argv[3], "BYTES");
	seed = number(argv[4], "SEED");
	address = loopback(argv[1], 0);
	listening = listener(&address, SOCK_NONBLOCK);
	for (size_t i = 0; i < connections; i++) {
		struct pair pair = open_pair(mode_named("nonblocking"), listening, &address);

		if (!start()) {
			close(pair.server);
			write_stream(pair.client, i, bytes, random_from(seed + 2 * i));
			return 0;
		}
		if (!start()) {
			close(pair.client);
			printf("again %lu\n", read_stream(pair.server, i, bytes, random_from(seed + 2 * i + 1), mixed));
			return 0;
		}
		close_pair(pair);
	}
	for (int status; wait(&status) > 0;)
		failed |= status;
	if (failed)
		return 1;
	printf("%zu streams, every byte right\n", connections);
	return 0;
}
