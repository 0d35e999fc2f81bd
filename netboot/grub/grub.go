// Package grub talks to the network GRUB of Debian's signed chain, in its own language:
// it writes the configuration that the firmware's shim has led to. GRUB itself is signed,
// and so is the kernel that it may start; this configuration, the arguments in it and the
// initrds are not.
package grub

import (
	"fmt"
	"net/netip"
	"strings"

	"vetting/core"
)

// ConfigName is where GRUB looks for its configuration, over TFTP or HTTP, whatever
// folder it was itself loaded from.
const ConfigName = "grub/grub.cfg"

// Boot is a configuration that boots the live image.
type Boot struct {
	Server  netip.Addr
	Host    string   // its MAC, for the person at the screen
	Name    string   // likewise, its name
	Kernel  string   // path on the boot server
	Initrds []string // paths on the boot server, in the order the kernel unpacks them
	Cmdline []string // kernel arguments; none of them is secret
}

// attempts at loading: GRUB has no counter, but a list will do.
const attempts = "1 2 3 4 5"

// Config writes the configuration.
func (b *Boot) Config() []byte {
	var s strings.Builder

	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	at := func(path string) string { return "(http," + b.Server.String() + ")" + path }

	initrds := make([]string, 0, len(b.Initrds))
	for _, path := range b.Initrds {
		initrds = append(initrds, at(path))
	}

	words := make([]string, 0, len(b.Cmdline))
	for _, word := range b.Cmdline {
		words = append(words, shown(word))
	}

	line("set timeout=0")
	line("echo \"vetting: %s (%s)\"", shown(b.Name), shown(b.Host))
	line("for n in %s; do", attempts)
	line("  if linux %s %s; then", at(b.Kernel), strings.Join(words, " "))
	line("    if initrd %s; then", strings.Join(initrds, " "))
	line("      boot")
	line("    fi")
	line("  fi")
	line("  echo \"vetting: loading failed, trying again in 3 seconds\"")
	line("  sleep 3")
	line("done")
	local(line)

	return []byte(s.String())
}

// Local is the configuration that sends a machine back to its firmware, which goes on to
// its own disk, or straight to that where the firmware does not. why is shown.
func Local(why string, home core.Home) []byte {
	var s strings.Builder

	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }

	line("echo \"vetting: %s\"", shown(why))

	if home == core.HomeDisk {
		disk(line)
	}

	local(line)

	return []byte(s.String())
}

// disk starts what the machine's own disk starts with: the last resort for firmware that does
// not go on by itself. The installed system's own program comes first, since what stands for
// removable media may want another that is not where it looks (MAAS #1853906).
func disk(line func(string, ...any)) {
	var files []string
	for _, vendor := range []string{"debian", "ubuntu", "redhat", "rocky", "almalinux", "centos", "fedora", "ol", "opensuse", "sles", "proxmox"} {
		files = append(files, "/EFI/"+vendor+"/shimx64.efi")
	}

	// Those that have no shim.
	files = append(files, "/EFI/proxmox/grubx64.efi", "/EFI/NixOS-boot/grubx64.efi", "/EFI/systemd/systemd-bootx64.efi")
	files = append(files, "/EFI/Microsoft/Boot/bootmgfw.efi", "/EFI/BOOT/BOOTX64.EFI")

	line("for f in %s; do", strings.Join(files, " "))
	line("  if search --no-floppy --file --set=root $f; then")
	line("    if chainloader $f; then")
	line("      boot")
	line("    fi")
	line("  fi")
	line("done")
}

// local never chains to another loader. Firmware that is given an error goes on.
func local(line func(string, ...any)) { line("exit 1") }

// shown lets through only what a line may carry literally: GRUB expands $ and ends
// commands at ; & | and newlines.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" -_.:,=/@+%", r):
			return r
		default:
			return '_'
		}
	}, s)
}
