package power

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"vetting/core"
)

// link leads to another resource (DSP0266 §8.5).
type link struct {
	ID string `json:"@odata.id"`
}

// machineLinks is what of a ComputerSystem leads to the rest.
type machineLinks struct {
	IndicatorLED            string
	LocationIndicatorActive *bool
	LogServices             link
	Links                   struct{ Chassis, ManagedBy []link }
}

// read gets a resource of the service.
func read(api schemas.Client, at string, into any) error {
	if at == "" {
		return outcome(Unsupported, "it has no such resource")
	}

	answer, err := api.Get(at)
	if err != nil {
		return fmt.Errorf("reading %s: %w", at, err)
	}

	text, err := readAll(answer)
	if err != nil {
		return fmt.Errorf("reading %s: %w", at, err)
	}

	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s: %w", at, err)
	}

	return nil
}

func (r redfish) look(ctx context.Context) (core.Panel, error) {
	panel := core.Panel{State: core.PowerUnknown, Locate: core.PowerUnknown, Gauges: []core.Gauge{}, Events: []core.PanelEvent{}}

	err := r.with(ctx, func(s *schemas.ComputerSystem) error {
		var (
			machine machineLinks
			api     = s.GetClient()
		)

		if state := stateOf(s); state != Unknown {
			panel.State = core.PowerState(state)
		}

		if err := read(api, s.ODataID, &machine); err != nil {
			return err
		}

		panel.Locate = machine.light()

		readService(ctx, api, &machine, &panel)
		panel.GaugesCut = cut(ctx, readChassis(api, &machine, &panel), "its sensors")

		return nil
	})

	return panel, err
}

func (m *machineLinks) light() core.PowerState {
	switch {
	case m.LocationIndicatorActive != nil:
		return lit(*m.LocationIndicatorActive)
	case m.IndicatorLED == "":
		return core.PowerUnknown
	default:
		return lit(m.IndicatorLED != "Off" && m.IndicatorLED != "Unknown")
	}
}

// locate sets the newer property where the machine has it, and the older one otherwise.
func (r redfish) locate(ctx context.Context, on bool) error {
	return r.with(ctx, func(s *schemas.ComputerSystem) error {
		var machine machineLinks
		if err := read(s.GetClient(), s.ODataID, &machine); err != nil {
			return err
		}

		wish := map[string]any{"LocationIndicatorActive": on}

		switch {
		case machine.LocationIndicatorActive != nil:
		case machine.IndicatorLED != "":
			wish = map[string]any{"IndicatorLED": map[bool]string{true: "Blinking", false: "Off"}[on]}
		default:
			return outcome(Unsupported, "it tells of no light")
		}

		answer, err := s.GetClient().Patch(s.ODataID, wish)
		if answer != nil {
			_ = answer.Body.Close() // what it says was in its status
		}

		return err
	})
}

// readService reads the controller's firmware and its event log.
func readService(ctx context.Context, api schemas.Client, machine *machineLinks, panel *core.Panel) {
	var manager struct {
		FirmwareVersion string
		LogServices     link
	}

	if len(machine.Links.ManagedBy) > 0 {
		if err := read(api, machine.Links.ManagedBy[0].ID, &manager); err == nil {
			panel.Firmware = readable(manager.FirmwareVersion)
		}
	}

	at, err := eventLog(api, machine.LogServices.ID, manager.LogServices.ID)
	if err == nil {
		err = readLog(api, at, panel)
	}

	panel.EventsCut = cut(ctx, err, "its event log")
}

// logNames are what makers call the event log of the machine, the best first.
var logNames = []string{"sel", "iel", "iml", "log1", "eventlog", "lclog", "platformlog"} //nolint:gochecknoglobals // a list

// eventLog finds the event log among the logs of machine and controller.
func eventLog(api schemas.Client, places ...string) (string, error) {
	var (
		found []string
		last  error
	)

	for _, place := range places {
		var list struct{ Members []link }

		if err := read(api, place, &list); err != nil {
			last = err

			continue
		}

		for _, m := range list.Members {
			found = append(found, m.ID)
		}
	}

	if len(found) == 0 {
		return "", errors.Join(last, outcome(Unsupported, "it has no log"))
	}

	for _, name := range logNames {
		for _, at := range found {
			if strings.ToLower(at[strings.LastIndex(strings.TrimSuffix(at, "/"), "/")+1:]) == name {
				return at, nil
			}
		}
	}

	return found[0], nil
}

