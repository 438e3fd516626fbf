/* SPDX-License-Identifier: Apache-2.0 */
/* What a case is made of. It is one function, which two processes run: the client and the server of a connection.
 *
 *     static void greeting(void)
 *     {
 *             CLIENT
 *                     send_text(conn, "hello", 0);
 *             SERVER {
 *                     await(conn, POLLIN);
 *                     receive(conn, 100, 0);
 *             }
 *     }
 *
 * What stands behind CLIENT the client does while the server waits, and the other way round, so that everything happens in
 * the order in which it is written. What stands behind BOTH they do at the same time. Do not jump out of these blocks.
 * A block begins when what the other end has sent through TCP has arrived.
 *
 * What is said, by say() or by the calls below that say their own outcome, is the transcript; it must not have in it what
 * differs from one run to the next. A block that takes too long is the line "hangs", and the end. */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether mda redirects messages of the case's own connection. */
enum redirection {
	MUST,
	NEVER,
	MAY
};

enum how {
	/* No other connection comes first: the program is one that mda has not met yet. */
	COLD = 1,
	/* Both ends, and the listener, in blocking mode. */
	BLOCKING = 2,
	/* The case connects by itself. */
	UNCONNECTED = 4,
	/* Both processes are in a network namespace of their own. */
	OWN_NETNS = 8,
	/* Over IPv6 and not over IPv4. */
	IPV6 = 16,
	/* With `learns`: it tries again as programs do and does not say so, and says the same the first time. */
	TRIES_AGAIN = 32,
};

struct test_case {
	const char *name;
	enum redirection redirected;
	const char *what;
	const char *on_tcp; /* what it comes to on plain TCP, in a few words */
	void (*run)(void);
	enum how how;
	/* A difference that docs/limits.md names, and the first line of the accelerated transcript that shows it; no line: not
	 * every kernel has the difference. */
	const char *differs;
	const char *instead;
	/* What may differ the first time that a program does this, from which mda learns: from then on nothing does. */
	const char *learns;
};

/* Which of the two this process is. */
extern bool is_client;
/* What a server sends to a client that has not sent yet, mda hands on to TCP, from inside the sockhash. */
extern bool server_sends;
/* Its own end of the connection; -1 when it has none. */
extern int conn;
/* The server's listener. */
extern int listening;

#define CLIENT for (bool mine_ = begin_turn(true); mine_; mine_ = end_turn())
#define SERVER for (bool mine_ = begin_turn(false); mine_; mine_ = end_turn())
/* The client sends and the server reads, but where a case has it the other way round. */
#define SENDER for (bool mine_ = begin_turn(!server_sends); mine_; mine_ = end_turn())
#define READER for (bool mine_ = begin_turn(server_sends); mine_; mine_ = end_turn())
#define BOTH for (bool mine_ = begin_together(); mine_; mine_ = end_together())

bool begin_turn(bool clients);
bool end_turn(void);
bool begin_together(void);
bool end_together(void);

/* What one process leaves for the other to see. */
struct shared {
	struct sockaddr_storage address;
	socklen_t address_bytes;
	pid_t client, server;
	volatile int number;
};
extern struct shared *shared;

/* The transcript. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A number, or the name of errno. */
const char *outcome(ssize_t result);
/* Short text as it is, other bytes by their number and a hash. */
const char *bytes_as_text(const void *bytes, size_t count);
const char *poll_events(short events);

/* Calls that say their outcome. Their macros are there for the names of flags and options. */
#define send_text(fd, text, flags) send_and_say(fd, text, strlen(text), flags, #flags)
#define send_pattern(fd, count, flags) send_and_say(fd, pattern(0, count), count, flags, #flags)
#define receive(fd, count, flags) receive_and_say(fd, count, flags, #flags)
#define set(fd, level, option, value) set_and_say(fd, level, option, value, #option, #value)
#define polled(fd, events, timeout_ms) polled_and_say(fd, events, timeout_ms)
ssize_t send_and_say(int fd, const void *bytes, size_t count, int flags, const char *flags_as_text);
ssize_t receive_and_say(int fd, size_t count, int flags, const char *flags_as_text);
bool set_and_say(int fd, int level, int option, int value, const char *option_as_text, const char *value_as_text);
void polled_and_say(int fd, short events, int timeout_ms);
void say_result(const char *call, ssize_t result);
/* What it knows of its end: the pending error, and the state of the connection. */
void say_error(int fd);
void say_state(int fd);
/* How many bytes wait to be read. */
void say_unread(int fd);

/* Silent calls. */
/* Waits until there is one of these events, and says so only when there is none. */
void await(int fd, short events);
void nap_ms(unsigned int ms);
/* After a read that found nothing: takes a short nap when poll says that there is something, as it may until mda has handed
 * over what it redirected. False when there is nothing, and after 3 s of a block. */
bool is_to_try_again(int fd);
void set_nonblocking(int fd, bool on);

/* Long streams of bytes that each depend on their place. */
const void *pattern(uint64_t offset, size_t count);
/* Sends and receives all of it, waiting as needed, and says what came of it; receive_stream() up to the end. */
void send_stream(int fd, uint64_t total, size_t chunk);
void receive_stream(int fd, uint64_t total, size_t chunk);
struct stream {
	uint64_t received;
	uint64_t wrong; /* bytes that are not those of their place */
};
void take(struct stream *stream, const void *bytes, size_t count);
void say_stream(const struct stream *stream);

/* Connections. */
int start_listening(const struct sockaddr *address, socklen_t bytes, int flags);
/* On the loopback address of the family, a port of the kernel's choice, told to the client by shared->address. */
int listen_on_loopback(int family, int flags);
struct sockaddr_storage loopback_address(int family, uint16_t port);
int start_connecting(const struct sockaddr_storage *address, int flags);
/* The usual two ends: blocks for CLIENT and SERVER that set `conn`. */
void open_connection(int family, bool blocking);
void close_conn(void);
/* A question and its answer. */
void exchange(int times);

/* A child that must not outlive the block; say_end() waits for it and says how it ended. */
pid_t in_child(void (*run)(void));
void say_end(pid_t child);
