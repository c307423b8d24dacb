/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NVTGT_SHIM_TYPES_H
#define NVTGT_SHIM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* the kernel's little- and big-endian types, from its exported headers */
#include_next <linux/types.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef __u64 u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef __s64 s64;
typedef unsigned int gfp_t;
typedef u64 sector_t;

#endif
