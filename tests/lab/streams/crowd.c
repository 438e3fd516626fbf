/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that send on one socket as fast as they can, to a reader that rests: how much is it sent until they are held? Prints that, in
 * bytes, the most of all rounds; then everything is read.
 *
 *   crowd THREADS ROUNDS BYTES BUFFER
 *
 * BUFFER is SO_RCVBUF of the one and SO_SNDBUF of the other.
 */
#include "streams.h"

#define THREADS_MAX 8
#define BYTES_MAX 4096
#define HELD_AFTER 50 /* refusals one after the other, a millisecond apart */

static struct pair pair;
static size_t message_bytes;
static uint64_t sent_bytes;

static void *send_until_held(void *argument)
{
	static const uint8_t bytes[BYTES_MAX];

	for (int refused = 0; refused < HELD_AFTER;) {
		ssize_t put = send(pair.client, bytes, message_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (put < 0 && errno != EAGAIN)
			err(1, "Cannot send");
		if (put < 0) {
			refused++;
			sleep_us(1000);
			continue;
		}
		refused = 0;
		__atomic_add_fetch(&sent_bytes, put, __ATOMIC_RELAXED);
	}
	return argument;
}

static uint64_t fill_up(unsigned long threads)
{
	static uint8_t bytes[1 << 16];
	pthread_t senders[THREADS_MAX];
	uint64_t before = sent_bytes, queued;

	for (unsigned long i = 0; i < threads; i++)
		start_thread(&senders[i], send_until_held, NULL);
	for (unsigned long i = 0; i < threads; i++)
		pthread_join(senders[i], NULL);
	queued = sent_bytes - before;
	for (uint64_t got = 0; got < queued;) {
		must_be_ready(pair.server, POLLIN, "recv");
		got += receive_some(pair.server, bytes, sizeof(bytes));
	}
	return queued;
}

int main(int argc, char **argv)
{
	struct address address = loopback("4", 0);
	unsigned long threads, rounds;
	uint64_t most = 0;
	int listening;

	if (argc != 5)
		errx(2, "Cannot use these arguments: THREADS ROUNDS BYTES BUFFER");
	threads = strtoul(argv[1], NULL, 10);
	rounds = strtoul(argv[2], NULL, 10);
	message_bytes = strtoul(argv[3], NULL, 10);
	if (!threads || threads > THREADS_MAX || !message_bytes || message_bytes > BYTES_MAX)
		errx(2, "Cannot use %lu threads with messages of %zu bytes", threads, message_bytes);
	limit_seconds(60);
	listening = listener(&address, SOCK_NONBLOCK);
	pair = open_pair(mode_named("nonblocking"), listening, &address);
	set_option(pair.client, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(pair.client, SOL_SOCKET, SO_SNDBUF, strtoul(argv[4], NULL, 10));
	set_option(pair.server, SOL_SOCKET, SO_RCVBUF, strtoul(argv[4], NULL, 10));
	become_known(&pair);
	for (unsigned long i = 0; i < rounds; i++) {
		uint64_t queued = fill_up(threads);

		if (queued > most)
			most = queued;
	}
	printf("%llu\n", (unsigned long long)most);
	return 0;
}
