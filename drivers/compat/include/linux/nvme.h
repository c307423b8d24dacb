/* SPDX-License-Identifier: GPL-2.0 */
#include_next <linux/nvme.h>
#ifndef _NVTGT_COMPAT_LINUX_NVME_H
#define _NVTGT_COMPAT_LINUX_NVME_H

#include <nvtgt_compat_config.h>

#ifndef HAVE_NVME_STATUS_DNR
#define NVME_STATUS_DNR		NVME_SC_DNR
#endif

#ifndef HAVE_NVMF_TRTYPE_PCI
#define NVMF_TRTYPE_PCI		0
#endif

#ifndef HAVE_NVME_CC_MASKS
#define NVME_CC_CSS_MASK	(7 << NVME_CC_CSS_SHIFT)
#define NVME_CC_MPS_MASK	(0xf << NVME_CC_MPS_SHIFT)
#define NVME_CC_AMS_MASK	(7 << NVME_CC_AMS_SHIFT)
#define NVME_CC_SHN_MASK	(3 << NVME_CC_SHN_SHIFT)
#define NVME_CC_IOSQES_MASK	(0xf << NVME_CC_IOSQES_SHIFT)
#define NVME_CC_IOCQES_MASK	(0xf << NVME_CC_IOCQES_SHIFT)
#endif

#ifndef HAVE_NVME_WZ_DEAC
#define NVME_WZ_DEAC		(1 << 9)
#endif

#ifndef HAVE_NVME_SUPPORTED_LOGS
#define NVME_LOG_SUPPORTED	0x00
#define NVME_LOG_FEATURES	0x12
#define NVME_LIDS_LSUPP		(1 << 0)
#define NVME_FIS_FSUPP		(1 << 0)
#define NVME_FIS_NSCPE		(1 << 20)
#define NVME_FIS_CSCPE		(1 << 21)

struct nvme_supported_log {
	__le32	lids[256];
};

struct nvme_supported_features_log {
	__le32	fis[256];
};
#endif

#ifndef HAVE_NVME_CTRL_SGLS
#define NVME_CTRL_SGLS_BYTE_ALIGNED	1
#define NVME_CTRL_SGLS_KSDBDS		(1 << 2)
#define NVME_CTRL_SGLS_SAOS		(1 << 20)
#endif

#ifndef HAVE_NVME_NS_ROTATIONAL
#define NVME_NS_ROTATIONAL	(1 << 4)
#endif

#ifndef HAVE_NVME_NS_VWC_NOT_PRESENT
#define NVME_NS_VWC_NOT_PRESENT	(1 << 5)
#endif

#ifndef HAVE_NVME_ID_CNS_NS_ACTIVE_LIST_CS
#define NVME_ID_CNS_NS_ACTIVE_LIST_CS	0x07
#endif

/* the application tag and its mask */
#ifndef HAVE_NVME_RW_LBAT
#define lbat	apptag
#define lbatm	appmask
#endif

#endif
