/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mda in one file, where `deno compile` has no base binary: the Deno executable and the bundled program (payload.S)
 * behind a program that starts the one on the other:
 *
 *   1. the bundled program goes into a sealed memfd, and what makes it run into another, so that Deno has a path to load;
 *   2. Deno and the dynamic linker that it names are mapped from where they are, as execve(2) would map them;
 *   3. the dynamic linker runs, on a stack that says `mda run OPTIONS /proc/self/fd/N ARGUMENTS`.
 *
 * In place, and not by execve on a memfd with a copy of Deno: its 95 MB stay page cache, shared by all instances and
 * reclaimable, where a memfd is neither and is charged to the service; vm.memfd_noexec=2 does not matter; and the
 * process stays what was started: its exe, comm and command line are mda's.
 *
 * No C library here: the kernel would keep the thread area that it registers (rseq(2), set_robust_list(2)) when
 * Deno's own takes over.
 */
#include <asm/unistd.h>
#include <elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include "x86_64.h"
#elif defined(__aarch64__)
#include "arm64.h"
#else
#error "the launcher can start programs on x86_64 and arm64 only"
#endif

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* 6.3 and later */
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Deno's own, and some for what the commands open. */
#define DESCRIPTORS_NEEDED 24

static uintptr_t page_bytes; /* 4 KiB; on arm64 also 16 or 64, as the kernel was built */

extern const char payload_deno[], payload_program[], payload_program_end[];

static const char *const deno_options[] = {
	"run",
	"--allow-all", /* with less, Deno opens nothing in /proc and /sys */
	"--no-prompt",
	"--no-config",
	"--no-lock",
	"--no-npm",
	"--no-remote",
	"--no-check",
	"--no-code-cache",
	"--ext=js",
};

/* Variables that steer Deno and its Node.js layer are meant for other programs. */
static const char *const environment_dropped[] = { "DENO_", "NODE_" };

static const char *const environment_added[] = {
	"DENO_DIR=/dev/null/deno", /* cannot be made: nothing is ever cached, whoever runs mda */
	"DENO_LOG=info,deno::cache=off", /* which Deno would tell a terminal */
	"DENO_NO_UPDATE_CHECK=1",
};

/* A program in memory: what the auxiliary vector says about it. */
struct image {
	uintptr_t base; /* added to the program's own addresses */
	uintptr_t entry;
	uintptr_t headers;
	size_t header_count;
	const char *interpreter; /* NULL: none */
};

struct start {
	size_t argument_count;
	const char *const *arguments;
	const char *const *environment;
	size_t environment_count;
	const Elf64_auxv_t *auxiliary;
	size_t auxiliary_count; /* with the AT_NULL at its end */
};

/* The compiler calls these two for what it does not write out itself. */
void *memcpy(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = ((const char *)from)[i];
	return to;
}

void *memset(void *to, int value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((char *)to)[i] = (char)value;
	return to;
}

static bool starts_with(const char *text, const char *start)
{
	while (*start)
		if (*text++ != *start++)
			return false;
	return true;
}

static void say(const char *text)
{
	size_t bytes = 0;

	while (text[bytes])
		bytes++;
	call(__NR_write, 2, (long)text, (long)bytes, 0, 0, 0);
}

/* Appends value in decimal. Returns the new end. */
static char *append_number(char *end, unsigned long value)
{
	if (value >= 10)
		end = append_number(end, value / 10);
	*end = (char)('0' + value % 10);
	end[1] = 0;
	return end + 1;
}

/* What to do about it, where that is known. */
static const char *advice(long result)
{
	return result == -EMFILE ? "; raise the limit of open files (ulimit -n, in a unit LimitNOFILE=)" :
	       result == -ENFILE ? "; raise this host's limit of open files (sysctl fs.file-max)" :
				   "";
}

