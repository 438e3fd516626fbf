/* SPDX-License-Identifier: Apache-2.0 */
/* Every way in which a connection comes to be. */
#include "harness.h"

#include <sys/stat.h>

/* 20 round trips: long enough for mda to redirect some of them where it can. */
static void talk(void)
{
	BOTH {
		char bytes[100];
		int right = 0;

		for (int i = 0; i < 20; i++) {
			if (is_client)
				send(conn, "question", 8, 0);
			await(conn, POLLIN);
			right += recv(conn, bytes, sizeof(bytes), 0) == 8;
			if (!is_client)
				send(conn, "answered", 8, 0);
		}
		say("%d round trips", right);
	}
	CLIENT {
		shutdown(conn, SHUT_WR);
	}
	SERVER {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		close_conn();
	}
	CLIENT {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		close_conn();
	}
}

static void accept_next(void)
{
	await(listening, POLLIN);
	conn = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (conn < 0)
		say("accept = %s", outcome(-1));
}

static void connect_to_it(void)
{
	CLIENT
		conn = start_connecting(&shared->address, SOCK_NONBLOCK);
	SERVER
		accept_next();
	CLIENT
		await(conn, POLLOUT);
}

static void ordinary(void)
{
	SERVER {
		say_result("accept of nobody", accept4(listening, NULL, NULL, SOCK_NONBLOCK));
		polled(listening, POLLIN, 0);
	}
	talk();
}

static void by_steps(void)
{
	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	CLIENT {
		struct sockaddr *address = (void *)&shared->address;

		conn = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		receive(conn, 10, 0);
		say_result("send", send(conn, "x", 1, MSG_NOSIGNAL));
		say_result("connect", connect(conn, address, shared->address_bytes));
		await(conn, POLLOUT);
		say_error(conn);
		say_result("connect again", connect(conn, address, shared->address_bytes));
		say_result("and again", connect(conn, address, shared->address_bytes));
		polled(conn, POLLIN | POLLOUT, 0);
	}
	SERVER
		accept_next();
	talk();
}

static void refused(void)
{
	SERVER {
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
		close(listening);
	}
	CLIENT {
		conn = start_connecting(&shared->address, SOCK_NONBLOCK);
		polled(conn, POLLIN | POLLOUT, 2000);
		say_error(conn);
		receive(conn, 10, 0);
		close_conn();
		conn = socket(AF_INET, SOCK_STREAM, 0);
		say_result("blocking connect", connect(conn, (void *)&shared->address, shared->address_bytes));
		close_conn();
	}
}

/* With the client in blocking mode until it is connected, as many libraries do. */
static void nonblocking_later(void)
{
	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	CLIENT {
		conn = start_connecting(&shared->address, 0);
		set_nonblocking(conn, true);
	}
	SERVER
		accept_next();
	talk();
}

static void blocking_later(void)
{
	CLIENT
		set_nonblocking(conn, false);
	BOTH {
		char bytes[100];
		int right = 0;

		for (int i = 0; i < 20; i++) {
			if (is_client) {
				send(conn, "question", 8, 0);
				right += recv(conn, bytes, 8, MSG_WAITALL) == 8;
			} else {
				await(conn, POLLIN);
				right += recv(conn, bytes, sizeof(bytes), 0) == 8;
				send(conn, "answer", 6, 0);
				nap_ms(i % 4);
				send(conn, "ed", 2, 0);
			}
		}
		say("%d round trips", right);
	}
}

