package ras

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/core"
)

// Machine is where counters are read. All fields are set.
type Machine struct {
	Root fs.FS // "sys", "proc"
	// Statistics are a network driver's own counters (ethtool -S).
	Statistics func(port string) (map[string]uint64, error)
	DIMMs      []core.DIMM // as SMBIOS names them
	// OwnCommands tells how many of the commands that the kernel counts among those a
	// disk failed were questions of our own; optional.
	OwnCommands func(disk string) uint64
}

// Read takes a snapshot. What the machine does not have is left out.
func (m Machine) Read(now time.Time) Snapshot {
	s := newSnapshot(now, m.edac(), m.poisoned(), m.interrupts(), m.pcie(), m.sasPhys(), m.disks(), m.nics())
	s.Widths = m.widths()

	return s
}

func (m Machine) text(name string) string {
	b, err := fs.ReadFile(m.Root, name)
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(b))
}

func (m Machine) number(name string) (uint64, bool) {
	n, err := strconv.ParseUint(m.text(name), 0, 64)

	return n, err == nil
}

func (m Machine) glob(pattern string) []string {
	names, err := fs.Glob(m.Root, pattern)
	if err != nil {
		return nil
	}

	return names
}

// edac reads the memory controllers (Documentation/admin-guide/RAS/main.rst). The
// counters of a controller count what could not be told apart by DIMM.
func (m Machine) edac() (counters []Counter) {
	for _, mc := range m.glob("sys/devices/system/edac/mc/mc[0-9]*") {
		for _, file := range []struct {
			name string
			kind Kind
		}{{"ce_noinfo_count", MemoryCorrected}, {"ue_noinfo_count", MemoryUncorrected}} {
			if n, ok := m.number(mc + "/" + file.name); ok {
				counters = append(counters, Counter{
					Kind: file.kind, Name: path.Base(mc) + "/" + file.name, Value: n, Part: core.Part{Kind: "memory", Slot: path.Base(mc)},
				})
			}
		}

		dimms := slices.Concat(m.glob(mc+"/dimm[0-9]*"), m.glob(mc+"/rank[0-9]*"))
		for _, dimm := range dimms {
			counters = append(counters, m.dimm(path.Base(mc), dimm)...)
		}

		if len(dimms) > 0 {
			continue
		}

		// Old drivers count by controller alone.
		for name, kind := range map[string]Kind{"ce_count": MemoryCorrected, "ue_count": MemoryUncorrected} {
			if n, ok := m.number(mc + "/" + name); ok {
				counters = append(counters, Counter{
					Kind: kind, Name: path.Base(mc) + "/" + name, Value: n, Part: core.Part{Kind: "memory", Slot: path.Base(mc)},
				})
			}
		}
	}

	return counters
}

// edacDrivers lists the loaded drivers of memory controllers.
func (m Machine) edacDrivers() (names []string) {
	for _, dir := range m.glob("sys/module/*_edac") {
		names = append(names, path.Base(dir))
	}

	return names
}

func (m Machine) dimm(mc, dir string) (counters []Counter) {
	part := m.dimmPart(m.text(dir+"/dimm_label"), mc+"/"+path.Base(dir))

	for name, kind := range map[string]Kind{"dimm_ce_count": MemoryCorrected, "dimm_ue_count": MemoryUncorrected} {
		if n, ok := m.number(dir + "/" + name); ok {
			counters = append(counters, Counter{Kind: kind, Name: mc + "/" + path.Base(dir) + "/" + name, Part: part, Value: n})
		}
	}

	return counters
}

// dimmPart finds the DIMM that EDAC means: the one whose name on the board the
// label holds, or the only one there is. Drivers that know no board name it by
// controller, channel and slot, which is passed on as it is.
func (m Machine) dimmPart(label, place string) core.Part {
	populated := slices.DeleteFunc(slices.Clone(m.DIMMs), func(d core.DIMM) bool { return d.SizeBytes == 0 })
	named := slices.DeleteFunc(slices.Clone(populated), func(d core.DIMM) bool { return !hasRun(words(label), words(d.Slot)) })

	switch {
	case len(named) == 1:
		return dimmOf(named[0])
	case len(populated) == 1:
		return dimmOf(populated[0])
	case label == "":
		label = place
	}

	return core.Part{Kind: "dimm", Slot: label}
}

