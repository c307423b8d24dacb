/* SPDX-License-Identifier: GPL-2.0 */
/*
 * nvtgt-vfud: shows subsystems of nvtgt to virtual machines, as PCIe NVMe controllers over vfio-user.
 *
 * The daemon is the control plane: a socket, PCI configuration space, and handing on guest memory,
 * register accesses and eventfds to nvtgt-vfu.ko, which has queues, commands and data.
 *
 *   main.c      options, the list of ports, what ends the daemon
 *   endpoint.c  a port's socket and thread: connections and their messages
 *   device.c    what a message asks of the device, and the answer
 *   pci.c       PCI configuration space
 *   kernel.c    /dev/nvtgt-vfu
 *   log.c       messages to the administrator
 *   store.c     what outlives the daemon: file descriptors that a service manager keeps
 *   hold.c      such a manager, for machines without systemd
 *   status.c    --status
 *   sandbox.c   the user and the system calls that are left
 */
#ifndef NVTGT_VFUD_H
#define NVTGT_VFUD_H

#include <linux/nvtgt_vfu.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/util.h"
#include "proto.h"

#define VFUD_CONFIG_SIZE	4096	/* of a PCIe function */
#define VFUD_BAR0_SIZE		16384	/* registers and doorbells; Windows takes no less */
#define VFUD_MSIX_BAR		4
#define VFUD_MAX_VECTORS	2048
#define VFUD_MAX_QUEUES		128	/* NVTGT_MAX_QID */
#define VFUD_TABLE_SIZE		(VFUD_MAX_VECTORS * 16)

/**
 * struct vfud_state - what a successor of the daemon needs of an endpoint with a client
 *
 * It lies in a memfd that the service manager keeps.
 */
struct vfud_state {
	char magic[8];			/* VFUD_MAGIC, with the layout's version */
	uint32_t port;
	uint32_t nr_vectors;
	char path[NVTGT_VFU_PATH_SIZE];
	uint8_t negotiated;		/* the client has sent its version */
	uint8_t has_shared;		/* some of the guest's memory could be reached, once */
	uint8_t answered;		/* the message in rx is done, and what is left is to send tx */
	uint8_t rx_fds;			/* file descriptors that have come with what is in rx */
	uint8_t tries;			/* how often the message in rx was begun to be done */
	uint32_t rx_have;		/* bytes that have come; if the message is too long, rx has its header */
	uint32_t tx_len, tx_sent;	/* bytes of the reply in tx */
	uint8_t config[VFUD_CONFIG_SIZE];
	uint8_t msix_table[VFUD_TABLE_SIZE];
	_Alignas(8) uint8_t rx[VFU_MAX_MSG];
	_Alignas(8) uint8_t tx[VFU_MAX_MSG];
};

#define VFUD_MAGIC	"nvtvfu2"

/**
 * struct vfud_kernel_ops - calls of a controller's file, or of a test's
 *
 * All return 0 or a negative errno.
 */
struct vfud_kernel_ops {
	int (*map)(void *ctrl, const struct nvtgt_vfu_map *map);
	int (*unmap)(void *ctrl, const struct nvtgt_vfu_unmap *unmap);
	int (*read)(void *ctrl, struct nvtgt_vfu_reg *reg);
	int (*write)(void *ctrl, const struct nvtgt_vfu_reg *reg);
	int (*set_irq)(void *ctrl, const struct nvtgt_vfu_irq *irq);
	int (*reset)(void *ctrl);
};

/**
 * struct vfud_device - a PCI function
 * @state: its memory
 * @ops: the kernel's half
 * @ctrl: for @ops
 * @dead: the administrator has ended the controller: all reads give ones
 * @said_private: the hint about memory that is not shared has been given
 */
struct vfud_device {
	struct vfud_state *state;
	const struct vfud_kernel_ops *ops;
	void *ctrl;
	bool dead;
	bool said_private;
};

/**
 * struct vfud_msg - a message and its answer
 * @hdr: as it came, checked
 * @data: what follows the header
 * @len: its bytes
 * @fd: file descriptors that came with it; those that are kept are set to -1
 * @nr_fds: how many
 * @again: a predecessor may have done it, and ended before its reply
 * @reply: room for VFU_MAX_DATA + sizeof(struct vfu_region) bytes of answer
 * @reply_len: bytes in it
 */
struct vfud_msg {
	struct vfu_hdr hdr;
	const uint8_t *data;
	size_t len;
	int fd[VFU_MAX_FDS];
	unsigned int nr_fds;
	bool again;
	uint8_t *reply;
	size_t reply_len;
};

