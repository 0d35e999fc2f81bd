package core

import (
	"encoding/json"
	"time"
)

// EventKind names what happened, as the live stream spells it.
type EventKind string

// The kinds of event.
const (
	EventHost    EventKind = "host"
	EventRun     EventKind = "run"
	EventStage   EventKind = "stage"
	EventSample  EventKind = "sample"
	EventLog     EventKind = "log"
	EventFinding EventKind = "finding"
	EventBoot    EventKind = "boot"
	EventNotice  EventKind = "notice"
)

// Event is a line of the ledger. Seq is given by the ledger when the write that
// carries the event is committed; it grows by one and never repeats.
type Event struct {
	Seq  uint64          `json:"seq"`
	Time time.Time       `json:"time"`
	Kind EventKind       `json:"kind"`
	Host MAC             `json:"host,omitempty"`
	Run  RunID           `json:"run,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Notice is the data of an EventNotice: an alarm or an audit entry.
type Notice struct {
	Code     string   `json:"code"` // "boot/token-reused"
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`
	Who      string   `json:"who,omitempty"`

	Topic    Topic     `json:"topic,omitempty"`     // what to tell people about; empty: nothing
	HostName string    `json:"host_name,omitempty"` // with a topic
	Stage    StageName `json:"stage,omitempty"`     // with a topic, where it has one
	Next     string    `json:"next,omitempty"`      // with a topic: what to do now
}

// Topic is what a notification is about; routes choose by it and by severity.
type Topic string

// The topics.
const (
	StageFailed   Topic = "StageFailed"   // a stage ended in fail or error
	SpecMismatch  Topic = "SpecMismatch"  // the machine is not what its spec says
	RunFailed     Topic = "RunFailed"     // the run ended badly outside its stages (no boot)
	HoldingOpened Topic = "HoldingOpened" // a failed host waits for its operator, with SSH
	RunCompleted  Topic = "RunCompleted"
	Alarm         Topic = "Alarm" // something about identity, tokens, disk or clock needs a look
)

// Topics returns all topics.
func Topics() []Topic {
	return []Topic{StageFailed, SpecMismatch, RunFailed, HoldingOpened, RunCompleted, Alarm}
}

// RunChange is the data of an EventRun: where the run stands now.
type RunChange struct {
	State    State   `json:"state"`
	Verdict  Verdict `json:"verdict,omitempty"`
	Stale    bool    `json:"stale,omitempty"`    // no sign of life for a while
	Artifact string  `json:"artifact,omitempty"` // ID of a file just kept
}

// StageChange is the data of an EventStage: the row as it stands now, without
// what it found.
type StageChange struct {
	Name     StageName     `json:"name"`
	Phase    Phase         `json:"phase"`
	Verdict  Verdict       `json:"verdict,omitempty"`
	Attempt  int           `json:"attempt"`
	Progress float64       `json:"progress"`
	SubStep  string        `json:"sub_step,omitempty"`
	ETA      time.Duration `json:"eta,omitempty"`
}

// HostChange is the data of an EventHost.
type HostChange struct {
	Name       string `json:"name"`
	Quarantine string `json:"quarantine,omitempty"`
	Deleted    bool   `json:"deleted,omitempty"`
	Online     bool   `json:"online,omitempty"` // its installed agent is heard
}

// SampleChange is the data of an EventSample: a batch was stored.
type SampleChange struct {
	Epoch int    `json:"epoch"`
	Seq   uint64 `json:"seq"` // of the batch
	Count int    `json:"count"`
}

// LogChange is the data of an EventLog: the run's log reaches LastSeq.
type LogChange struct {
	LastSeq uint64 `json:"last_seq"`
}
