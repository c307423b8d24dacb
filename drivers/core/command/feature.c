// SPDX-License-Identifier: GPL-2.0
/*
 * Get Features, Set Features (NVMe base 2.1, 5.1.11 and 5.1.25).
 *
 * No feature can be saved and none is kept per namespace; what was set is forgotten
 * with a controller level reset, but for the keep alive time-out. Nothing here sleeps:
 * the commands are executed in the reactor.
 */
#include "command.h"

/* I/O Command Set Profile and its status, which <linux/nvme.h> does not know. */
#define NVTGT_FEAT_IOCS_PROFILE		0x19
#define NVTGT_SC_IOCS_COMBINATION	0x12b	/* I/O Command Set Combination Rejected */

/* Get Features, DWORD 10 */
#define NVTGT_FEAT_SEL(fid)		((fid) >> 8 & 7)
enum {
	NVTGT_SEL_CURRENT,
	NVTGT_SEL_DEFAULT,
	NVTGT_SEL_SAVED,
	NVTGT_SEL_CAPABILITIES,
};

/* Get Features with SEL 3, completion DWORD 0 */
#define NVTGT_FEAT_CAP_CHANGEABLE	BIT(2)
/* Set Features, DWORD 10 */
#define NVTGT_FEAT_SV			BIT(31)
/* Host Identifier, DWORD 11: 128 bits */
#define NVTGT_HOST_ID_EXHID		BIT(0)

/* Interrupt Vector Configuration, DWORD 11: vector, Coalescing Disable */
#define NVTGT_IRQ_IV			GENMASK(15, 0)
#define NVTGT_IRQ_CD			BIT(16)

/* Asynchronous Event Configuration: what may be set */
#define NVTGT_AEN_SMART			(NVME_SMART_CRIT_SPARE | NVME_SMART_CRIT_TEMPERATURE | \
					 NVME_SMART_CRIT_RELIABILITY | NVME_SMART_CRIT_MEDIA | \
					 NVME_SMART_CRIT_VOLATILE_MEMORY)
#define NVTGT_AEN_IO			((u32)(NVTGT_AEN_SMART | NVME_AEN_CFG_NS_ATTR | \
					       NVME_AEN_CFG_ANA_CHANGE))
#define NVTGT_AEN_DISC			((u32)NVME_AEN_CFG_DISC_CHANGE)

/**
 * struct nvtgt_feature - a feature that there is
 * @get: the value, current or (@dflt) default; in the reactor
 * @set: judge and take a new value; may set DWORD 0 of the completion; in the reactor.
 *	NULL: not changeable, every value but the present one is refused.
 * @discovery: discovery controllers have it
 * @pcie: PCIe functions have it, and controllers over fabrics do not
 * @fabrics: the other way round
 */
struct nvtgt_feature {
	u16 (*get)(struct nvtgt_req *req, bool dflt, u32 *value);
	u16 (*set)(struct nvtgt_req *req, u32 value);
	bool discovery;
	bool pcie;
	bool fabrics;
};

static u16 nvtgt_feature_bad_value(struct nvtgt_req *req)
{
	req->error_loc = offsetof(struct nvme_features, dword11);
	return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
}

static u32 nvtgt_feature_load(struct nvtgt_req *req, bool dflt, enum nvtgt_feature_slot slot)
{
	return dflt ? 0 : READ_ONCE(req->queue->ctrl->features[slot]);
}

static void nvtgt_feature_store(struct nvtgt_req *req, enum nvtgt_feature_slot slot, u32 value)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;

	spin_lock_irq(&ctrl->lock);
	ctrl->features[slot] = value;
	spin_unlock_irq(&ctrl->lock);
}

static u16 nvtgt_get_arbitration(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = nvtgt_feature_load(req, dflt, NVTGT_FEATURE_ARBITRATION);
	return 0;
}

static u16 nvtgt_set_arbitration(struct nvtgt_req *req, u32 value)
{
	/* weights and a burst for an arbitration that fabrics do not have: kept */
	if (value & GENMASK(7, 3))
		return nvtgt_feature_bad_value(req);
	nvtgt_feature_store(req, NVTGT_FEATURE_ARBITRATION, value);
	return 0;
}

