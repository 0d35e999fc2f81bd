package probe

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"vetting/agent/disk"
	"vetting/core"
)

const (
	blockDevices = "sys/block"
	blockUnit    = 512 // bytes; the unit of sysfs sizes, whatever the disk's block
)

// Language says which commands a disk understands.
type Language string

// The languages of disks.
const (
	SpeaksATA  Language = "ata"
	SpeaksSCSI Language = "scsi"
	SpeaksNVMe Language = "nvme"
	SpeaksNone Language = "" // virtio, SD cards: only reads and writes
)

// Drive is a disk with how to talk to it.
type Drive struct {
	core.Disk

	Language Language
	RAID     bool   // a volume of a RAID controller that hides its disks
	Driver   string // of the SCSI host, as "megaraid_sas"; empty: there is none, or it does not say
	Host     int    // its number
	// Network is how the disk is reached over a network: "iSCSI", "nvme/tcp"; empty: it
	// is in this machine.
	Network string
	Zoned   bool // its zones are the host's to manage: most of it cannot be written at will
	// Shingled is how a disk with overlapping tracks lets itself be written; empty: it has
	// none, or nobody says so. ShingledBy is how that is known, in words.
	Shingled   disk.Shingling
	ShingledBy string
}

// raidDriver reports whether a driver is one of RAID controllers: a disk behind it that
// answers none of our commands is a volume.
func raidDriver(name string) bool {
	return slices.Contains([]string{"megaraid_sas", "hpsa", "smartpqi", "arcmsr", "aacraid"}, name)
}

// host finds the SCSI host in the place of a disk in the device tree.
func (m Machine) host(target string) (number int, driver string) {
	for part := range strings.SplitSeq(target, "/") {
		if n, err := strconv.Atoi(strings.TrimPrefix(part, "host")); err == nil && strings.HasPrefix(part, "host") {
			number, driver = n, m.text("sys/class/scsi_host/"+part+"/proc_name")
		}
	}

	return number, driver
}

// network is how a disk is reached over a network, by its place in the device tree:
// sessions of iSCSI, remote ports of Fibre Channel, the transport of NVMe controllers.
func (m Machine) network(d Drive, target string) string {
	switch {
	case strings.Contains(target, "/session"):
		return "iSCSI"
	case strings.Contains(target, "/rport-"):
		return "Fibre Channel or another fabric"
	case d.Driver == "ib_srp":
		return "SRP"
	case d.Transport != "nvme":
		return ""
	}

	for _, c := range m.Controllers(d.Name) {
		if transport := m.text(path.Join("sys/class/nvme", c, "transport")); transport != "" && transport != "pcie" {
			return "nvme/" + transport
		}
	}

	return ""
}

// Controllers are the NVMe controllers through which a namespace is reached.
func (m Machine) Controllers(name string) []string {
	target := m.link(path.Join(blockDevices, name))
	if target == "" {
		return nil
	}

	// With the kernel's own multipath the disk hangs on a subsystem, which has links to
	// its controllers.
	if strings.Contains(target, "/nvme-subsystem/") {
		return slices.DeleteFunc(m.entries(path.Dir(target)), func(name string) bool {
			return !strings.HasPrefix(name, "nvme") || strings.Trim(name[4:], "0123456789") != ""
		})
	}

	return []string{path.Base(path.Dir(target))}
}

// Generic is the generic device of a RAID controller itself, "/dev/sg3", on a SCSI host;
// empty where there is none.
func (m Machine) Generic(host int) string {
	const generics, enclosure, controller = "sys/class/scsi_generic", "13", "3"

	for _, name := range m.entries(generics) {
		place := path.Join(generics, name)
		kind := m.text(path.Join(place, "device/type"))

		if strings.Contains(m.link(place), fmt.Sprintf("/host%d/", host)) && (kind == controller || kind == enclosure) {
			return "/dev/" + name
		}
	}

	return ""
}

