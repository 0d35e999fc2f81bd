package view

import (
	"fmt"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/ui/text"
)

// metered is the stage under way whose parts tell how far they are; nil: there is none.
func (r *Run) metered() *core.Stage {
	for i := range r.Run.Stages {
		if st := &r.Run.Stages[i]; st.Phase == core.Active && len(st.Meters) > 0 {
			return st
		}
	}

	return nil
}

// meterSum says in a line how all of them are.
func meterSum(meters []core.Meter) string {
	over, wrong := 0, 0

	for i := range meters {
		if meters[i].Over {
			over++
		}

		if meters[i].Errors > 0 {
			wrong++
		}
	}

	words := fmt.Sprintf("%d of %d done", over, len(meters))
	if wrong > 0 {
		words += ", " + strconv.Itoa(wrong) + " with errors"
	}

	return words
}

// meterStep is what is done with a disk now.
func meterStep(m *core.Meter) string {
	if m.Over {
		return "done"
	}

	step := text.Line(m.Step)

	for i := range m.Walks { // the pass that is under way
		if w := &m.Walks[i]; w.Done < 1 && w.Name == m.Step {
			return fmt.Sprintf("%s, pass %d: %s %%", step, w.Pass, percent(w.Done))
		}
	}

	return fmt.Sprintf("%s: %s %% of all", step, percent(m.Done))
}

// meterWords says all of a meter, for whoever does not see it.
func meterWords(m *core.Meter) string {
	words := []string{percent(m.Done) + " %", meterStep(m)}

	if m.Rate > 0 {
		words = append(words, fmt.Sprintf("%.0f MB/s", m.Rate/1e6))
	}

	if m.Errors > 0 {
		words = append(words, text.Count(m.Errors, "error", "errors"))
	}

	return strings.Join(words, ", ")
}

// Sizes in the drawing of the walks: a walk, and what is free after a pass.
const (
	walkWide = 40
	walkGap  = 6
)

// walkBar is one walk in the drawing.
type walkBar struct{ x, wide, full, class string }

// walkBars are the walks of a disk one beside the other; between two passes there is a
// gap. The ends, which are walked first, are a moment's work and are not drawn where
// there is more.
func walkBars(m *core.Meter) (bars []walkBar) {
	x := 0

	for i, w := range drawnWalks(m) {
		class := "wrote"
		if !strings.HasPrefix(w.Name, "write") {
			class = "read"
		}

		if m.Errors > 0 {
			class += " fail"
		}

		if i > 0 && class[:4] == "wrot" {
			x += walkGap
		}

		bars = append(bars, walkBar{
			x: strconv.Itoa(x), wide: strconv.Itoa(walkWide), class: class,
			full: strconv.FormatFloat(walkWide*min(1, max(0, w.Done)), 'f', 1, 64),
		})
		x += walkWide
	}

	return bars
}

func drawnWalks(m *core.Meter) (walks []core.Walk) {
	for _, w := range m.Walks {
		if !strings.HasSuffix(w.Name, " ends") {
			walks = append(walks, w)
		}
	}

	if len(walks) == 0 {
		return []core.Walk{{Name: m.Step, Done: m.Done}}
	}

	return walks
}

func walkBox(m *core.Meter) string {
	wide := 0

	for i, w := range drawnWalks(m) {
		if i > 0 && strings.HasPrefix(w.Name, "write") {
			wide += walkGap
		}

		wide += walkWide
	}

	return fmt.Sprintf("0 0 %d 10", wide)
}
