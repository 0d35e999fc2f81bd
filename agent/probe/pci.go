package probe

import (
	"path"
	"strconv"
	"strings"

	"github.com/u-root/u-root/pkg/pci"

	"vetting/core"
	"vetting/firmware/inventory"
)

const pciDevices = "sys/bus/pci/devices"

// PCI lists the functions on the PCI buses, in the order of their addresses.
// Machines without PCI have none.
func (m Machine) PCI(tables []inventory.Structure) []core.PCIDevice {
	names := m.entries(pciDevices)
	devices := make([]core.PCIDevice, 0, len(names))
	slots := m.slotNames(tables)

	for _, address := range names {
		dir := path.Join(pciDevices, address)

		devices = append(devices, core.PCIDevice{
			Address: address,
			Vendor:  hexID(m.text(dir + "/vendor")), Device: hexID(m.text(dir + "/device")), Class: hexID(m.text(dir + "/class")),
			Name: m.pciName(dir), Driver: m.base(dir + "/driver"), NUMANode: m.number(dir+"/numa_node", -1),
			LinkSpeed: linkSpeed(m.text(dir + "/current_link_speed")), LinkWidth: linkWidth(m.number(dir+"/current_link_width", 0)),
			MaxSpeed: linkSpeed(m.text(dir + "/max_link_speed")), MaxWidth: linkWidth(m.number(dir+"/max_link_width", 0)),
			Parent: m.bridge(address), Slot: slots[bus(address)], AER: m.has(dir + "/aer_dev_correctable"),
		})
	}

	return devices
}

// bridge is the bridge above a function, by its place in the device tree.
func (m Machine) bridge(address string) string {
	above := path.Base(path.Dir(m.link(path.Join(pciDevices, address))))
	if !isPCI(above) {
		return ""
	}

	return above
}

// isPCI reports whether a name is the address of a PCI function.
func isPCI(name string) bool {
	return strings.Count(name, ":") == 2 && strings.Contains(name, ".") && !strings.Contains(name, "-")
}

// bus is the address of a function without device and function.
func bus(address string) string {
	return address[:max(strings.LastIndexByte(address, ':'), 0)]
}

// slotNames names the buses behind the slots of the board: as SMBIOS does, and else
// as the hot-plug driver.
func (m Machine) slotNames(tables []inventory.Structure) map[string]string {
	const base = "sys/bus/pci/slots"

	names := map[string]string{}

	for _, name := range m.entries(base) {
		if at := m.text(path.Join(base, name, "address")); at != "" {
			names[at[:max(strings.LastIndexByte(at, ':'), 0)]] = name
		}
	}

	for _, slot := range inventory.Slots(tables) {
		if slot.Address != "" {
			names[bus(slot.Address)] = slot.Name
		}
	}

	delete(names, "")

	return names
}

func hexID(value string) string { return strings.TrimPrefix(strings.ToLower(value), "0x") }

// linkSpeed turns "8.0 GT/s PCIe" into "8.0 GT/s"; "Unknown" is nothing.
func linkSpeed(value string) string {
	if !strings.Contains(value, "GT/s") {
		return ""
	}

	return strings.TrimSuffix(value, " PCIe")
}

// linkWidth: 63 means that the link never trained, 0 that there is none.
func linkWidth(lanes int) int {
	if lanes < 0 || lanes >= 63 {
		return 0
	}

	return lanes
}

// pciName looks the device up in u-root's copy of pci.ids.
func (m Machine) pciName(dir string) string {
	vendor, err := strconv.ParseUint(hexID(m.text(dir+"/vendor")), 16, 16)
	if err != nil {
		return ""
	}

	device, err := strconv.ParseUint(hexID(m.text(dir+"/device")), 16, 16)
	if err != nil {
		return ""
	}

	maker, model := pci.Lookup(pci.IDs, uint16(vendor), uint16(device))
	if maker == hexID(m.text(dir+"/vendor")) {
		return "" // not in the list
	}

	return maker + " " + model
}
