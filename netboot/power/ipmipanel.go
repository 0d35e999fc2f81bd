package power

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"vetting/core"
)

// look reads state and light first, which tell whether the controller answers at all; then
// the end of its log, and its sensors, which take longest.
func (i ipmi) look(ctx context.Context) (core.Panel, error) {
	panel := core.Panel{State: core.PowerUnknown, Locate: core.PowerUnknown, Gauges: []core.Gauge{}, Events: []core.PanelEvent{}}

	err := i.session(ctx, func(c *client.Client) error {
		status, err := c.GetChassisStatus(ctx)
		if err != nil {
			return fmt.Errorf("reading the chassis status: %w", err)
		}

		panel.State = lit(status.PowerIsOn)
		if status.ChassisIdentifySupported {
			panel.Locate = lit(status.ChassisIdentifyState != chassis.ChassisIdentifyStateOff)
		}

		if about, err := c.GetDeviceID(ctx); err == nil {
			panel.Firmware = fmt.Sprintf("%d.%02x", about.MajorFirmwareRevision, about.MinorFirmwareRevision)
		}

		readEvents(ctx, c, &panel)
		readGauges(ctx, c, &panel)

		return nil
	})

	return panel, err
}

// lightForEver is what keeps the light on until it is switched off (§28.5).
const lightForEver = true

// locateSeconds is how long it is on at a controller that cannot keep it on.
const locateSeconds = 255

func (i ipmi) locate(ctx context.Context, on bool) error {
	return i.session(ctx, func(c *client.Client) error {
		if !on {
			_, err := c.ChassisIdentify(ctx, 0, false)

			return err
		}

		_, err := c.ChassisIdentify(ctx, locateSeconds, lightForEver)

		var code *types.ResponseError
		if errors.As(err, &code) { // IPMI 1.5 knows no force; some boards refuse the byte
			_, err = c.ChassisIdentify(ctx, locateSeconds, false)
		}

		return err
	})
}

// lastRecord asks for the newest entry (§31.5).
const lastRecord = 0xffff

// readEvents reads the end of the event log. Records are asked for downwards from the last:
// numbers mostly follow each other, though none need to (§31.5), and walking up a log of
// thousands takes minutes.
func readEvents(ctx context.Context, c *client.Client, panel *core.Panel) {
	ctx, stop := context.WithTimeout(ctx, eventsTimeout)
	defer stop()

	info, err := c.GetSELInfo(ctx)
	if err != nil {
		panel.EventsCut = cut(ctx, err, "its event log")

		return
	}

	panel.EventsAll = int(info.Entries)

	at := uint16(lastRecord)

	for len(panel.Events) < min(core.MaxPanelEvents, panel.EventsAll) {
		entry, err := c.GetSELEntry(ctx, 0, at)
		if err != nil {
			panel.EventsCut = cut(ctx, err, "more of its event log")

			return
		}

		event, err := types.ParseSEL(entry.Data)
		if err != nil {
			panel.EventsCut = "An entry of the event log makes no sense."

			return
		}

		panel.Events = append(panel.Events, ofSEL(event))

		if event.RecordID <= 1 {
			return
		}

		at = event.RecordID - 1
	}
}

// ofSEL is an entry in words.
func ofSEL(e *types.SEL) core.PanelEvent {
	switch {
	case e.Standard != nil:
		s := e.Standard

		return core.PanelEvent{
			At: s.Timestamp.UTC(), Sensor: readable(fmt.Sprintf("%s %#02x", s.SensorType, uint8(s.SensorNumber))), Text: readable(s.EventString()),
			Severity: severityOf(string(s.EventSeverity())), Cleared: bool(s.EventDir),
		}
	case e.OEMTimestamped != nil:
		return core.PanelEvent{At: e.OEMTimestamped.Timestamp.UTC(), Text: fmt.Sprintf("entry of the maker's own: % x", e.OEMTimestamped.OEMDefined)}
	case e.OEMNonTimestamped != nil:
		return core.PanelEvent{Text: fmt.Sprintf("entry of the maker's own: % x", e.OEMNonTimestamped.OEM)}
	default:
		return core.PanelEvent{Text: "an entry without content"}
	}
}

// severityOf reads how grave something is in the words of a library or a controller.
func severityOf(word string) core.Severity {
	switch word = strings.ToLower(word); {
	case strings.HasPrefix(word, "crit"), strings.HasPrefix(word, "fatal"), strings.HasPrefix(word, "non-recov"), strings.HasPrefix(word, "degrad"):
		return core.Critical
	case strings.HasPrefix(word, "warn"):
		return core.Warning
	default:
		return core.Info
	}
}

func readGauges(ctx context.Context, c *client.Client, panel *core.Panel) {
	ctx, stop := context.WithTimeout(ctx, gaugesTimeout)
	defer stop()

	for one := range c.GetSensorsStream(ctx) {
		if one.Err != nil {
			panel.GaugesCut = cut(ctx, one.Err, "all of its sensors")

			return
		}

		if len(panel.Gauges) == core.MaxGauges {
			panel.GaugesCut = fmt.Sprintf("The controller has more than %d sensors.", core.MaxGauges)

			return
		}

		panel.Gauges = append(panel.Gauges, ofSensor(one.Ok))
	}

	panel.GaugesCut = cut(ctx, ctx.Err(), "all of its sensors")
}

// unitOf is a unit as people write it.
func unitOf(word string) string {
	short := map[string]string{"degrees C": "°C", "degrees F": "°F", "Volts": "V", "Amps": "A", "Watts": "W", "percent": "%"}[word]
	if short == "" {
		return readable(word)
	}

	return short
}

func ofSensor(s *types.Sensor) core.Gauge {
	g := core.Gauge{Name: readable(s.Name)}

	if s.NotPresent || s.ScanningDisabled || !s.IsReadingValid() {
		g.NotThere = true

		return g
	}

	if !s.IsThreshold() || !s.HasAnalogReading {
		g.Text = readable(strings.Join(s.DiscreteActiveEventsString(), ", "))

		return g
	}

	g.Value, g.Unit = figure(s.Value), unitOf(s.SensorUnit.String())

	for kind, limit := range map[types.SensorThresholdType]struct {
		to    **float64
		value float64
	}{
		types.SensorThresholdType_LCR: {&g.LowCritical, s.Threshold.LCR}, types.SensorThresholdType_LNC: {&g.LowWarning, s.Threshold.LNC},
		types.SensorThresholdType_UNC: {&g.HighWarning, s.Threshold.UNC}, types.SensorThresholdType_UCR: {&g.HighCritical, s.Threshold.UCR},
	} {
		if s.IsThresholdReadable(kind) {
			*limit.to = figure(limit.value)
		}
	}

	return g
}
