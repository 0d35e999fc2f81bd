package storage

import (
	"math/bits"
	"slices"
	"time"
)

// Histogram counts how long requests took: eight classes for each doubling, from
// 1 µs on.
type Histogram struct {
	Counts []uint64      `json:"counts,omitempty"`
	Total  uint64        `json:"total"`
	Most   time.Duration `json:"most"`
}

const finer = 3 // classes of a doubling, as a power of two

// Add counts a request that took so long.
func (h *Histogram) Add(took time.Duration) {
	i := class(took)
	for len(h.Counts) <= i {
		h.Counts = append(h.Counts, 0)
	}

	h.Counts[i]++
	h.Total++
	h.Most = max(h.Most, took)
}

func class(took time.Duration) int {
	us := uint64(max(took/time.Microsecond, 1))

	n := bits.Len64(us) - 1
	if n < finer {
		return int(us)
	}

	return (n-finer+1)<<finer + int(us>>(n-finer))&(1<<finer-1)
}

// upper is the longest time of a class.
func upper(i int) time.Duration {
	n := i >> finer
	if n == 0 {
		return time.Duration(i+1) * time.Microsecond
	}

	return time.Duration((uint64(i&(1<<finer-1))|1<<finer)+1) << (n - 1) * time.Microsecond
}

// Quantile is the time that a share of the requests did not take longer than, within
// an eighth. 0 without any.
func (h *Histogram) Quantile(share float64) time.Duration {
	want := uint64(share * float64(h.Total))

	for i, n := range h.Counts {
		if want < n {
			return min(upper(i), h.Most)
		}

		want -= n
	}

	return h.Most
}

// Over counts the requests that took longer, by classes: those that surely did.
func (h *Histogram) Over(limit time.Duration) (n uint64) {
	for i := class(limit) + 1; i < len(h.Counts); i++ {
		n += h.Counts[i]
	}

	return n
}

// longer is a histogram of which only the classes above a time are left.
func (h *Histogram) longer(than time.Duration) Histogram {
	l := Histogram{Counts: slices.Clone(h.Counts), Total: h.Total, Most: h.Most}
	clear(l.Counts[:min(class(than), len(l.Counts))])

	return l
}

// Point is how fast a part of the disk was.
type Point struct {
	Offset int64   `json:"offset"` // of its beginning
	MiBps  float64 `json:"mibps"`
}

// curve gathers the speed over the places of a disk.
type curve struct {
	width int64 // bytes of a bucket
	bytes []int64
	took  []time.Duration
}

const (
	gib = 1 << 30
	// leastBuckets is how finely small disks are looked at.
	leastBuckets = 64
)

func newCurve(size int64) *curve {
	width := min(gib, max(request, size/leastBuckets/request*request))
	n := size/width + 1

	return &curve{width: width, bytes: make([]int64, n), took: make([]time.Duration, n)}
}

func (c *curve) add(offset int64, length int, took time.Duration) {
	i := offset / c.width
	c.bytes[i] += int64(length)
	c.took[i] += took
}

// points are the buckets that were tested. With so many requests under way at a time
// each takes so much longer.
func (c *curve) points(depth int) (points []Point) {
	for i, n := range c.bytes {
		if n > 0 && c.took[i] > 0 {
			points = append(points, Point{int64(i) * c.width, float64(n) / (1 << 20) / c.took[i].Seconds() * float64(depth)})
		}
	}

	return points
}

// neighbours is how far a bucket is compared to each side, and slowShare how slow it
// may be.
const (
	neighbours = 32
	slowShare  = 0.5
)

// slow are the points that are less than half as fast as the median of those around
// them. A hard disk gets slower from its outside to its inside, but not so fast.
func slow(points []Point) (found []Point) {
	if len(points) < 8 {
		return nil
	}

	for i, p := range points {
		around := make([]float64, 0, 2*neighbours)

		for j := max(0, i-neighbours); j < min(len(points), i+neighbours+1); j++ {
			if j != i {
				around = append(around, points[j].MiBps)
			}
		}

		slices.Sort(around)

		if p.MiBps < slowShare*around[len(around)/2] {
			found = append(found, p)
		}
	}

	return found
}

// thin keeps the slowest of every few points, so that not more than most are left.
func thin(points []Point, most int) []Point {
	if len(points) <= most {
		return points
	}

	var thinned []Point

	for group := range slices.Chunk(points, (len(points)+most-1)/most) {
		thinned = append(thinned, slices.MinFunc(group, func(a, b Point) int {
			switch {
			case a.MiBps < b.MiBps:
				return -1
			case a.MiBps > b.MiBps:
				return 1
			default:
				return 0
			}
		}))
	}

	return thinned
}
