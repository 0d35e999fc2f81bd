package probe

import (
	"errors"
	"io/fs"
	"slices"

	"vetting/core"
	"vetting/firmware/inventory"
)

// Identity returns what makes the machine that machine: the SMBIOS identity and
// the addresses of its NICs, sorted. It is empty on machines that tell nothing.
func (m Machine) Identity() core.Identity {
	tables, err := inventory.ReadSMBIOS(m.Root)
	if err != nil {
		tables = nil // a broken table is a finding of InventoryCheck; here it is not told
	}

	id := inventory.Identity(tables)

	for _, nic := range m.NICs("") {
		if nic.MAC != "" && !slices.Contains(id.MACs, nic.MAC) {
			id.MACs = append(id.MACs, nic.MAC)
		}
	}

	slices.Sort(id.MACs)

	return id
}

// Tables reads the SMBIOS tables; a machine without any has none and no error.
func (m Machine) Tables() ([]inventory.Structure, error) {
	tables, err := inventory.ReadSMBIOS(m.Root)
	if errors.Is(err, inventory.ErrNoSMBIOS) {
		return nil, nil
	}

	return tables, err
}

// Boot tells how the machine was booted: "bios" or "uefi", and whether Secure Boot
// is on.
func (m Machine) Boot() (mode string, secure bool) {
	bios := inventory.BIOS(m.Root, nil)

	return bios.Mode, bios.SecureBoot
}

// Inventory puts everything together. The error joins what broke on the way; what
// could be read is in the inventory all the same.
func (m Machine) Inventory(boot core.MAC) (core.Inventory, error) {
	tables, tableErr := m.Tables()
	drives, diskErr := m.Disks()
	module, _ := m.TrustedModule(tables) //nolint:errcheck // the stage Firmware says so

	inv := core.Inventory{
		System: inventory.System(tables), Board: inventory.Board(tables), Chassis: inventory.Chassis(tables),
		BIOS: inventory.BIOS(m.Root, tables), CPUs: m.CPUs(tables), Memory: m.Memory(tables), DIMMs: inventory.DIMMs(tables),
		NICs: m.NICs(boot), PCI: m.PCI(tables), Slots: inventory.Slots(tables), PSUs: inventory.PSUs(tables),
		BMC: m.Controller(tables), TPM: module, Nodes: m.Nodes(), USB: m.USB(),
	}
	inv.GPUs, inv.System.Virtual, inv.Clock = m.GPUs(inv.PCI), m.virtualised(), m.clock()

	for _, drive := range drives {
		inv.Disks = append(inv.Disks, drive.Disk)
	}

	return inv, errors.Join(tableErr, diskErr)
}

// DiskPart names a disk as a part one can pull.
func DiskPart(d core.Disk) core.Part {
	return core.Part{Kind: "disk", Slot: firstText(d.Path, d.Name), Model: d.Model, Serial: d.Serial}
}

// Kernel returns the release of the running kernel, and the id of this boot.
func (m Machine) Kernel() (release, bootID string) {
	return m.text("proc/sys/kernel/osrelease"), m.text("proc/sys/kernel/random/boot_id")
}

// Cmdline returns the kernel's command line; nothing when it cannot be read.
func Cmdline(root fs.FS) string {
	return Machine{Root: root}.text("proc/cmdline")
}
