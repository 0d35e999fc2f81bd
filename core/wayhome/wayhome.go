// Package wayhome chooses how a machine is sent to its own disk. Most firmware that is told
// of a file which is not there goes on to the disk at once, but some begins with the network
// again, and what a boot program has to do instead differs from machine to machine. So there
// are several ways, and a machine whose firmware is twice in a row back within three minutes,
// without a word of the system on its disk, is sent by the next one. The package is
// pure: what it says follows from the steps seen and the time alone.
package wayhome

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"vetting/core"
)

const (
	// Patience is how soon after it was sent home a machine that comes back did not get
	// there.
	Patience = 3 * time.Minute
	// turn is how soon a firmware asks again that repeats itself within one boot.
	turn = 15 * time.Second
	// settling is how soon nobody but a boot program still speaks: what comes later and is
	// no firmware is the system on the disk.
	settling = 5 * time.Second
)

// Architectures of UEFI (RFC 4578, and IANA's list) for which there is a boot program of ours.
const (
	bios, archBC, archX64, archARM64, archX64HTTP, archBCHTTP, archARM64HTTP = 0, 7, 9, 11, 16, 17, 19
)

// class is what a machine starts with, as far as its ways go. What one has found says nothing
// of another, such as once a machine was switched from BIOS to UEFI.
func class(kind core.ClientKind, arch int) string {
	switch {
	case kind == core.ClientBIOS:
		return "bios"
	case kind == core.ClientIPXE && arch <= bios:
		return "ipxe of bios"
	case kind == core.ClientIPXE:
		return "ipxe of uefi"
	}

	switch arch {
	case archBC, archX64, archARM64, archX64HTTP, archBCHTTP, archARM64HTTP:
		return "uefi"
	default:
		return "uefi without a program"
	}
}

// ways are those of what a machine starts with. UEFI is not sent to one of several disks
// unasked: what a boot program finds first there may be another system than the firmware's.
func ways(class string, several bool) []core.Home {
	all := waysOf(class)
	if several && (class == "uefi" || class == "ipxe of uefi") {
		all = slices.DeleteFunc(all, func(way core.Home) bool { return way == core.HomeDisk })
	}

	return all
}

// waysOf are those of a class, in the order in which they are tried. BIOS machines begin with
// the disk: a ROM without a file to load asks on for a minute. An iPXE in the ROM has no file
// to miss, and where there is no boot program of ours nothing but the missing file is left.
func waysOf(class string) []core.Home {
	switch class {
	case "bios":
		return []core.Home{core.HomeDisk, core.HomeExit, core.HomeMissing}
	case "ipxe of bios":
		return []core.Home{core.HomeDisk, core.HomeExit}
	case "ipxe of uefi":
		return []core.Home{core.HomeExit, core.HomeDisk}
	case "uefi":
		return []core.Home{core.HomeMissing, core.HomeExit, core.HomeDisk}
	default:
		return []core.Home{core.HomeMissing}
	}
}

// Loader is the boot program that begins a way on which one is needed. The live image as one
// program knows no way back; the signed one does, and starts without Secure Boot, too.
func Loader(rung core.Loader) core.Loader {
	if rung == core.LoaderUKI {
		return core.LoaderShim
	}

	return rung
}

// Next returns the way for a machine that asks at now, and why it is another than before,
// for people; "" when it is not. A way is left once the machine came back twice in a row: once
// somebody may have restarted it whom nobody heard of.
func Next(s core.Homeward, client *core.BootClient, now time.Time) (way core.Home, why string) {
	started := startedBy(s, client)

	all := ways(started, s.Several)
	if way = s.Way; way == "" || s.Class != started {
		return all[0], ""
	}

	if !returned(s, client, now) {
		if s.Sent.IsZero() || now.Sub(s.Sent) <= Patience || proven(s) {
			return way, ""
		}

		return all[0], fmt.Sprintf("nothing was heard of the system on its disk after it was sent there by %s: %s is tried again", Words(way), Words(all[0]))
	}

	next := all[(slices.Index(all, way)+1)%len(all)]
	if !s.Again || next == way {
		return way, ""
	}

	why = fmt.Sprintf("its firmware was back %s after it was sent to its own disk by %s, and the time before: %s is tried now",
		now.Sub(s.Sent).Round(time.Second), Words(way), Words(next))
	if s.Several && started == "uefi" && way == core.HomeExit {
		why += "; it has several disks, so that one is started by a boot program only where you choose so: vetting host edit HOST --home disk"
	}

	return next, why
}

