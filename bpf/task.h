/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tasks, which are threads: the running one, how its process is numbered, what it has open. */
#pragma once

#include "cast.h"

static __always_inline struct task_struct *current_task(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	return casts_addresses ? bpf_rdonly_cast(task, bpf_core_type_id_kernel(struct task_struct)) : task;
}

/* The number of the task's process in the PID namespace of the process that reads the iterator. */
static __always_inline __u32 visible_pid(struct task_struct *task)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	struct pid *pid = READ(task, group_leader, thread_pid);
	__u32 level = READ(reader, thread_pid, level);
	__u32 nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) +
				      (__u64)level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, nr));
	return nr;
}

/* NULL when it is no socket's. */
static __always_inline struct sock *socket_of_descriptor(struct task_struct *task, unsigned int fd)
{
	struct files_struct *files = field(task, files);
	struct fdtable *table;
	struct socket *socket;
	struct inode *inode;
	struct file *file;

	if (!files)
		return NULL;
	table = field(files, fdt);
	if (fd >= field(table, max_fds))
		return NULL;
	file = pointer_at(field(table, fd) + fd);
	if (!file)
		return NULL;
	file = cast_to(struct file, file);
	inode = field(file, f_inode);
	if ((field(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	socket = cast_to(struct socket, field(file, private_data));
	return field(socket, sk);
}
