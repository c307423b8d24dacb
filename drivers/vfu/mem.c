// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Guest memory
 *
 * A guest's memory is made of regions: guest addresses, and where they lie in a file. The
 * pages of a file are pinned as commands use them, 2 MiB at a time, by a worker that
 * borrows the address space of the process which has brought the file; the command waits.
 * What has been pinned belongs to the file (struct nvtgt_vfu_mem, found by its inode), so
 * that regions that come and go, and several controllers of a guest, pin it once. It is
 * unpinned with the last region of the file.
 *
 * When that process ends, what is pinned stays and commands that need more wait, until another
 * process takes its place (nvtgt_vfu_adopt(); struct nvtgt_vfu_place) or the controller's file
 * is closed.
 *
 * nvtgt_vfu_unmap() takes a region out of the table, has each queue's reactor look
 * for commands that use it, and for rings in it (nvtgt_vfu_fence_call()), and waits for
 * these commands alone; the region is freed after the last of them. A ring is looked up again
 * when its memory is mapped anew.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include "vfu.h"

#define NVTGT_VFU_MAX_FILE	(4ULL << 40)	/* bytes of a file that guests reach */

/* struct nvtgt_vfu_chunk - 2 MiB of a file, pinned */
struct nvtgt_vfu_chunk {
	unsigned int nr;
	struct page *pages[] __counted_by(nr);
};

/* struct nvtgt_vfu_place - where a file is mapped, and who is charged for what is pinned of it */
struct nvtgt_vfu_place {
	struct mm_struct *mm;		/* where uaddr is; no reference on its users */
	struct task_struct *task;	/* whose RLIMIT_MEMLOCK counts, */
	bool unlimited;			/* … unless it had CAP_IPC_LOCK */
	unsigned long uaddr;
	u64 len;
	struct work_struct leave_work;
};

struct nvtgt_vfu_mem {
	struct kref ref;		/* regions */
	struct list_head entry;		/* nvtgt_vfu_mems; nvtgt_vfu_mem_lock */
	struct file *file;
	u64 size;			/* of the file, when it was mapped: regions end before */
	u64 len;
	unsigned int nr_chunks;
	struct nvtgt_vfu_chunk **chunks;	/* read anywhere; NULL: not pinned; or an ERR_PTR */
	unsigned long *wanted;		/* a bit for each chunk */
	unsigned long retry_at;		/* jiffies: then errors are forgotten */
	struct work_struct pin_work;
	struct work_struct free_work;

	struct mutex lock;		/* held while a chunk is pinned; protects what follows */
	struct nvtgt_vfu_place *place;	/* changed under nvtgt_vfu_mem_lock as well */
	unsigned long nr_pinned;	/* pages */

	/* nvtgt_vfu_adopt_lock */
	struct list_head moving;	/* it is in a list of nvtgt_vfu_adopt()'s */
	struct nvtgt_vfu_place *other;	/* the new place, then the former one */
};

/* Around nvtgt_vfu_adopt(). Order: dev->lock, this, mem->lock, nvtgt_vfu_mem_lock. */
static DEFINE_MUTEX(nvtgt_vfu_adopt_lock);
static DEFINE_MUTEX(nvtgt_vfu_mem_lock);	/* protects what follows */
static LIST_HEAD(nvtgt_vfu_mems);
static LIST_HEAD(nvtgt_vfu_watchers);		/* nvtgt_vfu_dev.watch_entry */
static struct workqueue_struct *nvtgt_vfu_mem_wq;

/**
 * nvtgt_vfu_mem_init - module load
 *
 * Return: 0 or -ENOMEM
 */
int nvtgt_vfu_mem_init(void)
{
	nvtgt_vfu_mem_wq = alloc_workqueue("nvtgt_vfu_mem", WQ_UNBOUND, 0);
	return nvtgt_vfu_mem_wq ? 0 : -ENOMEM;
}

/**
 * nvtgt_vfu_mem_exit - module unload, or load that has failed: no controller is left
 */
void nvtgt_vfu_mem_exit(void)
{
	destroy_workqueue(nvtgt_vfu_mem_wq);
	WARN_ON_ONCE(!list_empty(&nvtgt_vfu_mems) || !list_empty(&nvtgt_vfu_watchers));
}

