package worker

import (
	"encoding/json"
	"fmt"
	"time"
)

// Type says what a message of a worker is about.
type Type string

// The messages a worker sends. Heartbeats, done and failed are dealt with by the
// process and are not handed on.
const (
	Ready    Type = "ready"    // set up; Text says what with
	Canary   Type = "canary"   // Caught says whether the planted fault was found; Text what it was
	Progress Type = "progress" // Done and Text
	Event    Type = "event"    // Kind and Data
	Log      Type = "log"      // Text is for the run's log

	beat   Type = "beat"   // Lane and Age: of the lane that has not moved for longest
	done   Type = "done"   // the test was done
	failed Type = "failed" // it could not be done; Text says why
)

// Message is a line that a worker writes.
type Message struct {
	Type   Type            `json:"type"`
	Text   string          `json:"text,omitempty"`
	Caught bool            `json:"caught,omitempty"`
	Done   float64         `json:"done,omitempty"` // 0..1
	Kind   string          `json:"kind,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Lane   string          `json:"lane,omitempty"`
	Age    time.Duration   `json:"age,omitempty"`
}

// Decode reads the data of an event.
func (m *Message) Decode(into any) error {
	if err := json.Unmarshal(m.Data, into); err != nil {
		return fmt.Errorf("reading the event %s: %w", m.Kind, err)
	}

	return nil
}

// setup is the first line that a worker reads.
type setup struct {
	Name    string          `json:"name"`
	Beat    time.Duration   `json:"beat"` // how often it says that it lives
	Threads int             `json:"threads"`
	Config  json.RawMessage `json:"config"`
}

// command is every further line.
type command struct {
	Data json.RawMessage `json:"data"`
}

// maxLine bounds a line of either side.
const maxLine = 4 << 20
