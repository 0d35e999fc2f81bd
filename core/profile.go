package core

import (
	"fmt"
	"time"
)

// ProfileDraft is a profile as a person writes it: what it has besides, or instead of,
// the one that it extends.
type ProfileDraft struct {
	Extends     string
	Description string
	Scale       float64           // 0: that of the one below
	Stages      []StageName       // nil: those of the one below
	Config      map[string]string // settings, laid over those below
	Rules       []Rule            // one with the ID of a rule below takes its place; one without gets an ID
}

// ProfileText is one version of a profile that was made in the console.
type ProfileText struct {
	Name    string    `json:"name"`
	Version int       `json:"version"` // from 1 on; removing one is a version, too
	Text    string    `json:"text"`    // YAML, as a person wrote it; empty: it was removed
	Digest  string    `json:"digest"`  // SHA-256 of the text, hex; empty: it was removed
	SetAt   time.Time `json:"set_at"`
	SetBy   string    `json:"set_by"`
}

// The keys of TableProfile: what a profile is now, and what each version of it was.
const (
	ProfileNow     = "now/"
	ProfileVersion = "version/"
)

// ProfileVersionKey orders the versions of one profile.
func ProfileVersionKey(name string, version int) string {
	return fmt.Sprintf("%s%s/%06d", ProfileVersion, name, version)
}

// ProfileOrigin says who gave a profile.
type ProfileOrigin string

// The origins. Where two profiles have one name, the file's counts before the shipped
// one, and both before the console's.
const (
	ProfileShipped ProfileOrigin = "shipped"
	ProfileFile    ProfileOrigin = "file"
	ProfileConsole ProfileOrigin = "console"
)

// ProfileEntry is a profile and where it comes from.
type ProfileEntry struct {
	Profile Profile // where it cannot be used, only its name
	Origin  ProfileOrigin
	Extends string      // the one below; empty: none, or it is shipped
	At      string      // of a profile of the file, where it stands: "/etc/vetting/vetting.yaml:41"
	Text    ProfileText // of a profile of the console
	Unfit   string      // why it cannot be used; empty: it can
}
