package sensor

import (
	"errors"
	"log/slog"
	"math"
	"strconv"
	"time"

	"vetting/agent/ipmi"
)

const (
	bmcEvery = 15 * time.Second // a BMC takes its time for each question
	bmcAgain = time.Minute      // when it did not answer, or its driver was not there yet …
	bmcTries = 7                // … and twice as long each further time that it answers wrongly, so often
)

// bmcBank is the name of the chip that stands for the BMC.
const bmcBank = "bmc"

// controller is the machine's BMC: what it measures is asked for once, since that may
// take a minute.
type controller struct {
	gauges []ipmi.Gauge
	met    bool
	asked  time.Time
	failed int      // how often in a row it answered wrongly
	answer chan met // of the question under way; nil: there is none
}

type met struct {
	gauges []ipmi.Gauge
	err    error
}

// meet asks a BMC for its sensors, until it has told them. It reports whether it has just
// done so.
func (c *controller) meet(bmc ipmi.BMC, now time.Time, log *slog.Logger) bool {
	if c.answer == nil {
		if bmc != nil && !c.met && (c.asked.IsZero() || now.Sub(c.asked) >= c.pause()) {
			out := make(chan met, 1)
			c.answer, c.asked = out, now

			go func() {
				gauges, err := ipmi.ReadGauges(bmc)
				out <- met{gauges, err}
			}()
		}

		return false
	}

	select {
	case m := <-c.answer:
		c.answer = nil

		if m.err == nil || errors.Is(m.err, ipmi.ErrAbsent) {
			c.failed = 0
		} else {
			c.failed++
			log.Warn("the BMC does not tell what it measures", slog.String("error", m.err.Error()), slog.Duration("pause", c.pause()))
		}

		c.met = m.err == nil

		// What it told before counts, where it tells less now.
		if c.met || len(m.gauges) > len(c.gauges) {
			c.gauges = m.gauges
		}

		return c.met
	default:
		return false
	}
}

// pause is from one question to the next. A BMC that never tells all would else be busy
// with questions for as long as the machine is tested.
func (c *controller) pause() time.Duration { return bmcAgain << max(0, min(c.failed, bmcTries)-1) }

// sensors are the BMC's, under names of its own: they are of the board, since a CPU's
// temperature may be something that the BMC has reckoned. Its upper critical threshold
// stands for the upper limit, which is warned of: what the BMC itself thinks of it, it
// writes into its event log.
func (c *controller) sensors() (all []Sensor) {
	for i := range c.gauges {
		g := &c.gauges[i]

		name := g.Name
		if name == "" {
			name = "sensor " + strconv.Itoa(i)
		}

		s := Sensor{
			Name: "BMC " + name, Kind: "board", Quantity: Fan, Max: math.NaN(), Crit: math.NaN(), min: math.NaN(), Socket: -1,
			bank: bmcBank, label: name, gauge: g,
		}

		if g.Unit == ipmi.Celsius {
			s.Quantity = Temperature
		}

		s.Key = "board/" + keyPart(bmcBank, name) + "/" + string(s.Quantity)
		all = append(all, s)
	}

	return all
}

// readBMC reads all that a BMC measures. What it does not answer says nothing.
func readBMC(bmc ipmi.BMC, sensors []Sensor) answer {
	a := answer{values: make(map[string]float64, len(sensors)), limits: make(map[string]limits, len(sensors))}

	for i := range sensors {
		s := &sensors[i]

		v, err := s.gauge.Read(bmc)
		if err != nil || s.Quantity == Temperature && bogus(v) {
			v = math.NaN()
		}

		a.values[s.Key] = v
		a.limits[s.Key] = limits{max: sane(s.gauge.High), crit: math.NaN(), min: s.gauge.Low}
	}

	return a
}
