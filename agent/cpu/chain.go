//go:build amd64 || arm64

package cpu

import "time"

//go:noescape
func chain(rounds int)

// Clock measures at how many megahertz the CPU runs now, by work that takes a known
// number of cycles. It takes some 100 µs; the best of several tries counts, since
// whatever comes between makes it slower and nothing makes it faster.
func Clock() float64 {
	const (
		rounds = 4096
		each   = 16
		tries  = 4
	)

	var best time.Duration

	for i := range tries {
		begin := time.Now()

		chain(rounds)

		if took := time.Since(begin); i == 0 || took < best {
			best = took
		}
	}

	return rounds * each / best.Seconds() / 1e6
}
