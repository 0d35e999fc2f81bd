package core

// Inventory is what a machine is made of. Strings the platform does not tell,
// or fills with placeholders ("To be filled by O.E.M."), are empty. Sizes are
// bytes.
type Inventory struct {
	System   System         `json:"system"`
	Board    Board          `json:"board"`
	Chassis  Chassis        `json:"chassis"`
	BIOS     BIOS           `json:"bios"`
	CPUs     []CPU          `json:"cpus"`
	Memory   MemoryTotal    `json:"memory"`
	DIMMs    []DIMM         `json:"dimms"` // one for each slot, populated or not
	Disks    []Disk         `json:"disks"`
	NICs     []NIC          `json:"nics"`
	PCI      []PCIDevice    `json:"pci"`
	Firmware []FirmwareItem `json:"firmware,omitempty"` // filled by the Firmware stage
	Slots    []Slot         `json:"slots,omitempty"`
	PSUs     []Supply       `json:"psus,omitempty"`
	BMC      *Management    `json:"bmc,omitempty"` // nil: none
	TPM      *TPM           `json:"tpm,omitempty"` // nil: none
	Nodes    []Node         `json:"nodes,omitempty"`
	GPUs     []Graphics     `json:"gpus,omitempty"`
	USB      []USBDevice    `json:"usb,omitempty"`
	Clock    *Clock         `json:"clock,omitempty"` // nil: none
}

// System is SMBIOS type 1.
type System struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	UUID         string `json:"uuid,omitempty"` // lower case
	SKU          string `json:"sku,omitempty"`
	Virtual      bool   `json:"virtual,omitempty"` // a hypervisor runs it
}

// Board is SMBIOS type 2.
type Board struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
}

// Chassis is SMBIOS type 3.
type Chassis struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Type         string `json:"type,omitempty"`
	Serial       string `json:"serial,omitempty"`
	AssetTag     string `json:"asset_tag,omitempty"`
}

// BIOS is SMBIOS type 0 and how the machine was booted.
type BIOS struct {
	Vendor     string `json:"vendor,omitempty"`
	Version    string `json:"version,omitempty"`
	Date       string `json:"date,omitempty"`
	Mode       string `json:"mode,omitempty"` // "bios" or "uefi"
	SecureBoot bool   `json:"secure_boot"`
}

// CPU is one socket: SMBIOS type 4 joined with the kernel's topology.
type CPU struct {
	Socket       string `json:"socket"` // "CPU0", as SMBIOS names it
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Cores        int    `json:"cores"`
	Threads      int    `json:"threads"`
	Online       int    `json:"online"` // logical CPUs that are on
	MaxMHz       int    `json:"max_mhz,omitempty"`
	Microcode    string `json:"microcode,omitempty"`
	PPIN         string `json:"ppin,omitempty"` // protected processor inventory number, where the kernel shows it

	Caches  []Cache  `json:"caches,omitempty"`
	Logical []Thread `json:"logical,omitempty"`
}

// MemoryTotal sums the memory up.
type MemoryTotal struct {
	TotalBytes  uint64 `json:"total_bytes"`  // the DIMMs together, SMBIOS type 17
	UsableBytes uint64 `json:"usable_bytes"` // MemTotal of the kernel
	Slots       int    `json:"slots"`
	ECC         string `json:"ecc,omitempty"`         // SMBIOS type 16: "none", "single-bit", "multi-bit", …
	RAMBytes    uint64 `json:"ram_bytes,omitempty"`   // what the firmware's memory map gives the kernel; 0: not told
	Controllers int    `json:"controllers,omitempty"` // memory controllers that report errors to the kernel (EDAC)
}

// DIMM is SMBIOS type 17: a memory slot. SizeBytes 0 is an empty slot.
type DIMM struct {
	Slot          string `json:"slot"` // device locator
	Bank          string `json:"bank,omitempty"`
	SizeBytes     uint64 `json:"size_bytes"`
	Type          string `json:"type,omitempty"` // "DDR4"
	Manufacturer  string `json:"manufacturer,omitempty"`
	PartNumber    string `json:"part_number,omitempty"`
	Serial        string `json:"serial,omitempty"`
	RatedMTs      int    `json:"rated_mts,omitempty"`
	ConfiguredMTs int    `json:"configured_mts,omitempty"`
}

