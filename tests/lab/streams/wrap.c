/* SPDX-License-Identifier: Apache-2.0 */
/* TCP's positions come again after 4 GiB: a stream that TCP carries for exactly that long, behind a reader that never
 * quite catches up, looks as if TCP had carried nothing. The next small message must still queue up behind it.
 *
 *   wrap 4|6 */
#include "streams.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

#define WRAP (1ull << 32)
#define MESSAGE 16384
#define BEHIND_BYTES (4 * MESSAGE) /* left unread at least, while TCP carries the stream */
#define SMALL_BYTES 100

static struct pair pair;
static uint64_t sent, received;

/* Bytes that were handed to TCP: tcp_sock's write_seq. */
static uint64_t tcp_position(void)
{
	/* What netinet/tcp.h knows of it is shorter. */
	struct {
		struct tcp_info info;
		uint64_t pacing_rate, max_pacing_rate, bytes_acked;
	} more = {};
	socklen_t length = sizeof(more);
	int unacknowledged;

	_Static_assert(sizeof(more.info) == 104, "bytes_acked is at byte 120 of the kernel's struct tcp_info");
	if (getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &more, &length) || length < sizeof(more) ||
	    ioctl(pair.client, SIOCOUTQ, &unacknowledged))
		err(1, "Cannot find out what TCP has carried");
	return more.bytes_acked + unacknowledged;
}

static bool send_some(size_t most)
{
	static uint8_t bytes[MESSAGE];
	size_t count = most < sizeof(bytes) ? most : sizeof(bytes);
	ssize_t put;

	fill(bytes, count, 1, sent);
	put = send(pair.client, bytes, count, MSG_NOSIGNAL);
	if (put < 0 && errno != EAGAIN)
		err(1, "send after %llu bytes", (unsigned long long)sent);
	if (put > 0)
		sent += put;
	return put > 0;
}

static bool read_some(size_t most)
{
	static uint8_t bytes[16 * MESSAGE];
	ssize_t got = recv(pair.server, bytes, most < sizeof(bytes) ? most : sizeof(bytes), 0);

	if (got < 0 && errno != EAGAIN)
		err(1, "recv after %llu bytes", (unsigned long long)received);
	if (got == 0)
		errx(1, "the stream ends after %llu bytes", (unsigned long long)received);
	if (got > 0) {
		check(bytes, got, 1, received);
		received += got;
	}
	return got > 0;
}

static void read_all(void)
{
	while (received < sent)
		if (!read_some(sent - received))
			must_be_ready(pair.server, POLLIN, "recv");
}

int main(int count, char **arguments)
{
	struct address address;
	uint64_t start, first, target;
	int listening;

	if (count != 2)
		errx(1, "usage: wrap 4|6");
	limit_seconds(60);
	address = loopback(arguments[1], 0);
	listening = listener(&address, SOCK_NONBLOCK);
	pair = open_pair(mode_named("nonblocking"), listening, &address);
	for (int i = 0; i < 20; i++) {
		send_some(SMALL_BYTES);
		read_all();
	}
	start = tcp_position();
	/* Until TCP carries the stream; on plain TCP at once. */
	do {
		first = sent;
		if (!send_some(SMALL_BYTES))
			errx(1, "the sender is held before TCP has anything to carry");
	} while (tcp_position() == start);
	target = first + WRAP;
	while (sent < target) {
		bool moved = false;

		while (sent < target && send_some(target - sent))
			moved = true;
		while (sent - received > BEHIND_BYTES && read_some(sent - received - BEHIND_BYTES))
			moved = true;
		if (!moved)
			must_be_ready(pair.server, POLLIN, "a stream in TCP");
	}
	printf("%llu bytes through TCP\n", (unsigned long long)(tcp_position() - start));
	for (int i = 0; i < 10; i++)
		if (!send_some(SMALL_BYTES))
			errx(1, "the sender is held by a reader that is %d bytes behind", BEHIND_BYTES);
	read_all();
	for (int i = 0; i < 20; i++) {
		send_some(SMALL_BYTES);
		read_all();
	}
	printf("%llu bytes in all, every byte right\n", (unsigned long long)(received - first));
	return 0;
}
