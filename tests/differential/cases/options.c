/* SPDX-License-Identifier: Apache-2.0 */
/* Options that are set while a connection is in use. */
#include "harness.h"

#include <linux/tls.h>
#include <time.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static void keepalive(void)
{
	BOTH {
		set(conn, SOL_SOCKET, SO_KEEPALIVE, 1);
		set(conn, IPPROTO_TCP, TCP_KEEPIDLE, 1);
		set(conn, IPPROTO_TCP, TCP_KEEPINTVL, 1);
		set(conn, IPPROTO_TCP, TCP_KEEPCNT, 1);
	}
	exchange(1);
	CLIENT
		send_text(conn, "unread for a while", 0);
	CLIENT
		nap_ms(1300);
	SERVER
		receive(conn, 100, 0);
	exchange(1);
}

static void user_timeout(void)
{
	BOTH
		set(conn, IPPROTO_TCP, TCP_USER_TIMEOUT, 300);
	exchange(1);
	CLIENT
		send_text(conn, "unread for a while", 0);
	CLIENT
		nap_ms(700);
	SERVER
		receive(conn, 100, 0);
	exchange(1);
}

/* 1 MB a second; bytes that nobody paces are there at once. */
static void paced_by(bool (*ask)(void))
{
	exchange(1);
	CLIENT
		say("%s", ask() ? "paced" : "not paced");
	BOTH {
		struct timespec begin, end;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		if (is_client) {
			send_stream(conn, 2000000, 8000);
			shutdown(conn, SHUT_WR);
		} else {
			receive_stream(conn, 2000001, 8000);
			clock_gettime(CLOCK_MONOTONIC, &end);
			say("%s", end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9 > 0.7 ? "in its time" : "at once");
		}
	}
}

static bool asks_for_rate(void)
{
	return !setsockopt(conn, SOL_SOCKET, SO_MAX_PACING_RATE, &(unsigned int){ 1000000 }, sizeof(unsigned int));
}

static void paced(void)
{
	paced_by(asks_for_rate);
}

