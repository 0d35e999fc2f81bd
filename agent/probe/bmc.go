package probe

import (
	"io/fs"
	"strconv"
	"strings"

	"vetting/agent/ipmi"
	"vetting/core"
	"vetting/firmware/inventory"
)

// Controller describes the BMC: by what it says itself, else by what the kernel's
// driver or the firmware tells of it. nil without one.
func (m Machine) Controller(tables []inventory.Structure) *core.Management {
	bmc := core.Management{Interface: inventory.BMCInterface(tables)}

	device, err := ipmi.Device{}, ipmi.ErrAbsent
	if m.BMC != nil {
		device, err = ipmi.ReadDevice(m.BMC)
	}

	if err == nil {
		bmc.Manufacturer, bmc.Product, bmc.Firmware, bmc.IPMI = device.Manufacturer, device.Product, device.Firmware, device.IPMI

		if mac, err := core.ParseMAC(ipmi.ReadMAC(m.BMC)); err == nil {
			bmc.MAC = mac
		}
	} else {
		m.driverTells(&bmc)
	}

	if bmc == (core.Management{}) {
		return nil
	}

	return &bmc
}

// driverTells reads what ipmi_msghandler shows of the first BMC, for machines whose
// BMC we may not talk to.
func (m Machine) driverTells(bmc *core.Management) {
	dirs, err := fs.Glob(m.Root, "sys/devices/platform/ipmi_bmc.*")
	if err != nil || len(dirs) == 0 {
		return
	}

	dir := dirs[0]
	bmc.Firmware, bmc.IPMI = m.text(dir+"/firmware_revision"), m.text(dir+"/ipmi_version")

	if n, err := strconv.ParseUint(strings.TrimPrefix(m.text(dir+"/manufacturer_id"), "0x"), 16, 32); err == nil {
		bmc.Manufacturer = uint32(n)
	}

	if n, err := strconv.ParseUint(strings.TrimPrefix(m.text(dir+"/product_id"), "0x"), 16, 16); err == nil {
		bmc.Product = uint16(n)
	}
}
