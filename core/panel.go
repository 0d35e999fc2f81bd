package core

import "time"

// Orders to a management controller that switch nothing.
const (
	PowerLook      PowerOp = "look"       // what it tells: sensors and its event log
	PowerLocate    PowerOp = "locate"     // let the machine be found: its light is on
	PowerLocateOff PowerOp = "locate-off" // and off again
)

// Panel is what a management controller tells of a machine.
type Panel struct {
	Way       PowerMethod    `json:"protocol"`
	At        time.Time      `json:"at"`
	State     PowerState     `json:"power"`
	Locate    PowerState     `json:"locate"` // whether the light is on by which the machine is found
	Firmware  string         `json:"firmware,omitempty"`
	Gauges    []Gauge        `json:"sensors"`
	GaugesCut string         `json:"sensors_missing,omitempty"` // why there are none, or not all; empty: these are all
	Events    []PanelEvent   `json:"events"`                    // the newest first
	EventsAll int            `json:"events_kept,omitempty"`     // how many the controller has
	EventsCut string         `json:"events_missing,omitempty"`
	Tried     []PowerAttempt `json:"tried"` // protocols, in their order; the last one answered
}

// Gauge is one sensor. A limit that there is not is nil.
type Gauge struct {
	Name         string   `json:"name"`
	Value        *float64 `json:"value,omitempty"`
	Unit         string   `json:"unit,omitempty"`
	Text         string   `json:"text,omitempty"` // of a sensor without a figure
	LowCritical  *float64 `json:"low_critical,omitempty"`
	LowWarning   *float64 `json:"low_warning,omitempty"`
	HighWarning  *float64 `json:"high_warning,omitempty"`
	HighCritical *float64 `json:"high_critical,omitempty"`
	NotThere     bool     `json:"not_there,omitempty"` // it tells nothing now
}

// Grave is how far a gauge is beyond its limits; empty: it is not, or has none.
func (g *Gauge) Grave() Severity {
	below := func(limit *float64) bool { return limit != nil && *g.Value <= *limit }
	above := func(limit *float64) bool { return limit != nil && *g.Value >= *limit }

	switch {
	case g.Value == nil:
		return ""
	case below(g.LowCritical) || above(g.HighCritical):
		return Critical
	case below(g.LowWarning) || above(g.HighWarning):
		return Warning
	default:
		return ""
	}
}

// PanelEvent is an entry of a controller's event log.
type PanelEvent struct {
	At       time.Time `json:"at,omitzero"` // by the controller's clock
	Sensor   string    `json:"sensor,omitempty"`
	Text     string    `json:"text"`
	Severity Severity  `json:"severity,omitempty"`
	Cleared  bool      `json:"cleared,omitempty"` // what it tells of is over
}

// Bounds of a panel.
const (
	MaxGauges      = 160
	MaxPanelEvents = 25
)
