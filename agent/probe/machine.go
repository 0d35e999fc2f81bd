package probe

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"vetting/agent/disk"
	"vetting/agent/ipmi"
	"vetting/core"
)

// Machine is what the probes look at. All fields but BMC, TPM and Now are set.
type Machine struct {
	Root  fs.FS // the root of the file system: "sys", "proc", …
	Bus   disk.Bus
	Ports Ports
	BMC   ipmi.BMC // nil: nobody may talk to it
	TPM   TPM      // nil: nobody may talk to it

	// Except is the kernel's name of the stick that the machine was started from, which is
	// none of its parts; empty: there is none.
	Except string

	// Now is the time as the appliance has set it; nil: the system's.
	Now func() time.Time
}

// Ports asks network drivers about their ports (ethtool).
type Ports interface {
	Port(name string) (Port, error)
}

// Port is what a driver tells of a network port.
type Port struct {
	Driver       string   `json:"driver,omitempty"`
	Firmware     string   `json:"firmware,omitempty"`
	OptionROM    string   `json:"option_rom,omitempty"`
	Bus          string   `json:"bus,omitempty"`
	PermMAC      core.MAC `json:"perm_mac,omitempty"`
	SpeedMbps    int      `json:"speed_mbps,omitempty"` // 0: unknown or no link
	MaxSpeedMbps int      `json:"max_speed_mbps,omitempty"`
	PartnerMbps  int      `json:"partner_mbps,omitempty"` // of the fastest mode that the other end advertises; 0: it tells none
	Wakes        bool     `json:"wakes,omitempty"`        // by a magic packet
	FEC          *FEC     `json:"fec,omitempty"`          // nil: the driver tells nothing of it
	Module       string   `json:"module,omitempty"`       // memory of the transceiver, hex; see ParseTransceiver
}

// text reads a small file of sysfs; nothing when it is not there or the driver
// refuses.
func (m Machine) text(name string) string {
	b, err := fs.ReadFile(m.Root, name)
	if err != nil {
		return ""
	}

	return disk.Text(b)
}

// lines reads a file of many lines, each without its padding; none when it cannot be
// read.
func (m Machine) lines(name string) (lines []string) {
	b, err := fs.ReadFile(m.Root, name)
	if err != nil {
		return nil
	}

	for line := range strings.Lines(string(b)) {
		lines = append(lines, disk.Text([]byte(strings.ReplaceAll(line, "\t", " "))))
	}

	return lines
}

// has reports whether a file is there.
func (m Machine) has(name string) bool {
	_, err := fs.Stat(m.Root, name)

	return err == nil
}

// number reads a file that holds one decimal number; missing is what is returned
// when it does not.
func (m Machine) number(name string, missing int) int {
	n, err := strconv.Atoi(m.text(name))
	if err != nil {
		return missing
	}

	return n
}

// entries lists a folder of sysfs, in order; none when it is not there.
func (m Machine) entries(dir string) (names []string) {
	list, err := fs.ReadDir(m.Root, dir)
	if err != nil {
		return nil
	}

	for _, entry := range list {
		names = append(names, entry.Name())
	}

	return names
}

// link returns what a symbolic link of sysfs points to, cleaned, relative to the
// root of the file system; nothing when there is none.
func (m Machine) link(name string) string {
	target, err := fs.ReadLink(m.Root, name)
	if err != nil {
		return ""
	}

	if strings.HasPrefix(target, "/") {
		return strings.TrimPrefix(path.Clean(target), "/")
	}

	return path.Join(path.Dir(name), target)
}

// base is the last element of a link's target: the name of a driver or bus.
func (m Machine) base(name string) string {
	target := m.link(name)
	if target == "" {
		return ""
	}

	return path.Base(target)
}
