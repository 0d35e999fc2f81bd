package operator

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
)

// compareCommand sets two runs side by side: before and after a repair, or a host
// beside its sister.
func (e *Env) compareCommand() *cobra.Command {
	return e.remote(&cobra.Command{
		Use: "compare RUN RUN", Short: "Set what the rules saw in two runs side by side",
		Long:    "A row for each rule and what it was applied to in either run; what one of them lacks is empty. The change is that from the first to the second, in percent.",
		Example: "  vetting run compare 01KBAC30M8R2FJ3W9G5TQ4XNVD rack3-u17",
	}, (*session).compare)
}

// judged is what a rule said of a key in a run.
type judged struct {
	Stage   string   `json:"stage"`
	Rule    string   `json:"rule"`
	Key     string   `json:"key"`
	Value   *float64 `json:"value"` // null: it could not be measured
	Verdict string   `json:"verdict"`
}

// pair is a row of a comparison. A is nil where only the second run has it, B where
// only the first has.
type pair struct {
	Stage  string   `json:"stage"`
	Rule   string   `json:"rule"`
	Key    string   `json:"key"`
	A      *judged  `json:"a,omitempty"`
	B      *judged  `json:"b,omitempty"`
	Change *float64 `json:"change_percent,omitempty"` // from A to B
}

func (s *session) compare(args []string) error {
	var runs [2][]judged

	for i := range runs {
		id, err := s.run(s.cmd.Context(), args[i])
		if err != nil {
			return err
		}

		var told struct {
			Evaluations []judged `json:"evaluations"`
		}

		if err := s.api.Call(s.cmd.Context(), client.Request{Route: "runs.evaluations", Params: []string{id}}, &told); err != nil {
			return err
		}

		runs[i] = told.Evaluations
	}

	return s.print(map[string]any{"rows": sideBySide(runs[0], runs[1])}, sheet{
		list: "rows", columns: "stage rule key a=a.value b=b.value change_%=change_percent a_verdict=a.verdict b_verdict=b.verdict", name: "key",
	})
}

// sideBySide pairs what two runs have of the same rule and key, in the order of the
// first, with what only the second has at the end.
func sideBySide(first, second []judged) []pair {
	type place struct{ stage, rule, key string }

	rows, at := []pair{}, map[place]int{}

	for i := range first {
		j := &first[i]
		at[place{j.Stage, j.Rule, j.Key}] = len(rows)
		rows = append(rows, pair{Stage: j.Stage, Rule: j.Rule, Key: j.Key, A: j})
	}

	for i := range second {
		j := &second[i]

		n, both := at[place{j.Stage, j.Rule, j.Key}]
		if !both {
			rows = append(rows, pair{Stage: j.Stage, Rule: j.Rule, Key: j.Key, B: j})

			continue
		}

		row := &rows[n]
		row.B = j

		if was := row.A.Value; was != nil && j.Value != nil && *was != 0 {
			change := math.Round((*j.Value/(*was)-1)*1000) / 10 // to a tenth
			if !math.IsInf(change, 0) {
				row.Change = &change
			}
		}
	}

	return rows
}

// print shows what was put together here as if it had come from the API.
func (s *session) print(value any, as sheet) error {
	answer, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}

	page := s.out.printer(s.env.Out, as)
	if err := page.show(answer); err != nil {
		return err
	}

	return page.close()
}
