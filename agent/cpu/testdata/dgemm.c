/* Times OpenBLAS' dgemm: dgemm SIZE SECONDS prints GFLOP/s on one thread, and fails when the result is wrong. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* CPU time: what else runs on the machine does not count. */
static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
	if (argc != 3) return 2;
	int n = atoi(argv[1]);
	double length = atof(argv[2]);
	double *a = malloc(sizeof(double) * n * n), *b = malloc(sizeof(double) * n * n), *c = malloc(sizeof(double) * n * n);
	for (int i = 0; i < n * n; i++) {
		a[i] = (double)(i % 17) / 16 - 0.5;
		b[i] = (double)(i % 13) / 12 - 0.5;
		c[i] = 0;
	}

	int times = 0;
	double begin = 0, end = 0;
	for (int round = -1; round <= 0 || end - begin < length; round++) { /* the first warms up */
		if (round == 0) begin = now();
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0, a, n, b, n, 0.0, c, n);
		end = now();
		if (round >= 0) times++;
	}

	for (int check = 0; check < 64; check++) {
		int i = (check * 7919) % n, j = (check * 104729) % n;
		double want = 0;
		for (int k = 0; k < n; k++) want += a[(size_t)i * n + k] * b[(size_t)k * n + j];
		if (fabs(want - c[(size_t)i * n + j]) > 1e-9 * n) {
			fprintf(stderr, "element %d,%d is %g, not %g\n", i, j, c[(size_t)i * n + j], want);
			return 1;
		}
	}

	printf("%.3f\n", 2.0 * n * n * n * times / (end - begin) / 1e9);
	return 0;
}
