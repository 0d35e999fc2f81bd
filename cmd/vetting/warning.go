package main

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"vetting/core"
	"vetting/ui"
)

// warnings are what everybody who looks at the console must know of the appliance
// as it runs, one for each subject. The zero value is empty. Safe for concurrent
// use.
type warnings struct {
	mu    sync.Mutex
	about map[string]ui.Warning // by subject
}

// warn puts a warning in the place of what was said about the subject.
func (w *warnings) warn(subject string, severity core.Severity, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()

	if w.about == nil {
		w.about = map[string]ui.Warning{}
	}

	w.about[subject] = ui.Warning{Severity: severity, Text: text}
}

// settle takes back what was said about the subject.
func (w *warnings) settle(subject string) {
	w.mu.Lock()
	defer w.mu.Unlock()

	delete(w.about, subject)
}

// list returns the warnings, the gravest first.
func (w *warnings) list() []ui.Warning {
	w.mu.Lock()
	defer w.mu.Unlock()

	return slices.SortedFunc(maps.Values(w.about), func(a, b ui.Warning) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Text, b.Text))
	})
}
