package ipmi_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/ipmi"
)

// controller is a BMC with three sensor records, two events, an inventory of 40
// bytes and a LAN port on its second channel.
type controller struct{ asked int }

func (c *controller) Do(req ipmi.Request) ([]byte, error) {
	c.asked++

	switch fmt.Sprintf("%02x%02x", req.NetFn, req.Command) {
	case "0601":
		return []byte{0, 0x20, 0x81, 0x81, 0x71, 0x02, 0xbf, 0x7c, 0x2a, 0x00, 0x5d, 0x09, 0x0a, 0x0b, 0x0c, 0x0d}, nil
	case "0c02":
		if req.Data[0] != 2 {
			return []byte{0xcc}, nil
		}

		return []byte{0, 0x11, 0x3c, 0xec, 0xef, 0x01, 0x02, 0x03}, nil
	case "0a20", "0a40":
		return []byte{0, 0x51, 2, 0, 0, 0}, nil
	case "0a22":
		return []byte{0, 0x34, 0x12}, nil
	case "0a23":
		return c.sensorRecord(req.Data), nil
	case "0a43":
		next := []byte{1, 0}
		if req.Data[2] == 1 {
			next = []byte{0xff, 0xff}
		}

		return append([]byte{0}, append(next, make([]byte, 16)...)...), nil
	case "0a10":
		return []byte{0, 40, 0, 0}, nil
	case "0a11":
		return append([]byte{0, req.Data[3]}, make([]byte, req.Data[3])...), nil
	case "042d", "0427":
		return []byte{0, 0x80, 0xc0, 0}, nil
	default:
		return []byte{0xc1}, nil
	}
}

func (*controller) sensorRecord(data []byte) []byte {
	id, at, n := data[2], int(data[4]), int(data[5])
	record := make([]byte, 5+43)
	record[0], record[2], record[3], record[4], record[7] = id, 0x51, 1, 43, 0x30+id

	if id == 2 {
		record[3] = 0x12 // a locator, no sensor
	}

	next := []byte{id + 1, 0}
	if id == 2 {
		next = []byte{0xff, 0xff}
	}

	return append([]byte{0}, append(next, record[at:at+n]...)...)
}

func TestSurvey(t *testing.T) {
	var (
		recording bytes.Buffer
		bmc       controller
	)

	if err := ipmi.Survey(ipmi.NewRecorder(&bmc, &recording)); err != nil {
		t.Fatal(err)
	}

	if lines := strings.Count(recording.String(), "\n"); lines != bmc.asked {
		t.Errorf("%d requests, %d of them recorded", bmc.asked, lines)
	}

	for _, part := range []string{
		`{"request":"0601","answer":"00208181`, `"request":"042d30"`, `"request":"042d31"`, `"request":"0a23341200000510`, `"request":"0a11002000`, `"request":"0a43000001`,
	} {
		if !strings.Contains(recording.String(), part) {
			t.Errorf("%s is not recorded", part)
		}
	}

	if strings.Contains(recording.String(), `"request":"042d32"`) {
		t.Error("a record that is no sensor was read as one")
	}

	replay, err := ipmi.NewReplay(&recording)
	if err != nil {
		t.Fatal(err)
	}

	want := ipmi.Device{ID: 0x20, Revision: 1, Firmware: "1.71.0a0b0c0d", IPMI: "2.0", Manufacturer: 0x2a7c, Product: 0x95d}
	if got, err := ipmi.ReadDevice(replay); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}

	if mac := ipmi.ReadMAC(replay); mac != "3c:ec:ef:01:02:03" {
		t.Errorf("LAN port %q", mac)
	}
}

func TestReplay(t *testing.T) {
	empty, err := ipmi.NewReplay(strings.NewReader("\n"))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := ipmi.ReadDevice(empty); !errors.Is(err, ipmi.ErrAbsent) {
		t.Errorf("no BMC: %v", err)
	}

	replay, err := ipmi.NewReplay(strings.NewReader(`{"request":"042d30","answer":"0001c000"}
{"request":"042d30","answer":"0002c000"}
{"request":"0601","error":"timeout"}
{"request":"0001","answer":"zz"}
`))
	if err != nil {
		t.Fatal(err)
	}

	var answers []byte

	for range 3 {
		answer, err := replay.Do(ipmi.Request{NetFn: ipmi.Sensor, Command: 0x2d, Data: []byte{0x30}})
		if err != nil || len(answer) != 4 {
			t.Fatal(answer, err)
		}

		answers = append(answers, answer[1])
	}

	if diff := cmp.Diff([]byte{1, 2, 2}, answers); diff != "" {
		t.Error(diff)
	}

	replay.Set(ipmi.Request{NetFn: ipmi.Sensor, Command: 0x2d, Data: []byte{0x30}}, []byte{0, 9})

	if answer, err := replay.Do(ipmi.Request{NetFn: ipmi.Sensor, Command: 0x2d, Data: []byte{0x30}}); err != nil || answer[1] != 9 {
		t.Errorf("set, but answered %x %v", answer, err)
	}

	if _, err := ipmi.ReadDevice(replay); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("a lost answer: %v", err)
	}

	if _, err := replay.Do(ipmi.Request{NetFn: ipmi.Chassis, Command: 1}); err == nil {
		t.Error("hex that is none was decoded")
	}

	if answer, err := replay.Do(ipmi.Request{NetFn: ipmi.App, Command: 0x42}); err != nil || answer[0] != 0xc1 {
		t.Errorf("a request not recorded: %x %v", answer, err)
	}

	if _, err := ipmi.NewReplay(strings.NewReader("{")); err == nil {
		t.Error("nonsense was read")
	}
}

func TestSystemWithoutBMC(t *testing.T) {
	if _, err := (&ipmi.System{Device: t.TempDir() + "/ipmi0"}).Do(ipmi.Request{NetFn: ipmi.App, Command: 1}); !errors.Is(err, ipmi.ErrAbsent) {
		t.Error(err)
	}
}

// FuzzDevice: any bytes are a device or an error.
func FuzzDevice(f *testing.F) {
	f.Add([]byte{0x20, 0x81, 0x81, 0x71, 0x02, 0xbf, 0x7c, 0x2a, 0x00, 0x5d, 0x09, 1, 2, 3, 4})

	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := ipmi.ParseDevice(b); err != nil && d != (ipmi.Device{}) {
			t.Errorf("%+v and %v", d, err)
		}
	})
}

// FuzzSurvey: a BMC may answer anything; the survey comes to an end.
func FuzzSurvey(f *testing.F) {
	f.Add([]byte{0, 0xff, 0xff, 0, 1, 43, 0, 0})

	f.Fuzz(func(_ *testing.T, answer []byte) {
		_ = ipmi.Survey(mad(answer))
	})
}

// mad gives one answer to everything.
type mad []byte

func (m mad) Do(ipmi.Request) ([]byte, error) { return m, nil }

// FuzzReplay: any text is a recording or an error; one that is asked comes to an end.
func FuzzReplay(f *testing.F) {
	recording, err := os.ReadFile("../machines/testdata/qemu-lab-server-1.7.3/bmc.jsonl")
	if err != nil {
		f.Fatal(err)
	}

	f.Add(recording)
	f.Add([]byte(`{"request":"0601"}`))

	f.Fuzz(func(_ *testing.T, text []byte) {
		bmc, err := ipmi.NewReplay(bytes.NewReader(text))
		if err != nil {
			return
		}

		_, _ = ipmi.ReadDevice(bmc)
		_ = ipmi.ReadMAC(bmc)
		_ = ipmi.Survey(bmc)
	})
}
