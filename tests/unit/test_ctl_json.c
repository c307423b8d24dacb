// SPDX-License-Identifier: GPL-2.0
// builds: tools/lib/json_read.c tools/lib/json_write.c tools/lib/tree.c
// builds: tools/lib/kind.c tools/lib/util.c tools/lib/cfs.c tools/lib/msg.c
// builds: tools/lib/child.c tools/lib/plan.c tools/lib/diff.c tools/lib/netns.c
// builds: tools/lib/vfu.c
// cflags: -D_GNU_SOURCE
// libs: -ljson-c
/*
 * guards: a configuration file from outside never crashes nvtgtctl, never
 * becomes a path outside the tree, and what is accepted survives a round trip
 */
#include "unit.h"

#include <json-c/json.h>

#include "tools/lib/json.h"
#include "tools/lib/plan.h"

static const char sample[] =
"{\"hosts\": [{\"nqn\": \"h1\", \"dhchap\": {\"key\": \"k\", \"hash\": \"hmac(sha256)\"}}],"
" \"ports\": [{\"portid\": 1, \"addr\": {\"trtype\": \"tcp\", \"traddr\": \"::\"},"
"   \"ana_groups\": [{\"grpid\": 1, \"ana\": {\"state\": \"optimized\"}}],"
"   \"referrals\": [{\"name\": \"r\", \"enable\": 1, \"addr\": {\"portid\": \"2\"}}],"
"   \"subsystems\": [\"s1\"], \"param\": {\"inline_data_size\": \"16384\"}}],"
" \"subsystems\": [{\"nqn\": \"s1\", \"allowed_hosts\": [\"h1\"],"
"   \"attr\": {\"serial\": \"0815\", \"allow_any_host\": false},"
"   \"namespaces\": [{\"nsid\": 1, \"enable\": 1, \"ana_grpid\": 2, \"ana\": {\"grpid\": \"1\"},"
"     \"device\": {\"path\": \"/dev/sda\", \"uuid\": \"u\"}, \"backend\": \"bdev\","
"     \"something_new\": 17}],"
"   \"passthru\": [{\"clear_ids\": 0, \"device\": {\"path\": \"(null)\"}}]}],"
" \"discovery_nqn\": \"d\"}";

/* A buffer of exactly @len bytes, so that ASan sees a byte too far. */
static struct nv_node *parse(const char *text, size_t len, char **error)
{
	char *buf = malloc(len ? len : 1);
	struct nv_node *root;

	memcpy(buf, text, len);
	root = nv_json_parse(buf, len, error);
	free(buf);
	return root;
}

static char *print(const struct nv_node *root)
{
	struct json_object *o = nv_json_from_node(root, NV_JSON_SAVE);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	nv_json_print(f, o);
	fclose(f);
	json_object_put(o);
	return text;
}

/* Every path that a step could use stays below the root. */
static void check_paths(const struct nv_node *node)
{
	char *copy = strdup(node->path), *save = NULL, *part;

	CHECK(*node->path && *node->path != '/');
	for (part = strtok_r(copy, "/", &save); part;
	     part = strtok_r(NULL, "/", &save))
		CHECK(strcmp(part, "..") &&
		      (strcmp(part, ".") || node->kind == &nv_kind_root));
	free(copy);
	for (size_t i = 0; i < node->n_attrs; i++) {
		CHECK(!strchr(node->attrs[i].name, '/'));
		CHECK(*node->attrs[i].name);
		CHECK(!strchr(node->attrs[i].value, '\n'));
	}
	for (size_t i = 0; i < node->links.n; i++)
		CHECK(!strchr(node->links.v[i], '/'));
	for (size_t i = 0; i < node->n_kids; i++) {
		CHECK(!strchr(node->kids[i]->id, '/'));
		check_paths(node->kids[i]);
	}
}

static size_t steps_between(const struct nv_node *have,
			    const struct nv_node *want)
{
	struct nv_plan plan = { 0 };
	size_t n;

	nv_diff(&plan, have, want, false);
	n = plan.n;
	nv_plan_free(&plan);
	return n;
}

/* What is accepted prints, reads back and is the same. */
static void check_accepted(struct nv_node *root)
{
	struct nv_node *again, *none = nv_node_new_root();
	char *text = print(root), *error = NULL, *text2;

	check_paths(root);
	again = parse(text, strlen(text), &error);
	CHECK(again);
	if (again) {
		text2 = print(again);
		CHECK_STR(text2, text);
		free(text2);
		CHECK_EQ(steps_between(root, again), 0);
		CHECK_EQ(steps_between(again, root), 0);
	}
	/* planning never fails, whatever is in there */
	steps_between(none, root);
	steps_between(root, none);
	nv_node_free(again);
	nv_node_free(none);
	free(error);
	free(text);
}

