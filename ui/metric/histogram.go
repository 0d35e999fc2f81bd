package metric

import (
	"slices"
	"strconv"
)

// Histogram counts values in buckets. It is not safe for concurrent use.
type Histogram struct {
	Labels []string // as those of a Value
	bounds []float64
	counts []uint64 // in each bucket alone; the last is past all bounds
	sum    float64
}

// NewHistogram returns an empty one with buckets up to each of the bounds, which
// grow.
func NewHistogram(labels []string, bounds []float64) *Histogram {
	return &Histogram{Labels: labels, bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

// Add counts a value in.
func (h *Histogram) Add(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v) // a value on a bound is within it
	h.counts[i]++
	h.sum += v
}

// Values writes the histogram as Prometheus has it: how many were up to each bound,
// the sum, and how many there were.
func (h *Histogram) Values() []Value {
	var values []Value

	total := uint64(0)

	for i, n := range h.counts {
		total += n

		bound := "+Inf"
		if i < len(h.bounds) {
			bound = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}

		values = append(values, Value{Suffix: "_bucket", Labels: append(slices.Clone(h.Labels), "le", bound), Number: float64(total)})
	}

	return append(values, Value{Suffix: "_sum", Labels: h.Labels, Number: h.sum}, Value{Suffix: "_count", Labels: h.Labels, Number: float64(total)})
}
