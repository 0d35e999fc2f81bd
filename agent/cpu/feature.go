package cpu

import "strings"

// Features is what the CPU that Detect ran on can do, as far as the operating
// system lets it.
type Features struct {
	AVX2    bool // and FMA
	AVX512  bool // F, DQ, BW and VL
	IFMA    bool // 52-bit multiply and add
	AES     bool // AES-NI
	VAES    bool // AES on wide registers
	CLMUL   bool // carry-less multiplication
	VCLMUL  bool // the same on wide registers
	Repeat  bool // fast string moves (ERMS)
	Stamp   bool // a time stamp counter that never stops
	Virtual bool // a hypervisor is present
	// APIC is the number by which the processor is known to the machine; -1: not
	// told.
	APIC int
	// Kind tells the cores of a hybrid package apart: "performance",
	// "efficient"; empty where all are alike.
	Kind string
}

// String lists what is there.
func (f Features) String() string {
	var names []string

	for _, e := range []struct {
		name string
		has  bool
	}{
		{"avx512", f.AVX512},
		{"ifma", f.IFMA},
		{"avx2", f.AVX2},
		{"vaes", f.VAES},
		{"aes", f.AES},
		{"vclmul", f.VCLMUL},
		{"clmul", f.CLMUL},
		{"erms", f.Repeat},
	} {
		if e.has {
			names = append(names, e.name)
		}
	}

	if len(names) == 0 {
		return "plain"
	}

	return strings.Join(names, " ")
}
