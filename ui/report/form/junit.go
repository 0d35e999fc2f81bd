package form

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/plot"
	"vetting/ui/text"
)

// The elements of JUnit's XML that pipelines agree on (the schema of Apache Ant's
// JUnit task and of Jenkins' xunit plugin).
type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Time     string   `xml:"time,attr"`
		Suites   []suite  `xml:"testsuite"`
	}

	suite struct {
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`
		Timestamp  string     `xml:"timestamp,attr,omitempty"`
		Hostname   string     `xml:"hostname,attr"`
		Properties []property `xml:"properties>property,omitempty"`
		Cases      []testCase `xml:"testcase"`
	}

	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}

	testCase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Time    string   `xml:"time,attr"`
		Failure *outcome `xml:"failure"`
		Error   *outcome `xml:"error"`
		Skipped *outcome `xml:"skipped"`
		Out     string   `xml:"system-out,omitempty"`
	}

	outcome struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes the report as JUnit XML: a suite for the verdict with what was not
// tested as skipped cases, and one for each stage with its steps and series. The case
// "verdict" passes only if the report does, so that a pipeline which looks at failures
// and errors alone is not deceived.
func JUnit(w io.Writer, r *report.Report) error {
	all := suites{Name: "vetting " + text.Line(r.Run.Profile) + " of " + text.Line(r.Host.Name), Time: strconv.FormatInt(r.Run.DurationS, 10)}
	all.Suites = append(all.Suites, verdictSuite(r))

	for i := range r.Stages {
		all.Suites = append(all.Suites, stageSuite(r, &r.Stages[i]))
	}

	for i := range all.Suites {
		s := &all.Suites[i]
		s.Hostname = text.Line(r.Host.Name)
		s.count()

		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
	}

	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the report of %s as JUnit XML: %w", r.Run.ID, err)
	}

	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)

	return err
}

func (s *suite) count() {
	for i := range s.Cases {
		c := &s.Cases[i]
		s.Tests++

		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
}

func verdictSuite(r *report.Report) suite {
	verdict := testCase{Class: "vetting.verdict", Name: "verdict", Time: "0"}
	verdict.end(r.Verdict.Kind, text.Line(r.Summary), "")

	if r.Preliminary || r.Verdict.Kind == core.Cancelled {
		verdict.Error, verdict.Skipped = &outcome{Message: text.Line(r.Summary), Type: text.Line(r.Verdict.Words)}, nil
	}

	s := suite{
		Name: "verdict", Time: strconv.FormatInt(r.Run.DurationS, 10), Timestamp: stamp(r.Run.StartedAt), Cases: []testCase{verdict},
		Properties: []property{
			{"run", string(r.Run.ID)},
			{"mac", string(r.Host.MAC)},
			{"machine", text.Line(r.Host.Manufacturer + " " + r.Host.Product)},
			{"serial", text.Line(r.Host.Serial)},
			{"operator", text.Line(r.Run.Operator)},
			{"profile", text.Line(r.Run.Profile)},
			{"scale", strconv.FormatFloat(r.Run.Scale, 'g', -1, 64)},
			{"appliance", text.Line(r.Appliance.Name + " " + r.Appliance.ID)},
			{"version", text.Line(r.Appliance.Version)},
		},
	}

	for _, g := range r.NotTested {
		s.Cases = append(s.Cases, testCase{
			Class: "vetting.not-tested", Name: text.Line(g.What), Time: "0", Skipped: &outcome{Message: "NOT tested: " + text.Line(g.Why)},
		})
	}

	return s
}

func stageSuite(r *report.Report, st *report.Stage) suite {
	class := "vetting." + string(st.Name)
	whole := testCase{Class: class, Name: string(st.Name), Time: strconv.FormatInt(st.DurationS, 10), Out: text.Block(st.Coverage)}

	why, details := text.Line(st.Reason), ""

	for i := range r.Findings {
		if f := &r.Findings[i]; f.Stage == st.Name {
			details += string(f.Severity) + " " + text.Line(f.Code) + ": " + sentence(f) + "\n"

			if why == "" {
				why = text.Line(f.Title)
			}
		}
	}

	switch {
	case st.Phase != core.Done && st.Name == core.Reporting && !r.Preliminary:
	case st.Phase != core.Done:
		whole.Skipped = &outcome{Message: "not done"}
	default:
		whole.end(st.Verdict, why, details)
	}

	s := suite{Name: string(st.Name), Time: whole.Time, Timestamp: stamp(st.StartedAt), Cases: []testCase{whole}}

	for _, step := range st.SubSteps {
		c := testCase{Class: class, Name: text.Line(step.Name + " " + name(step.Part)), Time: "0"}
		c.end(step.Verdict, text.Line(step.Summary), "")
		s.Cases = append(s.Cases, c)
	}

	for i := range r.Evaluations {
		if e := &r.Evaluations[i]; e.Stage == st.Name {
			s.Cases = append(s.Cases, evaluationCase(class, e))
		}
	}

	return s
}

func evaluationCase(class string, e *report.Evaluation) testCase {
	said := "never measured"
	if e.Value != nil {
		said = "worst " + number(e.Value) + " " + plot.UnitOf(e.Key)
	}

	c := testCase{Class: class, Name: text.Line(e.Rule + " " + e.Key), Time: "0"}
	c.end(e.Verdict, said+", must be "+text.Line(core.LimitWords(e.Limit)), "")

	if c.Failure != nil {
		c.Failure.Type = string(e.Severity)
	}

	if e.Verdict == core.Fail && e.Severity != core.Critical { // a limit that only warns does not fail its stage
		c.Failure, c.Out = nil, string(e.Severity)+": "+c.Failure.Message
	}

	return c
}

// end says how a case ended. What is no pass is never left without an outcome.
func (c *testCase) end(v core.Verdict, why, details string) {
	o := &outcome{Message: why, Type: string(v), Text: details}

	switch v {
	case core.Pass:
		c.Out += details
	case core.Fail:
		c.Failure = o
	case core.Skip, core.Unmeasurable:
		c.Skipped = o
	default:
		c.Error = o
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}

	return t.UTC().Format("2006-01-02T15:04:05")
}
