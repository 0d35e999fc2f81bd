package profile

import (
	"slices"
	"strings"

	"vetting/core"
)

// BootOverlays names the overlays that are unpacked beside the boot image, with commas
// or spaces between: for a profile, a class, a host or one run. The latter replace the
// former.
const BootOverlays = "Boot.overlays"

// maxOverlays bounds those of one run.
const maxOverlays = 8

// Overlays returns the names of the overlays that a profile asks for, each once.
func Overlays(p *core.Profile) []string {
	names := strings.FieldsFunc(p.Config[BootOverlays], func(r rune) bool { return r == ',' || r == ' ' })
	slices.Sort(names)

	return slices.Compact(names)
}

func overlaySettings() map[string]setting {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"

	return map[string]setting{BootOverlays: {like: "names of overlays with commas between, at most 8", fits: func(value string) bool {
		names := Overlays(&core.Profile{Config: map[string]string{BootOverlays: value}})

		return len(value) <= 512 && len(names) <= maxOverlays && !slices.ContainsFunc(names, func(name string) bool { return strings.Trim(name, letters) != "" })
	}}}
}
