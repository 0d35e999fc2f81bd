package inventory

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"vetting/core"
)

// The groups of settings, as core.FirmwareSetting has them.
const (
	GroupVulnerability = "vulnerability" // how the kernel meets a weakness of the CPUs
	GroupPlatform      = "platform"
	GroupBIOS          = "bios" // an option of the BIOS setup
)

// maxOptions bounds how many options of a BIOS are read: each is a question to its
// firmware, and the largest machines have some four hundred.
const maxOptions = 1024

// Settings lists the states of the platform's firmware that are no versions:
// vulnerabilities of the CPUs, Secure Boot, IOMMU, SMT, virtual functions of ports, and
// the options of the BIOS where its maker shows them to the kernel (Dell, HP, Lenovo).
func Settings(root fs.FS) (settings []core.FirmwareSetting) {
	const vulnerabilities = "sys/devices/system/cpu/vulnerabilities"

	for _, name := range names(root, vulnerabilities) {
		if value := line(root, path.Join(vulnerabilities, name)); value != "" {
			settings = append(settings, core.FirmwareSetting{Part: core.Part{Kind: "cpu"}, Group: GroupVulnerability, Name: name, Value: value})
		}
	}

	settings = append(settings, platform(root)...)

	return append(settings, options(root)...)
}

// names lists a folder, in order; none where it cannot be read.
func names(root fs.FS, dir string) (list []string) {
	entries, err := fs.ReadDir(root, dir)
	if err != nil {
		return nil
	}

	for _, entry := range entries {
		list = append(list, entry.Name())
	}

	return list
}

func platform(root fs.FS) (settings []core.FirmwareSetting) {
	add := func(part core.Part, name, value string) {
		if value != "" {
			settings = append(settings, core.FirmwareSetting{Part: part, Group: GroupPlatform, Name: name, Value: value})
		}
	}

	board := core.Part{Kind: "board"}

	add(board, "secure-boot", secureBootState(root))
	add(board, "tpm", map[string]string{"1": "1.2", "2": "2.0"}[TPM(root)])
	add(board, "smt", line(root, "sys/devices/system/cpu/smt/control"))

	if _, err := fs.Stat(root, "sys/kernel/iommu_groups"); err == nil {
		state := "off"
		if len(names(root, "sys/kernel/iommu_groups")) > 0 {
			state = "on"
		}

		add(board, "iommu", state)
	}

	if status, ok := MEStatus(root); ok {
		add(board, "me-status", fmt.Sprintf("0x%08x", status))
	}

	for _, address := range names(root, "sys/bus/pci/devices") {
		if total := line(root, path.Join("sys/bus/pci/devices", address, "sriov_totalvfs")); total != "" && total != "0" {
			add(core.Part{Kind: "pci", Slot: address}, "sriov-functions", total)
		}
	}

	return settings
}

// secureBootState: "setup" is a machine that takes new keys from anybody (UEFI 2.10
// §32.3); empty where the machine was not booted by UEFI.
func secureBootState(root fs.FS) string {
	const guid = "-8be4df61-93ca-11d2-aa0d-00e098032b8c"

	// Four bytes of attributes, then the value.
	read := func(name string) (value byte, ok bool) {
		raw, err := fs.ReadFile(root, "sys/firmware/efi/efivars/"+name+guid)
		if err != nil || len(raw) != 5 {
			return 0, false
		}

		return raw[4], true
	}

	on, known := read("SecureBoot")
	setup, _ := read("SetupMode")

	switch {
	case !known:
		return ""
	case setup == 1:
		return "setup"
	case on == 1:
		return "on"
	default:
		return "off"
	}
}

// MEStatus reads the first status register of the Intel management engine (HFSTS1);
// false without one.
func MEStatus(root fs.FS) (status uint32, ok bool) {
	text := line(root, "sys/class/mei/mei0/fw_status")
	if _, err := fmt.Sscanf(text, "%x", &status); err != nil || len(text) != 8 {
		return 0, false
	}

	return status, true
}

// METrouble says what is wrong with a management engine whose first status register
// reads so: the lowest four bits are its state (2: recovery), bits 12 to 15 its error
// code. Empty: nothing.
func METrouble(status uint32) string {
	const recovery = 2

	switch state, code := status&0xf, status>>12&0xf; {
	case code != 0:
		return fmt.Sprintf("it tells the error %d", code)
	case state == recovery:
		return "it is in recovery"
	default:
		return ""
	}
}

// options reads the BIOS setup (Documentation/ABI/testing/sysfs-class-firmware-attributes).
// Passwords are elsewhere and are not read.
func options(root fs.FS) (settings []core.FirmwareSetting) {
	const class = "sys/class/firmware-attributes"

	for _, driver := range names(root, class) {
		dir := path.Join(class, driver, "attributes")

		for _, name := range names(root, dir) {
			value := line(root, path.Join(dir, name, "current_value"))
			if value == "" || slices.Contains([]string{"reset_bios", "pending_reboot", "debug_cmd"}, name) || isSecret(name) {
				continue
			}

			if len(settings) >= maxOptions {
				return settings
			}

			settings = append(settings, core.FirmwareSetting{Part: core.Part{Kind: "board"}, Group: GroupBIOS, Name: name, Value: value})
		}
	}

	return settings
}

// isSecret reports whether an option may hold what is nobody else's business.
func isSecret(name string) bool {
	name = strings.ToLower(name)

	return strings.Contains(name, "password") || strings.Contains(name, "passphrase")
}
