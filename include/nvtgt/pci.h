/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Controllers that are PCIe functions: registers instead of properties, queues that the host
 * creates with admin commands, and no Connect.
 *
 * Such a controller is made by its transport (ops->pcie) for a port, and lives until the
 * transport gives it back. A reset ends its queues, admin queue and all, and not the
 * controller. The transport makes a connection for each submission queue.
 */
#ifndef _NVTGT_PCI_H
#define _NVTGT_PCI_H

#include <nvtgt/conn.h>

struct nvtgt_ctrl *nvtgt_pci_ctrl_create(struct nvtgt_port *port, const char *host_addr,
					 void *priv, u16 nr_vectors);
void nvtgt_pci_ctrl_put(struct nvtgt_ctrl *ctrl);
void nvtgt_pci_ctrl_end(struct nvtgt_ctrl *ctrl);
struct nvtgt_port *nvtgt_pci_ctrl_port(const struct nvtgt_ctrl *ctrl);
u16 nvtgt_pci_ctrl_cntlid(const struct nvtgt_ctrl *ctrl);
u64 nvtgt_pci_ctrl_read(struct nvtgt_ctrl *ctrl, u32 offset);
void nvtgt_pci_ctrl_set_cc(struct nvtgt_ctrl *ctrl, u32 cc);
void nvtgt_pci_ctrl_fatal(struct nvtgt_ctrl *ctrl);
bool nvtgt_pci_ctrl_is_idle(struct nvtgt_ctrl *ctrl);
unsigned int nvtgt_pci_ctrl_max_qid(const struct nvtgt_ctrl *ctrl);
void nvtgt_pci_ctrl_doorbell_error(struct nvtgt_ctrl *ctrl, u8 info);
u16 nvtgt_pci_conn_join(struct nvtgt_conn *conn, struct nvtgt_ctrl *ctrl, u16 qid, u16 size);

#endif /* _NVTGT_PCI_H */
