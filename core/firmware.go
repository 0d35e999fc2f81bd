package core

import "time"

// FirmwareBaseline is the operator's text of rules that the firmware of all hosts is
// held against, as it was set.
type FirmwareBaseline struct {
	Text   string    `json:"text"`   // YAML; empty: none was set, or it was taken away
	Digest string    `json:"digest"` // SHA-256 of Text, hex
	SetAt  time.Time `json:"set_at,omitzero"`
	SetBy  string    `json:"set_by,omitempty"`
}

// FirmwareRules says by which texts the firmware of a run is judged. They are frozen
// with the run: each is kept in the ledger under its digest, whatever is set later.
type FirmwareRules struct {
	Baseline  string `json:"baseline,omitempty"`  // SHA-256 of the operator's text; empty: there was none
	Catalogue string `json:"catalogue,omitempty"` // of the appliance's own; empty: it had none
}

// FirmwareTexts are the texts of FirmwareRules. Either may be empty.
type FirmwareTexts struct {
	Baseline  string
	Catalogue string
}

// FirmwareSetting is a state of the platform's firmware that is no version: a
// mitigation of the CPUs, Secure Boot, an option of the BIOS.
type FirmwareSetting struct {
	Part  Part   `json:"part"`
	Group string `json:"group"` // "vulnerability", "bios", "platform", "nvme"
	Name  string `json:"name"`  // "spectre_v2", "BootMode", "secure-boot"
	Value string `json:"value"`
}

// FirmwareCase is what a run found of firmware, and what there is to hold it against.
type FirmwareCase struct {
	Class    string // of the host; empty: none
	System   System
	Items    []FirmwareItem
	Settings []FirmwareSetting
	Peers    []FirmwareSnapshot // of other hosts of the same model, each as it last passed
}

// FirmwareCheck is one rule held against one piece of firmware.
type FirmwareCheck struct {
	Rule     string   `json:"rule"` // its id
	From     string   `json:"from"` // "baseline" or "catalogue"
	Kind     string   `json:"kind"` // "exact", "min", "deny" or "cohort"
	Part     Part     `json:"part"`
	Name     string   `json:"name,omitempty"` // of the item; empty: there is no such item
	Version  string   `json:"version,omitempty"`
	Want     string   `json:"want"` // "2.19.1 or later"
	Verdict  Verdict  `json:"verdict"`
	Severity Severity `json:"severity,omitempty"` // of the finding, where there is one
	Note     string   `json:"note,omitempty"`     // why it could not be judged, or what it was compared with
}

// FirmwareJudgement is what came of a FirmwareCase.
type FirmwareJudgement struct {
	Checks   []FirmwareCheck
	Findings []Finding
	Broken   bool // what a rule requires was not there or could not be judged: an error
	Bad      int  // checks that fail and are critical, also of those beyond what a run keeps
	LeftOut  int  // findings beyond what a run keeps
}

// FirmwareSnapshot is the firmware of one host as one run found and judged it.
type FirmwareSnapshot struct {
	Host     MAC               `json:"host"`
	HostName string            `json:"host_name"`
	Run      RunID             `json:"run"`
	At       time.Time         `json:"at"`
	Class    string            `json:"class,omitempty"`
	Model    string            `json:"model,omitempty"` // manufacturer and product of the system
	Rules    FirmwareRules     `json:"rules"`
	Items    []FirmwareItem    `json:"items"`
	Settings []FirmwareSetting `json:"settings,omitempty"`
	Checks   []FirmwareCheck   `json:"checks,omitempty"`
}

// Off reports whether a rule speaks against the host's firmware.
func (s *FirmwareSnapshot) Off() bool {
	for i := range s.Checks {
		if v := s.Checks[i].Verdict; v == Fail || v == Error {
			return true
		}
	}

	return false
}