// startedBy is the class of what the machine started with: an iPXE mostly comes by way of a
// firmware, and a system is no firmware.
func startedBy(s core.Homeward, client *core.BootClient) string {
	switch client.Kind {
	case core.ClientIPXE:
		if s.Kind != "" && s.Kind != core.ClientIPXE {
			return s.Class
		}
	case core.ClientAgent, core.ClientOther:
		if s.Class != "" {
			return s.Class
		}
	case core.ClientBIOS, core.ClientUEFI, core.ClientHTTP:
	}

	return class(client.Kind, client.Arch)
}

// proven reports whether silence may be taken for the system on the disk: after the first way,
// which most firmware follows, and after one that was seen to work. After another it may as
// well be a boot program that hangs.
func proven(s core.Homeward) bool { return s.Way == waysOf(s.Class)[0] || s.Way == s.Worked }

// returned reports whether the machine begins anew soon after it was sent home. Another port,
// or the same by HTTP after TFTP, is the next entry of the same boot order.
func returned(s core.Homeward, client *core.BootClient, now time.Time) bool {
	return !s.Sent.IsZero() && client.Kind == s.Kind && client.MAC == s.MAC && now.Sub(s.Began) > turn && now.Sub(s.Sent) <= Patience
}

// Words names a way for people.
func Words(way core.Home) string {
	switch way {
	case core.HomeMissing:
		return "a file that is not there"
	case core.HomeExit:
		return "a boot program that gives it back to its firmware"
	case core.HomeDisk:
		return "a boot program that starts its disk"
	default:
		return "what is found to work"
	}
}

// See takes a step of a boot into account, of a machine that is to go home or, with stays,
// is not. It says what of it people should read: that another way is tried, and why.
func See(s *core.Homeward, step *core.BootStep, stays bool) (why string) {
	since := step.Time.Sub(s.Sent)

	if stays {
		if !s.Sent.IsZero() && since > Patience && proven(*s) {
			arrived(s)
		}

		s.Kind, s.MAC, s.Began, s.Sent = "", "", time.Time{}, time.Time{}

		return ""
	}

	if !s.Sent.IsZero() && since > settling && system(step) {
		arrived(s)

		return ""
	}

	switch step.Kind {
	case "offer":
		why = offered(s, step)
	case "tftp-missing", "http-missing":
		// Anybody may ask for it; it was told of by this way alone.
		if s.Way == core.HomeMissing && step.Detail == core.NoBoot && firmware(step.Client.Kind) {
			s.Sent = step.Time
		}
	case "script":
		if s.Way != core.HomeMissing && strings.HasPrefix(step.Detail, "local") && !strings.Contains(step.Detail, "://") {
			s.Sent = step.Time
		}
	}

	return why
}

func firmware(kind core.ClientKind) bool {
	return kind == core.ClientBIOS || kind == core.ClientUEFI || kind == core.ClientHTTP
}

// system reports whether it is a system that speaks. One that had an address before only
// requests it once more, and beside another DHCP server it is overheard.
func system(step *core.BootStep) bool {
	switch step.Kind {
	case "discover", "offer", "request", "ack", "inform", "overheard":
		return step.Client.Kind == core.ClientAgent || step.Client.Kind == core.ClientOther
	default:
		return false
	}
}

func offered(s *core.Homeward, step *core.BootStep) (why string) {
	kind := step.Client.Kind

	if kind == core.ClientIPXE && firmware(s.Kind) && step.Time.Sub(s.Began) <= Patience {
		return "" // what a firmware of ours has started
	}

	if kind != core.ClientIPXE && !firmware(kind) {
		return ""
	}

	if is := class(kind, step.Client.Arch); s.Class != is {
		*s = core.Homeward{Class: is, Way: waysOf(is)[0], Several: s.Several}
	}

	back := returned(*s, &step.Client, step.Time)

	switch way, reason := Next(*s, &step.Client, step.Time); {
	case back:
		s.Again, s.Way, why = reason == "", way, reason
	case !s.Sent.IsZero() && step.Time.Sub(s.Sent) <= Patience: // the next entry of the same boot order
		return ""
	case !s.Sent.IsZero() && reason != "":
		s.Again, s.Way, why = false, way, reason
	case !s.Sent.IsZero():
		arrived(s)
	}

	s.Kind, s.MAC, s.Began, s.Sent = kind, step.Client.MAC, step.Time, time.Time{}

	return why
}

// arrived takes in that the machine got home.
func arrived(s *core.Homeward) {
	s.Worked, s.Again, s.Sent = s.Way, false, time.Time{}
}