static u16 nvtgt_get_power(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = nvtgt_feature_load(req, dflt, NVTGT_FEATURE_POWER);
	return 0;
}

static u16 nvtgt_set_power(struct nvtgt_req *req, u32 value)
{
	/* NPSS is 0: power state 0 alone; any workload hint */
	if (value & ~(u32)GENMASK(7, 5))
		return nvtgt_feature_bad_value(req);
	nvtgt_feature_store(req, NVTGT_FEATURE_POWER, value);
	return 0;
}

/* Which threshold is meant: of the composite temperature, over or under. */
static u16 nvtgt_temp_slot(struct nvtgt_req *req, bool set, enum nvtgt_feature_slot *slot)
{
	u32 dw11 = le32_to_cpu(req->cmd->features.dword11);
	u8 sensor = dw11 >> NVME_TEMP_THRESH_SELECT_SHIFT & 0xf;

	/* there are no sensors; 1111b sets all thresholds that there are */
	if (dw11 >> 21 || (sensor && !(set && sensor == 0xf)))
		return nvtgt_feature_bad_value(req);
	*slot = dw11 & NVME_TEMP_THRESH_TYPE_UNDER ? NVTGT_FEATURE_TEMP_UNDER :
						     NVTGT_FEATURE_TEMP_OVER;
	return 0;
}

static u16 nvtgt_get_temp_thresh(struct nvtgt_req *req, bool dflt, u32 *value)
{
	enum nvtgt_feature_slot slot;
	u16 status;

	status = nvtgt_temp_slot(req, false, &slot);
	if (status)
		return status;
	*value = nvtgt_feature_load(req, dflt, slot);
	return 0;
}

static u16 nvtgt_set_temp_thresh(struct nvtgt_req *req, u32 value)
{
	enum nvtgt_feature_slot slot;
	u16 status;

	status = nvtgt_temp_slot(req, true, &slot);
	if (status)
		return status;
	nvtgt_feature_store(req, slot, value & NVME_TEMP_THRESH_MASK);
	return 0;
}

static u16 nvtgt_get_err_recovery(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = 0;
	return 0;
}

/* There is a volatile write cache, or what behaves like one, and it stays on. */
static u16 nvtgt_get_volatile_wc(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = 1;
	return 0;
}

static u16 nvtgt_get_num_queues(struct nvtgt_req *req, bool dflt, u32 *value)
{
	u32 n = req->queue->ctrl->max_qid - 1;

	*value = n | n << 16;
	return 0;
}

static u16 nvtgt_set_num_queues(struct nvtgt_req *req, u32 value)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	bool has_queues;
	u32 allocated;

	if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff)
		return nvtgt_feature_bad_value(req);

	spin_lock_irq(&ctrl->lock);
	has_queues = ctrl->nr_undrained > !!ctrl->pci_ops;	/* of a drained queue only the connection is left */
	spin_unlock_irq(&ctrl->lock);
	if (has_queues)
		return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;

	nvtgt_get_num_queues(req, false, &allocated);
	req->result.u32 = cpu_to_le32(allocated);
	return 0;
}

static u16 nvtgt_get_write_atomicity(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = nvtgt_feature_load(req, dflt, NVTGT_FEATURE_WRITE_ATOMICITY);
	return 0;
}

static u16 nvtgt_set_write_atomicity(struct nvtgt_req *req, u32 value)
{
	if (value & ~1U)
		return nvtgt_feature_bad_value(req);
	nvtgt_feature_store(req, NVTGT_FEATURE_WRITE_ATOMICITY, value);
	return 0;
}

static u16 nvtgt_get_async_event(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = dflt ? 0 : READ_ONCE(req->queue->ctrl->aen_enabled);
	return 0;
}

static u16 nvtgt_set_async_event(struct nvtgt_req *req, u32 value)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;

	if (value & ~(ctrl->subsys->discovery ? NVTGT_AEN_DISC : NVTGT_AEN_IO))
		return nvtgt_feature_bad_value(req);
	spin_lock_irq(&ctrl->lock);
	ctrl->aen_enabled = value;
	spin_unlock_irq(&ctrl->lock);
	return 0;
}

