/* SPDX-License-Identifier: GPL-2.0 */
/*
 * command/: what hosts ask for. Each command comes in through parse.c, is judged by the file
 * of its kind before anything is touched (io.c; admin.c with identify.c, log.c, feature.c;
 * fabrics.c) and executed. discovery.c and ana.c make the log pages of the configuration.
 * It uses object/ and engine/, and does not know where a configuration comes from.
 */
#ifndef _NVTGT_COMMAND_H
#define _NVTGT_COMMAND_H

#include "../object/object.h"

#define NVTGT_PAGE_BYTES	4096	/* CAP.MPSMIN: the unit of MDTS */

/*
 * Parsers: judge the command; set data_len, dir, execute. Each runs in the reactor of the
 * queue, does not sleep, and returns 0 or a status.
 */
u16 nvtgt_fabrics_parse(struct nvtgt_req *req);
u16 nvtgt_admin_parse(struct nvtgt_req *req);
u16 nvtgt_io_parse(struct nvtgt_req *req);
u16 nvtgt_identify_parse(struct nvtgt_req *req);
u16 nvtgt_log_parse(struct nvtgt_req *req);
u16 nvtgt_get_features_parse(struct nvtgt_req *req);
u16 nvtgt_set_features_parse(struct nvtgt_req *req);

/* feature.c */
u32 nvtgt_feature_effects(u8 fid, bool pcie);

/*
 * discovery.c, ana.c: log pages; called in process context, may sleep. Return a kvmalloc'ed
 * page of *len bytes or an ERR_PTR.
 */
void *nvtgt_discovery_log(struct nvtgt_req *req, size_t *len);
void *nvtgt_ana_log(struct nvtgt_req *req, size_t *len);

/* ana.c */
u16 nvtgt_ana_check(struct nvtgt_req *req);

static inline u16 nvtgt_bad_opcode(struct nvtgt_req *req)
{
	req->error_loc = offsetof(struct nvme_common_command, opcode);
	return NVME_SC_INVALID_OPCODE | NVME_STATUS_DNR;
}

/* Is the namespace's group optimized on this port? Nearly always it is. */
static inline bool nvtgt_ana_optimized(const struct nvtgt_req *req)
{
	u32 grpid = READ_ONCE(to_nvtgt_core_ns(req->ns)->anagrpid);

	return READ_ONCE(to_nvtgt_cport(req->queue->port)->ana_state[grpid]) ==
		NVME_ANA_OPTIMIZED;
}

#endif /* _NVTGT_COMMAND_H */
