package coldplug_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/coldplug"
	"vetting/agent/collect"
	"vetting/agent/machines"
)

var update = flag.Bool("update", false, "write the golden files")

// kernel is what a test has instead of one: it takes modules, says no to some, and
// finds devices once a driver is there.
type kernel struct {
	taken  []string
	refuse map[string]error
	finds  map[string]func()
}

func (k *kernel) insert(file string) error {
	name, _, _ := strings.Cut(file[strings.LastIndexByte(file, '/')+1:], ".ko")
	if err := k.refuse[name]; err != nil {
		return err
	}

	k.taken = append(k.taken, name)

	if find := k.finds[name]; find != nil {
		find()
	}

	return nil
}

// tables reads the part of Debian's tables that testdata has.
func tables(t testing.TB) *coldplug.Tables {
	t.Helper()

	tables, err := coldplug.ReadTables(os.DirFS("testdata"), ".")
	if err != nil {
		t.Fatal(err)
	}

	return tables
}

// written makes tables of three texts.
func written(t testing.TB, dep, alias, soft string) *coldplug.Tables {
	t.Helper()

	tables, err := coldplug.ReadTables(fstest.MapFS{
		"m/modules.dep": {Data: []byte(dep)}, "m/modules.alias": {Data: []byte(alias)}, "m/modules.softdep": {Data: []byte(soft)},
	}, "m")
	if err != nil {
		t.Fatal(err)
	}

	return tables
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestMachines: on every recorded machine each device gets its driver, what the
// driver needs comes before it, and network drivers come first.
func TestMachines(t *testing.T) {
	machines.Each(t, func(t *testing.T, r *collect.Recording) {
		var k kernel

		loader := coldplug.NewLoader(tables(t), k.insert, quiet())
		if err := loader.Walk(t.Context(), r.Root); err != nil {
			t.Fatal(err)
		}

		if loader.Loaded() != len(k.taken) {
			t.Errorf("%d loaded, %v", loader.Loaded(), k.taken)
		}

		machines.Golden(t, r, "modules", k.taken, *update)
	})
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"pci:v00008086d00001521sv*sd*bc*sc*i*", "pci:v00008086d00001521sv000015D9sd00001521bc02sc00i00", true},
		{"pci:v00008086d00001521sv*sd*bc*sc*i*", "pci:v00008086d00001522sv000015D9sd00001521bc02sc00i00", false},
		{"pci:v*d*sv*sd*bc01sc08i02*", "pci:v0000144Dd0000A80Asv0000144Dsd0000AA11bc01sc08i02", true},
		{"dmi*:pn*X1/Carbon*:", "dmi:bvnL:pnThinkPad X1/Carbon Gen 9:", true},
		{"acpi*:IPI0001:*", "acpi:IPI0001:", true},
		{"acpi*:IPI0001:*", "acpi:PNP0C02:IPI0001:", true},
		{"acpi*:IPI0001:*", "acpi:IPI0002:", false},
		{"usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*", "usb:v0781p5581d0100dc00dsc00dp00ic08isc06ip50in00", true},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false},
		{"[!a-c]x", "dx", true},
		{"[^a]x", "ax", false},
		{"[0-9A-F]", "C", true},
		{"[abc", "a", false},
		{"[]", "", false},
		{"[]", "]", false},
		{"*", "", true},
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"**a**", "bab", true},
		{"*a*b*c", "xxaxxbxxc", true},
		{"*a*b*c", "xxaxxcxxb", false},
		{"a*", "a", true},
	} {
		if got := coldplug.Match(c.pattern, c.s); got != c.want {
			t.Errorf("%q on %q: %t", c.pattern, c.s, got)
		}
	}
}

