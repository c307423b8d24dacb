/* SPDX-License-Identifier: GPL-2.0 */
/*
 * object/: the core's objects and the life of each: requests (request.c; pass.c is what a
 * reactor's pass does for them), connections and their peers (conn.c, peer.c), queues,
 * controllers (ctrl.c; what stopped queues have left in backends: drain.c; events:
 * event.c, error_log.c), subsystems, namespaces, ports; the transports and backends that
 * are registered (transport.c, backend.c); names (nqn.c); debugfs.c shows these objects.
 * It uses engine/. command/ judges commands (but the AER: event.c), config/ attributes.
 */
#ifndef _NVTGT_OBJECT_H
#define _NVTGT_OBJECT_H

#include <linux/atomic.h>
#include <linux/configfs.h>
#include <linux/idr.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/nvme.h>
#include <linux/ratelimit.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>
#include <nvtgt/backend.h>
#include <nvtgt/conn.h>
#include <nvtgt/transport.h>
#include <nvtgt/types.h>
#include "../engine/engine.h"
#include "nqn.h"

#define NVTGT_MAX_NSID		1024	/* MNAN, and the largest namespace id */
#define NVTGT_MAX_ANAGRPS	128
/* Where hosts see the namespaces whose device is gone: persistent loss on each port. */
#define NVTGT_LOST_ANAGRP	(NVTGT_MAX_ANAGRPS + 1)
/* Workers of one namespace's commands: a device that stalls leaves some to other namespaces. */
#define NVTGT_NS_WORKERS	32

#define NVTGT_DEFAULT_ANA_GRPID	1
#define NVTGT_MAX_AERS		16
#define NVTGT_MAX_PENDING_EVENTS 32	/* kept per controller while no AER is there */
#define NVTGT_ERROR_LOG_SLOTS	64
#define NVTGT_KAS		10	/* keep alive granularity: 10 x 100 ms */
#define NVTGT_DISC_KATO_MS	120000	/* of discovery controllers whose host asks for none */
#define NVTGT_DISC_MAX_KATO_MS	300000	/* of discovery controllers, at most */
#define NVTGT_CNTLID_MIN	1
#define NVTGT_CNTLID_MAX	0xffef
#define NVTGT_NQN_SIZE		(NVMF_NQN_SIZE + 1)
#define NVTGT_SN_SIZE		20
#define NVTGT_MN_SIZE		40
#define NVTGT_FR_SIZE		8
#define NVTGT_BACKEND_NAME_SIZE	16	/* with the NUL */
#define NVTGT_TRTYPE_UNSET	0xff	/* addr_trtype has not been written */
#define NVTGT_ADRFAM_UNSET	0xff	/* addr_adrfam has not been written */
#define NVTGT_IOSQES		6	/* log2 of 64: NVM SQE */
#define NVTGT_IOCQES		4	/* log2 of 16 */

/*
 * nvtgt_config_sem - the configuration tree
 *
 * Protects the lists of hosts, subsystems and ports, which subsystem is linked
 * to which port, which host is allowed in which subsystem, referrals, ANA states
 * and the discovery generation counter. Held for writing by configfs handlers,
 * for reading by Connect and by the discovery and ANA logs.
 * Order: nvtgt_config_sem, subsys->lock, ctrl->lock. No thread that holds one of
 * them waits for a device.
 */
extern struct rw_semaphore nvtgt_config_sem;
extern struct list_head nvtgt_ports;		/* nvtgt_cport.entry */
extern struct list_head nvtgt_subsystems;	/* nvtgt_subsys.entry */
extern struct list_head nvtgt_disc_subsystems;	/* the same, of discovery */
extern u64 nvtgt_genctr;
extern atomic64_t nvtgt_ana_chgcnt;

/* struct nvtgt_host - hosts/NQN */
struct nvtgt_host {
	struct config_group group;
	char nqn[NVTGT_NQN_SIZE];
};

/* struct nvtgt_host_link - a host's right to a subsystem (allowed_hosts/NQN) */
struct nvtgt_host_link {
	struct list_head entry;		/* nvtgt_subsys.hosts; nvtgt_config_sem */
	struct nvtgt_host *host;
};

/* struct nvtgt_subsys_link - a subsystem's export (ports/ID/subsystems/NQN) */
struct nvtgt_subsys_link {
	struct list_head entry;		/* nvtgt_cport.subsystems; nvtgt_config_sem */
	struct nvtgt_subsys *subsys;
};