static void one(const char *text, size_t len)
{
	char *error = NULL;
	struct nv_node *root = parse(text, len, &error);

	CHECK(!root != !error);
	if (root)
		check_accepted(root);
	nv_node_free(root);
	free(error);
}

static void whole(void)
{
	char *error = NULL;
	struct nv_node *root = parse(sample, sizeof(sample) - 1, &error);
	const struct nv_node *s, *ns;

	CHECK(root && !error);
	if (!root)
		return;
	s = nv_node_kid(root, &nv_kind_subsystem, "s1");
	CHECK(s);
	ns = nv_node_kid(s, &nv_kind_namespace, "1");
	CHECK(ns);
	CHECK_STR(nv_attr_value(s, "attr_allow_any_host"), "0");
	CHECK_STR(nv_attr_value(s, "attr_serial"), "0815");
	/* the number beside the group wins, as with nvmetcli */
	CHECK_STR(nv_attr_value(ns, "ana_grpid"), "2");
	CHECK_STR(nv_attr_value(ns, "device_path"), "/dev/sda");
	CHECK_STR(nv_attr_value(ns, "something_new"), "17");
	CHECK_STR(nv_attr_value(root, "discovery_nqn"), "d");
	CHECK_STR(nv_attr_value(nv_node_kid(s, &nv_kind_passthru, NULL),
				"device_path"), "");
	CHECK(strvec_has(&s->links, "h1"));
	check_accepted(root);
	nv_node_free(root);
}

static void every_prefix(void)
{
	for (size_t len = 0; len < sizeof(sample) - 1; len++) {
		char *error = NULL;
		struct nv_node *root = parse(sample, len, &error);

		CHECK(!root && error);
		nv_node_free(root);
		free(error);
	}
}

static void refused(const char *text, const char *part)
{
	char *error = NULL;
	struct nv_node *root = parse(text, strlen(text), &error);

	CHECK(!root);
	if (!error || !strstr(error, part)) {
		printf("%s: \"%s\" has no \"%s\"\n", text,
		       error ? error : "accepted", part);
		unit_failures++;
	}
	nv_node_free(root);
	free(error);
}

static void refusals(void)
{
	refused("", "the file ends in the middle");
	refused("null\n", "expected an object");
	refused("{\"hosts\":[{\"nqn\":\"\"}]}", "hosts[0].nqn: a name must not be empty");
	refused("{\"hosts\":[{\"nqn\":\"..\"}]}", "hosts[0].nqn");
	refused("{\"hosts\":[{\"nqn\":\"a/b\"}]}", "hosts[0].nqn");
	refused("{\"hosts\":[{\"nqn\":\"a\\nb\"}]}", "control characters");
	refused("{\"hosts\":[{\"nqn\":null}]}", "found null");
	refused("{\"hosts\":[null]}", "hosts[0]: expected an object, found null");
	refused("{\"ports\":[{\"portid\":1.5}]}", "found a fraction");
	refused("{\"ports\":[{\"portid\":\"1 \"}]}", "decimal number from 0 to 65535");
	refused("{\"ports\":[{\"portid\":1},{\"portid\":\"1\"}]}",
		"ports[1]: \"1\" is already at index 0");
	refused("{\"ports\":[{\"portid\":1,\"referrals\":[{\"name\":\"..\"}]}]}",
		"ports[0].referrals[0].name");
	refused("{\"ports\":[{\"portid\":1,\"addr\":{\"\":\"x\"}}]}", "not the name");
	refused("{\"ports\":[{\"portid\":1,\"addr\":{\"A\":\"x\"}}]}", "not the name");
	refused("{\"hosts\":[{\"nqn\":\"\xff\"}]}", "line 1");
	refused("{\"x\":\"\\ud800\"", "");
	refused("{\"hosts\":1}", "hosts: expected an array, found a number");
	refused("{\"hosts\":[{\"nqn\":\"h\"}]}}", "line 1, column 24");
}

static uint64_t seed = 0x9e3779b97f4a7c15;