// Disks lists the whole disks, in the order of their names: no partitions, no
// virtual devices, no optical drives, no floppies. Two paths to one disk (the same
// WWN, or the same model and serial) give one entry. The error joins the disks
// that did not answer their identity; they are listed all the same.
func (m Machine) Disks() ([]Drive, error) {
	var (
		drives []Drive
		faults []error
	)

	for _, name := range m.entries(blockDevices) {
		if m.virtual(name) || name == m.Except {
			continue
		}

		drive, err := m.drive(name)
		if err != nil {
			faults = append(faults, err)
		}

		if drive.SizeBytes == 0 && drive.Removable {
			continue // an empty card reader
		}

		// A second way to a disk that is known is a way, not a disk.
		if i := slices.IndexFunc(drives, func(d Drive) bool { return same(d.Disk, drive.Disk) }); i >= 0 {
			drives[i].OtherPaths = append(drives[i].OtherPaths, name)
		} else {
			drives = append(drives, drive)
		}
	}

	return drives, errors.Join(faults...)
}

func same(a, b core.Disk) bool {
	if a.WWN != "" && b.WWN != "" {
		return a.WWN == b.WWN
	}

	// Namespaces of one NVMe controller share its serial and are disks of their own.
	return a.Transport != "nvme" && a.Serial != "" && a.Serial == b.Serial && a.Model == b.Model && a.SizeBytes == b.SizeBytes
}

// virtual reports whether a block device is made by the kernel out of others, or
// is not a disk at all.
func (m Machine) virtual(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "dm-", "md", "nbd", "sr", "fd", "pmem", "zd", "drbd", "rbd", "bcache", "mtdblock"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}

	// The boot and replay-protected parts of an eMMC, and the hidden path devices
	// of NVMe multipath ("nvme0c0n1").
	if strings.Contains(name, "boot") || strings.HasSuffix(name, "rpmb") || m.text(path.Join(blockDevices, name, "hidden")) == "1" {
		return true
	}

	return strings.Contains(m.link(path.Join(blockDevices, name)), "/virtual/") && !strings.HasPrefix(name, "nvme")
}

// Identify asks one disk who it is. The error says that it did not answer; what the
// kernel knows of it is returned all the same.
func (m Machine) Identify(name string) (Drive, error) { return m.drive(name) }

func (m Machine) drive(name string) (Drive, error) {
	dir := path.Join(blockDevices, name)
	target := m.link(dir)

	d := Drive{Disk: core.Disk{
		Name: name, Transport: transport(name, target), Path: busPath(target),
		Model:        strings.TrimSpace(m.text(dir+"/device/vendor") + " " + m.text(dir+"/device/model")),
		Serial:       m.text(dir + "/device/serial"),
		Firmware:     firstText(m.text(dir+"/device/firmware_rev"), m.text(dir+"/device/rev")),
		LogicalBlock: m.number(dir+"/queue/logical_block_size", 0), PhysBlock: m.number(dir+"/queue/physical_block_size", 0),
		Rotational: m.text(dir+"/queue/rotational") == "1", Removable: m.text(dir+"/removable") == "1", Bay: m.bay(target),
	}}

	if sectors, err := strconv.ParseUint(m.text(dir+"/size"), 10, 54); err == nil {
		d.SizeBytes = sectors * blockUnit
	}

	d.Host, d.Driver = m.host(target)
	d.Network = m.network(d, target)

	if zones := disk.Shingling(m.text(dir + "/queue/zoned")); zones == disk.HostManaged || zones == disk.HostAware {
		d.shingled(zones, "by the kernel's word")
	}

	switch d.Transport {
	case "nvme":
		return m.nvme(d)
	case "virtio", "mmc":
		if serial := m.text(dir + "/serial"); serial != "" {
			d.Serial = serial
		}

		if strings.HasPrefix(d.Model, "0x") { // virtio's "vendor" is a PCI number
			d.Model = ""
		}

		return d, nil
	default:
		d, err := m.scsi(d)
		if d.Transport == "usb" && d.Serial == "" {
			d.Serial = m.usbSerial(target)
		}

		return d, err
	}
}