// Disk is a whole block device. Serial and WWN come from the device itself
// (ATA IDENTIFY, NVMe Identify, SCSI VPD), never from udev.
type Disk struct {
	Name         string `json:"name"`      // kernel name this boot: "sda", "nvme0n1"; not an identity
	Transport    string `json:"transport"` // "sata", "nvme", "sas", "usb", "virtio"
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	WWN          string `json:"wwn,omitempty"` // NAA, EUI-64 or NGUID, lower-case hex
	Firmware     string `json:"firmware,omitempty"`
	SizeBytes    uint64 `json:"size_bytes"`
	LogicalBlock int    `json:"logical_block,omitempty"`
	PhysBlock    int    `json:"physical_block,omitempty"`
	Rotational   bool   `json:"rotational"`
	RPM          int    `json:"rpm,omitempty"`
	Removable    bool   `json:"removable"`
	Path         string `json:"path,omitempty"`         // bus path, "pci-0000:00:1f.2-ata-1"
	SMART        bool   `json:"smart"`                  // the device answers SMART reads
	Bay          string `json:"bay,omitempty"`          // as its enclosure names it
	NativeBytes  uint64 `json:"native_bytes,omitempty"` // size with what a host protected area hides; 0: not told

	OtherPaths []string `json:"other_paths,omitempty"` // kernel names of further ways to the same disk
}

// NIC is a network port.
type NIC struct {
	Name         string `json:"name"`
	MAC          MAC    `json:"mac"` // permanent address
	Driver       string `json:"driver,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	PCIAddress   string `json:"pci_address,omitempty"`
	Model        string `json:"model,omitempty"`
	SpeedMbps    int    `json:"speed_mbps"`               // 0: unknown or no link
	MaxSpeedMbps int    `json:"max_speed_mbps,omitempty"` // fastest supported link mode
	Link         bool   `json:"link"`
	BootNIC      bool   `json:"boot_nic,omitempty"`
	Wakes        bool   `json:"wakes,omitempty"` // can wake the machine by a magic packet
	FEC          string `json:"fec,omitempty"`   // forward error correction in use: "rs", "baser", "llrs", "off"; empty: not told, or no link

	Transceiver *Transceiver `json:"transceiver,omitempty"` // nil: none, or the driver does not show it
}

// PCIDevice is a function on a PCI bus.
type PCIDevice struct {
	Address   string `json:"address"` // "0000:00:1f.2"
	Vendor    string `json:"vendor"`  // 4 hex digits
	Device    string `json:"device"`
	Class     string `json:"class"` // 6 hex digits
	Name      string `json:"name,omitempty"`
	Driver    string `json:"driver,omitempty"`
	NUMANode  int    `json:"numa_node"`            // -1: none
	LinkSpeed string `json:"link_speed,omitempty"` // "8.0 GT/s"
	LinkWidth int    `json:"link_width,omitempty"`
	MaxSpeed  string `json:"max_link_speed,omitempty"`
	MaxWidth  int    `json:"max_link_width,omitempty"`
	Parent    string `json:"parent,omitempty"` // address of the bridge it hangs on; empty: none
	Slot      string `json:"slot,omitempty"`   // as printed on the board
	AER       bool   `json:"aer,omitempty"`    // it reports errors of its link
}

// FirmwareItem is the version of one piece of firmware.
type FirmwareItem struct {
	Part    Part   `json:"part"`
	Name    string `json:"name"` // "BIOS", "microcode", "NIC", "disk", "ESRT <class>"
	Version string `json:"version"`
	Date    string `json:"date,omitempty"`
}

// ExpectedDisk is a disk as the claim tells it to the agent.
type ExpectedDisk struct {
	Serial    string `json:"serial"`
	WWN       string `json:"wwn,omitempty"`
	Model     string `json:"model,omitempty"`
	SizeBytes uint64 `json:"size_bytes,omitempty"`
	Armed     bool   `json:"armed"`
	// Known: neither the spec nor the armed disks name it, an earlier inventory alone
	// does. It may have been taken out since.
	Known bool `json:"known,omitempty"`
}
