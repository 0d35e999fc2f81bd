package core

import (
	"fmt"
	"strings"
	"time"
)

// Sample is one measured value. Key is "kind/part/quantity_unit" from the
// catalogue in core/catalogue; Value is finite or NaN (not measurable now).
type Sample struct {
	Time  time.Time `json:"time"`
	Key   string    `json:"key"`
	Value float64   `json:"value"`
	Unit  string    `json:"unit,omitempty"`
	Stage StageName `json:"stage,omitempty"`
}

// SampleBatch is what one sensor call brought: it is stored under one key.
type SampleBatch struct {
	Run     RunID    `json:"run"`
	Epoch   int      `json:"epoch"`
	Seq     uint64   `json:"seq"`
	Samples []Sample `json:"samples"`

	// Stage and Attempt were under way when the batch came; empty outside stages.
	Stage   StageName `json:"stage,omitempty"`
	Attempt int       `json:"attempt,omitempty"`

	// Unkept counts the samples that came with it and were not kept, since the disk
	// was nearly full: those that no verdict depends on.
	Unkept int `json:"unkept,omitempty"`
}

// Rollup stands for the samples of one key in one step of time. Mean is rounded to
// four decimals; where no number came, Count is 0 and the values mean nothing. What
// the rules made of the samples is the worst badge among them.
type Rollup struct {
	Time     time.Time `json:"time"` // the step begins
	Key      string    `json:"key"`
	Unit     string    `json:"unit,omitempty"`
	Min      float64   `json:"min"`
	Max      float64   `json:"max"`
	Mean     float64   `json:"mean"`
	Count    int       `json:"count"`            // numbers
	Silent   int       `json:"silent,omitempty"` // samples without a number
	Rule     string    `json:"rule,omitempty"`
	Severity Severity  `json:"severity,omitempty"`
	Verdict  Verdict   `json:"verdict,omitempty"` // pass, fail, unmeasurable; empty: no rule looks at the key
}

// RollupBatch is a part of what was kept of a try of a stage in place of its raw
// samples.
type RollupBatch struct {
	Run     RunID         `json:"run"`
	Stage   StageName     `json:"stage,omitempty"` // empty: outside stages
	Attempt int           `json:"attempt,omitempty"`
	Step    time.Duration `json:"step"`
	Rollups []Rollup      `json:"rollups"` // by key, then time
}

// Evaluation is a rule applied to what was measured.
type Evaluation struct {
	Rule     string   `json:"rule"` // Rule.ID
	Key      string   `json:"key"`  // the key it matched; empty when none did
	Value    float64  `json:"value"`
	Limit    string   `json:"limit"` // "lte 55"
	Verdict  Verdict  `json:"verdict"`
	Severity Severity `json:"severity"`
}

// LimitWords says a limit as people read it: "below 85" for "lt 85".
func LimitWords(limit string) string {
	op, rest, ok := strings.Cut(limit, " ")

	words, known := map[Op]string{OpLT: "below ", OpLTE: "at most ", OpGT: "above ", OpGTE: "at least "}[Op(op)]
	if known && ok {
		return words + rest
	}

	if pct, of, ok := strings.Cut(rest, " of "); ok && Op(op) == OpWithinPct {
		return "within " + pct + " % of " + of
	}

	return limit
}

// Trail is what a rule saw of one key while a stage ran, kept short: extremes,
// counts, each change of the verdict, and the samples around each breach. Per
// sample verdicts can be made again from the run's rules and its samples.
type Trail struct {
	Rule     string        `json:"rule"`
	Key      string        `json:"key"`
	Limit    string        `json:"limit"`
	Severity Severity      `json:"severity"`
	Verdict  Verdict       `json:"verdict"`          // of the stage as a whole
	Count    int           `json:"count"`            // numbers judged
	Bad      int           `json:"bad"`              // of them outside the limit
	Silent   int           `json:"silent,omitempty"` // samples without a number
	Min      float64       `json:"min"`
	Max      float64       `json:"max"`
	First    time.Time     `json:"first,omitzero"`
	Last     time.Time     `json:"last,omitzero"`
	Changes  []TrailChange `json:"changes,omitempty"`  // the first ones
	Changed  int           `json:"changed,omitempty"`  // how often altogether
	Breaches []TrailBreach `json:"breaches,omitempty"` // the first ones
	Breached int           `json:"breached,omitempty"` // how many altogether
}

// TrailChange is a moment from which on another verdict held.
type TrailChange struct {
	Time    time.Time `json:"time"`
	Verdict Verdict   `json:"verdict"` // pass or fail
}

// TrailBreach is a stretch of samples outside the limit, with a few before it.
type TrailBreach struct {
	From    time.Time     `json:"from"`
	To      time.Time     `json:"to,omitzero"` // zero: to the end
	Samples []TrailSample `json:"samples"`
}

// TrailSample is a sample of the trail's key.
type TrailSample struct {
	Time  time.Time `json:"time"`
	Value float64   `json:"value"`
}

// Figures are the medians of what a stage measured, by sample key.
type Figures struct {
	Stage   StageName          `json:"stage"`
	Medians map[string]float64 `json:"medians"`
}

// Peer is a host of a class and the last run of it that passed: what it measured
// then is what others of the class are compared with.
type Peer struct {
	Class    string    `json:"class"`
	Host     MAC       `json:"host"`
	HostName string    `json:"host_name"`
	Run      RunID     `json:"run"`
	At       time.Time `json:"at"`
}

// LogLine is one line of the agent's log.
type LogLine struct {
	Seq   uint64    `json:"seq"` // grows by one per line of a run
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Stage StageName `json:"stage,omitempty"`
	Text  string    `json:"text"`
}

// Artifact is a file the agent left, kept under its content's SHA-256.
type Artifact struct {
	ID     string    `json:"id"` // run + number
	Run    RunID     `json:"run"`
	Stage  StageName `json:"stage"`
	Name   string    `json:"name"`
	Size   int64     `json:"size"`
	SHA256 string    `json:"sha256"`
	Time   time.Time `json:"time"`
}

// TrailKey is where the number-th record of trails ([]Trail) of a try of a stage
// stands. TrailPrefix is what all of them begin with.
func TrailKey(run RunID, stage StageName, attempt, number int) string {
	return fmt.Sprintf("%s%04d", TrailPrefix(run, stage, attempt), number)
}

// TrailPrefix begins the keys of the trails of a try of a stage.
func TrailPrefix(run RunID, stage StageName, attempt int) string {
	return fmt.Sprintf("%s/%s/%04d/", run, stage, attempt)
}
