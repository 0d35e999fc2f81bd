package core

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Waiver is an operator's word that one finding of a host is known and borne with
// until a day. It changes no verdict: what failed has failed, the report says who
// bears with it, why and how long. It counts for the same finding in later runs of
// the host.
type Waiver struct {
	ID      string `json:"id"` // grows with every waiver
	Host    MAC    `json:"host"`
	Run     RunID  `json:"run"`     // in whose hold it was given
	Finding string `json:"finding"` // Finding.Mark of what is waived
	Code    string `json:"code"`

	// Severity is how grave it was then: the same thing, once it is graver, is not waived.
	Severity Severity `json:"severity"`

	Stage  StageName `json:"stage,omitempty"`
	Title  string    `json:"title"` // as the finding read then
	Part   Part      `json:"part"`
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`

	WithdrawnAt time.Time `json:"withdrawn_at,omitzero"`
	WithdrawnBy string    `json:"withdrawn_by,omitempty"`
}

// WaiverWish is what an operator asks to be waived.
type WaiverWish struct {
	Finding string    // Finding.Mark, or its code where the run has one finding of it
	Reason  string    // it stands on the report
	Until   time.Time // at most MaxWaiver from now
}

// MaxWaiver is how long a finding can be waived at once.
const MaxWaiver = 366 * 24 * time.Hour

// WaiverKey is where a waiver of a host stands.
func WaiverKey(host MAC, id string) string { return string(host) + "/" + id }

// Holds reports whether the waiver counts at a moment.
func (w *Waiver) Holds(at time.Time) bool {
	return !at.Before(w.At) && at.Before(w.Until) && (w.WithdrawnAt.IsZero() || at.Before(w.WithdrawnAt))
}

// Covers reports whether the waiver counts for a finding at a moment.
func (w *Waiver) Covers(f *Finding, at time.Time) bool {
	return w.Finding == f.Mark() && f.Waivable() && f.Severity.Rank() >= w.Severity.Rank() && w.Holds(at)
}

// Waivable reports whether a finding can be waived: what only informs need not be.
func (f *Finding) Waivable() bool { return f.Severity == Critical || f.Severity == Warning }

// Mark names what a finding is about, the same in every run: its stage and code, the
// part (by its serial, where it has one: slots change), and of findings that say it the
// rule or field. What was seen, which differs from run to run, is not in it. Twelve
// hexadecimal digits.
func (f *Finding) Mark() string {
	part := "slot " + f.Part.Slot
	if f.Part.Serial != "" {
		part = "serial " + f.Part.Serial
	}

	hash := sha256.New()

	for _, word := range []string{string(f.Stage), f.Code, f.Part.Kind, part, f.Subject} {
		_, _ = fmt.Fprintf(hash, "%d:%s", len(word), word) // a hash takes all
	}

	return hex.EncodeToString(hash.Sum(nil))[:12]
}

// ParseUntil reads until when something is to count: a time (RFC 3339), a day
// ("2026-12-31", to its end in UTC), or how long from now in days or hours ("30d", "12h").
func ParseUntil(text string, now time.Time) (time.Time, error) {
	text = strings.TrimSpace(text)

	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}

	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Add(24 * time.Hour), nil
	}

	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour} {
		number, is := strings.CutSuffix(text, unit)
		if n, err := strconv.ParseUint(number, 10, 16); is && err == nil {
			return now.UTC().Add(time.Duration(n) * length), nil
		}
	}

	return time.Time{}, NewProblem(ErrInvalid, "request/bad-time", fmt.Sprintf(
		"%.40q is no time; write a day (2026-12-31), a time (2026-12-31T18:00:00Z), or how long from now (30d, 12h).", text))
}

// Words says who bears with the finding, how long and why.
func (w *Waiver) Words() string {
	const day = "2006-01-02 15:04 MST"

	return fmt.Sprintf("by %s on %s, until %s: %s", w.By, w.At.UTC().Format(day), w.Until.UTC().Format(day), w.Reason)
}
