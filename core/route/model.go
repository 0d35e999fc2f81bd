package route

import (
	"time"

	"vetting/core"
	"vetting/core/cohort"
)

// ModelComparison is the hosts of one model side by side, by what the last run of each that came
// to a verdict measured. A host that stands out has no other verdict for it.
type ModelComparison struct {
	Model      string          `json:"model"`      // that is compared; empty: there is none
	Models     []ModelCount    `json:"models"`     // that there are, by name
	Quantities []ModelQuantity `json:"quantities"` // what any of the hosts has a figure of
	Hosts      []ModelHost     `json:"hosts"`      // those first of which most stands out
}

// ModelCount is a model with how many of its hosts have come to a verdict.
type ModelCount struct {
	Model string `json:"model"`
	Hosts int    `json:"hosts"`
}

// ModelQuantity is a quantity across the hosts of a model.
type ModelQuantity struct {
	Key       string         `json:"key"` // "memory_bandwidth"
	Name      string         `json:"name"`
	Unit      string         `json:"unit"`
	Stage     core.StageName `json:"stage"`    // that measured it
	Measured  int            `json:"measured"` // hosts that have a figure; below 5 nothing stands out
	Median    float64        `json:"median"`
	Deviation float64        `json:"deviation"` // median distance from the median, times 1.4826
}

// ModelHost is a host with its figures.
type ModelHost struct {
	MAC       core.MAC               `json:"mac"`
	Name      string                 `json:"name,omitempty"`
	Run       core.RunID             `json:"run"`
	Profile   string                 `json:"profile"`
	EndedAt   time.Time              `json:"ended_at,omitzero"`
	StandsOut []string               `json:"stands_out"` // keys of the quantities in which it does
	Figures   map[string]ModelFigure `json:"figures"`    // by key of the quantity; one that was not measured is absent
}

// ModelFigure is what was measured on a host.
type ModelFigure struct {
	Value float64 `json:"value"`
	Off   float64 `json:"off"` // from the median: percent of it, or °C
	Out   bool    `json:"out"` // it stands out
}

// NewModelComparison writes a comparison of the hosts of a model.
func NewModelComparison(model string, table *cohort.Table) ModelComparison {
	m := ModelComparison{Model: model, Models: []ModelCount{}, Quantities: []ModelQuantity{}, Hosts: []ModelHost{}}

	for i := range table.Columns {
		c := &table.Columns[i]
		m.Quantities = append(m.Quantities, ModelQuantity{
			Key: c.Key(), Name: c.Name, Unit: c.Unit, Stage: c.Stage, Measured: c.Measured, Median: c.Median, Deviation: c.Deviation,
		})
	}

	for i := range table.Rows {
		of := table.Rows[i].Host
		h := ModelHost{
			MAC: of.MAC, Name: of.Name, Run: of.Run, Profile: of.Profile, EndedAt: of.At, StandsOut: []string{}, Figures: map[string]ModelFigure{},
		}

		for j, cell := range table.Rows[i].Cells {
			if !cell.Measured {
				continue
			}

			key := m.Quantities[j].Key
			h.Figures[key] = ModelFigure{Value: cell.Value, Off: cell.Off, Out: cell.Out}

			if cell.Out {
				h.StandsOut = append(h.StandsOut, key)
			}
		}

		m.Hosts = append(m.Hosts, h)
	}

	return m
}

func modelRoutes() []Route {
	return []Route{{
		Name: "models.compare", Tag: "reports", Method: "GET", Path: "/api/v1/models", Scope: Read,
		Summary: "Compare the hosts of one model by what the last run of each that came to a verdict measured, and mark what stands out",
		Query:   []Param{{Name: "model", Kind: "string", Summary: "as its inventory names it (default the model with most hosts); one that no host is of has no hosts"}},
		OK:      ok(ModelComparison{}, "the comparison"),
	}}
}
