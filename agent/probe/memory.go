package probe

import (
	"strconv"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

// Memory sums the DIMMs up and adds what the kernel was given and can use of them,
// and how many memory controllers report errors.
func (m Machine) Memory(tables []inventory.Structure) core.MemoryTotal {
	total := inventory.Memory(tables)
	total.UsableBytes, total.RAMBytes = m.memTotal(), m.ram()

	for _, name := range m.entries("sys/devices/system/edac/mc") {
		if _, err := strconv.Atoi(strings.TrimPrefix(name, "mc")); err == nil {
			total.Controllers++
		}
	}

	return total
}

// memTotal reads MemTotal, which /proc/meminfo gives in KiB; 0 when it does not.
func (m Machine) memTotal() uint64 {
	for _, row := range m.lines("proc/meminfo") {
		name, value, _ := strings.Cut(row, ":")
		if name != "MemTotal" {
			continue
		}

		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 44)
		if err != nil {
			return 0
		}

		return kib << 10
	}

	return 0
}

// ram adds up the ranges of RAM that the firmware gives the kernel (e820, UEFI):
// those of /proc/iomem, which shows zeros to those without rights, and else of
// sys/firmware/memmap, which arm64 does not have.
func (m Machine) ram() (total uint64) {
	for _, row := range m.lines("proc/iomem") {
		if span, ok := strings.CutSuffix(row, " : System RAM"); ok {
			low, high, _ := strings.Cut(span, "-")
			total += spanOf(low, high)
		}
	}

	if total > 0 {
		return total
	}

	const base = "sys/firmware/memmap/"

	for _, name := range m.entries(base[:len(base)-1]) {
		if m.text(base+name+"/type") == "System RAM" {
			total += spanOf(strings.TrimPrefix(m.text(base+name+"/start"), "0x"), strings.TrimPrefix(m.text(base+name+"/end"), "0x"))
		}
	}

	return total
}

// spanOf is the size of a range of addresses in hex, both ends included; 0 for
// nonsense and for ranges shown as zeros.
func spanOf(low, high string) uint64 {
	first, err := strconv.ParseUint(low, 16, 64)
	if err != nil {
		return 0
	}

	last, err := strconv.ParseUint(high, 16, 64)
	if err != nil || last <= first {
		return 0
	}

	return last - first + 1
}
