// Package ladder chooses the boot program of a machine. Which one a firmware can run is
// known only by trying: network drivers of boot programs freeze on some cards, and
// firmware with Secure Boot refuses what is not signed. So there is a ladder of them, and
// a machine that was given a program and was not heard of again is given the next one when
// it comes back. The package is pure: what it says follows from the steps seen and the
// time alone.
package ladder

import (
	"fmt"
	"path"
	"strings"
	"time"

	"vetting/core"
)

// Names of the boot programs as they are offered and served.
const (
	FileUNDI    = "undionly.kpxe"  // BIOS: iPXE through the ROM's own driver
	FilePXE     = "ipxe.pxe"       // BIOS: iPXE with drivers of its own
	FileSNPOnly = "snponly.efi"    // UEFI: iPXE through the firmware's driver
	FileIPXE    = "ipxe.efi"       // UEFI: iPXE with drivers of its own
	FileARM64   = "ipxe-arm64.efi" // UEFI on arm64: iPXE with drivers of its own and the firmware's; on no rung
	FileUKI     = "vetting.efi"    // UEFI: the live image itself as one program, made for the machine
	FileShim    = "shimx64.efi"    // UEFI: the shim, which loads FileGRUB; signed
	FileGRUB    = "grubx64.efi"    // UEFI: what the shim asks for
)

const (
	// Patience is how long a boot program may be silent after it was sent whole.
	Patience = 90 * time.Second
	// refusal is how soon a firmware that does not start what it was sent asks again:
	// it goes on to its next way to boot within moments. A person who resets the
	// machine takes longer, mostly; if not, another program is tried once, no more.
	refusal = 15 * time.Second
)

// Next returns the rung for a machine whose firmware asks at now, and why it is
// another than before, for people; "" when it is not.
func Next(s core.Ladder, kind core.ClientKind, now time.Time) (rung core.Loader, why string) {
	rung = s.Rung
	if rung == "" {
		rung = core.LoaderSNPOnly
	}

	since := now.Sub(s.Fetched)

	switch {
	case s.Fetched.IsZero() || since < 0:
		if s.Refused && kind != core.ClientBIOS {
			return core.LoaderShim, ""
		}

		return rung, ""
	case since >= Patience && spared(s, rung):
		return rung, ""
	case since >= Patience:
		next := after(rung, kind)

		return next, fmt.Sprintf("%s was sent %s ago and no boot script was asked for: %s is tried now", File(rung, kind), since.Round(time.Second), File(next, kind))
	case since <= refusal && !s.Heard && kind != core.ClientBIOS:
		next := core.LoaderShim
		if rung == core.LoaderShim {
			next = after(rung, kind)
		}

		return next, fmt.Sprintf("%s was sent and the firmware asks again at once, as it does when Secure Boot refuses a program: %s is tried now",
			File(rung, kind), File(next, kind))
	default:
		return rung, ""
	}
}

// spared reports whether a rung is given once more although it was silent: it has worked
// on this machine, which was most likely switched off in the midst of its boot.
func spared(s core.Ladder, rung core.Loader) bool { return rung == s.Worked && !s.Again }

// after is the rung above, or the lowest.
func after(rung core.Loader, kind core.ClientKind) core.Loader {
	switch {
	case rung == core.LoaderSNPOnly:
		return core.LoaderIPXE
	case rung == core.LoaderIPXE && kind != core.ClientBIOS:
		return core.LoaderUKI
	case rung == core.LoaderUKI && kind != core.ClientBIOS:
		return core.LoaderShim
	default:
		return core.LoaderSNPOnly
	}
}

// File is the name of the program on a rung, for a kind of client. What there is for
// UEFI alone is for BIOS the lowest rung, and for an iPXE, too: it can start another iPXE.
func File(rung core.Loader, kind core.ClientKind) string {
	switch {
	case kind == core.ClientBIOS && rung == core.LoaderIPXE:
		return FilePXE
	case kind == core.ClientBIOS:
		return FileUNDI
	case rung == core.LoaderIPXE:
		return FileIPXE
	case rung == core.LoaderUKI && kind != core.ClientIPXE:
		return FileUKI
	case rung == core.LoaderShim && kind != core.ClientIPXE:
		return FileShim
	default:
		return FileSNPOnly
	}
}

