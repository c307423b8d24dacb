// SPDX-License-Identifier: GPL-2.0
/*
 * What a message asks of the PCI function, and the answer.
 *
 * Whoever is on the socket may be hostile: sizes, indexes and counts are checked here against
 * what came, before anything is read or handed on.
 */
#include "vfud.h"

#include <errno.h>
#include <json-c/json.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

static const char VERSION_JSON[] =
	"{\"capabilities\":{\"max_msg_fds\":16,\"max_data_xfer_size\":65536,\"pgsizes\":4096,"
	"\"write_multiple\":true}}";
_Static_assert(VFU_MAX_FDS == 16 && VFU_MAX_DATA == 65536, "what VERSION_JSON says");

#define REG_CC		0x14
#define REG_CSTS	0x1c
#define CC_EN		1
#define CSTS_CFS	2

/**
 * vfud_device_init() - a function, of a new client or a predecessor's
 * @dev: what becomes it
 * @state: its memory
 * @ops: the kernel's half
 * @ctrl: for @ops
 */
void vfud_device_init(struct vfud_device *dev, struct vfud_state *state,
		      const struct vfud_kernel_ops *ops, void *ctrl)
{
	memset(dev, 0, sizeof(*dev));
	dev->state = state;
	dev->ops = ops;
	dev->ctrl = ctrl;
}

/**
 * vfud_check_header() - can the rest of a message be understood?
 * @hdr: as it came
 *
 * Return: 0, or -EPROTO: what follows cannot be told apart from the next message
 */
int vfud_check_header(const struct vfu_hdr *hdr)
{
	if (hdr->size < sizeof(*hdr))
		return -EPROTO;
	return 0;
}

static const char *where(const struct vfud_device *dev)
{
	return dev->state->path;
}

/* The message's fixed part, copied to @to; -EINVAL: it is shorter. */
static int get(const struct vfud_msg *msg, void *to, size_t size)
{
	if (msg->len < size)
		return -EINVAL;
	memcpy(to, msg->data, size);
	return 0;
}

static void put(struct vfud_msg *msg, const void *from, size_t size)
{
	memcpy(msg->reply + msg->reply_len, from, size);
	msg->reply_len += size;
}

/* What the client says of itself needs to be JSON, if there is anything; nothing of it changes what we do. */
static int check_json(const char *text, size_t len)
{
	struct json_tokener *tok;
	struct json_object *obj;
	int ret = -EINVAL;

	if (!len)
		return 0;
	if (text[len - 1] || memchr(text, 0, len) != text + len - 1)
		return -EINVAL;
	tok = json_tokener_new_ex(8);
	if (!tok)
		return -ENOMEM;
	obj = json_tokener_parse_ex(tok, text, len);
	if (json_tokener_get_error(tok) == json_tokener_success &&
	    json_object_is_type(obj, json_type_object))
		ret = 0;
	json_object_put(obj);
	json_tokener_free(tok);
	return ret;
}

static int do_version(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct vfu_version version;
	int ret = get(msg, &version, sizeof(version));

	if (!ret)
		ret = check_json((const char *)msg->data + sizeof(version),
				 msg->len - sizeof(version));
	if (ret) {
		vfud_warn(where(dev), "the client's first message is not a version");
		return ret;
	}
	if (version.major != 0) {
		vfud_warn(where(dev), "the client speaks vfio-user %u.%u, and this is 0.0",
			  version.major, version.minor);
		return -EINVAL;
	}
	version.minor = 0;
	put(msg, &version, sizeof(version));
	/* QEMU takes no answer that is longer than its message; without it defaults count */
	if (msg->len >= sizeof(version) + sizeof(VERSION_JSON))
		put(msg, VERSION_JSON, sizeof(VERSION_JSON));
	dev->state->negotiated = true;
	return 0;
}

/* A predecessor has had file descriptors of this message, and has taken them with it. */
static bool lost_fds(const struct vfud_device *dev, const struct vfud_msg *msg)
{
	return dev->state->rx_fds > msg->nr_fds;
}

static int map_call(struct vfud_device *dev, struct nvtgt_vfu_map *map)
{
	int ret = dev->ops->map(dev->ctrl, map);

	if (map->fd < 0 || (ret != -ENODEV && ret != -EACCES))
		return ret;
	/* what QEMU has loaded firmware into, for example: no controller needs to reach that */
	vfud_info(where(dev), "guest memory at %#llx, %llu KiB, cannot be shared (%s)",
		  (unsigned long long)map->gpa, (unsigned long long)map->size >> 10,
		  ret == -ENODEV ? "not memory: tmpfs, hugetlbfs or a memfd is needed" :
				   "not open for reading and writing");
	map->fd = -1;
	return dev->ops->map(dev->ctrl, map);
}

