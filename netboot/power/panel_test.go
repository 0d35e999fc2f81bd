package power_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/types"

	"vetting/core"
	"vetting/core/coretest"
	"vetting/netboot/power"
)

// teller is a BMC that has a log and sensors.
type teller struct {
	entries int
	first   int // number of the first record
	gap     int // a record that is not there; 0: none
	warm    byte
	asked   atomic.Int32
}

// option adds what go-ipmi's BMC lacks.
func (b *teller) option() server.ServerOption {
	reg := handlers.NewRegistry()
	handlers.RegisterAllHandlers(reg)

	answer := func(c types.Command, say func(data []byte) ([]byte, types.CompletionCode)) {
		reg.RegisterFunc(c, func(_ context.Context, _ *handlers.HandlerContext, data []byte) ([]byte, types.CompletionCode, error) {
			out, code := say(data)

			return out, code, nil
		})
	}

	answer(types.CommandGetSELInfo, func([]byte) ([]byte, types.CompletionCode) {
		return append(binary.LittleEndian.AppendUint16([]byte{0x51}, uint16(b.entries)), make([]byte, 11)...), types.CodeOK //nolint:gosec // it is small
	})
	answer(types.CommandGetSELEntry, b.entry)
	answer(types.CommandGetSDR, b.record)
	answer(types.CommandGetSensorReading, func(data []byte) ([]byte, types.CompletionCode) {
		if data[0] == 2 {
			return []byte{0, 0xe0, 0}, types.CodeOK // it says that there is no reading
		}

		return []byte{b.warm, 0xc0, 0xc0}, types.CodeOK
	})
	answer(types.CommandGetSensorThresholds, func([]byte) ([]byte, types.CompletionCode) {
		return []byte{0x1b, 10, 5, 0, 80, 90, 0}, types.CodeOK
	})

	return server.WithHandlerRegistry(reg)
}

func (b *teller) entry(data []byte) ([]byte, types.CompletionCode) {
	b.asked.Add(1)

	id, last := int(binary.LittleEndian.Uint16(data[2:])), b.first+b.entries-1
	if id == 0xffff {
		id = last
	}

	if id < b.first || id > last || id == b.gap {
		return nil, types.CompletionCode(0xcb)
	}

	out := binary.LittleEndian.AppendUint16(nil, uint16(min(id+1, 0xffff))) //nolint:gosec // likewise
	out = append(binary.LittleEndian.AppendUint16(out, uint16(id)), 2)      //nolint:gosec // likewise
	out = binary.LittleEndian.AppendUint32(out, uint32(1764460800+id*60))   //nolint:gosec // likewise
	out = append(out, 0x20, 0, 4, 0x0c, 0x87, 0x6f, 0xa0, byte(id), 1)      // memory, correctable ECC
	if id%2 == 0 {
		out[14] |= 0x80 // deasserted
	}

	return out, types.CodeOK
}

// record is a full sensor record (IPMI 2.0 §43.1) of one of two sensors.
func (b *teller) record(data []byte) ([]byte, types.CompletionCode) {
	id := binary.LittleEndian.Uint16(data[2:])
	if id == 0 {
		id = 1
	}

	if id > 2 {
		return nil, types.CompletionCode(0xcb)
	}

	name := []string{"CPU1 Temp", "DIMM\x07 Temp"}[id-1]
	fixed := [42]byte{0x20, 0, byte(id), 3, 1, 0x7f, 0x68, 1, 1, 0, 0, 0, 0, 0x1b, 0, 0, 1, 0, 0, 1}
	body := append(append(fixed[:], 0xc0|byte(len(name))), name...)
	whole := append(binary.LittleEndian.AppendUint16(nil, id), 0x51, 1, byte(len(body)))
	whole = append(whole, body...)

	from, most := int(data[4]), int(data[5])
	if from > len(whole) {
		return nil, types.CompletionCode(0xc9)
	}

	next := id + 1
	if id == 2 {
		next = 0xffff
	}

	return append(binary.LittleEndian.AppendUint16(nil, next), whole[from:min(from+most, len(whole))]...), types.CodeOK
}

func hostAt(way core.PowerMethod, address string) core.Host {
	host := coretest.Host(7)
	host.Power = core.Power{Method: way, BMC: core.BMC{Address: address, User: user, Insecure: true}}

	return host
}

func ask(t *testing.T, host *core.Host, op core.PowerOp) core.PowerAnswer {
	t.Helper()

	return power.Switch{Tools: power.Tools{Interface: "lo", Timeout: long}}.Do(t.Context(), core.PowerOrder{
		Host: *host, Secret: core.HostSecret{BMCPassword: password}, Way: host.Power.Method, Op: op,
	})
}

