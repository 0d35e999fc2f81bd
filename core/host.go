package core

import (
	"fmt"
	"strings"
	"time"
)

// MAC is an EUI-48 hardware address in lower case with colons: "52:54:00:12:34:56".
// It is an address, not an identity: see Identity.
type MAC string

// ParseMAC reads a MAC as people, iPXE (01-52-54-…, colons, percent-decoded),
// GRUB and switches write it: with colons, hyphens, dots or nothing between
// the digits, in any case, with or without a leading hardware type 01.
func ParseMAC(s string) (MAC, error) {
	digits := strings.Map(func(r rune) rune {
		switch {
		case r == ':' || r == '-' || r == '.':
			return -1
		case r >= 'A' && r <= 'F':
			return r + 'a' - 'A'
		default:
			return r
		}
	}, strings.TrimSpace(s))

	if len(digits) == 14 && strings.HasPrefix(digits, "01") {
		digits = digits[2:]
	}

	if len(digits) != 12 || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", NewProblem(ErrInvalid, "host/bad-mac",
			fmt.Sprintf("%q is not a MAC address; write it like 52:54:00:12:34:56", s))
	}

	var b strings.Builder

	for i := 0; i < 12; i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}

		b.WriteString(digits[i : i+2])
	}

	return MAC(b.String()), nil
}

// TrashLife is how long a deleted host can be brought back, unless the configuration says
// otherwise.
const TrashLife = 7 * 24 * time.Hour

// Host is a machine under test. It may be shown to anybody who may see hosts:
// passwords live in HostSecret.
type Host struct {
	MAC         MAC       `json:"mac"`               // primary MAC, the key
	Aliases     []MAC     `json:"aliases,omitempty"` // its other NICs
	Name        string    `json:"name"`
	AssetTag    string    `json:"asset_tag,omitempty"`
	Rack        string    `json:"rack,omitempty"`  // "B07/U12"
	Class       string    `json:"class,omitempty"` // model class: whose spec and rules it shares, see Class
	Tags        []string  `json:"tags,omitempty"`  // each once, in the order given
	Notes       string    `json:"notes,omitempty"`
	Power       Power     `json:"power"`
	Loader      Loader    `json:"loader,omitempty"`      // its boot program; empty: what is found to work
	Home        Home      `json:"home,omitempty"`        // how it is sent to its own disk; empty: what is found to work
	BootURL     string    `json:"boot_url,omitempty"`    // where its iPXE is sent once it has passed and no run waits: a URL, OwnDisk, or empty for what its last profile says
	ProfileURL  string    `json:"profile_url,omitempty"` // what that says, see profile.NextBoot; empty: its own disk
	Overrides   Override  `json:"overrides,omitzero"`    // thresholds and stages of this host only
	Identity    Identity  `json:"identity"`              // empty until the first claim
	Quarantine  string    `json:"quarantine,omitempty"`  // reason; empty: not quarantined
	SpecYAML    string    `json:"spec_yaml,omitempty"`   // expected spec as written; empty: the class's
	CurrentRun  RunID     `json:"current_run,omitempty"` // the run that is not over yet
	LastRun     RunID     `json:"last_run,omitempty"`
	LastVerdict Verdict   `json:"last_verdict,omitempty"`
	Stranger    bool      `json:"self_registered,omitempty"` // registered itself; no operator has changed it or approved its key since
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
	OffOwed     bool      `json:"off_owed,omitempty"`  // it is to be switched off and nobody has done so yet
	OffDue      time.Time `json:"off_due,omitzero"`    // when it is to be, unless its agent is told or it is used meanwhile
	DeletedAt   time.Time `json:"deleted_at,omitzero"` // set in TableTrash only
	DeletedBy   string    `json:"deleted_by,omitempty"`
}

// OwnDisk stands for the machine's own disk, in place of a boot URL.
const OwnDisk = "disk"

// Onward returns the URL that the machine's iPXE is sent to while no run waits for it;
// empty: it goes to its own disk. One that has not passed its last run does.
func (h *Host) Onward() string {
	switch {
	case h.LastVerdict != Pass || h.BootURL == OwnDisk:
		return ""
	case h.BootURL != "":
		return h.BootURL
	default:
		return h.ProfileURL
	}
}

// Override changes, for one class, host or run, what the profile says.
type Override struct {
	Rules  []Rule               `json:"rules,omitempty"`  // replace rules of the same id, add the others
	Config map[string]string    `json:"config,omitempty"` // "SMART.self_test": "none"
	Skip   map[StageName]string `json:"skip,omitempty"`   // stage → why it is not run: a declared skip, printed
}

// Class is what hosts of one model share.
type Class struct {
	Name      string    `json:"name"` // "r640-nvme": the key
	SpecYAML  string    `json:"spec_yaml,omitempty"`
	Overrides Override  `json:"overrides,omitzero"`
	Notes     string    `json:"notes,omitempty"`
	Golden    MAC       `json:"golden,omitempty"` // the host that others are compared with while few have passed
	UpdatedAt time.Time `json:"updated_at"`
	UpdatedBy string    `json:"updated_by,omitempty"`
}

// Identity is what makes a machine that machine, read from SMBIOS by the agent
// (System Information UUID, Baseboard serial) and from its NICs. A field the
// platform does not tell is empty; placeholders count as not told.
type Identity struct {
	SMBIOSUUID  string `json:"smbios_uuid,omitempty"` // lower case 8-4-4-4-12
	BoardSerial string `json:"board_serial,omitempty"`
	MACs        []MAC  `json:"macs,omitempty"`
}

// Known reports whether an identity was ever recorded.
func (i Identity) Known() bool { return i.SMBIOSUUID != "" || i.BoardSerial != "" }

// Sighting is a machine that was heard on the test NIC and is not registered.
type Sighting struct {
	MAC       MAC       `json:"mac"`
	Vendor    string    `json:"vendor,omitempty"` // DHCP option 60 as sent, cleaned
	Arch      string    `json:"arch,omitempty"`   // "bios", "uefi-x64", …
	UUID      string    `json:"uuid,omitempty"`   // DHCP option 97
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`
	Count     int       `json:"count"`
	IgnoredAt time.Time `json:"ignored_at,omitzero"` // since when people want to see no more of it; zero: they do
	IgnoredBy string    `json:"ignored_by,omitempty"`
}

// MostIgnored bounds the machines that are ignored: each is remembered until it is
// adopted or heeded again, whoever else is heard meanwhile.
const MostIgnored = 256

// PartOwner is who was last found to have a part.
type PartOwner struct {
	Part     Part      `json:"part"`
	Host     MAC       `json:"host"`
	HostName string    `json:"host_name"`
	Run      RunID     `json:"run"`
	Seen     time.Time `json:"seen"`
}

// ImportRow is one host of a list. Edit sets what the list tells and leaves the
// rest; it is a plain function of its argument and may be called more than once.
type ImportRow struct {
	Line int // in the list, for people
	MAC  MAC
	Edit func(*Host)
}

// Imported is what became, or would become, of a row.
type Imported struct {
	Line    int    `json:"line"`
	MAC     MAC    `json:"mac"`
	Name    string `json:"name"`
	New     bool   `json:"new,omitempty"`
	Changed bool   `json:"changed,omitempty"` // of a host that was there
}
