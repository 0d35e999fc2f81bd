//go:build !amd64

package cpu

// There is no assembly for this architecture: every kernel runs its plain variant.

func fmaFast(Features) []Variant { return nil }

func fmaTableFast(Features, int, int) []Variant { return nil }

func multiplyFast(Features) []Variant { return nil }

func exactFast(Features) []Variant { return nil }

func aesFast(Features) []Variant { return nil }

func carrylessFast(Features) []Variant { return nil }

func gatherFast(Features) []Variant { return nil }

func divisionFast(Features) []Variant { return nil }

func repeatFast(Features) []Variant { return nil }

// Peak is not known here.
func Peak(Features) func() float64 { return nil }