static int do_dma_map(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct nvtgt_vfu_map map;
	struct vfu_dma_map dma;
	int ret = get(msg, &dma, sizeof(dma));

	if (ret)
		return ret;
	if (dma.argsz < sizeof(dma) || msg->nr_fds > 1 ||
	    dma.flags & ~(VFU_DMA_READ | VFU_DMA_WRITE))
		return -EINVAL;
	if (lost_fds(dev, msg))
		vfud_err(where(dev), "the daemon ended in the middle of a message: guest memory at %#llx is lost",
			 (unsigned long long)dma.addr);
	map = (struct nvtgt_vfu_map){
		.gpa	= dma.addr,
		.size	= dma.size,
		.offset	= msg->nr_fds ? dma.offset : 0,
		.fd	= msg->nr_fds ? msg->fd[0] : -1,
		.flags	= (dma.flags & VFU_DMA_READ ? NVTGT_VFU_MAP_READ : 0) |
			  (dma.flags & VFU_DMA_WRITE ? NVTGT_VFU_MAP_WRITE : 0),
	};
	ret = dev->dead ? 0 : map_call(dev, &map);
	if (ret == -EEXIST && msg->again)
		return 0;
	if (ret) {
		vfud_warn(where(dev), "guest memory at %#llx, %llu bytes, is refused: %s",
			  (unsigned long long)dma.addr, (unsigned long long)dma.size, strerror(-ret));
		return ret;
	}
	if (map.fd >= 0)
		dev->state->has_shared = true;
	return 0;
}

static int do_dma_unmap(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct nvtgt_vfu_unmap unmap = { 0 };
	struct vfu_dma_unmap dma;
	int ret = get(msg, &dma, sizeof(dma));

	if (ret)
		return ret;
	if (dma.argsz < sizeof(dma))
		return -EINVAL;
	if (dma.flags & ~VFU_UNMAP_ALL)		/* dirty pages: for migration, which there is not */
		return -ENOTSUP;
	if (dma.flags & VFU_UNMAP_ALL) {
		unmap.flags = NVTGT_VFU_UNMAP_ALL;
	} else {
		unmap.gpa = dma.addr;
		unmap.size = dma.size;
	}
	ret = dev->dead ? 0 : dev->ops->unmap(dev->ctrl, &unmap);
	if (ret && !(ret == -ENOENT && msg->again))
		return ret;
	put(msg, &dma, sizeof(dma));
	return 0;
}

static int do_get_info(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct vfio_device_info info = { 0 };
	uint32_t argsz;
	int ret = get(msg, &argsz, sizeof(argsz));

	(void)dev;
	/* argsz, flags, regions and interrupts; what the kernel's structure has grown by is not there */
	if (ret || argsz < 16)
		return -EINVAL;
	info.argsz = 16;
	info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	put(msg, &info, 16);
	return 0;
}

static uint64_t region_size(const struct vfud_device *dev, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		return VFUD_BAR0_SIZE;
	case VFIO_PCI_BAR0_REGION_INDEX + VFUD_MSIX_BAR:
		return vfud_pci_msix_size(dev->state->nr_vectors);
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return VFUD_CONFIG_SIZE;
	default:
		return 0;
	}
}