/* Changes what a process is charged for. With @force no limit counts, and there is no error. */
static int nvtgt_vfu_account(struct nvtgt_vfu_place *place, unsigned long nr, bool inc, bool force)
{
	int ret;

	mmap_write_lock(place->mm);
	ret = __account_locked_vm(place->mm, nr, inc, place->task, force || place->unlimited);
	mmap_write_unlock(place->mm);
	return ret;
}

/* A process, which may be gone, has nothing to do with the memory any more. */
static void nvtgt_vfu_leave_work(struct work_struct *work)
{
	struct nvtgt_vfu_place *place = container_of(work, struct nvtgt_vfu_place, leave_work);

	if (mmget_not_zero(place->mm)) {
		kthread_use_mm(place->mm);
		vm_munmap(place->uaddr, place->len);
		kthread_unuse_mm(place->mm);
		mmput(place->mm);
	}
	put_task_struct(place->task);
	mmdrop(place->mm);
	kfree(place);
}

/* Maps a file into the calling process. */
static struct nvtgt_vfu_place *nvtgt_vfu_place_create(struct file *file, u64 len)
{
	struct nvtgt_vfu_place *place = kzalloc(sizeof(*place), GFP_KERNEL_ACCOUNT);

	if (!place)
		return ERR_PTR(-ENOMEM);
	place->uaddr = vm_mmap(file, 0, len, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	if (IS_ERR_VALUE(place->uaddr)) {
		kfree(place);
		return ERR_PTR(-ENOMEM);
	}
	place->len = len;
	place->mm = current->mm;
	mmgrab(place->mm);
	place->task = get_task_struct(current->group_leader);
	place->unlimited = capable(CAP_IPC_LOCK);
	INIT_WORK(&place->leave_work, nvtgt_vfu_leave_work);
	return place;
}

/* Runs with the process's address space. */
static struct nvtgt_vfu_chunk *nvtgt_vfu_pin_chunk(struct nvtgt_vfu_mem *mem, unsigned int i)
{
	u64 begin = (u64)i << NVTGT_VFU_CHUNK_SHIFT;
	u64 end = min3(begin + (1U << NVTGT_VFU_CHUNK_SHIFT), mem->len,
		       round_up((u64)i_size_read(file_inode(mem->file)), PAGE_SIZE));
	unsigned int nr = end > begin ? (end - begin) >> PAGE_SHIFT : 0;
	struct nvtgt_vfu_place *place = mem->place;
	struct nvtgt_vfu_chunk *chunk;
	int ret;

