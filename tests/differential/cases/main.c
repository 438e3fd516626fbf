/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to use a TCP connection. What a program sees of one must not depend on whether mda accelerates it: each case prints a
 * transcript, and tests/differential/differential.test.ts compares those of a run on plain TCP and a run under mda.
 *
 *   differential list                NAME <tab> must|never|may be redirected <tab> how mda's transcript may differ:
 *                                    never|first (the first time)|tries (the same, but says the same)|always <tab> what it
 *                                    is about
 *   differential table               NAME <tab> what plain TCP gives <tab> why mda's transcript differs <tab> the line that
 *                                    mda's has instead <tab> what differs the first time
 *   differential run NAME [--pause]  prints the transcript. --pause: says "ready" on stderr when only the case's own
 *                                    connection is left to come, and waits for a line on stdin
 *
 * It is one static program and needs nothing else of the system: it also runs where there is only busybox. */
#include "harness.h"

#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "run.h"

#define CASE_MS 20000
#define WARMUP_TRIPS 40

extern const struct test_case reading[], writing[], splicing[], urgent[], waiting[], uring[], closing[], sharing[],
	connecting[], options[];

static const struct test_case *const files[] = { reading, writing, splicing, urgent, waiting,
						 uring, closing, sharing, connecting, options };

#define FILES (sizeof(files) / sizeof(files[0]))

static const char *difference_of(const struct test_case *test)
{
	if (test->learns)
		return test->how & TRIES_AGAIN ? "tries" : "first";
	return test->differs ? "always" : "never";
}

static void list(void)
{
	static const char *const names[] = { [MUST] = "must", [NEVER] = "never", [MAY] = "may" };

	for (size_t i = 0; i < FILES; i++)
		for (const struct test_case *at = files[i]; at->name; at++)
			printf("%s\t%s\t%s\t%s\n", at->name, names[at->redirected], difference_of(at), at->what);
}

static void table(void)
{
	for (size_t i = 0; i < FILES; i++)
		for (const struct test_case *at = files[i]; at->name; at++)
			printf("%s\t%s\t%s\t%s\t%s\n", at->name, at->on_tcp, at->differs ?: "", at->instead ?: "",
			       at->learns ?: "");
}

static const struct test_case *case_named(const char *name)
{
	for (size_t i = 0; i < FILES; i++)
		for (const struct test_case *at = files[i]; at->name; at++)
			if (!strcmp(at->name, name))
				return at;
	fprintf(stderr, "differential: Cannot run %s: no such case (try: differential list)\n", name);
	exit(2);
}

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/* With its loopback device up: that is all there is. */
static void enter_own_netns(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		fail("Cannot make a network namespace");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &loopback))
		fail("Cannot set the loopback device up");
	close(fd);
}

static void round_trip(bool asks)
{
	char bytes[16] = "a small message";

	if (asks)
		send(conn, bytes, sizeof(bytes), MSG_NOSIGNAL);
	await(conn, POLLIN);
	if (recv(conn, bytes, sizeof(bytes), 0) != sizeof(bytes))
		say("the warm-up fails");
	if (!asks)
		send(conn, bytes, sizeof(bytes), MSG_NOSIGNAL);
}

/* mda learns how a program uses its sockets from what it does with them: after this it knows this one. */
static void warm_up(int family)
{
	open_connection(family, false);
	BOTH {
		for (int i = 0; i < WARMUP_TRIPS; i++)
			round_trip(is_client);
	}
	CLIENT
		close_conn();
	SERVER {
		close_conn();
		close(listening);
		listening = -1;
	}
}

struct pipes {
	int to_client[2], to_server[2];
	int ready[2], go[2];
};

