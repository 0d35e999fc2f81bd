package core

import "time"

// SettingsKey is where Settings stand in TableSetting.
const SettingsKey = "console-settings"

// Settings are what administrators have set in the console. They count below flags,
// environment and file, and above the defaults. No secret is in them: a notifier only
// says which of its secrets lie in the data directory.
type Settings struct {
	Serial    uint64            `json:"serial"` // grows by one with every change
	ChangedAt time.Time         `json:"changed_at"`
	ChangedBy string            `json:"changed_by"`
	Values    map[string]string `json:"values,omitempty"`    // by key of the configuration, as YAML writes a scalar
	Notifiers map[string]Told   `json:"notifiers,omitempty"` // by name
}

// Told is a notifier that was set up in the console, with what it is told.
type Told struct {
	Kind    string   `json:"kind"`              // "ntfy", "discord", "smtp", "webhook", "shoutrrr"
	Secrets []string `json:"secrets,omitempty"` // keys whose values lie in the data directory: "url", "token", "secret", "password"
	Version string   `json:"version,omitempty"` // of these values: each time they are typed they get files of their own; empty: of an older program
	Server  string   `json:"server,omitempty"`  // of smtp
	TLS     string   `json:"tls,omitempty"`     // of smtp
	User    string   `json:"user,omitempty"`    // of smtp
	From    string   `json:"from,omitempty"`    // of smtp
	To      []string `json:"to,omitempty"`      // of smtp
	Topic   string   `json:"topic,omitempty"`   // of ntfy

	Events     []Topic    `json:"events,omitempty"`     // none: all
	Severities []Severity `json:"severities,omitempty"` // none: all
}
