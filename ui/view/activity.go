package view

import (
	"net/url"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// resultMark is how an entry of the audit trail ended. Those of earlier versions do not
// say: they were all done.
func resultMark(r core.Outcome) mark.Mark {
	switch r {
	case core.OutcomeRefused:
		return mark.Mark{Class: "warn", Icon: "bang", Word: "refused"}
	case core.OutcomeFailed:
		return mark.Mark{Class: "fail", Icon: "cross", Word: "failed"}
	default:
		return mark.Mark{Class: "pass", Icon: "check", Word: "done"}
	}
}

// from is where somebody asked from.
func from(e *core.Audit) string {
	if e.From == "" {
		return "appliance"
	}

	return text.Line(e.From)
}

func entryHref(e *core.Audit) string { return "/activity?id=" + url.QueryEscape(e.ID) }

// stopWords say what stopping a task means.
func stopWords(t *route.Task) string {
	if t.Kind == "run" {
		return "The run is cancelled: the agent stops its work, and what was tested until now stays in the report."
	}

	return "It leaves off what it does, and nothing half done is kept."
}

func (a *Activity) nextHref() string {
	q := url.Values{"page_token": {a.Next}}

	for key, value := range map[string]string{"who": a.Who, "action": a.Action, "host": string(a.Host), "result": string(a.Result)} {
		if value != "" {
			q.Set(key, value)
		}
	}

	return "/activity?" + q.Encode()
}
