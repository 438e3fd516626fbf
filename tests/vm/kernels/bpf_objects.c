/* SPDX-License-Identifier: Apache-2.0 */
/* Lists every BPF program, map and link in the kernel, one a line, with its name where it has one. */
#include "lab.h"

#include <linux/bpf.h>
#include <sys/syscall.h>

static int bpf(int command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

static void list(const char *kind, int next_id, int fd_by_id)
{
	union bpf_attr attributes = { 0 };

	while (bpf(next_id, &attributes) == 0) {
		__u32 id = attributes.next_id;
		union {
			struct bpf_prog_info program;
			struct bpf_map_info map;
			struct bpf_link_info link;
		} info = { 0 };
		int fd;

		attributes = (union bpf_attr){ .prog_id = id };
		fd = bpf(fd_by_id, &attributes);
		attributes = (union bpf_attr){ .info.bpf_fd = fd, .info.info_len = sizeof(info), .info.info = (__u64)&info };
		if (fd >= 0 && bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) == 0)
			printf("%s %u %s\n", kind, id,
			       next_id == BPF_PROG_GET_NEXT_ID ? info.program.name :
			       next_id == BPF_MAP_GET_NEXT_ID  ? info.map.name :
								 "");
		else if (errno != ENOENT) /* freed between the two calls */
			err(1, "Cannot look at %s %u", kind, id);
		close(fd);
		attributes = (union bpf_attr){ .start_id = id };
	}
	if (errno != ENOENT)
		err(1, "Cannot list every %s", kind);
}

int main(void)
{
	list("program", BPF_PROG_GET_NEXT_ID, BPF_PROG_GET_FD_BY_ID);
	list("map", BPF_MAP_GET_NEXT_ID, BPF_MAP_GET_FD_BY_ID);
	list("link", BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID);
	return 0;
}
