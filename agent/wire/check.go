package wire

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// maxDuration bounds every length of time on the wire: a century.
const maxDuration = Seconds(100 * 366 * 24 * 3600)

// faults gathers what is wrong with a message.
type faults struct{ errs []error }

func (f *faults) add(format string, args ...any) {
	if len(f.errs) < 8 { // enough to find the bug, too few to flood a log
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

func (f *faults) err() error { return errors.Join(f.errs...) }

// need demands that value is told and not longer than limit bytes.
func (f *faults) need(field, value string, limit int) {
	if value == "" {
		f.add("%s is missing", field)
	}

	f.atMost(field, len(value), limit)
}

// atMost demands that a length keeps its limit.
func (f *faults) atMost(field string, n, limit int) {
	if n > limit {
		f.add("%s has %d, %d at most", field, n, limit)
	}
}

// seq demands a sequence number; they start at 1.
func (f *faults) seq(n uint64) {
	if n == 0 {
		f.add("seq is missing; the first is 1")
	}
}

// ratio demands a part of one.
func (f *faults) ratio(field string, v float64) {
	if !(v >= 0 && v <= 1) {
		f.add("%s must be between 0 and 1", field)
	}
}

// seconds demands a sensible length of time.
func (f *faults) seconds(field string, v Seconds) {
	if !(v >= 0 && v <= maxDuration) {
		f.add("%s must be a number of seconds from 0 to %.0f", field, float64(maxDuration))
	}
}

func (f *faults) mac(field, value string) {
	if !ValidMAC(value) {
		f.add("%s %.64q is not a MAC address like 52:54:00:12:34:56", field, value)
	}
}

// ValidMAC reports whether s is an EUI-48 address in lower case with colons.
func ValidMAC(s string) bool {
	if len(s) != 17 {
		return false
	}

	for i, c := range []byte(s) {
		if i%3 == 2 {
			if c != ':' {
				return false
			}

			continue
		}

		if !strings.ContainsRune("0123456789abcdef", rune(c)) {
			return false
		}
	}

	return true
}

// ValidKey reports whether key may name a sample: [a-z0-9/_.:-]{1,96}.
func ValidKey(key string) bool {
	if key == "" || len(key) > MaxKey {
		return false
	}

	for _, c := range []byte(key) {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("/_.:-", c) < 0 {
			return false
		}
	}

	return true
}

// Measured returns v as it travels: nil when it is NaN or infinite, since
// neither is a measurement.
func Measured(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}

	return &v
}

// Value returns what was measured, or NaN when nothing was.
func Value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}

	return *v
}
