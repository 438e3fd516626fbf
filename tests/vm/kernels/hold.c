/* SPDX-License-Identifier: Apache-2.0 */
/* Receivers that stop reading: how many bytes can their senders queue, does every byte arrive once they read again,
 * and is the memory back afterwards?
 *
 *   hold 4|6 CONNECTIONS BYTES
 *
 * Non-blocking sockets, BYTES a write. Prints `queued N bytes`, the sum over all connections in the first round. */
#define _GNU_SOURCE
#include "lab.h"

#include <poll.h>

#define BYTES_MAX 65536
#define WARM_UP 20 /* messages that are read at once, before the receiver stops */
#define AFTERWARDS (1 << 20) /* bytes sent after the receiver reads again */
#define SETTLED_MS 500 /* senders that cannot write for so long are held */
#define ROUNDS 2 /* that must not take memory which stays */
#define TRIES 4
#define STALL_MS 20000
#define QUEUED_MAX (256ul << 20) /* nobody holds this sender */

struct pair {
	int sender, receiver;
	uint32_t stream;
	uint64_t sent, received;
};

static unsigned long message_bytes;

static bool ready(int fd, short events, int timeout_ms)
{
	struct pollfd wait = { .fd = fd, .events = events };

	return poll(&wait, 1, timeout_ms) > 0;
}

/* False when the socket takes nothing now. */
static bool send_some(struct pair *pair)
{
	uint8_t bytes[BYTES_MAX];
	ssize_t count;

	fill(bytes, message_bytes, pair->stream, pair->sent);
	count = write(pair->sender, bytes, message_bytes);
	if (count < 0 && errno != EAGAIN)
		err(1, "write after %llu bytes", (unsigned long long)pair->sent);
	if (count > 0)
		pair->sent += count;
	return count > 0;
}

static bool receive_some(struct pair *pair)
{
	uint8_t bytes[BYTES_MAX];
	ssize_t count = read(pair->receiver, bytes, sizeof(bytes));

	if (count < 0 && errno == EAGAIN)
		return false;
	if (count < 0)
		err(1, "read after %llu bytes", (unsigned long long)pair->received);
	if (count == 0)
		errx(1, "the stream ends after %llu bytes", (unsigned long long)pair->received);
	check(bytes, count, pair->stream, pair->received);
	pair->received += count;
	return true;
}

static void receive_all(struct pair *pair)
{
	while (pair->received < pair->sent) {
		if (!receive_some(pair) && !ready(pair->receiver, POLLIN, STALL_MS))
			errx(1, "stream %u: %llu of %llu bytes came within %d ms", pair->stream,
			     (unsigned long long)pair->received, (unsigned long long)pair->sent, STALL_MS);
	}
}

static void open_pair(struct pair *pair, struct address *address, int listening)
{
	pair->sender = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(pair->sender, &address->any, address->length) && errno != EINPROGRESS)
		err(1, "Cannot connect");
	if (!ready(listening, POLLIN, STALL_MS) || !ready(pair->sender, POLLOUT, STALL_MS))
		errx(1, "Cannot connect within %d ms", STALL_MS);
	pair->receiver = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	if (pair->receiver < 0)
		err(1, "Cannot accept");
	for (int i = 0; i < WARM_UP; i++) {
		if (!send_some(pair))
			errx(1, "Cannot send %lu bytes to an idle receiver", message_bytes);
		receive_all(pair);
	}
}

/* Bytes queued once no sender can write any more. */
static uint64_t fill_up(struct pair *pairs, unsigned long count)
{
	uint64_t queued;
	bool moved;

	do {
		queued = 0;
		moved = false;
		for (unsigned long i = 0; i < count; i++) {
			moved |= ready(pairs[i].sender, POLLOUT, SETTLED_MS / count);
			while (send_some(&pairs[i]))
				if (pairs[i].sent - pairs[i].received > QUEUED_MAX)
					errx(1, "stream %u: %lu bytes queued and the sender is not held",
					     pairs[i].stream, QUEUED_MAX);
			queued += pairs[i].sent - pairs[i].received;
		}
	} while (moved);
	return queued;
}

