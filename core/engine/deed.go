package engine

import (
	"log/slog"

	"vetting/core"
	"vetting/core/problem"
)

// deed is something an operator did.
type deed struct {
	who    string
	action string // "host.delete"
	object string // "class/r640"; empty: the run, or else the host
	host   core.MAC
	run    core.RunID
	text   string // a sentence without its subject
	before string // digests; empty: was not there, is not there any more
	after  string
}

// audit leaves an entry in the audit trail, and an event about it, in the write
// that does the deed.
func (c *change) audit(d deed) error {
	switch {
	case d.object != "":
	case d.run != "":
		d.object = "run/" + string(d.run)
	default:
		d.object = "host/" + string(d.host)
	}

	err := core.WriteAudit(c.Txn, core.Audit{
		Time: c.now, Who: clip(d.who, maxWord), Action: d.action, Object: clip(d.object, maxWord), Host: d.host, Run: d.run,
		Text: clip(d.text, maxNote), Before: d.before, After: d.after,
	})
	if err != nil {
		return err
	}

	c.told = append(c.told, slog.Group("notice", slog.String("code", problem.OperatorAction), slog.String("host", string(d.host)),
		slog.String("run", string(d.run)), slog.String("text", d.text), slog.String("who", d.who)))

	return c.emit(core.EventNotice, d.host, d.run, core.Notice{
		Code: problem.OperatorAction, Severity: core.Info, Text: clip(d.text, maxNote), Who: clip(d.who, maxWord),
	})
}