// logEntry is one of the log (LogEntry).
type logEntry struct {
	Created    time.Time
	Message    string
	MessageID  string `json:"MessageId"`
	Severity   string
	SensorType any
}

func readLog(api schemas.Client, at string, panel *core.Panel) error {
	var service struct{ Entries link }

	if err := read(api, at, &service); err != nil {
		return err
	}

	var list struct {
		Members []logEntry
		Count   int `json:"Members@odata.count"`
	}

	if err := read(api, service.Entries.ID, &list); err != nil {
		return err
	}

	panel.EventsAll = max(list.Count, len(list.Members))

	slices.SortStableFunc(list.Members, func(a, b logEntry) int { return b.Created.Compare(a.Created) })

	for i := range list.Members[:min(len(list.Members), core.MaxPanelEvents)] {
		e := &list.Members[i]
		sensor, _ := e.SensorType.(string)

		panel.Events = append(panel.Events, core.PanelEvent{
			At: e.Created.UTC(), Sensor: readable(sensor), Text: readable(cmp.Or(e.Message, e.MessageID, "an entry without a message")), Severity: severityOf(e.Severity),
		})
	}

	return nil
}

// reading is one sensor of a chassis.
type reading struct {
	Name, FanName string
	ReadingUnits  string
	Status        struct{ State string }

	ReadingCelsius, Reading, ReadingVolts             *float64
	LowerThresholdCritical, LowerThresholdNonCritical *float64
	UpperThresholdNonCritical, UpperThresholdCritical *float64
}

// thermal is what Thermal and Power of a chassis tell.
type thermal struct {
	Temperatures, Fans, Voltages []reading
	PowerControl                 []struct {
		Name               string
		PowerConsumedWatts *float64
	}
}

// readChassis reads the sensors of the machine's first chassis.
func readChassis(api schemas.Client, machine *machineLinks, panel *core.Panel) error {
	if len(machine.Links.Chassis) == 0 {
		return outcome(Unsupported, "it names no chassis")
	}

	var chassis struct{ Thermal, Power link }

	if err := read(api, machine.Links.Chassis[0].ID, &chassis); err != nil {
		return err
	}

	var warm, fed thermal

	first, second := read(api, chassis.Thermal.ID, &warm), read(api, chassis.Power.ID, &fed)
	if first != nil && second != nil {
		return first
	}

	panel.Gauges = append(panel.Gauges, warm.gauges()...)
	panel.Gauges = append(panel.Gauges, fed.gauges()...)
	panel.Gauges = panel.Gauges[:min(len(panel.Gauges), core.MaxGauges)]

	return nil
}

func (t *thermal) gauges() (list []core.Gauge) {
	for i, group := range [][]reading{t.Temperatures, t.Fans, t.Voltages} {
		for j := range group {
			s := &group[j]
			g := core.Gauge{
				Name: readable(cmp.Or(s.Name, s.FanName)), Value: cmp.Or(s.ReadingCelsius, s.ReadingVolts, s.Reading), Unit: []string{"°C", cmp.Or(s.ReadingUnits, "RPM"), "V"}[i],
				LowCritical: s.LowerThresholdCritical, LowWarning: s.LowerThresholdNonCritical, HighWarning: s.UpperThresholdNonCritical, HighCritical: s.UpperThresholdCritical,
			}
			g.NotThere = g.Value == nil || s.Status.State == "Absent"
			list = append(list, g)
		}
	}

	for i := range t.PowerControl {
		if watts := t.PowerControl[i].PowerConsumedWatts; watts != nil {
			list = append(list, core.Gauge{Name: readable(cmp.Or(t.PowerControl[i].Name, "Power consumed")), Value: watts, Unit: "W"})
		}
	}

	return list
}
