// Package wayhome chooses how a machine is sent to its own disk. Most firmware that is told
// of a file which is not there goes on to the disk at once, but some begins with the network
// again, and what a boot program has to do instead differs from machine to machine. So there
// are several ways, and a machine whose firmware is back within three minutes, without a word
// of the system on its disk, is sent by the next one. The package is
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

// Ways are those for a kind of client, in the order in which they are tried. BIOS machines
// begin with the disk: a ROM without a file to load asks on for a minute. An iPXE in the ROM
// has no file to miss.
func Ways(kind core.ClientKind, arch int) []core.Home {
	const bios = 0

	switch {
	case kind == core.ClientBIOS:
		return []core.Home{core.HomeDisk, core.HomeExit, core.HomeMissing}
	case kind == core.ClientIPXE && arch <= bios:
		return []core.Home{core.HomeDisk, core.HomeExit}
	case kind == core.ClientIPXE:
		return []core.Home{core.HomeExit, core.HomeDisk}
	default:
		return []core.Home{core.HomeMissing, core.HomeExit, core.HomeDisk}
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
// for people; "" when it is not.
func Next(s core.Homeward, client *core.BootClient, now time.Time) (way core.Home, why string) {
	ways := Ways(starter(s, client), client.Arch)
	if way = s.Way; way == "" {
		way = ways[0]
	}

	if !returned(s, client, now) || way == s.Worked && !s.Again {
		return way, ""
	}

	next := ways[(slices.Index(ways, way)+1)%len(ways)]

	return next, fmt.Sprintf("its firmware was back %s after it was sent to its own disk by %s: %s is tried now",
		now.Sub(s.Sent).Round(time.Second), Words(way), Words(next))
}

// starter is what the machine started with: an iPXE mostly comes by way of a firmware.
func starter(s core.Homeward, client *core.BootClient) core.ClientKind {
	if client.Kind == core.ClientIPXE && s.Kind != "" {
		return s.Kind
	}

	return client.Kind
}

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
	if stays {
		if !s.Sent.IsZero() && step.Time.Sub(s.Sent) > Patience {
			arrived(s)
		}

		s.Kind, s.MAC, s.Began, s.Sent = "", "", time.Time{}, time.Time{}

		return ""
	}

	switch step.Kind {
	case "offer":
		why = offered(s, step)
	case "ack", "tftp-missing":
		if missed(step) {
			s.Sent = step.Time
		}
	case "script":
		if strings.HasPrefix(step.Detail, "local") && !strings.Contains(step.Detail, "://") {
			s.Sent = step.Time
		}
	}

	return why
}

// missed reports whether a firmware was told of the file that is not there.
func missed(step *core.BootStep) bool {
	return strings.HasSuffix(step.Detail, core.NoBoot) && step.Client.Kind != core.ClientIPXE
}

func offered(s *core.Homeward, step *core.BootStep) (why string) {
	since := step.Time.Sub(s.Sent)

	switch kind := step.Client.Kind; kind {
	case core.ClientAgent, core.ClientOther:
		if !s.Sent.IsZero() && since > settling { // the system on the disk speaks
			arrived(s)
		}

		return ""
	case core.ClientIPXE:
		// What a firmware of ours has started, unless it is the firmware.
		if s.Kind != "" && s.Kind != core.ClientIPXE && step.Time.Sub(s.Began) <= Patience {
			return ""
		}
	case core.ClientBIOS, core.ClientUEFI, core.ClientHTTP:
	}

	back := returned(*s, &step.Client, step.Time)

	switch {
	case back:
		way, reason := Next(*s, &step.Client, step.Time)
		s.Again, why = reason == "", reason
		s.Way = way
	case !s.Sent.IsZero() && since <= Patience: // the next entry of the same boot order
		return ""
	case !s.Sent.IsZero():
		arrived(s)
	}

	if s.Way == "" {
		s.Way = Ways(step.Client.Kind, step.Client.Arch)[0]
	}

	s.Kind, s.MAC, s.Began, s.Sent = step.Client.Kind, step.Client.MAC, step.Time, time.Time{}

	return why
}

// arrived takes in that the machine got home.
func arrived(s *core.Homeward) {
	s.Worked, s.Again, s.Sent = s.Way, false, time.Time{}
}
