/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that several descriptors, processes and programs share. */
#include "harness.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "run.h"

#define RECORD_BYTES 8

static void duplicated(void)
{
	exchange(1);
	CLIENT {
		int other = dup(conn);

		send_text(other, "by the duplicate", 0);
		close(conn);
		conn = other;
	}
	SERVER {
		int other = dup(conn);

		await(other, POLLIN);
		receive(other, 6, 0);
		receive(conn, 100, 0);
		close(other);
		polled(conn, POLLIN | POLLOUT | POLLRDHUP, 0);
	}
	exchange(1);
	CLIENT {
		int other = dup(conn);

		close(other);
		send_text(conn, "still open", 0);
		close_conn();
	}
	SERVER {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void child_answers(void)
{
	await(conn, POLLIN);
	receive(conn, 100, 0);
	send_text(conn, "from the child", 0);
}

static void forked(void)
{
	exchange(1);
	CLIENT {
		send_text(conn, "for the child", 0);
	}
	SERVER
		say_end(in_child(child_answers));
	CLIENT {
		await(conn, POLLIN);
		receive(conn, 100, 0);
	}
	exchange(1);
}

/* The parent closes its copy, and the connection stays open until the child ends. */
static void given_to_child(void)
{
	exchange(1);
	CLIENT
		send_text(conn, "for the child", 0);
	SERVER {
		pid_t child = in_child(child_answers);

		close_conn();
		say_end(child);
	}
	CLIENT {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

static void accept_and_answer(void)
{
	await(listening, POLLIN);
	conn = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
	for (int i = 0; i < 20; i++) {
		char bytes[100];

		await(conn, POLLIN);
		if (recv(conn, bytes, sizeof(bytes), 0) != 8 || send(conn, "answered", 8, 0) != 8)
			say("the child fails");
	}
	close(conn);
}

/* As servers do that fork first: who accepts is not who listens. */
static void accepted_by_child(void)
{
	static pid_t child;

	SERVER
		child = in_child(accept_and_answer);
	CLIENT {
		int other = start_connecting(&shared->address, SOCK_NONBLOCK);
		char bytes[100];

		await(other, POLLOUT);
		for (int i = 0; i < 20; i++) {
			send(other, "question", 8, 0);
			await(other, POLLIN);
			if (recv(other, bytes, sizeof(bytes), 0) != 8)
				say("no answer");
		}
		await(other, POLLRDHUP);
		receive(other, 100, 0);
		close(other);
	}
	SERVER
		say_end(child);
}

static void send_descriptor(int over, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec part = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	control.header =
		(struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(over, &message, 0) != 1)
		say("sendmsg = %s", outcome(-1));
}

static int receive_descriptor(int over)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	int fd = -1;

	if (recvmsg(over, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) {
		say("recvmsg = %s", outcome(-1));
		return -1;
	}
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* Gives the server's connection to another process over a UNIX socket, with bytes waiting in it. */
static void passed_to(void (*taker)(void), int *over)
{
	static int ends[2];

	exchange(1);
	CLIENT {
		for (int i = 0; i < 20; i++)
			send(conn, "waiting. ", 9, 0);
		say("sent 20 x 9");
	}
	SERVER {
		pid_t child;

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
			say("socketpair = %s", outcome(-1));
		*over = ends[1];
		send_descriptor(ends[0], conn);
		close_conn();
		child = in_child(taker);
		say_end(child);
		close(ends[0]);
		close(ends[1]);
	}
	CLIENT {
		await(conn, POLLRDHUP);
		receive(conn, 1000, 0);
		receive(conn, 100, 0);
	}
}

static int taken_over = -1;

static void take_over_from(int over)
{
	conn = receive_descriptor(over);
	await(conn, POLLIN);
	receive(conn, 30, 0);
	receive(conn, 1000, 0);
	for (int i = 0; i < 20; i++)
		send(conn, "taken over. ", 12, 0);
	close(conn);
}

static void take_over_in_child(void)
{
	take_over_from(taken_over);
}

void take_over(void)
{
	take_over_from(STDIN_FILENO);
}

static void passed_to_process(void)
{
	passed_to(take_over_in_child, &taken_over);
}

/* The same program by another file is another program. */
static void copy_program(const char *to)
{
	int from = open("/proc/self/exe", O_RDONLY), file = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	static char bytes[65536];
	ssize_t got;

	while ((got = read(from, bytes, sizeof(bytes))) > 0)
		if (write(file, bytes, got) != got)
			break;
	if (from < 0 || file < 0 || got)
		say("Cannot copy the program: %s", outcome(-1));
	close(from);
	close(file);
}

static void take_over_by_exec(void)
{
	char path[512];
	ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 8);

	if (bytes < 0)
		_exit(2);
	strcpy(path + bytes, ".other");
	copy_program(path);
	dup2(taken_over, STDIN_FILENO);
	/* The file must go, whatever comes of the program in it. */
	pid_t child = fork();
	if (!child) {
		execl(path, path, "take-over", NULL);
		_exit(2);
	}
	say_end(child);
	unlink(path);
}

static void passed_to_program(void)
{
	passed_to(take_over_by_exec, &taken_over);
}

/* Records that are smaller than any message is cut: each must arrive whole. */
static void write_records(int writer)
{
	for (int i = 0; i < 500; i++) {
		char record[RECORD_BYTES + 1];

		snprintf(record, sizeof(record), "%d:%05d\n", writer % 10, i);
		while (send(conn, record, RECORD_BYTES, 0) != RECORD_BYTES)
			await(conn, POLLOUT);
	}
}

static void many_writers(void)
{
	BOTH {
		if (is_client) {
			for (int writer = 0; writer < 4; writer++) {
				if (!fork()) {
					write_records(writer);
					_exit(0);
				}
			}
			while (wait(NULL) > 0)
				;
			shutdown(conn, SHUT_WR);
		} else {
			static char bytes[4 * 500 * RECORD_BYTES + 1];
			size_t count = 0;
			int next[4] = {}, wrong = 0;
			ssize_t got;

			for (;;) {
				got = recv(conn, bytes + count, sizeof(bytes) - count, 0);
				if (got < 0 && errno == EAGAIN) {
					await(conn, POLLIN);
					continue;
				}
				if (got <= 0)
					break;
				count += got;
			}
			for (size_t at = 0; at + RECORD_BYTES <= count; at += RECORD_BYTES) {
				int writer = -1, number = -1;

				if (sscanf(bytes + at, "%d:%d", &writer, &number) != 2 || writer < 0 || writer > 3 ||
				    next[writer]++ != number)
					wrong++;
			}
			say("%zu bytes, records of each writer in order but for %d, then %s", count, wrong, outcome(got));
		}
	}
}

/* What the readers of one connection have read of it, together. */
struct seen {
	volatile int records, wrong;
	volatile char by_number[2000];
};

static void read_records(struct seen *seen)
{
	char record[RECORD_BYTES + 1] = "";
	int number;
	ssize_t got;

	for (;;) {
		got = recv(conn, record, RECORD_BYTES, 0);
		if (got < 0 && errno == EAGAIN) {
			await(conn, POLLIN);
			continue;
		}
		if (got <= 0)
			return;
		if (got != RECORD_BYTES || sscanf(record, "r:%d", &number) != 1 || number < 0 || number >= 2000)
			__atomic_add_fetch(&seen->wrong, 1, __ATOMIC_RELAXED);
		else
			seen->by_number[number]++;
		__atomic_add_fetch(&seen->records, 1, __ATOMIC_RELAXED);
	}
}

static void many_readers(void)
{
	BOTH {
		if (is_client) {
			for (int i = 0; i < 2000; i++) {
				char record[RECORD_BYTES + 1];

				snprintf(record, sizeof(record), "r:%05d\n", i);
				while (send(conn, record, RECORD_BYTES, 0) != RECORD_BYTES)
					await(conn, POLLOUT);
			}
			shutdown(conn, SHUT_WR);
		} else {
			struct seen *seen =
				mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			int missing = 0;

			for (int i = 0; i < 3; i++) {
				if (!fork()) {
					alarm(10);
					read_records(seen);
					_exit(0);
				}
			}
			while (wait(NULL) > 0)
				;
			for (int i = 0; i < 2000; i++)
				missing += seen->by_number[i] != 1;
			say("%d records, %d cut, %d not seen once", seen->records, seen->wrong, missing);
		}
	}
}

static void *receive_in_thread(void *stream)
{
	static __thread uint8_t bytes[2000];

	while (((struct stream *)stream)->received < 200000) {
		ssize_t got = recv(conn, bytes, sizeof(bytes), 0);

		if (got > 0)
			take(stream, bytes, got);
		else if (got < 0 && errno == EAGAIN)
			await(conn, POLLIN);
		else
			break;
	}
	return NULL;
}

static void threads(void)
{
	BOTH {
		struct stream stream = {};
		pthread_t receiver;

		if (pthread_create(&receiver, NULL, receive_in_thread, &stream))
			say("pthread_create fails");
		send_stream(conn, 200000, 1500);
		pthread_join(receiver, NULL);
		say_stream(&stream);
	}
}

/* A thread shuts down what another waits for. */
static void *shut_down_later(void *nothing)
{
	nap_ms(30);
	shutdown(conn, SHUT_RDWR);
	return nothing;
}

static void shut_down_by_thread(void)
{
	exchange(1);
	SERVER {
		pthread_t thread;

		pthread_create(&thread, NULL, shut_down_later, NULL);
		polled(conn, POLLIN, 2000);
		receive(conn, 100, 0);
		pthread_join(thread, NULL);
	}
}

static void kept_by_child(void)
{
	nap_ms(50);
	send_text(conn, "from the child", 0);
}

/* One process closes, another still has it: the other end sees no end. */
static void closed_by_one(void)
{
	exchange(1);
	SERVER {
		pid_t child = in_child(kept_by_child);

		close_conn();
		say_end(child);
	}
	CLIENT {
		await(conn, POLLRDHUP);
		receive(conn, 100, 0);
		receive(conn, 100, 0);
	}
}

/* Both ends in one process, as event loops have it that talk to themselves. */
static void one_process(void)
{
	SERVER {
		int client = start_connecting(&shared->address, SOCK_NONBLOCK), server;

		await(listening, POLLIN);
		server = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
		await(client, POLLOUT);
		for (int i = 0; i < 10; i++) {
			send_text(client, "to myself", 0);
			await(server, POLLIN);
			receive(server, 100, 0);
			send_text(server, "from myself", 0);
			await(client, POLLIN);
			receive(client, 100, 0);
		}
		close(client);
		await(server, POLLIN);
		receive(server, 100, 0);
		close(server);
	}
}

const struct test_case sharing[] = {
	{ "dup", MUST, "duplicated descriptors", "one connection", .run = duplicated },
	{ "fork", MUST, "a child answers on its parent's connection", "the bytes", .run = forked },
	{ "fork_and_close", MUST, "a connection given to a child", "open until the child ends",
	  .run = given_to_child },
	{ "fork_accept", MUST, "a child accepts from its parent's listener", "20 answers, then 0",
	  .run = accepted_by_child },
	{ "close_by_one", MUST, "one of two processes closes", "open until the other ends",
	  .run = closed_by_one },
	{ "scm_rights", MUST, "SCM_RIGHTS to another process, with bytes waiting", "the bytes",
	  .run = passed_to_process },
	{ "scm_rights_exec", MUST, "SCM_RIGHTS to another program, with bytes waiting", "the bytes",
	  .run = passed_to_program },
	{ "many_writers", MUST, "four processes write to one connection",
	  "every record whole, in each writer's order", .run = many_writers },
	{ "many_readers", MUST, "three processes read from one connection", "every record once",
	  .run = many_readers },
	{ "threads", MUST, "a thread that sends and one that receives", "every byte right", .run = threads },
	{ "thread_shuts_down", MUST, "a thread shuts down what another polls", "an event, then 0",
	  .run = shut_down_by_thread },
	{ "one_process", MUST, "both ends in one process", "the bytes, then 0", .run = one_process },
	{},
};