func TestAControllerTellsByIPMI(t *testing.T) {
	t.Parallel()

	b := &teller{entries: 300, first: 5, warm: 85}
	host := hostAt(core.PowerIPMI, startBMC(t, &chassis{powered: true}, bmc.PrivilegeLevelAdministrator, b.option()))

	got := ask(t, &host, core.PowerLook)
	if !got.Worked() || got.Panel == nil {
		t.Fatalf("%+v", got.Attempts)
	}

	p := got.Panel
	if p.State != core.PowerIsOn || p.Locate != core.PowerIsOff || p.Way != core.PowerIPMI || p.EventsAll != 300 || p.EventsCut != "" {
		t.Errorf("%+v", p)
	}

	if len(p.Events) != core.MaxPanelEvents || int(b.asked.Load()) > core.MaxPanelEvents+1 {
		t.Fatalf("%d events, %d were asked for", len(p.Events), b.asked.Load())
	}

	last := p.Events[0] // record 304, which is even
	if !last.At.Equal(time.Unix(1764460800+304*60, 0)) || !last.Cleared || p.Events[1].Cleared || !strings.Contains(last.Sensor, "Memory") || !strings.Contains(strings.ToLower(last.Text), "ecc") {
		t.Errorf("the last event: %+v", last)
	}

	if len(p.Gauges) != 2 || p.GaugesCut != "" {
		t.Fatalf("%d sensors, %q", len(p.Gauges), p.GaugesCut)
	}

	g := p.Gauges[0]
	if g.Name != "CPU1 Temp" || g.Unit != "°C" || g.Grave() != core.Warning {
		t.Errorf("%+v", g)
	}

	for name, c := range map[string]struct {
		got  *float64
		want float64
	}{
		"value": {g.Value, 85}, "low critical": {g.LowCritical, 5}, "low warning": {g.LowWarning, 10}, "high warning": {g.HighWarning, 80}, "high critical": {g.HighCritical, 90},
	} {
		if c.got == nil {
			t.Errorf("%s: none, want %v", name, c.want)
		} else if *c.got != c.want {
			t.Errorf("%s: %v, want %v", name, *c.got, c.want)
		}
	}

	if g := p.Gauges[1]; g.Name != "DIMM Temp" || !g.NotThere || g.Value != nil {
		t.Errorf("%+v", g)
	}
}

// A log with a hole tells what is after it, and a BMC without log and sensors says so.
func TestWhatAControllerDoesNotTellIsSaid(t *testing.T) {
	t.Parallel()

	holey := &teller{entries: 20, first: 1, gap: 15, warm: 20}
	host := hostAt(core.PowerIPMI, startBMC(t, &chassis{}, bmc.PrivilegeLevelAdministrator, holey.option()))

	if p := ask(t, &host, core.PowerLook).Panel; p == nil || len(p.Events) != 5 || !strings.Contains(p.EventsCut, "more of its event log") {
		t.Errorf("a log with a hole: %+v", p)
	}

	host = hostAt(core.PowerIPMI, startBMC(t, &chassis{}, bmc.PrivilegeLevelAdministrator))

	if p := ask(t, &host, core.PowerLook).Panel; p == nil || !strings.Contains(p.EventsCut, "does not tell its event log") || !strings.Contains(p.GaugesCut, "does not tell") {
		t.Errorf("a bare controller: %+v", p)
	}

	host.Power.Method = core.PowerWebhook
	host.Power.Webhook.URL = "https://hook.test/"

	if got := ask(t, &host, core.PowerLook); got.Worked() || got.Panel != nil {
		t.Errorf("a webhook: %+v", got)
	}
}

func TestTheLightByIPMI(t *testing.T) {
	t.Parallel()

	c := &chassis{}
	host := hostAt(core.PowerIPMI, startBMC(t, c, bmc.PrivilegeLevelOperator))

	for op, want := range map[core.PowerOp]bool{core.PowerLocate: true, core.PowerLocateOff: false} {
		if got := ask(t, &host, op); !got.Worked() || (c.light() > 0) != want {
			t.Errorf("%s: %+v, %d", op, got.Attempts, c.light())
		}
	}
}

