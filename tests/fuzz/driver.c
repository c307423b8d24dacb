// SPDX-License-Identifier: GPL-2.0
/*
 * Where there is no libFuzzer: the seeds, changed at random. The same seed gives the same inputs.
 *
 *   FUZZER [-runs=N] [-seed=N]	run
 *   FUZZER FILE...		run these inputs, as libFuzzer does
 *   FUZZER -seeds=DIR		write the inputs to begin with
 */
#include <signal.h>
#include <unistd.h>

#include "fuzz.h"

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 16) % below;
}

static uint8_t input[FUZZ_MAX];
static size_t input_len;

/* What has ended it, to be run again. */
static void on_abort(int sig)
{
	FILE *f = fopen("crash-input", "wb");

	if (f) {
		fwrite(input, 1, input_len, f);
		fclose(f);
		fprintf(stderr, "the input is in the file crash-input\n");
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static void run(void)
{
	/* of its own size, so that ASan sees a byte too far */
	uint8_t *copy = malloc(input_len ? input_len : 1);

	memcpy(copy, input, input_len);
	LLVMFuzzerTestOneInput(copy, input_len);
	free(copy);
}

static void mutate(unsigned int nr_seeds)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 4, 7, 8, 15, 16, 20, 24, 32, 63, 64, 255, 256, 4095, 4096,
		16383, 16384, 65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, ~0ULL, 1ULL << 63 };
	static uint8_t other[FUZZ_MAX];
	size_t at = input_len ? rnd(input_len) : 0, n, len;
	uint64_t value;

	switch (rnd(7)) {
	case 0:
		if (input_len)
			input[at] ^= 1 << rnd(8);
		return;
	case 1:
		if (input_len)
			input[at] = rnd(256);
		return;
	case 2:
	case 3:
		value = odd[rnd(sizeof(odd) / sizeof(odd[0]))];
		n = 1 << rnd(4);
		if (at + n <= input_len)
			memcpy(input + at, &value, n);
		return;
	case 4:
		n = 1 + rnd(16);
		if (at + n <= input_len) {
			memmove(input + at, input + at + n, input_len - at - n);
			input_len -= n;
		}
		return;
	case 5:
		n = 1 + rnd(16);
		if (input_len + n <= FUZZ_MAX) {
			memmove(input + at + n, input + at, input_len - at);
			input_len += n;
		}
		return;
	default:
		/* the end of another one */
		len = fuzz_seed(rnd(nr_seeds), other);
		n = rnd(len);
		if (at + len - n <= FUZZ_MAX) {
			memcpy(input + at, other + n, len - n);
			input_len = at + len - n;
		}
	}
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");

	if (!f)
		return 1;
	input_len = fread(input, 1, sizeof(input), f);
	fclose(f);
	run();
	return 0;
}

static int write_seeds(const char *dir, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		char path[512];
		FILE *f;

		snprintf(path, sizeof(path), "%s/seed-%u", dir, i);
		f = fopen(path, "wb");
		if (!f)
			return 1;
		fwrite(input, 1, fuzz_seed(i, input), f);
		if (fclose(f))
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long runs = 10000, seed = 1, i;
	unsigned int nr_seeds = 0, n;
	int arg;

	while (fuzz_seed(nr_seeds, input))
		nr_seeds++;
	for (arg = 1; arg < argc; arg++) {
		if (!strncmp(argv[arg], "-seeds=", 7))
			return write_seeds(argv[arg] + 7, nr_seeds);
		if (sscanf(argv[arg], "-runs=%lu", &runs) == 1 || sscanf(argv[arg], "-seed=%lu", &seed) == 1)
			continue;
		if (run_file(argv[arg]))
			return 1;
		runs = 0;
	}
	signal(SIGABRT, on_abort);
	for (i = 0; i < runs; i++) {
		rng = (seed + i + 1) * 0x9e3779b97f4a7c15ULL;
		input_len = fuzz_seed(i % nr_seeds, input);
		if (i >= nr_seeds)
			for (n = 1 + rnd(8); n; n--)
				mutate(nr_seeds);
		run();
	}
	printf("%lu inputs from %u seeds, seed %lu\n", runs, nr_seeds, seed);
	return 0;
}
