package ipxe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vetting/core"
)

// Image is what the live system consists of, as paths on the boot server.
type Image struct {
	Kernel  string   // "/boot/0123456789ab/vmlinuz"
	Initrds []string // in the order the kernel unpacks them: a later one overrides
}

// Boot is a script that boots the live image.
type Boot struct {
	Server  netip.Addr
	Host    core.MAC // whose lease it is
	Name    string   // of the host, for the person at the screen
	Image   Image
	Seed    string   // nonce of the seed archive
	Overlay []string // further archives, as paths on the boot server, between image and seed
	Cmdline []string // kernel arguments; none of them is secret
}

const (
	patience = 60000 // ms without progress
	attempts = 5
)

// Script writes the script.
func (b Boot) Script() []byte {
	var s strings.Builder

	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }

	line("#!ipxe")
	line("echo vetting: %s (%s)", shown(b.Name), shown(string(b.Host)))
	line("imgfree ||")
	line("set base http://%s", b.Server)
	line("set n:int32 0")
	line(":again")

	names := make([]string, 0, len(b.Image.Initrds)+len(b.Overlay)+1)
	loads := make([]string, 0, len(b.Image.Initrds)+len(b.Overlay)+1)

	for _, initrd := range slices.Concat(b.Image.Initrds, b.Overlay) {
		name := initrd[strings.LastIndexByte(initrd, '/')+1:]
		names = append(names, "initrd="+name)
		loads = append(loads, fmt.Sprintf("initrd --timeout %d --name %s ${base}%s", patience, name, initrd))
	}

	names = append(names, "initrd=seed.cpio")
	loads = append(loads, fmt.Sprintf("initrd --timeout %d --name seed.cpio ${base}/seed/%s.cpio", patience, shown(b.Seed)))
	kernel := fmt.Sprintf("kernel --timeout %d --name vmlinuz ${base}%s %s %s", patience, b.Image.Kernel,
		strings.Join(names, " "), strings.Join(b.arguments(), " "))

	line("%s && %s || goto bad", kernel, strings.Join(loads, " && "))
	line("boot --autofree ||")
	line(":bad")
	line("imgfree ||")
	line("inc n")
	line("iseq ${n} %d && goto giveup ||", attempts)
	line("echo vetting: loading failed, trying again in 3 seconds")
	line("sleep 3")
	line("goto again")
	line(":giveup")
	line("imgfetch --timeout 5000 --name failed ${base}/ipxe/failed/${netX/mac} ||")
	line("imgfree ||")
	local(line)

	return []byte(s.String())
}

func (b Boot) arguments() []string {
	args := []string{"BOOTIF=01-" + strings.ReplaceAll(string(b.Host), ":", "-")}

	for _, a := range b.Cmdline {
		args = append(args, shown(a))
	}

	return args
}

// Local is the script that sends a machine to its own disk, by the way that its firmware
// follows. why is shown.
func Local(why string, home core.Home) []byte {
	var s strings.Builder

	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }

	line("#!ipxe")
	line("imgfree ||")
	line("echo vetting: %s", shown(why))

	switch home {
	case core.HomeExit, core.HomeMissing: // a file can be missed by firmware only
		line("exit 1")
	case core.HomeDisk:
		line("iseq ${platform} efi && goto efi ||")
		line("sanboot --no-describe --drive 0x80 || exit 1")
		line(":efi")
		line("sanboot --no-describe --drive 0 || exit 1") // of the disk's system partition what starts removable media
	default:
		local(line)
	}

	return []byte(s.String())
}

// Unfit is the script of a machine that cannot be vetted: why is shown long enough to be
// read, and the machine goes to its own disk.
func Unfit(why string) []byte {
	var s strings.Builder

	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }

	line("#!ipxe")
	line("imgfree ||")
	line("echo vetting: %s", shown(why))
	line("echo vetting: this machine goes to its own disk in 15 seconds")
	line("sleep 15")
	local(line)

	return []byte(s.String())
}

// Chain is the script that sends a machine on to another boot server, and to its own disk
// where that does not answer. The address must be one word that iPXE takes as it is.
func Chain(address string) []byte {
	var s strings.Builder

	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }

	line("#!ipxe")
	line("imgfree ||")
	line("echo vetting: on to %s", shown(address))
	line("chain --autofree --timeout %d %s ||", patience, address)
	line("imgfree ||")
	local(line)

	return []byte(s.String())
}

// local ends every script for a machine of which nothing else is known. sanboot is for BIOS
// alone there; on UEFI it is not reliable.
func local(line func(string, ...any)) {
	line("iseq ${platform} efi && exit 1 ||")
	line("sanboot --no-describe --drive 0x80 || exit 1")
}

// Autoexec is the script that an EFI iPXE looks for beside itself before it has
// done anything else. Configuring by DHCP alone saves it the wait for IPv6. It
// names the server: beside another DHCP server ${next-server} may be that one.
func Autoexec(server netip.Addr) []byte {
	return []byte(strings.ReplaceAll(`#!ipxe
set n:int32 0
:again
ifconf --configurator dhcp && chain --replace http://SERVER/ipxe/${netX/mac} ||
inc n
iseq ${n} 10 && exit 1 ||
sleep 1
goto again
`, "SERVER", server.String()))
}

// shown lets through only what a script line may carry literally: iPXE expands
// ${…} and ends commands at && || ; a name given by a person must not do either.
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
