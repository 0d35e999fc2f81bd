package catalogue

import (
	"fmt"
	"strings"

	"vetting/core"
)

// Sign is how the unit is written for people: "°C". It is empty for plain numbers.
func (e Entry) Sign() string {
	switch e.Unit {
	case "celsius":
		return "°C"
	case "watts":
		return "W"
	case "mhz":
		return "MHz"
	case "percent":
		return "%"
	case "mibps":
		return "MiB/s"
	case "mbps":
		return "Mbit/s"
	case "gflops":
		return "GFLOPS"
	case "volts":
		return "V"
	case "amperes":
		return "A"
	case "milliwatts":
		return "mW"
	case "milliamperes":
		return "mA"
	case "milliseconds":
		return "ms"
	case "hours":
		return "h"
	case "minutes":
		return "min"
	case "us":
		return "µs"
	case "count", "bits", "ipc":
		return ""
	default:
		return e.Unit
	}
}

// Words is the quantity as people say it: "reallocated sectors".
func (e Entry) Words() string {
	words := strings.ReplaceAll(strings.TrimSuffix(e.Quantity, "_"+e.Unit), "_", " ")

	switch e.Unit {
	case "rpm":
		return words + " speed"
	case "ipc":
		return "instructions a cycle"
	default:
		return words
	}
}

// Breach says what was measured beside the limit that it broke: "sda: temperature
// 95 °C, limit at most 90 °C". The key must be in the catalogue; of others it says
// what it can.
func Breach(e *core.Evaluation) string {
	entry, known := Lookup(e.Key)
	_, part, quantity, _ := split(e.Key)

	if !known {
		entry.Quantity = quantity
	}

	unit := entry.Sign()
	if unit != "" {
		unit = " " + unit
	}

	limit := core.LimitWords(e.Limit)
	if _, value, _ := strings.Cut(e.Limit, " "); !strings.Contains(value, " ") { // a plain number, not a share of another
		limit += unit
	}

	return fmt.Sprintf("%s: %s %.6g%s, limit %s", part, entry.Words(), e.Value, unit, limit)
}
