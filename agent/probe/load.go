package probe

import (
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// SMTOff reports whether the kernel was told, or chose, not to use the sibling
// threads of cores.
func (m Machine) SMTOff() bool {
	return slices.Contains([]string{"off", "forceoff"}, m.text("sys/devices/system/cpu/smt/control"))
}

// Virtual reports whether this is a virtual machine, as the CPU, the firmware or the
// device tree says.
func (m Machine) Virtual() bool {
	if strings.Contains(m.text("proc/cpuinfo"), " hypervisor") || m.text("sys/hypervisor/type") != "" ||
		len(m.entries("sys/firmware/devicetree/base/hypervisor")) > 0 {
		return true
	}

	const dmi = "sys/class/dmi/id/"

	maker := m.text(dmi+"sys_vendor") + " " + m.text(dmi+"product_name")

	return slices.ContainsFunc([]string{"QEMU", "KVM", "VMware", "VirtualBox", "Xen", "Virtual Machine", "Bochs"}, func(word string) bool {
		return strings.Contains(maker, word)
	})
}

// BaseMHz is the frequency that a CPU is sold for; 0: the machine does not tell.
func (m Machine) BaseMHz(t Thread) float64 {
	dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", t.Number)

	if khz := m.number(dir+"cpufreq/base_frequency", 0); khz > 0 {
		return float64(khz) / 1000
	}

	if mhz := m.number(dir+"acpi_cppc/nominal_freq", 0); mhz > 0 {
		return float64(mhz)
	}

	// "Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz"
	if ghz := regexp.MustCompile(`@ ([0-9.]+)GHz`).FindStringSubmatch(t.Model); ghz != nil {
		if v, err := strconv.ParseFloat(ghz[1], 64); err == nil {
			return 1000 * v
		}
	}

	return 0
}

// Pace is how fast a CPU is made to be, beside others of the machine: what the
// scheduler takes it for (cpu_capacity, on arm64), else its highest clock in MHz. Cores
// of one package that are not of one kind differ by it. 0: the machine does not tell.
func (m Machine) Pace(t Thread) float64 {
	dir := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", t.Number)

	if capacity := m.number(dir+"cpu_capacity", 0); capacity > 0 {
		return float64(capacity)
	}

	return float64(m.number(dir+"cpufreq/cpuinfo_max_freq", 0)) / 1000
}

// Heat is the temperature of a CPU's package in degrees Celsius, of the hottest one
// where they cannot be told apart; NaN: nothing tells.
func (m Machine) Heat(t Thread) float64 {
	hottest, own := math.NaN(), math.NaN()

	for _, chip := range m.entries("sys/class/hwmon") {
		dir := "sys/class/hwmon/" + chip
		if !slices.Contains([]string{"coretemp", "k10temp", "zenpower"}, m.text(dir+"/name")) {
			continue
		}

		for _, file := range m.entries(dir) {
			label, isLabel := strings.CutSuffix(file, "_label")
			if !isLabel || !strings.HasPrefix(label, "temp") {
				continue
			}

			name, milli := m.text(dir+"/"+file), m.number(dir+"/"+label+"_input", 0)
			if milli <= 0 || !strings.HasPrefix(name, "Package") && name != "Tctl" && name != "Tdie" {
				continue
			}

			celsius := float64(milli) / 1000
			if name == fmt.Sprintf("Package id %d", t.Package) {
				own = celsius
			}

			if math.IsNaN(hottest) || celsius > hottest {
				hottest = celsius
			}
		}
	}

	if !math.IsNaN(own) {
		return own
	}

	return hottest
}

// PowerMeter is the energy counter of a package (RAPL).
type PowerMeter struct {
	Package int
	Limit   float64 // watts it may draw for long (PL1); NaN: not told
	Wrap    float64 // joules at which the counter begins anew

	dir string
}

// PowerMeters lists those of the packages.
func (m Machine) PowerMeters() (meters []PowerMeter) {
	const base = "sys/class/powercap"

	for _, zone := range m.entries(base) {
		number, isPackage := strings.CutPrefix(m.text(path.Join(base, zone, "name")), "package-")
		if !isPackage || !strings.HasPrefix(zone, "intel-rapl:") {
			continue // the kernel uses this name for AMD's too; -mmio is the same counter again
		}

		n, err := strconv.Atoi(number)
		if err != nil {
			continue // "package-0-die-1": a part of one
		}

		meter := PowerMeter{Package: n, Limit: math.NaN(), Wrap: m.micro(path.Join(base, zone, "max_energy_range_uj")), dir: path.Join(base, zone)}

		for i := range 3 {
			constraint := path.Join(base, zone, "constraint_"+strconv.Itoa(i))
			if m.text(constraint+"_name") == "long_term" {
				meter.Limit = m.micro(constraint + "_power_limit_uw")
			}
		}

		meters = append(meters, meter)
	}

	return meters
}

// Joules reads the counter; NaN: it cannot be read.
func (p *PowerMeter) Joules(m Machine) float64 { return m.micro(p.dir + "/energy_uj") }

// micro reads a file that holds millionths.
func (m Machine) micro(name string) float64 {
	v, err := strconv.ParseFloat(m.text(name), 64)
	if err != nil {
		return math.NaN()
	}

	return v / 1e6
}

// ScanFolder is where Intel In-Field Scan has its tests, below the root.
const ScanFolder = "sys/devices/virtual/misc"

// FieldScans lists the tests of Intel In-Field Scan; none on CPUs without.
func (m Machine) FieldScans() (tests []string) {
	for _, name := range m.entries(ScanFolder) {
		if strings.HasPrefix(name, "intel_ifs_") {
			tests = append(tests, name)
		}
	}

	return tests
}

// HasBatches reports whether a scan needs images, which come in batches.
func (m Machine) HasBatches(test string) bool {
	return m.text(path.Join(ScanFolder, test, "current_batch")) != ""
}

// ScanResult reads how the last scan ended: "pass", "fail" or "untested".
func (m Machine) ScanResult(test string) (status, details string) {
	return m.text(path.Join(ScanFolder, test, "status")), m.text(path.Join(ScanFolder, test, "details"))
}
