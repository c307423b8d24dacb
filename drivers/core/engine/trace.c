// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints' code, and what it says.
 */
#include <linux/export.h>
#include <nvtgt/transport.h>

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * nvtgt_req_state_names - the states of a request, as tracepoints, debugfs and the log say them
 */
const char *const nvtgt_req_state_names[NVTGT_REQ_STATES] = {
	[NVTGT_REQ_FREE]	= "free",
	[NVTGT_REQ_RECEIVED]	= "received",
	[NVTGT_REQ_MEMORY]	= "memory",
	[NVTGT_REQ_INLINE]	= "inline",
	[NVTGT_REQ_FETCHING]	= "fetching",
	[NVTGT_REQ_DATA]	= "data",
	[NVTGT_REQ_READY]	= "ready",
	[NVTGT_REQ_EXECUTING]	= "executing",
	[NVTGT_REQ_DONE]	= "done",
	[NVTGT_REQ_RESPONDING]	= "responding",
	[NVTGT_REQ_WRITING]	= "writing",
	[NVTGT_REQ_SENT]	= "sent",
};
EXPORT_SYMBOL_GPL(nvtgt_req_state_names);

EXPORT_TRACEPOINT_SYMBOL_GPL(nvtgt_req_state);

/**
 * __nvtgt_req_trace - a request is about to change its state
 * @req: the request
 * @state: the new one
 */
void __nvtgt_req_trace(const struct nvtgt_req *req, enum nvtgt_req_state state)
{
	trace_nvtgt_req_state(req, state);
}
EXPORT_SYMBOL_GPL(__nvtgt_req_trace);