/* struct nvtgt_subsys - subsystems/NQN, or a discovery subsystem */
struct nvtgt_subsys {
	struct kref ref;		/* configfs item, namespaces' items, controllers */
	struct list_head entry;
	char nqn[NVTGT_NQN_SIZE];
	bool discovery;

	/* nvtgt_config_sem */
	struct list_head hosts;		/* nvtgt_host_link */
	bool allow_any_host;
	unsigned int nr_ports;		/* links from ports */

	/* lock (mutex) */
	struct mutex lock;
	struct list_head ctrls;		/* nvtgt_ctrl.subsys_entry */
	unsigned int nr_ctrls;
	unsigned int nr_namespaces;	/* enabled ones */
	u32 max_nsid;
	bool pi;			/* attr_pi_enable */
	u64 ver;			/* NVME_VS() */
	u16 cntlid_min;
	u16 cntlid_max;
	u16 max_qid;
	u16 vendor_id;
	u16 subsys_vendor_id;
	u32 ieee_oui;
	bool discovered;		/* identified once: serial, model are fixed */
	char serial[NVTGT_SN_SIZE + 1];
	char model[NVTGT_MN_SIZE + 1];
	char firmware[NVTGT_FR_SIZE + 1];
	struct ida cntlids;
	u16 next_cntlid;
	struct dentry *debugfs;

	/* RCU readers; changed under lock */
	struct xarray namespaces;	/* nsid -> nvtgt_core_ns, enabled ones only */

	struct config_group group;
	struct config_group ns_group;
	struct config_group hosts_group;
};

/* struct nvtgt_ns_stats - what a namespace has done, for the SMART log */
struct nvtgt_ns_stats {
	u64 reads, writes;		/* commands */
	u64 read_sectors, written_sectors;	/* of 512 bytes */
};

/* struct nvtgt_core_ns - subsystems/NQN/namespaces/NSID: the core's namespace */
struct nvtgt_core_ns {
	struct nvtgt_ns ns;		/* the part that backends see */
	struct config_group group;
	/*
	 * Held around all that the backend is asked outside of commands: enable,
	 * disable, options, size. The device may hang meanwhile. Before all other locks.
	 */
	struct mutex enable_lock;
	struct delayed_work poll_work;	/* looks at the size; runs while enabled */
	bool was_lost;			/* the device was, at the last disable; enable_lock */

	/* enable_lock and subsys->lock to change them, one of the two to read */
	bool enabled;
	bool in_use;			/* being opened, open, or being closed */

	atomic_t lost;			/* the device is gone; until the next enable */
	struct work_struct lost_work;	/* tells hosts and the log */
	struct work_struct remove_work;	/* disables it after rmdir */

	/* subsys->lock; backend_name and what open() reads do not change while in_use */
	char backend_name[NVTGT_BACKEND_NAME_SIZE];
	u32 conf_anagrpid;		/* ana_grpid */
	u32 anagrpid;			/* as hosts see it, see nvtgt_ns_set_anagrp() */
	uuid_t uuid;
	u8 nguid[16];

	/* alloc_percpu() with the object; written by io.c, summed up by log.c */
	struct nvtgt_ns_stats __percpu *stats;

	struct completion gone;		/* ns.ref reached zero */
	bool hidden;			/* rmdir has hidden it; remove_work does the rest */
	struct completion removed;	/* remove_work has disabled it */
	struct rcu_head rcu;

	/* what its backend does in workers, see nvtgt_req_defer() */
	spinlock_t deferred_lock ____cacheline_aligned_in_smp;	/* irq; no lock is taken inside */
	struct list_head deferred;	/* nvtgt_req.entry: no worker is free */
	unsigned int nr_workers;
};

/* struct nvtgt_referral - ports/ID/referrals/NAME */
struct nvtgt_referral {
	struct config_group group;
	struct list_head entry;		/* nvtgt_cport.referrals; nvtgt_config_sem */
	struct nvtgt_cport *cport;
	struct nvtgt_addr addr;
	u16 portid;
	bool enabled;
};

/* struct nvtgt_cport - ports/ID: the core's port */
struct nvtgt_cport {
	struct nvtgt_port port;		/* the part that transports see */
	struct config_group group;
	struct config_group subsys_group;
	struct config_group referrals_group;
	struct config_group ana_groups_group;

