//go:build !amd64 && !arm64

package cpu

// Detect knows of no variants but plain Go here.
func Detect() Features { return Features{APIC: -1} }

// Stamp has no counter to read.
func Stamp() uint64 { return 0 }
