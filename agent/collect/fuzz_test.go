package collect_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"vetting/agent/collect"
)

// FuzzOpen: any files are a recording or an error.
func FuzzOpen(f *testing.F) {
	f.Add(small, `{"disk":"sda","scsi":"12000000ff00","in":"00"}`, `{"eth0":{"driver":"igb","module":"03"}}`, `{"request":"0601","answer":"20"}`, "6,1,0,-;x\n")
	f.Add("/sys\n", "{}", "[]", "{}", "")

	const from = "../machines/testdata/qemu-lab-server-1.7.3/"

	f.Add(head(f, from+"tree", 500), head(f, from+"disks.jsonl", 3), head(f, from+"ports.json", 1<<20), head(f, from+"bmc.jsonl", 20), head(f, from+"kmsg", 50))

	f.Fuzz(func(_ *testing.T, tree, disks, ports, bmc, kmsg string) {
		r, err := collect.Open(fstest.MapFS{
			"m/origin": {Data: []byte("made: x")}, "m/tree": {Data: []byte(tree)}, "m/disks.jsonl": {Data: []byte(disks)},
			"m/ports.json": {Data: []byte(ports)}, "m/bmc.jsonl": {Data: []byte(bmc)}, "m/kmsg": {Data: []byte(kmsg)},
		}, "m")
		if err != nil {
			return
		}

		_, _ = r.Machine().Inventory("")
	})
}

// head returns the first lines of a file.
func head(f *testing.F, name string, lines int) string {
	f.Helper()

	content, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}

	all := strings.SplitAfter(string(content), "\n")

	return strings.Join(all[:min(lines, len(all))], "")
}

// FuzzScrub: whatever is in the files, what comes out is a recording again, without
// the serial number of the board.
func FuzzScrub(f *testing.F) {
	f.Add("BRD0123456789", "52:54:00:4a:11:01", `{"disk":"sda","scsi":"12000000ff00","in":"00"}`, "6,1,0,-;eth0: 52:54:00:4a:11:01\n")
	f.Add("0", "", "", "")

	f.Fuzz(func(t *testing.T, serial, address, disks, kmsg string) {
		root := collect.NewTree()
		for name, text := range map[string]string{
			"sys/class/dmi/id/board_serial": serial, "sys/class/net/eth0/address": address, "proc/sys/kernel/hostname": serial,
		} {
			if err := root.Put(name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}

		var tree strings.Builder
		if err := root.WriteText(&tree); err != nil {
			t.Fatal(err)
		}

		out, err := collect.Files{"tree": []byte(tree.String()), "disks.jsonl": []byte(disks), "kmsg": []byte(kmsg)}.Scrub([]byte("key"))
		if err != nil {
			return
		}

		if _, err := collect.ParseTree(strings.NewReader(string(out["tree"]))); err != nil {
			t.Errorf("what was scrubbed is no tree: %v\n%s", err, out["tree"])
		}
	})
}
