//go:build linux

package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"vetting/cmd/vetting-lab/bmc"
	"vetting/netboot/trial"
)

// Firmware is what a machine starts with.
type Firmware string

// The kinds of firmware: SeaBIOS with an iPXE option ROM on the network card, and
// OVMF with its own PXE client.
const (
	BIOS Firmware = "bios"
	UEFI Firmware = "uefi"
)

// Direct is a kernel that the emulator starts by itself.
type Direct struct{ Kernel, Initrd, Cmdline string }

// Machine is a virtual machine, as one would order it.
type Machine struct {
	Name     string // of files and of the QEMU process
	Firmware Firmware
	MAC      string
	Identity Identity
	Disks    []Disk
	MiB      int    // memory; 0: 512
	CPUs     int    // 0: 1
	ROM      string // BIOS: option ROM instead of the iPXE that came with QEMU
	Card     string // network card; empty: virtio-net-pci
	Secure   bool   // UEFI: Secure Boot is on, with Microsoft's keys
	HTTPBoot bool   // UEFI: its set-up allows network boot over HTTP only
	Stubborn bool   // its boot order is the network alone: it does not go on to its disk
	Second   string // MAC of a second port on the same segment; empty: none
	Cable    bool   // two more ports (e1000e), which are one cable and lead nowhere else
	RootPort bool   // a PCI Express port with nothing behind it, which the monitor calls "rootport"
	Screen   bool   // a graphics card, whose picture Guest.Picture takes

	// Medium is the image of a stick in a USB port, which the machine boots from and may
	// write; empty: none. ROMedium has it as a CD drive instead, as a BMC's virtual medium.
	Medium   string
	ROMedium bool

	// Office is a second network port, on a network of its own that has a DHCP server and
	// nobody else; see Guest.Visit.
	Office bool

	Direct *Direct  // started by the emulator; nil: it boots
	Wire   *Wire    // cable with a fault; nil: a sound one
	BMC    *bmc.BMC // management controller behind a KCS interface; nil: none
}

// processors is what QEMU is told of them. A machine of one has an empty socket besides:
// QEMU before 8.0 leaves out the memory barriers of a guest that can have no more than
// one, and the NVMe driver needs them, since it shares doorbells in memory with the
// controller. Where many requests were under way the controller missed one now and then,
// and stood still until the guest's kernel reset it.
func (m Machine) processors() string {
	if m.CPUs > 1 {
		return strconv.Itoa(m.CPUs)
	}

	return "1,sockets=2,cores=1,threads=1,maxcpus=2"
}

// firmware is what QEMU is told of a UEFI, whose variables are in a file.
func (m Machine) firmware(vars string) []string {
	if m.Firmware != UEFI {
		return nil
	}

	args := []string{
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + m.code(),
		"-drive", "if=pflash,unit=1,format=raw,file=" + vars,
		// As in most machines' set-up, network boot is IPv4 only.
		"-fw_cfg", "name=opt/org.tianocore/IPv6Support,string=n",
	}

	if m.Secure {
		// Only the firmware, in its own mode, may write its variables.
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	}

	if m.HTTPBoot {
		args = append(args, "-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n")
	}

	return args
}