static u16 nvtgt_get_kato(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = READ_ONCE(req->queue->ctrl->kato_ms);
	if (dflt)
		*value = req->queue->ctrl->subsys->discovery ? NVTGT_DISC_KATO_MS : 0;
	return 0;
}

static u16 nvtgt_set_kato(struct nvtgt_req *req, u32 value)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;

	if (!value && req->queue->ops->needs_ka) {
		req->error_loc = offsetof(struct nvme_features, dword11);
		return NVME_SC_KA_TIMEOUT_INVALID | NVME_STATUS_DNR;
	}
	/* no host keeps a discovery controller for long without a sign of life */
	if (ctrl->subsys->discovery && value > NVTGT_DISC_MAX_KATO_MS) {
		req->error_loc = offsetof(struct nvme_features, dword11);
		return NVME_SC_KA_TIMEOUT_INVALID | NVME_STATUS_DNR;
	}
	spin_lock_irq(&ctrl->lock);
	ctrl->kato_ms = value;
	spin_unlock_irq(&ctrl->lock);
	nvtgt_ctrl_start_ka(ctrl);
	return 0;
}

static u16 nvtgt_get_iocs_profile(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = 0;
	return 0;
}

static u16 nvtgt_set_iocs_profile(struct nvtgt_req *req, u32 value)
{
	/* Identify, CNS 1Ch, lists one combination */
	if (value) {
		req->error_loc = offsetof(struct nvme_features, dword11);
		return NVTGT_SC_IOCS_COMBINATION | NVME_STATUS_DNR;
	}
	return 0;
}

/*
 * A time and a number of completions to wait for before an interrupt: recommendations, and kept. The
 * transport interrupts once for all that a pass of its reactor completes.
 */
static u16 nvtgt_get_irq_coalescing(struct nvtgt_req *req, bool dflt, u32 *value)
{
	*value = nvtgt_feature_load(req, dflt, NVTGT_FEATURE_IRQ_COALESCING);
	return 0;
}

static u16 nvtgt_set_irq_coalescing(struct nvtgt_req *req, u32 value)
{
	nvtgt_feature_store(req, NVTGT_FEATURE_IRQ_COALESCING, value & 0xffff);
	return 0;
}

/* Coalescing Disable of the vector that the command names. */
static u16 nvtgt_get_irq_config(struct nvtgt_req *req, bool dflt, u32 *value)
{
	u32 iv = le32_to_cpu(req->cmd->features.dword11) & NVTGT_IRQ_IV;
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;

	if (iv >= ctrl->pci_vectors)
		return nvtgt_feature_bad_value(req);
	*value = iv;
	if (!dflt && test_bit(iv, ctrl->pci_no_coalescing))
		*value |= NVTGT_IRQ_CD;
	return 0;
}

static u16 nvtgt_set_irq_config(struct nvtgt_req *req, u32 value)
{
	u32 iv = value & NVTGT_IRQ_IV;
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;

	if (iv >= ctrl->pci_vectors)
		return nvtgt_feature_bad_value(req);
	assign_bit(iv, ctrl->pci_no_coalescing, value & NVTGT_IRQ_CD);
	return 0;
}

/*
 * Over fabrics Connect alone sets it. The host of a PCIe function has the one that the
 * administrator gave the port; without that it may tell one, which gives it no right.
 */
static bool nvtgt_host_id_fixed(const struct nvtgt_ctrl *ctrl)
{
	return !ctrl->pci_ops || !uuid_is_null(&ctrl->hostid);
}

static u16 nvtgt_get_host_id(struct nvtgt_req *req, bool dflt, u32 *value)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	uuid_t hostid;

	spin_lock_irq(&ctrl->lock);
	uuid_copy(&hostid, nvtgt_host_id_fixed(ctrl) || dflt ? &ctrl->hostid : &ctrl->set_hostid);
	spin_unlock_irq(&ctrl->lock);
	*value = 0;
	return nvtgt_copy_out(req, 0, &hostid, sizeof(hostid));
}