static void go_on(struct pair *pair)
{
	uint64_t target = pair->sent + AFTERWARDS;

	while (pair->sent < target) {
		while (pair->sent < target && send_some(pair))
			;
		if (!receive_some(pair) && !ready(pair->receiver, POLLIN, STALL_MS))
			errx(1, "stream %u stands still after %llu bytes", pair->stream,
			     (unsigned long long)pair->received);
	}
	receive_all(pair);
}

/* The sum of all numbers behind `name` in a file of /proc. */
static unsigned long sum(const char *path, const char *name)
{
	unsigned long value, total = 0;
	char format[64], line[256];
	FILE *file = fopen(path, "r");
	bool found = false;

	if (!file)
		err(1, "Cannot open %s", path);
	snprintf(format, sizeof(format), " %s: %%lu", name);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, format, &value) == 1) {
			total += value;
			found = true;
		}
	fclose(file);
	if (!found)
		errx(1, "Cannot find %s in %s", name, path);
	return total;
}

/* Freed pages first fill the allocator's per-CPU lists (pcp in free_unref_page), which MemAvailable leaves out: tens
 * of megabytes since 5.14. */
static unsigned long available_bytes(void)
{
	return (sum("/proc/meminfo", "MemAvailable") << 10) + sum("/proc/zoneinfo", "count") * sysconf(_SC_PAGESIZE);
}

/* One round: returns what was queued, and stores what it took of the machine's memory. */
static uint64_t hold(const char *version, unsigned long connections, unsigned long *memory)
{
	struct address address = loopback(version, 0);
	int listening = listener(&address, SOCK_NONBLOCK);
	struct pair *pairs = calloc(connections, sizeof(*pairs));
	unsigned long before, held;
	uint64_t queued;

	for (unsigned long i = 0; i < connections; i++) {
		pairs[i].stream = i + 1;
		open_pair(&pairs[i], &address, listening);
	}
	before = available_bytes();
	queued = fill_up(pairs, connections);
	held = available_bytes();
	*memory = before > held ? before - held : 0;
	for (unsigned long i = 0; i < connections; i++) {
		go_on(&pairs[i]);
		close(pairs[i].sender);
		close(pairs[i].receiver);
	}
	close(listening);
	free(pairs);
	return queued;
}

/* Whether what rounds have taken is back. The first ones fill slabs and lists that stay, later ones some more of them now and
 * then; what is lost is lost each time. */
static bool is_back(const char *version, unsigned long connections, uint64_t queued)
{
	unsigned long before = available_bytes(), memory, now;

	for (int i = 0; i < ROUNDS; i++)
		hold(version, connections, &memory);
	/* Queues are freed by RCU, some time after close(2). */
	for (int i = 0; (now = available_bytes()) + queued / 4 < before && i < 50; i++)
		usleep(100000);
	printf("%ld KiB kept after %d more rounds\n", ((long)before - (long)now) / 1024, ROUNDS);
	return now + queued / 4 >= before;
}

int main(int count, char **arguments)
{
	unsigned long connections, memory;
	uint64_t queued;
	int tries = 0;

	if (count != 4)
		errx(1, "usage: hold 4|6 CONNECTIONS BYTES");
	connections = number(arguments[2], "CONNECTIONS");
	message_bytes = number(arguments[3], "BYTES");
	if (message_bytes > BYTES_MAX)
		errx(1, "Cannot send %lu bytes at once: %d is the limit", message_bytes, BYTES_MAX);

	queued = hold(arguments[1], connections, &memory);
	printf("queued %llu bytes, %lu KiB of memory\n", (unsigned long long)queued, memory >> 10);
	while (!is_back(arguments[1], connections, queued))
		if (++tries == TRIES)
			errx(1, "memory did not come back, %d times", TRIES);
	return 0;
}
