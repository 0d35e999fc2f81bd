// Package problem lists every reason code a person may meet, with a title, why
// it matters, what to do next and how grave it is. Console, report, notification
// and log print the same code; docs/reason-codes.md is made from Markdown.
package problem

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"vetting/core"
)

// Entry explains one code.
type Entry struct {
	Code     string // "room-or-stage/kebab-case"; never changes its meaning
	Title    string // a few words, as a headline
	Why      string // what it means, one or two sentences
	Next     string // what a technician or operator does now
	Severity core.Severity
}

// All returns the whole list, sorted by code.
func All() []Entry { return slices.Clone(list()) }

// list is the whole list, sorted once: every finding looks its words up here.
var list = sync.OnceValue(func() []Entry { //nolint:gochecknoglobals // made once, never changed
	all := slices.Concat(
		runs(), hosts(), hostKeys(), holds(), decisions(), waivers(), notes(), boots(), doctors(), specs(), inventories(), firmwares(), smarts(), samples(), spaces(),
		workers(),
		cpus(),
		faults(),
		sensors(),
		burns(),
		supplies(),
		networks(),
		memories(),
		storages(),
		sticks(),
		rooms(),
		wires(),
		platforms(),
		overlays(),
		gpus(),
	)
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Code, b.Code) })

	return all
})

// Lookup finds the entry of a code.
func Lookup(code string) (Entry, bool) {
	all := list()
	i, ok := slices.BinarySearchFunc(all, code, func(e Entry, c string) int { return strings.Compare(e.Code, c) })

	if !ok {
		return Entry{}, false
	}

	return all[i], true
}

// Finding writes a finding in the words of the list. An empty severity is the
// entry's own. A code that is not listed keeps its code and is explained as such.
func Finding(code string, severity core.Severity, stage core.StageName, part core.Part, evidence string) core.Finding {
	e, ok := Lookup(code)
	if !ok {
		e = Entry{Title: code, Next: "Look at the evidence and the log.", Severity: core.Warning}
	}

	if severity == "" {
		severity = e.Severity
	}

	title := e.Title
	if name := partName(part); name != "" {
		title += ": " + name
	}

	return core.Finding{
		Code: code, Severity: severity, Title: title, Stage: stage, Part: part, Evidence: evidence, Next: nextFor(e.Next, part),
	}
}

// partName names a part the way it is written on the machine.
func partName(p core.Part) string {
	words := []string{}

	for _, w := range []string{p.Slot, p.Model} {
		if w != "" {
			words = append(words, w)
		}
	}

	return strings.Join(words, " ")
}

// nextFor puts the part's name where a next step says {part}.
func nextFor(next string, p core.Part) string {
	name := "the " + p.Kind
	if p.Kind == "" {
		name = "the part"
	}

	if p.Slot != "" {
		name = p.Slot
	}

	return strings.ReplaceAll(next, "{part}", name)
}

// Markdown prints the list as the page docs/reason-codes.md.
func Markdown() string {
	var b strings.Builder

	b.WriteString("# Reason codes\n\nMade from core/problem; do not edit.\n\n" +
		"| Code | Severity | What it says | Why it matters | What to do |\n|---|---|---|---|---|\n")

	for _, e := range All() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", e.Code, e.Severity, e.Title, e.Why,
			strings.ReplaceAll(e.Next, "{part}", "the part"))
	}

	return b.String()
}
