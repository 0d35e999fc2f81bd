package wire

import (
	"encoding/hex"
	"io/fs"
	"strings"
)

// Claim asks for the run: the boot token is consumed, the machine's identity is
// recorded or compared.
type Claim struct {
	BootID   string   `json:"boot_id"`
	Identity Identity `json:"identity"`
}

// Identity is what makes a machine that machine. A field the platform does not
// tell, or fills with a placeholder, is empty.
type Identity struct {
	SMBIOSUUID  string   `json:"smbios_uuid"`  // lower case 8-4-4-4-12
	BoardSerial string   `json:"board_serial"` // SMBIOS type 2
	MACs        []string `json:"macs"`         // permanent addresses of all NICs
}

// Validate checks shape and limits.
func (c Claim) Validate() error {
	var f faults

	f.need("boot_id", c.BootID, MaxName)
	f.atMost("identity.smbios_uuid", len(c.Identity.SMBIOSUUID), MaxName)
	f.atMost("identity.board_serial", len(c.Identity.BoardSerial), MaxName)
	f.atMost("identity.macs", len(c.Identity.MACs), MaxName)

	for _, mac := range c.Identity.MACs {
		f.mac("identity.macs", mac)
	}

	return f.err()
}

// ClaimReply hands the run over. Stages holds what is still to do, in order,
// without those of the appliance; it is empty for a run that is held.
type ClaimReply struct {
	SessionToken       string         `json:"session_token"` // for every call from now on; a secret
	Epoch              int            `json:"epoch"`         // boots claimed so far
	State              State          `json:"state"`
	Profile            string         `json:"profile"` // its name
	Scale              float64        `json:"scale"`   // shortens durations; 1 for real hosts
	Stages             []Stage        `json:"stages"`
	ExpectedDisks      []ExpectedDisk `json:"expected_disks"`
	HeartbeatIntervalS Seconds        `json:"heartbeat_interval_s"`
	OverrideFlags      []string       `json:"override_flags,omitempty"`
	OverrideUntil      Time           `json:"override_until,omitzero"` // when the flags count no more

	// Config are the settings of all stages ("SMART.self_test": "short"), also of
	// those that are not in Stages: a held run has none, and may be told to do one
	// again.
	Config map[string]string `json:"config,omitempty"`

	HostName string    `json:"host_name,omitempty"` // as people call the host
	Overlays []Overlay `json:"overlays,omitempty"`  // archives that must be unpacked beside the image

	// For the machine's own screen: the address of the run's page on the console, and the
	// same as the rows of a QR code's modules, "#" dark and "." light, without its quiet zone.
	Page string   `json:"page,omitempty"`
	QR   []string `json:"qr,omitempty"`
}

// Overlay is an archive of an operator's, unpacked as /overlay/NAME.
type Overlay struct {
	Name     string   `json:"name"`
	Manifest string   `json:"manifest"` // SHA-256 of /overlay/NAME/manifest.json, lower-case hex
	Scripts  []Script `json:"scripts,omitempty"`
}

// Script is a custom stage of an overlay.
type Script struct {
	Name     string    `json:"name"`      // of its sub-steps: "custom/NAME"
	File     string    `json:"file"`      // below /overlay/NAME
	Stage    StageName `json:"stage"`     // that it follows, and whose result it is part of
	TimeoutS Seconds   `json:"timeout_s"` // after which it is killed
}

// Stage is a stage to run.
type Stage struct {
	Name   StageName         `json:"name"`
	Config map[string]string `json:"config,omitempty"` // its settings: "self_test": "short"
}

// ExpectedDisk is a disk that should be there, and whether this run may
// overwrite it.
type ExpectedDisk struct {
	Serial    string `json:"serial"`
	WWN       string `json:"wwn,omitempty"`
	Model     string `json:"model,omitempty"`
	SizeBytes uint64 `json:"size_bytes,omitempty"`
	Armed     bool   `json:"armed"`
	// Known: an inventory alone names it, and it may have been taken out since.
	Known bool `json:"known,omitempty"`
}

// Validate checks shape and limits.
func (c ClaimReply) Validate() error {
	var f faults

	f.need("session_token", c.SessionToken, MaxToken)
	f.need("state", string(c.State), MaxName)
	f.need("profile", c.Profile, MaxName)
	f.atMost("config", len(c.Config), MaxParts)
	f.atMost("stages", len(c.Stages), len(StageNames()))
	f.atMost("expected_disks", len(c.ExpectedDisks), MaxParts)
	f.seconds("heartbeat_interval_s", c.HeartbeatIntervalS)

	if c.Epoch < 1 {
		f.add("epoch must be 1 or more")
	}

	if !(c.Scale > 0 && c.Scale <= 1000) {
		f.add("scale must be above 0 and at most 1000")
	}

	if c.HeartbeatIntervalS == 0 {
		f.add("heartbeat_interval_s is missing")
	}

	c.overlays(&f)

	for _, stage := range c.Stages {
		f.need("stages.name", string(stage.Name), MaxName)
		f.atMost("stages.config", len(stage.Config), MaxParts)
	}

	return f.err()
}

// overlays checks what is to be run as root on the machine.
func (c ClaimReply) overlays(f *faults) {
	f.atMost("host_name", len(c.HostName), MaxText)
	f.atMost("page", len(c.Page), MaxText)
	f.atMost("qr", len(c.QR), mostModules)

	for _, row := range c.QR {
		f.atMost("qr", len(row), mostModules)
	}

	f.atMost("overlays", len(c.Overlays), MaxOverlays)

	for _, o := range c.Overlays {
		if !validWord(o.Name) {
			f.add("overlays.name %.64q must be lower-case letters, digits and hyphens", o.Name)
		}

		if digest, err := hex.DecodeString(o.Manifest); err != nil || len(digest) != sha256Bytes {
			f.add("overlays.manifest must be 64 hexadecimal digits")
		}

		f.atMost("overlays.scripts", len(o.Scripts), MaxScripts)

		for _, s := range o.Scripts {
			if !validWord(s.Name) || !fs.ValidPath(s.File) {
				f.add("the script %.64q, %.64q must have a plain name and a file of its overlay", s.Name, s.File)
			}

			f.need("overlays.scripts.stage", string(s.Stage), MaxName)
			f.seconds("overlays.scripts.timeout_s", s.TimeoutS)
		}
	}
}

const (
	sha256Bytes = 32
	mostModules = 177 // of the largest QR code, along each side
)

func validWord(word string) bool {
	return word != "" && len(word) <= MaxName && strings.Trim(word, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
