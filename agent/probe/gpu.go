package probe

import (
	"path"
	"strconv"
	"strings"

	"vetting/core"
)

// GPUs picks the graphics and compute processors out of the PCI functions: display
// controllers (class 03) and processing accelerators (class 12), but for those that
// only carry a server's or a virtual machine's console.
func (m Machine) GPUs(devices []core.PCIDevice) (gpus []core.Graphics) {
	for i := range devices {
		d := &devices[i]
		if !strings.HasPrefix(d.Class, "03") && !strings.HasPrefix(d.Class, "12") || d.Console() {
			continue
		}

		dir := path.Join(pciDevices, d.Address)
		gpu := core.Graphics{Address: d.Address, Vendor: d.Vendor, Name: d.Name, Driver: d.Driver, VBIOS: m.text(dir + "/vbios_version")}

		if n, err := strconv.ParseUint(m.text(dir+"/mem_info_vram_total"), 10, 64); err == nil {
			gpu.MemoryBytes = n
		}

		if uuid := m.text(dir + "/unique_id"); uuid != "" { // amdgpu
			gpu.UUID = uuid
		}

		gpus = append(gpus, m.nvidia(gpu))
	}

	return gpus
}

// nvidia adds what the vendor's kernel module tells.
func (m Machine) nvidia(gpu core.Graphics) core.Graphics {
	for _, row := range m.lines(path.Join("proc/driver/nvidia/gpus", gpu.Address, "information")) {
		name, value, _ := strings.Cut(row, ":")

		switch value = strings.TrimSpace(value); name {
		case "GPU UUID":
			gpu.UUID = value
		case "Video BIOS":
			gpu.VBIOS = value
		case "Model":
			gpu.Name = value
		}
	}

	return gpu
}

const usbDevices = "sys/bus/usb/devices"

// USB lists the devices on USB ports, without root hubs, hubs and interfaces.
func (m Machine) USB() (devices []core.USBDevice) {
	const hub = "09"

	for _, name := range m.entries(usbDevices) {
		dir := path.Join(usbDevices, name)
		if strings.HasPrefix(name, "usb") || strings.Contains(name, ":") || m.text(dir+"/bDeviceClass") == hub {
			continue
		}

		devices = append(devices, core.USBDevice{
			Path: name, Vendor: m.text(dir + "/idVendor"), Product: m.text(dir + "/idProduct"),
			Name: strings.TrimSpace(m.text(dir+"/manufacturer") + " " + m.text(dir+"/product")), Serial: m.text(dir + "/serial"),
			SpeedMbps: m.number(dir+"/speed", 0),
		})
	}

	return devices
}