static void run_end(const struct test_case *test, bool client, const struct pipes *pipes)
{
	int family = test->how & IPV6 ? AF_INET6 : AF_INET;
	char byte = 0;

	be_end(client, client ? pipes->to_server[1] : pipes->to_client[1],
	       client ? pipes->to_client[0] : pipes->to_server[0]);
	/* Else a process would never see the other's end: its own ends of these would keep them open. */
	close(client ? pipes->to_client[1] : pipes->to_server[1]);
	close(client ? pipes->to_server[0] : pipes->to_client[0]);
	if (!(test->how & COLD))
		warm_up(family);
	if (write(pipes->ready[1], &byte, 1) != 1 || read(pipes->go[0], &byte, 1) != 1)
		_exit(2);
	if (!(test->how & UNCONNECTED))
		open_connection(family, test->how & BLOCKING);
	test->run();
	/* Neither ends before the other is done with it. */
	CLIENT
		;
	SERVER
		;
	_exit(0);
}

static pid_t start_end(const struct test_case *test, bool client, const struct pipes *pipes, pid_t group)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid) {
		setpgid(pid, group);
		return pid;
	}
	setpgid(0, group);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_end(test, client, pipes);
	return 0;
}

static void pause_before_case(const struct pipes *pipes, bool told_to)
{
	struct pollfd both = { .fd = pipes->ready[0], .events = POLLIN };
	char bytes[2];

	for (int i = 0; i < 2; i++)
		if (poll(&both, 1, CASE_MS) != 1 || read(pipes->ready[0], bytes, 1) != 1)
			return;
	if (told_to) {
		dprintf(STDERR_FILENO, "ready\n");
		while (read(STDIN_FILENO, bytes, 1) == 1 && *bytes != '\n')
			;
	}
	if (write(pipes->go[1], bytes, 2) != 2)
		fail("pipe");
}

/* What the processes could not say themselves. */
static void say_how_it_ended(const char *who, int status)
{
	if (WIFSIGNALED(status))
		printf("%s: ended by SIG%s\n", who, sigabbrev_np(WTERMSIG(status)));
	else if (WEXITSTATUS(status) > 1)
		printf("%s: ended with %d\n", who, WEXITSTATUS(status));
	fflush(stdout);
}

static void run(const struct test_case *test, bool pauses)
{
	struct pipes pipes;
	pid_t client, server;
	int unfinished = 2, status;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe2(pipes.to_client, O_CLOEXEC) || pipe2(pipes.to_server, O_CLOEXEC) ||
	    pipe2(pipes.ready, O_CLOEXEC) || pipe2(pipes.go, O_CLOEXEC))
		fail("Cannot prepare the case");
	if (test->how & OWN_NETNS)
		enter_own_netns();
	server = start_end(test, false, &pipes, 0);
	client = start_end(test, true, &pipes, server);
	close(pipes.to_client[0]);
	close(pipes.to_client[1]);
	close(pipes.to_server[0]);
	close(pipes.to_server[1]);
	close(pipes.ready[1]);
	pause_before_case(&pipes, pauses);
	for (int ms = 0; unfinished && ms < CASE_MS; ms++) {
		pid_t pid = waitpid(-1, &status, WNOHANG);

		if (pid > 0) {
			unfinished--;
			say_how_it_ended(pid == client ? "client" : "server", status);
		} else {
			nap_ms(1);
		}
	}
	if (unfinished)
		printf("the case takes longer than %d ms\n", CASE_MS);
	kill(-server, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

int main(int count, char **words)
{
	/* A case says what a send to nobody comes to; one of them is about the signal. */
	signal(SIGPIPE, SIG_IGN);
	if (count == 2 && !strcmp(words[1], "list"))
		list();
	else if (count == 2 && !strcmp(words[1], "table"))
		table();
	else if (count == 3 && !strcmp(words[1], "run"))
		run(case_named(words[2]), false);
	else if (count == 4 && !strcmp(words[1], "run") && !strcmp(words[3], "--pause"))
		run(case_named(words[2]), true);
	else if (count == 2 && !strcmp(words[1], "take-over"))
		take_over();
	else
		return fprintf(stderr, "usage: differential list | table | run NAME [--pause]\n"), 2;
	return 0;
}
