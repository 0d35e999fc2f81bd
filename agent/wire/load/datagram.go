package load

// Arrivals counts the datagrams of a row as they arrive. Not safe for concurrent use.
type Arrivals struct {
	Came       uint64 // good ones, each once
	Bad        uint64 // damaged
	Reordered  uint64
	Duplicates uint64
	Bytes      uint64
	Highest    uint64 // number of the latest, plus 1

	noise   *Noise
	seen    [window / 64]uint64
	jitter  float64 // nanoseconds
	transit int64
	timed   bool
}

// window is how many numbers back a datagram is still known to be new.
const window = 1 << 16

// NewArrivals returns the count of a row whose bodies are cut from noise.
func NewArrivals(noise *Noise) *Arrivals { return &Arrivals{noise: noise} }

// Take looks at a datagram that came at now, in nanoseconds of the receiver's clock.
// foreign: it is not of this row.
func (a *Arrivals) Take(packet []byte, now uint64) (foreign bool) {
	head, ok := ReadHead(packet)
	if !ok {
		a.Bad++

		return false
	}

	if head.Seed != a.noise.seed {
		return true
	}

	if head.Kind != Data {
		return false
	}

	body := packet[HeadSize:]
	if _, want := a.noise.Body(head.Number); len(body) != a.noise.size || head.CRC != want || Checksum(body) != want {
		a.Bad++

		return false
	}

	if a.count(head.Number) {
		a.Bytes += uint64(len(packet))
		a.time(int64(now - head.Sent)) //nolint:gosec // clocks with different beginnings: only differences of it count
	}

	return false
}

// count takes note of a number, and reports whether it is new.
func (a *Arrivals) count(number uint64) bool {
	if number >= a.Highest {
		for n := a.Highest; n <= number && n-a.Highest < window; n++ {
			a.seen[n%window/64] &^= 1 << (n % 64)
		}

		if number-a.Highest >= window {
			a.seen = [window / 64]uint64{}
		}

		a.Highest = number + 1
	} else {
		if a.Highest-number > window || a.seen[number%window/64]&(1<<(number%64)) != 0 {
			a.Duplicates++

			return false
		}

		a.Reordered++
	}

	a.seen[number%window/64] |= 1 << (number % 64)
	a.Came++

	return true
}

// time folds in how long a datagram was under way (RFC 3550, section 6.4.1).
func (a *Arrivals) time(transit int64) {
	if a.timed {
		a.jitter += (float64(max(transit-a.transit, a.transit-transit)) - a.jitter) / 16
	}

	a.transit, a.timed = transit, true
}

// JitterUS is the jitter in microseconds.
func (a *Arrivals) JitterUS() uint64 { return uint64(a.jitter / 1000) }
