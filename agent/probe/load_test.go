package probe_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/probe"
)

// twoSockets is a machine of two packages with a core of two threads each, of which
// the last is offline.
func twoSockets() fstest.MapFS {
	files := fstest.MapFS{}

	for name, text := range map[string]string{
		"sys/devices/system/cpu/present":                           "0-3",
		"sys/devices/system/cpu/online":                            "0-2",
		"sys/devices/system/cpu/smt/control":                       "on",
		"sys/devices/system/cpu/cpu0/topology/physical_package_id": "0",
		"sys/devices/system/cpu/cpu1/topology/physical_package_id": "1",
		"sys/devices/system/cpu/cpu2/topology/physical_package_id": "0",
		"sys/devices/system/cpu/cpu0/topology/core_id":             "4",
		"sys/devices/system/cpu/cpu0/topology/core_cpus_list":      "0,2",
		"sys/devices/system/cpu/cpu2/topology/core_cpus_list":      "0,2",
		"sys/devices/system/cpu/cpu2/topology/core_id":             "4",
		"sys/devices/system/cpu/cpu0/topology/ppin":                "0xab12",
		"sys/devices/system/cpu/cpu0/microcode/version":            "0x2b",
		"sys/devices/system/cpu/cpu0/cpufreq/base_frequency":       "2400000",
		"sys/devices/system/cpu/cpu1/acpi_cppc/nominal_freq":       "2450",
		"proc/cpuinfo":                                                "processor\t: 0\nmodel name\t: Some  CPU @ 2.50GHz\napicid\t\t: 8\n\nprocessor\t: 2\nmodel name\t: Some CPU @ 2.50GHz\n",
		"sys/class/hwmon/hwmon3/name":                                 "coretemp",
		"sys/class/hwmon/hwmon3/temp1_label":                          "Package id 0",
		"sys/class/hwmon/hwmon3/temp1_input":                          "61000",
		"sys/class/hwmon/hwmon4/name":                                 "coretemp",
		"sys/class/hwmon/hwmon4/temp1_label":                          "Package id 1",
		"sys/class/hwmon/hwmon4/temp1_input":                          "72500",
		"sys/class/hwmon/hwmon4/temp2_label":                          "Core 0",
		"sys/class/hwmon/hwmon4/temp2_input":                          "80000",
		"sys/class/hwmon/hwmon5/name":                                 "nvme",
		"sys/class/hwmon/hwmon5/temp1_label":                          "Package id 0",
		"sys/class/hwmon/hwmon5/temp1_input":                          "99000",
		"sys/class/powercap/intel-rapl:0/name":                        "package-0",
		"sys/class/powercap/intel-rapl:0/energy_uj":                   "5000000",
		"sys/class/powercap/intel-rapl:0/max_energy_range_uj":         "262143328850",
		"sys/class/powercap/intel-rapl:0/constraint_0_name":           "long_term",
		"sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw": "150000000",
		"sys/class/powercap/intel-rapl:0:0/name":                      "dram",
		"sys/class/powercap/intel-rapl-mmio:0/name":                   "package-0",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}

	return files
}

func TestThreads(t *testing.T) {
	m := probe.Machine{Root: twoSockets()}
	threads := m.Threads()

	if len(threads) != 4 || !threads[0].Online || threads[3].Online || threads[3].Package != -1 {
		t.Fatalf("%+v", threads)
	}

	first := threads[0]
	if first.Part().Slot != "CPU0" || first.Part().Serial != "0xab12" || !slices.Equal(first.Siblings, []int{0, 2}) {
		t.Errorf("%+v", first)
	}

	if got := first.String(); got != "CPU 0, socket 0, core 4, APIC id 8, thread 0, microcode 0x2b, PPIN 0xab12" {
		t.Errorf("%q", got)
	}

	if got := threads[3].String(); got != "CPU 3" {
		t.Errorf("%q", got)
	}

	if m.SMTOff() {
		t.Error("the kernel uses sibling threads")
	}

	for number, want := range map[int]float64{0: 2400, 1: 2450, 2: 2500, 3: 0} {
		if got := m.BaseMHz(threads[number]); got != want {
			t.Errorf("CPU %d: %v MHz, want %v", number, got, want)
		}
	}

	for number, want := range map[int]float64{0: 61, 1: 72.5} {
		if got := m.Heat(threads[number]); got != want {
			t.Errorf("CPU %d: %v °C, want %v", number, got, want)
		}
	}

	if got := m.Heat(threads[3]); got != 72.5 {
		t.Errorf("of a CPU without a package the hottest counts, not %v", got)
	}
}

func TestPowerMeters(t *testing.T) {
	m := probe.Machine{Root: twoSockets()}

	meters := m.PowerMeters()
	if len(meters) != 1 || meters[0].Package != 0 || meters[0].Limit != 150 || math.Abs(meters[0].Wrap-262143.32885) > 1e-6 {
		t.Fatalf("%+v", meters)
	}

	if got := meters[0].Joules(m); got != 5 {
		t.Errorf("%v J", got)
	}

	if empty := (probe.Machine{Root: fstest.MapFS{}}); len(empty.PowerMeters()) > 0 || !math.IsNaN(empty.Heat(probe.Thread{})) || len(empty.FieldScans()) > 0 {
		t.Error("a machine without meters has some")
	}
}

func TestFieldScans(t *testing.T) {
	files := twoSockets()
	for name, text := range map[string]string{"intel_ifs_0/current_batch": "none", "intel_ifs_0/status": "pass", "intel_ifs_0/details": "0x0", "intel_ifs_1/status": "fail", "rfkill/uevent": ""} {
		files["sys/devices/virtual/misc/"+name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}

	m := probe.Machine{Root: files}
	if got := strings.Join(m.FieldScans(), " "); got != "intel_ifs_0 intel_ifs_1" {
		t.Errorf("%q", got)
	}

	if !m.HasBatches("intel_ifs_0") || m.HasBatches("intel_ifs_1") {
		t.Error("the array test alone has no batches")
	}

	if status, details := m.ScanResult("intel_ifs_0"); status != "pass" || details != "0x0" {
		t.Errorf("%q %q", status, details)
	}
}

func TestVirtual(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       bool
	}{
		"a server":           {"sys/class/dmi/id/product_name", "PowerEdge R740", false},
		"a CPU that says so": {"proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 hypervisor lahf_lm\n", true},
		"QEMU's firmware":    {"sys/class/dmi/id/sys_vendor", "QEMU", true},
		"Hyper-V's firmware": {"sys/class/dmi/id/product_name", "Virtual Machine", true},
		"Xen":                {"sys/hypervisor/type", "xen", true},
		"a device tree":      {"sys/firmware/devicetree/base/hypervisor/compatible", "xen,xen", true},
	} {
		m := probe.Machine{Root: fstest.MapFS{c.file: {Data: []byte(c.text)}}}
		if got := m.Virtual(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
