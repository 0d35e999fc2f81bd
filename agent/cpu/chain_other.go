//go:build !amd64 && !arm64

package cpu

import "math"

// Clock cannot tell here: not a number.
func Clock() float64 { return math.NaN() }
