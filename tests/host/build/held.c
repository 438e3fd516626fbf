/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program, and holds a page of each memfd from before the program seals it until the program has ended: what the
 * kernel's own scans of memory do for a moment.
 *
 *   held PROGRAM ARGUMENT...
 *
 * Prints what F_SEAL_WRITE makes of each such memfd. The exit status is the program's. */
#define _GNU_SOURCE
#include <asm/unistd.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pipe holds the pages that are spliced into it. */
static void hold(pid_t pid, int fd)
{
	char path[64], target[PATH_MAX] = "", name[64];
	int file, ends[2];
	loff_t start = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	if (readlink(path, target, sizeof(target) - 1) < 0 || sscanf(target, "/memfd:%63s", name) != 1)
		errx(2, "%s is %s", path, target);
	file = open(path, O_RDWR);
	if (file < 0 || pipe(ends) || splice(file, &start, ends[1], NULL, 1, 0) != 1)
		err(2, "Cannot hold a page of %s", name);
	printf("%s is held: %s\n", name, fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) ? strerrorname_np(errno) : "sealed");
	fflush(stdout);
	close(file);
}

static bool seals(const struct __ptrace_syscall_info *call)
{
	return call->op == PTRACE_SYSCALL_INFO_ENTRY && call->entry.nr == __NR_fcntl && call->entry.args[1] == F_ADD_SEALS;
}

int main(int argc, char **argv)
{
	pid_t pid = argc < 2 ? 0 : fork();
	int status, signal = 0;

	if (argc < 2)
		errx(2, "usage: held PROGRAM ARGUMENT...");
	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execv(argv[1], argv + 1);
		err(2, "%s", argv[1]);
	}
	waitpid(pid, &status, 0);
	if (ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL))
		err(2, "PTRACE_SETOPTIONS");
	for (;;) {
		struct __ptrace_syscall_info call = {};

		if (ptrace(PTRACE_SYSCALL, pid, 0, signal))
			err(2, "PTRACE_SYSCALL");
		if (waitpid(pid, &status, 0) < 0)
			err(2, "waitpid");
		if (!WIFSTOPPED(status))
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		signal = WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_EXEC)
			signal = 0;
		if (signal != (SIGTRAP | 0x80))
			continue;
		signal = 0;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call) < 0)
			err(2, "PTRACE_GET_SYSCALL_INFO");
		if (seals(&call))
			hold(pid, (int)call.entry.args[0]);
	}
}