	lockdep_assert_held(&mem->lock);
	if (!nr)
		return ERR_PTR(-EFAULT);
	chunk = kvzalloc(struct_size(chunk, pages, nr), GFP_KERNEL);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	chunk->nr = nr;
	ret = nvtgt_vfu_account(place, nr, true, false);
	if (ret) {
		pr_warn_ratelimited("%s (process %d): %u pages more than RLIMIT_MEMLOCK allows: its guest's commands fail; raise the limit (LimitMEMLOCK= of its unit)\n",
				    place->task->comm, task_tgid_nr(place->task), nr);
		goto free;
	}
	ret = pin_user_pages_fast(place->uaddr + begin, nr, FOLL_WRITE | FOLL_LONGTERM,
				  chunk->pages);
	if (ret == nr) {
		mem->nr_pinned += nr;
		return chunk;
	}
	pr_warn_ratelimited("%s (process %d): guest memory at offset %#llx cannot be pinned: error %d\n",
			    place->task->comm, task_tgid_nr(place->task), begin, min(ret, 0));
	if (ret > 0)
		unpin_user_pages(chunk->pages, ret);
	ret = ret < 0 ? ret : -EFAULT;
	nvtgt_vfu_account(place, nr, false, false);
free:
	kvfree(chunk);
	return ERR_PTR(ret);
}

/* Commands that wait for memory try again. */
static void nvtgt_vfu_kick_watchers(void)
{
	struct nvtgt_vfu_dev *dev;

	mutex_lock(&nvtgt_vfu_mem_lock);
	list_for_each_entry(dev, &nvtgt_vfu_watchers, watch_entry)
		nvtgt_vfu_kick_all(dev);
	mutex_unlock(&nvtgt_vfu_mem_lock);
}

/* Pins a chunk that is wanted. Returns false when the process is gone: it stays wanted. */
static bool nvtgt_vfu_pin_wanted(struct nvtgt_vfu_mem *mem, unsigned int i)
{
	struct nvtgt_vfu_chunk *chunk;
	struct mm_struct *mm;

	mutex_lock(&mem->lock);
	/* a reactor that had found nothing has asked again after the chunk had come */
	if (!IS_ERR_OR_NULL(mem->chunks[i])) {
		clear_bit_unlock(i, mem->wanted);
		mutex_unlock(&mem->lock);
		return true;
	}
	mm = mem->place->mm;
	if (!mmget_not_zero(mm)) {
		mutex_unlock(&mem->lock);
		return false;
	}
	kthread_use_mm(mm);
	chunk = nvtgt_vfu_pin_chunk(mem, i);
	if (IS_ERR(chunk))
		WRITE_ONCE(mem->retry_at, jiffies + NVTGT_VFU_RETRY);
	/* pairs with nvtgt_vfu_want(): the chunk is there before it can be wanted again */
	smp_store_release(&mem->chunks[i], chunk);
	clear_bit_unlock(i, mem->wanted);
	kthread_unuse_mm(mm);
	mutex_unlock(&mem->lock);
	mmput(mm);
	return true;
}

static void nvtgt_vfu_pin_work(struct work_struct *work)
{
	struct nvtgt_vfu_mem *mem = container_of(work, struct nvtgt_vfu_mem, pin_work);
	bool any = false;
	unsigned long i;

	for_each_set_bit(i, mem->wanted, mem->nr_chunks) {
		if (!nvtgt_vfu_pin_wanted(mem, i))
			break;
		any = true;
	}
	if (any)
		nvtgt_vfu_kick_watchers();
}

static void nvtgt_vfu_mem_free_work(struct work_struct *work)
{
	struct nvtgt_vfu_mem *mem = container_of(work, struct nvtgt_vfu_mem, free_work);
	unsigned int i;

	cancel_work_sync(&mem->pin_work);
	for (i = 0; i < mem->nr_chunks; i++) {
		struct nvtgt_vfu_chunk *chunk = mem->chunks[i];

		if (IS_ERR_OR_NULL(chunk))
			continue;
		unpin_user_pages_dirty_lock(chunk->pages, chunk->nr, true);
		kvfree(chunk);
	}
	nvtgt_vfu_account(mem->place, mem->nr_pinned, false, false);
	nvtgt_vfu_leave_work(&mem->place->leave_work);
	fput(mem->file);
	kvfree(mem->chunks);
	kvfree(mem->wanted);
	mutex_destroy(&mem->lock);
	kfree(mem);
}

static void nvtgt_vfu_mem_release(struct kref *ref)
{
	struct nvtgt_vfu_mem *mem = container_of(ref, struct nvtgt_vfu_mem, ref);

	list_del(&mem->entry);
	mutex_unlock(&nvtgt_vfu_mem_lock);
	queue_work(nvtgt_vfu_mem_wq, &mem->free_work);
}

static void nvtgt_vfu_mem_put(struct nvtgt_vfu_mem *mem)
{
	kref_put_mutex(&mem->ref, nvtgt_vfu_mem_release, &nvtgt_vfu_mem_lock);
}

/* Bytes of a file that are made reachable: all that there are, in whole chunks and pages of its own. */
static u64 nvtgt_vfu_file_len(struct file *file)
{
	u64 unit = max(1ULL << NVTGT_VFU_CHUNK_SHIFT, 1ULL << file_inode(file)->i_blkbits);
	u64 size = i_size_read(file_inode(file));

	return size > NVTGT_VFU_MAX_FILE ? NVTGT_VFU_MAX_FILE : round_up(size, unit);
}

static struct nvtgt_vfu_mem *nvtgt_vfu_mem_create(struct file *file)
{
	struct nvtgt_vfu_mem *mem = kzalloc(sizeof(*mem), GFP_KERNEL_ACCOUNT);

