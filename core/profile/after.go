package profile

import (
	"net/url"
	"strings"

	"vetting/core"
)

// What a machine does once its run has passed; for a profile, a class, a host or one run.
const (
	// AfterRun is what its agent does: "off" switches it off, "reboot" starts it anew.
	AfterRun = "Boot.after_run"
	// NextBoot is where the network sends it from then on, while no run waits for it:
	// core.OwnDisk, or the URL of a script for its iPXE.
	NextBoot = "Boot.next"
)

// maxURL bounds the address of a script.
const maxURL = 512

func afterSettings() map[string]setting {
	return map[string]setting{
		AfterRun: oneOf("off", "reboot"),
		NextBoot: {like: "disk, or a URL in one word that begins with http://, https:// or tftp://", fits: func(value string) bool { return value == core.OwnDisk || FitsURL(value) }},
	}
}

// FitsURL lets through what a boot program takes as one word: the address goes into a
// script of iPXE, which expands ${…} and ends commands at && and ||.
func FitsURL(address string) bool {
	u, err := url.Parse(address)
	odd := strings.ContainsFunc(address, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~:/?=%,+@&[]", r)
	})

	return err == nil && !odd && len(address) <= maxURL && !strings.Contains(address, "&&") && u.Host != "" && u.User == nil &&
		(u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "tftp")
}

// Reboots reports whether a machine that has passed is to start anew instead of being
// switched off.
func Reboots(p *core.Profile) bool { return p.Config[AfterRun] == "reboot" }

// Next returns the URL that machines are sent to that have passed; empty: they go to their
// own disk.
func Next(p *core.Profile) string {
	if at := p.Config[NextBoot]; at != core.OwnDisk {
		return at
	}

	return ""
}

// AfterWords says what a machine does that has passed with a profile; own is the URL that
// is set for the machine itself, which counts before the profile's.
func AfterWords(p *core.Profile, own string) string {
	host := core.Host{BootURL: own, ProfileURL: Next(p), LastVerdict: core.Pass}

	words, disk := "It is switched off; its next boot from the network leads to ", "its own disk."
	if Reboots(p) {
		words = "It starts anew, and the network sends it to "
	}

	if at := host.Onward(); at != "" {
		return words + at
	}

	return words + disk
}