// LeadsHome reports whether a machine that is to go to its own disk is given a boot program
// which takes it there.
func LeadsHome(d *core.BootDecision) bool {
	return d.Action == core.BootLocal && (d.Home == core.HomeExit || d.Home == core.HomeDisk)
}

// rungOf is the rung of a boot file as it stands in an offer; "" when it is none.
func rungOf(file string) core.Loader {
	switch path.Base(file) {
	case FileUNDI, FileSNPOnly:
		return core.LoaderSNPOnly
	case FilePXE, FileIPXE:
		return core.LoaderIPXE
	case FileUKI:
		return core.LoaderUKI
	case FileShim:
		return core.LoaderShim
	default:
		return ""
	}
}

// Firmware reports whether a kind of client is what a machine starts with.
func Firmware(kind core.ClientKind) bool {
	return kind == core.ClientBIOS || kind == core.ClientUEFI || kind == core.ClientHTTP
}

// See takes a step of a boot into account. It reports whether that was news, and says
// what of it people should read: that another rung is tried, and why.
func See(s *core.Ladder, step *core.BootStep) (changed bool, why string) {
	before := *s

	switch step.Kind {
	case "offer", "stand":
		why = offered(s, step)
	case "discover":
		s.Heard = s.Heard || !s.Fetched.IsZero() && step.Client.Kind == core.ClientIPXE
	case "tftp", "loader":
		sent(s, step)
	case "script", "parked":
		s.Fetched, s.Heard, s.Ran, s.Again = time.Time{}, false, true, false
	case "seed":
		if s.Rung == core.LoaderUKI { // it has no script
			s.Fetched, s.Heard, s.Ran, s.Again = time.Time{}, false, true, false
		}
	case "hello":
		arrived(s, strings.HasSuffix(step.Detail, core.SaysSecureBoot))
	}

	return *s != before, why
}

// offered takes an offer to a firmware in.
func offered(s *core.Ladder, step *core.BootStep) (why string) {
	rung := rungOf(step.Detail)
	if rung == "" || !Firmware(step.Client.Kind) {
		return ""
	}

	if next, reason := Next(*s, step.Client.Kind, step.Time); next == rung {
		why = reason
	}

	if rung == core.LoaderShim && s.Rung != rung && !s.Fetched.IsZero() && step.Time.Sub(s.Fetched) <= refusal {
		s.Refused = true
	}

	// What is signed was tried in vain: without this the offer would name another program
	// and the acknowledgement, from which firmware boots, the shim again.
	if rung != core.LoaderShim && step.Client.Kind != core.ClientBIOS {
		s.Refused = false
	}

	silent := !s.Fetched.IsZero() && step.Time.Sub(s.Fetched) >= Patience
	s.Again = rung == s.Rung && (s.Again || silent && rung == s.Worked)
	s.Rung, s.Fetched, s.Heard, s.Ran = rung, time.Time{}, false, false

	return why
}

// sent takes in that a file went out, whole.
func sent(s *core.Ladder, step *core.BootStep) {
	name, _, _ := strings.Cut(step.Detail, " ")

	switch {
	case step.Share != 100 || !Firmware(step.Client.Kind):
	case rungOf(name) == s.Rung && s.Rung != "":
		s.Fetched, s.Heard = step.Time, false
	case !s.Fetched.IsZero(): // what only a running program asks for
		s.Heard = true
	case rungOf(name) != "": // another DHCP server has named it
		s.Rung, s.Fetched, s.Heard, s.Ran, s.Again = rungOf(name), step.Time, false, false, false
	}
}

// arrived takes in that our agent speaks, and whether Secure Boot is on. Where no
// program of ours has asked what to boot, it came from a medium.
func arrived(s *core.Ladder, secure bool) {
	if s.Ran {
		s.Worked = s.Rung
	}

	if secure {
		s.Rung = core.LoaderShim
	}

	s.Fetched, s.Heard, s.Ran, s.Refused, s.Again = time.Time{}, false, false, secure, false
}