	if (!mem)
		return ERR_PTR(-ENOMEM);
	mem->size = i_size_read(file_inode(file));
	mem->len = nvtgt_vfu_file_len(file);
	mem->nr_chunks = mem->len >> NVTGT_VFU_CHUNK_SHIFT;
	mem->chunks = kvcalloc(mem->nr_chunks, sizeof(*mem->chunks), GFP_KERNEL_ACCOUNT);
	mem->wanted = kvcalloc(BITS_TO_LONGS(mem->nr_chunks), sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!mem->chunks || !mem->wanted)
		goto free;
	mem->place = nvtgt_vfu_place_create(file, mem->len);
	if (IS_ERR(mem->place))
		goto free;
	kref_init(&mem->ref);
	mutex_init(&mem->lock);
	INIT_LIST_HEAD(&mem->moving);
	INIT_WORK(&mem->pin_work, nvtgt_vfu_pin_work);
	INIT_WORK(&mem->free_work, nvtgt_vfu_mem_free_work);
	mem->file = get_file(file);
	return mem;

free:
	kvfree(mem->wanted);
	kvfree(mem->chunks);
	kfree(mem);
	return ERR_PTR(-ENOMEM);
}

/* The memory of a file, up to @end at least. */
static struct nvtgt_vfu_mem *nvtgt_vfu_mem_get_file(struct file *file, u64 end)
{
	struct nvtgt_vfu_mem *mem;

	if (end > nvtgt_vfu_file_len(file) || end > i_size_read(file_inode(file)))
		return ERR_PTR(-EINVAL);
	mutex_lock(&nvtgt_vfu_mem_lock);
	list_for_each_entry(mem, &nvtgt_vfu_mems, entry) {
		/* a file that has grown is mapped anew: the last chunk may have been shorter */
		if (file_inode(mem->file) != file_inode(file) || mem->size < end ||
		    mem->place->mm != current->mm)
			continue;
		kref_get(&mem->ref);
		goto out;
	}
	mem = nvtgt_vfu_mem_create(file);
	if (!IS_ERR(mem))
		list_add_tail(&mem->entry, &nvtgt_vfu_mems);
out:
	mutex_unlock(&nvtgt_vfu_mem_lock);
	return mem;
}

/* Memory that can be pinned for long, and that is the guest's as well: not a copy, not a disk's. */
static int nvtgt_vfu_check_file(struct file *file)
{
	const struct inode *inode = file_inode(file);
	unsigned long magic = inode->i_sb->s_magic;

	if (!S_ISREG(inode->i_mode) || (magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC))
		return -ENODEV;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	return 0;
}

static struct nvtgt_vfu_region *nvtgt_vfu_region_create(const struct nvtgt_vfu_map *map)
{
	struct nvtgt_vfu_region *region;
	struct file *file;
	int ret;

	region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);
	if (!region)
		return ERR_PTR(-ENOMEM);
	region->gpa = map->gpa;
	region->size = map->size;
	region->offset = map->offset;
	region->flags = map->flags;
	if (map->fd < 0)
		return region;

	ret = -EBADF;
	file = fget(map->fd);
	if (!file)
		goto free;
	ret = nvtgt_vfu_check_file(file);
	if (!ret) {
		region->mem = nvtgt_vfu_mem_get_file(file, map->offset + map->size);
		ret = PTR_ERR_OR_ZERO(region->mem);
	}
	fput(file);
	if (!ret)
		return region;
free:
	kfree(region);
	return ERR_PTR(ret);
}

static void nvtgt_vfu_region_free(struct nvtgt_vfu_region *region)
{
	if (region->mem)
		nvtgt_vfu_mem_put(region->mem);
	kfree(region);
}

static struct nvtgt_vfu_map_table *nvtgt_vfu_table(struct nvtgt_vfu_dev *dev)
{
	return rcu_dereference_protected(dev->table, lockdep_is_held(&dev->lock));
}

static struct nvtgt_vfu_map_table *nvtgt_vfu_table_alloc(unsigned int nr)
{
	struct nvtgt_vfu_map_table *table;

	table = kvzalloc(struct_size(table, region, nr), GFP_KERNEL_ACCOUNT);
	if (table)
		table->nr = nr;
	return table;
}

static void nvtgt_vfu_set_table(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_map_table *table)
{
	struct nvtgt_vfu_map_table *old = nvtgt_vfu_table(dev);

	rcu_assign_pointer(dev->table, table);
	if (old)
		kvfree_rcu(old, rcu);
}

