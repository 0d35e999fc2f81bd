package inventory

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
)

// line reads the first line of a small file, without padding; nothing when it
// cannot be read.
func line(root fs.FS, name string) string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}

	first, _, _ := strings.Cut(strings.TrimLeft(string(text), "\n"), "\n")

	return strings.TrimSpace(printable([]byte(first)))
}

// Microcode returns the microcode revision of each logical CPU that tells one, in
// lower-case hex ("0xf4"). The kernel's sysfs is asked first, then /proc/cpuinfo.
func Microcode(root fs.FS) map[int]string {
	revisions := map[int]string{}

	names, _ := fs.Glob(root, "sys/devices/system/cpu/cpu[0-9]*/microcode/version") //nolint:errcheck // the pattern is a constant
	for _, name := range names {
		cpu, err := strconv.Atoi(strings.TrimPrefix(path.Base(path.Dir(path.Dir(name))), "cpu"))
		if err == nil {
			revisions[cpu] = strings.ToLower(line(root, name))
		}
	}

	if len(revisions) > 0 {
		return revisions
	}

	for _, fields := range CPUInfo(root) {
		cpu, err := strconv.Atoi(fields["processor"])
		if err == nil && fields["microcode"] != "" {
			revisions[cpu] = strings.ToLower(fields["microcode"])
		}
	}

	return revisions
}

// CPUInfo returns the fields of each entry of /proc/cpuinfo.
func CPUInfo(root fs.FS) (cpus []map[string]string) {
	text, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return nil
	}

	for block := range strings.SplitSeq(string(text), "\n\n") {
		fields := map[string]string{}

		for row := range strings.SplitSeq(block, "\n") {
			if name, value, ok := strings.Cut(row, ":"); ok {
				fields[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		}

		if _, ok := fields["processor"]; ok {
			cpus = append(cpus, fields)
		}
	}

	return cpus
}

// Update is an entry of the EFI System Resource Table: a part whose firmware the
// platform can update (UEFI 2.10 §23.4).
type Update struct {
	Class   string // GUID
	Version string
	Lowest  string
	Status  int // last attempt: 0 success
}

// Updates reads the ESRT; none on machines without.
func Updates(root fs.FS) (updates []Update) {
	const base = "sys/firmware/efi/esrt/entries"

	entries, err := fs.ReadDir(root, base)
	if err != nil {
		return nil
	}

	for _, entry := range entries {
		dir := path.Join(base, entry.Name())
		update := Update{Class: line(root, dir+"/fw_class"), Version: line(root, dir+"/fw_version"), Lowest: line(root, dir+"/lowest_supported_fw_version")}

		if status, err := strconv.Atoi(line(root, dir+"/last_attempt_status")); err == nil {
			update.Status = status
		}

		if update.Class != "" {
			updates = append(updates, update)
		}
	}

	return updates
}

// ManagementEngine returns the versions of the Intel management engine; nothing
// without one.
func ManagementEngine(root fs.FS) string {
	text, err := fs.ReadFile(root, "sys/class/mei/mei0/fw_ver")
	if err != nil {
		return ""
	}

	// "platform:major.minor.milestone.build", one line for each of up to three parts.
	first, _, _ := strings.Cut(strings.TrimSpace(printableLines(text)), "\n")

	_, version, ok := strings.Cut(first, ":")
	if !ok || version == "0.0.0.0" {
		return ""
	}

	return version
}

func printableLines(text []byte) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r > '~') {
			return -1
		}

		return r
	}, string(text))
}

// TPM returns the TPM's family ("2"), empty without one.
func TPM(root fs.FS) string {
	return line(root, "sys/class/tpm/tpm0/tpm_version_major")
}

// Host returns the firmware of the board itself: BIOS, microcode, ESRT entries,
// management engine and what the platform lists besides. TPM, NICs and disks are for the
// caller to add.
func Host(root fs.FS, all []Structure) (items []core.FirmwareItem) {
	bios := BIOS(root, all)
	board := Board(all)
	part := core.Part{Kind: "board", Model: board.Product, Serial: board.Serial}

	if bios.Version != "" {
		items = append(items, core.FirmwareItem{Part: part, Name: "BIOS", Version: bios.Version, Date: bios.Date})
	}

	items = append(items, microcodeItems(root)...)

	for _, update := range Updates(root) {
		items = append(items, core.FirmwareItem{Part: part, Name: "ESRT " + update.Class, Version: update.Version})
	}

	if version := ManagementEngine(root); version != "" {
		items = append(items, core.FirmwareItem{Part: part, Name: "ME", Version: version})
	}

	return append(items, Components(all)...)
}

// ModuleItems is the firmware of the TPM; nothing without one, or where it does not tell.
func ModuleItems(tpm *core.TPM) []core.FirmwareItem {
	if tpm == nil || tpm.Firmware == "" {
		return nil
	}

	part := core.Part{Kind: "tpm", Slot: "tpm0", Model: strings.TrimSpace(tpm.Manufacturer + " " + tpm.Version)}

	return []core.FirmwareItem{{Part: part, Name: "TPM", Version: tpm.Firmware}}
}

// microcodeItems gives one item for each package, or for each revision within it
// when its cores differ.
func microcodeItems(root fs.FS) (items []core.FirmwareItem) {
	revisions := Microcode(root)
	cpus := make([]int, 0, len(revisions))
	models := map[string]string{}

	for _, fields := range CPUInfo(root) {
		models[fields["processor"]] = fields["model name"]
	}

	for cpu := range revisions {
		cpus = append(cpus, cpu)
	}

	slices.Sort(cpus)

	for _, cpu := range cpus {
		item := core.FirmwareItem{
			Part: core.Part{Kind: "cpu", Slot: "CPU" + Package(root, cpu), Model: models[strconv.Itoa(cpu)]}, Name: "microcode", Version: revisions[cpu],
		}
		if !slices.Contains(items, item) {
			items = append(items, item)
		}
	}

	return items
}

// Package returns the number of the package (socket) a logical CPU is in, "0"
// when the kernel does not tell.
func Package(root fs.FS, cpu int) string {
	id := line(root, "sys/devices/system/cpu/cpu"+strconv.Itoa(cpu)+"/topology/physical_package_id")
	if n, err := strconv.Atoi(id); err != nil || n < 0 {
		return "0"
	}

	return id
}
