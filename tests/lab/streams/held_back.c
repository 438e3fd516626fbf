/* SPDX-License-Identifier: Apache-2.0 */
/* A reader that does not read for a while.
 *
 *   held_back 4|6
 *
 * Sends, says how much; at the next line of standard input it reads, sends 100 bytes more, and says what came of both. */
#include "streams.h"

#define MESSAGES 50
#define MESSAGE_BYTES 100

int main(int argc, char **argv)
{
	static uint8_t bytes[2 * MESSAGES * MESSAGE_BYTES];
	struct address address;
	struct pair pair;
	char read_outcome[32];

	if (argc != 2)
		errx(2, "usage: held_back 4|6");
	limit_seconds(60);
	address = loopback(argv[1], 0);
	pair = open_pair(mode_named("nonblocking"), listener(&address, SOCK_NONBLOCK), &address);
	/* A client is trusted to stay non-blocking once it has sent. */
	send_all(pair.client, "first", 5);
	receive_all(pair.server, bytes, 5);
	for (int i = 0; i < MESSAGES; i++)
		send_all(pair.client, bytes + i * MESSAGE_BYTES, MESSAGE_BYTES);
	printf("sent %d bytes\n", MESSAGES * MESSAGE_BYTES);
	fflush(stdout);
	getchar();
	snprintf(read_outcome, sizeof(read_outcome), "%s", outcome(recv(pair.server, bytes, sizeof(bytes), 0)));
	printf("reader: %s, sender: %s\n", read_outcome, outcome(send(pair.client, bytes, 100, MSG_NOSIGNAL)));
	return 0;
}
