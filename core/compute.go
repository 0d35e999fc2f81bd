package core

import (
	"slices"
	"strings"
)

// Display classes of PCI begin with 03, processing accelerators with 12 (PCI Code and ID
// Assignment Specification 1.15).
const (
	classDisplay     = "03"
	classAccelerator = "12"
)

// Console reports whether a PCI function is a display controller that only carries the
// console of a server or of a virtual machine.
func (d *PCIDevice) Console() bool {
	// ASPEED, Matrox, Huawei (hibmc), Silicon Motion, XGI, Cirrus, QEMU (stdvga, QXL,
	// virtio), VMware, Hyper-V, VirtualBox.
	vendors := []string{"1a03", "102b", "19e5", "126f", "18ca", "1013", "1234", "1b36", "1af4", "15ad", "1414", "80ee"}
	ati := []string{"515e", "5969", "4752"} // ES1000 and Rage XL, on boards of servers

	vendor := strings.ToLower(d.Vendor)

	return strings.HasPrefix(d.Class, classDisplay) &&
		(slices.Contains(vendors, vendor) || vendor == "1002" && slices.Contains(ati, strings.ToLower(d.Device)))
}

// Computes reports whether a PCI function is a GPU or an accelerator that a server has for
// its work. Consoles are none, and neither are the graphics and neural processors inside of
// a CPU: Intel's graphics are on bus 0, its neural processors of class 12; those of AMD are
// told by their ids (drivers/gpu/drm/amd/amdgpu/amdgpu_drv.c, AMD_IS_APU, and pci.ids).
func (d *PCIDevice) Computes() bool {
	accelerator := strings.HasPrefix(d.Class, classAccelerator)
	if !accelerator && !strings.HasPrefix(d.Class, classDisplay) || d.Console() {
		return false
	}

	switch strings.ToLower(d.Vendor) {
	case "8086":
		_, rest, _ := strings.Cut(d.Address, ":")

		return !accelerator && !strings.HasPrefix(rest, "00:")
	case "1002":
		return !amdInside(strings.ToLower(d.Device))
	default:
		return true
	}
}

// amdInside tells the graphics of AMD's APUs. The MI300A computes, and is none of them.
func amdInside(device string) bool {
	families := []string{"130", "131", "983", "984", "985"} // Kaveri, Kabini, Mullins

	ids := []string{
		"9870", "9874", "9875", "9876", "9877", "98e4", // Carrizo, Stoney
		"15dd", "15d8", "1636", "164c", "1638", "15e7", // Raven to Barcelo
		"163f", "1435", "164d", "1681", "164e", "1506", // Van Gogh, Rembrandt, Raphael, Mendocino
		"15bf", "15c8", "1900", "1901", "13c0", // Phoenix, Hawk Point, Granite Ridge
		"150e", "1586", "1114", // Strix, Strix Halo, Krackan
	}

	return slices.Contains(ids, device) || len(device) == len("130f") && slices.Contains(families, device[:3])
}