// FuzzMatch: no pattern makes it hang or panic, a star matches all, and a text
// without signs matches itself alone.
func FuzzMatch(f *testing.F) {
	f.Add("pci:v00008086d*sv*", "pci:v00008086d00001521sv0")
	f.Add("[a-", "a")
	f.Add(strings.Repeat("*a", 30), strings.Repeat("a", 60))

	f.Fuzz(func(t *testing.T, pattern, s string) {
		got := coldplug.Match(pattern, s)

		if !strings.ContainsAny(pattern, "*?[") && got != (pattern == s) {
			t.Errorf("%q on %q: %t", pattern, s, got)
		}

		if got && !coldplug.Match(pattern+"*", s+"x") {
			t.Errorf("%q matches %q, but not with a star and one more", pattern, s)
		}

		if !coldplug.Match("*", s) {
			t.Errorf("a star does not match %q", s)
		}
	})
}

// messages are the kernel's, as heard on a machine that found a disk.
var messages = []string{
	"add@/devices/pci0000:00/0000:00:1f.2/ata1/host0\x00ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:1f.2/ata1/host0\x00SUBSYSTEM=scsi\x00DEVTYPE=scsi_host\x00SEQNUM=1213\x00",
	"add@/devices/pci0000:00/0000:00:02.0\x00ACTION=add\x00SUBSYSTEM=pci\x00PCI_CLASS=20000\x00MODALIAS=pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00\x00SEQNUM=9\x00",
	"remove@/devices/virtual/bdi/8:0\x00ACTION=remove\x00DEVPATH=/devices/virtual/bdi/8:0\x00SUBSYSTEM=bdi\x00SEQNUM=10\x00",
	"change@/devices/x\x00",
}

func TestUevents(t *testing.T) {
	want := []coldplug.Uevent{
		{Action: "add", Path: "/devices/pci0000:00/0000:00:1f.2/ata1/host0", Subsystem: "scsi"},
		{Action: "add", Path: "/devices/pci0000:00/0000:00:02.0", Subsystem: "pci", Modalias: "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00"},
		{Action: "remove", Path: "/devices/virtual/bdi/8:0", Subsystem: "bdi"},
		{Action: "change", Path: "/devices/x"},
	}

	for i, message := range messages {
		if got, ok := coldplug.ParseUevent([]byte(message)); !ok || got != want[i] {
			t.Errorf("%q: %+v %t", message, got, ok)
		}
	}

	for _, message := range []string{"", "libudev\x00\xfe\xed\xca\xfe", "add", "add@devices", "@/devices/x", "\x00"} {
		if got, ok := coldplug.ParseUevent([]byte(message)); ok {
			t.Errorf("%q is %+v", message, got)
		}
	}
}

func FuzzUevent(f *testing.F) {
	for _, message := range messages {
		f.Add([]byte(message))
	}

	f.Add([]byte("libudev\x00\xfe\xed\xca\xfe\x28\x00"))

	f.Fuzz(func(t *testing.T, message []byte) {
		event, ok := coldplug.ParseUevent(message)
		if ok != (event.Action != "") || ok && !strings.HasPrefix(event.Path, "/") || strings.Contains(event.Modalias+event.Subsystem, "\x00") {
			t.Errorf("%+v %t", event, ok)
		}
	})
}

// FuzzTables: any text is a set of tables or an error; no module asks for a file
// outside the folder.
func FuzzTables(f *testing.F) {
	var seeds []string

	for _, name := range []string{"modules.dep", "modules.alias", "modules.softdep"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}

		seeds = append(seeds, string(text))
	}

	f.Add(seeds[0], seeds[1], seeds[2], "pci:v00008086d00001521sv000015D9sd00001521bc02sc00i00")
	f.Add("../x.ko:\na.ko: /b.ko a.ko\n", "alias * a\nalias [ b\nalias", "softdep a pre: a post: a pre: b-c\n", "a")

	f.Fuzz(func(t *testing.T, dep, alias, soft, modalias string) {
		tables, err := coldplug.ReadTables(fstest.MapFS{
			"modules.dep": {Data: []byte(dep)}, "modules.alias": {Data: []byte(alias)}, "modules.softdep": {Data: []byte(soft)},
		}, ".")
		if err != nil {
			return
		}

		seen := map[string]bool{}
		loader := coldplug.NewLoader(tables, func(file string) error {
			if !fs.ValidPath(file) || seen[file] {
				t.Errorf("%q is loaded, or twice", file)
			}

			seen[file] = true

			return nil
		}, quiet())

		loader.Device(modalias)
		_ = loader.Load(modalias)
	})
}

