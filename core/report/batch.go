package report

import (
	"time"

	"vetting/core"
)

// BatchSchema names the shape of Batch in JSON.
const BatchSchema = "vetting.batch/1"

// Batch is the reports of many hosts in one table: of a day, a tag, a rack. Of each
// host only the last run that was asked for is in it.
type Batch struct {
	Schema      string     `json:"schema"`
	GeneratedAt time.Time  `json:"generated_at"`
	Of          BatchOf    `json:"of"`
	Rows        []BatchRow `json:"rows"`
	Totals      Totals     `json:"totals"`

	// NotVetted are the hosts that were asked for, by tag or rack, of which no run fits.
	NotVetted []BatchHost `json:"not_vetted,omitempty"`

	Cut       bool       `json:"cut"` // there are more hosts than are listed
	Appliance Appliance  `json:"appliance"`
	Signature *Signature `json:"signature,omitempty"`
}

// BatchOf is what a batch was asked for; empty fields choose all.
type BatchOf struct {
	Day     string `json:"day,omitempty"`  // "2026-11-23", in UTC, on which the run ended, or began while it has not
	Tag     string `json:"tag,omitempty"`  // of the host
	Rack    string `json:"rack,omitempty"` // of the host, the part before "/U12"
	Profile string `json:"profile,omitempty"`
	Batch   string `json:"batch,omitempty"` // its name
}

// BatchRow is one host.
type BatchRow struct {
	Host      string     `json:"host"`
	MAC       core.MAC   `json:"mac"`
	Machine   string     `json:"machine,omitempty"`
	Serial    string     `json:"serial,omitempty"`
	AssetTag  string     `json:"asset_tag,omitempty"`
	Run       core.RunID `json:"run"`
	Profile   string     `json:"profile"`
	Verdict   Verdict    `json:"verdict"`
	Summary   string     `json:"summary"`
	NotTested int        `json:"not_tested"` // things
	EndedAt   time.Time  `json:"ended_at,omitzero"`
}

// BatchHost is a host without a run.
type BatchHost struct {
	Host     string   `json:"host"`
	MAC      core.MAC `json:"mac"`
	AssetTag string   `json:"asset_tag,omitempty"`
}

// Totals counts hosts by verdict.
type Totals struct {
	Hosts     int `json:"hosts"`
	Pass      int `json:"pass"` // with and without warnings
	Warned    int `json:"warned"`
	Fail      int `json:"fail"`
	Error     int `json:"error"`
	Cancelled int `json:"cancelled"`
	Undecided int `json:"undecided"`
	NotVetted int `json:"not_vetted"` // not among Hosts
}

// NewBatch makes a batch of reports.
func NewBatch(of BatchOf, appliance Appliance, now time.Time) Batch {
	return Batch{Schema: BatchSchema, GeneratedAt: stamp(now), Of: of, Rows: []BatchRow{}, Appliance: appliance}
}

// Miss notes a host of which no run fits.
func (b *Batch) Miss(host *core.Host) {
	b.NotVetted = append(b.NotVetted, BatchHost{Host: host.Name, MAC: host.MAC, AssetTag: host.AssetTag})
	b.Totals.NotVetted++
}

// Add puts the report of one host into the table.
func (b *Batch) Add(r *Report) {
	b.Rows = append(b.Rows, BatchRow{
		Host: r.Host.Name, MAC: r.Host.MAC, Machine: join(r.Host.Manufacturer, r.Host.Product), Serial: r.Host.Serial, AssetTag: r.Host.AssetTag, Run: r.Run.ID,
		Profile: r.Run.Profile, Verdict: r.Verdict, Summary: r.Summary, NotTested: len(r.NotTested), EndedAt: r.Run.EndedAt,
	})

	b.Totals.Hosts++

	switch {
	case r.Preliminary:
		b.Totals.Undecided++
	case r.Verdict.Kind == core.Pass:
		b.Totals.Pass++

		if r.Verdict.Warnings > 0 {
			b.Totals.Warned++
		}
	case r.Verdict.Kind == core.Fail:
		b.Totals.Fail++
	case r.Verdict.Kind == core.Cancelled:
		b.Totals.Cancelled++
	default:
		b.Totals.Error++
	}
}