func dimmOf(d core.DIMM) core.Part {
	return core.Part{Kind: "dimm", Slot: d.Slot, Model: d.PartNumber, Serial: d.Serial}
}

// words splits a label at what boards put between its parts.
func words(label string) []string {
	return strings.FieldsFunc(strings.ToLower(label), func(r rune) bool { return strings.ContainsRune(" _#/,:-", r) })
}

// hasRun reports whether the words of a name stand in a row in a label.
func hasRun(label, name []string) bool {
	for i := 0; len(name) > 0 && i+len(name) <= len(label); i++ {
		if slices.Equal(label[i:i+len(name)], name) {
			return true
		}
	}

	return false
}

// poisoned reads how much memory the kernel gave up.
func (m Machine) poisoned() []Counter {
	kib, ok := field(m.text("proc/meminfo"), "HardwareCorrupted:")
	if !ok {
		return nil
	}

	return []Counter{{Kind: MemoryPoisoned, Name: "HardwareCorrupted", Part: core.Part{Kind: "memory"}, Value: kib}}
}

// field reads a number out of rows of "Name: number unit".
func field(text, name string) (uint64, bool) {
	for row := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(row, name)
		if !ok {
			continue
		}

		words := strings.Fields(rest)
		if len(words) == 0 {
			return 0, false
		}

		n, err := strconv.ParseUint(words[0], 10, 64)

		return n, err == nil
	}

	return 0, false
}

// interrupts reads the rows of /proc/interrupts that are about faults
// (arch/x86/kernel/irq.c). MCP counts how often banks were polled, not errors.
func (m Machine) interrupts() (counters []Counter) {
	kinds := map[string]Kind{"MCE": MachineCheck, "THR": ThresholdEvent, "DFR": DeferredError, "TRM": ThermalEvent}

	for row := range strings.Lines(m.text("proc/interrupts")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(row), ":")
		kind, ok := kinds[name]

		if !ok {
			continue
		}

		sum := uint64(0)

		for word := range strings.FieldsSeq(rest) {
			n, err := strconv.ParseUint(word, 10, 64)
			if err != nil {
				break
			}

			sum += n
		}

		counters = append(counters, Counter{Kind: kind, Name: name, Part: core.Part{Kind: "cpu"}, Value: sum})
	}

	return counters
}

const pciDevices = "sys/bus/pci/devices"

// pcie reads the error counters of PCI functions and root ports
// (Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats).
func (m Machine) pcie() (counters []Counter) {
	files := []struct {
		name, total string
		kind        Kind
	}{
		{"aer_dev_correctable", "TOTAL_ERR_COR", PCIeCorrected},
		{"aer_dev_nonfatal", "TOTAL_ERR_NONFATAL", PCIeUncorrected},
		{"aer_dev_fatal", "TOTAL_ERR_FATAL", PCIeUncorrected},
		{"aer_rootport_total_err_cor", "", PCIeCorrected},
		{"aer_rootport_total_err_nonfatal", "", PCIeUncorrected},
		{"aer_rootport_total_err_fatal", "", PCIeUncorrected},
	}

	entries, err := fs.ReadDir(m.Root, pciDevices)
	if err != nil {
		return nil
	}

	for _, entry := range entries {
		dir := path.Join(pciDevices, entry.Name())

		for _, file := range files {
			text := m.text(dir + "/" + file.name)
			n, ok := field(text, file.total)

			if text == "" || !ok {
				continue
			}

			counters = append(counters, Counter{
				Kind: file.kind, Name: entry.Name() + "/" + file.name, Value: n,
				Part: core.Part{Kind: "pci", Slot: entry.Name()}, With: m.partner(entry.Name()), Rate: m.rate(dir),
			})
		}
	}

	return counters
}

// unknownWidth is what a function says that does not answer (6 bits, all ones).
const unknownWidth = 63

