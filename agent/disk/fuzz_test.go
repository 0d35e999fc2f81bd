package disk_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"vetting/agent/disk"
	"vetting/agent/machines"
)

// seeds adds what the recorded disks answered to the commands whose keys begin
// with one of the prefixes, each answer once.
func seeds(f *testing.F, prefixes ...string) {
	f.Helper()

	seen := map[string]bool{}

	for _, e := range exchanges(f) {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(e.SCSI+e.NVMe, p) }) || e.Length == 0 || seen[e.Data] {
			continue
		}

		data, err := hex.DecodeString(e.Data)
		if err != nil {
			f.Fatal(err)
		}

		seen[e.Data] = true

		f.Add(append(data, make([]byte, e.Length-len(data))...))
	}

	if len(seen) == 0 {
		f.Fatalf("no recorded disk answers %v", prefixes)
	}

	f.Add([]byte{})
}

// recorded is what exchanges found.
var recorded []disk.Exchange

// exchanges lists what all recorded disks answer to everything.
func exchanges(tb testing.TB) (list []disk.Exchange) {
	tb.Helper()

	if recorded != nil {
		return recorded
	}

	defer func() { recorded = list }()

	for _, name := range machines.Names(tb) {
		r := machines.Open(tb, name)

		var recording bytes.Buffer

		for _, name := range r.Disks.Names() {
			if err := disk.Survey(disk.NewRecorder(r.Disks, &recording), name); err != nil {
				tb.Fatal(err)
			}
		}

		for lines := json.NewDecoder(&recording); ; {
			var e disk.Exchange

			err := lines.Decode(&e)
			if errors.Is(err, io.EOF) {
				break
			}

			if err != nil {
				tb.Fatal(err)
			}

			list = append(list, e)
		}
	}

	return list
}

// printable fails when a text of a device could move a terminal's cursor.
func printable(t *testing.T, texts ...string) {
	t.Helper()

	for _, text := range texts {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || text != strings.TrimSpace(text) {
			t.Errorf("%q", text)
		}
	}
}

func FuzzIdentify(f *testing.F) {
	seeds(f, "85080e0000000100")

	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := disk.ParseIdentify(b)
		printable(t, id.Model, id.Serial, id.Firmware, id.WWN)

		if err == nil && (id.LogicalBlock < 512 || id.PhysBlock < id.LogicalBlock || id.RPM != 0 && !id.Rotational) {
			t.Errorf("%+v", id)
		}
	})
}

func FuzzDeviceConfiguration(f *testing.F) {
	f.Add(configuration(1953525167))
	seeds(f, "85080e0000000100")

	f.Fuzz(func(t *testing.T, b []byte) {
		if sectors, err := disk.ParseDeviceConfiguration(b); err == nil && (sectors < 2 || sectors > 1<<48) {
			t.Errorf("%d sectors", sectors)
		}
	})
}

func FuzzSMART(f *testing.F) {
	seeds(f, "85080e00d0", "85080e00d1")

	f.Fuzz(func(t *testing.T, b []byte) {
		smart, err := disk.ParseSMART(b, b)
		if err == nil && len(smart.Attributes) > 30 {
			t.Errorf("%d attributes", len(smart.Attributes))
		}

		for _, a := range smart.Attributes {
			if found, ok := smart.Attribute(a.ID); !ok || found.ID != a.ID || a.Low8() > a.Low16() || a.Low16() > a.Low32() || a.Raw>>48 != 0 {
				t.Errorf("%+v", a)
			}
		}

		if left, _ := smart.TestRunning(); left < 0 || left > 1.5 {
			t.Errorf("%f left", left)
		}
	})
}

func FuzzATASelfTests(f *testing.F) {
	seeds(f, "85080e00d5")

	f.Fuzz(func(t *testing.T, b []byte) {
		if tests, _ := disk.ParseATASelfTests(b); len(tests) > 21 {
			t.Errorf("%d tests", len(tests))
		}
	})
}

func FuzzATAExtSelfTests(f *testing.F) {
	f.Add(make([]byte, 512), 19)
	f.Add(append(make([]byte, 4), bytes.Repeat([]byte{2, 0x75, 9, 0, 0, 1, 2, 3, 4, 5, 6}, 47)...), 3)
	f.Add([]byte{}, -1)

	f.Fuzz(func(t *testing.T, b []byte, latest int) {
		if tests, _ := disk.ParseATAExtSelfTests(b, latest); len(tests) > 19 || len(tests) > max(latest, 0) {
			t.Errorf("%d tests", len(tests))
		}
	})
}

func FuzzPhyEvents(f *testing.F) {
	seeds(f, "85090e000000010011")

	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := disk.ParsePhyEvents(b)
		if err != nil && events != nil {
			t.Errorf("%v and %v", events, err)
		}

		_, _ = events.Errors(), events.Losses()
	})
}

func FuzzEndurance(f *testing.F) {
	seeds(f, "85090e0000000100040007")

	f.Fuzz(func(t *testing.T, b []byte) {
		if percent, err := disk.ParseEndurance(b); percent < 0 || percent > 255 || err != nil && percent != 0 {
			t.Errorf("%d %v", percent, err)
		}
	})
}