/**
 * struct vfud_endpoint - a port and its thread
 *
 * Of main's: next, seen, thread. What the store has of it changes under the lock. What is atomic is shared; the rest is the thread's once it runs.
 */
struct vfud_endpoint {
	struct vfud_endpoint *next;
	pthread_t thread;
	bool seen;			/* in the list that is being read */
	unsigned int port;
	char path[NVTGT_VFU_PATH_SIZE];

	atomic_bool stop;		/* the daemon ends */
	atomic_bool remove;		/* the port is gone, and its number may be another endpoint's */
	pthread_mutex_t lock;
	int wake_fd;			/* an event: look at these */
	atomic_bool finished;		/* the thread does nothing more */

	/* for the status */
	atomic_bool listening;
	atomic_bool ended;		/* the client's controller has been ended by the administrator */
	atomic_bool connected;		/* there is a client */
	atomic_int client;		/* its process; 0: of a PID namespace that is not seen from here */
	atomic_ullong messages;

	int dev_fd;			/* /dev/nvtgt-vfu */
	int listen_fd;
	int conn_fd;
	int ctrl_fd;
	int state_fd;
	long long deadline;		/* of the client's version, in ms, or 0 */
	bool said_listen;		/* why there is no socket */
	struct vfud_state *state;
	struct vfud_device dev;
	int fd[VFU_MAX_FDS];		/* state->rx_fds of them */
};

/**
 * struct vfud_options - of the command line
 * @nr_vectors: of MSI-X, for new clients
 * @vendor: of PCI
 * @device: of PCI
 * @user: to become, or NULL
 * @gid: group of the sockets, or -1
 * @mode: of the sockets
 * @control: socket for --status
 * @seccomp: limit the system calls
 */
struct vfud_options {
	unsigned int nr_vectors;
	uint16_t vendor, device;
	const char *user;
	gid_t gid;
	mode_t mode;
	const char *control;
	bool seccomp;
};

extern struct vfud_options vfud_opts;

/* main.c */
void vfud_main_wake(void);

/* log.c */
void vfud_log_init(void);
void vfud_err(const char *where, const char *fmt, ...) PRINTF(2, 3);
void vfud_warn(const char *where, const char *fmt, ...) PRINTF(2, 3);
void vfud_info(const char *where, const char *fmt, ...) PRINTF(2, 3);

/* pci.c */
enum vfud_pci_event { VFUD_PCI_NONE, VFUD_PCI_FLR, VFUD_PCI_MASTER_OFF };
void vfud_pci_init(uint8_t *config, uint16_t vendor, uint16_t device, unsigned int nr_vectors);
void vfud_pci_reset(uint8_t *config);
size_t vfud_pci_msix_size(unsigned int nr_vectors);
size_t vfud_pci_pba_offset(unsigned int nr_vectors);
enum vfud_pci_event vfud_pci_write(uint8_t *config, size_t offset, const uint8_t *data, size_t len);

/* device.c */
void vfud_device_init(struct vfud_device *dev, struct vfud_state *state,
		      const struct vfud_kernel_ops *ops, void *ctrl);
int vfud_device_handle(struct vfud_device *dev, struct vfud_msg *msg);
int vfud_check_header(const struct vfu_hdr *hdr);

/* kernel.c */
extern const struct vfud_kernel_ops vfud_kernel;
int vfud_kernel_open(void);
int vfud_kernel_ports(int fd, struct nvtgt_vfu_port_info **ports, unsigned int *nr);
int vfud_kernel_attach(int fd, unsigned int port, unsigned int nr_vectors);
int vfud_kernel_adopt(int ctrl);

/* endpoint.c */
struct vfud_endpoint *vfud_endpoint_start(int dev_fd, unsigned int port, const char *path);
void vfud_endpoint_wake(struct vfud_endpoint *ep);
void vfud_endpoint_remove(struct vfud_endpoint *ep);
void vfud_endpoint_free(struct vfud_endpoint *ep);

/* store.c */
void vfud_store_init(void);
bool vfud_store_has(char kind, unsigned int port);
int vfud_store_take(char kind, unsigned int port);
void vfud_store_keep(char kind, unsigned int port, int fd);
void vfud_store_forget(char kind, unsigned int port);
void vfud_store_close_rest(void);
bool vfud_store_is_there(void);

/* hold.c */
int vfud_hold(char **argv);		/* does not return but at its end */

/* status.c */
int vfud_status_listen(const char *path);
void vfud_status_answer(int listen_fd, const struct vfud_endpoint *list);
int vfud_status_show(const char *path, bool json);

/* sandbox.c */
int vfud_drop_privileges(const char *user, gid_t gid);
int vfud_limit_calls(void);

#endif
