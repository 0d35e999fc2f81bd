package core

import (
	"encoding/json"
	"fmt"
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

	Batch    string          `json:"batch,omitempty"`    // with BatchCompleted
	Verdicts map[Verdict]int `json:"verdicts,omitempty"` // likewise: how many of its runs ended so
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

	BatchCompleted Topic = "BatchCompleted" // the last run of a batch is over

	Alarm Topic = "Alarm" // something about identity, tokens, disk or clock needs a look
)

// Topics returns all topics.
func Topics() []Topic {
	return []Topic{StageFailed, SpecMismatch, RunFailed, HoldingOpened, RunCompleted, BatchCompleted, Alarm}
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

// SampleNote says that a batch of a run was stored. What was noted in one commit of
// the ledger stands there as one event of the appliance; see SampleEvent.
type SampleNote struct {
	Host MAC
	Run  RunID
	SampleChange
}

// sampleNotes is the data of an event that carries notes, by column, since most of a
// column is alike.
type sampleNotes struct {
	Runs   []RunID  `json:"runs"`
	Hosts  []MAC    `json:"hosts"`
	Epochs []int    `json:"epochs"`
	Seqs   []uint64 `json:"seqs"`
	Counts []int    `json:"counts"`
}

// SampleEvent is the one event that tells all the notes. It is an event of no run.
func SampleEvent(at time.Time, notes []SampleNote) (Event, error) {
	var data sampleNotes

	for _, n := range notes {
		data.Runs, data.Hosts = append(data.Runs, n.Run), append(data.Hosts, n.Host)
		data.Epochs, data.Seqs, data.Counts = append(data.Epochs, n.Epoch), append(data.Seqs, n.Seq), append(data.Counts, n.Count)
	}

	encoded, err := json.Marshal(data)

	return Event{Time: at, Kind: EventSample, Data: encoded}, err
}

// Each returns what e tells, an event for each run: e itself, or of one made by
// SampleEvent an event with a SampleChange for each note, all with the number of e.
func (e Event) Each() ([]Event, error) {
	if e.Kind != EventSample || e.Run != "" {
		return []Event{e}, nil
	}

	var data sampleNotes
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return nil, fmt.Errorf("event %d carries no notes of samples: %w", e.Seq, err)
	}

	n := len(data.Runs)
	if len(data.Hosts) != n || len(data.Epochs) != n || len(data.Seqs) != n || len(data.Counts) != n {
		return nil, fmt.Errorf("event %d carries columns of unequal length: %w", e.Seq, ErrInvalid)
	}

	events := make([]Event, n)

	for i := range events {
		change, err := json.Marshal(SampleChange{Epoch: data.Epochs[i], Seq: data.Seqs[i], Count: data.Counts[i]})
		if err != nil {
			return nil, fmt.Errorf("telling the notes of event %d: %w", e.Seq, err)
		}

		events[i] = Event{Seq: e.Seq, Time: e.Time, Kind: EventSample, Host: data.Hosts[i], Run: data.Runs[i], Data: change}
	}

	return events, nil
}

// LogChange is the data of an EventLog: the run's log reaches LastSeq.
type LogChange struct {
	LastSeq uint64 `json:"last_seq"`
}
