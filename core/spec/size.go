package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written like "16 GiB", "3.84 TB" or "1048576".
type Size uint64 //nolint:recvcheck // reading needs a pointer, writing a value

// UnmarshalText reads a size. Units are decimal (KB, MB, GB, TB) or binary (KiB,
// MiB, GiB, TiB), in any case.
func (s *Size) UnmarshalText(text []byte) error {
	word := strings.ToLower(strings.TrimSpace(string(text)))
	digits := strings.TrimRight(word, "bikmgt ")
	unit := strings.TrimSpace(word[len(digits):])

	factor, ok := units()[unit]
	if !ok {
		return fmt.Errorf("size %.40q: unit %.20q is not one of B, KB, MB, GB, TB, KiB, MiB, GiB, TiB", text, unit)
	}

	v, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(v) || v < 0 || v*factor > 1<<62 {
		return fmt.Errorf("size %.40q is not a number of bytes; write it like 16 GiB or 3.84 TB", text)
	}

	*s = Size(math.Round(v * factor))

	return nil
}

// MarshalText writes the size so that UnmarshalText reads the same.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes the size in the largest unit that is exact to two places.
func (s Size) String() string {
	for _, u := range []struct {
		name string
		size float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}} {
		v := float64(s) / u.size
		if text := strconv.FormatFloat(v, 'f', -1, 64); v >= 1 && len(text)-len(strconv.Itoa(int(v))) <= 3 {
			return text + " " + u.name
		}
	}

	return strconv.FormatUint(uint64(s), 10) + " B"
}

func units() map[string]float64 {
	return map[string]float64{
		"": 1, "b": 1,
		"k": 1 << 10, "kb": 1e3, "kib": 1 << 10,
		"m": 1 << 20, "mb": 1e6, "mib": 1 << 20,
		"g": 1 << 30, "gb": 1e9, "gib": 1 << 30,
		"t": 1 << 40, "tb": 1e12, "tib": 1 << 40,
	}
}
