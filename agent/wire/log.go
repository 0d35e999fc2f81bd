package wire

// LogBatch carries lines of the agent's log. A batch whose seq was seen before
// changes nothing.
type LogBatch struct {
	Seq   uint64 `json:"seq"`
	Lines []Line `json:"lines"`
}

// Line is one line of the log.
type Line struct {
	Time  Time      `json:"time"`
	Level Level     `json:"level"`
	Stage StageName `json:"stage,omitempty"`
	Text  string    `json:"text"`
}

// Validate checks shape and limits.
func (b LogBatch) Validate() error {
	var f faults

	f.seq(b.Seq)
	f.atMost("lines", len(b.Lines), MaxLines)

	for i := range b.Lines {
		f.need("lines.level", string(b.Lines[i].Level), MaxName)
		f.atMost("lines.text", len(b.Lines[i].Text), MaxLine)
	}

	return f.err()
}

// LogReply answers [LogBatch].
type LogReply struct{}

// Validate has nothing to check.
func (LogReply) Validate() error { return nil }