/* Where in the table a region with this address is, or belongs. */
static unsigned int nvtgt_vfu_table_at(const struct nvtgt_vfu_map_table *table, u64 gpa)
{
	unsigned int low = 0, high = table ? table->nr : 0;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (table->region[mid]->gpa + table->region[mid]->size <= gpa)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int nvtgt_vfu_insert(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_region *region)
{
	struct nvtgt_vfu_map_table *old = nvtgt_vfu_table(dev), *table;
	unsigned int at = nvtgt_vfu_table_at(old, region->gpa);
	unsigned int nr = old ? old->nr : 0;

	if (at < nr && old->region[at]->gpa < region->gpa + region->size)
		return -EEXIST;
	if (nr >= NVTGT_VFU_MAX_REGIONS)
		return -EFBIG;
	table = nvtgt_vfu_table_alloc(nr + 1);
	if (!table)
		return -ENOMEM;
	if (old) {
		memcpy(table->region, old->region, at * sizeof(region));
		memcpy(table->region + at + 1, old->region + at, (nr - at) * sizeof(region));
	}
	table->region[at] = region;
	nvtgt_vfu_set_table(dev, table);
	return 0;
}

static bool nvtgt_vfu_range_ok(u64 gpa, u64 size, u64 offset)
{
	return size && !((gpa | size | offset) & (NVTGT_VFU_PAGE - 1)) &&
	       gpa + size > gpa && offset + size > offset;
}

/**
 * nvtgt_vfu_map - NVTGT_VFU_MAP
 * @dev: the controller
 * @map: as the process asks
 *
 * Context: process.
 * Return: 0 or a negative errno, see struct nvtgt_vfu_map
 */
int nvtgt_vfu_map(struct nvtgt_vfu_dev *dev, const struct nvtgt_vfu_map *map)
{
	struct nvtgt_vfu_region *region;
	int ret;

	if (!nvtgt_vfu_range_ok(map->gpa, map->size, map->offset) ||
	    map->flags & ~(NVTGT_VFU_MAP_READ | NVTGT_VFU_MAP_WRITE))
		return -EINVAL;
	region = nvtgt_vfu_region_create(map);
	if (IS_ERR(region))
		return PTR_ERR(region);
	mutex_lock(&dev->lock);
	ret = nvtgt_vfu_insert(dev, region);
	mutex_unlock(&dev->lock);
	if (ret)
		nvtgt_vfu_region_free(region);
	else
		nvtgt_vfu_kick_all(dev);
	return ret;
}

static void nvtgt_vfu_free_table(struct nvtgt_vfu_map_table *table)
{
	unsigned int i;

	for (i = 0; table && i < table->nr; i++)
		nvtgt_vfu_region_free(table->region[i]);
	kvfree(table);
}

static void nvtgt_vfu_fence_free_work(struct work_struct *work)
{
	struct nvtgt_vfu_fence *fence = container_of(work, struct nvtgt_vfu_fence, free_work);

	nvtgt_vfu_free_table(fence->gone);
	kfree(fence);
}

static void nvtgt_vfu_fence_release(struct kref *ref)
{
	struct nvtgt_vfu_fence *fence = container_of(ref, struct nvtgt_vfu_fence, ref);

	queue_work(nvtgt_vfu_mem_wq, &fence->free_work);
}

/**
 * nvtgt_vfu_fence_put - a command, or a call, that a fence has waited for is over
 * @fence: the fence
 *
 * Context: any.
 */
void nvtgt_vfu_fence_put(struct nvtgt_vfu_fence *fence)
{
	if (atomic_dec_and_test(&fence->left))
		complete(&fence->done);
	kref_put(&fence->ref, nvtgt_vfu_fence_release);
}

/*
 * Lets each queue look at its commands, with those that use the range in the fence from then on.
 * Completion queues are not looked for through these: one may have no submission queue.
 */
static void nvtgt_vfu_fence_start(struct nvtgt_vfu_dev *dev, struct nvtgt_vfu_fence *fence)
{
	unsigned int i;

	lockdep_assert_held(&dev->unmap_lock);
	lockdep_assert_held(&dev->lock);
	for (i = 0; i < ARRAY_SIZE(dev->sqs); i++) {
		struct nvtgt_vfu_queue *q;

		spin_lock_irq(&dev->queue_lock);
		if (dev->cqs[i])
			nvtgt_vfu_forget_cq(dev->cqs[i], fence->gpa, fence->size);
		q = dev->sqs[i];
		if (q) {
			kref_get(&q->ref);
			kref_get(&fence->ref);
			atomic_inc(&fence->left);
			q->fence = fence;
			/* under the lock: before nvtgt_vfu_end(), and the queue leaves its reactor later */
			nvtgt_reactor_call(q->conn.queue.reactor, &q->fence_call);
		}
		spin_unlock_irq(&dev->queue_lock);
	}
	kref_get(&fence->ref);
	nvtgt_vfu_fence_put(fence);
}

/* Waits for the commands that the last call has found. -EINTR: the process is being killed. */
static int nvtgt_vfu_fence_wait(struct nvtgt_vfu_dev *dev)
{
	lockdep_assert_held(&dev->unmap_lock);
	if (!dev->fence)
		return 0;
	if (wait_for_completion_killable(&dev->fence->done))
		return -EINTR;
	kref_put(&dev->fence->ref, nvtgt_vfu_fence_release);
	dev->fence = NULL;
	return 0;
}

/* Splits the table: what lies in the range goes to @gone. Returns a negative errno if anything is cut. */
static int nvtgt_vfu_split(struct nvtgt_vfu_dev *dev, u64 gpa, u64 size,
			   struct nvtgt_vfu_map_table **kept, struct nvtgt_vfu_map_table **gone)
{
	struct nvtgt_vfu_map_table *old = nvtgt_vfu_table(dev);
	unsigned int from, to;

	from = nvtgt_vfu_table_at(old, gpa);
	for (to = from; old && to < old->nr && old->region[to]->gpa < gpa + size; to++)
		if (old->region[to]->gpa < gpa ||
		    old->region[to]->gpa + old->region[to]->size > gpa + size)
			return -ENOENT;
	if (from == to)
		return -ENOENT;
	*kept = nvtgt_vfu_table_alloc(old->nr - (to - from));
	*gone = nvtgt_vfu_table_alloc(to - from);
	if (!*kept || !*gone) {
		kvfree(*kept);
		kvfree(*gone);
		return -ENOMEM;
	}
	memcpy((*gone)->region, old->region + from, (to - from) * sizeof(old->region[0]));
	memcpy((*kept)->region, old->region, from * sizeof(old->region[0]));
	memcpy((*kept)->region + from, old->region + to, (old->nr - to) * sizeof(old->region[0]));
	return 0;
}

static int nvtgt_vfu_remove(struct nvtgt_vfu_dev *dev, u64 gpa, u64 size)
{
	struct nvtgt_vfu_map_table *kept;
	struct nvtgt_vfu_fence *fence;
	int ret;

	lockdep_assert_held(&dev->lock);
	fence = kzalloc(sizeof(*fence), GFP_KERNEL);
	if (!fence)
		return -ENOMEM;
	ret = nvtgt_vfu_split(dev, gpa, size, &kept, &fence->gone);
	if (ret) {
		kfree(fence);
		return ret;
	}
	kref_init(&fence->ref);
	atomic_set(&fence->left, 1);
	init_completion(&fence->done);
	INIT_WORK(&fence->free_work, nvtgt_vfu_fence_free_work);
	fence->gpa = gpa;
	fence->size = size;
	dev->fence = fence;
	nvtgt_vfu_set_table(dev, kept);
	nvtgt_vfu_fence_start(dev, fence);
	return 0;
}

/**
 * nvtgt_vfu_unmap - NVTGT_VFU_UNMAP
 * @dev: the controller
 * @unmap: as the process asks
 *
 * A device that does not answer holds up this call alone, until the process is killed: the
 * pages stay pinned as long as a command uses them, and the next call waits for it first.
 *
 * Context: process; waits for commands that use the memory.
 * Return: 0 or a negative errno, see struct nvtgt_vfu_unmap
 */
int nvtgt_vfu_unmap(struct nvtgt_vfu_dev *dev, const struct nvtgt_vfu_unmap *unmap)
{
	bool all = unmap->flags & NVTGT_VFU_UNMAP_ALL;
	int ret;

	if (unmap->flags & ~NVTGT_VFU_UNMAP_ALL || unmap->reserved)
		return -EINVAL;
	if (all ? unmap->gpa || unmap->size : !nvtgt_vfu_range_ok(unmap->gpa, unmap->size, 0))
		return -EINVAL;
	if (mutex_lock_killable(&dev->unmap_lock))
		return -EINTR;
	ret = nvtgt_vfu_fence_wait(dev);
	if (ret)
		goto out;
	mutex_lock(&dev->lock);
	/* the last page of the address space is no region's: gpa + size would wrap */
	ret = all ? nvtgt_vfu_remove(dev, 0, U64_MAX) :
		    nvtgt_vfu_remove(dev, unmap->gpa, unmap->size);
	mutex_unlock(&dev->lock);
	if (!ret)
		ret = nvtgt_vfu_fence_wait(dev);
out:
	mutex_unlock(&dev->unmap_lock);
	return all && ret == -ENOENT ? 0 : ret;
}

/*
 * What is pinned is charged to another process, and more is pinned through it. @force: to the one
 * of before, whose limit does not count. @place becomes the former one.
 */
static int nvtgt_vfu_mem_move(struct nvtgt_vfu_mem *mem, struct nvtgt_vfu_place **place, bool force)
{
	int ret;

	mutex_lock(&mem->lock);
	ret = nvtgt_vfu_account(*place, mem->nr_pinned, true, force);
	if (!ret) {
		nvtgt_vfu_account(mem->place, mem->nr_pinned, false, false);
		mutex_lock(&nvtgt_vfu_mem_lock);
		swap(mem->place, *place);
		mutex_unlock(&nvtgt_vfu_mem_lock);
	}
	mutex_unlock(&mem->lock);
	return ret;
}

/* Moves the memory of a controller's regions, as far as it can; what was moved is in @moved. */
static int nvtgt_vfu_move_regions(struct nvtgt_vfu_dev *dev, struct list_head *moved)
{
	struct nvtgt_vfu_map_table *table = nvtgt_vfu_table(dev);
	unsigned int i;

	lockdep_assert_held(&nvtgt_vfu_adopt_lock);
	for (i = 0; table && i < table->nr; i++) {
		struct nvtgt_vfu_mem *mem = table->region[i]->mem;
		int ret;

		if (!mem || !list_empty(&mem->moving) || mem->place->mm == current->mm)
			continue;
		mem->other = nvtgt_vfu_place_create(mem->file, mem->len);
		if (IS_ERR(mem->other))
			return PTR_ERR(mem->other);
		ret = nvtgt_vfu_mem_move(mem, &mem->other, false);
		if (ret) {
			queue_work(nvtgt_vfu_mem_wq, &mem->other->leave_work);
			return ret;
		}
		list_add_tail(&mem->moving, moved);
	}
	return 0;
}

/**
 * nvtgt_vfu_adopt - NVTGT_VFU_ADOPT
 * @dev: the controller
 *
 * Memory that the controller shares with others moves once, for all of them: the regions of this
 * one keep it alive meanwhile. A chunk is pinned through the former process or through this one:
 * each holds mem->lock. What had waited for the former one, which is gone, is still wanted.
 *
 * Context: process.
 * Return: 0; -ENOMEM: nothing has changed
 */
int nvtgt_vfu_adopt(struct nvtgt_vfu_dev *dev)
{
	struct nvtgt_vfu_mem *mem, *next;
	LIST_HEAD(moved);
	int ret;

	mutex_lock(&dev->lock);
	mutex_lock(&nvtgt_vfu_adopt_lock);
	ret = nvtgt_vfu_move_regions(dev, &moved);
	list_for_each_entry_safe(mem, next, &moved, moving) {
		list_del_init(&mem->moving);
		if (ret)
			nvtgt_vfu_mem_move(mem, &mem->other, true);
		queue_work(nvtgt_vfu_mem_wq, &mem->other->leave_work);
		/* what failed there may succeed here */
		WRITE_ONCE(mem->retry_at, jiffies);
		queue_work(nvtgt_vfu_mem_wq, &mem->pin_work);
	}
	mutex_unlock(&nvtgt_vfu_adopt_lock);
	mutex_unlock(&dev->lock);
	/* where a ring came to nothing because the former process was dying */
	if (!ret)
		nvtgt_vfu_kick_all(dev);
	return ret;
}

/**
 * nvtgt_vfu_free_regions - a controller goes
 * @dev: without queues
 *
 * Context: process.
 */
void nvtgt_vfu_free_regions(struct nvtgt_vfu_dev *dev)
{
	if (dev->fence)
		kref_put(&dev->fence->ref, nvtgt_vfu_fence_release);
	nvtgt_vfu_free_table(rcu_dereference_protected(dev->table, 1));
}

/**
 * nvtgt_vfu_watch_memory - shall a controller be told of memory that has been pinned?
 * @dev: the controller
 * @watch: true when it is made, false when it goes
 *
 * Context: process.
 */
void nvtgt_vfu_watch_memory(struct nvtgt_vfu_dev *dev, bool watch)
{
	mutex_lock(&nvtgt_vfu_mem_lock);
	if (watch)
		list_add_tail(&dev->watch_entry, &nvtgt_vfu_watchers);
	else
		list_del(&dev->watch_entry);
	mutex_unlock(&nvtgt_vfu_mem_lock);
}

/* A chunk is not there. Returns why a command has to fail, or -EAGAIN: it will be. */
static int nvtgt_vfu_want(struct nvtgt_vfu_mem *mem, unsigned int i,
			  struct nvtgt_vfu_chunk *chunk)
{
	if (IS_ERR(chunk) && time_before(jiffies, READ_ONCE(mem->retry_at)))
		return PTR_ERR(chunk);
	if (!test_and_set_bit_lock(i, mem->wanted))
		queue_work(nvtgt_vfu_mem_wq, &mem->pin_work);
	return -EAGAIN;
}

/**
 * nvtgt_vfu_find_page - what is at a guest address
 * @dev: the controller
 * @gpa: in the page
 * @write: the page is to be written
 * @page: the page, pinned until its region has been unmapped
 *
 * Context: a reactor of one of the controller's queues; does not sleep.
 * Return: 0; -EAGAIN: the page is being pinned, and nvtgt_vfu_kick_all() will tell when that is
 *	done; -EFAULT: there is nothing, or it may not be written; another negative errno
 */
int nvtgt_vfu_find_page(struct nvtgt_vfu_dev *dev, u64 gpa, bool write, struct page **page)
{
	const struct nvtgt_vfu_map_table *table;
	const struct nvtgt_vfu_region *region;
	struct nvtgt_vfu_chunk *chunk;
	int ret = -EFAULT;
	unsigned int i;
	u64 off;

	rcu_read_lock();
	table = rcu_dereference(dev->table);
	i = nvtgt_vfu_table_at(table, gpa);
	if (!table || i == table->nr)
		goto out;
	region = table->region[i];
	if (gpa < region->gpa || !region->mem ||
	    !(region->flags & (write ? NVTGT_VFU_MAP_WRITE : NVTGT_VFU_MAP_READ)))
		goto out;
	off = region->offset + (gpa - region->gpa);
	i = off >> NVTGT_VFU_CHUNK_SHIFT;
	/* pairs with nvtgt_vfu_pin_work(): the pages are in the chunk */
	chunk = smp_load_acquire(&region->mem->chunks[i]);
	if (IS_ERR_OR_NULL(chunk)) {
		ret = nvtgt_vfu_want(region->mem, i, chunk);
		goto out;
	}
	i = (off >> PAGE_SHIFT) & (NVTGT_VFU_CHUNK_PAGES - 1);
	if (unlikely(i >= chunk->nr))
		goto out;
	*page = chunk->pages[i];
	ret = 0;
out:
	rcu_read_unlock();
	return ret;
}

/**
 * nvtgt_vfu_is_mapped - is a range the guest's memory?
 * @dev: the controller, locked
 * @gpa: where it begins
 * @size: bytes
 * @write: it is to be written
 *
 * Context: process.
 * Return: whether it is, now
 */
bool nvtgt_vfu_is_mapped(struct nvtgt_vfu_dev *dev, u64 gpa, u64 size, bool write)
{
	const struct nvtgt_vfu_map_table *table = nvtgt_vfu_table(dev);
	u64 end = gpa + size;
	unsigned int i;

	if (!table || end < gpa)
		return false;
	for (i = nvtgt_vfu_table_at(table, gpa); gpa < end; i++) {
		const struct nvtgt_vfu_region *region;

		if (i == table->nr)
			return false;
		region = table->region[i];
		if (gpa < region->gpa || !region->mem ||
		    !(region->flags & (write ? NVTGT_VFU_MAP_WRITE : NVTGT_VFU_MAP_READ)))
			return false;
		gpa = region->gpa + region->size;
	}
	return true;
}