// arguments is the command line of QEMU for the machine, whose files are in dir,
// whose network port is tap, and the second one second.
func (m Machine) arguments(dir, tap, second string) ([]string, error) {
	args := []string{
		"-name", m.Name, "-nodefaults", "-no-user-config", "-display", "none", "-vga", m.graphics(),
		"-machine", m.board(), "-accel", trial.Accelerator(), "-cpu", "max",
		"-smp", m.processors(), "-m", strconv.Itoa(m.memory()),
		"-boot", "menu=off,strict=on", "-device", "virtio-rng-pci",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", "socket,id=monitor,server=on,wait=off,path=" + filepath.Join(dir, "qmp"),
		"-mon", "chardev=monitor,mode=control",
		"-netdev", m.lead(dir, tap), "-device", m.card(),
	}

	args = append(args, m.firmware(filepath.Join(dir, "vars.fd"))...)

	if second != "" {
		args = append(args, "-netdev", "tap,id=net1,ifname="+second+",script=no,downscript=no",
			"-device", "virtio-net-pci,netdev=net1,romfile=,mac="+m.Second)
	}

	if m.Cable {
		for _, end := range []string{"1", "2"} {
			args = append(args, "-netdev", "hubport,hubid=1,id=cable"+end, "-device", "e1000e,romfile=,netdev=cable"+end+",mac="+m.end(end))
		}
	}

	if m.Office {
		args = append(args, "-netdev", fmt.Sprintf("user,id=office,restrict=on,hostfwd=tcp:127.0.0.1:%d-:8443", visitPort),
			"-device", "virtio-net-pci,netdev=office,romfile=")
	}

	if d := m.Direct; d != nil {
		args = append(args, "-kernel", d.Kernel, "-initrd", d.Initrd, "-append", d.Cmdline)
	}

	if m.RootPort {
		args = append(args, "-device", "pcie-root-port,id=rootport,bus=pcie.0,chassis=1")
	}

	if m.BMC != nil {
		// The firmware's tables of such an interface (SMBIOS type 38, ACPI IPI0001) are
		// QEMU's own. QEMU 7.2 falls over a connection that is there before the interface
		// is: it is to connect later.
		args = append(args, "-chardev", "socket,id=bmc,reconnect=1,path="+bmcPath(dir),
			"-device", "ipmi-bmc-extern,id=bmc0,chardev=bmc", "-device", "isa-ipmi-kcs,bmc=bmc0")
	}

	if m.Medium != "" || slices.ContainsFunc(m.Disks, func(d Disk) bool { return d.Bus == USB }) {
		args = append(args, "-device", "qemu-xhci,id=xhci")
	}

	args = append(args, m.medium()...)

	for i, disk := range m.Disks {
		args = append(args, disk.arguments(i, diskPath(dir, i), m.Stubborn)...)
	}

	tables, err := m.Identity.arguments(dir)

	return append(args, tables...), err
}

// end is the MAC of a port at an end of the machine's cable: its own with another beginning.
func (m Machine) end(n string) string { return "02:0" + n + m.MAC[5:] }

// lead is where the machine's first port leads.
func (m Machine) lead(dir, tap string) string {
	if m.Wire != nil {
		return "stream,id=net0,server=off,addr.type=unix,addr.path=" + wirePath(dir)
	}

	return "tap,id=net0,ifname=" + tap + ",script=no,downscript=no"
}

// board is the machine's type. The mode that the firmware keeps its variables safe in is
// needed by Secure Boot alone.
func (m Machine) board() string {
	board := "q35,graphics=off"
	if m.Screen {
		board = "q35"
	}

	if m.Secure {
		board += ",smm=on"
	}

	return board
}

func (m Machine) graphics() string {
	if m.Screen {
		return "std"
	}

	return "none"
}

// medium is the stick or the CD, first in the boot order.
func (m Machine) medium() []string {
	switch {
	case m.Medium == "":
		return nil
	case m.ROMedium:
		return []string{
			"-drive", "if=none,id=medium,format=raw,media=cdrom,readonly=on,file=" + m.Medium,
			"-device", "usb-storage,id=cd,bus=xhci.0,drive=medium,bootindex=0",
		}
	default:
		return []string{
			"-drive", "if=none,id=medium,format=raw,file=" + m.Medium,
			"-device", "usb-storage,id=stick,bus=xhci.0,drive=medium,removable=on,serial=LABSTICK,bootindex=0",
		}
	}
}

func (m Machine) code() string {
	if m.Secure {
		return trial.OVMFSecureCode
	}

	return trial.OVMFCode
}

func (m Machine) variables() string {
	if m.Secure {
		return trial.OVMFSecureVars
	}

	return trial.OVMFVars
}

func (m Machine) memory() int {
	if m.MiB == 0 {
		return 512
	}

	return m.MiB
}

