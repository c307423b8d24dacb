/* SPDX-License-Identifier: GPL-2.0 */
/* nvmetcli's JSON format, which is also nvtgtctl's. */
#ifndef NVTGT_TOOLS_JSON_H
#define NVTGT_TOOLS_JSON_H

#include <stdio.h>

#include "tree.h"

/* bounds on a file from outside */
#define NV_JSON_MAX_BYTES (16u << 20)
#define NV_JSON_MAX_DEPTH 16

struct nv_node *nv_json_parse(const char *buf, size_t len, char **error);
struct nv_node *nv_json_read_file(const char *file);

/** enum nv_json_what - which attributes to write */
enum nv_json_what {
	/* those that can be written back, secrets included */
	NV_JSON_SAVE,
	/* all that can be read, secrets hidden */
	NV_JSON_SHOW,
	/* all that can be read */
	NV_JSON_SHOW_SECRETS,
};

struct json_object;
struct json_object *nv_json_from_node(const struct nv_node *node,
				      enum nv_json_what what);
void nv_json_print(FILE *f, struct json_object *obj);

#endif