// talking serves a Redfish controller with a chassis, sensors and a log.
func talking(t *testing.T, s *service) string {
	t.Helper()

	s.systems = []string{"1"}
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		text, known := map[string]string{
			"/redfish/v1/Systems/1": `{"@odata.id":"/redfish/v1/Systems/1","Id":"1","PowerState":"On","IndicatorLED":"Off",
				"LogServices":{"@odata.id":"/redfish/v1/Systems/1/LogServices"},"Links":{"Chassis":[{"@odata.id":"/redfish/v1/Chassis/1"}],"ManagedBy":[{"@odata.id":"/redfish/v1/Managers/1"}]}}`,
			"/redfish/v1/Managers/1":                         `{"FirmwareVersion":"6.10\u001b[31m","LogServices":{"@odata.id":"/redfish/v1/Managers/1/LogServices"}}`,
			"/redfish/v1/Systems/1/LogServices":              `{"Members":[{"@odata.id":"/redfish/v1/Systems/1/LogServices/Audit"}]}`,
			"/redfish/v1/Managers/1/LogServices":             `{"Members":[{"@odata.id":"/redfish/v1/Managers/1/LogServices/Sel"}]}`,
			"/redfish/v1/Managers/1/LogServices/Sel":         `{"Entries":{"@odata.id":"/redfish/v1/Managers/1/LogServices/Sel/Entries"}}`,
			"/redfish/v1/Chassis/1":                          `{"Thermal":{"@odata.id":"/redfish/v1/Chassis/1/Thermal"},"Power":{"@odata.id":"/redfish/v1/Chassis/1/Power"}}`,
			"/redfish/v1/Chassis/1/Thermal":                  `{"Temperatures":[{"Name":"CPU","ReadingCelsius":96,"UpperThresholdCritical":95},{"Name":"GPU","ReadingCelsius":null,"Status":{"State":"Absent"}}],"Fans":[{"FanName":"Fan 1","Reading":4200,"ReadingUnits":"RPM"}]}`,
			"/redfish/v1/Chassis/1/Power":                    `{"Voltages":[{"Name":"12V","ReadingVolts":12.1}],"PowerControl":[{"Name":"System","PowerConsumedWatts":310}]}`,
			"/redfish/v1/Managers/1/LogServices/Sel/Entries": entries(60),
		}[strings.TrimSuffix(r.URL.Path, "/")]

		if known && r.Method == http.MethodGet && s.knows(r) {
			fmt.Fprint(w, text)
		}

		return known && r.Method == http.MethodGet && s.knows(r)
	}

	server := httptest.NewServer(s)
	t.Cleanup(server.Close)

	return server.URL
}

func entries(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"Id":"%d","Created":"2026-11-30T10:%02d:00Z","Severity":"Critical","Message":"event %d"}`, i, i, i))
	}

	return fmt.Sprintf(`{"Members@odata.count":400,"Members":[%s]}`, strings.Join(list, ","))
}

func TestAControllerTellsByRedfish(t *testing.T) {
	t.Parallel()

	s := &service{}
	host := hostAt(core.PowerRedfish, talking(t, s))

	got := ask(t, &host, core.PowerLook)
	if !got.Worked() || got.Panel == nil {
		t.Fatalf("%+v", got.Attempts)
	}

	p := got.Panel
	if p.State != core.PowerIsOn || p.Locate != core.PowerIsOff || p.Firmware != "6.10 [31m" || p.EventsAll != 400 || p.EventsCut != "" || p.GaugesCut != "" {
		t.Errorf("%+v", p)
	}

	if len(p.Events) != core.MaxPanelEvents || p.Events[0].Text != "event 59" || p.Events[0].Severity != core.Critical {
		t.Errorf("events %+v", p.Events)
	}

	var said []string
	for _, g := range p.Gauges {
		said = append(said, fmt.Sprintf("%s %s %v %s", g.Name, g.Unit, g.NotThere, g.Grave()))
	}

	if want := "CPU °C false critical, GPU °C true , Fan 1 RPM false , 12V V false , System W false "; strings.Join(said, ", ") != want {
		t.Errorf("sensors %q", strings.Join(said, ", "))
	}

	if s.sessions != 0 {
		t.Errorf("%d sessions are left open", s.sessions)
	}
}

func TestTheLightByRedfish(t *testing.T) {
	t.Parallel()

	s := &service{}
	host := hostAt(core.PowerRedfish, talking(t, s))

	for op, want := range map[core.PowerOp]string{core.PowerLocate: "Blinking", core.PowerLocateOff: "Off"} {
		if got := ask(t, &host, op); !got.Worked() || s.led != want {
			t.Errorf("%s: %+v, %q", op, got.Attempts, s.led)
		}
	}
}