	/* nvtgt_config_sem */
	struct list_head entry;		/* nvtgt_ports */
	struct list_head subsystems;	/* nvtgt_subsys_link */
	struct list_head referrals;
	bool enabled;			/* the listener is open */
	/* as configured, -1: the transport's default; port.* holds what is in force */
	int conf_inline_data_size;
	int conf_max_queue_size;
	int conf_mdts;
	bool conf_pi;
	/* param_hostnqn, param_hostid: whose controllers those of a PCIe transport are; or "", 0 */
	char hostnqn[NVTGT_NQN_SIZE];
	uuid_t hostid;
	u8 tsas[NVMF_TSAS_SIZE];	/* for the discovery log */
	enum nvme_ana_state ana_state[NVTGT_LOST_ANAGRP + 1];	/* 0: no such group */
	struct list_head ana_groups;
};

/* struct nvtgt_event - an asynchronous event that waits for an AER */
struct nvtgt_event {
	u8 type;			/* enum nvme_ae_type: NVME_AER_* */
	u8 info;
	u8 log_page;
};

/* Features whose value is only kept; 0 is the default of each. */
enum nvtgt_feature_slot {
	NVTGT_FEATURE_ARBITRATION,
	NVTGT_FEATURE_POWER,
	NVTGT_FEATURE_TEMP_OVER,
	NVTGT_FEATURE_TEMP_UNDER,
	NVTGT_FEATURE_WRITE_ATOMICITY,
	NVTGT_FEATURE_IRQ_COALESCING,
	NVTGT_NR_FEATURES
};

#define NVTGT_HOST_ADDR_SIZE	64

/*
 * struct nvtgt_ctrl - a controller: the association of one host
 *
 * Lives while a queue, or a thread with a reference, needs it. The admin
 * queue's end ends the controller.
 */
struct nvtgt_ctrl {
	struct kref ref;
	struct nvtgt_subsys *subsys;
	struct nvtgt_port *port;	/* holds a reference */
	struct list_head subsys_entry;	/* subsys->lock */

	/* constant after Connect; of a PCIe function as its port has them */
	char hostnqn[NVTGT_NQN_SIZE];	/* may be empty, see nvtgt_host_name() */
	uuid_t hostid;
	char host_addr[NVTGT_HOST_ADDR_SIZE];	/* where its admin queue came from, without port */
	u16 cntlid;
	u64 cap;
	u16 max_qid;			/* subsys->max_qid when it was made */
	u32 mdts;
	bool pi;			/* protection information is shown and moved */
	bool persistent;		/* its host asked for a keep alive time-out */
	/* of a PCIe function (pci.c): its transport, and the transport's; else NULL */
	const struct nvtgt_transport_ops *pci_ops;
	void *pci_priv;
	u16 pci_vectors;		/* of MSI-X */
	unsigned long *pci_no_coalescing;	/* a bit for each of them: Coalescing Disable; atomic */

	struct list_head peer_entry;	/* nvtgt_peer.discovery; conns->peer_lock */

	u32 csts;			/* lock */
	bool ready;			/* lock; I/O commands may come; read by each, READ_ONCE() */

	/* protects csts, ready and what follows; not in the line that each command reads */
	spinlock_t lock ____cacheline_aligned_in_smp;
	struct nvtgt_queue **queues;	/* [0 … max_qid] */
	unsigned int nr_queues;
	bool deleting;			/* no queue may join any more */
	u32 cc;
	bool draining;			/* CSTS waits for what I/O queues have left in backends */
	bool pci_admin;			/* a PCIe function: it has an admin queue, not ending */
	bool stuck;			/* … in vain for so long that CSTS.CFS has been set */
	u32 told_late;			/* namespace logged last as one that a Connect waits for */
	unsigned int nr_undrained;	/* queues that are not drained; I/O queues, or all of a PCIe function */
	unsigned long drain_due;	/* jiffies: when CSTS.CFS is to be set, while draining */
	u32 kato_ms;			/* 0: no keep alive */
	u32 features[NVTGT_NR_FEATURES];
	/* a PCIe function without hostid: what its host has set, which gives it no right */
	uuid_t set_hostid;
	u32 aen_enabled;		/* Set Features 0Bh, bits as in OAES */
	unsigned long aen_masked;	/* sent or kept, and the log page has not been read since */
	struct list_head aers;		/* nvtgt_req.entry: outstanding AERs */
	unsigned int nr_aers;
	struct nvtgt_event events[NVTGT_MAX_PENDING_EVENTS];
	unsigned int first_event, nr_events;
	__le32 changed_ns[NVME_MAX_CHANGED_NAMESPACES];
	u32 nr_changed_ns;		/* U32_MAX: more than fit */
	struct nvme_error_slot error_log[NVTGT_ERROR_LOG_SLOTS];
	u64 error_count;

