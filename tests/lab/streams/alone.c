/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that do with TCP what sockmap cannot serve: mda must leave them alone.
 *
 *   alone 4|6 mptcp|siblings|array|tls|self|lowat|fastopen
 *
 * Every line is an observation that plain TCP makes too. */
#include "streams.h"

#include <linux/bpf.h>
#include <linux/tls.h>
#include <sys/syscall.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

#ifndef TCPI_OPT_SYN_DATA
#define TCPI_OPT_SYN_DATA 32
#endif

#define CONNECTIONS 20

static struct address address;

/* Round trips of up to `most` bytes from one end and back; both may be the same socket. */
static void round_trips(struct pair pair, uint32_t stream, unsigned long count, size_t most,
			struct findings *findings)
{
	static uint8_t bytes[65536];
	struct random random = random_from(stream);
	uint64_t offset = 0;

	for (unsigned long i = 0; i < count; i++) {
		size_t part = random_between(&random, 1, most);
		int ends[] = { pair.client, pair.server, pair.client };

		for (int hop = 0; hop < 2; hop++) {
			fill(bytes, part, stream + hop, offset);
			send_all(ends[hop], bytes, part);
			receive_all(ends[hop + 1], bytes, part);
			check(bytes, part, stream + hop, offset);
		}
		offset += part;
	}
	found(findings, "%lu round trips", count);
}

/* Both ends shut down; nothing is left over. */
static void finish(struct pair pair, struct findings *findings)
{
	char byte;

	shutdown(pair.client, SHUT_WR);
	if (pair.server != pair.client) {
		found(findings, "%zu bytes left", receive_some(pair.server, &byte, 1));
		shutdown(pair.server, SHUT_WR);
		close(pair.server);
	}
	found(findings, "%zu bytes left", receive_some(pair.client, &byte, 1));
	close(pair.client);
}

static int open_socket(int protocol)
{
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, protocol);

	if (fd < 0)
		err(1, "Cannot make a socket of protocol %d", protocol);
	return fd;
}

static void mptcp(const char *what, int client_protocol, int server_protocol)
{
	struct findings findings = {};
	struct address to = loopback(address.any.sa_family == AF_INET ? "4" : "6", 0);
	int listening = open_socket(server_protocol);

	if (bind(listening, &to.any, to.length) || listen(listening, 100) ||
	    getsockname(listening, &to.any, &to.length))
		err(1, "Cannot listen");
	for (int i = 0; i < CONNECTIONS; i++) {
		struct pair pair;

		pair.client = open_socket(client_protocol);
		if (connect(pair.client, &to.any, to.length) && errno != EINPROGRESS)
			err(1, "Cannot connect");
		must_be_ready(listening, POLLIN, "accept");
		pair.server = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		if (pair.server < 0)
			err(1, "Cannot accept");
		finish_connect(pair.client);
		round_trips(pair, i * 2, 100, 2000, &findings);
		round_trips(pair, i * 2, 5, 65536, &findings);
		finish(pair, &findings);
	}
	close(listening);
	print_findings(what, &findings);
}

/* A TCP and an MPTCP listener share an address (SO_REUSEPORT): by its hash a client's SYN is for the one or the other. Which one
 * is not the same at each run, and so not told. TCP's listens last: it is the one that cookies are taken to be from. */
static void siblings(void)
{
	struct address to = loopback(address.any.sa_family == AF_INET ? "4" : "6", 0);
	int protocols[] = { IPPROTO_MPTCP, IPPROTO_TCP };
	struct findings findings = {};
	struct pollfd polled[2];

	for (int i = 0; i < 2; i++) {
		polled[i] = (struct pollfd){ .fd = open_socket(protocols[i]), .events = POLLIN };
		set_option(polled[i].fd, SOL_SOCKET, SO_REUSEPORT, 1);
		if (bind(polled[i].fd, &to.any, to.length) || listen(polled[i].fd, 100) ||
		    getsockname(polled[i].fd, &to.any, &to.length))
			err(1, "Cannot listen");
	}
	for (int i = 0; i < CONNECTIONS; i++) {
		struct pair pair;

		pair.client = start_connect(&to, SOCK_NONBLOCK);
		if (poll(polled, 2, 5000) <= 0)
			errx(1, "nothing to accept");
		pair.server = accept4(polled[polled[0].revents ? 0 : 1].fd, NULL, NULL, SOCK_NONBLOCK);
		if (pair.server < 0)
			err(1, "Cannot accept");
		finish_connect(pair.client);
		round_trips(pair, i * 2, 100, 2000, &findings);
		finish(pair, &findings);
	}
	print_findings("TCP to one of two siblings", &findings);
}

