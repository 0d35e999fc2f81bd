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

// verdict is the data of a verdict frame: what people want to hear of a run.
type verdict struct {
	Host  core.MAC   `json:"host"`
	Run   core.RunID `json:"run"`
	State string     `json:"state"` // "pass", "warn", "fail" or "hold"
	Text  string     `json:"text"`
}

// verdictFrame says what an event means to people, where it is a verdict: a run has
// ended, or waits for its operator.
func verdictFrame(e core.Event) (frame, bool) {
	if e.Kind != core.EventNotice {
		return frame{}, false
	}

	var n core.Notice
	if err := json.Unmarshal(e.Data, &n); err != nil {
		return frame{}, false
	}

	v := verdict{Host: e.Host, Run: e.Run, Text: n.Text}

	switch n.Topic {
	case core.HoldingOpened:
		v.State = "hold"
	case core.RunFailed:
		v.State = "fail"
	case core.RunCompleted:
		v.State = map[core.Severity]string{core.Critical: "fail", core.Warning: "warn"}[n.Severity]
		if v.State == "" {
			v.State = "pass"
		}
	default:
		return frame{}, false
	}

	data, err := json.Marshal(v)

	return frame{Event: "verdict", Data: string(data)}, err == nil
}