func TestTablesMissing(t *testing.T) {
	for _, name := range []string{"modules.dep", "modules.alias", "modules.softdep"} {
		root := fstest.MapFS{"modules.dep": {}, "modules.alias": {}, "modules.softdep": {}}
		delete(root, name)

		if _, err := coldplug.ReadTables(root, "."); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without %s: %v", name, err)
		}
	}

	long := fstest.MapFS{"modules.dep": {Data: bytes.Repeat([]byte("x"), 1<<17)}, "modules.alias": {}, "modules.softdep": {}}
	if _, err := coldplug.ReadTables(long, "."); err == nil {
		t.Error("a line without an end was read")
	}
}

// TestNeedsComeFirst: what a module needs is loaded before it, deepest first, each
// once, soft dependencies around it, and cycles end.
func TestNeedsComeFirst(t *testing.T) {
	dep := "k/app.ko.xz: k/mid.ko.xz k/low-level.ko.xz\nk/mid.ko.xz: k/low-level.ko.xz\nk/low-level.ko.xz:\nk/before.ko.xz: k/low-level.ko.xz\nk/after.ko.xz:\n"
	soft := "softdep app pre: before missing post: after\nsoftdep after pre: app\nsoftdep before post: app\n"

	var k kernel

	loader := coldplug.NewLoader(written(t, dep, "alias app-alias app\n", soft), k.insert, quiet())
	for range 2 {
		if err := loader.Load("app-alias"); err != nil {
			t.Fatal(err)
		}
	}

	if diff := cmp.Diff([]string{"low-level", "before", "mid", "app", "after"}, k.taken); diff != "" {
		t.Error(diff)
	}

	if err := loader.Load("low_level"); err != nil || len(k.taken) != 5 {
		t.Errorf("loaded twice: %v %v", k.taken, err)
	}

	if err := loader.Load("nobody"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a module that is not there: %v", err)
	}
}

// TestRefusals: what is in the kernel already is no fault; what its hardware lacks
// is told quietly, other faults loudly; a module whose need fails is not tried.
func TestRefusals(t *testing.T) {
	dep := "a.ko: need.ko\nneed.ko:\nb.ko:\nc.ko:\nd.ko:\n"
	alias := "alias dev:* a\nalias dev:* b\nalias dev:* c\nalias dev:* d\nalias dev:* gone\n"
	k := kernel{refuse: map[string]error{
		"need": fmt.Errorf("finit_module: %w", syscall.EINVAL), "b": fmt.Errorf("finit_module: %w", syscall.EEXIST), "c": fmt.Errorf("finit_module: %w", syscall.ENODEV),
	}}

	var said bytes.Buffer

	loader := coldplug.NewLoader(written(t, dep, alias, ""), k.insert, slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})))
	loader.Device("dev:1")
	loader.Device("dev:1")

	if diff := cmp.Diff([]string{"d"}, k.taken); diff != "" || loader.Loaded() != 1 {
		t.Errorf("%d loaded %s", loader.Loaded(), diff)
	}

	if lines := strings.Count(said.String(), "\n"); lines != 1 || !strings.Contains(said.String(), "module=a") {
		t.Errorf("said: %s", &said)
	}
}

func device(t *testing.T, root *collect.Tree, name, modalias string) {
	t.Helper()

	if err := root.Put("sys/devices/"+name+"/modalias", []byte(modalias+"\n")); err != nil {
		t.Fatal(err)
	}
}

