/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers that stop reading: how much can their senders queue, does every byte arrive once they read again, and what
 * of the kernel's memory does it take, then and afterwards?
 *
 *   held 4|6 MODE CONNECTIONS BYTES SEND_BUFFER
 *
 * Every connection's client sends BYTES at a time, in a thread of its own, in the mode named MODE (streams.h), with a
 * SO_SNDBUF of SEND_BUFFER (0: as the kernel likes). Prints numbers: of bytes queued in the first round, of KiB of kernel
 * memory. */
#include "streams.h"

#include <stdatomic.h>

#define BYTES_MAX 65536
#define WARM_UP 20 /* messages that are read at once, before the receiver stops */
#define AFTERWARDS 500 /* messages, after the receiver reads again */
#define SETTLED_MS 400 /* senders that have sent nothing for so long are held */
#define QUEUED_MAX (256ul << 20) /* nobody holds this sender */
#define ROUNDS 3
#define NOISE_KIB 4096 /* what the rest of the kernel takes and gives meanwhile */

struct stream {
	struct pair pair;
	pthread_t sender;
	uint32_t number;
	_Atomic uint64_t sent;
	uint64_t received;
	atomic_bool enough;
};

static const struct mode *mode;
static unsigned long message_bytes, send_buffer_bytes;

static void *send_stream(void *argument)
{
	struct stream *stream = argument;
	uint8_t bytes[BYTES_MAX];

	while (!stream->enough) {
		ssize_t put;

		if (stream->sent - stream->received > QUEUED_MAX)
			errx(1, "stream %u: more than %lu bytes queued and the sender is not held", stream->number,
			     QUEUED_MAX);
		fill(bytes, message_bytes, stream->number, stream->sent);
		put = send(stream->pair.client, bytes, message_bytes, MSG_NOSIGNAL);
		if (put < 0 && errno == EAGAIN && !mode->client_blocks) {
			ready(stream->pair.client, POLLOUT, STALL_MS);
			continue;
		}
		if (put <= 0)
			errx(1, "stream %u: send after %llu bytes: %s", stream->number,
			     (unsigned long long)stream->sent, outcome(put));
		stream->sent += put;
	}
	shutdown(stream->pair.client, SHUT_WR);
	return NULL;
}

/* False at the end of the stream. */
static bool receive(struct stream *stream)
{
	static uint8_t bytes[BYTES_MAX];
	size_t got = receive_some(stream->pair.server, bytes, sizeof(bytes));

	check(bytes, got, stream->number, stream->received);
	stream->received += got;
	return got > 0;
}

static uint64_t queued_bytes(const struct stream *streams, unsigned long count)
{
	uint64_t bytes = 0;

	for (unsigned long i = 0; i < count; i++)
		bytes += streams[i].sent - streams[i].received;
	return bytes;
}

static uint64_t queued_when_held(const struct stream *streams, unsigned long count)
{
	uint64_t queued = queued_bytes(streams, count), since_ms = now_ms();

	while (now_ms() - since_ms < SETTLED_MS) {
		uint64_t now = queued_bytes(streams, count);

		if (now != queued)
			since_ms = now_ms();
		queued = now;
		sleep_us(10000);
	}
	return queued;
}

static void go_on(struct stream *stream)
{
	uint64_t target = stream->sent + AFTERWARDS * message_bytes;

	while (stream->received < target)
		if (!receive(stream))
			errx(1, "stream %u ends after %llu bytes", stream->number,
			     (unsigned long long)stream->received);
}

static long sum_of(const char *path, const char *format)
{
	FILE *file = fopen(path, "r");
	char line[512];
	long number, sum = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, format, &number) == 1)
			sum += number;
	if (!file)
		err(1, "Cannot read %s", path);
	fclose(file);
	return sum;
}

/* Pages that nobody but the kernel has: what /proc/meminfo adds up to, other programs, files and what is known of files
 * left out, so that others may do what they like meanwhile. Pages on the allocator's per-CPU lists are free too. */
static long kernel_kib(void)
{
	static const char *const others[] = {
		"MemFree: %ld",
		"Buffers: %ld",
		"Cached: %ld",
		"SwapCached: %ld",
		"AnonPages: %ld",
		"PageTables: %ld",
		"KernelStack: %ld",
		"Percpu: %ld",
		"VmallocUsed: %ld",
		"SReclaimable: %ld",
	};
	long kib = sum_of("/proc/meminfo", "MemTotal: %ld");

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		kib -= sum_of("/proc/meminfo", others[i]);
	return kib - sum_of("/proc/zoneinfo", " count: %ld") * (sysconf(_SC_PAGESIZE) >> 10);
}

struct round {
	uint64_t queued;
	long held_kib;
};

static struct round hold(const char *version, unsigned long count)
{
	struct address address = loopback(version, 0);
	int listening = listener(&address, mode->listener_blocks ? 0 : SOCK_NONBLOCK);
	struct stream *streams = calloc(count, sizeof(*streams));
	struct round round = {};
	long before_kib;

	for (unsigned long i = 0; i < count; i++) {
		streams[i].number = i;
		streams[i].pair = open_pair(mode, listening, &address);
		if (send_buffer_bytes)
			set_option(streams[i].pair.client, SOL_SOCKET, SO_SNDBUF, send_buffer_bytes);
	}
	before_kib = kernel_kib();
	for (unsigned long i = 0; i < count; i++)
		start_thread(&streams[i].sender, send_stream, &streams[i]);
	for (unsigned long i = 0; i < count; i++)
		while (streams[i].received < WARM_UP * message_bytes)
			receive(&streams[i]);
	round.queued = queued_when_held(streams, count);
	round.held_kib = kernel_kib() - before_kib;
	for (unsigned long i = 0; i < count; i++)
		go_on(&streams[i]);
	for (unsigned long i = 0; i < count; i++) {
		streams[i].enough = true;
		while (receive(&streams[i]))
			;
		pthread_join(streams[i].sender, NULL);
		if (streams[i].received != streams[i].sent)
			errx(1, "stream %lu: %llu bytes sent, the stream ends after %llu", i,
			     (unsigned long long)streams[i].sent, (unsigned long long)streams[i].received);
		close_pair(streams[i].pair);
	}
	close(listening);
	free(streams);
	return round;
}

int main(int count, char **arguments)
{
	unsigned long connections;
	struct round first;
	long warm_kib, kept_kib, allowed_kib;

	if (count != 6)
		errx(1, "usage: held 4|6 MODE CONNECTIONS BYTES SEND_BUFFER");
	mode = mode_named(arguments[2]);
	connections = number(arguments[3], "CONNECTIONS");
	message_bytes = number(arguments[4], "BYTES");
	send_buffer_bytes = number(arguments[5], "SEND_BUFFER");
	if (!message_bytes || message_bytes > BYTES_MAX)
		errx(1, "Cannot send %lu bytes at once: 1 to %d", message_bytes, BYTES_MAX);
	limit_seconds(60);

	first = hold(arguments[1], connections);
	printf("queued %llu bytes\nheld %ld KiB\n", (unsigned long long)first.queued, first.held_kib);
	/* Caches are warm now: what further rounds keep is lost. */
	warm_kib = kernel_kib();
	for (int i = 1; i < ROUNDS; i++)
		hold(arguments[1], connections);
	allowed_kib = NOISE_KIB + first.queued / 1024 / 4;
	/* Queues are freed by RCU, some time after close(2). */
	for (int i = 0; (kept_kib = kernel_kib() - warm_kib) > allowed_kib && i < 50; i++)
		sleep_us(100000);
	printf("kept %ld KiB\n", kept_kib);
	return 0;
}
