package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"vetting/core"
)

// stressResult is what --json writes.
type stressResult struct {
	Stage     core.StageName `json:"stage"`
	Verdict   core.Verdict   `json:"verdict"`
	Seconds   float64        `json:"seconds"`
	Coverage  string         `json:"coverage"`
	NotTested []string       `json:"not_tested"`
	Findings  []core.Finding `json:"findings"`
	Steps     []stressStep   `json:"steps"`
	Measured  []stressSample `json:"measurements"`
}

type stressStep struct {
	Name    string       `json:"name"`
	Verdict core.Verdict `json:"verdict"`
	Summary string       `json:"summary"`
}

type stressSample struct {
	Key   string  `json:"key"`
	Value float64 `json:"value"`
}

// tell writes the result, for people or for programs.
func (s *stressing) tell(r core.Result, took time.Duration) error {
	if !s.json {
		_, err := io.WriteString(s.out, s.text(r, took))

		return err
	}

	out := stressResult{
		Stage: r.Stage, Verdict: r.Verdict, Seconds: took.Seconds(), Coverage: r.Coverage,
		NotTested: append([]string{}, s.gaps...), Findings: append([]core.Finding{}, r.Findings...),
		Steps: []stressStep{}, Measured: []stressSample{},
	}

	for _, step := range r.SubSteps {
		out.Steps = append(out.Steps, stressStep{step.Name, step.Verdict, step.Summary})
	}

	for _, m := range r.Measurements {
		out.Measured = append(out.Measured, stressSample{m.Key, m.Value})
	}

	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")

	return encoder.Encode(out)
}

func (s *stressing) text(r core.Result, took time.Duration) string {
	var b strings.Builder

	for _, step := range r.SubSteps {
		fmt.Fprintf(&b, "%-16s %-6s %s\n", step.Name, step.Verdict, step.Summary)
	}

	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s %s: %s\n  seen: %s\n  next: %s\n", strings.ToUpper(string(f.Severity)), f.Code, f.Title, f.Evidence, f.Next)
	}

	fmt.Fprintf(&b, "\ntested: %s\n", r.Coverage)

	for _, gap := range s.gaps {
		fmt.Fprintf(&b, "NOT tested: %s\n", gap)
	}

	fmt.Fprintf(&b, "%s: %s after %s\n", r.Stage, strings.ToUpper(string(r.Verdict)), took.Round(time.Second))

	return b.String()
}