// TestLateDevices: a bus finds its devices after its driver was loaded; the walk
// goes on until nothing new shows up.
func TestLateDevices(t *testing.T) {
	root := collect.NewTree()
	device(t, root, "pci0/hba", "pci:hba")

	k := kernel{}
	k.finds = map[string]func(){
		"hba":  func() { device(t, root, "pci0/hba/disk", "scsi:t-0x00") },
		"disk": func() { device(t, root, "pci0/hba/disk/part", "unknown:x") },
	}

	loader := coldplug.NewLoader(written(t, "hba.ko:\ndisk.ko:\n", "alias pci:* hba\nalias scsi:t-0x00* disk\n", ""), k.insert, quiet())
	if err := loader.Walk(t.Context(), root); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"hba", "disk"}, k.taken); diff != "" {
		t.Error(diff)
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	device(t, root, "pci0/late", "pci:late")

	if err := loader.Walk(over, root); !errors.Is(err, context.Canceled) {
		t.Errorf("a walk that was stopped: %v", err)
	}

	if err := loader.Walk(t.Context(), collect.NewTree()); err != nil {
		t.Errorf("a machine without devices: %v", err)
	}
}

// heard is a source of events as they come.
type heard chan any

func (h heard) Next(deadline time.Time) (coldplug.Uevent, bool, error) {
	var end <-chan time.Time
	if !deadline.IsZero() {
		end = time.After(time.Until(deadline))
	}

	select {
	case <-end:
		return coldplug.Uevent{}, false, os.ErrDeadlineExceeded
	case v := <-h:
		switch v := v.(type) {
		case error:
			return coldplug.Uevent{}, false, v
		case coldplug.Uevent:
			return v, false, nil
		default:
			return coldplug.Uevent{}, true, nil
		}
	}
}

// TestFollow: what comes after the first walk gets its driver; the machine counts
// as settled after quiet or patience, once, with the drivers that nothing asks for;
// after lost events the walk is repeated.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		events, root, begin := make(heard), collect.NewTree(), time.Now()

		var (
			k       kernel
			settled []time.Duration
		)

		loader := coldplug.NewLoader(written(t, "a.ko:\nb.ko:\nsuper.ko:\n", "alias x:a a\nalias x:b b\n", ""), k.insert, quiet())
		c := coldplug.Coldplug{
			Root: root, Log: quiet(), Quiet: 2 * time.Second, Patience: 10 * time.Second, Late: []string{"not-in-the-image", "super"},
			Settled: func() { settled = append(settled, time.Since(begin)) },
		}
		done := make(chan error, 1)

		go func() { done <- c.Follow(ctx, events, loader) }()

		time.Sleep(time.Second)
		events <- coldplug.Uevent{Action: "add", Modalias: "x:a"}
		events <- coldplug.Uevent{Action: "remove", Modalias: "x:b"}
		events <- coldplug.Uevent{Action: "add"}

		time.Sleep(5 * time.Second)
		synctest.Wait()

		if !slices.Equal(settled, []time.Duration{3 * time.Second}) || !slices.Equal(k.taken, []string{"a", "super"}) {
			t.Errorf("settled %v, %v", settled, k.taken)
		}

		device(t, root, "d", "x:b")
		events <- true // some were lost
		synctest.Wait()

		if !slices.Equal(k.taken, []string{"a", "super", "b"}) {
			t.Errorf("%v", k.taken)
		}

		cancel()
		events <- coldplug.Uevent{}

		if err := <-done; !errors.Is(err, context.Canceled) || len(settled) != 1 {
			t.Errorf("%v, settled %v", err, settled)
		}
	})
}

// TestPatience: a machine whose devices come and go for good settles all the same.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, begin := make(heard), time.Now()

		var settled []time.Duration

		loader := coldplug.NewLoader(written(t, "", "", ""), (&kernel{}).insert, quiet())
		c := coldplug.Coldplug{
			Root: collect.NewTree(), Log: quiet(), Quiet: 2 * time.Second, Patience: 10 * time.Second,
			Settled: func() { settled = append(settled, time.Since(begin)) },
		}
		done := make(chan error, 1)

		go func() { done <- c.Follow(t.Context(), events, loader) }()

		for range 12 {
			time.Sleep(time.Second)
			events <- coldplug.Uevent{Action: "change"}
		}

		events <- errors.New("netlink is gone")

		if err := <-done; err == nil || len(settled) != 1 || settled[0] < 10*time.Second || settled[0] > 11*time.Second {
			t.Errorf("%v, settled %v", err, settled)
		}
	})
}
