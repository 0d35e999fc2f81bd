package sse

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"vetting/core"
)

// frame is one message of the stream (WHATWG HTML, 9.2.6). ID 0 means no id.
type frame struct {
	ID    uint64
	Event string
	Data  string
}

// write puts the frame on w. Every line of Data gets its own "data:", so that
// text from a machine under test cannot end the frame and forge another.
func (f frame) write(w io.Writer) error {
	var b strings.Builder

	if f.ID > 0 {
		b.WriteString("id: " + strconv.FormatUint(f.ID, 10) + "\n")
	}

	if f.Event != "" {
		b.WriteString("event: " + f.Event + "\n")
	}

	data := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(f.Data)
	for line := range strings.SplitSeq(data, "\n") {
		b.WriteString("data: " + line + "\n")
	}

	b.WriteString("\n")

	_, err := io.WriteString(w, b.String())

	return err
}

// eventFrame shows an event of the ledger. Log and sample frames carry no id:
// whoever missed one catches up by asking for what is past the last.
func eventFrame(e core.Event) (frame, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return frame{}, fmt.Errorf("encoding event %d: %w", e.Seq, err)
	}

	f := frame{ID: e.Seq, Event: string(e.Kind), Data: string(data)}
	if e.Kind == core.EventLog || e.Kind == core.EventSample {
		f.ID = 0
	}

	return f, nil
}

// logLines is the data of a log frame.
type logLines struct {
	Run   core.RunID     `json:"run"`
	Lines []core.LogLine `json:"lines"`
	After uint64         `json:"after"` // seq of the last line
}

func logFrame(run core.RunID, lines []core.LogLine) (frame, error) {
	data, err := json.Marshal(logLines{Run: run, Lines: lines, After: lines[len(lines)-1].Seq})
	if err != nil {
		return frame{}, fmt.Errorf("encoding log lines of %s: %w", run, err)
	}

	return frame{Event: string(core.EventLog), Data: string(data)}, nil
}