static int do_get_region_info(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct vfio_region_info info;
	int ret = get(msg, &info, sizeof(info));

	if (ret || info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.size = region_size(dev, info.index);
	info.flags = info.size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	info.cap_offset = 0;
	info.offset = 0;
	put(msg, &info, sizeof(info));
	return 0;
}

static uint32_t irq_count(const struct vfud_device *dev, uint32_t index)
{
	switch (index) {
	case VFIO_PCI_MSIX_IRQ_INDEX:
		return dev->state->nr_vectors;
	case VFIO_PCI_ERR_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		return 1;
	default:
		return 0;
	}
}

static int do_get_irq_info(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct vfio_irq_info info;
	int ret = get(msg, &info, sizeof(info));

	if (ret || info.argsz < sizeof(info) || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.argsz = sizeof(info);
	info.count = irq_count(dev, info.index);
	info.flags = info.count ? VFIO_IRQ_INFO_EVENTFD : 0;
	put(msg, &info, sizeof(info));
	return 0;
}

/* Vectors from @start on: the eventfds that came, or with none of them, no eventfd. */
static int set_vectors(struct vfud_device *dev, struct vfud_msg *msg, uint32_t start, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		struct nvtgt_vfu_irq irq = {
			.vector	= start + i,
			.fd	= i < msg->nr_fds ? msg->fd[i] : -1,
		};
		int ret = dev->dead ? 0 : dev->ops->set_irq(dev->ctrl, &irq);

		if (ret)
			return ret;
	}
	return 0;
}

static int do_set_irqs(struct vfud_device *dev, struct vfud_msg *msg)
{
	const uint32_t assign = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	const uint32_t disable = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
	struct vfio_irq_set set;
	uint32_t nr;
	int ret = get(msg, &set, sizeof(set));

	if (ret || set.argsz < sizeof(set) || set.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	nr = irq_count(dev, set.index);
	if (set.start > nr || set.count > nr - set.start)
		return -EINVAL;
	if (set.flags == disable && !set.count && !msg->nr_fds)
		return set.index == VFIO_PCI_MSIX_IRQ_INDEX ? set_vectors(dev, msg, 0, nr) : 0;
	if (set.flags != assign || !set.count || (msg->nr_fds && msg->nr_fds != set.count))
		return -EINVAL;
	if (lost_fds(dev, msg))
		vfud_err(where(dev), "the daemon ended in the middle of a message: interrupts %u to %u are lost",
			 set.start, set.start + set.count - 1);
	/* the others are for news that there is none of */
	return set.index == VFIO_PCI_MSIX_IRQ_INDEX ?
	       set_vectors(dev, msg, set.start, set.count) : 0;
}

/* Registers are 4 or 8 bytes wide; what is narrower reads a part of one, and is not written. */
static int bar0_read(struct vfud_device *dev, uint32_t offset, uint8_t *to, uint32_t count)
{
	while (count) {
		bool wide = !(offset % 8) && count >= 8;
		struct nvtgt_vfu_reg reg = { .offset = offset & ~3U, .size = wide ? 8 : 4 };
		uint32_t skip = offset % 4, n = reg.size - skip;
		int ret = dev->ops->read(dev->ctrl, &reg);

		if (ret)
			return ret;
		if (n > count)
			n = count;
		memcpy(to, (uint8_t *)&reg.value + skip, n);
		offset += n;
		to += n;
		count -= n;
	}
	return 0;
}

/* A controller that has failed at once after it was enabled: mostly this is why. */
static void explain_failure(struct vfud_device *dev)
{
	struct nvtgt_vfu_reg csts = { .offset = REG_CSTS, .size = 4 };

	if (dev->state->has_shared || dev->said_private)
		return;
	if (dev->ops->read(dev->ctrl, &csts) || !(csts.value & CSTS_CFS))
		return;
	dev->said_private = true;
	vfud_err(where(dev), "the guest's memory is not shared. QEMU needs: -object memory-backend-memfd,id=mem0,size=SIZE,share=on -machine memory-backend=mem0 (SIZE as in -m)");
}

static int bar0_write(struct vfud_device *dev, uint32_t offset, const uint8_t *from, uint32_t count)
{
	if (offset % 4 || count % 4)
		return 0;
	while (count) {
		struct nvtgt_vfu_reg reg = {
			.offset	= offset,
			.size	= !(offset % 8) && count >= 8 ? 8 : 4,
		};
		int ret;

		memcpy(&reg.value, from, reg.size);
		ret = dev->ops->write(dev->ctrl, &reg);
		if (ret)
			return ret;
		if (offset == REG_CC && reg.value & CC_EN)
			explain_failure(dev);
		offset += reg.size;
		from += reg.size;
		count -= reg.size;
	}
	return 0;
}

/* All but configuration space. */
static int reset(struct vfud_device *dev)
{
	int ret;

	memset(dev->state->msix_table, 0, sizeof(dev->state->msix_table));
	ret = dev->dead ? 0 : dev->ops->reset(dev->ctrl);
	if (ret == -EBUSY)
		vfud_warn(where(dev), "reset: commands of the guest are still in a device");
	return ret;
}

static int config_write(struct vfud_device *dev, uint32_t offset, const uint8_t *from, uint32_t count)
{
	switch (vfud_pci_write(dev->state->config, offset, from, count)) {
	case VFUD_PCI_FLR:
		return reset(dev);
	case VFUD_PCI_MASTER_OFF:
		return dev->ops->reset(dev->ctrl);
	default:
		return 0;
	}
}

static int region_access_ok(const struct vfud_device *dev, const struct vfu_region *access)
{
	uint64_t size = region_size(dev, access->region);

	return access->count && access->count <= VFU_MAX_DATA && access->offset < size &&
	       access->count <= size - access->offset ? 0 : -EINVAL;
}

static int region_read(struct vfud_device *dev, const struct vfu_region *access, uint8_t *to)
{
	const struct vfud_state *state = dev->state;

	memset(to, 0, access->count);
	if (dev->dead) {
		memset(to, 0xff, access->count);
		return 0;
	}
	switch (access->region) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		return bar0_read(dev, access->offset, to, access->count);
	case VFIO_PCI_CONFIG_REGION_INDEX:
		memcpy(to, state->config + access->offset, access->count);
		return 0;
	default:
		/* the table; pending bits are 0: a vector without an eventfd is the kernel's matter */
		if (access->offset < VFUD_TABLE_SIZE) {
			size_t n = VFUD_TABLE_SIZE - access->offset;

			memcpy(to, state->msix_table + access->offset,
			       access->count < n ? access->count : n);
		}
		return 0;
	}
}

static int region_write(struct vfud_device *dev, const struct vfu_region *access, const uint8_t *from)
{
	struct vfud_state *state = dev->state;
	size_t table = state->nr_vectors * PCI_MSIX_ENTRY_SIZE;

	if (dev->dead)
		return 0;
	switch (access->region) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		return bar0_write(dev, access->offset, from, access->count);
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return config_write(dev, access->offset, from, access->count);
	default:
		if (access->offset < table) {
			size_t n = table - access->offset;

			memcpy(state->msix_table + access->offset, from,
			       access->count < n ? access->count : n);
		}
		return 0;
	}
}