// card is the network card, first in the boot order. Under UEFI it has no option
// ROM, so that the firmware's own network stack boots from it.
func (m Machine) card() string {
	card := m.Card
	if card == "" {
		card = "virtio-net-pci"
	}

	card += ",netdev=net0,bootindex=1,mac=" + m.MAC

	switch {
	case m.Firmware == UEFI:
		return card + ",romfile="
	case m.ROM != "":
		// The 2025 iPXE ROM drives the modern virtio id only.
		return strings.Replace(card, "virtio-net-pci", "virtio-net-pci,disable-legacy=on", 1) + ",romfile=" + m.ROM
	default:
		return card
	}
}

// visitPort is where port 8443 of a machine with an Office is, in the namespace of the
// segment.
const visitPort = 18444

// bmcPath is the socket at which a machine's management controller answers.
func bmcPath(dir string) string { return filepath.Join(dir, "bmc") }

func diskPath(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("disk%d.raw", i)) }

func (d Disk) arguments(i int, path string, unordered bool) []string {
	order := fmt.Sprintf(",bootindex=%d", i+2)
	if unordered {
		order = ""
	}

	drive := fmt.Sprintf("if=none,id=disk%d,format=raw,discard=ignore,file=%s", i, path)
	var device string

	switch d.Bus {
	case NVMe:
		device = fmt.Sprintf("nvme,id=nvme%d,drive=disk%d,serial=%s%s", i, i, d.Serial, order)
	case VirtIO:
		device = fmt.Sprintf("virtio-blk-pci,id=virtio%d,drive=disk%d,serial=%s%s", i, i, d.Serial, order)
	case USB:
		device = fmt.Sprintf("usb-storage,id=usb%d,bus=xhci.0,drive=disk%d,serial=%s%s", i, i, d.Serial, order)
	case SATA:
		device = fmt.Sprintf("ide-hd,id=sata%d,drive=disk%d,bus=ide.%d,serial=%s%s", i, i, i, d.Serial, order)
		if d.Model != "" {
			device += ",model=" + d.Model
		}

		if d.WWN != 0 {
			device += fmt.Sprintf(",wwn=%#x", d.WWN)
		}
	}

	return []string{"-drive", drive, "-device", device}
}

// arguments describes the identity to QEMU, and writes the tables it has no
// words for to dir.
func (id Identity) arguments(dir string) ([]string, error) {
	args := []string{"-smbios", "type=0,vendor=Lab Firmware,version=1.7.3,date=03/14/2025"}
	args = append(args, table("type=1", "manufacturer", id.Manufacturer, "product", id.Product, "serial", id.Serial, "uuid", id.UUID)...)
	args = append(args, table("type=2", "manufacturer", id.Manufacturer, "product", id.Product, "serial", id.BoardSerial)...)
	args = append(args, table("type=3", "manufacturer", id.Manufacturer, "serial", id.Serial, "asset", id.AssetTag)...)

	var tables [][]byte

	if len(id.DIMMs) > 0 {
		tables = append(tables, arrayTable(len(id.DIMMs)))
	}

	for i, slot := range id.Supplies {
		tables = append(tables, supplyTable(i, slot))
	}

	for i, dimm := range id.DIMMs {
		tables = append(tables, deviceTable(i, dimm))
	}

	for i, raw := range tables {
		path := filepath.Join(dir, fmt.Sprintf("smbios%d.bin", i))
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			return nil, fmt.Errorf("writing an SMBIOS table: %w", err)
		}

		args = append(args, "-smbios", "file="+path)
	}

	return args, nil
}

// table is an option that fills fields of an SMBIOS table, those that are not
// empty; a comma inside a value is doubled, as QEMU has it.
func table(kind string, fields ...string) []string {
	var option strings.Builder
	option.WriteString(kind)

	for pair := range slices.Chunk(fields, 2) {
		if pair[1] != "" {
			option.WriteString("," + pair[0] + "=" + strings.ReplaceAll(pair[1], ",", ",,"))
		}
	}

	return []string{"-smbios", option.String()}
}
