package form

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/report"
	"vetting/ui/plot"
	"vetting/ui/text"
)

// fields is a JSON object.
type fields = map[string]any

// stream writes the artifacts of one run, numbered, each on a line.
type stream struct {
	enc  *json.Encoder
	next int
	err  error
}

func (s *stream) put(at time.Time, kind string, value any) {
	if s.err != nil {
		return
	}

	s.err = s.enc.Encode(fields{"sequenceNumber": s.next, "timestamp": at.UTC().Format(time.RFC3339Nano), kind: value})
	s.next++
}

func (s *stream) run(at time.Time, kind string, value any) {
	s.put(at, "testRunArtifact", fields{kind: value})
}

func (s *stream) step(at time.Time, id, kind string, value any) {
	s.put(at, "testStepArtifact", fields{"testStepId": id, kind: value})
}

// OCP writes the report as JSON lines of the OCP Test and Validation output
// specification 2.0 (opencomputeproject/ocp-diag-core, json_spec/output). A stage is a
// test step, an evaluation a measurement with its validators, a finding a diagnosis,
// and whatever was not tested a warning of the run. Only a report that passes ends in
// COMPLETE and PASS.
func OCP(w io.Writer, r *report.Report) error {
	s := &stream{enc: json.NewEncoder(w)}
	began, ended := firstTime(r.Run.StartedAt, r.Run.CreatedAt, r.GeneratedAt), firstTime(r.Run.EndedAt, r.GeneratedAt)

	s.put(began, "schemaVersion", fields{"major": 2, "minor": 0})

	dut := dutOf(r)
	s.run(began, "testRunStart", fields{
		"name": "vetting " + text.Line(r.Run.Profile), "version": text.Line(r.Appliance.Version), "commandLine": "", "dutInfo": dut.info,
		"parameters": fields{"profile": text.Line(r.Run.Profile), "scale": r.Run.Scale, "armed_disks": cleaned(r.Run.Armed), "rules": r.Run.RulesCount},
		"metadata":   fields{"run": string(r.Run.ID), "operator": text.Line(r.Run.Operator), "appliance": text.Line(r.Appliance.ID)},
	})

	for _, g := range r.NotTested {
		s.run(began, "log", fields{"severity": "WARNING", "message": text.Block(g.Words())})
	}

	for i := range r.Stages {
		ocpStage(s, r, dut, &r.Stages[i], i)
	}

	for i := range r.Findings {
		if f := &r.Findings[i]; f.Stage == "" {
			s.run(ended, "error", fields{"symptom": text.Line(f.Code), "message": sentence(f)})
		}
	}

	s.run(ended, "log", fields{"severity": "INFO", "message": text.Block(r.Verdict.Words + ": " + r.Summary)})
	s.run(ended, "testRunEnd", ending(r))

	if s.err != nil {
		return fmt.Errorf("writing the report of %s as OCP diagnostics: %w", r.Run.ID, s.err)
	}

	return nil
}

// ending is how the run ended, in one of the four ways the specification knows.
func ending(r *report.Report) fields {
	switch {
	case r.Preliminary:
		return fields{"status": "ERROR", "result": "NOT_APPLICABLE"}
	case r.Verdict.Kind == core.Pass:
		return fields{"status": "COMPLETE", "result": "PASS"}
	case r.Verdict.Kind == core.Fail:
		return fields{"status": "COMPLETE", "result": "FAIL"}
	case r.Verdict.Kind == core.Cancelled:
		return fields{"status": "SKIP", "result": "NOT_APPLICABLE"}
	default:
		return fields{"status": "ERROR", "result": "NOT_APPLICABLE"}
	}
}

// dut is the device under test, with the ids of its parts.
type dut struct {
	info  fields
	parts map[core.Part]string
}

func dutOf(r *report.Report) dut {
	d := dut{parts: map[core.Part]string{}}
	hardware, software := []fields{}, []fields{}

	for i := range r.Components {
		c := &r.Components[i]
		id := "hw" + strconv.Itoa(i)
		d.parts[core.Part{Kind: c.Kind, Slot: c.Slot}] = id

		hardware = append(hardware, filled(fields{
			"hardwareInfoId": id, "name": text.Line(c.Kind + " " + c.Slot), "partType": text.Line(c.Kind), "location": text.Line(c.Slot), "manufacturer": text.Line(c.Vendor),
			"manufacturerPartNumber": text.Line(c.Model), "serialNumber": text.Line(c.Serial), "version": text.Line(c.Firmware),
		}))
	}

	for i, f := range r.Firmware {
		software = append(software, filled(fields{
			"softwareInfoId": "fw" + strconv.Itoa(i), "softwareType": "FIRMWARE", "name": text.Line(f.Name + " " + name(f.Part)), "version": text.Line(f.Version),
		}))
	}

	for i, f := range r.Software {
		software = append(software, filled(fields{
			"softwareInfoId": "sw" + strconv.Itoa(i), "softwareType": "APPLICATION", "name": text.Line(f.Name), "version": text.Line(f.Version), "revision": text.Line(f.SHA256),
		}))
	}

	d.info = filled(fields{
		"dutInfoId": string(r.Host.MAC), "name": text.Line(r.Host.Name),
		"platformInfos": []fields{{"info": text.Line(r.Host.Manufacturer + " " + r.Host.Product + " " + r.Host.Serial)}},
	})
	d.info["hardwareInfos"], d.info["softwareInfos"] = hardware, software

	return d
}

