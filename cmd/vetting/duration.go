package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration that also reads and writes days ("30d"), which
// time.ParseDuration does not know.
type Duration time.Duration //nolint:recvcheck // reading needs a pointer, writing a value

// ParseDuration reads "15m", "1h30m" or "30d"; days stand alone.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil {
			return Duration(time.Duration(n) * 24 * time.Hour), nil
		}
	}

	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration; write it like 90s, 15m, 1h30m or 30d", s)
	}

	return Duration(d), nil
}

// UnmarshalYAML reads the duration from a YAML scalar.
func (d *Duration) UnmarshalYAML(text []byte) error {
	v, err := ParseDuration(strings.Trim(strings.TrimSpace(string(text)), `"'`))
	if err != nil {
		return err
	}

	*d = v

	return nil
}

// MarshalYAML writes the duration as a person would.
func (d Duration) MarshalYAML() ([]byte, error) { return []byte(d.String()), nil } //nolint:unparam // the interface of the YAML module

// String writes whole days as "30d" and everything else without zero parts.
func (d Duration) String() string {
	v := time.Duration(d)
	if v > 0 && v%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(v/(24*time.Hour)), 10) + "d"
	}

	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}

	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}

	return s
}