// rate returns how many bits a second pass over all lanes of a link; 0: not told.
func (m Machine) rate(dir string) float64 {
	const giga = 1e9

	words := strings.Fields(m.text(dir + "/current_link_speed")) // "8.0 GT/s PCIe"
	width, ok := m.number(dir + "/current_link_width")

	if len(words) < 2 || words[1] != "GT/s" || !ok || width >= unknownWidth {
		return 0
	}

	speed, err := strconv.ParseFloat(words[0], 64)
	if err != nil || speed < 0 {
		return 0
	}

	return speed * giga * float64(width)
}

// widths returns how many lanes the links have that are up.
func (m Machine) widths() map[string]int {
	widths := map[string]int{}

	for _, file := range m.glob(pciDevices + "/*/current_link_width") {
		if n, ok := m.number(file); ok && n > 0 && n < unknownWidth {
			widths[path.Base(path.Dir(file))] = int(n)
		}
	}

	return widths
}

// isAddress tells the name of a PCI function, as in 0000:3b:00.0, from other names
// of sysfs.
func isAddress(name string) bool {
	domain, rest, ok := strings.Cut(name, ":")

	return ok && len(domain) >= 4 && len(rest) == len("3b:00.0") && rest[2] == ':' && rest[5] == '.' &&
		strings.Trim(domain+rest, "0123456789abcdef:.") == ""
}

// partner names the other end of a function's link: the port above it, or what
// hangs below a port. An error may be counted at the end that is not at fault
// (PCIe 6.2).
func (m Machine) partner(address string) string {
	var below []string

	entries, err := fs.ReadDir(m.Root, path.Join(pciDevices, address))
	if err == nil {
		for _, entry := range entries {
			if isAddress(entry.Name()) {
				below = append(below, entry.Name())
			}
		}
	}

	if len(below) > 0 {
		return strings.Join(below, " ")
	}

	target, err := fs.ReadLink(m.Root, path.Join(pciDevices, address))
	if err != nil {
		return ""
	}

	if above := path.Base(path.Dir(target)); isAddress(above) {
		return above
	}

	return ""
}

// sasPhys reads what the transport counts on each phy
// (drivers/scsi/scsi_transport_sas.c).
func (m Machine) sasPhys() (counters []Counter) {
	for _, phy := range m.glob("sys/class/sas_phy/*") {
		for _, name := range []string{
			"invalid_dword_count", "running_disparity_error_count", "loss_of_dword_sync_count", "phy_reset_problem_count",
		} {
			if n, ok := m.number(phy + "/" + name); ok {
				counters = append(counters, Counter{
					Kind: SASLink, Name: path.Base(phy) + "/" + name, Value: n, Part: core.Part{Kind: "sas-phy", Slot: path.Base(phy)},
				})
			}
		}
	}

	return counters
}

// scsiSerial is the serial number of a disk as the kernel keeps it: VPD page 80h, behind a
// header of four bytes (SPC-5 §7.7.14).
func (m Machine) scsiSerial(name string) string {
	page, err := fs.ReadFile(m.Root, "sys/block/"+name+"/device/vpd_pg80")
	if err != nil || len(page) < 4 {
		return ""
	}

	return disk.Text(page[4:])
}

// disks reads how many commands each SCSI or SATA disk has failed. The kernel counts every
// command whose result is not zero, those of ours too that a disk does not know, or that
// bring registers back; see disk.Tally.
func (m Machine) disks() (counters []Counter) {
	for _, file := range m.glob("sys/block/*/device/ioerr_cnt") {
		name := strings.Split(file, "/")[2]

		n, ok := m.number(file)
		if !ok || strings.HasPrefix(name, "sr") { // an empty optical drive fails every look at it
			continue
		}

		// Ours are read after the kernel's: one that comes in between is not made an error.
		own := uint64(0)
		if m.OwnCommands != nil {
			own = min(m.OwnCommands(name), n)
		}

		counters = append(counters, Counter{
			Kind: DiskErrors, Name: name, Instance: m.text("sys/block/" + name + "/diskseq"), Value: n - own, Own: own,
			Part: core.Part{Kind: "disk", Slot: name, Model: m.text("sys/block/" + name + "/device/model"), Serial: m.scsiSerial(name)},
		})
	}

	return counters
}