	u64 seen_cmds;			/* commands at the last look of ka_work */
	bool ka_overdue;		/* KATO is over; ka_work waits for the reactors */
	struct dentry *debugfs;
	struct delayed_work ka_work;
	struct delayed_work drain_work;
	struct work_struct fatal_work;
};

/**
 * nvtgt_host_name - what to print for a host
 * @hostnqn: the Host NQN of its Connect
 *
 * Return: the name; "-" for a host that has given none
 */
static inline const char *nvtgt_host_name(const char *hostnqn)
{
	return *hostnqn ? hostnqn : "-";
}

/*
 * What nvtgt_ctrl_create() says when the host has to wait (nvtgt_host_must_wait()): no status of
 * NVMe's, and not sent.
 */
#define NVTGT_CONNECT_WAIT	0xffff

#define nvtgt_ctrl_info(ctrl, fmt, ...)						\
	pr_info_ratelimited("%s ctrl %u (%s): " fmt, (ctrl)->subsys->nqn, (ctrl)->cntlid,	\
		nvtgt_host_name((ctrl)->hostnqn), ##__VA_ARGS__)
#define nvtgt_ctrl_warn(ctrl, fmt, ...)						\
	pr_warn_ratelimited("%s ctrl %u (%s): " fmt, (ctrl)->subsys->nqn,	\
			    (ctrl)->cntlid, nvtgt_host_name((ctrl)->hostnqn), ##__VA_ARGS__)

static inline struct nvtgt_core_ns *to_nvtgt_core_ns(struct nvtgt_ns *ns)
{
	return container_of(ns, struct nvtgt_core_ns, ns);
}

static inline struct nvtgt_cport *to_nvtgt_cport(struct nvtgt_port *port)
{
	return container_of(port, struct nvtgt_cport, port);
}

/* transport.c, backend.c: registered transports and backends */
const struct nvtgt_transport_ops *nvtgt_transport_find(u8 trtype);	/* loads the module */
const char *nvtgt_trtype_name(u8 trtype);
int nvtgt_trtype_find(const char *name);
const struct nvtgt_backend_ops *nvtgt_backend_find(const char *name);	/* loads the module */
const char *nvtgt_backend_missing(const struct nvtgt_backend_ops *ops);

/* conn.c: the core's side of a connection */
void nvtgt_conn_connected(struct nvtgt_conn *conn);
bool nvtgt_conn_hung_up(struct nvtgt_conn *conn);
void nvtgt_conn_stop_reqs(struct nvtgt_conn *conn);
bool nvtgt_conn_abort(struct nvtgt_conn *conn, u16 cid);
void nvtgt_conn_mem_ready(struct nvtgt_buf_waiter *waiter);
void nvtgt_conns_show(struct seq_file *m);
void nvtgt_peers_show(struct seq_file *m);

/* peer.c */
void nvtgt_peers_init(struct nvtgt_conns *conns);
void nvtgt_peers_exit(struct nvtgt_conns *conns);
int nvtgt_peer_enter(struct nvtgt_queue *queue, const struct sockaddr_storage *addr);
void nvtgt_peer_settle(struct nvtgt_queue *queue);
void nvtgt_peers_show_of(struct seq_file *m, struct nvtgt_conns *conns);
void nvtgt_peer_add_discovery(struct nvtgt_queue *queue, struct nvtgt_ctrl *ctrl);
void nvtgt_peer_leave(struct nvtgt_queue *queue);

/* drain.c: requests of a stopped queue, or that wait for a worker */
void nvtgt_req_stop(struct nvtgt_req *req);
bool nvtgt_req_cancel(struct nvtgt_req *req, u16 status);

/* queue.c */
void nvtgt_queue_init(struct nvtgt_queue *queue, struct nvtgt_port *port,
		      const struct nvtgt_transport_ops *ops);
void nvtgt_queue_stop(struct nvtgt_queue *queue);
void nvtgt_queue_destroy(struct nvtgt_queue *queue);
u16 nvtgt_queue_max_size(const struct nvtgt_queue *queue);

/* pass.c */
extern const struct nvtgt_reactor_hooks nvtgt_pass_hooks;
void nvtgt_queue_move(struct nvtgt_queue *queue, struct nvtgt_reactor *to);

/* subsys.c */
struct nvtgt_subsys *nvtgt_subsys_create(const char *nqn, bool discovery);
void nvtgt_subsys_get(struct nvtgt_subsys *subsys);
void nvtgt_subsys_put(struct nvtgt_subsys *subsys);
struct nvtgt_subsys *nvtgt_subsys_find_get(struct nvtgt_port *port, const char *nqn);
bool nvtgt_host_allowed(struct nvtgt_subsys *subsys, const char *hostnqn);
void nvtgt_subsys_del_ctrls(struct nvtgt_subsys *subsys, struct nvtgt_port *port,
			    const char *hostnqn);
void nvtgt_subsys_del_disallowed(struct nvtgt_subsys *subsys);
void nvtgt_subsys_del_outside(struct nvtgt_subsys *subsys);
void nvtgt_subsys_set_max_qid(struct nvtgt_subsys *subsys, u16 max_qid);
int nvtgt_subsys_add(struct nvtgt_subsys *subsys);
void nvtgt_subsys_del(struct nvtgt_subsys *subsys);
int nvtgt_discovery_set_nqn(const char *nqn);
int nvtgt_discovery_init(void);
void nvtgt_discovery_exit(void);

/* ns.c */
struct nvtgt_core_ns *nvtgt_ns_create(struct nvtgt_subsys *subsys, u32 nsid);
void nvtgt_ns_destroy(struct nvtgt_core_ns *core_ns);
int nvtgt_ns_enable(struct nvtgt_core_ns *core_ns);
void nvtgt_ns_disable(struct nvtgt_core_ns *core_ns);
void nvtgt_ns_remove(struct nvtgt_core_ns *core_ns);
int nvtgt_ns_revalidate(struct nvtgt_core_ns *core_ns);
void nvtgt_ns_try_revalidate(struct nvtgt_core_ns *core_ns);
void nvtgt_ns_set_anagrp(struct nvtgt_core_ns *core_ns);

/**
 * nvtgt_ns_find_get - find a namespace for a command
 * @subsys: the controller's subsystem
 * @nsid: as the host gave it
 *
 * Context: any.
 * Return: the namespace with a reference, or NULL when it is not enabled.
 */
static inline struct nvtgt_ns *nvtgt_ns_find_get(struct nvtgt_subsys *subsys, u32 nsid)
{
	struct nvtgt_core_ns *core_ns;

	rcu_read_lock();
	core_ns = xa_load(&subsys->namespaces, nsid);
	if (core_ns && !percpu_ref_tryget_live(&core_ns->ns.ref))
		core_ns = NULL;
	rcu_read_unlock();
	return core_ns ? &core_ns->ns : NULL;
}

/**
 * nvtgt_ns_put - a command is done with a namespace
 * @ns: the namespace
 *
 * Context: any.
 */
static inline void nvtgt_ns_put(struct nvtgt_ns *ns)
{
	percpu_ref_put(&ns->ref);
}

int nvtgt_ns_set_options(struct nvtgt_core_ns *core_ns, const char *options);

/* port.c */
struct nvtgt_cport *nvtgt_port_create(u16 id, struct net *net);
void nvtgt_port_destroy(struct nvtgt_cport *cport);
int nvtgt_port_link(struct nvtgt_cport *cport, struct nvtgt_subsys *subsys);
void nvtgt_port_unlink(struct nvtgt_cport *cport, struct nvtgt_subsys *subsys);
int nvtgt_port_enable(struct nvtgt_cport *cport);
void nvtgt_port_disable(struct nvtgt_cport *cport);

/* ctrl.c */
struct nvtgt_ctrl *nvtgt_ctrl_alloc(struct nvtgt_subsys *subsys, struct nvtgt_port *port,
				    const char *hostnqn, const uuid_t *hostid, u16 max_size);
void nvtgt_ctrl_free(struct nvtgt_ctrl *ctrl);
u16 nvtgt_ctrl_publish(struct nvtgt_ctrl *ctrl);
struct nvtgt_ctrl *nvtgt_ctrl_create(struct nvtgt_subsys *subsys, struct nvtgt_queue *queue,
				     const char *hostnqn, const uuid_t *hostid, u32 kato_ms,
				     u16 *status);
struct nvtgt_ctrl *nvtgt_ctrl_find_get(struct nvtgt_subsys *subsys, u16 cntlid);
void nvtgt_ctrl_get(struct nvtgt_ctrl *ctrl);
void nvtgt_ctrl_put(struct nvtgt_ctrl *ctrl);
u16 nvtgt_ctrl_add_queue(struct nvtgt_ctrl *ctrl, struct nvtgt_queue *queue, u16 qid);
void nvtgt_ctrl_del_queue(struct nvtgt_ctrl *ctrl, struct nvtgt_queue *queue, u16 qid);
void nvtgt_ctrl_delete(struct nvtgt_ctrl *ctrl);
void nvtgt_ctrl_fatal(struct nvtgt_ctrl *ctrl);
void nvtgt_ctrl_set_cc(struct nvtgt_ctrl *ctrl, u32 cc);
void nvtgt_ctrl_settle(struct nvtgt_ctrl *ctrl);
void nvtgt_ctrl_disconnect_queues(struct nvtgt_ctrl *ctrl, u16 first);
void nvtgt_ctrl_start_ka(struct nvtgt_ctrl *ctrl);
void nvtgt_ctrl_stop_ka(struct nvtgt_ctrl *ctrl);

/* Has CC.EN been set and taken effect? Any context. */
static inline bool nvtgt_ctrl_enabled(const struct nvtgt_ctrl *ctrl)
{
	return (READ_ONCE(ctrl->cc) & NVME_CC_ENABLE) && (READ_ONCE(ctrl->csts) & NVME_CSTS_RDY);
}

/* drain.c */
void nvtgt_ctrl_drain(struct nvtgt_ctrl *ctrl);
void nvtgt_ctrl_drain_work(struct work_struct *work);
void nvtgt_queue_late_known(struct nvtgt_queue *queue);
bool nvtgt_host_must_wait(struct nvtgt_subsys *subsys, const struct nvtgt_ctrl *ctrl);

/* event.c */
u16 nvtgt_aer_parse(struct nvtgt_req *req);
void nvtgt_event_send(struct nvtgt_ctrl *ctrl, u8 type, u8 info, u8 log_page);
void nvtgt_event_rearm(struct nvtgt_ctrl *ctrl, u32 bit);
void nvtgt_event_flush_aers(struct nvtgt_ctrl *ctrl);
bool nvtgt_event_abort_aer(struct nvtgt_ctrl *ctrl, u16 cid);
void nvtgt_ns_changed(struct nvtgt_subsys *subsys, u32 nsid);
void nvtgt_ana_changed(struct nvtgt_subsys *subsys, struct nvtgt_port *port);
void nvtgt_discovery_changed(struct nvtgt_port *port, struct nvtgt_subsys *subsys);

/* request.c */
void nvtgt_req_complete_work(struct nvtgt_req *req, void (*fn)(struct nvtgt_req *req));
u16 nvtgt_copy_out(struct nvtgt_req *req, size_t off, const void *buf, size_t len);
u16 nvtgt_copy_in(struct nvtgt_req *req, size_t off, void *buf, size_t len);
u16 nvtgt_zero_out(struct nvtgt_req *req, size_t off, size_t len);
u16 nvtgt_req_find_ns(struct nvtgt_req *req);
void nvtgt_req_put_ns(struct nvtgt_req *req);

/* Does a command that an I/O queue takes change the medium? */
static inline bool nvtgt_changes_medium(u8 opcode)
{
	return opcode == nvme_cmd_write || opcode == nvme_cmd_write_zeroes ||
	       opcode == nvme_cmd_dsm;
}

/* error_log.c */
void nvtgt_error_log(struct nvtgt_req *req);

/* debugfs.c */
void nvtgt_debugfs_init(void);
void nvtgt_debugfs_exit(void);
void nvtgt_debugfs_add_subsys(struct nvtgt_subsys *subsys);
void nvtgt_debugfs_del_subsys(struct nvtgt_subsys *subsys);
void nvtgt_debugfs_add_ctrl(struct nvtgt_ctrl *ctrl);
void nvtgt_debugfs_del_ctrl(struct nvtgt_ctrl *ctrl);

#endif /* _NVTGT_OBJECT_H */
