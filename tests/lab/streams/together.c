/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that send on one socket at the same moment, to a reader that rests now and then: the messages of each thread come whole and in its
 * order.
 *
 *   together THREADS SECONDS BYTES RCVBUF poll|edges
 *
 * RCVBUF is the reader's (SO_RCVBUF), 0 for the kernel's: a small one is full all the time, and a direction goes from one queue to the other and
 * back as often. */
#include "streams.h"

#include <sys/epoll.h>

#define THREADS_MAX 8
#define BYTES_MAX 4096
#define SENDBUF (8 << 20)
/* So much fits into the sender's buffer in any case: a message is never sent in parts, between which another's could come. */
#define OUTSTANDING_MAX (256 << 10)
#define REST_EVERY 200
#define REST_US_MAX 2000

struct message {
	uint32_t thread, number;
	uint8_t filling[BYTES_MAX - 8];
};

static struct pair pair;
static size_t message_bytes;
static uint64_t sent_bytes, read_bytes;
static volatile bool stops;

static void *send_in_order(void *argument)
{
	struct message message = { .thread = (uintptr_t)argument };

	memset(message.filling, message.thread, sizeof(message.filling));
	for (; !stops; message.number++) {
		while (__atomic_load_n(&sent_bytes, __ATOMIC_RELAXED) - __atomic_load_n(&read_bytes, __ATOMIC_RELAXED) > OUTSTANDING_MAX) {
			if (stops)
				return NULL;
			sleep_us(50);
		}
		__atomic_add_fetch(&sent_bytes, message_bytes, __ATOMIC_RELAXED);
		if (send(pair.client, &message, message_bytes, MSG_NOSIGNAL) != (ssize_t)message_bytes)
			err(1, "Cannot send a message whole");
	}
	return NULL;
}

struct reader {
	int epoll;
	struct random random;
	uint8_t bytes[1 << 16];
	size_t got; /* of a message that is not whole yet, at the beginning of `bytes` */
	uint32_t next[THREADS_MAX];
};

static void take_messages(struct reader *reader)
{
	size_t at = 0;

	for (; reader->got - at >= message_bytes; at += message_bytes) {
		struct message *message = (void *)(reader->bytes + at);

		if (message->thread >= THREADS_MAX)
			errx(1, "a message of thread %u, which there is not", message->thread);
		if (message->number != reader->next[message->thread])
			errx(1, "message %u of thread %u, where %u is next", message->number, message->thread,
			     reader->next[message->thread]);
		if (message->filling[message_bytes - 9] != (uint8_t)message->thread)
			errx(1, "message %u of thread %u is not whole", message->number, message->thread);
		reader->next[message->thread]++;
	}
	memmove(reader->bytes, reader->bytes + at, reader->got - at);
	reader->got -= at;
}

/* Until there is nothing left; by edges a short read is the last. */
static void read_on(struct reader *reader)
{
	for (;;) {
		size_t room = sizeof(reader->bytes) - reader->got;
		ssize_t got = recv(pair.server, reader->bytes + reader->got, room, MSG_DONTWAIT);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0)
			errx(1, "recv: %s", outcome(got));
		reader->got += got;
		__atomic_add_fetch(&read_bytes, got, __ATOMIC_RELAXED);
		take_messages(reader);
		if (!random_between(&reader->random, 0, REST_EVERY))
			sleep_us(random_between(&reader->random, 0, REST_US_MAX));
		if ((size_t)got < room)
			return;
	}
}

static void read_until(struct reader *reader, uint64_t end_ms)
{
	while (!end_ms || now_ms() < end_ms) {
		struct epoll_event event;

		if (!end_ms && __atomic_load_n(&sent_bytes, __ATOMIC_RELAXED) == __atomic_load_n(&read_bytes, __ATOMIC_RELAXED))
			return;
		if (epoll_wait(reader->epoll, &event, 1, STALL_MS) <= 0)
			errx(1, "nothing comes for %d ms, %llu bytes are missing", STALL_MS, (unsigned long long)(sent_bytes - read_bytes));
		read_on(reader);
	}
}

int main(int argc, char **argv)
{
	static struct reader reader;
	struct address address = loopback("4", 0);
	struct epoll_event event = { .events = EPOLLIN };
	pthread_t threads[THREADS_MAX];
	unsigned long count, seconds;
	uint64_t total = 0;
	int listening;

	if (argc != 6)
		errx(2, "Cannot use these arguments: THREADS SECONDS BYTES RCVBUF poll|edges");
	count = strtoul(argv[1], NULL, 10);
	seconds = strtoul(argv[2], NULL, 10);
	message_bytes = strtoul(argv[3], NULL, 10);
	if (!count || count > THREADS_MAX || message_bytes < 16 || message_bytes > BYTES_MAX)
		errx(2, "Cannot use %lu threads with messages of %zu bytes", count, message_bytes);
	limit_seconds(seconds + 40);
	listening = listener(&address, SOCK_NONBLOCK);
	pair = open_pair(mode_named("nonblocking"), listening, &address);
	set_option(pair.client, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(pair.client, SOL_SOCKET, SO_SNDBUFFORCE, SENDBUF);
	if (strtoul(argv[4], NULL, 10))
		set_option(pair.server, SOL_SOCKET, SO_RCVBUF, strtoul(argv[4], NULL, 10));
	/* Both programs, which are this one, must be known for a connection to be redirected. */
	become_known(&pair);
	reader.epoll = epoll_create1(0);
	reader.random = random_from(now_ms());
	if (!strcmp(argv[5], "edges"))
		event.events |= EPOLLET;
	if (reader.epoll < 0 || epoll_ctl(reader.epoll, EPOLL_CTL_ADD, pair.server, &event))
		err(1, "Cannot watch a socket");
	for (uintptr_t i = 0; i < count; i++)
		start_thread(&threads[i], send_in_order, (void *)i);
	read_until(&reader, now_ms() + seconds * 1000);
	stops = true;
	for (unsigned long i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	read_until(&reader, 0);
	for (unsigned long i = 0; i < count; i++)
		total += reader.next[i];
	printf("%llu messages of %lu threads, each in its order\n", (unsigned long long)total, count);
	return 0;
}