static void other_options(void)
{
	exchange(1);
	BOTH {
		set(conn, IPPROTO_TCP, TCP_QUICKACK, 1);
		set(conn, IPPROTO_TCP, TCP_NODELAY, 0);
		set(conn, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4096);
		set(conn, SOL_SOCKET, SO_PRIORITY, 3);
		set(conn, SOL_SOCKET, SO_BUSY_POLL, 0);
		set(conn, SOL_SOCKET, SO_RCVBUF, 8192);
		set(conn, SOL_SOCKET, SO_SNDBUF, 8192);
		set(conn, IPPROTO_IP, IP_TOS, 0x10);
		set(conn, IPPROTO_TCP, TCP_WINDOW_CLAMP, 8192);
		say_result("TCP_CONGESTION", setsockopt(conn, IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
		say_result("TCP_ULP", setsockopt(conn, IPPROTO_TCP, TCP_ULP, "nothing", 7));
	}
	exchange(3);
}

static void not_for_a_stream(void)
{
	exchange(1);
	CLIENT {
		int fd;

		say_result("listen", listen(conn, 1));
		fd = accept(conn, NULL, NULL);
		say_result("accept", fd);
		say_result("lseek", lseek(conn, 0, SEEK_CUR));
		say_result("pread", pread(conn, &(char){ 0 }, 1, 0));
		say_result("ftruncate", ftruncate(conn, 0));
		say_result("fsync", fsync(conn));
		say_result("bind", bind(conn, (void *)&shared->address, shared->address_bytes));
		say_result("connect", connect(conn, (void *)&shared->address, shared->address_bytes));
	}
	exchange(1);
}

static void tls_end(bool sends, bool receives)
{
	struct tls12_crypto_info_aes_gcm_128 keys = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
		.key = "sixteen bytes..",
		.salt = "abc",
		.iv = "1234567",
	};

	if (sends)
		say_result("TLS_TX", setsockopt(conn, SOL_TLS, TLS_TX, &keys, sizeof(keys)));
	if (receives)
		say_result("TLS_RX", setsockopt(conn, SOL_TLS, TLS_RX, &keys, sizeof(keys)));
}

static bool start_tls(void)
{
	static int result;

	BOTH {
		result = setsockopt(conn, IPPROTO_TCP, TCP_ULP, "tls", 3);
		say("TCP_ULP tls: %s", result && errno == ENOENT ? "not on this kernel" : outcome(result));
	}
	return !result;
}

static void tls(void)
{
	exchange(5);
	if (!start_tls())
		return;
	BOTH
		tls_end(true, true);
	exchange(5);
	CLIENT {
		send_pattern(conn, 50000, 0);
		shutdown(conn, SHUT_WR);
	}
	SERVER {
		await(conn, POLLRDHUP);
		receive_stream(conn, 50001, 60000);
	}
}

static void tls_at_once(void)
{
	if (!start_tls())
		return;
	BOTH
		tls_end(true, true);
	exchange(5);
}

/* The server reads what was encrypted without its kernel's help: it must see ciphertext. */
static void tls_one_end(void)
{
	static int result;

	exchange(5);
	CLIENT {
		result = setsockopt(conn, IPPROTO_TCP, TCP_ULP, "tls", 3);
		say("TCP_ULP tls: %s", result && errno == ENOENT ? "not on this kernel" : outcome(result));
		shared->number = !result;
		if (shared->number)
			tls_end(true, false);
	}
	if (!shared->number)
		return;
	CLIENT
		send_text(conn, "secret", 0);
	SERVER {
		char bytes[100];

		await(conn, POLLIN);
		say_result("recv", recv(conn, bytes, sizeof(bytes), 0));
		say("plain text: %s", memmem(bytes, sizeof(bytes), "secret", 6) ? "yes" : "no");
	}
}

static void tls_with_bytes_unread(void)
{
	exchange(5);
	CLIENT
		send_text(conn, "in plain text", 0);
	if (!start_tls())
		return;
	SERVER
		receive(conn, 100, 0);
	BOTH
		tls_end(true, true);
	exchange(5);
}

/* The kernel is told to decrypt what is not encrypted. */
static void tls_over_bytes_unread(void)
{
	exchange(5);
	CLIENT
		send_text(conn, "this is in plain text", 0);
	if (!start_tls())
		return;
	BOTH
		tls_end(true, true);
	SERVER {
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

const struct test_case options[] = {
	{ "keepalive", MUST, "SO_KEEPALIVE of one second, with bytes unread", "the connection lives",
	  .run = keepalive },
	{ "user_timeout", MUST, "TCP_USER_TIMEOUT, with bytes unread", "the connection lives",
	  .run = user_timeout },
	{ "so_max_pacing_rate", MAY, "SO_MAX_PACING_RATE", "a stream takes its time", .run = paced },
	{ "options", MUST, "options of sockets, TCP and IP in mid-stream",
	  "0; ENOENT for a ULP that is not there", .run = other_options },
	{ "not_for_streams", MUST, "calls that are not for a connection", "an error each",
	  .run = not_for_a_stream },
	{ "tls", MUST, "kTLS at both ends, in mid-stream", "the bytes", .run = tls },
	{ "tls_first", NEVER, "kTLS at both ends before the first message", "the bytes", .run = tls_at_once },
	{ "tls_one_end", MUST, "kTLS at one end, in mid-stream", "the other end reads ciphertext",
	  .run = tls_one_end },
	{ "tls_unread", MUST, "kTLS once bytes that waited are read", "the bytes", .run = tls_with_bytes_unread },
	{ "tls_over_unread", MUST, "kTLS with bytes unread", "an error: they are not encrypted",
	  .run = tls_over_bytes_unread,
	  .differs = "the bytes that waited are read as they are" },
	{},
};
