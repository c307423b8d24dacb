/* SPDX-License-Identifier: GPL-2.0 */
/* The tracepoint of a request's states. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvtgt_rdma

#if !defined(_NVTGT_RDMA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _NVTGT_RDMA_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(nvtgt_rdma_state,
	    TP_PROTO(const struct nvtgt_rdma_queue *q, const struct nvtgt_rdma_cmd *cmd, u8 state),
	    TP_ARGS(q, cmd, state),
	    TP_STRUCT__entry(__field(const void *, queue)
			     __field(u16, qid)
			     __field(u16, cid)
			     __field(u8, opcode)
			     __field(u8, from)
			     __field(u8, to)),
	    TP_fast_assign(__entry->queue = q;
			   __entry->qid = q->queue.qid;
			   __entry->cid = le16_to_cpu((__force __le16)cmd->sqe.common.command_id);
			   __entry->opcode = cmd->sqe.common.opcode;
			   __entry->from = cmd->state;
			   __entry->to = state;),
	    TP_printk("queue=%p qid=%u cid=%#x opcode=%#x %s -> %s", __entry->queue, __entry->qid,
		      __entry->cid, __entry->opcode, nvtgt_rdma_cmd_state_names[__entry->from],
		      nvtgt_rdma_cmd_state_names[__entry->to])
);

#endif /* _NVTGT_RDMA_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
