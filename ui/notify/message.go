package notify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"vetting/core"
	"vetting/core/problem"
)

// message is what is told, in words that a person without the console at hand
// understands.
type message struct {
	seq      uint64 // of the event; 0: a test
	topic    core.Topic
	severity core.Severity
	code     string
	time     time.Time
	host     core.MAC
	hostName string
	run      core.RunID
	stage    core.StageName
	batch    string
	verdicts map[core.Verdict]int // how the runs of the batch ended

	title string // one line: the host and the problem's headline
	text  string // what happened
	why   string // what it means; may be empty
	next  string // what to do now; may be empty
	link  string // to the run or the host; may be empty
}

// The most that a message has of each, in characters.
const (
	maxTitle = 200
	maxText  = 1500
)

// read makes a message of an event; ok is false when there is nothing to tell.
func read(event core.Event, console string) (m message, ok bool) {
	if event.Kind != core.EventNotice {
		return message{}, false
	}

	var n core.Notice
	if err := json.Unmarshal(event.Data, &n); err != nil || n.Topic == "" {
		return message{}, false
	}

	m = message{
		seq: event.Seq, topic: n.Topic, severity: n.Severity, code: n.Code, time: event.Time, host: event.Host,
		hostName: clean(n.HostName, maxTitle), run: event.Run, stage: n.Stage,
		text: clean(n.Text, maxText), next: clean(n.Next, maxText), batch: n.Batch, verdicts: n.Verdicts,
	}

	entry, known := problem.Lookup(n.Code)
	if known {
		m.why = entry.Why
	}

	if m.next == "" {
		m.next = strings.ReplaceAll(entry.Next, "{part}", "the part")
	}

	m.title = title(m, entry.Title)
	m.link = link(console, m)

	return m, true
}

func title(m message, headline string) string {
	what := headline
	if what == "" || m.topic == core.HoldingOpened || m.topic == core.RunCompleted || m.topic == core.BatchCompleted {
		what = spoken(m.topic)
	}

	if m.stage != "" && m.topic == core.StageFailed {
		what = string(m.stage) + ": " + what
	}

	name := m.hostName
	if name == "" {
		name = cmp.Or(string(m.host), m.batch)
	}

	if name == "" {
		return clean(what, maxTitle)
	}

	return clean(name+": "+what, maxTitle)
}

func spoken(topic core.Topic) string {
	switch topic {
	case core.StageFailed:
		return "a stage failed"
	case core.SpecMismatch:
		return "not what the spec says"
	case core.RunFailed:
		return "the run failed"
	case core.HoldingOpened:
		return "held for you, SSH is open"
	case core.RunCompleted:
		return "vetting completed"
	case core.BatchCompleted:
		return "every host of the batch is done"
	default:
		return "needs a look"
	}
}

func link(console string, m message) string {
	console = strings.TrimSuffix(console, "/")

	switch {
	case console == "":
		return ""
	case m.run != "":
		return console + "/runs/" + url.PathEscape(string(m.run))
	case m.batch != "":
		return console + "/batches/" + url.PathEscape(m.batch)
	case m.host != "":
		return console + "/h/" + url.PathEscape(string(m.host))
	default:
		return console + "/"
	}
}

// body is the message without its title, a paragraph each.
func (m message) body() string {
	parts := []string{m.text}

	if m.why != "" && m.why != m.text {
		parts = append(parts, m.why)
	}

	if m.next != "" {
		parts = append(parts, "What to do: "+m.next)
	}

	return strings.Join(parts, "\n\n")
}

// trial is the message of Test.
func trial(target string, now time.Time, console string) message {
	return message{
		topic: "", severity: core.Info, time: now, title: "vetting: this is a test",
		text: fmt.Sprintf("The notifier %s works: this is what you will be told by.", target), link: link(console, message{}),
	}
}

// clean makes text that may come from a machine under test harmless: one
// paragraph of printable characters, not too long.
func clean(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")

	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}

	return text
}