static void __attribute__((noreturn)) fail(const char *what, const char *name, long result)
{
	/* clang-format off */
	static const struct {
		int number;
		const char *text;
	} errors[] = {
		{ EACCES, "EACCES: permission denied" },   { EAGAIN, "EAGAIN: try again" },
		{ EBUSY, "EBUSY: in use" },		   { EFBIG, "EFBIG: file too large" },
		{ EINTR, "EINTR: interrupted" },	   { EINVAL, "EINVAL: invalid argument" },
		{ EIO, "EIO: input or output error" },	   { ELOOP, "ELOOP: too many symbolic links" },
		{ EMFILE, "EMFILE: too many open files" }, { ENFILE, "ENFILE: too many open files" },
		{ ENODEV, "ENODEV: no such device" },	   { ENOENT, "ENOENT: no such file" },
		{ ENOMEM, "ENOMEM: out of memory" },	   { ENOSPC, "ENOSPC: no space left" },
		{ ENOSYS, "ENOSYS: no such system call" }, { ENOTDIR, "ENOTDIR: not a directory" },
		{ EPERM, "EPERM: not permitted" },	   { ENOEXEC, "not a program for this machine" },
	};
	/* clang-format on */
	char number[24] = "errno ";
	const char *text = number;

	append_number(number + 6, (unsigned long)-result);
	for (size_t i = 0; i < COUNT(errors); i++)
		if (errors[i].number == -result)
			text = errors[i].text;
	say("mda: Cannot ");
	say(what);
	say(name);
	say(": ");
	say(text);
	say(advice(result));
	say("\n");
	call(__NR_exit_group, 1, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

static long checked(long result, const char *what, const char *name)
{
	if (result < 0 && result > -4096)
		fail(what, name, result);
	return result;
}

static uintptr_t page_down(uintptr_t address)
{
	return address & ~(page_bytes - 1);
}

static uintptr_t page_up(uintptr_t address)
{
	return page_down(address + page_bytes - 1);
}

static uintptr_t map(uintptr_t at, size_t bytes, int protection, int flags, int fd, uint64_t offset, const char *name)
{
	return (uintptr_t)checked(call(__NR_mmap, (long)at, (long)bytes, protection, MAP_PRIVATE | flags, fd,
				       (long)offset),
				  "map ", name);
}

static int open_file(const char *path)
{
	return (int)checked(call(__NR_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0), "open ", path);
}

/* One segment of the program that starts at `begin` of the file. Memory past the file's bytes is .bss: zero. */
static void map_segment(const Elf64_Phdr *segment, uintptr_t base, int fd, uint64_t begin, const char *name)
{
	int protection = (segment->p_flags & PF_R ? PROT_READ : 0) | (segment->p_flags & PF_W ? PROT_WRITE : 0) |
			 (segment->p_flags & PF_X ? PROT_EXEC : 0);
	uintptr_t start = page_down(base + segment->p_vaddr);
	uintptr_t file_end = base + segment->p_vaddr + segment->p_filesz;
	uintptr_t end = base + segment->p_vaddr + segment->p_memsz;

	map(start, file_end - start, protection, MAP_FIXED, fd, begin + page_down(segment->p_offset), name);
	if (end > page_up(file_end))
		map(page_up(file_end), end - page_up(file_end), protection, MAP_FIXED | MAP_ANONYMOUS, -1, 0, name);
	if (end > file_end && segment->p_flags & PF_W)
		memset((void *)file_end, 0, page_up(file_end) - file_end);
}

/* Maps a position-independent program for execution, as load_elf_binary() in the kernel's fs/binfmt_elf.c does. It
 * starts at `begin` of the file and can be read at `program`. */
static struct image map_program(const char *program, int fd, uint64_t begin, const char *name)
{
	const Elf64_Ehdr *header = (const void *)program;
	const Elf64_Phdr *segments = (const void *)(program + header->e_phoff);
	uintptr_t end = 0;
	struct image image = {};

	if (!starts_with(program, ELFMAG) || header->e_type != ET_DYN || header->e_machine != MACHINE)
		fail("run ", name, -ENOEXEC);
	for (size_t i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_INTERP)
			image.interpreter = program + segments[i].p_offset;
		if (segments[i].p_type == PT_LOAD)
			end = page_up(segments[i].p_vaddr + segments[i].p_memsz); /* they are in order */
	}
	image.base = map(0, end, PROT_NONE, MAP_ANONYMOUS | MAP_NORESERVE, -1, 0, name);
	for (size_t i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD)
			map_segment(&segments[i], image.base, fd, begin, name);
	image.entry = image.base + header->e_entry;
	image.headers = image.base + header->e_phoff;
	image.header_count = header->e_phnum;
	return image;
}

static long auxiliary_value(const struct start *start, unsigned long type)
{
	for (size_t i = 0; i < start->auxiliary_count; i++)
		if (start->auxiliary[i].a_type == type)
			return (long)start->auxiliary[i].a_un.a_val;
	return 0;
}

/* Where in its own file the byte at `address` is. */
static uint64_t file_offset(const struct start *start, const char *address)
{
	const Elf64_Phdr *segments = (const void *)auxiliary_value(start, AT_PHDR);
	uintptr_t at = (uintptr_t)address;

	for (long i = 0; i < auxiliary_value(start, AT_PHNUM); i++)
		if (segments[i].p_type == PT_LOAD && at - segments[i].p_vaddr < segments[i].p_filesz)
			return at - segments[i].p_vaddr + segments[i].p_offset;
	fail("find ", "Deno in its own file", -ENOEXEC);
}

static struct image map_deno(const struct start *start)
{
	int self = open_file("/proc/self/exe");
	struct image deno = map_program(payload_deno, self, file_offset(start, payload_deno), "Deno");

	call(__NR_close, self, 0, 0, 0, 0, 0);
	return deno;
}

static struct image map_linker(const char *path)
{
	int fd = open_file(path);
	long bytes = checked(call(__NR_lseek, fd, 0, 2 /* SEEK_END */, 0, 0, 0), "read ", path);
	const char *contents = (const char *)map(0, (size_t)bytes, PROT_READ, 0, fd, 0, path);
	struct image linker = map_program(contents, fd, 0, path);

	call(__NR_munmap, (long)contents, bytes, 0, 0, 0, 0);
	call(__NR_close, fd, 0, 0, 0, 0, 0);
	return linker;
}

static void write_all(int fd, const char *bytes, long count, const char *name)
{
	long done = 0;

	while (done < count)
		done += checked(call(__NR_write, fd, (long)bytes + done, count - done, 0, 0, 0), "write ", name);
}

/* A memfd above descriptor 2: a service manager may start mda with standard input and output closed, and Deno opens
 * /dev/null in their place. */
static int make_memfd(const char *name)
{
	const int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	long low = call(__NR_memfd_create, (long)name, flags | MFD_NOEXEC_SEAL, 0, 0, 0, 0);
	long fd;

	if (low == -EINVAL)
		low = call(__NR_memfd_create, (long)name, flags, 0, 0, 0, 0);
	checked(low, "make a memfd for ", name);
	fd = checked(call(__NR_fcntl, low, F_DUPFD_CLOEXEC, 3, 0, 0, 0), "make a memfd for ", name);
	call(__NR_close, low, 0, 0, 0, 0, 0);
	return (int)fd;
}

/* So that nobody can change it. F_SEAL_WRITE would also end writing through mappings, of which there are none, and is
 * refused with EBUSY while something else holds a page: the kernel's own scans of memory do, for a moment. */
static void seal(int fd, const char *name)
{
	long result = call(__NR_fcntl, fd, F_ADD_SEALS,
			   F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE, 0, 0, 0);

	/* Kernels before 5.1 do not know the seal: there mda runs far enough to say what it needs. */
	if (result != -EINVAL)
		checked(result, "seal ", name);
}

/* What Deno runs: a script that makes a function of the bundled program, which lies in a memfd of its own. Deno looks for
 * imports in a module before V8 has it, for 50 ms in one of this size, since there is no directory to remember it in. */
static int program_memfd(void)
{
	static const char before[] = "await new (async () => {}).constructor(Deno.readTextFileSync(\"/proc/self/fd/";
	static const char after[] = "\"))();\n";
	char number[24];
	int program = make_memfd("mda.js"), script = make_memfd("launch.js");

	write_all(program, payload_program, payload_program_end - payload_program, "mda.js");
	seal(program, "mda.js");
	write_all(script, before, sizeof(before) - 1, "launch.js");
	write_all(script, number, append_number(number, (unsigned long)program) - number, "launch.js");
	write_all(script, after, sizeof(after) - 1, "launch.js");
	seal(script, "launch.js");
	return script;
}

/* Deno panics when it finds too few descriptors. Up to the hard limit it would raise the limit itself. */
static void check_descriptors(int fd)
{
	struct {
		uint64_t soft, hard;
	} limit;
	long copies[DESCRIPTORS_NEEDED];

	if (call(__NR_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0) == 0) {
		limit.soft = limit.hard;
		call(__NR_prlimit64, 0, RLIMIT_NOFILE, (long)&limit, 0, 0, 0);
	}
	for (size_t i = 0; i < COUNT(copies); i++)
		copies[i] = checked(call(__NR_fcntl, fd, F_DUPFD_CLOEXEC, 3, 0, 0, 0), "start Deno", "");
	for (size_t i = 0; i < COUNT(copies); i++)
		call(__NR_close, copies[i], 0, 0, 0, 0, 0);
}

static bool dropped(const char *variable)
{
	for (size_t i = 0; i < COUNT(environment_dropped); i++)
		if (starts_with(variable, environment_dropped[i]))
			return true;
	return false;
}

/* Builds the stack that execve(2) would have made for Deno, below the one it made for this program, and goes there.
 * The strings stay where they are: /proc/PID/cmdline goes on showing mda's own arguments. */
static void __attribute__((noreturn))
enter(const struct start *start, const char *script, const struct image *deno, const struct image *linker)
{
	size_t words = 1 + start->argument_count + COUNT(deno_options) + 2 + start->environment_count +
		       COUNT(environment_added) + 1 + 2 * start->auxiliary_count;
	uintptr_t *stack = __builtin_alloca_with_align((words + 1) * sizeof(*stack), 128);
	uintptr_t *at = stack + 1;

	*at++ = (uintptr_t)(start->argument_count ? start->arguments[0] : "mda");
	for (size_t i = 0; i < COUNT(deno_options); i++)
		*at++ = (uintptr_t)deno_options[i];
	*at++ = (uintptr_t)script;
	for (size_t i = 1; i < start->argument_count; i++)
		*at++ = (uintptr_t)start->arguments[i];
	stack[0] = (uintptr_t)(at - stack - 1);
	*at++ = 0;
	for (size_t i = 0; i < start->environment_count; i++)
		if (!dropped(start->environment[i]))
			*at++ = (uintptr_t)start->environment[i];
	for (size_t i = 0; i < COUNT(environment_added); i++)
		*at++ = (uintptr_t)environment_added[i];
	*at++ = 0;
	for (size_t i = 0; i < start->auxiliary_count; i++) {
		unsigned long type = start->auxiliary[i].a_type;

		*at++ = type;
		*at++ = type == AT_PHDR	 ? deno->headers :
			type == AT_PHENT ? sizeof(Elf64_Phdr) :
			type == AT_PHNUM ? deno->header_count :
			type == AT_ENTRY ? deno->entry :
			type == AT_BASE	 ? linker->base :
					   start->auxiliary[i].a_un.a_val;
	}
	jump(linker->entry, stack);
}

static struct start read_stack(const uintptr_t *stack)
{
	struct start start = { .argument_count = stack[0], .arguments = (const char *const *)(stack + 1) };

	start.environment = start.arguments + start.argument_count + 1;
	while (start.environment[start.environment_count])
		start.environment_count++;
	start.auxiliary = (const void *)(start.environment + start.environment_count + 1);
	while (start.auxiliary[start.auxiliary_count++].a_type != AT_NULL)
		;
	return start;
}

/* stack: as the kernel made it, the argument count first. */
void __attribute__((noreturn, used)) launch(const uintptr_t *stack)
{
	struct start start = read_stack(stack);
	struct image deno, linker;
	char script[40] = "/proc/self/fd/";
	int script_fd;

	page_bytes = (uintptr_t)auxiliary_value(&start, AT_PAGESZ);
	deno = map_deno(&start);
	linker = map_linker(deno.interpreter);
	script_fd = program_memfd();
	check_descriptors(script_fd);
	append_number(script + 14, (unsigned long)script_fd);
	enter(&start, script, &deno, &linker);
}