static int do_region_read(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct vfu_region access;
	int ret = get(msg, &access, sizeof(access));

	if (!ret)
		ret = region_access_ok(dev, &access);
	if (ret)
		return ret;
	put(msg, &access, sizeof(access));
	ret = region_read(dev, &access, msg->reply + msg->reply_len);
	msg->reply_len += access.count;
	return ret;
}

static int do_region_write(struct vfud_device *dev, struct vfud_msg *msg)
{
	struct vfu_region access;
	int ret = get(msg, &access, sizeof(access));

	if (!ret)
		ret = region_access_ok(dev, &access);
	if (ret)
		return ret;
	if (msg->len - sizeof(access) != access.count)
		return -EINVAL;
	put(msg, &access, sizeof(access));
	return region_write(dev, &access, msg->data + sizeof(access));
}

static int do_region_write_multi(struct vfud_device *dev, struct vfud_msg *msg)
{
	const struct vfu_multi *multi = (const void *)msg->data;
	const size_t each = sizeof(multi->write[0]);
	uint64_t nr, i;
	int ret = get(msg, &nr, sizeof(nr));

	if (ret || (msg->len - sizeof(nr)) % each || nr != (msg->len - sizeof(nr)) / each)
		return -EINVAL;
	for (i = 0; i < nr && !ret; i++) {
		struct vfu_region access;
		uint8_t data[8];

		memcpy(&access, &multi->write[i], sizeof(access));
		memcpy(data, multi->write[i].data, sizeof(data));
		ret = access.count <= sizeof(data) ? region_access_ok(dev, &access) : -EINVAL;
		if (!ret)
			ret = region_write(dev, &access, data);
	}
	put(msg, &i, sizeof(i));	/* done before the first that failed, and with that one */
	return ret;
}

static int do_reset(struct vfud_device *dev)
{
	vfud_pci_reset(dev->state->config);
	return reset(dev);
}

/**
 * vfud_device_handle() - do what a message asks
 * @dev: the device
 * @msg: the message, whose answer is filled in
 *
 * Return: 0, or a negative errno, which is the answer then
 */
int vfud_device_handle(struct vfud_device *dev, struct vfud_msg *msg)
{
	msg->reply_len = 0;
	if ((msg->hdr.flags & VFU_TYPE_MASK) != VFU_TYPE_COMMAND)
		return -EINVAL;
	/* first, and once; but a predecessor may have ended before its answer */
	if (msg->hdr.cmd == VFU_VERSION ? dev->state->negotiated && !msg->again : !dev->state->negotiated)
		return -EINVAL;
	switch (msg->hdr.cmd) {
	case VFU_VERSION:
		return do_version(dev, msg);
	case VFU_DMA_MAP:
		return do_dma_map(dev, msg);
	case VFU_DMA_UNMAP:
		return do_dma_unmap(dev, msg);
	case VFU_GET_INFO:
		return do_get_info(dev, msg);
	case VFU_GET_REGION_INFO:
		return do_get_region_info(dev, msg);
	case VFU_GET_IRQ_INFO:
		return do_get_irq_info(dev, msg);
	case VFU_SET_IRQS:
		return do_set_irqs(dev, msg);
	case VFU_REGION_READ:
		return do_region_read(dev, msg);
	case VFU_REGION_WRITE:
		return do_region_write(dev, msg);
	case VFU_REGION_WRITE_MULTI:
		return do_region_write_multi(dev, msg);
	case VFU_RESET:
		return do_reset(dev);
	default:
		return -ENOTSUP;
	}
}