static size_t pick(size_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

/* The same mutations on every run: bytes, tokens, and pieces moved about. */
static void mutations(void)
{
	static const char *const tokens[] = {
		"{", "}", "[", "]", "\"", ":", ",", "null", "true", "-1", "0",
		"1e99", "18446744073709551616", "\"\"", "\"..\"", "\\u0000",
		"\"nqn\":", "\"nsid\":", "\"namespaces\":[", "[[[[[[[[[[[[[[[[",
		"\"a\":{\"a\":", "\\", "/", "(null)", "\xc3", "\xf0\x9f\x98\x80",
	};
	const size_t base = sizeof(sample) - 1;
	char *buf = malloc(2 * base);
	size_t accepted = 0;

	for (int round = 0; round < 20000; round++) {
		size_t len = base;

		memcpy(buf, sample, base);
		for (size_t n = 1 + pick(3); n; n--) {
			size_t at = pick(len), from = pick(len), m;
			const char *t = tokens[pick(sizeof(tokens) / sizeof(*tokens))];

			switch (pick(4)) {
			case 0:
				buf[at] = (char)pick(256);
				break;
			case 1:
				m = strlen(t);
				memmove(buf + at + m, buf + at, len - at);
				memcpy(buf + at, t, m);
				len += m;
				break;
			case 2:
				m = pick(20) % (len - at) + 1;
				memmove(buf + at, buf + at + m, len - at - m);
				len -= m;
				break;
			default:
				m = len - (at > from ? at : from);
				memmove(buf + at, buf + from, m < 60 ? m : 60);
			}
			if (!len)
				break;
		}
		if (len) {
			char *error = NULL;
			struct nv_node *root = parse(buf, len, &error);

			accepted += !!root;
			nv_node_free(root);
			free(error);
			one(buf, len);
		}
	}
	free(buf);
	/* the mutations must not all be nonsense */
	CHECK(accepted > 200);
	printf("%zu of 20000 accepted\n", accepted);
}

static void large(void)
{
	size_t len = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);

	fputs("{\"subsystems\":[{\"nqn\":\"s\",\"namespaces\":[", f);
	for (int i = 1; i <= 20000; i++)
		fprintf(f, "%s{\"nsid\":%d}", i > 1 ? "," : "", i);
	fputs("]}]}", f);
	fclose(f);
	char *error = NULL;
	struct nv_node *root = parse(text, len, &error);

	CHECK(root);
	if (root)
		CHECK_EQ(nv_node_kid(root, &nv_kind_subsystem, "s")->n_kids,
			 20000);
	nv_node_free(root);
	free(error);
	free(text);
	text = malloc(NV_JSON_MAX_BYTES + 1);
	memset(text, ' ', NV_JSON_MAX_BYTES + 1);
	root = nv_json_parse(text, NV_JSON_MAX_BYTES + 1, &error);
	CHECK(!root && strstr(error, "more than"));
	free(error);
	memset(text, '[', NV_JSON_MAX_BYTES);
	root = nv_json_parse(text, NV_JSON_MAX_BYTES, &error);
	CHECK(!root && strstr(error, "deep"));
	free(error);
	free(text);
}

static void values(void)
{
	CHECK(nv_value_same("attr_cntlid_min", "16", "0x10"));
	CHECK(!nv_value_same("attr_serial", "16", "016"));
	CHECK(!nv_value_same("attr_model", "1", "01"));
	CHECK(nv_value_same("device_uuid", "ABCD", "abcd"));
	CHECK(!nv_value_same("device_path", "/A", "/a"));
	CHECK(nv_value_same("device_nguid", "0011-AA", "0011aa"));
	CHECK(!nv_value_same("device_nguid", "0011-aa", "0011-a"));
	CHECK(nv_value_same("attr_version", "2.1", "2.1.0"));
	CHECK(!nv_value_same("attr_version", "2.1", "2.10"));
	CHECK(!nv_value_same("attr_version", "1.3", "2.1"));
	CHECK(nv_value_is_off("param_pi_enable", "0"));
	CHECK(!nv_value_is_off("param_pi_enable", "1"));
	CHECK(!nv_value_is_off("dhchap_key", "DHHC-1:00:"));
	CHECK(nv_value_is_off("addr_tsas", "none"));
	CHECK(!nv_value_is_off("addr_tsas", "tls1.3"));
}

int main(void)
{
	RUN(whole);
	RUN(every_prefix);
	RUN(refusals);
	RUN(values);
	RUN(large);
	RUN(mutations);
	return UNIT_END();
}
