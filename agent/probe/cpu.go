package probe

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

// CPUs joins the populated sockets of SMBIOS with the packages the kernel sees,
// in order. A socket the kernel does not see has no CPU online; a package that
// SMBIOS does not tell of is named after its number.
func (m Machine) CPUs(tables []inventory.Structure) []core.CPU {
	packages := m.packages()
	cpus := make([]core.CPU, 0, len(packages))

	for _, socket := range inventory.Sockets(tables) {
		if !socket.Populated {
			continue
		}

		var cpu core.CPU
		if len(packages) > 0 {
			cpu, packages = packages[0], packages[1:]
		}

		cpus = append(cpus, joined(cpu, socket))
	}

	return append(cpus, packages...)
}

// joined prefers the kernel's words for what runs, and SMBIOS's for what is
// plugged in.
func joined(cpu core.CPU, socket inventory.Socket) core.CPU {
	if socket.Name != "" {
		cpu.Socket = socket.Name
	}

	cpu.Serial = socket.Serial

	if cpu.Manufacturer == "" {
		cpu.Manufacturer = socket.Manufacturer
	}

	if cpu.Model == "" {
		cpu.Model = socket.Model
	}

	// A hypervisor's SMBIOS may count threads that do not exist, and a BIOS may
	// switch cores off on purpose: what is enabled counts, and the kernel's
	// count where SMBIOS has none.
	if cpu.Online == 0 {
		cpu.Cores, cpu.Threads = max(socket.Enabled, socket.Cores), socket.Threads
	}

	cpu.MaxMHz = max(cpu.MaxMHz, socket.MaxMHz)

	return cpu
}

// packages gathers the kernel's logical CPUs by socket, in the order of the sockets:
// boards exist whose CPU 0 is in the second one.
func (m Machine) packages() (cpus []core.CPU) {
	info := map[int]map[string]string{}

	for _, fields := range inventory.CPUInfo(m.Root) {
		if n, err := strconv.Atoi(fields["processor"]); err == nil {
			info[n] = fields
		}
	}

	microcode, online := inventory.Microcode(m.Root), m.numbered("online")
	cores, packages := map[string]bool{}, map[int]*core.CPU{}

	for _, n := range m.numbered("present") {
		// An offline CPU has no topology folder: it counts to the first package.
		id := max(m.number(fmt.Sprintf("%scpu%d/topology/physical_package_id", cpuDevices, n), 0), 0)

		cpu := packages[id]
		if cpu == nil {
			cpu = &core.CPU{Socket: fmt.Sprintf("CPU%d", id)}
			packages[id] = cpu
		}

		cpu.Threads++

		if slices.Contains(online, n) {
			cpu.Online++
		}

		if key := cpu.Socket + "/" + m.text(fmt.Sprintf("%scpu%d/topology/core_id", cpuDevices, n)); !cores[key] && key != cpu.Socket+"/" {
			cores[key] = true
			cpu.Cores++
		}

		if ppin := m.text(fmt.Sprintf("%scpu%d/topology/ppin", cpuDevices, n)); strings.Trim(ppin, "0x") != "" {
			cpu.PPIN = ppin
		}

		describe(cpu, info[n], microcode[n])
		cpu.MaxMHz = max(cpu.MaxMHz, m.number(fmt.Sprintf("%scpu%d/cpufreq/cpuinfo_max_freq", cpuDevices, n), 0)/1000)
	}

	logical := m.logical()

	for _, id := range slices.Sorted(maps.Keys(packages)) {
		cpu := packages[id]
		cpu.Logical, cpu.Caches = logical[id], m.caches(logical[id])
		cpus = append(cpus, *cpu)
	}

	return cpus
}

// numbered lists the logical CPUs that are present or online; those that have a folder
// where the kernel's list is not recorded.
func (m Machine) numbered(list string) (numbers []int) {
	if text := m.text(cpuDevices + list); text != "" {
		return ParseList(text)
	}

	for _, name := range m.entries(strings.TrimSuffix(cpuDevices, "/")) {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, "cpu")); err == nil && strings.HasPrefix(name, "cpu") {
			numbers = append(numbers, n)
		}
	}

	slices.Sort(numbers)

	return numbers
}

func describe(cpu *core.CPU, fields map[string]string, microcode string) {
	if cpu.Model == "" {
		cpu.Model = strings.Join(strings.Fields(fields["model name"]), " ")
	}

	if cpu.Manufacturer == "" {
		cpu.Manufacturer = fields["vendor_id"]
	}

	if cpu.Microcode == "" {
		cpu.Microcode = microcode
	}
}

// ParseList decodes the kernel's lists of numbers, "0-3,8,10-11". It stops at the
// first thing it does not understand, and at 65536 numbers.
func ParseList(list string) (numbers []int) {
	const limit = 1 << 16

	for span := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		low, high, isRange := strings.Cut(span, "-")
		if !isRange {
			high = low
		}

		first, err := strconv.Atoi(low)
		if err != nil || first < 0 {
			return numbers
		}

		last, err := strconv.Atoi(high)
		if err != nil || last < first || last-first >= limit {
			return numbers
		}

		for n := first; n <= last && len(numbers) < limit; n++ {
			numbers = append(numbers, n)
		}
	}

	return numbers
}