// filled drops what is empty, which an optional field must not be.
func filled(all fields) fields {
	for key, value := range all {
		if value == "" && key != "name" {
			delete(all, key)
		}
	}

	return all
}

// of adds the id of a part to what is said about it.
func (d dut) of(p core.Part, said fields) fields {
	if id, known := d.parts[core.Part{Kind: p.Kind, Slot: p.Slot}]; known {
		said["hardwareInfoId"] = id
	}

	return said
}

func ocpStage(s *stream, r *report.Report, d dut, st *report.Stage, index int) {
	id := strconv.Itoa(index)
	began := firstTime(st.StartedAt, r.GeneratedAt)
	ended := firstTime(st.EndedAt, r.GeneratedAt)

	s.step(began, id, "testStepStart", fields{"name": string(st.Name)})

	for i := range r.Evaluations {
		if e := &r.Evaluations[i]; e.Stage == st.Name {
			ocpMeasurement(s, ended, id, e)
		}
	}

	for _, step := range st.SubSteps {
		s.step(ended, id, "diagnosis", d.of(step.Part, fields{
			"verdict": text.Line(step.Name), "type": diagnosisOf(step.Verdict), "message": text.Line(string(step.Verdict) + " " + name(step.Part) + " " + step.Summary),
		}))
	}

	for i := range r.Findings {
		if f := &r.Findings[i]; f.Stage == st.Name {
			kind := "UNKNOWN"
			if f.Severity == core.Critical {
				kind = "FAIL"
			}

			s.step(ended, id, "diagnosis", d.of(f.Part, fields{"verdict": text.Line(f.Code), "type": kind, "message": sentence(f)}))
		}
	}

	if said := strings.TrimSpace(text.Line(st.Reason + " " + st.Coverage)); said != "" {
		s.step(ended, id, "log", fields{"severity": "INFO", "message": said})
	}

	status := "COMPLETE"

	switch {
	case st.Phase != core.Done && (st.Name != core.Reporting || r.Preliminary), st.Verdict == core.Skip, st.Verdict == core.Unmeasurable:
		status = "SKIP"
	case st.Verdict == core.Error:
		status = "ERROR"

		s.step(ended, id, "error", fields{"symptom": "stage-error", "message": "the test itself broke, so it proves nothing"})
	}

	s.step(ended, id, "testStepEnd", fields{"status": status})
}

// diagnosisOf is the type of diagnosis that a verdict is.
func diagnosisOf(v core.Verdict) string {
	switch v {
	case core.Pass:
		return "PASS"
	case core.Fail:
		return "FAIL"
	default:
		return "UNKNOWN"
	}
}

// ocpMeasurement writes the worst value of a series with what it was held against.
func ocpMeasurement(s *stream, at time.Time, id string, e *report.Evaluation) {
	if e.Value == nil {
		s.step(at, id, "log", fields{"severity": "WARNING", "message": text.Line(e.Rule + ": " + e.Key + " was not measured (" + string(e.Verdict) + ")")})

		return
	}

	m := fields{
		"name": text.Line(e.Key), "value": *e.Value, "metadata": fields{"rule": text.Line(e.Rule), "limit": text.Line(core.LimitWords(e.Limit)), "verdict": string(e.Verdict), "severity": string(e.Severity)},
	}

	if unit := plot.UnitOf(e.Key); unit != "" {
		m["unit"] = unit
	}

	if v := validators(e.Limit); v != nil {
		m["validators"] = v
	}

	s.step(at, id, "measurement", m)
}

// validators reads a limit as the engine writes it: "lte 90", "gte 95 % of 1200 (median
// of 7 hosts)", "within_pct 5 of 100". Nil: it is held against something that the limit
// does not say in numbers.
func validators(limit string) []fields {
	words := strings.Fields(limit)
	if len(words) < 2 {
		return nil
	}

	value, err := strconv.ParseFloat(words[1], 64)
	if err != nil {
		return nil
	}

	if base := slices.Index(words, "of") + 1; base > 0 {
		middle, err := strconv.ParseFloat(strings.Join(words[base:min(base+1, len(words))], ""), 64)
		if err != nil {
			return nil
		}

		if core.Op(words[0]) == core.OpWithinPct {
			band := math.Abs(middle) * value / 100

			return []fields{
				{"name": "low", "type": "GREATER_THAN_OR_EQUAL", "value": middle - band}, {"name": "high", "type": "LESS_THAN_OR_EQUAL", "value": middle + band},
			}
		}

		value = middle * value / 100
	}

	kind, known := map[core.Op]string{
		core.OpLT: "LESS_THAN", core.OpLTE: "LESS_THAN_OR_EQUAL", core.OpGT: "GREATER_THAN", core.OpGTE: "GREATER_THAN_OR_EQUAL",
	}[core.Op(words[0])]
	if !known {
		return nil
	}

	return []fields{{"type": kind, "value": value}}
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}

	return time.Unix(0, 0)
}

func cleaned(words []string) []string {
	all := []string{}
	for _, word := range words {
		all = append(all, text.Line(word))
	}

	return all
}
