package probe

import (
	"encoding/hex"
	"path"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/firmware/inventory"
)

const netDevices = "sys/class/net"

// NICs lists the network ports that are hardware, in the order of their names.
// boot is the address of the port the machine booted from.
func (m Machine) NICs(boot core.MAC) []core.NIC {
	var nics []core.NIC

	for _, name := range m.entries(netDevices) {
		if m.link(path.Join(netDevices, name, "device")) == "" {
			continue // lo, bridges, tunnels
		}

		nics = append(nics, m.nic(name, boot))
	}

	return nics
}

func (m Machine) nic(name string, boot core.MAC) core.NIC {
	dir := path.Join(netDevices, name)
	nic := core.NIC{
		Name: name, Driver: m.base(dir + "/device/driver"), PCIAddress: m.pciAddress(dir),
		Link: m.text(dir+"/carrier") == "1",
	}

	if mac, err := core.ParseMAC(m.text(dir + "/address")); err == nil {
		nic.MAC = mac
	}

	nic.BootNIC = boot != "" && nic.MAC == boot

	if speed, err := strconv.Atoi(m.text(dir + "/speed")); err == nil && speed > 0 && nic.Link {
		nic.SpeedMbps = speed
	}

	if nic.PCIAddress != "" {
		nic.Model = m.pciName(path.Join(pciDevices, nic.PCIAddress))
	}

	// A port whose driver answers no ethtool is a port all the same.
	if port, err := m.Ports.Port(name); err == nil {
		nic = told(nic, port, boot)
	}

	return nic
}

// told adds what the driver says.
func told(nic core.NIC, port Port, boot core.MAC) core.NIC {
	if port.PermMAC != "" && strings.Trim(string(port.PermMAC), "0:") != "" {
		nic.MAC = port.PermMAC
		nic.BootNIC = nic.BootNIC || boot != "" && port.PermMAC == boot
	}

	if port.Driver != "" {
		nic.Driver = port.Driver
	}

	if nic.Link && nic.SpeedMbps == 0 {
		nic.SpeedMbps = port.SpeedMbps
	}

	nic.Firmware = inventory.Told(port.Firmware)
	nic.MaxSpeedMbps, nic.Wakes = port.MaxSpeedMbps, port.Wakes

	if nic.Link && port.FEC != nil {
		nic.FEC = port.FEC.Active
	}

	if raw, err := hex.DecodeString(port.Module); err == nil {
		if t, ok := ParseTransceiver(raw); ok {
			nic.Transceiver = &t
		}
	}

	return nic
}

// pciAddress finds the PCI function above a network port: virtio and USB ports
// hang below one.
func (m Machine) pciAddress(dir string) string {
	target := path.Join(path.Dir(m.link(dir)), "..")
	for ; target != "." && target != "/"; target = path.Dir(target) {
		if last := path.Base(target); isPCI(last) {
			return last
		}
	}

	return ""
}
