// SPDX-License-Identifier: GPL-2.0
/*
 * Names as hosts and administrators write them: pure logic, no kernel object.
 */
#include "nqn.h"
#include <linux/nvme.h>

/*
 * The length of the UTF-8 sequence that begins with @lead, and the smallest code
 * point that may be written with it: a longer form than needed is not UTF-8.
 */
static unsigned int nvtgt_utf8_len(u8 lead, u32 *smallest)
{
	if (lead < 0x80) {
		*smallest = 0;
		return 1;
	}
	if ((lead & 0xe0) == 0xc0) {
		*smallest = 0x80;
		return 2;
	}
	if ((lead & 0xf0) == 0xe0) {
		*smallest = 0x800;
		return 3;
	}
	if ((lead & 0xf8) == 0xf0) {
		*smallest = 0x10000;
		return 4;
	}
	return 0;
}

/* Decodes the first character of @s. Returns its length in bytes, 0 if it is not legal. */
static unsigned int nvtgt_utf8_char(const u8 *s, size_t len, u32 *code)
{
	u32 smallest;
	unsigned int i, n = nvtgt_utf8_len(s[0], &smallest);

	if (!n || n > len)
		return 0;
	*code = n == 1 ? s[0] : s[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	/* surrogates are no characters */
	if (*code < smallest || *code > 0x10ffff || (*code & ~0x7ffU) == 0xd800)
		return 0;
	return n;
}

/**
 * nvtgt_nqn_valid - can this be the name of a host or a subsystem?
 * @nqn: the name; need not be NUL terminated
 * @len: its length, bytes, without a NUL
 *
 * NVMe base 2.1, 4.7: 1 to 223 bytes of UTF-8. Names that do not begin with "nqn."
 * are common in the field and accepted; control characters are not, because names
 * go into log lines.
 *
 * Context: any.
 * Return: whether it can
 */
bool nvtgt_nqn_valid(const char *nqn, size_t len)
{
	const u8 *s = (const u8 *)nqn;
	unsigned int n;
	u32 code;

	if (!len || len > NVMF_NQN_SIZE)
		return false;
	for (; len; s += n, len -= n) {
		n = nvtgt_utf8_char(s, len, &code);
		if (!n)
			return false;
		if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			return false;
	}
	return true;
}
