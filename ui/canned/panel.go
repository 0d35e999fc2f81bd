package canned

import (
	"time"

	"vetting/core"
)

// Panel is what a controller tells of a machine that is warm.
func Panel() core.Panel {
	of := func(f float64) *float64 { return &f }

	return core.Panel{
		Way: core.PowerIPMI, At: Now(), State: core.PowerIsOn, Locate: core.PowerIsOff, Firmware: "3.88",
		Gauges: []core.Gauge{
			{Name: "CPU1 Temp", Value: of(91), Unit: "°C", HighWarning: of(88), HighCritical: of(95)},
			{Name: "FAN3", Value: of(300), Unit: "RPM", LowCritical: of(500), LowWarning: of(700)},
			{Name: "12V", Value: of(12.06), Unit: "V", LowCritical: of(10.8), HighCritical: of(13.2)},
			{Name: "PSU2 Status", Text: "Presence detected"},
			{Name: "M2 Temp", NotThere: true},
		},
		GaugesCut: "The controller took too long to tell all of its sensors.",
		Events: []core.PanelEvent{
			{At: Now().Add(-time.Hour), Sensor: "Memory 0x87", Text: "Correctable ECC", Severity: core.Warning},
			{At: Now().Add(-2 * time.Hour), Sensor: "Fan 0x43", Text: "Lower Critical - going low", Severity: core.Critical, Cleared: true},
		},
		EventsAll: 311,
		Tried: []core.PowerAttempt{
			{Way: core.PowerRedfish, Action: "look", Address: "10.0.3.17", Code: "power/unreachable"},
			{Way: core.PowerIPMI, Action: "look", Address: "10.0.3.17"},
		},
	}
}
