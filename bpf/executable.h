/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program, by its file. */
#pragma once

#include "cast.h"

struct executable {
	__u64 inode;
	__u32 device;
	__u32 generation;
};

static __always_inline struct executable executable_of(struct mm_struct *mm)
{
	struct inode *inode = READ(mm, exe_file, f_inode);
	struct executable executable = {};

	executable.inode = READ(inode, i_ino);
	executable.device = READ(inode, i_sb, s_dev);
	executable.generation = READ(inode, i_generation);
	return executable;
}

static __always_inline bool same_executable(const struct executable *one, const struct executable *other)
{
	return one->inode == other->inode && one->device == other->device && one->generation == other->generation;
}

static __always_inline bool is_known(const struct executable *executable)
{
	return executable->inode;
}
