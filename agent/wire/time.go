package wire

import (
	"fmt"
	"strings"
	"time"
)

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// Time is a moment in UTC, cut to milliseconds, written as RFC 3339.
type Time struct{ time.Time }

// At returns t as it travels.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalJSON writes the moment with milliseconds, in UTC.
func (t Time) MarshalJSON() ([]byte, error) {
	utc := t.UTC()
	if year := utc.Year(); year < 0 || year > 9999 {
		return nil, fmt.Errorf("writing time: the year %d does not fit RFC 3339", year)
	}

	return []byte(utc.Format(`"` + timeLayout + `"`)), nil
}

// UnmarshalJSON reads RFC 3339 with any offset and fraction. null is the zero
// moment.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}

	text, found := strings.CutPrefix(string(data), `"`)
	text, closed := strings.CutSuffix(text, `"`)

	if !found || !closed {
		return fmt.Errorf("reading time: %.64q is not a string", data)
	}

	return t.parse([]byte(text))
}

// parse reads RFC 3339.
func (t *Time) parse(text []byte) error {
	parsed, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("reading time: %.64q is not RFC 3339", text)
	}

	*t = At(parsed)

	return nil
}

// Seconds is a length of time.
type Seconds float64

// InSeconds returns d as it travels.
func InSeconds(d time.Duration) Seconds { return Seconds(d.Seconds()) }

// Bounded returns d as it travels, forced into what Validate takes.
func Bounded(d time.Duration) Seconds { return min(maxDuration, InSeconds(max(0, d))) }

// Duration returns the length; it must have passed Validate.
func (s Seconds) Duration() time.Duration {
	return time.Duration(float64(s) * float64(time.Second))
}
