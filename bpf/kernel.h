/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel structs that are read here, with only the fields that are read: CO-RE relocates each access to where the
 * running kernel has it. */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/types.h>

#define AF_INET 2
#define AF_INET6 10
#define O_NONBLOCK 04000
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262
#define EPOLLIN 1u
#define EPOLLOUT 4u
#define EPOLLET (1u << 31)
#define MSG_OOB 1
#define MSG_ZEROCOPY 0x4000000
#define MSG_FASTOPEN 0x20000000
#define SOL_TCP 6
#define TCP_ZEROCOPY_RECEIVE 35
#define FIONREAD 0x541b
#define TS_COMPAT 2
#define TIF_32BIT 22
#define E2BIG 7
#define ENOMEM 12
#define EBUSY 16
#define SK_USER_DATA_BPF 2
#define SOCK_NOSPACE 2
#define SK_USER_DATA_FLAGS 7
#define S_IFMT 0170000
#define S_IFSOCK 0140000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	atomic_t refs;
} refcount_t;

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct task_struct;

struct list_head {
	struct list_head *next;
	struct list_head *prev;
};

struct wait_queue_entry {
	void *private;
	void *func;
	struct list_head entry;
};

struct wait_queue_head {
	struct list_head head;
};

struct socket_wq {
	struct wait_queue_head wait;
};

struct epoll_event {
	__u32 events;
};

struct epitem {
	struct epoll_event event;
};

struct eppoll_entry {
	struct epitem *base;
	struct wait_queue_entry wait;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

/* Before 5.16: a pointer, or with one of the two lowest bits set numbers for net_prio and net_cls. */
struct sock_cgroup_data___numbers {
	__u64 val;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	__u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
	struct super_block *i_sb;
	unsigned long i_ino;
	__u32 i_generation;
};

struct file {
	unsigned int f_flags;
	struct inode *f_inode;
	void *private_data;
};

struct sock;

struct socket {
	unsigned long flags;
	struct file *file;
	struct sock *sk;
};

struct socket_alloc {
	struct socket socket;
	struct inode vfs_inode;
};

struct in6_addr {
	union {
		__u8 u6_addr8[16];
	} in6_u;
};

struct netns_ipv4 {
	__u8 sysctl_tcp_syncookies;
	int sysctl_tcp_rmem[3];
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

/* Their numbers differ from kernel to kernel: bpf_core_enum_value(). */
enum sock_flags {
	SOCK_DEAD,
	SOCK_URGINLINE,
	SOCK_RCVTSTAMP,
	SOCK_TIMESTAMPING_RX_SOFTWARE,
	SOCK_ZEROCOPY,
	SOCK_MEMALLOC,
};

typedef struct {
	long counter;
} atomic_long_t;

struct proto {
	void *close;
	atomic_long_t *memory_allocated; /* pages of TCP, of the whole host */
	unsigned long *memory_pressure;
	long *sysctl_mem; /* net.ipv4.tcp_mem */
};

struct page_counter {
	atomic_long_t usage;
	unsigned long max;
	struct page_counter *parent;
};

struct mem_cgroup_per_node {
	unsigned long lru_zone_size[5]; /* for each zone */
};

/* The same, as BTF has it of some builds: an array of arrays. */
struct mem_cgroup_per_node___nested {
	unsigned long lru_zone_size[5][5];
};

struct mem_cgroup {
	struct page_counter memory;
	struct page_counter tcpmem; /* cgroup v1 */
	bool tcpmem_active;
	struct mem_cgroup_per_node *nodeinfo[1];
};

struct sk_filter;

struct sock_common {
	struct proto *skc_prot;
	unsigned long skc_flags;
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	struct {
		__s64 counter;
	} skc_cookie;
	struct sock *skc_listener;
};

struct sock {
	struct sock_common __sk_common;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	struct {
		struct wait_queue_head wq;
	} sk_lock;
	struct socket_wq *sk_wq;
	int sk_rcvbuf;
	struct sk_filter *sk_filter;
	struct mem_cgroup *sk_memcg;
	int sk_forward_alloc;
	__u32 sk_pacing_status;
	unsigned long sk_max_pacing_rate;
	int sk_rcvlowat;
	int sk_peek_off;
	__u32 sk_tsflags; /* 16 bits before 6.5 */
	__u16 sk_type;
	__u16 sk_protocol;
	struct sock_cgroup_data sk_cgrp_data;
	struct socket *sk_socket;
	void *sk_user_data;
	__u8 sk_kern_sock : 1;
	__u8 sk_userlocks : 4;
	__u8 sk_shutdown;
};

struct inet_sock {
	struct sock sk;
};

struct tcp_ulp_ops;

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const struct tcp_ulp_ops *icsk_ulp_ops;
	__u8 icsk_ca_setsockopt : 1;
	struct {
		__u8 pending;
	} icsk_ack;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u64 bytes_sent;
	__u32 data_segs_out;
	__u32 data_segs_in;
	__u32 rcv_nxt;
	__u32 rcv_wup;
	__u32 rcv_wnd;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 write_seq;
	__u32 lsndtime;
	__u32 mss_cache;
	__u8 bpf_sock_ops_cb_flags;
	__u8 repair : 1;
	__u8 nonagle : 4;
	__u8 recvmsg_inq : 1;
};

struct request_sock {
	struct sock_common __req_common;
};

struct inet_request_sock {
	struct request_sock req;
};

struct tcp_request_sock {
	struct inet_request_sock req;
	__u32 rcv_isn;
	__u32 snt_isn;
	bool is_mptcp; /* where the kernel has MPTCP */
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

struct scatterlist {
	__u32 length;
};

struct sk_msg_sg {
	__u32 size;
	struct scatterlist data[1];
};

struct sk_msg {
	struct sk_msg_sg sg;
	struct list_head list;
};

struct bpf_prog_aux {
	char name[16];
};

struct bpf_prog {
	struct bpf_prog_aux *aux;
};

struct sk_psock_progs {
	struct bpf_prog *msg_parser;
};

struct sk_psock {
	struct sock *sk;
	struct sk_psock_progs progs;
	struct list_head ingress_msg;
	struct list_head link; /* of the sockmaps that it is in */
	__u32 msg_tot_len;
	refcount_t refcnt;
	void *saved_close;
	struct proto *sk_proto;
};

struct timespec64 {
	__s64 tv_sec;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct mm_struct {
	struct file *exe_file;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct thread_info {
	unsigned long flags; /* arm64's tell what x86-64 has in its status */
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	void *stack;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct files_struct *files;
	__u32 tgid;
	char comm[16];
};

/* What a system call was called with: x86-64's registers, then arm64's. */
struct pt_regs {
	unsigned long r10;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long orig_ax;
	unsigned long regs[31];
	int syscallno;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_map;

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

#pragma clang attribute pop
