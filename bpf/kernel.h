/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel structs that are read here, with only the fields that are read: CO-RE relocates each access to where the
 * running kernel has it. */
#pragma once

#define AF_INET 2
#define AF_INET6 10
#define O_NONBLOCK 04000
#define EBUSY 16
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

struct inode {
	__u16 i_mode;
	kuid_t i_uid;
	kgid_t i_gid;
};

struct file {
	unsigned int f_flags;
	struct inode *f_inode;
	void *private_data;
};

struct sock;

struct socket {
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
};

struct net {
	struct netns_ipv4 ipv4;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
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
	int sk_rcvbuf;
	int sk_rcvlowat;
	struct socket *sk_socket;
	void *sk_user_data;
};

struct inet_sock {
	struct sock sk;
};

struct tcp_ulp_ops;

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	const struct tcp_ulp_ops *icsk_ulp_ops;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 copied_seq;
	__u32 snd_una;
	__u32 write_seq;
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
};

struct bpf_sock_ops_kern {
	struct sock *sk;
};

struct list_head {
	struct list_head *next;
};

struct sk_msg_sg {
	__u32 size;
};

struct sk_msg {
	struct sk_msg_sg sg;
	struct list_head list;
};

struct sk_psock {
	struct list_head ingress_msg;
	__u32 msg_tot_len;
	refcount_t refcnt;
};

struct timespec64 {
	__s64 tv_sec;
};

struct task_struct {
	int tgid;
};

struct bpf_iter_meta;

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

#pragma clang attribute pop