/* A listener that a BPF program may choose: its sk_user_data is the array's. */
static void reuseport_array(void)
{
	union bpf_attr array = {
		.map_type = BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};
	struct address to = loopback(address.any.sa_family == AF_INET ? "4" : "6", 0);
	struct findings findings = {};
	int listening = open_socket(0);
	uint64_t value = listening;
	union bpf_attr place;
	uint32_t key = 0;

	set_option(listening, SOL_SOCKET, SO_REUSEPORT, 1);
	if (bind(listening, &to.any, to.length) || listen(listening, 100) ||
	    getsockname(listening, &to.any, &to.length))
		err(1, "Cannot listen");
	place = (union bpf_attr){
		.map_fd = syscall(SYS_bpf, BPF_MAP_CREATE, &array, sizeof(array)),
		.key = (uintptr_t)&key,
		.value = (uintptr_t)&value,
	};
	if (syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &place, sizeof(place)))
		err(1, "Cannot put a listener into an array");
	for (int i = 0; i < CONNECTIONS; i++) {
		struct pair pair = open_pair(mode_named("nonblocking"), listening, &to);

		round_trips(pair, i * 2, 100, 2000, &findings);
		finish(pair, &findings);
	}
	print_findings("a listener in a reuseport array", &findings);
}

/* The keys are known to both: what one end encrypts, the other decrypts. */
static bool start_tls(int fd, int send_key, struct findings *findings)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"))) {
		found(findings, "TCP_ULP tls: %s", outcome(-1));
		return false;
	}
	for (int direction = 0; direction < 2; direction++) {
		struct tls12_crypto_info_aes_gcm_128 crypto = {
			.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
		};

		memset(crypto.key, 1 + (send_key ^ direction), sizeof(crypto.key));
		if (setsockopt(fd, SOL_TLS, direction ? TLS_RX : TLS_TX, &crypto, sizeof(crypto))) {
			found(findings, "%s: %s", direction ? "TLS_RX" : "TLS_TX", outcome(-1));
			return false;
		}
	}
	return true;
}

/* Round trips in clear first, if any, then encrypted. */
static void tls(const char *what, unsigned long trips_in_clear)
{
	struct findings findings = {};
	int listening = listener(&address, SOCK_NONBLOCK);

	for (int i = 0; i < CONNECTIONS; i++) {
		struct pair pair = open_pair(mode_named("nonblocking"), listening, &address);

		round_trips(pair, i * 2, trips_in_clear, 2000, &findings);
		if (start_tls(pair.client, 0, &findings) && start_tls(pair.server, 1, &findings)) {
			round_trips(pair, i * 2, 100, 2000, &findings);
			round_trips(pair, i * 2, 5, 65536, &findings);
		}
		finish(pair, &findings);
	}
	close(listening);
	print_findings(what, &findings);
}

/* A socket connected to itself: what it sends, it receives. */
static void self(void)
{
	struct findings findings = {};

	for (int i = 0; i < CONNECTIONS; i++) {
		struct address own = loopback(address.any.sa_family == AF_INET ? "4" : "6", 0);
		int fd = open_socket(0);

		if (bind(fd, &own.any, own.length) || getsockname(fd, &own.any, &own.length) ||
		    (connect(fd, &own.any, own.length) && errno != EINPROGRESS))
			err(1, "Cannot connect a socket to itself");
		finish_connect(fd);
		set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		round_trips((struct pair){ fd, fd }, i * 2, 100, 2000, &findings);
		finish((struct pair){ fd, fd }, &findings);
	}
	print_findings("a socket connected to itself", &findings);
}

/* Readiness begins at SO_RCVLOWAT bytes. */
static void wait_for_lowat(struct pair pair, const char *when, struct findings *findings)
{
	static const char message[60];
	char bytes[sizeof(message) * 2];

	set_option(pair.server, SOL_SOCKET, SO_RCVLOWAT, 100);
	send_all(pair.client, message, sizeof(message));
	found(findings, "%s, 60 of 100: %s", when, ready(pair.server, POLLIN, 2) ? "ready" : "not ready");
	send_all(pair.client, message, sizeof(message));
	found(findings, "%s, 120 of 100: %s", when, ready(pair.server, POLLIN, 1000) ? "ready" : "not ready");
	receive_all(pair.server, bytes, sizeof(bytes));
	set_option(pair.server, SOL_SOCKET, SO_RCVLOWAT, 1);
}

