/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/* Front end `tracepoint` (6.3+): one typed hook a socket call, the buffer by the system call's
 * arguments. */
#pragma once

#include "handlers/transfer.h"

SEC("tp_btf/sock_send_length")
int BPF_PROG(obi_tp_send, struct sock *sk, int ret, int flags)
{
	struct transfer_args a = {
		.sk = sk, .ret = ret, .dir = DATA_DIRECTION_SEND, .source = PAYLOAD_OF_SYSCALL};

	return handle_transfer(&a);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(obi_tp_recv, struct sock *sk, int ret, int flags)
{
	struct transfer_args a = {.sk = sk,
				  .ret = ret,
				  .flags = flags,
				  .dir = DATA_DIRECTION_RECV,
				  .source = PAYLOAD_OF_SYSCALL};

	return handle_transfer(&a);
}
