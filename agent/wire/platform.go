package wire

// Cache is one kind of cache of a processor, as the kernel sees it.
type Cache struct {
	Level     int    `json:"level"`
	Type      string `json:"type"`       // "Data", "Instruction", "Unified"
	SizeBytes uint64 `json:"size_bytes"` // of each
	Count     int    `json:"count"`      // in the package
}

// Thread is a logical CPU of a package that is on.
type Thread struct {
	CPU  int `json:"cpu"`  // the kernel's number
	Core int `json:"core"` // unique in the package
	APIC int `json:"apic"` // -1: the platform has none
	Node int `json:"node"` // NUMA node
}

// Slot is SMBIOS type 9: a place for a card.
type Slot struct {
	Name    string `json:"name"` // as printed on the board
	Type    string `json:"type,omitempty"`
	Lanes   int    `json:"lanes,omitempty"`
	InUse   bool   `json:"in_use"`
	Address string `json:"address,omitempty"` // PCI address of what is in it, "0000:18:00.0"
}

// Supply is SMBIOS type 39: a power supply.
type Supply struct {
	Slot         string `json:"slot"`
	Model        string `json:"model,omitempty"`
	Manufacturer string `json:"manufacturer,omitempty"`
	PartNumber   string `json:"part_number,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Revision     string `json:"revision,omitempty"`
	Watts        int    `json:"watts,omitempty"` // rated; 0: not told
	Present      bool   `json:"present"`
}

// Management is the machine's management controller (BMC).
type Management struct {
	Interface    string `json:"interface,omitempty"` // SMBIOS type 38: "KCS", "SSIF", …
	Manufacturer uint32 `json:"manufacturer,omitempty"`
	Product      uint16 `json:"product,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	IPMI         string `json:"ipmi,omitempty"` // "2.0"
	MAC          string `json:"mac,omitempty"`
}

// TPM is the trusted platform module.
type TPM struct {
	Version      string `json:"version,omitempty"` // "2.0"
	Manufacturer string `json:"manufacturer,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
}

// Node is a NUMA node.
type Node struct {
	ID          int    `json:"id"`
	CPUs        string `json:"cpus,omitempty"` // "0-7,16-23"; empty: memory only
	MemoryBytes uint64 `json:"memory_bytes"`   // what the kernel has of it
}

// Graphics is a graphics or compute processor (GPU); the plain display controllers of servers
// are none.
type Graphics struct {
	Address     string `json:"address"`
	Vendor      string `json:"vendor"` // 4 hex digits
	Name        string `json:"name,omitempty"`
	Driver      string `json:"driver,omitempty"`
	UUID        string `json:"uuid,omitempty"`
	VBIOS       string `json:"vbios,omitempty"`
	MemoryBytes uint64 `json:"memory_bytes,omitempty"`
}

// USBDevice is a device on a USB port; hubs of the board are none.
type USBDevice struct {
	Path      string `json:"path"`   // "1-4.3"
	Vendor    string `json:"vendor"` // 4 hex digits
	Product   string `json:"product"`
	Name      string `json:"name,omitempty"`
	Serial    string `json:"serial,omitempty"`
	SpeedMbps int    `json:"speed_mbps,omitempty"`
}

// Clock is the machine's own clock, as it stood when the agent looked.
type Clock struct {
	Year       int   `json:"year"`
	OffSeconds int64 `json:"off_seconds"` // ahead of the appliance's; negative: behind
}

// Transceiver is the pluggable module of a network port.
type Transceiver struct {
	Kind   string `json:"kind"` // "SFP", "QSFP28"
	Vendor string `json:"vendor,omitempty"`
	Part   string `json:"part,omitempty"`
	Serial string `json:"serial,omitempty"`
}

// platform checks the lists of what the platform is made of.
func (f *faults) platform(v *Inventory) {
	f.atMost("inventory.slots", len(v.Slots), MaxParts)
	f.atMost("inventory.psus", len(v.PSUs), MaxParts)
	f.atMost("inventory.nodes", len(v.Nodes), MaxParts)
	f.atMost("inventory.gpus", len(v.GPUs), MaxParts)
	f.atMost("inventory.usb", len(v.USB), MaxParts)

	for i := range v.CPUs {
		f.atMost("inventory.cpus.caches", len(v.CPUs[i].Caches), MaxParts)
		f.atMost("inventory.cpus.logical", len(v.CPUs[i].Logical), MaxParts)
	}

	for i := range v.Disks {
		f.atMost("inventory.disks.other_paths", len(v.Disks[i].OtherPaths), MaxParts)
	}

	if v.BMC != nil && v.BMC.MAC != "" {
		f.mac("inventory.bmc.mac", v.BMC.MAC)
	}
}
