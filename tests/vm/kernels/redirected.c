/* SPDX-License-Identifier: Apache-2.0 */
/* Prints how many messages mda has redirected: a number in its pinned counters, of which each CPU has its own. `mda status` does
 * it too, in seconds of emulated CPU.
 *
 *   redirected PIN BYTES OFFSET   the size of the counters, and where among them the number is */
#include "lab.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

#define CPUS_MAX 1024

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

int main(int count, char **words)
{
	union bpf_attr attributes = { 0 };
	unsigned long bytes, offset;
	__u64 sum = 0, number;
	__u32 key = 0;
	char *values;
	int map;

	if (count != 4)
		errx(2, "usage: redirected PIN BYTES OFFSET");
	bytes = (strtoul(words[2], NULL, 10) + 7) & ~7ul;
	offset = strtoul(words[3], NULL, 10);
	values = calloc(CPUS_MAX, bytes);
	attributes.pathname = (__u64)words[1];
	map = bpf(BPF_OBJ_GET, &attributes);
	if (map < 0)
		err(1, "Cannot open %s", words[1]);
	attributes = (union bpf_attr){ .map_fd = map, .key = (__u64)&key, .value = (__u64)values };
	if (bpf(BPF_MAP_LOOKUP_ELEM, &attributes))
		err(1, "Cannot read %s", words[1]);
	for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
		memcpy(&number, values + cpu * bytes + offset, sizeof(number));
		sum += number;
	}
	printf("%llu\n", sum);
	return 0;
}
