package spec

// Spec is the expected make-up of a host. The zero value expects nothing.
type Spec struct {
	System  System `yaml:"system,omitempty"`
	Board   Board  `yaml:"board,omitempty"`
	Chassis Board  `yaml:"chassis,omitempty"`
	BIOS    BIOS   `yaml:"bios,omitempty"`
	CPUs    CPUs   `yaml:"cpus,omitempty"`
	Memory  Memory `yaml:"memory,omitempty"`
	Disks   []Disk `yaml:"disks,omitempty"`
	NICs    []NIC  `yaml:"nics,omitempty"`
	PCI     []PCI  `yaml:"pci,omitempty"`
	GPU     GPU    `yaml:"gpu,omitempty"`
	PSUs    PSUs   `yaml:"psus,omitempty"`
}

// PSUs is what feeds the machine. The stage PSU, which asks the supplies, judges how many
// there are, as its setting PSU.expect says for a profile; the spec can only ask for more.
type PSUs struct {
	Count int `yaml:"count,omitempty"` // at least
}

// GPU is what the stage GPU must find, as its settings GPU.count and GPU.require_compute
// say for a profile; the spec can only ask for more.
type GPU struct {
	Count          int  `yaml:"count,omitempty"`           // at least
	RequireCompute bool `yaml:"require_compute,omitempty"` // a GPU that nothing has had compute is an error, not a skip
}

// System is what SMBIOS type 1 should say.
type System struct {
	Manufacturer Want `yaml:"manufacturer,omitempty"`
	Product      Want `yaml:"product,omitempty"`
	Serial       Want `yaml:"serial,omitempty"`
	UUID         Want `yaml:"uuid,omitempty"`
	SKU          Want `yaml:"sku,omitempty"`
}

// Board is what SMBIOS type 2 (or 3, for a chassis) should say.
type Board struct {
	Manufacturer Want `yaml:"manufacturer,omitempty"`
	Product      Want `yaml:"product,omitempty"` // of a chassis: its type
	Serial       Want `yaml:"serial,omitempty"`
}

// BIOS is what SMBIOS type 0 should say and how the host should boot.
type BIOS struct {
	Vendor     Want `yaml:"vendor,omitempty"`
	Version    Want `yaml:"version,omitempty"`
	Mode       Want `yaml:"mode,omitempty"` // "bios" or "uefi"
	SecureBoot Want `yaml:"secure_boot,omitempty"`
}

// CPUs is what every populated socket should hold.
type CPUs struct {
	Count   Want `yaml:"count,omitempty"` // sockets
	Model   Want `yaml:"model,omitempty"`
	Cores   Want `yaml:"cores,omitempty"`   // of each socket
	Threads Want `yaml:"threads,omitempty"` // of each socket
}

// Memory is the memory that should be there.
type Memory struct {
	Total Want  `yaml:"total,omitempty"`
	ECC   Want  `yaml:"ecc,omitempty"`
	DIMMs DIMMs `yaml:"dimms,omitempty"`
}

// DIMMs says how many modules there should be, what each of them should be, and
// what certain slots should hold.
type DIMMs struct {
	Count Want            `yaml:"count,omitempty"`
	Each  DIMM            `yaml:"each,omitempty"`
	Slots map[string]DIMM `yaml:"slots,omitempty"` // by device locator, as the platform spells it
}

// DIMM is one memory module.
type DIMM struct {
	Empty        bool `yaml:"empty,omitempty"` // the slot should hold nothing
	Size         Want `yaml:"size,omitempty"`
	Type         Want `yaml:"type,omitempty"`
	Manufacturer Want `yaml:"manufacturer,omitempty"`
	PartNumber   Want `yaml:"part_number,omitempty"`
	Serial       Want `yaml:"serial,omitempty"`
	SpeedMTs     Want `yaml:"speed_mts,omitempty"` // configured, at least
}

// Disk is one disk, or Count alike.
type Disk struct {
	Count      Want `yaml:"count,omitempty"` // 0 is 1
	Model      Want `yaml:"model,omitempty"`
	Serial     Want `yaml:"serial,omitempty"`
	WWN        Want `yaml:"wwn,omitempty"`
	Firmware   Want `yaml:"firmware,omitempty"`
	Transport  Want `yaml:"transport,omitempty"`
	Size       Want `yaml:"size,omitempty"` // at least, half a percent less is fine
	Rotational Want `yaml:"rotational,omitempty"`
}

// NIC is one network port, or Count alike.
type NIC struct {
	Count     Want `yaml:"count,omitempty"` // 0 is 1
	MAC       Want `yaml:"mac,omitempty"`
	Model     Want `yaml:"model,omitempty"`
	Driver    Want `yaml:"driver,omitempty"`
	Firmware  Want `yaml:"firmware,omitempty"`
	SpeedMbps Want `yaml:"speed_mbps,omitempty"` // negotiated, at least
	FEC       Want `yaml:"fec,omitempty"`        // forward error correction in use: rs, baser, llrs, off
	Link      Want `yaml:"link,omitempty"`
}

// PCI is a kind of device of which Count functions should be there.
type PCI struct {
	Count   Want `yaml:"count,omitempty"`   // 0 is 1
	Name    Want `yaml:"name,omitempty"`    // as the PCI id list says
	Vendor  Want `yaml:"vendor,omitempty"`  // 4 hex digits
	Device  Want `yaml:"device,omitempty"`  // 4 hex digits
	Class   Want `yaml:"class,omitempty"`   // 2, 4 or 6 hex digits
	Address Want `yaml:"address,omitempty"` // "0000:03:00.0"
}
