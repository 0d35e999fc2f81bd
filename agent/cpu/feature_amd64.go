package cpu

// cpuid executes CPUID with EAX and ECX as given.
//
//go:noescape
func cpuid(leaf, sub uint32) (a, b, c, d uint32)

// xgetbv reads XCR0: which registers the operating system saves.
//
//go:noescape
func xgetbv() uint32

// stamp reads the time stamp counter after all loads before it are done.
//
//go:noescape
func stamp() uint64

// Registers of XCR0 that AVX and AVX-512 need (Intel SDM vol. 1, 13.3).
const (
	stateAVX    = 1<<1 | 1<<2
	stateAVX512 = stateAVX | 1<<5 | 1<<6 | 1<<7
)

// Detect asks the CPU that it runs on. The caller must be bound to that CPU for
// the answer to mean anything on a machine whose cores differ.
func Detect() Features {
	f := Features{APIC: -1}

	last, _, _, _ := cpuid(0, 0)
	_, id, c1, _ := cpuid(1, 0)

	f.APIC = int(id >> 24)
	f.AES, f.CLMUL, f.Virtual = c1&(1<<25) != 0, c1&(1<<1) != 0, c1&(1<<31) != 0

	var saved uint32
	if c1&(1<<27) != 0 {
		saved = xgetbv()
	}

	avx := c1&(1<<28) != 0 && saved&stateAVX == stateAVX
	f.AES, f.CLMUL = f.AES && avx, f.CLMUL && avx // ours are encoded as AVX

	if last >= 7 {
		_, b7, c7, _ := cpuid(7, 0)

		const foundation = 1<<16 | 1<<17 | 1<<30 | 1<<31 // F, DQ, BW, VL

		f.AVX2 = avx && b7&(1<<5) != 0 && c1&(1<<12) != 0
		f.AVX512 = f.AVX2 && b7&foundation == foundation && saved&stateAVX512 == stateAVX512
		f.IFMA = f.AVX512 && b7&(1<<21) != 0
		f.VAES = f.AVX2 && c7&(1<<9) != 0 && !emulated(f.Virtual)
		f.VCLMUL = f.AVX2 && c7&(1<<10) != 0
		f.Repeat = b7&(1<<9) != 0
	}

	if wide := topologyID(last); wide >= 0 {
		f.APIC = wide
	}

	if last >= 0x1a {
		a, _, _, _ := cpuid(0x1a, 0)
		f.Kind = map[uint32]string{0x20: "efficient", 0x40: "performance"}[a>>24]
	}

	if top, _, _, _ := cpuid(0x80000000, 0); top >= 0x80000007 {
		_, _, _, d := cpuid(0x80000007, 0)
		f.Stamp = d&(1<<8) != 0
	}

	return f
}

// emulated reports whether the CPU is made up by QEMU (TCG) instead of running on a
// real one. QEMU 7.2 computes the upper halves of VAESENC and its like from the
// lower ones, so that wide AES comes out wrong there, always.
func emulated(virtual bool) bool {
	const hypervisor = 0x40000000

	if !virtual {
		return false
	}

	_, b, c, d := cpuid(hypervisor, 0)

	return b == 0x54474354 && c == 0x43544743 && d == 0x47435447 // "TCGTCGTCGTCG"
}

// topologyID reads the x2APIC id, which has room for more than 255 CPUs; -1 where
// the leaf is empty.
func topologyID(last uint32) int {
	if last < 0xb {
		return -1
	}

	_, threads, _, id := cpuid(0xb, 0)
	if threads == 0 {
		return -1
	}

	return int(id)
}

// Stamp reads the CPU's time stamp counter.
func Stamp() uint64 { return stamp() }