// usbSerial is the serial number that a USB device tells in its descriptor (USB 2.0
// §9.6.1): few sticks know the page of SCSI that has one.
func (m Machine) usbSerial(target string) string {
	for dir := path.Dir(target); strings.Contains(dir, "/usb"); dir = path.Dir(dir) {
		if m.text(path.Join(dir, "idVendor")) != "" {
			return m.text(path.Join(dir, "serial"))
		}
	}

	return ""
}

// bay is the place of a disk in its enclosure: by the enclosure's own name for it,
// else by the number that its SAS expander tells.
func (m Machine) bay(target string) string {
	device := path.Dir(path.Dir(target)) // …/0:0:3:0/block/sdd

	if place := m.enclosed(device); place != "" {
		return path.Base(place)
	}

	for dir := device; dir != "." && dir != "/"; dir = path.Dir(dir) {
		name := path.Base(dir)
		if !strings.HasPrefix(name, "end_device-") {
			continue
		}

		if n := m.text(path.Join(dir, "sas_device", name, "bay_identifier")); n != "" {
			return "bay " + n
		}
	}

	return ""
}

// enclosed is the place of an enclosure in which a device is, by the link that the
// enclosure's driver has made; empty where none knows it.
func (m Machine) enclosed(device string) string {
	const enclosures = "sys/class/enclosure"

	for _, enclosure := range m.entries(enclosures) {
		for _, place := range m.entries(path.Join(enclosures, enclosure)) {
			at := path.Join(m.link(path.Join(enclosures, enclosure)), place)
			if m.link(path.Join(at, "device")) == device {
				return at
			}
		}
	}

	return ""
}

// LightOf is the file of sysfs that switches the light of the slot in which the disk with
// a serial is, and that slot's name.
func (m Machine) LightOf(serial string) (file, slot string, err error) {
	drives, err := m.Disks()

	i := slices.IndexFunc(drives, func(d Drive) bool { return d.Serial == serial })
	if i < 0 {
		return "", "", errors.Join(fmt.Errorf("no disk of this machine has the serial %q", serial), err)
	}

	for _, name := range append([]string{drives[i].Name}, drives[i].OtherPaths...) {
		place := m.enclosed(path.Dir(path.Dir(m.link(path.Join(blockDevices, name)))))

		switch file := path.Join(place, "locate"); {
		case place == "":
		case !m.has(file):
			return "", "", fmt.Errorf("%s of the enclosure has no light", path.Base(place))
		default:
			return file, path.Base(place), nil
		}
	}

	return "", "", fmt.Errorf("no enclosure knows the disk %s", serial)
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}

	return ""
}

// transport reads the bus out of the name and the place in the device tree.
func transport(name, target string) string {
	switch {
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case strings.HasPrefix(name, "vd"):
		return "virtio"
	case strings.HasPrefix(name, "mmcblk"):
		return "mmc"
	case strings.Contains(target, "/usb"):
		return "usb"
	case strings.Contains(target, "/ata"):
		return "sata"
	case strings.Contains(target, "/end_device-"):
		return "sas"
	default:
		return "scsi"
	}
}

// busPath names the connector as udev's by-path does: "pci-0000:00:1f.2-ata-1".
func busPath(target string) string {
	var slot, port string

	for part := range strings.SplitSeq(target, "/") {
		switch {
		case strings.Count(part, ":") == 2 && strings.Contains(part, ".") && !strings.Contains(part, "-"):
			slot = "pci-" + part
		case strings.HasPrefix(part, "ata") && len(part) > 3:
			port = "-ata-" + part[3:]
		case strings.HasPrefix(part, "end_device-"):
			port = "-sas-" + strings.TrimPrefix(part, "end_device-")
		case strings.HasPrefix(part, "virtio"):
			port = "-" + part
		case strings.HasPrefix(part, "target"):
			if port == "" {
				port = "-scsi-" + strings.TrimPrefix(part, "target")
			}
		case strings.HasPrefix(part, "usb") && port == "":
			port = "-" + part
		}
	}

	return slot + port
}