/* Of a PCIe function. */
static u16 nvtgt_set_host_id(struct nvtgt_req *req, u32 value)
{
	struct nvtgt_ctrl *ctrl = req->queue->ctrl;
	uuid_t hostid;
	u16 status;

	status = nvtgt_copy_in(req, 0, &hostid, sizeof(hostid));
	if (status)
		return status;
	if (nvtgt_host_id_fixed(ctrl))
		return uuid_equal(&hostid, &ctrl->hostid) ? 0 :
		       NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;
	spin_lock_irq(&ctrl->lock);
	uuid_copy(&ctrl->set_hostid, &hostid);
	spin_unlock_irq(&ctrl->lock);
	return 0;
}

static const struct nvtgt_feature nvtgt_features[] = {
	[NVME_FEAT_ARBITRATION]	= { nvtgt_get_arbitration, nvtgt_set_arbitration },
	[NVME_FEAT_POWER_MGMT]	= { nvtgt_get_power, nvtgt_set_power },
	[NVME_FEAT_TEMP_THRESH]	= { nvtgt_get_temp_thresh, nvtgt_set_temp_thresh },
	[NVME_FEAT_ERR_RECOVERY] = { nvtgt_get_err_recovery },
	[NVME_FEAT_VOLATILE_WC]	= { nvtgt_get_volatile_wc },
	[NVME_FEAT_NUM_QUEUES]	= { nvtgt_get_num_queues, nvtgt_set_num_queues },
	[NVME_FEAT_IRQ_COALESCE] = { nvtgt_get_irq_coalescing, nvtgt_set_irq_coalescing,
				     .pcie = true },
	[NVME_FEAT_IRQ_CONFIG]	= { nvtgt_get_irq_config, nvtgt_set_irq_config, .pcie = true },
	[NVME_FEAT_WRITE_ATOMIC] = { nvtgt_get_write_atomicity, nvtgt_set_write_atomicity },
	[NVME_FEAT_ASYNC_EVENT]	= { nvtgt_get_async_event, nvtgt_set_async_event, true },
	[NVME_FEAT_KATO]	= { nvtgt_get_kato, nvtgt_set_kato, true, .fabrics = true },
	[NVTGT_FEAT_IOCS_PROFILE] = { nvtgt_get_iocs_profile, nvtgt_set_iocs_profile },
	[NVME_FEAT_HOST_ID]	= { nvtgt_get_host_id, nvtgt_set_host_id },
};

static bool nvtgt_feature_is_of(const struct nvtgt_feature *feature, bool pcie)
{
	return feature->get && !(pcie ? feature->fabrics : feature->pcie);
}

static const struct nvtgt_feature *nvtgt_feature_find(struct nvtgt_req *req)
{
	const struct nvtgt_feature *feature;
	u8 fid = le32_to_cpu(req->cmd->features.fid);

	if (fid >= ARRAY_SIZE(nvtgt_features))
		return NULL;
	feature = &nvtgt_features[fid];
	if (!nvtgt_feature_is_of(feature, req->queue->ops->pcie) ||
	    (req->queue->ctrl->subsys->discovery && !feature->discovery))
		return NULL;
	return feature;
}

/**
 * nvtgt_feature_effects - an entry of the Feature Identifiers Supported and Effects log
 * @fid: the feature of an I/O controller
 * @pcie: the controller is a PCIe function
 *
 * Return: NVME_FIS_*; 0 when there is no such feature
 */
u32 nvtgt_feature_effects(u8 fid, bool pcie)
{
	if (fid >= ARRAY_SIZE(nvtgt_features) || !nvtgt_feature_is_of(&nvtgt_features[fid], pcie))
		return 0;
	return NVME_FIS_FSUPP | NVME_FIS_CSCPE;
}

static bool nvtgt_feature_changeable(struct nvtgt_req *req, const struct nvtgt_feature *feature)
{
	if (feature->set == nvtgt_set_host_id)
		return !nvtgt_host_id_fixed(req->queue->ctrl);
	return feature->set;
}