static void back_and_forth(void)
{
	for (int round = 0; round < 3; round++) {
		CLIENT
			send_text(conn, "question", 0);
		SERVER {
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
		SERVER
			set_nonblocking(conn, false);
		BOTH {
			if (is_client) {
				nap_ms(20);
				send(conn, "for a blocking recv", 19, 0);
			} else {
				receive(conn, 100, 0);
			}
		}
		SERVER {
			set_nonblocking(conn, true);
			receive(conn, 100, 0);
		}
	}
}

static void before_accept(void)
{
	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	CLIENT {
		conn = start_connecting(&shared->address, SOCK_NONBLOCK);
		await(conn, POLLOUT);
		send_text(conn, "sent before accept", 0);
		send_text(conn, " and more", 0);
	}
	SERVER {
		accept_next();
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
	talk();
}

static void closed_before_accept(void)
{
	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	CLIENT {
		conn = start_connecting(&shared->address, SOCK_NONBLOCK);
		await(conn, POLLOUT);
		send_text(conn, "sent before accept", 0);
		close_conn();
	}
	SERVER {
		accept_next();
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void server_speaks_first(void)
{
	SERVER
		for (int i = 0; i < 5; i++)
			send_text(conn, "welcome. ", 0);
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
	talk();
}

static void client_never_speaks(void)
{
	for (int i = 0; i < 20; i++) {
		SERVER
			send_text(conn, "news", 0);
		CLIENT {
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
	}
}

static void deferred(void)
{
	SERVER {
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
		set(listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3);
	}
	CLIENT {
		conn = start_connecting(&shared->address, SOCK_NONBLOCK);
		await(conn, POLLOUT);
	}
	SERVER
		polled(listening, POLLIN, 30);
	CLIENT
		send_text(conn, "now", 0);
	SERVER {
		accept_next();
		receive(conn, 100, 0);
	}
	talk();
}

static void write_sysctl(const char *path, const char *value)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, value, strlen(value)) < 0)
		say("%s: %s", path, outcome(-1));
	close(file);
}

static void fast_open(void)
{
	for (int i = 0; i < 3; i++) {
		SERVER {
			if (!i) {
				write_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "3");
				listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
				set(listening, IPPROTO_TCP, TCP_FASTOPEN, 16);
			}
		}
		CLIENT {
			ssize_t put;

			conn = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			put = sendto(conn, "in the SYN", 10, MSG_FASTOPEN, (void *)&shared->address, shared->address_bytes);
			say("MSG_FASTOPEN = %s", outcome(put));
			if (put < 0) {
				await(conn, POLLOUT);
				send_text(conn, "in the SYN", 0);
			}
		}
		SERVER {
			accept_next();
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
		talk();
	}
}

static void fast_open_connect(void)
{
	for (int i = 0; i < 2; i++) {
		SERVER {
			if (!i) {
				write_sysctl("/proc/sys/net/ipv4/tcp_fastopen", "3");
				listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
				set(listening, IPPROTO_TCP, TCP_FASTOPEN, 16);
			}
		}
		CLIENT {
			int result;

			conn = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
			set(conn, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1);
			result = connect(conn, (void *)&shared->address, shared->address_bytes);
			say_result("connect", result);
			await(conn, POLLOUT);
			send_text(conn, "in the SYN", 0);
		}
		SERVER {
			accept_next();
			await(conn, POLLIN);
			receive(conn, 100, 0);
		}
		talk();
	}
}

static void cookies(void)
{
	SERVER {
		write_sysctl("/proc/sys/net/ipv4/tcp_syncookies", "2");
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	}
	connect_to_it();
	talk();
}

static int bound_socket(const struct sockaddr_storage *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const void *)address, sizeof(*address)))
		say("bind = %s", outcome(-1));
	return fd;
}

/* Signed segments, or no longer with an empty key. */
static bool sign(int fd, const struct sockaddr_storage *other, const char *key)
{
	struct tcp_md5sig signature = { .tcpm_keylen = strlen(key) };

	memcpy(&signature.tcpm_addr, other, sizeof(*other));
	memcpy(signature.tcpm_key, key, strlen(key));
	return !setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof(signature));
}

/* Neither end is a server: each has sent a SYN when the other's comes. The first SYN would be answered with a reset before
 * there can be a second one, but for its signature: to a signed SYN that no socket is there for there is no answer. */
static void simultaneous(void)
{
	struct sockaddr_storage own = loopback_address(AF_INET, 4001 + is_client);
	struct sockaddr_storage other = loopback_address(AF_INET, 4001 + !is_client);

	CLIENT {
		conn = bound_socket(&own);
		shared->number = sign(conn, &other, "key");
		if (!shared->number)
			say("not on this kernel");
		else
			say_result("connect", connect(conn, (void *)&other, sizeof(other)));
	}
	if (!shared->number)
		return;
	SERVER {
		nap_ms(10);
		conn = bound_socket(&own);
		sign(conn, &other, "key");
		say_result("connect", connect(conn, (void *)&other, sizeof(other)));
		await(conn, POLLOUT);
		say_error(conn);
	}
	CLIENT {
		await(conn, POLLOUT);
		say_error(conn);
	}
	BOTH
		sign(conn, &other, "");
	talk();
}

static void with_itself(void)
{
	CLIENT {
		struct sockaddr_storage own = loopback_address(AF_INET, 0);
		socklen_t bytes = sizeof(own);

		conn = bound_socket(&own);
		getsockname(conn, (void *)&own, &bytes);
		connect(conn, (void *)&own, bytes);
		await(conn, POLLOUT);
		say_error(conn);
		for (int i = 0; i < 20; i++) {
			if (send(conn, "to myself", 9, 0) != 9)
				say("send = %s", outcome(-1));
			await(conn, POLLIN);
			if (i < 18)
				recv(conn, &(char[100]){}, 100, 0);
			else
				receive(conn, 100, 0);
		}
		shutdown(conn, SHUT_WR);
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
	}
}

