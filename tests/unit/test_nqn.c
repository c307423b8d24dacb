// SPDX-License-Identifier: GPL-2.0
// builds: drivers/core/object/nqn.c
// Which names of hosts and subsystems are taken, from files and from Connect.

#include <linux/kernel.h>
#include <linux/nvme.h>
#include "drivers/core/object/nqn.h"
#include "unit.h"

/* a copy of exactly that size, so that ASan sees a look beyond it */
static bool valid(const void *name, size_t len)
{
	char *copy = malloc(len ? len : 1);
	bool ret;

	memcpy(copy, name, len);
	ret = nvtgt_nqn_valid(copy, len);
	free(copy);
	return ret;
}

static bool valid_str(const char *name)
{
	return valid(name, strlen(name));
}

static void usual_names(void)
{
	CHECK(valid_str("nqn.2014-08.org.nvmexpress.discovery"));
	CHECK(valid_str("nqn.2014-08.org.nvmexpress:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
	CHECK(valid_str("nqn.2001-01.com.example:storage/disk 1"));
	CHECK(valid_str("testnqn"));
	CHECK(valid_str("a"));
}

static void lengths(void)
{
	char name[NVMF_NQN_FIELD_LEN];

	memset(name, 'n', sizeof(name));
	CHECK(!valid(name, 0));
	CHECK(valid(name, 1));
	CHECK(valid(name, NVMF_NQN_SIZE));
	CHECK(!valid(name, NVMF_NQN_SIZE + 1));
	CHECK(!valid(name, NVMF_NQN_FIELD_LEN));
}

static void control_characters(void)
{
	unsigned int c;

	for (c = 0; c < 0x80; c++) {
		char name[3] = { 'a', c, 'b' };

		CHECK_EQ(valid(name, 3), c >= 0x20 && c != 0x7f);
	}
	/* C1, written in two bytes */
	for (c = 0x80; c < 0xc0; c++) {
		char name[2] = { 0xc2, c };

		CHECK_EQ(valid(name, 2), c >= 0xa0);
	}
}

static void utf8(void)
{
	CHECK(valid_str("\xc3\xa4"));			/* U+00E4 */
	CHECK(valid_str("\xe2\x82\xac"));		/* U+20AC */
	CHECK(valid_str("\xed\x9f\xbf"));		/* U+D7FF */
	CHECK(valid_str("\xee\x80\x80"));		/* U+E000 */
	CHECK(valid_str("\xf0\x90\x80\x80"));		/* U+10000 */
	CHECK(valid_str("\xf4\x8f\xbf\xbf"));		/* U+10FFFF */
}

static void not_utf8(void)
{
	CHECK(!valid_str("\x80"));			/* begins in the middle */
	CHECK(!valid_str("nqn.\xff"));
	CHECK(!valid_str("\xc0\xaf"));			/* longer than needed */
	CHECK(!valid_str("\xc1\xbf"));
	CHECK(!valid_str("\xe0\x9f\xbf"));
	CHECK(!valid_str("\xf0\x8f\xbf\xbf"));
	CHECK(!valid_str("\xed\xa0\x80"));		/* surrogates */
	CHECK(!valid_str("\xed\xbf\xbf"));
	CHECK(!valid_str("\xf4\x90\x80\x80"));		/* beyond U+10FFFF */
	CHECK(!valid_str("\xf8\x88\x80\x80\x80"));
	CHECK(!valid_str("\xc3"));			/* cut off */
	CHECK(!valid_str("\xe2\x82"));
	CHECK(!valid_str("\xf0\x90\x80"));
	CHECK(!valid_str("\xc3" "a"));			/* no continuation */
	CHECK(!valid_str("\xe2" "a" "\xac"));
	CHECK(!valid_str("\xe2\x82" "a"));
}

/* what comes out of a Connect: a field without an end */
static void cut_in_the_middle(void)
{
	char name[NVMF_NQN_SIZE];
	size_t i;

	for (i = 0; i + 1 < sizeof(name); i += 2) {
		name[i] = 0xc3;
		name[i + 1] = 0xa4;
	}
	CHECK(valid(name, sizeof(name) - 1));
	name[sizeof(name) - 1] = 0xc3;
	CHECK(!valid(name, sizeof(name)));
}

int main(void)
{
	RUN(usual_names);
	RUN(lengths);
	RUN(control_characters);
	RUN(utf8);
	RUN(not_utf8);
	RUN(cut_in_the_middle);
	return UNIT_END();
}