func FuzzInquiry(f *testing.F) {
	seeds(f, "120000", "1201")

	f.Fuzz(func(t *testing.T, b []byte) {
		inquiry, err := disk.ParseInquiry(b)
		printable(t, inquiry.Vendor, inquiry.Product, inquiry.Revision)

		if err == nil {
			_, _, _ = inquiry.Disk(), inquiry.ATA(), inquiry.RAIDVolume()
		}

		for _, page := range []byte{0x80, 0x83, 0xb1} {
			payload, err := disk.ParseVPD(page, b)
			if err != nil {
				continue
			}

			printable(t, disk.ParseDesignators(payload))

			for _, name := range disk.Designators(payload) {
				if len(name) < 8 {
					t.Errorf("designator %x", name)
				}
			}

			if rotational, rpm := disk.ParseMedium(payload); rpm > 0 && !rotational {
				t.Errorf("%d rpm without rotation", rpm)
			}
		}
	})
}

func FuzzLogPage(f *testing.F) {
	seeds(f, "4d00")

	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}

		page, err := disk.ParseLogPage(b[0]&0x3f, b)
		if err != nil {
			return
		}

		for _, param := range page.Params {
			_, _ = page.Counter(param.Code)
		}

		if current, ok := page.Temperature(); ok && (current < 0 || current > 254) {
			t.Errorf("%d degrees", current)
		}

		_, _, _, _ = page.Exception()
		_, _ = page.PowerOnHours()
		_, _ = page.StartStops()
		_, _ = page.Endurance()

		if tests := disk.ParseSCSISelfTests(page); len(tests) > len(page.Params) {
			t.Errorf("%d tests of %d parameters", len(tests), len(page.Params))
		}

		for _, phy := range disk.ParseSASPhys(page) {
			_ = phy.Errors()
		}
	})
}

func FuzzSense(f *testing.F) {
	for _, e := range exchanges(f) {
		if sense, err := hex.DecodeString(e.Sense); err == nil && len(sense) > 0 {
			f.Add(sense)
		}
	}

	f.Add([]byte{0x72, 0, 0, 0, 0, 0, 0, 2, 9, 0})

	f.Fuzz(func(t *testing.T, b []byte) {
		if sense := disk.ParseSense(b); sense.Key > 15 {
			t.Errorf("%+v", sense)
		}
	})
}

func FuzzDefects(f *testing.F) {
	seeds(f, "b70d")

	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := disk.ParseDefects(b); n < 0 || err != nil && n != 0 {
			t.Errorf("%d %v", n, err)
		}
	})
}

func FuzzNVMe(f *testing.F) {
	seeds(f, "06 ", "02 ")

	f.Fuzz(func(t *testing.T, b []byte) {
		controller, _ := disk.ParseNVMeController(b)
		printable(t, controller.Model, controller.Serial, controller.Firmware)

		namespace, err := disk.ParseNVMeNamespace(b)
		printable(t, namespace.WWN)

		if size := namespace.BlockBytes; err == nil && size != 0 && (size < 512 || size > 1<<20) {
			t.Errorf("blocks of %d bytes", size)
		}

		_, _ = disk.ParseNVMeHealth(b)

		can, err := disk.ParseNVMeErasure(b, b, b)
		if ways, _ := can.Ways(); err == nil {
			for _, w := range ways {
				if (w.Sanitize || can.AllAtOnce) && can.Namespaces != 1 || w.Request.CDW10>>14 != 0 {
					t.Errorf("%+v by %+v", can, w)
				}
			}
		}

		if s, _ := disk.ParseNVMeSanitizing(b); s.Done < 0 || s.Done >= 1 || s.Passed && s.Failed {
			t.Errorf("%+v", s)
		}

		if entries := disk.ParseNVMeErrors(b); len(entries) > len(b)/64 {
			t.Errorf("%d errors in %d bytes", len(entries), len(b))
		}

		if log, _ := disk.ParseNVMeSelfTests(b); len(log.Tests) > 20 || log.Done < 0 || log.Done > 1 {
			t.Errorf("%+v", log)
		}
	})
}

func FuzzOCPHealth(f *testing.F) {
	page := make([]byte, 512)
	guid, _ := hex.DecodeString("c5af1028eabff2a49c4f6f7cc914d5af")
	copy(page[496:], guid)
	f.Add(page)
	f.Add(bytes.Repeat([]byte{0xff}, 512))
	f.Add(append(bytes.Repeat([]byte{0xff}, 496), guid...))
	f.Add([]byte{})

	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := disk.ParseOCPHealth(b)
		if err != nil && h != (disk.OCPHealth{}) || h.UserBlocks > 100 || h.SystemBlocks > 100 || h.BadUserBlocks>>48 != 0 || h.EndToEndLost > h.EndToEnd || h.HasCapacitor && h.Capacitor > 0xfffe {
			t.Errorf("%+v %v", h, err)
		}
	})
}

// FuzzReplay: any text is a recording or an error, and what it answers never is
// more than a disk could give.
func FuzzReplay(f *testing.F) {
	for _, e := range exchanges(f)[:20] {
		if line, err := json.Marshal(e); err == nil {
			f.Add(string(line))
		}
	}

	f.Add(`{"disk":"sda","scsi":"12","length":99999999,"data":"zz"}`)

	f.Fuzz(func(_ *testing.T, text string) {
		replay, err := disk.NewReplay(strings.NewReader(text))
		if err != nil {
			return
		}

		for _, name := range replay.Names() {
			_ = disk.Survey(replay, name)
		}
	})
}
