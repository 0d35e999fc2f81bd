package probe

import (
	"errors"
	"path"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

// Firmware lists the versions of all firmware that tells one: the board's, the
// BMC's, the disk controllers', the GPUs', the NICs' and the disks'.
func (m Machine) Firmware(boot core.MAC) ([]core.FirmwareItem, error) {
	tables, tableErr := m.Tables()
	drives, diskErr := m.Disks()
	module, moduleErr := m.TrustedModule(tables)
	items := append(inventory.Host(m.Root, tables), inventory.ModuleItems(module)...)

	if bmc := m.Controller(tables); bmc != nil && bmc.Firmware != "" {
		items = append(items, core.FirmwareItem{Part: core.Part{Kind: "bmc", Slot: "bmc0"}, Name: "BMC", Version: bmc.Firmware})
	}

	items = append(items, m.adapters()...)

	for _, gpu := range m.GPUs(m.PCI(tables)) {
		if gpu.VBIOS != "" {
			part := core.Part{Kind: "gpu", Slot: gpu.Address, Model: gpu.Name, Serial: gpu.UUID}
			items = append(items, core.FirmwareItem{Part: part, Name: "vBIOS", Version: gpu.VBIOS})
		}
	}

	for _, nic := range m.NICs(boot) {
		part := core.Part{Kind: "nic", Slot: firstText(nic.PCIAddress, nic.Name), Model: nic.Model, Serial: string(nic.MAC)}
		if nic.Firmware != "" {
			items = append(items, core.FirmwareItem{Part: part, Name: "NIC", Version: nic.Firmware})
		}

		if port, err := m.Ports.Port(nic.Name); err == nil && inventory.Told(port.OptionROM) != "" {
			items = append(items, core.FirmwareItem{Part: part, Name: "option ROM", Version: inventory.Told(port.OptionROM)})
		}
	}

	for _, drive := range drives {
		if drive.Firmware != "" {
			items = append(items, core.FirmwareItem{Part: DiskPart(drive.Disk), Name: "disk", Version: drive.Firmware})
		}
	}

	return items, errors.Join(tableErr, diskErr, moduleErr)
}

const scsiHosts = "sys/class/scsi_host"

// adapters lists the firmware of disk controllers. Each driver names its files in
// its own way: mpt3sas, qla2xxx and lpfc, smartpqi and hpsa, aacraid and arcmsr. A
// controller with several hosts is one.
func (m Machine) adapters() (items []core.FirmwareItem) {
	seen := map[string]bool{}

	for _, name := range m.entries(scsiHosts) {
		dir := path.Join(scsiHosts, name)

		version := firstText(m.text(dir+"/version_fw"), m.text(dir+"/fw_version"), m.text(dir+"/fwrev"), m.text(dir+"/firmware_revision"),
			m.text(dir+"/firmware_version"), m.text(dir+"/hba_kernel_version"), m.text(dir+"/host_fw_version"))
		address := m.pciAddress(dir)

		if version == "" || seen[address] {
			continue
		}

		seen[address] = true
		model := firstText(m.text(dir+"/board_name"), m.text(dir+"/model_name"), m.text(dir+"/modelname"), m.text(dir+"/model"))

		part := core.Part{Kind: "hba", Slot: firstText(address, name), Model: strings.TrimSpace(model)}
		items = append(items, core.FirmwareItem{Part: part, Name: "HBA", Version: version})

		rom := firstText(m.text(dir+"/version_bios"), m.text(dir+"/optrom_bios_version"), m.text(dir+"/option_rom_version"), m.text(dir+"/hba_bios_version"))
		if rom = inventory.Told(rom); strings.Trim(rom, "0.") != "" {
			items = append(items, core.FirmwareItem{Part: part, Name: "option ROM", Version: rom})
		}
	}

	return items
}