// nvme asks the controller who it is.
func (m Machine) nvme(d Drive) (Drive, error) {
	dev, err := m.Bus.NVMe(d.Name)
	if err != nil {
		return d, fmt.Errorf("identifying %s: %w", d.Name, err)
	}

	defer dev.Close() //nolint:errcheck // opened for reading

	controller, err := disk.ReadNVMeController(dev)
	if err != nil {
		return d, fmt.Errorf("identifying %s: %w", d.Name, err)
	}

	d.Language, d.SMART, d.Rotational = SpeaksNVMe, true, false
	d.Model, d.Serial, d.Firmware = controller.Model, controller.Serial, controller.Firmware

	namespace, err := disk.ReadNVMeNamespace(dev)
	if err != nil {
		return d, fmt.Errorf("identifying %s: %w", d.Name, err)
	}

	d.WWN = namespace.WWN

	return d, nil
}

// scsi asks a disk behind the SCSI layer: SATA, SAS, USB, RAID volumes.
func (m Machine) scsi(d Drive) (Drive, error) {
	dev, err := m.Bus.SCSI(d.Name)
	if err != nil {
		return d, fmt.Errorf("identifying %s: %w", d.Name, err)
	}

	defer dev.Close() //nolint:errcheck // opened for reading

	inquiry, err := disk.ReadInquiry(dev)
	if err != nil {
		return d, fmt.Errorf("identifying %s: %w", d.Name, err)
	}

	d.Model, d.Firmware = strings.TrimSpace(inquiry.Vendor+" "+inquiry.Product), inquiry.Revision
	d.Removable, d.RAID = inquiry.Removable, inquiry.RAIDVolume()

	if inquiry.HostManaged() {
		d.shingled(disk.HostManaged, "by its own word (device type 14h)")
	}

	if d.Transport == "sata" || d.Transport == "usb" || inquiry.ATA() || disk.BehindSAT(dev) {
		if id, err := disk.ReadIdentify(disk.ATAOver(dev)); err == nil {
			d = ataDrive(d, id)
			if native, err := disk.ReadNativeSectors(disk.ATAOver(dev), id); err == nil {
				d.NativeBytes = native * uint64(id.LogicalBlock) //nolint:gosec // at least 512
			}

			return d, nil
		} else if d.Transport == "sata" {
			return d, fmt.Errorf("identifying %s: %w", d.Name, err)
		}
	}

	d = scsiDrive(d, dev, inquiry)
	d.RAID = d.RAID || d.Language == SpeaksNone && raidDriver(d.Driver)

	return d, nil
}

func ataDrive(d Drive, id disk.ATAIdentity) Drive {
	if d.Transport != "usb" {
		d.Transport = "sata"
	}

	d.Language, d.SMART = SpeaksATA, id.SMART
	d.Model, d.Serial, d.Firmware = id.Model, id.Serial, id.Firmware
	d.Rotational, d.RPM, d.WWN = id.Rotational, id.RPM, id.WWN
	d.shingled(disk.Shingle(id))

	return d
}

// shingled takes in that the disk is a shingled one. What is known from a better source
// stays.
func (d *Drive) shingled(s disk.Shingling, how string) {
	if d.Shingled != "" || s == "" {
		return
	}

	d.Shingled, d.ShingledBy, d.Zoned = s, how, s == disk.HostManaged
}

// scsiDrive fills in what a SCSI disk tells of itself; pages it does not have
// leave their fields empty.
func scsiDrive(d Drive, dev disk.SCSI, inquiry disk.Inquiry) Drive {
	if serial, err := disk.ReadSerial(dev); err == nil && serial != "" {
		d.Serial = serial
	}

	if wwn, err := disk.ReadWWN(dev); err == nil {
		d.WWN = wwn
	}

	if rotational, rpm, err := disk.ReadMedium(dev); err == nil {
		d.Rotational, d.RPM = rotational, rpm
	}

	if d.RPM > 0 && !d.RAID {
		d.shingled(disk.ReadShingling(dev, inquiry), "by its own word (VPD pages B1h, B6h)")
	}

	if _, err := disk.ReadLog(dev, disk.LogExceptions); err == nil && !d.RAID {
		d.SMART = true
	}

	if !d.RAID && (d.SMART || d.Transport == "sas") {
		d.Language = SpeaksSCSI
	}

	return d
}
