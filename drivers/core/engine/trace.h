/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: each change of a connection's and of a request's state. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nvtgt

#if !defined(_NVTGT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _NVTGT_TRACE_H

#include <linux/tracepoint.h>
#include <nvtgt/conn.h>

TRACE_EVENT(nvtgt_req_state,
	    TP_PROTO(const struct nvtgt_req *req, u8 state),
	    TP_ARGS(req, state),
	    TP_STRUCT__entry(__field(const void *, queue)
			     __field(u16, qid)
			     __field(u16, cid)
			     __field(u8, opcode)
			     __field(u8, from)
			     __field(u8, to)),
	    TP_fast_assign(__entry->queue = req->queue;
			   __entry->qid = req->queue->qid;
			   __entry->cid = le16_to_cpu((__force __le16)req->cmd->common.command_id);
			   __entry->opcode = req->cmd->common.opcode;
			   __entry->from = req->state;
			   __entry->to = state;),
	    TP_printk("queue=%p qid=%u cid=%#x opcode=%#x %s -> %s", __entry->queue, __entry->qid,
		      __entry->cid, __entry->opcode, nvtgt_req_state_names[__entry->from],
		      nvtgt_req_state_names[__entry->to])
);

TRACE_EVENT(nvtgt_conn_state,
	    TP_PROTO(const struct nvtgt_conn *conn, u8 state),
	    TP_ARGS(conn, state),
	    TP_STRUCT__entry(__field(const void *, queue)
			     __field(u16, port)
			     __field(u16, qid)
			     __field(u8, from)
			     __field(u8, to)),
	    TP_fast_assign(__entry->queue = &conn->queue;
			   __entry->port = conn->queue.port->id;
			   __entry->qid = conn->queue.qid;
			   __entry->from = conn->state;
			   __entry->to = state;),
	    TP_printk("queue=%p port=%u qid=%u %u -> %u", __entry->queue, __entry->port,
		      __entry->qid, __entry->from, __entry->to)
);

#endif /* _NVTGT_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
