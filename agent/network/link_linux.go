package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"strings"
	"time"

	"vetting/core"
)

const netDevices = "sys/class/net"

// Link is a network port of the machine.
type Link struct {
	Name    string
	MAC     core.MAC
	Carrier bool // meaningful once the port is on
}

// Links lists the ports that are hardware, in the order of their names.
func Links(root fs.FS) (links []Link) {
	entries, err := fs.ReadDir(root, netDevices)
	if err != nil {
		return nil
	}

	for _, entry := range entries {
		dir := path.Join(netDevices, entry.Name())
		if _, err := fs.Stat(root, dir+"/device"); err != nil {
			continue // lo, tunnels, bonds
		}

		text, err := fs.ReadFile(root, dir+"/address")
		if err != nil {
			continue
		}

		mac, err := core.ParseMAC(string(text))
		if err != nil {
			continue // InfiniBand has longer addresses
		}

		carrier, err := fs.ReadFile(root, dir+"/carrier")
		links = append(links, Link{Name: entry.Name(), MAC: mac, Carrier: err == nil && strings.TrimSpace(string(carrier)) == "1"})
	}

	return links
}

// SwitchOn switches on the loopback interface and every port. The error joins
// those that refused.
func SwitchOn(links []Link) error {
	names := []string{"lo"}
	for _, link := range links {
		names = append(names, link.Name)
	}

	var faults []error

	for _, name := range names {
		face, err := net.InterfaceByName(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("switching %s on: %w", name, err))

			continue
		}

		if face.Flags&net.FlagUp == 0 {
			faults = append(faults, linkUp(face.Index))
		}
	}

	return errors.Join(faults...)
}

// linkPatience is how long ports that were just switched on may take until they have a
// link: negotiation takes up to five seconds, and training of fast ones as long again.
const linkPatience = 10 * time.Second

// BringUp switches on the ports that are off, such as those whose drivers came after the
// machine had its address, and waits until they have links, or for as long as that may
// take. Where all are on it does nothing. The error joins those that refused.
func BringUp(ctx context.Context, root fs.FS) error {
	links := Links(root)
	off := map[string]bool{}

	for _, link := range links {
		face, err := net.InterfaceByName(link.Name)
		off[link.Name] = err == nil && face.Flags&net.FlagUp == 0
	}

	fault := SwitchOn(links)

	for range linkPatience / poll {
		waits := false
		for _, link := range Links(root) {
			waits = waits || off[link.Name] && !link.Carrier
		}

		if !waits {
			return fault
		}

		if err := sleep(ctx, poll); err != nil {
			return err
		}
	}

	return fault
}

// Choose picks the port to boot through: the one with the address the boot script
// named or, where it named none, any with a carrier. ok is false while there is
// none such.
func Choose(links []Link, boot core.MAC, turn int) (link Link, ok bool) {
	var wired []Link

	for _, l := range links {
		if boot != "" && l.MAC == boot {
			return l, true
		}

		if l.Carrier {
			wired = append(wired, l)
		}
	}

	if boot != "" || len(wired) == 0 {
		return Link{}, false
	}

	return wired[turn%len(wired)], true
}

// BootMAC reads the address of the boot NIC out of the kernel's command line:
// BOOTIF=01-52-54-00-12-34-56 (iPXE, PXELINUX) or with colons (GRUB). Empty when
// it is not there or nonsense.
func BootMAC(cmdline string) core.MAC {
	for field := range strings.FieldsSeq(cmdline) {
		if value, ok := strings.CutPrefix(field, "BOOTIF="); ok {
			if mac, err := core.ParseMAC(value); err == nil {
				return mac
			}
		}
	}

	return ""
}
