package sheet_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vetting/core"
	"vetting/ui/sheet"
)

func full() core.Host {
	return core.Host{
		MAC: "52:54:00:00:00:11", Aliases: []core.MAC{"52:54:00:00:00:12", "52:54:00:00:00:13"}, Name: "rack3-u17", AssetTag: "A-1",
		Rack: "B07/U12", Class: "r740-nvme", Tags: []string{"lab", "gpu"}, Notes: "two\nlines, and a \"quote\"", Power: core.Power{Method: core.PowerWoL},
	}
}

func written(t *testing.T, hosts ...core.Host) string {
	t.Helper()

	var lines []sheet.Line
	for _, h := range hosts {
		lines = append(lines, sheet.Line{Host: h, Machine: core.System{Manufacturer: "Dell Inc.", Serial: "7C9"}})
	}

	var b bytes.Buffer
	if err := sheet.Write(&b, lines); err != nil {
		t.Fatal(err)
	}

	return b.String()
}

func TestAListReadsBackAsItWasWritten(t *testing.T) {
	t.Parallel()

	hostile := full()
	hostile.MAC, hostile.Aliases = "52:54:00:00:00:21", nil
	hostile.Name, hostile.AssetTag, hostile.Notes, hostile.Class = "=cmd|' /C calc'!A0", "@SUM(1)", "-1+1", "'quoted"

	text := written(t, full(), hostile)
	if !strings.HasPrefix(text, "name,manufacturer,device_type,serial,asset_tag,status,rack,position,comments,tags,mac_address,aliases,power\n") {
		t.Errorf("the header is not NetBox's: %.120s", text)
	}

	for cell := range strings.SplitSeq(strings.ReplaceAll(text, "\n", ","), ",") {
		if strings.ContainsAny(strings.TrimPrefix(cell, `"`)[:min(1, len(cell))], "=+-@") {
			t.Errorf("a spreadsheet would compute %q", cell)
		}
	}

	rows, err := sheet.Read([]byte(text))
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}

	for i, want := range []core.Host{full(), hostile} {
		got := core.Host{MAC: rows[i].MAC}
		if err := errors.Join(rows[i].Err, rows[i].Apply(&got)); err != nil {
			t.Error(err)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("row %d (-written +read):\n%s", i, diff)
		}
	}
}

func TestAListOfNetBoxIsRead(t *testing.T) {
	t.Parallel()

	for name, text := range map[string]string{
		"as it exports it": "\xef\xbb\xbfname,role,device_type,status,site,rack,position,asset_tag,tags,primary_mac_address\n" +
			"u17,server,R740,active,dc1,B07,12.0,A-1,\"lab,gpu\",52-54-00-00-00-11\n",
		"with semicolons": "Name;MAC_Address;Rack;Position;Asset_Tag;Device_Type;Tags\nu17;5254.0000.0011;B07;12;A-1;R740;lab gpu\n",
		"with tabs":       "name\tserial\tmac\track\tposition\tasset_tag\tdevice_type\ttags\nu17\t\t52:54:00:00:00:11\tB07\t12\tA-1\tR740\tlab,gpu\n",
	} {
		rows, err := sheet.Read([]byte(text))
		if err != nil || len(rows) != 1 || rows[0].Err != nil {
			t.Errorf("%s: %+v %v", name, rows, err)

			continue
		}

		host := core.Host{MAC: rows[0].MAC, Notes: "stays"}
		if err := rows[0].Apply(&host); err != nil {
			t.Error(err)
		}

		want := core.Host{MAC: "52:54:00:00:00:11", Name: "u17", AssetTag: "A-1", Rack: "B07/U12", Class: "R740", Tags: []string{"lab", "gpu"}, Notes: "stays"}
		if diff := cmp.Diff(want, host); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestARowThatCannotBeTakenSaysWhyAndStopsNoOther(t *testing.T) {
	t.Parallel()

	rows, err := sheet.Read([]byte("name,mac_address,aliases\na,52:54:00:00:00:01\nb,nonsense\nc,52:54:00:00:00:01\nd,52:54:00:00:00:02,what\ne,52:54:00:00:00:03,,extra\nf,52:54:00:00:00:04\n"))
	if err != nil {
		t.Fatal(err)
	}

	got := ""

	for _, r := range rows {
		if got += r.Name + map[bool]string{true: "-", false: "+"}[r.Err != nil]; r.Err != nil && !errors.Is(r.Err, core.ErrInvalid) {
			t.Errorf("line %d: %v", r.Line, r.Err)
		}
	}

	if got != "a+b-c-d-e-f+" || rows[5].Line != 7 {
		t.Errorf("%s, the last in line %d", got, rows[5].Line)
	}
}

func TestAListThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()

	for name, text := range map[string]string{
		"nothing":                "",
		"no address":             "name,rack\na,b\n",
		"an open quote":          "name,mac_address\n\"a,52:54:00:00:00:01\n",
		"a column twice":         "mac,mac_address\n1,2\n",
		"more rows than allowed": "mac_address\n" + strings.Repeat("x\n", sheet.MaxRows+1),
	} {
		if _, err := sheet.Read([]byte(text)); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("name,mac_address,tags\na,52:54:00:00:00:01,\"x,y\"\n"))
	f.Add([]byte("\xef\xbb\xbfmac;name\n525400000001;'=1\n"))
	f.Add([]byte("name,mac_address\n\"a\n"))
	f.Add([]byte("mac_address,aliases,rack,position\n52:54:00:00:00:01,52:54:00:00:00:02 x,B,1.0\n"))

	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := sheet.Read(text)
		if err != nil && !errors.Is(err, core.ErrInvalid) {
			t.Errorf("an error of no kind: %v", err)
		}

		for _, r := range rows {
			host := core.Host{MAC: r.MAC}
			if r.Err == nil && (r.Apply(&host) != nil || r.Line < 2) {
				t.Errorf("a row that was taken cannot be applied: %+v", r)
			}
		}
	})
}

// People paste what a switch or a delivery note shows: addresses, perhaps with names.
func TestAListOfMereAddressesNeedsNoHeader(t *testing.T) {
	t.Parallel()

	for name, list := range map[string]string{
		"one in each line":  "52:54:00:00:00:11\n\n5254.0000.0012 rack3-u18\n52-54-00-00-00-13, rack3 u19\r\nnonsense\n",
		"with a byte order": "\xef\xbb\xbf52:54:00:00:00:11\n\n5254.0000.0012;rack3-u18\n52-54-00-00-00-13\track3 u19\nnonsense",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			rows, err := sheet.Read([]byte(list))
			if err != nil || len(rows) != 4 {
				t.Fatalf("%d rows, %v", len(rows), err)
			}

			for i, want := range []struct {
				line int
				mac  core.MAC
				name string
			}{{1, "52:54:00:00:00:11", "host-000011"}, {3, "52:54:00:00:00:12", "rack3-u18"}, {4, "52:54:00:00:00:13", "rack3 u19"}, {5, "", ""}} {
				if r := rows[i]; r.Line != want.line || r.MAC != want.mac || r.Name != want.name || (r.Err != nil) != (want.mac == "") {
					t.Errorf("row %d: line %d, %q, %q, %v", i, r.Line, r.MAC, r.Name, r.Err)
				}
			}
		})
	}
}