static void reuseport(void)
{
	static int second;

	SERVER {
		struct sockaddr_storage address = loopback_address(AF_INET, 0);
		int on = 1;

		listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		second = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		setsockopt(listening, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		setsockopt(second, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
		shared->address_bytes = sizeof(address);
		if (bind(listening, (void *)&address, sizeof(address)) || listen(listening, 8) ||
		    getsockname(listening, (void *)&shared->address, &shared->address_bytes) ||
		    bind(second, (void *)&shared->address, shared->address_bytes) || listen(second, 8))
			say("listen = %s", outcome(-1));
	}
	for (int i = 0; i < 5; i++) {
		CLIENT
			conn = start_connecting(&shared->address, SOCK_NONBLOCK);
		SERVER {
			struct pollfd both[] = { { listening, POLLIN, 0 }, { second, POLLIN, 0 } };

			poll(both, 2, 2000);
			conn = accept4(both[0].revents ? listening : second, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		}
		CLIENT
			await(conn, POLLOUT);
		talk();
	}
}

/* The same two ends again, as soon as a reset has made them free. */
static void port_again(void)
{
	static struct sockaddr_storage own;

	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	for (int i = 0; i < 5; i++) {
		CLIENT {
			struct sockaddr_storage any = loopback_address(AF_INET, 0);
			socklen_t bytes = sizeof(own);

			conn = bound_socket(i ? &own : &any);
			getsockname(conn, (void *)&own, &bytes);
			if (connect(conn, (void *)&shared->address, shared->address_bytes) && errno != EINPROGRESS)
				say("connect = %s", outcome(-1));
		}
		SERVER
			accept_next();
		CLIENT {
			await(conn, POLLOUT);
			send_pattern(conn, 100 + i, 0);
		}
		SERVER {
			await(conn, POLLIN);
			receive(conn, 1000, 0);
			send_text(conn, "an answer", 0);
		}
		CLIENT {
			struct linger linger = { .l_onoff = 1 };

			await(conn, POLLIN);
			receive(conn, 1000, 0);
			setsockopt(conn, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
			close_conn();
		}
		SERVER {
			await(conn, POLLERR);
			receive(conn, 10, 0);
			close_conn();
		}
	}
}

/* As talk(), on the connection that there is; IPv6 by the case's flag. */
static void other_family(void)
{
	talk();
}

static void mapped(void)
{
	SERVER {
		struct sockaddr_in6 any = { .sin6_family = AF_INET6 };

		listening = start_listening((void *)&any, sizeof(any), SOCK_NONBLOCK);
		shared->address_bytes = sizeof(any);
		getsockname(listening, (void *)&any, &shared->address_bytes);
		shared->address = loopback_address(AF_INET, ntohs(any.sin6_port));
		shared->address_bytes = sizeof(shared->address);
	}
	connect_to_it();
	talk();
	CLIENT {
		struct sockaddr_in6 address = { .sin6_family = AF_INET6,
						.sin6_port = ((struct sockaddr_in *)&shared->address)->sin_port };

		inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
		memset(&shared->address, 0, sizeof(shared->address));
		memcpy(&shared->address, &address, sizeof(address));
	}
	connect_to_it();
	talk();
}

static void alias(void)
{
	SERVER {
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002) };

		listening = start_listening((void *)&address, sizeof(address), SOCK_NONBLOCK);
		shared->address_bytes = sizeof(shared->address);
		getsockname(listening, (void *)&shared->address, &shared->address_bytes);
	}
	connect_to_it();
	talk();
}

static void unspecified(void)
{
	SERVER {
		struct sockaddr_in address = { .sin_family = AF_INET };

		listening = start_listening((void *)&address, sizeof(address), SOCK_NONBLOCK);
		shared->address_bytes = sizeof(shared->address);
		getsockname(listening, (void *)&shared->address, &shared->address_bytes);
	}
	/* To 0.0.0.0, which is this host. */
	connect_to_it();
	talk();
}

static void many_in_turn(void)
{
	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	for (int i = 0; i < 20; i++) {
		connect_to_it();
		CLIENT
			send_text(conn, "one question", 0);
		SERVER {
			await(conn, POLLIN);
			receive(conn, 100, 0);
			send_text(conn, "one answer", 0);
			close_conn();
		}
		CLIENT {
			await(conn, POLLRDHUP);
			receive(conn, 100, 0);
			receive(conn, 100, 0);
			close_conn();
		}
	}
}

static void many_at_once(void)
{
	enum {
		COUNT = 30
	};
	static int ends[COUNT];

	SERVER
		listening = listen_on_loopback(AF_INET, SOCK_NONBLOCK);
	for (int i = 0; i < COUNT; i++) {
		CLIENT {
			ends[i] = start_connecting(&shared->address, SOCK_NONBLOCK);
			await(ends[i], POLLOUT);
		}
		SERVER {
			await(listening, POLLIN);
			ends[i] = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		}
	}
	BOTH {
		int right = 0;

		for (int round = 0; round < 10; round++) {
			for (int i = 0; i < COUNT; i++) {
				if (is_client)
					send(ends[i], &i, sizeof(i), 0);
			}
			for (int i = 0; i < COUNT; i++) {
				int got = -1;

				await(ends[i], POLLIN);
				right += recv(ends[i], &got, sizeof(got), 0) == sizeof(got) && got == i;
				if (!is_client)
					send(ends[i], &i, sizeof(i), 0);
			}
		}
		say("%d right", right);
	}
}

const struct test_case connecting[] = {
	{ "connect", MUST, "a connection of two event loops", "20 round trips", .run = ordinary },
	{ "connect_cold", NEVER, "the same of a program not known before", "20 round trips", .run = ordinary,
	  .how = COLD },
	{ "connect_blocking", NEVER, "a connection in blocking mode", "20 round trips", .run = other_family,
	  .how = BLOCKING },
	{ "connect_steps", MUST, "a non-blocking connect, step by step", "EINPROGRESS, 0, EISCONN",
	  .run = by_steps, .how = UNCONNECTED },
	{ "connect_refused", NEVER, "connect to a port that nobody listens on", "ECONNREFUSED", .run = refused,
	  .how = UNCONNECTED },
	{ "nonblocking_later", MAY, "a client that is non-blocking only once it is connected",
	  "20 round trips", .run = nonblocking_later, .how = UNCONNECTED },
	{ "blocking_later", NEVER, "a client that is blocking once it is connected", "20 round trips",
	  .run = blocking_later },
	{ "mode_switched", MUST, "a reader that is non-blocking and blocking by turns", "a blocking recv waits",
	  .run = back_and_forth },
	{ "before_accept", MUST, "messages before accept", "the bytes", .run = before_accept,
	  .how = UNCONNECTED },
	{ "closed_before_accept", NEVER, "close before accept", "the bytes, then 0", .run = closed_before_accept,
	  .how = UNCONNECTED },
	{ "server_first", MUST, "a server that speaks first", "the bytes", .run = server_speaks_first },
	{ "server_only", NEVER, "a client that only reads", "the bytes", .run = client_never_speaks },
	{ "defer_accept", MUST, "TCP_DEFER_ACCEPT", "accept when there are bytes", .run = deferred,
	  .how = UNCONNECTED },
	{ "fastopen", MAY, "data in the SYN, by MSG_FASTOPEN", "the bytes", .run = fast_open,
	  .how = UNCONNECTED | OWN_NETNS },
	{ "fastopen_connect", MAY, "data in the SYN, by TCP_FASTOPEN_CONNECT", "the bytes",
	  .run = fast_open_connect, .how = UNCONNECTED | OWN_NETNS },
	{ "syncookies", MUST, "SYN cookies for every connection", "20 round trips", .run = cookies,
	  .how = UNCONNECTED | OWN_NETNS },
	{ "simultaneous", MAY, "a simultaneous open", "20 round trips", .run = simultaneous,
	  .how = UNCONNECTED | OWN_NETNS },
	{ "self_connect", MAY, "a socket connected with itself", "the bytes", .run = with_itself,
	  .how = UNCONNECTED },
	{ "reuseport", MUST, "two listeners with SO_REUSEPORT", "20 round trips each", .run = reuseport,
	  .how = UNCONNECTED },
	{ "port_again", MUST, "the same two ports again at once", "the bytes of each connection",
	  .run = port_again, .how = UNCONNECTED },
	{ "ipv6", MUST, "IPv6", "20 round trips", .run = other_family, .how = IPV6 },
	{ "mapped", MUST, "IPv4-mapped addresses", "20 round trips", .run = mapped, .how = UNCONNECTED },
	{ "alias", MUST, "127.0.0.2", "20 round trips", .run = alias, .how = UNCONNECTED },
	{ "unspecified", MUST, "0.0.0.0", "20 round trips", .run = unspecified, .how = UNCONNECTED },
	{ "own_netns", MUST, "a network namespace", "20 round trips", .run = other_family, .how = OWN_NETNS },
	{ "connect_in_turn", MUST, "20 connections, one after the other", "an answer each", .run = many_in_turn,
	  .how = UNCONNECTED },
	{ "connect_many", MUST, "30 connections at once", "300 right", .run = many_at_once,
	  .how = UNCONNECTED },
	{},
};
