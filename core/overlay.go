package core

import "time"

// Overlay is an archive of an operator's that is unpacked beside the boot image, as
// the folder /overlay/NAME of the live system: tools, modules and libraries that the
// image does not have, and custom stages.
type Overlay struct {
	Name     string   `json:"name"`     // lower-case letters, digits and hyphens: the key
	SHA256   string   `json:"sha256"`   // of the archive as it is served, lower-case hex
	Bytes    int64    `json:"bytes"`    // of the archive
	Unpacked int64    `json:"unpacked"` // bytes of memory that its files take
	Files    int      `json:"files"`
	Manifest string   `json:"manifest"` // SHA-256 of the list of its files, by which the agent knows what must be there
	Scripts  []Script `json:"scripts,omitempty"`
}

// Script is a custom stage: an executable of an overlay whose words become sub-steps,
// measurements and findings of the stage that it follows.
type Script struct {
	Name        string        `json:"name"` // lower-case letters, digits and hyphens; its sub-steps are named "custom/NAME …"
	Description string        `json:"description,omitempty"`
	File        string        `json:"file"`               // below the folder of the overlay: "stages/fan-check"
	After       StageName     `json:"after,omitempty"`    // the stage that it follows; empty: the last of the plan
	Stage       StageName     `json:"stage,omitempty"`    // of a run: the stage that it follows there
	Timeout     time.Duration `json:"timeout"`            // of a real host; the run's scale does not shorten it
	Profiles    []string      `json:"profiles,omitempty"` // that it is for; empty: all
}

// ScriptStep names the sub-step that a script must bring about.
func ScriptStep(script string) string { return "custom/" + script }