static void lowat(void)
{
	struct findings findings = {};
	int listening = listener(&address, SOCK_NONBLOCK);

	for (int i = 0; i < CONNECTIONS; i++) {
		struct pair pair = open_pair(mode_named("nonblocking"), listening, &address);

		set_option(pair.client, IPPROTO_TCP, TCP_NODELAY, 1);
		wait_for_lowat(pair, "first", &findings);
		round_trips(pair, i * 2, 20, 2000, &findings);
		wait_for_lowat(pair, "later", &findings);
		round_trips(pair, i * 2, 20, 2000, &findings);
		finish(pair, &findings);
	}
	close(listening);
	print_findings("SO_RCVLOWAT", &findings);
}

/* TCP Fast Open: the first bytes come with the SYN, more follow before the handshake ends. Needs a
 * net.ipv4.tcp_fastopen of 0x207: both sides, without cookies. */
static void fast_open(const char *what, bool listener_takes_it)
{
	struct findings findings = {};
	int listening = listener(&address, SOCK_NONBLOCK);
	uint8_t bytes[300];

	if (listener_takes_it)
		set_option(listening, IPPROTO_TCP, TCP_FASTOPEN, CONNECTIONS);
	for (int i = 0; i < CONNECTIONS; i++) {
		struct tcp_info info = {};
		socklen_t length = sizeof(info);
		struct pair pair = { .client = open_socket(0) };

		fill(bytes, sizeof(bytes), i, 0);
		found(&findings, "%s with the SYN",
		      outcome(sendto(pair.client, bytes, 100, MSG_FASTOPEN, &address.any, address.length)));
		send_all(pair.client, bytes + 100, 100);
		send_all(pair.client, bytes + 200, 100);
		must_be_ready(listening, POLLIN, "accept");
		pair.server = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		if (pair.server < 0)
			err(1, "Cannot accept");
		set_option(pair.server, IPPROTO_TCP, TCP_NODELAY, 1);
		send_all(pair.server, bytes, 100);
		send_all(pair.server, bytes + 100, 200);
		receive_all(pair.server, bytes, sizeof(bytes));
		check(bytes, sizeof(bytes), i, 0);
		receive_all(pair.client, bytes, sizeof(bytes));
		check(bytes, sizeof(bytes), i, 0);
		if (getsockopt(pair.client, IPPROTO_TCP, TCP_INFO, &info, &length))
			err(1, "Cannot read TCP_INFO");
		found(&findings, "SYN data %s", info.tcpi_options & TCPI_OPT_SYN_DATA ? "taken" : "not taken");
		round_trips(pair, i * 2, 100, 2000, &findings);
		finish(pair, &findings);
	}
	close(listening);
	print_findings(what, &findings);
}

int main(int count, char **arguments)
{
	if (count != 3)
		errx(1, "usage: alone 4|6 mptcp|siblings|array|tls|self|lowat|fastopen");
	limit_seconds(30);
	address = loopback(arguments[1], 0);
	if (!strcmp(arguments[2], "mptcp")) {
		mptcp("MPTCP to MPTCP", IPPROTO_MPTCP, IPPROTO_MPTCP);
		mptcp("MPTCP to TCP", IPPROTO_MPTCP, IPPROTO_TCP);
		mptcp("TCP to MPTCP", IPPROTO_TCP, IPPROTO_MPTCP);
	} else if (!strcmp(arguments[2], "siblings")) {
		siblings();
	} else if (!strcmp(arguments[2], "array")) {
		reuseport_array();
	} else if (!strcmp(arguments[2], "tls")) {
		tls("kTLS from the start", 0);
		tls("kTLS after bytes in clear", 50);
	} else if (!strcmp(arguments[2], "self")) {
		self();
	} else if (!strcmp(arguments[2], "lowat")) {
		lowat();
	} else if (!strcmp(arguments[2], "fastopen")) {
		fast_open("TCP Fast Open", true);
		fast_open("TCP Fast Open to a listener without it", false);
	} else {
		errx(1, "Cannot use %s: mptcp, siblings, array, tls, self, lowat or fastopen", arguments[2]);
	}
	return 0;
}