static void nvtgt_get_features_execute(struct nvtgt_req *req)
{
	const struct nvtgt_feature *feature = nvtgt_feature_find(req);
	u8 sel = NVTGT_FEAT_SEL(le32_to_cpu(req->cmd->features.fid));
	u32 value = 0;
	u16 status = 0;

	/* what cannot be saved has its default as saved value */
	if (sel == NVTGT_SEL_CAPABILITIES)
		value = nvtgt_feature_changeable(req, feature) ? NVTGT_FEAT_CAP_CHANGEABLE : 0;
	else
		status = feature->get(req, sel != NVTGT_SEL_CURRENT, &value);
	if (!status)
		req->result.u32 = cpu_to_le32(value);
	nvtgt_req_complete(req, status);
}

/**
 * nvtgt_get_features_parse - judge a Get Features command
 * @req: the request
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: 0 or a status
 */
u16 nvtgt_get_features_parse(struct nvtgt_req *req)
{
	struct nvme_features *c = &req->cmd->features;
	u32 dw10 = le32_to_cpu(c->fid);
	u8 sel = NVTGT_FEAT_SEL(dw10);

	if (sel > NVTGT_SEL_CAPABILITIES || !nvtgt_feature_find(req)) {
		req->error_loc = offsetof(struct nvme_features, fid);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if ((u8)dw10 == NVME_FEAT_HOST_ID && sel != NVTGT_SEL_CAPABILITIES) {
		/* identifiers have 128 bits; those of 64, of PCIe, need not be supported */
		if (!(le32_to_cpu(c->dword11) & NVTGT_HOST_ID_EXHID))
			return nvtgt_feature_bad_value(req);
		req->data_len = sizeof(uuid_t);
		req->dir = DMA_FROM_DEVICE;
	}
	req->execute = nvtgt_get_features_execute;
	return 0;
}

static void nvtgt_set_features_execute(struct nvtgt_req *req)
{
	const struct nvtgt_feature *feature = nvtgt_feature_find(req);
	u32 value = le32_to_cpu(req->cmd->features.dword11);
	u32 fixed;
	u16 status;

	if (feature->set) {
		status = feature->set(req, value);
	} else {
		/* what cannot be changed may be set to the value that it has */
		status = feature->get(req, false, &fixed);
		if (!status && value != fixed) {
			req->error_loc = offsetof(struct nvme_features, dword11);
			status = NVME_SC_FEATURE_NOT_CHANGEABLE | NVME_STATUS_DNR;
		}
	}
	nvtgt_req_complete(req, status);
}

/**
 * nvtgt_set_features_parse - judge a Set Features command
 * @req: the request
 *
 * Context: the reactor of the queue; does not sleep.
 * Return: 0 or a status
 */
u16 nvtgt_set_features_parse(struct nvtgt_req *req)
{
	struct nvme_features *c = &req->cmd->features;
	u32 dw10 = le32_to_cpu(c->fid);
	u32 nsid = le32_to_cpu(c->nsid);

	if (!nvtgt_feature_find(req)) {
		req->error_loc = offsetof(struct nvme_features, fid);
		return NVME_SC_INVALID_FIELD | NVME_STATUS_DNR;
	}
	if (dw10 & NVTGT_FEAT_SV) {
		req->error_loc = offsetof(struct nvme_features, fid) + 3;
		return NVME_SC_FEATURE_NOT_SAVEABLE | NVME_STATUS_DNR;
	}
	if (nsid && nsid != NVME_NSID_ALL) {
		req->error_loc = offsetof(struct nvme_features, nsid);
		return NVME_SC_FEATURE_NOT_PER_NS | NVME_STATUS_DNR;
	}
	if ((u8)dw10 == NVME_FEAT_HOST_ID) {
		/* NVMe base 2.1, 5.1.25.1.28: over fabrics Connect alone sets it */
		if (!req->queue->ops->pcie)
			return NVME_SC_CMD_SEQ_ERROR | NVME_STATUS_DNR;
		if (!(le32_to_cpu(c->dword11) & NVTGT_HOST_ID_EXHID))
			return nvtgt_feature_bad_value(req);
		req->data_len = sizeof(uuid_t);
		req->dir = DMA_TO_DEVICE;
	}
	req->execute = nvtgt_set_features_execute;
	return 0;
}
